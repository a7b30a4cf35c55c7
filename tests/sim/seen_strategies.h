/* Seen strategies: which versions of strategies the log has stored, and where they are activated;
 * kept by the checker.
 */
#ifndef IXN_TESTS_SIM_SEEN_STRATEGIES_H
#define IXN_TESTS_SIM_SEEN_STRATEGIES_H

#include "core/wire/wire.h"
#include "tests/sim/world.h"

typedef struct seen_strategies seen_strategies_t;

seen_strategies_t *seen_strategies_new(world_t *world);
void seen_strategies_destroy(seen_strategies_t **self_p);
/* The log is read from its beginning again. */
void seen_strategies_forget(seen_strategies_t *self);

/* Entries of the log. */
void seen_strategies_put(seen_strategies_t *self, uint64_t index,
                         const Ixn__V1__StrategyPut *entry);
void seen_strategies_removed(seen_strategies_t *self, const Ixn__V1__StrategyRemoved *entry);
void seen_strategies_activated(seen_strategies_t *self, uint64_t index,
                               const Ixn__V1__StrategyActivated *entry);
void seen_strategies_deactivated(seen_strategies_t *self,
                                 const Ixn__V1__StrategyDeactivated *entry);
/* Work goes to a router: it has the strategy activated, or nobody stored it. */
void seen_strategies_dispatched(seen_strategies_t *self, uint64_t index,
                                const Ixn__V1__Dispatched *entry);
bool seen_strategies_is_stored(const seen_strategies_t *self, const char *name);

/* A node lets this go: what it says of a version is what was stored. */
void seen_strategies_told(seen_strategies_t *self, int node, const char *talker,
                          const Ixn__V1__Strategy *strategy);
void seen_strategies_told_load(seen_strategies_t *self, int node, const char *talker,
                               const Ixn__V1__LoadStrategy *load);
/* An operator was told that its body is that version. */
bool seen_strategies_is_body(const seen_strategies_t *self, const char *name, uint32_t version,
                             const char *body);

#endif
