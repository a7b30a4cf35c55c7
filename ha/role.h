/* Role: what a node of the pair is at the moment, and every move between roles. A table with one
 * cell for each (role, event): where it leads and the sentence that is logged, or why nothing
 * happens. Pure; the only place where a role changes.
 */
#ifndef IXN_HA_ROLE_H
#define IXN_HA_ROLE_H

#include <stdbool.h>

/* X(NAME, "name"): in the order of a life. */
#define ROLES(X)                                                                                   \
    X(STARTING, "starting")         /* asks the peer and the database who serves */                \
    X(SYNCING, "backup-syncing")    /* follows; not level with the log */                          \
    X(READY, "backup-ready")        /* follows; level */                                           \
    X(TAKING_OVER, "taking-over")   /* claims the next epoch */                                    \
    X(ALONE, "primary-alone")       /* serves; nobody follows */                                   \
    X(PAIRED, "primary-paired")     /* serves; the backup follows */                               \
    X(HANDING_OVER, "handing-over") /* serves no more; the peer is to claim */                     \
    X(FENCED, "fenced")             /* another epoch is in the row: stopped at once */             \
    X(STOPPED, "stopped")           /* the process ends */

typedef enum {
#define X(name, text) ROLE_##name,
    ROLES(X)
#undef X
        ROLES_LEN
} role_t;

/* X(NAME, "name") */
#define ROLE_EVENTS(X)                                                                             \
    X(PRIMARY_SEEN, "primary seen")   /* the peer or a moving head shows a live primary */         \
    X(NOBODY_SERVES, "nobody serves") /* neither the peer nor the head shows one */                \
    X(LEVEL, "level")                 /* the replica is level with the log */                      \
    X(BEHIND, "behind")               /* the replica has lost the log */                           \
    X(PRIMARY_GONE, "primary gone")   /* judged by link and head */                                \
    X(FAILOVER, "failover")           /* an operator: take over */                                 \
    X(HANDED, "handed")               /* the primary hands over to this node */                    \
    X(CLAIMED, "claimed")             /* the epoch is ours and the state is at its head */         \
    X(CLAIM_LOST, "claim lost")       /* what was judged is no longer there */                     \
    X(PEER_FOLLOWS, "peer follows")   /* a backup is on the link */                                \
    X(PEER_LOST, "peer lost")         /* no longer */                                              \
    X(HAND_OVER, "hand over")         /* an operator, SIGTERM, or no database */                   \
    X(HAND_OVER_FAILED, "not taken")  /* the peer did not claim in time; the row is ours */        \
    X(HIGHER_EPOCH, "higher epoch")   /* the peer's frame or the row has one above ours */         \
    X(LANE_FENCED, "fenced")          /* a lane of ours found another epoch in the row */          \
    X(WENT_BACK, "went back")         /* the database lacks what this node has committed */        \
    X(STOP, "stop")                   /* the process ends now */

typedef enum {
#define X(name, text) ROLE_EVENT_##name,
    ROLE_EVENTS(X)
#undef X
        ROLE_EVENTS_LEN
} role_event_t;

typedef enum {
    ROLE_MOVE,       /* to `next` */
    ROLE_IGNORE,     /* nothing to do, for the reason given */
    ROLE_IMPOSSIBLE, /* the program is wrong if it happens */
} role_answer_t;

typedef struct {
    role_answer_t answer;
    role_t next;
    const char *sentence;
} role_cell_t;

/* Total: every cell is written. Static. */
const role_cell_t *role_cell(role_t role, role_event_t event);

const char *role_name(role_t role);
const char *role_event_name(role_event_t event);
bool role_serves(role_t role);  /* ALONE, PAIRED */
bool role_follows(role_t role); /* SYNCING, READY */

#endif
