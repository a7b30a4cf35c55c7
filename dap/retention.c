#include "dap/retention.h"

#include <stddef.h>

#include "core/base/log.h"
#include "dap/field.h"
#include "dap/params.h"
#include "dap/pipeline.h"

/* A statement that takes longer makes an image wait noticeably. */
#define STEP_LONG_US (40 * USEC_PER_MS)
#define STEP_SHORT_US (15 * USEC_PER_MS)
#define DAYS_INTERVAL_US (3600 * USEC_PER_SECOND)
#define RETRY_INTERVAL_US (5 * USEC_PER_SECOND)
#define JOURNAL_INTERVAL_LONGEST_US (10 * USEC_PER_SECOND)
#define JOURNAL_INTERVAL_SHORTEST_US (200 * USEC_PER_MS)

enum {
    CHUNK_FIRST = 100,
    CHUNK_SMALLEST = 10,
    CHUNK_LARGEST = 1000,
    MEASURE_CHUNK = 5000,
    LOCK_TIMEOUT_MS = 50,
};

/* What a row takes beside its entries: head, columns, two index entries. */
#define ROW_OVERHEAD "160"

void retention_init(retention_t *self, const retention_options_t *options)
{
    *self = (retention_t){
        .options = *options,
        .partitions = {.fence = options->fence},
        .measured = -1,
        .deleted = -1,
        .chunk = CHUNK_FIRST,
    };
    retention_change(self, options);
}

void retention_change(retention_t *self, const retention_options_t *options)
{
    fence_t fence = self->options.fence;
    self->options = *options;
    self->options.fence = fence;
    self->partitions.timeout_ms = options->statement_timeout_ms;
    self->partitions.retention_us = options->history_retention_us;
}

void retention_prove(retention_t *self, const instance_t *instance)
{
    self->options.fence.instance = self->partitions.fence.instance = *instance;
}

static PGresult *s_transaction(retention_t *self, connection_t *connection, const char *sql,
                               const params_t *params, error_t *ret_error)
{
    connection_params_t all = params_all(params);
    pipeline_statement_t statement = {sql, &all, -1, self->options.statement_timeout_ms};
    PGresult *result = NULL;
    return pipeline_transaction(connection, &statement, LOCK_TIMEOUT_MS, &result, ret_error)
               ? result
               : NULL;
}

/* Adds the size of rows that are new since the last time. Sizes come from the rows' heads: entries
 * are not read. `ret_more`: there may be rows left. */
static bool s_measure(retention_t *self, connection_t *connection, bool *ret_more,
                      error_t *ret_error)
{
    params_t params = {0};
    params_int8(&params, (uint64_t)self->measured);
    params_int8(&params, MEASURE_CHUNK);
    PGresult *result =
        s_transaction(self, connection,
                      "SELECT count(*), max(last_index), sum(size)::bigint "
                      "FROM (SELECT last_index, octet_length(entries) + " ROW_OVERHEAD
                      " AS size "
                      "FROM ixn.journal WHERE last_index > $1 ORDER BY last_index LIMIT $2) AS j",
                      &params, ret_error);
    if (!result)
        return false;
    uint64_t count = field_int8(field_of(result, 0, 0));
    if (count) {
        self->measured = (int64_t)field_int8(field_of(result, 0, 1));
        self->kept_size += (int64_t)field_int8(field_of(result, 0, 2));
    }
    PQclear(result);
    *ret_more = count == MEASURE_CHUNK;
    return true;
}

/* The oldest rows first, so that what is left has no gaps: a row goes only if all before it go
 * (committed_at need not rise: the server's clock may be set back). Reading starts behind what was
 * deleted before: while a long reader holds vacuum up, dead rows pile up there. */
static const char s_delete_sql[] =
    "WITH fence AS MATERIALIZED (SELECT c.index FROM ixn.checkpoint AS c, ixn.pair AS p "
    "WHERE %s), "
    "oldest AS (SELECT j.last_index, j.size, "
    "max(j.committed_at) OVER upward AS committed_at, sum(j.size) OVER upward - j.size AS before "
    "FROM (SELECT last_index, committed_at, octet_length(entries) + " ROW_OVERHEAD
    " AS size "
    "FROM ixn.journal WHERE last_index > $1 ORDER BY last_index LIMIT $2) AS j "
    "WINDOW upward AS (ORDER BY j.last_index)), "
    "gone AS (DELETE FROM ixn.journal AS d USING oldest AS o, fence AS f "
    "WHERE d.last_index = o.last_index AND o.last_index <= f.index "
    "AND o.last_index < (SELECT max(last_index) FROM ixn.journal) "
    "AND (o.committed_at < clock_timestamp() - $3 * interval '1 microsecond' OR o.before < $4) "
    "RETURNING o.last_index, o.size) "
    "SELECT count(*), max(last_index), sum(size)::bigint FROM gone";

static bool s_delete(retention_t *self, connection_t *connection, bool *ret_more,
                     error_t *ret_error)
{
    int64_t size = (int64_t)(self->options.journal_retention_size < INT64_MAX
                                 ? self->options.journal_retention_size
                                 : INT64_MAX);
    int64_t excess = self->kept_size > size ? self->kept_size - size : 0;
    char fence[FENCE_TEXT_SIZE];
    char sql[sizeof s_delete_sql + FENCE_TEXT_SIZE];
    snprintf(sql, sizeof sql, s_delete_sql, fence_condition(&self->options.fence, fence));
    params_t params = {0};
    params_int8(&params, (uint64_t)self->deleted);
    params_int8(&params, self->chunk);
    params_int8(&params, (uint64_t)self->options.journal_retention_us);
    params_int8(&params, (uint64_t)excess);
    usec_t start = connection_now();
    PGresult *result = s_transaction(self, connection, sql, &params, ret_error);
    if (!result)
        return false;
    usec_t elapsed = connection_now() - start;
    uint64_t count = field_int8(field_of(result, 0, 0));
    if (count) {
        self->deleted = (int64_t)field_int8(field_of(result, 0, 1));
        self->kept_size -= (int64_t)field_int8(field_of(result, 0, 2));
    }
    PQclear(result);
    *ret_more = count == self->chunk;
    if (elapsed > STEP_LONG_US && self->chunk / 2 >= CHUNK_SMALLEST)
        self->chunk /= 2;
    else if (elapsed < STEP_SHORT_US && count == self->chunk && self->chunk * 2 <= CHUNK_LARGEST)
        self->chunk *= 2;
    return true;
}

static bool s_step_journal(retention_t *self, connection_t *connection, error_t *ret_error)
{
    bool more = false;
    if (!s_measure(self, connection, &more, ret_error) ||
        (!more && !s_delete(self, connection, &more, ret_error))) {
        /* Perhaps it was done all the same: measure anew. */
        self->measured = self->deleted = -1;
        self->kept_size = 0;
        return false;
    }
    usec_t interval = self->options.journal_retention_us / 20;
    if (interval > JOURNAL_INTERVAL_LONGEST_US)
        interval = JOURNAL_INTERVAL_LONGEST_US;
    if (interval < JOURNAL_INTERVAL_SHORTEST_US)
        interval = JOURNAL_INTERVAL_SHORTEST_US;
    self->next_journal = connection_now() + (more ? 0 : interval);
    return true;
}

static bool s_step_days(retention_t *self, connection_t *connection, error_t *ret_error)
{
    int64_t today;
    if (!partition_today(connection, &self->partitions, &today, ret_error) ||
        !partition_make(connection, &self->partitions, today, ret_error) ||
        !partition_make(connection, &self->partitions, today + 1, ret_error))
        return false;
    self->next_days = connection_now() + DAYS_INTERVAL_US;
    return true;
}

/* A day that is held postpones no other: the next one's turn comes after a moment (each try may
 * stop readers of the history), its own after the last. It is told of once, until none is held. */
static bool s_step_drop(retention_t *self, connection_t *connection, error_t *ret_error)
{
    switch (partition_drop_next(connection, &self->partitions, self->dropped, ret_error)) {
    case PARTITION_FAILED:
        return false;
    case PARTITION_SEEN:
        return true;
    case PARTITION_HELD:
        self->next_drop = connection_now() + RETRY_INTERVAL_US;
        self->held = true;
        if (strcmp(self->dropped, self->told) > 0) {
            memcpy(self->told, self->dropped, sizeof self->told);
            log_warning("history.held", "partition=%s error=\"%s\"", self->dropped,
                        ret_error->text);
        }
        return true;
    case PARTITION_NONE:
        break;
    }
    self->next_drop = connection_now() + (self->held ? RETRY_INTERVAL_US : DAYS_INTERVAL_US);
    if (!self->held)
        self->told[0] = 0;
    self->held = false;
    self->dropped[0] = 0;
    return true;
}

/* The same failure again and again is one line. */
static void s_warn(error_t *warned, const char *task, const error_t *error)
{
    if (strcmp(warned->text, error->text) != 0)
        log_warning("retention.postponed", "task=\"%s\" error=\"%s\"", task, error->text);
    *warned = *error;
}

static usec_t s_next(const retention_t *self)
{
    usec_t next = self->next_journal;
    if (self->next_days < next)
        next = self->next_days;
    return self->next_drop < next ? self->next_drop : next;
}

usec_t retention_step(retention_t *self, connection_t *connection)
{
    static const struct {
        const char *name;
        bool (*step)(retention_t *, connection_t *, error_t *);
        size_t next; /* where its time is */
    } tasks[RETENTION_TASKS] = {
        {"make the history's next days", s_step_days, offsetof(retention_t, next_days)},
        {"drop the history's old days", s_step_drop, offsetof(retention_t, next_drop)},
        {"delete old journal rows", s_step_journal, offsetof(retention_t, next_journal)},
    };
    usec_t now = connection_now();
    for (size_t i = 0; i < RETENTION_TASKS; i++) {
        usec_t *next = (usec_t *)((char *)self + tasks[i].next);
        if (now < *next)
            continue;
        error_t error = {0};
        if (tasks[i].step(self, connection, &error)) {
            self->warned[i] = (error_t){0};
        } else {
            s_warn(self->warned + i, tasks[i].name, &error);
            *next = connection_now() + RETRY_INTERVAL_US;
        }
        break;
    }
    return s_next(self);
}
