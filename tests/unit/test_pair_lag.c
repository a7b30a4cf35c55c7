/* How many bytes of log lie behind a place: counted, thinned, and told by both nodes of a pair. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "ha/marks.h"
#include "tests/unit/pair_world.h"

static marks_t s_marks;

static uint64_t s_after(uint64_t index)
{
    uint64_t bytes = 0;
    cr_assert(marks_bytes_after(&s_marks, index, &bytes), "nothing is known after %d", (int)index);
    return bytes;
}

Test(marks, what_went_by_is_counted)
{
    uint64_t bytes;
    cr_assert_not(marks_bytes_after(&s_marks, 5, &bytes));
    marks_add(&s_marks, 11, 13, 300);
    marks_add(&s_marks, 14, 14, 50);
    cr_assert_eq(s_after(10), 350);
    cr_assert_eq(s_after(13), 50);
    cr_assert_eq(s_after(14), 0);
    cr_assert_eq(s_after(99), 0, "it is further than this node knows");
    cr_assert_eq(s_after(12), 150, "within a batch it is an estimate");
    cr_assert_not(marks_bytes_after(&s_marks, 9, &bytes), "that far back nothing is known");
    marks_add(&s_marks, 20, 21, 7);
    cr_assert_not(marks_bytes_after(&s_marks, 14, &bytes), "after a gap they begin anew");
    cr_assert_eq(s_after(19), 7);
}

Test(marks, a_long_log_has_room_and_its_end_is_exact)
{
    enum { BATCHES = 300000, BYTES = 100 };
    for (uint64_t i = 1; i <= BATCHES; i++)
        marks_add(&s_marks, i, i, BYTES);
    for (uint64_t back = 0; back < MARKS_LEN / 4; back++)
        cr_assert_eq(s_after(BATCHES - back), back * BYTES);
    for (uint64_t back = 0; back <= BATCHES; back += 1009) {
        const int64_t wrong = (int64_t)s_after(BATCHES - back) - (int64_t)(back * BYTES);
        cr_assert(llabs(wrong) <= BYTES, "%lld bytes off", (long long)wrong);
    }
}

Test(marks, both_nodes_of_a_pair_tell_how_far_the_backup_is_behind)
{
    pair_world_t *w = pair_world_new();
    cr_assert(pair_world_settle(w));
    pair_world_pass(w, 300);
    cr_assert_geq(pair_world_lag_bytes(w, B), 0);
    pair_world_freeze(w, B, true);
    pair_world_pass(w, 300);
    const int64_t first = pair_world_lag_bytes(w, A);
    pair_world_pass(w, 300);
    const int64_t second = pair_world_lag_bytes(w, A);
    cr_assert(first > 0 && second > first, "frozen, %lld and then %lld bytes behind",
              (long long)first, (long long)second);
    pair_world_freeze(w, B, false);
    pair_world_pass(w, 300);
    const int64_t own = pair_world_lag_bytes(w, B);
    cr_assert(own >= 0 && own < first, "%lld bytes behind", (long long)own);
    pair_world_cut(w, true);
    pair_world_pass(w, 100);
    cr_assert_eq(pair_world_lag_bytes(w, A), -1, "without a link nobody knows");
    pair_world_free(&w);
}
