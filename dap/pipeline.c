#include "dap/pipeline.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/check.h"

bool pipeline_begin(pipeline_t *self, connection_t *connection, error_t *ret_error)
{
    *self = (pipeline_t){.connection = connection, .rows = -1};
    if (!connection_open(connection, ret_error))
        return false;
    if (!PQenterPipelineMode(connection_pq(connection)))
        return connection_failed(connection, NULL, ret_error);
    return true;
}

static bool s_too_late(pipeline_t *self, error_t *ret_error)
{
    size_t place = self->answered % PIPELINE_WINDOW;
    return connection_too_late(self->connection, "no answer to a statement",
                               self->window[place].timeout_ms, ret_error);
}

static void s_start_clock(pipeline_t *self)
{
    size_t place = self->answered % PIPELINE_WINDOW;
    self->deadline = connection_now() + self->window[place].timeout_ms * USEC_PER_MS;
}

/* The first failure counts: those after it only say that the transaction has failed. */
static void s_fail(pipeline_t *self)
{
    self->failed = true;
    self->failed_number = self->answered;
}

static void s_take_success(pipeline_t *self, PGresult *result, error_t *ret_error)
{
    int64_t expected = self->window[self->answered % PIPELINE_WINDOW].rows;
    const char *rows = PQcmdTuples(result);
    self->rows = *rows ? strtoll(rows, NULL, 10) : 0;
    if (expected >= 0 && self->rows != expected) {
        s_fail(self);
        error_set(ret_error, ERROR_DATABASE_REFUSED,
                  "DAP %s: %s touched %lld rows instead of %lld; look for triggers or rules on the "
                  "tables of schema ixn",
                  connection_name(self->connection), PQcmdStatus(result), (long long)self->rows,
                  (long long)expected);
    }
    if (PQresultStatus(result) == PGRES_TUPLES_OK) {
        PQclear(self->result);
        self->result = result;
    } else {
        PQclear(result);
    }
}

/* One result of the oldest statement. */
static void s_take(pipeline_t *self, PGresult *result, error_t *ret_error)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_PIPELINE_SYNC) {
        PQclear(result);
        self->answered++;
        s_start_clock(self);
    } else if (self->failed) {
        PQclear(result);
    } else if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        s_take_success(self, result, ret_error);
    } else {
        s_fail(self);
        connection_failed(self->connection, result, ret_error); /* may close the connection */
        PQclear(result);
    }
}

/* Takes what has arrived; false when the connection is gone. */
static bool s_collect(pipeline_t *self, error_t *ret_error)
{
    PGconn *pq = connection_pq(self->connection);
    /* What the server said before it closed the connection is still to be read. */
    bool alive = PQconsumeInput(pq);
    int nothing = 0;
    while (self->answered < self->sent && !PQisBusy(pq)) {
        PGresult *result = PQgetResult(pq);
        nothing = result ? 0 : nothing + 1; /* one NULL ends the results of a statement */
        if (nothing > 1) {
            alive = false;
            break;
        }
        if (!result)
            continue;
        s_take(self, result, ret_error);
        if (!connection_is_open(self->connection))
            return false;
    }
    if (alive || self->answered == self->sent)
        return true;
    return self->failed ? (connection_close(self->connection), false)
                        : connection_failed(self->connection, NULL, ret_error);
}

/* Waits until at most `left` are without an answer. False: the connection is gone. */
static bool s_wait(pipeline_t *self, size_t left, error_t *ret_error)
{
    for (;;) {
        PGconn *pq = connection_pq(self->connection);
        int unsent = PQflush(pq);
        if (!s_collect(self, ret_error))
            return false;
        if (self->sent - self->answered <= left && unsent == 0)
            return true;
        if (unsent < 0 && PQstatus(pq) != CONNECTION_OK)
            return connection_failed(self->connection, NULL, ret_error);
        if (!connection_wait(self->connection, unsent > 0, self->deadline))
            return s_too_late(self, ret_error);
    }
}

/* After a failure: what is still on its way is answered and dropped. */
static bool s_abandon(pipeline_t *self)
{
    if (connection_is_open(self->connection) && s_wait(self, 0, NULL) &&
        !PQexitPipelineMode(connection_pq(self->connection)))
        connection_close(self->connection);
    return false;
}

bool pipeline_send(pipeline_t *self, const pipeline_statement_t *statement, error_t *ret_error)
{
    static const connection_params_t none = {0};
    if (!s_wait(self, PIPELINE_WINDOW - 1, ret_error) || self->failed)
        return s_abandon(self);
    const connection_params_t *params = statement->params ? statement->params : &none;
    int *formats = memory_new(sizeof *formats * (size_t)params->count);
    for (int i = 0; i < params->count; i++)
        formats[i] = 1;
    PGconn *pq = connection_pq(self->connection);
    bool sent = PQsendQueryParams(pq, statement->sql, params->count, params->types, params->values,
                                  params->lengths, formats, 1) &&
                PQpipelineSync(pq);
    free(formats);
    if (!sent) {
        connection_failed(self->connection, NULL, ret_error);
        return s_abandon(self);
    }
    size_t place = self->sent % PIPELINE_WINDOW;
    self->window[place].rows = statement->rows;
    self->window[place].timeout_ms = statement->timeout_ms;
    if (self->sent++ == self->answered)
        s_start_clock(self);
    return true;
}

bool pipeline_end(pipeline_t *self, error_t *ret_error)
{
    if (!s_wait(self, 0, ret_error) || self->failed)
        return s_abandon(self);
    if (!PQexitPipelineMode(connection_pq(self->connection)))
        return connection_failed(self->connection, NULL, ret_error);
    return true;
}

bool pipeline_transaction(connection_t *connection, const pipeline_statement_t *statement,
                          uint32_t lock_timeout_ms, PGresult **ret_result, error_t *ret_error)
{
    CHECK(statement->rows < 0); /* nobody looks before it is committed */
    pipeline_t pipeline;
    char limits[60];
    snprintf(limits, sizeof limits, "SET LOCAL lock_timeout = %u", lock_timeout_ms);
    uint32_t timeout_ms = statement->timeout_ms;
    pipeline_statement_t begin = {PIPELINE_BEGIN, NULL, -1, timeout_ms};
    pipeline_statement_t limit = {limits, NULL, -1, timeout_ms};
    /* A COMMIT behind a statement that failed rolls back. */
    pipeline_statement_t commit = {"COMMIT", NULL, -1, timeout_ms};
    bool done = pipeline_begin(&pipeline, connection, ret_error) &&
                pipeline_send(&pipeline, &begin, ret_error) &&
                pipeline_send(&pipeline, &limit, ret_error) &&
                pipeline_send(&pipeline, statement, ret_error) &&
                pipeline_send(&pipeline, &commit, ret_error) && pipeline_end(&pipeline, ret_error);
    if (!done)
        connection_rollback(connection);
    if (done && ret_result)
        *ret_result = pipeline.result;
    else
        PQclear(pipeline.result);
    return done;
}
