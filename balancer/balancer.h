/* Balancer: which router gets the next piece of work of a strategy. Tables in, choice out; it knows
 * nothing of interactions but whether one must be alone with its router. Pure.
 *
 * The rules:
 *   - candidates are the routers that run the strategy (loaded, and activated where it is stored);
 *   - with more than one, only those take part that have agent reservation on both sides (announced
 *     by the router, and in its annex in our configuration); if none has, the first by name works
 *     alone, so that two routers never reserve the same agent without knowing of each other;
 *   - among those that take part and are under their limits (how many at once, how many in a time):
 *     round robin by name, after the one that was chosen last for this strategy;
 *   - work that may be poison is given to a router that has nothing else, and nothing else is given
 *     to it meanwhile. If all are busy, one is drained for it, until it is given or gone
 *     (balancer_end_drain); the others go on with other work. When that one is empty the strategy
 *     is woken, and must be tried before all others.
 *
 * What one choice costs does not depend on how many routers and strategies there are. A router that
 * is full remembers which strategies would have chosen it; when it has room it wakes as many of
 * them as it has room for, the one that has waited longest first.
 */
#ifndef IXN_BALANCER_BALANCER_H
#define IXN_BALANCER_BALANCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/types.h"

typedef struct balancer balancer_t;
typedef uint32_t balancer_router_t;   /* handle of a connected router; used again after removal */
typedef uint32_t balancer_strategy_t; /* handle of a strategy's name; never used again */

typedef struct {
    text_t name;          /* copied */
    uint32_t limit;       /* most pieces of work at once; 0: none */
    uint32_t rate;        /* most in one interval; 0: no such limit */
    usec_t rate_interval; /* how long that is */
    bool announced;       /* agent reservation: the router's side */
    bool configured;      /* agent reservation: our side */
} balancer_router_options_t;

/* Why there is no router for a strategy, for people. */
typedef enum {
    BALANCER_CHOSEN,
    BALANCER_NOT_LOADED, /* no connected router runs it */
    BALANCER_ALL_FULL,   /* those that take part are at their limits */
    BALANCER_DRAINING,   /* waits until one router has nothing else */
} balancer_result_t;

balancer_t *balancer_new(void);
void balancer_destroy(balancer_t **self_p);
/* The time, for rates; never goes back. */
void balancer_set_time(balancer_t *self, usec_t now);

balancer_strategy_t balancer_strategy(balancer_t *self, text_t name); /* made when new */

balancer_router_t balancer_add_router(balancer_t *self, const balancer_router_options_t *options);
void balancer_remove_router(balancer_t *self, balancer_router_t router);
/* It runs the strategy from now on, or no longer. */
void balancer_load(balancer_t *self, balancer_router_t router, balancer_strategy_t strategy);
void balancer_unload(balancer_t *self, balancer_router_t router, balancer_strategy_t strategy);
bool balancer_runs(const balancer_t *self, balancer_router_t router, balancer_strategy_t strategy);
void balancer_set_limit(balancer_t *self, balancer_router_t router, uint32_t limit);
void balancer_set_rate(balancer_t *self, balancer_router_t router, uint32_t count, usec_t interval);
/* The configuration's side of agent reservation changed. */
void balancer_set_configured(balancer_t *self, balancer_router_t router, bool configured);

/* Chooses, and counts the work as given. `alone`: the work may be poison. */
balancer_result_t balancer_choose(balancer_t *self, balancer_strategy_t strategy, bool alone,
                                  balancer_router_t *ret_router);
/* The work that had to be alone is gone: no router is emptied for it any more. */
void balancer_end_drain(balancer_t *self, balancer_strategy_t strategy);
/* A router holds one more (work that it brought along, which may have to be alone with it), or one
 * less. */
void balancer_hold(balancer_t *self, balancer_router_t router, bool alone);
void balancer_give_back(balancer_t *self, balancer_router_t router);
const char *balancer_name(const balancer_t *self, balancer_router_t router);
uint32_t balancer_pending(const balancer_t *self, balancer_router_t router);
uint32_t balancer_limit(const balancer_t *self, balancer_router_t router);

/* The round robin goes on behind this router (which need not be connected). */
void balancer_set_last(balancer_t *self, balancer_strategy_t strategy, text_t router_name);

/* Strategies for which a choice may have become possible, each once, the one that has waited
 * longest first: take all of them, try each in this order, and ask again. `balancer_wake` first
 * looks which routers have room again. */
void balancer_wake(balancer_t *self);
bool balancer_next_woken(balancer_t *self, balancer_strategy_t *ret_strategy);

/* For people: does this router take part in this strategy, and if not, which side is missing. */
typedef enum {
    BALANCER_TAKES_PART,
    BALANCER_LACKS_STRATEGY,
    BALANCER_LACKS_ROUTER_SIDE,        /* the router did not announce agent reservation */
    BALANCER_LACKS_CONFIGURATION_SIDE, /* its annex does not say agent_reservation: true */
    BALANCER_LACKS_BOTH_SIDES,
} balancer_participation_t;
balancer_participation_t balancer_participation(const balancer_t *self, balancer_router_t router,
                                                balancer_strategy_t strategy);
/* … and if it does, why it gets nothing now: a sentence, or "" when it could. */
const char *balancer_obstacle(const balancer_t *self, balancer_router_t router);

#endif
