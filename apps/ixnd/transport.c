#include "apps/ixnd/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/table.h"
#include "core/wire/wire.h"

enum {
    ID_BYTES = 255,
    PROBES = 100,                     /* a suspect that answers so many probes is alive */
    CONNECTIONS = 2 * LIMIT_SESSIONS, /* as many are remembered; those beyond are only answered */
    FRAME_OVERHEAD = 128,             /* bytes that libzmq keeps beside a frame's own */
};

/* Frames that libzmq has and the connection has not taken. Their memory comes back from a thread of
 * libzmq, perhaps when the connection is forgotten here. */
typedef struct {
    atomic_size_t bytes;
    atomic_size_t *all;  /* the bytes of all connections */
    atomic_size_t users; /* the peer, and each of its frames */
} unread_t;

typedef struct {
    UT_hash_handle hh; /* by routing id */
    uint8_t id[ID_BYTES];
    size_t id_len;
    session_t session; /* 0: it only visits */
    int descriptor;
    uint64_t cookie; /* of the descriptor's socket: no other has it, ever */
    int probes;      /* left, while it is a suspect */
    unread_t *unread;
} peer_t;

struct transport {
    void *context;
    void *socket;
    void *monitor;
    peer_t *peers;
    peer_t **by_slot; /* by the slot in session_t */
    size_t slots;
    peer_t **by_descriptor; /* who used it last */
    size_t descriptors;
    peer_t **suspects;
    size_t suspects_len;
    size_t suspects_capacity;
    peer_t *last; /* of the frame received last; NULL: it has no session */
    uint8_t last_id[ID_BYTES];
    size_t last_id_len;
    int last_descriptor;
    unread_t *of_strangers; /* of connections that are not remembered */
    atomic_size_t unread;   /* bytes of all connections */
    unread_t *leaving;      /* of one that was closed and still has some; NULL: there is none */
    bool sent;              /* since transport_has_sent was asked */
    zmq_msg_t message;
    char endpoint[600]; /* as this machine reaches it */
};

static bool s_failed(const char *what, const char *endpoint, error_t *ret_error)
{
    return error_set(ret_error, ERROR_SYSTEM, "client port %s: %s: %s; see node.client_endpoint",
                     endpoint, what, zmq_strerror(zmq_errno()));
}

static void s_set(void *socket, int option, int value)
{
    CHECK(zmq_setsockopt(socket, option, &value, sizeof value) == 0);
}

/* What was bound, as somebody on this machine would connect to it. */
static void s_note_endpoint(transport_t *self)
{
    static const char *const any[] = {"tcp://0.0.0.0:", "tcp://[::]:"};
    char bound[512];
    size_t len = sizeof bound;
    CHECK(zmq_getsockopt(self->socket, ZMQ_LAST_ENDPOINT, bound, &len) == 0);
    snprintf(self->endpoint, sizeof self->endpoint, "%s", bound);
    for (size_t i = 0; i < sizeof any / sizeof any[0]; i++) {
        const char *port = bound + strlen(any[i]);
        if (strncmp(bound, any[i], strlen(any[i])) == 0)
            snprintf(self->endpoint, sizeof self->endpoint, "tcp://127.0.0.1:%s", port);
    }
}

static bool s_open(transport_t *self, const char *endpoint, error_t *ret_error)
{
    self->context = zmq_ctx_new();
    self->socket = zmq_socket(self->context, ZMQ_ROUTER);
    if (!self->socket)
        return s_failed("cannot open a socket", endpoint, ret_error);
    s_set(self->socket, ZMQ_LINGER, 500);
    s_set(self->socket, ZMQ_ROUTER_MANDATORY, 1);
    s_set(self->socket, ZMQ_ROUTER_HANDOVER, 1);
    s_set(self->socket, ZMQ_SNDHWM, LIMIT_UNREAD_FRAMES);
    s_set(self->socket, ZMQ_IPV6, 1); /* tcp://[::1]:7420 as well; IPv4 as before */
    int64_t largest = LIMIT_PACKET;
    CHECK(zmq_setsockopt(self->socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest) == 0);
    static const char monitor[] = "inproc://client-port-monitor";
    if (zmq_socket_monitor(self->socket, monitor, ZMQ_EVENT_DISCONNECTED) != 0)
        return s_failed("cannot watch the socket", endpoint, ret_error);
    self->monitor = zmq_socket(self->context, ZMQ_PAIR);
    s_set(self->monitor, ZMQ_LINGER, 0);
    if (zmq_connect(self->monitor, monitor) != 0)
        return s_failed("cannot watch the socket", endpoint, ret_error);
    if (zmq_bind(self->socket, endpoint) != 0)
        return s_failed("cannot bind", endpoint, ret_error);
    s_note_endpoint(self);
    return true;
}

static unread_t *s_new_unread(transport_t *self)
{
    unread_t *unread = memory_zero(1, sizeof *unread);
    unread->all = &self->unread;
    atomic_init(&unread->users, 1);
    return unread;
}

static void s_release(unread_t *unread)
{
    if (atomic_fetch_sub(&unread->users, 1) == 1)
        free(unread);
}

transport_t *transport_new(const char *endpoint, error_t *ret_error)
{
    transport_t *self = memory_zero(1, sizeof *self);
    self->of_strangers = s_new_unread(self);
    zmq_msg_init(&self->message);
    if (!s_open(self, endpoint, ret_error))
        transport_destroy(&self);
    return self;
}

static void s_free_peer(peer_t *peer)
{
    s_release(peer->unread);
    free(peer);
}

void transport_destroy(transport_t **self_p)
{
    transport_t *self = *self_p;
    if (!self)
        return;
    zmq_msg_close(&self->message);
    if (self->socket) {
        zmq_socket_monitor(self->socket, NULL, 0);
        zmq_close(self->socket);
    }
    if (self->monitor)
        zmq_close(self->monitor);
    while (self->context && zmq_ctx_term(self->context) != 0 && zmq_errno() == EINTR)
        continue; /* a signal was caught; frames come back until it is done */
    peer_t *peer, *next;
    HASH_ITER(hh, self->peers, peer, next)
    {
        HASH_DEL(self->peers, peer);
        s_free_peer(peer);
    }
    s_release(self->of_strangers);
    if (self->leaving)
        s_release(self->leaving);
    free(self->by_slot);
    free(self->by_descriptor);
    free(self->suspects);
    free(self);
    *self_p = NULL;
}

const char *transport_endpoint(const transport_t *self)
{
    return self->endpoint;
}

void *transport_socket(transport_t *self)
{
    return self->socket;
}

void *transport_monitor(transport_t *self)
{
    return self->monitor;
}

bool transport_has_sent(transport_t *self)
{
    bool sent = self->sent;
    self->sent = false;
    return sent;
}

/* ---- Which connection is which ---- */

static peer_t **s_grow(peer_t **table, size_t *len, size_t needed)
{
    if (needed <= *len)
        return table;
    size_t grown = needed * 2;
    table = memory_resize(table, grown * sizeof *table);
    memset(table + *len, 0, (grown - *len) * sizeof *table);
    *len = grown;
    return table;
}

static peer_t *s_peer(const transport_t *self, session_t session)
{
    uint32_t slot = (uint32_t)session;
    peer_t *peer = slot < self->slots ? self->by_slot[slot] : NULL;
    return peer && peer->session == session ? peer : NULL;
}

/* 0: it is closed. */
static uint64_t s_cookie(int descriptor)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof cookie;
    return getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

static void s_set_descriptor(transport_t *self, peer_t *peer, int descriptor)
{
    if (peer->descriptor == descriptor || descriptor < 0)
        return;
    if (peer->descriptor >= 0 && self->by_descriptor[peer->descriptor] == peer)
        self->by_descriptor[peer->descriptor] = NULL;
    self->by_descriptor = s_grow(self->by_descriptor, &self->descriptors, (size_t)descriptor + 1);
    self->by_descriptor[descriptor] = peer;
    peer->descriptor = descriptor;
    peer->cookie = s_cookie(descriptor);
}

/* The connection of the frame received last, remembered from now on; NULL: too many are. */
static peer_t *s_meet(transport_t *self)
{
    if (self->last || HASH_COUNT(self->peers) >= CONNECTIONS)
        return self->last;
    peer_t *peer = memory_zero(1, sizeof *peer);
    memcpy(peer->id, self->last_id, self->last_id_len);
    peer->id_len = self->last_id_len;
    peer->descriptor = -1;
    peer->unread = s_new_unread(self);
    s_set_descriptor(self, peer, self->last_descriptor);
    HASH_ADD(hh, self->peers, id, peer->id_len, peer);
    self->last = peer;
    return peer;
}

void transport_bind_session(transport_t *self, session_t session)
{
    peer_t *peer = s_meet(self);
    if (!peer)
        return; /* nothing can be sent to it, and its session ends in silence */
    peer->session = session;
    uint32_t slot = (uint32_t)session;
    self->by_slot = s_grow(self->by_slot, &self->slots, (size_t)slot + 1);
    CHECK(!self->by_slot[slot]); /* the engine waits until the session before was forgotten */
    self->by_slot[slot] = peer;
}

static void s_end_session(transport_t *self, peer_t *peer)
{
    if (peer->session)
        self->by_slot[(uint32_t)peer->session] = NULL;
    peer->session = 0;
}

void transport_forget(transport_t *self, session_t session)
{
    peer_t *peer = s_peer(self, session);
    if (peer)
        s_end_session(self, peer);
}

/* Closes the connection, also when it does not read. libzmq may close the descriptor meanwhile, and
 * it may be another socket's by now: that one is left alone. */
static bool s_hang_up(const peer_t *peer)
{
    int descriptor = fcntl(peer->descriptor, F_DUPFD_CLOEXEC, 0);
    if (descriptor < 0)
        return false;
    bool same = peer->cookie && s_cookie(descriptor) == peer->cookie;
    if (same)
        shutdown(descriptor, SHUT_RDWR);
    close(descriptor);
    return same;
}

/* It is remembered no longer. libzmq would keep it until it has read everything. */
static void s_drop(transport_t *self, peer_t *peer)
{
    s_hang_up(peer);
    s_end_session(self, peer);
    HASH_DEL(self->peers, peer);
    if (peer->descriptor >= 0 && self->by_descriptor[peer->descriptor] == peer)
        self->by_descriptor[peer->descriptor] = NULL;
    for (size_t i = 0; i < self->suspects_len; i++)
        if (self->suspects[i] == peer)
            self->suspects[i--] = self->suspects[--self->suspects_len];
    if (self->last == peer)
        self->last = NULL;
    s_free_peer(peer);
}

/* ---- Receiving ---- */

/* The frames behind the first one of a message, which must be exactly one. */
static bool s_receive_rest(transport_t *self)
{
    int frames = 0;
    while (zmq_msg_more(&self->message)) {
        if (zmq_msg_recv(&self->message, self->socket, ZMQ_DONTWAIT) < 0)
            return false;
        frames++;
    }
    return frames == 1;
}

bool transport_receive(transport_t *self, transport_frame_t *ret_frame)
{
    if (zmq_msg_recv(&self->message, self->socket, ZMQ_DONTWAIT) < 0)
        return false;
    self->last_id_len = zmq_msg_size(&self->message);
    CHECK(self->last_id_len <= ID_BYTES);
    memcpy(self->last_id, zmq_msg_data(&self->message), self->last_id_len);
    bool whole = s_receive_rest(self);
    self->last_descriptor = zmq_msg_get(&self->message, ZMQ_SRCFD);
    peer_t *peer = NULL;
    HASH_FIND(hh, self->peers, self->last_id, self->last_id_len, peer);
    *ret_frame = (transport_frame_t){0};
    if (peer && peer->descriptor >= 0 && self->last_descriptor >= 0 &&
        peer->descriptor != self->last_descriptor) {
        ret_frame->replaced = peer->session;
        s_drop(self, peer);
        peer = NULL;
    }
    self->last = peer;
    ret_frame->session = peer ? peer->session : 0;
    if (whole) {
        ret_frame->bytes = zmq_msg_data(&self->message);
        ret_frame->len = zmq_msg_size(&self->message);
    }
    return true;
}

/* ---- Sending ---- */

static size_t s_cost(void *bytes)
{
    return malloc_usable_size(bytes) + FRAME_OVERHEAD;
}

/* The frame was handed to the kernel, or is dropped. */
static void s_free_frame(void *bytes, void *hint)
{
    unread_t *unread = hint;
    size_t cost = s_cost(bytes);
    atomic_fetch_sub(&unread->bytes, cost);
    atomic_fetch_sub(unread->all, cost);
    s_release(unread);
    free(bytes);
}

static transport_sent_t s_send(transport_t *self, const peer_t *peer, const engine_frame_t *frame)
{
    self->sent = true;
    unread_t *unread = peer->unread;
    bool behind = atomic_load(&unread->bytes) >= LIMIT_UNREAD;
    if (behind || zmq_send(self->socket, peer->id, peer->id_len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        free(frame->bytes);
        return behind || zmq_errno() == EAGAIN ? TRANSPORT_BEHIND : TRANSPORT_GONE;
    }
    size_t cost = s_cost(frame->bytes);
    atomic_fetch_add(&unread->bytes, cost);
    atomic_fetch_add(unread->all, cost);
    atomic_fetch_add(&unread->users, 1);
    zmq_msg_t message;
    CHECK(zmq_msg_init_data(&message, frame->bytes, frame->len, s_free_frame, unread) == 0);
    if (zmq_msg_send(&message, self->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&message);
        return TRANSPORT_GONE;
    }
    return TRANSPORT_SENT;
}

transport_sent_t transport_send(transport_t *self, const engine_frame_t *frame)
{
    const peer_t *peer = s_peer(self, frame->session);
    if (peer)
        return s_send(self, peer, frame);
    free(frame->bytes); /* forgotten meanwhile; nobody waits for it */
    return TRANSPORT_SENT;
}

size_t transport_unread(const transport_t *self, session_t session)
{
    if (!session)
        return atomic_load(&self->unread);
    const peer_t *peer = s_peer(self, session);
    return peer ? atomic_load(&peer->unread->bytes) : 0;
}

static peer_t *s_furthest_behind(transport_t *self)
{
    peer_t *furthest = NULL, *peer, *next;
    size_t most = 0;
    HASH_ITER(hh, self->peers, peer, next)
    {
        size_t bytes = atomic_load(&peer->unread->bytes);
        if (bytes > most) {
            furthest = peer;
            most = bytes;
        }
    }
    return furthest;
}

bool transport_leave(transport_t *self, transport_left_t *ret_left)
{
    const size_t all = atomic_load(&self->unread);
    if (all <= LIMIT_UNREAD_ALL)
        return false;
    /* One after the other: what a closed connection leaves unread is dropped within a moment. */
    if (self->leaving && atomic_load(&self->leaving->bytes))
        return false;
    peer_t *peer = s_furthest_behind(self);
    if (!peer)
        return false;
    /* Before it is closed: then a thread of libzmq drops them. */
    *ret_left = (transport_left_t){peer->session, atomic_load(&peer->unread->bytes), all};
    if (!s_hang_up(peer))
        return false;
    if (self->leaving)
        s_release(self->leaving);
    self->leaving = peer->unread;
    atomic_fetch_add(&peer->unread->users, 1);
    return true;
}

void transport_answer(transport_t *self, const engine_frame_t *frame)
{
    peer_t stranger = {.id_len = self->last_id_len, .unread = self->of_strangers};
    memcpy(stranger.id, self->last_id, self->last_id_len);
    const peer_t *peer = s_meet(self);
    s_send(self, peer ? peer : &stranger, frame);
}

void transport_broadcast(transport_t *self, uint8_t *bytes, size_t len)
{
    peer_t *peer, *next;
    HASH_ITER(hh, self->peers, peer, next)
    {
        engine_frame_t frame = {0, memory_new(len), len};
        memcpy(frame.bytes, bytes, len);
        s_end_session(self, peer);
        if (s_send(self, peer, &frame) != TRANSPORT_SENT)
            s_drop(self, peer);
    }
    free(bytes);
}

/* ---- Closed connections ---- */

static void s_suspect(transport_t *self, peer_t *peer)
{
    if (peer->probes > 0)
        return;
    if (self->suspects_len == self->suspects_capacity) {
        self->suspects_capacity = self->suspects_capacity * 2 + 16;
        self->suspects =
            memory_resize(self->suspects, self->suspects_capacity * sizeof *self->suspects);
    }
    peer->probes = PROBES;
    self->suspects[self->suspects_len++] = peer;
}

/* Monitor events are two frames: number and value (the descriptor), then the address. */
void transport_watch(transport_t *self)
{
    uint8_t event[6];
    while (zmq_recv(self->monitor, event, sizeof event, ZMQ_DONTWAIT) == (int)sizeof event) {
        int32_t descriptor;
        memcpy(&descriptor, event + 2, sizeof descriptor);
        char address[256];
        zmq_recv(self->monitor, address, sizeof address, 0);
        if (descriptor >= 0 && (size_t)descriptor < self->descriptors &&
            self->by_descriptor[descriptor])
            s_suspect(self, self->by_descriptor[descriptor]);
    }
}

static bool s_is_gone(transport_t *self, const peer_t *peer)
{
    if (s_cookie(peer->descriptor) != peer->cookie)
        return true; /* also when another one has its routing id by now, and even its descriptor */
    /* An empty frame is a FromNode that says nothing. */
    engine_frame_t probe = {peer->session, memory_new(0), 0};
    return s_send(self, peer, &probe) != TRANSPORT_SENT;
}

session_t transport_next_lost(transport_t *self)
{
    for (size_t i = 0; i < self->suspects_len; i++) {
        peer_t *peer = self->suspects[i];
        if (s_is_gone(self, peer)) {
            session_t session = peer->session;
            s_drop(self, peer);
            i--;
            if (session)
                return session;
        } else if (--peer->probes == 0)
            self->suspects[i--] = self->suspects[--self->suspects_len];
    }
    return 0;
}

bool transport_has_suspects(const transport_t *self)
{
    return self->suspects_len > 0;
}
