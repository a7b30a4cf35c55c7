#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/state_internal.h"

/* A queue in the order of completion, in chunks, so that growth never copies it. Handles in the
 * indexes are positions modulo 2^31. Forgetting happens only at the begin of a batch, which the log
 * decides, so both nodes remember the same. */

enum {
    CHUNK = 4096,
    FIRST_CHUNKS = 16,
    FORGET_AT_ONCE = 2000,
    PREFETCH_AHEAD = 4,
    POSITION_MASK = INT32_MAX
};

static remembered_t *s_at(const remembered_table_t *self, uint32_t handle)
{
    uint32_t offset = (handle - (uint32_t)self->first) & POSITION_MASK;
    uint64_t position = self->first + offset;
    return &self->chunks[position / CHUNK & (self->chunks_capacity - 1)][position % CHUNK];
}

static const id128_t *s_id_of(const void *owner, uint32_t handle)
{
    return &s_at(owner, handle)->id;
}

static const id128_t *s_key_of(const void *owner, uint32_t handle)
{
    return &s_at(owner, handle)->key_hash;
}

void remembered_init(remembered_table_t *self)
{
    *self = (remembered_table_t){.chunks_capacity = FIRST_CHUNKS};
    self->chunks = memory_zero(FIRST_CHUNKS, sizeof *self->chunks);
    self->by_id = index_new(s_id_of, self);
    self->by_key = index_new(s_key_of, self);
}

void remembered_free(remembered_table_t *self)
{
    for (size_t i = 0; i < self->chunks_capacity; i++)
        free(self->chunks[i]);
    free(self->chunks);
    index_destroy(&self->by_id);
    index_destroy(&self->by_key);
}

/* Doubles the table of chunks; the chunks stay where they are. */
static void s_grow(remembered_table_t *self)
{
    size_t capacity = self->chunks_capacity * 2;
    remembered_t **chunks = memory_zero(capacity, sizeof *chunks);
    for (size_t i = 0; i < self->chunks_capacity; i++) {
        uint64_t number = self->first / CHUNK + i;
        chunks[number & (capacity - 1)] = self->chunks[number & (self->chunks_capacity - 1)];
    }
    free(self->chunks);
    self->chunks = chunks;
    self->chunks_capacity = capacity;
}

/* What is to be forgotten a little later: its place in the indexes is a cache miss. */
static void s_prefetch_next(const remembered_table_t *self)
{
    if (self->len <= PREFETCH_AHEAD)
        return;
    const remembered_t *next = s_at(self, (uint32_t)(self->first + PREFETCH_AHEAD) & POSITION_MASK);
    index_prefetch(self->by_id, &next->id);
    index_prefetch(self->by_key, &next->key_hash);
}

static void s_forget_oldest(remembered_table_t *self)
{
    uint32_t handle = (uint32_t)self->first & POSITION_MASK;
    const remembered_t *oldest = s_at(self, handle);
    index_remove(self->by_id, &oldest->id);
    uint32_t newest;
    if (index_find(self->by_key, &oldest->key_hash, &newest) && newest == handle)
        index_remove(self->by_key, &oldest->key_hash);
    if (self->first % CHUNK == CHUNK - 1) {
        size_t chunk = self->first / CHUNK & (self->chunks_capacity - 1);
        free(self->chunks[chunk]);
        self->chunks[chunk] = NULL;
    }
    self->first++;
    self->len--;
}

void remembered_add(remembered_table_t *self, const remembered_t *entry)
{
    uint64_t position = self->first + self->len;
    if (position / CHUNK - self->first / CHUNK == self->chunks_capacity)
        s_grow(self);
    remembered_t **chunk = &self->chunks[position / CHUNK & (self->chunks_capacity - 1)];
    if (!*chunk)
        *chunk = memory_new(CHUNK * sizeof **chunk);
    uint32_t handle = (uint32_t)position & POSITION_MASK;
    self->len++;
    *s_at(self, handle) = *entry;
    /* A key that had been forgotten may have been used again: after a restart with a longer memory
     * both its completions are here, and the younger one answers. */
    uint32_t older;
    if (index_find(self->by_key, &entry->key_hash, &older))
        index_remove(self->by_key, &entry->key_hash);
    index_insert(self->by_id, &entry->id, handle);
    index_insert(self->by_key, &entry->key_hash, handle);
}

void remembered_changes(remembered_t *entry, const journey_t *journey)
{
    size_t kept = 0;
    for (size_t i = journey ? journey->len : 0; i-- > 0 && kept < 3;) {
        const step_t *step = &journey->steps[i];
        if (step->change == 0)
            continue;
        entry->changes[kept] = step->change;
        entry->versions[kept++] = step->version;
    }
}

/* Beyond the window: forgotten, a bounded number at a time. Beyond the bound: forgotten too, but
 * never inside the guaranteed window (new submits are refused before: engine). */
void remembered_expire(state_t *self)
{
    remembered_table_t *table = &self->remembered;
    const Ixn__V1__EngineConfiguration *configuration = self->configuration;
    usec_t window = (usec_t)configuration->dedupe_window_ms * USEC_PER_MS;
    usec_t guaranteed = (usec_t)configuration->dedupe_guaranteed_ms * USEC_PER_MS;
    for (int i = 0; i < FORGET_AT_ONCE && table->len > 0; i++) {
        const remembered_t *oldest = s_at(table, (uint32_t)table->first & POSITION_MASK);
        usec_t age = self->log_time - oldest->completed_log;
        bool expired = age > window;
        bool too_many = table->len > configuration->dedupe_max_keys && age > guaranteed;
        if (!expired && !too_many)
            return;
        s_prefetch_next(table);
        s_forget_oldest(table);
    }
}

const remembered_t *state_remembered(const state_t *self, const id128_t *id)
{
    uint32_t handle;
    return index_find(self->remembered.by_id, id, &handle) ? s_at(&self->remembered, handle) : NULL;
}

const remembered_t *state_remembered_by_key(const state_t *self, const id128_t *key_hash)
{
    uint32_t handle;
    return index_find(self->remembered.by_key, key_hash, &handle) ? s_at(&self->remembered, handle)
                                                                  : NULL;
}

void state_remembered_prefetch(const state_t *self, const id128_t *id, const id128_t *key_hash)
{
    if (id)
        index_prefetch(self->remembered.by_id, id);
    if (key_hash)
        index_prefetch(self->remembered.by_key, key_hash);
}

usec_t state_dedupe_reach(const state_t *self)
{
    const remembered_table_t *table = &self->remembered;
    if (table->len == 0 || table->len < self->configuration->dedupe_max_keys)
        return USEC_NEVER;
    return self->log_time - s_at(table, (uint32_t)table->first & POSITION_MASK)->completed_log;
}
