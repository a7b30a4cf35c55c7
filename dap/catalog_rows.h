/* Catalog rows: strategies, activations, turns, agents and drained routers (core/catalog.h) on
 * their way into their tables and out of them. Which column holds which field is in
 * dap/catalog_rows.c alone.
 */
#ifndef IXN_DAP_CATALOG_ROWS_H
#define IXN_DAP_CATALOG_ROWS_H

#include "core/catalog.h"
#include "dap/connection.h"
#include "dap/rows.h"

/* One statement for the first rows of an image's list; `ret_count`: for how many. The parameters
 * belong to `encoder` until its next use. */
const char *catalog_rows_encode(rows_t *encoder, const catalog_row_t *rows, size_t len,
                                const connection_params_t **ret_params, size_t *ret_count,
                                size_t *ret_bytes);

typedef bool catalog_rows_fn(void *context, const catalog_row_t *row, error_t *ret_error);

/* Reads all tables inside the connection's transaction, activations after strategies. */
bool catalog_rows_read(connection_t *connection, catalog_rows_fn *on_row, void *context,
                       error_t *ret_error);

#endif
