#include "tests/sim/talker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "tests/sim/checker.h"
#include "tests/sim/machine.h"
#include "tests/sim/seen_agents.h"
#include "tests/sim/told.h"
#include "tests/sim/wires.h"

enum {
    TICK_US = 30000,
    REGISTER_US = 400000, /* asked again after so long without an answer */
    SILENT_US = 1000000,  /* the other node is tried after so long */
};

static void s_tick(world_t *world, void *data);

/* ---- Life ---- */

static talker_t *s_new(world_t *world, talker_kind_t kind, const char *name, size_t number)
{
    talker_t *self = memory_zero(1, sizeof *self);
    self->world = world;
    self->kind = kind;
    self->number = world->talkers_len;
    self->place = number - 1;
    snprintf(self->name, sizeof self->name, "%s-%zu", name, number);
    self->arena = wire_arena_new();
    self->requests_capacity = 64;
    self->requests = memory_zero(self->requests_capacity, sizeof *self->requests);
    self->requests_len = 1;
    world->talkers[world->talkers_len++] = self;
    talker_start(self);
    return self;
}

void talkers_new(world_t *world)
{
    const options_t *options = &world->options;
    for (size_t i = 0; i < options->medias; i++)
        s_new(world, TALKER_MEDIA, "media", i + 1);
    for (size_t i = 0; i < options->routers; i++)
        s_new(world, TALKER_ROUTER, "router", i + 1);
    if (options->stored)
        s_new(world, TALKER_AUTHOR, "author", 1);
    for (size_t i = 0; i < options->servers; i++)
        s_new(world, TALKER_SERVER, "app", i + 1);
    s_new(world, TALKER_OPERATOR, "operator", 1);
}

void talkers_destroy(world_t *world)
{
    for (size_t i = 0; i < world->talkers_len; i++) {
        talker_t *self = world->talkers[i];
        wire_arena_destroy(&self->arena);
        buffer_free(&self->out);
        free(self->requests);
        free(self->submits);
        free(self->changes);
        free(self->works);
        free(self->tasks);
        free(self);
    }
    world->talkers_len = 0;
}

/* What is in turn, and what a session carries, may not be as it was. */
static void s_changed(talker_t *self)
{
    self->world->router_changes++;
    seen_agents_gone(checker_agents(self->world->checker), self->number);
}

void talker_start(talker_t *self)
{
    world_t *world = self->world;
    self->alive = true;
    self->hung = false;
    self->life++;
    self->connection++;
    self->incarnation = random_id(&world->random);
    self->target = (int)world_between(world, 0, 1);
    self->registered = false;
    self->registering_at = 0;
    self->heard_at = world->now;
    if (self->kind == TALKER_ROUTER)
        router_forget(self);
    if (self->kind == TALKER_SERVER)
        server_forget(self);
    s_changed(self);
    world_trace(world, self->name, "began", self->life, 0);
    world_at(world, world->now + world_between(world, 0, TICK_US), s_tick, NULL,
             memory_copy(&(uint64_t[]){self->number, self->life}, 2 * sizeof(uint64_t)));
}

void talker_kill(talker_t *self, bool heard)
{
    world_trace(self->world, self->name, "ended", self->life, heard);
    wires_talker_gone(self, heard);
    s_changed(self);
    self->alive = false;
    self->life++;
    buffer_clear(&self->out);
    self->out_requests = 0;
}

void talker_switch(talker_t *self, int node)
{
    s_changed(self);
    self->target = node;
    self->registered = false;
    self->registering_at = 0;
    self->heard_at = self->world->now;
}

/* ---- Saying ---- */

static void s_flush(talker_t *self)
{
    if (self->out_requests == 0)
        return;
    wires_to_machine(self, self->target, memory_copy(self->out.bytes, self->out.len),
                     self->out.len);
    self->said_at = self->world->now;
    buffer_clear(&self->out);
    self->out_requests = 0;
}

uint64_t talker_ask(talker_t *self, Ixn__V1__Request *request, asked_t what, size_t item)
{
    if (self->requests_len == self->requests_capacity) {
        self->requests_capacity *= 2;
        self->requests =
            memory_resize(self->requests, self->requests_capacity * sizeof *self->requests);
    }
    request->id = self->requests_len;
    self->requests[self->requests_len++] = (request_t){.what = what, .item = item};
    if (self->out_requests++ == 0)
        wire_append_to_node_head(&self->out);
    wire_append_request(&self->out, request);
    if (self->out_requests == 20)
        s_flush(self);
    return request->id;
}

static void s_register(talker_t *self)
{
    static const Ixn__V1__Role roles[] = {IXN__V1__ROLE__MEDIA_SERVER, IXN__V1__ROLE__ROUTER,
                                          IXN__V1__ROLE__OPERATOR,
                                          IXN__V1__ROLE__APPLICATION_SERVER};
    Ixn__V1__ApplicationServer server = IXN__V1__APPLICATION_SERVER__INIT;
    Ixn__V1__Register body = IXN__V1__REGISTER__INIT;
    body.role = roles[self->kind];
    body.name = self->name;
    body.incarnation = wire_bytes(&self->incarnation);
    if (self->kind == TALKER_ROUTER) {
        body.n_tokens = router_tokens(self, &body.tokens);
        body.agent_reservation = true;
    } else if (self->kind == TALKER_SERVER) {
        body.n_tokens = server_tokens(self, &body.tokens);
        server_fill(self, &server);
        body.application_server = &server;
    }
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_REGISTER;
    request.register_ = &body;
    talker_ask(self, &request, ASKED_REGISTER, 0);
    free(body.tokens);
    self->registering_at = self->world->now;
}

static void s_ping(talker_t *self)
{
    Ixn__V1__Ping body = IXN__V1__PING__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_PING;
    request.ping = &body;
    talker_ask(self, &request, ASKED_PING, 0);
}

static void s_work(talker_t *self)
{
    if (self->kind == TALKER_MEDIA)
        media_tick(self);
    else if (self->kind == TALKER_ROUTER)
        router_tick(self);
    else if (self->kind == TALKER_SERVER)
        server_tick(self);
    else
        author_tick(self);
}

static void s_talk(talker_t *self)
{
    world_t *world = self->world;
    usec_t now = world->now;
    if (self->kind == TALKER_OPERATOR) {
        operator_tick(self);
        return;
    }
    if (now - self->heard_at > SILENT_US)
        talker_switch(self, 1 - self->target);
    if (self->registered) {
        if (!self->hung)
            s_work(self);
        if (now - self->said_at > world->options.client_heartbeat)
            s_ping(self);
    } else if (now >= self->switch_at &&
               (!self->registering_at || now - self->registering_at > REGISTER_US)) {
        s_register(self);
    }
    s_flush(self);
}

static void s_tick(world_t *world, void *data)
{
    uint64_t *of = data;
    talker_t *self = world->talkers[of[0]];
    if (!self->alive || self->life != of[1]) {
        free(data);
        return;
    }
    s_talk(self);
    world_at(world, world->now + TICK_US + world_between(world, 0, 5000), s_tick, NULL, data);
}

/* ---- Hearing ---- */

void talker_closed(talker_t *self, int node)
{
    if (node != self->target)
        return;
    /* It connects again; which node it is then that serves, it has to ask. */
    s_changed(self);
    self->registered = false;
    self->registering_at = 0;
    self->switch_at = self->world->now + world_between(self->world, 1000, 50000);
    if (world_chance(self->world, 700))
        talker_switch(self, 1 - node);
}

static void s_not_primary(talker_t *self, int node)
{
    if (node != self->target)
        return;
    talker_switch(self, 1 - node);
    self->switch_at = self->world->now + world_between(self->world, 1000, 60000);
}

static void s_own_answer(talker_t *self, const answer_t *answer)
{
    const Ixn__V1__Message *message = answer->message;
    if (answer->request->what != ASKED_REGISTER)
        return;
    if (answer->retry_at) {
        self->registering_at = answer->retry_at - REGISTER_US;
        return;
    }
    if (answer->node != self->target)
        return;
    if (message->body_case == IXN__V1__MESSAGE__BODY_REGISTERED) {
        self->registered = true;
        self->registered_epoch = self->highest_epoch;
        world_trace(self->world, self->name, "registered", (uint64_t)answer->node,
                    self->highest_epoch);
        s_changed(self);
        if (self->kind == TALKER_ROUTER)
            router_registered(self, message->registered);
        else if (self->kind == TALKER_SERVER)
            server_registered(self, message->registered);
    }
}

static void s_answered(talker_t *self, const answer_t *answer)
{
    const Ixn__V1__Message *message = answer->message;
    if (message->body_case == IXN__V1__MESSAGE__BODY_ERROR &&
        message->error->code == IXN__V1__CODE__NOT_REGISTERED && answer->node == self->target) {
        s_changed(self);
        self->registered = false; /* the node ended the session */
        self->registering_at = 0;
    }
    switch (answer->request->what) {
    case ASKED_SUBMIT:
    case ASKED_CHANGE:
    case ASKED_GET:
        media_answer(self, answer);
        return;
    case ASKED_RESULT:
    case ASKED_CALL:
    case ASKED_RESERVE:
        router_answer(self, answer);
        return;
    case ASKED_LOADED:
    case ASKED_BODY:
    case ASKED_FAILED:
        loading_answer(self, answer);
        return;
    case ASKED_ANSWER:
        server_answer(self, answer);
        return;
    case ASKED_ORDER:
        author_answer(self, answer);
        return;
    case ASKED_COMMAND:
    case ASKED_STATUS:
        operator_answer(self, answer);
        return;
    default:
        s_own_answer(self, answer);
    }
}

/* What a node says without being asked. */
static bool s_said_by_itself(talker_t *self, int node, const Ixn__V1__Message *message)
{
    switch (message->body_case) {
    case IXN__V1__MESSAGE__BODY_ROUTE:
        router_route(self, message->route);
        return true;
    case IXN__V1__MESSAGE__BODY_REVOKED:
        router_revoked(self, message->revoked->token);
        return true;
    case IXN__V1__MESSAGE__BODY_LOAD_STRATEGY:
        loading_load(self, message->load_strategy);
        return true;
    case IXN__V1__MESSAGE__BODY_UNLOAD_STRATEGY:
        loading_unload(self, message->unload_strategy);
        return true;
    case IXN__V1__MESSAGE__BODY_SERVICE_RESULT:
        errand_result(self, message->service_result);
        return true;
    case IXN__V1__MESSAGE__BODY_SERVICE_REQUEST:
        server_request(self, message->service_request);
        return true;
    case IXN__V1__MESSAGE__BODY_SERVICE_CANCELLED:
        server_drop(self, message->service_cancelled->token);
        return true;
    case IXN__V1__MESSAGE__BODY_NOT_PRIMARY:
        s_not_primary(self, node);
        return true;
    default:
        return false;
    }
}

static void s_message(talker_t *self, int node, const Ixn__V1__Message *message)
{
    world_t *world = self->world;
    if (s_said_by_itself(self, node, message))
        return;
    if (message->request_id == 0 || message->request_id >= self->requests_len) {
        world_violation(world, "contract",
                        "%s hears an answer to request %llu, which it never made", self->name,
                        (unsigned long long)message->request_id);
        return;
    }
    answer_t answer = {.request = &self->requests[message->request_id],
                       .id = message->request_id,
                       .node = node,
                       .message = message};
    if (message->body_case == IXN__V1__MESSAGE__BODY_RETRY)
        answer.retry_at = world->now + message->retry->after_ms * USEC_PER_MS + USEC_PER_MS;
    if (message->body_case == IXN__V1__MESSAGE__BODY_BUSY)
        answer.retry_at = world->now + message->busy->after_ms * USEC_PER_MS + USEC_PER_MS;
    s_answered(self, &answer);
}

void talker_receive(talker_t *self, int node, const uint8_t *bytes, size_t len)
{
    error_t error;
    wire_arena_reset(self->arena);
    Ixn__V1__FromNode *frame = wire_decode_from_node(self->arena, bytes, len, &error);
    if (!frame) {
        world_violation(self->world, "contract", "%s hears a frame that is none: %s", self->name,
                        error.text);
        return;
    }
    if (frame->epoch && frame->epoch < self->highest_epoch)
        return; /* of an epoch that is over */
    if (frame->epoch > self->highest_epoch) {
        self->highest_epoch = frame->epoch;
        if (node != self->target && self->kind != TALKER_OPERATOR)
            talker_switch(self, node);
    }
    if (node == self->target)
        self->heard_at = self->world->now;
    for (size_t i = 0; i < frame->n_messages; i++)
        s_message(self, node, frame->messages[i]);
}
