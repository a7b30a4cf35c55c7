/* Line: batches, oldest first, with what they cost in memory. A value: `{0}` is an empty one; it
 * owns its batches. Pure.
 */
#ifndef IXN_HA_LINE_H
#define IXN_HA_LINE_H

#include <stddef.h>

#include "core/batch.h"

typedef struct {
    batch_t **batches;
    size_t first;
    size_t len; /* behind `first` */
    size_t capacity;
    size_t bytes;
} line_t;

/* What a batch costs: many small ones cost more than their entries. */
size_t line_cost(const batch_t *batch);

batch_t *line_at(const line_t *self, size_t position);
batch_t *line_oldest(const line_t *self); /* NULL: none */
batch_t *line_newest(const line_t *self); /* NULL: none */
void line_push(line_t *self, batch_t *batch);
/* The oldest one, the caller's from now on; there is one. */
batch_t *line_take(line_t *self);
void line_drop_oldest(line_t *self);
void line_drop_newest(line_t *self);
void line_empty(line_t *self);
void line_free(line_t *self);

#endif
