/* Recent: what is held of the newest batches, at its bounds and against a plain array. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/base/limits.h"
#include "ha/recent.h"
#include "tests/unit/random.h"

enum { MOST = 4 * LIMIT_RECENT_BATCHES };

static recent_t *s_recent;
static const id128_t s_root = {{7}};

static void s_open(void)
{
    s_recent = recent_new();
}

static void s_close(void)
{
    recent_destroy(&s_recent);
    cr_assert_null(s_recent);
    recent_destroy(&s_recent); /* of nothing */
}

TestSuite(recent, .init = s_open, .fini = s_close, .timeout = 120);

/* ---- A log: of each batch its last index and hash ---- */

static struct {
    uint64_t last[MOST];
    id128_t hash[MOST];
    size_t len;
} s_log;

static uint64_t s_end(void)
{
    return s_log.len ? s_log.last[s_log.len - 1] : 0;
}

static id128_t s_hash(size_t batches)
{
    return batches ? s_log.hash[batches - 1] : s_root;
}

/* The next batch of the log. */
static batch_t *s_next(uint64_t entries, text_t bytes)
{
    batch_t *batch =
        batch_new(1, s_end() + 1, s_end() + entries, s_hash(s_log.len), 1000, 2000, bytes);
    cr_assert_lt(s_log.len, MOST);
    s_log.last[s_log.len] = batch->last;
    s_log.hash[s_log.len++] = batch->hash;
    return batch;
}

static void s_add(size_t batches, uint64_t entries)
{
    for (size_t i = 0; i < batches; i++)
        recent_add(s_recent, s_next(entries, text_of("x")));
}

/* What is lost behind the first `kept` batches, up to the end of the first `to`. */
static recent_answer_t s_find(size_t kept, size_t to, recent_part_t *ret_part)
{
    return recent_find(s_recent, kept ? s_log.last[kept - 1] : 0, s_hash(kept), s_log.last[to - 1],
                       ret_part);
}

/* Exactly these batches are handed out. */
static void s_expect_held(size_t kept, size_t to)
{
    recent_part_t part;
    cr_assert_eq(s_find(kept, to, &part), RECENT_HELD, "%zu … %zu", kept, to);
    cr_assert_eq(part.len, to - kept);
    cr_assert(id_equal(part.hash, s_hash(kept)));
    for (size_t i = 0; i < part.len; i++) {
        const batch_t *batch = recent_at(s_recent, part.first + i);
        cr_assert_eq(batch->last, s_log.last[kept + i]);
        cr_assert(id_equal(batch->hash, s_log.hash[kept + i]));
    }
}

/* ---- Stories ---- */

Test(recent, holds_nothing_at_first)
{
    recent_part_t part;
    cr_assert_eq(recent_first(s_recent), 0);
    cr_assert_eq(recent_last(s_recent), 0);
    cr_assert_eq(recent_find(s_recent, 0, s_root, 1, &part), RECENT_TOO_LATE);
}

Test(recent, hands_out_any_part_between_two_ends)
{
    s_add(6, 3);
    cr_assert_eq(recent_first(s_recent), 1);
    cr_assert_eq(recent_last(s_recent), 18);
    for (size_t kept = 0; kept < 6; kept++)
        for (size_t to = kept + 1; to <= 6; to++)
            s_expect_held(kept, to);
}

Test(recent, says_which_end_is_missing)
{
    recent_part_t part;
    for (int i = 0; i < 2; i++) {
        batch_t *older = s_next(3, text_of("x"));
        batch_destroy(&older);
    }
    s_add(2, 3); /* 7 … 12 */
    cr_assert_eq(recent_first(s_recent), 7);
    cr_assert_eq(s_find(1, 4, &part), RECENT_TOO_LATE, "4 … 6 are not held");
    s_expect_held(2, 4); /* just enough */
    cr_assert_eq(recent_find(s_recent, 6, s_hash(2), 13, &part), RECENT_TOO_FEW);
    cr_assert_eq(recent_find(s_recent, 3, s_hash(1), 13, &part), RECENT_TOO_LATE, "both");
}

Test(recent, tells_another_log_by_its_hash)
{
    recent_part_t part;
    s_add(4, 3);
    cr_assert_eq(recent_find(s_recent, 6, (id128_t){{9}}, 12, &part), RECENT_DIVERGES);
    cr_assert(id_equal(part.hash, s_hash(2)), "what the pair has there");
    cr_assert_eq(part.len, 2);
    /* No batch of this log ends there; one does, but another one is to be the last. */
    cr_assert_eq(recent_find(s_recent, 5, s_hash(2), 12, &part), RECENT_DIVERGES);
    cr_assert(id_is_zero(part.hash));
    cr_assert_eq(recent_find(s_recent, 6, s_hash(2), 11, &part), RECENT_DIVERGES);
    cr_assert(id_equal(part.hash, s_hash(2)));
}

Test(recent, drops_what_it_holds_already)
{
    batch_t *copies[3];
    for (int i = 0; i < 3; i++) {
        batch_t *batch = s_next(2, text_of("x"));
        copies[i] = batch_new(batch->epoch, batch->first, batch->last, batch->previous,
                              batch->log_time, batch->wall_time, batch->entries);
        recent_add(s_recent, batch);
    }
    for (int i = 0; i < 3; i++)
        recent_add(s_recent, copies[i]); /* freed: the sanitizer would tell */
    cr_assert_eq(recent_first(s_recent), 1);
    s_expect_held(0, 3);
}

/* Not the next index; or the next index behind another hash. */
Test(recent, begins_anew_where_the_chain_breaks)
{
    recent_part_t part;
    s_add(3, 2);
    recent_add(s_recent, batch_new(1, 9, 10, s_hash(3), 1000, 2000, text_of("behind a gap")));
    cr_assert_eq(recent_first(s_recent), 9);
    cr_assert_eq(recent_last(s_recent), 10);
    recent_add(s_recent, batch_new(1, 11, 12, s_root, 1000, 2000, text_of("another log")));
    cr_assert_eq(recent_first(s_recent), 11);
    cr_assert_eq(recent_find(s_recent, 10, s_root, 12, &part), RECENT_HELD);
    /* Of an index that it held, but another batch: an end that was given up, and what came then. */
    recent_add(s_recent, batch_new(2, 11, 12, s_root, 1000, 2000, text_of("in its place")));
    cr_assert_eq(recent_first(s_recent), 11);
    cr_assert_eq(recent_find(s_recent, 10, s_root, 12, &part), RECENT_HELD);
    cr_assert_eq(part.len, 1);
    cr_assert_eq(recent_at(s_recent, part.first)->epoch, 2);
}

/* ---- Bounds ---- */

Test(recent, holds_so_many_batches_and_then_the_newest_of_them)
{
    recent_part_t part;
    s_add(LIMIT_RECENT_BATCHES, 2);
    cr_assert_eq(recent_first(s_recent), 1, "all of them fit");
    s_expect_held(0, LIMIT_RECENT_BATCHES);
    for (size_t more = 1; more <= 3; more++) {
        s_add(1, 2);
        cr_assert_eq(recent_first(s_recent), 2 * more + 1, "the oldest goes");
        cr_assert_eq(s_find(more - 1, s_log.len, &part), RECENT_TOO_LATE);
        s_expect_held(more, s_log.len);
    }
    s_add(2 * LIMIT_RECENT_BATCHES + 17, 1); /* round and round */
    s_expect_held(s_log.len - LIMIT_RECENT_BATCHES, s_log.len);
    cr_assert_eq(s_find(s_log.len - LIMIT_RECENT_BATCHES - 1, s_log.len, &part), RECENT_TOO_LATE);
    s_expect_held(s_log.len - 1, s_log.len);
}

/* Of entries alone, which is the least that a batch costs. */
static uint64_t s_bytes_held(void)
{
    uint64_t bytes = 0;
    size_t kept = 0;
    while (kept < s_log.len && (kept ? s_log.last[kept - 1] : 0) + 1 < recent_first(s_recent))
        kept++;
    recent_part_t part;
    cr_assert_eq(s_find(kept, s_log.len, &part), RECENT_HELD);
    for (size_t i = 0; i < part.len; i++)
        bytes += recent_at(s_recent, part.first + i)->entries.len;
    return bytes;
}

Test(recent, holds_no_more_memory_than_it_may)
{
    const size_t size = 1024 * 1024;
    char *bytes = calloc(1, LIMIT_BATCH);
    for (int i = 0; i < 100; i++) {
        recent_add(s_recent, s_next(1, (text_t){bytes, size}));
        cr_assert_leq(s_bytes_held(), LIMIT_RECENT);
    }
    cr_assert_geq(s_bytes_held(), LIMIT_RECENT / 2, "and makes use of it");
    cr_assert_eq(recent_last(s_recent), 100);
    /* The largest there is does not empty it. */
    recent_add(s_recent, s_next(1, (text_t){bytes, LIMIT_BATCH}));
    cr_assert_leq(s_bytes_held(), LIMIT_RECENT);
    cr_assert_leq(recent_first(s_recent), 100);
    /* And what is small afterwards counts as small. */
    s_add(1000, 1);
    cr_assert_leq(recent_first(s_recent), 101);
    cr_assert_leq(s_bytes_held(), LIMIT_RECENT);
    free(bytes);
}

/* ---- Against an array ---- */

/* Batches of one to three entries, some given twice, some chains broken; every question about ends
 * that are there, or not. `begun`: the batch of the log that the chain began anew with. */
static void s_compare(random_t *random, size_t begun)
{
    recent_part_t part;
    uint64_t before = begun ? s_log.last[begun - 1] : 0;
    cr_assert_eq(recent_first(s_recent), before + 1);
    cr_assert_eq(recent_last(s_recent), s_end());
    size_t kept = begun + random_below(random, (s_log.len - begun));
    size_t to = kept + 1 + random_below(random, (s_log.len - kept));
    s_expect_held(kept, to);
    if (begun)
        cr_assert_eq(s_find(random_below(random, begun), to, &part), RECENT_TOO_LATE);
    uint64_t from = kept ? s_log.last[kept - 1] : 0;
    cr_assert_eq(recent_find(s_recent, from, s_root, s_end() + 1, &part), RECENT_TOO_FEW);
    if (s_log.last[kept] > from + 1) /* within a batch */
        cr_assert_eq(recent_find(s_recent, from + 1, s_hash(kept), s_end(), &part),
                     RECENT_DIVERGES);
}

Test(recent, answers_as_an_array_does)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        random_t random = {seed};
        size_t begun = 0;
        s_log.len = 0;
        recent_destroy(&s_recent);
        s_recent = recent_new();
        for (int step = 0; step < 60; step++) {
            if (s_log.len && random_below(&random, 20) == 0) { /* one that it never hears of */
                batch_t *missed = s_next(1, text_of("y"));
                batch_destroy(&missed);
                begun = s_log.len;
            }
            s_add(1, 1 + random_below(&random, 3));
            s_compare(&random, begun);
        }
    }
}
