#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "tests/unit/engine_world_internal.h"

/* ---- What is told ---- */

static const char *s_state(Ixn__V1__InteractionState state)
{
    const char *name = interaction_state_name((interaction_state_t)state);
    return name ? name : "?";
}

static void s_tell_registered(world_t *self, const Ixn__V1__Registered *body)
{
    buffer_printf(&self->told, "registered");
    if (body->max_submitted_interactions)
        buffer_printf(&self->told, " limit %u", body->max_submitted_interactions);
    for (size_t i = 0; i < body->n_revoked; i++)
        buffer_printf(&self->told, "%s%s", i ? " " : ", revoked ",
                      world_token_name(self, body->revoked[i]));
}

static void s_tell_interaction(world_t *self, const Ixn__V1__Interaction *body)
{
    buffer_printf(&self->told, "%s v%u %s", world_name_of(self, body->interaction_id),
                  body->version, s_state(body->state));
    if (body->queue[0])
        buffer_printf(&self->told, " in %s", body->queue);
    if (body->held)
        buffer_printf(&self->told, " held");
    if (body->priority)
        buffer_printf(&self->told, " priority %d", body->priority);
    if (body->attempts)
        buffer_printf(&self->told, " attempts %u", body->attempts);
    if (body->state == IXN__V1__INTERACTION_STATE__ROUTING)
        buffer_printf(&self->told, " with %s", body->router);
    if (body->attributes.len > 2)
        buffer_printf(&self->told, " %.*s", (int)body->attributes.len, body->attributes.data);
}

static void s_tell_sentence(world_t *self, const char *what, const char *sentence)
{
    snprintf(self->sentence, sizeof self->sentence, "%s", sentence);
    buffer_printf(&self->told, "%s", what);
}

static void s_tell_body(world_t *self, const Ixn__V1__Message *message)
{
    switch (message->body_case) {
    case IXN__V1__MESSAGE__BODY_REGISTERED:
        s_tell_registered(self, message->registered);
        break;
    case IXN__V1__MESSAGE__BODY_PONG:
        buffer_printf(&self->told, "pong");
        break;
    case IXN__V1__MESSAGE__BODY_ACK: {
        const char *name = world_name_of(self, message->ack->interaction_id);
        buffer_printf(&self->told, name[0] ? "ack %s v%u" : "ack", name, message->ack->version);
        break;
    }
    case IXN__V1__MESSAGE__BODY_INTERACTION:
        s_tell_interaction(self, message->interaction);
        break;
    case IXN__V1__MESSAGE__BODY_ERROR:
        s_tell_sentence(self, error_name((error_code_t)message->error->code),
                        message->error->sentence);
        if (message->error->actual_version)
            buffer_printf(&self->told, " v%u", message->error->actual_version);
        break;
    case IXN__V1__MESSAGE__BODY_RETRY:
        s_tell_sentence(self, "retry", message->retry->sentence);
        break;
    case IXN__V1__MESSAGE__BODY_BUSY:
        s_tell_sentence(self, "busy", message->busy->sentence);
        break;
    case IXN__V1__MESSAGE__BODY_ROUTE: {
        const Ixn__V1__Route *route = message->route;
        const char *name = world_name_of(self, route->interaction->interaction_id);
        buffer_printf(&self->told, "route %s by %s, %s, attempt %u", name, route->strategy,
                      world_token_name(self, route->token), route->attempt);
        break;
    }
    case IXN__V1__MESSAGE__BODY_SERVICE_REQUEST: {
        const Ixn__V1__ServiceRequest *request = message->service_request;
        buffer_printf(&self->told, "serve %s.%s %.*s, attempt %u, %u ms", request->service,
                      request->method, (int)request->parameters.len, request->parameters.data,
                      request->attempt, request->timeout_ms);
        self->served = *request->token;
        break;
    }
    case IXN__V1__MESSAGE__BODY_SERVICE_RESULT: {
        const Ixn__V1__ServiceResult *result = message->service_result;
        buffer_printf(&self->told, "result %.*s of %s: ", (int)result->key.len, result->key.data,
                      world_name_of(self, result->interaction_id));
        if (result->outcome_case == IXN__V1__SERVICE_RESULT__OUTCOME_FAULT)
            s_tell_sentence(self, result->fault->code, result->fault->text);
        else
            buffer_printf(&self->told, "%.*s by %s", (int)result->result.len, result->result.data,
                          result->server);
        break;
    }
    case IXN__V1__MESSAGE__BODY_SERVICE_CANCELLED:
        buffer_printf(&self->told, "cancelled");
        break;
    case IXN__V1__MESSAGE__BODY_APPLICATIONS:
        for (size_t i = 0; i < message->applications->n_servers; i++) {
            const Ixn__V1__ApplicationStatus *server = message->applications->servers[i];
            buffer_printf(&self->told, "%s%s %s %u/%u %s", i ? "; " : "", server->name,
                          server->connected ? "up" : "down", server->in_flight, server->window,
                          server->breaker);
        }
        break;
    case IXN__V1__MESSAGE__BODY_LOAD_STRATEGY:
        buffer_printf(&self->told, "load %s %u", message->load_strategy->strategy,
                      message->load_strategy->version);
        break;
    case IXN__V1__MESSAGE__BODY_UNLOAD_STRATEGY:
        buffer_printf(&self->told, "unload %s %u", message->unload_strategy->strategy,
                      message->unload_strategy->version);
        break;
    case IXN__V1__MESSAGE__BODY_STRATEGY:
        buffer_printf(&self->told, "strategy %s %u%s%.*s", message->strategy->strategy,
                      message->strategy->version, message->strategy->body.len ? ": " : "",
                      (int)message->strategy->body.len, (const char *)message->strategy->body.data);
        break;
    case IXN__V1__MESSAGE__BODY_GRANTED:
        buffer_printf(&self->told, "granted %s for %llu ms", message->granted->agent,
                      (unsigned long long)message->granted->duration_ms);
        break;
    case IXN__V1__MESSAGE__BODY_QUEUES:
        for (size_t i = 0; i < message->queues->n_queues; i++)
            if (message->queues->queues[i]->reason[0])
                buffer_printf(&self->told, "%s %s; ", message->queues->queues[i]->name,
                              message->queues->queues[i]->reason);
        break;
    case IXN__V1__MESSAGE__BODY_LISTING:
        buffer_printf(&self->told, "listing of %zu",
                      message->listing->n_routers + message->listing->n_strategies +
                          message->listing->n_agents);
        for (size_t i = 0; i < message->listing->n_routers; i++) {
            const Ixn__V1__RouterInfo *router = message->listing->routers[i];
            if (router->drained)
                buffer_printf(&self->told, ", %s (%u) drained by %s: %s", router->name,
                              router->pending, router->drained_by, router->drain_reason);
        }
        for (size_t i = 0; i < message->listing->n_strategies; i++)
            buffer_printf(&self->told, ", %s (%u waiting)", message->listing->strategies[i]->name,
                          message->listing->strategies[i]->waiting);
        break;
    case IXN__V1__MESSAGE__BODY_REVOKED:
        buffer_printf(&self->told, "revoked %s: %s",
                      world_token_name(self, message->revoked->token), message->revoked->reason);
        break;
    default:
        cr_assert(false, "a message without a body");
    }
}

/* An answer belongs to a request of that very client that has not been answered. True: nobody wants
 * to know. */
static bool s_check_answer(world_t *self, const char *who, const Ixn__V1__Message *message)
{
    if (message->request_id == 0 || message->request_id > UINT32_MAX)
        return false; /* not asked, or asked in bytes that a test made itself */
    cr_assert(message->request_id <= self->asked_len, "an answer to request %" PRIu64,
              message->request_id);
    asked_t *asked = &self->asked[message->request_id - 1]; /* ids are counted */
    cr_assert(strcmp(asked->who, who) == 0, "%s hears the answer to %s", who, asked->who);
    cr_assert(!asked->answered, "request %" PRIu64 " of %s is answered twice", asked->id, who);
    asked->answered = true;
    id128_t id;
    if (asked->name[0] && message->body_case == IXN__V1__MESSAGE__BODY_ACK &&
        wire_read_id(message->ack->interaction_id, &id))
        world_name(self, asked->name, id);
    return asked->untold;
}

void world_hear(world_t *self, const engine_frame_t *frame)
{
    error_t error = {0};
    wire_arena_reset(self->arena);
    Ixn__V1__FromNode *decoded =
        wire_decode_from_node(self->arena, frame->bytes, frame->len, &error);
    cr_assert(decoded, "a frame that cannot be decoded: %s", error.text);
    uint64_t committed = self->journal_len ? self->journal[self->journal_len - 1]->last : 0;
    cr_assert(decoded->index <= committed, "told of index %" PRIu64 ", %" PRIu64 " is durable",
              decoded->index, committed);
    self->largest_frame = frame->len > self->largest_frame ? frame->len : self->largest_frame;
    if (decoded->n_messages > self->most_messages)
        self->most_messages = decoded->n_messages;
    char who[NAME];
    const char *name = world_who(self, frame->session);
    snprintf(who, sizeof who, "%s", name ? name : "nobody");
    for (size_t i = 0; i < decoded->n_messages; i++) {
        const Ixn__V1__Message *message = decoded->messages[i];
        if (message->body_case == IXN__V1__MESSAGE__BODY_ROUTE)
            cr_assert(message->route->token->index <= committed, "a Route before its commit");
        if (!name)
            continue; /* it is gone; the transport drops what it would have heard */
        if (s_check_answer(self, who, message))
            continue;
        if (self->observer.heard) {
            self->observer.heard(self->observer.context, who, message);
            continue;
        }
        buffer_printf(&self->told, "%s: ", who);
        s_tell_body(self, message);
        buffer_printf(&self->told, "\n");
    }
}

const char *world_told(world_t *self)
{
    buffer_append(&self->told, "", 1);
    self->told.len--;
    return (const char *)self->told.bytes;
}

const char *world_sentence(const world_t *self)
{
    return self->sentence;
}

void world_forget(world_t *self)
{
    buffer_clear(&self->told);
}

void world_expect(world_t *self, const char *text, int line)
{
    cr_assert(strcmp(world_told(self), text) == 0, "line %d\n--- told:\n%s--- expected:\n%s", line,
              world_told(self), text);
    world_forget(self);
}

void world_observe(world_t *self, const world_observer_t *observer)
{
    self->observer = *observer;
}

size_t world_batches(const world_t *self)
{
    return self->journal_len;
}

const batch_t *world_batch(const world_t *self, size_t at)
{
    return self->journal[at];
}

size_t world_largest_frame(const world_t *self)
{
    return self->largest_frame;
}

size_t world_most_messages(const world_t *self)
{
    return self->most_messages;
}

Ixn__V1__Token world_served(const world_t *self)
{
    return self->served;
}
