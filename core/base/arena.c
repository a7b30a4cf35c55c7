#include "core/base/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"

enum { FIRST_CHUNK = 16 * 1024, LARGEST_CHUNK = 1024 * 1024 };

struct arena_chunk {
    arena_chunk_t *next;
    size_t size;
    alignas(max_align_t) char bytes[];
};

static void s_grow(arena_t *self, size_t size)
{
    size_t chunk_size = self->chunks ? self->chunks->size * 2 : FIRST_CHUNK;
    if (chunk_size > LARGEST_CHUNK)
        chunk_size = LARGEST_CHUNK;
    if (chunk_size < size)
        chunk_size = size;
    arena_chunk_t *chunk = memory_new(sizeof *chunk + chunk_size);
    chunk->next = self->chunks;
    chunk->size = chunk_size;
    self->chunks = chunk;
    self->used = 0;
    self->total += chunk_size;
}

void *arena_take(arena_t *self, size_t size)
{
    size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (!self->chunks || self->chunks->size - self->used < size)
        s_grow(self, size);
    void *piece = self->chunks->bytes + self->used;
    self->used += size;
    return piece;
}

text_t arena_text(arena_t *self, text_t text)
{
    if (text.len == 0)
        return (text_t){0};
    return (text_t){memcpy(arena_take(self, text.len), text.data, text.len), text.len};
}

void arena_join(arena_t *self, arena_t *from)
{
    arena_chunk_t **end = &self->chunks;
    while (*end)
        end = &(*end)->next;
    if (!self->chunks)
        self->used = from->used;
    *end = from->chunks;
    self->total += from->total;
    *from = (arena_t){0};
}

void arena_reset(arena_t *self)
{
    arena_chunk_t *largest = NULL;
    for (arena_chunk_t *chunk = self->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        if (!largest || chunk->size > largest->size) {
            free(largest);
            largest = chunk;
        } else {
            free(chunk);
        }
    }
    if (largest)
        largest->next = NULL;
    *self = (arena_t){.chunks = largest, .total = largest ? largest->size : 0};
}

void arena_free(arena_t *self)
{
    for (arena_chunk_t *chunk = self->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    *self = (arena_t){0};
}
