/* Fake node: a ROUTER socket that answers as a test wants, in the test's own thread, and remembers
 * everything it heard. A bench_t holds one client and its nodes and turns them together; WAIT turns
 * until a condition holds. For tests of core/client and of programs around it.
 */
#ifndef IXN_TESTS_UNIT_FAKE_NODE_H
#define IXN_TESTS_UNIT_FAKE_NODE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/client/client.h"
#include "core/wire/wire.h"
#include "tests/unit/own_address.h"

typedef struct {
    uint64_t id;
    Ixn__V1__Request__BodyCase kind;
    uint8_t *bytes; /* the whole request, encoded */
    size_t len;
    uint32_t frame;      /* the how-manieth frame it came in */
    uint32_t connection; /* the how-manieth peer */
    int64_t at_ms;
} heard_t;

/* What a node does with requests that are neither Register nor Ping. */
typedef enum { WORK_ACK, WORK_KEEP, WORK_RETRY, WORK_BUSY, WORK_NOT_PRIMARY, WORK_ERROR } work_t;
typedef enum {
    REGISTER_SERVE,
    REGISTER_NOT_PRIMARY,
    REGISTER_ERROR,
    REGISTER_KEEP,
    REGISTER_RETRY
} admit_t;

typedef struct {
    void *context;
    void *socket;
    char address[64];
    admit_t admit;
    work_t work;
    bool frozen;        /* reads nothing and says nothing */
    int receive_frames; /* as many its socket takes; 0: ZeroMQ's own limit */
    Ixn__V1__Code code;
    uint64_t epoch;
    id128_t database_id;
    uint32_t heartbeat_ms;
    uint64_t dedupe_guaranteed_ms;
    uint32_t after_ms;
    const char *primary;      /* what NotPrimary names */
    Ixn__V1__Token **revoked; /* what Registered says */
    size_t revoked_len;
    zmq_msg_t peer; /* the routing id heard last */
    bool has_peer;
    uint32_t connections;
    uint32_t frames;
    heard_t *heard;
    size_t heard_len;
} node_t;

typedef struct {
    ixn_event_kind_t kind;
    uint64_t request_id;
    Ixn__V1__Message__BodyCase body;
    error_t error;
} told_t;

typedef struct {
    ixn_client_t *client;
    node_t nodes[2];
    size_t nodes_len;
    told_t *told;
    size_t told_len;
    int64_t lost_ms; /* in which this process wanted to run and could not, as far as it can tell */
} bench_t;

static inline int64_t now_ms(void)
{
    return clock_usec(CLOCK_BOOTTIME) / USEC_PER_MS;
}

/* Binds the address of before, or a free port. */
static inline void node_start(node_t *self)
{
    int64_t deadline = now_ms() + 30000;
    char any[OWN_ADDRESS_SIZE];
    self->context = zmq_ctx_new();
    self->socket = zmq_socket(self->context, ZMQ_ROUTER);
    int linger = 0, handover = 1, unlimited = 0; /* a full ROUTER would drop answers silently */
    zmq_setsockopt(self->socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    zmq_setsockopt(self->socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(self->socket, ZMQ_ROUTER_HANDOVER, &handover, sizeof handover);
    if (self->receive_frames)
        zmq_setsockopt(self->socket, ZMQ_RCVHWM, &self->receive_frames,
                       sizeof self->receive_frames);
    while (zmq_bind(self->socket, self->address[0] ? self->address : own_address(any)) != 0)
        cr_assert(now_ms() < deadline, "cannot bind %s: %s", self->address, zmq_strerror(errno));
    size_t size = sizeof self->address;
    zmq_getsockopt(self->socket, ZMQ_LAST_ENDPOINT, self->address, &size);
}

static inline void node_stop(node_t *self)
{
    if (!self->socket)
        return;
    zmq_close(self->socket);
    if (self->has_peer)
        zmq_msg_close(&self->peer);
    self->has_peer = false;
    zmq_ctx_term(self->context);
    self->socket = NULL;
}

static inline void node_free(node_t *self)
{
    node_stop(self);
    for (size_t i = 0; i < self->heard_len; i++)
        free(self->heard[i].bytes);
    free(self->heard);
}

/* Sends a frame to the peer heard last. */
static inline void node_send_bytes(node_t *self, const void *bytes, size_t len)
{
    cr_assert(self->has_peer);
    zmq_msg_t id;
    zmq_msg_init(&id);
    zmq_msg_copy(&id, &self->peer);
    cr_assert(zmq_msg_send(&id, self->socket, ZMQ_SNDMORE) >= 0);
    cr_assert(zmq_send(self->socket, bytes, len, 0) >= 0);
}

static inline void node_send(node_t *self, uint64_t epoch, const Ixn__V1__Message *message)
{
    buffer_t frame = {0};
    wire_append_from_node_head(&frame, epoch, epoch ? 100 : 0);
    wire_append_message(&frame, message);
    node_send_bytes(self, frame.bytes, frame.len);
    buffer_free(&frame);
}

/* Unasked: an empty frame, by which a node tells that it begins to serve. */
static inline void node_begins(node_t *self)
{
    buffer_t frame = {0};
    wire_append_from_node_head(&frame, self->epoch, 100);
    node_send_bytes(self, frame.bytes, frame.len);
    buffer_free(&frame);
}

static inline void node_ack(node_t *self, uint64_t epoch, uint64_t request_id)
{
    id128_t id = {{1}};
    Ixn__V1__Ack ack = IXN__V1__ACK__INIT;
    ack.interaction_id = wire_bytes(&id);
    ack.version = 1;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request_id;
    message.body_case = IXN__V1__MESSAGE__BODY_ACK;
    message.ack = &ack;
    node_send(self, epoch, &message);
}

static inline void node_error(node_t *self, uint64_t request_id, Ixn__V1__Code code)
{
    Ixn__V1__Error error = IXN__V1__ERROR__INIT;
    error.code = code;
    error.sentence = (char *)(uintptr_t) "the fake node says no";
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request_id;
    message.body_case = IXN__V1__MESSAGE__BODY_ERROR;
    message.error = &error;
    node_send(self, self->epoch, &message);
}

static inline void node_not_now(node_t *self, uint64_t request_id)
{
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    Ixn__V1__Retry retry = IXN__V1__RETRY__INIT;
    Ixn__V1__Busy busy = IXN__V1__BUSY__INIT;
    Ixn__V1__NotPrimary not_primary = IXN__V1__NOT_PRIMARY__INIT;
    message.request_id = request_id;
    retry.after_ms = busy.after_ms = self->after_ms;
    if (self->work == WORK_RETRY) {
        message.body_case = IXN__V1__MESSAGE__BODY_RETRY;
        message.retry = &retry;
    } else if (self->work == WORK_BUSY) {
        message.body_case = IXN__V1__MESSAGE__BODY_BUSY;
        message.busy = &busy;
    } else {
        message.body_case = IXN__V1__MESSAGE__BODY_NOT_PRIMARY;
        message.not_primary = &not_primary;
        if (self->primary)
            not_primary.primary_endpoint = (char *)(uintptr_t)self->primary;
    }
    node_send(self, 0, &message);
}

/* Unasked: the node stops to serve, all its sessions are over. */
static inline void node_stops(node_t *self)
{
    Ixn__V1__NotPrimary not_primary = IXN__V1__NOT_PRIMARY__INIT;
    if (self->primary)
        not_primary.primary_endpoint = (char *)(uintptr_t)self->primary;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_NOT_PRIMARY;
    message.not_primary = &not_primary;
    node_send(self, 0, &message);
}

static inline void node_registered(node_t *self, uint64_t request_id)
{
    Ixn__V1__Registered registered = IXN__V1__REGISTERED__INIT;
    registered.database_id = wire_bytes(&self->database_id);
    registered.heartbeat_ms = self->heartbeat_ms;
    registered.dedupe_guaranteed_ms = self->dedupe_guaranteed_ms;
    registered.revoked = self->revoked;
    registered.n_revoked = self->revoked_len;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request_id;
    message.body_case = IXN__V1__MESSAGE__BODY_REGISTERED;
    message.registered = &registered;
    node_send(self, self->epoch, &message);
}

static inline void node_route(node_t *self, uint64_t epoch, uint64_t index)
{
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    token.epoch = epoch;
    token.index = index;
    Ixn__V1__Route route = IXN__V1__ROUTE__INIT;
    route.token = &token;
    route.strategy = (char *)(uintptr_t) "classify";
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_ROUTE;
    message.route = &route;
    node_send(self, self->epoch, &message);
}

static inline void node_answer(node_t *self, const Ixn__V1__Request *request)
{
    Ixn__V1__Pong pong = IXN__V1__PONG__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    work_t work = self->work;
    if (request->body_case == IXN__V1__REQUEST__BODY_REGISTER) {
        self->work = self->admit == REGISTER_RETRY ? WORK_RETRY : WORK_NOT_PRIMARY;
        if (self->admit == REGISTER_SERVE)
            node_registered(self, request->id);
        else if (self->admit == REGISTER_ERROR)
            node_error(self, request->id, self->code);
        else if (self->admit != REGISTER_KEEP)
            node_not_now(self, request->id);
        self->work = work;
    } else if (request->body_case == IXN__V1__REQUEST__BODY_PING) {
        message.request_id = request->id;
        message.body_case = IXN__V1__MESSAGE__BODY_PONG;
        message.pong = &pong;
        node_send(self, 0, &message);
    } else if (work == WORK_ACK) {
        node_ack(self, self->epoch, request->id);
    } else if (work == WORK_ERROR) {
        node_error(self, request->id, self->code);
    } else if (work != WORK_KEEP) {
        node_not_now(self, request->id);
    }
}

static inline void node_hear(node_t *self, const Ixn__V1__Request *request)
{
    if ((self->heard_len & (self->heard_len + 1)) == 0) /* full: it grows to 2^n - 1 */
        self->heard = memory_resize(self->heard, (2 * self->heard_len + 1) * sizeof *self->heard);
    heard_t *heard = &self->heard[self->heard_len++];
    *heard = (heard_t){.id = request->id,
                       .kind = request->body_case,
                       .len = ixn__v1__request__get_packed_size(request),
                       .frame = self->frames,
                       .connection = self->connections,
                       .at_ms = now_ms()};
    heard->bytes = memory_new(heard->len);
    ixn__v1__request__pack(request, heard->bytes);
}

static inline void node_turn(node_t *self)
{
    zmq_msg_t peer, body;
    zmq_msg_init(&peer);
    while (self->socket && !self->frozen && zmq_msg_recv(&peer, self->socket, ZMQ_DONTWAIT) >= 0) {
        zmq_msg_init(&body);
        cr_assert(zmq_msg_more(&peer));
        cr_assert(zmq_msg_recv(&body, self->socket, 0) >= 0);
        cr_assert_not(zmq_msg_more(&body), "a request has exactly one frame");
        if (!self->has_peer || zmq_msg_size(&peer) != zmq_msg_size(&self->peer) ||
            memcmp(zmq_msg_data(&peer), zmq_msg_data(&self->peer), zmq_msg_size(&peer)) != 0) {
            if (!self->has_peer)
                zmq_msg_init(&self->peer);
            zmq_msg_copy(&self->peer, &peer);
            self->has_peer = true;
            self->connections++;
        }
        self->frames++;
        wire_arena_t *arena = wire_arena_new();
        error_t error = {0};
        const Ixn__V1__ToNode *frame =
            wire_decode_to_node(arena, zmq_msg_data(&body), zmq_msg_size(&body), &error);
        cr_assert(frame, "%s", error.text);
        for (size_t i = 0; i < frame->n_requests; i++)
            node_hear(self, frame->requests[i]);
        for (size_t i = 0; i < frame->n_requests; i++)
            node_answer(self, frame->requests[i]);
        wire_arena_destroy(&arena);
        zmq_msg_close(&body);
    }
    zmq_msg_close(&peer);
}

/* How many requests of a kind were heard; the n-th of them, NULL if there are fewer. */
static inline size_t node_count(const node_t *self, Ixn__V1__Request__BodyCase kind)
{
    size_t count = 0;
    for (size_t i = 0; i < self->heard_len; i++)
        count += self->heard[i].kind == kind;
    return count;
}

static inline const heard_t *node_heard(const node_t *self, Ixn__V1__Request__BodyCase kind,
                                        size_t number)
{
    for (size_t i = 0; i < self->heard_len; i++) {
        if (self->heard[i].kind == kind && number-- == 0)
            return &self->heard[i];
    }
    return NULL;
}

static inline bool heard_equal(const heard_t *a, const heard_t *b)
{
    return a && b && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* Decodes what was heard; the caller frees it. */
static inline Ixn__V1__Request *heard_request(const heard_t *heard)
{
    cr_assert(heard);
    return ixn__v1__request__unpack(NULL, heard->len, heard->bytes);
}

/* ---------------------------------------------------------------------------------------------
 * The bench */

static inline void bench_note(bench_t *self, const ixn_event_t *event)
{
    if (event->kind == IXN_EVENT_NONE)
        return;
    if ((self->told_len & (self->told_len + 1)) == 0)
        self->told = memory_resize(self->told, (2 * self->told_len + 1) * sizeof *self->told);
    self->told[self->told_len++] = (told_t){.kind = event->kind,
                                            .request_id = event->request_id,
                                            .body = event->message ? event->message->body_case : 0,
                                            .error = event->error};
}

static inline void bench_turn(bench_t *self)
{
    enum { USUAL_MS = 20 };
    ixn_event_t event;
    int64_t begun_ms = now_ms();
    do {
        ixn_client_next(self->client, self->told_len ? 1 : 5, &event);
        bench_note(self, &event);
    } while (event.kind != IXN_EVENT_NONE);
    for (size_t i = 0; i < self->nodes_len; i++)
        node_turn(&self->nodes[i]);
    if (now_ms() - begun_ms > USUAL_MS)
        self->lost_ms += now_ms() - begun_ms - USUAL_MS;
}

/* A clock that stands still while a busy machine holds this process up. */
static inline int64_t bench_now_ms(const bench_t *self)
{
    return now_ms() - self->lost_ms;
}

#define WAIT(bench, condition)                                                                     \
    do {                                                                                           \
        int64_t wait_until_ms = now_ms() + 30000;                                                  \
        while (!(condition)) {                                                                     \
            cr_assert(now_ms() < wait_until_ms, "never: %s", #condition);                          \
            bench_turn(bench);                                                                     \
        }                                                                                          \
    } while (0)

/* Nodes that serve (the first) or stand by (the second), and a client of both with short times. */
static inline void bench_start(bench_t *self, size_t nodes_len, ixn_client_options_t options)
{
    const char *endpoints[2];
    self->nodes_len = nodes_len;
    id128_t database_id = id_random();
    for (size_t i = 0; i < nodes_len; i++) {
        node_t *node = &self->nodes[i];
        node->epoch = 5;
        node->heartbeat_ms = 1000;
        node->after_ms = 100;
        node->database_id = database_id;
        node->admit = i == 0 ? REGISTER_SERVE : REGISTER_NOT_PRIMARY;
        node_start(node);
        endpoints[i] = node->address;
    }
    options.endpoints = endpoints;
    options.endpoints_len = nodes_len;
    options.name = "test";
    if (!options.role)
        options.role = IXN__V1__ROLE__MEDIA_SERVER;
    error_t error = {0};
    self->client = ixn_client_new(&options, &error);
    cr_assert(self->client, "%s", error.text);
}

static inline size_t bench_told(const bench_t *self, ixn_event_kind_t kind)
{
    size_t count = 0;
    for (size_t i = 0; i < self->told_len; i++)
        count += self->told[i].kind == kind;
    return count;
}

static inline const told_t *bench_last(const bench_t *self, ixn_event_kind_t kind)
{
    for (size_t i = self->told_len; i > 0; i--) {
        if (self->told[i - 1].kind == kind)
            return &self->told[i - 1];
    }
    return NULL;
}

static inline void bench_stop(bench_t *self)
{
    ixn_client_destroy(&self->client);
    cr_assert_null(self->client);
    for (size_t i = 0; i < self->nodes_len; i++)
        node_free(&self->nodes[i]);
    free(self->told);
}

static inline uint64_t send_submit(ixn_client_t *client)
{
    Ixn__V1__Submit submit = IXN__V1__SUBMIT__INIT;
    submit.queue = (char *)(uintptr_t) "inbound";
    submit.media_type = (char *)(uintptr_t) "email";
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_SUBMIT;
    request.submit = &submit;
    uint64_t id = ixn_client_send(client, &request);
    cr_assert_eq(submit.key.len, 0, "the caller's request stays as it was");
    return id;
}

static inline uint64_t send_stop(ixn_client_t *client, uint64_t epoch, uint64_t index)
{
    id128_t id = {{1}};
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    token.epoch = epoch;
    token.index = index;
    Ixn__V1__Stop stop = IXN__V1__STOP__INIT;
    stop.interaction_id = wire_bytes(&id);
    stop.token = epoch ? &token : NULL;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_STOP;
    request.stop = &stop;
    return ixn_client_send(client, &request);
}

#endif
