#include "apps/ixn-bench/parts/marks.h"

#include <stdlib.h>

#include "core/base/alloc.h"

#define S_WORD_BITS 64
#define S_WORDS (MARKS_CHUNK / S_WORD_BITS)

void marks_free(marks_t *self)
{
    for (size_t i = 0; i < MARKS_CHUNKS; i++) {
        free(atomic_load(&self->chunks[i]));
        atomic_store(&self->chunks[i], NULL);
    }
}

/* Of two threads that need the same new chunk at once, one gives its own up. */
static _Atomic uint64_t *s_chunk(marks_t *self, uint64_t number)
{
    _Atomic(_Atomic uint64_t *) *place = &self->chunks[number / MARKS_CHUNK];
    _Atomic uint64_t *chunk = atomic_load(place);
    if (chunk)
        return chunk;
    _Atomic uint64_t *made = memory_zero(S_WORDS, sizeof *made);
    if (atomic_compare_exchange_strong(place, &chunk, made))
        return made;
    free(made);
    return chunk;
}

bool marks_set(marks_t *self, uint64_t number)
{
    if (number >= MARKS_MAX)
        return false;
    uint64_t in_chunk = number % MARKS_CHUNK;
    uint64_t bit = (uint64_t)1 << in_chunk % S_WORD_BITS;
    return atomic_fetch_or(&s_chunk(self, number)[in_chunk / S_WORD_BITS], bit) & bit;
}

uint64_t marks_count_without(const marks_t *self, const marks_t *other)
{
    uint64_t count = 0;
    for (size_t i = 0; i < MARKS_CHUNKS; i++) {
        const _Atomic uint64_t *mine = atomic_load(&self->chunks[i]);
        const _Atomic uint64_t *its = atomic_load(&other->chunks[i]);
        for (size_t word = 0; mine && word < S_WORDS; word++) {
            uint64_t left = atomic_load(&mine[word]) & ~(its ? atomic_load(&its[word]) : 0);
            count += (uint64_t)__builtin_popcountll(left);
        }
    }
    return count;
}
