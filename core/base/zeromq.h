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

static inline bool zeromq_has_input(void *socket)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

#endif
