/* Schema: makes and migrates it (dap/database.h: database_init, database_migrate).
 *
 * Promises: each is one transaction, and only one runs at a time. An empty database is initialised
 * only here, never by starting a node.
 */
#include "dap/schema.h"

#include "core/base/check.h"
#include "core/base/mutation.h"
#include "dap/database.h"
#include "dap/field.h"
#include "dap/params.h"

/* A migration may rewrite tables; nobody serves meanwhile. */
#define SCRIPT_TIMEOUT_MS (10 * 60 * 1000)

/* Two operators at once: the second waits for the first, then sees what it did. The number is "ixn"
 * and 1, only so that it is nobody else's. */
static bool s_begin(connection_t *connection, error_t *ret_error)
{
    return connection_command(connection, "BEGIN ISOLATION LEVEL READ COMMITTED", ret_error) &&
           database_set_no_limits(connection, ret_error) &&
           connection_command(connection, "SELECT pg_advisory_xact_lock(6912110, 1)", ret_error);
}

static bool s_apply(connection_t *connection, uint32_t after, uint32_t *ret_applied,
                    error_t *ret_error)
{
    uint32_t applied = 0;
    CHECK(schema_migrations[schema_migrations_len - 1].version == DATABASE_SCHEMA_VERSION);
    for (size_t i = 0; i < schema_migrations_len; i++) {
        const schema_migration_t *migration = &schema_migrations[i];
        if (migration->version <= after)
            continue;
        params_t params = {0};
        params_int4(&params, (int32_t)migration->version);
        params_text(&params, text_of(migration->name));
        if (!connection_script(connection, migration->sql, SCRIPT_TIMEOUT_MS, ret_error) ||
            !params_run(connection,
                        "INSERT INTO ixn.schema_migration (version, name) VALUES ($1, $2)", &params,
                        ret_error))
            return false;
        applied++;
    }
    *ret_applied = applied;
    return true;
}

/* The identity, and the genesis row that the first batch continues. */
static bool s_stamp(connection_t *connection, id128_t database_id, error_t *ret_error)
{
    id128_t genesis = id_hash(database_id.bytes, sizeof database_id.bytes);
    params_t pair = {0};
    params_id(&pair, database_id);
    params_t first = {0};
    params_id(&first, (id128_t){{0}});
    params_id(&first, genesis);
    params_t checkpoint = {0};
    params_id(&checkpoint, genesis);
    return params_run(connection, "INSERT INTO ixn.pair (database_id, epoch) VALUES ($1, 0)", &pair,
                      ret_error) &&
           params_run(
               connection,
               "INSERT INTO ixn.journal (last_index, first_index, epoch, previous_hash, hash,"
               " log_time_us, decided_at, entries) VALUES (0, 0, 0, $1, $2, 0, now(), '')",
               &first, ret_error) &&
           params_run(connection,
                      "INSERT INTO ixn.checkpoint (index, hash, log_time_us) VALUES (0, $1, 0)",
                      &checkpoint, ret_error);
}

/* Texts that clients may send are UTF-8; a database of another encoding would refuse some of them
 * only when the checkpoint writes them. */
static bool s_check_encoding(connection_t *connection, error_t *ret_error)
{
    char encoding[40];
    PGresult *result =
        connection_query(connection, "SELECT current_setting('server_encoding')", NULL, ret_error);
    if (!result)
        return false;
    field_copy(field_of(result, 0, 0), encoding, sizeof encoding);
    PQclear(result);
    if (text_equal(text_of(encoding), TEXT("UTF8")))
        return true;
    return error_set(ret_error, ERROR_DATABASE_REFUSED,
                     "DAP %s: the database has the encoding %s, UTF8 is needed; create it with "
                     "ENCODING 'UTF8' TEMPLATE template0",
                     connection_name(connection), encoding);
}

/* True when there is nothing yet. */
static bool s_check_empty(connection_t *connection, error_t *ret_error)
{
    database_status_t status;
    error_t error = {0};
    char text[IDENTITY_TEXT_SIZE];
    if (database_read_status(connection, NULL, &status, &error))
        return error_set(ret_error, ERROR_DATABASE_REFUSED,
                         "DAP %s: %s is initialised already: it is %s; nothing was changed",
                         connection_name(connection), status.server,
                         identity_text(&status.identity, text));
    if (error.code == ERROR_DATABASE_EMPTY)
        return true;
    if (ret_error)
        *ret_error = error;
    return false;
}

bool database_init(database_t *self, identity_t *ret_identity, error_t *ret_error)
{
    uint32_t applied;
    database_status_t status;
    error_t error = {0};
    id128_t database_id = id_random();
    connection_t *connection = database_connection(self, ret_error);
    if (!connection)
        return false;
    if (!s_begin(connection, ret_error) || !s_check_encoding(connection, ret_error) ||
        !s_check_empty(connection, ret_error) || !s_apply(connection, 0, &applied, ret_error) ||
        !s_stamp(connection, database_id, ret_error)) {
        connection_rollback(connection);
        return false;
    }
    /* If the answer to the commit is lost, what is there tells. */
    if (MUTATION(SUCCESSORS_MANY))
        connection_command(connection,
                           "ALTER TABLE ixn.journal DROP CONSTRAINT"
                           " journal_first_index_key",
                           NULL);
    bool committed = connection_command(connection, "COMMIT", &error);
    if (database_status(self, NULL, &status, committed ? ret_error : NULL) &&
        id_equal(status.identity.database_id, database_id)) {
        *ret_identity = status.identity;
        return true;
    }
    if (!committed && ret_error)
        *ret_error = error;
    if (committed)
        error_set(ret_error, ERROR_DATABASE_WRONG,
                  "the database was initialised, but the DAP reaches another one now; check where "
                  "the DAP leads, then look at `ixnctl database status`");
    return false;
}

bool database_migrate(database_t *self, uint32_t *ret_applied, error_t *ret_error)
{
    uint32_t version = 0;
    uint32_t applied = 0;
    connection_t *connection = database_connection(self, ret_error);
    if (!connection)
        return false;
    bool done =
        s_begin(connection, ret_error) && database_read_version(connection, &version, ret_error);
    if (done && version > DATABASE_SCHEMA_VERSION)
        done =
            error_set(ret_error, ERROR_DATABASE_SCHEMA,
                      "DAP %s: the schema has version %u, this program knows %d; run a newer one",
                      connection_name(connection), version, DATABASE_SCHEMA_VERSION);
    /* If the answer to the commit is lost, running it once more shows whether anything is missing.
     */
    done = done && s_apply(connection, version, &applied, ret_error) &&
           connection_command(connection, "COMMIT", ret_error);
    if (!done) {
        connection_rollback(connection);
        return false;
    }
    *ret_applied = applied;
    return true;
}
