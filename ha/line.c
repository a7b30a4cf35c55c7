#include "ha/line.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"

size_t line_cost(const batch_t *batch)
{
    return sizeof *batch + batch->entries.len;
}

batch_t *line_at(const line_t *self, size_t position)
{
    return self->batches[self->first + position];
}

batch_t *line_oldest(const line_t *self)
{
    return self->len > 0 ? line_at(self, 0) : NULL;
}

batch_t *line_newest(const line_t *self)
{
    return self->len > 0 ? line_at(self, self->len - 1) : NULL;
}

void line_push(line_t *self, batch_t *batch)
{
    if (self->first + self->len == self->capacity) {
        if (self->first > self->capacity / 2) {
            memmove(self->batches, self->batches + self->first, self->len * sizeof *self->batches);
            self->first = 0;
        } else {
            self->capacity = self->capacity * 2 + 64;
            self->batches = memory_resize(self->batches, self->capacity * sizeof *self->batches);
        }
    }
    self->batches[self->first + self->len++] = batch;
    self->bytes += line_cost(batch);
}

batch_t *line_take(line_t *self)
{
    batch_t *batch = line_at(self, 0);
    self->bytes -= line_cost(batch);
    self->first++;
    self->len--;
    return batch;
}

void line_drop_oldest(line_t *self)
{
    batch_t *batch = line_take(self);
    batch_destroy(&batch);
}

void line_drop_newest(line_t *self)
{
    batch_t *batch = line_newest(self);
    self->bytes -= line_cost(batch);
    self->len--;
    batch_destroy(&batch);
}

void line_empty(line_t *self)
{
    while (self->len > 0)
        line_drop_newest(self);
    self->first = 0;
}

void line_free(line_t *self)
{
    line_empty(self);
    free(self->batches);
    *self = (line_t){0};
}
