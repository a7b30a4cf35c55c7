/* How the node and the pair do: for load balancers, for orchestrators, for Prometheus, for people.
 */
#include <string.h>

#include "apps/ixnd/admin/core.h"
#include "apps/ixnd/admin/metrics.h"
#include "apps/views/view.h"
#include "core/base/check.h"
#include "dap/connection.h"

/* ---- What is known ---- */

static bool s_is_heard(const core_t *self, const node_link_t *link)
{
    return link && node_link_heard_at(link) && core_age(self, node_link_heard_at(link)) < SILENT_US;
}

const Ixn__V1__PairStatus *status_of(const core_t *self, const node_link_t *link)
{
    return s_is_heard(self, link) ? node_link_status(link) : NULL;
}

static const Ixn__V1__PairStatus *s_own(const core_t *self)
{
    return status_of(self, self->own);
}

static bool s_begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool s_serves(const Ixn__V1__PairNode *node)
{
    return node && s_begins(node->role, "primary");
}

/* By its own word where it is heard, otherwise by the other's. */
static node_link_t *s_find(core_t *self, const char *role)
{
    const Ixn__V1__PairStatus *own = s_own(self);
    if (own && s_begins(own->own->role, role))
        return self->own;
    const Ixn__V1__PairStatus *peer = status_of(self, self->peer);
    if (peer && s_begins(peer->own->role, role))
        return self->peer;
    if (!peer && own && own->peer && own->link && s_begins(own->peer->role, role))
        return self->peer;
    return NULL;
}

node_link_t *status_primary(core_t *self)
{
    return s_find(self, "primary");
}

node_link_t *status_backup(core_t *self)
{
    return s_find(self, "backup");
}

/* ---- Load balancers and orchestrators ---- */

static void s_say(exchange_t *exchange, bool yes, const char *role, const char *why)
{
    http_answer_json(
        exchange->request, yes ? 200 : 503,
        json_pack("{s:b, s:o, s:o}", "ok", yes, "role", view_text(role), "reason", view_text(why)));
}

/* NULL, and the answer is given, when the node's thread does not answer. */
static const Ixn__V1__PairStatus *s_alive(core_t *self, exchange_t *exchange)
{
    const Ixn__V1__PairStatus *status = s_own(self);
    if (!status)
        s_say(exchange, false, "unknown", "the node does not answer its own admin port");
    return status;
}

void route_liveness(core_t *self, exchange_t *exchange)
{
    const Ixn__V1__PairStatus *status = s_alive(self, exchange);
    if (status)
        s_say(exchange, true, status->own->role, "");
}

/* Serves, or follows and could take over. */
void route_readiness(core_t *self, exchange_t *exchange)
{
    const Ixn__V1__PairStatus *status = s_alive(self, exchange);
    if (status)
        s_say(exchange, s_serves(status->own) || status->own->ready, status->own->role,
              s_serves(status->own) ? "" : status->own->readiness);
}

void route_primary(core_t *self, exchange_t *exchange)
{
    const Ixn__V1__PairStatus *status = s_alive(self, exchange);
    if (status)
        s_say(exchange, s_serves(status->own), status->own->role, status->role_reason);
}

void route_backup(core_t *self, exchange_t *exchange)
{
    const Ixn__V1__PairStatus *status = s_alive(self, exchange);
    if (status)
        s_say(exchange, strcmp(status->own->role, "backup-ready") == 0 && status->own->ready,
              status->own->role, status->own->readiness);
}

/* It has a role in which it is of use: a node that starts, or was fenced, is not well yet. */
void route_health(core_t *self, exchange_t *exchange)
{
    const Ixn__V1__PairStatus *status = s_alive(self, exchange);
    if (!status)
        return;
    bool well = s_serves(status->own) || s_begins(status->own->role, "backup");
    bool stuck = well && node_link_figures(self->own) && node_link_figures(self->own)->retrying;
    s_say(exchange, well && !stuck, status->own->role,
          stuck ? "the database does not commit now" : "");
}

/* ---- Prometheus ---- */

void route_metrics(core_t *self, exchange_t *exchange)
{
    const Ixn__V1__PairStatus *status = s_own(self);
    metrics_t metrics = {
        .status = status,
        .figures = status ? node_link_figures(self->own) : NULL,
        .age = core_age(self, node_link_heard_at(self->own)),
        .queues_age = -1,
        .wall_now = core_wall(),
        .http_connections = http_connections(self->http),
    };
    /* By the primary alone: both would count everything twice. */
    if (status && s_serves(status->own) && queues_heard_at(self->queues)) {
        metrics.queues = queues_list(self->queues, &metrics.queues_len);
        metrics.queues_age = core_age(self, queues_heard_at(self->queues));
    }
    buffer_t out = {0};
    metrics_print(&metrics, &out);
    http_answer(exchange->request, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
}

/* ---- People ---- */

const char *status_name(const core_t *self, const node_link_t *link)
{
    if (!link)
        return "";
    if (link == self->own)
        return self->node;
    const Ixn__V1__PairStatus *own = node_link_status(self->own);
    return own && own->peer ? own->peer->name : "";
}

/* Ready: somebody serves, and could be followed by the other (or is alone by configuration). */
static bool s_is_ready(core_t *self, const Ixn__V1__PairStatus *own)
{
    node_link_t *primary = status_primary(self);
    if (!primary || !own)
        return false;
    if (!own->has_peer)
        return true;
    const Ixn__V1__PairNode *backup = primary == self->own ? own->peer : own->own;
    return own->link && backup && s_begins(backup->role, "backup") && backup->ready;
}

static json_t *s_log(const Ixn__V1__Figures *figures)
{
    if (!figures)
        return json_null();
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:f, s:s}", "index",
        (json_int_t)figures->index, "committed", (json_int_t)figures->committed, "checkpoint",
        (json_int_t)figures->checkpoint, "unfinished_bytes", (json_int_t)figures->unfinished_bytes,
        "lag_bytes", (json_int_t)figures->lag_bytes, "unread_bytes",
        (json_int_t)figures->unread_bytes, "submitted", (json_int_t)figures->submitted,
        "dispatched", (json_int_t)figures->dispatched, "completed", (json_int_t)figures->completed,
        "interactions", (json_int_t)figures->interactions, "clients", (json_int_t)figures->sessions,
        "routers", (json_int_t)figures->routers, "retrying", figures->retrying, "uptime_seconds",
        (double)figures->uptime_ms / 1e3, "version", IXN_VERSION);
}

json_t *status_json(core_t *self)
{
    const Ixn__V1__PairStatus *own = s_own(self);
    const node_link_t *primary = status_primary(self);
    json_t *json = json_pack(
        "{s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "node", view_text(self->node), "primary",
        view_text(status_name(self, status_primary(self))), "ready", s_is_ready(self, own), "pair",
        view_pair(own, core_age(self, node_link_heard_at(self->own))), "figures",
        s_log(own ? node_link_figures(self->own) : NULL), "of_primary",
        s_log(s_is_heard(self, primary) ? node_link_figures(primary) : NULL), "at",
        view_time(core_wall()));
    CHECK(json);
    return json;
}

/* The same bytes for all who ask before the node is heard again. */
void route_status(core_t *self, exchange_t *exchange)
{
    const bool heard = s_own(self) != NULL;
    if (!self->status || self->status_at != node_link_heard_at(self->own) || !heard) {
        json_t *json = status_json(self);
        char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(12));
        CHECK(text);
        json_decref(json);
        buffer_t body = {(uint8_t *)text, strlen(text), strlen(text) + 1};
        http_body_destroy(&self->status);
        self->status = http_body_new("application/json", &body);
        self->status_at = node_link_heard_at(self->own);
    }
    http_answer_body(exchange->request, heard ? 200 : 503, self->status);
}

static json_t *s_seen(core_t *self, const node_link_t *link)
{
    const bool heard = s_is_heard(self, link);
    json_t *json = json_pack(
        "{s:o, s:b, s:o}", "endpoint", view_text(node_link_endpoint(link)), "answers", heard,
        "sees",
        heard ? view_pair(node_link_status(link), core_age(self, node_link_heard_at(link)))
              : json_null());
    CHECK(json);
    return json;
}

/* Who reaches whom, each by its own word: null where that is not known. */
static json_t *s_reachability(const core_t *self)
{
    const node_link_t *links[] = {self->own, self->peer};
    json_t *list = json_array();
    for (size_t i = 0; i < 2; i++) {
        const Ixn__V1__PairStatus *status = status_of(self, links[i]);
        if (!links[i])
            continue;
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o, s:b}", "node", view_text(status_name(self, links[i])),
                            "peer", status ? json_boolean(status->link) : json_null(), "database",
                            status ? json_boolean(status->own->database) : json_null(), "admin",
                            status != NULL));
    }
    return list;
}

static json_t *s_lag(const core_t *self)
{
    const Ixn__V1__PairStatus *own = s_own(self);
    if (!own || !own->peer || !own->link)
        return json_null();
    const bool serves = s_serves(own->own);
    const uint64_t first = serves ? own->own->index : own->peer->index;
    const uint64_t second = serves ? own->peer->index : own->own->index;
    return json_integer((json_int_t)(first > second ? first - second : 0));
}

void route_pair(core_t *self, exchange_t *exchange)
{
    json_t *nodes = json_array();
    json_array_append_new(nodes, s_seen(self, self->own));
    if (self->peer)
        json_array_append_new(nodes, s_seen(self, self->peer));
    http_answer_json(exchange->request, 200,
                     json_pack("{s:o, s:b, s:o, s:o, s:o, s:o}", "primary",
                               view_text(status_name(self, status_primary(self))), "ready",
                               s_is_ready(self, s_own(self)), "lag_entries", s_lag(self),
                               "lag_bytes", view_lag_bytes(s_own(self)), "reachability",
                               s_reachability(self), "nodes", nodes));
}

void route_daps(core_t *self, exchange_t *exchange)
{
    json_t *list = json_array();
    const node_link_t *links[] = {self->own, self->peer};
    for (size_t i = 0; i < 2; i++) {
        const Ixn__V1__PairStatus *status = status_of(self, links[i]);
        json_t *node = status ? view_node(status->own) : NULL;
        json_t *dap;
        size_t at;
        json_array_foreach(json_object_get(node, "daps"), at, dap)
        {
            json_object_set(dap, "node", json_object_get(node, "name"));
            json_array_append(list, dap);
        }
        json_decref(node);
    }
    http_answer_json(exchange->request, 200, json_pack("{s:o}", "daps", list));
}
