/* choice-cost: chooses a router again and again, for callgrind to count what one choice costs, its
 * giving back and what that wakes included. All routers run all strategies; strategies take turns.
 * cost.py runs it.
 *
 *   choice-cost room|full ROUTERS STRATEGIES WARMUP COUNT
 *
 * room: every router has room. full: each may have one piece of work, and all but one have it, so
 * that each choice takes the one that was given back last.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include "balancer/balancer.h"
#include "core/base/alloc.h"
#include "core/base/check.h"

typedef struct {
    balancer_t *balancer;
    balancer_router_t *routers;
    size_t routers_len;
    size_t strategies_len;
    balancer_router_t *held; /* a ring of what was chosen: as many as there may be at once */
    size_t held_first;
    size_t held_len;
    size_t held_max;
    size_t next; /* strategy */
} cost_t;

static balancer_strategy_t s_strategy(const cost_t *self, size_t number)
{
    char name[32];
    return balancer_strategy(
        self->balancer,
        (text_t){name, (size_t)snprintf(name, sizeof name, "strategy-%04zu", number)});
}

static void s_start(cost_t *self, bool full)
{
    self->balancer = balancer_new();
    self->routers = memory_new(self->routers_len * sizeof *self->routers);
    self->held_max = full ? self->routers_len - 1 : 1;
    self->held = memory_new((self->held_max + 1) * sizeof *self->held);
    for (size_t i = 0; i < self->strategies_len; i++)
        s_strategy(self, i);
    for (size_t i = 0; i < self->routers_len; i++) {
        char name[32];
        const balancer_router_options_t options = {
            .name = {name, (size_t)snprintf(name, sizeof name, "router-%04zu", i)},
            .limit = full ? 1 : 1000,
            .announced = true,
            .configured = true};
        self->routers[i] = balancer_add_router(self->balancer, &options);
        for (size_t j = 0; j < self->strategies_len; j++)
            balancer_load(self->balancer, self->routers[i], (balancer_strategy_t)j);
    }
}

/* One router more is chosen; where enough are out, the oldest comes back. */
static void s_choose(cost_t *self)
{
    balancer_router_t router;
    balancer_strategy_t woken;
    const balancer_result_t result =
        balancer_choose(self->balancer, (balancer_strategy_t)self->next, false, &router);
    CHECK(result == BALANCER_CHOSEN);
    self->next = self->next + 1 < self->strategies_len ? self->next + 1 : 0;
    self->held[(self->held_first + self->held_len++) % (self->held_max + 1)] = router;
    if (self->held_len <= self->held_max)
        return;
    balancer_give_back(self->balancer, self->held[self->held_first]);
    self->held_first = (self->held_first + 1) % (self->held_max + 1);
    self->held_len--;
    balancer_wake(self->balancer);
    while (balancer_next_woken(self->balancer, &woken))
        continue;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: choice-cost room|full ROUTERS STRATEGIES WARMUP COUNT\n");
        return 2;
    }
    cost_t self = {.routers_len = (size_t)strtoul(argv[2], NULL, 10),
                   .strategies_len = (size_t)strtoul(argv[3], NULL, 10)};
    s_start(&self, strcmp(argv[1], "full") == 0);
    for (unsigned long i = strtoul(argv[4], NULL, 10); i > 0; i--)
        s_choose(&self);
    CALLGRIND_TOGGLE_COLLECT;
    for (unsigned long i = strtoul(argv[5], NULL, 10); i > 0; i--)
        s_choose(&self);
    CALLGRIND_TOGGLE_COLLECT;
    balancer_destroy(&self.balancer);
    free(self.routers);
    free(self.held);
    return 0;
}
