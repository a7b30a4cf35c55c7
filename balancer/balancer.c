#include "balancer/balancer.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/limits.h"

/* Members of a strategy are sorted by name; a bit for each says "may be chosen". A bit is cleared
 * when a choice finds its router full, and set again when the router has room: a choice costs the
 * same with two routers and with five hundred, and a router with a thousand strategies does not
 * touch a thousand tables at each piece of work. */

enum { NONE = UINT32_MAX };

typedef struct {
    bool used;
    char name[LIMIT_NAME + 1];
    uint32_t limit;
    uint32_t pending;
    bool announced;
    bool configured;
    bool exclusive;   /* holds work that must be alone, or is being drained for it */
    uint32_t *loaded; /* strategies */
    size_t loaded_len;
    size_t loaded_capacity;
    bool cleared; /* some strategy's bit was cleared because of this router */
} router_t;

typedef struct {
    UT_hash_handle hh;
    uint32_t number;
    char name[LIMIT_NAME + 1];
    uint32_t *members; /* router handles, sorted by name */
    size_t members_len;
    size_t members_capacity;
    uint64_t *available; /* bit i: members[i] may be chosen */
    char last[LIMIT_NAME + 1];
    size_t cursor;    /* the member to begin at */
    uint32_t drained; /* router that is being drained for lone work, or NONE */
    bool woken;
} strategy_t;

struct balancer {
    router_t *routers;
    size_t routers_len;
    strategy_t **strategies;
    size_t strategies_len;
    strategy_t *by_name;
    uint32_t *woken;
    size_t woken_len;
};

static void s_wake(balancer_t *self, strategy_t *strategy)
{
    if (strategy->woken)
        return;
    strategy->woken = true;
    self->woken[self->woken_len++] = strategy->number;
}

static void s_set_bit(strategy_t *strategy, size_t at, bool value)
{
    CHECK(strategy->available);
    uint64_t bit = UINT64_C(1) << (at % 64);
    if (value)
        strategy->available[at / 64] |= bit;
    else
        strategy->available[at / 64] &= ~bit;
}

/* The first set bit at or after `from`, or NONE. */
static size_t s_next_bit(const strategy_t *strategy, size_t from)
{
    size_t words = (strategy->members_len + 63) / 64;
    for (size_t word = from / 64; word < words; word++) {
        uint64_t bits = strategy->available[word];
        if (word == from / 64)
            bits &= UINT64_MAX << (from % 64);
        if (bits)
            return word * 64 + (size_t)__builtin_ctzll(bits);
    }
    return NONE;
}

static bool s_both_sides(const router_t *router)
{
    return router->announced && router->configured;
}

/* Sets all bits of a strategy anew after its members or their flags changed. */
static void s_refresh(balancer_t *self, strategy_t *strategy)
{
    size_t both = 0;
    for (size_t i = 0; i < strategy->members_len; i++)
        both += s_both_sides(&self->routers[strategy->members[i]]);
    /* No bit beyond the members may stay set. */
    if (strategy->available)
        memset(strategy->available, 0, (strategy->members_capacity + 63) / 64 * sizeof(uint64_t));
    strategy->cursor = strategy->members_len;
    for (size_t i = 0; i < strategy->members_len; i++) {
        const router_t *router = &self->routers[strategy->members[i]];
        s_set_bit(strategy, i, both ? s_both_sides(router) : i == 0);
        if (strategy->cursor == strategy->members_len && strcmp(router->name, strategy->last) > 0)
            strategy->cursor = i;
    }
    s_wake(self, strategy);
}

static void s_refresh_loaded(balancer_t *self, const router_t *router)
{
    for (size_t i = 0; i < router->loaded_len; i++)
        s_refresh(self, self->strategies[router->loaded[i]]);
}

/* A router has room again: what was cleared because of it may be chosen again. */
static void s_has_room(balancer_t *self, router_t *router)
{
    if (!router->cleared)
        return;
    router->cleared = false;
    s_refresh_loaded(self, router);
}

balancer_t *balancer_new(void)
{
    return memory_zero(1, sizeof(balancer_t));
}

void balancer_destroy(balancer_t **self_p)
{
    balancer_t *self = *self_p;
    if (!self)
        return;
    HASH_CLEAR(hh, self->by_name);
    for (size_t i = 0; i < self->strategies_len; i++) {
        free(self->strategies[i]->members);
        free(self->strategies[i]->available);
        free(self->strategies[i]);
    }
    for (size_t i = 0; i < self->routers_len; i++)
        free(self->routers[i].loaded);
    free(self->strategies);
    free(self->routers);
    free(self->woken);
    free(self);
    *self_p = NULL;
}

static void s_copy_name(char out[LIMIT_NAME + 1], text_t name)
{
    CHECK(name.len <= LIMIT_NAME);
    memcpy(out, name.data, name.len);
    out[name.len] = 0;
}

balancer_strategy_t balancer_strategy(balancer_t *self, text_t name)
{
    strategy_t *strategy = NULL;
    HASH_FIND(hh, self->by_name, name.data, name.len, strategy);
    if (strategy)
        return strategy->number;
    strategy = memory_zero(1, sizeof *strategy);
    s_copy_name(strategy->name, name);
    strategy->number = (uint32_t)self->strategies_len;
    strategy->drained = NONE;
    size_t len = ++self->strategies_len;
    self->strategies = memory_resize(self->strategies, len * sizeof *self->strategies);
    self->woken = memory_resize(self->woken, len * sizeof *self->woken);
    self->strategies[strategy->number] = strategy;
    HASH_ADD_KEYPTR(hh, self->by_name, strategy->name, name.len, strategy);
    return strategy->number;
}

balancer_router_t balancer_add_router(balancer_t *self, const balancer_router_options_t *options)
{
    uint32_t handle = 0;
    while (handle < self->routers_len && self->routers[handle].used)
        handle++;
    if (handle == self->routers_len) {
        self->routers =
            memory_resize(self->routers, (self->routers_len + 1) * sizeof *self->routers);
        self->routers[self->routers_len++] = (router_t){0};
    }
    router_t *router = &self->routers[handle];
    *router = (router_t){.used = true,
                         .limit = options->limit,
                         .announced = options->announced,
                         .configured = options->configured};
    s_copy_name(router->name, options->name);
    return handle;
}

static size_t s_position(const balancer_t *self, const strategy_t *strategy, uint32_t router)
{
    for (size_t i = 0; i < strategy->members_len; i++)
        if (strategy->members[i] == router)
            return i;
    (void)self;
    return NONE;
}

void balancer_load(balancer_t *self, balancer_router_t handle, balancer_strategy_t number)
{
    strategy_t *strategy = self->strategies[number];
    router_t *router = &self->routers[handle];
    if (s_position(self, strategy, handle) != NONE)
        return;
    if (strategy->members_len == strategy->members_capacity) {
        strategy->members_capacity = strategy->members_capacity * 2 + 64;
        strategy->members = memory_resize(strategy->members,
                                          strategy->members_capacity * sizeof *strategy->members);
        strategy->available = memory_resize(strategy->available, (strategy->members_capacity + 63) /
                                                                     64 * sizeof(uint64_t));
    }
    size_t at = strategy->members_len++;
    for (; at > 0 && strcmp(self->routers[strategy->members[at - 1]].name, router->name) > 0; at--)
        strategy->members[at] = strategy->members[at - 1];
    strategy->members[at] = handle;
    if (router->loaded_len == router->loaded_capacity) {
        router->loaded_capacity = router->loaded_capacity * 2 + 8;
        router->loaded =
            memory_resize(router->loaded, router->loaded_capacity * sizeof *router->loaded);
    }
    router->loaded[router->loaded_len++] = number;
    s_refresh(self, strategy);
}

/* Lone work no longer waits for this router. */
static void s_end_drain(balancer_t *self, uint32_t handle)
{
    for (size_t i = 0; i < self->routers[handle].loaded_len; i++) {
        strategy_t *strategy = self->strategies[self->routers[handle].loaded[i]];
        if (strategy->drained == handle)
            strategy->drained = NONE;
    }
}

static void s_leave(balancer_t *self, strategy_t *strategy, uint32_t handle)
{
    size_t at = s_position(self, strategy, handle);
    CHECK(at != NONE);
    strategy->members_len--;
    memmove(strategy->members + at, strategy->members + at + 1,
            (strategy->members_len - at) * sizeof *strategy->members);
    if (strategy->drained == handle) {
        strategy->drained = NONE;
        self->routers[handle].exclusive = false;
    }
    s_refresh(self, strategy);
}

void balancer_unload(balancer_t *self, balancer_router_t handle, balancer_strategy_t number)
{
    router_t *router = &self->routers[handle];
    for (size_t i = 0; i < router->loaded_len; i++) {
        if (router->loaded[i] != number)
            continue;
        router->loaded[i] = router->loaded[--router->loaded_len];
        s_leave(self, self->strategies[number], handle);
        s_has_room(self, router);
        return;
    }
}

void balancer_remove_router(balancer_t *self, balancer_router_t handle)
{
    router_t *router = &self->routers[handle];
    while (router->loaded_len > 0)
        s_leave(self, self->strategies[router->loaded[--router->loaded_len]], handle);
    free(router->loaded);
    *router = (router_t){0};
}

void balancer_set_limit(balancer_t *self, balancer_router_t handle, uint32_t limit)
{
    self->routers[handle].limit = limit;
    s_has_room(self, &self->routers[handle]);
}

void balancer_set_configured(balancer_t *self, balancer_router_t handle, bool configured)
{
    self->routers[handle].configured = configured;
    s_refresh_loaded(self, &self->routers[handle]);
}

static bool s_can_take(const router_t *router)
{
    return router->pending < router->limit && !router->exclusive;
}

static void s_chosen(balancer_t *self, strategy_t *strategy, size_t at)
{
    router_t *router = &self->routers[strategy->members[at]];
    router->pending++;
    memcpy(strategy->last, router->name, sizeof strategy->last);
    strategy->cursor = at + 1;
}

/* The next in turn that takes part and has room; clears the bits of those that have none. */
static size_t s_next_in_turn(balancer_t *self, strategy_t *strategy)
{
    size_t at = s_next_bit(strategy, strategy->cursor);
    if (at == NONE)
        at = s_next_bit(strategy, 0);
    while (at != NONE) {
        router_t *router = &self->routers[strategy->members[at]];
        if (s_can_take(router))
            return at;
        s_set_bit(strategy, at, false);
        router->cleared = true;
        at = s_next_bit(strategy, at + 1);
        if (at == NONE)
            at = s_next_bit(strategy, 0);
    }
    return NONE;
}

/* A router that takes part and has nothing; otherwise drains the one that has least. */
static balancer_result_t s_choose_alone(balancer_t *self, strategy_t *strategy, size_t *ret_at)
{
    size_t best = NONE;
    for (size_t i = 0; i < strategy->members_len; i++) {
        const router_t *router = &self->routers[strategy->members[i]];
        if (router->limit == 0 || (router->exclusive && strategy->members[i] != strategy->drained))
            continue;
        if (balancer_participation(self, strategy->members[i], strategy->number) !=
            BALANCER_TAKES_PART)
            continue;
        if (best == NONE || router->pending < self->routers[strategy->members[best]].pending)
            best = i;
    }
    if (best == NONE)
        return BALANCER_ALL_FULL;
    router_t *router = &self->routers[strategy->members[best]];
    if (router->pending > 0) {
        if (strategy->drained == NONE) {
            router->exclusive = true;
            router->cleared = true;
            strategy->drained = strategy->members[best];
        }
        return BALANCER_DRAINING;
    }
    if (strategy->drained != NONE && strategy->drained != strategy->members[best]) {
        /* Another one became idle first: the drained one goes back to work. */
        self->routers[strategy->drained].exclusive = false;
        s_has_room(self, &self->routers[strategy->drained]);
    }
    strategy->drained = NONE;
    router->exclusive = true;
    router->cleared = true;
    *ret_at = best;
    return BALANCER_CHOSEN;
}

balancer_result_t balancer_choose(balancer_t *self, balancer_strategy_t number, bool alone,
                                  balancer_router_t *ret_router)
{
    strategy_t *strategy = self->strategies[number];
    if (strategy->members_len == 0)
        return BALANCER_NOT_LOADED;
    size_t at = NONE;
    if (alone) {
        balancer_result_t result = s_choose_alone(self, strategy, &at);
        if (result != BALANCER_CHOSEN)
            return result;
    } else {
        at = s_next_in_turn(self, strategy);
        if (at == NONE)
            return BALANCER_ALL_FULL;
    }
    s_chosen(self, strategy, at);
    *ret_router = strategy->members[at];
    return BALANCER_CHOSEN;
}

void balancer_hold(balancer_t *self, balancer_router_t handle)
{
    self->routers[handle].pending++;
}

void balancer_give_back(balancer_t *self, balancer_router_t handle)
{
    router_t *router = &self->routers[handle];
    CHECK(router->pending > 0);
    router->pending--;
    if (router->exclusive) {
        if (router->pending > 0)
            return;
        /* Drained (lone work waits for exactly this), or the lone work is done. */
        router->exclusive = false;
        s_end_drain(self, handle);
    }
    s_has_room(self, router);
}

const char *balancer_name(const balancer_t *self, balancer_router_t router)
{
    return self->routers[router].name;
}

uint32_t balancer_pending(const balancer_t *self, balancer_router_t router)
{
    return self->routers[router].pending;
}

void balancer_set_last(balancer_t *self, balancer_strategy_t number, text_t router_name)
{
    strategy_t *strategy = self->strategies[number];
    s_copy_name(strategy->last, router_name);
    s_refresh(self, strategy);
}

bool balancer_next_woken(balancer_t *self, balancer_strategy_t *ret_strategy)
{
    if (self->woken_len == 0)
        return false;
    *ret_strategy = self->woken[--self->woken_len];
    self->strategies[*ret_strategy]->woken = false;
    return true;
}

balancer_participation_t balancer_participation(const balancer_t *self, balancer_router_t handle,
                                                balancer_strategy_t number)
{
    const strategy_t *strategy = self->strategies[number];
    size_t at = s_position(self, strategy, handle);
    if (at == NONE)
        return BALANCER_LACKS_STRATEGY;
    size_t both = 0;
    for (size_t i = 0; i < strategy->members_len; i++)
        both += s_both_sides(&self->routers[strategy->members[i]]);
    const router_t *router = &self->routers[handle];
    if (both ? s_both_sides(router) : at == 0)
        return BALANCER_TAKES_PART;
    if (router->announced)
        return BALANCER_LACKS_CONFIGURATION_SIDE;
    return router->configured ? BALANCER_LACKS_ROUTER_SIDE : BALANCER_LACKS_BOTH_SIDES;
}
