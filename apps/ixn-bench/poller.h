/* Poller: sleeps until one of several clients has something to do. */
#ifndef IXN_BENCH_POLLER_H
#define IXN_BENCH_POLLER_H

#include "core/client/client.h"

/* Waits at most `timeout_ms`, and never longer than a client wants. Call it only after
 * ixn_client_next said NONE for each (the descriptors are edge-triggered). */
void poller_wait(ixn_client_t *const *clients, size_t clients_len, int timeout_ms);

#endif
