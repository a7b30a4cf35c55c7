/* Weighted: whose turn it is among several of different weight. Smooth weighted round robin: each
 * gains its weight, the richest one is chosen and pays what all have gained; so a weight of 5
 * beside two of 1 gives a a b a c a a, never five in a row. Equal weights go round in order. Pure.
 */
#ifndef IXN_CORE_BASE_WEIGHTED_H
#define IXN_CORE_BASE_WEIGHTED_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t weight; /* 0 counts as 1 */
    int64_t credit;
} weighted_t;

/* The place in `items` (those that may be chosen now) of the one whose turn it is; `len` > 0. */
size_t weighted_choose(weighted_t *const *items, size_t len);

#endif
