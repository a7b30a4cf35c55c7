#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/alloc.h"
#include "tests/unit/engine_world_internal.h"

/* ---- Names ---- */

void world_name(world_t *self, const char *name, id128_t id)
{
    for (size_t i = 0; i < self->named_len; i++)
        if (strcmp(self->named[i].name, name) == 0 || id_equal(self->named[i].id, id))
            return;
    self->named = memory_resize(self->named, (self->named_len + 1) * sizeof *self->named);
    named_t *named = &self->named[self->named_len++];
    *named = (named_t){.id = id};
    snprintf(named->name, sizeof named->name, "%s", name);
}

id128_t world_id(const world_t *self, const char *name)
{
    for (size_t i = 0; i < self->named_len; i++)
        if (strcmp(self->named[i].name, name) == 0)
            return self->named[i].id;
    id128_t id;
    cr_assert(id_parse(name, &id), "no interaction is called %s", name);
    return id;
}

/* The test's name; one that is met before its Submit is answered is called by its key. */
const char *world_name_of(world_t *self, ProtobufCBinaryData bytes)
{
    id128_t id;
    if (!wire_read_id(bytes, &id))
        return "";
    if (id_is_zero(id))
        return "";
    for (size_t i = 0; i < self->named_len; i++)
        if (id_equal(self->named[i].id, id))
            return self->named[i].name;
    const interaction_t *live = state_find(engine_state(world_engine(self)), &id);
    if (!live || interaction_text(live, FIELD_KEY).data[0] < ' ')
        return "?"; /* of world_packet */
    world_name(self, interaction_text(live, FIELD_KEY).data, id);
    return world_name_of(self, bytes);
}

Ixn__V1__Token world_token(const world_t *self, const char *name)
{
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    unsigned long number = name[0] == 't' ? strtoul(name + 1, NULL, 10) : 0;
    if (number > 0 && number <= self->tokens_len)
        return self->tokens[number - 1];
    cr_assert(sscanf(name, "%" SCNu64 "/%" SCNu64, &token.epoch, &token.index) == 2,
              "no token is called %s", name);
    return token;
}

const char *world_token_name(world_t *self, const Ixn__V1__Token *token)
{
    size_t at = 0;
    while (at < self->tokens_len &&
           (self->tokens[at].epoch != token->epoch || self->tokens[at].index != token->index))
        at++;
    if (at == self->tokens_len) {
        self->tokens = memory_resize(self->tokens, ++self->tokens_len * sizeof *self->tokens);
        self->tokens[at] = *token;
    }
    snprintf(self->last_token, sizeof self->last_token, "t%zu", at + 1);
    return self->last_token;
}

const char *world_last_token(const world_t *self)
{
    return self->last_token;
}

/* ---- Asking ---- */

static asked_t *s_remember(world_t *self, const char *who)
{
    if (self->asked_len == self->asked_capacity) {
        self->asked_capacity = self->asked_capacity * 2 + 64;
        self->asked = memory_resize(self->asked, self->asked_capacity * sizeof *self->asked);
    }
    asked_t *asked = &self->asked[self->asked_len++];
    *asked = (asked_t){.id = self->asked_len};
    snprintf(asked->who, sizeof asked->who, "%s", who);
    return asked;
}

void world_bytes(world_t *self, const char *who, const void *bytes, size_t len)
{
    world_begin(self);
    const connection_t *connection = world_find(self, who);
    cr_assert(connection, "%s is not connected", who);
    node_receive(self->node, connection->session, bytes, len);
}

uint64_t world_request(world_t *self, const char *who, Ixn__V1__Request *request)
{
    if (request->id == 0)
        request->id = s_remember(self, who)->id;
    buffer_t frame = {0};
    wire_append_to_node_head(&frame);
    wire_append_request(&frame, request);
    world_bytes(self, who, frame.bytes, frame.len);
    buffer_free(&frame);
    return request->id;
}

/* Keys that differ: eight bytes, counted; the first is not a letter. */
static void s_append_one(buffer_t *frame, Ixn__V1__Request *request)
{
    uint64_t number = request->id << 8 | 1;
    ProtobufCBinaryData key = {sizeof number, (uint8_t *)&number};
    Ixn__V1__ChangeProperties change;
    Ixn__V1__Hold hold;
    Ixn__V1__Submit submit;
    if (request->body_case == IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES) {
        change = *request->change_properties;
        change.key = key;
        request->change_properties = &change;
    } else if (request->body_case == IXN__V1__REQUEST__BODY_HOLD) {
        hold = *request->hold;
        hold.key = key;
        request->hold = &hold;
    } else if (request->body_case == IXN__V1__REQUEST__BODY_SUBMIT) {
        submit = *request->submit;
        submit.key = key;
        request->submit = &submit;
    }
    wire_append_request(frame, request);
}

void world_packet(world_t *self, const char *who, const Ixn__V1__Request *request, size_t count)
{
    buffer_t frame = {0};
    wire_append_to_node_head(&frame);
    for (size_t i = 0; i < count; i++) {
        Ixn__V1__Request one = *request;
        one.id = s_remember(self, who)->id;
        s_append_one(&frame, &one);
    }
    world_bytes(self, who, frame.bytes, frame.len);
    buffer_free(&frame);
}

static Ixn__V1__Request s_request(Ixn__V1__Request__BodyCase body)
{
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = body;
    return request;
}

static char *s_text(const char *text)
{
    return (char *)(text ? text : "");
}

static ProtobufCBinaryData s_bytes(const char *text)
{
    return (ProtobufCBinaryData){text ? strlen(text) : 0, (uint8_t *)text};
}

/* "t1 t2 7/12": all of them, in one block that the caller frees. */
static Ixn__V1__Token **s_tokens(const world_t *self, const char *names, size_t *ret_len)
{
    size_t most = names ? strlen(names) : 0;
    Ixn__V1__Token **tokens = memory_zero(1, (most + 1) * (sizeof *tokens + sizeof **tokens));
    Ixn__V1__Token *values = (Ixn__V1__Token *)(tokens + most + 1);
    *ret_len = 0;
    while (names && *names) {
        char name[NAME];
        size_t len = strcspn(names, " ");
        snprintf(name, sizeof name, "%.*s", (int)len, names);
        values[*ret_len] = world_token(self, name);
        tokens[*ret_len] = &values[*ret_len];
        ++*ret_len;
        names += len + strspn(names + len, " ");
    }
    return tokens;
}

void world_register(world_t *self, const char *who, const world_register_t *wanted)
{
    if (!world_find(self, who))
        cr_assert(world_connect(self, who), "%s finds no room", who);
    char name[NAME];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(who, ":"), who);
    Ixn__V1__Register body = IXN__V1__REGISTER__INIT;
    body.role = wanted->role ? wanted->role : IXN__V1__ROLE__MEDIA_SERVER;
    body.name = wanted->name ? (char *)wanted->name : name;
    body.tenant = s_text(wanted->tenant);
    const char *process = wanted->incarnation ? wanted->incarnation : body.name;
    id128_t incarnation = id_hash(process, strlen(process));
    body.incarnation = wire_bytes(&incarnation);
    body.tokens = s_tokens(self, wanted->tokens, &body.n_tokens);
    body.agent_reservation = wanted->reservation;
    body.max_submitted_interactions = wanted->limit;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_REGISTER);
    request.register_ = &body;
    world_request(self, who, &request);
    free(body.tokens);
}

void world_submit(world_t *self, const char *who, const world_submit_t *submit)
{
    Ixn__V1__Submit body = IXN__V1__SUBMIT__INIT;
    id128_t parent = {0};
    if (submit->parent) {
        parent = world_id(self, submit->parent);
        body.parent_id = wire_bytes(&parent);
    }
    body.key = s_bytes(submit->key);
    body.queue = (char *)(submit->queue ? submit->queue : "in");
    body.media_type = (char *)(submit->media_type ? submit->media_type : "email");
    body.type = s_text(submit->type);
    body.subtype = s_text(submit->subtype);
    body.external_id = s_text(submit->external_id);
    body.attributes = s_bytes(submit->attributes);
    body.priority = submit->priority;
    body.received_at_us = submit->received_at_us;
    body.hold = submit->hold;
    asked_t *asked = s_remember(self, who);
    const char *name = submit->as ? submit->as : submit->key;
    snprintf(asked->name, sizeof asked->name, "%s", s_text(name));
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_SUBMIT);
    request.id = asked->id;
    request.submit = &body;
    world_request(self, who, &request);
}

void world_get(world_t *self, const char *who, const char *of, bool confirmed)
{
    Ixn__V1__Get body = IXN__V1__GET__INIT;
    id128_t id = world_id(self, of);
    body.interaction_id = wire_bytes(&id);
    body.confirmed = confirmed;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_GET);
    request.get = &body;
    world_request(self, who, &request);
}

void world_ping(world_t *self, const char *who)
{
    Ixn__V1__Ping body = IXN__V1__PING__INIT;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_PING);
    request.ping = &body;
    world_request(self, who, &request);
}

void world_leave(world_t *self, const char *who)
{
    Ixn__V1__Leave body = IXN__V1__LEAVE__INIT;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_LEAVE);
    request.leave = &body;
    world_request(self, who, &request);
}

void world_load(world_t *self, const char *who, const char *strategy)
{
    Ixn__V1__StrategyLoaded body = IXN__V1__STRATEGY_LOADED__INIT;
    body.strategy = (char *)strategy;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_STRATEGY_LOADED);
    request.strategy_loaded = &body;
    world_request(self, who, &request);
}

void world_unload(world_t *self, const char *who, const char *strategy)
{
    Ixn__V1__StrategyUnloaded body = IXN__V1__STRATEGY_UNLOADED__INIT;
    body.strategy = (char *)strategy;
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_STRATEGY_UNLOADED);
    request.strategy_unloaded = &body;
    world_request(self, who, &request);
}

/* ---- Changes ---- */

typedef struct {
    const world_change_t *wanted;
    id128_t id;
    Ixn__V1__Token token;
    Ixn__V1__AttributesChange attributes;
    char *remove[1];
    Ixn__V1__Request request;
} making_t;

static void s_properties(world_t *self, const char *who, making_t *making)
{
    const world_change_t *wanted = making->wanted;
    Ixn__V1__ChangeProperties body = IXN__V1__CHANGE_PROPERTIES__INIT;
    body.interaction_id = wire_bytes(&making->id);
    body.key = s_bytes(wanted->key);
    body.token = wanted->token ? &making->token : NULL;
    body.expected_version = wanted->version;
    body.attributes = &making->attributes;
    if (wanted->priority) {
        body.priority_given_case = IXN__V1__CHANGE_PROPERTIES__PRIORITY_GIVEN_PRIORITY;
        body.priority = *wanted->priority;
    }
    if (wanted->external_id) {
        body.external_id_given_case = IXN__V1__CHANGE_PROPERTIES__EXTERNAL_ID_GIVEN_EXTERNAL_ID;
        body.external_id = (char *)wanted->external_id;
    }
    if (wanted->type) {
        body.type_given_case = IXN__V1__CHANGE_PROPERTIES__TYPE_GIVEN_TYPE;
        body.type = (char *)wanted->type;
    }
    if (wanted->subtype) {
        body.subtype_given_case = IXN__V1__CHANGE_PROPERTIES__SUBTYPE_GIVEN_SUBTYPE;
        body.subtype = (char *)wanted->subtype;
    }
    making->request.change_properties = &body;
    world_request(self, who, &making->request);
}

static void s_place(world_t *self, const char *who, making_t *making)
{
    const world_change_t *wanted = making->wanted;
    Ixn__V1__PlaceInQueue body = IXN__V1__PLACE_IN_QUEUE__INIT;
    body.interaction_id = wire_bytes(&making->id);
    body.key = s_bytes(wanted->key);
    body.token = wanted->token ? &making->token : NULL;
    body.queue = s_text(wanted->to);
    body.expected_version = wanted->version;
    body.attributes = &making->attributes;
    body.reason = s_text(wanted->reason);
    if (wanted->priority) {
        body.priority_given_case = IXN__V1__PLACE_IN_QUEUE__PRIORITY_GIVEN_PRIORITY;
        body.priority = *wanted->priority;
    }
    making->request.place_in_queue = &body;
    world_request(self, who, &making->request);
}

static void s_stop(world_t *self, const char *who, making_t *making)
{
    const world_change_t *wanted = making->wanted;
    Ixn__V1__Stop body = IXN__V1__STOP__INIT;
    body.interaction_id = wire_bytes(&making->id);
    body.key = s_bytes(wanted->key);
    body.token = wanted->token ? &making->token : NULL;
    body.expected_version = wanted->version;
    body.attributes = &making->attributes;
    body.reason = s_text(wanted->reason);
    making->request.stop = &body;
    world_request(self, who, &making->request);
}

static void s_hold(world_t *self, const char *who, making_t *making)
{
    const world_change_t *wanted = making->wanted;
    Ixn__V1__Hold hold = IXN__V1__HOLD__INIT;
    Ixn__V1__Resume resume = IXN__V1__RESUME__INIT;
    hold.interaction_id = resume.interaction_id = wire_bytes(&making->id);
    hold.key = resume.key = s_bytes(wanted->key);
    hold.expected_version = resume.expected_version = wanted->version;
    if (making->request.body_case == IXN__V1__REQUEST__BODY_HOLD)
        making->request.hold = &hold;
    else
        making->request.resume = &resume;
    world_request(self, who, &making->request);
}

static void s_fail(world_t *self, const char *who, making_t *making)
{
    Ixn__V1__RouteFailed body = IXN__V1__ROUTE_FAILED__INIT;
    body.interaction_id = wire_bytes(&making->id);
    body.token = making->wanted->token ? &making->token : NULL;
    body.reason = s_text(making->wanted->reason);
    body.blameless = making->wanted->blameless;
    making->request.route_failed = &body;
    world_request(self, who, &making->request);
}

void world_change(world_t *self, const char *who, int kind, const world_change_t *wanted)
{
    making_t making = {.wanted = wanted, .id = world_id(self, wanted->of)};
    making.request = s_request((Ixn__V1__Request__BodyCase)kind);
    making.attributes = (Ixn__V1__AttributesChange)IXN__V1__ATTRIBUTES_CHANGE__INIT;
    making.attributes.set = s_bytes(wanted->set);
    if (wanted->remove) {
        making.remove[0] = (char *)wanted->remove;
        making.attributes.remove = making.remove;
        making.attributes.n_remove = 1;
    }
    if (wanted->token)
        making.token = world_token(self, wanted->token);
    switch (kind) {
    case IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES:
        s_properties(self, who, &making);
        return;
    case IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE:
        s_place(self, who, &making);
        return;
    case IXN__V1__REQUEST__BODY_STOP:
        s_stop(self, who, &making);
        return;
    case IXN__V1__REQUEST__BODY_ROUTE_FAILED:
        s_fail(self, who, &making);
        return;
    default:
        s_hold(self, who, &making);
    }
}

/* ---- Clients that are ready ---- */

void world_media(world_t *self, const char *who)
{
    world_register(self, who, &(world_register_t){0});
    world_settle(self);
    world_forget(self);
}

void world_operator(world_t *self, const char *who)
{
    world_register(self, who, &(world_register_t){.role = IXN__V1__ROLE__OPERATOR});
    world_settle(self);
    world_forget(self);
}

void world_router(world_t *self, const char *who, const char *strategies)
{
    world_register(self, who,
                   &(world_register_t){.role = IXN__V1__ROLE__ROUTER, .reservation = true});
    while (*strategies) {
        char strategy[NAME];
        size_t len = strcspn(strategies, " ");
        snprintf(strategy, sizeof strategy, "%.*s", (int)len, strategies);
        world_load(self, who, strategy);
        strategies += len + strspn(strategies + len, " ");
    }
    world_settle(self);
    world_forget(self);
}
