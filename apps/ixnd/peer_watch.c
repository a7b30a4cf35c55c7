#include "apps/ixnd/peer_watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/log.h"
#include "core/client/probe.h"
#include "dap/connection.h"

enum {
    RETELL_MS = 100, /* an event that the node thread has had no room for */
    ZAP_FRAMES = 7,  /* version, request id, domain, address, identity, mechanism, credentials */
    ZAP_TEXT = 255,  /* the longest of these that is looked at */
    HANDSHAKES = 10, /* so many attempts that end in the handshake are worth a line */
};

static_assert(PROBE_ENDPOINT_SIZE >= CONFIG_PATH_SIZE, "an endpoint fits");

struct peer_watch {
    zactor_t *actor;
};

typedef struct {
    zsock_t *pipe;
    void *monitor;
    void *zap;
    uint8_t public_key[CERTIFICATE_KEY_SIZE];
    probe_t probe;
    bool up;
    bool told_up;                       /* what the node thread knows */
    bool told_refused;                  /* of the log */
    unsigned failed_handshakes;         /* since the link was up */
    char refused_address[ZAP_TEXT + 1]; /* who was not let in last, for one line each */
} watch_t;

/* ---- To the node thread ---- */

static bool s_send(watch_t *self, peer_link_t event)
{
    return zmq_send(zsock_resolve(self->pipe), &event, sizeof event, ZMQ_DONTWAIT) ==
           (int)sizeof event;
}

/* UP and CLOSED are never lost: what the node thread has no room for is told later. */
static void s_tell(watch_t *self)
{
    if (self->up != self->told_up && s_send(self, self->up ? PEER_LINK_UP : PEER_LINK_CLOSED))
        self->told_up = self->up;
}

/* ---- The connection ---- */

static void s_up(watch_t *self)
{
    self->up = true;
    self->told_refused = false;
    self->failed_handshakes = 0;
    probe_stop(&self->probe);
    s_tell(self);
    log_info("peer.connected", "peer=%s", self->probe.endpoint);
}

/* Also when the link was not up: then the other side ended the handshake. */
static void s_closed(watch_t *self)
{
    if (!self->up)
        return;
    self->up = false;
    s_tell(self);
    log_info("peer.disconnected", "peer=%s", self->probe.endpoint);
    probe_start(&self->probe, connection_now());
}

static void s_refused(watch_t *self)
{
    s_send(self, PEER_LINK_REFUSED);
    if (self->told_refused)
        return;
    self->told_refused = true;
    log_info(
        "peer.not_there",
        "peer=%s error=\"nothing listens there: the other node is down, or pair.peer is not its "
        "pair.bind\"",
        self->probe.endpoint);
}

static void s_handshake_failed(watch_t *self)
{
    if (++self->failed_handshakes != HANDSHAKES)
        return;
    log_warning("peer.not_let_in",
                "peer=%s error=\"a connection is made, but the other side ends the handshake; does "
                "it have the very same pair.certificate, and is that its peer port?\"",
                self->probe.endpoint);
}

/* An event is two frames: number and value, then the address. */
static void s_read_monitor(watch_t *self)
{
    uint8_t event[6];
    while (zmq_recv(self->monitor, event, sizeof event, ZMQ_DONTWAIT) == (int)sizeof event) {
        char address[256];
        zmq_recv(self->monitor, address, sizeof address, 0);
        uint16_t number;
        memcpy(&number, event, sizeof number);
        if (number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            s_up(self);
        else if (number == ZMQ_EVENT_DISCONNECTED)
            s_closed(self);
        else
            s_handshake_failed(self);
    }
}

/* ---- Who is let in ---- */

typedef struct {
    uint8_t bytes[ZAP_TEXT];
    size_t len;
} zap_frame_t;

/* One request of libzmq's, https://rfc.zeromq.org/spec/27; false: there is none. Frames beyond
 * those that the protocol has make it invalid. */
static bool s_read_zap(watch_t *self, zap_frame_t frames[ZAP_FRAMES], bool *ret_valid)
{
    int more = 1;
    size_t len = 0;
    *ret_valid = true;
    while (more) {
        zap_frame_t spare;
        zap_frame_t *frame = len < ZAP_FRAMES ? &frames[len] : &spare;
        int size =
            zmq_recv(self->zap, frame->bytes, sizeof frame->bytes, len == 0 ? ZMQ_DONTWAIT : 0);
        if (size < 0)
            return false;
        *ret_valid = *ret_valid && (size_t)size <= sizeof frame->bytes;
        frame->len = (size_t)size <= sizeof frame->bytes ? (size_t)size : sizeof frame->bytes;
        len++;
        size_t more_size = sizeof more;
        CHECK(zmq_getsockopt(self->zap, ZMQ_RCVMORE, &more, &more_size) == 0);
    }
    *ret_valid = *ret_valid && len == ZAP_FRAMES;
    return true;
}

static void s_not_let_in(watch_t *self, const zap_frame_t *address)
{
    char text[ZAP_TEXT + 1] = "";
    memcpy(text, address->bytes, address->len);
    if (strcmp(text, self->refused_address) == 0)
        return;
    memcpy(self->refused_address, text, sizeof text);
    log_warning("peer.refused", "address=\"%s\" error=\"it does not hold the pair's key\"", text);
}

static void s_answer_zap(watch_t *self)
{
    zap_frame_t frames[ZAP_FRAMES] = {0};
    bool valid;
    if (!s_read_zap(self, frames, &valid))
        return;
    const zap_frame_t *mechanism = &frames[5];
    const zap_frame_t *key = &frames[6];
    bool allowed = valid && mechanism->len == 5 && memcmp(mechanism->bytes, "CURVE", 5) == 0 &&
                   key->len == sizeof self->public_key &&
                   memcmp(key->bytes, self->public_key, sizeof self->public_key) == 0;
    if (!allowed)
        s_not_let_in(self, &frames[3]);
    const char *status = allowed ? "200" : "400";
    const char *text = allowed ? "OK" : "not the pair's key";
    zmq_send(self->zap, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(self->zap, frames[1].bytes, frames[1].len, ZMQ_SNDMORE);
    zmq_send(self->zap, status, 3, ZMQ_SNDMORE);
    zmq_send(self->zap, text, strlen(text), ZMQ_SNDMORE);
    zmq_send(self->zap, "", 0, ZMQ_SNDMORE); /* user id */
    zmq_send(self->zap, "", 0, 0);           /* metadata */
}

/* ---- The thread ---- */

static long s_wait_ms(const watch_t *self, usec_t now)
{
    long wait = probe_wait_ms(&self->probe, now);
    if (self->up != self->told_up && (wait < 0 || wait > RETELL_MS))
        return RETELL_MS;
    return wait;
}

static void s_run(watch_t *self)
{
    for (;;) {
        zmq_pollitem_t items[] = {
            {zsock_resolve(self->pipe), 0, ZMQ_POLLIN, 0},
            {self->monitor, 0, ZMQ_POLLIN, 0},
            {self->zap, 0, ZMQ_POLLIN, 0},
            probe_item(&self->probe),
        };
        int len = items[3].fd >= 0 ? 4 : 3;
        if (zmq_poll(items, len, s_wait_ms(self, connection_now())) < 0 && errno != EINTR)
            return;
        if (items[0].revents)
            return; /* zactor's "$TERM" is all that can be said */
        s_read_monitor(self);
        s_answer_zap(self);
        s_tell(self);
        if (probe_step(&self->probe, connection_now()))
            s_refused(self);
    }
}

static void s_thread(zsock_t *pipe, void *argument)
{
    watch_t *self = argument;
    self->pipe = pipe;
    zsock_signal(pipe, 0);
    probe_start(&self->probe, connection_now());
    s_run(self);
    probe_stop(&self->probe);
    zmq_close(self->monitor);
    zmq_close(self->zap);
    free(self);
}

peer_watch_t *peer_watch_new(const peer_watch_options_t *options)
{
    watch_t *watch = memory_zero(1, sizeof *watch);
    watch->monitor = options->monitor;
    watch->zap = options->zap;
    memcpy(watch->public_key, options->public_key, sizeof watch->public_key);
    probe_init(&watch->probe, options->endpoint);
    peer_watch_t *self = memory_zero(1, sizeof *self);
    self->actor = zactor_new(s_thread, watch);
    CHECK(self->actor);
    return self;
}

void peer_watch_destroy(peer_watch_t **self_p)
{
    peer_watch_t *self = *self_p;
    if (!self)
        return;
    zactor_destroy(&self->actor);
    free(self);
    *self_p = NULL;
}

void *peer_watch_socket(peer_watch_t *self)
{
    return zsock_resolve(self->actor);
}

bool peer_watch_next(peer_watch_t *self, peer_link_t *ret_event)
{
    peer_link_t event;
    if (zmq_recv(zsock_resolve(self->actor), &event, sizeof event, ZMQ_DONTWAIT) !=
        (int)sizeof event)
        return false;
    *ret_event = event;
    return true;
}
