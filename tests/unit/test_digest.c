/* Digest: the same for the same interactions, however the state came to them; another one when
 * anything differs that decides what becomes of one. (tests/unit/test_state_load.c compares it for
 * loaded and applied states, over many logs.) */
#include "tests/unit/state_driver.h"

/* A state with these rows and the catalog of another state (NULL: none) as of that index; rows are
 * loaded in either order. */
static uint64_t s_of(state_t *from, kept_row_t **rows, size_t len, uint64_t index, bool backwards)
{
    state_t *state = state_new();
    error_t error = {0};
    cr_assert(state_load_checkpoint(state, index, (id128_t){{1}}, 1));
    arena_t arena = {0};
    size_t catalog_len = 0;
    const catalog_row_t *catalog = from ? catalog_collect(from, 0, &arena, &catalog_len) : NULL;
    for (size_t i = 0; i < catalog_len; i++)
        cr_assert(catalog[i].gone || state_load_catalog(state, &catalog[i], &error), "%s",
                  error.text);
    arena_free(&arena);
    for (size_t i = 0; i < len; i++)
        cr_assert(state_load_interaction(state, &rows[backwards ? len - 1 - i : i]->row, &error),
                  "%s", error.text);
    uint64_t digest = state_digest(state);
    state_destroy(&state);
    return digest;
}

/* Rows of a random state of that index. The caller clears the table and frees the list. */
static kept_row_t **s_rows(driver_t *driver, kept_row_t **ret_table, size_t *ret_len)
{
    *ret_table = table_of(driver->state);
    kept_row_t **rows = memory_zero(HASH_COUNT(*ret_table), sizeof *rows);
    kept_row_t *kept, *next;
    *ret_len = 0;
    HASH_ITER(hh, *ret_table, kept, next)
    {
        rows[(*ret_len)++] = kept;
    }
    return rows;
}

Test(digest, is_kept_up_to_date_and_knows_no_order)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        driver_t *driver = driver_new(seed);
        driver->plain = true;
        for (size_t i = 0; i < 60; i++)
            driver_batch(driver, random_below(&driver->random, 60));
        kept_row_t *table;
        size_t len;
        kept_row_t **rows = s_rows(driver, &table, &len);
        uint64_t digest = state_digest(driver->state);
        cr_assert_eq(s_of(driver->state, rows, len, driver->state->index, false), digest);
        cr_assert_eq(s_of(driver->state, rows, len, driver->state->index, true), digest);
        cr_assert_neq(s_of(driver->state, rows, len - 1, driver->state->index, false), digest);
        cr_assert_neq(s_of(driver->state, rows, len, driver->state->index + 1, false), digest);
        free(rows);
        table_clear(&table);
        driver_free(driver);
    }
}

/* An entry that does not fit changes nothing. */
Test(digest, stays_when_an_entry_is_refused)
{
    driver_t *driver = driver_new(5);
    error_t error = {0};
    for (size_t i = 0; i < 20; i++)
        driver_batch(driver, 20);
    uint64_t digest = state_digest(driver->state);
    Ixn__V1__Dispatched body = IXN__V1__DISPATCHED__INIT;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    body.interaction_id = wire_bytes(&driver->live[0]);
    body.router = "";
    body.strategy = "";
    entry.body_case = IXN__V1__ENTRY__BODY_DISPATCHED;
    entry.dispatched = &body;
    cr_assert_not(state_apply(driver->state, &entry, &error));
    cr_assert_eq(state_digest(driver->state), digest);
    driver_free(driver);
}

/* One of each state, with something in every field. */
static interaction_row_t s_row(interaction_state_t state)
{
    interaction_row_t row = {
        .id = {{1, 2, 3}},
        .state = state,
        .tenant = TEXT("t"),
        .queue = TEXT("q"),
        .key = TEXT("k"),
        .attributes = TEXT("{}"),
        .journey = TEXT("[{\"at\":\"2026-01-31T12:00:00.000000Z\",\"step\":\"dispatched\"}]"),
        .priority = 3,
        .version = 4,
        .age = 5,
        .attempts = 6,
        .losses = 7,
        .deadline = USEC_NEVER,
    };
    if (state != INTERACTION_ROUTING)
        return row;
    row.router = TEXT("r");
    row.strategy = TEXT("s");
    row.token_epoch = 8;
    row.token_index = 9;
    row.deadline = 10;
    return row;
}

static uint64_t s_of_one(interaction_row_t row)
{
    kept_row_t *kept = row_keep(&row);
    uint64_t digest = s_of(NULL, &kept, 1, 100, false);
    free(kept);
    return digest;
}

Test(digest, shows_every_difference)
{
    const interaction_row_t queued = s_row(INTERACTION_QUEUED);
    const interaction_row_t routing = s_row(INTERACTION_ROUTING);
    uint64_t digests[40];
    size_t len = 0;
    digests[len++] = s_of_one(queued);
    digests[len++] = s_of_one(routing);
    digests[len++] = s_of_one(s_row(INTERACTION_QUARANTINED));
#define WITH(base, ...)                                                                            \
    do {                                                                                           \
        interaction_row_t row = base;                                                              \
        __VA_ARGS__;                                                                               \
        digests[len++] = s_of_one(row);                                                            \
    } while (0)
    WITH(queued, row.id.bytes[15] = 1);
    WITH(queued, row.tenant = TEXT("q"), row.queue = TEXT("t"));
    WITH(queued, row.tenant = TEXT("u"));
    WITH(queued, row.queue = TEXT("p"));
    WITH(queued, row.priority = -3);
    WITH(queued, row.version = 5);
    WITH(queued, row.age = 6);
    WITH(queued, row.attempts = 7, row.losses = 6);
    WITH(queued, row.attempts = 7);
    WITH(queued, row.losses = 8);
    WITH(queued, row.held = true, row.deadline = 10);
    WITH(queued, row.held = true, row.deadline = 11);
    WITH(routing, row.router = TEXT("s"));
    WITH(routing, row.token_epoch = 9);
    WITH(routing, row.token_index = 10);
    WITH(routing, row.deadline = 11);
#undef WITH
    for (size_t i = 0; i < len; i++)
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(digests[i], digests[j], "variants %zu and %zu look the same", j, i);
    /* What does not decide anything is not in it. */
    interaction_row_t row = queued;
    row.attributes = TEXT("{\"a\": 1}");
    row.moved_at = 99;
    cr_assert_eq(s_of_one(row), digests[0]);
}
