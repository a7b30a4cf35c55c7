#include "tests/sim/seen_skips.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"

void seen_skips_free(seen_skips_t *self)
{
    free(self->entries);
    free(self->given_up);
    free(self->left_out);
}

void seen_skips_forget(seen_skips_t *self)
{
    self->given_up_len = self->left_out_len = 0;
}

/* The epoch that its skip began; 0: it is not skipped. */
static uint64_t s_skipped(const seen_skips_t *self, uint64_t index)
{
    for (size_t i = 0; i < self->entries_len; i++)
        if (self->entries[i].index == index)
            return self->entries[i].epoch;
    return 0;
}

void seen_skips_add(seen_skips_t *self, const skipped_t *skipped, uint64_t fence, usec_t now)
{
    if (!s_skipped(self, skipped->index))
        self->newest_at = now;
    self->entries = memory_resize(self->entries, (self->entries_len + 1) * sizeof *self->entries);
    self->entries[self->entries_len++] = *skipped;
    self->fence = fence;
}

bool seen_skips_gave_up(const seen_skips_t *self, const void *id, size_t len, uint64_t epoch)
{
    for (size_t i = 0; len == sizeof(id128_t) && i < self->given_up_len; i++)
        if (memcmp(self->given_up[i].id.bytes, id, len) == 0 && self->given_up[i].epoch > epoch)
            return true;
    return false;
}

bool seen_skips_left_out(const seen_skips_t *self, uint64_t epoch, uint64_t index)
{
    for (size_t i = 0; i < self->left_out_len; i++)
        if (self->left_out[i].epoch == epoch && self->left_out[i].index == index)
            return true;
    return false;
}

/* The interaction that an entry changes. */
static ProtobufCBinaryData s_changed(const Ixn__V1__Entry *entry)
{
    switch (entry->body_case) {
    case IXN__V1__ENTRY__BODY_CHANGED:
        return entry->changed->interaction_id;
    case IXN__V1__ENTRY__BODY_PLACED:
        return entry->placed->interaction_id;
    case IXN__V1__ENTRY__BODY_HELD_CHANGED:
        return entry->held_changed->interaction_id;
    case IXN__V1__ENTRY__BODY_STOPPED:
        return entry->stopped->interaction_id;
    case IXN__V1__ENTRY__BODY_DISPATCHED:
        return entry->dispatched->interaction_id;
    case IXN__V1__ENTRY__BODY_RETURNED:
        return entry->returned->interaction_id;
    default:
        return (ProtobufCBinaryData){0, NULL};
    }
}

bool seen_skips_names(const seen_skips_t *self, const Ixn__V1__Entry *entry)
{
    ProtobufCBinaryData id = s_changed(entry);
    return seen_skips_gave_up(self, id.data, id.len, 0);
}

static void s_give_up(seen_skips_t *self, ProtobufCBinaryData id, uint64_t epoch)
{
    self->given_up =
        memory_resize(self->given_up, (self->given_up_len + 1) * sizeof *self->given_up);
    given_up_t *given_up = &self->given_up[self->given_up_len++];
    memcpy(given_up->id.bytes, id.data, sizeof given_up->id);
    given_up->epoch = epoch;
}

bool seen_skips_entry(seen_skips_t *self, uint64_t index, uint64_t epoch,
                      const Ixn__V1__Entry *entry)
{
    uint64_t skipped = s_skipped(self, index);
    if (skipped && entry->body_case == IXN__V1__ENTRY__BODY_SUBMITTED)
        s_give_up(self, entry->submitted->interaction_id, skipped);
    else if (!seen_skips_names(self, entry))
        return false; /* nothing else is ever skipped */
    if (entry->body_case == IXN__V1__ENTRY__BODY_DISPATCHED) {
        self->left_out =
            memory_resize(self->left_out, (self->left_out_len + 1) * sizeof *self->left_out);
        self->left_out[self->left_out_len++] = (left_out_t){epoch, index};
    }
    return true;
}
