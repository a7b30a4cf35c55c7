#include "ha/pair.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/mutation.h"
#include "ha/pair_internal.h"

enum {
    STOP_MS = 3000, /* an orderly end waits at most so long for commits or for the peer */
    LOOK_MS = 1000, /* every access point is looked at so often … */
    /* … and as often as this while it matters whether the head moves. */
    WATCH_MS = 10,
    START_WATCH_MS = 100,
};

/* ---- Life ---- */

Ixn__V1__EngineConfiguration *
pair_copy_configuration(const Ixn__V1__EngineConfiguration *configuration, id128_t *ret_digest)
{
    size_t size = ixn__v1__engine_configuration__get_packed_size(configuration);
    uint8_t *packed = memory_new(size);
    ixn__v1__engine_configuration__pack(configuration, packed);
    *ret_digest = id_hash(packed, size);
    Ixn__V1__EngineConfiguration *copy = ixn__v1__engine_configuration__unpack(NULL, size, packed);
    CHECK(copy);
    free(packed);
    return copy;
}

pair_t *pair_new(const pair_options_t *options)
{
    pair_t *self = memory_zero(1, sizeof *self);
    self->options = *options;
    snprintf(self->name, sizeof self->name, "%s", options->name);
    snprintf(self->client_endpoint, sizeof self->client_endpoint, "%s", options->client_endpoint);
    self->configuration =
        pair_copy_configuration(options->configuration, &self->configuration_digest);
    snprintf(self->admin_url, sizeof self->admin_url, "%s",
             options->admin_url ? options->admin_url : "");
    self->arena = wire_arena_new();
    self->recent = recent_new();
    self->replica = replica_new();
    replica_keep(self->replica, self->recent);
    pair_init_poison(self);
    self->now = self->role_since = self->began = options->boot_time;
    self->wall = options->wall_time;
    self->peer.heard_at = self->peer.served_at = self->now;
    self->hello_at = self->now;
    self->manual = options->manual;
    self->has_memory = options->has_memory;
    self->remembered_at = self->daps.begun = self->now;
    self->daps.word.exists = options->has_peer;
    if (options->has_memory) {
        self->memory = self->kept = options->memory;
        self->has_kept = true;
        self->own_generation = options->memory.own_generation;
        self->daps.instance = self->said_instance = options->memory.instance;
        self->daps.place = options->memory.place;
        self->daps.exact = options->memory.exact;
        self->daps.given_up = options->memory.given_up;
        self->daps.given_up_for = options->memory.given_up_for;
        pair_set_epoch(self, options->memory.epoch, options->memory.generation);
        self->daps.epoch_since = self->now - 1;
    }
    pair_init_daps(self);
    snprintf(self->role_reason, sizeof self->role_reason, "the process began");
    return self;
}

void pair_destroy(pair_t **self_p)
{
    pair_t *self = *self_p;
    if (!self)
        return;
    pair_action_t action;
    while (pair_next_action(self, &action)) {
        free(action.bytes);
        batch_destroy(&action.batch);
        for (size_t i = 0; i < action.batches_len; i++)
            batch_destroy(&action.batches[i]);
        free(action.batches);
    }
    free(self->actions);
    node_destroy(&self->node);
    replica_destroy(&self->replica);
    recent_destroy(&self->recent);
    batch_destroy(&self->in_flight);
    batch_destroy(&self->next_batch);
    ixn__v1__engine_configuration__free_unpacked(self->configuration, NULL);
    wire_arena_destroy(&self->arena);
    free(self);
    *self_p = NULL;
}

/* ---- Actions ---- */

pair_action_t *pair_do(pair_t *self, pair_action_kind_t kind)
{
    if (self->actions_len == self->actions_capacity) {
        size_t capacity = self->actions_capacity * 2 + 16;
        pair_action_t *actions = memory_zero(capacity, sizeof *actions);
        for (size_t i = 0; i < self->actions_len; i++)
            actions[i] = self->actions[(self->actions_first + i) % self->actions_capacity];
        free(self->actions);
        self->actions = actions;
        self->actions_first = 0;
        self->actions_capacity = capacity;
    }
    size_t at = (self->actions_first + self->actions_len++) % self->actions_capacity;
    self->actions[at] = (pair_action_t){.kind = kind};
    return &self->actions[at];
}

bool pair_next_action(pair_t *self, pair_action_t *ret_action)
{
    if (self->actions_len == 0)
        return false;
    *ret_action = self->actions[self->actions_first];
    self->actions_first = (self->actions_first + 1) % self->actions_capacity;
    self->actions_len--;
    return true;
}

void pair_say(pair_t *self, bool warning, const char *event, const char *format, ...)
{
    va_list arguments;
    pair_action_t *action = pair_do(self, PAIR_SAY);
    action->warning = warning;
    action->event = event;
    va_start(arguments, format);
    vsnprintf(action->text, sizeof action->text, format, arguments);
    va_end(arguments);
}

void pair_alarm(pair_t *self, const char *event, const char *format, ...)
{
    va_list arguments;
    pair_action_t *action = pair_do(self, PAIR_SAY);
    action->severe = true;
    action->event = event;
    va_start(arguments, format);
    vsnprintf(action->text, sizeof action->text, format, arguments);
    va_end(arguments);
}

/* ---- Roles ---- */

bool pair_event(pair_t *self, role_event_t event, const char *detail)
{
    const role_cell_t *cell = role_cell(self->role, event);
    CHECK(cell->answer != ROLE_IMPOSSIBLE);
    if (cell->answer == ROLE_IGNORE)
        return false;
    role_t before = self->role;
    self->role = cell->next;
    snprintf(self->role_reason, sizeof self->role_reason, "%s%s%s", cell->sentence,
             detail ? ": " : "", detail ? detail : "");
    wire_clean_text(self->role_reason); /* it may be cut, and goes into the database */
    pair_say(self, self->role == ROLE_FENCED, "pair.role",
             "from=%s to=%s epoch=%" PRIu64 " after_ms=%" PRId64 " reason=\"%s\"",
             role_name(before), role_name(self->role), self->epoch,
             (self->now - self->role_since) / USEC_PER_MS, self->role_reason);
    self->role_since = self->now;
    self->judging = false;
    if (self->role == ROLE_FENCED)
        pair_lost_epoch(self);
    pair_hello(self);
    return true;
}

void pair_note_place(pair_t *self, uint64_t index, id128_t hash)
{
    if (index > self->daps.place.index)
        self->daps.place = (place_t){index, hash, self->epoch, self->generation};
}

void pair_set_epoch(pair_t *self, uint64_t epoch, id128_t generation)
{
    self->epoch = self->daps.epoch = epoch;
    self->generation = self->daps.generation = generation;
    self->daps.epoch_since = self->now;
}

void pair_learn_epoch(pair_t *self, uint64_t epoch, id128_t generation)
{
    if (epoch <= self->epoch)
        return;
    pair_set_epoch(self, epoch, generation);
    if (!MUTATION(TAIL_KEPT))
        replica_forget_stream(self->replica);
    if (self->daps.known)
        pair_remember(self);
    if (self->own_epoch && self->own_epoch < epoch &&
        pair_event(self, ROLE_EVENT_HIGHER_EPOCH, NULL))
        pair_cease(self);
}

void pair_learn_head(pair_t *self, uint64_t index, usec_t asked)
{
    head_t *head = &self->head;
    if (head->known && index < head->index)
        return; /* late */
    if (!head->known || index > head->index) {
        usec_t still = head->known ? self->now - head->since : 0;
        head->pace = still > head->pace ? still : head->pace - head->pace / 8;
        head->known = true;
        head->index = index;
        head->since = head->confirmed = self->now;
    } else if (asked > head->confirmed) {
        head->confirmed = asked;
    }
}

/* ---- Inputs: time ---- */

void pair_turn_begin(pair_t *self, usec_t boot_time, usec_t wall_time)
{
    usec_t gap = boot_time - self->now;
    self->now = boot_time;
    self->wall = wall_time;
    if (gap > self->options.failover_timeout / 2 && self->options.failover_timeout) {
        /* This node stood still: what it did not hear says nothing of the other one. */
        self->peer.heard_at = self->peer.served_at = self->now;
        self->head.known = false;
        self->daps.begun = self->peer.alive_since = self->now;
        if (self->peer.closed_at)
            self->peer.closed_at = self->now;
    }
    if (self->node)
        node_turn_begin(self->node, boot_time, wall_time);
}

/* This node, or the other one, waits for word of what is reached. */
static bool s_is_to_be_proven(const pair_t *self)
{
    if (pair_peer_alive(self) && !self->peer.database)
        return true;
    for (size_t i = 0; i < self->daps.len; i++)
        if (dap_is_used(&self->daps.daps[i]) && self->daps.daps[i].verdict == DAP_PROVING)
            return true;
    return daps_proven(&self->daps) == 0;
}

/* How often the access points are to be looked at. */
static usec_t s_look_interval(const pair_t *self)
{
    if (self->role == ROLE_STARTING || self->role == ROLE_FENCED || self->role == ROLE_TAKING_OVER)
        return START_WATCH_MS * USEC_PER_MS;
    if (!self->has_seen)
        return WATCH_MS * USEC_PER_MS; /* what was seen before has proven wrong */
    if (s_is_to_be_proven(self))
        return START_WATCH_MS * USEC_PER_MS;
    if (!role_follows(self->role))
        return LOOK_MS * USEC_PER_MS;
    if (self->peer.closed_at)
        return (self->now - self->peer.closed_at < 2 * self->options.failover_timeout ? 1 : 10) *
               WATCH_MS * USEC_PER_MS;
    if (self->now - self->peer.served_at > self->options.heartbeat * 3 / 2)
        return 4 * WATCH_MS * USEC_PER_MS;
    return LOOK_MS * USEC_PER_MS;
}

static void s_look(pair_t *self)
{
    size_t dap;
    if (self->role == ROLE_STOPPED)
        return;
    usec_t interval = s_look_interval(self);
    while (daps_oldest(&self->daps, self->now, interval, &dap)) {
        daps_ask(&self->daps, dap, self->now);
        pair_action_t *action = pair_do(self, PAIR_OBSERVE);
        action->dap = dap;
        action->known = self->daps.place;
    }
}

/* An orderly end: a paired primary hands over, one that is alone waits for its commits. */
static void s_stop_turn(pair_t *self)
{
    if (!self->stopping || self->role == ROLE_STOPPED)
        return;
    bool waits = self->node && self->now < self->stop_by &&
                 (self->role == ROLE_HANDING_OVER || !node_is_drained(self->node));
    if (waits)
        return;
    pair_event(self, ROLE_EVENT_STOP, NULL);
    pair_cease(self);
    pair_remember(self);
    pair_do(self, PAIR_STOP);
}

void pair_turn_end(pair_t *self, bool drained)
{
    if (self->node)
        node_turn_end(self->node, drained);
    pair_judge_turn(self);
    pair_follow_turn(self);
    pair_takeover_turn(self);
    pair_daps_turn(self);
    pair_heal_turn(self);
    pair_serve_turn(self);
    s_stop_turn(self);
    s_look(self);
    pair_memory_turn(self);
    pair_poison_turn(self);
    pair_peer_turn(self);
}

void pair_stop(pair_t *self)
{
    if (self->stopping)
        return;
    self->stopping = true;
    self->stop_by = self->now + STOP_MS * USEC_PER_MS;
    if (!self->node)
        return;
    pair_switchover(self, "the primary's process was asked to end");
    node_hold(self->node, "this node is about to stop; ask the other one");
}

/* ---- Inputs: the database ---- */

static bool s_is_late(const pair_t *self, const database_status_t *status)
{
    const database_status_t *seen = &self->seen;
    return self->has_seen && identity_equal(&status->identity, &seen->identity) &&
           (status->epoch < seen->epoch ||
            (status->epoch == seen->epoch && status->head_index < seen->head_index));
}

void pair_observed(pair_t *self, size_t dap, const database_status_t *status, const error_t *error)
{
    database_status_t moved;
    if (status && pair_follow_move(self, dap, status)) {
        moved = *status;
        moved.lineage = LINEAGE_UNKNOWN; /* it was asked for what is over now */
        moved.known = self->daps.place;
        status = &moved;
    }
    usec_t asked = self->daps.daps[dap].asked_at;
    bool proven = daps_answer(&self->daps, dap, status, error, self->now);
    self->worked = self->worked || proven;
    if (!status || (self->daps.known && !proven))
        return;
    if (self->daps.has_demanded && !id_equal(status->identity.database_id, self->daps.demanded))
        return;
    if (!s_is_late(self, status)) { /* of two answers on their way the newer one counts */
        self->seen = *status;
        self->seen_asked = asked;
        self->has_seen = true;
    }
    pair_learn_head(self, status->head_index, asked);
    if (!self->daps.known)
        return; /* which database is the pair's own is settled by the first claim or load */
    pair_learn_epoch(self, status->epoch, status->generation);
    if (status->epoch != self->epoch)
        return;
    replica_head(self->replica, status->head_index, status->head_hash);
    pair_note_place(self, status->head_index, status->head_hash);
}

/* ---- Figures ---- */

role_t pair_role(const pair_t *self)
{
    return self->role;
}

node_t *pair_node(pair_t *self)
{
    return self->node;
}

const state_t *pair_state(pair_t *self)
{
    return self->node ? engine_state(node_engine(self->node)) : replica_state(self->replica);
}

uint64_t pair_epoch(const pair_t *self)
{
    return self->epoch;
}

usec_t pair_next_wakeup(const pair_t *self)
{
    usec_t until = self->now + (usec_t)(self->node ? 50 : 20) * USEC_PER_MS;
    if (self->node) {
        usec_t node = node_next_wakeup(self->node);
        until = node < until ? node : until;
        until = self->committed_by < until ? self->committed_by : until;
    }
    bool applies =
        role_follows(self->role) || (self->role == ROLE_TAKING_OVER && self->takeover.claimed);
    if (applies && replica_has_work(self->replica))
        return self->now;
    if (self->options.has_peer && self->hello_at < until)
        until = self->hello_at;
    if (role_follows(self->role) && self->peer.closed_at)
        until = until < self->now + WATCH_MS / 2 * USEC_PER_MS
                    ? until
                    : self->now + WATCH_MS / 2 * USEC_PER_MS;
    return until > self->now ? until : self->now;
}
