/* Nodes: the endpoints of a pair, and which of them serves: registering, heartbeats, silence,
 * epochs.
 *
 * Promises: every connection begins with a Register that reports the held tokens; at most one node
 * is `serving`; a node of a lower epoch of the same database never is; a node that says nothing for
 * three heartbeats is connected anew; while none serves all are asked again and again, with growing
 * pauses, and at once when one of them says that it begins to serve. A node hears at most eight
 * Registers in the first second without one that serves, and two a second later. It knows nothing
 * of requests. The states of an endpoint, and what moves it:
 *
 *          connected                 Registered
 *     DOWN ─────────► ASKING ─────────────────────► SERVING
 *       ▲               │  └─ NotPrimary ► STANDBY ◄─┘ NotPrimary, or a higher epoch elsewhere
 *       └─ lost ─ any   └─ Error ► REFUSED ─ the one that serves is lost,
 *                                            or it tells of a new epoch ► ASKING
 *
 * (the whole table is in nodes.c).
 */
#ifndef IXN_CLIENT_NODES_H
#define IXN_CLIENT_NODES_H

#include "core/base/buffer.h"
#include "core/client/client.h"
#include "core/client/endpoint.h"
#include "core/client/entropy.h"
#include "core/client/held.h"
#include "core/client/requests.h"

#define NODES_MAX 8

typedef struct {
    endpoint_t *endpoints[NODES_MAX];
    size_t count;
    endpoint_t *serving; /* NULL: none */
    /* what a Register says */
    Ixn__V1__Role role;
    char *name;
    char *tenant;
    id128_t incarnation;
    bool agent_reservation;
    uint32_t max_submitted_interactions;
    Ixn__V1__ApplicationServer *application_server; /* NULL: none */
    held_t held;
    /* what was heard */
    id128_t database_id; /* zero: nothing yet */
    uint64_t epoch;
    uint64_t dedupe_guaranteed_ms; /* 0: nothing yet */
    char trouble[200];             /* why there is no answer, for people; the latest reason */
    /* own affairs */
    requests_t *requests; /* for ids only; not owned */
    entropy_t *entropy;   /* not owned */
    usec_t resend;
    usec_t doubted_at; /* when all were asked although one serves */
    usec_t due_at;     /* what nodes_due_at said at the end of the last turn */
    buffer_t scratch;
} nodes_t;

/* Copies what it needs; opens the sockets. nodes_free also after a failure. */
bool nodes_init(nodes_t *self, const ixn_client_options_t *options, void *context, int epoll,
                error_t *ret_error);
/* Tells every node that the client leaves, and closes. */
void nodes_free(nodes_t *self, usec_t now);

/* What is due: registrations, Pings, giving up on silent connections. Returns whether anything was
 * sent. To be called when everything that arrived was read. */
bool nodes_turn(nodes_t *self, usec_t now);
usec_t nodes_due_at(const nodes_t *self);
/* What the monitor of an endpoint tells. */
void nodes_watch(nodes_t *self, endpoint_t *endpoint, usec_t now);

/* A frame arrived, perhaps an empty one: so a node tells that it begins to serve. False: it is from
 * a lower epoch, and only a Registered in it counts (it tells which database that epoch is of). */
bool nodes_heard(nodes_t *self, endpoint_t *endpoint, uint64_t epoch, usec_t now);
/* The answers to a Register, or to anything else (NotPrimary also to nothing: the node stops).
 * True: this node serves from now on. */
bool nodes_on_registered(nodes_t *self, endpoint_t *endpoint, uint64_t epoch,
                         const Ixn__V1__Registered *registered, usec_t now);
void nodes_on_not_primary(nodes_t *self, endpoint_t *endpoint,
                          const Ixn__V1__NotPrimary *not_primary, usec_t now);
void nodes_on_not_now(nodes_t *self, endpoint_t *endpoint, uint32_t after_ms, usec_t now);
void nodes_on_refused(nodes_t *self, endpoint_t *endpoint, uint64_t epoch, usec_t now);
void nodes_on_forgotten(nodes_t *self, endpoint_t *endpoint, usec_t now);
/* A request waits too long: perhaps another node serves by now. Not more often than once in
 * `resend`. */
void nodes_doubt(nodes_t *self, usec_t now);
void nodes_note(nodes_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
