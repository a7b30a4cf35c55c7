#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/engine_internal.h"

/* Which interaction goes next: for each strategy the queues that feed it are in a tree, ordered by
 * their first in line (priority, then age), so a dispatch costs the same with one queue and with
 * ten thousand. Which router gets it: the balancer. */

enum { SUSPECT_LOSSES = 2 }; /* after so many lost routers it is dispatched alone */

static int s_compare_turn(const queue_t *a, const queue_t *b)
{
    if (a->turn_priority != b->turn_priority)
        return a->turn_priority > b->turn_priority ? -1 : 1;
    if (a->turn_age != b->turn_age)
        return a->turn_age < b->turn_age ? -1 : 1;
    return 0;
}

RB_GENERATE_INTERNAL(turns, queue, turn, s_compare_turn, static __attribute__((unused)))

/* ---- What is to be looked at ---- */

static engine_strategy_t *s_find_strategy(const engine_t *self, const id128_t *key)
{
    engine_strategy_t *strategy = NULL;
    HASH_FIND(by_key, self->strategies_by_key, key, sizeof *key, strategy);
    return strategy;
}

static id128_t s_strategy_key(const engine_t *self, uint16_t tenant, text_t name)
{
    return key_hash_of(text_of(self->state->tenants[tenant]), name);
}

engine_strategy_t *engine_find_strategy(const engine_t *self, uint16_t tenant, text_t name)
{
    id128_t key = s_strategy_key(self, tenant, name);
    return s_find_strategy(self, &key);
}

/* Its limits, as the configuration says. */
static void s_configure_strategy(engine_t *self, engine_strategy_t *strategy)
{
    const Ixn__V1__EngineConfiguration *configuration = self->state->configuration;
    const char *tenant = self->state->tenants[strategy->tenant];
    strategy->limit = UINT32_MAX;
    engine_rate_t rate = {0};
    for (size_t i = 0; i < configuration->n_strategies; i++) {
        const Ixn__V1__StrategyConfiguration *found = configuration->strategies[i];
        if (strcmp(found->name, strategy->name) != 0 || strcmp(found->tenant, tenant) != 0)
            continue;
        if (found->max_submitted_interactions_given_case ==
            IXN__V1__STRATEGY_CONFIGURATION__MAX_SUBMITTED_INTERACTIONS_GIVEN_MAX_SUBMITTED_INTERACTIONS)
            strategy->limit = found->max_submitted_interactions;
        if (found->max_submission_rate)
            rate = (engine_rate_t){found->max_submission_rate->count,
                                   found->max_submission_rate->interval_ms};
    }
    rate_set(&strategy->rate, rate.count, (usec_t)rate.interval_ms * USEC_PER_MS);
}

engine_strategy_t *engine_strategy(engine_t *self, uint16_t tenant, text_t name)
{
    id128_t key = s_strategy_key(self, tenant, name);
    engine_strategy_t *strategy = s_find_strategy(self, &key);
    if (strategy)
        return strategy;
    size_t len = self->strategies_len + 1;
    self->strategies = memory_resize(self->strategies, len * sizeof *self->strategies);
    self->dirty_strategies =
        memory_resize(self->dirty_strategies, len * sizeof *self->dirty_strategies);
    self->gated = memory_resize(self->gated, len * sizeof *self->gated);
    self->draining = memory_resize(self->draining, len * sizeof *self->draining);
    strategy = memory_zero(1, sizeof *strategy);
    strategy->key = key;
    strategy->number =
        balancer_strategy(self->balancer, (text_t){(const char *)key.bytes, sizeof key.bytes});
    CHECK(strategy->number == self->strategies_len); /* nobody else names strategies to it */
    memcpy(strategy->name, name.data, name.len);
    strategy->tenant = tenant;
    s_configure_strategy(self, strategy);
    /* The turn goes on where it was, also after a take-over. */
    strategy->record = catalog_strategy(self->state, tenant, name);
    if (strategy->record)
        balancer_set_last(self->balancer, strategy->number, text_of(strategy->record->last));
    RB_INIT(&strategy->turns);
    self->strategies[self->strategies_len++] = strategy;
    HASH_ADD(by_key, self->strategies_by_key, key, sizeof strategy->key, strategy);
    return strategy;
}

static void s_strategy_dirty(engine_t *self, balancer_strategy_t number)
{
    engine_strategy_t *strategy = self->strategies[number];
    if (strategy->dirty)
        return;
    strategy->dirty = true;
    self->dirty_strategies[self->dirty_len++] = number;
}

void engine_queue_dirty(engine_t *self, uint16_t number)
{
    queue_t *queue = self->state->queues[number];
    if (queue->dirty)
        return;
    queue->dirty = true;
    if (self->dirty_queues_len == self->dirty_queues_capacity) {
        self->dirty_queues_capacity = self->dirty_queues_capacity * 2 + 64;
        self->dirty_queues = memory_resize(self->dirty_queues, self->dirty_queues_capacity *
                                                                   sizeof *self->dirty_queues);
    }
    self->dirty_queues[self->dirty_queues_len++] = queue;
}

void engine_all_queues_dirty(engine_t *self)
{
    for (size_t i = 0; i < self->state->queues_len; i++)
        engine_queue_dirty(self, (uint16_t)i);
}

/* Nearly always the one that it had before; it is found without a hash. */
static engine_strategy_t *s_strategy_of(engine_t *self, const queue_t *queue)
{
    if (queue->turn_strategy < self->strategies_len) {
        engine_strategy_t *strategy = self->strategies[queue->turn_strategy];
        if (strategy->tenant == queue->tenant && strcmp(strategy->name, queue->strategy) == 0)
            return strategy;
    }
    return engine_strategy(self, queue->tenant, text_of(queue->strategy));
}

/* Puts a queue where its first in line belongs among the queues of its strategy. */
static void s_refresh_queue(engine_t *self, queue_t *queue)
{
    if (queue->in_turn) {
        RB_REMOVE(turns, &self->strategies[queue->turn_strategy]->turns, queue);
        queue->in_turn = false;
    }
    const interaction_t *first = state_first_in_line(queue);
    if (!first || !queue->strategy[0])
        return;
    engine_strategy_t *strategy = s_strategy_of(self, queue);
    queue->turn_strategy = strategy->number;
    queue->turn_priority = first->priority;
    queue->turn_age = first->age;
    CHECK(!RB_INSERT(turns, &strategy->turns, queue));
    queue->in_turn = true;
    s_strategy_dirty(self, queue->turn_strategy);
}

static void s_refresh_dirty(engine_t *self)
{
    for (size_t i = 0; i < self->dirty_queues_len; i++) {
        self->dirty_queues[i]->dirty = false;
        s_refresh_queue(self, self->dirty_queues[i]);
    }
    self->dirty_queues_len = 0;
    size_t gated = 0;
    for (size_t i = 0; i < self->gated_len; i++) {
        engine_strategy_t *strategy = self->strategies[self->gated[i]];
        strategy->gated = engine_strategy_gate(self, strategy) != NULL;
        if (strategy->gated)
            self->gated[gated++] = self->gated[i];
        else
            s_strategy_dirty(self, strategy->number);
    }
    self->gated_len = gated;
    balancer_wake(self->balancer);
    balancer_strategy_t woken;
    while (balancer_next_woken(self->balancer, &woken))
        s_strategy_dirty(self, woken);
}

/* ---- Dispatch ---- */

const char *engine_strategy_gate(const engine_t *self, const engine_strategy_t *strategy)
{
    if (strategy->limit != UINT32_MAX) {
        uint32_t pending = strategy->record ? strategy->record->pending : 0;
        if (pending >= strategy->limit)
            return "max_submitted_interactions";
    }
    return rate_opens_at(&strategy->rate, self->log_time) > 0 ? "max_submission_rate" : NULL;
}

static bool s_is_gated(engine_t *self, engine_strategy_t *strategy)
{
    if (!engine_strategy_gate(self, strategy))
        return false;
    if (!strategy->gated)
        self->gated[self->gated_len++] = strategy->number;
    strategy->gated = true;
    return true;
}

void engine_configure_routing(engine_t *self)
{
    for (size_t i = 0; i < self->strategies_len; i++)
        s_configure_strategy(self, self->strategies[i]);
    for (size_t i = 0; i < self->slots_len; i++) {
        const engine_session_t *slot = self->slots[i];
        if (!slot->open || !slot->router)
            continue;
        engine_rate_t rate = engine_router_rate(self, slot->name);
        balancer_set_limit(self->balancer, slot->balanced,
                           engine_router_limit(self, slot->name, slot->announced_limit));
        balancer_set_rate(self->balancer, slot->balanced, rate.count,
                          (usec_t)rate.interval_ms * USEC_PER_MS);
        balancer_set_configured(self->balancer, slot->balanced,
                                engine_router_configured(self, slot->name));
    }
    engine_all_queues_dirty(self);
}

static void s_say_route(engine_t *self, const interaction_t *interaction, uint32_t version)
{
    const interaction_more_t *more = interaction->more;
    CHECK(more);
    interaction_view_t view;
    engine_view(self, interaction, &view);
    Ixn__V1__Route route = IXN__V1__ROUTE__INIT;
    route.token = view.message.token;
    route.strategy = view.message.strategy;
    route.strategy_version = version;
    route.attempt = more->attempts + 1u;
    route.interaction = &view.message;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_ROUTE;
    message.route = &route;
    engine_say(self, self->router_sessions[more->router], &message);
}

static void s_dispatch_one(engine_t *self, interaction_t *interaction, engine_strategy_t *strategy,
                           balancer_router_t chosen)
{
    const engine_session_t *slot = engine_slot(self, self->balanced_sessions[chosen]);
    CHECK(slot);
    const engine_load_t *load = engine_load(slot, strategy->number);
    Ixn__V1__Dispatched dispatched = IXN__V1__DISPATCHED__INIT;
    dispatched.interaction_id = wire_bytes(&interaction->id);
    dispatched.router = (char *)balancer_name(self->balancer, chosen);
    dispatched.strategy = strategy->name;
    dispatched.version = load ? load->loaded : 0;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_DISPATCHED;
    entry.dispatched = &dispatched;
    engine_emit(self, &entry);
    self->figures.dispatched++;
    latency_add(&self->figures.dispatch, self->wall_time - interaction->placed_at, 1);
    rate_take(&strategy->rate, self->log_time);
    if (!strategy->record)
        strategy->record = catalog_strategy(self->state, strategy->tenant, text_of(strategy->name));
    s_say_route(self, interaction, dispatched.version);
}

static void s_drains_for(engine_t *self, engine_strategy_t *strategy, const interaction_t *lone)
{
    strategy->lone = lone->id;
    if (!strategy->drains)
        self->draining[self->draining_len++] = strategy->number;
    strategy->drains = true;
}

/* Whether the lone work of a strategy still waits for a router of it. */
static bool s_still_drains(engine_t *self, const engine_strategy_t *strategy)
{
    const interaction_t *lone = state_find(self->state, &strategy->lone);
    if (!lone || lone->state != INTERACTION_QUEUED || (lone->flags & INTERACTION_HELD))
        return false;
    const queue_t *queue = self->state->queues[lone->queue];
    return queue->strategy[0] && s_strategy_of(self, queue) == strategy;
}

/* Lone work may end, be held, or be taken elsewhere before the router is empty that is kept for it.
 */
static void s_end_drains(engine_t *self)
{
    size_t len = 0;
    for (size_t i = 0; i < self->draining_len; i++) {
        engine_strategy_t *strategy = self->strategies[self->draining[i]];
        strategy->drains = s_still_drains(self, strategy);
        if (strategy->drains)
            self->draining[len++] = self->draining[i];
        else
            balancer_end_drain(self->balancer, strategy->number);
    }
    self->draining_len = len;
}

bool engine_must_be_alone(const interaction_t *interaction)
{
    return interaction->more && interaction->more->losses >= SUSPECT_LOSSES;
}

/* Routes what waits for one strategy; false when the budget ended first. */
static bool s_dispatch_strategy(engine_t *self, balancer_strategy_t number, size_t *budget)
{
    engine_strategy_t *strategy = self->strategies[number];
    queue_t *queue;
    while ((queue = RB_MIN(turns, &strategy->turns))) {
        if (*budget == 0 || !engine_has_room(self))
            return false;
        if (s_is_gated(self, strategy))
            return true;
        interaction_t *interaction = state_first_in_line(queue);
        bool alone = engine_must_be_alone(interaction);
        balancer_router_t chosen;
        if (MUTATION(TURNS_FORGOTTEN))
            balancer_set_last(self->balancer, number, TEXT(""));
        strategy->result = balancer_choose(self->balancer, number, alone, &chosen);
        if (strategy->result == BALANCER_DRAINING)
            s_drains_for(self, strategy, interaction);
        if (strategy->result != BALANCER_CHOSEN)
            return true;
        s_dispatch_one(self, interaction, strategy, chosen);
        s_refresh_queue(self, queue);
        (*budget)--;
    }
    return true;
}

/* A router that was emptied for lone work is there for whoever comes first. */
static void s_dispatch_lone(engine_t *self)
{
    for (size_t i = 0; i < self->draining_len; i++) {
        size_t one = 1;
        if (self->strategies[self->draining[i]]->dirty)
            s_dispatch_strategy(self, self->draining[i], &one);
    }
}

void engine_dispatch(engine_t *self, size_t budget)
{
    s_end_drains(self);
    s_refresh_dirty(self);
    s_dispatch_lone(self);
    /* The oldest first; what the budget left undone goes to the end, so that no strategy waits for
     * another to have nothing to do. */
    size_t len = self->dirty_len;
    if (len == 0)
        return;
    size_t done = 0;
    bool finished = true;
    balancer_strategy_t number = 0;
    while (done < len && finished) {
        number = self->dirty_strategies[done++];
        finished = s_dispatch_strategy(self, number, &budget);
        self->strategies[number]->dirty = false;
    }
    self->dirty_len -= done;
    memmove(self->dirty_strategies, self->dirty_strategies + done,
            self->dirty_len * sizeof *self->dirty_strategies);
    if (!finished)
        s_strategy_dirty(self, number);
    s_refresh_dirty(self);
}

/* ---- Back from a router ---- */

session_t engine_router_session(const engine_t *self, const state_router_t *router)
{
    return router->number < self->router_sessions_len ? self->router_sessions[router->number] : 0;
}

void engine_router_gave_back(engine_t *self, const state_router_t *router)
{
    if (!router)
        return;
    const engine_session_t *slot = engine_slot(self, engine_router_session(self, router));
    if (slot && slot->router == router)
        balancer_give_back(self->balancer, slot->balanced);
}

void engine_revoke(engine_t *self, const interaction_t *interaction, const char *reason)
{
    const interaction_more_t *more = interaction->more;
    session_t session = engine_router_session(self, self->state->routers[more->router]);
    if (!session)
        return;
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    token.epoch = more->token_epoch;
    token.index = more->token_index;
    Ixn__V1__Revoked revoked = IXN__V1__REVOKED__INIT;
    revoked.interaction_id = wire_bytes(&interaction->id);
    revoked.token = &token;
    revoked.reason = (char *)reason;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_REVOKED;
    message.revoked = &revoked;
    engine_say(self, session, &message);
}

void engine_return_one(engine_t *self, interaction_t *interaction, const engine_return_t *how)
{
    const state_router_t *router = self->state->routers[interaction->more->router];
    bool counts = how->cause == IXN__V1__RETURN_CAUSE__ROUTE_FAILED ||
                  how->cause == IXN__V1__RETURN_CAUSE__ROUTING_TIMEOUT ||
                  (how->cause == IXN__V1__RETURN_CAUSE__ROUTER_LOST && how->alone);
    Ixn__V1__Returned returned = IXN__V1__RETURNED__INIT;
    returned.interaction_id = wire_bytes(&interaction->id);
    returned.cause = how->cause;
    returned.reason = (char *)how->reason;
    returned.alone = how->alone;
    returned.quarantined = counts && interaction->more->attempts + 1u >=
                                         self->state->configuration->max_router_attempts;
    returned.change = how->change;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_RETURNED;
    entry.returned = &returned;
    engine_emit(self, &entry);
    self->figures.returned++;
    engine_router_gave_back(self, router);
    engine_queue_dirty(self, interaction->queue);
}

bool engine_was_told(const engine_t *self, const interaction_t *interaction, uint64_t told)
{
    return interaction->more->token_epoch != self->options.epoch ||
           interaction->more->token_index <= told;
}

void engine_return_all(engine_t *self, state_router_t *router, Ixn__V1__ReturnCause cause,
                       id128_t incarnation)
{
    if (router->pending == 0)
        return;
    for (size_t i = 0; i < self->returning_len; i++)
        if (self->returning[i].router == router)
            return; /* on its way back already, for another cause */
    engine_returning_t returning = {
        .router = router, .cause = cause, .told = self->committed, .incarnation = incarnation};
    int known = 0;
    const interaction_t *interaction;
    LIST_FOREACH(interaction, &router->interactions, more->with_router)
    {
        known += engine_was_told(self, interaction, returning.told);
        if (known == 2)
            break;
    }
    returning.alone = known == 1;
    self->returning =
        memory_resize(self->returning, (self->returning_len + 1) * sizeof *self->returning);
    self->returning[self->returning_len++] = returning;
}

static const char *s_reason(Ixn__V1__ReturnCause cause)
{
    switch (cause) {
    case IXN__V1__RETURN_CAUSE__ROUTER_LOST:
        return "the router was lost";
    case IXN__V1__RETURN_CAUSE__ROUTER_LEFT:
        return "the router left";
    default:
        return "the router no longer has it";
    }
}

/* A router cannot have died of what it never heard of. */
engine_return_t engine_return_of(const engine_t *self, const engine_returning_t *returning,
                                 const interaction_t *interaction)
{
    if (returning->cause == IXN__V1__RETURN_CAUSE__ROUTER_LOST &&
        !engine_was_told(self, interaction, returning->told))
        return (engine_return_t){.cause = IXN__V1__RETURN_CAUSE__NOT_HELD,
                                 .reason = "the router was lost before it heard of it"};
    return (engine_return_t){
        .cause = returning->cause, .alone = returning->alone, .reason = s_reason(returning->cause)};
}

void engine_return_some(engine_t *self, size_t budget)
{
    size_t done = 0;
    while (self->returning_len > 0 && done < budget && engine_has_room(self)) {
        const engine_returning_t *last = &self->returning[self->returning_len - 1];
        interaction_t *interaction = LIST_FIRST(&last->router->interactions);
        if (!interaction) {
            self->returning_len--;
            continue;
        }
        engine_return_t how = engine_return_of(self, last, interaction);
        engine_return_one(self, interaction, &how);
        done++;
    }
}
