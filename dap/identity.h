/* Identity: which database this is. Static part of architecture section 6; lineage is checked by
 * the journal lane, the live proof belongs to the pair.
 */
#ifndef IXN_DAP_IDENTITY_H
#define IXN_DAP_IDENTITY_H

#include "core/base/error.h"
#include "core/base/id.h"
#include "core/base/types.h"

typedef struct {
    id128_t database_id;        /* stamped by `ixnctl database init` */
    uint64_t system_identifier; /* of the PostgreSQL cluster (pg_control_system) */
    uint32_t database_oid;      /* of the database in it */
} identity_t;

/* For people and error texts, e.g.
 * "database_id 0198… system_identifier 7571… oid 16384". Returns `text`. */
#define IDENTITY_TEXT_SIZE 128
const char *identity_text(const identity_t *self, char text[IDENTITY_TEXT_SIZE]);
bool identity_equal(const identity_t *a, const identity_t *b);

#define INSTANCE_ADDRESS_SIZE 48
/* Instance: one run of one server. A copy of a cluster is equal to it in all of its identity, but
 * it was started at another microsecond. The same through poolers, sockets and other host names; a
 * promotion does not change it, a restart does. */
typedef struct {
    usec_t started_at; /* pg_postmaster_start_time; 0: not known */
    uint32_t port;     /* the server's own setting */
    /* Its address as the DAP's last hop sees it, "" for a socket, and in what the other node says:
     * no part of what it is, but a server that is started again is at the same one. */
    char address[INSTANCE_ADDRESS_SIZE];
} instance_t;

/* The same run of the same server, whatever way led there. */
bool instance_equal(const instance_t *a, const instance_t *b);
bool instance_is_known(const instance_t *self);
/* As far as an address shows, `self` is the server of `before`, started again: at the same address
 * and port, and later. That proves nothing: behind poolers, virtual addresses and in containers
 * servers of several hosts have one address. */
bool instance_may_follow(const instance_t *self, const instance_t *before);
#define INSTANCE_TEXT_SIZE (64 + INSTANCE_ADDRESS_SIZE)
/* "started 2026-01-31 12:00:00.123456 UTC at 10.0.0.5:5432", or "… at port 5432" where the address
 * is not known. Returns `text`. */
const char *instance_text(const instance_t *self, char text[INSTANCE_TEXT_SIZE]);

/* A place in the pair's log that is known to be committed: the last index of a batch and its hash,
 * and an epoch under which, or before which, it was. Index 0: nothing is known. */
typedef struct {
    uint64_t index;
    id128_t hash;
    uint64_t epoch;
    id128_t generation;
} place_t;

/* What this node remembers of its database in `state_dir` (file "identity"): the identity, the
 * highest epoch it has seen, which one it claimed itself, the instance that was proven last, what
 * it gave up, and the newest place that it knew to be committed. Written atomically (temporary
 * file, fsync, rename, fsync of the folder). */
typedef struct {
    identity_t identity;
    uint64_t epoch;
    id128_t generation;
    id128_t own_generation; /* of the last epoch that this node claimed; zero: none */
    instance_t instance;
    place_t place;
    bool exact;          /* written at an orderly end: it knew of nothing newer than `place` */
    instance_t given_up; /* was the pair's own until this node gave it up; not known: none … */
    instance_t given_up_for; /* … so that the other one can go there (its address is not known) */
} identity_memory_t;

typedef enum { MEMORY_READ, MEMORY_EMPTY, MEMORY_BROKEN } memory_result_t;

/* MEMORY_EMPTY: no such file yet. MEMORY_BROKEN: there is one, but it cannot be read or makes no
 * sense; the error says which line (never treated as empty: that would drop the guard). */
memory_result_t identity_recall(const char *state_dir, identity_memory_t *ret_memory,
                                error_t *ret_error);
bool identity_remember(const char *state_dir, const identity_memory_t *memory, error_t *ret_error);

#endif
