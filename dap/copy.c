#include "dap/copy.h"

#include <string.h>

#include "core/base/buffer.h"
#include "core/base/check.h"

#define SIGNATURE "PGCOPY\n\377\r\n"
enum { SIGNATURE_LEN = 11, HEADER_LEN = SIGNATURE_LEN + 8 };

static uint32_t s_u32(const char *bytes)
{
    const uint8_t *in = (const uint8_t *)bytes;
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static int s_i16(const char *bytes)
{
    const uint8_t *in = (const uint8_t *)bytes;
    return (int16_t)(in[0] << 8 | in[1]);
}

/* COPY does not say which types it sends, so the query is asked for them first. */
static bool s_check_types(connection_t *connection, const copy_query_t *query, error_t *ret_error)
{
    buffer_t sql = {0};
    buffer_printf(&sql, "SELECT * FROM (%s) AS q LIMIT 0", query->select);
    PGresult *result = connection_query(connection, (const char *)sql.bytes, NULL, ret_error);
    buffer_free(&sql);
    bool fits = result && field_check(result, query->what, query->types, query->columns, ret_error);
    PQclear(result);
    return fits;
}

/* The next result, which may be NULL (no more), as PQgetResult; but never waits beyond the
 * deadline. False: the connection is closed. */
static bool s_result(copy_t *self, PGresult **ret_result, error_t *ret_error)
{
    usec_t deadline = connection_now() + self->timeout_ms * USEC_PER_MS;
    PGconn *pq = connection_pq(self->connection);
    for (;;) {
        int unsent = PQflush(pq);
        /* After a failure PQgetResult does not wait: it has the words for it. */
        if (unsent < 0 || !PQconsumeInput(pq) || !PQisBusy(pq))
            break;
        if (!connection_wait(self->connection, unsent == 1, deadline)) {
            error_set(ret_error, ERROR_DATABASE_UNREACHABLE, "DAP %s: %s: no answer within %u ms",
                      connection_name(self->connection), self->what, self->timeout_ms);
            connection_close(self->connection);
            return false;
        }
    }
    *ret_result = PQgetResult(pq);
    return true;
}

/* The server's answer to the COPY: that its rows follow, or why not. */
static bool s_await(copy_t *self, error_t *ret_error)
{
    PGresult *result;
    if (!s_result(self, &result, ret_error))
        return false;
    bool copying = PQresultStatus(result) == PGRES_COPY_OUT;
    if (!copying) {
        connection_failed(self->connection, result, ret_error);
        connection_close(self->connection);
    }
    PQclear(result);
    return copying;
}

bool copy_start(copy_t *self, connection_t *connection, const copy_query_t *query,
                uint32_t timeout_ms, error_t *ret_error)
{
    CHECK(query->columns <= COPY_COLUMNS);
    if (!s_check_types(connection, query, ret_error))
        return false;
    *self = (copy_t){.connection = connection,
                     .what = query->what,
                     .timeout_ms = timeout_ms,
                     .columns = query->columns};
    buffer_t sql = {0};
    buffer_printf(&sql, "COPY (%s) TO STDOUT (FORMAT binary)", query->select);
    int sent = PQsendQueryParams(connection_pq(connection), (const char *)sql.bytes, 0, NULL, NULL,
                                 NULL, NULL, 0);
    buffer_free(&sql);
    if (sent)
        return s_await(self, ret_error);
    connection_failed(connection, NULL, ret_error);
    return false;
}

static copy_result_t s_nonsense(copy_t *self, error_t *ret_error)
{
    error_set(ret_error, ERROR_DATABASE_SCHEMA,
              "DAP %s: %s: the server sends rows that are not of the binary COPY format with %d "
              "columns",
              connection_name(self->connection), self->what, self->columns);
    return COPY_FAILED;
}

/* The server sends one row a message, the header with the first and the trailer alone. */
static copy_result_t s_parse(copy_t *self, int len, error_t *ret_error)
{
    const char *in = self->message;
    const char *end = in + len;
    if (!self->started) {
        if (len < HEADER_LEN || memcmp(in, SIGNATURE, SIGNATURE_LEN) != 0)
            return s_nonsense(self, ret_error);
        uint32_t extension = s_u32(in + SIGNATURE_LEN + 4);
        in += HEADER_LEN;
        if (extension > (size_t)(end - in))
            return s_nonsense(self, ret_error);
        in += extension;
        self->started = true;
    }
    if (end - in < 2)
        return s_nonsense(self, ret_error);
    int count = s_i16(in);
    in += 2;
    if (count == -1 && in == end)
        return COPY_END;
    if (count != self->columns)
        return s_nonsense(self, ret_error);
    for (int i = 0; i < count; i++) {
        if (end - in < 4)
            return s_nonsense(self, ret_error);
        int field_len = (int)s_u32(in);
        in += 4;
        if (field_len < -1 || field_len > end - in)
            return s_nonsense(self, ret_error);
        self->fields[i] = (field_t){in, field_len};
        in += field_len > 0 ? field_len : 0;
    }
    return in == end ? COPY_ROW : s_nonsense(self, ret_error);
}

/* After the last message: the server's final word. */
static copy_result_t s_finish(copy_t *self, error_t *ret_error)
{
    for (;;) {
        PGresult *result;
        if (!s_result(self, &result, ret_error))
            return COPY_FAILED;
        if (!result)
            break;
        bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
        if (!done)
            connection_failed(self->connection, result, ret_error);
        PQclear(result);
        if (!done)
            return COPY_FAILED;
    }
    self->connection = NULL; /* as it was given: open, idle in its transaction */
    return COPY_END;
}

copy_result_t copy_next(copy_t *self, error_t *ret_error)
{
    PGconn *pq = connection_pq(self->connection);
    usec_t deadline = USEC_NEVER;
    PQfreemem(self->message);
    self->message = NULL;
    for (;;) {
        int len = PQgetCopyData(pq, &self->message, 1);
        if (len > 0) {
            copy_result_t result = s_parse(self, len, ret_error);
            if (result != COPY_END)
                return result;
            PQfreemem(self->message); /* the trailer; libpq says the end itself */
            self->message = NULL;
            continue;
        }
        if (len < 0)
            return s_finish(self, ret_error);
        if (deadline == USEC_NEVER)
            deadline = connection_now() + self->timeout_ms * USEC_PER_MS;
        if (!connection_wait(self->connection, false, deadline)) {
            error_set(ret_error, ERROR_DATABASE_UNREACHABLE, "DAP %s: %s: no rows within %u ms",
                      connection_name(self->connection), self->what, self->timeout_ms);
            return COPY_FAILED;
        }
        if (!PQconsumeInput(pq)) {
            connection_failed(self->connection, NULL, ret_error);
            return COPY_FAILED;
        }
    }
}

void copy_end(copy_t *self)
{
    PQfreemem(self->message);
    self->message = NULL;
    if (self->connection)
        connection_close(self->connection);
}
