/* Access points: what each answer makes of them, and which one is asked next. */
#include <criterion/criterion.h>
#include <string.h>

#include "ha/daps.h"

static daps_t s_daps;
static const identity_t s_own = {.database_id = {{1}}, .system_identifier = 7, .database_oid = 1};
static const identity_t s_other = {.database_id = {{2}}, .system_identifier = 7, .database_oid = 2};

static const instance_t s_first_server = {.started_at = 1, .port = 5432, .address = "10.0.0.1"};
static instance_t s_server; /* what is reached */

static void s_open(void)
{
    memset(&s_daps, 0, sizeof s_daps);
    s_server = s_daps.instance = s_first_server;
    s_daps.len = 3;
    for (size_t i = 0; i < s_daps.len; i++)
        snprintf(s_daps.daps[i].name, sizeof s_daps.daps[i].name, "dap-%zu", i + 1);
}

TestSuite(daps, .init = s_open);

/* Asked at `now`, answered 10 later. */
static bool s_sees(size_t dap, const identity_t *identity, uint64_t epoch, usec_t now)
{
    database_status_t status = {
        .identity = *identity, .instance = s_server, .server = "database x", .epoch = epoch};
    status.generation.bytes[0] = (uint8_t)epoch;
    daps_ask(&s_daps, dap, now);
    return daps_answer(&s_daps, dap, &status, NULL, now + 10);
}

static void s_fails(size_t dap, error_code_t code, usec_t now)
{
    error_t error = {0};
    error_set(&error, code, "what happened");
    daps_ask(&s_daps, dap, now);
    cr_assert(!daps_answer(&s_daps, dap, NULL, &error, now + 10));
}

static void s_epoch(uint64_t epoch, usec_t since)
{
    s_daps.epoch = epoch;
    s_daps.generation = (id128_t){{(uint8_t)epoch}};
    s_daps.epoch_since = since;
}

Test(daps, proven_is_what_has_the_own_identity)
{
    daps_learn(&s_daps, &s_own);
    cr_assert(s_sees(0, &s_own, 0, 100));
    cr_assert_eq(s_daps.daps[0].latency, 10);
    cr_assert(!s_sees(1, &s_other, 0, 100));
    cr_assert_eq(s_daps.daps[1].trouble.code, ERROR_DATABASE_WRONG);
    char found[IDENTITY_TEXT_SIZE], own[IDENTITY_TEXT_SIZE];
    cr_assert(strstr(s_daps.daps[1].trouble.text, identity_text(&s_other, found)));
    cr_assert(strstr(s_daps.daps[1].trouble.text, identity_text(&s_own, own)));
    cr_assert(strstr(daps_trouble(&s_daps), "DAP dap-2 reaches database x"));
    cr_assert_eq(daps_proven(&s_daps), 1);
}

Test(daps, while_nothing_is_known_nothing_is_proven_and_then_judged_again)
{
    cr_assert(!s_sees(0, &s_own, 0, 100));
    cr_assert(!s_sees(1, &s_other, 0, 100));
    cr_assert_str_eq(daps_trouble(&s_daps), "");
    daps_learn(&s_daps, &s_own);
    cr_assert(s_daps.daps[0].proven && !s_daps.daps[1].proven && !s_daps.daps[2].proven);
    cr_assert_eq(s_daps.daps[1].trouble.code, ERROR_DATABASE_WRONG);
}

Test(daps, only_what_the_configuration_demands)
{
    s_daps.has_demanded = true;
    s_daps.demanded = s_own.database_id;
    cr_assert(!s_sees(0, &s_other, 0, 100));
    cr_assert_eq(s_daps.daps[0].trouble.code, ERROR_DATABASE_WRONG);
    cr_assert(!s_sees(1, &s_own, 0, 100));
    cr_assert_eq(s_daps.daps[1].trouble.code, ERROR_OK);
}

Test(daps, a_copy_that_stayed_behind_is_wrong_unless_it_was_asked_before)
{
    daps_learn(&s_daps, &s_own);
    s_epoch(5, 1000);
    cr_assert(s_sees(0, &s_own, 4, 1000), "asked before the epoch was heard of");
    cr_assert(!s_sees(0, &s_own, 4, 1001));
    cr_assert(strstr(s_daps.daps[0].trouble.text, "a copy that stayed behind"));
    cr_assert(s_sees(0, &s_own, 5, 1001));
    cr_assert(s_sees(0, &s_own, 6, 1001), "a later one");
    s_daps.generation.bytes[0] = 99;
    cr_assert(!s_sees(0, &s_own, 5, 1001), "the same number of another generation");
}

Test(daps, unreachable_is_not_wrong)
{
    daps_learn(&s_daps, &s_own);
    cr_assert(s_sees(0, &s_own, 0, 100));
    s_fails(0, ERROR_DATABASE_UNREACHABLE, 200);
    cr_assert(!s_daps.daps[0].proven && !s_daps.daps[0].reachable);
    daps_learn(&s_daps, &s_own); /* what it reached before proves nothing now */
    cr_assert(!s_daps.daps[0].proven);
    cr_assert(s_sees(0, &s_own, 0, 300));
}

Test(daps, are_chosen_in_turn)
{
    size_t dap;
    cr_assert(!daps_choose(&s_daps, &dap));
    daps_learn(&s_daps, &s_own);
    for (size_t i = 0; i < 3; i++)
        s_sees(i, i == 1 ? &s_other : &s_own, 0, 100);
    const size_t expected[] = {0, 2, 0, 2};
    for (size_t i = 0; i < 4; i++)
        cr_assert(daps_choose(&s_daps, &dap) && dap == expected[i]);
    daps_ask(&s_daps, 0, 200);
    cr_assert(daps_choose(&s_daps, &dap) && dap == 2);
    cr_assert(daps_choose(&s_daps, &dap) && dap == 2);
    daps_ask(&s_daps, 2, 200);
    cr_assert(!daps_choose(&s_daps, &dap));
}

Test(daps, at_the_first_start_all_that_answer_must_agree)
{
    size_t dap;
    cr_assert(!daps_choose_first(&s_daps, &dap));
    s_fails(0, ERROR_DATABASE_UNREACHABLE, 100);
    s_sees(1, &s_own, 0, 100);
    cr_assert(daps_choose_first(&s_daps, &dap) && dap == 1);
    s_sees(2, &s_other, 0, 100);
    cr_assert(!daps_choose_first(&s_daps, &dap));
    s_sees(2, &s_own, 0, 200);
    cr_assert(daps_choose_first(&s_daps, &dap) && dap == 1);
    daps_learn(&s_daps, &s_own);
    cr_assert(!daps_choose_first(&s_daps, &dap), "it is no longer the first start");
}

Test(daps, the_one_that_was_asked_longest_ago)
{
    size_t dap;
    daps_ask(&s_daps, 0, 500);
    s_sees(1, &s_own, 0, 300);
    s_sees(2, &s_own, 0, 200);
    cr_assert(daps_oldest(&s_daps, 600, 100, &dap) && dap == 2);
    s_sees(2, &s_own, 0, 600);
    cr_assert(daps_oldest(&s_daps, 600, 100, &dap) && dap == 1);
    cr_assert(!daps_oldest(&s_daps, 600, 400, &dap));
}

Test(daps, hopeless_when_waiting_mends_none)
{
    error_t error = {0};
    daps_learn(&s_daps, &s_own);
    s_sees(0, &s_other, 0, 100);
    s_fails(1, ERROR_DATABASE_EMPTY, 100);
    cr_assert(!daps_are_hopeless(&s_daps, &error), "one was not asked yet");
    s_fails(2, ERROR_DATABASE_UNREACHABLE, 100);
    cr_assert(!daps_are_hopeless(&s_daps, &error), "one may come back");
    s_daps.daps[2].standing = DAP_LEAVING;
    cr_assert(daps_are_hopeless(&s_daps, &error), "one that is given up saves nothing");
    cr_assert_eq(error.code, ERROR_DATABASE_WRONG);
    s_fails(0, ERROR_DATABASE_REFUSED, 200);
    cr_assert(!daps_are_hopeless(&s_daps, &error), "that may pass");
}

Test(daps, what_is_spread_follows_the_weights)
{
    size_t dap;
    size_t chosen[3] = {0};
    daps_learn(&s_daps, &s_own);
    s_daps.daps[0].turn.weight = 5;
    s_daps.daps[2].turn.weight = 2;
    for (size_t i = 0; i < 3; i++)
        s_sees(i, &s_own, 0, 100);
    for (int i = 0; i < 80; i++) {
        cr_assert(daps_choose(&s_daps, &dap));
        chosen[dap]++;
    }
    cr_assert(chosen[0] == 50 && chosen[1] == 10 && chosen[2] == 20, "%zu %zu %zu", chosen[0],
              chosen[1], chosen[2]);
}

Test(daps, only_what_is_in_use_is_given_work)
{
    size_t dap;
    daps_learn(&s_daps, &s_own);
    for (size_t i = 0; i < 3; i++)
        s_sees(i, &s_own, 0, 100);
    s_daps.daps[0].standing = DAP_CANDIDATE;
    s_daps.daps[1].standing = DAP_LEAVING;
    for (int i = 0; i < 3; i++)
        cr_assert(daps_choose(&s_daps, &dap) && dap == 2);
    cr_assert_eq(daps_proven(&s_daps), 1);
    cr_assert_eq(daps_alive(&s_daps, 200, 100), 1);
    s_daps.daps[2].standing = DAP_RETIRING;
    cr_assert(daps_choose(&s_daps, &dap) && dap == 2, "until it is replaced");
    s_daps.daps[2].standing = DAP_ABSENT;
    cr_assert(!daps_choose(&s_daps, &dap));
    cr_assert(daps_oldest(&s_daps, 1000, 100, &dap) && dap == 0, "a candidate is looked at");
    cr_assert(daps_place(&s_daps, &dap) && dap == 2, "its place is free");
}

Test(daps, who_keeps_an_answer_back_is_not_alive)
{
    daps_learn(&s_daps, &s_own);
    s_sees(0, &s_own, 0, 100);
    s_sees(1, &s_own, 0, 100);
    cr_assert_eq(daps_alive(&s_daps, 200, 100), 2);
    daps_ask(&s_daps, 0, 200);
    cr_assert_eq(daps_alive(&s_daps, 300, 100), 2);
    cr_assert_eq(daps_alive(&s_daps, 301, 100), 1);
}

/* ---- Lineage and live proof ---- */

static const instance_t s_second_server = {.started_at = 2, .port = 5432, .address = "10.0.0.1"};
static const instance_t s_clone = {.started_at = 2, .port = 5433, .address = "10.0.0.1"};

/* Two DAPs of which the first one has proven the server; `remembered` as after a good while. */
static void s_prove_first_server(void)
{
    s_daps.len = 2;
    daps_learn(&s_daps, &s_own);
    s_epoch(5, 0);
    s_daps.place = (place_t){.index = 100, .epoch = 5, .generation = s_daps.generation};
    cr_assert(s_sees(0, &s_own, 5, 100));
    cr_assert(s_sees(1, &s_own, 5, 100));
    s_daps.daps[0].remembered = s_daps.daps[1].remembered = true;
}

/* Asked for the known place at `now`; what it showed is made from `like`. */
static bool s_shows(size_t dap, const database_status_t *like, usec_t now)
{
    database_status_t status = *like;
    status.identity = s_own;
    status.epoch = 5;
    status.generation = s_daps.generation;
    status.known = s_daps.place;
    daps_ask(&s_daps, dap, now);
    return daps_answer(&s_daps, dap, &status, NULL, now + 10);
}

static const database_status_t s_fresh_clone = {
    .instance = s_clone, .server = "a clone", .lineage = LINEAGE_AGREES, .head_index = 100};
static const database_status_t s_restarted = {.instance = s_second_server,
                                              .server = "the same, started again",
                                              .lineage = LINEAGE_AGREES,
                                              .head_index = 100};

Test(daps, a_clone_is_not_proven_and_a_head_that_moves_there_is)
{
    s_prove_first_server();
    cr_assert(!s_shows(0, &s_fresh_clone, 200));
    cr_assert_eq(s_daps.daps[0].verdict, DAP_PROVING);
    cr_assert(!s_shows(0, &s_fresh_clone, 300), "its head does not move");
    cr_assert(!daps_replace(&s_daps, 400), "the other DAP reaches the proven server");
    cr_assert(strstr(s_daps.daps[0].trouble.text, "a DAP of this node reaches that one"), "%s",
              s_daps.daps[0].trouble.text);
    database_status_t moved = s_fresh_clone;
    moved.head_index++;
    cr_assert(s_shows(0, &moved, 500), "only the owner of the epoch can have written it");
    cr_assert(instance_equal(&s_daps.instance, &s_clone));
}

/* Seed 307632 of the simulator: a DAP that was led back to the server before. */
Test(daps, a_commit_of_before_the_move_does_not_prove_the_server_before)
{
    database_status_t first = s_restarted;
    database_status_t clone = s_fresh_clone;
    first.instance = s_first_server;
    s_prove_first_server();
    s_daps.instance = (instance_t){0};
    first.head_index = 100;
    cr_assert(!s_shows(0, &first, 200));
    first.head_index = 101;
    cr_assert(s_shows(0, &first, 300), "as a backup");
    clone.head_index = 101;
    cr_assert(!s_shows(0, &clone, 400));
    cr_assert(!s_shows(1, &clone, 400));
    cr_assert(daps_replace(&s_daps, 500));
    cr_assert(!s_shows(1, &first, 600), "its head has not moved since");
    first.head_index = 102;
    s_daps.owns = true;
    cr_assert(!s_shows(1, &first, 700), "a late commit of its own");
    s_daps.owns = false;
    cr_assert(!s_shows(1, &first, 800));
    first.head_index = 103;
    cr_assert(s_shows(1, &first, 900), "somebody else's");
}

Test(daps, a_head_that_moves_in_another_epoch_proves_nothing)
{
    s_prove_first_server();
    cr_assert(!s_shows(0, &s_fresh_clone, 200));
    database_status_t status = s_fresh_clone;
    status.identity = s_own;
    status.head_index += 10;
    status.epoch = 6; /* a pair of the clone's own took over there */
    daps_ask(&s_daps, 0, 300);
    cr_assert(!daps_answer(&s_daps, 0, &status, NULL, 310));
    cr_assert_eq(s_daps.daps[0].verdict, DAP_PROVING);
}

Test(daps, a_standby_is_not_now_and_its_moving_head_is_no_proof)
{
    s_prove_first_server();
    database_status_t standby = s_fresh_clone;
    standby.standby = true;
    cr_assert(!s_shows(0, &standby, 200));
    cr_assert_eq(s_daps.daps[0].verdict, DAP_NOT_NOW);
    cr_assert(strstr(s_daps.daps[0].trouble.text, "a standby"));
    standby.head_index += 10;
    cr_assert(!s_shows(0, &standby, 300));
    standby.standby = false; /* promoted */
    cr_assert(!s_shows(0, &standby, 400));
    cr_assert_eq(s_daps.daps[0].verdict, DAP_PROVING);
}

Test(daps, what_lost_commits_is_wrong_by_the_exact_number)
{
    s_prove_first_server();
    database_status_t lost = s_restarted;
    lost.lineage = LINEAGE_SHORT;
    lost.head_index = 93;
    cr_assert(!s_shows(0, &lost, 200));
    cr_assert_eq(s_daps.daps[0].verdict, DAP_WRONG);
    cr_assert(strstr(s_daps.daps[0].trouble.text, "it lost 7 entries"), "%s",
              s_daps.daps[0].trouble.text);
    cr_assert_null(daps_loss(&s_daps, 300), "the other DAP reaches the proven server");
    cr_assert(!s_shows(1, &lost, 300));
    cr_assert_eq(daps_loss(&s_daps, 400), &s_daps.daps[0]);
    database_status_t other = s_restarted;
    other.lineage = LINEAGE_DIVERGED;
    cr_assert(!s_shows(1, &other, 500));
    cr_assert(strstr(s_daps.daps[1].trouble.text, "went its own way"));
}

Test(daps, a_server_that_was_started_again_takes_its_place_once_nobody_reaches_the_old_run)
{
    s_prove_first_server();
    cr_assert(!s_shows(0, &s_restarted, 200));
    s_fails(1, ERROR_DATABASE_UNREACHABLE, 200);
    cr_assert(!daps_replace(&s_daps, 300), "that one may reach the old run again");
    cr_assert(daps_replace(&s_daps, 300 + 3 * USEC_PER_SECOND));
    cr_assert(s_daps.daps[0].proven);
    cr_assert(s_shows(1, &s_restarted, 400 + 3 * USEC_PER_SECOND));
}

Test(daps, the_other_nodes_word_counts)
{
    static dap_t others[1];
    s_prove_first_server();
    cr_assert(!s_shows(0, &s_restarted, 200));
    cr_assert(!s_shows(1, &s_restarted, 200));
    s_daps.word = (daps_word_t){.exists = true, .exact = true, .reaches = true};
    cr_assert(!daps_replace(&s_daps, 300));
    cr_assert(strstr(s_daps.daps[0].trouble.text, "a DAP of the other node"));
    others[0] = (dap_t){.reachable = true, .verdict = DAP_PROVING, .status = {.instance = s_clone}};
    s_daps.word = (daps_word_t){.exists = true, .exact = true, .daps = others, .daps_len = 1};
    cr_assert(!daps_replace(&s_daps, 300), "the two are led to different servers");
    s_daps.word = (daps_word_t){.exists = true, .exact = true, .primary = true};
    cr_assert(!daps_replace(&s_daps, 300), "it decides, not this one, also when it has lost it");
    s_daps.word = (daps_word_t){.exists = true, .exact = true, .since = 300};
    cr_assert(daps_replace(&s_daps, 300));
}

/* Without this a backup with an empty state_dir takes a copy for the pair's own while the primary
 * cannot reach its database: it was found by the simulator's seed 1938. */
Test(daps, who_never_saw_the_own_server_believes_the_primary)
{
    daps_learn(&s_daps, &s_own);
    s_daps.instance = (instance_t){0};
    s_daps.word = (daps_word_t){.exists = true, .primary = true};
    cr_assert(!s_shows(0, &s_fresh_clone, 200));
    cr_assert(!daps_replace(&s_daps, 300), "the primary has lost it, but knows it");
    cr_assert(strstr(s_daps.daps[0].trouble.text, "is the primary and goes first"), "%s",
              s_daps.daps[0].trouble.text);
    s_daps.word = (daps_word_t){.exists = true, .reaches = true};
    cr_assert(!daps_replace(&s_daps, 300), "the other node may reach it again");
    s_daps.word = (daps_word_t){.exists = true, .silent = true};
    cr_assert(!daps_replace(&s_daps, 300), "it may be about to be heard");
    cr_assert(!daps_replace(&s_daps, 300 + 3600 * USEC_PER_SECOND), "it told which one, not where");
    s_daps.word = (daps_word_t){.exists = true, .since = 210, .server = s_first_server};
    cr_assert(!daps_replace(&s_daps, 300), "it was killed, and knows the place: it goes first");
    s_daps.word = (daps_word_t){.exists = true, .since = 310, .exact = true};
    cr_assert(daps_replace(&s_daps, 300), "the other node does not serve, and has no objection");
}

/* A primary knows all that was committed, whatever a backup that began empty does not know. */
Test(daps, a_primary_follows_its_database_beside_an_empty_backup)
{
    s_prove_first_server();
    s_daps.word = (daps_word_t){.exists = true, .since = 300};
    cr_assert(!s_shows(0, &s_fresh_clone, 200));
    cr_assert(!s_shows(1, &s_fresh_clone, 200));
    cr_assert(!daps_replace(&s_daps, 300), "the other node may know of later commits");
    s_daps.owns = true;
    cr_assert(daps_replace(&s_daps, 300));
}

/* A frame that was on its way for long tells what the other node reached then: seeds 208459 and
 * 110895 of the simulator, where two nodes took two copies for the pair's own. */
Test(daps, an_old_word_of_the_other_node_permits_nothing)
{
    s_prove_first_server();
    s_daps.word = (daps_word_t){.exists = true, .exact = true, .since = 200};
    cr_assert(!s_shows(0, &s_fresh_clone, 200));
    cr_assert(!s_shows(1, &s_fresh_clone, 200));
    cr_assert(!daps_replace(&s_daps, 300), "said before this server was seen here");
    s_daps.begun = 220;
    s_daps.word.since = 215;
    cr_assert(!daps_replace(&s_daps, 300), "said before this node stood still");
    s_daps.word.since = 220;
    cr_assert(!daps_replace(&s_daps, 300), "not before it can know that this one would go");
    s_daps.word.since = 300;
    cr_assert(daps_replace(&s_daps, 310));
}

Test(daps, unheard_only_the_same_way_to_the_same_place)
{
    s_prove_first_server();
    s_daps.word = (daps_word_t){.exists = true, .silent = true};
    cr_assert(!s_shows(0, &s_fresh_clone, 200));
    cr_assert(!s_shows(1, &s_fresh_clone, 200));
    cr_assert(!daps_replace(&s_daps, 300), "another port");
    cr_assert(strstr(s_daps.daps[0].trouble.text, "ixnctl database adopt"));
    cr_assert(!s_shows(0, &s_restarted, 400));
    cr_assert(!s_shows(1, &s_restarted, 400));
    s_daps.daps[0].remembered = s_daps.daps[1].remembered = false;
    cr_assert(!daps_replace(&s_daps, 500), "another text");
    s_daps.daps[0].remembered = true;
    cr_assert(daps_replace(&s_daps, 500));
}

Test(daps, cold_after_a_kill_only_the_same_place)
{
    s_prove_first_server();
    s_daps.warm = false;
    cr_assert(!s_shows(0, &s_fresh_clone, 200));
    cr_assert(!s_shows(1, &s_fresh_clone, 200));
    cr_assert(!daps_replace(&s_daps, 300));
    s_daps.exact = true; /* it ended in order, and knows all that was committed */
    cr_assert(daps_replace(&s_daps, 300));
}

/* Where the other node believes in the server before, it may be led back and take over there. */
Test(daps, elsewhere_when_the_other_node_has_given_its_own_up)
{
    s_prove_first_server();
    s_daps.word =
        (daps_word_t){.exists = true, .exact = true, .since = 250, .server = s_first_server};
    cr_assert(!s_shows(0, &s_fresh_clone, 200));
    cr_assert(!s_shows(1, &s_fresh_clone, 200));
    cr_assert(!daps_replace(&s_daps, 300));
    cr_assert(instance_equal(&s_daps.wanted, &s_clone), "it is asked to");
    cr_assert(strstr(s_daps.daps[0].trouble.text, "is asked to give it up"), "%s",
              s_daps.daps[0].trouble.text);
    s_daps.word.server = (instance_t){0};
    cr_assert(!daps_replace(&s_daps, 310), "it has, but not for this");
    s_daps.word.reaches = true;
    cr_assert(!daps_replace(&s_daps, 320));
    cr_assert(!instance_is_known(&s_daps.wanted), "no longer");
    s_daps.word.reaches = false;
    s_daps.word.since = 310;
    cr_assert(!daps_replace(&s_daps, 330), "it has, but for what was asked before");
    s_daps.word.since = 330;
    cr_assert(daps_replace(&s_daps, 340));
    cr_assert(!instance_is_known(&s_daps.wanted));
}

/* Seed 5003971 of the simulator: the DAPs of a node that had just claimed led to a clone from
 * before its claim. */
Test(daps, a_look_from_before_a_later_epoch_permits_nothing)
{
    s_prove_first_server();
    s_daps.exact = true;
    cr_assert(!s_shows(0, &s_fresh_clone, 200));
    cr_assert(!s_shows(1, &s_fresh_clone, 200));
    s_daps.epoch = 6;
    s_daps.epoch_since = 250;
    cr_assert(!daps_replace(&s_daps, 300));
    cr_assert(strstr(s_daps.daps[0].trouble.text, "a later epoch is known"), "%s",
              s_daps.daps[0].trouble.text);
    s_daps.epoch = 5;
    cr_assert(daps_replace(&s_daps, 300));
}

/* Servers of two hosts are at one address behind poolers of their own, behind a virtual address, in
 * containers. */
Test(daps, at_the_same_address_the_other_node_is_asked_while_it_is_heard)
{
    s_prove_first_server();
    s_daps.word =
        (daps_word_t){.exists = true, .exact = true, .since = 250, .server = s_first_server};
    cr_assert(!s_shows(0, &s_restarted, 200));
    cr_assert(!s_shows(1, &s_restarted, 200));
    cr_assert(!daps_replace(&s_daps, 300));
    cr_assert(instance_equal(&s_daps.wanted, &s_second_server), "it is asked to give up its own");
    s_daps.word = (daps_word_t){.exists = true, .silent = true};
    cr_assert(daps_replace(&s_daps, 400), "there is nobody to ask");
}

/* DAP 1, which does not answer, may lead to the own server on another host. */
Test(daps, at_the_same_address_only_the_way_that_led_there_leads_to_its_next_run)
{
    const usec_t later = 10 * USEC_PER_SECOND;
    s_prove_first_server();
    s_daps.daps[0].reached = (instance_t){0};
    s_fails(1, ERROR_DATABASE_UNREACHABLE, 200);
    cr_assert(!s_shows(0, &s_restarted, later));
    cr_assert(!daps_replace(&s_daps, later + 100));
    cr_assert(strstr(s_daps.daps[0].trouble.text, "does not show where it leads"), "%s",
              s_daps.daps[0].trouble.text);
    s_daps.warm = false; /* nothing was reached in this life, and both are remembered */
    s_daps.exact = true;
    cr_assert(daps_replace(&s_daps, later + 200));
}

/* A standby, or a clone, that ran beside the own one. */
Test(daps, what_was_started_before_is_no_next_run)
{
    const usec_t later = 10 * USEC_PER_SECOND;
    s_prove_first_server();
    s_daps.instance.started_at = 3;
    s_daps.daps[0].reached = s_daps.instance;
    s_fails(1, ERROR_DATABASE_UNREACHABLE, 200);
    cr_assert(!s_shows(0, &s_restarted, later));
    cr_assert(!daps_replace(&s_daps, later + 100));
}

/* Of several ways to one run the one that led to the run before decides. */
Test(daps, the_way_that_led_there_comes_first)
{
    s_prove_first_server();
    s_daps.daps[0].reached = (instance_t){0};
    s_daps.word = (daps_word_t){.exists = true, .silent = true};
    cr_assert(!s_shows(0, &s_restarted, 200));
    cr_assert(!s_shows(1, &s_restarted, 200));
    cr_assert(daps_replace(&s_daps, 300), "%s", s_daps.daps[0].trouble.text);
}

/* The other node asked this one, and died before it wrote anything there. */
Test(daps, what_the_own_one_was_given_up_for_is_its_next_run_when_nobody_is_heard)
{
    s_prove_first_server();
    s_daps.word = (daps_word_t){.exists = true, .exact = true, .server = s_first_server};
    daps_give_up(&s_daps, &s_second_server);
    cr_assert(!s_shows(0, &s_restarted, 200));
    cr_assert(!s_shows(1, &s_restarted, 200));
    cr_assert(!daps_replace(&s_daps, 300));
    s_daps.word = (daps_word_t){.exists = true, .silent = true};
    s_daps.given_up_for = s_clone;
    cr_assert(!daps_replace(&s_daps, 300), "it may have gone there");
    s_daps.given_up_for = s_second_server;
    cr_assert(daps_replace(&s_daps, 300));
}

Test(daps, what_was_given_up_is_so_until_it_is_gone_to)
{
    s_prove_first_server();
    daps_give_up(&s_daps, &s_clone);
    daps_move(&s_daps, &s_clone, 200);
    cr_assert(instance_equal(&s_daps.given_up, &s_first_server));
    daps_move(&s_daps, &s_first_server, 300);
    cr_assert(!instance_is_known(&s_daps.given_up));
}

Test(daps, where_the_other_node_is_already_nobody_is_asked)
{
    s_prove_first_server();
    s_daps.word = (daps_word_t){.exists = true, .exact = true, .since = 250, .server = s_clone};
    cr_assert(!s_shows(0, &s_fresh_clone, 200));
    cr_assert(!s_shows(1, &s_fresh_clone, 200));
    cr_assert(daps_replace(&s_daps, 300));
}

/* A commit that the other node sent there before it went elsewhere. */
Test(daps, what_was_given_up_is_not_proven_by_a_late_commit)
{
    database_status_t first = s_restarted;
    first.instance = s_first_server;
    s_prove_first_server();
    daps_give_up(&s_daps, &(instance_t){0});
    s_daps.word = (daps_word_t){.exists = true, .server = s_first_server, .asks = true};
    cr_assert(!s_shows(0, &first, 200));
    first.head_index = 101;
    cr_assert(!s_shows(0, &first, 300), "the other node asked for it");
    s_daps.word = (daps_word_t){.exists = true, .silent = true};
    first.head_index = 102;
    cr_assert(!s_shows(0, &first, 400), "nor while it is not heard");
    s_daps.word = (daps_word_t){.exists = true, .server = s_first_server};
    cr_assert(!s_shows(0, &first, 500));
    first.head_index = 103;
    cr_assert(s_shows(0, &first, 600), "it stays there");
}

/* Seed 8002991 of the simulator: the only DAP had been led back, to a server that was frozen. */
Test(daps, one_that_keeps_its_answer_back_may_lead_anywhere)
{
    const usec_t later = 10 * USEC_PER_SECOND;
    s_prove_first_server();
    cr_assert(!s_shows(0, &s_fresh_clone, later));
    cr_assert(!s_shows(1, &s_fresh_clone, later));
    daps_ask(&s_daps, 0, later + 100);
    daps_watch(&s_daps, later + 100 + 499999);
    cr_assert(!s_daps.daps[0].unclear);
    daps_watch(&s_daps, later + 100 + 500000);
    cr_assert(s_daps.daps[0].unclear);
    cr_assert(!daps_replace(&s_daps, later + 600000), "the other one's clone may be elsewhere");
    daps_ask(&s_daps, 1, later + 100);
    daps_watch(&s_daps, later + 600000);
    cr_assert(!daps_replace(&s_daps, later + 600000));
    cr_assert(strstr(s_daps.daps[1].trouble.text, "keeps an answer back"), "%s",
              s_daps.daps[1].trouble.text);
    for (size_t dap = 0; dap < 2; dap++) {
        database_status_t status = s_daps.daps[dap].status;
        cr_assert(!daps_answer(&s_daps, dap, &status, NULL, later + 600010));
        cr_assert(!s_daps.daps[dap].unclear);
    }
    cr_assert(daps_replace(&s_daps, later + 600020));
}

/* Seed 9101300 of the simulator: the other node was of a version that needs newer tables, and its
 * DAP led to the own server all the time. */
Test(daps, tables_of_another_version_may_be_the_own_ones)
{
    const usec_t later = 10 * USEC_PER_SECOND;
    s_prove_first_server();
    cr_assert(!s_shows(0, &s_fresh_clone, later));
    s_fails(1, ERROR_DATABASE_SCHEMA, later);
    cr_assert_eq(s_daps.daps[1].verdict, DAP_WRONG);
    cr_assert(!daps_replace(&s_daps, later + 100));
    cr_assert(strstr(s_daps.daps[0].trouble.text, "does not show where it leads"), "%s",
              s_daps.daps[0].trouble.text);
    s_fails(1, ERROR_DATABASE_EMPTY, later + 200);
    cr_assert(daps_replace(&s_daps, later + 300));
}
