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

/* ---- Pages ---- */

typedef struct {
    size_t names;
    size_t pages;
    char last[64]; /* of all that were listed */
    char next[64];
} listed_t;

static void s_take_page(void *context, const char *who, const Ixn__V1__Message *message)
{
    listed_t *listed = context;
    (void)who;
    cr_assert_eq(message->body_case, IXN__V1__MESSAGE__BODY_LISTING);
    const Ixn__V1__Listing *listing = message->listing;
    for (size_t i = 0; i < listing->n_agents; i++) {
        const char *name = listing->agents[i]->name;
        cr_assert_gt(strcmp(name, listed->last), 0, "%s comes after %s", name, listed->last);
        snprintf(listed->last, sizeof listed->last, "%s", name);
        listed->names++;
    }
    listed->pages++;
    snprintf(listed->next, sizeof listed->next, "%s", listing->next);
}

/* In an order that is not that of their names. */
static void s_add_agents(world_t *w, uint32_t count)
{
    Ixn__V1__ChangeAgent agent = IXN__V1__CHANGE_AGENT__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_CHANGE_AGENT;
    request.change_agent = &agent;
    for (uint32_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%08x", i * 2654435761u);
        agent.agent = name;
        request.id = 0;
        world_request(w, "chief", &request);
        if (i % 500 == 499)
            world_settle(w);
    }
    world_settle(w);
}

Test(engine_list, pages_have_each_agent_once_and_in_order)
{
    static const uint32_t agents[] = {1, 499, 500, 501, 1001, 2345};
    static const uint32_t limits[] = {1, 7, 499, 500, 0};
    Ixn__V1__List list = IXN__V1__LIST__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_LIST;
    request.list = &list;
    list.kind = IXN__V1__LIST__KIND__AGENTS;
    for (size_t i = 0; i < sizeof agents / sizeof *agents; i++) {
        world_t *w = world_new(NULL);
        world_operator(w, "chief");
        s_add_agents(w, agents[i]);
        for (size_t j = 0; j < sizeof limits / sizeof *limits; j++) {
            listed_t listed = {.last = ""};
            world_observe(w, &(world_observer_t){.heard = s_take_page, .context = &listed});
            list.limit = limits[j];
            do {
                list.after = listed.next;
                request.id = 0;
                world_request(w, "chief", &request);
                world_settle(w);
            } while (listed.next[0]);
            const uint32_t page = limits[j] ? limits[j] : 500;
            cr_assert_eq(listed.names, agents[i]);
            cr_assert_eq(listed.pages, (agents[i] + page - 1) / page);
        }
        world_free(&w);
    }
}
