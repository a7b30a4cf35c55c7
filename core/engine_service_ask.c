/* Service requests from outside: what a router asks, checked and refused or kept; what a server
 * answers, taken or repeated. What becomes of a request in between is in engine_service.c. */
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "core/attributes.h"
#include "core/engine_internal.h"

/* ---- A router asks ---- */

/* What a call names, checked. */
typedef struct {
    interaction_t *interaction;
    text_t parameters;
    servers_wanted_t wanted;
    uint64_t fingerprint;
    usec_t timeout;
} call_t;

static bool s_check_target(const Ixn__V1__CallService *body, call_t *call, error_t *ret_error)
{
    switch (body->target_case) {
    case IXN__V1__CALL_SERVICE__TARGET_TYPE:
        if ((int)body->type < 1 || (int)body->type >= SERVERS_TYPES)
            return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                             "type is %d; types are classification 1, email 2, sms 3, social 4, "
                             "chat 5, third_party 6",
                             (int)body->type);
        call->wanted = (servers_wanted_t){.target = SERVERS_BY_TYPE,
                                          .type = (int)body->type,
                                          .name = text_of(engine_application_types[body->type])};
        return true;
    case IXN__V1__CALL_SERVICE__TARGET_SERVER:
        call->wanted = (servers_wanted_t){.target = SERVERS_BY_NAME, .name = text_of(body->server)};
        return wire_check_text("server", body->server, 1, LIMIT_NAME, ret_error);
    case IXN__V1__CALL_SERVICE__TARGET_CLUSTER:
        call->wanted =
            (servers_wanted_t){.target = SERVERS_BY_CLUSTER, .name = text_of(body->cluster)};
        return wire_check_text("cluster", body->cluster, 1, LIMIT_NAME, ret_error);
    default:
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "a call names a type, a server or a cluster; this one names none");
    }
}

/* A JSON object; empty: {}. `what` is for the sentence. */
static bool s_check_json(const char *what, ProtobufCBinaryData bytes, text_t *ret_text,
                         error_t *ret_error)
{
    error_t problem = {0};
    text_t text = {(const char *)bytes.data, bytes.len};
    if (text.len > LIMIT_SERVICE_TEXT)
        return error_set(ret_error, ERROR_TOO_LARGE,
                         "the %s have %zu bytes, at most %d are allowed; send a reference instead",
                         what, text.len, LIMIT_SERVICE_TEXT);
    if (!attributes_check(text, LIMIT_SERVICE_TEXT, &problem))
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "the %s must be a JSON object, like attributes: %s", what, problem.text);
    *ret_text = text.len ? text : TEXT("{}");
    return true;
}

static uint64_t s_fingerprint(const Ixn__V1__CallService *body, const call_t *call)
{
    const text_t parts[] = {call->wanted.name, text_of(body->service), text_of(body->method),
                            call->parameters};
    uint64_t hash = (uint64_t)call->wanted.target * 2 + (body->safe ? 1 : 0);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        hash = XXH3_64bits_withSeed(parts[i].data, parts[i].len, hash + parts[i].len);
    return hash;
}

static bool s_check_token(const engine_t *self, const engine_session_t *slot,
                          const Ixn__V1__CallService *body, call_t *call, error_t *ret_error)
{
    id128_t id;
    if (!wire_read_id(body->interaction_id, &id) || !body->token)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "a call quotes the interaction's id (16 bytes, it has %zu) and the token "
                         "that its router holds",
                         body->interaction_id.len);
    interaction_t *interaction = state_find(self->state, &id);
    const interaction_more_t *more = interaction ? interaction->more : NULL;
    if (!more || interaction->state != INTERACTION_ROUTING ||
        more->token_epoch != body->token->epoch || more->token_index != body->token->index ||
        self->state->routers[more->router] != slot->router)
        return error_set(ret_error, ERROR_OLD_TOKEN,
                         "token %llu/%llu of \"%s\" is no longer held; drop this work",
                         (unsigned long long)body->token->epoch,
                         (unsigned long long)body->token->index, slot->name);
    call->interaction = interaction;
    return true;
}

static usec_t s_timeout(const engine_t *self, const Ixn__V1__CallService *body, const call_t *call)
{
    const Ixn__V1__EngineConfiguration *configuration = self->state->configuration;
    uint64_t timeout_ms = body->timeout_ms;
    if (!timeout_ms && call->wanted.target == SERVERS_BY_NAME) {
        const Ixn__V1__ApplicationConfiguration *annex = engine_server_annex(self, body->server);
        timeout_ms = annex ? annex->timeout_ms : 0;
    }
    for (size_t i = 0;
         !timeout_ms && call->wanted.target == SERVERS_BY_CLUSTER && i < configuration->n_clusters;
         i++)
        if (strcmp(configuration->clusters[i]->name, body->cluster) == 0)
            timeout_ms = configuration->clusters[i]->timeout_ms;
    if (!timeout_ms)
        timeout_ms = configuration->service_timeout_ms;
    return (usec_t)timeout_ms * USEC_PER_MS;
}

static bool s_check_call(const engine_t *self, const engine_session_t *slot,
                         const Ixn__V1__CallService *body, call_t *call, error_t *ret_error)
{
    if (!s_check_token(self, slot, body, call, ret_error) ||
        !s_check_target(body, call, ret_error) ||
        !wire_check_text("service", body->service, 1, LIMIT_NAME, ret_error) ||
        !wire_check_text("method", body->method, 0, LIMIT_NAME, ret_error) ||
        !s_check_json("parameters of a service", body->parameters, &call->parameters, ret_error))
        return false;
    if (body->key.len < 1 || body->key.len > LIMIT_KEY)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "key has %zu bytes, it needs 1 … %d; make another one for each call",
                         body->key.len, LIMIT_KEY);
    if (body->timeout_ms > LIMIT_SERVICE_TIMEOUT_MS)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "timeout_ms is %u, at most %d (a day) may be waited for a service",
                         body->timeout_ms, LIMIT_SERVICE_TIMEOUT_MS);
    if (call->wanted.target == SERVERS_BY_CLUSTER &&
        !servers_has_cluster(self->servers, call->wanted.name))
        return error_set(ret_error, ERROR_UNKNOWN_CLUSTER,
                         "no cluster \"%s\"; configure it under `clusters`", body->cluster);
    call->wanted.service = text_of(body->service);
    call->fingerprint = s_fingerprint(body, call);
    call->timeout = s_timeout(self, body, call);
    return true;
}

/* Where no more can be asked now, the sentence. */
static const char *s_is_busy(engine_t *self, const call_t *call, servers_pool_t *pool)
{
    const services_t *services = &self->state->services;
    const Ixn__V1__EngineConfiguration *configuration = self->state->configuration;
    const state_router_t *router = self->state->routers[call->interaction->more->router];
    struct service_queue *queue = NULL;
    HASH_FIND(by_pool, self->service_queues, &pool, sizeof pool, queue);
    if (services->open >= configuration->service_max_requests)
        return "as many requests to application servers as applications.max_requests allows have "
               "no answer";
    if (router->services >= configuration->service_max_requests_per_router)
        return "as many requests of this router as applications.max_requests_per_router allows "
               "have no answer";
    if (services->bytes >= configuration->service_max_size)
        return "requests to application servers hold as many bytes as applications.max_size allows";
    if (services_open_of(call->interaction) >= LIMIT_SERVICES_OPEN)
        return "eight requests of this interaction have no answer";
    if (queue && queue->len >= servers_queue(self->servers, pool))
        return "as many requests as its queue_size allows wait for this server, type or cluster";
    return NULL;
}

static void s_ack_call(engine_t *self, session_t session, uint64_t request,
                       const interaction_t *interaction, service_token_t token)
{
    Ixn__V1__Token own = engine_service_token(token);
    Ixn__V1__Ack ack = IXN__V1__ACK__INIT;
    ack.interaction_id = wire_bytes(&interaction->id);
    ack.version = interaction->version;
    ack.service = &own;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_ACK;
    message.ack = &ack;
    engine_say(self, session, &message);
}

static service_token_t s_emit_request(engine_t *self, const Ixn__V1__CallService *body,
                                      const call_t *call)
{
    Ixn__V1__ServiceRequested requested = IXN__V1__SERVICE_REQUESTED__INIT;
    requested.interaction_id = wire_bytes(&call->interaction->id);
    requested.key = body->key;
    requested.fingerprint = call->fingerprint;
    requested.target = (Ixn__V1__ServiceTarget)call->wanted.target;
    requested.name = (char *)call->wanted.name.data;
    requested.service = body->service;
    requested.method = body->method;
    requested.parameters = wire_text(call->parameters);
    requested.deadline_us = self->log_time + call->timeout;
    requested.safe = body->safe;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_SERVICE_REQUESTED;
    entry.service_requested = &requested;
    engine_emit(self, &entry);
    return (service_token_t){self->options.epoch, self->state->index};
}

/* By type a third-party server that does not say what it offers is never reached: fax requests
 * would reach messengers. */
static bool s_is_reachable(engine_t *self, servers_pool_t *pool, const char *service,
                           error_t *ret_error)
{
    if (servers_why_empty(self->servers, pool) != SERVERS_UNDECLARED)
        return true;
    return error_set(ret_error, ERROR_NOT_DECLARED,
                     "no third-party server names the service \"%s\", and those that name none "
                     "cannot be told apart by type; name `services` for them under "
                     "`applications.servers`, or call them by server or cluster",
                     service);
}

void engine_call_service(engine_t *self, session_t session, uint64_t request,
                         const Ixn__V1__CallService *body)
{
    const engine_session_t *slot = engine_slot(self, session);
    call_t call = {0};
    error_t error;
    if (!s_check_call(self, slot, body, &call, &error)) {
        engine_refuse(self, session, request, &error);
        return;
    }
    const service_t *before =
        services_find_key(call.interaction, (text_t){(const char *)body->key.data, body->key.len});
    if (before && before->fingerprint == call.fingerprint) {
        s_ack_call(self, session, request, call.interaction, before->token);
        if (before->state == SERVICE_ANSWERED)
            engine_service_tell(self, before);
        return;
    }
    if (before) {
        error_set(&error, ERROR_KEY_REUSED,
                  "this key was used before for another call of this interaction; make a new one "
                  "for each call");
        engine_refuse(self, session, request, &error);
        return;
    }
    servers_pool_t *pool = servers_hold(self->servers, &call.wanted);
    const char *busy = s_is_busy(self, &call, pool);
    bool reachable = s_is_reachable(self, pool, body->service, &error);
    servers_release(self->servers, pool);
    if (busy) {
        engine_say_busy(self, session, request, busy);
    } else if (!reachable) {
        engine_refuse(self, session, request, &error);
    } else {
        service_token_t token = s_emit_request(self, body, &call);
        engine_service_enqueue(self, services_find(self->state, token));
        s_ack_call(self, session, request, call.interaction, token);
    }
}

/* ---- A server answers ---- */

typedef struct {
    service_token_t token;
    text_t result;
    const char *fault; /* NULL: a result */
    const char *text;
} answer_t;

static bool s_read_answer(const Ixn__V1__Request *request, answer_t *answer, error_t *ret_error)
{
    bool fault = request->body_case == IXN__V1__REQUEST__BODY_SERVICE_FAULT;
    const Ixn__V1__Token *token =
        fault ? request->service_fault->token : request->service_response->token;
    if (!token)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "an answer quotes the token of its ServiceRequest; this one has none");
    answer->token = (service_token_t){token->epoch, token->index};
    if (!fault)
        return s_check_json("results of a service", request->service_response->result,
                            &answer->result, ret_error);
    answer->fault = request->service_fault->code;
    answer->text = request->service_fault->text;
    return wire_check_text("code", answer->fault, 1, LIMIT_NAME, ret_error) &&
           wire_check_text("text", answer->text, 0, LIMIT_TEXT, ret_error);
}

static bool s_is_with(const service_t *service, const engine_session_t *slot)
{
    if (MUTATION(ANSWER_OF_ANY))
        return service && service->server;
    return service && service->server == slot->server &&
           id_equal(service->incarnation, slot->incarnation);
}

/* The same answer once more: the first one's Ack was lost. */
static bool s_is_repeated(const service_t *service, const answer_t *answer)
{
    if (service->state != SERVICE_ANSWERED)
        return false;
    if (answer->fault)
        return text_equal(service_fault(service), text_of(answer->fault));
    return service_fault(service).len == 0;
}

static void s_take_answer(engine_t *self, service_t *service, const answer_t *answer)
{
    engine_server_t *server = engine_server(self, service->server);
    Ixn__V1__ServiceAnswered answered = IXN__V1__SERVICE_ANSWERED__INIT;
    if (answer->fault) {
        answered.outcome_case = IXN__V1__SERVICE_ANSWERED__OUTCOME_FAULT;
        answered.fault = (char *)answer->fault;
        answered.text = (char *)answer->text;
        server->faults++;
    } else {
        answered.outcome_case = IXN__V1__SERVICE_ANSWERED__OUTCOME_RESULT;
        answered.result = wire_text(answer->result);
    }
    server->answered++;
    servers_done(self->servers, server->balanced, SERVERS_GOOD, self->log_time);
    engine_service_emit_answer(self, service, &answered);
}

void engine_service_answer(engine_t *self, session_t session, const Ixn__V1__Request *request)
{
    const engine_session_t *slot = engine_slot(self, session);
    answer_t answer = {0};
    error_t error;
    if (!s_read_answer(request, &answer, &error)) {
        engine_refuse(self, session, request->id, &error);
        return;
    }
    service_t *service = services_find(self->state, answer.token);
    if (s_is_with(service, slot) && service->state == SERVICE_SENT) {
        s_take_answer(self, service, &answer);
        engine_ack(self, session, request->id, (id128_t){{0}}, 0);
    } else if (s_is_with(service, slot) && s_is_repeated(service, &answer)) {
        engine_ack(self, session, request->id, (id128_t){{0}}, 0);
    } else {
        error_set(&error, ERROR_OLD_TOKEN, "nobody waits for the answer to %llu/%llu of \"%s\": %s",
                  (unsigned long long)answer.token.epoch, (unsigned long long)answer.token.index,
                  slot->name,
                  !service ? "its interaction has left the router"
                  : service->state == SERVICE_ANSWERED
                      ? "it has ended, by its deadline or otherwise"
                      : "another process has it");
        engine_refuse(self, session, request->id, &error);
    }
}
