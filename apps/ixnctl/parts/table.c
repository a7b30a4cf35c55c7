/* Table: see table.h. */
#include "apps/ixnctl/parts/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistr.h>
#include <uniwidth.h>

#include "core/base/alloc.h"
#include "core/base/check.h"

#define WIDTH_MIN 8
#define GAP 2

size_t table_text_width(text_t text)
{
    int width = u8_width((const uint8_t *)text.data, text.len, "UTF-8");
    return width > 0 ? (size_t)width : 0;
}

static bool s_steers(ucs4_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void table_add(table_t *self, text_t cell)
{
    CHECK(self->columns_len > 0 && self->columns_len <= TABLE_COLUMNS);
    for (size_t at = 0; at < cell.len;) {
        ucs4_t c = 0;
        const uint8_t *bytes = (const uint8_t *)cell.data + at;
        int len = u8_mbtoucr(&c, bytes, cell.len - at);
        at += len > 0 ? (size_t)len : 1;
        if (len > 0 && (c == '\n' || c == '\t' || c == '\r'))
            buffer_append_text(&self->cells, " ");
        else if (len <= 0 || s_steers(c))
            buffer_append_text(&self->cells, "\xef\xbf\xbd");
        else
            buffer_append(&self->cells, bytes, (size_t)len);
    }
    buffer_append(&self->cells, "", 1);
    self->cells_len++;
}

void table_printf(table_t *self, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    CHECK(len >= 0);
    table_add(self, text_of(text));
}

static bool s_has_headings(const table_t *self)
{
    for (size_t i = 0; i < self->columns_len; i++) {
        if (self->columns[i].heading)
            return true;
    }
    return false;
}

static void s_measure(const table_t *self, size_t widths[TABLE_COLUMNS])
{
    for (size_t i = 0; i < self->columns_len; i++)
        widths[i] = table_text_width(text_of(self->columns[i].heading));
    CHECK(self->columns_len > 0);
    const char *cell = (const char *)self->cells.bytes;
    for (size_t i = 0; i < self->cells_len; i++) {
        size_t width = table_text_width(text_of(cell));
        size_t *column = &widths[i % self->columns_len];
        *column = width > *column ? width : *column;
        cell += strlen(cell) + 1;
    }
}

/* Takes from the widest shrinking column, one by one, until the line fits. */
static void s_shrink(const table_t *self, size_t widths[TABLE_COLUMNS], size_t max)
{
    size_t total = (self->columns_len - 1) * GAP;
    for (size_t i = 0; i < self->columns_len; i++)
        total += widths[i];
    while (total > max) {
        size_t widest = self->columns_len;
        for (size_t i = 0; i < self->columns_len; i++) {
            if (self->columns[i].shrinks && widths[i] > WIDTH_MIN &&
                (widest == self->columns_len || widths[i] > widths[widest]))
                widest = i;
        }
        if (widest == self->columns_len)
            return;
        widths[widest]--;
        total--;
    }
}

static void s_append_spaces(buffer_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buffer_append_text(out, " ");
}

/* How many bytes of the text fit into `max` columns; how many they take. */
static size_t s_fitting(text_t text, size_t max, size_t *ret_width)
{
    size_t at = 0;
    size_t width = 0;
    while (at < text.len) {
        ucs4_t c = 0;
        int len = u8_mbtouc(&c, (const uint8_t *)text.data + at, text.len - at);
        int one = uc_width(c, "UTF-8");
        if (width + (size_t)(one > 0 ? one : 0) > max)
            break;
        width += (size_t)(one > 0 ? one : 0);
        at += (size_t)len;
    }
    *ret_width = width;
    return at;
}

static void s_append_cell(buffer_t *out, const table_column_t *column, text_t text, size_t width,
                          bool last)
{
    size_t used = table_text_width(text);
    bool cut = used > width;
    if (cut)
        text.len = s_fitting(text, width - 1, &used);
    size_t space = width - used - (cut ? 1 : 0);
    if (column->right)
        s_append_spaces(out, space);
    buffer_append(out, text.data, text.len);
    if (cut)
        buffer_append_text(out, "\xe2\x80\xa6");
    if (!column->right && !last)
        s_append_spaces(out, space);
    if (!last)
        s_append_spaces(out, GAP);
}

/* Empty cells at the end of a line leave no spaces behind. */
static void s_end_line(buffer_t *out)
{
    while (out->len > 0 && out->bytes[out->len - 1] == ' ')
        out->len--;
    buffer_append_text(out, "\n");
}

void table_layout(const table_t *self, table_style_t style, buffer_t *out)
{
    size_t widths[TABLE_COLUMNS] = {0};
    s_measure(self, widths);
    if (style.width > 0)
        s_shrink(self, widths, style.width);
    if (s_has_headings(self)) {
        if (style.colour)
            buffer_append_text(out, "\x1b[1m");
        for (size_t i = 0; i < self->columns_len; i++)
            s_append_cell(out, &self->columns[i], text_of(self->columns[i].heading), widths[i],
                          i + 1 == self->columns_len);
        buffer_append_text(out, style.colour ? "\x1b[0m\n" : "\n");
    }
    const char *cell = (const char *)self->cells.bytes;
    for (size_t i = 0; i < self->cells_len; i++) {
        size_t column = i % self->columns_len;
        bool last = column + 1 == self->columns_len || i + 1 == self->cells_len;
        s_append_cell(out, &self->columns[column], text_of(cell), widths[column], last);
        if (last)
            s_end_line(out);
        cell += strlen(cell) + 1;
    }
}

void table_free(table_t *self)
{
    buffer_free(&self->cells);
    self->cells_len = 0;
}
