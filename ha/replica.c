#include "ha/replica.h"

#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/mutation.h"
#include "ha/line.h"

/* A stream that is so far ahead of what is applied is dropped; the journal has it. */
#define BUFFER_BYTES ((size_t)128 * 1024 * 1024)

struct replica {
    state_t *state; /* NULL: not loaded */
    wire_arena_t *arena;
    line_t journal; /* read from the journal, right behind the state */
    /* What the primary has sent: a chain without gaps. It begins after the state's index, not
     * always right after. */
    line_t stream;
    uint64_t known;
    const guard_t *guard;
    bool stopped;     /* by the guard */
    recent_t *recent; /* not its own; NULL: what was applied is not kept */
};

/* ---- Life ---- */

replica_t *replica_new(void)
{
    replica_t *self = memory_zero(1, sizeof *self);
    self->arena = wire_arena_new();
    return self;
}

void replica_destroy(replica_t **self_p)
{
    replica_t *self = *self_p;
    if (!self)
        return;
    line_free(&self->stream);
    line_free(&self->journal);
    state_destroy(&self->state);
    wire_arena_destroy(&self->arena);
    free(self);
    *self_p = NULL;
}

void replica_keep(replica_t *self, recent_t *recent)
{
    self->recent = recent;
}

bool replica_is_loaded(const replica_t *self)
{
    return self->state != NULL;
}

const state_t *replica_state(const replica_t *self)
{
    return self->state;
}

uint64_t replica_index(const replica_t *self)
{
    return self->state ? self->state->index : 0;
}

uint64_t replica_known(const replica_t *self)
{
    return self->known;
}

const batch_t *replica_beyond(const replica_t *self, uint64_t index, id128_t hash, size_t number)
{
    const line_t *stream = &self->stream;
    for (size_t i = 0; i < stream->len; i++) {
        const batch_t *batch = line_at(stream, i);
        if (batch->first == index + 1 && id_equal(batch->previous, hash))
            return i + number < stream->len ? line_at(stream, i + number) : NULL;
    }
    return NULL;
}

size_t replica_buffered_bytes(const replica_t *self)
{
    return self->stream.bytes + self->journal.bytes;
}

/* ---- The stream ---- */

void replica_forget_stream(replica_t *self)
{
    line_empty(&self->stream);
}

/* True when the stream has this very batch. */
static bool s_has(const line_t *stream, const batch_t *batch)
{
    for (size_t i = stream->len; i > 0; i--) {
        const batch_t *mine = line_at(stream, i - 1);
        if (mine->last == batch->last)
            return id_equal(mine->hash, batch->hash);
        if (mine->last < batch->last)
            return false;
    }
    return false;
}

/* True when the batch may come right behind what is there (or into an empty line). */
static bool s_continues(const replica_t *self, const batch_t *batch)
{
    const batch_t *before = line_newest(&self->stream);
    if (before)
        return batch->first == before->last + 1 && id_equal(batch->previous, before->hash);
    if (!self->state || batch->first != self->state->index + 1)
        return true;
    return id_equal(batch->previous, self->state->hash);
}

void replica_add(replica_t *self, batch_t *batch)
{
    line_t *stream = &self->stream;
    const batch_t *newest = line_newest(stream);
    bool applied = self->state && batch->last <= self->state->index;
    bool late = newest && batch->epoch < newest->epoch && /* of an epoch that is over */
                !MUTATION(LOWER_EPOCH_ACCEPTED);
    if (applied || late || s_has(stream, batch)) {
        batch_destroy(&batch);
        return;
    }
    while (stream->len > 0 && line_newest(stream)->last >= batch->first)
        line_drop_newest(stream); /* replaced by a later epoch */
    if (!s_continues(self, batch) || stream->bytes > BUFFER_BYTES)
        line_empty(stream); /* a gap: the journal fills it up to this batch */
    if (s_continues(self, batch))
        line_push(stream, batch);
    else
        batch_destroy(&batch); /* it does not continue the state itself */
}

void replica_add_journal(replica_t *self, batch_t *batch)
{
    replica_committed(self, batch->last);
    line_push(&self->journal, batch);
}

void replica_committed(replica_t *self, uint64_t index)
{
    if (index > self->known)
        self->known = index;
}

void replica_head(replica_t *self, uint64_t index, id128_t hash)
{
    for (size_t i = 0; i < self->stream.len; i++) {
        const batch_t *batch = line_at(&self->stream, i);
        if (batch->last < index)
            continue;
        /* A head before the stream begins was read earlier than the stream was heard. */
        bool inside = batch->first <= index;
        if (inside && (batch->last > index || !id_equal(batch->hash, hash)))
            line_empty(&self->stream);
        break;
    }
    replica_committed(self, index);
}

/* ---- The state ---- */

/* What the stream has beyond the state must continue it, or is of no use. */
static void s_fit(replica_t *self)
{
    line_t *stream = &self->stream;
    while (stream->len > 0 && line_at(stream, 0)->last <= self->state->index)
        line_drop_oldest(stream);
    if (stream->len == 0)
        return;
    const batch_t *oldest = line_at(stream, 0);
    bool overlaps = oldest->first <= self->state->index;
    bool next = oldest->first == self->state->index + 1;
    if (overlaps || (next && !id_equal(oldest->previous, self->state->hash)))
        line_empty(stream);
}

void replica_load(replica_t *self, state_t *state)
{
    state_destroy(&self->state);
    self->stopped = false;
    line_empty(&self->journal);
    self->state = state;
    replica_committed(self, state->index);
    s_fit(self);
}

state_t *replica_take(replica_t *self)
{
    state_t *state = self->state;
    self->state = NULL;
    self->stopped = false;
    line_empty(&self->stream);
    line_empty(&self->journal);
    self->known = 0;
    return state;
}

void replica_unload(replica_t *self)
{
    state_t *state = replica_take(self);
    state_destroy(&state);
}

static bool s_apply(replica_t *self, line_t *line, error_t *ret_error)
{
    error_t error = {0};
    if (!state_apply_batch(self->state, line_at(line, 0), self->arena, self->guard, &error)) {
        self->stopped = error.code == ERROR_POISON;
        *ret_error = error;
        return false;
    }
    if (self->recent)
        recent_add(self->recent, line_take(line));
    else
        line_drop_oldest(line);
    s_fit(self);
    return true;
}

/* The stream goes on from the state with what is committed. */
static bool s_stream_is_ready(const replica_t *self)
{
    if (self->stream.len == 0)
        return false;
    const batch_t *next = line_at(&self->stream, 0);
    return next->first == self->state->index + 1 &&
           (next->last <= self->known || MUTATION(FOLLOWS_UNCOMMITTED));
}

/* The line to apply from; NULL: none. */
static line_t *s_next(replica_t *self)
{
    while (self->journal.len > 0 && line_at(&self->journal, 0)->last <= self->state->index)
        line_drop_oldest(&self->journal); /* the stream was quicker */
    if (self->journal.len > 0)
        return &self->journal;
    return s_stream_is_ready(self) ? &self->stream : NULL;
}

void replica_guard(replica_t *self, const guard_t *guard)
{
    self->guard = guard;
    self->stopped = false;
}

bool replica_step(replica_t *self, size_t entries, error_t *ret_error)
{
    if (!self->state || self->stopped)
        return true;
    uint64_t until = self->state->index + entries;
    line_t *line;
    while (self->state->index < until && (line = s_next(self)))
        if (!s_apply(self, line, ret_error))
            return false;
    return true;
}

bool replica_has_work(const replica_t *self)
{
    return self->state && !self->stopped && (self->journal.len > 0 || s_stream_is_ready(self));
}

bool replica_has_gap(const replica_t *self)
{
    if (!self->state || self->stopped || self->known <= self->state->index || self->journal.len > 0)
        return false;
    return self->stream.len == 0 || line_at(&self->stream, 0)->first != self->state->index + 1;
}

void replica_checkpoint(replica_t *self, uint64_t index)
{
    if (self->state && index > 0 && index <= self->state->index)
        state_follow_checkpoint(self->state, index);
}
