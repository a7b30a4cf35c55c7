/* Clients of a node that does not serve, and commands to the pair, which either node answers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buffer.h"
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/wire/packet.h"
#include "ha/pair_internal.h"

enum { RETRY_MS = 20 };

/* ---- Status ---- */

typedef struct {
    Ixn__V1__PairStatus message;
    Ixn__V1__PairNode own;
    Ixn__V1__PairNode peer;
    Ixn__V1__PairDap daps[2 * DAPS_MAX];
    Ixn__V1__PairDap *lists[2 * DAPS_MAX];
    Ixn__V1__PairPoison poison[POISON_MAX];
    Ixn__V1__PairPoison *poison_list[POISON_MAX];
    Ixn__V1__PairHeal heal;
    error_t objection;
    char database[IDENTITY_TEXT_SIZE];
    char readiness[PAIR_REASON];
} status_view_t;

static void s_fill_dap(const dap_t *dap, Ixn__V1__PairDap *message)
{
    ixn__v1__pair_dap__init(message);
    message->name = (char *)dap->name;
    message->reachable = dap->reachable;
    message->proven = dap->proven;
    message->latency_us = (uint32_t)dap->latency;
    message->trouble = (char *)dap->trouble.text;
    message->verdict = (Ixn__V1__DapVerdict)dap->verdict;
    message->server_started_us = dap->status.instance.started_at;
    message->server_port = dap->status.instance.port;
    message->server = (char *)dap->status.server;
    message->standing = (Ixn__V1__DapStanding)dap->standing;
    message->weight = dap->turn.weight;
    message->lanes = dap->lanes;
    message->average_us = (uint32_t)dap->average;
    message->done = dap->done;
    message->spread = dap->spread;
    message->errors = dap->errors;
}

static size_t s_fill_daps(const dap_t *daps, size_t len, Ixn__V1__PairDap *messages,
                          Ixn__V1__PairDap **list)
{
    size_t shown = 0;
    for (size_t i = 0; i < len; i++) {
        if (!dap_is_here(&daps[i]))
            continue;
        s_fill_dap(&daps[i], &messages[shown]);
        list[shown] = &messages[shown];
        shown++;
    }
    return shown;
}

static void s_fill_own(const pair_t *self, status_view_t *view)
{
    Ixn__V1__PairNode *own = &view->own;
    ixn__v1__pair_node__init(own);
    own->name = (char *)self->name;
    own->role = (char *)role_name(self->role);
    own->client_endpoint = (char *)self->client_endpoint;
    own->admin_url = (char *)self->admin_url;
    if (self->node) {
        node_figures_t figures = node_figures(self->node);
        own->index = figures.committed;
        own->checkpoint = figures.checkpoint;
    } else {
        own->index = replica_index(self->replica);
        if (replica_is_loaded(self->replica))
            own->hash = wire_bytes(&replica_state(self->replica)->hash);
    }
    own->ready = pair_reports_ready(self, view->readiness, sizeof view->readiness);
    own->readiness = view->readiness;
    own->automatic = !self->manual;
    own->database = daps_proven(&self->daps) > 0;
    own->daps = view->lists;
    own->n_daps = s_fill_daps(self->daps.daps, self->daps.len, view->daps, view->lists);
}

static const char *s_peer_role(const peer_view_t *peer, bool alive)
{
    static const char *const names[] = {"starting", "backup-syncing", "backup-ready", "taking-over",
                                        "primary",  "handing-over",   "fenced",       "stopped"};
    if (!alive)
        return "not heard";
    return (size_t)peer->role < sizeof names / sizeof *names ? names[peer->role] : "unknown";
}

static void s_fill_peer(const pair_t *self, status_view_t *view)
{
    const peer_view_t *peer = &self->peer;
    Ixn__V1__PairNode *message = &view->peer;
    bool alive = pair_peer_alive(self);
    ixn__v1__pair_node__init(message);
    message->name = (char *)peer->name;
    message->role = (char *)s_peer_role(peer, alive);
    message->client_endpoint = (char *)peer->client_endpoint;
    message->admin_url = (char *)peer->admin_url;
    message->index = peer->index;
    message->checkpoint = peer->checkpoint;
    message->ready = alive && peer->ready;
    message->readiness = (char *)(peer->trouble[0] ? peer->trouble : peer->readiness);
    message->automatic = peer->automatic;
    message->database = alive && peer->database;
    message->daps = view->lists + DAPS_MAX;
    message->n_daps =
        s_fill_daps(peer->daps, peer->daps_len, view->daps + DAPS_MAX, view->lists + DAPS_MAX);
}

static void s_fill_status(const pair_t *self, status_view_t *view)
{
    Ixn__V1__PairStatus *message = &view->message;
    ixn__v1__pair_status__init(message);
    s_fill_own(self, view);
    message->own = &view->own;
    if (self->peer.heard) {
        s_fill_peer(self, view);
        message->peer = &view->peer;
    }
    message->has_peer = self->options.has_peer;
    message->link = pair_peer_alive(self);
    message->link_silent_ms = (uint32_t)((self->now - self->peer.heard_at) / USEC_PER_MS);
    message->epoch = self->epoch;
    if (self->daps.known) {
        message->database_id = wire_bytes(&self->daps.own.database_id);
        message->database = (char *)identity_text(&self->daps.own, view->database);
    }
    message->role_since_ms = (uint32_t)((self->now - self->role_since) / USEC_PER_MS);
    message->role_reason = (char *)self->role_reason;
    message->poison = view->poison_list;
    message->n_poison = pair_fill_poison(self, view->poison, view->poison_list);
    message->last_takeover_ms = (uint32_t)(self->last_takeover / USEC_PER_MS);
    message->has_lag_bytes = pair_lag_bytes(self, &message->lag_bytes);
    pair_fill_heal(self, &view->heal, &view->objection);
    message->heal = &view->heal;
}

/* ---- Commands ---- */

static bool s_switchover(pair_t *self, const Ixn__V1__PairCommand *command, error_t *ret_error)
{
    const char *no = pair_no_hand_over(self);
    if (!self->node)
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "node \"%s\" is %s, not the primary; ask the primary%s%s", self->name,
                         role_name(self->role), self->peer.name[0] ? ", " : "", self->peer.name);
    if (no)
        return error_set(ret_error, ERROR_WRONG_STATE, "node \"%s\" cannot hand over: %s",
                         self->name, no);
    if (!command->dry_run)
        pair_switchover(self, command->reason[0] ? command->reason : "an operator's switchover");
    return true;
}

static bool s_failover(pair_t *self, const Ixn__V1__PairCommand *command, error_t *ret_error)
{
    char reason[PAIR_REASON];
    if (self->node || self->role == ROLE_TAKING_OVER)
        return error_set(ret_error, ERROR_WRONG_STATE, "node \"%s\" is %s already", self->name,
                         role_name(self->role));
    if (pair_peer_alive(self) && self->peer.role == IXN__V1__PEER_ROLE__PEER_PRIMARY)
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "the primary \"%s\" is alive (heard %" PRId64
                         " ms ago); use switchover, or stop it first",
                         self->peer.name, (self->now - self->peer.heard_at) / USEC_PER_MS);
    if (!self->has_seen || !self->daps.known || daps_proven(&self->daps) == 0)
        return error_set(
            ret_error, ERROR_WRONG_STATE, "node \"%s\" cannot take over: %s", self->name,
            pair_is_ready(self, reason, sizeof reason) ? "it has not seen the database" : reason);
    if (command->dry_run)
        return true;
    bool hot = role_follows(self->role) && replica_is_loaded(self->replica);
    if (pair_event(self, ROLE_EVENT_FAILOVER,
                   command->reason[0] ? command->reason : "an operator's failover"))
        pair_takeover_begin(self, false, hot);
    return true;
}

/* Why, and who says so, as it is kept: there is room for what a role's history puts before it. */
static void s_reason(const char *reason, const char *by, char text[PAIR_REASON])
{
    enum { BEFORE = 32 };
    const int most = PAIR_REASON - 1 - BEFORE - (int)sizeof " ()" - (int)strlen(by);
    if (!*by || !*reason)
        snprintf(text, PAIR_REASON, "%s%s", reason, by);
    else
        snprintf(text, PAIR_REASON, "%.*s (%s)", most, reason, by);
    wire_clean_text(text); /* it may be cut */
}

static bool s_command(pair_t *self, const Ixn__V1__Request *request, error_t *ret_error)
{
    char reason[PAIR_REASON];
    Ixn__V1__PairCommand told = *request->pair_command;
    const Ixn__V1__PairCommand *command = &told;
    const size_t least = told.kind == IXN__V1__PAIR_COMMAND__KIND__HEAL;
    if (!wire_check_text("reason", told.reason, least, LIMIT_TEXT, ret_error) ||
        !wire_check_text("by", request->by, 0, LIMIT_NAME, ret_error))
        return false;
    s_reason(told.reason, request->by, reason);
    told.reason = reason;
    bool pause = command->kind == IXN__V1__PAIR_COMMAND__KIND__PAUSE;
    switch (command->kind) {
    case IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER:
        return s_switchover(self, command, ret_error);
    case IXN__V1__PAIR_COMMAND__KIND__FAILOVER:
        return s_failover(self, command, ret_error);
    case IXN__V1__PAIR_COMMAND__KIND__HEAL:
        return pair_heal(self, command, ret_error);
    case IXN__V1__PAIR_COMMAND__KIND__PAUSE:
    case IXN__V1__PAIR_COMMAND__KIND__RESUME:
        if (command->dry_run || self->manual == pause)
            return true;
        self->manual = pause;
        pair_say(self, false, "pair.automatic", "on=%d reason=\"%s\"", !pause, command->reason);
        pair_hello(self);
        return true;
    case IXN__V1__PAIR_COMMAND__KIND__FORGIVE:
        return pair_forgive(self, command->fingerprint, command->dry_run, ret_error);
    default:
        return error_set(ret_error, ERROR_INVALID_ARGUMENT, "the command %d is not known here",
                         (int)command->kind);
    }
}

/* ---- Answers ---- */

static void s_answer_status(const pair_t *self, uint64_t request, buffer_t *frame)
{
    status_view_t view;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    s_fill_status(self, &view);
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_PAIR_STATUS;
    message.pair_status = &view.message;
    wire_append_message(frame, &message);
}

static void s_answer_error(uint64_t request, error_t *error, buffer_t *frame)
{
    Ixn__V1__Error body = IXN__V1__ERROR__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    wire_clean_text(error->text);
    body.code = (Ixn__V1__Code)error->code;
    body.sentence = error->text;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_ERROR;
    message.error = &body;
    wire_append_message(frame, &message);
}

static void s_answer_pong(uint64_t request, buffer_t *frame)
{
    Ixn__V1__Pong pong = IXN__V1__PONG__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_PONG;
    message.pong = &pong;
    wire_append_message(frame, &message);
}

static void s_answer_retry(uint64_t request, const char *sentence, buffer_t *frame)
{
    Ixn__V1__Retry retry = IXN__V1__RETRY__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    retry.after_ms = RETRY_MS;
    retry.sentence = (char *)sentence;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_RETRY;
    message.retry = &retry;
    wire_append_message(frame, &message);
}

/* NOT_PRIMARY while another node is known to serve or this one follows; RETRY while it is open. */
static void s_answer_elsewhere(const pair_t *self, uint64_t request, buffer_t *frame)
{
    Ixn__V1__NotPrimary elsewhere = IXN__V1__NOT_PRIMARY__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    if (self->node) {
        s_answer_retry(request, "a request to the pair came before it; send this one by itself",
                       frame);
        return;
    }
    if (!role_follows(self->role) && self->role != ROLE_STOPPED) {
        s_answer_retry(request,
                       self->role == ROLE_TAKING_OVER ? "this node takes over"
                                                      : "this node is starting",
                       frame);
        return;
    }
    message.request_id = request;
    elsewhere.primary_endpoint = (char *)(pair_peer_alive(self) ? self->peer.client_endpoint : "");
    message.body_case = IXN__V1__MESSAGE__BODY_NOT_PRIMARY;
    message.not_primary = &elsewhere;
    wire_append_message(frame, &message);
}

static bool s_is_for_the_pair(const Ixn__V1__Request *request)
{
    return request->body_case == IXN__V1__REQUEST__BODY_PAIR_STATUS ||
           request->body_case == IXN__V1__REQUEST__BODY_PAIR_COMMAND ||
           request->body_case == IXN__V1__REQUEST__BODY_FIGURES;
}

static void s_answer(pair_t *self, const Ixn__V1__Request *request, buffer_t *frame)
{
    error_t error = {0};
    if (frame->len > LIMIT_PACKET / 2) /* a status is much larger than what asks for it */
        s_answer_retry(request->id, "the answers before this one fill a frame", frame);
    else if (request->body_case == IXN__V1__REQUEST__BODY_PING)
        s_answer_pong(request->id, frame);
    else if (!s_is_for_the_pair(request))
        s_answer_elsewhere(self, request->id, frame);
    else if (request->body_case == IXN__V1__REQUEST__BODY_FIGURES)
        pair_answer_figures(self, request->id, frame);
    else if (request->body_case == IXN__V1__REQUEST__BODY_PAIR_COMMAND &&
             !s_command(self, request, &error))
        s_answer_error(request->id, &error, frame);
    else
        s_answer_status(self, request->id, frame);
}

/* True: `frame` answers the packet, since something in it is poison; then none of it is tried. */
static bool s_refuse(pair_t *self, text_t packet, buffer_t *frame)
{
    const poison_entry_t *whole = poison_find(&self->poison, poison_packet(packet));
    size_t at = 0;
    text_t request;
    bool refused = false;
    wire_append_from_node_head(frame, 0, 0);
    while (packet_next(packet, &at, &request) || (whole && !refused)) {
        const poison_entry_t *entry =
            whole ? whole : poison_find(&self->poison, poison_request(request));
        error_t error;
        if (!entry) {
            s_answer_retry(packet_request_id(request), "a request that is refused came with it",
                           frame);
            continue;
        }
        pair_poison_error(entry, &error);
        pair_note_refused(self, entry, "a visitor");
        s_answer_error(packet_request_id(request), &error, frame);
        refused = true;
    }
    if (!refused)
        buffer_free(frame);
    return refused;
}

/* A first packet that is not for the pair is sifted by its session. */
static bool s_is_for_a_session(const pair_t *self, text_t packet)
{
    size_t at = 0;
    text_t request;
    if (!self->node || !packet_next(packet, &at, &request))
        return false;
    const char *name = packet_request_name(request);
    return strcmp(name, "pair_status") != 0 && strcmp(name, "pair_command") != 0 &&
           strcmp(name, "figures") != 0;
}

static bool s_visit(pair_t *self, const uint8_t *bytes, size_t len, engine_frame_t *ret_frame)
{
    buffer_t frame = {0};
    error_t error = {0};
    wire_arena_reset(self->arena);
    Ixn__V1__ToNode *asked = wire_decode_to_node(self->arena, bytes, len, &error);
    if (self->node && (!asked || asked->n_requests == 0 || !s_is_for_the_pair(asked->requests[0])))
        return false;
    /* A node that does not serve says so by the epoch 0; what it says is no effect of the log. */
    wire_append_from_node_head(&frame, 0, 0);
    if (!asked)
        s_answer_error(0, &error, &frame);
    for (size_t i = 0; asked && i < asked->n_requests; i++)
        s_answer(self, asked->requests[i], &frame);
    *ret_frame = (engine_frame_t){0, frame.bytes, frame.len};
    return true;
}

bool pair_visit(pair_t *self, const uint8_t *bytes, size_t len, engine_frame_t *ret_frame)
{
    const text_t packet = {(const char *)bytes, len};
    buffer_t refusal = {0};
    if (self->poison.active > 0 && s_is_for_a_session(self, packet))
        return false;
    if (self->poison.active > 0 && s_refuse(self, packet, &refusal)) {
        *ret_frame = (engine_frame_t){0, refusal.bytes, refusal.len};
        return true;
    }
    hand_begin_frame(self->options.desk, bytes, len);
    bool answered = s_visit(self, bytes, len, ret_frame);
    hand_end(self->guard.hand);
    return answered;
}

/* ---- To all ---- */

static void s_broadcast(pair_t *self, buffer_t *frame)
{
    pair_action_t *action = pair_do(self, PAIR_BROADCAST);
    action->bytes = frame->bytes;
    action->len = frame->len;
}

void pair_tell_not_primary(pair_t *self)
{
    buffer_t frame = {0};
    Ixn__V1__NotPrimary elsewhere = IXN__V1__NOT_PRIMARY__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    /* Never to a node of another database. */
    elsewhere.primary_endpoint = self->peer.trouble[0] ? (char *)"" : self->peer.client_endpoint;
    message.body_case = IXN__V1__MESSAGE__BODY_NOT_PRIMARY;
    message.not_primary = &elsewhere;
    wire_append_from_node_head(&frame, 0, 0);
    wire_append_message(&frame, &message);
    s_broadcast(self, &frame);
}

void pair_tell_serving(pair_t *self)
{
    buffer_t frame = {0};
    wire_append_from_node_head(&frame, self->takeover.status.epoch,
                               self->takeover.status.head_index);
    s_broadcast(self, &frame);
}
