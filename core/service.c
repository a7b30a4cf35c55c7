#include "core/service.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/state_internal.h"

/* As in core/apply.c: each entry first finds what it speaks of and refuses what does not fit, then
 * changes the state. */

bool service_is_older(const service_t *a, const service_t *b)
{
    return a->token.epoch != b->token.epoch ? a->token.epoch < b->token.epoch
                                            : a->token.index < b->token.index;
}

static int s_compare_due(const service_t *a, const service_t *b)
{
    if (a->deadline != b->deadline)
        return a->deadline < b->deadline ? -1 : 1;
    return a == b ? 0 : service_is_older(a, b) ? -1 : 1;
}

RB_GENERATE_INTERNAL(service_times, service, due, s_compare_due, static __attribute__((unused)))

/* ---- Texts ---- */

text_t service_text(const service_t *self, service_text_t which)
{
    size_t offset = 0;
    for (service_text_t i = SERVICE_KEY; i < which; i++)
        offset += self->lens[i] + 1;
    return (text_t){self->texts + offset, self->lens[which]};
}

text_t service_result(const service_t *self)
{
    return self->fault_len ? (text_t){NULL, 0} : (text_t){self->answer, self->result_len};
}

text_t service_fault(const service_t *self)
{
    return (text_t){self->answer, self->fault_len};
}

text_t service_fault_text(const service_t *self)
{
    if (self->fault_len == 0)
        return (text_t){NULL, 0};
    return (text_t){self->answer + self->fault_len + 1, self->text_len};
}

static char *s_join(const text_t *texts, size_t len)
{
    size_t size = 0;
    for (size_t i = 0; i < len; i++)
        size += texts[i].len + 1;
    char *block = memory_new(size);
    char *end = block;
    for (size_t i = 0; i < len; i++) {
        if (texts[i].len)
            memcpy(end, texts[i].data, texts[i].len);
        end += texts[i].len;
        *end++ = 0;
    }
    return block;
}

static void s_set_texts(service_t *self, const text_t texts[SERVICE_PARAMETERS + 1])
{
    for (service_text_t i = SERVICE_KEY; i <= SERVICE_PARAMETERS; i++)
        self->lens[i] = (uint32_t)texts[i].len;
    self->texts = s_join(texts, SERVICE_PARAMETERS + 1);
}

static void s_set_answer(service_t *self, text_t result, text_t fault, text_t fault_text)
{
    const text_t faults[] = {fault, fault_text};
    self->answer = fault.len ? s_join(faults, 2) : s_join(&result, 1);
    self->result_len = fault.len ? 0 : (uint32_t)result.len;
    self->fault_len = (uint32_t)fault.len;
    self->text_len = fault.len ? (uint32_t)fault_text.len : 0;
}

static size_t s_bytes(const service_t *self)
{
    size_t bytes = sizeof *self;
    for (service_text_t i = SERVICE_KEY; i <= SERVICE_PARAMETERS; i++)
        bytes += self->lens[i];
    return bytes + self->result_len + self->fault_len + self->text_len;
}

/* ---- Finding ---- */

service_t *services_find(const state_t *state, service_token_t token)
{
    service_t *service = NULL;
    HASH_FIND(hh, state->services.by_token, &token, sizeof token, service);
    return service;
}

service_t *services_find_key(const interaction_t *interaction, text_t key)
{
    service_t *service;
    if (!interaction->more)
        return NULL;
    LIST_FOREACH(service, &interaction->more->services, of_interaction)
    if (text_equal(service_text(service, SERVICE_KEY), key))
        return service;
    return NULL;
}

service_t *services_first_due(state_t *state)
{
    return RB_MIN(service_times, &state->services.times);
}

uint32_t services_open_of(const interaction_t *interaction)
{
    const service_t *service;
    uint32_t open = 0;
    if (interaction->more)
        LIST_FOREACH(service, &interaction->more->services, of_interaction)
    open += service->state != SERVICE_ANSWERED;
    return open;
}

state_server_t *state_server(state_t *state, text_t name)
{
    services_t *self = &state->services;
    state_server_t *server = NULL;
    HASH_FIND(hh, self->servers_by_name, name.data, name.len, server);
    if (server)
        return server;
    if (name.len == 0 || name.len > LIMIT_NAME || self->servers_len == LIMIT_SYMBOLS)
        return NULL;
    server = memory_zero(1, sizeof *server);
    memcpy(server->name, name.data, name.len);
    server->number = (uint16_t)self->servers_len;
    LIST_INIT(&server->services);
    self->servers =
        memory_resize(self->servers, (self->servers_len + 1) * sizeof(state_server_t *));
    self->servers[self->servers_len++] = server;
    HASH_ADD_KEYPTR(hh, self->servers_by_name, server->name, name.len, server);
    return server;
}

/* ---- Life ---- */

void services_init(state_t *state)
{
    services_t *self = &state->services;
    RB_INIT(&self->times);
    LIST_INIT(&self->dropped);
    TAILQ_INIT(&self->lists[0]);
    TAILQ_INIT(&self->lists[1]);
}

static void s_free(service_t *service)
{
    free(service->texts);
    free(service->answer);
    free(service);
}

void services_free_dropped(state_t *state)
{
    struct service_list *dropped = &state->services.dropped;
    service_t *service;
    while ((service = LIST_FIRST(dropped))) {
        LIST_REMOVE(service, of_interaction);
        s_free(service);
    }
}

void services_free(state_t *state)
{
    services_t *self = &state->services;
    services_free_dropped(state);
    service_t *service, *next;
    HASH_ITER(hh, self->by_token, service, next)
    {
        HASH_DEL(self->by_token, service);
        s_free(service);
    }
    HASH_CLEAR(hh, self->servers_by_name);
    for (size_t i = 0; i < self->servers_len; i++)
        free(self->servers[i]);
    free(self->servers);
}

/* ---- Where it is counted ---- */

static state_router_t *s_router(const state_t *state, const service_t *service)
{
    return state->routers[service->interaction->more->router];
}

static void s_link(state_t *state, service_t *service)
{
    services_t *self = &state->services;
    self->bytes += s_bytes(service);
    if (service->state == SERVICE_ANSWERED) {
        self->kept++;
        return;
    }
    self->open++;
    s_router(state, service)->services++;
    RB_INSERT(service_times, &self->times, service);
    if (service->state == SERVICE_SENT) {
        LIST_INSERT_HEAD(&service->server->services, service, of_server);
        service->server->in_flight++;
    }
}

static void s_unlink(state_t *state, service_t *service)
{
    services_t *self = &state->services;
    self->bytes -= s_bytes(service);
    if (service->state == SERVICE_ANSWERED) {
        self->kept--;
        return;
    }
    self->open--;
    s_router(state, service)->services--;
    RB_REMOVE(service_times, &self->times, service);
    if (service->state == SERVICE_SENT) {
        LIST_REMOVE(service, of_server);
        service->server->in_flight--;
    }
}

static void s_add(state_t *state, service_t *service)
{
    HASH_ADD(hh, state->services.by_token, token, sizeof service->token, service);
    LIST_INSERT_HEAD(&service->interaction->more->services, service, of_interaction);
    s_link(state, service);
    digest_add_service(state, service);
}

/* Before it changes, and after. */
static void s_begin(state_t *state, service_t *service)
{
    services_touch(state, service);
    digest_remove_service(state, service);
    s_unlink(state, service);
}

static void s_end(state_t *state, service_t *service)
{
    s_link(state, service);
    digest_add_service(state, service);
}

/* Its texts stay until the next entry: the engine tells those who wait. */
static void s_drop(state_t *state, service_t *service)
{
    services_gone(state, service);
    digest_remove_service(state, service);
    s_unlink(state, service);
    HASH_DEL(state->services.by_token, service);
    LIST_REMOVE(service, of_interaction);
    LIST_INSERT_HEAD(&state->services.dropped, service, of_interaction);
}

void services_leave(state_t *state, interaction_t *interaction)
{
    service_t *service;
    while ((service = LIST_FIRST(&interaction->more->services)))
        s_drop(state, service);
}

/* ---- Entries ---- */

static bool s_fits(const char *text, size_t least, size_t most)
{
    size_t len = strnlen(text, most + 1);
    return len >= least && len <= most;
}

static text_t s_data(ProtobufCBinaryData bytes)
{
    return (text_t){(const char *)bytes.data, bytes.len};
}

bool services_requested(state_t *state, const Ixn__V1__ServiceRequested *entry, error_t *ret_error)
{
    static const char kind[] = "service requested";
    id128_t id;
    interaction_t *interaction = NULL;
    if (wire_read_id(entry->interaction_id, &id))
        interaction = state_find(state, &id);
    if (!interaction || interaction->state != INTERACTION_ROUTING)
        return state_misfit(state, kind, "its interaction is with no router", ret_error);
    if (!service_target_name((service_target_t)entry->target) ||
        !s_fits(entry->name, 1, LIMIT_NAME) || !s_fits(entry->service, 1, LIMIT_NAME) ||
        !s_fits(entry->method, 0, LIMIT_NAME) || entry->key.len < 1 || entry->key.len > LIMIT_KEY ||
        entry->parameters.len > LIMIT_SERVICE_TEXT)
        return state_misfit(state, kind, "a text is empty or longer than its limit", ret_error);
    if (services_find_key(interaction, s_data(entry->key)))
        return state_misfit(state, kind, "its key made another one", ret_error);
    service_t *service = memory_zero(1, sizeof *service);
    service->token = (service_token_t){state->epoch, state->index + 1};
    service->interaction = interaction;
    service->fingerprint = entry->fingerprint;
    service->deadline = entry->deadline_us;
    service->asked_at = state->wall_time;
    service->state = SERVICE_WAITING;
    service->target = (service_target_t)entry->target;
    service->safe = entry->safe;
    const text_t texts[] = {
        [SERVICE_KEY] = s_data(entry->key),
        [SERVICE_NAME] = text_of(entry->name),
        [SERVICE_SERVICE] = text_of(entry->service),
        [SERVICE_METHOD] = text_of(entry->method),
        [SERVICE_PARAMETERS] = s_data(entry->parameters),
    };
    s_set_texts(service, texts);
    services_touch(state, service);
    s_add(state, service);
    return true;
}

static service_t *s_named(state_t *state, uint64_t epoch, uint64_t index, const char *kind,
                          error_t *ret_error)
{
    service_t *service = services_find(state, (service_token_t){epoch, index});
    if (service && service->state != SERVICE_ANSWERED)
        return service;
    state_misfit(state, kind, service ? "it is answered already" : "there is no such request",
                 ret_error);
    return NULL;
}

bool services_sent(state_t *state, const Ixn__V1__ServiceSent *entry, error_t *ret_error)
{
    static const char kind[] = "service sent";
    id128_t incarnation;
    service_t *service = s_named(state, entry->epoch, entry->index, kind, ret_error);
    if (!service)
        return false;
    if (service->state != SERVICE_WAITING)
        return state_misfit(state, kind, "it does not wait", ret_error);
    if (!wire_read_id(entry->incarnation, &incarnation))
        return state_misfit(state, kind, "its incarnation has not 16 bytes", ret_error);
    state_server_t *server = state_server(state, text_of(entry->server));
    if (!server)
        return state_misfit(state, kind, "its server's name is bad, or there are too many",
                            ret_error);
    s_begin(state, service);
    service->state = SERVICE_SENT;
    service->server = server;
    service->incarnation = incarnation;
    service->sent = (service_token_t){state->epoch, state->index + 1};
    s_end(state, service);
    return true;
}

bool services_waits(state_t *state, const Ixn__V1__ServiceWaits *entry, error_t *ret_error)
{
    static const char kind[] = "service waits";
    service_t *service = s_named(state, entry->epoch, entry->index, kind, ret_error);
    if (!service)
        return false;
    if (service->state != SERVICE_SENT)
        return state_misfit(state, kind, "it was not sent", ret_error);
    s_begin(state, service);
    service->state = SERVICE_WAITING;
    service->server = NULL;
    service->attempts = (uint16_t)(service->attempts + (entry->counts ? 1 : 0));
    s_end(state, service);
    return true;
}

/* Of one interaction the newest answered ones are kept; which are newer is told by when they were
 * asked for. */
static void s_forget_oldest(state_t *state, const interaction_t *interaction)
{
    service_t *service, *oldest = NULL;
    size_t answered = 0;
    LIST_FOREACH(service, &interaction->more->services, of_interaction)
    {
        if (service->state != SERVICE_ANSWERED)
            continue;
        answered++;
        if (!oldest || service_is_older(service, oldest))
            oldest = service;
    }
    if (answered > LIMIT_SERVICES_OPEN)
        s_drop(state, oldest);
}

bool services_answered(state_t *state, const Ixn__V1__ServiceAnswered *entry, error_t *ret_error)
{
    static const char kind[] = "service answered";
    service_t *service = s_named(state, entry->epoch, entry->index, kind, ret_error);
    if (!service)
        return false;
    bool failed = entry->outcome_case == IXN__V1__SERVICE_ANSWERED__OUTCOME_FAULT;
    if (failed ? !s_fits(entry->fault, 1, LIMIT_NAME) || !s_fits(entry->text, 0, LIMIT_TEXT)
               : entry->outcome_case != IXN__V1__SERVICE_ANSWERED__OUTCOME_RESULT ||
                     entry->result.len > LIMIT_SERVICE_TEXT)
        return state_misfit(state, kind, "a text is missing or longer than its limit", ret_error);
    s_begin(state, service);
    service->state = SERVICE_ANSWERED;
    s_set_answer(service, failed ? (text_t){0} : s_data(entry->result),
                 failed ? text_of(entry->fault) : (text_t){0},
                 failed ? text_of(entry->text) : (text_t){0});
    s_end(state, service);
    s_forget_oldest(state, service->interaction);
    return true;
}

/* ---- Loading ---- */

static bool s_bad_row(const service_row_t *row, const char *what, error_t *ret_error)
{
    return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                     "the row of service request %llu/%llu cannot be loaded: %s",
                     (unsigned long long)row->token.epoch, (unsigned long long)row->token.index,
                     what);
}

static bool s_row_fits(const service_row_t *row)
{
    return row->name.len >= 1 && row->name.len <= LIMIT_NAME && row->service.len >= 1 &&
           row->service.len <= LIMIT_NAME && row->method.len <= LIMIT_NAME && row->key.len >= 1 &&
           row->key.len <= LIMIT_KEY && row->parameters.len <= LIMIT_ATTRIBUTES_STORED &&
           row->result.len <= LIMIT_ATTRIBUTES_STORED && row->fault.len <= LIMIT_NAME &&
           row->fault_text.len <= LIMIT_TEXT && row->server.len <= LIMIT_NAME &&
           row->attempts <= UINT16_MAX;
}

static const char *s_impossible(const state_t *state, const service_row_t *row)
{
    const interaction_t *interaction = state_find(state, &row->interaction_id);
    if (!interaction || interaction->state != INTERACTION_ROUTING)
        return "its interaction is with no router";
    if (row->token.index > state->index || row->token.index < interaction->more->token_index)
        return "its token is not of the time when its router has had the interaction";
    if (services_find(state, row->token) || services_find_key(interaction, row->key))
        return "it, or another one with its key, is there already";
    if ((row->state == SERVICE_SENT) && row->server.len == 0)
        return "it was sent to no server";
    if (row->state != SERVICE_ANSWERED && (row->result.len || row->fault.len))
        return "it has an answer and is not answered";
    return s_row_fits(row) ? NULL : "a text is missing or longer than its limit";
}

bool state_load_service(state_t *state, const service_row_t *row, error_t *ret_error)
{
    const char *impossible = s_impossible(state, row);
    if (impossible)
        return s_bad_row(row, impossible, ret_error);
    state_server_t *server = row->server.len ? state_server(state, row->server) : NULL;
    if (row->server.len && !server)
        return s_bad_row(row, "too many different servers", ret_error);
    service_t *service = memory_zero(1, sizeof *service);
    service->token = row->token;
    service->interaction = state_find(state, &row->interaction_id);
    service->fingerprint = row->fingerprint;
    service->deadline = row->deadline;
    service->asked_at = row->asked_at;
    service->state = row->state;
    service->target = row->target;
    service->safe = row->safe;
    service->attempts = (uint16_t)row->attempts;
    service->server = server;
    service->incarnation = row->incarnation;
    service->sent = row->sent;
    service->in_table = true;
    const text_t texts[] = {
        [SERVICE_KEY] = row->key,
        [SERVICE_NAME] = row->name,
        [SERVICE_SERVICE] = row->service,
        [SERVICE_METHOD] = row->method,
        [SERVICE_PARAMETERS] = row->parameters,
    };
    s_set_texts(service, texts);
    if (row->state == SERVICE_ANSWERED)
        s_set_answer(service, row->result, row->fault, row->fault_text);
    s_add(state, service);
    return true;
}
