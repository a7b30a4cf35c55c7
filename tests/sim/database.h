/* Database: a server with a database, the pair's own, a copy of it or a stranger, with what matters
 * of PostgreSQL: one row that is the fence, its lock, statements that wait for it, snapshots as old
 * as the statement, transactions of several round trips, answers that are lost. Both nodes reach it
 * through their access points.
 *
 * An ask is one statement (or one transaction that the server sees as one) on its way there and
 * back.
 */
#ifndef IXN_TESTS_SIM_DATABASE_H
#define IXN_TESTS_SIM_DATABASE_H

#include "core/checkpoint.h"
#include "core/state.h"
#include "dap/database.h"
#include "tests/sim/world.h"
#include "tests/unit/kept_catalog.h"

typedef enum {
    ASK_STATUS, /* what database_status reads */
    ASK_INSERT, /* the journal's statement */
    ASK_LOCK,   /* a claim's transaction: lock the pair's row, then read the status */
    ASK_CHANGE, /* … and its rest, with the commit */
    ASK_LOAD,   /* the state, out of one snapshot */
    ASK_FOLLOW, /* journal rows after an index */
    ASK_IMAGE,  /* one checkpoint image */
} ask_kind_t;

/* An image is shared by its lane and the asks that carry it, which may outlive the lane. */
typedef struct {
    checkpoint_image_t *image;
    int users;
} shared_image_t;
void shared_image_leave(shared_image_t **self_p);

typedef struct ask ask_t;
typedef void ask_answered_fn(machine_t *machine, ask_t *ask);

struct ask {
    ask_kind_t kind;
    uint64_t id;
    uint64_t session; /* CHANGE: the ask that locked */
    int node;
    uint64_t life;
    size_t dap;
    size_t way;             /* that the DAP took when it was asked */
    database_sim_t *server; /* that it has reached, or that its transaction is on */
    uint64_t boot;          /* of the server that works on it */
    usec_t sent_at;
    usec_t wait_until;       /* LOCK: gives up waiting */
    uint32_t schema_version; /* that the asking program knows */
    /* what is asked */
    identity_t identity;
    uint64_t epoch;
    id128_t generation;
    instance_t instance;   /* INSERT, IMAGE, FOLLOW; LOCK: that was judged */
    place_t known;         /* STATUS, LOCK, CHANGE: the lineage is asked for */
    batch_t *batch;        /* INSERT */
    uint64_t index;        /* FOLLOW; CHANGE: highest seen */
    id128_t hash;          /* FOLLOW */
    char owner[16];        /* CHANGE */
    shared_image_t *image; /* IMAGE */
    uint64_t seen_index;   /* INSERT: head of the statement's snapshot */
    id128_t seen_hash;
    /* the answer */
    ask_answered_fn *answered; /* on the node, unless that is gone by then */
    bool ok;
    bool inserted; /* INSERT, IMAGE: one row */
    bool there;    /* INSERT: unique violation */
    bool gone;     /* FOLLOW */
    error_t error;
    database_status_t status;
    id128_t found_generation; /* IMAGE: what the checkpoint's row says */
    id128_t found_hash;
    state_t *state;
    batch_t **batches;
    size_t batches_len;
    guard_stop_t *stops; /* LOAD: where the node stops */
    size_t stops_len;
    bool crashes; /* LOAD: the process dies of what it loads, at this entry */
    hand_t left;
};

/* The pair's own; all access points lead there. */
database_sim_t *database_sim_new(world_t *world);
/* A copy of `original` as its disk has it now, started as a server of its own. */
database_sim_t *database_sim_copy(const database_sim_t *original);
/* Another pair's database. */
database_sim_t *database_sim_stranger(world_t *world);
void database_sim_destroy(database_sim_t **self_p);

/* A new ask of a node's lane; all else zero. */
ask_t *ask_new(machine_t *machine, ask_kind_t kind, size_t dap, ask_answered_fn *answered);
void ask_destroy(ask_t **self_p);
/* Sends it; the answer comes by `answered`, or never (the lane has its own deadline). */
void database_sim_ask(world_t *world, ask_t *ask);
/* A transaction is given up by its client. */
void database_sim_release(world_t *world, uint64_t session);
/* The process of a node has ended; `heard`: the server hears of it. */
void database_sim_node_gone(world_t *world, int node, uint64_t life, bool heard);

/* ---- Faults ---- */

/* Where an access point leads from now on; what is on its way gets there. NULL: nowhere. */
void database_sim_lead(world_t *world, int node, size_t dap, database_sim_t *server);
/* An access point of a node that runs leads to the server, whether that answers or not. */
bool database_sim_reached(const world_t *world, const database_sim_t *server);

typedef enum { CUT_NONE, CUT_SILENT, CUT_LOUD } cut_t;
void database_sim_cut(world_t *world, int node, size_t dap, cut_t cut);
void database_sim_stop(world_t *world);
void database_sim_start(world_t *world);
void database_sim_freeze(world_t *world);
void database_sim_thaw(world_t *world);
void database_sim_slow(world_t *world, usec_t most);          /* 0: not */
void database_sim_errors(world_t *world, unsigned per_mille); /* refused */
void database_sim_doubt(world_t *world, unsigned per_mille);  /* answers lost */
void database_sim_disk_full(world_t *world, bool full);       /* what writes is refused */
void database_sim_read_only(world_t *world, bool read_only);  /* … and what locks rows */

/* For checkers. */
typedef struct {
    uint64_t epoch;
    id128_t generation;
    uint64_t head;
    uint64_t checkpoint;
    bool up;
} database_figures_t;
database_figures_t database_sim_figures(const world_t *world);

/* ---- What the server holds (database.c, statements.c, tables.c) ---- */

#define LOCK_WAITERS 64

/* A lock of one row: who has it, who waits. PostgreSQL has a queue for each version of a row; what
 * order comes of that once the row was changed is not promised, so here chance picks the next. */
typedef struct {
    uint64_t owner; /* id of an ask; 0: free */
    int node;
    uint64_t life;
    bool transaction; /* a client may leave it alone with the lock; otherwise one statement */
    bool working;     /* it has a statement to work on */
    ask_t *waiters[LOCK_WAITERS];
    size_t waiters_len;
} row_lock_t;

typedef struct kept_row kept_row_t;
typedef struct kept_service kept_service_t;

typedef struct {
    uint64_t epoch;
    id128_t generation;
    uint64_t first;
} begun_t;

struct database {
    world_t *world;
    database_status_t row; /* identity, epoch, generation, owner; checkpoint_index */
    id128_t checkpoint_generation;
    id128_t checkpoint_hash;
    usec_t checkpoint_log_time;
    batch_t **journal; /* oldest first; the first is genesis or what retention left */
    usec_t *journal_at;
    size_t journal_len;
    size_t journal_capacity;
    begun_t *epochs; /* ixn.epoch */
    size_t epochs_len;
    buffer_t configuration;
    kept_catalog_t catalog;
    kept_row_t *live;
    kept_row_t *history;
    kept_service_t *services;
    guard_skip_t *skips; /* ixn.skip, by index */
    size_t skips_len;
    row_lock_t pair;
    row_lock_t checkpoint;
    /* the server */
    uint64_t boot;
    uint32_t port;
    uint32_t host;
    bool standby;
    bool up;
    bool frozen;
    ask_t *stalled[4096]; /* arrived, or was worked on, while it was frozen */
    event_fn *stalled_step[4096];
    size_t stalled_len;
    /* faults */
    cut_t cuts[WORLD_NODES][WORLD_DAPS]; /* of the pair's own: the paths' */
    usec_t slow;
    unsigned errors;
    unsigned doubt;
    bool disk_full;
    bool read_only;
    /* For who stands between the steps (tests/interleavings): true when it takes what is about to
     * commit, to run `commit` itself. */
    bool (*gate)(world_t *world, ask_t *ask, event_fn *commit);
    /* … and picks the next owner among the waiters. */
    size_t (*choose)(world_t *world, const row_lock_t *lock);
};

/* statements.c: begins work on an ask that has arrived. */
void statement_begin(database_sim_t *self, ask_t *ask);
/* All that waits for locks is answered with an error: the server ends. */
void statements_end_all(database_sim_t *self, const char *why);
void statement_release(database_sim_t *self, uint64_t session);
/* Ends a session that waits, or that was left alone by its client with a lock; what is in the
 * middle of its commit goes on. */
void statement_terminate(database_sim_t *self, uint64_t session);
/* database.c: lets time pass in the server, then goes on. */
void database_sim_work(database_sim_t *self, ask_t *ask, usec_t least, usec_t most, event_fn *step);
/* The same before what changes the tables. */
void database_sim_commit(database_sim_t *self, ask_t *ask, usec_t least, usec_t most,
                         event_fn *commit);
void database_sim_answer(database_sim_t *self, ask_t *ask);
bool database_sim_refuse(database_sim_t *self, ask_t *ask, error_code_t code, const char *text);

/* tables.c */
instance_t tables_instance(const database_sim_t *self);
const batch_t *tables_head(const database_sim_t *self);
/* `known`: a place whose lineage is asked for; index 0: none. */
void tables_status(const database_sim_t *self, const place_t *known, database_status_t *ret_status);
void tables_begin_epoch(database_sim_t *self);
void tables_copy(database_sim_t *self, const database_sim_t *original);
/* The newest batches are lost, and with them the epochs that began later; false: less than that,
 * as the checkpoint has the rest. */
bool tables_lose(database_sim_t *self, size_t batches);
/* Somebody else writes a batch of his own. */
void tables_forge(database_sim_t *self);
void tables_append(database_sim_t *self, const batch_t *batch);
/* As dap/skip.c: an operator's decision that an entry is passed over, under a new epoch. False, and
 * why not, where nothing was changed. */
bool tables_skip(database_sim_t *self, uint64_t index, uint64_t highest_epoch, error_t *ret_error);
void tables_follow(const database_sim_t *self, ask_t *ask);
bool tables_load(const database_sim_t *self, const guard_t *guard, state_t **ret_state,
                 error_t *ret_error);
void tables_write_image(database_sim_t *self, const checkpoint_image_t *image);
void tables_init(database_sim_t *self);
void tables_free(database_sim_t *self);

#endif
