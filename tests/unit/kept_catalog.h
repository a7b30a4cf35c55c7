/* Kept catalog: the tables of strategies and agents, as images left them. For tests that stand in
 * for a database.
 */
#ifndef IXN_TESTS_KEPT_CATALOG_H
#define IXN_TESTS_KEPT_CATALOG_H

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/catalog.h"

typedef struct {
    catalog_row_t *rows;
    size_t len;
} kept_catalog_t;

enum { KEPT_CATALOG_TEXTS = 7 };

static inline text_t *kept_catalog_text(catalog_row_t *row, size_t i)
{
    text_t *const texts[KEPT_CATALOG_TEXTS] = {&row->tenant, &row->name, &row->router,
                                               &row->by,     &row->body, &row->content_type,
                                               &row->comment};
    return texts[i];
}

static inline void kept_catalog_drop(catalog_row_t *row)
{
    for (size_t i = 0; i < KEPT_CATALOG_TEXTS; i++)
        free((char *)kept_catalog_text(row, i)->data);
}

static inline bool kept_catalog_same_key(const catalog_row_t *a, const catalog_row_t *b)
{
    return a->kind == b->kind && text_equal(a->tenant, b->tenant) && text_equal(a->name, b->name) &&
           (a->kind != CATALOG_STRATEGY || a->version == b->version) &&
           (a->kind != CATALOG_ACTIVATION || text_equal(a->router, b->router));
}

/* Puts the row, or takes it away. */
static inline void kept_catalog_write(kept_catalog_t *self, const catalog_row_t *row)
{
    size_t at = 0;
    while (at < self->len && !kept_catalog_same_key(&self->rows[at], row))
        at++;
    if (at < self->len) {
        kept_catalog_drop(&self->rows[at]);
        self->rows[at] = self->rows[--self->len];
    }
    if (row->gone)
        return;
    self->rows = memory_resize(self->rows, (self->len + 1) * sizeof *self->rows);
    catalog_row_t *kept = &self->rows[self->len++];
    *kept = *row;
    for (size_t i = 0; i < KEPT_CATALOG_TEXTS; i++) {
        text_t *text = kept_catalog_text(kept, i);
        char *copy = memory_zero(1, text->len + 1);
        if (text->len)
            memcpy(copy, text->data, text->len);
        text->data = copy;
    }
}

/* Into a state, in the order of the kinds. */
static inline bool kept_catalog_load(const kept_catalog_t *self, state_t *state,
                                     bool (*load)(state_t *, const catalog_row_t *, error_t *),
                                     error_t *ret_error)
{
    for (catalog_kind_t kind = 0; kind < CATALOG_KINDS; kind++)
        for (size_t i = 0; i < self->len; i++)
            if (self->rows[i].kind == kind && !load(state, &self->rows[i], ret_error))
                return false;
    return true;
}

static inline void kept_catalog_free(kept_catalog_t *self)
{
    for (size_t i = 0; i < self->len; i++)
        kept_catalog_drop(&self->rows[i]);
    free(self->rows);
    *self = (kept_catalog_t){0};
}

#endif
