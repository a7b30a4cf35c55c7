/* Batch: the entries of one turn of the loop, as they are journaled and replicated.
 *
 * The hash chains batches: hash = XXH3-128 over (previous hash, epoch, first, last, log time, wall
 * time, entries), integers big-endian. A batch never changes once made, so that several may hold
 * it, in several threads.
 */
#ifndef IXN_CORE_BATCH_H
#define IXN_CORE_BATCH_H

#include "core/base/id.h"
#include "core/base/types.h"

typedef struct {
    uint64_t epoch;
    uint64_t first;   /* index of its first entry */
    uint64_t last;    /* index of its last entry; last >= first */
    id128_t previous; /* hash of the batch before it */
    id128_t hash;
    usec_t log_time;  /* the time inside the log of all its entries */
    usec_t wall_time; /* the calendar when they were decided */
    text_t entries;   /* encoded ixn.v1.Batch; owned by the batch */
} batch_t;

/* A copy of `entries` is made. The hash is computed. */
batch_t *batch_new(uint64_t epoch, uint64_t first, uint64_t last, id128_t previous, usec_t log_time,
                   usec_t wall_time, text_t entries);
/* The same batch for one more holder. */
batch_t *batch_share(const batch_t *self);
/* One holder less; the last one frees it. */
void batch_destroy(batch_t **self_p);

/* The hash that a batch with these contents has. */
id128_t batch_hash(const batch_t *self);

#endif
