#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/sim/checker_internal.h"

/* What each entry of the log means, written from core/wire/entry.proto and from what clients are
 * promised. */

static bool s_wrong(const checker_t *self, const char *promise, const char *what)
{
    return world_violation(self->world, promise, "entry %llu: %s", (unsigned long long)self->index,
                           what);
}

static seen_t *s_named(checker_t *self, ProtobufCBinaryData id)
{
    seen_t *seen = NULL;
    if (id.len == 16)
        HASH_FIND(hh, self->by_id, id.data, id.len, seen);
    if (!seen)
        s_wrong(self, "P1", "it names an interaction that was never submitted");
    else if (seen->completed)
        s_wrong(self, "P3", "it changes an interaction that is completed");
    return seen && !seen->completed ? seen : NULL;
}

static void s_submitted(checker_t *self, const Ixn__V1__Submitted *entry)
{
    if (checker_find_key(self, entry->key.data, entry->key.len)) {
        s_wrong(self, "P2", "a key makes a second interaction");
        return;
    }
    seen_t *seen = memory_zero(1, sizeof *seen);
    memcpy(seen->id.bytes, entry->interaction_id.data, 16);
    memcpy(seen->key, entry->key.data, entry->key.len);
    seen->key_len = entry->key.len;
    snprintf(seen->queue, sizeof seen->queue, "%s", entry->queue);
    seen->priority = entry->priority;
    seen->age = seen->submitted = self->index;
    seen->version = 1;
    seen->held = entry->held;
    if (checker_find(self, &seen->id)) {
        s_wrong(self, "P2", "an id is given twice");
        free(seen);
        return;
    }
    HASH_ADD(hh, self->by_id, id, sizeof seen->id, seen);
    HASH_ADD_KEYPTR(by_key, self->by_key, seen->key, seen->key_len, seen);
    if (self->live_len == self->live_capacity) {
        self->live_capacity = self->live_capacity * 2 + 64;
        self->live = memory_resize(self->live, self->live_capacity * sizeof *self->live);
    }
    seen->live_at = self->live_len;
    self->live[self->live_len++] = seen;
}

/* ---- Work ---- */

/* The first in line of a queue goes first: priority, then age. */
static bool s_goes_before(const seen_t *a, const seen_t *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->age < b->age;
}

static handed_t *s_current(const checker_t *self, const seen_t *seen)
{
    handed_t *handed = NULL;
    if (seen->routing)
        HASH_FIND(hh, self->handed, &seen->token_index, sizeof seen->token_index, handed);
    return handed;
}

/* What two routers were lost with is alone with the third one. */
static void s_check_alone(checker_t *self, const seen_t *seen, const char *router)
{
    for (size_t i = 0; i < self->live_len; i++) {
        const seen_t *other = self->live[i];
        const handed_t *handed = s_current(self, other);
        if (!handed || strcmp(handed->router, router) != 0)
            continue;
        if (seen->suspected > 1 || other->suspected > 1)
            s_wrong(self, "alone", "it hands out work beside what may be poison");
    }
}

static void s_dispatched(checker_t *self, const batch_t *batch, const Ixn__V1__Dispatched *entry)
{
    seen_t *seen = s_named(self, entry->interaction_id);
    if (!seen)
        return;
    if (seen->routing || seen->held) {
        s_wrong(self, "P3", "it hands out an interaction that does not wait");
        return;
    }
    for (size_t i = 0; i < self->live_len; i++) {
        const seen_t *other = self->live[i];
        if (other == seen || other->routing || other->held ||
            strcmp(other->queue, seen->queue) != 0 || !s_goes_before(other, seen))
            continue;
        world_violation(self->world, "P7",
                        "entry %llu hands out priority %d of age %llu from %s, while priority %d "
                        "of age %llu waits there",
                        (unsigned long long)self->index, seen->priority,
                        (unsigned long long)seen->age, seen->queue, other->priority,
                        (unsigned long long)other->age);
        return;
    }
    s_check_alone(self, seen, entry->router);
    seen_strategies_dispatched(self->strategies, self->index, entry);
    seen_turns_dispatched(self->turns, self->index, entry);
    seen->routing = true;
    seen->token_epoch = batch->epoch;
    seen->token_index = self->index;
    handed_t *handed = memory_zero(1, sizeof *handed);
    handed->index = self->index;
    handed->epoch = batch->epoch;
    handed->interaction = seen;
    handed->after = self->committed_at[1];
    snprintf(handed->router, sizeof handed->router, "%s", entry->router);
    HASH_ADD(hh, self->handed, index, sizeof handed->index, handed);
}

/* The work ends: by its router's result, or because somebody else changes the interaction. */
static bool s_end_work(checker_t *self, seen_t *seen, const char *by)
{
    handed_t *handed = s_current(self, seen);
    bool router = strncmp(by, "router-", 7) == 0;
    if (router && (!handed || strcmp(handed->router, by) != 0))
        return s_wrong(self, "P3", "a router's result is accepted that does not have the work");
    if (handed) {
        handed->over = true;
        handed->result = router;
    }
    seen->routing = false;
    return true;
}

static void s_placed(checker_t *self, const batch_t *batch, const Ixn__V1__Placed *entry)
{
    seen_t *seen = s_named(self, entry->interaction_id);
    if (seen)
        seen_agents_chosen(self->agents, batch, self->index, seen, entry->agent);
    if (!seen || !s_end_work(self, seen, entry->by))
        return;
    if (strcmp(seen->queue, entry->queue) != 0)
        seen->age = self->index;
    snprintf(seen->queue, sizeof seen->queue, "%s", entry->queue);
    if (entry->priority_given_case == IXN__V1__PLACED__PRIORITY_GIVEN_PRIORITY)
        seen->priority = entry->priority;
    seen->held = false;
    seen->suspected = 0;
    seen->version++;
}

static void s_stopped(checker_t *self, const batch_t *batch, const Ixn__V1__Stopped *entry)
{
    seen_t *seen = s_named(self, entry->interaction_id);
    if (seen)
        seen_agents_chosen(self->agents, batch, self->index, seen, entry->agent);
    if (!seen || !s_end_work(self, seen, entry->by))
        return;
    seen->completed = true;
    seen->held = false;
    seen->version++;
    seen_t *last = self->live[--self->live_len];
    self->live[seen->live_at] = last;
    last->live_at = seen->live_at;
}

static void s_returned(checker_t *self, const Ixn__V1__Returned *entry)
{
    seen_t *seen = s_named(self, entry->interaction_id);
    handed_t *handed = seen ? s_current(self, seen) : NULL;
    if (!handed) {
        s_wrong(self, "P3", "it takes back what nobody has");
        return;
    }
    /* It was decided after the batch before the one before its own was committed. */
    usec_t at_most = self->world->now - handed->after;
    if (entry->cause == IXN__V1__RETURN_CAUSE__ROUTING_TIMEOUT &&
        at_most < options_slowest(&self->world->options,
                                  self->world->options.routing_timeout / USEC_PER_MS * USEC_PER_MS))
        world_violation(self->world, "deadline", "entry %llu: a routing timeout after %lld us",
                        (unsigned long long)self->index, (long long)at_most);
    handed->over = true;
    handed->result = entry->change != 0;
    seen->routing = false;
    seen->losses++;
    seen->suspected += entry->cause == IXN__V1__RETURN_CAUSE__ROUTER_LOST;
}

/* ---- Others ---- */

static void s_epoch_started(checker_t *self, const batch_t *batch,
                            const Ixn__V1__EpochStarted *entry)
{
    epoch_t *epoch = &self->epochs[self->epochs_len - 1];
    if (epoch->began || self->index != batch->first || entry->epoch != epoch->epoch ||
        entry->generation.len != 16 ||
        memcmp(entry->generation.data, epoch->generation.bytes, 16) != 0)
        s_wrong(self, "P4 epochs", "an epoch begins that was not claimed so");
    epoch->began = true;
    epoch->began_log = batch->log_time;
}

static void s_changed(checker_t *self, const Ixn__V1__Changed *entry)
{
    seen_t *seen = s_named(self, entry->interaction_id);
    if (!seen)
        return;
    if (entry->priority_given_case == IXN__V1__CHANGED__PRIORITY_GIVEN_PRIORITY)
        seen->priority = entry->priority;
    seen->version++;
}

static void s_held_changed(checker_t *self, const Ixn__V1__HeldChanged *entry)
{
    seen_t *seen = s_named(self, entry->interaction_id);
    if (!seen)
        return;
    if (seen->routing)
        s_wrong(self, "P3", "it holds what is with a router");
    seen->held = entry->held;
    seen->version++;
}

/* Of agents and application servers. */
static void s_part(checker_t *self, const batch_t *batch, const Ixn__V1__Entry *entry)
{
    seen_t *seen;
    switch (entry->body_case) {
    case IXN__V1__ENTRY__BODY_AGENT_RESERVED:
        seen = s_named(self, entry->agent_reserved->interaction_id);
        if (seen)
            seen_agents_reserved(self->agents, batch, self->index, seen, entry->agent_reserved);
        return;
    case IXN__V1__ENTRY__BODY_AGENT_RELEASED:
        seen_agents_released(self->agents, entry->agent_released);
        return;
    case IXN__V1__ENTRY__BODY_SERVICE_REQUESTED:
        seen = s_named(self, entry->service_requested->interaction_id);
        if (seen)
            seen_services_requested(self->services, batch, self->index, seen, self->committed_at[1],
                                    entry->service_requested);
        return;
    case IXN__V1__ENTRY__BODY_SERVICE_SENT:
        seen_services_sent(self->services, self->index, entry->service_sent);
        return;
    case IXN__V1__ENTRY__BODY_SERVICE_WAITS:
        seen_services_waits(self->services, self->index, entry->service_waits);
        return;
    case IXN__V1__ENTRY__BODY_SERVICE_ANSWERED:
        seen_services_answered(self->services, self->index, entry->service_answered);
        return;
    default:
        return;
    }
}

void record_entry(checker_t *self, const batch_t *batch, const Ixn__V1__Entry *entry)
{
    if (!self->epochs[self->epochs_len - 1].began &&
        entry->body_case != IXN__V1__ENTRY__BODY_EPOCH_STARTED) {
        s_wrong(self, "P4 epochs", "it is the first of its epoch and does not begin it");
        return;
    }
    if (self->replays && seen_skips_entry(&self->skips, self->index, batch->epoch, entry))
        return;
    switch (entry->body_case) {
    case IXN__V1__ENTRY__BODY_EPOCH_STARTED:
        s_epoch_started(self, batch, entry->epoch_started);
        return;
    case IXN__V1__ENTRY__BODY_SUBMITTED:
        s_submitted(self, entry->submitted);
        return;
    case IXN__V1__ENTRY__BODY_CHANGED:
        s_changed(self, entry->changed);
        return;
    case IXN__V1__ENTRY__BODY_PLACED:
        s_placed(self, batch, entry->placed);
        return;
    case IXN__V1__ENTRY__BODY_HELD_CHANGED:
        s_held_changed(self, entry->held_changed);
        return;
    case IXN__V1__ENTRY__BODY_STOPPED:
        s_stopped(self, batch, entry->stopped);
        return;
    case IXN__V1__ENTRY__BODY_DISPATCHED:
        s_dispatched(self, batch, entry->dispatched);
        return;
    case IXN__V1__ENTRY__BODY_RETURNED:
        s_returned(self, entry->returned);
        return;
    case IXN__V1__ENTRY__BODY_STRATEGY_PUT:
        seen_strategies_put(self->strategies, self->index, entry->strategy_put);
        return;
    case IXN__V1__ENTRY__BODY_STRATEGY_REMOVED:
        seen_strategies_removed(self->strategies, entry->strategy_removed);
        return;
    case IXN__V1__ENTRY__BODY_STRATEGY_ACTIVATED:
        seen_strategies_activated(self->strategies, self->index, entry->strategy_activated);
        return;
    case IXN__V1__ENTRY__BODY_STRATEGY_DEACTIVATED:
        seen_strategies_deactivated(self->strategies, entry->strategy_deactivated);
        return;
    default:
        s_part(self, batch, entry);
    }
}
