#include "apps/ixn-router/parts/heap.h"

#include <stdlib.h>
#include <string.h>

void heap_init(heap_t *self, size_t limit)
{
    memset(self, 0, sizeof *self);
    self->limit = limit;
    self->ceiling = limit;
}

/* The refusal before was not tried again, or in vain. */
static void s_exhaust(heap_t *self)
{
    self->refused = 0;
    if (self->exhausted)
        self->exhausted(self->context);
}

void heap_begin_step(heap_t *self, void (*exhausted)(void *context), void *context)
{
    size_t step = self->limit / 4;
    self->ceiling = self->limit;
    if (self->used + step < self->limit)
        self->ceiling = self->used + step;
    self->refused = 0;
    self->exhausted = exhausted;
    self->context = context;
}

void heap_end_step(heap_t *self)
{
    if (self->refused > 0)
        s_exhaust(self);
    self->ceiling = self->limit;
    self->exhausted = NULL;
}

static void *s_refuse(heap_t *self, size_t new_size)
{
    bool again = self->refused == new_size;
    if (self->refused > 0)
        s_exhaust(self);
    self->refused = again ? 0 : new_size;
    return NULL;
}

void *heap_allocate(void *heap, void *block, size_t old_size, size_t new_size)
{
    heap_t *self = heap;
    if (!block)
        old_size = 0; /* then it is the kind of the object, not a size */
    if (new_size == 0) {
        free(block);
        self->used -= old_size;
        return NULL;
    }
    if (new_size > old_size && new_size - old_size > self->ceiling - self->used)
        return s_refuse(self, new_size);
    void *moved = realloc(block, new_size);
    if (!moved) {
        /* Lua's contract: giving memory back never fails. */
        return new_size <= old_size ? block : s_refuse(self, new_size);
    }
    if (new_size > old_size && self->refused > 0) {
        if (self->refused != new_size)
            s_exhaust(self);
        self->refused = 0;
    }
    self->used = self->used - old_size + new_size;
    return moved;
}
