/* Servers: which application server gets the next request. Tables in, choice out; it knows nothing
 * of requests but what they ask for. Pure.
 *
 * The rules:
 *   - a request names a type, one server, or a cluster; what it names and the service together are
 *     a pool. Members of a pool are the connected servers that offer the service: a server that
 *     names its services offers those, one that names none offers all;
 *   - except by type for third-party servers, which are everything at once: there only those that
 *     name the service are members;
 *   - round robin by name among the members that have room in their window and are not broken,
 *     after the one that was chosen last for this pool: counts of equal members differ by at most
 *     one;
 *   - a server that fails so many times in a row is broken: for a while it gets nothing, then one
 *     request as a probe, and what becomes of that decides.
 */
#ifndef IXN_BALANCER_SERVERS_H
#define IXN_BALANCER_SERVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/types.h"

typedef struct servers servers_t;
typedef uint32_t server_t; /* handle of a server's name; never used again */
typedef struct servers_pool servers_pool_t;

/* The numbers of ApplicationType and ServiceTarget of the contract. */
enum { SERVERS_THIRD_PARTY = 6, SERVERS_TYPES = 7 };
typedef enum { SERVERS_BY_TYPE = 1, SERVERS_BY_NAME = 2, SERVERS_BY_CLUSTER = 3 } servers_target_t;

typedef struct {
    int type;
    char *const *services; /* copied; none: all, but see above */
    size_t services_len;
    uint32_t window; /* most requests at once; at least 1 */
} servers_options_t;

/* Why there is no server for a pool. */
typedef enum {
    SERVERS_CHOSEN,
    SERVERS_NONE,        /* none of what is named is connected */
    SERVERS_NOT_OFFERED, /* those that are do not offer the service */
    SERVERS_UNDECLARED,  /* third-party by type, and those that are connected name no services */
    SERVERS_FULL,        /* all members have their window full */
    SERVERS_BROKEN,      /* those that have room are broken */
} servers_result_t;

typedef enum {
    SERVERS_GOOD,    /* it answered */
    SERVERS_FAILED,  /* it did not, in time */
    SERVERS_NEUTRAL, /* nobody waited for it any more */
} servers_outcome_t;

typedef enum { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING } breaker_t;

typedef struct {
    text_t name;
    bool connected;
    int type;
    char *const *services;
    size_t services_len;
    uint32_t window;
    uint32_t in_flight;
    breaker_t breaker;
    usec_t open_until; /* BREAKER_OPEN: when it is probed */
} servers_view_t;

servers_t *servers_new(void);
void servers_destroy(servers_t **self_p);

/* So many failures in a row break a server, for so long. */
void servers_set_breaker(servers_t *self, uint32_t failures, usec_t pause);
/* Requests that may wait for a server; for those not named, `standard`. */
void servers_set_queue(servers_t *self, server_t server, uint32_t queue);
void servers_set_standard_queue(servers_t *self, uint32_t queue);

/* The handle of a name, made when new. */
server_t servers_number(servers_t *self, text_t name);
size_t servers_len(const servers_t *self);
void servers_view(const servers_t *self, server_t server, servers_view_t *ret_view);

/* Connected, or with other options; what it has in flight stays. */
void servers_connect(servers_t *self, server_t server, const servers_options_t *options);
/* Gone, with all it had in flight. `failed`: it was lost with work, which counts as a failure. */
void servers_disconnect(servers_t *self, server_t server, bool failed, usec_t now);

/* Clusters are given anew, all of them. `queue` 0: the sum of its members'. */
void servers_clear_clusters(servers_t *self);
void servers_add_cluster(servers_t *self, text_t name, char *const *members, size_t len,
                         uint32_t queue);
bool servers_has_cluster(const servers_t *self, text_t name);
/* Members of a cluster that are connected and not broken. */
uint32_t servers_usable(const servers_t *self, text_t cluster);
uint32_t servers_cluster_queue(const servers_t *self, text_t cluster);

/* The pool of a target, made when new; `name` is that of the server or the cluster. Valid until
 * servers_release; those that nobody holds are forgotten when there are many. */
typedef struct {
    servers_target_t target;
    int type;
    text_t name;
    text_t service;
} servers_wanted_t;
servers_pool_t *servers_hold(servers_t *self, const servers_wanted_t *wanted);
void servers_release(servers_t *self, servers_pool_t *pool);
/* How many of its requests may wait. */
uint32_t servers_queue(servers_t *self, servers_pool_t *pool);

/* Chooses, and counts the request as sent. */
servers_result_t servers_choose(servers_t *self, servers_pool_t *pool, usec_t now,
                                server_t *ret_server);
/* Why it has no member at all; SERVERS_CHOSEN: it has. */
servers_result_t servers_why_empty(servers_t *self, servers_pool_t *pool);
/* The round robin goes on behind this server. */
void servers_set_last(servers_t *self, servers_pool_t *pool, text_t server_name);
/* A request that it brought along, or is sent once more. */
void servers_sent(servers_t *self, server_t server);
void servers_done(servers_t *self, server_t server, servers_outcome_t outcome, usec_t now);

/* True when, since it was asked last, a choice may have become possible. */
bool servers_may_choose(servers_t *self, usec_t now);

#endif
