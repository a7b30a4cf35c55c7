/* Histogram: how often values of which size came, in buckets whose width grows with the value, so
 * that a quantile is exact to 1/64 (1.6 %) from a microsecond to days. A value type; no allocation.
 */
#ifndef IXN_BENCH_HISTOGRAM_H
#define IXN_BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/types.h"

/* Values below 2^HISTOGRAM_LINEAR_BITS have a bucket each; every further power of two has
 * 2^HISTOGRAM_LINEAR_BITS of them. Values of 2^HISTOGRAM_VALUE_BITS and more count as the largest.
 */
#define HISTOGRAM_LINEAR_BITS 6
#define HISTOGRAM_VALUE_BITS 40
#define HISTOGRAM_BUCKETS                                                                          \
    ((size_t)(HISTOGRAM_VALUE_BITS - HISTOGRAM_LINEAR_BITS + 1) << HISTOGRAM_LINEAR_BITS)

typedef struct {
    uint64_t count;
    usec_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
} histogram_t; /* `{0}` is an empty one */

void histogram_add(histogram_t *self, usec_t value); /* below 0 counts as 0 */
void histogram_merge(histogram_t *self, const histogram_t *other);

/* The smallest value that at least the share `quantile` (0 … 1) of all values does not exceed,
 * rounded up to its bucket's end, never above the largest value seen. 0 when empty. */
usec_t histogram_quantile(const histogram_t *self, double quantile);

#endif
