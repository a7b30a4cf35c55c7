/* A batch of the log on the state: the checks around it, and what an operator or a crash has taken
 * out of it.
 */
#include <stdio.h>

#include "core/base/mutation.h"
#include "core/state_internal.h"

enum { PREFETCH_AHEAD = 4 }; /* entries */

static bool s_is_skipped(const state_t *self, const batch_t *batch, uint64_t index)
{
    for (size_t i = 0; i < self->skips_len; i++)
        if (self->skips[i].index == index && id_equal(self->skips[i].batch, batch->hash))
            return !MUTATION(SKIP_IGNORED);
    return false;
}

/* What comes after a skipped entry may build on it. */
static void s_name_skip(const state_t *self, error_t *error)
{
    error_t first = *error;
    if (self->skips_len > 0)
        error_set(error, first.code,
                  "%.300s (after the skipped entry %llu; where it builds on that one: ixnctl "
                  "database skip --index %llu)",
                  first.text, (unsigned long long)self->skips[self->skips_len - 1].index,
                  (unsigned long long)self->index + 1);
}

static bool s_apply_entry(state_t *self, const batch_t *batch, const Ixn__V1__Entry *entry,
                          hand_t *hand, error_t *ret_error)
{
    if (self->skips_len > 0 && s_is_skipped(self, batch, self->index + 1)) {
        self->index++;
        return true;
    }
    if (hand)
        hand->index = self->index + 1;
    if (state_apply(self, entry, ret_error))
        return true;
    s_name_skip(self, ret_error);
    return false;
}

static bool s_is_poison(const state_t *self, const batch_t *batch, const guard_t *guard,
                        error_t *ret_error)
{
    uint64_t after = batch->first - 1;
    const guard_stop_t *stop;
    while (guard && guard->stops_len > 0 && !MUTATION(ENTRY_RETRIED) &&
           (stop = guard_stop(guard, batch, after))) {
        if (!s_is_skipped(self, batch, stop->index))
            return !error_set(ret_error, ERROR_POISON,
                              "entry %llu of the log crashed the nodes that applied it, and is not "
                              "applied again: start a version that is mended, or ixnctl database "
                              "skip --index %llu --reason \"…\"",
                              (unsigned long long)stop->index, (unsigned long long)stop->index);
        after = stop->index;
    }
    return false;
}

static void s_prefetch_submitted(const state_t *self, const Ixn__V1__Submitted *entry)
{
    id128_t id;
    if (!wire_read_id(entry->interaction_id, &id))
        return;
    const text_t key = {(const char *)entry->key.data, entry->key.len};
    const id128_t key_hash = key_hash_of(text_of(entry->tenant), key);
    index_prefetch(self->by_id, &id);
    index_prefetch(self->by_key, &key_hash); /* waiting for it takes longer than two hashes do */
    state_remembered_prefetch(self, &id, NULL);
}

/* An entry that comes a little later: where many wait, and of what is completed, the tables are too
 * large for the cache. */
static void s_prefetch(const state_t *self, const Ixn__V1__Entry *entry)
{
    id128_t id;
    if (entry->body_case == IXN__V1__ENTRY__BODY_SUBMITTED) {
        s_prefetch_submitted(self, entry->submitted);
    } else if (entry->body_case == IXN__V1__ENTRY__BODY_STOPPED &&
               wire_read_id(entry->stopped->interaction_id, &id)) {
        const interaction_t *interaction = state_find(self, &id);
        state_remembered_prefetch(self, &id, interaction ? &interaction->key_hash : NULL);
    }
}

static bool s_apply_entries(state_t *self, const batch_t *batch, wire_arena_t *arena, hand_t *hand,
                            error_t *ret_error)
{
    wire_arena_reset(arena);
    Ixn__V1__Batch *decoded = wire_decode_batch(arena, (const uint8_t *)batch->entries.data,
                                                batch->entries.len, ret_error);
    if (!decoded)
        return false;
    if (decoded->n_entries != batch->last - batch->first + 1)
        return error_set(ret_error, ERROR_DATABASE_DIVERGED, "batch %llu … %llu holds %zu entries",
                         (unsigned long long)batch->first, (unsigned long long)batch->last,
                         decoded->n_entries);
    state_begin_batch(self, batch->epoch, batch->log_time, batch->wall_time);
    for (size_t i = 0; i < decoded->n_entries; i++) {
        if (i + PREFETCH_AHEAD < decoded->n_entries)
            s_prefetch(self, decoded->entries[i + PREFETCH_AHEAD]);
        if (!s_apply_entry(self, batch, decoded->entries[i], hand, ret_error))
            return false;
    }
    state_end_batch(self, batch->hash);
    return true;
}

bool state_apply_batch(state_t *self, const batch_t *batch, wire_arena_t *arena,
                       const guard_t *guard, error_t *ret_error)
{
    hand_t *hand = guard ? guard->hand : NULL;
    if (batch->first != self->index + 1 || !id_equal(batch->previous, self->hash)) {
        char is[ID_TEXT_SIZE], should[ID_TEXT_SIZE];
        return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                         "batch %llu with previous hash %s does not continue index %llu with "
                         "hash %s",
                         (unsigned long long)batch->first, id_text(batch->previous, is),
                         (unsigned long long)self->index, id_text(self->hash, should));
    }
    if (s_is_poison(self, batch, guard, ret_error))
        return false;
    if (hand) {
        hand->hash = batch->hash;
        hand->index = batch->first;
    }
    hand_begin(hand, HAND_APPLY);
    bool applied = s_apply_entries(self, batch, arena, hand, ret_error);
    hand_end(hand);
    return applied;
}
