/* Pair: stories of one or two nodes, each with what they did, in order. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/limits.h"
#include "tests/unit/pair_fixture.h"

#define TOLD(text) cr_assert_str_eq(pair_world_told(w), text)

static role_t s_role(int node)
{
    return pair_role(pair_world_pair(w, node));
}

TestSuite(start, .init = world_open, .fini = world_close, .timeout = 300);
TestSuite(pair, .init = world_settled, .fini = world_close, .timeout = 300);

/* ---- Start ---- */

Test(start, one_alone_serves_at_once)
{
    pair_world_start(w, A, &(pair_world_start_t){.alone = true});
    pair_world_pass(w, 50);
    TOLD(
        "A: starting > taking-over\n"
        "A: claims\n"
        "A: taking-over > primary-alone\n"
        "A: opens\n"
        "A: tells: it serves\n");
    cr_assert(pair_world_head(w) > 0);
}

Test(start, of_two_the_preferred_serves_and_the_other_follows)
{
    pair_world_start(w, B, NULL);
    pair_world_start(w, A, NULL);
    pair_world_pass(w, 1000);
    TOLD(
        "A: starting > taking-over\n"
        "A: claims\n"
        "B: starting > backup-syncing\n"
        "A: taking-over > primary-alone\n"
        "A: opens\n"
        "A: tells: it serves\n"
        "A: primary-alone > primary-paired\n"
        "B: backup-syncing > backup-ready\n");
}

Test(start, a_restart_claims_its_own_epoch_at_once)
{
    cr_assert(pair_world_settle(w));
    pair_world_kill(w, B);
    pair_world_kill(w, A);
    pair_world_start(w, A, NULL);
    pair_world_pass(w, 50);
    TOLD(
        "A: starting > taking-over\n"
        "A: claims\n"
        "A: taking-over > primary-alone\n"
        "A: opens\n"
        "A: tells: it serves\n");
}

/* The database is looked at well, and refuses what comes then: a right is missing, for example. */
Test(start, what_is_refused_is_tried_again_after_a_rest)
{
    cr_assert(pair_world_settle(w));
    pair_world_kill(w, B);
    pair_world_kill(w, A);
    pair_world_refuse(w, A, true);
    pair_world_start(w, A, NULL);
    pair_world_pass(w, 4000);
    size_t claims = pair_world_claims(w, A);
    cr_assert(claims >= 5 && claims <= 12, "%zu claims", claims);
    pair_world_refuse(w, A, false);
    cr_assert(pair_world_until(w, A, ROLE_ALONE, 2000) >= 0);
    pair_world_refuse(w, B, true);
    pair_world_start(w, B, NULL);
    pair_world_pass(w, 4000);
    size_t loads = pair_world_loads(w, B);
    cr_assert(loads >= 5 && loads <= 12, "%zu loads", loads);
    pair_world_refuse(w, B, false);
    cr_assert(pair_world_until(w, B, ROLE_READY, 2000) >= 0);
}

Test(start, the_epoch_of_another_is_claimed_after_the_head_stood_still)
{
    pair_world_usurp(w);
    pair_world_start(w, A, &(pair_world_start_t){.alone = true});
    int waited = pair_world_until(w, A, ROLE_ALONE, 5000);
    cr_assert(waited >= 2500 && waited <= 2700, "%d", waited);
}

Test(start, alone_where_another_serves_it_ends_and_says_so)
{
    pair_world_usurp(w);
    pair_world_start(w, A, &(pair_world_start_t){.alone = true});
    for (int i = 0; i < 50 && pair_world_pair(w, A); i++) {
        pair_world_append(w);
        pair_world_pass(w, 50);
    }
    TOLD(
        "A: starting > stopped\n"
        "A: ends\n");
    cr_assert(strstr(pair_world_error(w, A)->text, "node \"C\" serves this database"), "%s",
              pair_world_error(w, A)->text);
}

Test(start, two_access_points_that_disagree_are_no_first_start)
{
    pair_world_reach(w, A, 1, OTHER);
    pair_world_start(w, A, NULL);
    pair_world_pass(w, 20000);
    TOLD("");
    cr_assert_eq(pair_world_claims(w, A), 0);
    cr_assert_eq(pair_world_epoch(w), 0);
}

Test(start, who_does_not_reach_the_database_follows_whom_it_hears)
{
    pair_world_start(w, A, NULL);
    cr_assert(pair_world_until(w, A, ROLE_ALONE, 100) >= 0);
    pair_world_reach_all(w, B, NOTHING);
    pair_world_start(w, B, NULL);
    cr_assert(pair_world_until(w, B, ROLE_SYNCING, 300) >= 0);
    cr_assert_str_eq(pair_world_get(w, B), "not primary: tcp://a:7420");
    pair_world_reach_all(w, B, OURS);
    cr_assert(pair_world_until(w, B, ROLE_READY, 3000) >= 0);
}

/* ---- The database has moved ---- */

Test(pair, that_starts_goes_where_its_database_was_moved)
{
    pair_world_kill(w, B);
    pair_world_kill(w, A);
    pair_world_move(w, COPY_NONE);
    pair_world_move(w, COPY_NONE); /* and again, before anybody has followed */
    uint64_t epoch = pair_world_epoch(w);
    pair_world_start(w, B, NULL);
    cr_assert(pair_world_until(w, B, ROLE_ALONE, 5000) >= 0, "%s", pair_world_told(w));
    cr_assert_eq(pair_world_epoch(w), epoch + 1);
    pair_world_start(w, A, NULL);
    cr_assert(pair_world_until(w, A, ROLE_READY, 5000) >= 0, "%s", pair_world_told(w));
    cr_assert(
        identity_equal(&pair_world_memory(w, A)->identity, &pair_world_memory(w, B)->identity));
    cr_assert_eq(pair_world_memory(w, A)->epoch, epoch + 1);
}

static void s_refuse_copy(pair_world_copy_t copied)
{
    identity_memory_t memory = *pair_world_memory(w, A);
    pair_world_kill(w, B);
    pair_world_kill(w, A);
    pair_world_move(w, copied);
    uint64_t epoch = pair_world_epoch(w);
    pair_world_start(w, A, NULL);
    pair_world_start(w, B, NULL);
    pair_world_pass(w, 10000);
    cr_assert(s_role(A) == ROLE_STARTING && s_role(B) == ROLE_STARTING, "%s", pair_world_told(w));
    cr_assert_eq(pair_world_epoch(w), epoch);
    cr_assert(identity_equal(&pair_world_memory(w, A)->identity, &memory.identity));
}

Test(pair, that_starts_refuses_a_copy_of_the_moved_database)
{
    s_refuse_copy(COPY_ELSEWHERE);
}

Test(pair, that_starts_refuses_a_clone_of_the_moved_database)
{
    s_refuse_copy(COPY_CLONE);
}

/* The other node has served there since, and is heard or is not. */
Test(pair, that_starts_late_follows_who_is_there)
{
    pair_world_kill(w, B);
    pair_world_kill(w, A);
    pair_world_move(w, COPY_NONE);
    pair_world_start(w, A, NULL);
    cr_assert(pair_world_until(w, A, ROLE_ALONE, 5000) >= 0);
    pair_world_kill(w, A);
    pair_world_start(w, B, NULL);
    pair_world_pass(w, 10000);
    cr_assert_eq(s_role(B), ROLE_STARTING);
    pair_world_start(w, A, NULL);
    cr_assert(pair_world_until(w, B, ROLE_READY, 5000) >= 0, "%s", pair_world_told(w));
}

Test(pair, that_works_goes_nowhere)
{
    identity_memory_t memory = *pair_world_memory(w, A);
    pair_world_move(w, COPY_NONE);
    uint64_t epoch = pair_world_epoch(w);
    pair_world_pass(w, 20000);
    cr_assert_eq(pair_world_epoch(w), epoch);
    cr_assert(identity_equal(&pair_world_memory(w, A)->identity, &memory.identity));
    cr_assert(identity_equal(&pair_world_memory(w, B)->identity, &memory.identity));
    cr_assert(s_role(A) != ROLE_PAIRED && s_role(A) != ROLE_ALONE, "%s", pair_world_told(w));
}

/* ---- The primary is gone, or not ---- */

static const char s_took_over[] =
    "B: backup-ready > taking-over\n"
    "B: claims\n"
    "B: taking-over > primary-alone\n"
    "B: opens\n"
    "B: tells: it serves\n";

Test(pair, the_process_is_gone)
{
    pair_world_kill(w, A);
    int waited = pair_world_until(w, B, ROLE_ALONE, 1000);
    cr_assert(waited >= 60 && waited <= 120, "%d", waited);
    TOLD(s_took_over);
    cr_assert_eq(pair_world_epoch(w), 2);
}

Test(pair, a_port_that_refuses_while_the_head_moves_is_no_reason)
{
    pair_world_kill(w, A);
    for (int i = 0; i < 100; i++) {
        pair_world_append(w);
        pair_world_pass(w, 50);
    }
    TOLD("");
    cr_assert_eq(s_role(B), ROLE_READY);
    int waited = pair_world_until(w, B, ROLE_ALONE, 1000);
    cr_assert(waited >= 50 && waited <= 200, "half as long again as the head stood still: %d",
              waited);
}

/* A database whose commits take longer than the sixty milliseconds is no primary that is gone. */
Test(pair, a_port_that_refuses_while_commits_are_slow_is_no_reason)
{
    pair_world_kill(w, A);
    for (uint32_t between = 50; between <= 300; between += 10) {
        pair_world_append(w);
        pair_world_pass(w, between);
    }
    TOLD("");
    int waited = pair_world_until(w, B, ROLE_ALONE, 2000);
    cr_assert(waited >= 100 && waited <= PAIR_WORLD_TIMEOUT_MS, "%d", waited);
}

Test(pair, a_link_that_drops_everything_is_no_reason)
{
    pair_world_silence(w, true);
    pair_world_pass(w, 5000);
    TOLD("A: primary-paired > primary-alone\n");
    cr_assert_eq(s_role(B), ROLE_READY);
    pair_world_silence(w, false);
    pair_world_pass(w, 500);
    TOLD(
        "A: primary-paired > primary-alone\n"
        "A: primary-alone > primary-paired\n");
}

Test(pair, a_link_that_is_cut_is_no_reason)
{
    pair_world_cut(w, true);
    pair_world_pass(w, 5000);
    TOLD("A: primary-paired > primary-alone\n");
    cr_assert_eq(s_role(B), ROLE_READY);
}

Test(pair, the_host_is_frozen)
{
    pair_world_freeze(w, A, true);
    int waited = pair_world_until(w, B, ROLE_ALONE, 3000);
    cr_assert(waited >= PAIR_WORLD_TIMEOUT_MS && waited <= 1300, "%d", waited);
    TOLD(s_took_over);
    pair_world_forget(w);
    pair_world_freeze(w, A, false);
    pair_world_pass(w, 1500);
    TOLD(
        "A: primary-paired > fenced\n"
        "A: closes\n"
        "A: saves a tail\n"
        "A: tells: not primary, tcp://b:7420\n"
        "A: fenced > backup-syncing\n"
        "B: primary-alone > primary-paired\n"
        "A: backup-syncing > backup-ready\n");
}

Test(pair, frozen_in_turn_each_time_the_other_takes_over_at_once)
{
    for (int i = 0; i < 8; i++) {
        int frozen = i % 2 ? B : A, other = i % 2 ? A : B;
        pair_world_freeze(w, frozen, true);
        int waited = pair_world_until(w, other, ROLE_ALONE, 3000);
        cr_assert(waited >= PAIR_WORLD_TIMEOUT_MS && waited <= 1300, "%d: %d", i, waited);
        pair_world_freeze(w, frozen, false);
        cr_assert(pair_world_until(w, frozen, ROLE_READY, 1500) >= 0);
        cr_assert(pair_world_until(w, other, ROLE_PAIRED, 1500) >= 0);
        pair_world_pass(w, 200); /* the hello of a ready backup comes */
    }
}

Test(pair, nodes_that_take_the_role_from_each_other_without_a_backup_calm_down)
{
    pair_world_silence(w, true);
    for (int i = 0; i < 20; i++) {
        int serves = s_role(A) == ROLE_PAIRED || s_role(A) == ROLE_ALONE ? A : B;
        pair_world_freeze(w, serves, true);
        pair_world_until(w, serves == A ? B : A, ROLE_ALONE, 1300);
        pair_world_freeze(w, serves, false);
        pair_world_pass(w, 300);
    }
    uint64_t epochs = pair_world_epoch(w) - 1;
    cr_assert(epochs >= 3 && epochs <= 10, "%d", (int)epochs);
}

Test(pair, a_stand_still_of_its_own_restarts_the_timers)
{
    pair_world_freeze(w, A, true);
    pair_world_pass(w, 900);
    pair_world_freeze(w, B, true);
    pair_world_pass(w, 3000);
    pair_world_freeze(w, B, false);
    int waited = pair_world_until(w, B, ROLE_TAKING_OVER, 3000);
    cr_assert(waited >= PAIR_WORLD_TIMEOUT_MS, "%d", waited);
}

Test(pair, paused_it_stays_where_it_is)
{
    pair_world_command(w, B, IXN__V1__PAIR_COMMAND__KIND__PAUSE, false);
    pair_world_kill(w, A);
    pair_world_pass(w, 5000);
    TOLD("");
    pair_world_command(w, B, IXN__V1__PAIR_COMMAND__KIND__RESUME, false);
    cr_assert(pair_world_until(w, B, ROLE_ALONE, 200) >= 0);
}

Test(pair, without_the_database_it_is_not_ready_and_stays_where_it_is)
{
    pair_world_reach_all(w, B, NOTHING);
    cr_assert(pair_world_until(w, B, ROLE_SYNCING, 3000) >= 0);
    pair_world_kill(w, A);
    pair_world_pass(w, 5000);
    TOLD("B: backup-ready > backup-syncing\n");
    pair_world_reach_all(w, B, OTHER);
    pair_world_pass(w, 5000);
    TOLD("B: backup-ready > backup-syncing\n");
}

Test(pair, a_primary_that_came_back_without_the_database_is_replaced)
{
    pair_world_kill(w, A);
    pair_world_reach_all(w, A, NOTHING);
    pair_world_start(w, A, NULL);
    cr_assert(pair_world_until(w, B, ROLE_PAIRED, 3000) >= 0, "%s", pair_world_told(w));
}

/* ---- Claims ---- */

Test(pair, a_claim_that_is_lost_is_judged_again)
{
    pair_world_hold_claims(w, B, true);
    pair_world_kill(w, A);
    cr_assert(pair_world_until(w, B, ROLE_TAKING_OVER, 1000) >= 0);
    pair_world_pass(w, 20);
    pair_world_append(w); /* a batch of the primary landed meanwhile */
    pair_world_hold_claims(w, B, false);
    cr_assert(pair_world_until(w, B, ROLE_ALONE, 1000) >= 0);
    TOLD(
        "B: backup-ready > taking-over\n"
        "B: claims\n"
        "B: taking-over > starting\n"
        "B: starting > backup-syncing\n"
        "B: backup-syncing > backup-ready\n"
        "B: backup-ready > taking-over\n"
        "B: claims\n"
        "B: taking-over > primary-alone\n"
        "B: opens\n"
        "B: tells: it serves\n");
}

Test(pair, the_head_after_a_claim_is_reached_through_the_journal_first)
{
    pair_world_silence(w, true);
    pair_world_cut(w, true);
    pair_world_pass(w, 1500);
    pair_world_kill(w, A);
    pair_world_append(w);
    pair_world_append(w);
    uint64_t head = pair_world_head(w);
    pair_world_forget(w);
    pair_world_command(w, B, IXN__V1__PAIR_COMMAND__KIND__FAILOVER, false);
    cr_assert(pair_world_until(w, B, ROLE_ALONE, 1000) >= 0);
    pair_world_pass(w, 10);
    TOLD(s_took_over);
    cr_assert(pair_world_head(w) > head);
}

Test(pair, an_epoch_that_was_heard_meanwhile_is_not_forgotten_for_a_claim)
{
    pair_world_hold_claims(w, B, true);
    pair_world_kill(w, A);
    cr_assert(pair_world_until(w, B, ROLE_TAKING_OVER, 1000) >= 0);
    pair_world_pass(w, 10);
    /* The claim is through, but before its answer comes there is word of a later one. */
    Ixn__V1__PeerHello hello = IXN__V1__PEER_HELLO__INIT;
    Ixn__V1__PeerFrame frame = IXN__V1__PEER_FRAME__INIT;
    const identity_memory_t *memory = pair_world_memory(w, B);
    id128_t generation = id_hash("later", 5);
    hello.name = "A";
    hello.role = IXN__V1__PEER_ROLE__PEER_PRIMARY;
    hello.system_identifier = memory->identity.system_identifier;
    hello.database_oid = memory->identity.database_oid;
    frame.body_case = IXN__V1__PEER_FRAME__BODY_HELLO;
    frame.hello = &hello;
    frame.epoch = 9;
    frame.generation = wire_bytes(&generation);
    frame.database_id = wire_bytes(&memory->identity.database_id);
    pair_world_frame(w, B, &frame, false);
    cr_assert_eq(pair_epoch(pair_world_pair(w, B)), 9);
    pair_world_hold_claims(w, B, false);
    pair_world_pass(w, 20);
    cr_assert_geq(pair_epoch(pair_world_pair(w, B)), 9);
    cr_assert_geq(memory->epoch, 9);
}

/* ---- Handing over ---- */

Test(pair, a_switchover)
{
    pair_world_command(w, A, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER, false);
    cr_assert(pair_world_until(w, B, ROLE_PAIRED, 3000) >= 0);
    cr_assert(pair_world_until(w, A, ROLE_READY, 3000) >= 0);
    TOLD(
        "A: primary-paired > handing-over\n"
        "A: HandOver\n"
        "B: backup-ready > taking-over\n"
        "B: claims\n"
        "B: taking-over > primary-alone\n"
        "B: opens\n"
        "B: tells: it serves\n"
        "A: handing-over > starting\n"
        "A: closes\n"
        "A: tells: not primary, tcp://b:7420\n"
        "A: starting > backup-syncing\n"
        "B: primary-alone > primary-paired\n"
        "A: backup-syncing > backup-ready\n");
}

Test(pair, there_and_back_at_once)
{
    pair_world_command(w, A, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER, false);
    cr_assert(pair_world_until(w, A, ROLE_READY, 3000) >= 0);
    cr_assert(pair_world_until(w, B, ROLE_PAIRED, 3000) >= 0);
    for (int i = 0; i < 100 && s_role(B) != ROLE_HANDING_OVER; i++) {
        pair_world_command(w, B, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER, false);
        pair_world_pass(w, 10);
    }
    cr_assert(pair_world_until(w, A, ROLE_ALONE, 300) >= 0, "%s", pair_world_told(w));
}

Test(pair, it_serves_on_when_nobody_claims)
{
    pair_world_hold_claims(w, B, true);
    pair_world_command(w, A, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER, false);
    pair_world_pass(w, 100);
    cr_assert_eq(s_role(A), ROLE_HANDING_OVER);
    uint64_t head = pair_world_head(w);
    int waited = pair_world_until(w, A, ROLE_PAIRED, 5000);
    cr_assert(waited >= 2800 && waited <= 3100, "%d", waited);
    pair_world_pass(w, 100);
    cr_assert(pair_world_head(w) > head);
    /* The claim that comes through now finds a head that has moved. */
    pair_world_hold_claims(w, B, false);
    pair_world_pass(w, 2000);
    cr_assert_eq(s_role(A), ROLE_PAIRED);
    cr_assert_eq(s_role(B), ROLE_READY);
    cr_assert_eq(pair_world_epoch(w), 1);
}

Test(pair, a_hand_over_that_comes_late_moves_nothing)
{
    pair_world_hold_claims(w, B, true);
    pair_world_command(w, A, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER, false);
    cr_assert(pair_world_until(w, B, ROLE_TAKING_OVER, 500) >= 0);
    cr_assert(pair_world_until(w, A, ROLE_PAIRED, 5000) >= 0);
    pair_world_pass(w, 100); /* the head moves again */
    pair_world_hold_claims(w, B, false);
    pair_world_pass(w, 2000);
    pair_world_again(w, B);
    pair_world_pass(w, 2000);
    cr_assert(s_role(A) == ROLE_PAIRED, "%s", pair_world_told(w));
    cr_assert_eq(pair_world_epoch(w), 1);
}

Test(pair, asked_to_end_it_hands_over_first)
{
    pair_stop(pair_world_pair(w, A));
    cr_assert(pair_world_until(w, B, ROLE_ALONE, 1000) >= 0);
    pair_world_pass(w, 500);
    TOLD(
        "A: primary-paired > handing-over\n"
        "A: HandOver\n"
        "B: backup-ready > taking-over\n"
        "B: claims\n"
        "B: taking-over > primary-alone\n"
        "B: opens\n"
        "B: tells: it serves\n"
        "A: handing-over > starting\n"
        "A: closes\n"
        "A: tells: not primary, tcp://b:7420\n"
        "A: starting > stopped\n"
        "A: ends\n");
    cr_assert_eq(pair_world_error(w, A)->code, ERROR_OK);
}

Test(pair, asked_to_end_in_any_other_role_it_ends_at_once)
{
    pair_stop(pair_world_pair(w, B));
    pair_world_pass(w, 10);
    TOLD(
        "B: backup-ready > stopped\n"
        "B: ends\n"
        "A: primary-paired > primary-alone\n");
    pair_world_pass(w, 50);
    pair_world_forget(w);
    pair_stop(pair_world_pair(w, A)); /* alone: it waits for its commits only */
    pair_world_pass(w, 3000);
    cr_assert(!pair_world_pair(w, A));
    pair_world_reach_all(w, A, NOTHING);
    pair_world_forget(w);
    pair_world_start(w, A, NULL);
    pair_world_pass(w, 10);
    pair_stop(pair_world_pair(w, A));
    pair_world_pass(w, 10);
    TOLD(
        "A: starting > stopped\n"
        "A: ends\n");
}

Test(pair, asked_to_end_while_it_claims)
{
    pair_world_hold_claims(w, B, true);
    pair_world_kill(w, A);
    cr_assert(pair_world_until(w, B, ROLE_TAKING_OVER, 1000) >= 0);
    pair_world_pass(w, 10);
    pair_stop(pair_world_pair(w, B));
    pair_world_pass(w, 10);
    TOLD(
        "B: backup-ready > taking-over\n"
        "B: claims\n"
        "B: taking-over > stopped\n"
        "B: ends\n");
}

Test(pair, a_primary_that_lost_the_database_hands_over)
{
    pair_world_reach_all(w, A, NOTHING);
    cr_assert(pair_world_until(w, B, ROLE_ALONE, 5000) >= 0, "%s", pair_world_told(w));
    pair_world_pass(w, 50);
    cr_assert(strstr(pair_world_told(w), "A: HandOver, abandoned\n"));
    cr_assert(strstr(pair_world_told(w), "A: saves a tail\n"));
    cr_assert_eq(pair_world_epoch(w), 2);
}

/* ---- Fenced ---- */

Test(pair, a_lane_that_finds_another_epoch)
{
    pair_world_usurp(w);
    pair_world_pass(w, 100);
    TOLD(
        "A: primary-paired > fenced\n"
        "A: closes\n"
        "A: saves a tail\n"
        "A: tells: not primary, tcp://b:7420\n");
    cr_assert(pair_world_saved(w, A) > pair_world_head(w));
}

Test(pair, tables_that_are_behind_are_begun_anew_from)
{
    error_t error;
    error_set(&error, ERROR_DATABASE_DIVERGED, "the checkpoint is at index 30, the image at 50");
    pair_tables_behind(pair_world_pair(w, A), &error);
    pair_world_pass(w, 3000);
    cr_assert(strstr(pair_world_told(w), "A: primary-paired > fenced\nA: closes\n"), "%s",
              pair_world_told(w));
    cr_assert(s_role(A) != ROLE_STOPPED && s_role(B) != ROLE_STOPPED);
    cr_assert(pair_world_epoch(w) > 1, "somebody serves again, from what is there");
}

Test(pair, a_hello_of_a_higher_epoch_fences_at_once)
{
    pair_world_hold_commits(w, A, true);
    pair_world_pass(w, 100);
    pair_world_usurp(w);
    Ixn__V1__PeerHello hello = IXN__V1__PEER_HELLO__INIT;
    Ixn__V1__PeerFrame frame = IXN__V1__PEER_FRAME__INIT;
    const identity_memory_t *memory = pair_world_memory(w, A);
    hello.name = "B";
    hello.system_identifier = memory->identity.system_identifier;
    hello.database_oid = memory->identity.database_oid;
    frame.body_case = IXN__V1__PEER_FRAME__BODY_HELLO;
    frame.hello = &hello;
    pair_world_frame(w, A, &frame, true);
    cr_assert_eq(s_role(A), ROLE_FENCED);
    pair_world_pass(w, 5);
    cr_assert(strncmp(pair_world_told(w),
                      "A: primary-paired > fenced\nA: closes\nA: saves a tail\n", 50) == 0,
              "%s", pair_world_told(w));
    cr_assert(pair_world_saved(w, A) > pair_world_head(w));
}

Test(pair, late_frames_of_a_lower_epoch_say_nothing)
{
    pair_world_pass(w, 500);
    pair_world_kill(w, A);
    cr_assert(pair_world_until(w, B, ROLE_ALONE, 1000) >= 0);
    pair_world_pass(w, 100);
    uint64_t head = pair_world_head(w);
    pair_world_again(w, B);
    pair_world_pass(w, 100);
    cr_assert_eq(s_role(B), ROLE_ALONE);
    cr_assert(pair_world_head(w) > head);
}

/* ---- Who is listened to ---- */

static void s_hello(int node, const char *name, id128_t database_id, uint64_t epoch)
{
    Ixn__V1__PeerHello hello = IXN__V1__PEER_HELLO__INIT;
    Ixn__V1__PeerFrame frame = IXN__V1__PEER_FRAME__INIT;
    const identity_memory_t *memory = pair_world_memory(w, A);
    id128_t generation = id_hash(&epoch, sizeof epoch);
    hello.name = (char *)name;
    hello.client_endpoint = "tcp://elsewhere:1";
    hello.role = IXN__V1__PEER_ROLE__PEER_PRIMARY;
    hello.index = 1000000;
    hello.system_identifier = memory->identity.system_identifier;
    hello.database_oid = memory->identity.database_oid;
    frame.body_case = IXN__V1__PEER_FRAME__BODY_HELLO;
    frame.hello = &hello;
    frame.epoch = epoch;
    frame.generation = wire_bytes(&generation);
    if (!id_is_zero(database_id))
        frame.database_id = wire_bytes(&database_id);
    pair_world_frame(w, node, &frame, false);
}

Test(pair, a_node_of_the_same_name_is_not_listened_to)
{
    pair_world_kill(w, B);
    s_hello(A, "A", pair_world_memory(w, A)->identity.database_id, 9);
    pair_world_pass(w, 100);
    cr_assert_eq(s_role(A), ROLE_ALONE);
    cr_assert_eq(pair_epoch(pair_world_pair(w, A)), 1);
}

Test(pair, a_node_with_another_database_is_not_listened_to)
{
    pair_world_kill(w, B);
    s_hello(A, "B", id_hash("other", 5), 9);
    pair_world_pass(w, 100);
    cr_assert_eq(s_role(A), ROLE_ALONE);
    cr_assert_eq(pair_epoch(pair_world_pair(w, A)), 1);
}

Test(pair, an_epoch_of_a_database_that_is_not_named_is_not_learned)
{
    s_hello(A, "B", (id128_t){0}, 9);
    cr_assert_eq(pair_epoch(pair_world_pair(w, A)), 1);
    cr_assert_eq(s_role(A), ROLE_PAIRED);
}

/* Learned, it would keep both nodes from ever claiming again. */
Test(pair, an_epoch_that_no_database_can_hold_is_garbage)
{
    s_hello(A, "B", pair_world_memory(w, A)->identity.database_id, UINT64_MAX);
    s_hello(A, "B", pair_world_memory(w, A)->identity.database_id, INT64_MAX);
    pair_world_pass(w, 100);
    cr_assert_eq(pair_epoch(pair_world_pair(w, A)), 1);
    cr_assert_eq(s_role(A), ROLE_PAIRED);
}

Test(pair, clients_are_not_sent_to_a_node_with_another_database)
{
    pair_world_kill(w, B);
    pair_world_pass(w, 10);
    s_hello(A, "B", id_hash("other", 5), 1);
    pair_world_forget(w);
    pair_stop(pair_world_pair(w, A));
    pair_world_pass(w, 3000);
    cr_assert(strstr(pair_world_told(w), "A: tells: not primary\n"), "%s", pair_world_told(w));
}

Test(start, the_peers_database_is_not_taken_for_ours_where_another_is_demanded)
{
    pair_world_start(w, A, NULL);
    cr_assert(pair_world_until(w, A, ROLE_ALONE, 100) >= 0);
    pair_world_reach_all(w, B, OTHER);
    pair_world_start(w, B, &(pair_world_start_t){.demands_other = true});
    pair_world_pass(w, 300);
    cr_assert_eq(pair_epoch(pair_world_pair(w, B)), 0);
    cr_assert(id_is_zero(pair_world_memory(w, B)->identity.database_id));
}

Test(pair, garbage)
{
    static const uint8_t garbage[] = {0xff, 0x00, 0x12};
    pair_peer_receive(pair_world_pair(w, A), garbage, sizeof garbage);
    pair_peer_receive(pair_world_pair(w, B), garbage, 0);
    pair_world_pass(w, 100);
    TOLD("");
}

/* ---- Clients and commands ---- */

Test(pair, what_clients_hear_by_role)
{
    cr_assert_str_eq(pair_world_ping(w, A), "serves");
    cr_assert_str_eq(pair_world_ping(w, B), "pong");
    cr_assert_str_eq(pair_world_get(w, B), "not primary: tcp://a:7420");
    pair_world_hold_claims(w, B, true);
    pair_world_kill(w, A);
    cr_assert(pair_world_until(w, B, ROLE_TAKING_OVER, 1000) >= 0);
    cr_assert_str_eq(pair_world_get(w, B), "retry");
    pair_world_start(w, A, NULL);
    cr_assert_str_eq(pair_world_get(w, A), "retry");
    cr_assert_str_eq(pair_world_ping(w, A), "pong");
}

static bool s_refused(int node, int kind, const char *why)
{
    const char *answer = pair_world_command(w, node, kind, false);
    return strncmp(answer, "error: ", 7) == 0 && strstr(answer, why);
}

Test(pair, commands_and_their_refusals)
{
    const int switchover = IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER;
    const int failover = IXN__V1__PAIR_COMMAND__KIND__FAILOVER;
    cr_assert_str_eq(pair_world_command(w, A, switchover, true), "status: primary-paired");
    cr_assert(s_refused(B, switchover, "not the primary; ask the primary, A"));
    cr_assert(s_refused(A, failover, "primary-paired already"));
    cr_assert(s_refused(B, failover, "the primary \"A\" is alive"));
    cr_assert(s_refused(A, 99, "is not known here"));
    pair_world_pass(w, 100);
    TOLD("");
    pair_world_kill(w, B);
    pair_world_pass(w, 50);
    cr_assert(s_refused(A, switchover, "no backup follows this node now"));
}

Test(pair, failover_on_demand_where_it_is_manual)
{
    pair_world_kill(w, B);
    pair_world_start(w, B, &(pair_world_start_t){.manual = true});
    cr_assert(pair_world_until(w, B, ROLE_READY, 2000) >= 0);
    pair_world_kill(w, A);
    pair_world_pass(w, 3000);
    cr_assert_eq(s_role(B), ROLE_READY);
    const int failover = IXN__V1__PAIR_COMMAND__KIND__FAILOVER;
    cr_assert_str_eq(pair_world_command(w, B, failover, true), "status: backup-ready");
    cr_assert_str_eq(pair_world_command(w, B, failover, false), "status: taking-over");
    cr_assert(pair_world_until(w, B, ROLE_ALONE, 100) >= 0);
}

/* A reason that is cut must still be text: the database refuses anything else. */
Test(pair, a_long_reason_is_cut_between_characters)
{
    char reason[256] = "";
    for (int i = 0; i < 85; i++)
        memcpy(reason + strlen(reason), "\xe2\x82\xac", 4);
    for (size_t lead = 0; lead < 3; lead++) {
        char text[260];
        snprintf(text, sizeof text, "%.*s%.*s", (int)lead, "xx", (int)(255 - 3), reason);
        Ixn__V1__PairCommand command = IXN__V1__PAIR_COMMAND__INIT;
        Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
        command.kind = IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER;
        command.reason = text;
        request.body_case = IXN__V1__REQUEST__BODY_PAIR_COMMAND;
        request.pair_command = &command;
        int from = s_role(A) == ROLE_PAIRED ? A : B;
        cr_assert_str_eq(pair_world_ask(w, from, &request), "status: handing-over");
        cr_assert(pair_world_until(w, 1 - from, ROLE_PAIRED, 3000) >= 0);
        cr_assert(pair_world_until(w, from, ROLE_READY, 3000) >= 0);
        pair_world_pass(w, 200);
        cr_assert(pair_world_reasons_are_text(w));
    }
}

static void s_hand_over(int from, const char *reason, const char *by)
{
    Ixn__V1__PairCommand command = IXN__V1__PAIR_COMMAND__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    command.kind = IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER;
    command.reason = (char *)reason;
    request.by = (char *)by;
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_COMMAND;
    request.pair_command = &command;
    cr_assert_str_eq(pair_world_ask(w, from, &request), "status: handing-over");
    cr_assert(pair_world_until(w, 1 - from, ROLE_PAIRED, 3000) >= 0);
    cr_assert(pair_world_until(w, from, ROLE_READY, 3000) >= 0);
    pair_world_pass(w, 200);
}

Test(pair, the_history_of_roles_says_who_wanted_it)
{
    char reason[LIMIT_TEXT + 1] = {0};
    memset(reason, 'x', LIMIT_TEXT);
    s_hand_over(A, "kernel update", "ann@desk");
    cr_assert_str_eq(pair_world_reason(w, B), "the primary hands over: kernel update (ann@desk)");
    s_hand_over(B, "", "ann@desk");
    cr_assert_str_eq(pair_world_reason(w, A), "the primary hands over: ann@desk");
    s_hand_over(A, reason, "ann@desk"); /* too long for both: it is not the person that goes */
    cr_assert(strstr(pair_world_reason(w, B), "xxx (ann@desk)"), "%s", pair_world_reason(w, B));
    s_hand_over(B, "kernel update", "");
    cr_assert_str_eq(pair_world_reason(w, A), "the primary hands over: kernel update");
    char by[LIMIT_NAME + 2] = {0};
    memset(by, 'x', sizeof by - 1);
    Ixn__V1__PairCommand command = IXN__V1__PAIR_COMMAND__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    command.kind = IXN__V1__PAIR_COMMAND__KIND__PAUSE;
    request.by = by;
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_COMMAND;
    request.pair_command = &command;
    cr_assert(strstr(pair_world_ask(w, A, &request), "by has 65 bytes"), "%s",
              pair_world_ask(w, A, &request));
}

/* While nothing can be applied there is no reason to turn again at once. */
Test(pair, it_does_not_spin_while_it_waits_for_a_claim)
{
    pair_world_hold_claims(w, B, true);
    pair_world_command(w, A, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER, false);
    cr_assert(pair_world_until(w, B, ROLE_TAKING_OVER, 500) >= 0);
    pair_world_kill(w, A);
    pair_world_append(w);
    pair_world_pass(w, 300);
    cr_assert(pair_world_rests(w, B));
}

/* Each request hears one answer, and no frame is larger than a client takes. */
Test(pair, a_thousand_questions_in_one_frame)
{
    Ixn__V1__PairStatusRequest status = IXN__V1__PAIR_STATUS_REQUEST__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    Ixn__V1__PeerHello hello = IXN__V1__PEER_HELLO__INIT;
    Ixn__V1__PeerFrame heard = IXN__V1__PEER_FRAME__INIT;
    Ixn__V1__PeerDap dap = IXN__V1__PEER_DAP__INIT;
    Ixn__V1__PeerDap *daps[16];
    static char trouble[2000];
    error_t error = {0};
    memset(trouble, 'x', sizeof trouble - 1);
    dap.trouble = trouble;
    for (int i = 0; i < 16; i++)
        daps[i] = &dap;
    hello.name = "A";
    hello.n_daps = 16;
    hello.daps = daps;
    heard.body_case = IXN__V1__PEER_FRAME__BODY_HELLO;
    heard.hello = &hello;
    pair_world_frame(w, B, &heard, false);
    buffer_t bytes = {0};
    engine_frame_t frame;
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_STATUS;
    request.pair_status = &status;
    wire_append_to_node_head(&bytes);
    for (request.id = 1; request.id <= LIMIT_PACKET_REQUESTS; request.id++)
        wire_append_request(&bytes, &request);
    cr_assert(pair_visit(pair_world_pair(w, B), bytes.bytes, bytes.len, &frame));
    cr_assert(frame.len < LIMIT_PACKET, "%zu", frame.len);
    wire_arena_t *arena = wire_arena_new();
    const Ixn__V1__FromNode *answer = wire_decode_from_node(arena, frame.bytes, frame.len, &error);
    cr_assert(answer && answer->n_messages == LIMIT_PACKET_REQUESTS, "%s", error.text);
    wire_arena_destroy(&arena);
    buffer_free(&bytes);
    free(frame.bytes);
}
