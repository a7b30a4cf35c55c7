/* Bare ZeroMQ, no store: the limits of the transport.
 *
 *   echo   a submit comes back as it is
 *   relay  the five messages of an interaction: submit, its answer, dispatch, result, its answer
 *
 * Both have a server of their own (server.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/zeromq.h"
#include "tests/bench/peers/peer.h"
#include "tests/bench/peers/relay.h"

typedef struct {
    void *socket;
    int fd;
    buffer_t work; /* uint64_t: came, not answered yet (worker) */
    bool queued;
} link_t;

static void s_send(link_t *self, char kind, uint64_t tag, const char *payload, size_t payload_len)
{
    zmq_msg_t message;
    CHECK(zmq_msg_init_size(&message, RELAY_HEADER + payload_len) == 0);
    uint8_t *bytes = zmq_msg_data(&message);
    bytes[0] = (uint8_t)kind;
    memcpy(bytes + 1, &tag, sizeof tag);
    if (payload_len > 0)
        memcpy(bytes + RELAY_HEADER, payload, payload_len);
    if (zmq_msg_send(&message, self->socket, 0) < 0)
        peer_fail("cannot send: %s", zmq_strerror(errno));
    self->queued = true;
}

static void *s_open(const peer_target_t *target, peer_side_t side, uint32_t number)
{
    link_t *self = memory_zero(1, sizeof *self);
    self->socket = zmq_socket(peer_context(), ZMQ_DEALER);
    CHECK(self->socket);
    int none = 0; /* as much as the windows allow */
    zmq_setsockopt(self->socket, ZMQ_SNDHWM, &none, sizeof none);
    zmq_setsockopt(self->socket, ZMQ_RCVHWM, &none, sizeof none);
    zmq_setsockopt(self->socket, ZMQ_LINGER, &none, sizeof none);
    char endpoint[128];
    snprintf(endpoint, sizeof endpoint, "tcp://%s", target->at[0]);
    if (zmq_connect(self->socket, endpoint) != 0)
        peer_fail("cannot connect to %s: %s", endpoint, zmq_strerror(errno));
    self->fd = zeromq_fd(self->socket);
    if (side == PEER_WORKER) {
        char answer[RELAY_HEADER];
        s_send(self, RELAY_WORKER, number, NULL, 0);
        if (zmq_recv(self->socket, answer, sizeof answer, 0) < 0)
            peer_fail("the relay does not know its worker: %s", zmq_strerror(errno));
    }
    return self;
}

static int s_fd(const void *link)
{
    return ((const link_t *)link)->fd;
}

static void s_submit(void *link, uint64_t tag, const char *payload, size_t payload_len)
{
    s_send(link, RELAY_SUBMIT, tag, payload, payload_len);
}

static void s_heard(link_t *self, const uint8_t *bytes, size_t len, peer_news_t *news)
{
    uint64_t tag;
    if (len < RELAY_HEADER)
        peer_fail("a message of %zu bytes came", len);
    memcpy(&tag, bytes + 1, sizeof tag);
    switch (bytes[0]) {
    case RELAY_SUBMIT: /* its echo */
    case RELAY_ACKNOWLEDGED:
        peer_tell(&news->acknowledged, tag);
        break;
    case RELAY_WORK:
        peer_tell(&self->work, tag);
        break;
    case RELAY_COMPLETED:
        peer_tell(&news->completed, tag);
        break;
    default:
        peer_fail("a message of kind %d came", bytes[0]);
    }
}

static void s_drain(void *link, peer_news_t *news)
{
    link_t *self = link;
    zmq_msg_t message;
    zmq_msg_init(&message);
    while (zmq_msg_recv(&message, self->socket, ZMQ_DONTWAIT) >= 0)
        s_heard(self, zmq_msg_data(&message), zmq_msg_size(&message), news);
    if (errno != EAGAIN && errno != EINTR)
        peer_fail("cannot receive: %s", zmq_strerror(errno));
    zmq_msg_close(&message);
    for (size_t i = 0; i < self->work.len; i += sizeof(uint64_t)) {
        uint64_t tag;
        memcpy(&tag, self->work.bytes + i, sizeof tag);
        s_send(self, RELAY_RESULT, tag, NULL, 0);
    }
    buffer_clear(&self->work);
}

/* ZeroMQ's own thread sends. */
static bool s_flush(void *link)
{
    link_t *self = link;
    bool sent = self->queued;
    self->queued = false;
    return sent;
}

static void s_close(void *link)
{
    link_t *self = link;
    zmq_close(self->socket);
    buffer_free(&self->work);
    free(self);
}

#define S_ZEROMQ                                                                                   \
    .edge = true, .open = s_open, .fd = s_fd, .submit = s_submit, .drain = s_drain,                \
    .flush = s_flush, .close = s_close

const peer_t peer_echo = {
    .name = "echo", .what = "bare ZeroMQ, one message and back", .no_workers = true, S_ZEROMQ};
const peer_t peer_relay = {
    .name = "relay", .what = "bare ZeroMQ, the messages of a whole interaction", S_ZEROMQ};
