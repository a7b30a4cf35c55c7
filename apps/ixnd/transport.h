/* Transport: the client port. One ROUTER socket; knows which connection is which session, sees a
 * closed connection within milliseconds, and hands frames both ways. Decides nothing.
 *
 * How a lost connection is seen: the socket's monitor reports a closed descriptor; the session that
 * last used it becomes a suspect (descriptors are used again); it is gone when the descriptor is
 * another socket's, or when a probe through the socket, which is ROUTER_MANDATORY, answers
 * EHOSTUNREACH.
 */
#ifndef IXN_APPS_IXND_TRANSPORT_H
#define IXN_APPS_IXND_TRANSPORT_H

#include <zmq.h>

#include "core/base/error.h"
#include "core/engine.h"

typedef struct transport transport_t;

/* Binds `endpoint`; NULL and an error (SYSTEM) when that fails. */
transport_t *transport_new(const char *endpoint, error_t *ret_error);
void transport_destroy(transport_t **self_p);

/* Where this machine reaches the port: what was bound, but loopback in place of every address. */
const char *transport_endpoint(const transport_t *self);

void *transport_socket(transport_t *self);  /* to poll for frames */
void *transport_monitor(transport_t *self); /* to poll for closed connections */
/* True when anything was sent since it was asked last: then the socket's descriptor may keep back
 * that a frame has arrived. */
bool transport_has_sent(transport_t *self);

/* The next frame that has arrived, or false. `*ret_session` is 0 for a connection that has no
 * session yet (give it one with transport_bind_session, which also answers it). The bytes are valid
 * until the next call. A message that is not one frame has no bytes (len 0), which no decoder
 * accepts. */
typedef struct {
    session_t session;
    session_t
        replaced; /* not 0: a new connection took this session's routing id over; it is lost */
    const uint8_t *bytes;
    size_t len;
} transport_frame_t;
bool transport_receive(transport_t *self, transport_frame_t *ret_frame);
void transport_bind_session(transport_t *self, session_t session); /* of the frame received last */

/* Sends a frame and frees its bytes. When the connection does not take it the session must end:
 * otherwise a client that reads nothing would cost the memory of all. */
typedef enum {
    TRANSPORT_SENT,   /* or the session is forgotten, and nobody waits for it */
    TRANSPORT_GONE,   /* the connection is */
    TRANSPORT_BEHIND, /* it leaves LIMIT_UNREAD bytes unread, or LIMIT_UNREAD_FRAMES frames */
} transport_sent_t;
transport_sent_t transport_send(transport_t *self, const engine_frame_t *frame);
/* Bytes that the session's connection has not taken yet, and what each frame takes beside them; 0:
 * of all connections. */
size_t transport_unread(const transport_t *self, session_t session);
/* When all connections together leave more than LIMIT_UNREAD_ALL unread, the one furthest behind is
 * closed, and what waits for it is dropped. True: its session is lost. Call it once a turn. */
typedef struct {
    session_t session; /* 0: it had none (any more) */
    size_t unread;     /* by it */
    size_t all;        /* by all, when it was looked: more than the bound */
} transport_left_t;
bool transport_leave(transport_t *self, transport_left_t *ret_left);
/* Sends a frame to the connection of the frame received last, session or not; without one it is
 * remembered for transport_broadcast. */
void transport_answer(transport_t *self, const engine_frame_t *frame);

/* Sends a frame to every connection, with a session or without, and takes over its bytes. All
 * sessions are over: the next frame of each connection has none. */
void transport_broadcast(transport_t *self, uint8_t *bytes, size_t len);

/* The session is over: the connection's next frame has no session. */
void transport_forget(transport_t *self, session_t session);

/* Reads the monitor to its end: whoever had a closed connection is a suspect. */
void transport_watch(transport_t *self);
/* Probes suspects and forgets those that are gone; each call returns one session of such a
 * connection, or 0 when there is none (any more). */
session_t transport_next_lost(transport_t *self);
bool transport_has_suspects(const transport_t *self); /* call again within a millisecond */

#endif
