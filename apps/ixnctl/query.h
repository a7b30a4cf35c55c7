/* Query: reads the documented tables as one picture: one read-only snapshot of the database, with
 * the index that the tables show and how old that is.
 */
#ifndef IXNCTL_QUERY_H
#define IXNCTL_QUERY_H

#include <libpq-fe.h>

#include "apps/ixnctl/common.h"

#define QUERY_PARAMS 8

typedef struct {
    uint64_t index; /* of the checkpoint that the tables show */
    double age;     /* seconds since it was written, by the database's clock */
    PGresult *rows; /* caller clears it */
} query_t;

/* Takes the first DAP of the configuration that answers. `params` are texts and end with NULL (at
 * most QUERY_PARAMS); results are texts too, so every column of `sql` must be of type text. False
 * and an error: DATABASE_UNREACHABLE with each DAP's reason, DATABASE_EMPTY, DATABASE_WRONG when it
 * is not the one that the configuration demands, DATABASE_REFUSED. */
bool query_run(common_t *common, const char *sql, const char *const *params, query_t *ret_query,
               error_t *ret_error);

#endif
