#include "dap/claim.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/mutation.h"
#include "dap/field.h"
#include "dap/heal.h"

/* A batch on its way lands well within this; what holds a lock for longer is in the way. */
#define PATIENCE_MS 50

typedef struct {
    connection_t *connection; /* with the transaction */
    connection_t *breaker;    /* asks who is in the way, and ends it; NULL until needed */
    int32_t pid;              /* of the transaction's session */
    uint32_t timeout_ms;
    char blocker[256]; /* the last one that could not be ended, for people */
} claiming_t;

const char claim_end_blockers_sql[] =
    "SELECT pid, coalesce(usename, '')::text, coalesce(application_name, ''),"
    " CASE WHEN usename = current_user THEN pg_terminate_backend(pid) ELSE false END"
    " FROM unnest(pg_blocking_pids($1)) AS b (pid) JOIN pg_stat_activity USING (pid)";

static void s_end_blockers(claiming_t *self)
{
    if (!self->breaker)
        self->breaker = connection_again(self->connection);
    params_t params = {0};
    params_int4(&params, self->pid);
    connection_params_t all = params_all(&params);
    error_t error = {0};
    PGresult *result = connection_query(self->breaker, claim_end_blockers_sql, &all, &error);
    if (!result)
        log_warning("dap.blockers_unknown", "dap=%s error=\"%s\"", connection_name(self->breaker),
                    error.text);
    for (int i = 0; i < PQntuples(result); i++) {
        char role[64];
        char program[64];
        int32_t pid = field_int4(field_of(result, i, 0));
        field_copy(field_of(result, i, 1), role, sizeof role);
        field_copy(field_of(result, i, 2), program, sizeof program);
        if (field_bool(field_of(result, i, 3)))
            log_warning("dap.session_terminated",
                        "dap=%s pid=%" PRId32
                        " program=\"%s\" reason=\"it held a lock that a claim "
                        "needs\"",
                        connection_name(self->breaker), pid, program);
        else
            snprintf(self->blocker, sizeof self->blocker,
                     "session %" PRId32
                     " of role %s (%s) holds a lock and may not be terminated by "
                     "this role; ",
                     pid, role, program);
    }
    PQclear(result);
}

/* One statement of the transaction; ends whoever keeps it waiting. */
static PGresult *s_query(claiming_t *self, const char *sql, const params_t *params,
                         error_t *ret_error)
{
    connection_params_t all = params_all(params);
    PGresult *result = NULL;
    if (!connection_send(self->connection, sql, &all, self->timeout_ms, ret_error))
        return NULL;
    usec_t patience = connection_now() + PATIENCE_MS * USEC_PER_MS;
    for (;;) {
        connection_step_t step = connection_step(self->connection, &result, ret_error);
        if (step != CONNECTION_BUSY)
            return step == CONNECTION_DONE ? result : NULL;
        bool writable = (connection_events(self->connection) & POLLOUT) != 0;
        if (!connection_wait(self->connection, writable, patience)) {
            s_end_blockers(self);
            patience = connection_now() + PATIENCE_MS * USEC_PER_MS;
        }
    }
}

static bool s_run(claiming_t *self, const char *sql, const params_t *params, error_t *ret_error)
{
    PGresult *result = s_query(self, sql, params, ret_error);
    PQclear(result);
    return result != NULL;
}

static bool s_begin(claiming_t *self, error_t *ret_error)
{
    char timeout[16];
    params_t params = {0};
    /* Below our own deadline, so that the server says no before we stop listening. And a claim
     * whose node is cut off, or frozen, must not hold the lock that the live primary's commits
     * need. */
    snprintf(timeout, sizeof timeout, "%" PRIu32, self->timeout_ms - self->timeout_ms / 4);
    params_text(&params, text_of(timeout));
    connection_params_t all = params_all(&params);
    if (!connection_command(self->connection, "BEGIN ISOLATION LEVEL READ COMMITTED", ret_error))
        return false;
    PGresult *result = connection_query(
        self->connection,
        "SELECT pg_backend_pid(), set_config('lock_timeout', $1, true),"
        " set_config('idle_in_transaction_session_timeout', $1, true), " DURABLE_SQL,
        &all, ret_error);
    if (!result)
        return false;
    self->pid = field_int4(field_of(result, 0, 0));
    PQclear(result);
    return true;
}

/* What is not the database that was judged is not even locked, and nobody there is in the way. */
void claim_lock(const database_status_t *judged, claim_statement_t *ret_lock)
{
#define JUDGED_SQL                                                                                 \
    "SELECT 1 FROM ixn.pair WHERE database_id = $1"                                                \
    " AND (SELECT system_identifier FROM pg_control_system()) = $2"                                \
    " AND (SELECT oid FROM pg_database WHERE datname = current_database()) = $3"                   \
    " AND pg_postmaster_start_time() = $4 AND current_setting('port')::int4 = $5"
    *ret_lock = (claim_statement_t){.sql = MUTATION(CLAIM_UNLOCKED) ? JUDGED_SQL
                                                                    : JUDGED_SQL " FOR UPDATE"};
    params_t *params = &ret_lock->params;
    params_id(params, judged->identity.database_id);
    params_int8(params, judged->identity.system_identifier);
    params_oid(params, judged->identity.database_oid);
    params_wall(params, judged->instance.started_at);
    params_int4(params, (int32_t)judged->instance.port);
}

static bool s_lock(claiming_t *self, const database_status_t *judged, error_t *ret_error)
{
    claim_statement_t lock;
    error_t error = {0};
    claim_lock(judged, &lock);
    if (s_run(self, lock.sql, &lock.params, &error))
        return true;
    return error_set(ret_error, error.code, "the pair's row could not be locked: %s%s",
                     self->blocker, error.text);
}

static bool s_compare_head(const database_status_t *judged, const database_status_t *found,
                           error_t *ret_error)
{
    char a[ID_TEXT_SIZE];
    char b[ID_TEXT_SIZE];
    if (judged->head_index == found->head_index && id_equal(judged->head_hash, found->head_hash))
        return true;
    return error_set(ret_error, ERROR_DATABASE_FENCED,
                     "the head was judged to be index %" PRIu64 " (%s), but index %" PRIu64
                     " (%s) is there under the same epoch: a batch of %s landed meanwhile; judge "
                     "again",
                     judged->head_index, id_text(judged->head_hash, a), found->head_index,
                     id_text(found->head_hash, b), found->owner);
}

/* The same server, in the same run, that still holds what is known to be committed. */
static bool s_compare_lineage(const database_status_t *judged, const database_claim_t *claim,
                              const database_status_t *found, error_t *ret_error)
{
    char a[INSTANCE_TEXT_SIZE];
    char b[INSTANCE_TEXT_SIZE];
    if (!instance_equal(&judged->instance, &found->instance))
        return error_set(ret_error, ERROR_DATABASE_FENCED,
                         "%s is a server that was %s, the one that was judged was %s; nothing was "
                         "claimed; judge again",
                         found->server, instance_text(&found->instance, a),
                         instance_text(&judged->instance, b));
    bool written_back = claim->batches_len > 0 && found->lineage == LINEAGE_SHORT;
    if ((found->lineage == LINEAGE_SHORT && !written_back) || found->lineage == LINEAGE_DIVERGED)
        return error_set(
            ret_error, ERROR_DATABASE_FENCED,
            "%s %s index %" PRIu64 ", which is known to be committed (its head is %" PRIu64
            "); nothing was claimed; judge again",
            found->server,
            found->lineage == LINEAGE_SHORT ? "does not reach" : "has another batch at",
            found->known.index, found->head_index);
    return true;
}

/* What is there must be what was judged. */
static bool s_compare(const database_status_t *judged, const database_claim_t *claim,
                      const database_status_t *found, error_t *ret_error)
{
    char a[IDENTITY_TEXT_SIZE];
    char b[IDENTITY_TEXT_SIZE];
    if (!identity_equal(&judged->identity, &found->identity))
        return error_set(ret_error, ERROR_DATABASE_WRONG,
                         "%s is %s, but the database that was judged is %s; nothing was claimed",
                         found->server, identity_text(&found->identity, a),
                         identity_text(&judged->identity, b));
    if (!s_compare_lineage(judged, claim, found, ret_error))
        return false;
    if (judged->epoch != found->epoch || !id_equal(judged->generation, found->generation))
        return error_set(ret_error, ERROR_DATABASE_FENCED,
                         "epoch %" PRIu64 " was judged, but epoch %" PRIu64
                         " of %s (%s) is there: "
                         "somebody else was quicker",
                         judged->epoch, found->epoch, found->owner, id_text(found->generation, a));
    return !claim->with_head || s_compare_head(judged, found, ret_error);
}

void claim_changes(const database_claim_t *claim, const database_status_t *found,
                   claim_statement_t changes[CLAIM_CHANGES])
{
    uint64_t seen = found->epoch > claim->highest_seen ? found->epoch : claim->highest_seen;
    text_t owner = text_of(claim->owner);
    changes[0] = (claim_statement_t){.sql =
                                         "UPDATE ixn.pair SET epoch = $1, generation = $2,"
                                         " owner = $3, claimed_at = clock_timestamp()"};
    params_int8(&changes[0].params, seen + 1);
    params_id(&changes[0].params, claim->generation);
    params_text(&changes[0].params, owner);
#define EPOCH_SQL(reason)                                                                          \
    "INSERT INTO ixn.epoch (epoch, generation, owner, first_index, previous_hash, reason)"         \
    " VALUES ($1, $2, $3, $4, $5, " reason ")"
    changes[1] = (claim_statement_t){.sql = claim->batches_len > 0
                                                ? EPOCH_SQL("'lost entries written back: ' || $6")
                                                : EPOCH_SQL("$6")};
    params_int8(&changes[1].params, seen + 1);
    params_id(&changes[1].params, claim->generation);
    params_text(&changes[1].params, owner);
    params_int8(&changes[1].params, found->head_index + 1);
    params_id(&changes[1].params, found->head_hash);
    params_text(&changes[1].params, text_of(claim->reason));
    changes[2] = (claim_statement_t){.sql = "UPDATE ixn.checkpoint SET generation = $1"};
    params_id(&changes[2].params, claim->generation);
}

static bool s_change(claiming_t *self, const database_claim_t *claim,
                     const database_status_t *found, error_t *ret_error)
{
    claim_statement_t changes[CLAIM_CHANGES];
    claim_changes(claim, found, changes);
    for (int i = 0; i < CLAIM_CHANGES; i++)
        if (!s_run(self, changes[i].sql, &changes[i].params, ret_error))
            return false;
    return true;
}

/* The transaction up to its commit. What is found in it before the change is what was locked. */
static bool s_prepare(claiming_t *self, const database_status_t *judged,
                      const database_claim_t *claim, database_status_t *ret_status,
                      error_t *ret_error)
{
    database_status_t found;
    return s_begin(self, ret_error) && s_lock(self, judged, ret_error) &&
           database_read_status(self->connection, &judged->known, &found, ret_error) &&
           s_compare(judged, claim, &found, ret_error) &&
           (claim->batches_len == 0 || heal_write(self->connection, claim, &found, ret_error)) &&
           s_change(self, claim, &found, ret_error) &&
           database_read_status(self->connection, &judged->known, ret_status, ret_error);
}

bool database_claim(database_t *self, const database_status_t *judged,
                    const database_claim_t *claim, database_status_t *ret_status,
                    error_t *ret_error)
{
    database_status_t status;
    error_t error = {0};
    CHECK(!id_is_zero(claim->generation) && (claim->with_head || claim->batches_len == 0));
    claiming_t claiming = {.connection = database_connection(self, ret_error)};
    if (!claiming.connection)
        return false;
    claiming.timeout_ms = connection_timeout_ms(claiming.connection);
    bool done = s_prepare(&claiming, judged, claim, &status, &error);
    connection_destroy(&claiming.breaker);
    if (!done) {
        connection_rollback(claiming.connection);
        if (ret_error)
            *ret_error = error;
        return false;
    }
    /* If the answer is lost, the row tells whether it happened. */
    if (!connection_command(claiming.connection, "COMMIT", &error)) {
        if (!database_status(self, &judged->known, &status, NULL) ||
            !id_equal(status.generation, claim->generation)) {
            if (ret_error)
                *ret_error = error;
            return false;
        }
    }
    *ret_status = status;
    return true;
}
