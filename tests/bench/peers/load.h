/* Load: submitters that each keep a window of work outstanding, and workers that complete it at
 * once. Two threads: one has all submitters, one all workers. Work is outstanding until it is
 * acknowledged and, with workers, until its end is known to be safe: a closed loop.
 */
#ifndef IXN_BENCH_PEERS_LOAD_H
#define IXN_BENCH_PEERS_LOAD_H

#include "apps/ixn-bench/parts/histogram.h"
#include "tests/bench/peers/peer.h"

typedef struct {
    const peer_t *peer;
    peer_target_t target;
    uint32_t clients;
    uint32_t window;
    uint32_t workers; /* 0: submits only */
    uint32_t payload;
    double warmup_seconds;
    double seconds;
} load_options_t;

/* Of what ended while it was measured. Microseconds. */
typedef struct {
    uint64_t count;
    double seconds;
    double cpu_seconds;  /* of this program */
    histogram_t latency; /* from the submit to its end; without workers to its acknowledgement */
    histogram_t acknowledged;
} load_figures_t;

/* Ends the program with a sentence when something stays without an answer. */
void load_run(const load_options_t *options, load_figures_t *ret_figures);

#endif
