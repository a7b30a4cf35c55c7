/* Options: what a seed makes of the world before anything happens. */
#ifndef IXN_TESTS_SIM_OPTIONS_H
#define IXN_TESTS_SIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/types.h"

/* Kinds of faults; a seed has some of them. X(NAME, "name") */
#define FAULTS(X)                                                                                  \
    X(CRASH, "crash")               /* a node's process is killed and started again */             \
    X(POWER, "power")               /* … and its host with it: nobody hears of it */             \
    X(FREEZE, "freeze")             /* SIGSTOP, SIGCONT */                                         \
    X(STOP, "stop")                 /* asked to end, then started again */                         \
    X(FORGET, "forget")             /* started without what its state_dir remembered */            \
    X(PEER_CUT, "peer-cut")         /* between the nodes, one way or both, silent or loud */       \
    X(PEER_NOISE, "peer-noise")     /* loss, duplicates, reordering, delays between them */        \
    X(DATABASE_CUT, "database-cut") /* between one node and the database */                        \
    X(DATABASE_RESTART, "restart")  /* of the database */                                          \
    X(DATABASE_FREEZE, "db-freeze") /* of the database */                                          \
    X(DATABASE_SLOW, "db-slow")     /* answers take long */                                        \
    X(DATABASE_ERRORS, "db-errors") /* statements are refused */                                   \
    X(DATABASE_DOUBT, "db-doubt")   /* answers are lost, what was asked is done */                 \
    X(CLIENT_CUT, "client-cut")     /* between one client and one node, or all of one node */      \
    X(ROUTER, "router")             /* routers die, hang, lie */                                   \
    X(COMMAND, "command")           /* operators: switchover, failover, pause, resume */           \
    X(CLOCK, "clock")               /* calendars jump */                                           \
    X(RELOAD, "reload")             /* another list of DAPs in a node's file */                    \
    X(CLONE, "clone")         /* access points lead to a fresh clone of the database's disk */     \
    X(STALE, "stale")         /* … to a copy of some time ago, or a standby that is behind */    \
    X(STRANGER, "stranger")   /* … to another pair's database, a TEMPLATE copy, or nowhere */    \
    X(PROMOTION, "promotion") /* the server is gone for good, a replica takes its place */         \
    X(SERVER, "server")       /* application servers die, hang, lie */                             \
    X(DISK_FULL, "disk-full") /* the database reads, and can write nothing */                      \
    X(READ_ONLY, "read-only") /* … and locks nothing (default_transaction_read_only) */          \
    X(DRIFT, "drift")         /* a node's clock of its boot time goes too fast or too slow */      \
    X(SKEW, "skew")           /* a node is started as another version */                           \
    X(LOSS, "loss")           /* … a replica that lacks the newest commits; operators heal it */ \
    X(POISON, "poison")       /* a submit that crashes whoever decides it */                       \
    X(APPLY, "apply")         /* … whose entry crashes whoever applies it; operators skip it */

typedef enum {
#define X(name, text) FAULT_##name,
    FAULTS(X)
#undef X
        FAULTS_LEN
} fault_t;

const char *fault_name(fault_t fault);

enum { DRIFT_PPM_MAX = 20000 }; /* that a clock goes too fast or too slow by */

typedef struct {
    uint32_t faults; /* set of 1 << fault_t */
    usec_t safety;   /* how long faults happen */
    usec_t pause;    /* mean between two faults */
    /* pair */
    bool manual[2];
    int preferred; /* 0, 1; 2: neither */
    size_t daps_len;
    usec_t failover_timeout;
    usec_t heartbeat;
    usec_t beat;
    usec_t statement_timeout;
    usec_t retry_after;
    usec_t checkpoint_interval;
    usec_t journal_retention;
    bool same_start; /* both nodes are started at once */
    int mended;      /* a node of a version that applies what crashes others; 2: neither */
    /* Each server is seen at the same address and port, as behind poolers on the servers' hosts. */
    bool one_address;
    /* work */
    size_t medias;
    size_t routers;
    usec_t submit_pause; /* mean between two submits of one media server */
    usec_t think;        /* mean of what a router needs */
    usec_t routing_timeout;
    uint32_t router_limit; /* most that a router holds */
    usec_t client_heartbeat;
    /* Parts that not every seed has. */
    size_t servers; /* application servers; 0: routers ask for no services */
    size_t agents;  /* 0: routers reserve none */
    bool stored;    /* an operator stores strategies, activates and removes them */
    bool one_side;  /* one router has agent reservation on one side only */
    usec_t service_timeout;
    usec_t reservation_time;
    usec_t collection_time;
    bool once; /* reject_subsequent_request */
} options_t;

void options_draw(options_t *self, uint64_t seed);
bool options_has(const options_t *self, fault_t fault);
/* How long a clock's time takes at least; how far a clock goes in a time at most. */
usec_t options_slowest(const options_t *self, usec_t time);
usec_t options_fastest(const options_t *self, usec_t time);
/* One line for people. */
void options_print(const options_t *self, char *text, size_t size);

#endif
