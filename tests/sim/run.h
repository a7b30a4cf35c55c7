/* Run: one seed, or many in several processes. */
#ifndef IXN_TESTS_SIM_RUN_H
#define IXN_TESTS_SIM_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/plan.h"

/* Prints what is wrong, if something is; true: nothing. */
bool run_one(uint64_t seed, const plan_t *plan, bool print);

/* The same in a process of its own, which may die, and without a word. */
typedef struct {
    bool failed;
    size_t faults; /* that were drawn */
    char what[2000];
} run_planned_t;
void run_planned(uint64_t seed, const plan_t *plan, run_planned_t *ret_result);

typedef struct {
    uint64_t from;
    uint64_t seeds;
    unsigned jobs;
    bool stop_at_first;
    bool quiet; /* violations are not printed */
} run_options_t;

typedef struct {
    uint64_t seeds; /* that were run */
    uint64_t violations;
    uint64_t first_seed; /* of the lowest violation */
    char first[2000];    /* what it said */
    double seconds;
} run_result_t;

void run_many(const run_options_t *options, run_result_t *ret_result);

#endif
