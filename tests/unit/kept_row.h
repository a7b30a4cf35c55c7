/* Kept row: rows of interactions with memory of their own, by id, as a naive database keeps them.
 * For tests of images and of loading, and for the simulator.
 */
#ifndef IXN_TESTS_KEPT_ROW_H
#define IXN_TESTS_KEPT_ROW_H

#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/table.h"
#include "core/row.h"

typedef struct kept_row {
    UT_hash_handle hh; /* by id */
    interaction_row_t row;
    uint64_t index;      /* of the entry that finished it, or 0 */
    bool journey_is_cut; /* only the end of its journey is known */
    char texts[];
} kept_row_t;

static const size_t row_texts[] = {
    offsetof(interaction_row_t, tenant),       offsetof(interaction_row_t, queue),
    offsetof(interaction_row_t, media_type),   offsetof(interaction_row_t, type),
    offsetof(interaction_row_t, subtype),      offsetof(interaction_row_t, external_id),
    offsetof(interaction_row_t, submitted_by), offsetof(interaction_row_t, key),
    offsetof(interaction_row_t, attributes),   offsetof(interaction_row_t, journey),
    offsetof(interaction_row_t, router),       offsetof(interaction_row_t, strategy),
    offsetof(interaction_row_t, reason),
};
enum { ROW_TEXTS = sizeof row_texts / sizeof *row_texts };

static inline text_t *row_text(const interaction_row_t *row, size_t number)
{
    return (text_t *)(void *)((char *)row + row_texts[number]);
}

/* A copy with its own memory; free() it. */
static inline kept_row_t *row_keep(const interaction_row_t *row)
{
    size_t size = 0;
    for (size_t i = 0; i < ROW_TEXTS; i++)
        size += row_text(row, i)->len;
    kept_row_t *kept = memory_zero(1, sizeof *kept + size);
    kept->row = *row;
    char *end = kept->texts;
    for (size_t i = 0; i < ROW_TEXTS; i++) {
        text_t text = *row_text(row, i);
        if (text.len)
            memcpy(end, text.data, text.len);
        *row_text(&kept->row, i) = (text_t){end, text.len};
        end += text.len;
    }
    return kept;
}

static inline kept_row_t *table_find(kept_row_t *table, const id128_t *id)
{
    kept_row_t *kept = NULL;
    HASH_FIND(hh, table, id->bytes, sizeof id->bytes, kept);
    return kept;
}

static inline void table_delete(kept_row_t **table, kept_row_t *kept)
{
    HASH_DELETE(hh, *table, kept);
    free(kept);
}

/* Inserts or replaces. */
static inline kept_row_t *table_put(kept_row_t **table, const interaction_row_t *row)
{
    kept_row_t *old = table_find(*table, &row->id);
    if (old)
        table_delete(table, old);
    kept_row_t *kept = row_keep(row);
    HASH_ADD(hh, *table, row.id.bytes, sizeof kept->row.id.bytes, kept);
    return kept;
}

static inline void table_clear(kept_row_t **table)
{
    kept_row_t *kept, *next;
    HASH_ITER(hh, *table, kept, next)
    {
        table_delete(table, kept);
    }
}

#endif
