#include "dap/decision.h"

#include "dap/field.h"
#include "dap/params.h"

#define LOCK_TIMEOUT "2s"

/* ---- Before ---- */

static bool s_lock(connection_t *connection, error_t *ret_error)
{
    static const params_t none = {0};
    return connection_command(connection,
                              "SELECT set_config('lock_timeout', '" LOCK_TIMEOUT
                              "', true), " DURABLE_SQL,
                              ret_error) &&
           params_run(connection, "SELECT 1 FROM ixn.pair FOR UPDATE", &none, ret_error) &&
           params_run(connection, "SELECT 1 FROM ixn.checkpoint FOR UPDATE", &none, ret_error);
}

/* What a standby holds is not locked, so it is looked at first. */
bool decision_begin(connection_t *connection, database_status_t *ret_before, error_t *ret_error)
{
    if (!connection_command(connection, "BEGIN ISOLATION LEVEL READ COMMITTED", ret_error) ||
        !database_read_status(connection, NULL, ret_before, ret_error))
        return false;
    if (ret_before->standby)
        return error_set(ret_error, ERROR_DATABASE_REFUSED,
                         "DAP %s reaches a standby, %s, which takes no writes; lead the DAP to its "
                         "primary, or promote the standby when its primary is gone for good",
                         connection_name(connection), ret_before->server);
    return s_lock(connection, ret_error) &&
           database_read_status(connection, NULL, ret_before, ret_error);
}

/* ---- The claim ---- */

uint64_t decision_epoch(const database_status_t *before, uint64_t highest_heard)
{
    return (before->epoch > highest_heard ? before->epoch : highest_heard) + 1;
}

bool decision_claim(const decision_t *self, connection_t *connection, error_t *ret_error)
{
    params_t pair = {0};
    params_int8(&pair, self->epoch);
    params_id(&pair, self->generation);
    params_text(&pair, text_of(self->by));
    params_t history = pair; /* its values stay those of `pair`, which stays */
    params_int8(&history, self->before->head_index + 1);
    params_id(&history, self->before->head_hash);
    params_text(&history, text_of(self->reason));
    params_t checkpoint = {0};
    params_id(&checkpoint, self->generation);
    return params_run(connection,
                      "UPDATE ixn.pair SET epoch = $1, generation = $2, owner = $3,"
                      " claimed_at = clock_timestamp()",
                      &pair, ret_error) &&
           params_run(connection,
                      "INSERT INTO ixn.epoch (epoch, generation, owner, first_index,"
                      " previous_hash, reason) VALUES ($1, $2, $3, $4, $5, $6)",
                      &history, ret_error) &&
           params_run(connection, "UPDATE ixn.checkpoint SET generation = $1", &checkpoint,
                      ret_error);
}

/* ---- The commit ---- */

typedef enum { OUTCOME_DONE, OUTCOME_NOT_DONE, OUTCOME_UNKNOWN } outcome_t;

/* Another DAP may have answered. An adoption changes the database_id, and nothing changes these. */
static bool s_is_same(const decision_t *self, connection_t *connection, error_t *ret_error)
{
    database_status_t found;
    const identity_t *before = &self->before->identity;
    if (!database_read_status(connection, NULL, &found, ret_error))
        return false;
    return (found.identity.system_identifier == before->system_identifier &&
            found.identity.database_oid == before->database_oid) ||
           error_set(ret_error, ERROR_DATABASE_WRONG, "%s is another database", found.server);
}

/* Somebody may have claimed since, so not the pair's row tells but the history of epochs. */
static outcome_t s_read_outcome(const decision_t *self, connection_t *connection,
                                error_t *ret_error)
{
    static const Oid types[] = {OID_BOOL};
    params_t params = {0};
    params_int8(&params, self->epoch);
    params_id(&params, self->generation);
    connection_params_t all = params_all(&params);
    PGresult *result = connection_query(
        connection, "SELECT EXISTS (SELECT FROM ixn.epoch WHERE epoch = $1 AND generation = $2)",
        &all, ret_error);
    outcome_t outcome = OUTCOME_UNKNOWN;
    if (result && field_check(result, "ixn.epoch", types, 1, ret_error))
        outcome = field_bool(field_of(result, 0, 0)) ? OUTCOME_DONE : OUTCOME_NOT_DONE;
    PQclear(result);
    return outcome;
}

/* The COMMIT may still be under way in a session that nobody hears any more. The locks are that
 * session's until it has ended, so the answer is read behind them. */
static outcome_t s_find_outcome(const decision_t *self, database_t *database, error_t *ret_error)
{
    connection_t *connection = database_connection(database, ret_error);
    if (!connection)
        return OUTCOME_UNKNOWN;
    outcome_t outcome =
        connection_command(connection, "BEGIN ISOLATION LEVEL READ COMMITTED", ret_error) &&
                s_is_same(self, connection, ret_error) && s_lock(connection, ret_error)
            ? s_read_outcome(self, connection, ret_error)
            : OUTCOME_UNKNOWN;
    connection_rollback(connection);
    return outcome;
}

bool decision_commit(const decision_t *self, connection_t *connection, database_t *database,
                     error_t *ret_error)
{
    char id[ID_TEXT_SIZE];
    error_t error = {0};
    error_t why = {0};
    if (connection_command(connection, "COMMIT", &error))
        return true;
    outcome_t outcome = s_find_outcome(self, database, &why);
    if (outcome == OUTCOME_NOT_DONE)
        error_set(ret_error, error.code, "%s; nothing was changed", error.text);
    else if (outcome == OUTCOME_UNKNOWN)
        error_set(ret_error, error.code,
                  "%s; whether it was done is not known (%s): it was, if table ixn.epoch has "
                  "generation %s; otherwise say it again",
                  error.text, why.text, id_text(self->generation, id));
    return outcome == OUTCOME_DONE;
}
