/* Service rows: requests to application servers as parameters of the statements that write
 * ixn.service_request, many at a time, and as rows of the query that reads it. No connection in it.
 */
#ifndef IXN_DAP_SERVICE_ROWS_H
#define IXN_DAP_SERVICE_ROWS_H

#include "core/service_row.h"
#include "dap/copy.h"
#include "dap/rows.h"

/* Inserts or replaces; the parameters belong to `encoder` until its next use. */
extern const char service_rows_sql[];
const connection_params_t *service_rows_encode(rows_t *encoder, const service_row_t *rows,
                                               size_t len);
/* How many of the rows make the next chunk, and about how many bytes that is. */
size_t service_rows_chunk(const service_row_t *rows, size_t len, size_t *ret_bytes);

/* DELETE by their tokens. */
extern const char service_rows_gone_sql[];
const connection_params_t *service_rows_encode_gone(rows_t *encoder, const service_token_t *gone,
                                                    size_t len);

extern const copy_query_t service_rows_query;
/* Text of the row is valid as long as the fields are. */
bool service_rows_read(const field_t *fields, service_row_t *ret_row, error_t *ret_error);

#endif
