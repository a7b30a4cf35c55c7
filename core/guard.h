/* Guard: what whoever applies the log notes before each entry, and the entries that it does not
 * apply, since they crashed nodes that did.
 */
#ifndef IXN_CORE_GUARD_H
#define IXN_CORE_GUARD_H

#include "core/base/hand.h"
#include "core/batch.h"

typedef struct {
    uint64_t index;
    id128_t fingerprint; /* guard_entry of it */
} guard_stop_t;

typedef struct {
    uint64_t index;
    id128_t batch; /* hash of the batch that it is in */
} guard_skip_t;

typedef struct {
    hand_t *hand; /* of the thread that applies; NULL: nobody keeps a note */
    const guard_stop_t *stops;
    size_t stops_len;
} guard_t;

/* The fingerprint of an entry: its place in the log and the hash of its batch, which chains all
 * that came before. */
id128_t guard_entry(uint64_t index, id128_t batch);

/* The first stop in the batch behind `after`; NULL: it may be applied to its end. */
const guard_stop_t *guard_stop(const guard_t *self, const batch_t *batch, uint64_t after);

#endif
