#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/engine_internal.h"

/* What operators see: routers, strategies and agents, each with the reason where something
 * does not go on. A page is made when it is asked for; what it says is held like any other answer.
 */

enum { PAGE = 500, REASON = 400 };

typedef struct {
    engine_t *self;
    uint16_t tenant;
    arena_t arena; /* of the page */
} page_t;

char *engine_page_text(arena_t *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = memcpy(arena_take(arena, size), text, size);
    wire_clean_text(copy); /* it may have been cut inside a character */
    return copy;
}

static char *s_text(page_t *page, const char *text)
{
    return engine_page_text(&page->arena, text);
}

/* ---- Reasons ---- */

/* Why this router gets no work of this strategy; "" when it does. */
static const char *s_router_reason(const engine_t *self, const engine_session_t *slot,
                                   const strategy_record_t *record,
                                   const engine_strategy_t *strategy, char text[REASON])
{
    const engine_load_t *load = engine_load(slot, strategy->number);
    bool stored = record && record->versions_len > 0;
    const strategy_activation_t *activation =
        stored ? strategy_activation(record, slot->name) : NULL;
    text[0] = '\0';
    const drain_record_t *drain = engine_drain(self, slot);
    if (drain) {
        snprintf(text, REASON, "drained by %s: %s", drain->by, drain->reason);
        return text;
    }
    if (stored && !activation) {
        snprintf(text, REASON, "not activated%s",
                 load && load->brought ? "; what it brings itself is not used, since a strategy of "
                                         "this name is stored"
                                       : "");
        return text;
    }
    if (load && load->failed && activation && load->failed == activation->version) {
        snprintf(text, REASON, "version %u failed: %.255s%s", load->failed, load->reason,
                 load->loaded ? "; it goes on with the version before" : "");
        return text;
    }
    if (stored && !(load && load->loaded))
        return "loading";
    switch (balancer_participation(self->balancer, slot->balanced, strategy->number)) {
    case BALANCER_TAKES_PART:
        return balancer_obstacle(self->balancer, slot->balanced);
    case BALANCER_LACKS_STRATEGY:
        return "not loaded";
    case BALANCER_LACKS_ROUTER_SIDE:
        return "agent_reservation is missing on the router's side";
    case BALANCER_LACKS_CONFIGURATION_SIDE:
        return "agent_reservation is missing in the configuration (routers)";
    case BALANCER_LACKS_BOTH_SIDES:
        return "agent_reservation is missing on both sides";
    }
    return text;
}

/* Appends "; router "R": why" for those that have to do with the strategy, as far as it fits. */
static void s_add_routers(const engine_t *self, const engine_strategy_t *strategy, char *text,
                          size_t size)
{
    const strategy_record_t *record =
        catalog_strategy(self->state, strategy->tenant, text_of(strategy->name));
    for (size_t i = 0; record && i < record->activations_len; i++) {
        const char *router = record->activations[i].router;
        size_t len = strlen(text);
        if (!engine_find_router(self, router) && len < size)
            snprintf(text + len, size - len, "; %s: not connected", router);
    }
    for (size_t i = 0; i < self->slots_len; i++) {
        const engine_session_t *slot = self->slots[i];
        if (!slot->open || !slot->router || slot->tenant != strategy->tenant)
            continue;
        char why[REASON];
        bool concerned = engine_load(slot, strategy->number) ||
                         (record && strategy_activation(record, slot->name));
        const char *reason = concerned ? s_router_reason(self, slot, record, strategy, why) : "";
        size_t len = strlen(text);
        if (reason[0] && len < size)
            snprintf(text + len, size - len, "; %s: %s", slot->name, reason);
    }
}

/* Why the first in line of a queue is not on its way. */
const char *engine_queue_reason(const engine_t *self, queue_t *queue, char *text, size_t size)
{
    const interaction_t *first = state_first_in_line(queue);
    if (!first)
        return "";
    if (!queue->configured)
        return "waits: the queue is no longer configured";
    if (!queue->strategy[0])
        return "waits: the queue has no strategy";
    const engine_strategy_t *strategy =
        engine_find_strategy(self, queue->tenant, text_of(queue->strategy));
    const strategy_record_t *record =
        catalog_strategy(self->state, queue->tenant, text_of(queue->strategy));
    const char *gate = strategy ? engine_strategy_gate(self, strategy) : NULL;
    if (gate) {
        snprintf(text, size, "waits: strategy %s is at its %s", queue->strategy, gate);
        return text;
    }
    bool stored = record && record->versions_len > 0;
    if (stored && record->activations_len == 0) {
        snprintf(text, size, "waits: strategy %s is activated on no router", queue->strategy);
        return text;
    }
    snprintf(text, size, "waits: %s strategy %s",
             !strategy || strategy->result == BALANCER_NOT_LOADED ? "no router runs"
             : strategy->result == BALANCER_DRAINING
                 ? "until a router has nothing else (routers were lost with the first in line) for"
                 : "no router has room for",
             queue->strategy);
    if (strategy)
        s_add_routers(self, strategy, text, size);
    return text;
}

/* ---- Pages ---- */

static int s_compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A name and what it stands for; the name is first, so that pages are in its order. */
typedef struct {
    const char *name;
    void *item;
} listed_t;

/* A page: of all names behind `after` the first ones, and one more, which tells that there is
 * another page. While names are offered it is a heap, the last of them on top: a hundred thousand
 * are not sorted for each page. */
typedef struct {
    const char *after;
    size_t limit;
    listed_t items[PAGE + 1];
    size_t len;
} list_t;

static void s_swap(listed_t *a, listed_t *b)
{
    const listed_t kept = *a;
    *a = *b;
    *b = kept;
}

static void s_sink(list_t *list)
{
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < list->len; at = child) {
        if (child + 1 < list->len &&
            strcmp(list->items[child + 1].name, list->items[child].name) > 0)
            child++;
        if (strcmp(list->items[at].name, list->items[child].name) >= 0)
            return;
        s_swap(&list->items[at], &list->items[child]);
    }
}

static void s_rise(list_t *list)
{
    for (size_t at = list->len - 1, parent; at > 0; at = parent) {
        parent = (at - 1) / 2;
        if (strcmp(list->items[at].name, list->items[parent].name) <= 0)
            return;
        s_swap(&list->items[at], &list->items[parent]);
    }
}

static void s_list(list_t *list, const char *name, const void *item)
{
    const listed_t offered = {name, (void *)item};
    if (list->after[0] && strcmp(name, list->after) <= 0)
        return;
    if (list->len <= list->limit) {
        list->items[list->len++] = offered;
        s_rise(list);
    } else if (strcmp(name, list->items[0].name) < 0) {
        list->items[0] = offered;
        s_sink(list);
    }
}

/* The page in order; `next`: there is more behind this name. */
static const listed_t *s_turn_to(list_t *list, size_t *ret_len, Ixn__V1__Listing *listing)
{
    qsort(list->items, list->len, sizeof *list->items, s_compare_names);
    *ret_len = list->len < list->limit ? list->len : list->limit;
    if (list->len > list->limit)
        listing->next = (char *)list->items[list->limit - 1].name;
    return list->items;
}

static void *s_messages(page_t *page, size_t len, size_t size)
{
    void *block = arena_take(&page->arena, (len ? len : 1) * size);
    memset(block, 0, (len ? len : 1) * size);
    return block;
}

/* `rate` of an annex or of all routers, as an operator would write it. */
static char *s_rate_text(page_t *page, const engine_rate_t *rate)
{
    if (rate->count == 0)
        return (char *)"";
    char text[40];
    const char *unit = rate->interval_ms == 1000    ? "second"
                       : rate->interval_ms == 60000 ? "minute"
                                                    : "hour";
    snprintf(text, sizeof text, "%u/%s", rate->count, unit);
    return s_text(page, text);
}

static void s_router_strategy(page_t *page, const engine_session_t *slot,
                              const engine_strategy_t *strategy, Ixn__V1__RouterStrategy *view)
{
    const engine_t *self = page->self;
    const strategy_record_t *record =
        catalog_strategy(self->state, strategy->tenant, text_of(strategy->name));
    const strategy_activation_t *activation =
        record ? strategy_activation(record, slot->name) : NULL;
    const engine_load_t *load = engine_load(slot, strategy->number);
    char reason[REASON];
    view->strategy = (char *)strategy->name;
    view->version = load ? s_text(page, load->version) : (char *)"";
    view->activated_version = activation ? activation->version : 0;
    view->loaded_version = load ? load->loaded : 0;
    view->takes_part = balancer_participation(self->balancer, slot->balanced, strategy->number) ==
                       BALANCER_TAKES_PART;
    view->reason = s_text(page, s_router_reason(self, slot, record, strategy, reason));
}

static void s_router(page_t *page, const state_router_t *router, Ixn__V1__RouterInfo *view)
{
    engine_t *self = page->self;
    const engine_session_t *slot = engine_slot(self, engine_router_session(self, router));
    view->name = (char *)router->name;
    view->pending = router->pending;
    view->reservation_configured = engine_router_configured(self, router->name);
    engine_rate_t rate = engine_router_rate(self, router->name);
    view->max_submission_rate = s_rate_text(page, &rate);
    view->max_submitted_interactions = engine_router_limit(self, router->name, 0);
    const drain_record_t *drain = catalog_drain(self->state, page->tenant, text_of(router->name));
    if (drain && (!slot || slot->tenant == page->tenant)) {
        view->drained = true;
        view->drain_reason = drain->reason;
        view->drained_by = (char *)drain->by;
        view->drained_at_us = drain->at;
    }
    if (!slot)
        return;
    view->tenant = self->state->tenants[slot->tenant];
    view->connected = true;
    view->max_submitted_interactions = balancer_limit(self->balancer, slot->balanced);
    view->reservation_announced = slot->announced;
    size_t len = HASH_COUNT(slot->loads);
    view->strategies = s_messages(page, len, sizeof *view->strategies);
    for (const engine_load_t *load = slot->loads; load; load = load->hh.next) {
        Ixn__V1__RouterStrategy *strategy = arena_take(&page->arena, sizeof *strategy);
        ixn__v1__router_strategy__init(strategy);
        s_router_strategy(page, slot, self->strategies[load->strategy], strategy);
        view->strategies[view->n_strategies++] = strategy;
    }
}

static void s_list_routers(page_t *page, list_t *list, Ixn__V1__Listing *listing)
{
    engine_t *self = page->self;
    for (size_t i = 0; i < self->state->routers_len; i++) {
        const state_router_t *router = self->state->routers[i];
        const engine_session_t *slot = engine_slot(self, engine_router_session(self, router));
        if (slot ? slot->tenant == page->tenant
                 : router->pending > 0 ||
                       catalog_drain(self->state, page->tenant, text_of(router->name)))
            s_list(list, router->name, router);
    }
    size_t len;
    size_t shown = 0;
    const listed_t *items = s_turn_to(list, &len, listing);
    listing->routers = s_messages(page, len, sizeof *listing->routers);
    for (size_t i = 0; i < len; i++) {
        Ixn__V1__RouterInfo *view = arena_take(&page->arena, sizeof *view);
        ixn__v1__router_info__init(view);
        s_router(page, items[i].item, view);
        listing->routers[listing->n_routers++] = view;
        shown += 1 + view->n_strategies;
    }
    engine_looked(self, self->state->routers_len, shown);
}

/* One router of a strategy: one that it is activated on, or that brings it. */
static void s_strategy_router(page_t *page, const strategy_record_t *record,
                              const engine_strategy_t *strategy, const char *router,
                              Ixn__V1__StrategyInfo *info)
{
    const engine_t *self = page->self;
    const engine_session_t *slot = engine_find_router(self, router);
    const strategy_activation_t *activation = record ? strategy_activation(record, router) : NULL;
    Ixn__V1__StrategyRouter *view = arena_take(&page->arena, sizeof *view);
    ixn__v1__strategy_router__init(view);
    view->router = (char *)router;
    if (activation) {
        view->activated_version = activation->version;
        view->activated_by = (char *)activation->by;
        view->activated_at_us = activation->at;
    }
    view->reason = (char *)"not connected";
    if (slot && slot->tenant == strategy->tenant) {
        Ixn__V1__RouterStrategy details = IXN__V1__ROUTER_STRATEGY__INIT;
        s_router_strategy(page, slot, strategy, &details);
        view->connected = true;
        view->loaded_version = details.loaded_version;
        view->takes_part = details.takes_part;
        view->reason = details.reason;
    }
    info->routers[info->n_routers++] = view;
}

static uint32_t s_waiting(const engine_t *self, const engine_strategy_t *strategy)
{
    uint32_t waiting = 0;
    for (size_t i = 0; i < self->state->queues_len; i++) {
        const queue_t *queue = self->state->queues[i];
        if (queue->tenant == strategy->tenant && strcmp(queue->strategy, strategy->name) == 0)
            waiting += queue->tally.waiting;
    }
    return waiting;
}

static void s_strategy_info(page_t *page, const engine_strategy_t *strategy,
                            Ixn__V1__StrategyInfo *info)
{
    const engine_t *self = page->self;
    const strategy_record_t *record =
        catalog_strategy(self->state, strategy->tenant, text_of(strategy->name));
    info->name = (char *)strategy->name;
    info->tenant = self->state->tenants[strategy->tenant];
    info->waiting = s_waiting(self, strategy);
    info->pending = record ? record->pending : 0;
    size_t activated = record ? record->activations_len : 0;
    info->versions = s_messages(page, record ? record->versions_len : 0, sizeof *info->versions);
    for (size_t i = 0; record && i < record->versions_len; i++) {
        Ixn__V1__Strategy *version = arena_take(&page->arena, sizeof *version);
        ixn__v1__strategy__init(version);
        engine_strategy_view(record->name, &record->versions[i], version);
        info->versions[info->n_versions++] = version;
    }
    info->routers = s_messages(page, activated + self->slots_len, sizeof *info->routers);
    for (size_t i = 0; i < activated; i++)
        s_strategy_router(page, record, strategy, record->activations[i].router, info);
    for (size_t i = 0; i < self->slots_len; i++) {
        const engine_session_t *slot = self->slots[i];
        if (slot->open && slot->router && slot->tenant == strategy->tenant &&
            engine_load(slot, strategy->number) &&
            !(record && strategy_activation(record, slot->name)))
            s_strategy_router(page, record, strategy, slot->name, info);
    }
}

static void s_list_strategies(page_t *page, list_t *list, Ixn__V1__Listing *listing)
{
    engine_t *self = page->self;
    /* Those that are stored, and those that a queue or a router speaks of. */
    for (const strategy_record_t *record = self->state->catalog.strategies; record;
         record = record->hh.next)
        if (record->tenant == page->tenant && record->versions_len > 0)
            engine_strategy(self, record->tenant, text_of(record->name));
    for (size_t i = 0; i < self->strategies_len; i++)
        if (self->strategies[i]->tenant == page->tenant)
            s_list(list, self->strategies[i]->name, self->strategies[i]);
    size_t len;
    size_t shown = 0;
    const listed_t *items = s_turn_to(list, &len, listing);
    listing->strategies = s_messages(page, len, sizeof *listing->strategies);
    for (size_t i = 0; i < len; i++) {
        Ixn__V1__StrategyInfo *info = arena_take(&page->arena, sizeof *info);
        ixn__v1__strategy_info__init(info);
        s_strategy_info(page, items[i].item, info);
        listing->strategies[listing->n_strategies++] = info;
        shown += 1 + info->n_routers;
    }
    const size_t each = self->state->queues_len + self->slots_len;
    engine_looked(self, self->strategies_len + len * each, shown);
}

static void s_agent(page_t *page, const agent_record_t *agent, Ixn__V1__AgentInfo *view)
{
    const engine_t *self = page->self;
    view->name = (char *)agent->name;
    view->tenant = self->state->tenants[agent->tenant];
    view->configured = agent->configured;
    if (!agent_is_reserved(self->state, agent, self->log_time))
        return;
    view->router = (char *)agent->router;
    view->interaction_id = wire_bytes(&agent->interaction_id);
    view->left_ms = (uint64_t)((agent->expires - self->log_time) / USEC_PER_MS);
    view->priority = agent->priority;
}

static void s_list_agents(page_t *page, list_t *list, Ixn__V1__Listing *listing)
{
    for (const agent_record_t *agent = page->self->state->catalog.agents; agent;
         agent = agent->hh.next)
        if (agent->tenant == page->tenant)
            s_list(list, agent->name, agent);
    size_t len;
    const listed_t *items = s_turn_to(list, &len, listing);
    listing->agents = s_messages(page, len, sizeof *listing->agents);
    for (size_t i = 0; i < len; i++) {
        Ixn__V1__AgentInfo *view = arena_take(&page->arena, sizeof *view);
        ixn__v1__agent_info__init(view);
        s_agent(page, items[i].item, view);
        listing->agents[listing->n_agents++] = view;
    }
    engine_looked(page->self, HASH_COUNT(page->self->state->catalog.agents), len);
}

static void s_say_listing(engine_t *self, session_t session, uint64_t request,
                          Ixn__V1__Listing *listing)
{
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_LISTING;
    message.listing = listing;
    engine_say(self, session, &message);
}

void engine_list_router(engine_t *self, session_t session, uint64_t request, const char *name)
{
    page_t page = {.self = self, .tenant = engine_slot(self, session)->tenant};
    Ixn__V1__Listing listing = IXN__V1__LISTING__INIT;
    Ixn__V1__RouterInfo view = IXN__V1__ROUTER_INFO__INIT;
    Ixn__V1__RouterInfo *only = &view;
    const state_router_t *router = NULL;
    HASH_FIND_STR(self->state->routers_by_name, name, router);
    view.name = (char *)name;
    view.tenant = self->state->tenants[page.tenant];
    const engine_session_t *live = engine_find_router(self, name);
    if (router && (!live || live->tenant == page.tenant))
        s_router(&page, router, &view);
    listing.routers = &only;
    listing.n_routers = 1;
    s_say_listing(self, session, request, &listing);
    arena_free(&page.arena);
}

void engine_list(engine_t *self, session_t session, uint64_t request, const Ixn__V1__List *wanted)
{
    if (!engine_may_look(self, session, request))
        return;
    page_t page = {.self = self, .tenant = engine_slot(self, session)->tenant};
    list_t list = {.after = wanted->after,
                   .limit = wanted->limit && wanted->limit < PAGE ? wanted->limit : PAGE};
    Ixn__V1__Listing listing = IXN__V1__LISTING__INIT;
    error_t error;
    switch (wanted->kind) {
    case IXN__V1__LIST__KIND__ROUTERS:
        s_list_routers(&page, &list, &listing);
        break;
    case IXN__V1__LIST__KIND__STRATEGIES:
        s_list_strategies(&page, &list, &listing);
        break;
    case IXN__V1__LIST__KIND__AGENTS:
        s_list_agents(&page, &list, &listing);
        break;
    default:
        error_set(&error, ERROR_INVALID_ARGUMENT,
                  "kind %d is not known; kinds are ROUTERS 1, STRATEGIES 2, AGENTS 3",
                  (int)wanted->kind);
        engine_refuse_now(self, session, request, &error);
        return;
    }
    s_say_listing(self, session, request, &listing);
    arena_free(&page.arena);
}
