/* Report: the figures of a run, for people and as one line of JSON. */
#ifndef IXN_BENCH_REPORT_H
#define IXN_BENCH_REPORT_H

#include "apps/ixn-bench/run.h"

typedef struct {
    const options_t *options;
    figures_t submits;
    figures_t results;
    double measured_seconds; /* how long was measured */
} report_t;

/* Every submit was acknowledged and, when there are built-in routers, completed. */
bool report_is_good(const report_t *self);
/* Prints both forms to standard output, the JSON last. */
void report_print(const report_t *self);

#endif
