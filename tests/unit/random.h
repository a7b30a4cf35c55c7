/* Random: numbers from a seed (S. Vigna's splitmix64), so that a test that fails can be run again
 * as it was. Not for the product.
 */
#ifndef IXN_TESTS_RANDOM_H
#define IXN_TESTS_RANDOM_H

#include <stdint.h>
#include <string.h>

#include "core/base/id.h"

typedef struct {
    uint64_t state;
} random_t;

static inline uint64_t random_u64(random_t *self)
{
    uint64_t mixed = self->state += UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

/* 0 … below - 1. */
static inline size_t random_below(random_t *self, size_t below)
{
    return (size_t)(random_u64(self) % below);
}

static inline id128_t random_id(random_t *self)
{
    uint64_t words[2] = {random_u64(self), random_u64(self)};
    id128_t id;
    memcpy(id.bytes, words, sizeof id.bytes);
    return id;
}

#endif
