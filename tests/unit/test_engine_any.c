/* Requests of every kind, made from the descriptors of the contract: whatever a client asks, in
 * whatever order, each hears one answer at most, and what was decided can be applied again. Ids,
 * tokens, names and keys are mostly those that exist, so that much of it is taken.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/arena.h"
#include "tests/unit/engine_world.h"
#include "tests/unit/random.h"

enum { SEEDS = 40, STEPS = 600, KNOWN = 24, CLIENTS = 8 };

static const struct {
    const char *who;
    Ixn__V1__Role role;
    int type; /* of application server; 0: none */
} s_clients[CLIENTS] = {
    {"m", IXN__V1__ROLE__MEDIA_SERVER, 0},
    {"both", IXN__V1__ROLE__MEDIA_SERVER, 2},
    {"r1", IXN__V1__ROLE__ROUTER, 0},
    {"r2", IXN__V1__ROLE__ROUTER, 0},
    {"chief", IXN__V1__ROLE__OPERATOR, 0},
    {"a1", IXN__V1__ROLE__APPLICATION_SERVER, 2},
    {"a2", IXN__V1__ROLE__APPLICATION_SERVER, 6},
    {"m:2", IXN__V1__ROLE__MEDIA_SERVER, 0},
};

/* What somebody heard of, the newest in place of the oldest. */
typedef struct {
    id128_t id;
    Ixn__V1__Token token;
    const char *who; /* heard of it */
} known_t;

typedef struct {
    world_t *w;
    random_t random;
    arena_t arena; /* of one request */
    known_t known[KNOWN];
    size_t heard;
    known_t chosen; /* what the request is about */
    uint64_t taken; /* answers that are no refusals */
} any_t;

static const char *s_client(const char *who)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (strcmp(s_clients[i].who, who) == 0)
            return s_clients[i].who;
    return NULL;
}

static void s_know(any_t *self, const char *who, ProtobufCBinaryData id,
                   const Ixn__V1__Token *token)
{
    known_t known = {.token = IXN__V1__TOKEN__INIT, .who = s_client(who)};
    if (!wire_read_id(id, &known.id))
        return;
    if (token) {
        known.token.epoch = token->epoch;
        known.token.index = token->index;
    }
    self->known[self->heard++ % KNOWN] = known;
}

static void s_heard(void *context, const char *who, const Ixn__V1__Message *message)
{
    any_t *self = context;
    self->taken += message->request_id && message->body_case != IXN__V1__MESSAGE__BODY_ERROR;
    if (message->body_case == IXN__V1__MESSAGE__BODY_ACK)
        s_know(self, who, message->ack->interaction_id, message->ack->service);
    else if (message->body_case == IXN__V1__MESSAGE__BODY_ROUTE)
        s_know(self, who, message->route->interaction->interaction_id, message->route->token);
    else if (message->body_case == IXN__V1__MESSAGE__BODY_SERVICE_REQUEST)
        s_know(self, who, message->service_request->interaction_id,
               message->service_request->token);
}

static size_t s_below(any_t *self, size_t below)
{
    return random_below(&self->random, below);
}

static bool s_chance(any_t *self, size_t percent)
{
    return s_below(self, 100) < percent;
}

/* ---- A value of any field ---- */

static char *s_word(any_t *self, const char *field)
{
    static const char *const words[] = {"in", "second", "work", "parked", "s1", "s2",
                                        "r1", "r2",     "a1",   "a2",     "c",  "agent",
                                        "do", "email",  "m",    "nobody"};
    static const char *const odd[] = {
        "",
        "a\nb",
        "\xc3\x28",
        "\xf0\x9f\x98\x80",
        "0123456789012345678901234567890123456789012345678901234567890123",
        "01234567890123456789012345678901234567890123456789012345678901234"};
    static const struct {
        const char *field;
        size_t first, len; /* of `words` */
    } fitting[] = {{"queue", 0, 4},    {"strategy", 4, 2}, {"router", 6, 2}, {"server", 8, 2},
                   {"cluster", 10, 1}, {"agent", 11, 1},   {"name", 11, 1},  {"service", 12, 1}};
    if (strcmp(field, "tenant") == 0 || strcmp(field, "by") == 0)
        return (char *)(s_chance(self, 95) ? "" : "other");
    for (size_t i = 0; i < sizeof fitting / sizeof *fitting; i++)
        if (strcmp(field, fitting[i].field) == 0 && s_chance(self, 85))
            return (char *)words[fitting[i].first + s_below(self, fitting[i].len)];
    if (s_chance(self, 5))
        return (char *)odd[s_below(self, sizeof odd / sizeof *odd)];
    return (char *)words[s_below(self, sizeof words / sizeof *words)];
}

static ProtobufCBinaryData s_bytes(any_t *self, const char *field)
{
    static const char *const objects[] = {"{}", "{\"a\":1}", "{\"b\":\"x\",\"a\":null}", "{", ""};
    uint8_t *id = arena_take(&self->arena, sizeof self->chosen.id);
    if (strstr(field, "_id")) {
        memcpy(id, self->chosen.id.bytes, sizeof self->chosen.id);
        return (ProtobufCBinaryData){s_chance(self, 97) ? 16 : s_below(self, 16), id};
    }
    if (strcmp(field, "key") == 0) {
        *id = (uint8_t)('a' + s_below(self, 12));
        return (ProtobufCBinaryData){s_chance(self, 97) ? 1 : 0, id};
    }
    const char *object = objects[s_below(self, sizeof objects / sizeof *objects)];
    return (ProtobufCBinaryData){strlen(object), (uint8_t *)object};
}

static uint64_t s_number(any_t *self)
{
    static const uint64_t numbers[] = {0, 1, 1, 2, 2, 3, 5, 10, 100, 1000, 60000, 1000000};
    if (s_chance(self, 2))
        return random_u64(&self->random);
    return numbers[s_below(self, sizeof numbers / sizeof *numbers)];
}

static ProtobufCMessage *s_message(any_t *self, const ProtobufCMessageDescriptor *kind);

/* How large an element is, and what is in it. */
static size_t s_fill(any_t *self, const ProtobufCFieldDescriptor *field, void *place)
{
    uint64_t number = s_number(self);
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)place = s_word(self, field->name);
        return sizeof(char *);
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)place = s_bytes(self, field->name);
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)place = s_message(self, field->descriptor);
        return sizeof(ProtobufCMessage *);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        memcpy(place, &number, sizeof number);
        return sizeof number;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)place = number % 2;
        return sizeof(protobuf_c_boolean);
    default:
        memcpy(place, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
        return sizeof(uint32_t);
    }
}

static void s_fill_list(any_t *self, const ProtobufCFieldDescriptor *field, char *message)
{
    size_t count = s_below(self, 4), size = 0;
    char *list = arena_take(&self->arena, 4 * sizeof(ProtobufCBinaryData));
    for (size_t i = 0; i < count; i++)
        size = s_fill(self, field, list + i * size);
    memcpy(message + field->quantifier_offset, &count, sizeof count);
    memcpy(message + field->offset, &list, sizeof list);
}

static ProtobufCMessage *s_message(any_t *self, const ProtobufCMessageDescriptor *kind)
{
    char *message = arena_take(&self->arena, kind->sizeof_message);
    kind->message_init((ProtobufCMessage *)(void *)message);
    if (kind == &ixn__v1__token__descriptor && s_chance(self, 97)) {
        memcpy(message, &self->chosen.token, sizeof self->chosen.token);
        return (ProtobufCMessage *)(void *)message;
    }
    for (unsigned i = 0; i < kind->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &kind->fields[i];
        bool wanted = field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES;
        if (!s_chance(self, wanted ? 97 : 35))
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            s_fill_list(self, field, message);
            continue;
        }
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
            memcpy(message + field->quantifier_offset, &field->id, sizeof(uint32_t));
        s_fill(self, field, message + field->offset);
    }
    return (ProtobufCMessage *)(void *)message;
}

/* ---- Steps ---- */

static void s_register(any_t *self, size_t client)
{
    const char *who = s_clients[client].who;
    if (!world_connected(self->w, who) && !world_connect(self->w, who))
        return;
    char name[8];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(who, ":"), who);
    id128_t incarnation = {{(uint8_t)(1 + s_below(self, 8) / 7)}};
    Ixn__V1__Token *tokens[KNOWN];
    Ixn__V1__ApplicationServer server = IXN__V1__APPLICATION_SERVER__INIT;
    server.type = (Ixn__V1__ApplicationType)s_clients[client].type;
    server.window = (uint32_t)s_below(self, 4);
    char *services[] = {(char *)"do"};
    server.services = services;
    server.n_services = s_below(self, 2);
    Ixn__V1__Register body = IXN__V1__REGISTER__INIT;
    body.role = s_clients[client].role;
    body.name = name;
    body.incarnation = wire_bytes(&incarnation);
    body.agent_reservation = !s_chance(self, 20);
    body.max_submitted_interactions = (uint32_t)s_below(self, 4);
    body.application_server = server.type ? &server : NULL;
    body.tokens = tokens;
    for (size_t i = 0; i < KNOWN && i < self->heard; i++)
        if (s_chance(self, 60))
            tokens[body.n_tokens++] = &self->known[i].token;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_REGISTER;
    request.register_ = &body;
    world_request(self->w, who, &request);
}

/* Mostly what somebody of that role may ask. */
static const ProtobufCFieldDescriptor *s_kind(any_t *self, Ixn__V1__Role role)
{
    static const char *const usual[][7] = {
        [IXN__V1__ROLE__MEDIA_SERVER] = {"submit", "submit", "get", "change_properties", "hold",
                                         "stop", "service_response"},
        [IXN__V1__ROLE__ROUTER] = {"strategy_loaded", "reserve", "call_service", "call_service",
                                   "place_in_queue", "route_failed", "get_strategy"},
        [IXN__V1__ROLE__OPERATOR] = {"change_agent", "put_strategy", "activate_strategy", "list",
                                     "drain_router", "undrain_router", "list_interactions"},
        [IXN__V1__ROLE__APPLICATION_SERVER] = {"service_response", "service_response",
                                               "service_fault", "ping", "get", "leave",
                                               "applications"},
    };
    const ProtobufCMessageDescriptor *kind = &ixn__v1__request__descriptor;
    if (s_chance(self, 75))
        return protobuf_c_message_descriptor_get_field_by_name(kind, usual[role][s_below(self, 7)]);
    for (;;) {
        const ProtobufCFieldDescriptor *field = &kind->fields[s_below(self, kind->n_fields)];
        if (field->type == PROTOBUF_C_TYPE_MESSAGE && field->id != IXN__V1__REQUEST__BODY_REGISTER)
            return field;
    }
}

/* Mostly what it heard of itself. */
static void s_choose(any_t *self, const char *who)
{
    self->chosen = (known_t){.id = random_id(&self->random), .token = IXN__V1__TOKEN__INIT};
    size_t len = self->heard < KNOWN ? self->heard : KNOWN;
    for (int tries = 0; len > 0 && tries < 10; tries++) {
        self->chosen = self->known[s_below(self, len)];
        if (self->chosen.who && strcmp(self->chosen.who, who) == 0)
            return;
    }
}

static void s_ask(any_t *self, size_t client)
{
    const char *who = s_clients[client].who;
    if (!world_connected(self->w, who)) {
        s_register(self, client);
        return;
    }
    s_choose(self, who);
    const ProtobufCFieldDescriptor *field = s_kind(self, s_clients[client].role);
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = (Ixn__V1__Request__BodyCase)field->id;
    request.ping = (Ixn__V1__Ping *)s_message(self, field->descriptor); /* a union */
    if (field->id == IXN__V1__REQUEST__BODY_LEAVE && !s_chance(self, 10))
        return;
    world_request(self->w, who, &request);
    arena_reset(&self->arena);
}

/* The state is what the journal makes of nothing. */
static void s_check_state(any_t *self)
{
    world_settle(self->w);
    wire_arena_t *arena = wire_arena_new();
    state_t *again = state_new();
    const state_t *state = engine_state(world_engine(self->w));
    for (size_t i = 0; i < world_batches(self->w); i++) {
        error_t error = {0};
        cr_assert(state_apply_batch(again, world_batch(self->w, i), arena, NULL, &error), "%s",
                  error.text);
    }
    cr_assert_eq(again->index, state->index);
    cr_assert_eq(state_digest(again), state_digest(state));
    state_destroy(&again);
    wire_arena_destroy(&arena);
}

static void s_step(any_t *self)
{
    size_t client = s_below(self, CLIENTS), what = s_below(self, 100);
    if (what < 78) {
        s_ask(self, client);
    } else if (what < 82) {
        s_register(self, client);
    } else if (what < 84) {
        if (world_connected(self->w, s_clients[client].who))
            world_lose(self->w, s_clients[client].who);
    } else if (what < 97) {
        if (world_in_flight(self->w))
            world_commit(self->w);
        else
            world_turn(self->w);
    } else if (what < 99) {
        world_turn(self->w);
        world_wait(self->w, (uint32_t)s_below(self, 4) * 700);
    } else if (s_chance(self, 50)) {
        s_check_state(self);
    } else {
        world_restart(self->w, NULL, s_chance(self, 50));
    }
}

Test(engine_any, any_request_in_any_order, .timeout = 300)
{
    uint64_t taken = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        any_t self = {.random = {seed}};
        self.w = world_new(&(world_options_t){.cluster = "a1 a2", .max_requests = 20});
        world_observe(self.w, &(world_observer_t){.heard = s_heard, .context = &self});
        for (int step = 0; step < STEPS; step++)
            s_step(&self);
        s_check_state(&self);
        taken += self.taken;
        world_free(&self.w);
        arena_free(&self.arena);
    }
    cr_assert_gt(taken, SEEDS * STEPS / 10, "hardly anything was taken: %llu",
                 (unsigned long long)taken);
}
