/* Report: the figures of a run, for people and as one line of JSON. */
#ifndef IXN_BENCH_REPORT_H
#define IXN_BENCH_REPORT_H

#include "apps/ixn-bench/run.h"

typedef struct {
    const options_t *options;
    figures_t submits;
    figures_t results;
    double measured_seconds; /* how long was measured */
    uint64_t gaps;           /* times without an acknowledgement while some were due … */
    usec_t longest_gap;
    uint64_t lost;       /* acknowledged, but no result was accepted */
    uint64_t shared_ids; /* acknowledged with an id that another submit has, too */
} report_t;

/* Takes over what the threads have left in the run. */
void report_take(report_t *self, run_t *run);
/* Every submit was acknowledged and, when there are built-in routers, completed, each once. */
bool report_is_good(const report_t *self);
/* Prints both forms to standard output, the JSON last. */
void report_print(const report_t *self);

#endif
