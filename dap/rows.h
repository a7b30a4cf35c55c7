/* Rows: interaction rows as parameters of the statements that write them, many at a time.
 *
 * One table of columns says which field of interaction_row_t goes into which column of
 * ixn.interaction and ixn.interaction_finished, and as what: statements and parameters are both
 * made from it. No connection in it.
 */
#ifndef IXN_DAP_ROWS_H
#define IXN_DAP_ROWS_H

#include "core/row.h"
#include "dap/array.h"
#include "dap/connection.h"

typedef enum { ROWS_LIVE, ROWS_HISTORY } rows_table_t;

/* Of one statement. A chunk has at least one row, however large that is. */
enum { ROWS_CHUNK = 5000, ROWS_CHUNK_BYTES = 16 * 1024 * 1024, ROWS_COPY_BYTES = 256 * 1024 };

enum { ROWS_COLUMNS = 40 }; /* room for the columns of either table */

typedef struct {
    buffer_t upsert_sql;  /* terminated, as the others */
    buffer_t copy_sql[2]; /* by rows_table_t */
    uint8_t columns[2];
    array_t copy; /* a field of COPY is written as an element of an array is */
    array_t arrays[ROWS_COLUMNS];
    Oid types[ROWS_COLUMNS];
    const char *values[ROWS_COLUMNS];
    int lengths[ROWS_COLUMNS];
    connection_params_t params;
} rows_t;

void rows_init(rows_t *self);
void rows_free(rows_t *self);

/* How many of the rows, from the first on, make the next chunk, and about how many bytes that is.
 */
size_t rows_chunk(const interaction_row_t *const *rows, size_t len, size_t *ret_bytes);

/* The statement that inserts or replaces live rows, and its parameters for these rows; they belong
 * to `self` until the next call. */
const char *rows_upsert_sql(const rows_t *self);
const connection_params_t *rows_encode(rows_t *self, const interaction_row_t *const *rows,
                                       size_t len);
/* The first arrays, which the caller has started and filled, as parameters. */
const connection_params_t *rows_bind(rows_t *self, int count);
/* The parameter of rows_gone_sql. */
const connection_params_t *rows_encode_ids(rows_t *self, const id128_t *ids, size_t len);

/* The cheaper way in for rows that are in no table yet: rows for rows_copy_sql, a piece of about
 * ROWS_COPY_BYTES at a time; `ret_count`: how many of them the piece holds. (Not the head and tail
 * of the format: dap/copy_in.h.) A row that is there already is an error: of a finished one, the
 * state has finished it twice, and nobody should hide that. */
const buffer_t *rows_encode_copy(rows_t *self, rows_table_t table,
                                 const interaction_row_t *const *rows, size_t len,
                                 size_t *ret_count);
const char *rows_copy_sql(const rows_t *self, rows_table_t table);

/* DELETE of live rows by their ids. */
extern const char rows_gone_sql[];

#endif
