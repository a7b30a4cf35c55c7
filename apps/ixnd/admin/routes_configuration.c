/* The configuration: what is in force here, what a file would change, and that files are read
 * again. Each node speaks of its own file, and both are asked, by whichever admin port it comes. */
#include <stdlib.h>
#include <string.h>

#include "apps/ixnd/admin/core.h"
#include "apps/views/reflect.h"
#include "apps/views/view.h"
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/wire/wire.h"

/* As `ixnd --print-config` does: without what a connection string may hold. */
void route_configuration(core_t *self, exchange_t *exchange)
{
    buffer_t body = {0};
    buffer_append(&body, self->configuration.data, self->configuration.len);
    http_answer(exchange->request, 200, "application/yaml; charset=utf-8", &body);
}

/* ---- Both nodes ---- */

/* All have answered: 200 when all took it, 409 when one refused, 503 when one did not answer. */
static void s_answer(exchange_t *exchange)
{
    unsigned status = 200;
    size_t at;
    json_t *node;
    json_array_foreach(exchange->collected, at, node)
    {
        const json_t *error = json_object_get(node, "error");
        const char *code = json_string_value(json_object_get(error, "code"));
        if (!code)
            continue;
        const unsigned own = strcmp(code, error_name(ERROR_TIMED_OUT)) == 0 ? 503 : 409;
        status = own > status ? own : status;
    }
    audit_end(exchange, status == 200   ? "done"
                        : status == 409 ? "refused by a node"
                                        : "a node has not answered");
    http_answer_json(exchange->request, status,
                     json_pack("{s:b, s:O}", "ok", status == 200, "nodes", exchange->collected));
}

static void s_on_config(exchange_t *exchange, node_link_t *link, const error_t *error)
{
    const Ixn__V1__ConfigAnswer *config = error->code == ERROR_OK ? node_link_config(link) : NULL;
    json_t *node = config ? reflect(&config->base) : json_object();
    json_object_del(node, "text");
    if (!config)
        json_object_set_new(node, "node", view_text(status_name(exchange->core, link)));
    if (error->code != ERROR_OK)
        json_object_set_new(node, "error",
                            json_pack("{s:s, s:o}", "code", error_name(error->code), "sentence",
                                      view_text(error->text)));
    json_array_insert_new(exchange->collected,
                          link == exchange->core->own ? 0 : json_array_size(exchange->collected),
                          node); /* this node first, whoever was quicker */
    if (--exchange->wanted == 0)
        s_answer(exchange);
}

static void s_ask(core_t *self, exchange_t *exchange, Ixn__V1__ConfigRequest *config)
{
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_CONFIG;
    request.config = config;
    request.by = exchange->who.name;
    exchange->collected = json_array();
    exchange->wanted = self->peer ? 2 : 1;
    node_link_t *peer = self->peer; /* the exchange may be over after the last answer */
    pair_ask(exchange, self->own, &request, s_on_config);
    if (peer)
        pair_ask(exchange, peer, &request, s_on_config);
}

/* What a reload would change now. */
void route_diff(core_t *self, exchange_t *exchange)
{
    Ixn__V1__ConfigRequest config = IXN__V1__CONFIG_REQUEST__INIT;
    config.kind = IXN__V1__CONFIG_REQUEST__KIND__DIFF;
    s_ask(self, exchange, &config);
}

/* ---- With a body ---- */

static const char *s_text(const exchange_t *exchange, const char *name)
{
    const char *text = json_string_value(json_object_get(exchange->body, name));
    return text ? text : "";
}

/* That there is nothing in the body but a text of this name, and perhaps dry_run. */
static bool s_check_names(exchange_t *exchange, const char *text_name, bool has_dry_run)
{
    const char *name;
    json_t *value;
    json_object_foreach(exchange->body, name, value)
    {
        if ((strcmp(name, text_name) == 0 && json_is_string(value)) ||
            (has_dry_run && strcmp(name, "dry_run") == 0 && json_is_boolean(value)))
            continue;
        http_answer_error(exchange->request, 400, "INVALID_ARGUMENT",
                          "\"%s\" is not known here, or not of its type; there is %s (text)%s",
                          name, text_name, has_dry_run ? ", and dry_run (true or false)" : "");
        return false;
    }
    return true;
}

/* Whether a text would be taken as the configuration of each node, and what it would change. */
void route_config_check(core_t *self, exchange_t *exchange)
{
    Ixn__V1__ConfigRequest config = IXN__V1__CONFIG_REQUEST__INIT;
    if (!s_check_names(exchange, "text", false))
        return;
    const char *text = s_text(exchange, "text");
    if (!*text) { /* which would mean the node's own file */
        http_answer_error(exchange->request, 400, "INVALID_ARGUMENT",
                          "text is missing or empty; it is the YAML that is to be checked");
        return;
    }
    config.kind = IXN__V1__CONFIG_REQUEST__KIND__DIFF;
    config.text = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
    config.name = "text";
    s_ask(self, exchange, &config);
}

static void s_reload(core_t *self, exchange_t *exchange)
{
    Ixn__V1__ConfigRequest config = IXN__V1__CONFIG_REQUEST__INIT;
    config.kind = IXN__V1__CONFIG_REQUEST__KIND__RELOAD;
    s_ask(self, exchange, &config);
}

void route_config_reload(core_t *self, exchange_t *exchange)
{
    error_t error;
    if (!s_check_names(exchange, "reason", true))
        return;
    if (!wire_check_text("reason", s_text(exchange, "reason"), 1, LIMIT_TEXT, &error)) {
        http_answer_error(exchange->request, 400, "INVALID_ARGUMENT", "say why, for the audit: %s",
                          error.text);
        return;
    }
    if (json_is_true(json_object_get(exchange->body, "dry_run")))
        route_diff(self, exchange);
    else
        audit_begin(exchange, AUDIT_WANTED, "reload", "configuration", s_reload);
}
