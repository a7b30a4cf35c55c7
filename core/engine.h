/* Engine: decides. `decide(state, request) → entries + messages`; what it decides is applied at
 * once by the same state_apply that a backup runs, and what it wants to say is held until the entry
 * that decided it is durable.
 *
 * Pure: no clock, socket, file, thread, randomness or log. Time comes with the turn. Sessions (who
 * is connected) are not state: after a take-over clients register again and say what they hold.
 *
 * A turn: engine_turn_begin, any number of inputs, engine_turn_end (which routes what waits, and
 * closes the batch when the journal is ready for one). engine_committed then releases what was
 * held; engine_next_frame hands out what is to be sent.
 */
#ifndef IXN_CORE_ENGINE_H
#define IXN_CORE_ENGINE_H

#include "core/base/latency.h"
#include "core/batch.h"
#include "core/state.h"

typedef struct engine engine_t;

/* A session of a client; never used again. 0 is none. */
typedef uint64_t session_t;

typedef struct {
    state_t *state; /* loaded; the engine owns it from now on */
    id128_t database_id;
    uint64_t epoch;
    id128_t generation;
    const char *node;      /* name of this node */
    const char *reason;    /* why this epoch began */
    uint32_t heartbeat_ms; /* asked of clients */
    uint32_t max_clients;
} engine_options_t;

engine_t *engine_new(const engine_options_t *options);
void engine_destroy(engine_t **self_p);
state_t *engine_state(engine_t *self);

/* The first turn must decide that the epoch began (and the configuration, where it differs; NULL:
 * what the log says stays). */
void engine_start(engine_t *self, const Ixn__V1__EngineConfiguration *configuration);

void engine_turn_begin(engine_t *self, usec_t log_time, usec_t wall_time);
/* Routes what waits. `close`: the journal can take a batch now; returns it (caller owns it), or
 * NULL when nothing was decided. Without `close` the batch stays open and the next turns add to it:
 * group commit that adapts by itself. `*ret_more`: there is more to decide right away (bounded work
 * a turn). */
batch_t *engine_turn_end(engine_t *self, bool close, bool *ret_more);
/* False when the next packet should wait for a commit: half of what a batch, or what waits to be
 * told, may grow to is there. A packet beyond all of it hears BUSY. */
bool engine_may_receive(const engine_t *self);
/* Bytes of the batch that is open. */
size_t engine_open_bytes(const engine_t *self);
bool engine_batch_open(const engine_t *self);

/* ---- Inputs, inside a turn ---- */

/* A new transport connection spoke for the first time. 0 when max_clients is reached. */
session_t engine_session_open(engine_t *self);
/* The transport says it is gone. Unknown sessions are ignored. */
void engine_session_lost(engine_t *self, session_t session);
/* A frame of a session; the requests are valid during the call. */
void engine_request(engine_t *self, session_t session, const Ixn__V1__Request *request);
/* A request that is not looked at, or (0) a frame that could not be decoded: only its answer. */
void engine_turn_away(engine_t *self, session_t session, uint64_t request, const error_t *error);
const char *engine_session_name(const engine_t *self, session_t session); /* "": it has none */
/* Deadlines, the end of the reconcile window and silent sessions. Call at the end of every turn.
 * `drained`: everything that had arrived was handed in; only then silence is told from the node's
 * own delay. */
void engine_tick(engine_t *self, bool drained);
/* Decides a beat: the head of the journal moves although nothing happened. */
void engine_beat(engine_t *self);

/* Whether the configuration can be put in force now: no queue that still holds interactions is gone
 * from it; otherwise the error says which, with how many, and what to do. */
bool engine_check_configuration(const engine_t *self,
                                const Ixn__V1__EngineConfiguration *configuration,
                                error_t *ret_error);
/* Decides that it is in force from now on (nothing where it is already). Checked before. Deadlines
 * that run stay as they are. */
void engine_configure(engine_t *self, const Ixn__V1__EngineConfiguration *configuration);
/* For sessions that begin from now on; those that are there stay, with the heartbeat that they were
 * told. */
void engine_set_clients(engine_t *self, uint32_t heartbeat_ms, uint32_t max_clients);

/* While set, changes are answered with BUSY (or RETRY) and this sentence. NULL: not. */
void engine_set_busy(engine_t *self, const char *sentence);
void engine_set_retry(engine_t *self, const char *sentence);

/* While set, nothing new is decided: requests are answered with RETRY and this sentence, nothing is
 * routed and no time passes. What was decided is still committed and told. NULL: not. */
void engine_hold(engine_t *self, const char *sentence);

/* ---- Outputs ---- */

/* Entries up to `index` are durable: what was held for them goes out. */
void engine_committed(engine_t *self, uint64_t index);
uint64_t engine_index(const engine_t *self); /* of the last entry decided */

/* The next frame to be sent; the caller frees `bytes` with free(). */
typedef struct {
    session_t session;
    uint8_t *bytes;
    size_t len;
} engine_frame_t;
bool engine_next_frame(engine_t *self, engine_frame_t *ret_frame);
/* The next session that has ended, for whatever reason: the transport forgets it. Take all of them
 * after every turn: until then their places among max_clients are not free. */
bool engine_next_ended(engine_t *self, session_t *ret_session);

/* ---- Figures ---- */

typedef struct {
    uint64_t submitted;
    uint64_t dispatched;
    uint64_t completed;
    uint64_t returned;
    uint64_t refused;
    uint32_t sessions;
    uint32_t routers;
    size_t held_bytes;    /* of messages that wait for their commit */
    latency_t dispatch;   /* from its place in line to a router */
    latency_t completion; /* from its submit to its end */
} engine_figures_t;
engine_figures_t engine_figures(const engine_t *self);

#endif
