/* Remembered: the keys of completed interactions, by age and by number, in a queue of chunks whose
 * positions go past 2^31. */
#include <criterion/criterion.h>

#include "core/base/alloc.h"
#include "core/state_internal.h"
#include "tests/unit/random.h"

enum { CHUNK = 4096, FORGET_AT_ONCE = 2000 }; /* as in core/remembered.c */

static void s_configure(state_t *state, uint64_t window_ms, uint64_t guaranteed_ms, uint32_t keys)
{
    Ixn__V1__EngineConfiguration configuration = IXN__V1__ENGINE_CONFIGURATION__INIT;
    configuration.dedupe_window_ms = window_ms;
    configuration.dedupe_guaranteed_ms = guaranteed_ms;
    configuration.dedupe_max_keys = keys;
    state_set_configuration(state, &configuration);
}

/* The completion of number `number`; ids and keys follow from it. */
static remembered_t s_entry(uint64_t number, usec_t at)
{
    random_t random = {number * 2 + 1};
    return (remembered_t){.id = random_id(&random),
                          .key_hash = random_id(&random),
                          .fingerprint = number,
                          .completed_log = at};
}

static void s_add(state_t *state, uint64_t number, usec_t at)
{
    remembered_t entry = s_entry(number, at);
    remembered_add(&state->remembered, &entry);
}

static bool s_is_there(const state_t *state, uint64_t number)
{
    remembered_t entry = s_entry(number, 0);
    const remembered_t *by_id = state_remembered(state, &entry.id);
    const remembered_t *by_key = state_remembered_by_key(state, &entry.key_hash);
    cr_assert_eq(by_id, by_key, "number %d", (int)number);
    cr_assert(!by_id || by_id->fingerprint == number);
    return by_id;
}

/* Exactly first … last - 1 of 0 … end - 1 are there. */
static void s_assert_range(const state_t *state, uint64_t first, uint64_t last, uint64_t end)
{
    cr_assert_eq(state->remembered.len, last - first);
    cr_assert_eq(index_count(state->remembered.by_id), last - first);
    cr_assert_eq(index_count(state->remembered.by_key), last - first);
    for (uint64_t i = 0; i < end; i++)
        cr_assert_eq(s_is_there(state, i), i >= first && i < last, "number %d", (int)i);
}

static void s_at(state_t *state, usec_t log_time)
{
    state_begin_batch(state, 1, log_time, 0);
}

Test(remembered, forgets_in_order_beyond_the_window)
{
    state_t *state = state_new();
    s_configure(state, 1000, 10, 1000000);
    for (uint64_t i = 0; i < 100; i++)
        s_add(state, i, (usec_t)i * 10000);
    s_at(state, 1000000);
    s_assert_range(state, 0, 100, 100);
    s_at(state, 1000001);
    s_assert_range(state, 1, 100, 100);
    s_at(state, 1500000);
    s_assert_range(state, 50, 100, 100);
    s_at(state, 9000000);
    s_assert_range(state, 100, 100, 100);
    s_add(state, 100, 9000000);
    s_assert_range(state, 100, 101, 101);
    state_destroy(&state);
}

Test(remembered, forgets_a_bounded_number_a_batch)
{
    state_t *state = state_new();
    s_configure(state, 1, 1, 1000000);
    for (uint64_t i = 0; i < FORGET_AT_ONCE + 5; i++)
        s_add(state, i, 0);
    s_at(state, 5000000);
    cr_assert_eq(state->remembered.len, 5u);
    s_at(state, 5000000);
    cr_assert_eq(state->remembered.len, 0u);
    state_destroy(&state);
}

/* Over the bound the oldest go, but never inside the guaranteed window; then the reach is what
 * submits are refused by. */
Test(remembered, is_bounded_outside_the_guaranteed_window)
{
    state_t *state = state_new();
    s_configure(state, 100000, 1000, 10);
    for (uint64_t i = 0; i < 30; i++)
        s_add(state, i, (usec_t)i * 100000);
    s_at(state, 2900000); /* 0 … 18 are older than a second */
    s_assert_range(state, 19, 30, 30);
    cr_assert_eq(state_dedupe_reach(state), 1000000);
    s_at(state, 3000001);
    s_assert_range(state, 20, 30, 30);
    cr_assert_eq(state_dedupe_reach(state), 1000001);
    s_at(state, 90000000);
    s_assert_range(state, 20, 30, 30);
    s_add(state, 30, 90000000);
    s_at(state, 90000000);
    s_assert_range(state, 21, 31, 31);
    state_destroy(&state);
}

Test(remembered, reaches_for_ever_below_the_bound)
{
    state_t *state = state_new();
    cr_assert_eq(state_dedupe_reach(state), USEC_NEVER, "an empty memory of no keys at all");
    s_configure(state, 100000, 1000, 2);
    s_add(state, 0, 0);
    s_at(state, 50);
    cr_assert_eq(state_dedupe_reach(state), USEC_NEVER);
    s_add(state, 1, 0);
    cr_assert_eq(state_dedupe_reach(state), 50);
    state_destroy(&state);
}

static size_t s_chunks(const state_t *state)
{
    size_t chunks = 0;
    for (size_t i = 0; i < state->remembered.chunks_capacity; i++)
        chunks += state->remembered.chunks[i] != NULL;
    return chunks;
}

/* A long run of additions and expiries from a given position on: chunks come and go. */
static void s_run(uint64_t first_position)
{
    state_t *state = state_new();
    s_configure(state, 1000, 10, 1000000);
    state->remembered.first = first_position;
    random_t random = {first_position + 1};
    uint64_t first = 0, last = 0;
    while (last < 30 * CHUNK) {
        size_t some = random_below(&random, CHUNK / 2);
        for (size_t i = 0; i < some; i++, last++)
            s_add(state, last, (usec_t)last * 1000); /* one a millisecond: 1,000 fit the window */
        size_t kept = 1 + random_below(&random, 3 * CHUNK);
        s_at(state, (usec_t)(last + 1000) * 1000 - (usec_t)kept * 1000);
        size_t should = last - first > kept ? last - first - kept : 0;
        first += should < FORGET_AT_ONCE ? should : FORGET_AT_ONCE;
        cr_assert_eq(state->remembered.len, last - first);
        cr_assert_leq(s_chunks(state), state->remembered.len / CHUNK + 2);
        if (first > 0)
            cr_assert_not(s_is_there(state, first - 1));
        if (first < last) {
            cr_assert(s_is_there(state, first));
            cr_assert(s_is_there(state, last - 1));
            cr_assert(s_is_there(state, first + random_below(&random, (size_t)(last - first))));
        }
    }
    s_assert_range(state, first, last, last);
    cr_assert_eq(state->remembered.first, first_position + first);
    state_destroy(&state);
}

Test(remembered, uses_chunks_again)
{
    s_run(0);
    s_run(CHUNK - 1);
}

Test(remembered, positions_go_past_2_to_the_31)
{
    s_run((UINT64_C(1) << 31) - 15 * CHUNK - 7);
    s_run((UINT64_C(1) << 31) - 1);
    s_run((UINT64_C(1) << 32) - 3 * CHUNK);
    s_run((UINT64_C(5) << 31) - 100);
}

/* The table of chunks doubles while it is full and begins in its middle. */
Test(remembered, grows_from_any_position)
{
    static const uint64_t positions[] = {0, 5 * CHUNK + 3, (UINT64_C(1) << 31) - 9 * CHUNK - 1};
    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++) {
        state_t *state = state_new();
        s_configure(state, 1000, 10, 1000000);
        state->remembered.first = positions[i];
        for (uint64_t number = 0; number < 40 * CHUNK; number++)
            s_add(state, number, 0);
        cr_assert_geq(state->remembered.chunks_capacity, 64u);
        s_assert_range(state, 0, 40 * CHUNK, 40 * CHUNK);
        state_destroy(&state);
    }
}

/* A key that the bound made forgotten may be used again, and after a restart both of its
 * completions come back from the history. The younger one answers, and forgetting the older one
 * does not forget the younger. */
Test(remembered, a_key_that_was_used_twice_answers_for_the_younger)
{
    state_t *state = state_new();
    s_configure(state, 1000, 10, 1000000);
    remembered_t older = s_entry(1, 0), younger = s_entry(2, 500000), last = s_entry(3, 900000);
    younger.key_hash = older.key_hash;
    remembered_add(&state->remembered, &older);
    remembered_add(&state->remembered, &younger);
    remembered_add(&state->remembered, &last);
    cr_assert_eq(state_remembered_by_key(state, &older.key_hash)->fingerprint, 2u);
    cr_assert_eq(state_remembered(state, &older.id)->fingerprint, 1u);
    s_at(state, 1200000);
    cr_assert_eq(state->remembered.len, 2u);
    cr_assert_null(state_remembered(state, &older.id));
    cr_assert_not_null(state_remembered_by_key(state, &older.key_hash));
    cr_assert_eq(state_remembered_by_key(state, &older.key_hash)->fingerprint, 2u);
    s_at(state, 1800000);
    cr_assert_eq(state->remembered.len, 1u);
    cr_assert_null(state_remembered_by_key(state, &older.key_hash));
    s_at(state, 9000000);
    cr_assert_eq(index_count(state->remembered.by_key), 0u);
    state_destroy(&state);
}

Test(remembered, takes_the_newest_three_changes)
{
    symbol_table_t *symbols = symbol_table_new();
    journey_t *journey = NULL;
    for (uint64_t i = 1; i <= 9; i++) {
        step_t step = {.kind = STEP_CHANGED, .change = i % 2 ? i : 0, .version = (uint32_t)i + 1};
        journey_append(&journey, symbols, &step);
    }
    remembered_t entry = {0};
    remembered_changes(&entry, journey);
    for (uint64_t i = 0; i < 3; i++) {
        cr_assert_eq(entry.changes[i], 9 - 2 * i);
        cr_assert_eq(entry.versions[i], 10 - 2 * i);
    }
    remembered_t none = {0};
    remembered_changes(&none, NULL);
    cr_assert_eq(none.changes[0], 0u);
    journey_destroy(&journey, symbols);
    symbol_table_destroy(&symbols);
}
