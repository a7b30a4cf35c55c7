/* Mutations: rules of the product that can be broken on purpose, to see the simulator notice. Those
 * of the simulated database are broken here, the others by MUTATION (core/base/mutation.h).
 */
#ifndef IXN_TESTS_SIM_MUTATIONS_H
#define IXN_TESTS_SIM_MUTATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/mutation.h"

/* True while this one is broken. */
bool mutation_is(mutation_t mutation);

/* Its name, and what is broken, for people. */
const char *mutation_name(mutation_t mutation);
const char *mutation_text(mutation_t mutation);

/* Breaks the one of this name; false, with a sentence on standard error, where there is none. */
bool mutation_break(const char *name);

/* Breaks one after the other and runs seeds until it is noticed; prints a table. Returns the exit
 * code: 0 when all were noticed within `seeds`. */
int mutations_run(uint64_t seeds);

#endif
