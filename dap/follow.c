/* Follow: the batches after a known one (dap/database.h: database_follow).
 *
 * Promises: what is handed out continues what was asked for, batch by batch, each as its hash says;
 * one statement, so it is one snapshot and works through a transaction pooler. That the chain goes
 * on from the hash also proves that it is the right database's journal.
 */
#include <stdlib.h>

#include "core/base/alloc.h"
#include "dap/database.h"
#include "dap/field.h"
#include "dap/journal_row.h"
#include "dap/params.h"

/* So many rows are looked at, however small they are. */
enum { MOST_ROWS = 4096 };

/* $1: index, $2: bytes, $3: rows, $4, $5: the server that is proven; there is no row on another
 * one, which may have gone its own way. The row at the index itself comes without its entries.
 * Sizes are known without reading the entries. */
static const char s_sql[] =
    "SELECT " JOURNAL_ROW_COLUMNS
    ", CASE WHEN last_index > $1 THEN entries ELSE '' END"
    " FROM (SELECT *, sum(CASE WHEN last_index > $1 THEN octet_length(entries) ELSE 0 END)"
    " OVER (ORDER BY last_index ROWS UNBOUNDED PRECEDING) AS total"
    " FROM ixn.journal WHERE last_index >= $1 AND pg_postmaster_start_time() = $4"
    " AND current_setting('port')::int4 = $5 ORDER BY last_index LIMIT $3) AS j"
    " WHERE total <= $2 OR total = octet_length(entries) ORDER BY last_index";

static batch_t s_row(const PGresult *result, int row)
{
    field_t fields[JOURNAL_ROW_FIELDS];
    for (int i = 0; i < JOURNAL_ROW_FIELDS; i++)
        fields[i] = field_of(result, row, i);
    return journal_row_read(fields);
}

/* Number of the row that continues `after`; -1: what is there does not. Where the newest row comes
 * before it, there is none at all: the newest is never deleted, so commits were lost. */
static int s_first(const PGresult *result, const database_place_t *after)
{
    int rows = PQntuples(result);
    if (rows == 0)
        return -1;
    batch_t batch = s_row(result, 0);
    int first = 0;
    if (batch.last == after->index) {
        if (!id_equal(batch.hash, after->hash))
            return -1;
        if (rows == 1)
            return 1;
        first = 1;
        batch = s_row(result, 1);
    }
    return batch.first == after->index + 1 && id_equal(batch.previous, after->hash) ? first : -1;
}

static void s_free(database_follow_t *self)
{
    for (size_t i = 0; i < self->len; i++)
        batch_destroy(&self->batches[i]);
    free(self->batches);
}

/* Copies the rows from `first` on, each checked against the one before. */
static bool s_take(const PGresult *result, int first, database_place_t at,
                   database_follow_t *ret_follow, error_t *ret_error)
{
    database_follow_t follow = {0};
    int rows = PQntuples(result);
    if (rows > first)
        follow.batches = memory_zero((size_t)(rows - first), sizeof *follow.batches);
    for (int i = first; i < rows; i++) {
        batch_t batch = s_row(result, i);
        if (!journal_row_check(&batch, at.index, at.hash, ret_error)) {
            s_free(&follow);
            return false;
        }
        follow.batches[follow.len++] =
            batch_new(batch.epoch, batch.first, batch.last, batch.previous, batch.log_time,
                      batch.wall_time, batch.entries);
        at = (database_place_t){batch.last, batch.hash};
    }
    *ret_follow = follow;
    return true;
}

/* No row came: because another server answers? */
static bool s_is_proven(connection_t *connection, const instance_t *instance, error_t *ret_error)
{
    PGresult *result = connection_query(
        connection, "SELECT pg_postmaster_start_time(), current_setting('port')::int4", NULL,
        ret_error);
    if (!result)
        return false;
    const instance_t found = {.started_at = field_wall(field_of(result, 0, 0)),
                              .port = (uint32_t)field_int4(field_of(result, 0, 1))};
    PQclear(result);
    return instance_equal(&found, instance) ||
           error_set(ret_error, ERROR_DATABASE_REFUSED,
                     "DAP %s reaches another server than the proven one, or that was started again",
                     connection_name(connection));
}

bool database_follow(database_t *self, const database_place_t *after, const instance_t *instance,
                     size_t max_bytes, database_follow_t *ret_follow, error_t *ret_error)
{
    connection_t *connection = database_connection(self, ret_error);
    if (!connection)
        return false;
    params_t params = {0};
    params_int8(&params, after->index);
    params_int8(&params, max_bytes);
    params_int8(&params, MOST_ROWS);
    params_wall(&params, instance->started_at);
    params_int4(&params, (int32_t)instance->port);
    connection_params_t all = params_all(&params);
    PGresult *result = connection_query(connection, s_sql, &all, ret_error);
    bool read = result && field_check(result, "ixn.journal", journal_row_types, JOURNAL_ROW_FIELDS,
                                      ret_error);
    if (read && PQntuples(result) == 0)
        read = s_is_proven(connection, instance, ret_error);
    int first = read ? s_first(result, after) : -1;
    if (read && first < 0)
        *ret_follow = (database_follow_t){.gone = true};
    else if (read)
        read = s_take(result, first, *after, ret_follow, ret_error);
    PQclear(result);
    return read;
}
