#include "dap/commit.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "core/base/mutation.h"
#include "dap/database.h"
#include "dap/params.h"

/* READ COMMITTED: a lock that had to wait is granted on the row's newest version, and the
 * conditions are judged again on that one; so after a claim `pair` is empty. `head` is as old as
 * the statement, which is why the journal's UNIQUE (first_index) has the last word on who continues
 * a batch. The two subselects are part of the locked condition, not of the insert: a wrong database
 * must not even be locked. */
#define SERVER_SQL "(SELECT system_identifier FROM pg_control_system())"
#define DATABASE_SQL "(SELECT oid FROM pg_database WHERE datname = current_database())"
#define INSTANCE_SQL " AND pg_postmaster_start_time() = $14 AND current_setting('port')::int4 = $15"
#define IDENTITY_SQL " " SERVER_SQL " = $4 AND " DATABASE_SQL " = $5" INSTANCE_SQL
/* The same for a session that is ours alone: before the statement was prepared it was asked for its
 * cluster and database, and keeps the answer. Neither changes while a session lasts, and asking
 * reads a file and a catalog each time. Another session has other words there, or none: NULL, so it
 * inserts nothing. */
#define NOTED_SQL "ixn.place"
#define NOTE_SQL                                                                                   \
    "set_config('" NOTED_SQL "', " SERVER_SQL "::text || ' ' || " DATABASE_SQL "::text, false)"
#define SESSION_SQL                                                                                \
    " current_setting('" NOTED_SQL "', true) = concat_ws(' ', $4::int8, $5::oid)" INSTANCE_SQL
#define PAIR_SQL(identity)                                                                         \
    "SELECT 1 FROM ixn.pair WHERE database_id = $1 AND epoch = $2 AND generation = $3 "            \
    "AND" identity
#define LOCK_SQL " FOR NO KEY UPDATE"
#define INSERT_SQL(pair)                                                                           \
    "WITH pair AS MATERIALIZED (" pair                                                             \
    "),"                                                                                           \
    " head AS (SELECT last_index, hash FROM ixn.journal ORDER BY last_index DESC LIMIT 1)"         \
    " INSERT INTO ixn.journal (last_index, first_index, epoch, previous_hash, hash, log_time_us,"  \
    " decided_at, entries)"                                                                        \
    " SELECT $8, $9, $2, $7, $10, $11, $12, $13 FROM pair CROSS JOIN head"                         \
    " WHERE head.last_index = $6 AND head.hash = $7 AND " DURABLE_SQL
#define RETURNING_SQL " RETURNING pg_backend_pid()"

static const char s_insert_sql[] = INSERT_SQL(PAIR_SQL(IDENTITY_SQL) LOCK_SQL) RETURNING_SQL;
static const char s_prepared_sql[] = INSERT_SQL(PAIR_SQL(SESSION_SQL) LOCK_SQL);

#ifdef IXN_MUTATIONS
/* The same statement, broken as the mutations say. */
static const char *s_broken_sql(const connection_t *connection, const params_t *params)
{
    if (MUTATION(FENCE_BY_SELECT))
        return INSERT_SQL(PAIR_SQL(IDENTITY_SQL)) RETURNING_SQL;
    if (!MUTATION(CHECKED_OUTSIDE))
        return s_insert_sql;
    connection_t *other = connection_again(connection);
    connection_params_t all = params_all(params);
    /* Of all the parameters, so that their types are known. */
    PGresult *result = connection_query(other,
                                        PAIR_SQL(IDENTITY_SQL)
                                        " AND ($6, $7, $8, $9, $10, $11, $12, $13) IS NOT NULL"
                                        " FOR NO KEY UPDATE SKIP LOCKED",
                                        &all, NULL);
    bool holds = PQntuples(result) == 1;
    PQclear(result);
    connection_destroy(&other);
    return holds ? INSERT_SQL("SELECT 1 WHERE $1 IS NOT NULL AND $3 IS NOT NULL AND" IDENTITY_SQL)
                       RETURNING_SQL
                 : INSERT_SQL(PAIR_SQL(IDENTITY_SQL) " AND false") RETURNING_SQL;
}
#endif

static void s_add_params(params_t *params, const commit_t *self, const batch_t *batch)
{
    params_id(params, self->identity.database_id);
    params_int8(params, self->epoch);
    params_id(params, self->generation);
    params_int8(params, self->identity.system_identifier);
    params_oid(params, self->identity.database_oid);
    params_int8(params, batch->first - 1);
    params_id(params, batch->previous);
    params_int8(params, batch->last);
    params_int8(params, batch->first);
    params_id(params, batch->hash);
    params_int8(params, (uint64_t)batch->log_time);
    params_wall(params, batch->wall_time);
    params_bytes(params, batch->entries);
    params_wall(params, self->instance.started_at);
    params_int4(params, (int32_t)self->instance.port);
}

bool commit_send(const commit_t *self, connection_t *connection, const batch_t *batch,
                 uint32_t timeout_ms, error_t *ret_error)
{
    params_t params = {0};
    s_add_params(&params, self, batch);
    connection_params_t all = params_all(&params);
    if (connection_is_prepared(connection))
        return connection_send_prepared(connection, &all, timeout_ms, ret_error);
    const char *sql = s_insert_sql;
#ifdef IXN_MUTATIONS
    sql = s_broken_sql(connection, &params);
#endif
    return connection_send(connection, sql, &all, timeout_ms, ret_error);
}

bool commit_inserted(const PGresult *result)
{
    /* The command tag is "INSERT 0 rows". */
    return strcmp(PQcmdTuples((PGresult *)result), "1") == 0;
}

bool commit_may_prepare(const connection_t *connection, const PGresult *inserted)
{
    if (MUTATION(FENCE_BY_SELECT) || MUTATION(CHECKED_OUTSIDE) || PQntuples(inserted) != 1)
        return false;
    uint32_t backend;
    memcpy(&backend, PQgetvalue(inserted, 0, 0), sizeof backend);
    return connection_may_prepare(connection, (int32_t)ntohl(backend));
}

/* The plan is made once, for a journal of any size: it may be almost empty now, and then a server
 * would rather read all of it than go to its end by the index. Where a sort is needed all the same,
 * as in the question below, it looks so costly then that the server would compile the statement,
 * which takes longer than all else. */
static const char s_plan_sql[] =
    "SELECT set_config('enable_sort', 'off', false), set_config('jit', 'off', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false), " NOTE_SQL;

bool commit_prepare(connection_t *connection, bool again, uint32_t timeout_ms, error_t *ret_error)
{
    if (!again)
        return connection_send(connection, s_plan_sql, NULL, timeout_ms, ret_error);
    static const commit_t commit;
    static const batch_t batch;
    params_t params = {0};
    s_add_params(&params, &commit, &batch); /* for their types */
    connection_params_t all = params_all(&params);
    return connection_prepare(connection, s_prepared_sql, &all, timeout_ms, ret_error);
}

/* What the batch continues is committed. */
static place_t s_known(uint64_t epoch, id128_t generation, const batch_t *batch)
{
    return (place_t){batch->first - 1, batch->previous, epoch, generation};
}

bool commit_send_question(connection_t *connection, const batch_t *batch, uint32_t timeout_ms,
                          error_t *ret_error)
{
    params_t params = {0};
    place_t known = s_known(batch->epoch, (id128_t){0}, batch);
    database_status_params(&params, &known);
    connection_params_t all = params_all(&params);
    return connection_send(connection, database_status_sql, &all, timeout_ms, ret_error);
}

static commit_verdict_t s_wrong(const commit_t *self, const char *dap,
                                const database_status_t *status, error_t *ret_error)
{
    char found[IDENTITY_TEXT_SIZE];
    char own[IDENTITY_TEXT_SIZE];
    error_set(ret_error, ERROR_DATABASE_WRONG,
              "DAP %s reaches %s: it is %s, the pair's is %s; nothing was written; correct the DAP",
              dap, status->server, identity_text(&status->identity, found),
              identity_text(&self->identity, own));
    return COMMIT_WRONG;
}

static commit_verdict_t s_fenced(const commit_t *self, const char *dap,
                                 const database_status_t *status, error_t *ret_error)
{
    char found[ID_TEXT_SIZE];
    char own[ID_TEXT_SIZE];
    error_set(ret_error, ERROR_DATABASE_FENCED,
              "DAP %s: the epoch is %" PRIu64 " of %s (%s), this node's was %" PRIu64 " (%s)", dap,
              status->epoch, status->owner, id_text(status->generation, found), self->epoch,
              id_text(self->generation, own));
    return COMMIT_FENCED;
}

static commit_verdict_t s_instance(const commit_t *self, const char *dap,
                                   const database_status_t *status, error_t *ret_error)
{
    char found[INSTANCE_TEXT_SIZE];
    char proven[INSTANCE_TEXT_SIZE];
    error_set(ret_error, ERROR_DATABASE_REFUSED,
              "DAP %s reaches %s, a server that was %s; the one that is proven was %s; nothing is "
              "written before this one is proven",
              dap, status->server, instance_text(&status->instance, found),
              instance_text(&self->instance, proven));
    return COMMIT_INSTANCE;
}

/* The exact figures, for whoever has to decide. */
static commit_verdict_t s_diverged(const char *dap, const batch_t *batch,
                                   const database_status_t *status, error_t *ret_error)
{
    char found[ID_TEXT_SIZE];
    char expected[ID_TEXT_SIZE];
    if (status->lineage == LINEAGE_SHORT)
        error_set(ret_error, ERROR_DATABASE_DIVERGED,
                  "DAP %s reaches %s, which lost %" PRIu64
                  " committed entries: its head is index "
                  "%" PRIu64 " (%s), this node committed up to %" PRIu64 " (%s)",
                  dap, status->server, database_lost(status), status->head_index,
                  id_text(status->head_hash, found), batch->first - 1,
                  id_text(batch->previous, expected));
    else
        error_set(ret_error, ERROR_DATABASE_DIVERGED,
                  "DAP %s: the journal's head is index %" PRIu64
                  " (%s), but the batch from %" PRIu64 " to %" PRIu64 " continues index %" PRIu64
                  " (%s): somebody else wrote",
                  dap, status->head_index, id_text(status->head_hash, found), batch->first,
                  batch->last, batch->first - 1, id_text(batch->previous, expected));
    return COMMIT_DIVERGED;
}

commit_verdict_t commit_judge(const commit_t *self, const char *dap, const batch_t *batch,
                              const PGresult *result, error_t *ret_error)
{
    database_status_t status;
    place_t known = s_known(self->epoch, self->generation, batch);
    if (!database_parse_status(result, &known, &status, ret_error))
        return COMMIT_UNKNOWN;
    if (!identity_equal(&status.identity, &self->identity))
        return s_wrong(self, dap, &status, ret_error);
    if (!instance_equal(&status.instance, &self->instance))
        return s_instance(self, dap, &status, ret_error);
    if (status.epoch != self->epoch || !id_equal(status.generation, self->generation))
        return s_fenced(self, dap, &status, ret_error);
    if (status.head_index == batch->last && id_equal(status.head_hash, batch->hash))
        return COMMIT_THERE;
    if (status.head_index == batch->first - 1 && id_equal(status.head_hash, batch->previous))
        return COMMIT_CLEAR;
    return s_diverged(dap, batch, &status, ret_error);
}
