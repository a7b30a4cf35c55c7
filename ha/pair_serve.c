/* Serving: the node inside the pair, and its end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "ha/pair_internal.h"

enum {
    HAND_OVER_MS = 3000,     /* the peer has so long to claim */
    HAND_OVER_AGAIN_MS = 50, /* HandOver is said again, as a frame may be lost */
    DRAIN_MS = 1000, /* commits and the checkpoint under way are waited for, at most so long */
    DIGEST_ENTRIES = 10000, /* the digest is told about so often */
    COMMITTED_MS = 5,       /* what is committed is said by a batch that comes within this, or by
                               itself: longer than a batch waits for company */
};

static const char s_handing_over[] = "this node hands over to the other one";

/* ---- The beginning ---- */

usec_t pair_beat(const pair_t *self)
{
    return self->options.has_peer ? self->options.beat : USEC_PER_SECOND;
}

usec_t pair_gap(const pair_t *self)
{
    return self->options.failover_timeout / 2;
}

void pair_serve(pair_t *self, state_t *state)
{
    const database_status_t *status = &self->takeover.status;
    node_options_t options = self->options.node;
    options.desk = self->options.desk;
    options.engine.state = state;
    options.engine.database_id = status->identity.database_id;
    options.engine.epoch = status->epoch;
    options.engine.generation = self->takeover.generation;
    options.engine.node = self->name;
    options.engine.reason = self->takeover.reason;
    /* A backup that takes over serves what the log says, whatever its own file does. */
    bool keep = self->takeover.hot && state->configuration->n_tenants > 0;
    options.configuration = keep ? NULL : self->configuration;
    options.checkpoint = status->checkpoint_index;
    options.beat = pair_beat(self);
    options.gap = pair_gap(self);
    options.boot_time = self->now;
    options.wall_time = self->wall;
    pair_action_t *open = pair_do(self, PAIR_OPEN);
    open->identity = status->identity;
    /* Not where the claim's outcome was read: after a lost answer that may be elsewhere. */
    open->instance = self->lanes_instance = self->daps.instance;
    self->lanes_since = self->now;
    open->epoch = status->epoch;
    open->generation = self->takeover.generation;
    open->index = state->index;
    open->hash = state->hash;
    pair_fill_use(self, open);
    state_follow_end(state, status->checkpoint_index);
    self->node = node_new(&options);
    self->digest_index = self->digest_told = 0;
    self->committed_by = USEC_NEVER;
    self->was_backed = false;
    pair_say_hello(self); /* what is sent from now on is of an epoch that the peer must know */
}

/* ---- The end ---- */

static void s_save(pair_t *self, batch_t *batch)
{
    if (!batch)
        return;
    pair_say(self, true, "pair.tail",
             "first=%" PRIu64 " last=%" PRIu64 " epoch=%" PRIu64
             " reason=\"decided, never told to anybody, not known to be committed\"",
             batch->first, batch->last, batch->epoch);
    pair_do(self, PAIR_SAVE)->batch = batch;
}

void pair_cease(pair_t *self)
{
    if (!self->node) {
        self->own_epoch = 0;
        return;
    }
    pair_do(self, PAIR_CLOSE);
    /* The head that was seen may have told of a commit that the journal's lane did not. */
    if (self->in_flight && self->in_flight->last <= self->daps.place.index)
        recent_add(self->recent, self->in_flight);
    else
        s_save(self, self->in_flight);
    self->in_flight = NULL;
    batch_destroy(&self->next_batch);
    s_save(self, node_abandon(self->node));
    pair_tell_not_primary(self);
    node_destroy(&self->node);
    self->own_epoch = 0;
}

void pair_lane_stopped(pair_t *self, const error_t *error)
{
    if (!self->node)
        return; /* of lanes that are closed */
    bool fenced = error->code == ERROR_DATABASE_FENCED;
    if (fenced && self->options.has_peer) {
        pair_event(self, ROLE_EVENT_LANE_FENCED, error->text);
        pair_cease(self);
        return;
    }
    pair_event(self, ROLE_EVENT_STOP, error->text);
    pair_cease(self);
    pair_do(self, PAIR_STOP)->error = *error;
}

void pair_tables_behind(pair_t *self, const error_t *error)
{
    if (!self->node || !pair_event(self, ROLE_EVENT_WENT_BACK, error->text))
        return;
    pair_alarm(self, "database.went_back", "error=\"%s\"", error->text);
    pair_cease(self);
}

/* ---- Lanes ---- */

static void s_say_committed(pair_t *self)
{
    pair_send_committed(self);
    self->committed_by = USEC_NEVER;
}

void pair_journal_committed(pair_t *self, uint64_t index, bool clean)
{
    if (!self->node)
        return;
    if (self->in_flight && self->in_flight->last == index) {
        pair_note_place(self, index, self->in_flight->hash);
        recent_add(self->recent, self->in_flight);
        self->in_flight = NULL;
    }
    batch_destroy(&self->in_flight);
    node_journal_committed(self->node, index, clean);
    if (clean) {
        pair_learn_head(self, index, 0);
        if (self->committed_by == USEC_NEVER && pair_peer_alive(self))
            self->committed_by = self->now + COMMITTED_MS * USEC_PER_MS;
        if (self->digest_index == index)
            s_say_committed(self); /* a batch has no digest */
    }
}

void pair_journal_waiting(pair_t *self, const error_t *error)
{
    if (!self->node)
        return;
    pair_say(self, true, "journal.waiting", "error=\"%s\"", error->text);
}

void pair_checkpoint_written(pair_t *self, uint64_t index)
{
    if (self->node)
        node_checkpoint_written(self->node, index);
}

void pair_set_crowded(pair_t *self, bool crowded)
{
    if (self->node)
        node_set_crowded(self->node, crowded);
}

/* ---- Clients ---- */

void pair_set_unread(pair_t *self, size_t bytes)
{
    self->unread = bytes;
}

bool pair_serves(const pair_t *self)
{
    return self->node != NULL;
}

bool pair_may_receive(const pair_t *self)
{
    return !self->node || node_may_receive(self->node);
}

session_t pair_session_open(pair_t *self)
{
    return self->node ? node_session_open(self->node) : 0;
}

void pair_session_lost(pair_t *self, session_t session)
{
    if (self->node)
        node_session_lost(self->node, session);
}

void pair_receive(pair_t *self, session_t session, const uint8_t *bytes, size_t len)
{
    if (self->node && self->poison.active > 0)
        pair_receive_sifted(self, session, (text_t){(const char *)bytes, len});
    else if (self->node)
        node_receive(self->node, session, bytes, len);
}

void pair_busy_frame(pair_t *self, engine_frame_t *ret_frame)
{
    CHECK(self->node);
    node_busy_frame(self->node, ret_frame);
}

/* ---- Handing over ---- */

static bool s_is_at_the_same_server(const pair_t *self)
{
    const instance_t *server = &self->peer.server;
    return !instance_is_known(server) || instance_equal(server, &self->daps.instance);
}

const char *pair_no_hand_over(const pair_t *self)
{
    if (!self->options.has_peer)
        return "this node has no peer in its configuration (section pair)";
    if (self->role != ROLE_PAIRED)
        return "no backup follows this node now";
    if (!self->peer.ready)
        return self->peer.readiness[0] ? self->peer.readiness : "the backup is not ready";
    /* A claim there does not fence what this node writes here. */
    if (!s_is_at_the_same_server(self))
        return "the backup's server is another one than this node's; it has to see a commit there";
    return NULL;
}

/* The database does not answer this node, but the backup reaches it. */
static bool s_database_is_lost(const pair_t *self)
{
    return self->role == ROLE_PAIRED && node_figures(self->node).retrying &&
           daps_alive(&self->daps, self->now, self->options.failover_timeout) == 0 &&
           self->peer.ready && s_is_at_the_same_server(self) && self->peer.database &&
           self->peer.automatic && !self->manual;
}

static void s_hand_over_turn(pair_t *self)
{
    hand_over_t *hand_over = &self->hand_over;
    if (self->now - hand_over->begun > HAND_OVER_MS * USEC_PER_MS) {
        if (pair_event(self, ROLE_EVENT_HAND_OVER_FAILED, NULL) && !self->stopping)
            node_hold(self->node, NULL);
        return;
    }
    bool drained = hand_over->abandoned || node_is_drained(self->node) ||
                   (node_figures(self->node).unfinished == 0 &&
                    self->now - hand_over->begun > DRAIN_MS * USEC_PER_MS);
    if (!drained || self->now - hand_over->said_at < HAND_OVER_AGAIN_MS * USEC_PER_MS)
        return;
    hand_over->said_at = self->now;
    pair_send_hand_over(self);
}

static void s_begin_hand_over(pair_t *self, const char *reason, bool abandoned)
{
    if (!pair_event(self, ROLE_EVENT_HAND_OVER, reason))
        return;
    self->hand_over = (hand_over_t){.begun = self->now, .abandoned = abandoned};
    snprintf(self->hand_over.reason, sizeof self->hand_over.reason, "%s", reason);
    node_hold(self->node, s_handing_over);
}

/* The same bytes go to the peer and to the journal. */
static void s_take_batch(pair_t *self)
{
    batch_t *batch = node_next_batch(self->node);
    if (!batch)
        return;
    CHECK(!self->in_flight && !self->next_batch);
    self->in_flight = batch_share(batch);
    pair_send_batch(self, batch);
    self->committed_by = USEC_NEVER; /* the batch says it */
    self->next_batch = batch;
    if (batch->last < self->digest_told + DIGEST_ENTRIES)
        return;
    /* Right after the batch was closed the state is as of its last entry. */
    self->digest_index = self->digest_told = batch->last;
    self->digest = state_digest(pair_state(self));
}

void pair_serve_turn(pair_t *self)
{
    if (!self->node)
        return;
    s_take_batch(self);
    if (self->now >= self->committed_by)
        s_say_committed(self);
    self->was_backed |= pair_peer_alive(self) && self->peer.ready;
    if (pair_peer_alive(self) && (self->peer.role == IXN__V1__PEER_ROLE__PEER_SYNCING ||
                                  self->peer.role == IXN__V1__PEER_ROLE__PEER_READY))
        pair_event(self, ROLE_EVENT_PEER_FOLLOWS, self->peer.name);
    else if (!pair_peer_alive(self))
        pair_event(self, ROLE_EVENT_PEER_LOST, NULL);
    if (s_database_is_lost(self))
        s_begin_hand_over(self, "this node has lost the database, the backup has it", true);
    if (self->role == ROLE_HANDING_OVER)
        s_hand_over_turn(self);
}

bool pair_switchover(pair_t *self, const char *reason)
{
    if (pair_no_hand_over(self))
        return false;
    s_begin_hand_over(self, reason, false);
    return true;
}

/* ---- What the node hands out ---- */

batch_t *pair_next_batch(pair_t *self)
{
    batch_t *batch = self->next_batch;
    self->next_batch = NULL;
    return batch;
}

checkpoint_image_t *pair_next_image(pair_t *self)
{
    return self->node ? node_next_image(self->node) : NULL;
}

bool pair_next_frame(pair_t *self, engine_frame_t *ret_frame)
{
    return self->node && node_next_frame(self->node, ret_frame);
}

bool pair_next_ended(pair_t *self, session_t *ret_session)
{
    return self->node && node_next_ended(self->node, ret_session);
}
