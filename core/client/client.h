/* Client: what a program uses to talk to a pair of nodes (the C client library).
 *
 * Promises: it connects to all endpoints and uses the node that serves; registers on every
 * (re)connection, telling which tokens are still held; sends Pings; sends a request again, with the
 * same content, when the answer is Retry, Busy, NotPrimary or none, until it is answered or
 * `give_up_ms` has passed (which is below the node's guaranteed dedupe window); ignores frames of a
 * lower epoch; when one node stops and the other begins to serve, registers there at once and asks
 * everything unanswered again, in order. It never waits in a busy loop: it sleeps in poll(2).
 * Requests go out joined: everything queued between two calls of ixn_client_next travels in as few
 * frames as possible.
 *
 * One thread owns a client. The messages are the generated structures of core/wire/client.proto.
 */
#ifndef IXN_CLIENT_CLIENT_H
#define IXN_CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/id.h"
#include "core/wire/client.pb-c.h"

typedef struct ixn_client ixn_client_t;

#define CLIENT_SOCKETS 3

typedef struct {
    const char *const *endpoints; /* "tcp://127.0.0.1:7420" …; copied */
    size_t endpoints_len;         /* 1 … 8 */
    Ixn__V1__Role role;
    const char *name;   /* unique among live clients of the role */
    const char *tenant; /* NULL: "default" */
    const char *by; /* operators: the person it speaks for, as Request.by; NULL: nobody. Copied */
    bool agent_reservation;              /* routers */
    uint32_t max_submitted_interactions; /* routers; 0: the node's limit */
    /* Application servers, and media servers that are one as well; NULL otherwise. Copied. Work
     * comes as ServiceRequest and is held until its answer is accepted or refused, or it is
     * cancelled. */
    const Ixn__V1__ApplicationServer *application_server;
    uint32_t resend_ms;    /* no answer: ask again; 0: 1,000 */
    uint32_t give_up_ms;   /* no answer at all: fail with TIMED_OUT; 0: 30,000 */
    size_t max_unanswered; /* requests at once; 0: 10,000; more are refused by ixn_client_send */
    /* A program with many clients: one ZeroMQ context (zmq_ctx_new) for all, so that they share its
     * I/O threads. It outlives them and has room for CLIENT_SOCKETS an endpoint of each
     * (ZMQ_MAX_SOCKETS). NULL: each has its own. */
    void *context;
} ixn_client_options_t;

/* NULL and an error (INVALID_ARGUMENT, SYSTEM) when the options make no sense. Does not wait for a
 * connection. */
ixn_client_t *ixn_client_new(const ixn_client_options_t *options, error_t *ret_error);
/* Tells the node that it leaves (if registered) and closes. Unanswered requests are dropped. */
void ixn_client_destroy(ixn_client_t **self_p);

/* Queues a request; `request->id` is set by the client and returned (never 0). The content is
 * encoded before the call returns. 0 when max_unanswered is reached, or 256 MiB of them. A request
 * that needs a key and has none gets a random one. Not for Register and Leave: those are the
 * client's own. */
uint64_t ixn_client_send(ixn_client_t *self, Ixn__V1__Request *request);
size_t ixn_client_unanswered(const ixn_client_t *self);

typedef enum {
    IXN_EVENT_NONE,      /* the timeout passed */
    IXN_EVENT_ANSWER,    /* to `request_id`: ack, what was asked for, or error in `message` */
    IXN_EVENT_FAILED,    /* `request_id` was never answered; `error` says why; whether it was done
                            is not known */
    IXN_EVENT_MESSAGE,   /* the node says something by itself: route, revoked, load a
                            strategy, service request, result, cancelled */
    IXN_EVENT_CONNECTED, /* registered at a serving node; `message` is its Registered. A session
                            begins: a router says (again) which strategies it has loaded */
    IXN_EVENT_DISCONNECTED, /* no serving node at the moment; `error` says why */
    IXN_EVENT_REFUSED,      /* the registration was refused for good; `error` says why */
} ixn_event_kind_t;

typedef struct {
    ixn_event_kind_t kind;
    uint64_t request_id;
    const Ixn__V1__Message *message; /* valid until the next call of ixn_client_next */
    error_t error;
} ixn_event_t;

/* Returns the next event, waiting at most `timeout_ms` (0: not at all, -1: for ever) or until a
 * signal comes. What is queued is sent before it waits, and while events are at hand when it fills
 * a frame or is a millisecond old. */
void ixn_client_next(ixn_client_t *self, int timeout_ms, ixn_event_t *ret_event);
/* Sends what is queued without waiting. */
void ixn_client_flush(ixn_client_t *self);
/* A file descriptor that may have become readable when ixn_client_next(…, 0) has something to do.
 * Edge-triggered, as ZeroMQ's: call ixn_client_next until NONE before waiting on it, and wait at
 * most what ixn_client_wait_ms says after the last call of anything else (-1: as long as you like).
 */
int ixn_client_fd(const ixn_client_t *self);
int ixn_client_wait_ms(const ixn_client_t *self);

/* One request and its answer; other events meanwhile are kept for later. False and an error when
 * the answer is an Error, or none came. The message is valid until the next call of anything. */
bool ixn_client_call(ixn_client_t *self, Ixn__V1__Request *request,
                     const Ixn__V1__Message **ret_message, error_t *ret_error);

/* Tokens of a router's or an application server's work, reported at every registration so that it
 * goes on after a reconnect. Route and ServiceRequest add one by themselves; an accepted result,
 * Revoked or ServiceCancelled takes it away. A ServiceRequest that is held already is not told
 * again. */
size_t ixn_client_held(const ixn_client_t *self);

/* What was heard last. */
uint64_t ixn_client_epoch(const ixn_client_t *self);
const char *ixn_client_endpoint(const ixn_client_t *self); /* of the serving node, or NULL */

#endif
