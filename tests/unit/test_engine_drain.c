/* Drained routers at the engine: who gets no work, for how long, and what operators see of it. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/engine_world.h"

static void s_drain(world_t *w, const char *who, const char *router, const char *reason)
{
    Ixn__V1__DrainRouter drain = IXN__V1__DRAIN_ROUTER__INIT;
    drain.router = (char *)router;
    drain.reason = (char *)reason;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_DRAIN_ROUTER;
    request.drain_router = &drain;
    world_request(w, who, &request);
    world_settle(w);
}

static void s_undrain(world_t *w, const char *who, const char *router)
{
    Ixn__V1__UndrainRouter undrain = IXN__V1__UNDRAIN_ROUTER__INIT;
    undrain.router = (char *)router;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_UNDRAIN_ROUTER;
    request.undrain_router = &undrain;
    world_request(w, who, &request);
    world_settle(w);
}

static void s_list(world_t *w, const char *who)
{
    Ixn__V1__List list = IXN__V1__LIST__INIT;
    list.kind = IXN__V1__LIST__KIND__ROUTERS;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_LIST;
    request.list = &list;
    world_request(w, who, &request);
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
    world_router(w, "r1", "s1");
    return w;
}

Test(engine_drain, it_gets_nothing_new_and_finishes_what_it_has)
{
    world_t *w = s_world();
    s_submit(w, "a");
    EXPECT("media: ack a v1\nr1: route a by s1, t1, attempt 1\n");
    s_drain(w, "chief", "r1", "kernel update");
    EXPECT("chief: listing of 1, r1 (1) drained by chief: kernel update\n");
    s_submit(w, "b");
    EXPECT("media: ack b v1\n"); /* waits */
    STOP("r1", .of = "a", .token = "t1");
    world_settle(w);
    EXPECT("r1: ack a v2\n");
    s_undrain(w, "chief", "r1");
    EXPECT("chief: listing of 1\nr1: route b by s1, t2, attempt 1\n");
    world_free(&w);
}

Test(engine_drain, others_go_on_and_take_turns_without_it)
{
    world_t *w = s_world();
    world_router(w, "r2", "s1");
    world_router(w, "r3", "s1");
    s_drain(w, "chief", "r2", "slow disk");
    world_forget(w);
    s_submit(w, "a");
    s_submit(w, "b");
    s_submit(w, "c");
    EXPECT(
        "media: ack a v1\nr1: route a by s1, t1, attempt 1\n"
        "media: ack b v1\nr3: route b by s1, t2, attempt 1\n"
        "media: ack c v1\nr1: route c by s1, t3, attempt 1\n");
    world_free(&w);
}

Test(engine_drain, why_a_queue_waits_names_it)
{
    world_t *w = s_world();
    s_drain(w, "chief", "r1", "kernel update");
    s_submit(w, "a");
    world_forget(w);
    Ixn__V1__ListQueues list = IXN__V1__LIST_QUEUES__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_LIST_QUEUES;
    request.list_queues = &list;
    world_request(w, "chief", &request);
    world_settle(w);
    EXPECT("chief: in waits: no router runs strategy s1; r1: drained by chief: kernel update; \n");
    world_free(&w);
}

Test(engine_drain, it_outlives_the_connection_and_what_the_router_says)
{
    world_t *w = s_world();
    s_drain(w, "chief", "r1", "kernel update");
    world_lose(w, "r1");
    world_settle(w);
    world_forget(w);
    s_list(w, "chief");
    EXPECT("chief: listing of 1, r1 (0) drained by chief: kernel update\n");
    world_router(w, "r1", "s1");
    world_load(w, "r1", "s1"); /* says it again */
    world_settle(w);
    world_forget(w);
    s_submit(w, "a");
    EXPECT("media: ack a v1\n");
    s_undrain(w, "chief", "r1");
    EXPECT("chief: listing of 1\nr1: route a by s1, t1, attempt 1\n");
    world_free(&w);
}

Test(engine_drain, it_survives_the_node_by_the_journal_and_by_the_tables)
{
    for (int from_tables = 0; from_tables < 2; from_tables++) {
        world_t *w = s_world();
        s_drain(w, "chief", "r1", "kernel update");
        s_drain(w, "chief", "r1", "new disk");
        world_restart(w, NULL, from_tables);
        world_settle(w);
        world_media(w, "media:2");
        world_operator(w, "chief:2");
        world_router(w, "r1", "s1");
        SUBMIT("media:2", .key = "a");
        world_settle(w);
        EXPECT("media:2: ack a v1\n");
        s_list(w, "chief:2");
        EXPECT("chief:2: listing of 1, r1 (0) drained by chief: new disk\n");
        s_undrain(w, "chief:2", "r1");
        EXPECT("chief:2: listing of 1\nr1: route a by s1, t1, attempt 1\n");
        /* … and so does its end: its row has left the table. */
        world_restart(w, NULL, from_tables);
        world_settle(w);
        world_operator(w, "chief:3");
        world_router(w, "r1", "s1");
        world_forget(w);
        s_list(w, "chief:3");
        EXPECT("chief:3: listing of 1\n");
        world_free(&w);
    }
}

Test(engine_drain, the_same_order_again_decides_nothing)
{
    world_t *w = s_world();
    s_drain(w, "chief", "r1", "kernel update");
    uint64_t before = world_engine(w) ? world_batches(w) : 0;
    s_drain(w, "chief", "r1", "kernel update");
    cr_assert_eq(world_batches(w), before);
    s_undrain(w, "chief", "r1");
    before = world_batches(w);
    s_undrain(w, "chief", "r1");
    cr_assert_eq(world_batches(w), before);
    world_free(&w);
}

Test(engine_drain, only_operators_may_and_only_for_a_reason_and_a_router_that_is_known)
{
    world_t *w = s_world();
    s_drain(w, "media", "r1", "no");
    EXPECT("media: WRONG_ROLE\n");
    s_drain(w, "chief", "r1", "");
    EXPECT("chief: INVALID_ARGUMENT\n");
    s_drain(w, "chief", "", "why");
    EXPECT("chief: INVALID_ARGUMENT\n");
    s_drain(w, "chief", "R1", "why");
    EXPECT("chief: UNKNOWN_ROUTER\n");
    cr_assert(strstr(world_sentence(w), "router \"R1\" is not connected"), "%s", world_sentence(w));
    s_undrain(w, "chief", "R1");
    EXPECT("chief: UNKNOWN_ROUTER\n");
    world_free(&w);
}
