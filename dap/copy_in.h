/* Copy in: rows on their way into a table by COPY … FROM STDIN in PostgreSQL's binary format, the
 * cheapest way in when there are many.
 *
 * Promises: every wait has a deadline, counted from the last progress; a failure leaves the
 * connection either open, in a transaction that can only be rolled back, or closed. Works inside a
 * transaction through a transaction pooler. Encoding is the caller's.
 */
#ifndef IXN_DAP_COPY_IN_H
#define IXN_DAP_COPY_IN_H

#include "dap/connection.h"

/* What comes before and after the rows of one statement. */
extern const char copy_in_head[];
extern const size_t copy_in_head_len;
extern const char copy_in_tail[];
extern const size_t copy_in_tail_len;

typedef struct {
    connection_t *connection;
    uint32_t timeout_ms;
    usec_t deadline;
} copy_in_t;

/* False as connection_query: refused (DATABASE_REFUSED, connection_sqlstate) or the connection is
 * gone. It has ended then, at whatever call. */
bool copy_in_begin(copy_in_t *self, connection_t *connection, const char *sql, uint32_t timeout_ms,
                   error_t *ret_error);
/* What the server thinks of it is heard at the end only. */
bool copy_in_send(copy_in_t *self, const void *bytes, size_t len, error_t *ret_error);
/* The server must have taken exactly so many rows. */
bool copy_in_end(copy_in_t *self, int64_t rows, error_t *ret_error);

#endif
