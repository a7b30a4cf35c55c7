#include "apps/ixn-app/parts/app.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/wire/wire.h"

enum {
    LEAVE_MS = 2000, /* so long unanswered answers are waited for at the end */
    TURN_MS = 200,   /* how often `stop` is looked at */
    /* A name can be in use by a session that the node has not yet found dead: this program before
     * it was restarted. */
    REJOIN_MS = 1000,
    REJOIN_TRIES = 30,
};

/* An answer on its way to the node. */
typedef struct answer {
    struct answer *prev, *next;
    Ixn__V1__Token token;
    app_reply_t reply;
    usec_t due_at;
    uint64_t request_id; /* 0: not sent */
} answer_t;

typedef struct {
    const app_options_t *options;
    ixn_client_options_t client_options;
    ixn_client_t *client;
    answer_t *answers;
    int rejoined;
    bool was_connected;
    uint64_t served;
    uint64_t refused;
} app_t;

static usec_t s_now(void)
{
    return clock_usec(CLOCK_BOOTTIME);
}

void app_fault(app_reply_t *reply, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    snprintf(reply->fault, sizeof reply->fault, "%s", code);
    vsnprintf(reply->text, sizeof reply->text, format, arguments);
    va_end(arguments);
    wire_clean_text(reply->text);
}

/* ---- Answers ---- */

static void s_free_answer(app_t *self, answer_t *answer)
{
    DL_DELETE(self->answers, answer);
    json_decref(answer->reply.result);
    free(answer);
}

static void s_send(app_t *self, answer_t *answer)
{
    Ixn__V1__ServiceResponse response = IXN__V1__SERVICE_RESPONSE__INIT;
    Ixn__V1__ServiceFault fault = IXN__V1__SERVICE_FAULT__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    char *json = answer->reply.fault[0] || !answer->reply.result
                     ? NULL
                     : json_dumps(answer->reply.result, JSON_COMPACT);
    response.token = fault.token = &answer->token;
    if (answer->reply.fault[0]) {
        fault.code = answer->reply.fault;
        fault.text = answer->reply.text;
        request.body_case = IXN__V1__REQUEST__BODY_SERVICE_FAULT;
        request.service_fault = &fault;
    } else {
        response.result = (ProtobufCBinaryData){json ? strlen(json) : 0, (uint8_t *)json};
        request.body_case = IXN__V1__REQUEST__BODY_SERVICE_RESPONSE;
        request.service_response = &response;
    }
    answer->request_id = ixn_client_send(self->client, &request);
    free(json);
}

/* Sends what is due; returns how long until the next one is, in milliseconds, at most TURN_MS. */
static int s_send_due(app_t *self)
{
    usec_t now = s_now(), next = now + TURN_MS * USEC_PER_MS;
    answer_t *answer;
    DL_FOREACH(self->answers, answer)
    {
        if (answer->request_id)
            continue;
        if (answer->due_at <= now)
            s_send(self, answer);
        if (!answer->request_id && answer->due_at < next)
            next = answer->due_at > now ? answer->due_at : now + USEC_PER_MS;
    }
    return (int)((next - now + USEC_PER_MS - 1) / USEC_PER_MS);
}

static answer_t *s_find_sent(const app_t *self, uint64_t request_id)
{
    answer_t *answer;
    DL_FOREACH(self->answers, answer)
    if (answer->request_id == request_id)
        return answer;
    return NULL;
}

static void s_cancel(app_t *self, const Ixn__V1__Token *token)
{
    answer_t *answer, *next;
    DL_FOREACH_SAFE(self->answers, answer, next)
    if (!answer->request_id && answer->token.epoch == token->epoch &&
        answer->token.index == token->index)
        s_free_answer(self, answer);
}

/* ---- Requests ---- */

static const app_service_t *s_service(const app_t *self, const char *name)
{
    for (size_t i = 0; i < self->options->services_len; i++)
        if (strcmp(self->options->services[i].name, name) == 0)
            return &self->options->services[i];
    return NULL;
}

static void s_serve(app_t *self, const Ixn__V1__ServiceRequest *body)
{
    answer_t *answer = memory_zero(1, sizeof *answer);
    ixn__v1__token__init(&answer->token);
    answer->token.epoch = body->token->epoch;
    answer->token.index = body->token->index;
    json_error_t problem;
    json_t *parameters = body->parameters.len ? json_loadb((const char *)body->parameters.data,
                                                           body->parameters.len, 0, &problem)
                                              : json_object();
    const app_request_t request = {.service = body->service,
                                   .method = body->method,
                                   .parameters = parameters,
                                   .timeout_ms = body->timeout_ms,
                                   .attempt = body->attempt,
                                   .safe = body->safe,
                                   .epoch = body->token->epoch,
                                   .index = body->token->index};
    const app_service_t *service = s_service(self, body->service);
    if (!json_is_object(parameters))
        app_fault(&answer->reply, "BAD_PARAMETERS", "the parameters are not a JSON object");
    else if (service)
        service->serve(service->context, &request, &answer->reply);
    else
        app_fault(&answer->reply, "UNKNOWN_SERVICE", "this server does not offer \"%s\"",
                  body->service);
    json_decref(parameters);
    answer->due_at = s_now() + (usec_t)answer->reply.delay_ms * USEC_PER_MS;
    self->served++;
    DL_APPEND(self->answers, answer);
}

static void s_on_answer(app_t *self, const ixn_event_t *event)
{
    answer_t *answer = s_find_sent(self, event->request_id);
    if (!answer)
        return;
    const Ixn__V1__Message *message = event->message;
    if (message->body_case != IXN__V1__MESSAGE__BODY_ERROR) {
        s_free_answer(self, answer);
        return;
    }
    self->refused++;
    log_info("app.refused", "code=%s sentence=\"%s\"",
             error_name((error_code_t)message->error->code), message->error->sentence);
    if (message->error->code == IXN__V1__CODE__OLD_TOKEN || answer->reply.fault[0]) {
        s_free_answer(self, answer);
        return;
    }
    /* The result cannot be sent, for instance because it is too large: the router hears why. */
    app_fault(&answer->reply, "BAD_RESULT", "%.200s", message->error->sentence);
    s_send(self, answer);
}

static void s_on_message(app_t *self, const Ixn__V1__Message *message)
{
    if (message->body_case == IXN__V1__MESSAGE__BODY_SERVICE_REQUEST)
        s_serve(self, message->service_request);
    else if (message->body_case == IXN__V1__MESSAGE__BODY_SERVICE_CANCELLED)
        s_cancel(self, message->service_cancelled->token);
}

/* ---- The loop ---- */

static bool s_connect(app_t *self, error_t *ret_error)
{
    ixn_client_destroy(&self->client);
    self->client = ixn_client_new(&self->client_options, ret_error);
    return self->client != NULL;
}

/* True: it is worth asking again. Nothing was ever held by the client that is thrown away. */
static bool s_rejoin(app_t *self, const error_t *error)
{
    if (error->code != ERROR_NAME_IN_USE || self->was_connected || self->rejoined == REJOIN_TRIES)
        return false;
    self->rejoined++;
    log_warning("app.name_in_use", "try=%d error=\"%s\"", self->rejoined, error->text);
    return true;
}

/* False: it is over. */
static bool s_on_event(app_t *self, const ixn_event_t *event, usec_t *rejoin_at, error_t *ret_error)
{
    answer_t *answer;
    switch (event->kind) {
    case IXN_EVENT_ANSWER:
        s_on_answer(self, event);
        return true;
    case IXN_EVENT_FAILED: /* never answered: its token makes it harmless to send it again */
        answer = s_find_sent(self, event->request_id);
        if (answer)
            answer->request_id = 0;
        return true;
    case IXN_EVENT_MESSAGE:
        s_on_message(self, event->message);
        return true;
    case IXN_EVENT_CONNECTED:
        self->was_connected = true;
        log_info("app.connected", "node=%s epoch=%" PRIu64 " held=%zu",
                 event->message->registered->node, ixn_client_epoch(self->client),
                 ixn_client_held(self->client));
        return true;
    case IXN_EVENT_DISCONNECTED:
        log_warning("app.disconnected", "error=\"%s\"", event->error.text);
        return true;
    case IXN_EVENT_REFUSED:
        if (!s_rejoin(self, &event->error)) {
            *ret_error = event->error;
            return false;
        }
        *rejoin_at = s_now() + REJOIN_MS * USEC_PER_MS;
        return true;
    default:
        return true;
    }
}

static bool s_loop(app_t *self, const volatile int *stop, error_t *ret_error)
{
    usec_t rejoin_at = 0, leave_at = 0;
    for (;;) {
        if (*stop && !leave_at)
            leave_at = s_now() + LEAVE_MS * USEC_PER_MS;
        if (leave_at && (!self->answers || s_now() >= leave_at))
            return true;
        if (rejoin_at && s_now() >= rejoin_at) {
            rejoin_at = 0;
            if (!s_connect(self, ret_error))
                return false;
        }
        int wait_ms = s_send_due(self);
        ixn_event_t event;
        ixn_client_next(self->client, leave_at && wait_ms > 10 ? 10 : wait_ms, &event);
        if (!s_on_event(self, &event, &rejoin_at, ret_error))
            return false;
    }
}

bool app_run(const app_options_t *options, const volatile int *stop, error_t *ret_error)
{
    app_t self = {.options = options, .client_options = options->client};
    char *names[LIMIT_SERVICES];
    Ixn__V1__ApplicationServer server = IXN__V1__APPLICATION_SERVER__INIT;
    if (options->services_len < 1 || options->services_len > LIMIT_SERVICES)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "a server offers 1 … %d services, this one %zu", LIMIT_SERVICES,
                         options->services_len);
    for (size_t i = 0; i < options->services_len; i++)
        names[i] = (char *)(uintptr_t)options->services[i].name;
    server.type = options->type;
    server.services = names;
    server.n_services = options->is_undeclared ? 0 : options->services_len;
    server.window = options->window;
    self.client_options.application_server = &server;
    if (!self.client_options.role)
        self.client_options.role = IXN__V1__ROLE__APPLICATION_SERVER;
    bool ok = s_connect(&self, ret_error) && s_loop(&self, stop, ret_error);
    log_info("app.ended", "served=%" PRIu64 " refused=%" PRIu64, self.served, self.refused);
    while (self.answers)
        s_free_answer(&self, self.answers);
    ixn_client_destroy(&self.client);
    return ok;
}
