/* Latency: a histogram of durations with fixed bounds, for figures that people watch over time. A
 * value: `{0}` is an empty one; two of them add up bound by bound. Pure.
 */
#ifndef IXN_BASE_LATENCY_H
#define IXN_BASE_LATENCY_H

#include "core/base/types.h"

#define LATENCY_BOUNDS 20

/* Upper bounds, inclusive, rising: half a millisecond … an hour. What is longer is counted behind
 * them. */
extern const usec_t latency_bounds[LATENCY_BOUNDS];

typedef struct {
    uint64_t counts[LATENCY_BOUNDS + 1]; /* each for itself, not summed up */
    uint64_t sum_us;
} latency_t;

/* Counts a duration so many times; a negative one (a calendar that was set back) as none at all. */
void latency_add(latency_t *self, usec_t duration, uint64_t times);
uint64_t latency_count(const latency_t *self);

#endif
