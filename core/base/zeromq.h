/* ZeroMQ: what a socket is asked before somebody sleeps. Its descriptor is of a change and tells of
 * that once: after it was readable, and after anything was sent, which may use that up, the socket
 * itself must be asked or read to its end. Header only: whoever includes it links libzmq.
 */
#ifndef IXN_BASE_ZEROMQ_H
#define IXN_BASE_ZEROMQ_H

#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

#include "core/base/check.h"

/* To poll for POLLIN only. */
static inline int zeromq_fd(void *socket)
{
    int fd = -1;
    size_t size = sizeof fd;
    CHECK(zmq_getsockopt(socket, ZMQ_FD, &fd, &size) == 0);
    return fd;
}

/* Which of `wanted` (ZMQ_POLLIN, ZMQ_POLLOUT) is so; 0 of a socket that is closed. */
static inline int zeromq_events(void *socket, int wanted)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 ? events & wanted : 0;
}

static inline bool zeromq_has_input(void *socket)
{
    return zeromq_events(socket, ZMQ_POLLIN) != 0;
}

#endif
