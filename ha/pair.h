/* Pair: one node of the pair, pure. Inputs in (frames of clients and of the peer, clocks, answers
 * of the database), actions out. It owns the role (ha/role.h), and by role a serving node
 * (ha/node.h) or a replica of the state (ha/replica.h). `ixnd` is its shell; the simulator drives
 * the very same object. No socket, clock, thread or randomness in it.
 *
 * The one rule stays the only protection: nothing leaves before its journal row is committed under
 * this node's epoch. Everything in here only decides when to try.
 *
 * A turn: pair_turn_begin, inputs, pair_turn_end, then the shell takes everything that is to be
 * done, in this order: pair_next_action until none, pair_next_batch, pair_next_image,
 * pair_next_frame, pair_next_ended.
 *
 * The access points (DAPs) are known by their number, below PAIR_MAX_DAPS. At most one request is
 * under way on each: the shell answers every OBSERVE, CLAIM, LOAD and FOLLOW exactly once, also
 * when it failed. A DAP that the configuration gives anew gets a lane of its own by DAP_OPEN; a
 * number is free again after DAP_CLOSE, which comes when nothing is under way on it. Which DAPs the
 * journal and checkpoint lanes may use, OPEN says, and USE whenever that changes.
 */
#ifndef IXN_HA_PAIR_H
#define IXN_HA_PAIR_H

#include "dap/database.h"
#include "ha/daps.h"
#include "ha/node.h"
#include "ha/poison.h"
#include "ha/role.h"

#define PAIR_MAX_DAPS DAPS_MAX
#define PAIR_REASON 256

typedef struct pair pair_t;

/* A DAP as the configuration, or state_dir, names it. */
typedef struct {
    char name[CONFIG_NAME_SIZE];
    id128_t route;   /* equal for equal connection strings; the shell knows them */
    uint32_t weight; /* 0 counts as 1 */
    uint32_t line;   /* of the file; 0: only remembered */
    bool remembered; /* state_dir holds this very route as one that was proven */
} pair_dap_t;

typedef struct {
    const char *name;            /* of this node */
    const char *client_endpoint; /* told to clients of the other node */
    const char *admin_url;       /* told to operators of the other node; NULL: none */
    bool has_peer;               /* false: alone by configuration */
    bool preferred;              /* takes the primary's role when both start at the same time */
    bool manual;                 /* failover: manual */
    id128_t incarnation;         /* random, of this process */
    /* what state_dir remembers */
    bool has_memory;
    identity_memory_t memory;
    bool has_database_id; /* the only one that the configuration accepts */
    id128_t database_id;
    /* Numbered 0 … daps_len - 1; their lanes are open. What state_dir remembers, where it does:
     * the file's list then follows by pair_set_daps. */
    size_t daps_len;
    pair_dap_t daps[PAIR_MAX_DAPS];
    usec_t failover_timeout; /* link silent and head unmoved for so long: the primary is gone */
    usec_t heartbeat;        /* hello to the peer */
    usec_t beat;             /* head moves while idle, with a peer */
    /* For the node when it serves; what it cannot know yet (state, epoch, generation, reason,
     * database_id, beat, clocks) is filled in then. */
    node_options_t node;
    const Ixn__V1__EngineConfiguration *configuration; /* of this node's file; copied */
    const poison_t *poison; /* what state_dir remembers of crashes; NULL: nothing; copied */
    desk_t *desk;           /* where it notes what it works on; NULL: nowhere */
    usec_t boot_time;
    usec_t wall_time;
} pair_options_t;

pair_t *pair_new(const pair_options_t *options);
void pair_destroy(pair_t **self_p);

/* ---- Inputs ---- */

void pair_turn_begin(pair_t *self, usec_t boot_time, usec_t wall_time);
/* As of node_set_crowded; in each turn. */
void pair_set_crowded(pair_t *self, bool crowded);
/* What all connections of clients have not read yet, for the figures; in each turn. */
void pair_set_unread(pair_t *self, size_t bytes);
/* `drained`: all that had arrived was handed in. */
void pair_turn_end(pair_t *self, bool drained);

/* Clients while this node serves; as node_… */
bool pair_serves(const pair_t *self);
bool pair_may_receive(const pair_t *self);
session_t pair_session_open(pair_t *self);
void pair_session_lost(pair_t *self, session_t session);
void pair_receive(pair_t *self, session_t session, const uint8_t *bytes, size_t len);
void pair_busy_frame(pair_t *self, engine_frame_t *ret_frame);
/* A client's frame that has no session (always, while this node does not serve; commands to the
 * pair also while it does). True: `ret_frame` answers it (session 0; the caller frees its bytes).
 * False: it is for pair_session_open and pair_receive. */
bool pair_visit(pair_t *self, const uint8_t *bytes, size_t len, engine_frame_t *ret_frame);

/* The link to the peer, as its transport sees it. */
typedef enum {
    PEER_LINK_UP,      /* connected and proven to hold the pair's key */
    PEER_LINK_CLOSED,  /* the connection was closed */
    PEER_LINK_REFUSED, /* trying again, the peer's port refuses: nobody listens there */
} peer_link_t;
void pair_peer_link(pair_t *self, peer_link_t event);
void pair_peer_receive(pair_t *self, const uint8_t *bytes, size_t len);

/* The DAPs that the file names from now on, in its order. A route that is there already stays; a
 * new one is a candidate until it is proven, and until then what it replaces is used on. False:
 * too many are still on their way out; nothing was changed. */
bool pair_set_daps(pair_t *self, const pair_dap_t *daps, size_t len, error_t *ret_error);
/* What a lane found through a DAP: something that is not the pair's own database (the error names
 * both). It is not used until it is proven again. */
void pair_dap_wrong(pair_t *self, size_t dap, const error_t *error);
/* What PAIR_REMEMBER came to: it is written (NULL), or why not. False: the process must end, as
 * what it would do next rests on it; otherwise it is tried again. */
bool pair_remembered(pair_t *self, const identity_memory_t *memory, const error_t *error);
/* A piece of work that the journal or checkpoint lane did, or failed to do, through a DAP. */
void pair_dap_worked(pair_t *self, size_t dap, unsigned lane, usec_t elapsed, bool failed);

/* What may change of the options while the pair runs; beat and gap of the node come from it. */
typedef struct {
    bool manual;
    bool preferred;
    usec_t failover_timeout;
    usec_t heartbeat;
    usec_t beat;
    node_settings_t node;
} pair_settings_t;
void pair_set(pair_t *self, const pair_settings_t *settings);
/* Whether this node's file may say this from now on: database.id is the one it works on, and, while
 * it serves, the log can take the configuration. */
bool pair_check_configuration(const pair_t *self, const Ixn__V1__EngineConfiguration *configuration,
                              const id128_t *database_id, error_t *ret_error);
/* … and then it does. A node that serves logs it; one that does not only remembers what its own
 * file says. `database_id`: the only one to accept, or NULL. */
void pair_configure(pair_t *self, const Ixn__V1__EngineConfiguration *configuration,
                    const id128_t *database_id);

/* OBSERVE's answer: a status, or NULL and why not. */
void pair_observed(pair_t *self, size_t dap, const database_status_t *status, const error_t *error);
/* CLAIM's answer: the status after it and the generation that was drawn, or NULL and why not
 * (DATABASE_FENCED: what is there is no longer what was judged; judge again). */
void pair_claimed(pair_t *self, size_t dap, const database_status_t *status, id128_t generation,
                  const error_t *error);
/* LOAD's answer: the state (owned by the pair from now on) as of some committed index, in following
 * mode (state_follow_begin), and the status that was read with it; or NULL and why not. */
void pair_loaded(pair_t *self, size_t dap, state_t *state, const database_status_t *status,
                 const error_t *error);
/* FOLLOW's answer: committed batches that continue what was asked for, oldest first (owned by the
 * pair from now on; the array is not), a bounded number; `gone`: the journal no longer reaches back
 * so far. With an error there are none. */
void pair_followed(pair_t *self, size_t dap, batch_t **batches, size_t len, bool gone,
                   const error_t *error);

void pair_journal_committed(pair_t *self, uint64_t index, bool clean);
void pair_journal_waiting(pair_t *self,
                          const error_t *error); /* the database does not take it now */
void pair_checkpoint_written(pair_t *self, uint64_t index);
/* Journal or checkpoint lane: another epoch is in the row (DATABASE_FENCED), the head is not ours
 * (DATABASE_DIVERGED). */
void pair_lane_stopped(pair_t *self, const error_t *error);
/* Checkpoint lane: the tables are behind what it wrote. An image was under way to the server that
 * was proven before; this node begins anew from the tables and the journal that are there. */
void pair_tables_behind(pair_t *self, const error_t *error);

/* The process is asked to end: a paired primary hands over first. PAIR_STOP follows. */
void pair_stop(pair_t *self);

/* ---- Actions ---- */

typedef enum {
    PAIR_OBSERVE, /* dap, known: read identity, instance, epoch, head, lineage */
    PAIR_CLAIM,   /* dap, claim_…: take the next epoch */
    PAIR_LOAD,    /* dap: load the whole state, up to where pair_guard stops */
    PAIR_FOLLOW,  /* dap, index, hash: the batches after it */
    /* open journal and checkpoint lanes: identity, instance, epoch, generation, index, hash */
    PAIR_OPEN,
    PAIR_PROVE,     /* instance: another server is proven; the lanes write there from now on */
    PAIR_CLOSE,     /* close both at once; what they have not committed is given up */
    PAIR_USE,       /* daps, rearranged: what journal and checkpoint lanes may use from now on */
    PAIR_DAP_OPEN,  /* dap, route: open a lane for it */
    PAIR_DAP_CLOSE, /* dap: close its lane; nothing is under way on it */
    PAIR_REMEMBER_DAPS, /* daps: their routes durably into state_dir; they are proven */
    /* memory: durably into state_dir, before anything else is done; then pair_remembered */
    PAIR_REMEMBER,
    PAIR_REMEMBER_POISON, /* pair_poison: durably into state_dir */
    PAIR_SEND,            /* bytes: a frame to the peer; dropped when the link does not take it */
    PAIR_BROADCAST, /* bytes: a frame to every connection of a client; all sessions are over */
    PAIR_SAVE, /* batch: decided, but not part of the committed log: into a file of state_dir */
    PAIR_SAY,  /* event, text, error: a line for the log */
    PAIR_STOP, /* the process ends; error.code OK: in order */
} pair_action_kind_t;

typedef struct {
    pair_action_kind_t kind;
    size_t dap;
    id128_t route; /* DAP_OPEN */
    /* OPEN, USE, REMEMBER_DAPS: numbers in the order of preference, and the weight of each */
    size_t daps_len;
    uint8_t daps[PAIR_MAX_DAPS];
    uint32_t weights[PAIR_MAX_DAPS];
    bool rearranged; /* USE: the operator has changed the order; go to the first that works */
    place_t known;   /* OBSERVE: the newest that this node knows to be committed */
    /* CLAIM: only while identity, instance, epoch and generation, and with `claim_head` also the
     * head, are still those of `judged`, and what it `known` is held */
    database_status_t judged;
    bool claim_head;
    uint64_t highest_seen;
    /* CLAIM: committed batches that the judged database lost, to be written back behind its head
     * in the same transaction; array and batches owned by the taker; 0: none. `text` is then the
     * operator's reason. */
    batch_t **batches;
    size_t batches_len;
    instance_t instance; /* FOLLOW, OPEN, PROVE: the proven server */
    /* FOLLOW, OPEN */
    identity_t identity;
    uint64_t epoch;
    id128_t generation;
    uint64_t index;
    id128_t hash;
    identity_memory_t memory; /* REMEMBER */
    uint8_t *bytes;           /* SEND, BROADCAST; owned by the taker: free() */
    size_t len;
    batch_t *batch; /* SAVE; owned by the taker */
    bool warning;   /* SAY */
    bool severe;    /* SAY: an error that an operator must mend */
    const char *event;
    char text[PAIR_REASON * 5]; /* SAY: the sentence; CLAIM: the reason */
    error_t error;
} pair_action_t;

bool pair_next_action(pair_t *self, pair_action_t *ret_action);
batch_t *pair_next_batch(pair_t *self);            /* for the journal; caller owns it */
checkpoint_image_t *pair_next_image(pair_t *self); /* for the checkpoint; caller owns it */
bool pair_next_frame(pair_t *self, engine_frame_t *ret_frame);
bool pair_next_ended(pair_t *self, session_t *ret_session);

/* When the next turn must come at the latest, CLOCK_BOOTTIME. */
usec_t pair_next_wakeup(const pair_t *self);

/* ---- Figures ---- */

role_t pair_role(const pair_t *self);
node_t *pair_node(pair_t *self);         /* NULL while it does not serve */
const state_t *pair_state(pair_t *self); /* of the node or of the replica; NULL: none yet */
uint64_t pair_epoch(const pair_t *self); /* the highest it has heard of */
const poison_t *pair_poison(const pair_t *self);
const guard_t *pair_guard(const pair_t *self); /* of what it applies; valid until its next input */

#endif
