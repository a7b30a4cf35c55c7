/* Arena: memory that is taken piece by piece and given back all at once. Pieces never move. A
 * value:
 * `{0}` is an empty one.
 */
#ifndef IXN_BASE_ARENA_H
#define IXN_BASE_ARENA_H

#include <stddef.h>

#include "core/base/types.h"

typedef struct arena_chunk arena_chunk_t;

typedef struct {
    arena_chunk_t *chunks; /* the newest first; pieces are taken from it */
    size_t used;           /* of the newest chunk */
    size_t total;          /* bytes of all chunks */
} arena_t;

/* `size` bytes, aligned for anything. Valid until reset or free. */
void *arena_take(arena_t *self, size_t size);
/* A copy of a text in the arena. */
text_t arena_text(arena_t *self, text_t text);
/* Takes over all pieces of `from`, which is empty then. */
void arena_join(arena_t *self, arena_t *from);
void arena_reset(arena_t *self); /* keeps the largest chunk for the next use */
void arena_free(arena_t *self);  /* back to `{0}` */

#endif
