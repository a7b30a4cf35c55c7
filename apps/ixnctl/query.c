/* Query: see query.h. */
#include "apps/ixnctl/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dap/connection.h"

#define UNDEFINED_TABLE "42P01"
#define UNDEFINED_SCHEMA "3F000"

static bool s_do(connection_t *connection, const char *sql, error_t *ret_error)
{
    PGresult *result = connection_query(connection, sql, NULL, ret_error);
    bool done = result != NULL;
    PQclear(result);
    return done;
}

/* The picture's frame: which database this is, and as of when. */
static bool s_read_frame(connection_t *connection, const config_t *config, query_t *query,
                         error_t *ret_error)
{
    PGresult *result =
        connection_query(connection,
                         "SELECT p.database_id::text, c.index::text,"
                         " extract(epoch FROM clock_timestamp() - c.written_at)::text"
                         " FROM ixn.pair AS p CROSS JOIN ixn.checkpoint AS c",
                         NULL, ret_error);
    if (!result) {
        const char *state = connection_sqlstate(connection);
        if (strcmp(state, UNDEFINED_TABLE) == 0 || strcmp(state, UNDEFINED_SCHEMA) == 0)
            return error_set(ret_error, ERROR_DATABASE_EMPTY,
                             "DAP %s reaches a database without the ixn schema; the wrong one, or "
                             "ixnctl database init was not run yet",
                             connection_name(connection));
        return false;
    }
    id128_t id = {0};
    bool done = PQntuples(result) == 1 && id_parse(PQgetvalue(result, 0, 0), &id);
    if (!done) {
        error_set(ret_error, ERROR_DATABASE_SCHEMA,
                  "DAP %s: ixn.pair and ixn.checkpoint must have one row each, together they have "
                  "%d; this database was changed by somebody else",
                  connection_name(connection), PQntuples(result));
    } else if (config->has_database_id && !id_equal(id, config->database_id)) {
        char found[ID_TEXT_SIZE];
        char wanted[ID_TEXT_SIZE];
        done = error_set(ret_error, ERROR_DATABASE_WRONG,
                         "DAP %s reaches database %s, the configuration demands %s (database.id); "
                         "correct the DAP",
                         connection_name(connection), id_text(id, found),
                         id_text(config->database_id, wanted));
    } else {
        query->index = strtoull(PQgetvalue(result, 0, 1), NULL, 10);
        query->age = strtod(PQgetvalue(result, 0, 2), NULL);
    }
    PQclear(result);
    return done;
}

static bool s_read(connection_t *connection, const config_t *config, const char *sql,
                   const char *const *params, query_t *query, error_t *ret_error)
{
    int lengths[QUERY_PARAMS];
    int count = 0;
    for (; count < QUERY_PARAMS && params[count]; count++)
        lengths[count] = (int)strlen(params[count]);
    connection_params_t bound = {count, NULL, params, lengths};
    if (!s_do(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ret_error) ||
        !s_read_frame(connection, config, query, ret_error))
        return false;
    query->rows = connection_query(connection, sql, &bound, ret_error);
    if (!query->rows)
        return false;
    s_do(connection, "COMMIT", NULL); /* nothing to lose: it has only read */
    return true;
}

bool query_run(common_t *common, const char *sql, const char *const *params, query_t *ret_query,
               error_t *ret_error)
{
    const config_t *config = common_config(common, ret_error);
    if (!config)
        return false;
    error_t all = {0};
    for (size_t i = 0; i < config->daps_len; i++) {
        error_t error = {0};
        query_t query = {0};
        connection_t *connection = connection_new(&config->daps[i], config->connect_timeout_ms,
                                                  config->statement_timeout_ms);
        bool done = s_read(connection, config, sql, params, &query, &error);
        connection_destroy(&connection);
        if (done) {
            *ret_query = query;
            return true;
        }
        if (error.code != ERROR_DATABASE_UNREACHABLE) {
            if (ret_error)
                *ret_error = error;
            return false;
        }
        error_t before = all;
        error_set(&all, error.code, "%s%s%s", before.text, i ? "; " : "", error.text);
    }
    if (ret_error)
        *ret_error = all;
    return false;
}
