#include "apps/ixnd/peer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "apps/ixnd/certificate.h"
#include "apps/ixnd/peer_watch.h"
#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/limits.h"

enum {
    FRAMES = 1000,     /* in each direction, in libzmq's memory */
    RECONNECT_MS = 10, /* doubles … */
    RECONNECT_MAX_MS = 100,
    CONNECT_MS = 1000,        /* a host that answers nothing */
    HANDSHAKE_MS = 1000,      /* a port behind which nobody speaks ZeroMQ, or a frozen node */
    UNACKNOWLEDGED_MS = 3000, /* what the other host does not acknowledge for so long is lost; by
                                 itself TCP would go on for a quarter of an hour, less and less
                                 often, and be as slow to see that the host is back */
    IDLE_S = 5, /* a connection to our port over which nothing comes: is its host there? */
    FRAME_ENVELOPE = 64 * 1024,
};

/* Bytes that libzmq may hold for the link: a frozen peer with a few large batches must not cost the
 * primary its memory. */
#define UNSENT_MAX ((size_t)4 * LIMIT_BATCH)

struct peer {
    void *context; /* of its own: its ZAP handler is nobody else's */
    void *router;
    void *dealer;
    peer_watch_t *watch;
    zmq_msg_t message;    /* received last */
    atomic_size_t unsent; /* bytes handed to libzmq and not freed by it yet */
};

static void s_set(void *socket, int option, int value)
{
    CHECK(zmq_setsockopt(socket, option, &value, sizeof value) == 0);
}

static void s_set_key(void *socket, int option, const char *key)
{
    CHECK(zmq_setsockopt(socket, option, key, CERTIFICATE_TEXT_SIZE) == 0);
}

static bool s_failed(const char *what, const char *endpoint, const char *key, error_t *ret_error)
{
    return error_set(ret_error, ERROR_SYSTEM, "peer port %s: %s: %s; see pair.%s", endpoint, what,
                     zmq_strerror(zmq_errno()), key);
}

/* Before the port is bound, so that no connection comes before there is somebody who judges it. */
static void *s_open_zap(peer_t *self)
{
    void *zap = zmq_socket(self->context, ZMQ_REP);
    CHECK(zap);
    s_set(zap, ZMQ_LINGER, 0);
    CHECK(zmq_bind(zap, "inproc://zeromq.zap.01") == 0);
    return zap;
}

static void *s_open_monitor(peer_t *self)
{
    static const char address[] = "inproc://peer-monitor";
    CHECK(zmq_socket_monitor(self->dealer, address,
                             ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                                 ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                 ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                                 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) == 0);
    void *monitor = zmq_socket(self->context, ZMQ_PAIR);
    CHECK(monitor);
    s_set(monitor, ZMQ_LINGER, 0);
    CHECK(zmq_connect(monitor, address) == 0);
    return monitor;
}

static void s_set_common(void *socket, const certificate_t *certificate)
{
    s_set(socket, ZMQ_LINGER, 0);
    s_set(socket, ZMQ_SNDHWM, FRAMES);
    s_set(socket, ZMQ_RCVHWM, FRAMES);
    s_set(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    s_set(socket, ZMQ_TCP_MAXRT, UNACKNOWLEDGED_MS);
    s_set_key(socket, ZMQ_CURVE_PUBLICKEY, certificate->public_text);
    s_set_key(socket, ZMQ_CURVE_SECRETKEY, certificate->secret_text);
    int64_t largest = LIMIT_BATCH + FRAME_ENVELOPE;
    CHECK(zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest) == 0);
}

static void s_set_router(void *router, const certificate_t *certificate)
{
    s_set_common(router, certificate);
    s_set(router, ZMQ_IPV6, 1); /* tcp://[::1]:7421 as well; IPv4 as before */
    s_set(router, ZMQ_CURVE_SERVER, 1);
    CHECK(zmq_setsockopt(router, ZMQ_ZAP_DOMAIN, "pair", 4) == 0);
    s_set(router, ZMQ_TCP_KEEPALIVE, 1);
    s_set(router, ZMQ_TCP_KEEPALIVE_IDLE, IDLE_S);
    s_set(router, ZMQ_TCP_KEEPALIVE_INTVL, 1);
    s_set(router, ZMQ_TCP_KEEPALIVE_CNT, 3);
}

static void s_set_dealer(void *dealer, const certificate_t *certificate, const char *endpoint)
{
    s_set_common(dealer, certificate);
    /* With it libzmq would take a name's IPv6 address, and only that. */
    s_set(dealer, ZMQ_IPV6, strchr(endpoint, '[') ? 1 : 0);
    s_set_key(dealer, ZMQ_CURVE_SERVERKEY, certificate->public_text);
    s_set(dealer, ZMQ_IMMEDIATE, 1); /* nothing is queued for a connection that is not there */
    s_set(dealer, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    s_set(dealer, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    s_set(dealer, ZMQ_CONNECT_TIMEOUT, CONNECT_MS);
}

static bool s_open(peer_t *self, const config_t *config, const certificate_t *certificate,
                   error_t *ret_error)
{
    self->context = zmq_ctx_new();
    CHECK(self->context);
    self->router = zmq_socket(self->context, ZMQ_ROUTER);
    self->dealer = zmq_socket(self->context, ZMQ_DEALER);
    if (!self->router || !self->dealer)
        return s_failed("cannot open a socket", config->peer_bind, "bind", ret_error);
    s_set_router(self->router, certificate);
    s_set_dealer(self->dealer, certificate, config->peer_endpoint);
    peer_watch_options_t watch = {.monitor = s_open_monitor(self),
                                  .zap = s_open_zap(self),
                                  .endpoint = config->peer_endpoint};
    memcpy(watch.public_key, certificate->public_key, sizeof watch.public_key);
    self->watch = peer_watch_new(&watch);
    if (zmq_bind(self->router, config->peer_bind) != 0)
        return s_failed("cannot bind", config->peer_bind, "bind", ret_error);
    if (zmq_connect(self->dealer, config->peer_endpoint) != 0)
        return s_failed("cannot connect", config->peer_endpoint, "peer", ret_error);
    return true;
}

peer_t *peer_new(const config_t *config, error_t *ret_error)
{
    CHECK(config->has_peer);
    certificate_t certificate;
    if (!certificate_read(config->peer_certificate, &certificate, ret_error))
        return NULL;
    peer_t *self = memory_zero(1, sizeof *self);
    atomic_init(&self->unsent, 0);
    zmq_msg_init(&self->message);
    if (!s_open(self, config, &certificate, ret_error))
        peer_destroy(&self);
    explicit_bzero(&certificate, sizeof certificate);
    return self;
}

void peer_destroy(peer_t **self_p)
{
    peer_t *self = *self_p;
    if (!self)
        return;
    zmq_msg_close(&self->message);
    if (self->dealer) {
        zmq_socket_monitor(self->dealer, NULL, 0);
        zmq_close(self->dealer);
    }
    if (self->router)
        zmq_close(self->router);
    peer_watch_destroy(&self->watch);
    zmq_ctx_term(self->context); /* waits until libzmq has freed all that it was given */
    free(self);
    *self_p = NULL;
}

void *peer_socket(peer_t *self)
{
    return self->router;
}

void *peer_monitor(peer_t *self)
{
    return peer_watch_socket(self->watch);
}

/* A message is the routing id of the connection, then one frame. Whatever else there is behind the
 * id is read to its end; true when it was exactly one. */
static bool s_receive_rest(peer_t *self)
{
    int frames = 0;
    while (zmq_msg_more(&self->message)) {
        if (zmq_msg_recv(&self->message, self->router, ZMQ_DONTWAIT) < 0)
            return false;
        frames++;
    }
    return frames == 1;
}

bool peer_receive(peer_t *self, const uint8_t **ret_bytes, size_t *ret_len)
{
    while (zmq_msg_recv(&self->message, self->router, ZMQ_DONTWAIT) >= 0) {
        if (!s_receive_rest(self))
            continue;
        *ret_bytes = zmq_msg_data(&self->message);
        *ret_len = zmq_msg_size(&self->message);
        return true;
    }
    return false;
}

/* What libzmq holds is known by what it frees, from a thread of its own. */
typedef struct {
    atomic_size_t *unsent;
    size_t len;
} held_t;

static void s_free(void *bytes, void *hint)
{
    held_t *held = hint;
    atomic_fetch_sub(held->unsent, held->len);
    free(held);
    free(bytes);
}

void peer_send(peer_t *self, uint8_t *bytes, size_t len)
{
    if (atomic_load(&self->unsent) + len > UNSENT_MAX) {
        free(bytes);
        return;
    }
    held_t *held = memory_new(sizeof *held);
    *held = (held_t){&self->unsent, len};
    atomic_fetch_add(&self->unsent, len);
    zmq_msg_t message;
    CHECK(zmq_msg_init_data(&message, bytes, len, s_free, held) == 0);
    if (zmq_msg_send(&message, self->dealer, ZMQ_DONTWAIT) < 0)
        zmq_msg_close(&message);
}

bool peer_next_link(peer_t *self, peer_link_t *ret_event)
{
    return peer_watch_next(self->watch, ret_event);
}
