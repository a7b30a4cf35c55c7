#include "tests/bench/peers/relay.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "core/base/check.h"
#include "tests/bench/peers/peer.h"

#define S_WORKERS 64

typedef struct {
    char bytes[256]; /* a routing id */
    size_t len;
} address_t;

typedef struct {
    void *socket;
    address_t workers[S_WORKERS];
    uint32_t workers_len;
    uint32_t next; /* round robin */
} relay_t;

static volatile sig_atomic_t s_ended;

static void s_end(int number)
{
    (void)number;
    s_ended = 1;
}

static void s_say(relay_t *self, const address_t *to, zmq_msg_t *message)
{
    if (zmq_send(self->socket, to->bytes, to->len, ZMQ_SNDMORE) < 0 ||
        zmq_msg_send(message, self->socket, 0) < 0)
        peer_fail("cannot send: %s", zmq_strerror(errno));
}

static void s_answer(relay_t *self, const address_t *to, char kind, const uint8_t *asked)
{
    zmq_msg_t message;
    CHECK(zmq_msg_init_size(&message, RELAY_HEADER) == 0);
    uint8_t *bytes = zmq_msg_data(&message);
    memcpy(bytes, asked, RELAY_HEADER);
    bytes[0] = (uint8_t)kind;
    s_say(self, to, &message);
}

static void s_relay(relay_t *self, const address_t *from, zmq_msg_t *message)
{
    uint8_t *bytes = zmq_msg_data(message);
    if (zmq_msg_size(message) < RELAY_HEADER)
        peer_fail("a message of %zu bytes came", zmq_msg_size(message));
    uint64_t tag;
    memcpy(&tag, bytes + 1, sizeof tag);
    switch (bytes[0]) {
    case RELAY_WORKER:
        if (tag == 0)
            self->workers_len = 0;
        if (self->workers_len == S_WORKERS)
            peer_fail("more than %d workers", S_WORKERS);
        self->workers[self->workers_len++] = *from;
        s_say(self, from, message);
        break;
    case RELAY_SUBMIT:
        s_answer(self, from, RELAY_ACKNOWLEDGED, bytes);
        if (self->workers_len > 0) {
            bytes[0] = RELAY_WORK;
            s_say(self, &self->workers[self->next++ % self->workers_len], message);
        }
        break;
    case RELAY_RESULT:
        s_answer(self, from, RELAY_COMPLETED, bytes);
        break;
    default:
        peer_fail("a message of kind %d came", bytes[0]);
    }
}

void relay_serve(const char *at, bool echo)
{
    static relay_t self;
    struct sigaction end = {.sa_handler = s_end};
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGINT, &end, NULL);
    void *context = zmq_ctx_new();
    self.socket = zmq_socket(context, ZMQ_ROUTER);
    int none = 0; /* a bound would lose messages without a word */
    zmq_setsockopt(self.socket, ZMQ_SNDHWM, &none, sizeof none);
    zmq_setsockopt(self.socket, ZMQ_RCVHWM, &none, sizeof none);
    zmq_setsockopt(self.socket, ZMQ_LINGER, &none, sizeof none);
    char endpoint[128];
    snprintf(endpoint, sizeof endpoint, "tcp://%s", at);
    if (zmq_bind(self.socket, endpoint) != 0)
        peer_fail("cannot serve at %s: %s", endpoint, zmq_strerror(errno));
    while (!s_ended) {
        address_t from;
        int len = zmq_recv(self.socket, from.bytes, sizeof from.bytes, 0);
        if (len < 0)
            continue; /* a signal */
        from.len = (size_t)len;
        zmq_msg_t message;
        zmq_msg_init(&message);
        while (zmq_msg_recv(&message, self.socket, 0) < 0)
            CHECK(errno == EINTR);
        if (echo)
            s_say(&self, &from, &message);
        else
            s_relay(&self, &from, &message);
        zmq_msg_close(&message);
    }
    zmq_close(self.socket);
    zmq_ctx_term(context);
}
