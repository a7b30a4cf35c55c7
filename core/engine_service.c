#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/mutation.h"
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

Ixn__V1__Token engine_service_token(service_token_t token)
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
    Ixn__V1__Token token = engine_service_token(service->token);
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
    Ixn__V1__Token token = engine_service_token(service->token);
    Ixn__V1__ServiceCancelled body = IXN__V1__SERVICE_CANCELLED__INIT;
    body.token = &token;
    body.reason = (char *)reason;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_SERVICE_CANCELLED;
    message.service_cancelled = &body;
    engine_say(self, engine_server(self, service->server)->session, &message);
}

/* Tells the router what came of it. */
void engine_service_tell(engine_t *self, const service_t *service)
{
    const interaction_t *interaction = service->interaction;
    const state_router_t *router = self->state->routers[interaction->more->router];
    session_t session = engine_router_session(self, router);
    if (!session)
        return; /* it hears when it comes back with the interaction */
    Ixn__V1__Token token = engine_service_token(
        (service_token_t){interaction->more->token_epoch, interaction->more->token_index});
    Ixn__V1__Token own = engine_service_token(service->token);
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
            engine_service_tell(self, service);
    }
}

/* ---- Deciding ---- */

void engine_service_emit_answer(engine_t *self, service_t *service,
                                Ixn__V1__ServiceAnswered *answered)
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
        engine_service_tell(self, service);
}

void engine_service_fault(engine_t *self, service_t *service, const char *code, const char *text)
{
    Ixn__V1__ServiceAnswered answered = IXN__V1__SERVICE_ANSWERED__INIT;
    answered.outcome_case = IXN__V1__SERVICE_ANSWERED__OUTCOME_FAULT;
    answered.fault = (char *)code;
    answered.text = (char *)text;
    engine_service_emit_answer(self, service, &answered);
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
        if (MUTATION(SERVER_TURNS_FORGOTTEN))
            servers_set_last(self->servers, queue->pool, TEXT(""));
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
