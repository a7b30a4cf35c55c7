/* Waits: since when decided submits wait for their commit, until it comes and their durations are
 * counted. A value of bounded size; pure.
 */
#ifndef IXN_HA_WAITS_H
#define IXN_HA_WAITS_H

#include "core/base/latency.h"

#define WAITS_TURNS 256

typedef struct {
    uint64_t index; /* the last one decided in that turn */
    usec_t since;
    uint64_t count;
} wait_t;

/* A ring, oldest first. */
typedef struct {
    wait_t turns[WAITS_TURNS];
    size_t first;
    size_t len;
} waits_t;

/* `count` more wait, for the commit of `index`. Where more turns wait than there is room for, the
 * newest one takes them in, with its own beginning. */
void waits_add(waits_t *self, uint64_t index, usec_t now, uint64_t count);
/* Entries up to `index` are committed. */
void waits_end(waits_t *self, uint64_t index, usec_t now, latency_t *latency);

#endif
