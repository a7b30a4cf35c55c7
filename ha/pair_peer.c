/* The peer: what is said to it, what is heard of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/buffer.h"
#include "core/base/check.h"
#include "core/base/mutation.h"
#include "ha/pair_internal.h"

#ifndef PEER_VERSION /* the tests build another one, too */
#define PEER_VERSION 1
#endif

uint32_t pair_peer_version(void)
{
    return PEER_VERSION;
}

/* ---- Saying ---- */

static void s_send(pair_t *self, Ixn__V1__PeerFrame *frame)
{
    frame->version = PEER_VERSION;
    frame->incarnation = wire_bytes(&self->options.incarnation);
    if (self->daps.known)
        frame->database_id = wire_bytes(&self->daps.own.database_id);
    frame->epoch = self->epoch;
    frame->generation = wire_bytes(&self->generation);
    pair_action_t *send = pair_do(self, PAIR_SEND);
    send->len = ixn__v1__peer_frame__get_packed_size(frame);
    send->bytes = memory_new(send->len);
    ixn__v1__peer_frame__pack(frame, send->bytes);
}

static Ixn__V1__PeerRole s_role(const pair_t *self)
{
    static const Ixn__V1__PeerRole roles[ROLES_LEN] = {
        [ROLE_STARTING] = IXN__V1__PEER_ROLE__PEER_STARTING,
        [ROLE_SYNCING] = IXN__V1__PEER_ROLE__PEER_SYNCING,
        [ROLE_READY] = IXN__V1__PEER_ROLE__PEER_READY,
        [ROLE_TAKING_OVER] = IXN__V1__PEER_ROLE__PEER_TAKING_OVER,
        [ROLE_ALONE] = IXN__V1__PEER_ROLE__PEER_PRIMARY,
        [ROLE_PAIRED] = IXN__V1__PEER_ROLE__PEER_PRIMARY,
        [ROLE_HANDING_OVER] = IXN__V1__PEER_ROLE__PEER_HANDING_OVER,
        [ROLE_FENCED] = IXN__V1__PEER_ROLE__PEER_FENCED,
        [ROLE_STOPPED] = IXN__V1__PEER_ROLE__PEER_STOPPED,
    };
    return roles[self->role];
}

static void s_fill_dap(const dap_t *dap, Ixn__V1__PeerDap *message)
{
    ixn__v1__peer_dap__init(message);
    message->name = (char *)dap->name;
    message->reachable = dap->reachable;
    message->proven = dap->proven;
    message->latency_us = (uint32_t)dap->latency;
    message->trouble = (char *)dap->trouble.text;
    message->unclear = dap->unclear;
    message->verdict = dap->verdict;
    message->server_started_us = dap->status.instance.started_at;
    message->server_port = dap->status.instance.port;
    message->standing = dap->standing;
    message->weight = dap->turn.weight;
    message->lanes = dap->lanes;
    message->average_us = (uint32_t)dap->average;
    message->done = dap->done;
    message->spread = dap->spread;
    message->errors = dap->errors;
}

static void s_fill_place(const pair_t *self, Ixn__V1__PeerHello *hello)
{
    if (self->node) {
        node_figures_t figures = node_figures(self->node);
        hello->index = figures.committed;
        hello->checkpoint = figures.checkpoint;
        return;
    }
    const state_t *state = replica_state(self->replica);
    if (state) {
        hello->index = state->index;
        hello->hash = wire_bytes(&state->hash);
    }
}

/* Of what this node says now: its time, from a beginning that no other process has. */
static uint64_t s_number(const pair_t *self, usec_t time)
{
    uint64_t beginning = 1;
    for (size_t i = 0; i < 7; i++)
        beginning = beginning << 8 | self->options.incarnation.bytes[i];
    return beginning + (uint64_t)(time - self->began);
}

/* When this node said that; 0: it never did. */
static usec_t s_time_of(const pair_t *self, uint64_t number)
{
    uint64_t first = s_number(self, self->began);
    if (number < first || number > s_number(self, self->now))
        return 0;
    return self->began + (usec_t)(number - first);
}

bool pair_lag_bytes(const pair_t *self, uint64_t *ret_bytes)
{
    const peer_view_t *peer = &self->peer;
    uint64_t since; /* applied since the primary said it */
    *ret_bytes = 0;
    if (!pair_peer_alive(self))
        return false;
    if (self->node)
        return recent_bytes_after(self->recent, peer->index, ret_bytes);
    if (peer->role != IXN__V1__PEER_ROLE__PEER_PRIMARY || !peer->has_lag_bytes)
        return false;
    if (!recent_bytes_after(self->recent, peer->lag_from, &since))
        since = 0;
    *ret_bytes = peer->lag_bytes > since ? peer->lag_bytes - since : 0;
    return true;
}

void pair_say_hello(pair_t *self)
{
    Ixn__V1__PeerHello hello = IXN__V1__PEER_HELLO__INIT;
    Ixn__V1__PeerFrame frame = IXN__V1__PEER_FRAME__INIT;
    Ixn__V1__PeerDap daps[DAPS_MAX];
    Ixn__V1__PeerDap *list[DAPS_MAX];
    char reason[PAIR_REASON];
    Ixn__V1__PairPoison poison[POISON_MAX];
    Ixn__V1__PairPoison *poison_list[POISON_MAX];
    hello.poison = poison_list;
    hello.n_poison = MUTATION(CRASHES_UNTOLD) ? 0 : pair_fill_poison(self, poison, poison_list);
    for (size_t i = 0; i < self->daps.len; i++) {
        if (!dap_is_here(&self->daps.daps[i]))
            continue;
        s_fill_dap(&self->daps.daps[i], &daps[hello.n_daps]);
        list[hello.n_daps] = &daps[hello.n_daps];
        hello.n_daps++;
    }
    hello.name = self->name;
    hello.client_endpoint = self->client_endpoint;
    hello.admin_url = self->admin_url;
    hello.role = s_role(self);
    s_fill_place(self, &hello);
    bool ready = pair_reports_ready(self, reason, sizeof reason);
    hello.ready = ready && self->role == ROLE_READY;
    hello.readiness = reason;
    hello.automatic = !self->manual;
    hello.database = daps_proven(&self->daps) > 0;
    hello.configuration = wire_bytes(&self->configuration_digest);
    hello.daps = list;
    hello.known = self->daps.place.index;
    hello.server_started_us = self->daps.instance.started_at;
    hello.server_port = self->daps.instance.port;
    hello.wanted_started_us = self->daps.wanted.started_at;
    hello.wanted_port = self->daps.wanted.port;
    hello.exact = self->daps.warm || self->daps.exact;
    hello.known_hash = wire_bytes(&self->daps.place.hash);
    hello.said = s_number(self, self->now);
    hello.heard = self->peer.said;
    hello.has_lag_bytes = self->node && pair_lag_bytes(self, &hello.lag_bytes);
    hello.lag_from = self->peer.index;
    if (self->daps.known) {
        hello.system_identifier = self->daps.own.system_identifier;
        hello.database_oid = self->daps.own.database_oid;
    }
    frame.body_case = IXN__V1__PEER_FRAME__BODY_HELLO;
    frame.hello = &hello;
    s_send(self, &frame);
    self->hello_at = self->now + self->options.heartbeat;
}

void pair_hello(pair_t *self)
{
    self->hello_at = self->now;
}

void pair_send_batch(pair_t *self, const batch_t *batch)
{
    if (!pair_peer_alive(self))
        return; /* it follows the journal, and meets the stream when it is back */
    Ixn__V1__PeerBatch body = IXN__V1__PEER_BATCH__INIT;
    Ixn__V1__PeerFrame frame = IXN__V1__PEER_FRAME__INIT;
    body.epoch = batch->epoch;
    body.first = batch->first;
    body.last = batch->last;
    body.previous = wire_bytes(&batch->previous);
    body.hash = wire_bytes(&batch->hash);
    body.log_time_us = batch->log_time;
    body.wall_time_us = batch->wall_time;
    body.entries = wire_text(batch->entries);
    body.committed = node_figures(self->node).committed;
    frame.body_case = IXN__V1__PEER_FRAME__BODY_BATCH;
    frame.batch = &body;
    s_send(self, &frame);
}

void pair_send_committed(pair_t *self)
{
    if (!pair_peer_alive(self))
        return;
    Ixn__V1__PeerCommitted body = IXN__V1__PEER_COMMITTED__INIT;
    Ixn__V1__PeerFrame frame = IXN__V1__PEER_FRAME__INIT;
    node_figures_t figures = node_figures(self->node);
    body.index = figures.committed;
    body.checkpoint = figures.checkpoint;
    if (self->digest_index == body.index) {
        body.digest_index = self->digest_index;
        body.digest = self->digest;
    }
    frame.body_case = IXN__V1__PEER_FRAME__BODY_COMMITTED;
    frame.committed = &body;
    s_send(self, &frame);
}

void pair_send_hand_over(pair_t *self)
{
    Ixn__V1__PeerHandOver body = IXN__V1__PEER_HAND_OVER__INIT;
    Ixn__V1__PeerFrame frame = IXN__V1__PEER_FRAME__INIT;
    const state_t *state = pair_state(self);
    body.index = state->index;
    body.hash = wire_bytes(&state->hash);
    body.abandoned = self->hand_over.abandoned;
    body.reason = self->hand_over.reason;
    frame.body_case = IXN__V1__PEER_FRAME__BODY_HAND_OVER;
    frame.hand_over = &body;
    s_send(self, &frame);
}

void pair_peer_turn(pair_t *self)
{
    if (!self->options.has_peer || self->now < self->hello_at)
        return;
    pair_say_hello(self);
}

/* ---- The link ---- */

bool pair_peer_alive(const pair_t *self)
{
    const peer_view_t *peer = &self->peer;
    return peer->heard && !peer->closed_at && !peer->trouble[0] &&
           peer->role != IXN__V1__PEER_ROLE__PEER_STOPPED &&
           self->now - peer->heard_at < self->options.failover_timeout;
}

void pair_peer_link(pair_t *self, peer_link_t event)
{
    peer_view_t *peer = &self->peer;
    switch (event) {
    case PEER_LINK_UP:
        if (!peer->up)
            pair_say(self, false, "pair.link", "state=up");
        peer->up = true;
        peer->refused = false;
        peer->closed_at = 0;
        pair_hello(self);
        return;
    case PEER_LINK_CLOSED:
        if (peer->up)
            pair_say(self, true, "pair.link", "state=closed");
        peer->up = false;
        if (!peer->closed_at)
            peer->closed_at = self->now;
        return;
    case PEER_LINK_REFUSED:
        peer->up = false;
        peer->refused = true;
        if (!peer->closed_at)
            peer->closed_at = self->now;
        return;
    }
}

/* ---- Hearing ---- */

static void s_copy_text(char *target, size_t size, const char *source)
{
    snprintf(target, size, "%s", source ? source : "");
    wire_clean_text(target);
}

static void s_hear_daps(peer_view_t *peer, const Ixn__V1__PeerHello *hello)
{
    peer->daps_len = hello->n_daps < DAPS_MAX ? hello->n_daps : DAPS_MAX;
    for (size_t i = 0; i < peer->daps_len; i++) {
        dap_t *dap = &peer->daps[i];
        s_copy_text(dap->name, sizeof dap->name, hello->daps[i]->name);
        s_copy_text(dap->trouble.text, sizeof dap->trouble.text, hello->daps[i]->trouble);
        dap->reachable = hello->daps[i]->reachable;
        dap->unclear = hello->daps[i]->unclear;
        dap->verdict = hello->daps[i]->verdict <= DAP_WRONG ? (dap_verdict_t)hello->daps[i]->verdict
                                                            : DAP_UNKNOWN;
        dap->status.instance = (instance_t){.started_at = hello->daps[i]->server_started_us,
                                            .port = hello->daps[i]->server_port};
        dap->proven = hello->daps[i]->proven;
        dap->latency = hello->daps[i]->latency_us;
        dap->standing = (dap_standing_t)hello->daps[i]->standing;
        dap->turn.weight = hello->daps[i]->weight;
        dap->lanes = hello->daps[i]->lanes;
        dap->average = hello->daps[i]->average_us;
        dap->done = hello->daps[i]->done;
        dap->spread = hello->daps[i]->spread;
        dap->errors = hello->daps[i]->errors;
    }
}

/* True when the peer works on the same database, as far as both know. What is wrong is kept for the
 * readiness, and said once. */
static bool s_is_ours(pair_t *self, const Ixn__V1__PeerFrame *frame)
{
    char a[IDENTITY_TEXT_SIZE];
    char b[IDENTITY_TEXT_SIZE];
    const Ixn__V1__PeerHello *hello = frame->hello;
    identity_t its = {.system_identifier = hello->system_identifier,
                      .database_oid = hello->database_oid};
    char before[PAIR_REASON];
    snprintf(before, sizeof before, "%s", self->peer.trouble);
    self->peer.trouble[0] = '\0';
    bool known = wire_read_id(frame->database_id, &its.database_id);
    self->peer.identity = its;
    if (strcmp(hello->name, self->name) == 0)
        snprintf(self->peer.trouble, sizeof self->peer.trouble,
                 "both nodes are named \"%s\" (node.name); give each its own", self->name);
    else if (known && self->daps.has_demanded && !id_equal(its.database_id, self->daps.demanded))
        snprintf(self->peer.trouble, sizeof self->peer.trouble,
                 "the other node's database is %s, but database.id of this node is %s",
                 id_text(its.database_id, a), id_text(self->daps.demanded, b));
    else if (known && self->daps.known && !identity_equal(&its, &self->daps.own))
        snprintf(self->peer.trouble, sizeof self->peer.trouble,
                 "the other node's database is %s, this node's is %s", identity_text(&its, a),
                 identity_text(&self->daps.own, b));
    else if (known && !self->daps.known && self->role != ROLE_TAKING_OVER)
        daps_learn(&self->daps,
                   &its); /* it holds the pair's key, so it knows the pair's database */
    if (self->peer.trouble[0] && strcmp(before, self->peer.trouble) != 0)
        pair_say(self, true, "pair.trouble", "reason=\"%s\"", self->peer.trouble);
    return !self->peer.trouble[0];
}

static bool s_names_our_database(const pair_t *self, const Ixn__V1__PeerFrame *frame)
{
    id128_t id;
    return self->daps.known && wire_read_id(frame->database_id, &id) &&
           id_equal(id, self->daps.own.database_id);
}

/* Late frames of an epoch that is over say nothing, and nobody but this node speaks for its own. */
static bool s_is_of_this_epoch(const pair_t *self, const Ixn__V1__PeerFrame *frame)
{
    id128_t generation;
    if (MUTATION(LOWER_EPOCH_ACCEPTED) && frame->epoch < self->epoch)
        return self->own_epoch != self->epoch;
    return frame->epoch == self->epoch && self->own_epoch != self->epoch &&
           wire_read_id(frame->generation, &generation) && id_equal(generation, self->generation);
}

/* False: the same process has said something newer that came first. */
static bool s_is_newest(peer_view_t *peer, const Ixn__V1__PeerFrame *frame)
{
    id128_t incarnation = {{0}};
    wire_read_id(frame->incarnation, &incarnation);
    if (id_equal(incarnation, peer->incarnation) && frame->hello->said < peer->said)
        return false;
    peer->incarnation = incarnation;
    peer->said = frame->hello->said;
    return true;
}

static void s_hear_hello(pair_t *self, const Ixn__V1__PeerFrame *frame)
{
    const Ixn__V1__PeerHello *hello = frame->hello;
    peer_view_t *peer = &self->peer;
    bool first = !peer->heard;
    if (!s_is_newest(peer, frame))
        return;
    peer->word_at = s_time_of(self, hello->heard);
    if (!pair_peer_alive(self))
        peer->alive_since = self->now;
    bool changed = peer->role != hello->role;
    peer->heard = true;
    peer->heard_at = self->now;
    peer->role = hello->role;
    peer->epoch = frame->epoch;
    if (pair_peer_serves(self))
        peer->served_at = self->now;
    s_copy_text(peer->name, sizeof peer->name, hello->name);
    s_copy_text(peer->client_endpoint, sizeof peer->client_endpoint, hello->client_endpoint);
    s_copy_text(peer->admin_url, sizeof peer->admin_url, hello->admin_url);
    s_copy_text(peer->readiness, sizeof peer->readiness, hello->readiness);
    peer->index = hello->index;
    peer->ready = hello->ready;
    peer->exact = hello->exact;
    peer->server = (instance_t){.started_at = hello->server_started_us, .port = hello->server_port};
    peer->wanted = (instance_t){.started_at = hello->wanted_started_us, .port = hello->wanted_port};
    peer->automatic = hello->automatic;
    peer->database = hello->database;
    s_hear_daps(peer, hello);
    if (!s_is_ours(self, frame))
        return;
    pair_hear_poison(self, hello);
    if (first || changed)
        pair_hello(self); /* so that it knows of this node as soon */
    if (!s_names_our_database(self, frame))
        return; /* an epoch is one of a database */
    id128_t generation, known;
    if (wire_read_id(frame->generation, &generation))
        pair_learn_epoch(self, frame->epoch, generation);
    if (frame->epoch == self->epoch && wire_read_id(hello->known_hash, &known))
        pair_note_place(self, hello->known, known);
    if (!s_is_of_this_epoch(self, frame) || hello->role != IXN__V1__PEER_ROLE__PEER_PRIMARY)
        return;
    peer->checkpoint = hello->checkpoint;
    peer->has_lag_bytes = hello->has_lag_bytes;
    peer->lag_bytes = hello->lag_bytes;
    peer->lag_from = hello->lag_from;
    replica_committed(self->replica, hello->index);
    pair_learn_head(self, hello->index, 0);
}

static void s_hear_batch(pair_t *self, const Ixn__V1__PeerBatch *body)
{
    id128_t previous, hash;
    if (!wire_read_id(body->previous, &previous) || !wire_read_id(body->hash, &hash) ||
        body->first == 0 || body->last < body->first ||
        (body->epoch != self->epoch && !MUTATION(LOWER_EPOCH_ACCEPTED)))
        return;
    batch_t *batch = batch_new(body->epoch, body->first, body->last, previous, body->log_time_us,
                               body->wall_time_us,
                               (text_t){(const char *)body->entries.data, body->entries.len});
    if (!id_equal(batch->hash, hash)) {
        pair_say(self, true, "pair.damaged",
                 "first=%" PRIu64
                 " reason=\"a batch has another hash "
                 "than it says; the journal is read instead\"",
                 body->first);
        batch_destroy(&batch);
        return;
    }
    replica_add(self->replica, batch);
    replica_committed(self->replica, body->committed);
    pair_learn_head(self, body->committed, 0);
}

static void s_hear_committed(pair_t *self, const Ixn__V1__PeerCommitted *body)
{
    error_t error = {0};
    self->peer.checkpoint = body->checkpoint;
    replica_committed(self->replica, body->index);
    pair_learn_head(self, body->index, 0);
    if (body->digest_index == 0 || !replica_is_loaded(self->replica))
        return;
    /* Now, before a later frame leads beyond this index. */
    if (!pair_step(self, SIZE_MAX / 2, &error)) {
        pair_distrust(self, error.text);
        return;
    }
    const state_t *state = replica_state(self->replica);
    if (state->index == body->digest_index && state_digest(state) != body->digest)
        pair_distrust(self, "its state differs from the primary's at the same index (digest)");
}

static void s_hear_hand_over(pair_t *self, const Ixn__V1__PeerHandOver *body)
{
    if (!body->abandoned)
        replica_committed(self->replica, body->index);
    if (!replica_is_loaded(self->replica) || !self->has_seen || self->stopping)
        return; /* the primary sees that nobody claims, and goes on */
    char reason[PAIR_REASON];
    id128_t hash;
    s_copy_text(reason, sizeof reason, body->reason);
    if (!wire_read_id(body->hash, &hash) || !pair_event(self, ROLE_EVENT_HANDED, reason))
        return;
    /* The primary goes on when nobody claims. The head tells: it stands where the primary said that
     * it stopped, or, where the primary cannot know, where it was seen last. Otherwise this frame
     * came too late, or a batch landed meanwhile: the frame comes again, and the head is looked at
     * before. */
    pair_takeover_begin(self, true, true);
    self->takeover.handed = !body->abandoned;
    self->takeover.handed_index = body->index;
    self->takeover.handed_hash = hash;
}

/* Nothing else of such a frame may be read: it may mean anything. Said once, and told operators. */
static void s_hear_version(pair_t *self, uint32_t version)
{
    if (version == (self->peer.other_version ? self->peer.other_version : PEER_VERSION))
        return;
    self->peer.other_version = version == PEER_VERSION ? 0 : version;
    if (self->peer.other_version)
        pair_alarm(self, "pair.other_version", "theirs=%" PRIu32 " own=%d action=\"%s\"", version,
                   PEER_VERSION, PAIR_OTHER_VERSION);
    else
        pair_say(self, false, "pair.same_version", "own=%d", PEER_VERSION);
}

static void s_receive(pair_t *self, const uint8_t *bytes, size_t len)
{
    wire_arena_reset(self->arena);
    Ixn__V1__PeerFrame *frame =
        ixn__v1__peer_frame__unpack(wire_arena_allocator(self->arena), len, bytes);
    /* An epoch is a bigint of the database, and there has to be one after it. */
    if (!frame || frame->version == 0 || frame->epoch >= INT64_MAX) {
        pair_say(self, true, "pair.garbage",
                 "bytes=%zu epoch=%" PRIu64 " reason=\"not a frame of the nodes\"", len,
                 frame ? frame->epoch : 0);
        return;
    }
    s_hear_version(self, frame->version);
    if (frame->version != PEER_VERSION)
        return;
    if (frame->body_case == IXN__V1__PEER_FRAME__BODY_HELLO && frame->hello) {
        s_hear_hello(self, frame);
        return;
    }
    /* Who was not introduced says nothing. */
    if (!self->peer.heard || self->peer.trouble[0] || !s_names_our_database(self, frame) ||
        !s_is_of_this_epoch(self, frame))
        return;
    self->peer.heard_at = self->peer.served_at = self->now;
    if (frame->body_case == IXN__V1__PEER_FRAME__BODY_BATCH && frame->batch)
        s_hear_batch(self, frame->batch);
    else if (frame->body_case == IXN__V1__PEER_FRAME__BODY_COMMITTED && frame->committed)
        s_hear_committed(self, frame->committed);
    else if (frame->body_case == IXN__V1__PEER_FRAME__BODY_HAND_OVER && frame->hand_over)
        s_hear_hand_over(self, frame->hand_over);
}

void pair_peer_receive(pair_t *self, const uint8_t *bytes, size_t len)
{
    hand_begin(self->guard.hand, HAND_PEER);
    s_receive(self, bytes, len);
    hand_end(self->guard.hand);
}
