/* Seen turns: whose turn it was, strategy by strategy. While nothing disturbs the routers of a
 * strategy, of as many pieces of work as there are routers each gets one.
 */
#ifndef IXN_TESTS_SIM_SEEN_TURNS_H
#define IXN_TESTS_SIM_SEEN_TURNS_H

#include "core/wire/wire.h"
#include "tests/sim/checker.h"

/* Who had the newest turns of one round; `{0}`: nobody. */
enum { TURNS_MAX = 3 };
typedef struct {
    char last[TURNS_MAX][LIMIT_NAME + 1]; /* a ring */
    size_t len;
    uint64_t changes; /* world.router_changes, as of the newest turn */
} turns_t;
/* One of `others` + 1 has its turn. False: it had one before each of the others. */
bool turns_took(turns_t *self, const world_t *world, size_t others, const char *name);

typedef struct seen_turns seen_turns_t;

seen_turns_t *seen_turns_new(world_t *world);
void seen_turns_destroy(seen_turns_t **self_p);
/* Before the work counts as its router's. */
void seen_turns_dispatched(seen_turns_t *self, uint64_t index, const Ixn__V1__Dispatched *entry);

#endif
