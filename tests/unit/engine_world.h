/* World: a pure node with clients, a journal and tables around it, all by hand: a test connects
 * clients, lets them ask, ends turns, commits batches, lets time pass, restarts the node from what
 * was committed, and compares as text what each client was told.
 *
 * Promises: every request hears exactly one answer, or none when its session or the node ended; no
 * frame is larger than it may be; what was not committed is lost at a restart. Interactions are
 * called by the key of their Submit, tokens t1, t2 … in the order in which routers heard of them.
 */
#ifndef IXN_TESTS_ENGINE_WORLD_H
#define IXN_TESTS_ENGINE_WORLD_H

#include "core/wire/wire.h"
#include "ha/node.h"

typedef struct world world_t;

/* 0 and NULL: the value in parentheses. */
typedef struct {
    const char *queues;            /* "tenant/name>strategy#max_length …" (see engine_world.c) */
    const char *routers;           /* names with agent reservation in their annex (r1 r2 r3 r4) */
    uint32_t routing_timeout_ms;   /* (60,000) */
    uint32_t hold_timeout_ms;      /* (30,000) */
    uint32_t max_router_attempts;  /* (3) */
    uint32_t dedupe_window_ms;     /* (600,000) */
    uint32_t dedupe_guaranteed_ms; /* (60,000) */
    uint32_t dedupe_max_keys;      /* (10,000) */
    uint32_t max_interactions;     /* (1,000) */
    uint32_t max_attributes_size;  /* (65,536) */
    uint32_t max_submitted;        /* a router (100) */
    uint32_t max_requests;         /* to application servers (1,000) */
    uint32_t window;               /* of each (100) */
    const char *cluster;           /* members of the cluster "c", by spaces (none) */
    uint32_t heartbeat_ms;         /* (1,000) */
    uint32_t max_clients;          /* (50) */
    uint32_t retry_after_ms;       /* (1,000) */
    size_t max_unfinished;         /* bytes (16 MiB) */
    size_t checkpoint_max_lag;     /* bytes (1 GiB) */
    uint32_t beat_ms;              /* (0: never) */
    bool no_checkpoints;           /* images wait until world_checkpoint */
} world_options_t;

world_t *world_new(const world_options_t *options); /* settled; NULL: all defaults */
void world_free(world_t **self_p);
node_t *world_node(world_t *self);
engine_t *world_engine(world_t *self);

/* The node dies with what was not committed and starts again: from the whole journal, or from the
 * tables and the journal behind them. `options` NULL: the same configuration. Not settled. */
void world_restart(world_t *self, const world_options_t *options, bool from_tables);

/* Like that, on a machine that was started anew: its clocks begin early again. */
void world_reboot(world_t *self);
void world_checkpoint(world_t *self); /* writes the image that waits */

/* ---- Clients: `who` names a connection; its registered name is the part before ':' ---- */

bool world_connect(world_t *self, const char *who); /* false: refused with BUSY */
bool world_connected(const world_t *self, const char *who);
void world_lose(world_t *self, const char *who); /* the transport says that it is gone */

typedef struct {
    Ixn__V1__Role role;      /* (media server) */
    const char *name;        /* (part of `who`) */
    const char *tenant;      /* ("") */
    const char *incarnation; /* any text; another one is another process (the name) */
    const char *tokens;      /* "t1 t2 …" or "epoch/index" */
    bool reservation;
    uint32_t limit;
} world_register_t;
void world_register(world_t *self, const char *who, const world_register_t *wanted);

typedef struct {
    const char *key;
    const char *as;         /* what the test calls it (the key) */
    const char *queue;      /* ("in") */
    const char *media_type; /* ("email") */
    const char *type, *subtype, *external_id, *attributes;
    const char *parent; /* an interaction */
    int32_t priority;
    int64_t received_at_us;
    bool hold;
} world_submit_t;
void world_submit(world_t *self, const char *who, const world_submit_t *submit);

typedef struct {
    const char *of;  /* an interaction */
    const char *key; /* without a token */
    const char *token;
    const char *to; /* a queue */
    const char *reason, *set, *remove, *external_id, *type, *subtype;
    uint32_t version;
    const int32_t *priority;
    bool blameless;
} world_change_t;
/* `kind`: IXN__V1__REQUEST__BODY_… of a change. */
void world_change(world_t *self, const char *who, int kind, const world_change_t *change);

void world_get(world_t *self, const char *who, const char *of, bool confirmed);
void world_ping(world_t *self, const char *who);
void world_leave(world_t *self, const char *who);
void world_load(world_t *self, const char *who, const char *strategy);
void world_unload(world_t *self, const char *who, const char *strategy);
/* Any request; its id is set when it is 0. */
uint64_t world_request(world_t *self, const char *who, Ixn__V1__Request *request);
void world_bytes(world_t *self, const char *who, const void *bytes, size_t len); /* any frame */
/* One frame of so many requests that differ in their ids (and, as changes, in their keys) only. */
void world_packet(world_t *self, const char *who, const Ixn__V1__Request *request, size_t count);

/* A media server; a router that has `strategies` ("s1 s2") loaded. Settled and told to nobody. */
void world_media(world_t *self, const char *who);
void world_operator(world_t *self, const char *who);
void world_router(world_t *self, const char *who, const char *strategies);

/* ---- The node ---- */

void world_turn(world_t *self);           /* ends the turn */
void world_turn_undrained(world_t *self); /* … and more had arrived */
void world_commit(world_t *self);         /* the batch in flight is durable; ends the turn */
void world_commit_unclean(world_t *self);
bool world_in_flight(const world_t *self);
void world_settle(world_t *self);            /* turns and commits until nothing is in flight */
void world_wait(world_t *self, uint32_t ms); /* at once: the next turn comes so much later */
void world_pass(world_t *self,
                uint32_t ms); /* in steps of 100 ms, all connected say Ping, settled */

/* ---- What they were told ---- */

const char *world_told(world_t *self);           /* since the last forget: a line each */
const char *world_sentence(const world_t *self); /* of the last error, busy or retry */
void world_forget(world_t *self);
void world_expect(world_t *self, const char *text, int line);

/* The id of an interaction, a token's value. */
id128_t world_id(const world_t *self, const char *name);
Ixn__V1__Token world_token(const world_t *self, const char *name);
Ixn__V1__Token world_served(const world_t *self);  /* of the last ServiceRequest */
const char *world_last_token(const world_t *self); /* "" before the first */

/* Instead of telling: each message and each committed batch is handed to these. */
typedef struct {
    void (*heard)(void *context, const char *who, const Ixn__V1__Message *message);
    void (*committed)(void *context, const batch_t *batch);
    void *context;
} world_observer_t;
void world_observe(world_t *self, const world_observer_t *observer);

/* The journal, for tests that look into batches. */
size_t world_batches(const world_t *self);
const batch_t *world_batch(const world_t *self, size_t at);
size_t world_largest_frame(const world_t *self); /* bytes */
size_t world_most_messages(const world_t *self); /* in one frame */

/* ---- Short forms, for a world `w` ---- */

#define EXPECT(text) world_expect(w, text, __LINE__)
#define REGISTER(who, ...) world_register(w, who, &(world_register_t){__VA_ARGS__})
#define SUBMIT(who, ...) world_submit(w, who, &(world_submit_t){__VA_ARGS__})
#define CHANGE(who, ...)                                                                           \
    world_change(w, who, IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES, &(world_change_t){__VA_ARGS__})
#define PLACE(who, ...)                                                                            \
    world_change(w, who, IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE, &(world_change_t){__VA_ARGS__})
#define HOLD(who, ...)                                                                             \
    world_change(w, who, IXN__V1__REQUEST__BODY_HOLD, &(world_change_t){__VA_ARGS__})
#define RESUME(who, ...)                                                                           \
    world_change(w, who, IXN__V1__REQUEST__BODY_RESUME, &(world_change_t){__VA_ARGS__})
#define STOP(who, ...)                                                                             \
    world_change(w, who, IXN__V1__REQUEST__BODY_STOP, &(world_change_t){__VA_ARGS__})
#define FAIL(who, ...)                                                                             \
    world_change(w, who, IXN__V1__REQUEST__BODY_ROUTE_FAILED, &(world_change_t){__VA_ARGS__})

#endif
