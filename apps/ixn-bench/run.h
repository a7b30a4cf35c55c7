/* Run: what the threads of one run share: what was asked, how far the run is, and counters. The
 * threads change nothing else of each other; each keeps its own figures.
 */
#ifndef IXN_BENCH_RUN_H
#define IXN_BENCH_RUN_H

#include <stdatomic.h>

#include "apps/ixn-bench/options.h"
#include "apps/ixn-bench/parts/gaps.h"
#include "apps/ixn-bench/parts/histogram.h"
#include "apps/ixn-bench/parts/marks.h"
#include "core/base/buffer.h"
#include "core/base/types.h"

typedef enum {
    RUN_CONNECTING, /* until every client is registered and every router has its strategy */
    RUN_WARMING,    /* load, not measured */
    RUN_MEASURING,
    RUN_DRAINING, /* no new submits */
    RUN_ENDING,   /* threads leave */
} run_phase_t;

typedef struct {
    const options_t *options; /* lives as long as the run */
    void *context;            /* ZeroMQ's, of all clients */
    uint64_t id;              /* random; in every key and external id of this run */
    usec_t load_start;        /* written before RUN_WARMING, read after */
    _Atomic int phase;
    _Atomic uint64_t ready; /* clients that are ready to begin */
    _Atomic uint64_t sequence;
    _Atomic uint64_t answered; /* submits that have their last answer, whatever it is */
    _Atomic uint64_t acknowledged;
    _Atomic uint64_t completed; /* submits of this run with an accepted result */
    gaps_t gaps;                /* of acknowledgements */
    marks_t acknowledged_marks; /* which submits of the run, by their number */
    marks_t completed_marks;
} run_t;

/* What one thread saw; added up at the end. Times in microseconds. */
typedef struct {
    histogram_t latency; /* of what was answered while measuring */
    uint64_t measured;
    uint64_t sent;
    uint64_t accepted; /* submits: acknowledged; results: accepted */
    uint64_t refused;
    uint64_t unknown;  /* never answered */
    uint64_t stale;    /* results that came too late: the work had gone elsewhere */
    uint64_t foreign;  /* work of others that was completed along the way */
    uint64_t repeated; /* results that were accepted for a submit that had one already */
    buffer_t
        ids; /* uint64_t: the random half of each acknowledged interaction's id, up to a bound */
    usec_t silence; /* longest time without an answer while some were due */
    char first_error[300];
} figures_t;

static inline run_phase_t run_phase(run_t *self)
{
    return (run_phase_t)atomic_load_explicit(&self->phase, memory_order_acquire);
}

/* CLOCK_MONOTONIC. */
usec_t run_now(void);

/* Keeps the first error of a thread. */
void figures_error(figures_t *self, const char *what, const char *sentence);
void figures_merge(figures_t *self, const figures_t *other);
void figures_free(figures_t *self);

#endif
