/* Another server has the pair's database: stories of who follows it there, and when. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/pair_fixture.h"

TestSuite(cold, .init = world_open, .fini = world_close, .timeout = 300);
TestSuite(server, .init = world_settled, .fini = world_close, .timeout = 300);

static instance_t s_proven(int node)
{
    return pair_world_memory(w, node)->instance;
}

static bool s_moved(int node, const instance_t *before)
{
    instance_t now = s_proven(node);
    return !instance_equal(&now, before);
}

Test(server, both_follow_it_elsewhere_as_long_as_they_hear_each_other)
{
    const instance_t before = s_proven(A);
    pair_world_serve_from(w, true);
    pair_world_pass(w, 3000);
    cr_assert(s_moved(A, &before));
    cr_assert(s_moved(B, &before));
}

Test(server, unheard_only_one_at_the_same_place)
{
    const instance_t before = s_proven(A);
    pair_world_silence(w, true);
    pair_world_pass(w, PAIR_WORLD_TIMEOUT_MS + 100);
    pair_world_serve_from(w, true);
    pair_world_pass(w, 5000);
    cr_assert(!s_moved(A, &before), "B may reach the old one");
    pair_world_silence(w, false);
    pair_world_pass(w, 3000);
    cr_assert(s_moved(A, &before));
}

/* Frames that were on their way for long look as if B were heard: nothing follows from what it
 * reached then. Seeds 208459 and 110895 of the simulator: two nodes followed two copies. */
Test(server, what_the_other_node_said_before_is_no_licence)
{
    pair_world_reach_all(w, B, OTHER);
    pair_world_pass(w, 1000); /* B's hellos, kept: it is led elsewhere */
    const instance_t before = s_proven(A);
    pair_world_silence(w, true);
    pair_world_pass(w, PAIR_WORLD_TIMEOUT_MS + 100);
    pair_world_serve_from(w, true);
    pair_world_pass(w, 4000);
    for (int i = 0; i < 60; i++) {
        pair_world_again(w, A);
        pair_world_pass(w, 100);
    }
    cr_assert(!s_moved(A, &before));
}

/* What `node` said last, as the other one heard it. */
static uint64_t s_said(int node)
{
    uint64_t said = 0;
    const uint8_t *bytes;
    size_t len;
    for (size_t i = 0; said == 0 && i < 100; i++) {
        cr_assert(pair_world_heard(w, 1 - node, i, &bytes, &len));
        Ixn__V1__PeerFrame *frame = ixn__v1__peer_frame__unpack(NULL, len, bytes);
        if (frame->body_case == IXN__V1__PEER_FRAME__BODY_HELLO)
            said = frame->hello->said;
        ixn__v1__peer_frame__free_unpacked(frame, NULL);
    }
    return said;
}

/* A hello to `node` of the other one, in answer to this one's `heard`: it takes one server for the
 * pair's own, and asks for another one; 0: it does not. */
static void s_hello(int node, usec_t server, usec_t wanted, uint64_t heard)
{
    Ixn__V1__PeerFrame frame = IXN__V1__PEER_FRAME__INIT;
    Ixn__V1__PeerHello hello = IXN__V1__PEER_HELLO__INIT;
    const identity_memory_t *memory = pair_world_memory(w, node);
    hello.name = node == B ? "A" : "B";
    hello.role = wanted ? IXN__V1__PEER_ROLE__PEER_SYNCING : IXN__V1__PEER_ROLE__PEER_PRIMARY;
    hello.system_identifier = memory->identity.system_identifier;
    hello.database_oid = memory->identity.database_oid;
    hello.server_started_us = server;
    hello.wanted_started_us = wanted;
    hello.exact = true;
    hello.server_port = hello.wanted_port = memory->instance.port;
    hello.said = UINT64_MAX; /* the newest */
    hello.heard = heard;
    frame.body_case = IXN__V1__PEER_FRAME__BODY_HELLO;
    frame.hello = &hello;
    pair_world_frame(w, node, &frame, true);
    pair_world_pass(w, 2 * PAIR_WORLD_STEP_MS);
}

/* Seed 5007057 of the simulator: the primary had gone to another server and not written there yet;
 * its backup was led back to the one before, and took over there. */
Test(server, where_the_primary_has_gone_elsewhere_the_one_before_is_believed_no_longer)
{
    pair_world_pass(w, 1000);
    const instance_t before = s_proven(B);
    s_hello(B, before.started_at + 100, 0, 0);
    cr_assert(!s_moved(B, &before), "an old word");
    s_hello(B, before.started_at, 0, s_said(B));
    cr_assert(!s_moved(B, &before), "the same");
    s_hello(B, before.started_at + 100, 0, s_said(B));
    cr_assert(!instance_is_known(&pair_world_memory(w, B)->instance));
    cr_assert_eq(pair_role(pair_world_pair(w, B)), ROLE_SYNCING, "it is not ready");
    pair_world_pass(w, 1000);
    cr_assert(!s_moved(B, &before), "commits of the primary were seen there after all");
    cr_assert_eq(pair_role(pair_world_pair(w, B)), ROLE_READY);
}

/* Nothing tells a copy from the original where nobody remembers; so it says what it takes. */
Test(cold, without_a_memory_and_the_other_node_it_says_what_it_takes)
{
    pair_world_usurp(w);
    pair_world_append(w);
    pair_world_start(w, A, NULL);
    cr_assert(pair_world_until(w, A, ROLE_TAKING_OVER, 2400) < 0, "somebody may serve there");
    cr_assert(pair_world_until(w, A, ROLE_ALONE, 5000) >= 0);
    cr_assert(strstr(pair_world_told(w), "A: assumes\n"), "%s", pair_world_told(w));
    pair_world_kill(w, A);
    pair_world_forget(w);
    pair_world_start(w, A, NULL);
    cr_assert(pair_world_until(w, A, ROLE_ALONE, 5000) >= 0);
    cr_assert_null(strstr(pair_world_told(w), "assumes"), "now it remembers");
}

/* Nobody else can have committed anything under its epoch. Before, it waited for ever: seeds 111594
 * and 2923. */
Test(cold, who_has_claimed_follows_it_before_anything_is_loaded)
{
    pair_world_start(w, B, NULL);
    pair_world_start(w, A, NULL);
    while (pair_world_epoch(w) == 0)
        pair_world_pass(w, PAIR_WORLD_STEP_MS);
    pair_world_serve_from(w, true);
    cr_assert(pair_world_until(w, A, ROLE_PAIRED, 5000) >= 0, "%s", pair_world_told(w));
    cr_assert(pair_world_until(w, B, ROLE_READY, 5000) >= 0, "%s", pair_world_told(w));
}

/* ---- The other node gives its own up first ---- */

/* B serves, and is led to a clone that has everything, A to another pair's database: nobody reaches
 * the own one. (In a step of this world A hears nothing of what B does in it.) */
static void s_lead_away(void)
{
    pair_world_command(w, A, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER, false);
    cr_assert(pair_world_until(w, B, ROLE_PAIRED, 3000) >= 0, "%s", pair_world_told(w));
    pair_world_pass(w, 1000);
    pair_world_forget(w);
    pair_world_clone(w, CLONE);
    pair_world_reach_all(w, B, CLONE);
    pair_world_reach_all(w, A, OTHER);
}

static bool s_knows_one(int node)
{
    return instance_is_known(&pair_world_memory(w, node)->instance);
}

/* Steps until the node gives its own up. */
static int s_until_given_up(int node)
{
    int steps = 0;
    for (; s_knows_one(node); steps++) {
        cr_assert_lt(steps, 2000, "%s", pair_world_told(w));
        pair_world_pass(w, PAIR_WORLD_STEP_MS);
    }
    return steps;
}

/* In between A could be led back, and take over where nothing fences what B writes. */
Test(server, elsewhere_no_sooner_than_the_other_node_has_given_its_own_up)
{
    s_lead_away();
    const instance_t before = s_proven(B);
    for (int i = 0; i < 2000 && !s_moved(B, &before); i++) {
        pair_world_pass(w, PAIR_WORLD_STEP_MS);
        cr_assert(!s_moved(B, &before) || !s_knows_one(A), "they believe in two servers");
    }
    cr_assert(s_moved(B, &before), "%s", pair_world_told(w));
    size_t claims = pair_world_claims(w, A);
    pair_world_reach_all(w, A, OURS);
    pair_world_cut(w, true);
    pair_world_pass(w, 10000);
    cr_assert_eq(pair_world_claims(w, A), claims);
    pair_world_reach_all(w, A, CLONE);
    pair_world_cut(w, false);
    pair_world_pass(w, 3000);
    cr_assert_eq(pair_role(pair_world_pair(w, B)), ROLE_PAIRED, "%s", pair_world_told(w));
    cr_assert_eq(pair_role(pair_world_pair(w, A)), ROLE_READY, "%s", pair_world_told(w));
}

Test(server, not_elsewhere_while_the_other_node_does_not_hear_of_it)
{
    s_lead_away();
    int steps = s_until_given_up(A);
    world_close();
    world_settled();
    s_lead_away();
    const instance_t before = s_proven(B);
    pair_world_pass(w, (uint32_t)(steps - 4) * PAIR_WORLD_STEP_MS);
    pair_world_deafen(w, A, true);
    pair_world_pass(w, 10000);
    cr_assert(!s_moved(B, &before));
    cr_assert(s_knows_one(A));
    pair_world_reach_all(w, A, OURS);
    cr_assert(pair_world_until(w, A, ROLE_ALONE, 10000) >= 0, "it takes over where it was: %s",
              pair_world_told(w));
}

/* The DAPs are corrected in the meantime. */
Test(server, what_was_given_up_is_taken_again_when_the_other_node_stays)
{
    s_lead_away();
    int steps = s_until_given_up(A);
    world_close();
    world_settled();
    s_lead_away();
    const instance_t before = s_proven(B);
    uint64_t epoch = pair_world_epoch(w);
    pair_world_pass(w, (uint32_t)(steps - 1) * PAIR_WORLD_STEP_MS);
    pair_world_deafen(w, B, true);
    pair_world_pass(w, PAIR_WORLD_STEP_MS);
    cr_assert(!s_knows_one(A) && !s_moved(B, &before));
    pair_world_reach_all(w, A, OURS);
    pair_world_reach_all(w, B, OURS);
    pair_world_pass(w, 300);
    pair_world_deafen(w, B, false);
    pair_world_pass(w, 3000);
    cr_assert_eq(pair_role(pair_world_pair(w, B)), ROLE_PAIRED, "%s", pair_world_told(w));
    cr_assert_eq(pair_role(pair_world_pair(w, A)), ROLE_READY, "%s", pair_world_told(w));
    cr_assert_eq(pair_world_epoch(w), epoch, "nobody took over");
    cr_assert(!s_moved(B, &before));
}

/* What was committed under way may land there late, in its next life, too. */
Test(server, what_was_given_up_is_remembered_over_a_restart)
{
    s_lead_away();
    const instance_t before = s_proven(B);
    int steps = s_until_given_up(A);
    world_close();
    world_settled();
    s_lead_away();
    pair_world_pass(w, (uint32_t)(steps - 1) * PAIR_WORLD_STEP_MS);
    pair_world_deafen(w, B, true);
    pair_world_pass(w, PAIR_WORLD_STEP_MS);
    cr_assert(!s_knows_one(A));
    pair_world_kill(w, B);
    pair_world_kill(w, A);
    cr_assert(instance_equal(&pair_world_memory(w, A)->given_up, &before));
    pair_world_reach_all(w, A, OURS);
    pair_world_start(w, A, NULL);
    for (int i = 0; i < 20; i++) {
        pair_world_pass(w, 500);
        pair_world_append(w);
    }
    cr_assert(!s_knows_one(A), "a late commit");
    cr_assert_eq(pair_world_claims(w, A), 0, "%s", pair_world_told(w));
    pair_world_reach_all(w, B, OURS);
    pair_world_deafen(w, B, false);
    pair_world_start(w, B, NULL);
    cr_assert(pair_world_until(w, B, ROLE_PAIRED, 10000) >= 0, "%s", pair_world_told(w));
    cr_assert(pair_world_until(w, A, ROLE_READY, 10000) >= 0, "%s", pair_world_told(w));
    cr_assert(!instance_is_known(&pair_world_memory(w, A)->given_up));
}

/* ---- A server that is started again ---- */

/* An address does not show that it is the same one: the other node may be led to the one before. */
Test(server, started_again_the_other_node_gives_the_run_before_up_first)
{
    const instance_t before = s_proven(A);
    pair_world_serve_from(w, false);
    for (int i = 0; i < 2000 && !s_moved(A, &before); i++) {
        pair_world_pass(w, PAIR_WORLD_STEP_MS);
        cr_assert(!s_moved(A, &before) || !s_knows_one(B), "they believe in two runs");
    }
    cr_assert(s_moved(A, &before), "%s", pair_world_told(w));
    cr_assert(pair_world_until(w, B, ROLE_READY, 3000) >= 0, "%s", pair_world_told(w));
    cr_assert(pair_world_until(w, A, ROLE_PAIRED, 3000) >= 0, "%s", pair_world_told(w));
}

Test(server, started_again_after_the_other_node_died_it_is_followed)
{
    const instance_t before = s_proven(A);
    pair_world_kill(w, B);
    pair_world_pass(w, PAIR_WORLD_TIMEOUT_MS + 100);
    pair_world_serve_from(w, false);
    pair_world_pass(w, 5000);
    cr_assert(s_moved(A, &before), "%s", pair_world_told(w));
    pair_world_kill(w, A);
    pair_world_serve_from(w, false);
    pair_world_start(w, A, NULL);
    cr_assert(pair_world_until(w, A, ROLE_ALONE, 8000) >= 0, "in the next life, too: %s",
              pair_world_told(w));
}

/* A asks, B gives way, and A dies before it has gone anywhere. */
Test(server, started_again_the_backup_serves_when_the_primary_dies_meanwhile)
{
    pair_world_serve_from(w, false);
    s_until_given_up(B);
    pair_world_kill(w, A);
    cr_assert(pair_world_until(w, B, ROLE_ALONE, 10000) >= 0, "%s", pair_world_told(w));
    world_close();
    world_settled();
    pair_world_serve_from(w, false);
    s_until_given_up(B);
    pair_world_kill(w, A);
    pair_world_kill(w, B);
    pair_world_start(w, B, NULL);
    cr_assert(pair_world_until(w, B, ROLE_ALONE, 10000) >= 0, "in its next life: %s",
              pair_world_told(w));
}

/* Both are stopped, and find the clone where their database was. */
static void s_start_elsewhere(void)
{
    for (int node = B; node >= A; node--) {
        pair_stop(pair_world_pair(w, node));
        pair_world_pass(w, 4000);
        cr_assert_null(pair_world_pair(w, node));
    }
    pair_world_clone(w, CLONE);
    for (int node = A; node <= B; node++) {
        pair_world_reach_all(w, node, CLONE);
        pair_world_start(w, node, NULL);
    }
}

/* Two that do not serve could ask each other at the same time, and know nothing afterwards. */
Test(server, of_two_that_ask_each_other_one_goes_first)
{
    const instance_t before = s_proven(A);
    s_start_elsewhere();
    int steps = s_until_given_up(B);
    cr_assert(pair_world_until(w, A, ROLE_PAIRED, 8000) >= 0, "%s", pair_world_told(w));
    cr_assert(pair_world_until(w, B, ROLE_READY, 8000) >= 0, "%s", pair_world_told(w));
    cr_assert(s_moved(A, &before) && s_moved(B, &before));
    world_close();
    world_settled();
    s_start_elsewhere();
    pair_world_pass(w, (uint32_t)(steps - 1) * PAIR_WORLD_STEP_MS);
    uint64_t said = s_said(A);
    pair_world_deafen(w, B, true);
    pair_world_pass(w, PAIR_WORLD_STEP_MS); /* now A asks */
    s_hello(A, before.started_at, before.started_at + 50, said);
    cr_assert(s_knows_one(A), "it goes first");
    s_hello(B, before.started_at, before.started_at + 50, s_said(B));
    cr_assert(!s_knows_one(B), "it gives way");
}

/* The log had told for good what was in the way at first. */
Test(server, the_log_tells_what_is_still_in_the_way)
{
    pair_world_clone(w, CLONE);
    pair_world_reach_all(w, A, CLONE);
    pair_world_reach_all(w, B, NOTHING);
    pair_world_pass(w, 2000);
    cr_assert(strstr(pair_world_proving(w, A), "the other node reaches another server"), "%s",
              pair_world_proving(w, A));
    pair_world_pass(w, 7000);
    cr_assert(strstr(pair_world_proving(w, A), "does not show where it leads"), "%s",
              pair_world_proving(w, A));
}
