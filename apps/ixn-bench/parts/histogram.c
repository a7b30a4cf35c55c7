#include "apps/ixn-bench/parts/histogram.h"

#include <math.h>

#define S_LINEAR (1u << HISTOGRAM_LINEAR_BITS)

/* Bucket of a value. With L linear bits, values in [2^(L+s-1), 2^(L+s)) for s >= 1 are told apart
 * by their L+1 leading bits, of which the first is always set: 2^L buckets. */
static size_t s_bucket(uint64_t value)
{
    if (value < S_LINEAR)
        return (size_t)value;
    if (value >> HISTOGRAM_VALUE_BITS)
        return HISTOGRAM_BUCKETS - 1;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_LINEAR_BITS;
    return ((size_t)(shift + 1) << HISTOGRAM_LINEAR_BITS) + (size_t)(value >> shift) - S_LINEAR;
}

/* The largest value of a bucket. */
static usec_t s_end(size_t bucket)
{
    if (bucket < S_LINEAR)
        return (usec_t)bucket;
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_LINEAR_BITS) - 1;
    uint64_t leading = S_LINEAR + (bucket & (S_LINEAR - 1));
    return (usec_t)(((leading + 1) << shift) - 1);
}

void histogram_add(histogram_t *self, usec_t value)
{
    if (value < 0)
        value = 0;
    self->count++;
    if (value > self->max)
        self->max = value;
    self->buckets[s_bucket((uint64_t)value)]++;
}

void histogram_merge(histogram_t *self, const histogram_t *other)
{
    self->count += other->count;
    if (other->max > self->max)
        self->max = other->max;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        self->buckets[i] += other->buckets[i];
}

usec_t histogram_quantile(const histogram_t *self, double quantile)
{
    uint64_t rank = (uint64_t)ceil(quantile * (double)self->count);
    if (rank < 1)
        rank = 1;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += self->buckets[i];
        if (seen >= rank)
            return s_end(i) < self->max ? s_end(i) : self->max;
    }
    return self->max;
}
