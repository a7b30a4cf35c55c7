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
