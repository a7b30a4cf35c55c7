#include "dap/database.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/buffer.h"
#include "dap/field.h"
#include "dap/params.h"

struct database {
    connection_t **connections; /* one a DAP, in their order; at most one is open */
    size_t connections_len;
    size_t current;
};

/* Opens the first DAP that answers. */
static bool s_reach(database_t *self, error_t *ret_error)
{
    buffer_t reasons = {0};
    for (size_t i = 0; i < self->connections_len; i++) {
        error_t error = {0};
        if (connection_open(self->connections[i], &error)) {
            buffer_free(&reasons);
            self->current = i;
            return true;
        }
        buffer_printf(&reasons, "%s%s", i ? "; " : "", error.text);
    }
    error_set(ret_error, ERROR_DATABASE_UNREACHABLE, "%s",
              reasons.len ? (const char *)reasons.bytes
                          : "no DAP is configured (database.daps); name one");
    buffer_free(&reasons);
    return false;
}

connection_t *database_connection(database_t *self, error_t *ret_error)
{
    connection_t *current = self->connections_len ? self->connections[self->current] : NULL;
    /* A transaction that an earlier call could not finish must not swallow this one. */
    if (current)
        connection_rollback(current);
    if (current && connection_is_open(current) && connection_listen(current, NULL))
        return current;
    return s_reach(self, ret_error) ? self->connections[self->current] : NULL;
}

/* With `len` DAPs from `first` on; nothing is opened. */
static database_t *s_new(const config_t *config, size_t first, size_t len, int stop)
{
    database_t *self = memory_zero(1, sizeof *self);
    self->connections = memory_zero(len + 1, sizeof(connection_t *));
    for (; self->connections_len < len; self->connections_len++) {
        connection_t *connection =
            connection_new(&config->daps[first + self->connections_len], config->connect_timeout_ms,
                           config->statement_timeout_ms);
        connection_set_stop(connection, stop);
        self->connections[self->connections_len] = connection;
    }
    return self;
}

database_t *database_open(const config_t *config, error_t *ret_error)
{
    database_t *self = s_new(config, 0, config->daps_len, -1);
    if (!s_reach(self, ret_error))
        database_destroy(&self);
    return self;
}

database_t *database_of_dap(const config_t *config, size_t dap, int stop)
{
    return s_new(config, dap, 1, stop);
}

void database_set_timeouts(database_t *self, uint32_t connect_timeout_ms,
                           uint32_t statement_timeout_ms)
{
    for (size_t i = 0; i < self->connections_len; i++)
        connection_set_timeouts(self->connections[i], connect_timeout_ms, statement_timeout_ms);
}

void database_destroy(database_t **self_p)
{
    database_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->connections_len; i++)
        connection_destroy(&self->connections[i]);
    free(self->connections);
    free(self);
    *self_p = NULL;
}

bool database_read_version(connection_t *connection, uint32_t *ret_version, error_t *ret_error)
{
    static const Oid types[] = {OID_BOOL, OID_BOOL, OID_TEXT};
    PGresult *result = connection_query(connection,
                                        "SELECT to_regnamespace('ixn') IS NOT NULL, "
                                        "to_regclass('ixn.schema_migration') IS NOT NULL,"
                                        " current_database()::text",
                                        NULL, ret_error);
    if (!result)
        return false;
    char name[64 + 1] = "";
    bool checked = field_check(result, "the look for the schema", types, 3, ret_error);
    bool has_schema = checked && field_bool(field_of(result, 0, 0));
    bool has_table = checked && field_bool(field_of(result, 0, 1));
    if (checked)
        field_copy(field_of(result, 0, 2), name, sizeof name);
    PQclear(result);
    if (!checked)
        return false;
    if (!has_schema)
        return error_set(
            ret_error, ERROR_DATABASE_EMPTY,
            "DAP %s: database %s holds no ixn schema; if it is the one that was meant, "
            "run `ixnctl database init`",
            connection_name(connection), name);
    if (!has_table)
        return error_set(
            ret_error, ERROR_DATABASE_SCHEMA,
            "DAP %s: database %s has a schema ixn without ixn.schema_migration: it was "
            "not made by this program",
            connection_name(connection), name);
    static const Oid version_types[] = {OID_INT4};
    result = connection_query(connection,
                              "SELECT coalesce(max(version), 0)::int4 FROM ixn.schema_migration",
                              NULL, ret_error);
    if (!result)
        return false;
    checked = field_check(result, "ixn.schema_migration", version_types, 1, ret_error);
    if (checked)
        *ret_version = (uint32_t)field_int4(field_of(result, 0, 0));
    PQclear(result);
    return checked;
}

bool database_set_no_limits(connection_t *connection, error_t *ret_error)
{
    return connection_command(connection,
                              "SELECT set_config(name, '0', true) FROM pg_settings "
                              "WHERE name IN ('statement_timeout', 'transaction_timeout')",
                              ret_error);
}

/* All of the status in one row: one snapshot. The head is missing only where somebody emptied the
 * journal. $1, $2: index and epoch of a place that is known to be committed; `k` is the batch that
 * holds that index, or else the next one that is left; where the journal no longer reaches back so
 * far, the epochs tell: that one is there, and none that began at or before the place came after.
 */
const char database_status_sql[] =
    "SELECT p.database_id, (SELECT system_identifier FROM pg_control_system()),"
    " (SELECT oid FROM pg_database WHERE datname = current_database()),"
    " p.epoch, p.generation, p.owner, j.last_index, j.hash, j.log_time_us, j.decided_at, c.index,"
    " format('database %s on %s, PostgreSQL %s%s', current_database(),"
    " coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'a local socket'),"
    " split_part(current_setting('server_version'), ' ', 1),"
    " CASE current_setting('fsync') WHEN 'off' THEN ', fsync is off' END),"
    " pg_postmaster_start_time(), current_setting('port')::int4, pg_is_in_recovery(),"
    " k.first_index, k.last_index, k.hash,"
    " (SELECT generation FROM ixn.epoch WHERE epoch = $2),"
    " EXISTS (SELECT FROM ixn.epoch WHERE epoch > $2 AND first_index <= $1),"
    " coalesce(host(inet_server_addr()), ''), (SELECT count(*) FROM ixn.skip), " MOVES_SQL
    " FROM ixn.pair AS p LEFT JOIN ixn.checkpoint AS c ON true LEFT JOIN"
    " (SELECT * FROM ixn.journal ORDER BY last_index DESC LIMIT 1) AS j ON true LEFT JOIN"
    " (SELECT first_index, last_index, hash FROM ixn.journal WHERE last_index >= $1"
    " ORDER BY last_index LIMIT 1) AS k ON true";

enum {
    FIELD_HEAD = 6,
    FIELD_CHECKPOINT = 10,
    FIELD_STARTED = 12,
    FIELD_COVER = 15,
    FIELD_EPOCH = 18,
    FIELD_ADDRESS = 20,
    FIELD_SKIPS = 21,
    FIELD_MOVES = 22,
    STATUS_FIELDS = 23
};

void database_status_params(params_t *params, const place_t *known)
{
    params_int8(params, known ? known->index : 0);
    params_int8(params, known ? known->epoch : 0);
}

uint64_t database_lost(const database_status_t *status)
{
    return status->lineage == LINEAGE_SHORT ? status->known.index - status->head_index : 0;
}

static lineage_t s_lineage(const PGresult *result, const place_t *known, id128_t *ret_there)
{
    field_t first = field_of(result, 0, FIELD_COVER);
    if (!known || known->index == 0)
        return LINEAGE_UNKNOWN;
    if (field_is_null(first))
        return LINEAGE_SHORT;
    uint64_t last = field_int8(field_of(result, 0, FIELD_COVER + 1));
    id128_t hash = field_id(field_of(result, 0, FIELD_COVER + 2));
    if (last == known->index) {
        *ret_there = hash;
        return id_equal(hash, known->hash) ? LINEAGE_AGREES : LINEAGE_DIVERGED;
    }
    if (field_int8(first) <= known->index)
        return LINEAGE_DIVERGED; /* within another batch */
    field_t generation = field_of(result, 0, FIELD_EPOCH);
    bool descends = !field_is_null(generation) &&
                    id_equal(field_id(generation), known->generation) &&
                    !field_bool(field_of(result, 0, FIELD_EPOCH + 1));
    return descends ? LINEAGE_AGREES : LINEAGE_DIVERGED;
}

bool database_parse_status(const PGresult *result, const place_t *known,
                           database_status_t *ret_status, error_t *ret_error)
{
    static const Oid types[STATUS_FIELDS] = {
        OID_UUID,        OID_INT8, OID_OID,  OID_INT8,        OID_UUID, OID_TEXT,
        OID_INT8,        OID_UUID, OID_INT8, OID_TIMESTAMPTZ, OID_INT8, OID_TEXT,
        OID_TIMESTAMPTZ, OID_INT4, OID_BOOL, OID_INT8,        OID_INT8, OID_UUID,
        OID_UUID,        OID_BOOL, OID_TEXT, OID_INT8,        OID_BYTEA};
    if (!field_check(result, "the status of the database", types, STATUS_FIELDS, ret_error))
        return false;
    if (PQntuples(result) != 1 || field_is_null(field_of(result, 0, FIELD_HEAD)) ||
        field_is_null(field_of(result, 0, FIELD_CHECKPOINT)))
        return error_set(
            ret_error, ERROR_DATABASE_SCHEMA,
            "the schema ixn is there, but ixn.pair, ixn.journal or ixn.checkpoint has no "
            "row: somebody emptied it; restore the database");
    id128_t there = {0};
    lineage_t lineage = s_lineage(result, known, &there);
    *ret_status = (database_status_t){
        .identity = {.database_id = field_id(field_of(result, 0, 0)),
                     .system_identifier = field_int8(field_of(result, 0, 1)),
                     .database_oid = field_oid(field_of(result, 0, 2))},
        .schema_version = DATABASE_SCHEMA_VERSION,
        .epoch = field_int8(field_of(result, 0, 3)),
        .generation = field_id(field_of(result, 0, 4)),
        .head_index = field_int8(field_of(result, 0, FIELD_HEAD)),
        .head_hash = field_id(field_of(result, 0, 7)),
        .head_log_time = (usec_t)field_int8(field_of(result, 0, 8)),
        .head_wall_time = field_wall(field_of(result, 0, 9)),
        .checkpoint_index = field_int8(field_of(result, 0, FIELD_CHECKPOINT)),
        .instance = {.started_at = field_wall(field_of(result, 0, FIELD_STARTED)),
                     .port = (uint32_t)field_int4(field_of(result, 0, FIELD_STARTED + 1))},
        .skips = field_int8(field_of(result, 0, FIELD_SKIPS)),
        .standby = field_bool(field_of(result, 0, FIELD_STARTED + 2)),
        .lineage = lineage,
        .known = known ? *known : (place_t){0},
        .there = there,
    };
    field_copy(field_of(result, 0, 5), ret_status->owner, sizeof ret_status->owner);
    field_copy(field_of(result, 0, 11), ret_status->server, sizeof ret_status->server);
    field_copy(field_of(result, 0, FIELD_ADDRESS), ret_status->instance.address,
               sizeof ret_status->instance.address);
    moves_parse(field_text(field_of(result, 0, FIELD_MOVES)), &ret_status->moves);
    return true;
}

bool database_read_status(connection_t *connection, const place_t *known,
                          database_status_t *ret_status, error_t *ret_error)
{
    uint32_t version = 0;
    if (!database_read_version(connection, &version, ret_error))
        return false;
    if (version != DATABASE_SCHEMA_VERSION)
        return error_set(ret_error, ERROR_DATABASE_SCHEMA,
                         "DAP %s: the schema has version %u, this program needs %d; %s",
                         connection_name(connection), version, DATABASE_SCHEMA_VERSION,
                         version < DATABASE_SCHEMA_VERSION ? "run `ixnctl database migrate`"
                                                           : "run a newer program");
    params_t params = {0};
    database_status_params(&params, known);
    connection_params_t all = params_all(&params);
    PGresult *result = connection_query(connection, database_status_sql, &all, ret_error);
    bool read = result && database_parse_status(result, known, ret_status, ret_error);
    PQclear(result);
    return read;
}

bool database_status(database_t *self, const place_t *known, database_status_t *ret_status,
                     error_t *ret_error)
{
    database_status_t status;
    connection_t *connection = database_connection(self, ret_error);
    if (!connection ||
        !connection_command(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                            ret_error))
        return false;
    bool done = database_read_status(connection, known, &status, ret_error) &&
                connection_command(connection, "COMMIT", ret_error);
    if (!done) {
        connection_rollback(connection);
        return false;
    }
    *ret_status = status;
    return true;
}
