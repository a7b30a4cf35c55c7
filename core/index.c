#include "core/index.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"

/* Linear probing with backward-shift deletion (Knuth, TAOCP vol. 3, 6.4, algorithm R). A cell holds
 * the hash beside the handle, so that most probes, and all moves of cells, do not touch the owner's
 * memory: with a million keys each touch is a cache miss. While two tables exist, insertions go to
 * the new one and each moves STEP cells of the old one: the old one is empty long before the new
 * one is full. Clearing a table of millions would be a pause as well, most of it the kernel's,
 * whose pages are new: the next table is taken when this one is PREPARE parts of PARTS full, and
 * each insertion clears some cells of it, so that it is clear when this one is FULL. */

enum {
    FIRST_SIZE = 1024,
    STEP = 16,
    PARTS = 32,
    PREPARE = 23,
    FULL = 24,
    CLEAR = 2 * PARTS / (FULL - PREPARE), /* the next table is twice as large */
};

typedef struct {
    uint32_t handle_plus_one; /* 0: empty */
    uint32_t hash;
} cell_t;

typedef struct {
    cell_t *cells;
    size_t size; /* a power of two */
    size_t count;
} table_t;

struct index_t {
    index_key_fn *key_of;
    const void *owner;
    table_t now;
    table_t old;      /* being emptied; no cells otherwise */
    size_t old_moved; /* cells of `old` below this one are empty */
    table_t next;     /* being cleared; no cells otherwise */
    size_t next_cleared;
};

/* Interaction ids have their randomness in the last eight bytes, hashes everywhere. */
static uint32_t s_hash(const id128_t *key)
{
    uint64_t hash;
    memcpy(&hash, key->bytes + 8, sizeof hash);
    return (uint32_t)((hash * UINT64_C(0x9E3779B97F4A7C15)) >> 32);
}

static size_t s_home(const table_t *table, uint32_t hash)
{
    return hash & (table->size - 1);
}

static void s_put(table_t *table, uint32_t hash, uint32_t handle)
{
    size_t at = s_home(table, hash);
    while (table->cells[at].handle_plus_one)
        at = (at + 1) & (table->size - 1);
    table->cells[at] = (cell_t){handle + 1, hash};
    table->count++;
}

static inline bool s_seek(const index_t *self, const table_t *table, const id128_t *key,
                          size_t *ret_at)
{
    if (table->count == 0)
        return false;
    uint32_t hash = s_hash(key);
    for (size_t at = s_home(table, hash); table->cells[at].handle_plus_one;
         at = (at + 1) & (table->size - 1)) {
        if (table->cells[at].hash == hash &&
            id_equal(*self->key_of(self->owner, table->cells[at].handle_plus_one - 1), *key)) {
            *ret_at = at;
            return true;
        }
    }
    return false;
}

static void s_take_out(table_t *table, size_t at)
{
    size_t mask = table->size - 1;
    table->cells[at].handle_plus_one = 0;
    table->count--;
    for (size_t next = (at + 1) & mask; table->cells[next].handle_plus_one;
         next = (next + 1) & mask) {
        size_t home = s_home(table, table->cells[next].hash);
        /* May it move to the hole? Yes unless its home lies after the hole. */
        if (((next - home) & mask) >= ((next - at) & mask)) {
            table->cells[at] = table->cells[next];
            table->cells[next].handle_plus_one = 0;
            at = next;
        }
    }
}

/* Moves some cells of the old table. Taking out of the front of a cluster may shift cells that wrap
 * around, so a cell is emptied until nothing moves into it any more. */
static void s_move_some(index_t *self)
{
    if (!self->old.cells)
        return;
    for (int i = 0; i < STEP && self->old.count > 0; i++) {
        while (self->old.cells[self->old_moved].handle_plus_one) {
            cell_t cell = self->old.cells[self->old_moved];
            s_take_out(&self->old, self->old_moved);
            s_put(&self->now, cell.hash, cell.handle_plus_one - 1);
        }
        self->old_moved = (self->old_moved + 1) & (self->old.size - 1);
    }
    if (self->old.count == 0) {
        free(self->old.cells);
        self->old = (table_t){0};
    }
}

static bool s_is_full(const table_t *table, size_t parts)
{
    return table->count * PARTS >= table->size * parts;
}

/* Clears some cells of the next table, or takes it into use. */
static void s_grow(index_t *self)
{
    table_t *next = &self->next;
    if (!next->cells) {
        next->size = self->now.size * 2;
        next->cells = memory_new(next->size * sizeof(cell_t));
        self->next_cleared = 0;
    }
    if (!s_is_full(&self->now, FULL)) {
        size_t left = next->size - self->next_cleared;
        size_t some = left < CLEAR ? left : CLEAR;
        memset(next->cells + self->next_cleared, 0, some * sizeof(cell_t));
        self->next_cleared += some;
        return;
    }
    CHECK(!self->old.cells && self->next_cleared == next->size);
    self->old = self->now;
    self->old_moved = 0;
    self->now = *next;
    *next = (table_t){0};
}

index_t *index_new(index_key_fn *key_of, const void *owner)
{
    index_t *self = memory_zero(1, sizeof *self);
    self->key_of = key_of;
    self->owner = owner;
    self->now.size = FIRST_SIZE;
    self->now.cells = memory_zero(FIRST_SIZE, sizeof(cell_t));
    return self;
}

void index_destroy(index_t **self_p)
{
    index_t *self = *self_p;
    if (!self)
        return;
    free(self->now.cells);
    free(self->old.cells);
    free(self->next.cells);
    free(self);
    *self_p = NULL;
}

void index_insert(index_t *self, const id128_t *key, uint32_t handle)
{
    if (s_is_full(&self->now, PREPARE))
        s_grow(self);
    s_move_some(self);
    s_put(&self->now, s_hash(key), handle);
}

bool index_find(const index_t *self, const id128_t *key, uint32_t *ret_handle)
{
    size_t at;
    const table_t *table = &self->now;
    if (!s_seek(self, table, key, &at)) {
        table = &self->old;
        if (!s_seek(self, table, key, &at))
            return false;
    }
    *ret_handle = table->cells[at].handle_plus_one - 1;
    return true;
}

void index_prefetch(const index_t *self, const id128_t *key)
{
    uint32_t hash = s_hash(key);
    __builtin_prefetch(&self->now.cells[s_home(&self->now, hash)]);
    if (self->old.cells)
        __builtin_prefetch(&self->old.cells[s_home(&self->old, hash)]);
}

void index_remove(index_t *self, const id128_t *key)
{
    size_t at;
    if (s_seek(self, &self->now, key, &at)) {
        s_take_out(&self->now, at);
    } else {
        CHECK(s_seek(self, &self->old, key, &at));
        s_take_out(&self->old, at);
    }
    s_move_some(self);
}

size_t index_count(const index_t *self)
{
    return self->now.count + self->old.count;
}

size_t index_memory(const index_t *self)
{
    return (self->now.size + self->old.size + self->next.size) * sizeof(cell_t);
}
