/* Sink: one thread with some of the built-in routers. They take all work of the strategy and
 * complete it at once.
 */
#ifndef IXN_BENCH_SINK_H
#define IXN_BENCH_SINK_H

#include "apps/ixn-bench/run.h"

typedef struct sink sink_t;

/* Routers number `first` … `first + len - 1`. Starts the thread. NULL when a client or the record
 * cannot be made; says so on standard error. */
sink_t *sink_new(run_t *run, uint32_t first, uint32_t len);
/* Waits for the thread (the run must be at RUN_ENDING) and adds its figures. Takes NULL. */
void sink_destroy(sink_t **self_p, figures_t *figures);

#endif
