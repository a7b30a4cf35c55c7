/* Strategies one by one, and the application servers that they call. */
#include <stdlib.h>
#include <string.h>

#include "apps/ixnd/admin/core.h"
#include "apps/views/reflect.h"
#include "apps/views/view.h"
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/wire/wire.h"

enum { ROUTERS_MAX = 100 };

/* ---- Looking ---- */

static void s_on_strategy(void *context, const Ixn__V1__Message *message, const error_t *error)
{
    exchange_t *exchange = context;
    if (!work_is_good(exchange, message, error, IXN__V1__MESSAGE__BODY_STRATEGY))
        return;
    const Ixn__V1__Strategy *strategy = message->strategy;
    json_t *json = reflect(&strategy->base);
    /* A body that is no text is not shown: ixnctl strategy get has its bytes. */
    json_object_set_new(json, "body",
                        strategy->body.len
                            ? json_stringn((const char *)strategy->body.data, strategy->body.len)
                            : NULL);
    if (!json_object_get(json, "body"))
        json_object_set_new(json, "body", json_null());
    json_object_del(json, "hash");
    json_object_del(json, "put_at_us");
    json_object_set_new(json, "put_at", view_time(strategy->put_at_us));
    http_answer_json(exchange->request, 200, json);
}

void route_strategy(core_t *self, exchange_t *exchange)
{
    (void)self;
    Ixn__V1__GetStrategy get = IXN__V1__GET_STRATEGY__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    get.strategy = exchange->id;
    if (!work_number(exchange, "version", 0, UINT32_MAX, &get.version))
        return;
    request.body_case = IXN__V1__REQUEST__BODY_GET_STRATEGY;
    request.get_strategy = &get;
    work_ask(exchange, &request, s_on_strategy);
}

static void s_on_applications(void *context, const Ixn__V1__Message *message, const error_t *error)
{
    exchange_t *exchange = context;
    if (work_is_good(exchange, message, error, IXN__V1__MESSAGE__BODY_APPLICATIONS))
        http_answer_json(exchange->request, 200, reflect(&message->applications->base));
}

void route_applications(core_t *self, exchange_t *exchange)
{
    (void)self;
    Ixn__V1__ApplicationsRequest ask = IXN__V1__APPLICATIONS_REQUEST__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_APPLICATIONS;
    request.applications = &ask;
    work_ask(exchange, &request, s_on_applications);
}

/* ---- Activating ---- */

static bool s_refuse(exchange_t *exchange, const char *sentence)
{
    http_answer_error(exchange->request, 400, "INVALID_ARGUMENT", "%s", sentence);
    return false;
}

static bool s_check_routers(exchange_t *exchange, const json_t *routers)
{
    size_t at;
    json_t *name;
    error_t error;
    if (routers && (!json_is_array(routers) || json_array_size(routers) > ROUTERS_MAX))
        return s_refuse(exchange, "routers must be a list of at most 100 names");
    json_array_foreach((json_t *)routers, at, name)
    {
        if (!json_is_string(name))
            return s_refuse(exchange, "routers must be a list of names");
        if (!wire_check_text("routers", json_string_value(name), 1, LIMIT_NAME, &error))
            return s_refuse(exchange, error.text);
    }
    return true;
}

static bool s_check(exchange_t *exchange, bool has_version)
{
    const char *name;
    json_t *value;
    error_t error;
    json_object_foreach(exchange->body, name, value)
    {
        if ((strcmp(name, "reason") == 0 && json_is_string(value)) ||
            strcmp(name, "routers") == 0 ||
            (has_version && strcmp(name, "version") == 0 && json_is_integer(value)))
            continue;
        http_answer_error(exchange->request, 400, "INVALID_ARGUMENT",
                          "\"%s\" is not known here, or not of its type; there are routers (a list "
                          "of names)%s and reason (text)",
                          name, has_version ? ", version (a whole number)" : "");
        return false;
    }
    const json_int_t version = json_integer_value(json_object_get(exchange->body, "version"));
    if (version < 0 || version > UINT32_MAX)
        return s_refuse(exchange, "version must be one that the strategy has; 0: the newest");
    const char *reason = json_string_value(json_object_get(exchange->body, "reason"));
    if (!wire_check_text("reason", reason, 0, LIMIT_TEXT, &error))
        return s_refuse(exchange, error.text);
    return s_check_routers(exchange, json_object_get(exchange->body, "routers"));
}

/* Names that live as long as the body. */
static size_t s_routers(const exchange_t *exchange, char *names[ROUTERS_MAX])
{
    const json_t *routers = json_object_get(exchange->body, "routers");
    size_t at;
    json_t *name;
    json_array_foreach((json_t *)routers, at, name) names[at] = (char *)json_string_value(name);
    return json_array_size(routers);
}

static void s_on_activated(void *context, const Ixn__V1__Message *message, const error_t *error)
{
    exchange_t *exchange = context;
    if (!work_is_good(exchange, message, error, IXN__V1__MESSAGE__BODY_STRATEGY))
        return;
    audit_end(exchange, "done");
    http_answer_json(exchange->request, 200,
                     json_pack("{s:o, s:I}", "strategy", view_text(message->strategy->strategy),
                               "version", (json_int_t)message->strategy->version));
}

static void s_activate(core_t *self, exchange_t *exchange)
{
    (void)self;
    char *names[ROUTERS_MAX];
    Ixn__V1__ActivateStrategy activate = IXN__V1__ACTIVATE_STRATEGY__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    activate.strategy = exchange->id;
    activate.version = (uint32_t)json_integer_value(json_object_get(exchange->body, "version"));
    activate.n_routers = s_routers(exchange, names);
    activate.routers = names;
    request.body_case = IXN__V1__REQUEST__BODY_ACTIVATE_STRATEGY;
    request.activate_strategy = &activate;
    work_ask(exchange, &request, s_on_activated);
}

static void s_on_deactivated(void *context, const Ixn__V1__Message *message, const error_t *error)
{
    exchange_t *exchange = context;
    if (!work_is_good(exchange, message, error, IXN__V1__MESSAGE__BODY_ACK))
        return;
    audit_end(exchange, "done");
    http_answer_json(exchange->request, 200,
                     json_pack("{s:o, s:n}", "strategy", view_text(exchange->id), "version"));
}

static void s_deactivate(core_t *self, exchange_t *exchange)
{
    (void)self;
    char *names[ROUTERS_MAX];
    Ixn__V1__DeactivateStrategy deactivate = IXN__V1__DEACTIVATE_STRATEGY__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    deactivate.strategy = exchange->id;
    deactivate.n_routers = s_routers(exchange, names);
    deactivate.routers = names;
    request.body_case = IXN__V1__REQUEST__BODY_DEACTIVATE_STRATEGY;
    request.deactivate_strategy = &deactivate;
    work_ask(exchange, &request, s_on_deactivated);
}

void route_activate(core_t *self, exchange_t *exchange)
{
    (void)self;
    if (s_check(exchange, true))
        audit_begin(exchange, AUDIT_NEEDED, "activate", exchange->id, s_activate);
}

void route_deactivate(core_t *self, exchange_t *exchange)
{
    (void)self;
    if (s_check(exchange, false))
        audit_begin(exchange, AUDIT_NEEDED, "deactivate", exchange->id, s_deactivate);
}
