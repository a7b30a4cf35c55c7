#include "apps/ixn-bench/parts/pending.h"

#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/table.h"

typedef struct entry {
    uint64_t request_id;
    pending_t pending;
    struct entry *next_free;
    UT_hash_handle hh;
} entry_t;

struct pending_table {
    entry_t *entries;
    entry_t *free; /* used again, so that a steady load does not allocate */
};

pending_table_t *pending_table_new(void)
{
    return memory_zero(1, sizeof(pending_table_t));
}

void pending_table_destroy(pending_table_t **self_p)
{
    pending_table_t *self = *self_p;
    if (!self)
        return;
    pending_t ignored;
    while (pending_table_pop(self, &ignored)) {
    }
    while (self->free) {
        entry_t *entry = self->free;
        self->free = entry->next_free;
        free(entry);
    }
    free(self);
    *self_p = NULL;
}

void pending_table_put(pending_table_t *self, uint64_t request_id, const pending_t *pending)
{
    entry_t *entry = self->free;
    if (entry)
        self->free = entry->next_free;
    else
        entry = memory_new(sizeof *entry);
    *entry = (entry_t){.request_id = request_id, .pending = *pending};
    HASH_ADD(hh, self->entries, request_id, sizeof entry->request_id, entry);
}

static void s_take(pending_table_t *self, entry_t *entry, pending_t *ret_pending)
{
    *ret_pending = entry->pending;
    HASH_DEL(self->entries, entry);
    entry->next_free = self->free;
    self->free = entry;
}

bool pending_table_take(pending_table_t *self, uint64_t request_id, pending_t *ret_pending)
{
    entry_t *entry = NULL;
    HASH_FIND(hh, self->entries, &request_id, sizeof request_id, entry);
    if (!entry)
        return false;
    s_take(self, entry, ret_pending);
    return true;
}

bool pending_table_pop(pending_table_t *self, pending_t *ret_pending)
{
    if (!self->entries)
        return false;
    s_take(self, self->entries, ret_pending);
    return true;
}

size_t pending_table_len(const pending_table_t *self)
{
    return HASH_COUNT(self->entries);
}
