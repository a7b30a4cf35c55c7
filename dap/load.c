/* Load: the whole state, out of one snapshot (dap/database.h: database_load).
 *
 * Promises: what is handed out is what the tables held at one moment; the journal's rows are
 * checked against their hashes and against each other before anybody applies them. Never more than
 * one row in memory.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buffer.h"
#include "dap/catalog_rows.h"
#include "dap/copy.h"
#include "dap/database.h"
#include "dap/journal_row.h"
#include "dap/params.h"
#include "dap/service_rows.h"

/* Between two rows the server may have to read and sort what it keeps of the finished ones. */
#define PATIENCE_MS (60 * 1000)

typedef struct {
    connection_t *connection;
    const database_load_t *callbacks;
    uint64_t index; /* of the checkpoint; then of the batch before */
    id128_t hash;   /* its hash */
    bool met;       /* the journal's row at the checkpoint, or the one after it, was seen */
    usec_t checkpoint_log;
    uint64_t interactions;
    uint64_t batches;
    usec_t said_at; /* progress */
} load_t;

static void s_progress(load_t *self)
{
    /* A look at the clock costs more than some rows do. */
    if ((self->interactions + self->batches) % 1024 != 0 || !self->callbacks->progress)
        return;
    usec_t now = connection_now();
    if (now - self->said_at < USEC_PER_SECOND)
        return;
    self->said_at = now;
    self->callbacks->progress(self->callbacks->context, self->interactions, self->batches);
}

/* The columns that both tables have, in the order in which s_read_row reads them: those before and
 * behind the attributes. */
#define COLUMNS_BEFORE                                                                             \
    "id, parent_id, state, held, tenant, queue, media_type, type, subtype, external_id, "          \
    "submitted_by, key, fingerprint, "
#define COLUMNS_BEHIND                                                                             \
    ", journey, router, strategy, reason, priority, version, age, attempts, losses, "              \
    "received_at, submitted_at, placed_in_queue_at, moved_to_queue_at, routed_at, held_at"
#define COMMON_TYPES                                                                               \
    OID_UUID, OID_UUID, OID_TEXT, OID_BOOL, OID_TEXT, OID_TEXT, OID_TEXT, OID_TEXT, OID_TEXT,      \
        OID_TEXT, OID_TEXT, OID_BYTEA, OID_INT8, OID_JSONB, OID_JSONB, OID_TEXT, OID_TEXT,         \
        OID_TEXT, OID_INT4, OID_INT8, OID_INT8, OID_INT4, OID_INT4, OID_TIMESTAMPTZ,               \
        OID_TIMESTAMPTZ, OID_TIMESTAMPTZ, OID_TIMESTAMPTZ, OID_TIMESTAMPTZ, OID_TIMESTAMPTZ
enum { COMMON = 29 };

static bool s_read_row(const field_t *fields, interaction_row_t *row, error_t *ret_error)
{
    char id[ID_TEXT_SIZE];
    text_t state = field_text(fields[2]);
    *row = (interaction_row_t){
        .id = field_id(fields[0]),
        .parent_id = field_id(fields[1]),
        .held = field_bool(fields[3]),
        .tenant = field_text(fields[4]),
        .queue = field_text(fields[5]),
        .media_type = field_text(fields[6]),
        .type = field_text(fields[7]),
        .subtype = field_text(fields[8]),
        .external_id = field_text(fields[9]),
        .submitted_by = field_text(fields[10]),
        .key = field_text(fields[11]),
        .fingerprint = field_int8(fields[12]),
        .attributes = field_jsonb(fields[13]),
        .journey = field_jsonb(fields[14]),
        .router = field_text(fields[15]),
        .strategy = field_text(fields[16]),
        .reason = field_text(fields[17]),
        .priority = field_int4(fields[18]),
        .version = (uint32_t)field_int8(fields[19]),
        .age = field_int8(fields[20]),
        .attempts = (uint32_t)field_int4(fields[21]),
        .losses = (uint32_t)field_int4(fields[22]),
        .received_at = field_wall(fields[23]),
        .submitted_at = field_wall(fields[24]),
        .placed_at = field_wall(fields[25]),
        .moved_at = field_wall(fields[26]),
        .routed_at = field_wall(fields[27]),
        .held_at = field_wall(fields[28]),
        .deadline = USEC_NEVER,
    };
    if (interaction_state_parse(state, &row->state))
        return true;
    return error_set(ret_error, ERROR_DATABASE_SCHEMA,
                     "interaction %s has the state \"%.*s\", which this program does not know",
                     id_text(row->id, id), (int)state.len, state.data);
}

static bool s_on_interaction(load_t *self, const field_t *fields, error_t *ret_error)
{
    interaction_row_t row;
    if (!s_read_row(fields, &row, ret_error))
        return false;
    row.token_epoch = field_int8(fields[COMMON]);
    row.token_index = field_int8(fields[COMMON + 1]);
    if (!field_is_null(fields[COMMON + 2]))
        row.deadline = (usec_t)field_int8(fields[COMMON + 2]);
    self->interactions++;
    return self->callbacks->interaction(self->callbacks->context, &row, ret_error);
}

enum { COMPLETED = 7 };

static bool s_on_service(load_t *self, const field_t *fields, error_t *ret_error)
{
    service_row_t row;
    return service_rows_read(fields, &row, ret_error) &&
           self->callbacks->service(self->callbacks->context, &row, ret_error);
}

static bool s_on_completed(load_t *self, const field_t *fields, error_t *ret_error)
{
    interaction_row_t row = {
        .id = field_id(fields[0]),
        .state = INTERACTION_COMPLETED,
        .tenant = field_text(fields[1]),
        .key = field_text(fields[2]),
        .fingerprint = field_int8(fields[3]),
        .journey = field_text(fields[4]),
        .deadline = USEC_NEVER,
        .completed_at = field_wall(fields[5]),
        .completed_log = (usec_t)field_int8(fields[6]),
    };
    self->interactions++;
    return self->callbacks->completed(self->callbacks->context, &row, ret_error);
}

static bool s_on_batch(load_t *self, const field_t *fields, error_t *ret_error)
{
    batch_t batch = journal_row_read(fields);
    /* The row at the checkpoint itself, where retention has left it: only to see that it is the one
     * the checkpoint was written from. */
    if (batch.last == self->index && !self->met) {
        self->met = true;
        return id_equal(batch.hash, self->hash) ||
               journal_row_damaged(&batch, "its hash", batch.hash, self->hash, ret_error);
    }
    self->met = true;
    if (!journal_row_check(&batch, self->index, self->hash, ret_error))
        return false;
    self->index = batch.last;
    self->hash = batch.hash;
    self->batches++;
    return self->callbacks->batch(self->callbacks->context, &batch, ret_error);
}

typedef bool s_on_row_fn(load_t *self, const field_t *fields, error_t *ret_error);

static bool s_stream(load_t *self, const copy_query_t *query, s_on_row_fn *on_row,
                     error_t *ret_error)
{
    copy_t copy;
    copy_result_t result;
    if (!copy_start(&copy, self->connection, query, PATIENCE_MS, ret_error))
        return false;
    bool taken = true;
    while (taken && (result = copy_next(&copy, ret_error)) == COPY_ROW) {
        taken = on_row(self, copy.fields, ret_error);
        s_progress(self);
    }
    copy_end(&copy);
    return taken && result == COPY_END;
}

static bool s_checkpoint(load_t *self, error_t *ret_error)
{
    static const Oid types[] = {OID_INT8, OID_UUID, OID_INT8};
    PGresult *result = connection_query(
        self->connection, "SELECT index, hash, log_time_us FROM ixn.checkpoint", NULL, ret_error);
    bool read = result && field_check(result, "ixn.checkpoint", types, 3, ret_error);
    if (read && PQntuples(result) != 1)
        read = error_set(ret_error, ERROR_DATABASE_SCHEMA,
                         "ixn.checkpoint has %d rows, not 1: somebody emptied it; restore the "
                         "database",
                         PQntuples(result));
    if (read) {
        self->index = field_int8(field_of(result, 0, 0));
        self->hash = field_id(field_of(result, 0, 1));
        self->checkpoint_log = (usec_t)field_int8(field_of(result, 0, 2));
    }
    PQclear(result);
    return read && self->callbacks->checkpoint(self->callbacks->context, self->index, self->hash,
                                               self->checkpoint_log, ret_error);
}

static bool s_skips(load_t *self, error_t *ret_error)
{
    static const Oid types[] = {OID_INT8, OID_UUID};
    PGresult *result = connection_query(
        self->connection, "SELECT index, batch_hash FROM ixn.skip ORDER BY index", NULL, ret_error);
    bool read = result && field_check(result, "ixn.skip", types, 2, ret_error);
    for (int i = 0; read && self->callbacks->skip && i < PQntuples(result); i++)
        read = self->callbacks->skip(self->callbacks->context, field_int8(field_of(result, i, 0)),
                                     field_id(field_of(result, i, 1)), ret_error);
    PQclear(result);
    return read;
}

static bool s_configuration(load_t *self, error_t *ret_error)
{
    static const Oid types[] = {OID_BYTEA};
    PGresult *result = connection_query(self->connection, "SELECT encoded FROM ixn.configuration",
                                        NULL, ret_error);
    bool read = result && field_check(result, "ixn.configuration", types, 1, ret_error);
    if (read && PQntuples(result) == 1)
        read = self->callbacks->configuration(self->callbacks->context,
                                              field_text(field_of(result, 0, 0)), ret_error);
    PQclear(result);
    return read;
}

static bool s_interactions(load_t *self, error_t *ret_error)
{
    static const Oid types[] = {COMMON_TYPES, OID_INT8, OID_INT8, OID_INT8};
    static const copy_query_t query = {
        .what = "ixn.interaction",
        .select = "SELECT " COLUMNS_BEFORE "attributes" COLUMNS_BEHIND
                  ", token_epoch, token_index, deadline_log_us FROM ixn.interaction",
        .types = types,
        .columns = COMMON + 3};
    return s_stream(self, &query, s_on_interaction, ret_error);
}

#define COMPLETED_COLUMNS "id, tenant, key, fingerprint, completed_at, completed_log_us, age"

/* What is remembered of them, and nothing else: ten minutes may be millions, and each column that
 * is read costs the server more than it costs us. They are sorted in memory where that is possible.
 * The tables behind ixn.interaction_history are asked, since that would make jsonb of the text. */
static bool s_completed(load_t *self, error_t *ret_error)
{
    static const Oid types[COMPLETED] = {OID_UUID, OID_TEXT,        OID_BYTEA, OID_INT8,
                                         OID_TEXT, OID_TIMESTAMPTZ, OID_INT8};
    usec_t since;
    usec_t window = self->callbacks->dedupe_window(self->callbacks->context);
    if (__builtin_sub_overflow(self->checkpoint_log, window, &since))
        since = INT64_MIN + 1;
    buffer_t select = {0};
    buffer_printf(
        &select,
        "SELECT id, tenant, key, fingerprint, journey, completed_at, completed_log_us FROM ("
        "SELECT " COMPLETED_COLUMNS
        ", journey FROM ixn.interaction_finished UNION ALL "
        "SELECT " COMPLETED_COLUMNS
        ", journey::text FROM ixn.interaction_history_before"
        ") AS h WHERE completed_log_us >= %" PRId64 " ORDER BY completed_log_us, age",
        since);
    copy_query_t query = {.what = "ixn.interaction_history",
                          .select = (const char *)select.bytes,
                          .types = types,
                          .columns = COMPLETED};
    bool done = s_stream(self, &query, s_on_completed, ret_error);
    buffer_free(&select);
    return done;
}

static bool s_batches(load_t *self, error_t *ret_error)
{
    buffer_t select = {0};
    uint64_t checkpoint = self->index;
    buffer_printf(&select,
                  "SELECT " JOURNAL_ROW_COLUMNS
                  ", entries FROM ixn.journal WHERE last_index >= %" PRIu64 " ORDER BY last_index",
                  checkpoint);
    copy_query_t query = {.what = "ixn.journal",
                          .select = (const char *)select.bytes,
                          .types = journal_row_types,
                          .columns = JOURNAL_ROW_FIELDS};
    bool done = s_stream(self, &query, s_on_batch, ret_error);
    buffer_free(&select);
    /* The newest row is never deleted, so there is one at the checkpoint or after it. */
    if (done && !self->met)
        return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                         "ixn.journal ends before index %" PRIu64
                         ", where ixn.checkpoint is; restore the database",
                         checkpoint);
    return done;
}

static bool s_told(load_t *self, const database_status_t *status)
{
    if (self->callbacks->status)
        self->callbacks->status(self->callbacks->context, status);
    return true;
}

bool database_load(database_t *self, const database_load_t *callbacks, error_t *ret_error)
{
    load_t load = {.callbacks = callbacks, .said_at = connection_now()};
    database_status_t status;
    load.connection = database_connection(self, ret_error);
    if (!load.connection ||
        !connection_command(load.connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                            ret_error))
        return false;
    /* Compiling the queries would take longer than running them for a small state. */
    bool done =
        database_set_no_limits(load.connection, ret_error) &&
        connection_command(load.connection, "SET LOCAL jit = off", ret_error) &&
        connection_command(load.connection, "SET LOCAL work_mem = '64MB'", ret_error) &&
        database_read_status(load.connection, NULL, &status, ret_error) && s_told(&load, &status) &&
        s_checkpoint(&load, ret_error) && s_skips(&load, ret_error) &&
        s_configuration(&load, ret_error) &&
        catalog_rows_read(load.connection, callbacks->catalog, callbacks->context, ret_error) &&
        s_interactions(&load, ret_error) &&
        s_stream(&load, &service_rows_query, s_on_service, ret_error) &&
        s_completed(&load, ret_error) && s_batches(&load, ret_error) &&
        connection_command(load.connection, "COMMIT", ret_error);
    if (!done)
        connection_rollback(load.connection);
    return done;
}
