/* Tail: see tail.h. */
#include "apps/ixnctl/tail.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/id.h"
#include "dap/connection.h"
#include "dap/feed.h"
#include "dap/field.h"

struct tail {
    connection_t **ways;
    size_t ways_len;
    size_t good; /* the way that answered last */
    bool known;  /* which database it is */
    char database_id[ID_TEXT_SIZE];
};

tail_t *tail_new(common_t *common, error_t *ret_error)
{
    const config_t *config = common_config(common, ret_error);
    if (!config)
        return NULL;
    tail_t *self = memory_zero(1, sizeof *self);
    self->ways = memory_zero(config->daps_len, sizeof(connection_t *));
    for (; self->ways_len < config->daps_len; self->ways_len++)
        self->ways[self->ways_len] =
            connection_new(&config->daps[self->ways_len], config->connect_timeout_ms,
                           config->statement_timeout_ms);
    self->known = config->has_database_id;
    if (self->known)
        id_text(config->database_id, self->database_id);
    return self;
}

void tail_destroy(tail_t **self_p)
{
    tail_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->ways_len; i++)
        connection_destroy(&self->ways[i]);
    free(self->ways);
    free(self);
    *self_p = NULL;
}

/* The database that answers first is the one that all others are held against. */
static bool s_learn(tail_t *self, connection_t *way, error_t *ret_error)
{
    if (self->known)
        return true;
    PGresult *result = connection_query(way, "SELECT database_id FROM ixn.pair", NULL, ret_error);
    if (!result)
        return false;
    if (PQntuples(result) == 1)
        id_text(field_id(field_of(result, 0, 0)), self->database_id);
    self->known = PQntuples(result) == 1;
    PQclear(result);
    return self->known || error_set(ret_error, ERROR_DATABASE_SCHEMA,
                                    "DAP %s: ixn.pair must have one row", connection_name(way));
}

static PGresult *s_look_way(tail_t *self, connection_t *way, const char *from, error_t *ret_error)
{
    if (!s_learn(self, way, ret_error))
        return NULL;
    static const Oid types[] = {25, 25}; /* text */
    const char *values[] = {self->database_id, from};
    const int lengths[] = {(int)strlen(self->database_id), (int)strlen(from)};
    const connection_params_t params = {2, types, values, lengths};
    PGresult *result = connection_query(way, feed_sql, &params, ret_error);
    if (!result || PQntuples(result) > 0)
        return result;
    PQclear(result);
    error_set(ret_error, ERROR_DATABASE_WRONG,
              "DAP %s reaches another database than %s; correct the DAP", connection_name(way),
              self->database_id);
    return NULL;
}

PGresult *tail_look(tail_t *self, uint64_t from, error_t *ret_error)
{
    char text[24];
    PGresult *result = NULL;
    snprintf(text, sizeof text, "%" PRIu64, from);
    for (size_t i = 0; i < self->ways_len && !result; i++) {
        const size_t way = (self->good + i) % self->ways_len;
        result = s_look_way(self, self->ways[way], text, ret_error);
        if (result)
            self->good = way;
    }
    return result;
}
