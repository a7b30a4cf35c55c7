/* Catalog: what the log decides besides interactions: stored strategies with their versions and
 * activations, whose turn it is, agents with who keeps them, and routers that are drained.
 *
 * Promises: part of the state, so only entries and loading change it (core/strategies.c,
 * core/agents.c and core/drains.c have one function an entry); each is one row of a public table. A
 * row carries the index of the entry that changed it last: what a checkpoint has to write is what
 * changed after the one before, whoever wrote that. Pure.
 */
#ifndef IXN_CORE_CATALOG_H
#define IXN_CORE_CATALOG_H

#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/base/id.h"
#include "core/base/limits.h"
#include "core/base/table.h"
#include "core/base/types.h"
#include "core/wire/entry.pb-c.h"

typedef struct state state_t;
typedef struct interaction interaction_t;

/* ---- Rows ---- */

typedef enum {
    CATALOG_STRATEGY,   /* ixn.strategy: one version */
    CATALOG_ACTIVATION, /* ixn.strategy_activation */
    CATALOG_TURN,       /* ixn.strategy_turn */
    CATALOG_AGENT,      /* ixn.agent */
    CATALOG_DRAIN,      /* ixn.router_drain; its name is the router's */
    CATALOG_KINDS,
} catalog_kind_t;

/* A row of any of them. The key of each is (tenant, name) and, of a strategy, the version, of an
 * activation, the router. What a kind does not name is zero in it. */
typedef struct {
    catalog_kind_t kind;
    bool gone; /* in an image: the row leaves its table; only its key is set */
    text_t tenant;
    text_t name;
    text_t router;    /* ACTIVATION; TURN: who was last; AGENT: who has the grant, or empty */
    uint32_t version; /* STRATEGY, ACTIVATION; TURN: the highest that was ever put */
    text_t by;        /* STRATEGY, ACTIVATION, AGENT, DRAIN: who asked for it */
    usec_t at;        /* … and when */
    text_t body;      /* STRATEGY */
    text_t content_type;
    text_t comment; /* STRATEGY; DRAIN: the reason */
    bool added;     /* AGENT: by an operator; otherwise by the configuration alone */
    id128_t interaction_id;
    uint64_t grant_epoch;
    uint64_t grant_index;
    uint64_t work_epoch; /* the token of the work that it is kept for */
    uint64_t work_index;
    int32_t priority;
    usec_t expires; /* log time */
    uint64_t change;
} catalog_row_t;

/* ---- Records ---- */

typedef struct {
    uint64_t index; /* of the entry that changed it last; 0: as it was loaded */
    uint64_t digest;
} catalog_stamp_t;

typedef struct {
    catalog_stamp_t stamp;
    uint32_t version;
    uint32_t size;
    char *body;
    id128_t hash;
    char content_type[LIMIT_NAME + 1];
    char by[LIMIT_NAME + 1];
    char *comment;
    usec_t at;
} strategy_version_t;

typedef struct {
    catalog_stamp_t stamp;
    uint32_t version;
    char router[LIMIT_NAME + 1];
    char by[LIMIT_NAME + 1];
    usec_t at;
} strategy_activation_t;

/* A strategy that was stored or dispatched. It stays as long as the state. */
typedef struct strategy_record {
    UT_hash_handle hh;
    id128_t key; /* of both names */
    uint64_t names;
    uint16_t tenant;
    char name[LIMIT_NAME + 1];
    strategy_version_t *versions; /* oldest first; none: not stored */
    size_t versions_len;
    strategy_activation_t *activations; /* by router's name */
    size_t activations_len;
    catalog_stamp_t turn;
    uint32_t highest;          /* version that was ever put */
    char last[LIMIT_NAME + 1]; /* router that was given work last */
    uint32_t pending;          /* interactions with routers under it; not a row */
} strategy_record_t;

typedef struct {
    UT_hash_handle hh;
    id128_t key;
    uint64_t names;
    uint16_t tenant;
    char name[LIMIT_NAME + 1];
    catalog_stamp_t stamp;
    bool configured;
    bool added;
    char by[LIMIT_NAME + 1];
    usec_t at;
    /* the grant; grant_index 0: none */
    id128_t interaction_id;
    uint64_t grant_epoch;
    uint64_t grant_index;
    uint64_t work_epoch;
    uint64_t work_index;
    char router[LIMIT_NAME + 1];
    int32_t priority;
    usec_t expires;
    uint64_t change;
} agent_record_t;

/* A router that gets no new work. */
typedef struct {
    UT_hash_handle hh;
    id128_t key;
    uint64_t names;
    uint16_t tenant;
    char router[LIMIT_NAME + 1];
    catalog_stamp_t stamp;
    char *reason;
    char by[LIMIT_NAME + 1];
    usec_t at;
} drain_record_t;

typedef struct catalog_gone catalog_gone_t;

typedef struct {
    strategy_record_t *strategies;
    size_t stored; /* strategies with versions */
    size_t body_bytes;
    agent_record_t *agents;
    drain_record_t *drains;
    catalog_gone_t *gone; /* rows that left, oldest first */
    size_t gone_len;
    uint64_t changed; /* index of the last change */
    uint64_t digest;
} catalog_t;

/* ---- Reading ---- */

strategy_record_t *catalog_strategy(const state_t *self, uint16_t tenant,
                                    text_t name); /* or NULL */
const strategy_version_t *strategy_version(const strategy_record_t *self, uint32_t version);
const strategy_version_t *strategy_newest(const strategy_record_t *self); /* NULL: not stored */
const strategy_activation_t *strategy_activation(const strategy_record_t *self, const char *router);
agent_record_t *catalog_agent(const state_t *self, uint16_t tenant, text_t name);   /* or NULL */
drain_record_t *catalog_drain(const state_t *self, uint16_t tenant, text_t router); /* or NULL */
/* True while it is kept for work that its router still has. */
bool agent_is_reserved(const state_t *self, const agent_record_t *agent, usec_t log_time);

/* ---- For the state's files ---- */

void catalog_free(catalog_t *self);
/* Rows that changed after `base`, and keys of those that are gone since; they live in the arena. */
const catalog_row_t *catalog_collect(state_t *self, uint64_t base, arena_t *arena, size_t *ret_len);
/* The tables are at `index`: what left before need not be remembered. */
void catalog_forget_gone(catalog_t *self, uint64_t index);
bool catalog_load(state_t *self, const catalog_row_t *row, error_t *ret_error);
/* A record's row is as it is now: its share of the digest is made new and, except while loading, it
 * is stamped with the entry that is being applied. */
void catalog_changed(state_t *self, catalog_stamp_t *stamp, uint64_t digest);
/* It leaves; `row` names its key. */
void catalog_left(state_t *self, const catalog_stamp_t *stamp, const catalog_row_t *row);

/* Each returns NULL, or why the entry does not fit; then nothing has changed. */
const char *strategies_put(state_t *self, const Ixn__V1__StrategyPut *entry);
const char *strategies_removed(state_t *self, const Ixn__V1__StrategyRemoved *entry);
const char *strategies_activated(state_t *self, const Ixn__V1__StrategyActivated *entry);
const char *strategies_deactivated(state_t *self, const Ixn__V1__StrategyDeactivated *entry);
const char *agents_changed(state_t *self, const Ixn__V1__AgentChanged *entry);
const char *agents_reserved(state_t *self, const Ixn__V1__AgentReserved *entry);
const char *agents_released(state_t *self, const Ixn__V1__AgentReleased *entry);
const char *drains_drained(state_t *self, const Ixn__V1__RouterDrained *entry);
const char *drains_undrained(state_t *self, const Ixn__V1__RouterUndrained *entry);
/* The turn goes on behind this router. / The work is no longer with a router. */
strategy_record_t *strategies_dispatched(state_t *self, uint16_t tenant, text_t name,
                                         text_t router);
void strategies_left(strategy_record_t *strategy);
strategy_record_t *strategies_held(state_t *self, uint16_t tenant, text_t name); /* while loading */
/* What the configuration declares. */
void agents_configured(state_t *self);

bool strategies_load_version(state_t *self, uint16_t tenant, const catalog_row_t *row);
bool strategies_load_activation(state_t *self, uint16_t tenant, const catalog_row_t *row);
bool strategies_load_turn(state_t *self, uint16_t tenant, const catalog_row_t *row);
bool agents_load(state_t *self, uint16_t tenant, const catalog_row_t *row);
bool drains_load(state_t *self, uint16_t tenant, const catalog_row_t *row);
void strategies_free(catalog_t *self);
void drains_free(catalog_t *self);
void agents_free(catalog_t *self);
/* One row as it is now; texts point into the record. */
catalog_row_t strategy_version_row(const state_t *self, const strategy_record_t *strategy,
                                   const strategy_version_t *version);
catalog_row_t strategy_activation_row(const state_t *self, const strategy_record_t *strategy,
                                      const strategy_activation_t *activation);
catalog_row_t strategy_turn_row(const state_t *self, const strategy_record_t *strategy);
catalog_row_t agent_row(const state_t *self, const agent_record_t *agent);
catalog_row_t drain_row(const state_t *self, const drain_record_t *drain);

#endif
