/* Run: one seed, or many in several processes. */
#ifndef IXN_TESTS_SIM_RUN_H
#define IXN_TESTS_SIM_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Prints what is wrong, if something is; true: nothing. */
bool run_one(uint64_t seed, bool print);

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
