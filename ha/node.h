/* Node: the pure node. Inputs in (frames, clocks, answers of the database), actions out (frames,
 * batches, images); no socket, clock or thread of its own. `ixnd` is its shell.
 *
 * The one rule: nothing that depends on the state leaves before the journal row that decided it is
 * committed cleanly under this node's epoch.
 *
 * A turn: node_turn_begin, inputs, node_turn_end, then the shell takes all actions.
 */
#ifndef IXN_HA_NODE_H
#define IXN_HA_NODE_H

#include "core/base/hand.h"
#include "core/checkpoint.h"
#include "core/engine.h"

typedef struct node node_t;

typedef struct {
    engine_options_t engine;
    /* Used during node_new only; NULL: what the log says stays. */
    const Ixn__V1__EngineConfiguration *configuration;
    uint64_t checkpoint;   /* the tables are there */
    usec_t retry_after;    /* a commit older than this: clients hear RETRY */
    size_t max_unfinished; /* bytes of decided but not durable entries */
    usec_t checkpoint_interval;
    size_t checkpoint_max_lag; /* bytes of entries beyond the checkpoint before BUSY */
    usec_t beat;               /* nothing decided for so long: a beat; 0: never */
    usec_t
        gap; /* a loop that stood still for so long proves its epoch before it speaks; 0: never */
    desk_t *desk;     /* where it notes what it works on; NULL: nowhere */
    usec_t boot_time; /* now, CLOCK_BOOTTIME */
    usec_t wall_time;
} node_options_t;

/* Takes over the loaded state (options.engine.state). The first batch (begin of the epoch, changes
 * of the configuration) is among the first actions. */
node_t *node_new(const node_options_t *options);
void node_destroy(node_t **self_p);
engine_t *node_engine(node_t *self);

/* ---- Inputs ---- */

void node_turn_begin(node_t *self, usec_t boot_time, usec_t wall_time);
session_t node_session_open(node_t *self); /* 0: max_clients are connected */
void node_session_lost(node_t *self, session_t session);
/* A frame of a session. Any bytes may come. */
void node_receive(node_t *self, session_t session, const uint8_t *bytes, size_t len);
/* The answer to a request that is not even looked at. */
void node_refuse(node_t *self, session_t session, uint64_t request, const error_t *error);
const char *node_session_name(const node_t *self, session_t session); /* "": it has none */
/* The journal's answers. Not clean: it is there, but only a later clean commit releases it. */
void node_journal_committed(node_t *self, uint64_t index, bool clean);
void node_checkpoint_written(node_t *self, uint64_t index);
/* Whether its thread has to wait for processors: then batches wait for company (ha/patience.h). */
void node_set_crowded(node_t *self, bool crowded);
/* `drained`: all that had arrived was handed in. */
void node_turn_end(node_t *self, bool drained);

/* The settings of its options that may change while it serves. */
typedef struct {
    uint32_t heartbeat_ms; /* of clients */
    uint32_t max_clients;
    usec_t retry_after;
    size_t max_unfinished;
    usec_t checkpoint_interval;
    size_t checkpoint_max_lag;
    usec_t beat;
    usec_t gap;
} node_settings_t;
void node_set(node_t *self, const node_settings_t *settings);
/* As of the engine; false also while it is held. */
bool node_check_configuration(const node_t *self, const Ixn__V1__EngineConfiguration *configuration,
                              error_t *ret_error);
void node_configure(node_t *self, const Ixn__V1__EngineConfiguration *configuration);

/* Holds: nothing new is decided until it is called with NULL; requests hear RETRY with this
 * sentence. */
void node_hold(node_t *self, const char *sentence);
/* Everything decided is committed, and no image is on its way. */
bool node_is_drained(const node_t *self);
/* Closes the batch that is open, if there is one (caller owns it): what was decided and will never
 * be committed. The node is of no further use. */
batch_t *node_abandon(node_t *self);

/* False when decided work fills the bound: the shell leaves frames in the transport for now. */
bool node_may_receive(const node_t *self);

/* ---- Actions: each returns NULL / false when there is none ---- */

batch_t *node_next_batch(node_t *self);            /* for the journal; caller owns it */
checkpoint_image_t *node_next_image(node_t *self); /* for the checkpoint; caller owns it */
bool node_next_frame(node_t *self, engine_frame_t *ret_frame);
bool node_next_ended(node_t *self, session_t *ret_session);
/* The frame for a connection that finds max_clients connected. */
void node_busy_frame(node_t *self, engine_frame_t *ret_frame);

/* When the next turn must come at the latest, CLOCK_BOOTTIME. */
usec_t node_next_wakeup(const node_t *self);

typedef struct {
    uint64_t index;      /* decided */
    uint64_t committed;  /* durable and released */
    uint64_t checkpoint; /* in the tables */
    size_t unfinished;   /* bytes decided, not durable */
    size_t lag;          /* bytes beyond the checkpoint */
    bool retrying;       /* clients hear RETRY */
    uint64_t batches;
    uint64_t malformed; /* frames */
    latency_t submit;   /* from the turn that accepted it until its answer could leave */
    latency_t commit;   /* from the journal's hand-over until it was there */
} node_figures_t;
node_figures_t node_figures(const node_t *self);

#endif
