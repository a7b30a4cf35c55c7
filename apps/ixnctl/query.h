/* Query: reads the documented tables as one picture: one read-only snapshot of the database, with
 * the index that the tables show and how old that is.
 */
#ifndef IXNCTL_QUERY_H
#define IXNCTL_QUERY_H

#include <libpq-fe.h>

#include "apps/ixnctl/common.h"

#define QUERY_PARAMS 16

typedef struct query query_t;

/* Takes the first DAP of the configuration that answers. NULL and an error: DATABASE_UNREACHABLE
 * with each DAP's reason, DATABASE_EMPTY, DATABASE_WRONG when it is not the one that the
 * configuration demands, CONFIGURATION. */
query_t *query_new(common_t *common, error_t *ret_error);
void query_destroy(query_t **self_p);

uint64_t query_index(const query_t *self); /* of the checkpoint that the tables show */
double query_age(const query_t *self);     /* seconds since it was written */
/* The encoded ixn.v1.EngineConfiguration as of that index; empty before the first one. Lives as
 * long as the query. */
text_t query_configuration(const query_t *self);

/* Gives the statements to come so long, here and at the server, which would go on otherwise. */
bool query_set_time(query_t *self, uint32_t timeout_ms, error_t *ret_error);
/* Of the last statement that failed: the server has ended it when its time was up. */
bool query_was_ended(const query_t *self);

/* Runs a statement in the snapshot. `params` are texts and end with NULL (at most QUERY_PARAMS);
 * results are texts too, so every column must be of type text. Caller clears the result; NULL and
 * an error otherwise. */
PGresult *query_rows(query_t *self, const char *sql, const char *const *params, error_t *ret_error);

#endif
