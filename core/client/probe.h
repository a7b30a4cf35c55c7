/* Probe: asks an endpoint, again and again, whether anybody listens there, with plain connections
 * that are closed at once. libzmq does not tell a refused connection from one that timed out; only
 * the refusal shows that the process is gone.
 *
 * A value for a loop of its owner's: poll probe_item, and call probe_step after it, and when
 * probe_wait_ms has passed. A slow resolver of names can block probe_step.
 */
#ifndef IXN_CLIENT_PROBE_H
#define IXN_CLIENT_PROBE_H

#include <sys/socket.h>
#include <zmq.h>

#include "core/base/types.h"

#define PROBE_ENDPOINT_SIZE 512

typedef struct {
    char endpoint[PROBE_ENDPOINT_SIZE];
    struct sockaddr_storage address; /* of the endpoint */
    socklen_t address_len;           /* 0: to be resolved */
    int file;                        /* the connection that is being made; -1: none */
    bool active;
    usec_t due;      /* the next connection; or when the one under way is given up */
    usec_t interval; /* to the one after it; doubles */
} probe_t;

/* `endpoint`: tcp://HOST:PORT or ipc://PATH. Not active yet. */
void probe_init(probe_t *self, const char *endpoint);
void probe_start(probe_t *self, usec_t now); /* at once, then less and less often */
void probe_stop(probe_t *self);

zmq_pollitem_t
probe_item(const probe_t *self); /* of no socket (fd -1) while nothing is under way */
long probe_wait_ms(const probe_t *self, usec_t now); /* -1: for ever */
/* Goes on; true: a connection was refused just now. */
bool probe_step(probe_t *self, usec_t now);

#endif
