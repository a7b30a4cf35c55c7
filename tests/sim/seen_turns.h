/* Seen turns: whose turn it was, strategy by strategy. While nothing disturbs the routers of a
 * strategy, of as many pieces of work as there are routers each gets one.
 */
#ifndef IXN_TESTS_SIM_SEEN_TURNS_H
#define IXN_TESTS_SIM_SEEN_TURNS_H

#include "core/wire/wire.h"
#include "tests/sim/checker.h"

typedef struct seen_turns seen_turns_t;

seen_turns_t *seen_turns_new(world_t *world);
void seen_turns_destroy(seen_turns_t **self_p);
/* Before the work counts as its router's. */
void seen_turns_dispatched(seen_turns_t *self, uint64_t index, const Ixn__V1__Dispatched *entry);

#endif
