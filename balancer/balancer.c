#include "balancer/balancer.h"

#include <stdlib.h>
#include <string.h>

#include "balancer/rate.h"
#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/table.h"

/* Members of a strategy are sorted by name; a bit for each says "may be chosen". A choice that
 * finds a router full clears its bit and puts the strategy into that router's line; when the router
 * has room, as many strategies leave the line as it has room for. So a choice costs the same with
 * two routers and with five hundred, and a router that runs a thousand strategies does not touch a
 * thousand tables at each piece of work. */

enum { NONE = UINT32_MAX };

typedef struct {
    bool used;
    char name[LIMIT_NAME + 1];
    uint32_t limit;
    uint32_t pending;
    rate_t rate;
    bool announced;
    bool configured;
    bool exclusive;   /* holds work that must be alone, or is being drained for it */
    uint32_t *loaded; /* strategies */
    size_t loaded_len;
    size_t loaded_capacity;
    uint32_t *line; /* strategies that found it full, a ring; each at most once */
    size_t line_first;
    size_t line_len;
    size_t line_capacity;
    bool noted; /* in `roomy` */
} router_t;

typedef struct {
    uint32_t router;
    bool waits; /* the strategy is in the router's line */
} member_t;

typedef struct {
    UT_hash_handle hh;
    uint32_t number;
    char name[LIMIT_NAME + 1];
    member_t *members; /* sorted by name */
    size_t members_len;
    size_t members_capacity;
    size_t both;         /* members with agent reservation on both sides */
    uint64_t *available; /* bit i: members[i] may be chosen */
    bool stale;          /* members or their sides changed: the bits are to be set anew */
    char last[LIMIT_NAME + 1];
    size_t cursor;    /* the member to begin at */
    uint32_t drained; /* router that is being drained for lone work, or NONE */
    bool woken;
} strategy_t;

struct balancer {
    usec_t now;
    router_t *routers;
    size_t routers_len;
    strategy_t **strategies;
    size_t strategies_len;
    size_t strategies_capacity;
    strategy_t *by_name;
    uint32_t *woken; /* the one that has waited longest first */
    size_t woken_at; /* those before it were told */
    size_t woken_len;
    uint32_t *roomy; /* routers whose line is to be looked at */
    size_t roomy_len;
};

static void s_wake(balancer_t *self, strategy_t *strategy)
{
    if (strategy->woken)
        return;
    strategy->woken = true;
    if (self->woken_len == self->strategies_capacity) {
        self->woken_len -= self->woken_at;
        memmove(self->woken, self->woken + self->woken_at, self->woken_len * sizeof *self->woken);
        self->woken_at = 0;
    }
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

/* The place of a name among the members, or where it would be. */
static size_t s_place(const balancer_t *self, const strategy_t *strategy, const char *name)
{
    size_t first = 0, last = strategy->members_len;
    while (first < last) {
        size_t middle = (first + last) / 2;
        if (strcmp(self->routers[strategy->members[middle].router].name, name) < 0)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

static size_t s_position(const balancer_t *self, const strategy_t *strategy, uint32_t router)
{
    size_t at = s_place(self, strategy, self->routers[router].name);
    return at < strategy->members_len && strategy->members[at].router == router ? at : NONE;
}

static bool s_takes_part(const balancer_t *self, const strategy_t *strategy, size_t at)
{
    const router_t *router = &self->routers[strategy->members[at].router];
    return strategy->both ? s_both_sides(router) : at == 0;
}

/* Members or their sides changed: all bits are set anew at the next choice. */
static void s_outdate(balancer_t *self, strategy_t *strategy)
{
    strategy->stale = true;
    s_wake(self, strategy);
}

static void s_refresh(balancer_t *self, strategy_t *strategy)
{
    strategy->stale = false;
    /* No bit beyond the members may stay set. */
    if (strategy->available)
        memset(strategy->available, 0, (strategy->members_capacity + 63) / 64 * sizeof(uint64_t));
    for (size_t i = 0; i < strategy->members_len; i++)
        if (!strategy->members[i].waits && s_takes_part(self, strategy, i))
            s_set_bit(strategy, i, true);
    size_t at = s_place(self, strategy, strategy->last);
    bool there = at < strategy->members_len &&
                 strcmp(self->routers[strategy->members[at].router].name, strategy->last) == 0;
    strategy->cursor = at + there;
}

static void s_outdate_loaded(balancer_t *self, const router_t *router)
{
    for (size_t i = 0; i < router->loaded_len; i++)
        s_outdate(self, self->strategies[router->loaded[i]]);
}

/* ---- The line of a router ---- */

static bool s_can_take(const balancer_t *self, const router_t *router)
{
    return router->pending < router->limit && !router->exclusive &&
           rate_opens_at(&router->rate, self->now) == 0;
}

static void s_note_room(balancer_t *self, router_t *router)
{
    if (router->noted || router->line_len == 0)
        return;
    router->noted = true;
    self->roomy[self->roomy_len++] = (uint32_t)(router - self->routers);
}

static void s_queue_up(balancer_t *self, strategy_t *strategy, size_t at)
{
    router_t *router = &self->routers[strategy->members[at].router];
    s_set_bit(strategy, at, false);
    if (strategy->members[at].waits)
        return;
    strategy->members[at].waits = true;
    if (router->line_len == router->line_capacity) {
        size_t capacity = router->line_capacity * 2 + 16;
        uint32_t *line = memory_new(capacity * sizeof *line);
        for (size_t i = 0; i < router->line_len; i++)
            line[i] = router->line[(router->line_first + i) % router->line_capacity];
        free(router->line);
        router->line = line;
        router->line_first = 0;
        router->line_capacity = capacity;
    }
    router->line[(router->line_first + router->line_len++) % router->line_capacity] =
        strategy->number;
    if (router->rate.count > 0)
        s_note_room(self, router); /* it opens by itself */
}

/* It has left the line, and may be chosen again. */
static void s_let(const balancer_t *self, strategy_t *strategy, size_t at)
{
    strategy->members[at].waits = false;
    if (!strategy->stale && s_takes_part(self, strategy, at))
        s_set_bit(strategy, at, true);
}

/* The strategy that has waited longest may choose this router again. */
static void s_let_one(balancer_t *self, router_t *router)
{
    strategy_t *strategy = self->strategies[router->line[router->line_first]];
    router->line_first = (router->line_first + 1) % router->line_capacity;
    router->line_len--;
    size_t at = s_position(self, strategy, (uint32_t)(router - self->routers));
    CHECK(at != NONE);
    s_let(self, strategy, at);
    s_wake(self, strategy);
}

static void s_leave_line(router_t *router, uint32_t number)
{
    size_t kept = 0;
    for (size_t i = 0; i < router->line_len; i++) {
        uint32_t waiting = router->line[(router->line_first + i) % router->line_capacity];
        if (waiting != number)
            router->line[(router->line_first + kept++) % router->line_capacity] = waiting;
    }
    router->line_len = kept;
}

void balancer_wake(balancer_t *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->roomy_len; i++) {
        router_t *router = &self->routers[self->roomy[i]];
        if (s_can_take(self, router)) {
            uint32_t room = router->limit - router->pending;
            for (; room > 0 && router->line_len > 0; room--)
                s_let_one(self, router);
        }
        /* Of one that is full, work that comes back tells. */
        router->noted =
            router->line_len > 0 && (router->rate.count > 0 || s_can_take(self, router));
        if (router->noted)
            self->roomy[kept++] = self->roomy[i];
    }
    self->roomy_len = kept;
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
    for (size_t i = 0; i < self->routers_len; i++) {
        free(self->routers[i].loaded);
        free(self->routers[i].line);
        rate_free(&self->routers[i].rate);
    }
    free(self->strategies);
    free(self->routers);
    free(self->woken);
    free(self->roomy);
    free(self);
    *self_p = NULL;
}

void balancer_set_time(balancer_t *self, usec_t now)
{
    self->now = now;
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
    if (self->strategies_len == self->strategies_capacity) {
        self->strategies_capacity = self->strategies_capacity * 2 + 64;
        self->strategies =
            memory_resize(self->strategies, self->strategies_capacity * sizeof *self->strategies);
        self->woken = memory_resize(self->woken, self->strategies_capacity * sizeof *self->woken);
    }
    self->strategies[self->strategies_len++] = strategy;
    HASH_ADD_KEYPTR(hh, self->by_name, strategy->name, name.len, strategy);
    return strategy->number;
}

balancer_router_t balancer_add_router(balancer_t *self, const balancer_router_options_t *options)
{
    uint32_t handle = 0;
    while (handle < self->routers_len &&
           (self->routers[handle].used || self->routers[handle].noted))
        handle++;
    if (handle == self->routers_len) {
        size_t len = ++self->routers_len;
        self->routers = memory_resize(self->routers, len * sizeof *self->routers);
        self->roomy = memory_resize(self->roomy, len * sizeof *self->roomy);
    }
    router_t *router = &self->routers[handle];
    *router = (router_t){.used = true,
                         .limit = options->limit,
                         .announced = options->announced,
                         .configured = options->configured};
    rate_set(&router->rate, options->rate, options->rate_interval);
    s_copy_name(router->name, options->name);
    return handle;
}

void balancer_load(balancer_t *self, balancer_router_t handle, balancer_strategy_t number)
{
    strategy_t *strategy = self->strategies[number];
    router_t *router = &self->routers[handle];
    size_t at = s_place(self, strategy, router->name);
    if (at < strategy->members_len && strategy->members[at].router == handle)
        return;
    if (strategy->members_len == strategy->members_capacity) {
        strategy->members_capacity = strategy->members_capacity * 2 + 64;
        strategy->members = memory_resize(strategy->members,
                                          strategy->members_capacity * sizeof *strategy->members);
        strategy->available = memory_resize(strategy->available, (strategy->members_capacity + 63) /
                                                                     64 * sizeof(uint64_t));
    }
    memmove(strategy->members + at + 1, strategy->members + at,
            (strategy->members_len - at) * sizeof *strategy->members);
    strategy->members[at] = (member_t){.router = handle};
    strategy->members_len++;
    strategy->both += s_both_sides(router);
    if (router->loaded_len == router->loaded_capacity) {
        router->loaded_capacity = router->loaded_capacity * 2 + 8;
        router->loaded =
            memory_resize(router->loaded, router->loaded_capacity * sizeof *router->loaded);
    }
    router->loaded[router->loaded_len++] = number;
    s_outdate(self, strategy);
}

bool balancer_runs(const balancer_t *self, balancer_router_t router, balancer_strategy_t strategy)
{
    return s_position(self, self->strategies[strategy], router) != NONE;
}

/* The router is empty, as lone work has waited for: its strategy may choose it before those that
 * are in line, or whatever else there is would come first again and again. */
static void s_let_drained(balancer_t *self, uint32_t handle)
{
    router_t *router = &self->routers[handle];
    for (size_t i = 0; i < router->loaded_len; i++) {
        strategy_t *strategy = self->strategies[router->loaded[i]];
        if (strategy->drained != handle)
            continue;
        strategy->drained = NONE;
        s_leave_line(router, strategy->number);
        s_let(self, strategy, s_position(self, strategy, handle));
        s_wake(self, strategy);
    }
}

/* Lone work lines up where there is room, too, to be told when that is idle. For other work it is
 * room all the same. */
static void s_leave_lines_with_room(balancer_t *self, strategy_t *strategy)
{
    for (size_t i = 0; i < strategy->members_len; i++) {
        member_t *member = &strategy->members[i];
        router_t *router = &self->routers[member->router];
        if (!member->waits || !s_can_take(self, router))
            continue;
        s_leave_line(router, strategy->number);
        s_let(self, strategy, i);
    }
}

/* Lone work of the strategy waits no longer; the router that was being emptied takes part again. */
static void s_give_up_drain(balancer_t *self, strategy_t *strategy)
{
    if (strategy->drained != NONE) {
        router_t *router = &self->routers[strategy->drained];
        router->exclusive = false;
        s_note_room(self, router);
    }
    strategy->drained = NONE;
    s_leave_lines_with_room(self, strategy);
}

void balancer_end_drain(balancer_t *self, balancer_strategy_t number)
{
    /* Woken: other work of it may wait, and nothing that happens to a router may come. */
    s_give_up_drain(self, self->strategies[number]);
    s_wake(self, self->strategies[number]);
}

static void s_leave(balancer_t *self, strategy_t *strategy, uint32_t handle)
{
    router_t *router = &self->routers[handle];
    size_t at = s_position(self, strategy, handle);
    CHECK(at != NONE);
    if (strategy->members[at].waits)
        s_leave_line(router, strategy->number);
    strategy->both -= s_both_sides(router);
    strategy->members_len--;
    memmove(strategy->members + at, strategy->members + at + 1,
            (strategy->members_len - at) * sizeof *strategy->members);
    if (strategy->drained == handle)
        s_give_up_drain(self, strategy);
    s_outdate(self, strategy);
}

void balancer_unload(balancer_t *self, balancer_router_t handle, balancer_strategy_t number)
{
    router_t *router = &self->routers[handle];
    for (size_t i = 0; i < router->loaded_len; i++) {
        if (router->loaded[i] != number)
            continue;
        router->loaded[i] = router->loaded[--router->loaded_len];
        s_leave(self, self->strategies[number], handle);
        return;
    }
}

void balancer_remove_router(balancer_t *self, balancer_router_t handle)
{
    router_t *router = &self->routers[handle];
    while (router->loaded_len > 0)
        s_leave(self, self->strategies[router->loaded[--router->loaded_len]], handle);
    bool noted = router->noted; /* leaves the list at the next look */
    free(router->loaded);
    free(router->line);
    rate_free(&router->rate);
    *router = (router_t){.noted = noted};
}

void balancer_set_limit(balancer_t *self, balancer_router_t handle, uint32_t limit)
{
    self->routers[handle].limit = limit;
    s_note_room(self, &self->routers[handle]);
}

void balancer_set_rate(balancer_t *self, balancer_router_t handle, uint32_t count, usec_t interval)
{
    rate_set(&self->routers[handle].rate, count, interval);
    s_note_room(self, &self->routers[handle]);
}

void balancer_set_configured(balancer_t *self, balancer_router_t handle, bool configured)
{
    router_t *router = &self->routers[handle];
    int change = (router->announced && configured) - s_both_sides(router);
    router->configured = configured;
    for (size_t i = 0; i < router->loaded_len; i++)
        self->strategies[router->loaded[i]]->both += (size_t)change;
    s_outdate_loaded(self, router);
}

static void s_chosen(balancer_t *self, strategy_t *strategy, size_t at)
{
    router_t *router = &self->routers[strategy->members[at].router];
    router->pending++;
    rate_take(&router->rate, self->now);
    memcpy(strategy->last, router->name, sizeof strategy->last);
    strategy->cursor = at + 1;
}

/* The next in turn that takes part and has room; those that have none are waited for. */
static size_t s_next_in_turn(balancer_t *self, strategy_t *strategy)
{
    if (strategy->stale)
        s_refresh(self, strategy);
    size_t at = s_next_bit(strategy, strategy->cursor);
    if (at == NONE)
        at = s_next_bit(strategy, 0);
    while (at != NONE) {
        if (s_can_take(self, &self->routers[strategy->members[at].router]))
            return at;
        s_queue_up(self, strategy, at);
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
        const member_t *member = &strategy->members[i];
        const router_t *router = &self->routers[member->router];
        if (router->limit == 0 || (router->exclusive && member->router != strategy->drained) ||
            rate_opens_at(&router->rate, self->now) > 0 || !s_takes_part(self, strategy, i))
            continue;
        if (best == NONE || router->pending < self->routers[strategy->members[best].router].pending)
            best = i;
    }
    if (best == NONE) { /* whichever has room first wakes it */
        for (size_t i = 0; i < strategy->members_len; i++)
            if (s_takes_part(self, strategy, i))
                s_queue_up(self, strategy, i);
        return BALANCER_ALL_FULL;
    }
    uint32_t handle = strategy->members[best].router;
    router_t *router = &self->routers[handle];
    if (router->pending > 0) {
        if (strategy->drained == NONE) {
            router->exclusive = true;
            strategy->drained = handle;
        }
        s_queue_up(self, strategy, best);
        return BALANCER_DRAINING;
    }
    s_give_up_drain(self, strategy); /* another one may have become idle first */
    router->exclusive = true;
    *ret_at = best;
    return BALANCER_CHOSEN;
}

balancer_result_t balancer_choose(balancer_t *self, balancer_strategy_t number, bool alone,
                                  balancer_router_t *ret_router)
{
    strategy_t *strategy = self->strategies[number];
    if (strategy->members_len == 0)
        return BALANCER_NOT_LOADED;
    if (strategy->stale)
        s_refresh(self, strategy);
    size_t at = NONE;
    if (alone) {
        balancer_result_t result = s_choose_alone(self, strategy, &at);
        if (result != BALANCER_CHOSEN)
            return result;
    } else {
        if (strategy->drained != NONE)
            s_leave_lines_with_room(self, strategy);
        at = s_next_in_turn(self, strategy);
        if (at == NONE)
            return BALANCER_ALL_FULL;
    }
    s_chosen(self, strategy, at);
    *ret_router = strategy->members[at].router;
    return BALANCER_CHOSEN;
}

void balancer_hold(balancer_t *self, balancer_router_t handle, bool alone)
{
    self->routers[handle].pending++;
    self->routers[handle].exclusive |= alone;
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
        s_let_drained(self, handle);
    }
    s_note_room(self, router);
}

const char *balancer_name(const balancer_t *self, balancer_router_t router)
{
    return self->routers[router].name;
}

uint32_t balancer_pending(const balancer_t *self, balancer_router_t router)
{
    return self->routers[router].pending;
}

uint32_t balancer_limit(const balancer_t *self, balancer_router_t router)
{
    return self->routers[router].limit;
}

void balancer_set_last(balancer_t *self, balancer_strategy_t number, text_t router_name)
{
    strategy_t *strategy = self->strategies[number];
    s_copy_name(strategy->last, router_name);
    s_outdate(self, strategy);
}

bool balancer_next_woken(balancer_t *self, balancer_strategy_t *ret_strategy)
{
    if (self->woken_at == self->woken_len) {
        self->woken_at = self->woken_len = 0;
        return false;
    }
    *ret_strategy = self->woken[self->woken_at++];
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
    if (s_takes_part(self, strategy, at))
        return BALANCER_TAKES_PART;
    const router_t *router = &self->routers[handle];
    if (router->announced)
        return BALANCER_LACKS_CONFIGURATION_SIDE;
    return router->configured ? BALANCER_LACKS_ROUTER_SIDE : BALANCER_LACKS_BOTH_SIDES;
}

const char *balancer_obstacle(const balancer_t *self, balancer_router_t handle)
{
    const router_t *router = &self->routers[handle];
    if (router->limit == 0)
        return "its max_submitted_interactions is 0";
    if (router->exclusive)
        return "it is kept for one interaction that routers were lost with";
    if (router->pending >= router->limit)
        return "it is at its max_submitted_interactions";
    if (rate_opens_at(&router->rate, self->now) > 0)
        return "it is at its max_submission_rate";
    return "";
}
