#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/attributes.h"
#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/engine_internal.h"

/* What routers ask of application servers: each step is an entry before anybody hears of it. Which
 * server: the balancer. Those that wait are in one queue a pool, the oldest first. */

const char *const engine_application_types[SERVERS_TYPES] = {
    "", "classification", "email", "sms", "social", "chat", "third_party"};

static int s_compare_turn(const service_t *a, const service_t *b)
{
    return a == b ? 0 : service_is_older(a, b) ? -1 : 1;
}

RB_GENERATE_INTERNAL(service_turns, service, turn, s_compare_turn, static __attribute__((unused)))

/* ---- Queues ---- */

static int s_type_of(text_t name)
{
    for (int type = 1; type < SERVERS_TYPES; type++)
        if (text_equal(name, text_of(engine_application_types[type])))
            return type;
    return 0;
}

static servers_pool_t *s_hold_pool(engine_t *self, const service_t *service)
{
    text_t name = service_text(service, SERVICE_NAME);
    const servers_wanted_t wanted = {
        .target = (servers_target_t)service->target,
        .type = service->target == SERVICE_BY_TYPE ? s_type_of(name) : 0,
        .name = name,
        .service = service_text(service, SERVICE_SERVICE),
    };
    return servers_hold(self->servers, &wanted);
}

static void s_mark(engine_t *self, struct service_queue *queue)
{
    queue->dirty = true;
    self->services_dirty = true;
}

void engine_service_enqueue(engine_t *self, service_t *service)
{
    servers_pool_t *pool = s_hold_pool(self, service);
    struct service_queue *queue = NULL;
    HASH_FIND(by_pool, self->service_queues, &pool, sizeof pool, queue);
    if (queue) {
        servers_release(self->servers, pool); /* the queue holds it */
    } else {
        queue = memory_zero(1, sizeof *queue);
        queue->pool = pool;
        RB_INIT(&queue->waiting);
        HASH_ADD(by_pool, self->service_queues, pool, sizeof queue->pool, queue);
    }
    CHECK(!RB_INSERT(service_turns, &queue->waiting, service));
    service->queue = queue;
    queue->len++;
    s_mark(self, queue);
}

static void s_free_queue(engine_t *self, struct service_queue *queue)
{
    HASH_DELETE(by_pool, self->service_queues, queue);
    servers_release(self->servers, queue->pool);
    free(queue);
}

/* The queue stays while it is looked through: s_dispatch_queue frees it. */
static void s_dequeue(service_t *service)
{
    struct service_queue *queue = service->queue;
    RB_REMOVE(service_turns, &queue->waiting, service);
    service->queue = NULL;
    queue->len--;
}

static void s_leave_queue(engine_t *self, service_t *service)
{
    struct service_queue *queue = service->queue;
    if (!queue)
        return;
    s_dequeue(service);
    if (queue->len == 0)
        s_free_queue(self, queue);
}

/* ---- Saying ---- */

static Ixn__V1__Token s_token(service_token_t token)
{
    Ixn__V1__Token out = IXN__V1__TOKEN__INIT;
    out.epoch = token.epoch;
    out.index = token.index;
    return out;
}

bool engine_service_told(const engine_t *self, const service_t *service, uint64_t told)
{
    return service->sent.epoch != self->options.epoch || service->sent.index <= told;
}

void engine_service_say(engine_t *self, const service_t *service, session_t session)
{
    usec_t left = service->deadline - self->log_time;
    Ixn__V1__Token token = s_token(service->token);
    Ixn__V1__ServiceRequest body = IXN__V1__SERVICE_REQUEST__INIT;
    body.token = &token;
    body.attempt = service->attempts + 1u;
    body.interaction_id = wire_bytes(&service->interaction->id);
    body.service = (char *)service_text(service, SERVICE_SERVICE).data;
    body.method = (char *)service_text(service, SERVICE_METHOD).data;
    body.parameters = wire_text(service_text(service, SERVICE_PARAMETERS));
    body.timeout_ms = left > 0 ? (uint32_t)(left / USEC_PER_MS) : 0;
    body.safe = service->safe;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_SERVICE_REQUEST;
    message.service_request = &body;
    engine_say(self, session, &message);
}

static void s_say_cancelled(engine_t *self, const service_t *service, const char *reason)
{
    Ixn__V1__Token token = s_token(service->token);
    Ixn__V1__ServiceCancelled body = IXN__V1__SERVICE_CANCELLED__INIT;
    body.token = &token;
    body.reason = (char *)reason;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_SERVICE_CANCELLED;
    message.service_cancelled = &body;
    engine_say(self, engine_server(self, service->server)->session, &message);
}

/* Tells the router what came of it. */
static void s_tell(engine_t *self, const service_t *service)
{
    const interaction_t *interaction = service->interaction;
    const state_router_t *router = self->state->routers[interaction->more->router];
    session_t session = engine_router_session(self, router);
    if (!session)
        return; /* it hears when it comes back with the interaction */
    Ixn__V1__Token token =
        s_token((service_token_t){interaction->more->token_epoch, interaction->more->token_index});
    Ixn__V1__Token own = s_token(service->token);
    Ixn__V1__ServiceFailure fault = IXN__V1__SERVICE_FAILURE__INIT;
    Ixn__V1__ServiceResult body = IXN__V1__SERVICE_RESULT__INIT;
    body.interaction_id = wire_bytes(&interaction->id);
    body.token = &token;
    body.key = wire_text(service_text(service, SERVICE_KEY));
    body.service = &own;
    body.server = service->server ? service->server->name : "";
    if (service_fault(service).len) {
        fault.code = (char *)service_fault(service).data;
        fault.text = (char *)service_fault_text(service).data;
        body.outcome_case = IXN__V1__SERVICE_RESULT__OUTCOME_FAULT;
        body.fault = &fault;
    } else {
        body.outcome_case = IXN__V1__SERVICE_RESULT__OUTCOME_RESULT;
        body.result = wire_text(service_result(service));
    }
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_SERVICE_RESULT;
    message.service_result = &body;
    engine_say(self, session, &message);
}

void engine_services_tell_again(engine_t *self, const interaction_t *interaction)
{
    const service_t *service;
    LIST_FOREACH(service, &interaction->more->services, of_interaction)
    {
        if (service->state == SERVICE_ANSWERED)
            s_tell(self, service);
    }
}

/* ---- Deciding ---- */

static void s_emit_answer(engine_t *self, service_t *service, Ixn__V1__ServiceAnswered *answered)
{
    answered->epoch = service->token.epoch;
    answered->index = service->token.index;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_SERVICE_ANSWERED;
    entry.service_answered = answered;
    s_leave_queue(self, service);
    /* With eight newer ones answered it may be forgotten by its own answer; nobody can miss it. */
    const service_token_t token = service->token;
    engine_emit(self, &entry);
    service = services_find(self->state, token);
    if (service)
        s_tell(self, service);
}

void engine_service_fault(engine_t *self, service_t *service, const char *code, const char *text)
{
    Ixn__V1__ServiceAnswered answered = IXN__V1__SERVICE_ANSWERED__INIT;
    answered.outcome_case = IXN__V1__SERVICE_ANSWERED__OUTCOME_FAULT;
    answered.fault = (char *)code;
    answered.text = (char *)text;
    s_emit_answer(self, service, &answered);
}

void engine_service_wait(engine_t *self, service_t *service, bool counts)
{
    Ixn__V1__ServiceWaits waits = IXN__V1__SERVICE_WAITS__INIT;
    waits.epoch = service->token.epoch;
    waits.index = service->token.index;
    waits.counts = counts;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_SERVICE_WAITS;
    entry.service_waits = &waits;
    engine_emit(self, &entry);
    engine_service_enqueue(self, service);
}

void engine_services_dropped(engine_t *self)
{
    service_t *service;
    LIST_FOREACH(service, &self->state->services.dropped, of_interaction)
    {
        s_leave_queue(self, service);
        if (service->state != SERVICE_SENT)
            continue;
        engine_server_t *server = engine_server(self, service->server);
        if (!server->session)
            continue;
        s_say_cancelled(self, service, "the interaction has left the router that asked");
        servers_done(self->servers, server->balanced, SERVERS_NEUTRAL, self->log_time);
    }
}

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
                         "the %s are not a JSON object as attributes are: %s", what, problem.text);
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
    Ixn__V1__Token own = s_token(token);
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
            s_tell(self, before);
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
    s_emit_answer(self, service, &answered);
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

/* ---- What waits goes out ---- */

static void s_send(engine_t *self, service_t *service, server_t number)
{
    servers_view_t view;
    servers_view(self->servers, number, &view);
    engine_server_t *server = engine_server(self, state_server(self->state, view.name));
    const engine_session_t *slot = engine_slot(self, server->session);
    CHECK(slot); /* it is connected */
    Ixn__V1__ServiceSent sent = IXN__V1__SERVICE_SENT__INIT;
    sent.epoch = service->token.epoch;
    sent.index = service->token.index;
    sent.server = (char *)view.name.data;
    sent.incarnation = wire_bytes(&slot->incarnation);
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_SERVICE_SENT;
    entry.service_sent = &sent;
    engine_emit(self, &entry);
    server->sent++;
    engine_service_say(self, service, slot->ref);
}

/* False when there was no more room in the turn. */
static bool s_dispatch_queue(engine_t *self, struct service_queue *queue, size_t *budget)
{
    service_t *service;
    while ((service = RB_MIN(service_turns, &queue->waiting))) {
        server_t server;
        if (*budget == 0 || !engine_has_room(self))
            return false;
        if (servers_choose(self->servers, queue->pool, self->log_time, &server) != SERVERS_CHOSEN)
            break;
        (*budget)--;
        s_dequeue(service);
        s_send(self, service, server);
    }
    queue->dirty = false;
    if (queue->len == 0)
        s_free_queue(self, queue);
    return true;
}

void engine_services_dispatch(engine_t *self, size_t budget)
{
    bool all = servers_may_choose(self->servers, self->log_time);
    if (!all && !self->services_dirty)
        return;
    self->services_dirty = false;
    struct service_queue *queue, *next;
    HASH_ITER(by_pool, self->service_queues, queue, next)
    {
        queue->dirty = queue->dirty || all;
        if (queue->dirty && !s_dispatch_queue(self, queue, &budget))
            self->services_dirty = true;
    }
}

/* ---- Time ---- */

static void s_why_waiting(engine_t *self, const service_t *service, char *text, size_t size)
{
    static const char *const whys[] = {
        [SERVERS_CHOSEN] = "all that could do it were busy or broken",
        [SERVERS_NONE] = "none is connected",
        [SERVERS_NOT_OFFERED] = "those that are connected do not offer it",
        [SERVERS_UNDECLARED] = "those that are connected do not say what they offer",
    };
    servers_result_t why = servers_why_empty(self->servers, service->queue->pool);
    snprintf(text, size, "no server of %s \"%s\" took the service \"%s\" in time: %s",
             service_target_name(service->target), service_text(service, SERVICE_NAME).data,
             service_text(service, SERVICE_SERVICE).data, whys[why]);
    wire_clean_text(text);
}

static void s_expire(engine_t *self, service_t *service)
{
    char text[LIMIT_TEXT + 1];
    if (service->state == SERVICE_WAITING) {
        s_why_waiting(self, service, text, sizeof text);
    } else {
        engine_server_t *server = engine_server(self, service->server);
        snprintf(text, sizeof text, "\"%s\" did not answer in time", service->server->name);
        server->timeouts++;
        if (server->session) {
            s_say_cancelled(self, service, "its deadline has passed");
            servers_done(self->servers, server->balanced, SERVERS_FAILED, self->log_time);
        }
    }
    engine_service_fault(self, service, "TIMED_OUT", text);
}

void engine_services_tick(engine_t *self)
{
    service_t *service;
    while ((service = services_first_due(self->state)) && service->deadline <= self->log_time &&
           engine_has_room(self) && !MUTATION(DEADLINES_LOST))
        s_expire(self, service);
}

/* ---- Begin and end ---- */

static int s_compare_sent(const void *a, const void *b)
{
    const service_t *x = *(service_t *const *)a;
    const service_t *y = *(service_t *const *)b;
    if (x->sent.epoch != y->sent.epoch)
        return x->sent.epoch < y->sent.epoch ? -1 : 1;
    return (x->sent.index > y->sent.index) - (x->sent.index < y->sent.index);
}

/* The round robin of each pool goes on behind the server that got the newest request the state
 * knows of; it is not kept otherwise. */
static void s_find_cursors(engine_t *self)
{
    services_t *services = &self->state->services;
    service_t **sent = memory_zero(HASH_COUNT(services->by_token) + 1, sizeof(service_t *));
    size_t len = 0;
    service_t *service, *next;
    HASH_ITER(hh, services->by_token, service, next)
    {
        if (service->server)
            sent[len++] = service;
    }
    qsort(sent, len, sizeof *sent, s_compare_sent);
    for (size_t i = 0; i < len; i++) {
        servers_pool_t *pool = s_hold_pool(self, sent[i]);
        servers_set_last(self->servers, pool, text_of(sent[i]->server->name));
        servers_release(self->servers, pool);
    }
    free(sent);
}

void engine_services_new(engine_t *self)
{
    self->servers = servers_new();
}

/* It may come back and say what it still has. */
static void s_await(engine_server_t *server, usec_t until)
{
    server->loss = SERVER_AWAITED;
    server->awaited_until = until;
}

void engine_services_start(engine_t *self)
{
    service_t *service, *next;
    engine_services_configured(self);
    HASH_ITER(hh, self->state->services.by_token, service, next)
    {
        if (service->state == SERVICE_WAITING)
            engine_service_enqueue(self, service);
        else if (service->state == SERVICE_SENT)
            s_await(engine_server(self, service->server), self->reconcile_until);
    }
    s_find_cursors(self);
}

void engine_services_free(engine_t *self)
{
    struct service_queue *queue, *next;
    HASH_ITER(by_pool, self->service_queues, queue, next)
    {
        s_free_queue(self, queue);
    }
    for (size_t i = 0; i < self->apps_len; i++) {
        for (size_t j = 0; j < self->apps[i].services_len; j++)
            free(self->apps[i].services[j]);
        free(self->apps[i].services);
    }
    free(self->apps);
    servers_destroy(&self->servers);
}
