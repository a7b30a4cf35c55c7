/* Loading the state: what was written comes back, and a journal that is damaged does not. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>

#include "tests/database/pair_fixture.h"

static pair_t s_pair;

static void s_init(void)
{
    pair_init(&s_pair);
}

static void s_free(void)
{
    pair_free(&s_pair);
}

TestSuite(load, .init = s_init, .fini = s_free, .timeout = 300);

/* What the callbacks saw; the first rows are kept, with texts that live as long. */
typedef struct {
    char order[64]; /* one letter a kind of callback, without repetitions */
    uint64_t checkpoint;
    id128_t hash;
    usec_t log_time;
    uint64_t interactions;
    uint64_t completed;
    uint64_t batches;
    uint64_t last;
    usec_t completed_log;
    usec_t window;         /* asked for */
    interaction_row_t row; /* the last interaction or completed one */
    char texts[13][64];
    char configuration[16];
    int refuse_after; /* batches; 0: none */
} seen_t;

static void s_note(seen_t *self, char kind)
{
    size_t len = strlen(self->order);
    if (len == 0 || self->order[len - 1] != kind)
        self->order[len] = kind;
}

static bool s_on_checkpoint(void *context, uint64_t index, id128_t hash, usec_t log_time,
                            error_t *ret_error)
{
    seen_t *self = context;
    (void)ret_error;
    s_note(self, 'p');
    self->checkpoint = index;
    self->hash = hash;
    self->log_time = log_time;
    return true;
}

static bool s_on_configuration(void *context, text_t encoded, error_t *ret_error)
{
    seen_t *self = context;
    (void)ret_error;
    s_note(self, 'c');
    snprintf(self->configuration, sizeof self->configuration, "%.*s", (int)encoded.len,
             encoded.data);
    return true;
}

static void s_keep(seen_t *self, const interaction_row_t *row)
{
    self->row = *row;
    text_t *texts[] = {&self->row.tenant,       &self->row.queue,   &self->row.media_type,
                       &self->row.type,         &self->row.subtype, &self->row.external_id,
                       &self->row.submitted_by, &self->row.key,     &self->row.attributes,
                       &self->row.journey,      &self->row.router,  &self->row.strategy,
                       &self->row.reason};
    for (size_t i = 0; i < 13; i++) {
        if (texts[i]->len >= sizeof self->texts[i])
            texts[i]->len = sizeof self->texts[i] - 1;
        if (texts[i]->len)
            memcpy(self->texts[i], texts[i]->data, texts[i]->len);
        texts[i]->data = self->texts[i];
    }
}

static bool s_on_interaction(void *context, const interaction_row_t *row, error_t *ret_error)
{
    seen_t *self = context;
    (void)ret_error;
    s_note(self, 'i');
    self->interactions++;
    s_keep(self, row);
    return true;
}

static bool s_on_completed(void *context, const interaction_row_t *row, error_t *ret_error)
{
    seen_t *self = context;
    (void)ret_error;
    s_note(self, 'h');
    self->completed++;
    cr_assert(row->completed_log >= self->completed_log, "not in the order of log time");
    self->completed_log = row->completed_log;
    s_keep(self, row);
    return true;
}

static bool s_on_service(void *context, const service_row_t *row, error_t *ret_error)
{
    (void)ret_error;
    s_note(context, 's');
    cr_assert_eq(row->token.epoch, 3);
    cr_assert_eq(row->token.index, 9007199254740993);
    cr_assert_eq(row->state, SERVICE_SENT);
    cr_assert_eq(row->target, SERVICE_BY_CLUSTER);
    cr_assert(text_equal(row->name, TEXT("fax")));
    cr_assert(text_equal(row->key, (text_t){"\0\377", 2}));
    cr_assert(text_equal(row->parameters, TEXT("{\"to\": \"+1\"}")));
    cr_assert(row->safe);
    cr_assert(text_equal(row->server, TEXT("fax-1")));
    cr_assert_eq(row->sent.index, 9007199254740994);
    cr_assert_eq(row->deadline, 123456789);
    cr_assert_eq(row->result.len + row->fault.len + row->fault_text.len, 0u);
    return true;
}

static bool s_on_batch(void *context, const batch_t *batch, error_t *ret_error)
{
    seen_t *self = context;
    s_note(self, 'b');
    self->batches++;
    self->last = batch->last;
    cr_assert_eq(batch->wall_time, 1767225600123456);
    cr_assert_eq(batch->entries.len, 13);
    if (self->refuse_after && self->batches >= (uint64_t)self->refuse_after)
        return error_set(ret_error, ERROR_SYSTEM, "enough");
    return true;
}

static void s_on_progress(void *context, uint64_t interactions, uint64_t batches)
{
    (void)context;
    cr_assert(interactions + batches > 0);
}

static bool s_on_catalog(void *context, const catalog_row_t *row, error_t *ret_error)
{
    (void)ret_error;
    s_note(context, "sate"[row->kind]);
    return true;
}

static usec_t s_on_dedupe_window(void *context)
{
    seen_t *self = context;
    return self->window;
}

static bool s_load(seen_t *seen, usec_t window_us, error_t *ret_error)
{
    seen->window = window_us;
    database_load_t callbacks = {.configuration = s_on_configuration,
                                 .checkpoint = s_on_checkpoint,
                                 .dedupe_window = s_on_dedupe_window,
                                 .catalog = s_on_catalog,
                                 .interaction = s_on_interaction,
                                 .service = s_on_service,
                                 .completed = s_on_completed,
                                 .batch = s_on_batch,
                                 .progress = s_on_progress,
                                 .context = seen};
    return database_load(s_pair.database, &callbacks, ret_error);
}

static void s_commit(int batches)
{
    if (!s_pair.journal)
        pair_start(&s_pair);
    for (int i = 0; i < batches; i++)
        pair_commit(&s_pair);
}

/* Where the checkpoint would be after that batch. */
static void s_set_checkpoint(uint64_t index)
{
    pair_ask(s_pair.pq,
             "UPDATE ixn.checkpoint AS c SET index = j.last_index, hash = j.hash, log_time_us = "
             "j.log_time_us FROM ixn.journal AS j WHERE j.last_index = %" PRIu64,
             index);
}

#define LIVE_ROW                                                                                   \
    "INSERT INTO ixn.interaction VALUES ("                                                         \
    "'01980000-0000-7000-8000-000000000001', '01980000-0000-7000-8000-000000000002', 'routing', "  \
    "true, 'default', 'inbound', 'email', 'Inbound', 'New', '<a@b>', 'mail-1', '\\x00ff01', "      \
    "-2, '{\"name\": \"Zoë\"}', '[1, 2]', 'router-1', 'main', 'why', -7, 4294967295, "            \
    "9007199254740993, 3, 77, 2, 1, 123456789, '1960-01-01 00:00:00.000001Z', "                    \
    "'2026-01-31 12:00:00.123456Z', '2026-01-31 12:00:01Z', '2026-01-31 12:00:02Z', "              \
    "'2026-01-31 12:00:03Z', '2026-01-31 12:00:04Z')"

#define SERVICE_ROW                                                                                \
    "INSERT INTO ixn.service_request VALUES (3, 9007199254740993, "                                \
    "'01980000-0000-7000-8000-000000000001', 'sent', 'cluster', 'fax', 'send', '', '\\x00ff', "    \
    "'{\"to\": \"+1\"}', -2, true, 1, 'fax-1', '01980000-0000-7000-8000-000000000003', 3, "        \
    "9007199254740994, 123456789, '2026-01-31 12:00:00Z', NULL, NULL, NULL)"

Test(load, of_requests_to_application_servers_comes_behind_their_interactions)
{
    seen_t seen = {0};
    error_t error = {0};
    pair_ask(s_pair.pq, LIVE_ROW);
    pair_ask(s_pair.pq, SERVICE_ROW);
    cr_assert(s_load(&seen, 1000, &error), "%s", error.text);
    cr_assert_str_eq(seen.order, "pis");
}

Test(load, of_an_empty_database_is_its_genesis)
{
    seen_t seen = {0};
    error_t error = {0};
    cr_assert(s_load(&seen, 1000, &error), "%s", error.text);
    cr_assert_str_eq(seen.order, "p");
    cr_assert_eq(seen.checkpoint, 0);
    cr_assert(id_equal(seen.hash, s_pair.status.head_hash));
}

Test(load, hands_out_every_field)
{
    seen_t seen = {0};
    error_t error = {0};
    pair_ask(s_pair.pq, LIVE_ROW);
    cr_assert(s_load(&seen, 1000, &error), "%s", error.text);
    cr_assert_eq(seen.interactions, 1);
    const interaction_row_t *row = &seen.row;
    cr_assert_eq(row->id.bytes[15], 1);
    cr_assert_eq(row->parent_id.bytes[15], 2);
    cr_assert_eq(row->state, INTERACTION_ROUTING);
    cr_assert(row->held);
    cr_assert(text_equal(row->tenant, TEXT("default")));
    cr_assert(text_equal(row->queue, TEXT("inbound")));
    cr_assert(text_equal(row->media_type, TEXT("email")));
    cr_assert(text_equal(row->type, TEXT("Inbound")));
    cr_assert(text_equal(row->subtype, TEXT("New")));
    cr_assert(text_equal(row->external_id, TEXT("<a@b>")));
    cr_assert(text_equal(row->submitted_by, TEXT("mail-1")));
    cr_assert(text_equal(row->key, TEXT("\x00\xff\x01")));
    cr_assert_eq(row->fingerprint, UINT64_MAX - 1);
    cr_assert(text_equal(row->attributes, TEXT("{\"name\": \"Zoë\"}")));
    cr_assert(text_equal(row->journey, TEXT("[1, 2]")));
    cr_assert(text_equal(row->router, TEXT("router-1")));
    cr_assert(text_equal(row->strategy, TEXT("main")));
    cr_assert(text_equal(row->reason, TEXT("why")));
    cr_assert_eq(row->priority, -7);
    cr_assert_eq(row->version, UINT32_MAX);
    cr_assert_eq(row->age, UINT64_C(9007199254740993));
    cr_assert_eq(row->token_epoch, 3);
    cr_assert_eq(row->token_index, 77);
    cr_assert_eq(row->attempts, 2);
    cr_assert_eq(row->losses, 1);
    cr_assert_eq(row->deadline, 123456789);
    cr_assert_eq(row->received_at, -315619199999999);
    cr_assert_eq(row->submitted_at, 1769860800123456);
    cr_assert_eq(row->placed_at, 1769860801000000);
    cr_assert_eq(row->moved_at, 1769860802000000);
    cr_assert_eq(row->routed_at, 1769860803000000);
    cr_assert_eq(row->held_at, 1769860804000000);
}

Test(load, reads_null_as_what_has_not_happened)
{
    seen_t seen = {0};
    error_t error = {0};
    pair_ask(s_pair.pq, LIVE_ROW);
    pair_ask(s_pair.pq,
             "UPDATE ixn.interaction SET parent_id = NULL, router = NULL, strategy = "
             "NULL, reason = NULL, token_epoch = NULL, token_index = NULL, "
             "deadline_log_us = NULL, routed_at = NULL, held_at = NULL, state = "
             "'queued', held = false, external_id = ''");
    cr_assert(s_load(&seen, 1000, &error), "%s", error.text);
    const interaction_row_t *row = &seen.row;
    cr_assert(id_is_zero(row->parent_id) && !row->held && row->state == INTERACTION_QUEUED);
    cr_assert(row->router.len == 0 && row->strategy.len == 0 && row->reason.len == 0 &&
              row->external_id.len == 0);
    cr_assert(row->token_epoch == 0 && row->token_index == 0 && row->routed_at == 0 &&
              row->held_at == 0);
    cr_assert_eq(row->deadline, USEC_NEVER);
}

#define FINISHED                                                                                   \
    "false, 'default', 'inbound', 'email', '', '', '', 'mail-1', 'key', 1, '{}', '[]', "           \
    "NULL, NULL, 'answered', 0, 1, 1, 0, 0, now(), now(), now(), now(), NULL, NULL, "              \
    "'2026-01-31 12:00:00Z',"

Test(load, goes_on_from_the_checkpoint_in_order)
{
    seen_t seen = {0};
    error_t error = {0};
    s_commit(9);
    s_set_checkpoint(4);
    pair_ask(s_pair.pq, LIVE_ROW);
    pair_ask(s_pair.pq, "INSERT INTO ixn.configuration (encoded, index) VALUES ('abc', 4)");
    /* Of both tables, in one order. */
    pair_ask(s_pair.pq,
             "CREATE TABLE ixn.test_before PARTITION OF ixn.interaction_history_before "
             "FOR VALUES FROM ('2026-01-31') TO ('2026-02-01');"
             "CREATE TABLE ixn.test_finished PARTITION OF ixn.interaction_finished "
             "FOR VALUES FROM ('2026-01-31') TO ('2026-02-01')");
    pair_ask(s_pair.pq,
             "INSERT INTO ixn.interaction_history_before SELECT gen_random_uuid(), NULL, "
             "'completed', " FINISHED " 3000 - i * 100 FROM generate_series(0, 9, 2) AS i");
    pair_ask(s_pair.pq,
             "INSERT INTO ixn.interaction_finished SELECT gen_random_uuid(), NULL, " FINISHED
             " 3000 - i * 100 FROM generate_series(1, 9, 2) AS i");
    cr_assert(s_load(&seen, 500, &error), "%s", error.text);
    cr_assert_str_eq(seen.order, "pcihb");
    cr_assert_eq(seen.checkpoint, 4);
    cr_assert_eq(seen.log_time, 3000);
    cr_assert_str_eq(seen.configuration, "abc");
    cr_assert_eq(seen.completed, 6, "2500 … 3000 of log time");
    cr_assert_eq(seen.row.completed_at, 1769860800000000);
    cr_assert_eq(seen.row.state, INTERACTION_COMPLETED);
    cr_assert(text_equal(seen.row.tenant, TEXT("default")));
    cr_assert(text_equal(seen.row.key, TEXT("key")));
    cr_assert_eq(seen.row.fingerprint, 1);
    cr_assert(text_equal(seen.row.journey, TEXT("[]")));
    cr_assert_eq(seen.batches, 5);
    cr_assert_eq(seen.last, 9);
    /* The same after retention has taken all that it may. */
    pair_ask(s_pair.pq, "DELETE FROM ixn.journal WHERE last_index <= 4");
    seen = (seen_t){0};
    cr_assert(s_load(&seen, 500, &error), "%s", error.text);
    cr_assert_eq(seen.batches, 5);
    /* And where the checkpoint is the head. */
    s_set_checkpoint(9);
    seen = (seen_t){0};
    cr_assert(s_load(&seen, 0, &error), "%s", error.text);
    cr_assert_eq(seen.batches, 0);
}

Test(load, stops_where_a_callback_says_no)
{
    seen_t seen = {.refuse_after = 3};
    error_t error = {0};
    s_commit(5);
    cr_assert(!s_load(&seen, 0, &error));
    cr_assert_str_eq(error.text, "enough");
    cr_assert_eq(seen.batches, 3);
    seen = (seen_t){0};
    cr_assert(s_load(&seen, 0, &error), "%s", error.text);
    cr_assert_eq(seen.batches, 5);
}

Test(load, of_a_damaged_journal_is_refused_with_both_values)
{
    static const struct {
        const char *damage;
        const char *says;
    } cases[] = {
        {"DELETE FROM ixn.journal WHERE last_index = 3", "from 4 to 4, expected one from 3"},
        {"DELETE FROM ixn.journal WHERE last_index < 3", "from 3 to 3, expected one from 2"},
        {"UPDATE ixn.journal SET entries = entries || 'x' WHERE last_index = 3",
         "last_index 3: its hash is"},
        {"UPDATE ixn.journal SET log_time_us = 1 WHERE last_index = 4", "last_index 4: its hash"},
        {"UPDATE ixn.journal SET decided_at = decided_at + interval '1 us' WHERE last_index = 5",
         "last_index 5: its hash"},
        {"UPDATE ixn.journal SET hash = gen_random_uuid() WHERE last_index = 5",
         "last_index 5: its hash"},
        {"UPDATE ixn.journal SET previous_hash = gen_random_uuid() WHERE last_index = 2",
         "last_index 2: its previous_hash"},
        {"UPDATE ixn.checkpoint SET hash = gen_random_uuid()", "last_index 1: its hash"},
        {"UPDATE ixn.checkpoint SET index = 9", "ends before index 9"},
        {"TRUNCATE ixn.journal", "has no row"},
    };
    s_commit(5);
    s_set_checkpoint(1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        seen_t seen = {0};
        error_t error = {0};
        pair_ask(s_pair.pq,
                 "CREATE TABLE kept AS SELECT * FROM ixn.journal; CREATE TABLE kept_c AS "
                 "SELECT * FROM ixn.checkpoint");
        pair_ask(s_pair.pq, "%s", cases[i].damage);
        cr_assert(!s_load(&seen, 0, &error), "%s", cases[i].damage);
        cr_assert(strstr(error.text, cases[i].says), "%s: %s", cases[i].damage, error.text);
        cr_assert(error.code == ERROR_DATABASE_DIVERGED || error.code == ERROR_DATABASE_SCHEMA);
        pair_ask(
            s_pair.pq,
            "TRUNCATE ixn.journal, ixn.checkpoint; INSERT INTO ixn.journal SELECT * FROM kept; "
            "INSERT INTO ixn.checkpoint SELECT * FROM kept_c; DROP TABLE kept, kept_c");
    }
    seen_t seen = {0};
    error_t error = {0};
    cr_assert(s_load(&seen, 0, &error), "%s", error.text);
}

Test(load, of_tables_that_somebody_changed_is_refused)
{
    seen_t seen = {0};
    error_t error = {0};
    pair_ask(s_pair.pq, "ALTER TABLE ixn.interaction ALTER priority TYPE bigint");
    cr_assert(!s_load(&seen, 0, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_SCHEMA);
    cr_assert(strstr(error.text, "column priority of ixn.interaction"), "%s", error.text);
}

/* What people set for the statements of everybody must not keep a node from starting. */
Test(load, takes_longer_than_the_database_allows_by_default)
{
    seen_t seen = {0};
    error_t error = {0};
    pair_ask(s_pair.pq, LIVE_ROW);
    pair_ask(s_pair.pq,
             "ALTER TABLE ixn.interaction RENAME TO slow;"
             "CREATE VIEW ixn.interaction AS SELECT s.* FROM ixn.slow AS s,"
             " (SELECT pg_sleep(2)) AS nap;"
             "ALTER DATABASE %s SET statement_timeout = '1500ms'",
             s_pair.name);
    database_destroy(&s_pair.database);
    s_pair.database = database_open(&s_pair.config, &error);
    cr_assert(s_pair.database, "%s", error.text);
    cr_assert(s_load(&seen, 0, &error), "%s", error.text);
    cr_assert_eq(seen.interactions, 1u);
}

Test(load, works_through_a_transaction_pooler)
{
    const char *pooler = getenv("IXN_TEST_POOLER");
    seen_t seen = {0};
    error_t error = {0};
    if (!pooler)
        cr_skip_test("IXN_TEST_POOLER is not set");
    s_commit(20);
    pair_ask(s_pair.pq, LIVE_ROW);
    database_destroy(&s_pair.database);
    pair_set_dap(&s_pair, 0, pooler);
    s_pair.database = database_open(&s_pair.config, &error);
    cr_assert(s_pair.database, "%s", error.text);
    cr_assert(s_load(&seen, 0, &error), "%s", error.text);
    cr_assert_eq(seen.interactions, 1);
    cr_assert_eq(seen.batches, 20);
}

/* IXN_TEST_LOAD_ROWS=1000000 for the number that an operator would ask for. */
Test(load, measure)
{
    const char *wanted = getenv("IXN_TEST_LOAD_ROWS");
    long rows = wanted ? strtol(wanted, NULL, 10) : 50000;
    seen_t seen = {0};
    error_t error = {0};
    pair_ask(s_pair.pq,
             "INSERT INTO ixn.interaction SELECT gen_random_uuid(), NULL, 'queued', false, "
             "'default', 'inbound', 'email', 'Inbound', '', '<' || i || '@example.org>', 'mail-1', "
             "decode(md5(i::text), 'hex'), i, jsonb_build_object('subject', 'About ' || i, 'from', "
             "i || '@example.org', 'text', repeat('All work and no play. ', 10)), "
             "'[[1, 2, \"Submitted\"]]', NULL, NULL, NULL, 0, 1, i, NULL, NULL, 0, 0, NULL, now(), "
             "now(), now(), now(), NULL, NULL FROM generate_series(1, %ld) AS i",
             rows);
    usec_t started = connection_now();
    cr_assert(s_load(&seen, 0, &error), "%s", error.text);
    usec_t elapsed = connection_now() - started;
    cr_assert_eq((long)seen.interactions, rows);
    fprintf(stderr, "measured: load: %ld rows in %ld ms, %ld rows/s\n", rows,
            (long)(elapsed / USEC_PER_MS), (long)(rows * USEC_PER_SECOND / elapsed));
}
