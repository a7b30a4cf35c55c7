/* Sessions: who is who, what a router keeps when it comes back, and when one is gone. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/engine_world.h"

#define ROUTER .role = IXN__V1__ROLE__ROUTER

/* ---- Registration ---- */

Test(engine_session, nothing_is_done_before_a_register)
{
    world_t *w = world_new(NULL);
    world_connect(w, "media");
    SUBMIT("media", .key = "a");
    world_load(w, "media", "s1");
    world_leave(w, "media");
    world_ping(w, "media");
    world_settle(w);
    EXPECT(
        "media: NOT_REGISTERED\n"
        "media: NOT_REGISTERED\n"
        "media: NOT_REGISTERED\n"
        "media: NOT_REGISTERED\n");
    world_free(&w);
}

Test(engine_session, a_register_is_checked)
{
    world_t *w = world_new(NULL);
    REGISTER("a", .role = (Ixn__V1__Role)7);
    REGISTER("b", .name = "");
    REGISTER("c", .name = "12345678901234567890123456789012345678901234567890123456789012345");
    REGISTER("d", .name = "a\nb");
    REGISTER("e", .tenant = "nobody");
    world_settle(w);
    EXPECT(
        "a: WRONG_ROLE\n"
        "b: INVALID_ARGUMENT\n"
        "c: TOO_LARGE\n"
        "d: INVALID_ARGUMENT\n"
        "e: UNKNOWN_TENANT\n");
    cr_assert_str_eq(world_sentence(w), "no tenant \"nobody\"; configure it under `tenants`");
    REGISTER("e", .tenant = "other");
    world_settle(w);
    EXPECT("e: registered\n");
    Ixn__V1__Register body = IXN__V1__REGISTER__INIT;
    body.role = IXN__V1__ROLE__MEDIA_SERVER;
    body.name = "f";
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_REGISTER;
    request.register_ = &body;
    world_request(w, "a", &request);
    world_settle(w);
    EXPECT("a: INVALID_ARGUMENT\n");
    cr_assert(strstr(world_sentence(w), "incarnation has 0 bytes, it needs 16"));
    world_free(&w);
}

Test(engine_session, a_name_is_of_one_process)
{
    world_t *w = world_new(NULL);
    REGISTER("media:1", .incarnation = "one");
    REGISTER("media:2", .incarnation = "two");
    REGISTER("media:3", .incarnation = "two", .role = IXN__V1__ROLE__OPERATOR);
    REGISTER("media:4", .incarnation = "one", .tenant = "other");
    world_settle(w);
    /* The same process again takes the place of its older connection. */
    EXPECT(
        "media:2: NAME_IN_USE\n"
        "media:3: registered\n"
        "media:4: registered\n"
        "media:1: (ended)\n");
    world_lose(w, "media:4");
    REGISTER("media:2", .incarnation = "two");
    REGISTER("media:2", .incarnation = "two"); /* asked again */
    REGISTER("media:2", .name = "other");
    world_settle(w);
    EXPECT(
        "media:2: registered\n"
        "media:2: registered\n"
        "media:2: ALREADY_REGISTERED\n");
    REGISTER("media:2", .incarnation = "three"); /* the same name, so it says what else differs */
    world_settle(w);
    EXPECT("media:2: ALREADY_REGISTERED\n");
    cr_assert(strstr(world_sentence(w), "incarnation differ"), "%s", world_sentence(w));
    world_free(&w);
}

Test(engine_session, sessions_up_to_max_clients_then_busy)
{
    world_t *w = world_new(&(world_options_t){.max_clients = 2});
    REGISTER("a");
    REGISTER("b");
    cr_assert_not(world_connect(w, "c"));
    engine_frame_t frame;
    node_busy_frame(world_node(w), &frame);
    wire_arena_t *arena = wire_arena_new();
    error_t error;
    const Ixn__V1__FromNode *busy = wire_decode_from_node(arena, frame.bytes, frame.len, &error);
    cr_assert_eq(busy->messages[0]->body_case, IXN__V1__MESSAGE__BODY_BUSY);
    wire_arena_destroy(&arena);
    free(frame.bytes);
    world_settle(w);
    world_leave(w, "a");
    world_settle(w);
    REGISTER("c");
    world_settle(w);
    EXPECT(
        "a: registered\n"
        "b: registered\n"
        "a: ack\n"
        "a: (ended)\n"
        "c: registered\n");
    world_free(&w);
}

/* The transport knows sessions by slots: one that it has not forgotten yet is not used again. */
Test(engine_session, a_slot_is_used_again_only_when_its_end_was_taken)
{
    world_t *w = world_new(&(world_options_t){.max_clients = 2});
    REGISTER("a");
    world_settle(w);
    world_leave(w, "a");
    REGISTER("b"); /* in the same turn */
    cr_assert_not(world_connect(w, "c"));
    world_settle(w);
    cr_assert(world_connect(w, "c"));
    EXPECT(
        "a: registered\n"
        "a: ack\n"
        "b: registered\n"
        "a: (ended)\n");
    world_free(&w);
}

/* ---- A router comes back ---- */

/* r1 has a, b and c under t1, t2, t3. */
static world_t *s_three_routed(void)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    world_router(w, "r1", "s1");
    SUBMIT("media", .key = "a");
    SUBMIT("media", .key = "b");
    SUBMIT("media", .key = "c");
    world_settle(w);
    world_forget(w);
    return w;
}

Test(engine_session, the_same_incarnation_keeps_its_work)
{
    world_t *w = s_three_routed();
    REGISTER("r1:2", ROUTER, .incarnation = "r1", .tokens = "t3 t1 t2");
    world_settle(w);
    EXPECT(
        "r1:2: registered limit 100\n"
        "r1: (ended)\n");
    STOP("r1:2", .of = "a", .token = "t1");
    STOP("r1:2", .of = "c", .token = "t3");
    world_settle(w);
    EXPECT(
        "r1:2: ack a v2\n"
        "r1:2: ack c v2\n");
    world_free(&w);
}

Test(engine_session, what_it_does_not_have_goes_back_what_is_not_held_is_revoked)
{
    world_t *w = s_three_routed();
    STOP("r1", .of = "a", .token = "t1");
    world_settle(w);
    world_forget(w);
    REGISTER("r1:2", ROUTER, .incarnation = "r1", .tokens = "t1 t2 9/9 1/1");
    world_settle(w);
    world_get(w, "media", "b", false);
    world_get(w, "media", "c", false);
    world_settle(w);
    EXPECT(
        "r1: (ended)\n"
        "r1:2: registered limit 100, revoked t4 t1 t5\n"
        "media: b v1 routing in in with r1\n"
        "media: c v1 queued in in\n");
    world_load(w, "r1:2", "s1");
    world_settle(w);
    EXPECT(
        "r1:2: ack\n"
        "r1:2: route c by s1, t6, attempt 1\n");
    world_free(&w);
}

Test(engine_session, tokens_may_be_reported_twice)
{
    world_t *w = s_three_routed();
    REGISTER("r1:2", ROUTER, .incarnation = "r1", .tokens = "t1 t1 t2 t3 t2 t1 9/9 9/9 t3 t3 9/9");
    world_settle(w);
    EXPECT(
        "r1:2: registered limit 100, revoked t4\n"
        "r1: (ended)\n");
    STOP("r1:2", .of = "a", .token = "t1");
    STOP("r1:2", .of = "b", .token = "t2");
    STOP("r1:2", .of = "c", .token = "t3");
    world_settle(w);
    EXPECT(
        "r1:2: ack a v2\n"
        "r1:2: ack b v2\n"
        "r1:2: ack c v2\n");
    world_free(&w);
}

Test(engine_session, a_router_may_register_again_on_its_connection)
{
    world_t *w = s_three_routed();
    REGISTER("r1", ROUTER, .tokens = "t2");
    world_settle(w);
    EXPECT("r1: registered limit 100\n");
    STOP("r1", .of = "b", .token = "t2");
    STOP("r1", .of = "a", .token = "t1");
    world_load(w, "r1", "s1");
    world_settle(w);
    EXPECT(
        "r1: ack b v2\n"
        "r1: OLD_TOKEN\n"
        "r1: ack\n"
        "r1: route a by s1, t4, attempt 1\n"
        "r1: route c by s1, t5, attempt 1\n");
    world_free(&w);
}

/* A new process of that name knows nothing of what killed the old one: that one was lost. */
Test(engine_session, another_process_of_a_lost_router_does_not_hide_the_loss)
{
    world_t *w = world_new(&(world_options_t){.max_router_attempts = 1});
    world_media(w, "media");
    world_router(w, "r1", "s1");
    SUBMIT("media", .key = "a");
    world_settle(w);
    world_lose(w, "r1");
    REGISTER("r1", ROUTER, .incarnation = "new"); /* in the same turn */
    world_settle(w);
    world_forget(w);
    world_get(w, "media", "a", false);
    world_settle(w);
    EXPECT("media: a v1 quarantined in in attempts 1\n");
    world_free(&w);
}

Test(engine_session, a_lost_connection_of_the_same_process_costs_nothing)
{
    world_t *w = world_new(&(world_options_t){.max_router_attempts = 1});
    world_media(w, "media");
    world_router(w, "r1", "s1");
    SUBMIT("media", .key = "a");
    SUBMIT("media", .key = "b");
    world_settle(w);
    world_forget(w);
    world_lose(w, "r1");
    REGISTER("r1", ROUTER, .tokens = "t2"); /* in the same turn */
    world_settle(w);
    world_get(w, "media", "a", false);
    world_get(w, "media", "b", false);
    world_settle(w);
    EXPECT(
        "r1: registered limit 100\n"
        "media: a v1 queued in in\n"
        "media: b v1 routing in in with r1\n");
    world_free(&w);
}

Test(engine_session, a_route_to_a_session_that_just_ended_is_told_to_nobody)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    world_router(w, "r1", "s1");
    SUBMIT("media", .key = "a");
    world_turn(w); /* decided for r1 */
    REGISTER("r1:2", ROUTER, .incarnation = "r1");
    world_turn(w);
    world_commit(w);
    world_settle(w);
    EXPECT(
        "r1: (ended)\n"
        "media: ack a v1\n"
        "r1:2: registered limit 100\n");
    world_load(w, "r1:2", "s1");
    world_settle(w);
    EXPECT(
        "r1:2: ack\n"
        "r1:2: route a by s1, t1, attempt 1\n");
    world_free(&w);
}

/* ---- After a start ---- */

Test(engine_session, after_a_start_routers_have_three_heartbeats_to_say_what_they_hold)
{
    world_t *w = s_three_routed();
    for (int from_tables = 0; from_tables < 2; from_tables++) {
        world_pass(w, 1500);
        world_restart(w, NULL, from_tables);
        world_media(w, "media");
        world_get(w, "media", "a", false);
        world_settle(w);
        EXPECT("media: a v1 routing in in with r1\n");
        REGISTER("r1", ROUTER, .tokens = "t1 t2 t3");
        world_settle(w);
        EXPECT("r1: registered limit 100\n");
    }
    world_restart(w, NULL, false);
    world_media(w, "media");
    world_pass(w, 2900);
    world_get(w, "media", "a", false);
    world_settle(w);
    EXPECT("media: a v1 routing in in with r1\n");
    world_pass(w, 200);
    world_get(w, "media", "a", false);
    world_settle(w);
    EXPECT("media: a v1 queued in in\n"); /* counts against nothing */
    REGISTER("r1", ROUTER, .tokens = "t1 t2 t3");
    world_settle(w);
    EXPECT("r1: registered limit 100, revoked t1 t2 t3\n");
    world_free(&w);
}

Test(engine_session, a_router_that_lost_its_process_with_the_node_registers_without_tokens)
{
    world_t *w = s_three_routed();
    world_restart(w, NULL, false);
    world_media(w, "media");
    REGISTER("r1", ROUTER, .incarnation = "new");
    world_load(w, "r1", "s1");
    world_settle(w);
    EXPECT(
        "r1: registered limit 100\n"
        "r1: ack\n"
        "r1: route a by s1, t4, attempt 1\n"
        "r1: route b by s1, t5, attempt 1\n"
        "r1: route c by s1, t6, attempt 1\n");
    world_free(&w);
}

/* ---- Silence ---- */

static void s_wait_in_steps(world_t *w, uint32_t ms)
{
    for (uint32_t at = 0; at < ms; at += 100) {
        world_wait(w, 100);
        world_settle(w);
    }
}

Test(engine_session, silence_of_three_heartbeats_ends_a_session)
{
    world_t *w = s_three_routed();
    s_wait_in_steps(w, 2000);
    world_ping(w, "media");
    world_settle(w);
    s_wait_in_steps(w, 900);
    EXPECT("media: pong\n");
    s_wait_in_steps(w, 1000);
    EXPECT("r1: (ended)\n");
    world_get(w, "media", "a", false);
    world_settle(w);
    EXPECT("media: a v1 queued in in\n");
    world_connect(w, "r1"); /* it stood still, and wakes up */
    world_ping(w, "r1");
    world_settle(w);
    EXPECT("r1: NOT_REGISTERED\n");
    world_free(&w);
}

Test(engine_session, a_busy_node_does_not_take_its_own_delay_for_silence)
{
    world_t *w = s_three_routed();
    for (int i = 0; i < 60; i++) {
        world_wait(w, 100);
        world_turn_undrained(w); /* their words wait in the socket */
    }
    world_ping(w, "r1");
    world_ping(w, "media");
    world_settle(w);
    EXPECT(
        "media: pong\n"
        "r1: pong\n");
    world_free(&w);
}

Test(engine_session, a_node_that_never_drains_its_socket_keeps_its_deadlines)
{
    world_t *w = s_three_routed();
    SUBMIT("media", .key = "d", .hold = true);
    world_settle(w);
    world_restart(w, NULL, false); /* r1 does not come back */
    world_media(w, "media");
    for (int i = 0; i < 310; i++) {
        world_wait(w, 100);
        world_turn_undrained(w);
        if (world_in_flight(w))
            world_commit(w);
    }
    world_forget(w);
    world_get(w, "media", "a", false);
    world_get(w, "media", "d", false);
    world_turn_undrained(w);
    EXPECT(
        "media: a v1 queued in in\n"
        "media: d v2 queued in in\n");
    world_free(&w);
}

/* Frozen with its clients, or alone: it wakes up before what they sent meanwhile is there. */
Test(engine_session, a_node_that_was_frozen_listens_before_it_ends_anybody)
{
    world_t *w = s_three_routed();
    world_wait(w, 30 * 1000);
    world_settle(w);
    s_wait_in_steps(w, 500);
    world_ping(w, "r1");
    world_settle(w);
    EXPECT("r1: pong\n");
    s_wait_in_steps(w, 2000);
    world_ping(w, "r1");
    world_settle(w);
    s_wait_in_steps(w, 1500);
    EXPECT(
        "r1: pong\n"
        "media: (ended)\n");
    world_free(&w);
}

/* ---- Frames ---- */

Test(engine_session, malformed_frames_are_answered_and_harmless)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    world_bytes(w, "media", "", 0);
    world_bytes(w, "media", "\x08\x02", 2);                                  /* version 2 */
    world_bytes(w, "media", "\x08\x01\x12", 3);                              /* cut */
    world_bytes(w, "media", "\x08\x01\x12\x00", 4);                          /* id 0 */
    world_bytes(w, "media", "\x08\x01\x12\x06\x08\x80\x80\x80\x80\x10", 10); /* no body */
    world_bytes(w, "media", "\x08\x01\x12\x09\x08\x80\x80\x80\x80\x10\xc2\x0c\x00", 13);
    world_connect(w, "new");
    world_bytes(w, "new", "\xff", 1);
    world_turn(w);
    EXPECT(
        "media: MALFORMED\n"
        "media: UNSUPPORTED_VERSION\n"
        "media: MALFORMED\n"
        "media: MALFORMED\n"
        "media: MALFORMED\n"
        "media: MALFORMED\n"
        "new: MALFORMED\n");
    SUBMIT("media", .key = "a");
    world_settle(w);
    EXPECT("media: ack a v1\n");
    world_free(&w);
}

Test(engine_session, frames_to_clients_are_split)
{
    world_t *w = world_new(&(world_options_t){.max_submitted = 1000, .max_interactions = 5000});
    world_media(w, "media");
    static char large[64 * 1024] = "{\"a\":\"";
    memset(large + 6, 'x', 60000);
    memcpy(large + 60006, "\"}", 3);
    for (int i = 0; i < 40; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i);
        SUBMIT("media", .key = key, .attributes = large);
    }
    world_settle(w);
    world_router(w, "r1", "s1"); /* 40 Routes of 60 kB */
    cr_assert_gt(world_largest_frame(w), 400 * 1024);
    cr_assert_leq(world_largest_frame(w), 512 * 1024);
    for (int i = 0; i < 2500; i++) {
        char key[8];
        snprintf(key, sizeof key, "m%d", i);
        SUBMIT("media", .key = key);
    }
    world_settle(w);
    cr_assert_eq(world_most_messages(w), 1000);
    world_free(&w);
}
