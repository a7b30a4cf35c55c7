/* What the files of the checker share. */
#ifndef IXN_TESTS_SIM_CHECKER_INTERNAL_H
#define IXN_TESTS_SIM_CHECKER_INTERNAL_H

#include "core/wire/wire.h"
#include "tests/sim/checker.h"
#include "tests/sim/seen_agents.h"
#include "tests/sim/seen_services.h"
#include "tests/sim/seen_strategies.h"
#include "tests/sim/seen_turns.h"

typedef struct {
    uint64_t epoch;
    id128_t generation;
    int node;
    uint64_t life;
    usec_t at;
    bool began; /* its first entry was seen */
    usec_t began_log; /* … at this log time */
} epoch_t;

struct checker {
    world_t *world;
    wire_arena_t *arena;
    /* the log */
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
    /* Where batches end, and their hashes; the first is index 0. */
    uint64_t *ends;
    id128_t *hashes;
    size_t ends_len;
    size_t ends_capacity;
    /* the nodes */
    role_t roles[WORLD_NODES];
    usec_t left_at; /* no access point led to the pair's own database last */
    usec_t level_at;
};

/* record.c: one entry of the log, at self->index. */
void record_entry(checker_t *self, const batch_t *batch, const Ixn__V1__Entry *entry);

#endif
