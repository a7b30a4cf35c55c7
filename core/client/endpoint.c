/* Endpoint, the code: libzmq without czmq, because a library must not install signal handlers in
 * the program that uses it.
 */
#include "core/client/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/zeromq.h"

enum {
    RECONNECT_MS = 20,      /* doubles … */
    RECONNECT_MAX_MS = 500, /* … up to this */
    CONNECT_MS = 2000,      /* a host that drops packets */
    HANDSHAKE_MS = 2000,    /* a port behind which nobody speaks ZeroMQ, or a frozen node */
    SEND_FRAMES = 64,       /* not yet taken by the node; what is queued beyond waits in requests */
    RECEIVE_FRAMES = 4096,
};

static void s_set(void *socket, int option, int value)
{
    CHECK(zmq_setsockopt(socket, option, &value, sizeof value) == 0);
}

static void s_poll(const endpoint_t *self, int fd, uint32_t tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};
    CHECK(epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

static bool s_open_monitor(endpoint_t *self)
{
    char name[64]; /* unique in the context */
    snprintf(name, sizeof name, "inproc://monitor-%p-%u", (void *)self, self->opened);
    if (zmq_socket_monitor(self->socket, name,
                           ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED) != 0)
        return false;
    self->monitor = zmq_socket(self->context, ZMQ_PAIR);
    return self->monitor && zmq_connect(self->monitor, name) == 0;
}

bool endpoint_open(endpoint_t *self, error_t *ret_error)
{
    CHECK(!self->socket);
    self->opened++;
    self->socket = zmq_socket(self->context, ZMQ_DEALER);
    if (!self->socket)
        return error_set(ret_error, ERROR_SYSTEM, "no socket for %s: %s", self->address,
                         zmq_strerror(errno));
    s_set(self->socket, ZMQ_LINGER, 0);
    s_set(self->socket, ZMQ_IMMEDIATE,
          1); /* nothing is queued for a connection that is not there */
    s_set(self->socket, ZMQ_SNDHWM, SEND_FRAMES);
    s_set(self->socket, ZMQ_RCVHWM, RECEIVE_FRAMES);
    s_set(self->socket, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    s_set(self->socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    s_set(self->socket, ZMQ_CONNECT_TIMEOUT, CONNECT_MS);
    s_set(self->socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    int64_t largest = (int64_t)LIMIT_BATCH;
    CHECK(zmq_setsockopt(self->socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest) == 0);
    if (!s_open_monitor(self) || zmq_connect(self->socket, self->address) != 0) {
        error_set(ret_error, errno == EMFILE ? ERROR_SYSTEM : ERROR_INVALID_ARGUMENT,
                  "cannot connect to \"%s\": %s; an endpoint is like tcp://127.0.0.1:7420",
                  self->address, zmq_strerror(errno));
        endpoint_close(self, 0);
        return false;
    }
    self->socket_fd = zeromq_fd(self->socket);
    self->monitor_fd = zeromq_fd(self->monitor);
    s_poll(self, self->socket_fd, self->number * 2);
    s_poll(self, self->monitor_fd, self->number * 2 + 1);
    self->unread = true;
    self->full = false;
    return true;
}

void endpoint_close(endpoint_t *self, int linger_ms)
{
    if (self->socket_fd >= 0) {
        epoll_ctl(self->epoll, EPOLL_CTL_DEL, self->socket_fd, NULL);
        epoll_ctl(self->epoll, EPOLL_CTL_DEL, self->monitor_fd, NULL);
        self->socket_fd = self->monitor_fd = -1;
    }
    if (self->socket) {
        s_set(self->socket, ZMQ_LINGER, linger_ms);
        zmq_socket_monitor(self->socket, NULL, 0);
        zmq_close(self->socket);
        self->socket = NULL;
    }
    if (self->monitor) {
        s_set(self->monitor, ZMQ_LINGER, 0);
        zmq_close(self->monitor);
        self->monitor = NULL;
    }
}

endpoint_t *endpoint_new(void *context, int epoll, uint32_t number, const char *address,
                         error_t *ret_error)
{
    endpoint_t *self = memory_zero(1, sizeof *self);
    self->context = context;
    self->epoll = epoll;
    self->number = number;
    self->address = memory_text(address);
    self->socket_fd = self->monitor_fd = -1;
    self->register_at = USEC_NEVER;
    if (!endpoint_open(self, ret_error))
        endpoint_destroy(&self);
    return self;
}

void endpoint_destroy(endpoint_t **self_p)
{
    endpoint_t *self = *self_p;
    if (!self)
        return;
    /* Long enough for a Leave on its way; a node that is not there must not hold the program. */
    endpoint_close(self, 200);
    free(self->address);
    free(self);
    *self_p = NULL;
}

bool endpoint_send(endpoint_t *self, zmq_msg_t *message, usec_t now)
{
    if (!self->socket)
        return false;
    self->unread = true; /* libzmq may have taken the signal of something that came */
    int result;
    do
        result = zmq_msg_send(message, self->socket, ZMQ_DONTWAIT);
    while (result < 0 && errno == EINTR);
    CHECK(result >= 0 || errno == EAGAIN);
    self->full = result < 0;
    if (self->full)
        return false;
    self->said_at = now;
    return true;
}

void endpoint_wake(endpoint_t *self)
{
    self->unread = true;
}

/* libzmq looks into the socket's pipe, asks the descriptor by poll(2), and looks again: when it
 * finds nothing, whatever comes later makes the descriptor readable. */
bool endpoint_receive(endpoint_t *self, zmq_msg_t *ret_message)
{
    if (!self->socket || !self->unread)
        return false;
    CHECK(zmq_msg_init(ret_message) == 0);
    int result;
    do
        result = zmq_msg_recv(ret_message, self->socket, ZMQ_DONTWAIT);
    while (result < 0 && errno == EINTR);
    CHECK(result >= 0 || errno == EAGAIN);
    self->unread = result >= 0;
    if (!self->unread)
        zmq_msg_close(ret_message);
    return self->unread;
}

bool endpoint_stirred(const endpoint_t *self)
{
    return self->socket && self->unread &&
           zeromq_events(self->socket, self->full ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN);
}

/* An event has two frames: 16 bits of event and 32 of value, then an address. */
endpoint_change_t endpoint_watch(endpoint_t *self)
{
    while (self->monitor) {
        uint8_t frame[256];
        int len = zmq_recv(self->monitor, frame, sizeof frame, ZMQ_DONTWAIT);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            break;
        uint16_t event = 0;
        if (len >= (int)sizeof event)
            memcpy(&event, frame, sizeof event);
        int more = 0;
        size_t size = sizeof more;
        while (zmq_getsockopt(self->monitor, ZMQ_RCVMORE, &more, &size) == 0 && more)
            zmq_recv(self->monitor, frame, sizeof frame, ZMQ_DONTWAIT);
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            return ENDPOINT_CONNECTED;
        if (event == ZMQ_EVENT_DISCONNECTED)
            return ENDPOINT_LOST;
    }
    return ENDPOINT_SAME;
}
