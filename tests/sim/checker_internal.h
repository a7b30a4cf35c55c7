/* What the files of the checker share. */
#ifndef IXN_TESTS_SIM_CHECKER_INTERNAL_H
#define IXN_TESTS_SIM_CHECKER_INTERNAL_H

#include "core/wire/wire.h"
#include "tests/sim/checker.h"

typedef struct {
    uint64_t epoch;
    id128_t generation;
    int node;
    uint64_t life;
    usec_t at;
    bool began; /* its first entry was seen */
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
    /* the nodes */
    role_t roles[WORLD_NODES];
    usec_t left_at; /* no access point led to the pair's own database last */
    usec_t level_at;
};

/* record.c: one entry of the log, at self->index. */
void record_entry(checker_t *self, const batch_t *batch, const Ixn__V1__Entry *entry);

#endif
