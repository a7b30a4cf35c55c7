/* What operators list is a bounded amount of work in each turn; the rest is BUSY. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/engine_world.h"

enum { A_PACKET = 1000, PACKETS = 100 };

typedef struct {
    size_t answers;
    size_t busy;
    size_t answers_to_other;
} heard_t;

static void s_heard(void *context, const char *who, const Ixn__V1__Message *message)
{
    heard_t *heard = context;
    bool busy = message->body_case == IXN__V1__MESSAGE__BODY_BUSY;
    if (strcmp(who, "other") == 0)
        heard->answers_to_other += !busy;
    else if (busy)
        heard->busy++;
    else
        heard->answers++;
}

static world_t *s_world(void)
{
    world_t *w = world_new(&(world_options_t){.max_interactions = 5000});
    world_media(w, "media");
    world_operator(w, "chief");
    world_operator(w, "other");
    world_router(w, "r1", "s1");
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        SUBMIT("media", .key = key, .hold = true);
    }
    world_settle(w);
    Ixn__V1__ChangeAgent agent = IXN__V1__CHANGE_AGENT__INIT;
    agent.agent = (char *)"ann";
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_CHANGE_AGENT;
    request.change_agent = &agent;
    world_request(w, "chief", &request);
    world_settle(w);
    return w;
}

static void s_expect_bounded(const Ixn__V1__Request *request)
{
    heard_t heard = {0};
    world_t *w = s_world();
    world_observe(w, &(world_observer_t){.heard = s_heard, .context = &heard});
    for (size_t i = 0; i < PACKETS; i++)
        world_packet(w, "chief", request, A_PACKET);
    world_packet(w, "other", request, 2);
    world_settle(w);
    cr_assert_eq(heard.answers_to_other, 1); /* that one's first */
    cr_assert_eq(heard.answers + heard.busy, PACKETS * A_PACKET);
    cr_assert(heard.answers > 0 && heard.busy > heard.answers, "%zu answers, %zu times BUSY",
              heard.answers, heard.busy);
    heard = (heard_t){0};
    world_packet(w, "chief", request, 1); /* the next turn */
    world_settle(w);
    cr_assert_eq(heard.answers, 1);
    world_free(&w);
}

static void s_expect_interactions_bounded(const char *external_id)
{
    Ixn__V1__ListInteractions list = IXN__V1__LIST_INTERACTIONS__INIT;
    list.external_id = (char *)external_id;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_LIST_INTERACTIONS;
    request.list_interactions = &list;
    s_expect_bounded(&request);
}

Test(engine_list, of_interactions_is_bounded_by_those_that_are_shown)
{
    s_expect_interactions_bounded("");
}

Test(engine_list, of_interactions_is_bounded_by_those_that_are_looked_at)
{
    s_expect_interactions_bounded("nobody");
}

Test(engine_list, of_queues_is_bounded)
{
    Ixn__V1__ListQueues list = IXN__V1__LIST_QUEUES__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_LIST_QUEUES;
    request.list_queues = &list;
    s_expect_bounded(&request);
}

Test(engine_list, of_everything_else_is_bounded)
{
    static const Ixn__V1__List__Kind kinds[] = {
        IXN__V1__LIST__KIND__ROUTERS, IXN__V1__LIST__KIND__STRATEGIES, IXN__V1__LIST__KIND__AGENTS};
    Ixn__V1__List list = IXN__V1__LIST__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_LIST;
    request.list = &list;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        list.kind = kinds[i];
        s_expect_bounded(&request);
    }
}
