/* Tags: those of a link's submits that are not acknowledged, in the order in which they were sent.
 * For protocols whose answers come in that order. A value: `{0}` is empty.
 */
#ifndef IXN_BENCH_PEERS_TAGS_H
#define IXN_BENCH_PEERS_TAGS_H

#include <string.h>

#include "tests/bench/peers/peer.h"

typedef struct {
    buffer_t queue;
    size_t first; /* bytes of it that are gone */
} tags_t;

static inline void tags_put(tags_t *self, uint64_t tag)
{
    if (self->first > 0 && self->first == self->queue.len) {
        buffer_clear(&self->queue);
        self->first = 0;
    }
    buffer_append(&self->queue, &tag, sizeof tag);
}

static inline uint64_t tags_take(tags_t *self)
{
    uint64_t tag;
    if (self->first == self->queue.len)
        peer_fail("an answer came to nothing that was submitted");
    memcpy(&tag, self->queue.bytes + self->first, sizeof tag);
    self->first += sizeof tag;
    return tag;
}

static inline void tags_free(tags_t *self)
{
    buffer_free(&self->queue);
}

#endif
