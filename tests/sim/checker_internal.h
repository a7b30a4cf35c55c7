/* What the files of the checker share. */
#ifndef IXN_TESTS_SIM_CHECKER_INTERNAL_H
#define IXN_TESTS_SIM_CHECKER_INTERNAL_H

#include "core/wire/wire.h"
#include "tests/sim/checker.h"
#include "tests/sim/seen_agents.h"
#include "tests/sim/seen_services.h"
#include "tests/sim/seen_skips.h"
#include "tests/sim/seen_strategies.h"
#include "tests/sim/seen_turns.h"

typedef struct {
    uint64_t epoch;
    id128_t generation;
    int node; /* -1: an operator's skip began it */
    uint64_t life;
    usec_t at;
    bool began;       /* its first entry was seen */
    usec_t began_log; /* … at this log time */
} epoch_t;

typedef struct {
    batch_t *batch;
    usec_t at; /* it was committed */
} kept_batch_t;

struct checker {
    world_t *world;
    wire_arena_t *arena;
    /* the log, and what follows from it */
    kept_batch_t *log;
    size_t log_len;
    size_t log_capacity;
    uint64_t index;
    id128_t hash;
    usec_t log_time;
    usec_t committed_at[2]; /* of the last batch and of the one before */
    epoch_t *epochs;
    size_t epochs_len;
    seen_t *by_id;
    seen_t *by_key;
    handed_t *handed;
    seen_t **live; /* not completed, in no order */
    size_t live_len;
    size_t live_capacity;
    seen_services_t *services;
    seen_agents_t *agents;
    seen_strategies_t *strategies;
    seen_turns_t *turns;
    seen_skips_t skips;
    bool replays; /* what is recorded now has been judged before */
    /* the nodes */
    role_t roles[WORLD_NODES];
    /* the server (own.c) */
    const database_sim_t *accepted[WORLD_NODES]; /* what each takes for the pair's own */
    usec_t left_at;                              /* nobody was led to that last */
    usec_t moved_at;                             /* another one took its place last; 0: never */
    uint64_t told_epoch;                         /* the highest that anybody was told */
    uint64_t told_index;
    usec_t level_at;
};

/* checker.c: what follows from the log, anew. */
void checker_replay(checker_t *self);
/* record.c: one entry of the log, at self->index. */
void record_entry(checker_t *self, const batch_t *batch, const Ixn__V1__Entry *entry);

#endif
