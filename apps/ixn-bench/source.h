/* Source: one thread with some of the submitters. Each keeps its window full (or the rate, when one
 * is asked for) until the run drains, then waits for its last answers.
 */
#ifndef IXN_BENCH_SOURCE_H
#define IXN_BENCH_SOURCE_H

#include "apps/ixn-bench/run.h"

typedef struct source source_t;

/* Submitters number `first` … `first + len - 1`. Starts the thread. NULL when a client or the
 * record cannot be made; says so on standard error. */
source_t *source_new(run_t *run, uint32_t first, uint32_t len);
/* Waits for the thread (the run must be at RUN_ENDING) and adds its figures. Takes NULL. */
void source_destroy(source_t **self_p, figures_t *figures);

#endif
