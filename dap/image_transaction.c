#include "dap/image_transaction.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/log.h"
#include "dap/catalog_rows.h"
#include "dap/copy_in.h"
#include "dap/field.h"
#include "dap/params.h"
#include "dap/partition.h"
#include "dap/pipeline.h"
#include "dap/service_rows.h"

enum {
    PATIENCE_MOST = 4,   /* doublings */
    BYTES_PER_MS = 2048, /* slower than any server that is still of use: 2 MB/s … */
    ROWS_PER_MS = 5,     /* … or 5,000 rows/s */
    GONE_CHUNK = 20000,  /* ids in a DELETE */
    TIMEOUT_MOST_MS = 600000,
};

/* Rows of one statement, to be found again when it is refused. */
typedef struct {
    enum { CHUNK_UPSERT, CHUNK_COPY } way;
    rows_table_t table; /* for a COPY; an upsert is of live rows */
    const interaction_row_t *const *rows;
    size_t len;
} chunk_t;

/* One attempt. */
typedef struct {
    image_transaction_t *self;
    connection_t *connection;
    const checkpoint_image_t *image;
    image_session_t session; /* once it has begun */
    pipeline_t pipeline;
    chunk_t chunks[PIPELINE_WINDOW]; /* by number of the statement; rows NULL: not of rows */
} attempt_t;

void image_transaction_init(image_transaction_t *self, const fence_t *fence,
                            uint32_t statement_timeout_ms)
{
    *self = (image_transaction_t){.fence = *fence, .statement_timeout_ms = statement_timeout_ms};
    rows_init(&self->rows);
}

void image_transaction_free(image_transaction_t *self)
{
    rows_free(&self->rows);
}

/* Time for a statement that carries so much. */
static uint32_t s_timeout_ms(const image_transaction_t *self, size_t bytes, size_t rows)
{
    uint64_t timeout_ms = self->statement_timeout_ms + bytes / BYTES_PER_MS + rows / ROWS_PER_MS;
    timeout_ms <<= self->patience;
    return timeout_ms < TIMEOUT_MOST_MS ? (uint32_t)timeout_ms : TIMEOUT_MOST_MS;
}

/* Time for the largest statement of the image. */
static uint32_t s_longest_timeout_ms(const image_transaction_t *self,
                                     const checkpoint_image_t *image)
{
    size_t bytes = image->bytes < ROWS_CHUNK_BYTES ? image->bytes : ROWS_CHUNK_BYTES;
    size_t rows = image->changed_len + image->gone_len + image->finished_len;
    return s_timeout_ms(self, bytes, rows < GONE_CHUNK ? rows : GONE_CHUNK);
}

/* The history's days that the image's rows fall on, before its transaction begins. */
static bool s_make_days(image_transaction_t *self, connection_t *connection,
                        const checkpoint_image_t *image, error_t *ret_error)
{
    partition_options_t options = {self->fence, self->statement_timeout_ms, 0};
    for (size_t i = 0; i < image->finished_len; i++) {
        int64_t day = partition_day(image->finished[i]->completed_at);
        size_t at = 0;
        while (at < self->days_len && self->days[at] != day)
            at++;
        if (at < self->days_len || !partition_day_valid(day))
            continue;
        if (!partition_make(connection, &options, day, ret_error))
            return false;
        if (self->days_len == IMAGE_DAYS)
            self->days_len = 0;
        self->days[self->days_len++] = day;
    }
    return true;
}

/* Sends a statement; notes what it carries. */
static bool s_send(attempt_t *self, const char *sql, const connection_params_t *params,
                   const chunk_t *chunk, uint32_t timeout_ms, error_t *ret_error)
{
    pipeline_statement_t statement = {sql, params, chunk ? (int64_t)chunk->len : -1, timeout_ms};
    size_t number = self->pipeline.sent;
    if (!pipeline_send(&self->pipeline, &statement, ret_error))
        return false;
    self->chunks[number % PIPELINE_WINDOW] = chunk ? *chunk : (chunk_t){0};
    return true;
}

/* Limits that the server keeps by itself, so that a transaction of a program that is frozen, or cut
 * off without the server noticing, does not hold the checkpoint's row for ever; and asks for what
 * s_note_session wants to know. */
static bool s_send_limits(attempt_t *self, error_t *ret_error)
{
    uint32_t timeout_ms = s_timeout_ms(self->self, 0, 0);
    uint32_t longest_ms = s_longest_timeout_ms(self->self, self->image);
    char sql[400];
    /* The server gives up waiting for the row before we do, and can say what it waited for. */
    snprintf(sql, sizeof sql,
             "SELECT pg_backend_pid(), now(), set_config('lock_timeout', '%u', true), "
             "set_config('statement_timeout', '%u', true), "
             "set_config('idle_in_transaction_session_timeout', '%u', true)",
             timeout_ms / 4 * 3 + 1, longest_ms, longest_ms);
    return s_send(self, sql, NULL, NULL, timeout_ms, ret_error);
}

static void s_note_session(attempt_t *self)
{
    PGresult *result = self->pipeline.result;
    if (result && PQntuples(result) == 1)
        self->session = (image_session_t){.pid = field_int4(field_of(result, 0, 0)),
                                          .started_at = field_wall(field_of(result, 0, 1))};
    PQclear(result);
    self->pipeline.result = NULL;
}

/* Somebody holds the row. If it is one of ours that was lost, nobody else will end it. */
static void s_end_abandoned(image_transaction_t *self, connection_t *connection)
{
    array_t *pids = &self->rows.arrays[0];
    array_t *starts = &self->rows.arrays[1];
    array_start(pids, ARRAY_INT4);
    array_start(starts, ARRAY_TIMESTAMPTZ);
    for (size_t i = 0; i < self->abandoned_len; i++) {
        array_add_int4(pids, self->abandoned[i].pid);
        array_add_time(starts, self->abandoned[i].started_at);
    }
    PGresult *result = connection_query(
        connection,
        "SELECT a.pid, pg_terminate_backend(a.pid) FROM unnest($1::int4[], $2::timestamptz[]) "
        "AS lost(pid, started) JOIN pg_stat_activity AS a ON a.pid = lost.pid "
        "AND a.xact_start = lost.started AND a.datname = current_database()",
        rows_bind(&self->rows, 2), NULL);
    for (int i = 0; i < PQntuples(result); i++)
        log_warning("checkpoint.terminated",
                    "dap=%s session=%d reason=\"it was lost in an earlier "
                    "attempt and holds the row of ixn.checkpoint\"",
                    connection_name(connection), (int)field_int4(field_of(result, i, 0)));
    PQclear(result);
}

void image_move(const fence_t *fence, const checkpoint_image_t *image,
                char sql[IMAGE_MOVE_SQL_SIZE], params_t *params)
{
    char condition[FENCE_TEXT_SIZE];
    snprintf(sql, IMAGE_MOVE_SQL_SIZE,
             "UPDATE ixn.checkpoint AS c SET index = $2, hash = $3, log_time_us = $4,"
             " written_at = clock_timestamp() FROM ixn.pair AS p WHERE c.index = $1 AND %s",
             fence_condition(fence, condition));
    *params = (params_t){0};
    params_int8(params, image->from);
    params_int8(params, image->to);
    params_id(params, image->hash);
    params_int8(params, (uint64_t)image->log_time);
}

/* Moves the checkpoint's row, which proves the fence and keeps others out until the end.
 * `ret_moved`: false when the row was not as it had to be. */
static bool s_move(attempt_t *self, bool *ret_moved, error_t *ret_error)
{
    const checkpoint_image_t *image = self->image;
    char sql[IMAGE_MOVE_SQL_SIZE];
    params_t params;
    image_move(&self->self->fence, image, sql, &params);
    connection_params_t all = params_all(&params);
    uint32_t timeout_ms = s_timeout_ms(self->self, 0, 0);
    bool done = pipeline_begin(&self->pipeline, self->connection, ret_error) &&
                s_send(self, PIPELINE_BEGIN, NULL, NULL, timeout_ms, ret_error) &&
                s_send_limits(self, ret_error) &&
                s_send(self, sql, &all, NULL, timeout_ms, ret_error) &&
                pipeline_end(&self->pipeline, ret_error);
    s_note_session(self);
    if (done)
        *ret_moved = self->pipeline.rows == 1;
    return done;
}

/* What the checkpoint's row says instead, and where. */
typedef struct {
    identity_t identity;
    instance_t instance;
    id128_t generation;
    uint64_t index;
    id128_t hash;
} found_t;

static image_outcome_t s_judge_index(const attempt_t *self, const found_t *found,
                                     error_t *ret_error)
{
    const checkpoint_image_t *image = self->image;
    const char *dap = connection_name(self->connection);
    char ours[ID_TEXT_SIZE];
    char theirs[ID_TEXT_SIZE];
    if (found->index == image->to && id_equal(found->hash, image->hash))
        return IMAGE_WRITTEN;
    if (found->index == image->to)
        error_set(
            ret_error, ERROR_DATABASE_DIVERGED,
            "DAP %s: the checkpoint is at index %llu with hash %s, the log's hash there is "
            "%s; the tables belong to another history: compare ixn.epoch with this node's log",
            dap, (unsigned long long)found->index, id_text(found->hash, theirs),
            id_text(image->hash, ours));
    else if (found->index == image->from)
        error_set(ret_error, ERROR_DATABASE_UNREACHABLE,
                  "DAP %s: the checkpoint's row changed meanwhile; trying again", dap);
    else
        error_set(ret_error, ERROR_DATABASE_DIVERGED,
                  "DAP %s: the checkpoint is at index %llu, the image to write starts at %llu; "
                  "somebody else has written the tables, or a backup was restored",
                  dap, (unsigned long long)found->index, (unsigned long long)image->from);
    return found->index < image->from ? IMAGE_BEHIND : IMAGE_FAILED;
}

/* Another database, or another server than the one that is proven: nothing was written. */
static bool s_judge_place(const attempt_t *self, const found_t *found, error_t *ret_error)
{
    const char *dap = connection_name(self->connection);
    const fence_t *fence = &self->self->fence;
    char ours[IDENTITY_TEXT_SIZE];
    char theirs[IDENTITY_TEXT_SIZE];
    if (!identity_equal(&found->identity, &fence->identity))
        return error_set(ret_error, ERROR_DATABASE_WRONG,
                         "DAP %s reaches %s, the pair's own is %s; correct the DAP", dap,
                         identity_text(&found->identity, theirs),
                         identity_text(&fence->identity, ours));
    if (!instance_equal(&found->instance, &fence->instance))
        return error_set(ret_error, ERROR_DATABASE_REFUSED,
                         "DAP %s reaches a server that was %s; the one that is proven was %s", dap,
                         instance_text(&found->instance, theirs),
                         instance_text(&fence->instance, ours));
    return true;
}

/* Why the row could not be moved. */
static image_outcome_t s_judge(attempt_t *self, error_t *ret_error)
{
    PGresult *result = connection_query(
        self->connection,
        "SELECT p.database_id, (SELECT system_identifier FROM pg_control_system()),"
        " (SELECT oid FROM pg_database WHERE datname = current_database()),"
        " pg_postmaster_start_time(), current_setting('port')::int4,"
        " c.generation, c.index, c.hash FROM ixn.pair AS p, ixn.checkpoint AS c",
        NULL, ret_error);
    if (!result)
        return IMAGE_FAILED;
    bool any = PQntuples(result) == 1;
    found_t found = {0};
    if (any)
        found = (found_t){
            .identity = {.database_id = field_id(field_of(result, 0, 0)),
                         .system_identifier = field_int8(field_of(result, 0, 1)),
                         .database_oid = field_oid(field_of(result, 0, 2))},
            .instance = {.started_at = field_wall(field_of(result, 0, 3)),
                         .port = (uint32_t)field_int4(field_of(result, 0, 4))},
            .generation = field_id(field_of(result, 0, 5)),
            .index = field_int8(field_of(result, 0, 6)),
            .hash = field_id(field_of(result, 0, 7)),
        };
    PQclear(result);
    const char *dap = connection_name(self->connection);
    const fence_t *fence = &self->self->fence;
    char ours[ID_TEXT_SIZE];
    char theirs[ID_TEXT_SIZE];
    if (!any) {
        error_set(ret_error, ERROR_DATABASE_SCHEMA,
                  "DAP %s: ixn.pair or ixn.checkpoint has no row; restore the database", dap);
        return IMAGE_FAILED;
    }
    if (!s_judge_place(self, &found, ret_error))
        return IMAGE_FAILED;
    if (!id_equal(found.generation, fence->generation)) {
        error_set(ret_error, ERROR_DATABASE_FENCED,
                  "DAP %s: generation %s has taken over the checkpoint, this node's is %s", dap,
                  id_text(found.generation, theirs), id_text(fence->generation, ours));
        return IMAGE_FENCED;
    }
    return s_judge_index(self, &found, ret_error);
}

static bool s_send_gone(attempt_t *self, error_t *ret_error)
{
    const checkpoint_image_t *image = self->image;
    for (size_t at = 0; at < image->gone_len; at += GONE_CHUNK) {
        size_t len = image->gone_len - at < GONE_CHUNK ? image->gone_len - at : GONE_CHUNK;
        uint32_t timeout_ms = s_timeout_ms(self->self, 0, len);
        if (!s_send(self, rows_gone_sql, rows_encode_ids(&self->self->rows, image->gone + at, len),
                    NULL, timeout_ms, ret_error))
            return false;
    }
    return true;
}

static bool s_send_services(attempt_t *self, error_t *ret_error)
{
    rows_t *encoder = &self->self->rows;
    const checkpoint_image_t *image = self->image;
    for (size_t at = 0; at < image->services_gone_len; at += GONE_CHUNK) {
        size_t len = image->services_gone_len - at;
        len = len < GONE_CHUNK ? len : GONE_CHUNK;
        if (!s_send(self, service_rows_gone_sql,
                    service_rows_encode_gone(encoder, image->services_gone + at, len), NULL,
                    s_timeout_ms(self->self, 0, len), ret_error))
            return false;
    }
    for (size_t at = 0, count; at < image->services_len; at += count) {
        const service_row_t *rows = image->services + at;
        size_t bytes;
        count = service_rows_chunk(rows, image->services_len - at, &bytes);
        if (!s_send(self, service_rows_sql, service_rows_encode(encoder, rows, count), NULL,
                    s_timeout_ms(self->self, bytes, count), ret_error))
            return false;
    }
    return true;
}

static bool s_send_changed(attempt_t *self, error_t *ret_error)
{
    rows_t *encoder = &self->self->rows;
    const checkpoint_image_t *image = self->image;
    for (size_t at = image->added_len, count; at < image->changed_len; at += count) {
        const interaction_row_t *const *rows = image->changed + at;
        size_t bytes;
        count = rows_chunk(rows, image->changed_len - at, &bytes);
        chunk_t chunk = {CHUNK_UPSERT, ROWS_LIVE, rows, count};
        if (!s_send(self, rows_upsert_sql(encoder), rows_encode(encoder, rows, count), &chunk,
                    s_timeout_ms(self->self, bytes, count), ret_error))
            return false;
    }
    return true;
}

/* Rows that are in no table yet go by COPY, which costs the server half of what an INSERT from
 * arrays does. In chunks, so that a refused row is looked for among few. */
static bool s_copy_chunk(attempt_t *self, const chunk_t *chunk, uint32_t timeout_ms,
                         error_t *ret_error)
{
    rows_t *encoder = &self->self->rows;
    copy_in_t copy;
    if (!copy_in_begin(&copy, self->connection, rows_copy_sql(encoder, chunk->table), timeout_ms,
                       ret_error) ||
        !copy_in_send(&copy, copy_in_head, copy_in_head_len, ret_error))
        return false;
    for (size_t at = 0, count; at < chunk->len; at += count) {
        const buffer_t *piece =
            rows_encode_copy(encoder, chunk->table, chunk->rows + at, chunk->len - at, &count);
        if (!copy_in_send(&copy, piece->bytes, piece->len, ret_error))
            return false;
    }
    return copy_in_send(&copy, copy_in_tail, copy_in_tail_len, ret_error) &&
           copy_in_end(&copy, (int64_t)chunk->len, ret_error);
}

/* `ret_chunk`: the one that failed. */
static bool s_copy(attempt_t *self, const chunk_t *all, chunk_t *ret_chunk, error_t *ret_error)
{
    for (size_t at = 0, count; at < all->len; at += count) {
        size_t bytes;
        count = rows_chunk(all->rows + at, all->len - at, &bytes);
        *ret_chunk = (chunk_t){CHUNK_COPY, all->table, all->rows + at, count};
        uint32_t timeout_ms = s_timeout_ms(self->self, bytes, count);
        if (!s_copy_chunk(self, ret_chunk, timeout_ms, ret_error))
            return false;
    }
    return true;
}

static bool s_send_configuration(attempt_t *self, error_t *ret_error)
{
    const checkpoint_image_t *image = self->image;
    if (!image->configuration_changed)
        return true;
    params_t params = {0};
    params_bytes(&params, image->configuration);
    params_int8(&params, image->to);
    connection_params_t all = params_all(&params);
    return s_send(self,
                  "INSERT INTO ixn.configuration (encoded, index) VALUES ($1, $2) "
                  "ON CONFLICT (single) DO UPDATE SET encoded = excluded.encoded, "
                  "index = excluded.index, written_at = excluded.written_at",
                  &all, NULL, s_timeout_ms(self->self, image->configuration.len, 1), ret_error);
}

static bool s_send_catalog(attempt_t *self, error_t *ret_error)
{
    const checkpoint_image_t *image = self->image;
    for (size_t at = 0, count; at < image->catalog_len; at += count) {
        size_t bytes;
        const connection_params_t *params;
        const char *sql = catalog_rows_encode(&self->self->rows, image->catalog + at,
                                              image->catalog_len - at, &params, &count, &bytes);
        if (!s_send(self, sql, params, NULL, s_timeout_ms(self->self, bytes, count), ret_error))
            return false;
    }
    return true;
}

/* `ret_chunk`: the rows that were not taken, if it is about rows. */
static bool s_send_all(attempt_t *self, chunk_t *ret_chunk, error_t *ret_error)
{
    const checkpoint_image_t *image = self->image;
    const chunk_t added = {CHUNK_COPY, ROWS_LIVE, image->changed, image->added_len};
    const chunk_t finished = {CHUNK_COPY, ROWS_HISTORY, image->finished, image->finished_len};
    if (!pipeline_begin(&self->pipeline, self->connection, ret_error))
        return false;
    if (s_send_gone(self, ret_error) && s_send_changed(self, ret_error) &&
        s_send_services(self, ret_error) && s_send_configuration(self, ret_error) &&
        s_send_catalog(self, ret_error) && pipeline_end(&self->pipeline, ret_error))
        return s_copy(self, &added, ret_chunk, ret_error) &&
               s_copy(self, &finished, ret_chunk, ret_error);
    if (self->pipeline.failed)
        *ret_chunk = self->chunks[self->pipeline.failed_number % PIPELINE_WINDOW];
    return false;
}

/* Classes of SQLSTATE that are about what a row holds: data exception, integrity constraint,
 * cardinality (an id twice in one statement), program limit. */
static bool s_is_about_rows(const char *sqlstate)
{
    static const char *const classes[] = {"21", "22", "23", "54"};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strncmp(sqlstate, classes[i], 2) == 0)
            return true;
    return false;
}

typedef enum { PROBE_TAKEN, PROBE_REFUSED, PROBE_UNKNOWN } probe_t;

/* Whether the server takes these rows the same way, in a transaction that is rolled back. */
static probe_t s_probe(attempt_t *self, const chunk_t *chunk, error_t *ret_error)
{
    rows_t *encoder = &self->self->rows;
    bool copy = chunk->way == CHUNK_COPY;
    uint32_t timeout_ms = s_longest_timeout_ms(self->self, self->image);
    bool taken = pipeline_begin(&self->pipeline, self->connection, ret_error) &&
                 s_send(self, PIPELINE_BEGIN, NULL, NULL, timeout_ms, ret_error) &&
                 s_send_limits(self, ret_error) &&
                 (copy || s_send(self, rows_upsert_sql(encoder),
                                 rows_encode(encoder, chunk->rows, chunk->len), chunk, timeout_ms,
                                 ret_error)) &&
                 pipeline_end(&self->pipeline, ret_error) &&
                 (!copy || s_copy_chunk(self, chunk, timeout_ms, ret_error));
    s_note_session(self);
    bool refused = !taken && connection_is_open(self->connection) &&
                   s_is_about_rows(connection_sqlstate(self->connection));
    connection_rollback(self->connection);
    return taken ? PROBE_TAKEN : refused ? PROBE_REFUSED : PROBE_UNKNOWN;
}

/* Halves the chunk until one row is left, and asks for that one's own error. */
static image_outcome_t s_find_refused(attempt_t *self, chunk_t chunk, error_t *ret_error)
{
    error_t words = *ret_error;
    size_t together = chunk.len;
    probe_t probe = PROBE_UNKNOWN;
    while (chunk.len > 1) {
        chunk_t half = chunk;
        half.len /= 2;
        probe = s_probe(self, &half, &words);
        if (probe == PROBE_UNKNOWN)
            break;
        if (probe == PROBE_TAKEN)
            chunk.rows += half.len;
        chunk.len = probe == PROBE_TAKEN ? chunk.len - half.len : half.len;
    }
    if (chunk.len == 1)
        probe = s_probe(self, &chunk, &words);
    if (probe == PROBE_UNKNOWN) {
        *ret_error = words;
        return IMAGE_FAILED;
    }
    char id[ID_TEXT_SIZE];
    id_text(chunk.rows[0]->id, id);
    if (probe == PROBE_REFUSED)
        error_set(ret_error, ERROR_DATABASE_REFUSED, "interaction %s: %s", id, words.text);
    else /* only together with another one, for instance an id that is there twice */
        error_set(ret_error, ERROR_DATABASE_REFUSED,
                  "interaction %s, with another of the %zu that are written with it: %s", id,
                  together, words.text);
    return IMAGE_REFUSED;
}

/* The rest of the transaction, once the row has been moved. */
static image_outcome_t s_write(attempt_t *self, error_t *ret_error)
{
    chunk_t chunk = {0};
    if (!s_send_all(self, &chunk, ret_error)) {
        bool about_rows = connection_is_open(self->connection) &&
                          s_is_about_rows(connection_sqlstate(self->connection));
        connection_rollback(self->connection);
        return about_rows && chunk.rows ? s_find_refused(self, chunk, ret_error) : IMAGE_FAILED;
    }
    uint32_t timeout_ms = s_timeout_ms(self->self, self->image->bytes, 0);
    PGresult *result =
        connection_query_within(self->connection, "COMMIT", NULL, timeout_ms, ret_error);
    bool committed = result && strcmp(PQcmdStatus(result), "COMMIT") == 0;
    if (result && !committed)
        error_set(ret_error, ERROR_DATABASE_REFUSED, "DAP %s: the server rolled the image back",
                  connection_name(self->connection));
    PQclear(result);
    return committed ? IMAGE_WRITTEN : IMAGE_FAILED;
}

/* What the next attempt has to know about this one. */
static void s_learn(image_transaction_t *self, const attempt_t *attempt, usec_t elapsed)
{
    self->days_len = 0; /* look again */
    /* A time-out that is too short for what there is to write must not repeat for ever. */
    if (elapsed > self->statement_timeout_ms * USEC_PER_MS && self->patience < PATIENCE_MOST)
        self->patience++;
    if (attempt->session.pid && !connection_is_open(attempt->connection)) {
        size_t place = self->abandoned_len < IMAGE_ABANDONED ? self->abandoned_len++ : 0;
        self->abandoned[place] = attempt->session;
    }
}

image_outcome_t image_transaction_run(image_transaction_t *self, connection_t *connection,
                                      const checkpoint_image_t *image, error_t *ret_error)
{
    attempt_t attempt = {.self = self, .connection = connection, .image = image};
    image_outcome_t outcome = IMAGE_FAILED;
    bool moved = false;
    usec_t start = connection_now();
    if (!s_make_days(self, connection, image, ret_error)) {
        connection_rollback(connection);
    } else if (!s_move(&attempt, &moved, ret_error)) {
        bool blocked = strcmp(connection_sqlstate(connection), "55P03") == 0;
        connection_rollback(connection);
        if (blocked && self->abandoned_len)
            s_end_abandoned(self, connection);
    } else if (moved) {
        outcome = s_write(&attempt, ret_error);
        connection_rollback(connection);
    } else {
        connection_rollback(connection);
        outcome = s_judge(&attempt, ret_error);
    }
    if (outcome == IMAGE_WRITTEN) {
        self->patience = 0;
        self->abandoned_len = 0;
    } else {
        s_learn(self, &attempt, connection_now() - start);
    }
    return outcome;
}
