#include <string.h>

#include "core/attributes.h"
#include "core/base/check.h"
#include "core/engine_internal.h"

/* Changes of one interaction: by anybody with a key, by its router with the token. They share how
 * the interaction is found, how the right is proved and how a retry is recognised; then each
 * decides its own entry. */

/* What all changes have, read from the request's body. */
typedef struct {
    Ixn__V1__Request__BodyCase kind;
    ProtobufCBinaryData interaction_id;
    ProtobufCBinaryData key;
    const Ixn__V1__Token *token;
    uint32_t expected_version;
    const Ixn__V1__AttributesChange *attributes;
    bool ends_routing; /* a result: the token itself is the key */
    /* found */
    interaction_t *interaction;
    uint64_t change;
    engine_session_t *slot;
    bool attributes_given;
    text_t new_attributes;
} change_t;

static void s_read(const Ixn__V1__Request *request, change_t *change)
{
    switch (request->body_case) {
    case IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES: {
        const Ixn__V1__ChangeProperties *body = request->change_properties;
        *change = (change_t){.interaction_id = body->interaction_id,
                             .key = body->key,
                             .token = body->token,
                             .expected_version = body->expected_version,
                             .attributes = body->attributes};
        return;
    }
    case IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE: {
        const Ixn__V1__PlaceInQueue *body = request->place_in_queue;
        *change = (change_t){.interaction_id = body->interaction_id,
                             .key = body->key,
                             .token = body->token,
                             .expected_version = body->expected_version,
                             .attributes = body->attributes,
                             .ends_routing = true};
        return;
    }
    case IXN__V1__REQUEST__BODY_STOP: {
        const Ixn__V1__Stop *body = request->stop;
        *change = (change_t){.interaction_id = body->interaction_id,
                             .key = body->key,
                             .token = body->token,
                             .expected_version = body->expected_version,
                             .attributes = body->attributes,
                             .ends_routing = true};
        return;
    }
    case IXN__V1__REQUEST__BODY_HOLD: {
        const Ixn__V1__Hold *body = request->hold;
        *change = (change_t){.interaction_id = body->interaction_id,
                             .key = body->key,
                             .expected_version = body->expected_version};
        return;
    }
    case IXN__V1__REQUEST__BODY_RESUME: {
        const Ixn__V1__Resume *body = request->resume;
        *change = (change_t){.interaction_id = body->interaction_id,
                             .key = body->key,
                             .expected_version = body->expected_version};
        return;
    }
    default: {
        const Ixn__V1__RouteFailed *body = request->route_failed;
        *change = (change_t){
            .interaction_id = body->interaction_id, .token = body->token, .ends_routing = true};
    }
    }
}

/* The right to change and the name of the change: token for a router, key for others. */
static bool s_identify(change_t *change, error_t *ret_error)
{
    bool router = change->slot->role == IXN__V1__ROLE__ROUTER;
    if (router && !change->token)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "a router must quote the token of its work in every change");
    if (!router && change->token)
        return error_set(ret_error, ERROR_WRONG_ROLE,
                         "\"%s\" is not a router; send a key instead of a token",
                         change->slot->name);
    if (router && change->ends_routing) {
        change->change = change_of_token(change->token->epoch, change->token->index);
        return true;
    }
    if (change->key.len < 1 || change->key.len > LIMIT_KEY)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "key has %zu bytes, it needs 1 … %d; make a random one for each change",
                         change->key.len, LIMIT_KEY);
    change->change = change_of_key((text_t){(const char *)change->key.data, change->key.len});
    return true;
}

static bool s_unknown(id128_t id, error_t *ret_error)
{
    char text[ID_TEXT_SIZE];
    return error_set(ret_error, ERROR_UNKNOWN_INTERACTION,
                     "no interaction %s is live here; older ones are in ixn.interaction_history",
                     id_text(id, text));
}

/* What a step was, in words, and which request asks for it. */
static const char *s_deed(uint8_t step, Ixn__V1__Request__BodyCase *ret_kind)
{
    switch (step) {
    case STEP_CHANGED:
        *ret_kind = IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES;
        return "change its properties";
    case STEP_PLACED:
    case STEP_RELEASED:
        *ret_kind = IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE;
        return "place it in a queue";
    case STEP_HELD:
        *ret_kind = IXN__V1__REQUEST__BODY_HOLD;
        return "hold it";
    case STEP_RESUMED:
        *ret_kind = IXN__V1__REQUEST__BODY_RESUME;
        return "resume it";
    case STEP_STOPPED:
        *ret_kind = IXN__V1__REQUEST__BODY_STOP;
        return "stop it";
    default:
        *ret_kind = IXN__V1__REQUEST__BODY_ROUTE_FAILED;
        return "give it back";
    }
}

/* The key or the token made another change before, whose answer is not this one's. */
static bool s_spent(const change_t *change, const char *deed, error_t *ret_error)
{
    if (change->token && change->ends_routing)
        return error_set(ret_error, ERROR_OLD_TOKEN,
                         "token %llu/%llu is no longer held: it was used before to %s; drop this "
                         "work",
                         (unsigned long long)change->token->epoch,
                         (unsigned long long)change->token->index, deed);
    return error_set(ret_error, ERROR_KEY_REUSED,
                     "this key was used before to %s; make a new key for each change", deed);
}

/* When this change was made before: its first answer, and `*ret_answered`. */
static bool s_find_live(engine_t *self, change_t *change, uint64_t request, bool *ret_answered,
                        error_t *ret_error)
{
    interaction_t *live = change->interaction;
    const step_t *step = live->more ? journey_find(live->more->journey, change->change) : NULL;
    if (!step)
        return true;
    Ixn__V1__Request__BodyCase kind;
    const char *deed = s_deed(step->kind, &kind);
    if (kind != change->kind)
        return s_spent(change, deed, ret_error);
    engine_ack(self, change->slot->ref, request, live->id, step->version);
    *ret_answered = true;
    return true;
}

/* Of a completed one the newest changes are remembered, without what they were, but for the newest
 * of all: that is its Stop. */
static bool s_find_completed(engine_t *self, const change_t *change, uint64_t request,
                             const remembered_t *done, error_t *ret_error)
{
    for (size_t i = 0; i < sizeof done->changes / sizeof *done->changes; i++) {
        if (done->changes[i] != change->change)
            continue;
        if ((i == 0) != (change->kind == IXN__V1__REQUEST__BODY_STOP))
            return s_spent(change, i == 0 ? "stop it" : "change it", ret_error);
        engine_ack(self, change->slot->ref, request, done->id, done->versions[i]);
        return true;
    }
    char text[ID_TEXT_SIZE];
    return error_set(ret_error, ERROR_ALREADY_COMPLETED,
                     "interaction %s is completed; nothing can be changed any more",
                     id_text(done->id, text));
}

/* Finds the interaction; answers when this change was made before. */
static bool s_find(engine_t *self, change_t *change, uint64_t request, bool *ret_answered,
                   error_t *ret_error)
{
    id128_t id;
    if (!wire_read_id(change->interaction_id, &id))
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "interaction_id has %zu bytes, it needs 16", change->interaction_id.len);
    interaction_t *live = state_find(self->state, &id);
    if (live) {
        if (!engine_may_see(change->slot, self->state->queues[live->queue]->tenant))
            return s_unknown(id, ret_error);
        change->interaction = live;
        if (change->kind == IXN__V1__REQUEST__BODY_STOP)
            state_remembered_prefetch(self->state, &live->id, &live->key_hash);
        return s_find_live(self, change, request, ret_answered, ret_error);
    }
    const remembered_t *done = state_remembered(self->state, &id);
    if (!done || !engine_may_see(change->slot, done->tenant))
        return s_unknown(id, ret_error);
    *ret_answered = s_find_completed(self, change, request, done, ret_error);
    return *ret_answered;
}

static bool s_check_token(const engine_t *self, const change_t *change, error_t *ret_error)
{
    const interaction_t *interaction = change->interaction;
    const Ixn__V1__Token *token = change->token;
    CHECK(interaction);
    if (!token || MUTATION(TOKEN_IGNORED))
        return true;
    const interaction_more_t *more = interaction->more;
    if (interaction->state != INTERACTION_ROUTING)
        return error_set(ret_error, ERROR_OLD_TOKEN,
                         "token %llu/%llu is no longer held: the interaction is %s; drop this work",
                         (unsigned long long)token->epoch, (unsigned long long)token->index,
                         interaction_state_name(interaction->state));
    const char *router = self->state->routers[more->router]->name;
    if (more->token_epoch != token->epoch || more->token_index != token->index ||
        strcmp(router, change->slot->name) != 0)
        return error_set(ret_error, ERROR_OLD_TOKEN,
                         "token %llu/%llu of \"%s\" is no longer held: \"%s\" has the interaction "
                         "under %llu/%llu; drop this work",
                         (unsigned long long)token->epoch, (unsigned long long)token->index,
                         change->slot->name, router, (unsigned long long)more->token_epoch,
                         (unsigned long long)more->token_index);
    return true;
}

static bool s_check_version(const change_t *change, error_t *ret_error)
{
    CHECK(change->interaction);
    uint32_t version = change->interaction->version;
    if (change->expected_version == 0 || change->expected_version == version)
        return true;
    return error_set(ret_error, ERROR_VERSION_CONFLICT,
                     "expected version %u, it has version %u; read it again and decide anew",
                     change->expected_version, version);
}

static bool s_make_attributes(engine_t *self, change_t *change, error_t *ret_error)
{
    const Ixn__V1__AttributesChange *wanted = change->attributes;
    if (!wanted || (wanted->set.len == 0 && wanted->n_remove == 0))
        return true;
    if (wanted->n_remove > LIMIT_REMOVED_NAMES)
        return error_set(ret_error, ERROR_TOO_LARGE,
                         "%zu names to remove, the limit is %d in one change", wanted->n_remove,
                         LIMIT_REMOVED_NAMES);
    text_t set = {(const char *)wanted->set.data, wanted->set.len};
    if (!attributes_change(interaction_text(change->interaction, FIELD_ATTRIBUTES), set,
                           wanted->remove, wanted->n_remove,
                           self->state->configuration->max_attributes_size, &self->attributes,
                           ret_error))
        return false;
    change->attributes_given = true;
    change->new_attributes = (text_t){(char *)self->attributes.bytes, self->attributes.len};
    return true;
}

static bool s_check_priority(int32_t priority, error_t *ret_error)
{
    if (priority >= -LIMIT_PRIORITY && priority <= LIMIT_PRIORITY)
        return true;
    return error_set(ret_error, ERROR_INVALID_ARGUMENT, "priority is %d, it may be %d … %d",
                     priority, -LIMIT_PRIORITY, LIMIT_PRIORITY);
}

/* ---- One function a kind of change: checks what is its own, then decides the entry ---- */

static bool s_change_properties(engine_t *self, const change_t *change,
                                const Ixn__V1__ChangeProperties *body, error_t *ret_error)
{
    Ixn__V1__Changed changed = IXN__V1__CHANGED__INIT;
    changed.interaction_id = wire_bytes(&change->interaction->id);
    changed.change = change->change;
    changed.by = (char *)self->by;
    if (change->attributes_given) {
        changed.attributes_given_case = IXN__V1__CHANGED__ATTRIBUTES_GIVEN_ATTRIBUTES;
        changed.attributes = wire_text(change->new_attributes);
    }
    if (body->priority_given_case == IXN__V1__CHANGE_PROPERTIES__PRIORITY_GIVEN_PRIORITY) {
        if (!s_check_priority(body->priority, ret_error))
            return false;
        changed.priority_given_case = IXN__V1__CHANGED__PRIORITY_GIVEN_PRIORITY;
        changed.priority = body->priority;
    }
    if (body->external_id_given_case == IXN__V1__CHANGE_PROPERTIES__EXTERNAL_ID_GIVEN_EXTERNAL_ID) {
        if (!wire_check_text("external_id", body->external_id, 0, LIMIT_TEXT, ret_error))
            return false;
        changed.external_id_given_case = IXN__V1__CHANGED__EXTERNAL_ID_GIVEN_EXTERNAL_ID;
        changed.external_id = body->external_id;
    }
    if (body->type_given_case == IXN__V1__CHANGE_PROPERTIES__TYPE_GIVEN_TYPE) {
        if (!wire_check_text("type", body->type, 0, LIMIT_NAME, ret_error))
            return false;
        changed.type_given_case = IXN__V1__CHANGED__TYPE_GIVEN_TYPE;
        changed.type = body->type;
    }
    if (body->subtype_given_case == IXN__V1__CHANGE_PROPERTIES__SUBTYPE_GIVEN_SUBTYPE) {
        if (!wire_check_text("subtype", body->subtype, 0, LIMIT_NAME, ret_error))
            return false;
        changed.subtype_given_case = IXN__V1__CHANGED__SUBTYPE_GIVEN_SUBTYPE;
        changed.subtype = body->subtype;
    }
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_CHANGED;
    entry.changed = &changed;
    engine_emit(self, &entry);
    engine_queue_dirty(self, change->interaction->queue);
    return true;
}

/* Whoever is not the router takes the work away from it. */
static void s_take_away(engine_t *self, const change_t *change, const char *reason)
{
    if (change->interaction->state == INTERACTION_ROUTING && !change->token)
        engine_revoke(self, change->interaction, reason);
}

static state_router_t *s_router_of(const engine_t *self, const interaction_t *interaction)
{
    return interaction->state == INTERACTION_ROUTING
               ? self->state->routers[interaction->more->router]
               : NULL;
}

static bool s_place(engine_t *self, const change_t *change, const Ixn__V1__PlaceInQueue *body,
                    error_t *ret_error)
{
    if (!wire_check_text("queue", body->queue, 1, LIMIT_NAME, ret_error) ||
        !wire_check_text("reason", body->reason, 0, LIMIT_TEXT, ret_error) ||
        !engine_check_grant(self, change->slot, change->interaction, body->agent, body->grant,
                            ret_error))
        return false;
    /* The client's own, unless that is an operator's. */
    const uint16_t tenant = self->state->queues[change->interaction->queue]->tenant;
    queue_t *queue = state_queue(self->state, tenant, text_of(body->queue));
    if (!queue || !queue->configured)
        return error_set(ret_error, ERROR_UNKNOWN_QUEUE,
                         "tenant \"%s\" has no queue \"%s\"; configure it under `queues`",
                         self->state->tenants[tenant], body->queue);
    Ixn__V1__Placed placed = IXN__V1__PLACED__INIT;
    if (body->priority_given_case == IXN__V1__PLACE_IN_QUEUE__PRIORITY_GIVEN_PRIORITY) {
        if (!s_check_priority(body->priority, ret_error))
            return false;
        placed.priority_given_case = IXN__V1__PLACED__PRIORITY_GIVEN_PRIORITY;
        placed.priority = body->priority;
    }
    placed.interaction_id = wire_bytes(&change->interaction->id);
    placed.change = change->change;
    placed.queue = body->queue;
    placed.reason = body->reason;
    placed.by = (char *)self->by;
    placed.agent = body->agent;
    if (change->attributes_given) {
        placed.attributes_given_case = IXN__V1__PLACED__ATTRIBUTES_GIVEN_ATTRIBUTES;
        placed.attributes = wire_text(change->new_attributes);
    }
    s_take_away(self, change, "it was placed in a queue by another client");
    const state_router_t *router = s_router_of(self, change->interaction);
    uint16_t old_queue = change->interaction->queue;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_PLACED;
    entry.placed = &placed;
    engine_emit(self, &entry);
    engine_router_gave_back(self, router);
    engine_queue_dirty(self, old_queue);
    engine_queue_dirty(self, queue->number);
    return true;
}

static bool s_stop(engine_t *self, const change_t *change, const Ixn__V1__Stop *body,
                   error_t *ret_error)
{
    if (!wire_check_text("reason", body->reason, 0, LIMIT_TEXT, ret_error) ||
        !engine_check_grant(self, change->slot, change->interaction, body->agent, body->grant,
                            ret_error))
        return false;
    Ixn__V1__Stopped stopped = IXN__V1__STOPPED__INIT;
    stopped.interaction_id = wire_bytes(&change->interaction->id);
    stopped.change = change->change;
    stopped.reason = body->reason[0] ? body->reason : (char *)"completed";
    stopped.by = (char *)self->by;
    stopped.agent = body->agent;
    if (change->attributes_given) {
        stopped.attributes_given_case = IXN__V1__STOPPED__ATTRIBUTES_GIVEN_ATTRIBUTES;
        stopped.attributes = wire_text(change->new_attributes);
    }
    s_take_away(self, change, "it was stopped by another client");
    const state_router_t *router = s_router_of(self, change->interaction);
    uint16_t queue = change->interaction->queue;
    const usec_t submitted_at = change->interaction->submitted_at;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_STOPPED;
    entry.stopped = &stopped;
    engine_emit(self, &entry);
    engine_router_gave_back(self, router);
    engine_queue_dirty(self, queue);
    self->figures.completed++;
    latency_add(&self->figures.completion, self->wall_time - submitted_at, 1);
    return true;
}

static bool s_hold(engine_t *self, const change_t *change, bool held, error_t *ret_error)
{
    const interaction_t *interaction = change->interaction;
    if (interaction->state != INTERACTION_QUEUED)
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "the interaction is %s; only a queued one can be held or resumed",
                         interaction_state_name(interaction->state));
    Ixn__V1__HeldChanged changed = IXN__V1__HELD_CHANGED__INIT;
    changed.interaction_id = wire_bytes(&interaction->id);
    changed.change = change->change;
    changed.held = held;
    changed.by = (char *)self->by;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_HELD_CHANGED;
    entry.held_changed = &changed;
    engine_emit(self, &entry);
    engine_queue_dirty(self, interaction->queue);
    return true;
}

static bool s_route_failed(engine_t *self, const change_t *change, const Ixn__V1__RouteFailed *body,
                           error_t *ret_error)
{
    if (!wire_check_text("reason", body->reason, 0, LIMIT_TEXT, ret_error))
        return false;
    const engine_return_t failed = {.cause = body->blameless ? IXN__V1__RETURN_CAUSE__ROUTER_LEFT
                                                             : IXN__V1__RETURN_CAUSE__ROUTE_FAILED,
                                    .reason = body->reason,
                                    .change = change->change};
    engine_return_one(self, change->interaction, &failed);
    return true;
}

static bool s_decide(engine_t *self, const change_t *change, const Ixn__V1__Request *request,
                     error_t *ret_error)
{
    switch (request->body_case) {
    case IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES:
        return s_change_properties(self, change, request->change_properties, ret_error);
    case IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE:
        return s_place(self, change, request->place_in_queue, ret_error);
    case IXN__V1__REQUEST__BODY_STOP:
        return s_stop(self, change, request->stop, ret_error);
    case IXN__V1__REQUEST__BODY_HOLD:
        return s_hold(self, change, true, ret_error);
    case IXN__V1__REQUEST__BODY_RESUME:
        return s_hold(self, change, false, ret_error);
    default:
        return s_route_failed(self, change, request->route_failed, ret_error);
    }
}

static void s_refuse(engine_t *self, const change_t *change, session_t session, uint64_t request,
                     const error_t *error)
{
    if (error->code != ERROR_VERSION_CONFLICT) {
        engine_refuse(self, session, request, error);
        return;
    }
    CHECK(change->interaction); /* it was found before its version was compared */
    Ixn__V1__Error body = IXN__V1__ERROR__INIT;
    body.code = IXN__V1__CODE__VERSION_CONFLICT;
    body.sentence = (char *)error->text;
    body.actual_version = change->interaction->version;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_ERROR;
    message.error = &body;
    self->figures.refused++;
    engine_say(self, session, &message);
}

void engine_change(engine_t *self, session_t session, const Ixn__V1__Request *request)
{
    change_t change;
    s_read(request, &change);
    change.kind = request->body_case;
    change.slot = engine_slot(self, session);
    bool answered = false;
    error_t error;
    bool ok = s_identify(&change, &error) && s_find(self, &change, request->id, &answered, &error);
    if (answered)
        return;
    ok = ok && s_check_token(self, &change, &error) && s_check_version(&change, &error) &&
         s_make_attributes(self, &change, &error);
    id128_t id = change.interaction ? change.interaction->id : (id128_t){0};
    uint32_t version = change.interaction ? change.interaction->version : 0;
    ok = ok && s_decide(self, &change, request, &error);
    if (!ok)
        s_refuse(self, &change, session, request->id, &error);
    else /* a return changes nothing that a client sees; everything else is one version more */
        engine_ack(self, session, request->id, id,
                   version + (request->body_case != IXN__V1__REQUEST__BODY_ROUTE_FAILED));
}
