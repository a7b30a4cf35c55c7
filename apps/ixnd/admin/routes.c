/* Routes: which request is whose, who may, and what must be fresh before it is answered. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apps/ixnd/admin/core.h"
#include "core/base/alloc.h"
#include "core/base/log.h"
#include "dap/connection.h"

enum { NEEDS_US = 1000 * 1000, TOKENS_US = 1000 * 1000 };

static const route_t s_routes[] = {
    {"GET", "/health", RIGHT_NONE, NEED_OWN, route_health},
    {"GET", "/liveness", RIGHT_NONE, NEED_OWN, route_liveness},
    {"GET", "/readiness", RIGHT_NONE, NEED_OWN, route_readiness},
    {"GET", "/primary", RIGHT_NONE, NEED_OWN, route_primary},
    {"GET", "/backup", RIGHT_NONE, NEED_OWN, route_backup},
    {"GET", "/metrics", RIGHT_VIEWER, NEED_OWN | NEED_QUEUES, route_metrics},
    {"GET", "/v1/status", RIGHT_VIEWER, NEED_OWN | NEED_PEER, route_status},
    {"GET", "/v1/pair", RIGHT_VIEWER, NEED_OWN | NEED_PEER, route_pair},
    {"GET", "/v1/daps", RIGHT_VIEWER, NEED_OWN | NEED_PEER, route_daps},
    {"GET", "/v1/configuration", RIGHT_VIEWER, 0, route_configuration},
    {"GET", "/v1/configuration/diff", RIGHT_VIEWER, NEED_OWN | NEED_PEER, route_diff},
    {"POST", "/v1/configuration/check", RIGHT_ADMINISTRATOR, NEED_OWN | NEED_PEER,
     route_config_check},
    {"POST", "/v1/configuration/reload", RIGHT_ADMINISTRATOR, NEED_OWN | NEED_PEER,
     route_config_reload},
    {"GET", "/v1/queues", RIGHT_VIEWER, NEED_QUEUES, route_queues},
    {"GET", "/v1/routers", RIGHT_VIEWER, 0, route_routers},
    {"POST", "/v1/routers/{id}/drain", RIGHT_OPERATOR, NEED_OWN, route_drain},
    {"POST", "/v1/routers/{id}/undrain", RIGHT_OPERATOR, NEED_OWN, route_undrain},
    {"GET", "/v1/strategies", RIGHT_VIEWER, 0, route_strategies},
    {"GET", "/v1/strategies/{id}", RIGHT_VIEWER, 0, route_strategy},
    {"POST", "/v1/strategies/{id}/activate", RIGHT_OPERATOR, NEED_OWN, route_activate},
    {"POST", "/v1/strategies/{id}/deactivate", RIGHT_OPERATOR, NEED_OWN, route_deactivate},
    {"GET", "/v1/applications", RIGHT_VIEWER, 0, route_applications},
    {"GET", "/v1/agents", RIGHT_VIEWER, 0, route_agents},
    {"GET", "/v1/search", RIGHT_VIEWER, NEED_OWN, route_search},
    {"GET", "/v1/interactions", RIGHT_VIEWER, 0, route_interactions},
    {"GET", "/v1/interactions/{id}", RIGHT_VIEWER, 0, route_interaction},
    {"POST", "/v1/interactions/{id}/move", RIGHT_OPERATOR, NEED_OWN, route_move},
    {"POST", "/v1/interactions/{id}/stop", RIGHT_OPERATOR, NEED_OWN, route_stop},
    {"POST", "/v1/interactions/{id}/hold", RIGHT_OPERATOR, NEED_OWN, route_hold},
    {"POST", "/v1/interactions/{id}/resume", RIGHT_OPERATOR, NEED_OWN, route_resume},
    {"POST", "/v1/interactions/{id}/release", RIGHT_OPERATOR, NEED_OWN, route_release},
    {"POST", "/v1/pair/switchover", RIGHT_ADMINISTRATOR, NEED_OWN | NEED_PEER, route_switchover},
    {"POST", "/v1/pair/failover", RIGHT_ADMINISTRATOR, NEED_OWN | NEED_PEER, route_failover},
    {"POST", "/v1/pair/pause", RIGHT_ADMINISTRATOR, NEED_OWN | NEED_PEER, route_pause},
    {"POST", "/v1/pair/resume", RIGHT_ADMINISTRATOR, NEED_OWN | NEED_PEER, route_unpause},
    {"POST", "/v1/database/heal", RIGHT_ADMINISTRATOR, NEED_OWN | NEED_PEER, route_heal},
    {"GET", "/v1/history", RIGHT_VIEWER, NEED_OWN, route_history},
    {"GET", "/v1/audit", RIGHT_VIEWER, NEED_OWN, route_audit},
    {"GET", "/v1/live", RIGHT_VIEWER, NEED_OWN | NEED_PEER | NEED_QUEUES, route_live},
    {"GET", "/v1/events", RIGHT_VIEWER, NEED_OWN, route_events},
    {"GET", "/v1/openapi.json", RIGHT_NONE, 0, route_openapi},
    {"GET", "/", RIGHT_NONE, 0, route_page},
    {"GET", "/page.css", RIGHT_NONE, 0, route_style},
    {"GET", "/page.js", RIGHT_NONE, 0, route_script},
    {"GET", "/icon.svg", RIGHT_NONE, 0, route_icon},
};

usec_t core_wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (usec_t)now.tv_sec * USEC_PER_SECOND + now.tv_nsec / 1000;
}

usec_t core_age(const core_t *self, usec_t at)
{
    return self->now > at ? self->now - at : 0;
}

const char *routes_peer_url(const core_t *self)
{
    const Ixn__V1__PairStatus *status = node_link_status(self->own);
    return status && status->peer ? status->peer->admin_url : "";
}

/* ---- Finding ---- */

/* Whether the path is this route's; what stands for {id} is copied. */
static bool s_matches(const char *pattern, const char *path, char id[CONFIG_NAME_SIZE])
{
    const char *brace = strchr(pattern, '{');
    if (!brace)
        return strcmp(pattern, path) == 0;
    size_t before = (size_t)(brace - pattern);
    if (strncmp(pattern, path, before) != 0)
        return false;
    size_t len = strcspn(path + before, "/");
    if (len == 0 || len >= CONFIG_NAME_SIZE ||
        strcmp(brace + strlen("{id}"), path + before + len) != 0)
        return false;
    memcpy(id, path + before, len);
    id[len] = '\0';
    return true;
}

/* HEAD is asked as GET; libmicrohttpd leaves the body out. OPTIONS too, by load balancers. */
static bool s_has_method(const route_t *route, const char *method)
{
    if (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0)
        return true;
    if (route->right == RIGHT_NONE && route->needs && strcmp(method, "OPTIONS") == 0)
        return true;
    return strcmp(route->method, method) == 0;
}

static const route_t *s_find(const http_request_t *request, char id[CONFIG_NAME_SIZE],
                             bool *ret_known)
{
    *ret_known = false;
    for (size_t i = 0; i < sizeof s_routes / sizeof s_routes[0]; i++) {
        if (!s_matches(s_routes[i].path, http_path(request), id))
            continue;
        *ret_known = true;
        if (s_has_method(&s_routes[i], http_method(request)))
            return &s_routes[i];
    }
    return NULL;
}

/* ---- Who may ---- */

static void s_refresh_tokens(core_t *self)
{
    error_t error;
    if (!self->tokens || self->now - self->tokens_at < TOKENS_US)
        return;
    self->tokens_at = self->now;
    if (!tokens_refresh(self->tokens, &error))
        log_error("admin.tokens", "error=\"%s\"", error.text);
}

static void s_allow_peer(http_request_t *request)
{
    http_add_header(request, "Access-Control-Allow-Origin", http_header(request, "Origin"));
    http_add_header(request, "Vary", "Origin");
}

/* A browser asks whether a page of the other node's may ask. */
static bool s_answer_preflight(core_t *self, http_request_t *request)
{
    const char *origin = http_header(request, "Origin");
    const char *peer = routes_peer_url(self);
    if (strcmp(http_method(request), "OPTIONS") != 0 ||
        !http_header(request, "Access-Control-Request-Method"))
        return false;
    if (origin && *peer && strcasecmp(origin, peer) == 0) {
        s_allow_peer(request);
        http_add_header(request, "Access-Control-Allow-Methods", "GET, POST");
        http_add_header(request, "Access-Control-Allow-Headers", "Authorization, Content-Type");
        http_add_header(request, "Access-Control-Max-Age", "600");
    }
    http_answer_static(request, 204, "text/plain", TEXT(""));
    return true;
}

static verdict_t s_judge(core_t *self, http_request_t *request, const route_t *route)
{
    const guard_t guard = {.tokens = self->tokens,
                           .own_host = self->host,
                           .own_url = self->url,
                           .peer_url = routes_peer_url(self)};
    const guard_request_t asked = {
        .authorization = http_header(request, "Authorization"),
        .host = http_header(request, "Host"),
        .origin = http_header(request, "Origin"),
        .content_type = http_header(request, "Content-Type"),
        .fetch_site = http_header(request, "Sec-Fetch-Site"),
        .changes = strcmp(route->method, "POST") == 0,
    };
    return guard_judge(&guard, &asked, route->right);
}

/* One line a second at most, whoever tries how often. */
static void s_log_refusal(core_t *self, http_request_t *request, const verdict_t *verdict)
{
    self->refused++;
    if (self->refused_at && self->now - self->refused_at < USEC_PER_SECOND)
        return;
    log_warning("admin.refused", "code=%s address=%s method=%s path=\"%s\" count=%u", verdict->code,
                http_address(request), http_method(request), http_path(request), self->refused);
    self->refused_at = self->now;
    self->refused = 0;
}

static void s_refuse(core_t *self, http_request_t *request, const verdict_t *verdict)
{
    if (verdict->status == 401)
        http_add_header(request, "WWW-Authenticate", "Bearer realm=\"ixn\"");
    if (verdict->status != 401 || http_header(request, "Authorization"))
        s_log_refusal(self, request, verdict);
    http_answer_error(request, verdict->status, verdict->code, "%s", verdict->sentence);
}

/* ---- Needs ---- */

static bool s_is_fresh(usec_t heard_at, usec_t now)
{
    return heard_at && now - heard_at <= FRESH_US;
}

static bool s_has_queues(core_t *self)
{
    if (s_is_fresh(queues_heard_at(self->queues), self->now) || !status_primary(self))
        return true;
    queues_ask(self->queues, self->now);
    return !queues_is_asking(self->queues);
}

bool routes_has_needs(core_t *self, unsigned needs, usec_t until)
{
    bool has = true;
    if ((needs & NEED_OWN) && !s_is_fresh(node_link_heard_at(self->own), self->now)) {
        node_link_ask(self->own, self->now);
        has = false;
    }
    if ((needs & NEED_PEER) && self->peer &&
        !s_is_fresh(node_link_heard_at(self->peer), self->now)) {
        node_link_ask(self->peer, self->now);
        has = has && node_link_is_silent(self->peer, self->now);
    }
    if (needs & NEED_QUEUES)
        has = s_has_queues(self) && has;
    return has || self->now >= until;
}

static void s_run(exchange_t *exchange)
{
    exchange->route->run(exchange->core, exchange);
}

void routes_park(core_t *self, exchange_t *exchange)
{
    exchange->parked = true;
    LIST_INSERT_HEAD(&self->parked, exchange, link);
}

void routes_run_parked(core_t *self)
{
    exchange_t *exchange = LIST_FIRST(&self->parked);
    while (exchange) {
        exchange_t *next = LIST_NEXT(exchange, link);
        if (routes_has_needs(self, exchange->route->needs, exchange->until)) {
            LIST_REMOVE(exchange, link);
            exchange->parked = false;
            s_run(exchange);
        }
        exchange = next;
    }
}

/* ---- A request ---- */

static void s_free(void *own)
{
    exchange_t *exchange = own;
    if (exchange->parked)
        LIST_REMOVE(exchange, link);
    json_decref(exchange->body);
    json_decref(exchange->collected);
    free(exchange);
}

/* The body of a change: an object. */
static bool s_read_body(http_request_t *request, json_t **ret_body)
{
    json_error_t error;
    text_t body = http_body(request);
    size_t zero = text_zero(body);
    if (zero < body.len) {
        http_answer_error(request, 400, "INVALID_ARGUMENT",
                          "the body is no JSON: byte %zu is zero; send no byte behind the object",
                          zero);
        return false;
    }
    json_t *json =
        body.len ? json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, &error) : json_object();
    if (json_is_object(json)) {
        *ret_body = json;
        return true;
    }
    if (json)
        http_answer_error(request, 400, "INVALID_ARGUMENT", "the body is JSON, but no object");
    else
        http_answer_error(request, 400, "INVALID_ARGUMENT",
                          "the body is no JSON: %s (line %d, column %d)", error.text, error.line,
                          error.column);
    json_decref(json);
    return false;
}

static void s_begin(core_t *self, http_request_t *request, const route_t *route,
                    const verdict_t *verdict, const char *id)
{
    json_t *body = NULL;
    if (strcmp(route->method, "POST") == 0 && !s_read_body(request, &body))
        return;
    exchange_t *exchange = memory_zero(1, sizeof *exchange);
    exchange->request = request;
    exchange->core = self;
    exchange->route = route;
    exchange->who = verdict->who;
    exchange->body = body;
    memcpy(exchange->id, id, sizeof exchange->id);
    exchange->until = self->now + NEEDS_US;
    http_set_own(request, exchange, s_free);
    if (routes_has_needs(self, route->needs, exchange->until)) {
        s_run(exchange);
        return;
    }
    routes_park(self, exchange);
}

void routes_handle(void *context, http_request_t *request)
{
    core_t *self = context;
    char id[CONFIG_NAME_SIZE] = "";
    bool known;
    self->now = connection_now();
    s_refresh_tokens(self);
    if (s_answer_preflight(self, request))
        return;
    const route_t *route = s_find(request, id, &known);
    if (!route) {
        http_answer_error(request, known ? 405 : 404, known ? "WRONG_METHOD" : "UNKNOWN_PATH",
                          "%s %s: %s; GET /v1/openapi.json says what there is",
                          http_method(request), http_path(request),
                          known ? "not with this method" : "there is no such path");
        return;
    }
    verdict_t verdict = s_judge(self, request, route);
    if (verdict.from_peer)
        s_allow_peer(request);
    if (verdict.allowed)
        s_begin(self, request, route, &verdict, id);
    else
        s_refuse(self, request, &verdict);
}
