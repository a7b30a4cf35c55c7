#include "core/engine_internal.h"

/* What operators list: queues and interactions, a page at a time. Every page is a bounded amount of
 * work, and so are all pages of a turn, so the loop never pauses for lists; like every read one is
 * told with its commit. */

enum {
    LIMIT_QUEUE_REASON = 1600, /* bytes; the rest is cut */
    QUEUES_A_PAGE = 500,
    PRIORITIES = 16, /* of a queue that are looked at for the oldest */
    RECORDS_A_PAGE = 4096,
    PAGE_STANDARD = 100,
    PAGE_MAX = 500,
};

static void s_say(engine_t *self, session_t session, uint64_t request, Ixn__V1__Message *message)
{
    message->request_id = request;
    engine_say(self, session, message);
}

/* ---- Queues ---- */

static void s_view_queue(const engine_t *self, queue_t *queue, arena_t *arena, Ixn__V1__Queue *view)
{
    *view = (Ixn__V1__Queue)IXN__V1__QUEUE__INIT;
    view->tenant = self->state->tenants[queue->tenant];
    view->name = queue->name;
    view->strategy = queue->strategy;
    view->configured = queue->configured;
    view->max_length = queue->max_length;
    view->waiting = queue->tally.waiting;
    view->held = queue->tally.held;
    view->routing = queue->tally.routing;
    view->quarantined = queue->tally.quarantined;
    view->oldest_placed_at_us = state_oldest_in_line(queue, PRIORITIES);
    view->entered = queue->tally.entered;
    view->left = queue->tally.left;
    char reason[LIMIT_QUEUE_REASON] = "";
    const char *why = engine_queue_reason(self, queue, reason, sizeof reason);
    view->reason = engine_page_text(arena, why);
}

/* One that is gone from the configuration is shown as long as something is in it. */
static bool s_is_shown(const queue_t *queue)
{
    const tally_t *tally = &queue->tally;
    return queue->configured || tally->waiting || tally->held || tally->routing ||
           tally->quarantined;
}

void engine_list_queues(engine_t *self, session_t session, uint64_t request,
                        const Ixn__V1__ListQueues *list)
{
    if (!engine_may_look(self, session, request))
        return;
    Ixn__V1__Queue views[QUEUES_A_PAGE];
    Ixn__V1__Queue *page[QUEUES_A_PAGE];
    Ixn__V1__Queues queues = IXN__V1__QUEUES__INIT;
    arena_t arena = {0}; /* of the reasons */
    queues.queues = page;
    size_t at = list->after;
    for (; at < self->state->queues_len && queues.n_queues < QUEUES_A_PAGE; at++) {
        if (!s_is_shown(self->state->queues[at]))
            continue;
        s_view_queue(self, self->state->queues[at], &arena, &views[queues.n_queues]);
        page[queues.n_queues] = &views[queues.n_queues];
        queues.n_queues++;
    }
    /* The reason of each may be that of any router. */
    engine_looked(self, at - list->after + queues.n_queues * self->slots_len, queues.n_queues);
    queues.next = at < self->state->queues_len ? (uint32_t)at : 0;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_QUEUES;
    message.queues = &queues;
    s_say(self, session, request, &message);
    arena_free(&arena);
}

/* ---- Interactions ---- */

static bool s_is_stuck(const engine_t *self, const interaction_t *interaction)
{
    return interaction->state == INTERACTION_QUARANTINED || interaction->deadline < self->log_time;
}

static bool s_is_asked_for(const engine_t *self, const interaction_t *interaction,
                           const Ixn__V1__ListInteractions *list)
{
    const queue_t *queue = self->state->queues[interaction->queue];
    if (list->state && (unsigned)list->state != interaction->state)
        return false;
    if (list->held && !(interaction->flags & INTERACTION_HELD))
        return false;
    if (list->queue[0] && strcmp(list->queue, queue->name) != 0)
        return false;
    if (list->tenant[0] && strcmp(list->tenant, self->state->tenants[queue->tenant]) != 0)
        return false;
    if (list->external_id[0] &&
        !text_equal(text_of(list->external_id), interaction_text(interaction, FIELD_EXTERNAL_ID)))
        return false;
    if (list->router[0] &&
        (interaction->state != INTERACTION_ROUTING ||
         strcmp(list->router, self->state->routers[interaction->more->router]->name) != 0))
        return false;
    return !list->stuck || s_is_stuck(self, interaction);
}

static bool s_check(const Ixn__V1__ListInteractions *list, error_t *ret_error)
{
    if (list->limit > PAGE_MAX)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT, "limit is %u, at most %d is allowed",
                         list->limit, PAGE_MAX);
    return wire_check_text("tenant", list->tenant, 0, LIMIT_NAME, ret_error) &&
           wire_check_text("queue", list->queue, 0, LIMIT_NAME, ret_error) &&
           wire_check_text("router", list->router, 0, LIMIT_NAME, ret_error) &&
           wire_check_text("external_id", list->external_id, 0, LIMIT_TEXT, ret_error);
}

void engine_list_interactions(engine_t *self, session_t session, uint64_t request,
                              const Ixn__V1__ListInteractions *list)
{
    interaction_view_t views[PAGE_MAX];
    Ixn__V1__Interaction *page[PAGE_MAX];
    Ixn__V1__Interactions interactions = IXN__V1__INTERACTIONS__INIT;
    error_t error;
    if (!s_check(list, &error)) {
        engine_refuse(self, session, request, &error);
        return;
    }
    if (!engine_may_look(self, session, request))
        return;
    const size_t limit = list->limit ? list->limit : PAGE_STANDARD;
    const uint32_t handles = state_handles(self->state);
    uint32_t at = list->after;
    uint32_t looked = 0;
    interactions.interactions = page;
    for (; looked < RECORDS_A_PAGE && at < handles && interactions.n_interactions < limit;
         looked++, at++) {
        const interaction_t *interaction = state_of_handle(self->state, at);
        if (!interaction || !s_is_asked_for(self, interaction, list))
            continue;
        interaction_view_t *view = &views[interactions.n_interactions];
        engine_view(self, interaction, view);
        view->message.attributes = (ProtobufCBinaryData){0, NULL};
        page[interactions.n_interactions++] = &view->message;
    }
    engine_looked(self, looked, interactions.n_interactions);
    interactions.next = at < handles ? at : 0;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_INTERACTIONS;
    message.interactions = &interactions;
    s_say(self, session, request, &message);
}
