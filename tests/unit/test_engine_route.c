/* Routing: who gets what in which order, and what brings it back to its place. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/engine_world.h"

static void s_submit(world_t *w, const char *keys, const char *queue, int priority)
{
    for (const char *key = keys; *key; key++) {
        char name[2] = {*key, 0};
        SUBMIT("media", .key = name, .queue = queue, .priority = priority);
        world_settle(w);
    }
    world_forget(w);
}

/* A router that takes one at a time and stops it: the order in which all of it is routed. */
static const char *s_order(world_t *w, const char *strategy)
{
    static char order[100];
    size_t len = 0;
    REGISTER("last", .role = IXN__V1__ROLE__ROUTER, .limit = 1, .reservation = true);
    world_load(w, "last", strategy);
    world_settle(w);
    const char *route;
    while ((route = strstr(world_told(w), "last: route "))) {
        char name[2] = {route[12], 0};
        order[len++] = name[0];
        world_forget(w);
        STOP("last", .of = name, .token = world_last_token(w));
        world_settle(w);
    }
    order[len] = 0;
    world_forget(w);
    return order;
}

/* ---- Order ---- */

Test(engine_route, priority_then_age_across_the_queues_of_a_strategy)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    s_submit(w, "a", "in", 0);
    s_submit(w, "b", "second", 0);
    s_submit(w, "c", "in", 5);
    s_submit(w, "d", "second", 5);
    s_submit(w, "e", "second", -5);
    s_submit(w, "f", "in", 0);
    s_submit(w, "g", "work", 9); /* of another strategy */
    int32_t highest = 6, lowest = -9;
    CHANGE("media", .of = "f", .key = "k", .priority = &highest);
    CHANGE("media", .of = "a", .key = "k", .priority = &lowest);
    world_settle(w);
    cr_assert_str_eq(s_order(w, "s1"), "fcdbea");
    world_free(&w);
}

/* "a" is with r1 under t1, "b" waits; r1 takes nothing more. */
static world_t *s_one_routed(const world_options_t *options)
{
    world_t *w = world_new(options);
    world_media(w, "media");
    world_operator(w, "chief");
    s_submit(w, "a", "in", 0);
    world_router(w, "r1", "s1");
    world_unload(w, "r1", "s1");
    world_settle(w);
    s_submit(w, "b", "in", 0);
    cr_assert_str_eq(world_last_token(w), "t1");
    return w;
}

Test(engine_route, a_failed_attempt_returns_to_its_place_and_counts)
{
    world_t *w = s_one_routed(NULL);
    FAIL("r1", .of = "a", .token = "t1", .reason = "a.lua:7: no such queue");
    world_settle(w);
    world_get(w, "media", "a", false);
    world_settle(w);
    EXPECT(
        "r1: ack a v1\n"
        "media: a v1 queued in in attempts 1\n");
    cr_assert_str_eq(s_order(w, "s1"), "ab");
    world_free(&w);
}

Test(engine_route, a_blameless_return_counts_nothing)
{
    world_t *w = s_one_routed(NULL);
    FAIL("r1", .of = "a", .token = "t1", .blameless = true);
    world_settle(w);
    world_get(w, "media", "a", false);
    world_settle(w);
    EXPECT(
        "r1: ack a v1\n"
        "media: a v1 queued in in\n");
    cr_assert_str_eq(s_order(w, "s1"), "ab");
    world_free(&w);
}

Test(engine_route, what_a_lost_router_had_returns_to_its_place)
{
    world_t *w = s_one_routed(NULL);
    world_lose(w, "r1");
    world_settle(w);
    world_get(w, "media", "a", false);
    world_settle(w);
    EXPECT("media: a v1 queued in in attempts 1\n"); /* it was alone with it */
    cr_assert_str_eq(s_order(w, "s1"), "ab");
    world_free(&w);
}

Test(engine_route, an_orderly_leave_counts_nothing)
{
    world_t *w = s_one_routed(NULL);
    world_leave(w, "r1");
    world_settle(w);
    world_get(w, "media", "a", false);
    world_settle(w);
    EXPECT(
        "r1: ack\n"
        "r1: (ended)\n"
        "media: a v1 queued in in\n");
    cr_assert_str_eq(s_order(w, "s1"), "ab");
    world_free(&w);
}

Test(engine_route, a_routing_timeout_takes_it_away_and_counts)
{
    world_t *w = s_one_routed(NULL);
    world_pass(w, 59900);
    EXPECT("");
    world_pass(w, 200);
    EXPECT("r1: revoked t1: routing timeout\n");
    STOP("r1", .of = "a", .token = "t1");
    world_settle(w);
    world_get(w, "media", "a", false);
    world_settle(w);
    EXPECT(
        "r1: OLD_TOKEN\n"
        "media: a v1 queued in in attempts 1\n");
    cr_assert_str_eq(world_sentence(w),
                     "token 1/4 is no longer held: the interaction is queued; "
                     "drop this work");
    cr_assert_str_eq(s_order(w, "s1"), "ab");
    world_free(&w);
}

Test(engine_route, the_same_queue_keeps_the_place_another_takes_the_newest)
{
    world_t *w = s_one_routed(NULL);
    PLACE("r1", .of = "a", .token = "t1", .to = "in");
    world_settle(w);
    EXPECT("r1: ack a v2\n");
    cr_assert_str_eq(s_order(w, "s1"), "ab");
    world_free(&w);
    w = s_one_routed(NULL);
    PLACE("r1", .of = "a", .token = "t1", .to = "second");
    world_settle(w);
    EXPECT("r1: ack a v2\n");
    cr_assert_str_eq(s_order(w, "s1"), "ba");
    world_free(&w);
    /* Waiting ones too; and back again is the newest again. */
    w = s_one_routed(NULL);
    FAIL("r1", .of = "a", .token = "t1");
    PLACE("chief", .of = "a", .key = "1", .to = "in");
    world_settle(w);
    s_submit(w, "c", "in", 0);
    PLACE("chief", .of = "a", .key = "2", .to = "parked");
    PLACE("chief", .of = "a", .key = "3", .to = "in");
    world_settle(w);
    cr_assert_str_eq(s_order(w, "s1"), "bca");
    world_free(&w);
}

Test(engine_route, routed_again_after_each_step_under_another_token)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    world_router(w, "r1", "s1 s2");
    SUBMIT("media", .key = "a");
    world_settle(w);
    EXPECT(
        "media: ack a v1\n"
        "r1: route a by s1, t1, attempt 1\n");
    FAIL("r1", .of = "a", .token = "t1");
    world_settle(w);
    EXPECT(
        "r1: ack a v1\n"
        "r1: route a by s1, t2, attempt 2\n");
    PLACE("r1", .of = "a", .token = "t2", .to = "work", .set = "{\"class\":\"x\"}");
    world_settle(w);
    EXPECT(
        "r1: ack a v2\n"
        "r1: route a by s2, t3, attempt 1\n");
    CHANGE("r1", .of = "a", .token = "t3", .key = "k", .set = "{\"n\":1}");
    STOP("r1", .of = "a", .token = "t3", .remove = "class", .reason = "done");
    world_settle(w);
    EXPECT(
        "r1: ack a v3\n"
        "r1: ack a v4\n");
    world_free(&w);
}

Test(engine_route, a_submit_and_its_dispatch_share_one_commit)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    world_router(w, "r1", "s1");
    SUBMIT("media", .key = "a");
    world_turn(w);
    EXPECT("");
    world_commit(w);
    EXPECT(
        "media: ack a v1\n"
        "r1: route a by s1, t1, attempt 1\n");
    world_free(&w);
}

/* Work goes on for one strategy in every turn; the others must not wait for that to end. */
Test(engine_route, a_busy_strategy_does_not_starve_another)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    world_router(w, "r1", "s1");
    world_router(w, "r2", "s2");
    SUBMIT("media", .key = "slow", .queue = "work");
    for (int i = 0; i < 40; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i);
        SUBMIT("media", .key = key);
        if (i % 2 == 0)
            continue;
        if (world_in_flight(w))
            world_commit(w);
        else
            world_turn(w);
    }
    cr_assert(strstr(world_told(w), "route slow by s2"), "%s", world_told(w));
    world_free(&w);
}

Test(engine_route, tenants_do_not_share_routers)
{
    world_t *w = world_new(NULL);
    REGISTER("guest", .tenant = "other");
    world_settle(w);
    world_router(w, "r1", "s1");
    SUBMIT("guest", .key = "a");
    world_settle(w);
    world_get(w, "guest", "a", false);
    world_settle(w);
    EXPECT(
        "guest: ack a v1\n"
        "guest: a v1 queued in in\n");
    REGISTER("r2", .tenant = "other", .role = IXN__V1__ROLE__ROUTER, .reservation = true);
    world_load(w, "r2", "s1");
    world_settle(w);
    EXPECT(
        "r2: registered limit 100\n"
        "r2: ack\n"
        "r2: route a by s1, t1, attempt 1\n");
    STOP("r1", .of = "a", .token = "t1");
    STOP("r2", .of = "a", .token = "t1");
    world_settle(w);
    EXPECT(
        "r1: UNKNOWN_INTERACTION\n"
        "r2: ack a v2\n");
    world_free(&w);
}

Test(engine_route, a_queue_that_is_no_longer_configured_keeps_what_waits_in_it)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    s_submit(w, "ab", "in", 0);
    s_submit(w, "c", "second", 0);
    world_restart(w, &(world_options_t){.queues = "second>s1"}, false);
    world_media(w, "media");
    world_router(w, "r1", "s1");
    SUBMIT("media", .key = "d");
    PLACE("media", .of = "c", .key = "k", .to = "in");
    world_settle(w);
    world_get(w, "media", "a", false);
    world_settle(w);
    EXPECT(
        "media: UNKNOWN_QUEUE\n"
        "media: UNKNOWN_QUEUE\n"
        "media: a v1 queued in in\n");
    world_restart(w, &(world_options_t){0}, false);
    world_media(w, "media");
    cr_assert_str_eq(s_order(w, "s1"), "ab"); /* c was with r1, which may come back */
    world_pass(w, 3100);
    cr_assert(strstr(world_told(w), "route c by s1"), "%s", world_told(w));
    world_free(&w);
}

/* ---- Attempts and quarantine ---- */

Test(engine_route, quarantined_after_its_last_attempt_and_released_by_an_operator)
{
    world_t *w = world_new(&(world_options_t){.max_router_attempts = 2});
    world_media(w, "media");
    world_operator(w, "chief");
    world_router(w, "r1", "s1");
    SUBMIT("media", .key = "a");
    world_settle(w);
    FAIL("r1", .of = "a", .token = "t1");
    world_settle(w);
    world_forget(w);
    FAIL("r1", .of = "a", .token = "t2", .reason = "again");
    world_settle(w);
    world_get(w, "media", "a", false);
    HOLD("media", .of = "a", .key = "h");
    world_settle(w);
    EXPECT(
        "r1: ack a v1\n"
        "media: a v1 quarantined in in attempts 2\n"
        "media: WRONG_STATE\n");
    PLACE("chief", .of = "a", .key = "k", .to = "in");
    world_settle(w);
    EXPECT(
        "chief: ack a v2\n"
        "r1: route a by s1, t3, attempt 1\n");
    world_free(&w);
}

Test(engine_route, a_poison_alone_with_its_router_is_quarantined)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    s_submit(w, "a", "in", 0);
    for (int i = 0; i < 3; i++) {
        world_router(w, "r1", "s1");
        world_lose(w, "r1");
        world_settle(w);
    }
    world_get(w, "media", "a", false);
    world_settle(w);
    EXPECT("media: a v1 quarantined in in attempts 3\n");
    world_free(&w);
}

Test(engine_route, innocents_beside_a_poison_are_never_quarantined)
{
    world_t *w = world_new(&(world_options_t){.max_router_attempts = 2});
    world_media(w, "media");
    s_submit(w, "pabcd", "in", 0); /* p kills each router that has it */
    for (int i = 0; i < 2; i++) {
        world_router(w, "r1", "s1");
        world_lose(w, "r1");
        world_settle(w);
    }
    for (int i = 0; i < 2; i++) {
        REGISTER("r1", .role = IXN__V1__ROLE__ROUTER, .reservation = true);
        world_load(w, "r1", "s1");
        world_settle(w);
        cr_assert(strstr(world_told(w), "route p"), "%s", world_told(w));
        cr_assert_not(strstr(world_told(w), "route a"), "not alone: %s", world_told(w));
        world_lose(w, "r1");
        world_settle(w);
        world_forget(w);
    }
    world_get(w, "media", "p", false);
    world_settle(w);
    EXPECT("media: p v1 quarantined in in attempts 2\n");
    cr_assert_str_eq(s_order(w, "s1"), "abcd");
    world_free(&w);
}

/* "s" is a suspect: two routers that had it were lost. */
static void s_lose_twice(world_t *w)
{
    world_media(w, "media");
    s_submit(w, "s", "in", 0);
    s_submit(w, "b", "in", 0); /* so that it is not known which of them it was */
    for (int i = 0; i < 2; i++) {
        world_router(w, "r1", "s1");
        world_lose(w, "r1");
        world_settle(w);
    }
    STOP("media", .of = "b", .key = "k");
    world_settle(w);
    world_forget(w);
}

/* A suspect waits until the router is empty, and no longer waits before that. */
static void s_expect_not_kept(void (*end)(world_t *w), const char *queue)
{
    world_t *w = world_new(NULL);
    s_lose_twice(w);
    s_submit(w, "n", "in", 10);
    REGISTER("r1", .role = IXN__V1__ROLE__ROUTER, .reservation = true);
    world_load(w, "r1", "s1");
    world_settle(w);
    cr_assert(strstr(world_told(w), "route n"), "%s", world_told(w));
    SUBMIT("media", .key = "m", .queue = queue, .priority = 20);
    world_settle(w);
    cr_assert_not(strstr(world_told(w), "route m"), "%s", world_told(w));
    end(w);
    world_settle(w);
    cr_assert(strstr(world_told(w), "route m"), "%s", world_told(w));
    world_free(&w);
}

static void s_stop_suspect(world_t *w)
{
    STOP("media", .of = "s", .key = "k2");
}

static void s_hold_suspect(world_t *w)
{
    HOLD("media", .of = "s", .key = "k2");
}

static void s_move_suspect(world_t *w)
{
    PLACE("media", .of = "s", .key = "k2", .to = "work"); /* of another strategy */
}

Test(engine_route, a_router_is_not_kept_for_a_suspect_that_is_gone)
{
    static void (*const ends[])(world_t * w) = {s_stop_suspect, s_hold_suspect, s_move_suspect};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        s_expect_not_kept(ends[i], "in");
        s_expect_not_kept(ends[i], "second"); /* the suspect's own queue is empty then */
    }
}

static void s_expect_alone(world_t *w, const char *who)
{
    world_load(w, who, "s1");
    world_load(w, who, "s2");
    world_settle(w);
    cr_assert_not(strstr(world_told(w), "revoked"), "%s", world_told(w));
    cr_assert_not(strstr(world_told(w), "route"), "not alone: %s", world_told(w));
    world_forget(w);
}

Test(engine_route, a_suspect_stays_alone_when_its_router_comes_back)
{
    world_t *w = world_new(NULL);
    s_lose_twice(w);
    world_router(w, "r1", "s1 s2");
    char token[40];
    snprintf(token, sizeof token, "%s", world_last_token(w));
    s_submit(w, "n", "work", 0);
    REGISTER("r1:2", .role = IXN__V1__ROLE__ROUTER, .reservation = true, .tokens = token);
    s_expect_alone(w, "r1:2");
    world_restart(w, NULL, false);
    REGISTER("r1:3", .role = IXN__V1__ROLE__ROUTER, .reservation = true, .tokens = token);
    s_expect_alone(w, "r1:3");
    world_media(w, "media");
    STOP("r1:3", .of = "s", .token = token);
    world_settle(w);
    cr_assert(strstr(world_told(w), "route n"), "%s", world_told(w));
    world_free(&w);
}

/* r1 has work of s2 whenever "s" asks for it; there is always more, before or with each result. */
static void s_expect_given_at_last(bool before)
{
    world_t *w = world_new(NULL);
    s_lose_twice(w);
    SUBMIT("media", .key = "0", .queue = "work");
    world_router(w, "r1", "s2");
    world_load(w, "r1", "s1");
    world_settle(w);
    for (char key = '0'; key < '9' && !strstr(world_told(w), "route s"); key++) {
        char old[2] = {key, 0}, next[2] = {(char)(key + 1), 0};
        world_forget(w);
        SUBMIT("media", .key = next, .queue = "work");
        if (before)
            world_settle(w);
        STOP("r1", .of = old, .token = world_last_token(w));
        world_settle(w);
    }
    cr_assert(strstr(world_told(w), "route s"), "%s", world_told(w));
    world_free(&w);
}

Test(engine_route, a_suspect_is_not_overtaken_for_ever)
{
    s_expect_given_at_last(true);
    s_expect_given_at_last(false);
}

/* It was decided that the router gets it, but the router was gone before it was told. */
Test(engine_route, a_router_that_never_heard_of_it_cannot_have_died_of_it)
{
    world_t *w = world_new(&(world_options_t){.max_router_attempts = 1});
    world_media(w, "media");
    world_router(w, "r1", "s1");
    SUBMIT("media", .key = "a");
    world_turn(w);
    world_lose(w, "r1");
    world_settle(w);
    world_get(w, "media", "a", false);
    world_settle(w);
    EXPECT(
        "media: ack a v1\n"
        "media: a v1 queued in in\n");
    world_free(&w);
}

Test(engine_route, suspects_are_spread_one_a_router)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    s_submit(w, "abc", "in", 0);
    for (int i = 0; i < 2; i++) {
        world_router(w, "r1", "s1");
        world_lose(w, "r1");
        world_settle(w);
    }
    world_router(w, "r1", "s1");
    world_router(w, "r2", "s1");
    s_submit(w, "d", "in", 0);
    world_get(w, "media", "a", false);
    world_get(w, "media", "b", false);
    world_get(w, "media", "c", false);
    world_get(w, "media", "d", false);
    world_settle(w);
    EXPECT(
        "media: a v1 routing in in with r1\n"
        "media: b v1 routing in in with r2\n"
        "media: c v1 queued in in\n"
        "media: d v1 queued in in\n");
    world_free(&w);
}

/* ---- Hold ---- */

Test(engine_route, held_ones_wait_until_resumed_or_for_so_long)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    SUBMIT("media", .key = "a", .hold = true);
    s_submit(w, "bc", "in", 0);
    HOLD("media", .of = "b", .key = "h");
    world_settle(w);
    world_router(w, "r1", "s1");
    world_get(w, "media", "a", false);
    world_get(w, "media", "b", false);
    world_get(w, "media", "c", false);
    world_settle(w);
    EXPECT(
        "media: a v1 queued in in held\n"
        "media: b v2 queued in in held\n"
        "media: c v1 routing in in with r1\n");
    HOLD("media", .of = "c", .key = "h");
    RESUME("media", .of = "a", .key = "r");
    world_settle(w);
    EXPECT(
        "media: WRONG_STATE\n"
        "media: ack a v2\n"
        "r1: route a by s1, t2, attempt 1\n");
    cr_assert_str_eq(world_sentence(w),
                     "the interaction is routing; only a queued one can be held or resumed");
    world_pass(w, 29000);
    EXPECT("");
    world_pass(w, 1100);
    EXPECT("r1: route b by s1, t3, attempt 1\n");
    world_free(&w);
}

Test(engine_route, deadlines_that_fall_due_together_all_come_true)
{
    world_t *w = world_new(&(world_options_t){.max_interactions = 20000, .hold_timeout_ms = 5000});
    world_media(w, "media");
    for (int i = 0; i < 6000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        SUBMIT("media", .key = key, .hold = true);
    }
    world_settle(w);
    world_pass(w, 5200);
    world_get(w, "media", "k0", false);
    world_get(w, "media", "k5999", false);
    world_forget(w);
    world_settle(w);
    EXPECT(
        "media: k0 v2 queued in in\n"
        "media: k5999 v2 queued in in\n");
    world_free(&w);
}

/* ---- Taken away ---- */

Test(engine_route, an_operator_takes_work_away_from_a_router)
{
    world_t *w = s_one_routed(NULL);
    PLACE("chief", .of = "a", .key = "k", .to = "parked");
    world_settle(w);
    EXPECT(
        "chief: ack a v2\n"
        "r1: revoked t1: it was placed in a queue by another client\n");
    PLACE("r1", .of = "a", .token = "t1", .to = "work");
    world_settle(w);
    EXPECT("r1: OLD_TOKEN\n");
    world_load(w, "r1", "s1");
    world_settle(w);
    EXPECT(
        "r1: ack\n"
        "r1: route b by s1, t2, attempt 1\n");
    STOP("media", .of = "b", .key = "k");
    world_settle(w);
    EXPECT(
        "media: ack b v2\n"
        "r1: revoked t2: it was stopped by another client\n");
    world_free(&w);
}

Test(engine_route, a_limit_is_kept_and_room_is_used_again)
{
    world_t *w = world_new(&(world_options_t){.max_submitted = 2});
    world_media(w, "media");
    s_submit(w, "abc", "in", 0);
    REGISTER("r1", .role = IXN__V1__ROLE__ROUTER, .limit = 5);
    world_load(w, "r1", "s1");
    world_settle(w);
    EXPECT(
        "r1: registered limit 2\n"
        "r1: ack\n"
        "r1: route a by s1, t1, attempt 1\n"
        "r1: route b by s1, t2, attempt 1\n");
    STOP("media", .of = "a", .key = "k"); /* whoever makes the room */
    world_settle(w);
    EXPECT(
        "media: ack a v2\n"
        "r1: revoked t1: it was stopped by another client\n"
        "r1: route c by s1, t3, attempt 1\n");
    world_free(&w);
}
