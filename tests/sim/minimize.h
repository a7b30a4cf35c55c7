/* Minimize: the shortest list of faults with which a seed still breaks the same promise. */
#ifndef IXN_TESTS_SIM_MINIMIZE_H
#define IXN_TESTS_SIM_MINIMIZE_H

#include <stdbool.h>

#include "tests/sim/plan.h"

/* Prints a plan for --replay, with what it leads to as comments. False: the seed breaks nothing. */
bool minimize(uint64_t seed, const plan_t *plan);

#endif
