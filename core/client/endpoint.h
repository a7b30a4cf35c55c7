/* Endpoint: the connection to one node: a DEALER socket, what its monitor tells, and what the
 * client knows about the node. Never blocks. What the states mean and who moves them:
 * core/client/nodes.h.
 */
#ifndef IXN_CLIENT_ENDPOINT_H
#define IXN_CLIENT_ENDPOINT_H

#include <zmq.h>

#include "core/base/error.h"
#include "core/base/types.h"

typedef enum {
    ENDPOINT_DOWN,    /* no connection; libzmq keeps trying */
    ENDPOINT_ASKING,  /* connected, not registered */
    ENDPOINT_STANDBY, /* the node does not serve */
    ENDPOINT_SERVING, /* registered at a node that serves */
    ENDPOINT_REFUSED, /* the node does not want this client */
} endpoint_state_t;

typedef enum { ENDPOINT_SAME, ENDPOINT_CONNECTED, ENDPOINT_LOST } endpoint_change_t;

typedef struct {
    /* the connection */
    char *address;
    void *context; /* libzmq's; not owned */
    int epoll;     /* where its descriptors are; not owned */
    uint32_t number;
    uint32_t opened; /* how often */
    void *socket;    /* NULL: closed */
    void *monitor;
    int socket_fd;
    int monitor_fd;
    bool unread; /* the socket may hold what its descriptor does not tell of */
    bool full;   /* it took no more, when it was tried last; its descriptor tells when it does */
    /* the node behind it */
    endpoint_state_t state;
    uint64_t register_id; /* of the Register that has no answer yet; 0: none */
    usec_t register_at;   /* when to send one; USEC_NEVER: not */
    usec_t registered_at; /* when one was sent last */
    usec_t retry;         /* between two of them, while no node serves */
    uint64_t announced;   /* the highest epoch that made the client register at once, or in which
                           * it was refused */
    usec_t named_at;      /* when another node named it as the primary, and was believed */
    usec_t heartbeat;
    usec_t heard_at;
    usec_t said_at;
    usec_t pinged_at; /* the first Ping since something was heard; 0: none */
    usec_t reopen_at; /* closed: when to open again */
} endpoint_t;

/* Opens the socket and begins to connect. `number` is what comes back in epoll_event.data.u32:
 * twice the number for the socket, one more for its monitor. */
endpoint_t *endpoint_new(void *context, int epoll, uint32_t number, const char *address,
                         error_t *ret_error);
void endpoint_destroy(endpoint_t **self_p);

bool endpoint_open(endpoint_t *self, error_t *ret_error);
/* What was not sent yet is given up after `linger_ms`. */
void endpoint_close(endpoint_t *self, int linger_ms);

/* Takes the message over when it returns true. False: not connected, or the socket is full. */
bool endpoint_send(endpoint_t *self, zmq_msg_t *message, usec_t now);
/* The descriptor of the socket told of something. */
void endpoint_wake(endpoint_t *self);
/* False: nothing there. True: the caller closes the message. After it said no, the descriptor tells
 * of the next, unless something is sent before; until then it says no at once. */
bool endpoint_receive(endpoint_t *self, zmq_msg_t *ret_message);
/* Whether there is something to read, or room again, that the descriptor may not tell of. When not,
 * it tells. */
bool endpoint_stirred(const endpoint_t *self);
/* The next change of the connection; call until SAME. */
endpoint_change_t endpoint_watch(endpoint_t *self);

#endif
