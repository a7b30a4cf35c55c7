/* A state_dir that cannot be written: what a node may still do, and what not. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/pair_fixture.h"

#define LATER 11000 /* the newest place is due in between */

TestSuite(memory, .init = world_settled, .fini = world_close, .timeout = 60);

static bool s_runs(int node)
{
    return pair_world_pair(w, node) != NULL;
}

Test(memory, the_newest_place_is_written_now_and_then)
{
    const uint64_t before = pair_world_memory(w, A)->place.index;
    pair_world_pass(w, LATER);
    cr_assert_gt(pair_world_memory(w, A)->place.index, before);
    cr_assert_gt(pair_world_memory(w, B)->place.index, before);
}

Test(memory, a_primary_serves_on_without_the_newest_place)
{
    const uint64_t before = pair_world_memory(w, A)->place.index;
    const uint64_t epoch = pair_world_epoch(w);
    pair_world_fill(w, A, true);
    pair_world_pass(w, LATER);
    cr_assert(s_runs(A), "%s", pair_world_told(w));
    cr_assert_eq(pair_role(pair_world_pair(w, A)), ROLE_PAIRED);
    cr_assert_eq(pair_world_epoch(w), epoch);
    cr_assert_eq(pair_world_memory(w, A)->place.index, before);
    pair_world_fill(w, A, false);
    pair_world_pass(w, LATER);
    cr_assert_gt(pair_world_memory(w, A)->place.index, before);
}

Test(memory, a_backup_is_not_ready_until_it_can_be_written_again)
{
    pair_world_fill(w, B, true);
    pair_world_pass(w, LATER);
    cr_assert(s_runs(B), "%s", pair_world_told(w));
    cr_assert_eq(pair_role(pair_world_pair(w, B)), ROLE_SYNCING);
    pair_world_fill(w, B, false);
    cr_assert_geq(pair_world_until(w, B, ROLE_READY, LATER), 0, "%s", pair_world_told(w));
}

Test(memory, a_backup_that_cannot_write_does_not_take_over)
{
    pair_world_fill(w, B, true);
    pair_world_pass(w, LATER);
    pair_world_kill(w, A);
    pair_world_pass(w, 5000);
    cr_assert_eq(pair_world_claims(w, B), 0, "it took over: %s", pair_world_told(w));
    pair_world_fill(w, B, false);
    cr_assert_geq(pair_world_until(w, B, ROLE_ALONE, LATER), 0, "%s", pair_world_told(w));
}

Test(memory, nobody_lives_in_an_epoch_that_is_not_written)
{
    pair_world_fill(w, B, true);
    pair_world_usurp(w);
    pair_world_pass(w, 3000);
    cr_assert(!s_runs(B), "%s", pair_world_told(w));
    cr_assert(strstr(pair_world_told(w), "must end"), "%s", pair_world_told(w));
}

Test(memory, nobody_works_on_while_it_is_written_that_nothing_is_newer)
{
    pair_stop(pair_world_pair(w, B));
    pair_world_pass(w, 3000);
    cr_assert(!s_runs(B) && pair_world_memory(w, B)->exact);
    pair_world_fill(w, B, true);
    pair_world_start(w, B, NULL);
    pair_world_pass(w, 3000);
    cr_assert(!s_runs(B), "%s", pair_world_told(w));
}
