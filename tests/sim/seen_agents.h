/* Seen agents: what the log has of reservations, which requests for them are with the serving node,
 * and which grants routers were told of; kept by the checker.
 */
#ifndef IXN_TESTS_SIM_SEEN_AGENTS_H
#define IXN_TESTS_SIM_SEEN_AGENTS_H

#include "core/wire/wire.h"
#include "tests/sim/checker.h"

typedef struct seen_agents seen_agents_t;

seen_agents_t *seen_agents_new(world_t *world);
void seen_agents_destroy(seen_agents_t **self_p);
/* The log is read from its beginning again; what routers were told stays. */
void seen_agents_forget(seen_agents_t *self);

/* Entries of the log, at `index` in `batch`. */
void seen_agents_reserved(seen_agents_t *self, const batch_t *batch, uint64_t index,
                          seen_t *interaction, const Ixn__V1__AgentReserved *entry);
void seen_agents_released(seen_agents_t *self, const Ixn__V1__AgentReleased *entry);
/* A result names an agent: it has to be kept for this work. */
void seen_agents_chosen(seen_agents_t *self, const batch_t *batch, uint64_t index,
                        const seen_t *interaction, const char *agent);

/* The serving node, in this life and epoch, is handed a router's request for an agent; its log ends
 * at `index` then. It is no longer with it once it is answered, or when the node is gone. */
void seen_agents_asked(seen_agents_t *self, int node, uint64_t life, size_t talker,
                       uint64_t request, uint64_t epoch, uint64_t index,
                       const Ixn__V1__Reserve *body);
void seen_agents_answered(seen_agents_t *self, int node, size_t talker, uint64_t request);
void seen_agents_gone(seen_agents_t *self, size_t talker); /* its session may end */
/* A node lets a grant go. */
void seen_agents_told(seen_agents_t *self, int node, const char *router,
                      const Ixn__V1__Granted *granted);
/* A router hears of it. It counts the time from when it asked. */
void seen_agents_heard(seen_agents_t *self, const char *router, usec_t asked_at,
                       const Ixn__V1__Granted *granted);

#endif
