#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/state_internal.h"

/* One function an entry. Each first finds what the entry speaks of and refuses what does not fit,
 * then changes the state: never half of it. */

bool state_misfit(const state_t *self, const char *entry, const char *what, error_t *ret_error)
{
    return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                     "entry %llu (%s) does not fit the state: %s; the journal and the checkpoint "
                     "do not belong together",
                     (unsigned long long)(self->index + 1), entry, what);
}

static text_t s_bytes(ProtobufCBinaryData bytes)
{
    return (text_t){(const char *)bytes.data, bytes.len};
}

/* The interaction an entry names, or NULL and the error. */
static interaction_t *s_named(state_t *self, ProtobufCBinaryData bytes, const char *entry,
                              error_t *ret_error)
{
    id128_t id;
    interaction_t *interaction = NULL;
    if (wire_read_id(bytes, &id))
        interaction = state_find(self, &id);
    if (!interaction)
        state_misfit(self, entry, "it names an interaction that is not there", ret_error);
    return interaction;
}

/* NULL: a text that is not given. */
static bool s_fits(const char *text, size_t most)
{
    return !text || strnlen(text, most + 1) <= most;
}

static bool s_too_long(const state_t *self, const char *entry, error_t *ret_error)
{
    return state_misfit(self, entry, "a text is longer than its limit", ret_error);
}

static void s_step(state_t *self, interaction_t *interaction, step_kind_t kind, uint64_t change,
                   const char *by, const char *queue)
{
    step_t step = {.at = self->wall_time,
                   .change = change,
                   .version = interaction->version,
                   .kind = (uint8_t)kind,
                   .by = symbol_take(self->symbols, text_of(by)),
                   .queue = symbol_take(self->symbols, text_of(queue))};
    journey_append(&state_more(interaction)->journey, self->symbols, &step);
}

/* Before an interaction changes; nothing may be refused after it. */
static void s_touch(state_t *self, interaction_t *interaction)
{
    image_touch(self, interaction);
    digest_remove(self, interaction);
    tally_remove(self, interaction);
    self->touched = interaction;
}

/* It was with a router and no longer is. */
static void s_leave_router(state_t *self, interaction_t *interaction)
{
    if (interaction->state == INTERACTION_ROUTING) {
        services_leave(self, interaction);
        state_take_from_router(self, interaction);
        strategies_left(interaction->more->strategy);
    }
    interaction->deadline = USEC_NEVER;
}

/* It is held no longer, if it was. */
static void s_release(interaction_t *interaction)
{
    interaction->flags &= (uint8_t)~INTERACTION_HELD;
    if (interaction->more)
        interaction->more->held_at = 0;
}

static void s_forget_attempts(interaction_t *interaction)
{
    if (!interaction->more)
        return;
    interaction->more->attempts = 0;
    interaction->more->losses = 0;
    free(interaction->more->reason);
    interaction->more->reason = NULL;
}

/* A submitted one's texts, as it will have them. False: one is longer than its limit. */
static bool s_submitted_texts(const Ixn__V1__Submitted *entry, text_t ret_texts[FIELDS])
{
    ret_texts[FIELD_ATTRIBUTES] = s_bytes(entry->attributes);
    ret_texts[FIELD_EXTERNAL_ID] = text_of(entry->external_id);
    ret_texts[FIELD_MEDIA_TYPE] = text_of(entry->media_type);
    ret_texts[FIELD_TYPE] = text_of(entry->type);
    ret_texts[FIELD_SUBTYPE] = text_of(entry->subtype);
    ret_texts[FIELD_SUBMITTED_BY] = text_of(entry->submitted_by);
    ret_texts[FIELD_KEY] = s_bytes(entry->key);
    ret_texts[FIELD_PARENT] = s_bytes(entry->parent_id);
    const size_t parent = ret_texts[FIELD_PARENT].len;
    return ret_texts[FIELD_KEY].len <= LIMIT_KEY &&
           ret_texts[FIELD_EXTERNAL_ID].len <= LIMIT_TEXT &&
           ret_texts[FIELD_MEDIA_TYPE].len <= LIMIT_NAME &&
           ret_texts[FIELD_TYPE].len <= LIMIT_NAME && ret_texts[FIELD_SUBTYPE].len <= LIMIT_NAME &&
           ret_texts[FIELD_SUBMITTED_BY].len <= LIMIT_NAME &&
           (parent == 0 || parent == sizeof(id128_t)) && s_fits(entry->tenant, LIMIT_NAME) &&
           s_fits(entry->queue, LIMIT_NAME);
}

/* The queue of a new interaction, made if new; NULL when there is no room for its name, or for its
 * tenant's. */
static queue_t *s_queue_of(state_t *self, const Ixn__V1__Submitted *entry)
{
    uint16_t tenant;
    text_t name = text_of(entry->queue);
    bool known = state_tenant(self, text_of(entry->tenant), &tenant);
    queue_t *queue = known ? state_queue(self, tenant, name) : NULL;
    if (queue || self->queues_len == LIMIT_SYMBOLS ||
        !state_tenant_make(self, text_of(entry->tenant), &tenant))
        return queue;
    return state_queue_make(self, tenant, name);
}

/* A key may come again when it was forgotten, which one node may do before another; an id never. */
static bool s_submitted(state_t *self, const Ixn__V1__Submitted *entry, error_t *ret_error)
{
    id128_t id;
    if (!wire_read_id(entry->interaction_id, &id))
        return state_misfit(self, "submitted", "its id has not 16 bytes", ret_error);
    if (state_find(self, &id) || state_remembered(self, &id))
        return state_misfit(self, "submitted", "its interaction exists already", ret_error);
    text_t texts[FIELDS];
    if (!s_submitted_texts(entry, texts))
        return s_too_long(self, "submitted", ret_error);
    id128_t key_hash = key_hash_of(text_of(entry->tenant), s_bytes(entry->key));
    if (state_find_by_key(self, &key_hash))
        return state_misfit(self, "submitted", "its key made another interaction", ret_error);
    queue_t *queue = s_queue_of(self, entry);
    if (!queue)
        return state_misfit(self, "submitted", "too many tenants or queues", ret_error);
    interaction_t *interaction = state_record_new(self);
    interaction->id = id;
    interaction->key_hash = key_hash;
    interaction->fingerprint = entry->fingerprint;
    interaction->state = INTERACTION_QUEUED;
    interaction->queue = queue->number;
    interaction->priority = entry->priority;
    interaction->version = 1;
    interaction->age = self->index + 1;
    interaction->received_at = entry->received_at_us;
    interaction->submitted_at = self->wall_time;
    interaction->placed_at = self->wall_time;
    interaction->moved_at = self->wall_time;
    interaction_set_texts(interaction, texts, &self->text_bytes);
    if (entry->held) {
        interaction->flags |= INTERACTION_HELD;
        interaction->deadline =
            self->log_time + (usec_t)self->configuration->hold_timeout_ms * USEC_PER_MS;
        state_more(interaction)->held_at = self->wall_time;
    }
    index_insert(self->by_id, &interaction->id, interaction->handle);
    index_insert(self->by_key, &interaction->key_hash, interaction->handle);
    image_touch(self, interaction);
    self->touched = interaction;
    state_link(self, interaction);
    return true;
}

static bool s_changed(state_t *self, const Ixn__V1__Changed *entry, error_t *ret_error)
{
    interaction_t *interaction = s_named(self, entry->interaction_id, "changed", ret_error);
    if (!interaction)
        return false;
    if (!s_fits(entry->external_id, LIMIT_TEXT) || !s_fits(entry->type, LIMIT_NAME) ||
        !s_fits(entry->subtype, LIMIT_NAME) || !s_fits(entry->by, LIMIT_NAME))
        return s_too_long(self, "changed", ret_error);
    s_touch(self, interaction);
    text_t texts[FIELDS];
    interaction_texts(interaction, texts);
    if (entry->attributes_given_case == IXN__V1__CHANGED__ATTRIBUTES_GIVEN_ATTRIBUTES)
        texts[FIELD_ATTRIBUTES] = s_bytes(entry->attributes);
    if (entry->external_id_given_case == IXN__V1__CHANGED__EXTERNAL_ID_GIVEN_EXTERNAL_ID)
        texts[FIELD_EXTERNAL_ID] = text_of(entry->external_id);
    if (entry->type_given_case == IXN__V1__CHANGED__TYPE_GIVEN_TYPE)
        texts[FIELD_TYPE] = text_of(entry->type);
    if (entry->subtype_given_case == IXN__V1__CHANGED__SUBTYPE_GIVEN_SUBTYPE)
        texts[FIELD_SUBTYPE] = text_of(entry->subtype);
    interaction_set_texts(interaction, texts, &self->text_bytes);
    if (entry->priority_given_case == IXN__V1__CHANGED__PRIORITY_GIVEN_PRIORITY) {
        state_unlink(self, interaction);
        interaction->priority = entry->priority;
        state_link(self, interaction);
    }
    interaction->version++;
    s_step(self, interaction, STEP_CHANGED, entry->change, entry->by, NULL);
    return true;
}

static void s_set_attributes(state_t *self, interaction_t *interaction, text_t attributes)
{
    text_t texts[FIELDS];
    interaction_texts(interaction, texts);
    texts[FIELD_ATTRIBUTES] = attributes;
    interaction_set_texts(interaction, texts, &self->text_bytes);
}

static bool s_placed(state_t *self, const Ixn__V1__Placed *entry, error_t *ret_error)
{
    interaction_t *interaction = s_named(self, entry->interaction_id, "placed", ret_error);
    if (!interaction)
        return false;
    if (!s_fits(entry->by, LIMIT_NAME))
        return s_too_long(self, "placed", ret_error);
    uint16_t tenant = self->queues[interaction->queue]->tenant;
    queue_t *queue = state_queue_make(self, tenant, text_of(entry->queue));
    if (!queue)
        return state_misfit(self, "placed", "too many queues", ret_error);
    s_touch(self, interaction);
    state_unlink(self, interaction);
    bool released = interaction->state == INTERACTION_QUARANTINED;
    s_leave_router(self, interaction);
    if (interaction->queue != queue->number) {
        interaction->age = self->index + 1;
        interaction->moved_at = self->wall_time;
    }
    interaction->placed_at = self->wall_time;
    interaction->queue = queue->number;
    interaction->state = INTERACTION_QUEUED;
    s_release(interaction);
    if (entry->attributes_given_case == IXN__V1__PLACED__ATTRIBUTES_GIVEN_ATTRIBUTES)
        s_set_attributes(self, interaction, s_bytes(entry->attributes));
    if (entry->priority_given_case == IXN__V1__PLACED__PRIORITY_GIVEN_PRIORITY)
        interaction->priority = entry->priority;
    interaction->version++;
    s_forget_attempts(interaction);
    s_step(self, interaction, released ? STEP_RELEASED : STEP_PLACED, entry->change, entry->by,
           entry->queue);
    state_link(self, interaction);
    return true;
}

static bool s_held_changed(state_t *self, const Ixn__V1__HeldChanged *entry, error_t *ret_error)
{
    interaction_t *interaction = s_named(self, entry->interaction_id, "held", ret_error);
    if (!interaction)
        return false;
    if (!s_fits(entry->by, LIMIT_NAME))
        return s_too_long(self, "held", ret_error);
    if (interaction->state != INTERACTION_QUEUED)
        return state_misfit(self, "held", "its interaction is not queued", ret_error);
    s_touch(self, interaction);
    state_unlink(self, interaction);
    if (entry->held) {
        interaction->flags |= INTERACTION_HELD;
        interaction->deadline =
            self->log_time + (usec_t)self->configuration->hold_timeout_ms * USEC_PER_MS;
        state_more(interaction)->held_at = self->wall_time;
    } else {
        s_release(interaction);
        interaction->deadline = USEC_NEVER;
    }
    interaction->version++;
    s_step(self, interaction, entry->held ? STEP_HELD : STEP_RESUMED, entry->change, entry->by,
           NULL);
    state_link(self, interaction);
    return true;
}

static void s_remember(state_t *self, const interaction_t *interaction)
{
    remembered_t entry = {.id = interaction->id,
                          .key_hash = interaction->key_hash,
                          .fingerprint = interaction->fingerprint,
                          .completed_log = self->log_time,
                          .completed_at = self->wall_time,
                          .tenant = self->queues[interaction->queue]->tenant};
    remembered_changes(&entry, interaction->more->journey);
    remembered_add(&self->remembered, &entry);
}

static bool s_stopped(state_t *self, const Ixn__V1__Stopped *entry, error_t *ret_error)
{
    interaction_t *interaction = s_named(self, entry->interaction_id, "stopped", ret_error);
    if (!interaction)
        return false;
    if (!s_fits(entry->by, LIMIT_NAME) || !s_fits(entry->reason, LIMIT_TEXT))
        return s_too_long(self, "stopped", ret_error);
    s_touch(self, interaction);
    state_unlink(self, interaction);
    s_leave_router(self, interaction);
    if (entry->attributes_given_case == IXN__V1__STOPPED__ATTRIBUTES_GIVEN_ATTRIBUTES)
        s_set_attributes(self, interaction, s_bytes(entry->attributes));
    interaction->state = INTERACTION_COMPLETED;
    interaction->version++;
    s_step(self, interaction, STEP_STOPPED, entry->change, entry->by, NULL);
    free(interaction->more->reason);
    interaction->more->reason = memory_text(entry->reason);
    s_remember(self, interaction);
    self->touched = NULL; /* it leaves the digest */
    index_remove(self->by_id, &interaction->id);
    index_remove(self->by_key, &interaction->key_hash);
    self->count--;
    image_finish(self, interaction);
    return true;
}

static bool s_dispatched(state_t *self, const Ixn__V1__Dispatched *entry, error_t *ret_error)
{
    interaction_t *interaction = s_named(self, entry->interaction_id, "dispatched", ret_error);
    if (!interaction)
        return false;
    if (interaction->state != INTERACTION_QUEUED || (interaction->flags & INTERACTION_HELD))
        return state_misfit(self, "dispatched", "its interaction does not wait", ret_error);
    if (!entry->router[0] || !s_fits(entry->router, LIMIT_NAME) ||
        !s_fits(entry->strategy, LIMIT_NAME))
        return state_misfit(self, "dispatched", "a name is empty or longer than its limit",
                            ret_error);
    state_router_t *router = state_router(self, text_of(entry->router));
    if (!router)
        return state_misfit(self, "dispatched", "too many routers", ret_error);
    s_touch(self, interaction);
    state_unlink(self, interaction);
    interaction->state = INTERACTION_ROUTING;
    interaction->deadline =
        self->log_time + (usec_t)self->configuration->routing_timeout_ms * USEC_PER_MS;
    interaction_more_t *more = state_more(interaction);
    more->token_epoch = self->epoch;
    more->token_index = self->index + 1;
    more->routed_at = self->wall_time;
    more->strategy = strategies_dispatched(self, self->queues[interaction->queue]->tenant,
                                           text_of(entry->strategy), text_of(entry->router));
    s_step(self, interaction, STEP_DISPATCHED, 0, entry->router, entry->strategy);
    state_give_to_router(self, interaction, router);
    state_link(self, interaction);
    return true;
}

/* 0 for a cause that nothing comes back from a router by. */
static step_kind_t s_return_step(Ixn__V1__ReturnCause cause)
{
    switch (cause) {
    case IXN__V1__RETURN_CAUSE__ROUTER_LOST:
        return STEP_ROUTER_LOST;
    case IXN__V1__RETURN_CAUSE__ROUTER_LEFT:
        return STEP_ROUTER_LEFT;
    case IXN__V1__RETURN_CAUSE__ROUTE_FAILED:
        return STEP_ROUTE_FAILED;
    case IXN__V1__RETURN_CAUSE__ROUTING_TIMEOUT:
        return STEP_ROUTING_TIMEOUT;
    case IXN__V1__RETURN_CAUSE__NOT_HELD:
        return STEP_NOT_HELD;
    default:
        return (step_kind_t)0;
    }
}

static bool s_returned(state_t *self, const Ixn__V1__Returned *entry, error_t *ret_error)
{
    interaction_t *interaction = s_named(self, entry->interaction_id, "returned", ret_error);
    if (!interaction)
        return false;
    if (interaction->state != INTERACTION_ROUTING)
        return state_misfit(self, "returned", "its interaction is with no router", ret_error);
    if (!s_return_step(entry->cause))
        return state_misfit(self, "returned", "its cause is not known here", ret_error);
    if (!s_fits(entry->reason, LIMIT_TEXT))
        return s_too_long(self, "returned", ret_error);
    s_touch(self, interaction);
    state_unlink(self, interaction);
    interaction_more_t *more = interaction->more;
    const char *router = self->routers[more->router]->name;
    s_step(self, interaction, s_return_step(entry->cause), entry->change, router, NULL);
    s_leave_router(self, interaction);
    if (entry->cause == IXN__V1__RETURN_CAUSE__ROUTER_LOST) {
        more->losses++;
        more->attempts = (uint16_t)(more->attempts + (entry->alone ? 1 : 0));
    } else if (entry->cause == IXN__V1__RETURN_CAUSE__ROUTE_FAILED ||
               entry->cause == IXN__V1__RETURN_CAUSE__ROUTING_TIMEOUT) {
        more->attempts++;
    }
    if (MUTATION(RETURNED_TO_TAIL))
        interaction->age = self->index + 1;
    interaction->state = entry->quarantined ? INTERACTION_QUARANTINED : INTERACTION_QUEUED;
    if (entry->reason[0]) {
        free(more->reason);
        more->reason = memory_text(entry->reason);
    }
    state_link(self, interaction);
    return true;
}

static bool s_configured(state_t *self, const Ixn__V1__ConfigurationChanged *entry,
                         error_t *ret_error)
{
    if (!entry->configuration)
        return state_misfit(self, "configuration", "it is empty", ret_error);
    if (!state_check_configuration(self, entry->configuration))
        return state_misfit(self, "configuration",
                            "a name or a duration is over its limit, or there are too many names",
                            ret_error);
    state_set_configuration(self, entry->configuration);
    self->configuration_changed = true;
    return true;
}

static bool s_fitting(const state_t *self, const char *entry, const char *misfit,
                      error_t *ret_error)
{
    return !misfit || state_misfit(self, entry, misfit, ret_error);
}

static bool s_apply(state_t *self, const Ixn__V1__Entry *entry, error_t *ret_error)
{
    switch (entry->body_case) {
    case IXN__V1__ENTRY__BODY_EPOCH_STARTED:
    case IXN__V1__ENTRY__BODY_BEAT:
        return true;
    case IXN__V1__ENTRY__BODY_CONFIGURATION_CHANGED:
        return s_configured(self, entry->configuration_changed, ret_error);
    case IXN__V1__ENTRY__BODY_SUBMITTED:
        return s_submitted(self, entry->submitted, ret_error);
    case IXN__V1__ENTRY__BODY_CHANGED:
        return s_changed(self, entry->changed, ret_error);
    case IXN__V1__ENTRY__BODY_PLACED:
        return s_placed(self, entry->placed, ret_error);
    case IXN__V1__ENTRY__BODY_HELD_CHANGED:
        return s_held_changed(self, entry->held_changed, ret_error);
    case IXN__V1__ENTRY__BODY_STOPPED:
        return s_stopped(self, entry->stopped, ret_error);
    case IXN__V1__ENTRY__BODY_DISPATCHED:
        return s_dispatched(self, entry->dispatched, ret_error);
    case IXN__V1__ENTRY__BODY_RETURNED:
        return s_returned(self, entry->returned, ret_error);
    case IXN__V1__ENTRY__BODY_SERVICE_REQUESTED:
        return services_requested(self, entry->service_requested, ret_error);
    case IXN__V1__ENTRY__BODY_SERVICE_SENT:
        return services_sent(self, entry->service_sent, ret_error);
    case IXN__V1__ENTRY__BODY_SERVICE_WAITS:
        return services_waits(self, entry->service_waits, ret_error);
    case IXN__V1__ENTRY__BODY_SERVICE_ANSWERED:
        return services_answered(self, entry->service_answered, ret_error);
    case IXN__V1__ENTRY__BODY_STRATEGY_PUT:
        return s_fitting(self, "strategy put", strategies_put(self, entry->strategy_put),
                         ret_error);
    case IXN__V1__ENTRY__BODY_STRATEGY_REMOVED:
        return s_fitting(self, "strategy removed",
                         strategies_removed(self, entry->strategy_removed), ret_error);
    case IXN__V1__ENTRY__BODY_STRATEGY_ACTIVATED:
        return s_fitting(self, "strategy activated",
                         strategies_activated(self, entry->strategy_activated), ret_error);
    case IXN__V1__ENTRY__BODY_STRATEGY_DEACTIVATED:
        return s_fitting(self, "strategy deactivated",
                         strategies_deactivated(self, entry->strategy_deactivated), ret_error);
    case IXN__V1__ENTRY__BODY_ROUTER_DRAINED:
        return s_fitting(self, "router drained", drains_drained(self, entry->router_drained),
                         ret_error);
    case IXN__V1__ENTRY__BODY_ROUTER_UNDRAINED:
        return s_fitting(self, "router undrained", drains_undrained(self, entry->router_undrained),
                         ret_error);
    case IXN__V1__ENTRY__BODY_AGENT_CHANGED:
        return s_fitting(self, "agent", agents_changed(self, entry->agent_changed), ret_error);
    case IXN__V1__ENTRY__BODY_AGENT_RESERVED:
        return s_fitting(self, "agent reserved", agents_reserved(self, entry->agent_reserved),
                         ret_error);
    case IXN__V1__ENTRY__BODY_AGENT_RELEASED:
        return s_fitting(self, "agent released", agents_released(self, entry->agent_released),
                         ret_error);
    default:
        return state_misfit(self, "unknown", "a newer version wrote it; use that version",
                            ret_error);
    }
}

void state_begin_batch(state_t *self, uint64_t epoch, usec_t log_time, usec_t wall_time)
{
    self->epoch = epoch;
    self->log_time = log_time;
    self->wall_time = wall_time;
    remembered_expire(self);
}

bool state_apply(state_t *self, const Ixn__V1__Entry *entry, error_t *ret_error)
{
    services_free_dropped(self);
    if (!s_apply(self, entry, ret_error))
        return false;
    self->index++;
    if (self->touched) {
        digest_add(self, self->touched);
        tally_add(self, self->touched);
    }
    self->tally_left = NULL;
    self->touched = NULL;
    return true;
}

void state_end_batch(state_t *self, id128_t hash)
{
    self->hash = hash;
}
