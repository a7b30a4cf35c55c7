/* Query: see query.h. */
#include "apps/ixnctl/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "dap/connection.h"

#define UNDEFINED_TABLE "42P01"
#define UNDEFINED_SCHEMA "3F000"
#define CANCELLED "57014"
/* How much later than the server its answer is given up. */
#define GRACE_MS 1000

struct query {
    connection_t *connection;
    uint32_t timeout_ms;
    PGresult *frame; /* database_id, index, age, configuration */
};

uint64_t query_index(const query_t *self)
{
    return strtoull(PQgetvalue(self->frame, 0, 1), NULL, 10);
}

double query_age(const query_t *self)
{
    return strtod(PQgetvalue(self->frame, 0, 2), NULL);
}

text_t query_configuration(const query_t *self)
{
    return (text_t){PQgetvalue(self->frame, 0, 3), (size_t)PQgetlength(self->frame, 0, 3)};
}

void query_destroy(query_t **self_p)
{
    query_t *self = *self_p;
    if (!self)
        return;
    PQclear(self->frame);
    connection_destroy(&self->connection); /* the snapshot has only read: nothing to end well */
    free(self);
    *self_p = NULL;
}

static bool s_begin(connection_t *connection, error_t *ret_error)
{
    PGresult *result = connection_query(
        connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL, ret_error);
    bool done = result != NULL;
    PQclear(result);
    return done;
}

static bool s_check_identity(const query_t *self, const config_t *config, error_t *ret_error)
{
    const char *dap = connection_name(self->connection);
    id128_t id = {0};
    if (PQntuples(self->frame) != 1 || !id_parse(PQgetvalue(self->frame, 0, 0), &id))
        return error_set(ret_error, ERROR_DATABASE_SCHEMA,
                         "DAP %s: ixn.pair and ixn.checkpoint must have one row each, together "
                         "they have %d; somebody else has changed this database",
                         dap, PQntuples(self->frame));
    if (!config->has_database_id || id_equal(id, config->database_id))
        return true;
    char found[ID_TEXT_SIZE];
    char wanted[ID_TEXT_SIZE];
    return error_set(ret_error, ERROR_DATABASE_WRONG,
                     "DAP %s reaches database %s, the configuration demands %s (database.id); "
                     "correct the DAP",
                     dap, id_text(id, found), id_text(config->database_id, wanted));
}

/* The picture's frame: which database this is, and as of when. */
static bool s_open(query_t *self, const config_t *config, error_t *ret_error)
{
    if (!s_begin(self->connection, ret_error))
        return false;
    self->frame = connection_query(self->connection,
                                   "SELECT p.database_id::text, c.index::text,"
                                   " extract(epoch FROM clock_timestamp() - c.written_at)::text,"
                                   " (SELECT encoded FROM ixn.configuration)"
                                   " FROM ixn.pair AS p CROSS JOIN ixn.checkpoint AS c",
                                   NULL, ret_error);
    if (self->frame)
        return s_check_identity(self, config, ret_error);
    const char *state = connection_sqlstate(self->connection);
    if (strcmp(state, UNDEFINED_TABLE) == 0 || strcmp(state, UNDEFINED_SCHEMA) == 0)
        error_set(ret_error, ERROR_DATABASE_EMPTY,
                  "DAP %s reaches a database without the ixn schema: the wrong one, or ixnctl "
                  "database init was not run yet",
                  connection_name(self->connection));
    return false;
}

query_t *query_new(common_t *common, error_t *ret_error)
{
    const config_t *config = common_config(common, ret_error);
    error_t all = {0};
    for (size_t i = 0; config && i < config->daps_len; i++) {
        error_t error = {0};
        query_t *self = memory_zero(1, sizeof *self);
        self->timeout_ms = config->statement_timeout_ms;
        self->connection =
            connection_new(&config->daps[i], config->connect_timeout_ms, self->timeout_ms);
        if (s_open(self, config, &error))
            return self;
        query_destroy(&self);
        buffer_t text = {0};
        buffer_printf(&text, "%s%s%s", all.text, *all.text ? "; " : "", error.text);
        error_set(&all, error.code, "%.*s", (int)text.len, (const char *)text.bytes);
        buffer_free(&text);
        if (error.code != ERROR_DATABASE_UNREACHABLE)
            break; /* an answer, though not the one hoped for: another DAP must not hide it */
    }
    if (config && ret_error)
        *ret_error = all;
    return NULL;
}

bool query_set_time(query_t *self, uint32_t timeout_ms, error_t *ret_error)
{
    char sql[60];
    snprintf(sql, sizeof sql, "SET LOCAL statement_timeout = %u", timeout_ms);
    self->timeout_ms = timeout_ms + GRACE_MS;
    return connection_command(self->connection, sql, ret_error);
}

bool query_was_ended(const query_t *self)
{
    return strcmp(connection_sqlstate(self->connection), CANCELLED) == 0;
}

PGresult *query_rows(query_t *self, const char *sql, const char *const *params, error_t *ret_error)
{
    int lengths[QUERY_PARAMS];
    int count = 0;
    for (; params[count]; count++) {
        CHECK(count < QUERY_PARAMS);
        lengths[count] = (int)strlen(params[count]);
    }
    connection_params_t bound = {count, NULL, params, lengths};
    return connection_query_within(self->connection, sql, &bound, self->timeout_ms, ret_error);
}
