/* Replica: a backup's state and what it buffers, in stories and against a log that is an array. */
#include "ha/replica.h"
#include "tests/unit/state_driver.h"

static driver_t *s_log; /* the committed log: its batches */
static replica_t *s_replica;

static void s_open(void)
{
    s_log = driver_new(7);
    s_log->aim = 30;
    s_replica = replica_new();
    for (int i = 0; i < 10; i++)
        driver_batch(s_log, 3);
}

static void s_close(void)
{
    replica_destroy(&s_replica);
    driver_free(s_log);
}

TestSuite(replica, .init = s_open, .fini = s_close, .timeout = 300);

static const batch_t *s_batch(size_t at)
{
    cr_assert(at < s_log->batches_len);
    return s_log->batches[at];
}

static batch_t *s_copy(const batch_t *batch)
{
    return batch_new(batch->epoch, batch->first, batch->last, batch->previous, batch->log_time,
                     batch->wall_time, batch->entries);
}

static void s_stream(size_t at)
{
    replica_add(s_replica, s_copy(s_batch(at)));
}

static void s_journal(size_t at)
{
    replica_add_journal(s_replica, s_copy(s_batch(at)));
}

/* The state after the first `batches`. */
static void s_load(size_t batches)
{
    state_t *state = state_new();
    driver_replay(s_log, state, s_batch(batches - 1)->last + 1); /* it ends before */
    state_follow_begin(state);
    replica_load(s_replica, state);
}

static void s_step(void)
{
    error_t error = {0};
    cr_assert(replica_step(s_replica, SIZE_MAX / 2, &error), "%s", error.text);
}

/* Committed are the first `batches`, and the state is there after a step. */
static void s_expect(size_t batches)
{
    s_step();
    cr_assert_eq(replica_index(s_replica), s_batch(batches - 1)->last);
    cr_assert(id_equal(replica_state(s_replica)->hash, s_batch(batches - 1)->hash));
}

/* A batch that is not part of the log, behind `before`. */
static batch_t *s_tail(const batch_t *before, uint64_t epoch)
{
    return batch_new(epoch, before->last + 1, before->last + 2, before->hash, before->log_time + 1,
                     before->wall_time, text_of("a tail"));
}

Test(replica, applies_what_is_committed_and_no_more)
{
    s_load(2);
    for (size_t i = 2; i < 6; i++)
        s_stream(i);
    cr_assert(!replica_has_work(s_replica));
    s_expect(2);
    replica_committed(s_replica, s_batch(3)->last);
    cr_assert(replica_has_work(s_replica));
    s_expect(4);
    replica_committed(s_replica, s_batch(4)->last - 1); /* not all of it */
    s_expect(4);
    replica_committed(s_replica, s_batch(5)->last);
    s_expect(6);
    cr_assert_eq(replica_buffered_bytes(s_replica), 0);
    cr_assert(!replica_has_gap(s_replica));
}

Test(replica, a_gap_is_filled_from_the_journal)
{
    s_load(1);
    s_stream(1);
    s_stream(3); /* 2 was lost: what came before it is forgotten, the journal has it */
    s_stream(4);
    replica_committed(s_replica, s_batch(4)->last);
    s_expect(1);
    cr_assert(replica_has_gap(s_replica));
    s_journal(1);
    cr_assert(!replica_has_gap(s_replica));
    s_journal(2);
    s_expect(5);
}

Test(replica, repeats_change_nothing)
{
    s_load(1);
    for (size_t i = 1; i < 4; i++)
        s_stream(i);
    size_t bytes = replica_buffered_bytes(s_replica);
    s_stream(2);
    s_stream(1);
    s_stream(0);
    cr_assert_eq(replica_buffered_bytes(s_replica), bytes);
    replica_committed(s_replica, s_batch(3)->last);
    s_expect(4);
}

Test(replica, a_batch_of_an_epoch_that_is_over_comes_late)
{
    s_load(1);
    for (size_t i = 1; i < 3; i++)
        s_stream(i);
    replica_add(s_replica, s_tail(s_batch(1), s_batch(2)->epoch - 1));
    replica_committed(s_replica, s_batch(2)->last);
    s_expect(3);
}

Test(replica, an_uncommitted_tail_is_replaced_by_a_later_epoch)
{
    s_load(1);
    s_stream(1);
    replica_add(s_replica, s_tail(s_batch(1), s_batch(1)->epoch));
    const batch_t *next = s_batch(2);
    batch_t *later = batch_new(next->epoch + 1, next->first, next->last, next->previous,
                               next->log_time, next->wall_time, next->entries);
    id128_t hash = later->hash;
    replica_add(s_replica, later);
    replica_committed(s_replica, next->last);
    s_step();
    cr_assert_eq(replica_index(s_replica), next->last);
    cr_assert(id_equal(replica_state(s_replica)->hash, hash));
}

Test(replica, a_head_with_another_hash_empties_the_stream)
{
    s_load(1);
    s_stream(1);
    replica_add(s_replica, s_tail(s_batch(1), s_batch(1)->epoch));
    replica_head(s_replica, s_batch(1)->last + 2, s_batch(5)->hash);
    cr_assert_eq(replica_buffered_bytes(s_replica), 0);
    cr_assert(replica_has_gap(s_replica));
    s_expect(1);
}

Test(replica, a_head_inside_a_batch_empties_the_stream)
{
    s_load(1);
    s_stream(1);
    replica_head(s_replica, s_batch(1)->last - 1, s_batch(1)->hash);
    cr_assert_eq(replica_buffered_bytes(s_replica), 0);
}

Test(replica, a_head_that_was_read_before_says_nothing)
{
    s_load(4);
    s_stream(4);
    s_stream(5);
    replica_head(s_replica, s_batch(2)->last, s_batch(2)->hash);
    replica_head(s_replica, s_batch(4)->last, s_batch(4)->hash);
    s_expect(5);
    cr_assert(!replica_has_gap(s_replica));
    replica_committed(s_replica, s_batch(5)->last);
    s_expect(6);
}

Test(replica, a_stream_of_another_log_is_of_no_use)
{
    s_load(3);
    replica_add(s_replica, s_tail(s_batch(1), 99)); /* before the state */
    batch_t *other = s_tail(s_batch(2), 99);
    other->previous = s_batch(5)->hash; /* right behind, but of another chain */
    other->hash = batch_hash(other);
    replica_add(s_replica, other);
    cr_assert_eq(replica_buffered_bytes(s_replica), 0);
}

Test(replica, the_journal_and_the_stream_at_once)
{
    s_load(1);
    s_stream(3);
    replica_committed(s_replica, s_batch(4)->last);
    s_journal(1);
    s_stream(4);
    s_expect(2);
    cr_assert(replica_has_gap(s_replica));
    s_journal(2);
    s_journal(3); /* the stream has it too */
    s_expect(5);
}

Test(replica, the_stream_waits_for_the_state)
{
    for (size_t i = 4; i < 8; i++)
        s_stream(i);
    replica_committed(s_replica, s_batch(7)->last);
    cr_assert(!replica_has_gap(s_replica) && !replica_has_work(s_replica));
    s_step();
    s_load(5);
    s_expect(8);
    replica_unload(s_replica);
    cr_assert(!replica_is_loaded(s_replica));
    cr_assert_eq(replica_buffered_bytes(s_replica), 0);
    cr_assert_eq(replica_known(s_replica), 0);
}

Test(replica, what_does_not_fit_is_an_error)
{
    error_t error = {0};
    s_load(1);
    batch_t *tail = s_tail(s_batch(0), s_batch(0)->epoch);
    replica_committed(s_replica, tail->last);
    replica_add(s_replica, tail);
    cr_assert(!replica_step(s_replica, SIZE_MAX / 2, &error));
    cr_assert(error.text[0]);
    replica_unload(s_replica);
}

Test(replica, the_buffer_is_bounded_also_for_small_batches)
{
    const size_t most = (size_t)140 * 1024 * 1024;
    id128_t hash = s_batch(9)->hash;
    uint64_t index = s_batch(9)->last;
    for (int i = 0; i < 2000000; i++) {
        batch_t *batch = batch_new(1, index + 1, index + 1, hash, 1, 1, text_of(""));
        hash = batch->hash;
        index++;
        replica_add(s_replica, batch);
        cr_assert(replica_buffered_bytes(s_replica) < most);
    }
    cr_assert(replica_buffered_bytes(s_replica) < (size_t)2000000 * sizeof(batch_t));
}

/* The journal answers where it is asked. */
static void s_fill(size_t committed)
{
    for (size_t i = 0; replica_has_gap(s_replica) && i < committed; i++)
        if (s_batch(i)->first > replica_index(s_replica))
            for (; i < committed; i++)
                s_journal(i);
}

/* A stream that loses, repeats and mixes up; a journal that is asked where there is a gap; loads
 * and unloads. Whatever happens, the state is that of the log at its index, never beyond what is
 * committed, and in the end it is the log's. */
static void s_run(uint64_t seed)
{
    random_t random = {seed};
    s_log->random.state = seed * 1000003; /* ids never come twice */
    size_t committed = s_log->batches_len;
    for (int turn = 0; turn < 400; turn++) {
        if (!replica_is_loaded(s_replica) && random_below(&random, 4) == 0)
            s_load(random_below(&random, committed) + 1);
        driver_batch(s_log, 1 + random_below(&random, 4));
        size_t newest = s_log->batches_len - 1;
        if (random_below(&random, 100) < 85)
            s_stream(newest);
        if (random_below(&random, 100) < 15)
            s_stream(random_below(&random, newest + 1));
        if (random_below(&random, 100) < 70)
            committed = s_log->batches_len;
        const batch_t *head = s_batch(committed - 1 - random_below(&random, 3));
        if (random_below(&random, 100) < 30)
            replica_head(s_replica, head->last, head->hash);
        else
            replica_committed(s_replica, head->last);
        if (random_below(&random, 100) < 50)
            s_fill(committed);
        s_step();
        cr_assert(replica_index(s_replica) <= s_batch(committed - 1)->last);
        if (random_below(&random, 100) < 3)
            replica_unload(s_replica);
    }
    if (!replica_is_loaded(s_replica))
        s_load(1);
    replica_committed(s_replica, s_batch(s_log->batches_len - 1)->last);
    s_step(); /* what the stream has; behind it there may be a gap */
    s_fill(s_log->batches_len);
    s_expect(s_log->batches_len);
    cr_assert_eq(state_digest(replica_state(s_replica)), state_digest(s_log->state));
}

Test(replica, is_the_log_in_the_end)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        s_run(seed);
        s_close();
        s_open();
    }
}
