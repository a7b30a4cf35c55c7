/* Judging and taking over. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/mutation.h"
#include "ha/pair_internal.h"

enum {
    GONE_MS = 60,      /* process gone: the head must not have moved for so long */
    OBSERVE_MS = 2500, /* start: so long an unmoved head means that nobody serves … */
    FIRST_MS = 500,    /* … and so long the peer may claim a database that nobody ever had */
    CLAIM_MS = 5000,   /* a claim that is not through by then is judged again */
    QUIET_MS =
        1000, /* after an epoch was lost unbacked no automatic take-over so long, doubling … */
    QUIET_MOST_MS = 60 * 1000,  /* … up to this … */
    QUIET_RESET_MS = 60 * 1000, /* … and from the beginning after so long a time in peace */
};

/* ---- Does anybody serve? ---- */

/* The epoch in the row is one that this node itself claimed; with the lock in its state_dir nobody
 * else serves under it. */
static bool s_is_own_epoch(const pair_t *self)
{
    return !id_is_zero(self->own_generation) &&
           id_equal(self->seen.generation, self->own_generation);
}

bool pair_peer_serves(const pair_t *self)
{
    const peer_view_t *peer = &self->peer;
    return pair_peer_alive(self) && peer->epoch >= self->epoch &&
           (peer->role == IXN__V1__PEER_ROLE__PEER_PRIMARY ||
            peer->role == IXN__V1__PEER_ROLE__PEER_HANDING_OVER ||
            peer->role == IXN__V1__PEER_ROLE__PEER_TAKING_OVER);
}

static void s_another_serves(pair_t *self)
{
    char text[PAIR_REASON];
    if (self->options.has_peer) {
        if (pair_peer_serves(self))
            snprintf(text, sizeof text, "%s, epoch %" PRIu64, self->peer.name, self->peer.epoch);
        else
            snprintf(text, sizeof text, "%s, epoch %" PRIu64, self->seen.owner, self->seen.epoch);
        pair_event(self, ROLE_EVENT_PRIMARY_SEEN, text);
        return;
    }
    error_t error;
    error_set(&error, ERROR_DATABASE_FENCED,
              "node \"%s\" serves this database: its head moved from %" PRIu64 " to %" PRIu64
              " under epoch %" PRIu64
              " while this node looked; stop that node first, give this one "
              "another database, or make them a pair (section pair of both configurations)",
              self->seen.owner, self->judged_head, self->head.index, self->seen.epoch);
    pair_event(self, ROLE_EVENT_STOP, error.text);
    pair_do(self, PAIR_STOP)->error = error;
}

/* How long the head must stand still before this node claims. */
static usec_t s_patience(const pair_t *self)
{
    if (s_is_own_epoch(self))
        return 0;
    if (id_is_zero(self->seen.generation))
        return self->options.has_peer && !self->options.preferred ? FIRST_MS * USEC_PER_MS : 0;
    return OBSERVE_MS * USEC_PER_MS;
}

/* A node that is alone and can only reach what is not its own waits for nothing. */
static bool s_is_hopeless(pair_t *self)
{
    error_t error = {0};
    bool served = self->role == ROLE_FENCED; /* what it has committed may come back */
    if (served || self->options.has_peer || !daps_are_hopeless(&self->daps, &error))
        return false;
    pair_event(self, ROLE_EVENT_STOP, error.text);
    pair_do(self, PAIR_STOP)->error = error;
    return true;
}

/* Without a memory, and without the other node's word, a copy cannot be told from the original. */
static void s_say_assumed(pair_t *self)
{
    char text[IDENTITY_TEXT_SIZE];
    if (self->daps.known || id_is_zero(self->seen.generation))
        return; /* or nobody ever worked with it: the first start */
    pair_alarm(self, "database.assumed",
               "server=\"%s\" database=\"%s\" epoch=%" PRIu64 " head=%" PRIu64
               " text=\"this node remembers no database, and the other one is not heard: what the "
               "DAPs reach is taken for the pair's own; a copy of it would look the same\"",
               self->seen.server, identity_text(&self->seen.identity, text), self->seen.epoch,
               self->seen.head_index);
}

static void s_judge_start(pair_t *self)
{
    size_t dap;
    if (self->stopping || s_is_hopeless(self))
        return;
    if (pair_peer_serves(self)) { /* also while the database does not answer here */
        s_another_serves(self);
        return;
    }
    if (!self->judging) {
        /* What was seen before this role began says nothing: look once more. */
        if (self->has_seen && self->seen_asked >= self->role_since && self->head.known) {
            self->judging = true;
            self->judged_head = self->head.index;
        }
        return;
    }
    /* A head that moves under an epoch of this very node is a late commit of its process before. */
    bool moves = self->head.index > self->judged_head && !s_is_own_epoch(self);
    if (moves) {
        s_another_serves(self);
        return;
    }
    usec_t since = self->head.since > self->role_since ? self->head.since : self->role_since;
    if (!self->head.known || self->head.confirmed - since < s_patience(self))
        return;
    /* Access points that reach different databases are no first start, but a mistake. */
    if (!self->daps.known && !daps_choose_first(&self->daps, &dap))
        return;
    const char *reason = s_is_own_epoch(self)                ? "restart"
                         : id_is_zero(self->seen.generation) ? "first start"
                                                             : "start: no node served";
    /* A head that moves until the claim shows a live primary, unless it is a late commit of this
     * node's own process before. */
    bool own = s_is_own_epoch(self);
    if (!pair_event(self, ROLE_EVENT_NOBODY_SERVES, reason))
        return;
    s_say_assumed(self);
    pair_takeover_begin(self, !own, false);
}

/* ---- Is the primary gone? ---- */

/* A link that is cut loudly looks as if the process were gone; a primary that is there moves the
 * head with every beat, or as often as its database commits. */
static usec_t s_gone_after(const pair_t *self)
{
    usec_t between = self->options.beat > self->head.pace ? self->options.beat : self->head.pace;
    usec_t after = between + between / 2;
    if (after > self->options.failover_timeout)
        after = self->options.failover_timeout;
    return after > GONE_MS * USEC_PER_MS ? after : GONE_MS * USEC_PER_MS;
}

static bool s_is_gone(const pair_t *self, char *why, size_t size)
{
    const peer_view_t *peer = &self->peer;
    const head_t *head = &self->head;
    if (!head->known)
        return false;
    if (peer->refused && peer->closed_at) {
        usec_t since = head->since > peer->closed_at ? head->since : peer->closed_at;
        since = peer->heard_at > since ? peer->heard_at : since;
        usec_t unmoved = head->confirmed - since;
        if (unmoved >= s_gone_after(self)) {
            snprintf(why, size,
                     "its connection is closed, its port refuses, and the head has not moved from "
                     "%" PRIu64 " for %" PRId64 " ms",
                     head->index, unmoved / USEC_PER_MS);
            return true;
        }
    }
    /* A peer that is heard, but as another backup, is no primary either. */
    usec_t silent = self->now - peer->served_at;
    usec_t unmoved = head->confirmed - head->since;
    if (unmoved < self->options.failover_timeout && !MUTATION(HEAD_NOT_AWAITED))
        return false;
    if (silent < self->options.failover_timeout)
        return false;
    snprintf(why, size,
             "it was not heard as primary for %" PRId64
             " ms, and the head has not moved from %" PRIu64 " for %" PRId64 " ms",
             silent / USEC_PER_MS, head->index, unmoved / USEC_PER_MS);
    return true;
}

static void s_judge_primary(pair_t *self)
{
    char why[PAIR_REASON];
    if (self->manual || self->stopping || self->now < self->quiet_until || !self->has_seen ||
        !s_is_gone(self, why, sizeof why))
        return;
    if (pair_event(self, ROLE_EVENT_PRIMARY_GONE, why))
        pair_takeover_begin(self, true, true);
}

/* An epoch that ended before its backup was ready is a sign of nodes that take the role from each
 * other in turn. Where the backup was ready, the loss is what a backup is for, and the next failure
 * may come at once. */
void pair_lost_epoch(pair_t *self)
{
    if (self->was_backed) {
        self->quiet = 0;
        return;
    }
    bool peaceful = self->now - self->quiet_until > QUIET_RESET_MS * USEC_PER_MS;
    self->quiet = peaceful || !self->quiet ? QUIET_MS * USEC_PER_MS : self->quiet * 2;
    if (self->quiet > QUIET_MOST_MS * USEC_PER_MS)
        self->quiet = QUIET_MOST_MS * USEC_PER_MS;
    self->quiet_until = self->now + self->quiet;
}

/* Both nodes forgot which database is theirs, and each took the other, or a late commit, for a
 * primary: nobody is left who could tell them, so they begin anew. */
static void s_judge_nobody(pair_t *self)
{
    const head_t *head = &self->head;
    if (self->daps.known || !self->has_seen || !head->known || pair_peer_serves(self))
        return;
    usec_t since = head->since > self->role_since ? head->since : self->role_since;
    if (head->confirmed - since >= OBSERVE_MS * USEC_PER_MS)
        pair_event(self, ROLE_EVENT_NOBODY_SERVES, NULL);
}

void pair_judge_turn(pair_t *self)
{
    if (self->role == ROLE_STARTING || self->role == ROLE_FENCED)
        s_judge_start(self);
    else if (self->role == ROLE_READY)
        s_judge_primary(self);
    else if (self->role == ROLE_SYNCING)
        s_judge_nobody(self);
}

/* ---- Taking over ---- */

void pair_takeover_begin(pair_t *self, bool with_head, bool hot)
{
    self->takeover = (takeover_t){.begun = self->now,
                                  .give_up = self->now + CLAIM_MS * USEC_PER_MS,
                                  .with_head = with_head,
                                  .hot = hot};
    snprintf(self->takeover.reason, sizeof self->takeover.reason, "%s", self->role_reason);
}

static void s_lose(pair_t *self, const char *why)
{
    pair_event(self, ROLE_EVENT_CLAIM_LOST, why);
    self->own_epoch = 0;
    if (self->takeover.hot) /* it goes on as it was, and judges again */
        pair_event(self, ROLE_EVENT_PRIMARY_SEEN, NULL);
}

static void s_claim(pair_t *self)
{
    takeover_t *takeover = &self->takeover;
    size_t dap;
    if (self->now > takeover->give_up) {
        s_lose(self, "no access point could claim in time");
        return;
    }
    /* What was seen under an epoch that is over would only be refused. */
    if (self->now < takeover->rest.until || !self->has_seen ||
        (self->daps.known && self->seen.epoch < self->epoch) ||
        (!daps_choose(&self->daps, &dap) && !daps_choose_first(&self->daps, &dap)))
        return;
    daps_ask(&self->daps, dap, self->now);
    takeover->asked = true;
    takeover->dap = dap;
    takeover->judged = self->daps.known ? self->seen : self->daps.daps[dap].status;
    takeover->judged.known = self->daps.place;
    if (self->daps.known)
        takeover->judged.instance = self->daps.instance;
    if (takeover->handed) {
        takeover->judged.head_index = takeover->handed_index;
        takeover->judged.head_hash = takeover->handed_hash;
    }
    pair_action_t *action = pair_do(self, PAIR_CLAIM);
    action->dap = dap;
    action->judged = takeover->judged;
    action->claim_head = takeover->with_head;
    action->highest_seen = self->epoch;
    snprintf(action->text, sizeof action->text, "%s", takeover->reason);
}

/* A server that took the proven one's place may have the whole journal and an older checkpoint.
 * What came between is remembered no longer, so the state is made anew from what is there. */
static void s_drop_if_tables_are_older(pair_t *self, const database_status_t *status)
{
    const state_t *state = replica_is_loaded(self->replica) ? replica_state(self->replica) : NULL;
    if (!state || state_follow_base(state) <= status->checkpoint_index)
        return;
    pair_say(self, true, "pair.replica_dropped",
             "checkpoint=%" PRIu64 " remembered_from=%" PRIu64
             " reason=\"the tables of this server are older than those that this backup followed\"",
             status->checkpoint_index, state_follow_base(state));
    replica_unload(self->replica);
}

void pair_takeover_claimed(pair_t *self, size_t dap, const database_status_t *status,
                           id128_t generation)
{
    takeover_t *takeover = &self->takeover;
    self->own_epoch = status->epoch;
    takeover->claimed = true;
    takeover->status = *status;
    takeover->generation = generation;
    s_drop_if_tables_are_older(self, status);
    replica_head(self->replica, status->head_index, status->head_hash);
    pair_say(self, false, "pair.claimed", "dap=%s epoch=%" PRIu64 " head=%" PRIu64 " ms=%" PRId64,
             self->daps.daps[dap].name, status->epoch, status->head_index,
             (self->now - takeover->begun) / USEC_PER_MS);
}

/* The epoch in the row is this node's own from now on, whatever it is used for. */
void pair_own_epoch(pair_t *self, const database_status_t *status, id128_t generation)
{
    pair_set_epoch(self, status->epoch, generation);
    self->own_generation = generation;
    pair_note_place(self, status->head_index, status->head_hash);
    pair_remember(self);
    self->seen = *status;
    self->has_seen = true;
}

void pair_claimed(pair_t *self, size_t dap, const database_status_t *status, id128_t generation,
                  const error_t *error)
{
    takeover_t *takeover = &self->takeover;
    if (pair_healed(self, dap, status, generation, error))
        return;
    if (!self->daps.known && status) { /* the first start: this is our database */
        self->daps.instance = status->instance;
        daps_learn(&self->daps, &status->identity);
    }
    daps_answer(&self->daps, dap, status, error, self->now);
    takeover->asked = false;
    if (!status) {
        pair_rest(&takeover->rest, self->now);
        pair_say(self, true, "pair.claim_failed", "dap=%s error=\"%s\"", self->daps.daps[dap].name,
                 error->text);
        if (error->code == ERROR_DATABASE_FENCED)
            self->has_seen = false; /* it is no longer so: look before the next claim */
        if (self->role == ROLE_TAKING_OVER && error->code != ERROR_DATABASE_UNREACHABLE &&
            error->code != ERROR_DATABASE_REFUSED)
            s_lose(self, error->text);
        return;
    }
    if (status->epoch < self->epoch) { /* it was word of a later claim that came first */
        if (self->role == ROLE_TAKING_OVER)
            s_lose(self, "another node has claimed after this one");
        return;
    }
    pair_own_epoch(self, status, generation);
    if (self->role == ROLE_TAKING_OVER) /* otherwise the process ends: nobody serves under it */
        pair_takeover_claimed(self, dap, status, generation);
}

/* True when the state is exactly what the journal holds. */
static bool s_is_at_head(const pair_t *self)
{
    const state_t *state = replica_state(self->replica);
    return state->index == self->takeover.status.head_index &&
           id_equal(state->hash, self->takeover.status.head_hash);
}

static void s_catch_up(pair_t *self)
{
    error_t error = {0};
    if (!replica_is_loaded(self->replica)) {
        pair_load(self);
        return;
    }
    if (pair_lacks_skip(self, &self->takeover.status)) {
        replica_unload(self->replica);
        return;
    }
    if (!pair_step(self, SIZE_MAX / 2, &error)) {
        pair_say(self, true, "pair.replica_dropped", "reason=\"%s\"", error.text);
        replica_unload(self->replica);
        return;
    }
    if (s_is_at_head(self) || MUTATION(HEAD_IGNORED)) {
        state_t *state = replica_take(self->replica);
        pair_event(self, ROLE_EVENT_CLAIMED, NULL);
        self->last_takeover = self->now - self->takeover.begun;
        pair_serve(self, state);
        pair_tell_serving(self);
        return;
    }
    if (replica_index(self->replica) >= self->takeover.status.head_index) {
        pair_say(self, true, "pair.replica_dropped",
                 "index=%" PRIu64 " head=%" PRIu64
                 " reason=\"this backup's state is not the journal's\"",
                 replica_index(self->replica), self->takeover.status.head_index);
        replica_unload(self->replica);
        return;
    }
    if (replica_has_gap(self->replica))
        pair_follow_journal(self);
}

void pair_takeover_turn(pair_t *self)
{
    if (self->role != ROLE_TAKING_OVER)
        return;
    if (!self->takeover.claimed) {
        if (!self->takeover.asked)
            s_claim(self);
        return;
    }
    s_catch_up(self);
}
