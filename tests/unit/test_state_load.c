/* Load: the tables of an image, loaded into a new state, and the batches after it make the state
 * that was; what does not fit is refused. */
#include "tests/unit/state_driver.h"

/* The trees of the state, to be walked in their order. */
static int s_compare_line(const interaction_t *a, const interaction_t *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    return a->age < b->age ? -1 : a->age > b->age;
}

static int s_compare_deadline(const interaction_t *a, const interaction_t *b)
{
    if (a->deadline != b->deadline)
        return a->deadline < b->deadline ? -1 : 1;
    return a->handle < b->handle ? -1 : a->handle > b->handle;
}

RB_GENERATE_INTERNAL(line, interaction, line, s_compare_line, static __attribute__((unused)))
RB_GENERATE_INTERNAL(deadlines, interaction, line, s_compare_deadline,
                     static __attribute__((unused)))

/* ---- Are two states equal? ---- */

static void s_same_queue(const state_t *a, queue_t *x, const state_t *b)
{
    uint16_t tenant;
    cr_assert(state_tenant(b, text_of(a->tenants[x->tenant]), &tenant));
    queue_t *y = state_queue(b, tenant, text_of(x->name));
    if (!y) { /* a table has no row of an empty queue that is not configured */
        cr_assert(!x->configured && x->length == 0);
        return;
    }
    cr_assert_eq(x->configured, y->configured);
    cr_assert_eq(x->max_length, y->max_length);
    cr_assert_eq(x->length, y->length);
    cr_assert_str_eq(x->strategy, y->strategy);
    interaction_t *i = RB_MIN(line, &x->line), *j = RB_MIN(line, &y->line);
    for (; i && j; i = RB_NEXT(line, &x->line, i), j = RB_NEXT(line, &y->line, j))
        cr_assert(id_equal(i->id, j->id), "another order in queue %s", x->name);
    cr_assert(!i && !j, "queue %s has another line", x->name);
}

/* Those with the same deadline may come in any order. */
static void s_same_deadlines(state_t *a, state_t *b)
{
    const interaction_t *before = NULL;
    size_t len = 0, other = 0;
    interaction_t *i;
    RB_FOREACH(i, deadlines, &a->deadlines)
    {
        const interaction_t *j = state_find(b, &i->id);
        cr_assert(j && j->deadline == i->deadline && i->deadline != USEC_NEVER);
        cr_assert(!before || before->deadline <= i->deadline);
        before = i;
        len++;
    }
    RB_FOREACH(i, deadlines, &b->deadlines)
    {
        other++;
    }
    cr_assert_eq(len, other);
    const interaction_t *first = state_next_deadline(a), *second = state_next_deadline(b);
    cr_assert((!first && !second) || first->deadline == second->deadline);
}

static void s_same_router(const state_router_t *x, state_t *b)
{
    uint32_t pending = 0;
    const interaction_t *i;
    LIST_FOREACH(i, &x->interactions, more->with_router)
    {
        const interaction_t *j = state_find(b, &i->id);
        cr_assert(j && j->state == INTERACTION_ROUTING);
        cr_assert_str_eq(b->routers[j->more->router]->name, x->name);
        pending++;
    }
    cr_assert_eq(pending, x->pending);
    cr_assert_eq(state_router(b, text_of(x->name))->pending, x->pending, "router %s", x->name);
}

static void s_same_remembered(const state_t *a, const state_t *b)
{
    cr_assert_eq(a->remembered.len, b->remembered.len, "%zu keys, %zu keys", a->remembered.len,
                 b->remembered.len);
    usec_t before = 0;
    for (size_t i = 0; i < a->remembered.len; i++) {
        uint64_t position = a->remembered.first + i;
        const remembered_t *x =
            &a->remembered
                 .chunks[position / 4096 & (a->remembered.chunks_capacity - 1)][position % 4096];
        cr_assert_geq(x->completed_log, before, "not in the order of completion");
        before = x->completed_log;
        const remembered_t *y = state_remembered(b, &x->id);
        cr_assert(y && y == state_remembered_by_key(b, &x->key_hash));
        cr_assert(id_equal(x->key_hash, y->key_hash));
        cr_assert_eq(x->fingerprint, y->fingerprint);
        cr_assert_eq(x->completed_log, y->completed_log);
        cr_assert_eq(x->completed_at, y->completed_at);
        cr_assert_eq(memcmp(x->changes, y->changes, sizeof x->changes), 0);
        cr_assert_eq(memcmp(x->versions, y->versions, sizeof x->versions), 0);
        cr_assert_str_eq(a->tenants[x->tenant], b->tenants[y->tenant]);
    }
}

static void s_same(state_t *a, state_t *b)
{
    cr_assert_eq(a->epoch, b->epoch);
    cr_assert_eq(a->index, b->index);
    cr_assert(id_equal(a->hash, b->hash));
    cr_assert_eq(a->log_time, b->log_time);
    cr_assert_eq(a->wall_time, b->wall_time);
    cr_assert_eq(a->count, b->count);
    cr_assert_eq(state_digest(a), state_digest(b), "the digests differ");
    kept_row_t *x = table_of(a), *y = table_of(b);
    table_assert_equal(y, x);
    kept_row_t *kept, *next;
    HASH_ITER(hh, x, kept, next)
    {
        id128_t key = key_hash_of(kept->row.tenant, kept->row.key);
        cr_assert(id_equal(state_find_by_key(a, &key)->id, kept->row.id));
        cr_assert(id_equal(state_find_by_key(b, &key)->id, kept->row.id));
    }
    table_clear(&x);
    table_clear(&y);
    for (size_t i = 0; i < a->queues_len; i++)
        s_same_queue(a, a->queues[i], b);
    for (size_t i = 0; i < b->queues_len; i++)
        s_same_queue(b, b->queues[i], a);
    s_same_deadlines(a, b);
    for (size_t i = 0; i < a->routers_len; i++)
        s_same_router(a->routers[i], b);
    s_same_remembered(a, b);
    s_same_remembered(b, a);
}

/* ---- Loading ---- */

static void s_write_if_done(tables_t *database, checkpoint_image_t *image)
{
    if (!image)
        return;
    tables_write(database, image, true);
    checkpoint_image_destroy(&image);
}

/* Batches and images; again and again the node "restarts" from the tables and goes on. */
static void s_run(uint64_t seed, uint32_t window_ms)
{
    driver_t *driver = driver_new(seed);
    driver->aim = 30 + seed * 20;
    driver->window_ms = window_ms;
    driver_begin(driver);
    driver_configure(driver);
    driver_end(driver);
    tables_t database = {0};
    size_t loads = 0;
    for (size_t i = 0; i < 500; i++) {
        driver_batch(driver, random_below(&driver->random, 60));
        if (state_image_in_work(driver->state))
            s_write_if_done(&database,
                            state_image_step(driver->state, random_below(&driver->random, 50)));
        else if (driver_chance(driver, 20) && state_image_needed(driver->state))
            state_image_begin(driver->state);
        if (!driver_chance(driver, 5) || database.configuration.len == 0)
            continue;
        state_t *loaded = tables_load(&database, driver);
        s_same(driver->state, loaded);
        loads++;
        if (driver_chance(driver, 50)) {
            state_destroy(&driver->state);
            driver->state = loaded;
        } else {
            state_destroy(&loaded);
        }
    }
    cr_assert_gt(loads, 5u);
    driver_free(driver);
    tables_free(&database);
}

Test(load, tables_and_batches_make_the_state_that_was)
{
    for (uint64_t seed = 1; seed <= 8; seed++)
        s_run(seed, 3600 * 1000);
}

Test(load, remembers_what_is_inside_the_window)
{
    for (uint64_t seed = 21; seed <= 28; seed++)
        s_run(seed, 5000);
}

Test(load, journal_alone_makes_the_state_that_was)
{
    driver_t *driver = driver_new(77);
    for (int i = 0; i < 100; i++)
        driver_batch(driver, 30);
    tables_t empty = {0};
    state_t *state = state_new();
    wire_arena_t *arena = wire_arena_new();
    error_t error;
    for (size_t i = 0; i < driver->batches_len; i++)
        cr_assert(state_apply_batch(state, driver->batches[i], arena, NULL, &error), "%s",
                  error.text);
    s_same(driver->state, state);
    /* A batch twice, or one that does not follow, is refused. */
    cr_assert_not(state_apply_batch(state, driver->batches[0], arena, NULL, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_DIVERGED);
    cr_assert_not(
        state_apply_batch(state, driver->batches[driver->batches_len - 1], arena, NULL, &error));
    s_same(driver->state, state);
    wire_arena_destroy(&arena);
    state_destroy(&state);
    tables_free(&empty);
    driver_free(driver);
}

/* ---- Rows that do not fit ---- */

static interaction_row_t s_good_row(void)
{
    return (interaction_row_t){.id = {{200, 2, 3}},
                               .state = INTERACTION_ROUTING,
                               .tenant = TEXT("default"),
                               .queue = TEXT("inbox"),
                               .media_type = TEXT("email"),
                               .submitted_by = TEXT("mail"),
                               .key = TEXT("k1"),
                               .attributes = TEXT("{\"a\": 1}"),
                               .journey = TEXT("[]"),
                               .router = TEXT("r1"),
                               .strategy = TEXT("s1"),
                               .version = 3,
                               .age = 8,
                               .token_epoch = 1,
                               .token_index = 9,
                               .attempts = 1,
                               .losses = 2,
                               .deadline = 500};
}

static state_t *s_at_index_10(void)
{
    state_t *state = state_new();
    cr_assert(state_load_checkpoint(state, 10, (id128_t){{9}}, 100));
    return state;
}

static interaction_row_t s_queued_row(uint8_t number)
{
    interaction_row_t row = s_good_row();
    row.age = 6;
    row.id.bytes[0] = number;
    row.state = INTERACTION_QUEUED;
    row.router = row.strategy = TEXT("");
    row.token_epoch = row.token_index = 0;
    row.deadline = USEC_NEVER;
    static char keys[256][2];
    keys[number][0] = (char)('a' + number);
    row.key = (text_t){keys[number], 1};
    return row;
}

static void s_refuses(state_t *state, const interaction_row_t *row, const char *why)
{
    error_t error = {0};
    kept_row_t *before = table_of(state);
    size_t texts = state->text_bytes;
    cr_assert_not(state_load_interaction(state, row, &error), "%s was loaded", why);
    cr_assert_eq(error.code, ERROR_DATABASE_DIVERGED, "%s: %s", why, error.text);
    kept_row_t *after = table_of(state);
    table_assert_equal(after, before);
    cr_assert_eq(state->text_bytes, texts);
    table_clear(&before);
    table_clear(&after);
}

Test(load, a_row_with_everything)
{
    state_t *state = s_at_index_10();
    error_t error;
    interaction_row_t row = s_good_row();
    cr_assert(state_load_interaction(state, &row, &error), "%s", error.text);
    kept_row_t *table = table_of(state);
    row_assert_equal(&table->row, &row);
    table_clear(&table);
    cr_assert_not(state_load_checkpoint(state, 11, (id128_t){{9}}, 100));
    state_destroy(&state);
}

Test(load, refuses_rows_that_do_not_fit)
{
    state_t *state = s_at_index_10();
    error_t error;
    interaction_row_t row = s_queued_row(1);
    cr_assert(state_load_interaction(state, &row, &error), "%s", error.text);
    s_refuses(state, &row, "an id that is there");
    row = s_good_row();
    row.key = TEXT("b");
    s_refuses(state, &row, "a key that is there");
    row = s_queued_row(2);
    s_refuses(state, &row, "a place in line that is taken");
#define BAD(base, change, why)                                                                     \
    row = (base);                                                                                  \
    row.change;                                                                                    \
    s_refuses(state, &row, why)
    BAD(s_queued_row(3), age = 11, "a place in line that is not reached yet");
    BAD(s_queued_row(3), deadline = 5, "a queued one with a deadline");
    BAD(s_good_row(), state = INTERACTION_COMPLETED, "a completed one");
    BAD(s_good_row(), state = INTERACTION_INVITED, "a reserved state");
    BAD(s_good_row(), state = INTERACTION_HANDLING, "a reserved state");
    BAD(s_good_row(), state = (interaction_state_t)0, "no state");
    BAD(s_good_row(), state = INTERACTION_QUARANTINED, "a quarantined one with a deadline");
    BAD(s_good_row(), deadline = USEC_NEVER, "routing without a deadline");
    BAD(s_good_row(), held = true, "a held one with a router");
    BAD(s_good_row(), router = TEXT(""), "routing with nobody");
    BAD(s_good_row(), token_index = 11, "a token of the future");
    BAD(s_good_row(), attempts = 65536, "too many attempts");
    BAD(s_good_row(), losses = 65536, "too many losses");
    BAD(s_good_row(), journey = TEXT("[{\"step\": \"danced\"}]"), "an unknown step");
    BAD(s_good_row(), journey = TEXT("{\"a\": 1}"), "a journey that is none");
    static char wide[300];
    memset(wide, 'w', sizeof wide);
    BAD(s_good_row(), tenant = ((text_t){wide, 65}), "a tenant's name too long");
    BAD(s_good_row(), queue = ((text_t){wide, 65}), "a queue's name too long");
    BAD(s_good_row(), router = ((text_t){wide, 65}), "a router's name too long");
    BAD(s_good_row(), strategy = ((text_t){wide, 65}), "a strategy's name too long");
    BAD(s_good_row(), media_type = ((text_t){wide, 65}), "a media type too long");
    BAD(s_good_row(), external_id = ((text_t){wide, 256}), "an external id too long");
    BAD(s_good_row(), key = ((text_t){wide, 65}), "a key too long");
    BAD(s_good_row(), reason = ((text_t){wide, 256}), "a reason too long");
#undef BAD
    cr_assert_eq(state->count, 1u);
    row = s_good_row(); /* the same, good */
    cr_assert(state_load_interaction(state, &row, &error), "%s", error.text);
    state_destroy(&state);
}

Test(load, refuses_completed_ones_that_do_not_fit)
{
    state_t *state = s_at_index_10();
    error_t error = {0};
    interaction_row_t row = s_good_row();
    row.state = INTERACTION_COMPLETED;
    row.completed_log = 90;
    cr_assert(state_load_completed(state, &row, &error), "%s", error.text);
    cr_assert_not(state_load_completed(state, &row, &error), "it is remembered twice");
    cr_assert_eq(error.code, ERROR_DATABASE_DIVERGED);
    static char wide[65];
    memset(wide, 'w', sizeof wide);
    row.id.bytes[0] = 99;
    row.key = (text_t){wide, 65};
    cr_assert_not(state_load_completed(state, &row, &error));
    row.key = TEXT("x");
    row.journey = TEXT("[{}]");
    cr_assert_not(state_load_completed(state, &row, &error));
    cr_assert_eq(state->remembered.len, 1u);
    state_destroy(&state);
}

Test(load, refuses_a_configuration_that_is_none)
{
    state_t *state = state_new();
    error_t error = {0};
    cr_assert_not(state_load_configuration(state, TEXT("\xff\xff\xff"), &error));
    cr_assert_eq(error.code, ERROR_DATABASE_DIVERGED);
    Ixn__V1__EngineConfiguration configuration = IXN__V1__ENGINE_CONFIGURATION__INIT;
    configuration.hold_timeout_ms = UINT64_MAX;
    uint8_t packed[100];
    size_t len = ixn__v1__engine_configuration__pack(&configuration, packed);
    cr_assert_not(state_load_configuration(state, (text_t){(char *)packed, len}, &error),
                  "times that overflow");
    state_destroy(&state);
}

/* ---- Memory ---- */

static void s_submit_many(driver_t *driver, size_t many, size_t *payload)
{
    driver_begin(driver);
    while (driver->state->count < many) {
        Ixn__V1__Submitted body = IXN__V1__SUBMITTED__INIT;
        id128_t id = random_id(&driver->random), key = random_id(&driver->random);
        body.interaction_id = wire_bytes(&id);
        body.key = wire_bytes(&key);
        body.tenant = "default";
        body.queue = "inbox";
        body.media_type = "email";
        body.submitted_by = "mail-1";
        body.attributes = driver_attributes(driver);
        *payload +=
            body.attributes.len + sizeof key + strlen(body.media_type) + strlen(body.submitted_by);
        Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
        entry.body_case = IXN__V1__ENTRY__BODY_SUBMITTED;
        entry.submitted = &body;
        error_t error;
        cr_assert(state_apply(driver->state, &entry, &error), "%s", error.text);
    }
}

/* Bytes that one costs over its payload. */
static double s_print_memory(const state_t *state, size_t payload)
{
    state_memory_t memory = state_memory(state);
    double many = state->count;
    /* The allocator adds its word and rounds the texts' block up: 16 on the average. */
    double over = (double)(memory.records + memory.texts + memory.indexes - payload) / many + 16;
    cr_log_info(
        "%u queued: record %.1f, texts' head %zu, indexes %.1f, allocator 16: %.1f bytes "
        "each over the payload",
        state->count, (double)memory.records / many, sizeof(interaction_texts_t) + FIELDS,
        (double)memory.indexes / many, over);
    return over;
}

/* A queued interaction that nothing happened to yet: what it costs over what it carries. The
 * indexes cost most just after a growth, and more for a moment before and after it, while they have
 * two or three tables. */
Test(load, memory_of_a_queued_interaction)
{
    driver_t *driver = driver_new(8);
    size_t payload = 0;
    s_submit_many(driver, 98304 + 1000, &payload); /* 3/4 of 2^17: two tables */
    cr_assert_leq(s_print_memory(driver->state, payload), 260.0);
    s_submit_many(driver, 98304 + 131072 / 16 + 1000, &payload); /* one of 2^18 */
    cr_assert_leq(s_print_memory(driver->state, payload), 235.0);
    s_submit_many(driver, 188416 - 1000, &payload); /* nearly 23/32 of it */
    cr_assert_leq(s_print_memory(driver->state, payload), 215.0);
    s_submit_many(driver, 196608 - 1000, &payload); /* nearly 3/4: the next one is being cleared */
    cr_assert_leq(s_print_memory(driver->state, payload), 260.0);
    driver_end(driver);
    driver_free(driver);
}
