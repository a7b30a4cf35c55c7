/* Copy: the rows of a query, streamed in PostgreSQL's binary COPY format. The fastest way out of
 * the server, and no result is ever whole in memory.
 *
 * Promises: the columns have the types that were asked for; a row that is not of the format is an
 * error, never read beyond; every wait has a deadline. Works inside a transaction through a
 * transaction pooler. After a failure the connection is closed.
 */
#ifndef IXN_DAP_COPY_H
#define IXN_DAP_COPY_H

#include "dap/connection.h"
#include "dap/field.h"

enum { COPY_COLUMNS = 40 };

typedef struct {
    connection_t *connection;
    const char *what;    /* for errors */
    uint32_t timeout_ms; /* of each wait: the server may think that long before a row */
    int columns;
    field_t fields[COPY_COLUMNS]; /* of the row; valid until the next one */
    char *message;                /* libpq's; what the fields point into */
    bool started;                 /* the header has been read */
} copy_t;

typedef struct {
    const char *what;   /* "ixn.interaction" */
    const char *select; /* without parameters */
    const Oid *types;
    int columns;
} copy_query_t;

typedef enum { COPY_ROW, COPY_END, COPY_FAILED } copy_result_t;

/* Asks once without rows, for the types, then starts. False: nothing to end. */
bool copy_start(copy_t *self, connection_t *connection, const copy_query_t *query,
                uint32_t timeout_ms, error_t *ret_error);
copy_result_t copy_next(copy_t *self, error_t *ret_error);
/* Closes the connection unless the end was reached. */
void copy_end(copy_t *self);

#endif
