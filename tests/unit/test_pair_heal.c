/* The pair's database lost its newest commits: stories of who writes them back, on whose word, and
 * of all that is refused, each with its sentence.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/pair_fixture.h"

enum { LOST = 5 }; /* batches, and entries: each is a beat */

static uint64_t s_head; /* before they were lost */

static void s_open(void)
{
    world_settled();
    pair_world_pass(w, 1000);
}

TestSuite(heal, .init = s_open, .fini = world_close, .timeout = 60);

static bool s_serves(int node)
{
    pair_t *pair = pair_world_pair(w, node);
    return pair && (pair_role(pair) == ROLE_ALONE || pair_role(pair) == ROLE_PAIRED ||
                    pair_role(pair) == ROLE_TAKING_OVER);
}

/* Nobody serves any more, and both know how much is lost. */
static void s_lose(size_t batches)
{
    pair_world_hold_commits(w, A, true);
    pair_world_pass(w, 2 * PAIR_WORLD_STEP_MS); /* what was committed is known to both */
    s_head = pair_world_head(w);
    pair_world_lose(w, batches);
    pair_world_hold_commits(w, A, false);
    for (int i = 0; i < 100 && (s_serves(A) || s_serves(B)); i++)
        pair_world_pass(w, 100);
    cr_assert(!s_serves(A) && !s_serves(B), "%s", pair_world_told(w));
    pair_world_pass(w, 4000); /* who reached the server before did so long ago */
    pair_world_forget(w);
}

/* Refused by the node with these words, by a dry run as well; and nothing was asked. */
static void s_refuses(int node, pair_world_heal_t heal, const char *words)
{
    size_t claims = pair_world_claims(w, node);
    for (int dry = 0; dry < 2; dry++) {
        heal.dry_run = dry;
        const char *answer = pair_world_heal(w, node, &heal);
        cr_assert(strncmp(answer, "error: ", 7) == 0 && strstr(answer, words), "%s", answer);
    }
    pair_world_pass(w, 100);
    cr_assert_eq(pair_world_claims(w, node), claims);
    cr_assert_eq(pair_world_healed(w, node)->state, IXN__V1__PAIR_HEAL__STATE__NONE);
}

static void s_expect_refusal(int node, const char *words)
{
    s_refuses(node, (pair_world_heal_t){.lost = LOST}, words);
    cr_assert(strstr(pair_world_healed(w, node)->objection, words), "the status says so, too");
}

static void s_expect_healed(int node)
{
    const Ixn__V1__PairHeal *heal = pair_world_healed(w, node);
    cr_assert_eq(heal->state, IXN__V1__PAIR_HEAL__STATE__DONE, "%s", heal->error);
    cr_assert_eq(heal->written_first, s_head - LOST + 1);
    cr_assert_geq(heal->written_last, s_head);
    cr_assert(s_serves(node));
    cr_assert_gt(pair_world_head(w), s_head, "and its own commits come behind");
}

/* ---- Done ---- */

Test(heal, writes_back_and_serves)
{
    s_lose(LOST);
    for (int node = A; node <= B; node++) {
        const Ixn__V1__PairHeal *heal = pair_world_healed(w, node);
        cr_assert_eq(heal->lost, LOST);
        cr_assert_eq(heal->first, s_head - LOST + 1);
        cr_assert_eq(heal->last, s_head);
        cr_assert(heal->held_first && heal->held_first <= heal->first);
        cr_assert_eq(heal->held_last, s_head);
        cr_assert_str_eq(heal->objection, "");
    }
    uint64_t epoch = pair_world_epoch(w);
    cr_assert_str_eq(pair_world_heal(w, A, &(pair_world_heal_t){.lost = LOST, .dry_run = true}),
                     "taken");
    pair_world_pass(w, 500);
    cr_assert_eq(pair_world_head(w), s_head - LOST);
    cr_assert_eq(pair_world_epoch(w), epoch);
    cr_assert_str_eq(pair_world_heal(w, A, &(pair_world_heal_t){.lost = LOST}), "taken");
    pair_world_pass(w, 1000);
    s_expect_healed(A);
    cr_assert_eq(pair_world_epoch(w), epoch + 1);
    cr_assert(pair_world_until(w, B, ROLE_READY, 3000) >= 0, "%s", pair_world_told(w));
    s_refuses(B, (pair_world_heal_t){.lost = LOST}, "the other node, \"A\", serves");
}

/* The backup holds what it applied. */
Test(heal, the_backup_does_it_as_well)
{
    s_lose(LOST);
    cr_assert_str_eq(pair_world_heal(w, B, &(pair_world_heal_t){.lost = LOST}), "taken");
    pair_world_pass(w, 1000);
    s_expect_healed(B);
    cr_assert(pair_world_until(w, A, ROLE_READY, 3000) >= 0, "%s", pair_world_told(w));
}

/* ---- The word ---- */

Test(heal, wants_the_exact_number_and_a_reason)
{
    char words[200];
    s_lose(LOST);
    for (uint64_t wrong = LOST - 1; wrong <= LOST + 1; wrong += 2) {
        snprintf(words, sizeof words, "%d entries are lost, %d … %d, --lost says %d", LOST,
                 (int)s_head - LOST + 1, (int)s_head, (int)wrong);
        s_refuses(A, (pair_world_heal_t){.lost = wrong}, words);
    }
    s_refuses(A, (pair_world_heal_t){.lost = LOST, .reason = ""}, "reason");
}

Test(heal, is_not_begun_twice)
{
    s_lose(LOST);
    pair_world_hold_claims(w, A, true);
    cr_assert_str_eq(pair_world_heal(w, A, &(pair_world_heal_t){.lost = LOST}), "taken");
    for (int i = 0; i < 2; i++) { /* wanted, and asked for */
        const char *answer = pair_world_heal(w, A, &(pair_world_heal_t){.lost = LOST});
        cr_assert(strstr(answer, "is writing back already"), "%s", answer);
        cr_assert_eq(pair_world_healed(w, A)->state, IXN__V1__PAIR_HEAL__STATE__UNDER_WAY);
        pair_world_pass(w, 2000);
    }
    cr_assert_eq(pair_world_claims(w, A), 2, "its first one, and this");
    pair_world_hold_claims(w, A, false);
    pair_world_pass(w, 1000);
    s_expect_healed(A);
}

/* ---- Who serves ---- */

Test(heal, is_refused_while_a_node_serves)
{
    s_refuses(A, (pair_world_heal_t){.lost = LOST}, "nothing to write back while a node serves");
    s_refuses(B, (pair_world_heal_t){.lost = LOST}, "the other node, \"A\", serves");
}

Test(heal, is_refused_where_no_database_of_the_pair_is_reached)
{
    s_lose(LOST);
    pair_world_move(w, COPY_ELSEWHERE); /* OURS is another database from now on */
    pair_world_pass(w, 5000);
    s_refuses(A, (pair_world_heal_t){.lost = LOST},
              "no DAP of node \"A\" reaches a database that lost commits");
}

/* ---- Who may reach the server that has them ---- */

Test(heal, is_refused_while_a_dap_does_not_answer)
{
    s_lose(LOST);
    pair_world_reach(w, A, 1, NOTHING);
    pair_world_pass(w, 2000);
    s_expect_refusal(A, "DAP dap-2 of this node does not answer");
    s_expect_refusal(B, "DAP dap-2 of the other node does not answer");
}

Test(heal, is_refused_while_a_dap_reaches_the_server_that_has_them)
{
    s_lose(LOST);
    pair_world_hold_claims(w, A, true);
    pair_world_hold_claims(w, B, true);
    pair_world_reach(w, A, 1, OTHER);
    for (int i = 0; i < 400 && pair_world_healed(w, A)->objection[0] == '\0'; i++)
        pair_world_pass(w, PAIR_WORLD_STEP_MS);
    const char *answer = pair_world_heal(w, A, &(pair_world_heal_t){.lost = LOST});
    cr_assert(strstr(answer, "DAP dap-2 reaches a model, the server that has the commits"), "%s",
              answer);
    answer = pair_world_heal(w, B, &(pair_world_heal_t){.lost = LOST});
    cr_assert(strncmp(answer, "error: ", 7) == 0, "%s", answer);
}

Test(heal, is_refused_while_the_other_nodes_dap_reaches_another_server)
{
    s_lose(LOST);
    pair_world_clone(w, OTHER);
    pair_world_reach(w, B, 1, OTHER);
    pair_world_pass(w, 2000);
    s_expect_refusal(A, "DAP dap-2 of the other node, \"B\", reaches another server");
    s_expect_refusal(B, "DAP dap-1 reaches a model (head ");
}

/* ---- The other node ---- */

Test(heal, is_refused_where_the_other_node_is_not_heard)
{
    s_lose(LOST);
    pair_world_cut(w, true);
    pair_world_pass(w, 2000);
    s_expect_refusal(A, "the other node (B) is not heard");
    s_expect_refusal(B, "the other node (A) is not heard");
    pair_world_kill(w, A);
    cr_assert_str_eq(
        pair_world_heal(w, B, &(pair_world_heal_t){.lost = LOST, .without_other = true}), "taken");
    pair_world_pass(w, 1000);
    s_expect_healed(B);
}

/* Who served last told clients; began anew, it does not know what. */
Test(heal, is_refused_where_the_one_that_served_was_killed)
{
    s_lose(LOST);
    pair_world_kill(w, A);
    pair_world_start(w, A, NULL);
    pair_world_pass(w, 3000);
    s_expect_refusal(B, "the other node, \"A\", was killed and began anew");
    s_refuses(B, (pair_world_heal_t){.lost = LOST + 1, .without_other = true}, "entries are lost");
    cr_assert_str_eq(
        pair_world_heal(w, B, &(pair_world_heal_t){.lost = LOST, .without_other = true}), "taken");
    pair_world_pass(w, 1000);
    s_expect_healed(B);
}

/* Who served last knows all that was told, whoever else was killed. */
Test(heal, is_done_where_only_the_backup_was_killed)
{
    s_lose(LOST);
    pair_world_kill(w, B);
    pair_world_start(w, B, NULL);
    pair_world_pass(w, 3000);
    cr_assert_str_eq(pair_world_heal(w, A, &(pair_world_heal_t){.lost = LOST}), "taken");
    pair_world_pass(w, 1000);
    s_expect_healed(A);
}

/* ---- The log ---- */

Test(heal, is_refused_where_somebody_wrote)
{
    char words[80];
    s_lose(LOST);
    pair_world_append(w);
    pair_world_pass(w, 2000);
    snprintf(words, sizeof words, "its journal ends at index %d with ", (int)s_head - LOST + 1);
    s_refuses(A, (pair_world_heal_t){.lost = LOST - 1}, words);
    s_refuses(A, (pair_world_heal_t){.lost = LOST - 1}, "somebody else wrote to it");
}

Test(heal, is_refused_where_somebody_claimed)
{
    s_lose(LOST);
    pair_world_usurp(w);
    pair_world_pass(w, 2000);
    s_expect_refusal(A, "somebody else has claimed it since they parted");
    s_expect_refusal(B, "somebody else has claimed it since they parted");
}

/* They are in memory only. */
Test(heal, is_refused_where_they_are_not_held)
{
    char words[80];
    s_lose(LOST);
    pair_world_kill(w, B);
    pair_world_start(w, B, NULL);
    pair_world_pass(w, 1000);
    s_expect_refusal(B, "reached the server that has the commits a moment ago");
    pair_world_pass(w, 4000);
    const Ixn__V1__PairHeal *heal = pair_world_healed(w, B);
    cr_assert(heal->lost == LOST && heal->held_first == 0 && heal->held_last == 0);
    snprintf(words, sizeof words, "%d of the %d lost entries are not held by node \"B\", %d … %d",
             LOST, LOST, (int)s_head - LOST + 1, (int)s_head);
    s_expect_refusal(B, words);
    s_expect_refusal(B, "it holds none: they are in memory only");
    s_expect_refusal(B, "ixnctl database adopt --accept-loss 5");
}

/* A backup that came later holds only what came after it. */
Test(heal, is_refused_where_only_the_newer_ones_are_held)
{
    char words[80];
    pair_world_kill(w, B);
    pair_world_pass(w, 1000);
    pair_world_start(w, B, NULL);
    cr_assert(pair_world_until(w, B, ROLE_READY, 3000) >= 0);
    pair_world_pass(w, 400);
    const Ixn__V1__PairHeal *heal = pair_world_healed(w, B);
    uint64_t first = heal->held_first;
    cr_assert_gt(first, 2);
    size_t beyond = 3;
    s_lose((size_t)(pair_world_head(w) - first + 1 + beyond));
    heal = pair_world_healed(w, B);
    snprintf(words, sizeof words, "%d of the %d lost entries are not held by node \"B\", %d … %d",
             (int)(first - heal->first), (int)heal->lost, (int)heal->first, (int)first - 1);
    s_refuses(B, (pair_world_heal_t){.lost = heal->lost}, words);
    cr_assert_str_eq(pair_world_heal(w, A, &(pair_world_heal_t){.lost = heal->lost}), "taken");
}

/* ---- It does not come off ---- */

Test(heal, that_the_database_refuses_says_why)
{
    s_lose(LOST);
    pair_world_hold_claims(w, A, true);
    cr_assert_str_eq(pair_world_heal(w, A, &(pair_world_heal_t){.lost = LOST}), "taken");
    pair_world_pass(w, 500);
    pair_world_usurp(w);
    pair_world_hold_claims(w, A, false);
    pair_world_pass(w, 500);
    const Ixn__V1__PairHeal *heal = pair_world_healed(w, A);
    cr_assert_eq(heal->state, IXN__V1__PAIR_HEAL__STATE__FAILED);
    cr_assert(strstr(heal->error, "was judged"), "%s", heal->error);
    cr_assert_eq(pair_world_head(w), s_head - LOST);
    cr_assert(!s_serves(A));
}

/* The head is judged, too: what lands there meanwhile is nobody's that is known. */
Test(heal, that_somebody_forestalls_says_why)
{
    s_lose(LOST);
    pair_world_hold_claims(w, A, true);
    cr_assert_str_eq(pair_world_heal(w, A, &(pair_world_heal_t){.lost = LOST}), "taken");
    pair_world_pass(w, 500);
    pair_world_append(w);
    pair_world_hold_claims(w, A, false);
    pair_world_pass(w, 500);
    const Ixn__V1__PairHeal *heal = pair_world_healed(w, A);
    cr_assert_eq(heal->state, IXN__V1__PAIR_HEAL__STATE__FAILED);
    cr_assert(strstr(heal->error, "head"), "%s", heal->error);
    cr_assert_eq(pair_world_head(w), s_head - LOST + 1);
}

/* What it showed last says nothing of where it leads by now: perhaps to the server that has all. */
Test(heal, is_refused_where_a_dap_keeps_an_answer_back)
{
    s_lose(LOST);
    pair_world_hold_answers(w, A, true);
    pair_world_pass(w, 1600); /* each has been asked something, half a second ago at least */
    const char *answer = pair_world_heal(w, A, &(pair_world_heal_t){.lost = LOST});
    cr_assert(strstr(answer, "does not answer, and may lead to the server"), "%s", answer);
    pair_world_hold_answers(w, A, false);
    pair_world_pass(w, 100);
    cr_assert_str_eq(pair_world_heal(w, A, &(pair_world_heal_t){.lost = LOST}), "taken");
}

/* What was so when the command came is judged again when the access point is free. */
Test(heal, is_judged_again_before_it_is_done)
{
    s_lose(LOST);
    cr_assert_str_eq(pair_world_heal(w, A, &(pair_world_heal_t){.lost = LOST}), "taken");
    cr_assert(pair_world_claims(w, A) == 1);
    pair_world_kill(w, B); /* its connection ends before the next turn */
    pair_world_pass(w, 2 * PAIR_WORLD_STEP_MS);
    cr_assert_eq(pair_world_healed(w, A)->state, IXN__V1__PAIR_HEAL__STATE__FAILED);
    cr_assert(strstr(pair_world_healed(w, A)->error, "is not heard"), "%s",
              pair_world_healed(w, A)->error);
    cr_assert_eq(pair_world_claims(w, A), 1);
}

/* ---- The other node gives the server before up first ---- */

static bool s_knows_one(int node)
{
    return instance_is_known(&pair_world_memory(w, node)->instance);
}

/* Seed 42000604 of the simulator: A was led back to the server that had them all, while it could
 * not hear that B had written them back elsewhere, and took over there. */
Test(heal, is_not_done_before_the_other_node_has_given_its_own_up)
{
    s_lose(LOST);
    size_t claims = pair_world_claims(w, A);
    cr_assert_str_eq(pair_world_heal(w, B, &(pair_world_heal_t){.lost = LOST}), "taken");
    for (int i = 0; i < 100 && pair_world_claims(w, B) == 0; i++) {
        pair_world_pass(w, PAIR_WORLD_STEP_MS);
        cr_assert(pair_world_claims(w, B) == 0 || !s_knows_one(A), "both may serve");
    }
    pair_world_cut(w, true);
    pair_world_reach_all(w, A, OTHER);
    pair_world_pass(w, 10000);
    s_expect_healed(B);
    cr_assert_eq(pair_world_claims(w, A), claims, "%s", pair_world_told(w));
}

Test(heal, fails_where_the_other_node_does_not_hear_of_it)
{
    s_lose(LOST);
    pair_world_deafen(w, A, true);
    cr_assert_str_eq(pair_world_heal(w, B, &(pair_world_heal_t){.lost = LOST}), "taken");
    pair_world_pass(w, 4000);
    cr_assert_eq(pair_world_healed(w, B)->state, IXN__V1__PAIR_HEAL__STATE__UNDER_WAY);
    pair_world_pass(w, 2000);
    cr_assert_eq(pair_world_healed(w, B)->state, IXN__V1__PAIR_HEAL__STATE__FAILED);
    cr_assert(strstr(pair_world_healed(w, B)->error, "did not give that up within 5 s"), "%s",
              pair_world_healed(w, B)->error);
    cr_assert_eq(pair_world_claims(w, B), 0);
    cr_assert_eq(pair_world_head(w), s_head - LOST);
    pair_world_deafen(w, A, false);
    pair_world_pass(w, 500);
    cr_assert_str_eq(pair_world_heal(w, B, &(pair_world_heal_t){.lost = LOST}), "taken");
    pair_world_pass(w, 1000);
    s_expect_healed(B);
}
