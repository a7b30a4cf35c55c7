#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/engine_internal.h"

/* Application servers come and go. What was sent to one that is lost: a safe request goes to
 * another; an unsafe one waits for the same process to come back, which knows whether it has it,
 * and ends with a fault when it does not. Which process it was is in the state, so that this holds
 * across a take-over. */

enum { LOST_HEARTBEATS = 3 };

engine_server_t *engine_server(engine_t *self, const state_server_t *server)
{
    if (server->number >= self->apps_len) {
        size_t len = (size_t)server->number + 1;
        self->apps = memory_resize(self->apps, len * sizeof *self->apps);
        for (; self->apps_len < len; self->apps_len++) {
            const char *name = self->state->services.servers[self->apps_len]->name;
            self->apps[self->apps_len] =
                (engine_server_t){.balanced = servers_number(self->servers, text_of(name))};
        }
    }
    return &self->apps[server->number];
}

const Ixn__V1__ApplicationConfiguration *engine_server_annex(const engine_t *self, const char *name)
{
    const Ixn__V1__EngineConfiguration *configuration = self->state->configuration;
    for (size_t i = 0; i < configuration->n_application_servers; i++)
        if (strcmp(configuration->application_servers[i]->name, name) == 0)
            return configuration->application_servers[i];
    return NULL;
}

/* ---- Settings ---- */

static uint32_t s_smaller(uint32_t announced, uint32_t configured)
{
    return announced && announced < configured ? announced : configured;
}

/* What the operator names counts more than what the server says. */
void engine_server_connect(engine_t *self, const state_server_t *known)
{
    engine_server_t *server = engine_server(self, known);
    const Ixn__V1__ApplicationConfiguration *annex = engine_server_annex(self, known->name);
    uint32_t window =
        annex && annex->window ? annex->window : self->state->configuration->service_window;
    servers_options_t options = {.type = (int)server->type,
                                 .services = server->services,
                                 .services_len = server->services_len,
                                 .window = s_smaller(server->window, window)};
    if (annex && annex->n_services) {
        options.services = annex->services;
        options.services_len = annex->n_services;
    }
    if (options.window == 0)
        options.window = 1;
    servers_connect(self->servers, server->balanced, &options);
}

void engine_services_configured(engine_t *self)
{
    const Ixn__V1__EngineConfiguration *configuration = self->state->configuration;
    if (configuration->service_breaker_failures)
        servers_set_breaker(self->servers, configuration->service_breaker_failures,
                            (usec_t)configuration->service_breaker_pause_ms * USEC_PER_MS);
    servers_set_standard_queue(self->servers, configuration->service_queue);
    for (size_t i = 0; i < servers_len(self->servers); i++)
        servers_set_queue(self->servers, (server_t)i, 0);
    for (size_t i = 0; i < configuration->n_application_servers; i++) {
        const Ixn__V1__ApplicationConfiguration *annex = configuration->application_servers[i];
        servers_set_queue(self->servers, servers_number(self->servers, text_of(annex->name)),
                          annex->queue);
    }
    servers_clear_clusters(self->servers);
    for (size_t i = 0; i < configuration->n_clusters; i++) {
        const Ixn__V1__ClusterConfiguration *cluster = configuration->clusters[i];
        servers_add_cluster(self->servers, text_of(cluster->name), cluster->members,
                            cluster->n_members, cluster->queue);
    }
    for (size_t i = 0; i < self->apps_len; i++)
        if (self->apps[i].session)
            engine_server_connect(self, self->state->services.servers[i]);
}

/* ---- Registration ---- */

bool engine_server_check(engine_t *self, const engine_session_t *slot,
                         const Ixn__V1__Register *wanted, error_t *ret_error)
{
    const Ixn__V1__ApplicationServer *body = wanted->application_server;
    bool pure = wanted->role == IXN__V1__ROLE__APPLICATION_SERVER;
    if (!body)
        return !pure || error_set(ret_error, ERROR_INVALID_ARGUMENT,
                                  "an APPLICATION_SERVER says in `application_server` what it is");
    if (!pure && wanted->role != IXN__V1__ROLE__MEDIA_SERVER)
        return error_set(ret_error, ERROR_WRONG_ROLE,
                         "only an APPLICATION_SERVER or a MEDIA_SERVER may have "
                         "`application_server`; this is role %d",
                         (int)wanted->role);
    if ((int)body->type < 1 || (int)body->type >= SERVERS_TYPES)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "type is %d; types are classification 1, email 2, sms 3, social 4, chat "
                         "5, third_party 6",
                         (int)body->type);
    if (body->n_services > LIMIT_SERVICES)
        return error_set(ret_error, ERROR_TOO_LARGE, "%zu services, the limit is %d",
                         body->n_services, LIMIT_SERVICES);
    for (size_t i = 0; i < body->n_services; i++)
        if (!wire_check_text("services", body->services[i], 1, LIMIT_NAME, ret_error))
            return false;
    const Ixn__V1__ApplicationConfiguration *annex = engine_server_annex(self, wanted->name);
    const char *type = engine_application_types[body->type];
    if (annex && annex->type[0] && strcmp(annex->type, type) != 0)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "\"%s\" registers as %s, but applications.servers says it is %s; correct "
                         "one of them",
                         wanted->name, type, annex->type);
    const state_server_t *known = state_server(self->state, text_of(wanted->name));
    if (!known)
        return error_set(ret_error, ERROR_TOO_LARGE,
                         "%d different application servers have been seen; use the same names "
                         "again, or restart the node",
                         LIMIT_SYMBOLS);
    session_t session = engine_server(self, known)->session;
    const engine_session_t *other = session ? engine_slot(self, session) : NULL;
    if (other && other != slot && other->role != wanted->role)
        return error_set(ret_error, ERROR_NAME_IN_USE,
                         "\"%s\" is registered as an application server in another role already; "
                         "give each its own name",
                         wanted->name);
    return true;
}

static void s_set_announced(engine_server_t *server, const Ixn__V1__ApplicationServer *body)
{
    for (size_t i = 0; i < server->services_len; i++)
        free(server->services[i]);
    free(server->services);
    server->services = body->n_services ? memory_zero(body->n_services, sizeof(char *)) : NULL;
    server->services_len = body->n_services;
    for (size_t i = 0; i < body->n_services; i++)
        server->services[i] = memory_text(body->services[i]);
    server->type = body->type;
    server->window = body->window;
}

/* The process that has it is gone for good, or will not do it. */
static void s_lost_one(engine_t *self, service_t *service, bool left, bool told)
{
    bool counts = told && !left;
    char text[LIMIT_TEXT + 1];
    snprintf(text, sizeof text, "\"%s\" %s while it had the request%s", service->server->name,
             left ? "left" : "was lost", service->safe ? "" : "; whether it was done is not known");
    engine_server(self, service->server)->losses += counts;
    if (told && !service->safe && !MUTATION(UNSAFE_RETRIED))
        engine_service_fault(self, service, left ? "SERVER_LEFT" : "SERVER_LOST", text);
    else if (counts && service->attempts + 1u >= self->state->configuration->service_max_attempts)
        engine_service_fault(self, service, "SERVER_LOST", text);
    else
        engine_service_wait(self, service, counts);
}

size_t engine_server_register(engine_t *self, engine_session_t *slot,
                              const Ixn__V1__Register *wanted, size_t len,
                              Ixn__V1__Token **ret_revoked)
{
    state_server_t *known = state_server(self->state, text_of(slot->name));
    engine_server_t *server = engine_server(self, known);
    uint64_t told = server->loss == SERVER_WELL ? self->committed : server->told;
    slot->server = known;
    server->session = slot->ref;
    server->loss = SERVER_WELL;
    s_set_announced(server, wanted->application_server);
    engine_server_connect(self, known);
    service_t *service = LIST_FIRST(&known->services);
    while (service) {
        service_t *next = LIST_NEXT(service, of_server);
        if (id_equal(service->incarnation, slot->incarnation))
            servers_sent(self->servers, server->balanced);
        else
            s_lost_one(self, service, false, engine_service_told(self, service, told));
        service = next;
    }
    size_t revoked = 0;
    for (size_t i = 0; i < len; i++) {
        Ixn__V1__Token *token = wanted->tokens[i];
        service = services_find(self->state, (service_token_t){token->epoch, token->index});
        if (!service || service->state != SERVICE_SENT || service->server != known ||
            !id_equal(service->incarnation, slot->incarnation))
            ret_revoked[revoked++] = token;
    }
    return revoked;
}

void engine_server_resend(engine_t *self, engine_session_t *slot, Ixn__V1__Token **tokens,
                          size_t len)
{
    const service_t *service;
    LIST_FOREACH(service, &slot->server->services, of_server)
    {
        if (id_equal(service->incarnation, slot->incarnation) &&
            !engine_find_token(tokens, len, service->token))
            engine_service_say(self, service, slot->ref);
    }
}

/* ---- Loss ---- */

void engine_server_lost(engine_t *self, engine_session_t *slot, Ixn__V1__ReturnCause cause)
{
    const state_server_t *known = slot->server;
    if (!known)
        return;
    engine_server_t *server = engine_server(self, known);
    bool failed = cause == IXN__V1__RETURN_CAUSE__ROUTER_LOST && known->in_flight > 0;
    slot->server = NULL;
    server->session = 0;
    server->told = self->committed;
    servers_disconnect(self->servers, server->balanced, failed, self->log_time);
    if (cause == IXN__V1__RETURN_CAUSE__NOT_HELD || known->in_flight == 0)
        return; /* the same process is back already, or nothing is lost */
    server->loss = cause == IXN__V1__RETURN_CAUSE__ROUTER_LEFT ? SERVER_LEFT : SERVER_LOST;
}

/* False: there was no more room in the turn. */
static bool s_return(engine_t *self, const state_server_t *known, size_t *budget)
{
    const engine_server_t server = *engine_server(self, known);
    bool all = server.loss == SERVER_LEFT || server.loss == SERVER_GIVEN_UP;
    service_t *service = LIST_FIRST(&known->services);
    while (service) {
        service_t *next = LIST_NEXT(service, of_server);
        bool told = engine_service_told(self, service, server.told);
        if (all || service->safe || !told || MUTATION(UNSAFE_RETRIED)) {
            if (*budget == 0 || !engine_has_room(self))
                return false;
            (*budget)--;
            s_lost_one(self, service, server.loss == SERVER_LEFT, told);
        }
        service = next;
    }
    return true;
}

bool engine_servers_return(engine_t *self, size_t budget)
{
    for (size_t i = 0; i < self->apps_len; i++) {
        const state_server_t *known = self->state->services.servers[i];
        engine_server_t *server = &self->apps[i];
        if (server->loss == SERVER_AWAITED && self->log_time >= server->awaited_until)
            server->loss = SERVER_GIVEN_UP;
        if (server->loss == SERVER_WELL || server->loss == SERVER_AWAITED)
            continue;
        if (!s_return(self, known, &budget))
            return true;
        server->loss = known->in_flight > 0 ? SERVER_AWAITED : SERVER_WELL;
        server->awaited_until =
            self->log_time + (usec_t)self->options.heartbeat_ms * LOST_HEARTBEATS * USEC_PER_MS;
    }
    return false;
}

/* ---- For people ---- */

typedef struct {
    Ixn__V1__ApplicationsStatus body;
    Ixn__V1__ApplicationStatus *servers;
    Ixn__V1__ClusterStatus *clusters;
} status_t;

static const char *s_note(const servers_view_t *view)
{
    if (view->connected && view->type == SERVERS_THIRD_PARTY && view->services_len == 0)
        return "names no services: reached by its name or through a cluster only";
    return "";
}

static void s_status_of(engine_t *self, const state_server_t *known,
                        Ixn__V1__ApplicationStatus *out)
{
    static const char *const breakers[] = {"closed", "open", "probing"};
    const engine_server_t *server = engine_server(self, known);
    const engine_session_t *slot = server->session ? engine_slot(self, server->session) : NULL;
    const Ixn__V1__ApplicationConfiguration *annex = engine_server_annex(self, known->name);
    servers_view_t view;
    servers_view(self->servers, server->balanced, &view);
    ixn__v1__application_status__init(out);
    out->name = (char *)known->name;
    out->type = (Ixn__V1__ApplicationType)view.type;
    for (int type = 1; annex && !view.type && type < SERVERS_TYPES; type++)
        if (strcmp(annex->type, engine_application_types[type]) == 0)
            out->type = (Ixn__V1__ApplicationType)type;
    out->connected = slot != NULL;
    out->configured = annex != NULL;
    bool by_annex = annex && annex->n_services;
    out->services = by_annex ? annex->services : (char **)(uintptr_t)view.services;
    out->n_services = by_annex ? annex->n_services : view.services_len;
    out->in_flight = known->in_flight;
    out->window = view.window;
    out->sent = server->sent;
    out->answered = server->answered;
    out->faults = server->faults;
    out->timeouts = server->timeouts;
    out->losses = server->losses;
    out->breaker = (char *)breakers[view.breaker];
    if (view.breaker == BREAKER_OPEN && view.open_until > self->log_time)
        out->breaker_ms = (uint32_t)((view.open_until - self->log_time) / USEC_PER_MS);
    out->also_media_server = slot && slot->role == IXN__V1__ROLE__MEDIA_SERVER;
    out->note = (char *)s_note(&view);
}

static uint32_t s_waiting_for(const engine_t *self, const char *cluster)
{
    uint32_t waiting = 0;
    struct service_queue *queue, *next;
    HASH_ITER(by_pool, self->service_queues, queue, next)
    {
        const service_t *first = queue->waiting.rbh_root;
        if (first && first->target == SERVICE_BY_CLUSTER &&
            text_equal(service_text(first, SERVICE_NAME), text_of(cluster)))
            waiting += queue->len;
    }
    return waiting;
}

static void s_clusters(engine_t *self, status_t *status)
{
    const Ixn__V1__EngineConfiguration *configuration = self->state->configuration;
    size_t len = configuration->n_clusters;
    status->clusters = memory_zero(len, sizeof *status->clusters);
    status->body.clusters = memory_zero(len, sizeof *status->body.clusters);
    status->body.n_clusters = len;
    for (size_t i = 0; i < len; i++) {
        const Ixn__V1__ClusterConfiguration *cluster = configuration->clusters[i];
        Ixn__V1__ClusterStatus *out = status->body.clusters[i] = &status->clusters[i];
        ixn__v1__cluster_status__init(out);
        out->name = cluster->name;
        out->members = cluster->members;
        out->n_members = cluster->n_members;
        out->usable = servers_usable(self->servers, text_of(cluster->name));
        out->waiting = s_waiting_for(self, cluster->name);
        out->queue_size = servers_cluster_queue(self->servers, text_of(cluster->name));
    }
}

void engine_applications(engine_t *self, session_t session, uint64_t request)
{
    const Ixn__V1__EngineConfiguration *configuration = self->state->configuration;
    const services_t *services = &self->state->services;
    for (size_t i = 0; i < configuration->n_application_servers; i++)
        state_server(self->state, text_of(configuration->application_servers[i]->name));
    status_t status = {.body = IXN__V1__APPLICATIONS_STATUS__INIT};
    size_t len = services->servers_len;
    status.servers = memory_zero(len, sizeof *status.servers);
    status.body.servers = memory_zero(len, sizeof *status.body.servers);
    status.body.n_servers = len;
    for (size_t i = 0; i < len; i++) {
        status.body.servers[i] = &status.servers[i];
        s_status_of(self, services->servers[i], &status.servers[i]);
    }
    s_clusters(self, &status);
    status.body.open = services->open;
    status.body.kept = services->kept;
    status.body.bytes = services->bytes;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_APPLICATIONS;
    message.applications = &status.body;
    engine_say(self, session, &message);
    free(status.servers);
    free(status.body.servers);
    free(status.clusters);
    free(status.body.clusters);
}
