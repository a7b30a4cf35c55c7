#include "core/batch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/base/alloc.h"
#include "core/base/check.h"

/* One block: who holds it, the batch, then its bytes. */
typedef struct {
    batch_t batch; /* first: a batch_t is its block */
    atomic_uint holders;
} block_t;

static void s_put_u64(uint8_t *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (56 - 8 * i));
}

id128_t batch_hash(const batch_t *self)
{
    uint8_t head[16 + 5 * 8];
    memcpy(head, self->previous.bytes, 16);
    s_put_u64(head + 16, self->epoch);
    s_put_u64(head + 24, self->first);
    s_put_u64(head + 32, self->last);
    s_put_u64(head + 40, (uint64_t)self->log_time);
    s_put_u64(head + 48, (uint64_t)self->wall_time);
    XXH3_state_t *state = XXH3_createState();
    CHECK(state && XXH3_128bits_reset(state) == XXH_OK);
    CHECK(XXH3_128bits_update(state, head, sizeof head) == XXH_OK);
    CHECK(XXH3_128bits_update(state, self->entries.data, self->entries.len) == XXH_OK);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    id128_t hash;
    memcpy(hash.bytes, canonical.digest, sizeof hash.bytes);
    return hash;
}

batch_t *batch_new(uint64_t epoch, uint64_t first, uint64_t last, id128_t previous, usec_t log_time,
                   usec_t wall_time, text_t entries)
{
    CHECK(last >= first);
    block_t *block = memory_new(sizeof *block + entries.len);
    atomic_init(&block->holders, 1);
    batch_t *self = &block->batch;
    *self = (batch_t){.epoch = epoch,
                      .first = first,
                      .last = last,
                      .previous = previous,
                      .log_time = log_time,
                      .wall_time = wall_time,
                      .entries = {(char *)(block + 1), entries.len}};
    if (entries.len)
        memcpy(block + 1, entries.data, entries.len);
    self->hash = batch_hash(self);
    return self;
}

batch_t *batch_share(const batch_t *self)
{
    block_t *block = (block_t *)self;
    atomic_fetch_add_explicit(&block->holders, 1, memory_order_relaxed);
    return &block->batch;
}

void batch_destroy(batch_t **self_p)
{
    block_t *block = (block_t *)*self_p;
    /* Whoever frees it comes after all that the others did with it. */
    if (block && atomic_fetch_sub_explicit(&block->holders, 1, memory_order_acq_rel) == 1)
        free(block);
    *self_p = NULL;
}
