/* Plan: which of the faults that a seed draws happen. They are numbered as they come; each draws
 * its details by a chance of its own, so that one that is left out changes no other. Written to a
 * file and read from it, to run a seed again with fewer faults.
 */
#ifndef IXN_TESTS_SIM_PLAN_H
#define IXN_TESTS_SIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLAN_FAULTS = 256 }; /* a seed has no more */

/* Zero: all of them. */
typedef struct {
    bool chosen;
    bool kept[PLAN_FAULTS];
} plan_t;

bool plan_keeps(const plan_t *self, size_t number);
/* One line "seed N", one line "fault N" for each that is kept; what follows a # is for people.
 * Prints to standard output. */
void plan_print(const plan_t *self, uint64_t seed);
/* False with a sentence on standard error. */
bool plan_read(const char *path, uint64_t *ret_seed, plan_t *ret_plan);

#endif
