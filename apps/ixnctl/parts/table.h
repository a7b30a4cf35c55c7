/* Table: rows of text, laid out for a terminal: columns aligned by the width that characters have
 * there, not by their bytes.
 *
 * Promises: what strangers wrote into a cell cannot steer the terminal: control characters and
 * those that turn the writing direction are shown as U+FFFD.
 */
#ifndef IXNCTL_TABLE_H
#define IXNCTL_TABLE_H

#include <stdbool.h>

#include "core/base/buffer.h"
#include "core/base/types.h"

#define TABLE_COLUMNS 16

typedef struct {
    const char *heading; /* the caller's; NULL in all columns: no heading line */
    bool right;          /* numbers */
    bool shrinks;        /* gives way where the lines would be too long */
} table_column_t;

typedef struct {
    table_column_t columns[TABLE_COLUMNS];
    size_t columns_len;
    buffer_t cells;   /* clean texts, each with its terminator */
    size_t cells_len; /* columns_len a row; the last row may be incomplete */
} table_t;

/* A value: set `columns` and `columns_len`, then add cells from left to right, row by row. */
void table_add(table_t *self, text_t cell);
void table_printf(table_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

typedef struct {
    size_t width; /* of the terminal; 0: nothing is cut */
    bool colour;  /* headings in bold */
} table_style_t;

/* Appends the whole table, one line a row. Shrinking columns are cut with "…" while a line is wider
 * than the style's width, but never below 8. */
void table_layout(const table_t *self, table_style_t style, buffer_t *out);
void table_free(table_t *self);

/* How many columns of a terminal a text takes. */
size_t table_text_width(text_t text);

#endif
