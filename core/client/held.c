/* Held, the code: a small hash table. */
#include "core/client/held.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/table.h"

struct held_entry {
    held_token_t token;
    UT_hash_handle hh;
};

_Static_assert(sizeof(held_token_t) == 16, "the key of the table has no padding");

static held_entry_t *s_find(const held_t *self, const held_token_t *token)
{
    held_entry_t *found = NULL;
    HASH_FIND(hh, self->entries, token, sizeof *token, found);
    return found;
}

bool held_add(held_t *self, held_token_t token)
{
    if (token.epoch == 0 || s_find(self, &token))
        return false;
    held_entry_t *entry = memory_zero(1, sizeof *entry);
    entry->token = token;
    HASH_ADD(hh, self->entries, token, sizeof entry->token, entry);
    return true;
}

void held_remove(held_t *self, held_token_t token)
{
    held_entry_t *entry = s_find(self, &token);
    if (!entry)
        return;
    HASH_DEL(self->entries, entry);
    free(entry);
}

size_t held_count(const held_t *self)
{
    return HASH_COUNT(self->entries);
}

size_t held_list(const held_t *self, held_token_t *ret_tokens, size_t max)
{
    size_t count = 0;
    for (const held_entry_t *entry = self->entries; entry && count < max; entry = entry->hh.next)
        ret_tokens[count++] = entry->token;
    return count;
}

void held_free(held_t *self)
{
    held_entry_t *first = self->entries;
    HASH_CLEAR(hh, self->entries); /* the table; the entries are still chained */
    for (held_entry_t *entry = first, *next; entry; entry = next) {
        next = entry->hh.next;
        free(entry);
    }
}
