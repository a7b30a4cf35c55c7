/* Stored strategies and agents at the engine: who is told what, what counts, what survives. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/engine_world.h"

static Ixn__V1__Request s_request(Ixn__V1__Request__BodyCase body)
{
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = body;
    return request;
}

static void s_put(world_t *w, const char *name, const char *body, const char *router)
{
    Ixn__V1__PutStrategy put = IXN__V1__PUT_STRATEGY__INIT;
    char *routers[] = {(char *)router};
    put.strategy = (char *)name;
    put.body = (ProtobufCBinaryData){strlen(body), (uint8_t *)body};
    put.routers = routers;
    put.n_routers = router ? 1 : 0;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_PUT_STRATEGY);
    request.put_strategy = &put;
    world_request(w, "chief", &request);
    world_settle(w);
}

static void s_activate(world_t *w, const char *name, uint32_t version, const char *router)
{
    Ixn__V1__ActivateStrategy activate = IXN__V1__ACTIVATE_STRATEGY__INIT;
    char *routers[] = {(char *)router};
    activate.strategy = (char *)name;
    activate.version = version;
    activate.routers = routers;
    activate.n_routers = router ? 1 : 0;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_ACTIVATE_STRATEGY);
    request.activate_strategy = &activate;
    world_request(w, "chief", &request);
    world_settle(w);
}

static void s_deactivate(world_t *w, const char *name)
{
    Ixn__V1__DeactivateStrategy deactivate = IXN__V1__DEACTIVATE_STRATEGY__INIT;
    deactivate.strategy = (char *)name;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_DEACTIVATE_STRATEGY);
    request.deactivate_strategy = &deactivate;
    world_request(w, "chief", &request);
    world_settle(w);
}

static void s_remove(world_t *w, const char *name)
{
    Ixn__V1__RemoveStrategy removal = IXN__V1__REMOVE_STRATEGY__INIT;
    removal.strategy = (char *)name;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_REMOVE_STRATEGY);
    request.remove_strategy = &removal;
    world_request(w, "chief", &request);
    world_settle(w);
}

static void s_get(world_t *w, const char *who, const char *name, uint32_t version)
{
    Ixn__V1__GetStrategy get = IXN__V1__GET_STRATEGY__INIT;
    get.strategy = (char *)name;
    get.version = version;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_GET_STRATEGY);
    request.get_strategy = &get;
    world_request(w, who, &request);
    world_settle(w);
}

static void s_loaded(world_t *w, const char *who, const char *name, uint32_t version)
{
    Ixn__V1__StrategyLoaded loaded = IXN__V1__STRATEGY_LOADED__INIT;
    loaded.strategy = (char *)name;
    loaded.stored_version = version;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_STRATEGY_LOADED);
    request.strategy_loaded = &loaded;
    world_request(w, who, &request);
    world_settle(w);
}

static void s_failed(world_t *w, const char *who, const char *name, uint32_t version)
{
    Ixn__V1__StrategyFailed failed = IXN__V1__STRATEGY_FAILED__INIT;
    failed.strategy = (char *)name;
    failed.version = version;
    failed.reason = (char *)"s1.lua:3: oops";
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_STRATEGY_FAILED);
    request.strategy_failed = &failed;
    world_request(w, who, &request);
    world_settle(w);
}

static void s_queues(world_t *w)
{
    Ixn__V1__ListQueues list = IXN__V1__LIST_QUEUES__INIT;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_LIST_QUEUES);
    request.list_queues = &list;
    world_forget(w);
    world_request(w, "chief", &request);
    world_settle(w);
}

static void s_submit(world_t *w, const char *key)
{
    SUBMIT("media", .key = key);
    world_settle(w);
}

static world_t *s_world(void)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    world_operator(w, "chief");
    return w;
}

/* ---- Strategies ---- */

Test(engine_strategy, is_loaded_where_it_is_activated_and_runs_once_it_is_loaded)
{
    world_t *w = s_world();
    world_router(w, "r1", "");
    s_put(w, "s1", "one", NULL);
    EXPECT("chief: strategy s1 1\n");
    s_activate(w, "s1", 0, "r1");
    EXPECT("chief: strategy s1 1\nr1: load s1 1\n");
    s_get(w, "r1", "s1", 1);
    EXPECT("r1: strategy s1 1: one\n");
    SUBMIT("media", .key = "a");
    world_settle(w);
    EXPECT("media: ack a v1\n"); /* waits */
    s_loaded(w, "r1", "s1", 1);
    EXPECT("r1: ack\nr1: route a by s1, t1, attempt 1\n");
    world_free(&w);
}

Test(engine_strategy, that_a_router_brings_counts_while_none_of_that_name_is_stored)
{
    world_t *w = s_world();
    world_router(w, "r1", "s1");
    s_submit(w, "a");
    EXPECT("media: ack a v1\nr1: route a by s1, t1, attempt 1\n");
    s_put(w, "s1", "one", NULL);
    s_submit(w, "b");
    EXPECT("chief: strategy s1 1\nmedia: ack b v1\n");
    s_queues(w);
    cr_assert(strstr(world_told(w), "strategy s1 is activated on no router"), "%s", world_told(w));
    world_forget(w);
    s_remove(w, "s1");
    EXPECT("chief: ack\nr1: route b by s1, t2, attempt 1\n");
    world_free(&w);
}

Test(engine_strategy, what_is_held_does_not_wait_for_it)
{
    world_t *w = s_world();
    SUBMIT("media", .key = "a");
    SUBMIT("media", .key = "b", .hold = true);
    world_settle(w);
    world_forget(w);
    Ixn__V1__List list = IXN__V1__LIST__INIT;
    list.kind = IXN__V1__LIST__KIND__STRATEGIES;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_LIST);
    request.list = &list;
    world_request(w, "chief", &request);
    world_settle(w);
    cr_assert(strstr(world_told(w), "s1 (1 waiting)"), "%s", world_told(w));
    world_free(&w);
}

Test(engine_strategy, is_replaced_without_a_pause)
{
    world_t *w = s_world();
    world_router(w, "r1", "");
    s_put(w, "s1", "one", "r1");
    s_loaded(w, "r1", "s1", 1);
    s_put(w, "s1", "two", NULL);
    s_activate(w, "s1", 2, NULL);
    world_forget(w);
    s_submit(w, "a"); /* still by the first */
    EXPECT("media: ack a v1\nr1: route a by s1, t1, attempt 1\n");
    s_loaded(w, "r1", "s1", 2);
    EXPECT("r1: unload s1 1\nr1: ack\n");
    s_put(w, "s1", "two", NULL); /* the same is nothing new */
    EXPECT("chief: strategy s1 2\n");
    s_deactivate(w, "s1");
    EXPECT("chief: ack\nr1: unload s1 2\n");
    world_free(&w);
}

Test(engine_strategy, that_cannot_be_loaded_leaves_the_one_before_and_says_why)
{
    world_t *w = s_world();
    world_router(w, "r1", "");
    s_put(w, "s1", "one", "r1");
    s_loaded(w, "r1", "s1", 1);
    s_put(w, "s1", "two", "r1");
    s_failed(w, "r1", "s1", 2);
    world_forget(w);
    s_submit(w, "a");
    EXPECT("media: ack a v1\nr1: route a by s1, t1, attempt 1\n");
    s_activate(w, "s1", 2, "r1"); /* tried again when it is asked for again */
    EXPECT("chief: strategy s1 2\nr1: load s1 2\n");
    world_free(&w);
}

Test(engine_strategy, waits_with_a_reason_until_its_router_is_there)
{
    world_t *w = s_world();
    s_put(w, "s1", "one", "r1");
    s_submit(w, "a");
    s_queues(w);
    EXPECT("chief: in waits: no router runs strategy s1; r1: not connected; \n");
    world_router(w, "r1", "");
    s_loaded(w, "r1", "s1", 1);
    cr_assert(strstr(world_told(w), "route a"), "%s", world_told(w));
    world_free(&w);
}

Test(engine_strategy, survives_the_node_by_the_journal_and_by_the_tables)
{
    for (int from_tables = 0; from_tables < 2; from_tables++) {
        world_t *w = s_world();
        s_put(w, "s1", "one", "r1");
        s_put(w, "s1", "two", NULL);
        world_restart(w, NULL, from_tables);
        world_settle(w);
        world_operator(w, "chief:2");
        world_forget(w);
        REGISTER("r1", .role = IXN__V1__ROLE__ROUTER, .reservation = true);
        world_settle(w);
        cr_assert(strstr(world_told(w), "r1: load s1 1"), "%s", world_told(w));
        world_forget(w);
        s_get(w, "chief:2", "s1", 0);
        EXPECT("chief:2: strategy s1 2: two\n");
        world_free(&w);
    }
}

Test(engine_strategy, only_operators_store_and_unknown_ones_are_named)
{
    world_t *w = s_world();
    Ixn__V1__RemoveStrategy removal = IXN__V1__REMOVE_STRATEGY__INIT;
    removal.strategy = (char *)"s1";
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_REMOVE_STRATEGY);
    request.remove_strategy = &removal;
    world_request(w, "media", &request);
    world_settle(w);
    EXPECT("media: WRONG_ROLE\n");
    s_activate(w, "s1", 0, "r1");
    EXPECT("chief: UNKNOWN_STRATEGY\n");
    cr_assert(strstr(world_sentence(w), "no stored strategy \"s1\""), "%s", world_sentence(w));
    world_free(&w);
}

/* ---- Whose turn ---- */

Test(engine_strategy, the_turn_goes_on_after_a_restart)
{
    for (int from_tables = 0; from_tables < 2; from_tables++) {
        world_t *w = s_world();
        world_router(w, "r1", "s1");
        world_router(w, "r2", "s1");
        s_submit(w, "a");
        cr_assert(strstr(world_told(w), "r1: route a"), "%s", world_told(w));
        STOP("r1", .of = "a", .token = world_last_token(w));
        world_settle(w);
        world_restart(w, NULL, from_tables);
        world_settle(w);
        world_media(w, "media:2");
        world_router(w, "r1", "s1");
        world_router(w, "r2", "s1");
        SUBMIT("media:2", .key = "b");
        world_settle(w);
        EXPECT("media:2: ack b v1\nr2: route b by s1, t2, attempt 1\n");
        world_free(&w);
    }
}

/* ---- Agents ---- */

static void s_agent(world_t *w, const char *name, bool removal)
{
    Ixn__V1__ChangeAgent change = IXN__V1__CHANGE_AGENT__INIT;
    change.agent = (char *)name;
    change.remove = removal;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_CHANGE_AGENT);
    request.change_agent = &change;
    world_request(w, "chief", &request);
    world_settle(w);
    world_forget(w);
}

typedef struct {
    const char *of, *token, *agent, *key;
    int64_t duration_ms;
    int32_t priority;
} reserve_t;

static void s_reserve(world_t *w, const char *who, const reserve_t *wanted)
{
    id128_t id = world_id(w, wanted->of);
    Ixn__V1__Token token = world_token(w, wanted->token);
    Ixn__V1__Reserve reserve = IXN__V1__RESERVE__INIT;
    const char *key = wanted->key ? wanted->key : "k";
    reserve.interaction_id = (ProtobufCBinaryData){sizeof id, id.bytes};
    reserve.token = &token;
    reserve.agent = (char *)wanted->agent;
    reserve.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)key};
    reserve.duration_ms = wanted->duration_ms;
    if (wanted->priority) {
        reserve.priority_given_case = IXN__V1__RESERVE__PRIORITY_GIVEN_PRIORITY;
        reserve.priority = wanted->priority;
    }
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_RESERVE);
    request.reserve = &reserve;
    world_request(w, who, &request);
}

/* "a" is with r1 under t1, "b" with r2 under t2; "maria" is declared. */
static world_t *s_two(void)
{
    world_t *w = s_world();
    world_router(w, "r1", "s1");
    world_router(w, "r2", "s1");
    s_submit(w, "a");
    s_submit(w, "b");
    s_agent(w, "maria", false);
    return w;
}

#define RESERVE(who, ...) s_reserve(w, who, &(reserve_t){__VA_ARGS__})

Test(engine_agent, that_is_free_is_granted_at_once_and_to_nobody_else)
{
    world_t *w = s_two();
    RESERVE("r1", .of = "a", .token = "t1", .agent = "maria", .duration_ms = 5000);
    world_settle(w);
    EXPECT("r1: granted maria for 5000 ms\n");
    RESERVE("r1", .of = "a", .token = "t1", .agent = "maria", .duration_ms = 5000);
    world_settle(w); /* the same key: the same answer */
    cr_assert(strstr(world_told(w), "r1: granted maria"), "%s", world_told(w));
    world_forget(w);
    RESERVE("r2", .of = "b", .token = "t2", .agent = "maria", .duration_ms = 5000);
    world_settle(w);
    EXPECT("r2: AGENT_RESERVED\n");
    cr_assert(strstr(world_sentence(w), "by \"r1\""), "%s", world_sentence(w));
    RESERVE("r2", .of = "b", .token = "t2", .agent = "nobody", .duration_ms = 5000);
    world_settle(w);
    EXPECT("r2: UNKNOWN_AGENT\n");
    world_free(&w);
}

Test(engine_agent, that_several_want_goes_to_the_highest_priority_then_to_the_oldest)
{
    for (int priority = 0; priority < 2; priority++) {
        world_t *w = s_two();
        RESERVE("r2", .of = "b", .token = "t2", .agent = "maria", .duration_ms = 5000,
                .priority = priority);
        RESERVE("r1", .of = "a", .token = "t1", .agent = "maria", .duration_ms = 5000);
        world_settle(w);
        for (int i = 0; i < 3; i++)
            world_pass(w, 100);
        cr_assert(strstr(world_told(w), priority ? "r2: granted" : "r1: granted"), "%s",
                  world_told(w));
        cr_assert(strstr(world_told(w), priority ? "r1: AGENT_RESERVED" : "r2: AGENT_RESERVED"),
                  "%s", world_told(w));
        world_free(&w);
    }
}

Test(engine_agent, is_free_when_its_time_or_its_work_is_over_or_it_is_given_back)
{
    for (int how = 0; how < 3; how++) {
        world_t *w = s_two();
        RESERVE("r1", .of = "a", .token = "t1", .agent = "maria", .duration_ms = 1000);
        world_settle(w);
        if (how == 0)
            world_pass(w, 1100);
        else if (how == 1)
            STOP("r1", .of = "a", .token = "t1");
        else
            RESERVE("r1", .of = "a", .token = "t1", .agent = "maria", .duration_ms = 0,
                    .key = "k2");
        world_settle(w);
        world_forget(w);
        RESERVE("r2", .of = "b", .token = "t2", .agent = "maria", .duration_ms = 5000);
        world_settle(w);
        cr_assert(strstr(world_told(w), "r2: granted maria for 5000 ms"), "%d: %s", how,
                  world_told(w));
        world_free(&w);
    }
}

/* A batch stays open while the one before is in flight; all its entries have the time at which it
 * was opened. */
Test(engine_agent, is_kept_for_all_of_its_time_while_commits_wait)
{
    world_t *w = s_two();
    SUBMIT("media", .key = "c");
    world_turn(w);
    cr_assert(world_in_flight(w));
    SUBMIT("media", .key = "d");
    world_turn(w); /* opens the next one */
    world_wait(w, 400);
    RESERVE("r1", .of = "a", .token = "t1", .agent = "maria", .duration_ms = 500);
    world_turn(w);
    world_wait(w, 400);
    RESERVE("r2", .of = "b", .token = "t2", .agent = "maria", .duration_ms = 500);
    world_turn(w);
    world_settle(w);
    cr_assert(strstr(world_told(w), "r1: granted maria for 500 ms"), "%s", world_told(w));
    cr_assert(strstr(world_told(w), "r2: AGENT_RESERVED"), "%s", world_told(w));
    world_free(&w);
}

Test(engine_agent, is_kept_across_a_restart)
{
    for (int from_tables = 0; from_tables < 2; from_tables++) {
        world_t *w = s_two();
        RESERVE("r1", .of = "a", .token = "t1", .agent = "maria", .duration_ms = 60000);
        world_settle(w);
        world_restart(w, NULL, from_tables);
        world_settle(w);
        REGISTER("r1", .role = IXN__V1__ROLE__ROUTER, .reservation = true, .tokens = "t1");
        REGISTER("r2", .role = IXN__V1__ROLE__ROUTER, .reservation = true, .tokens = "t2");
        world_settle(w);
        world_forget(w);
        RESERVE("r2", .of = "b", .token = "t2", .agent = "maria", .duration_ms = 5000);
        world_settle(w);
        EXPECT("r2: AGENT_RESERVED\n");
        world_free(&w);
    }
}
