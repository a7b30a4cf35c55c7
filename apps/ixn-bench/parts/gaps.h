/* Gaps: how long nothing was acknowledged while something was due. All threads of a run tell the
 * same one, so that a gap is one of the whole run: what a fail-over costs its clients.
 */
#ifndef IXN_BENCH_GAPS_H
#define IXN_BENCH_GAPS_H

#include <stdatomic.h>

#include "core/base/types.h"

/* A value; `{0}`, then `threshold`. */
typedef struct {
    usec_t threshold; /* gaps of at least this are counted */
    _Atomic usec_t since;
    _Atomic usec_t longest;
    _Atomic uint64_t count;
} gaps_t;

/* Nothing was due, from now on something is. */
void gaps_begin(gaps_t *self, usec_t now);
/* One was acknowledged, or the run ends without it. */
void gaps_end(gaps_t *self, usec_t now);

#endif
