/* Seen rounds: whose turn it was among application servers, target by target. While nothing
 * disturbs the members of a pool, of as many requests as it has members each gets one: so their
 * counts differ by at most one.
 */
#ifndef IXN_TESTS_SIM_SEEN_ROUNDS_H
#define IXN_TESTS_SIM_SEEN_ROUNDS_H

#include "tests/sim/engine_file.h"
#include "tests/sim/seen_turns.h"

enum { ROUNDS_POOLS = 4 }; /* the cluster and the type, each with two services */

/* A value; `{0}` has seen nothing. */
typedef struct {
    turns_t turns[ROUNDS_POOLS];
    uint64_t healthy_at[SERVERS_MAX]; /* answered last when `router_changes` was this; 0: did not */
} seen_rounds_t;

/* The number of the pool that a request is for. */
size_t seen_rounds_pool(const Ixn__V1__ServiceRequested *entry);
/* A request goes to a server; `busy` is how many each had before. */
void seen_rounds_sent(seen_rounds_t *self, const checker_t *checker, uint64_t index, size_t pool,
                      const char *server, const uint32_t busy[SERVERS_MAX]);
/* A request that a server had has ended; `good`: with an answer of its own. */
void seen_rounds_ended(seen_rounds_t *self, const checker_t *checker, const char *server,
                       bool good);
/* The place of a server among servers, from its name. */
size_t seen_rounds_place(const char *server);

#endif
