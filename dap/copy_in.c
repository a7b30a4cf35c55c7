#include "dap/copy_in.h"

#include <limits.h>
#include <stdlib.h>

#include "core/base/check.h"

/* Signature, flags, length of an extension. */
const char copy_in_head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
const size_t copy_in_head_len = 19;
const char copy_in_tail[] = "\377\377";
const size_t copy_in_tail_len = 2;

static bool s_lost(copy_in_t *self, error_t *ret_error)
{
    return connection_failed(self->connection, NULL, ret_error);
}

static void s_start_clock(copy_in_t *self)
{
    self->deadline = connection_now() + self->timeout_ms * USEC_PER_MS;
}

/* Waits for the socket; false when the deadline came first, and the connection is closed then. */
static bool s_wait(copy_in_t *self, bool writable, error_t *ret_error)
{
    if (connection_wait(self->connection, writable, self->deadline))
        return true;
    error_set(ret_error, ERROR_DATABASE_UNREACHABLE,
              "DAP %s: no progress of a COPY within %u ms; the connection was closed",
              connection_name(self->connection), self->timeout_ms);
    connection_close(self->connection);
    return false;
}

/* Until everything is with the operating system. */
static bool s_flush(copy_in_t *self, error_t *ret_error)
{
    PGconn *pq = connection_pq(self->connection);
    for (int unsent; (unsent = PQflush(pq)) != 0;) {
        if (unsent < 0)
            return s_lost(self, ret_error);
        if (!s_wait(self, true, ret_error))
            return false;
        /* A server that says much while it is told much would otherwise wait for us. */
        if (!PQconsumeInput(pq))
            return s_lost(self, ret_error);
    }
    return true;
}

/* The next result, or NULL at the end of them; false: the connection is gone. */
static bool s_result(copy_in_t *self, PGresult **ret_result, error_t *ret_error)
{
    PGconn *pq = connection_pq(self->connection);
    while (PQisBusy(pq)) {
        if (!s_wait(self, false, ret_error))
            return false;
        if (!PQconsumeInput(pq) && PQisBusy(pq))
            return s_lost(self, ret_error);
    }
    *ret_result = PQgetResult(pq);
    return true;
}

/* Takes the rest of the results, so that the connection can be used again. */
static bool s_drain(copy_in_t *self)
{
    PGresult *result = NULL;
    while (connection_is_open(self->connection) && s_result(self, &result, NULL)) {
        if (!result)
            return true;
        ExecStatusType status = PQresultStatus(result);
        PQclear(result);
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT ||
            PQstatus(connection_pq(self->connection)) != CONNECTION_OK)
            connection_close(self->connection);
    }
    return false;
}

/* A result that is not the one wanted. */
static bool s_refused(copy_in_t *self, PGresult *result, error_t *ret_error)
{
    connection_failed(self->connection, result, ret_error); /* may close the connection */
    PQclear(result);
    s_drain(self);
    return false;
}

bool copy_in_begin(copy_in_t *self, connection_t *connection, const char *sql, uint32_t timeout_ms,
                   error_t *ret_error)
{
    PGresult *result = NULL;
    *self = (copy_in_t){.connection = connection, .timeout_ms = timeout_ms};
    if (!connection_open(connection, ret_error))
        return false;
    s_start_clock(self);
    if (!PQsendQuery(connection_pq(connection), sql))
        return s_lost(self, ret_error);
    if (!s_flush(self, ret_error) || !s_result(self, &result, ret_error))
        return false;
    if (PQresultStatus(result) != PGRES_COPY_IN)
        return s_refused(self, result, ret_error);
    PQclear(result);
    return true;
}

bool copy_in_send(copy_in_t *self, const void *bytes, size_t len, error_t *ret_error)
{
    CHECK(len <= INT_MAX);
    s_start_clock(self);
    for (int queued;
         (queued = PQputCopyData(connection_pq(self->connection), bytes, (int)len)) != 1;)
        if (queued < 0 || !s_wait(self, true, ret_error))
            return connection_is_open(self->connection) && s_lost(self, ret_error);
    return s_flush(self, ret_error);
}

bool copy_in_end(copy_in_t *self, int64_t rows, error_t *ret_error)
{
    PGresult *result = NULL;
    s_start_clock(self);
    for (int queued; (queued = PQputCopyEnd(connection_pq(self->connection), NULL)) != 1;)
        if (queued < 0 || !s_wait(self, true, ret_error))
            return connection_is_open(self->connection) && s_lost(self, ret_error);
    if (!s_flush(self, ret_error) || !s_result(self, &result, ret_error))
        return false;
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        return s_refused(self, result, ret_error);
    int64_t taken = strtoll(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    if (!s_drain(self))
        return s_lost(self, ret_error);
    if (taken != rows)
        return error_set(
            ret_error, ERROR_DATABASE_REFUSED,
            "DAP %s: a COPY took %lld rows instead of %lld; look for triggers or rules "
            "on the tables of schema ixn",
            connection_name(self->connection), (long long)taken, (long long)rows);
    return true;
}
