/* Routers that are drained: they get nothing new and finish what they have. */
#include <string.h>

#include "apps/ixnd/admin/core.h"
#include "apps/views/reflect.h"
#include "core/base/limits.h"
#include "core/wire/wire.h"

static void s_on_router(void *context, const Ixn__V1__Message *message, const error_t *error)
{
    exchange_t *exchange = context;
    if (!work_is_good(exchange, message, error, IXN__V1__MESSAGE__BODY_LISTING))
        return;
    audit_end(exchange, "done");
    json_t *all = reflect(&message->listing->base);
    json_t *routers = json_object_get(all, "routers");
    http_answer_json(exchange->request, 200, json_pack("{s:O}", "routers", routers));
    json_decref(all);
}

static const char *s_reason(const exchange_t *exchange)
{
    const char *reason = json_string_value(json_object_get(exchange->body, "reason"));
    return reason ? reason : "";
}

static void s_drain(core_t *self, exchange_t *exchange)
{
    (void)self;
    Ixn__V1__DrainRouter drain = IXN__V1__DRAIN_ROUTER__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    drain.router = exchange->id;
    drain.reason = (char *)s_reason(exchange);
    request.body_case = IXN__V1__REQUEST__BODY_DRAIN_ROUTER;
    request.drain_router = &drain;
    work_ask(exchange, &request, s_on_router);
}

static void s_undrain(core_t *self, exchange_t *exchange)
{
    (void)self;
    Ixn__V1__UndrainRouter undrain = IXN__V1__UNDRAIN_ROUTER__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    undrain.router = exchange->id;
    request.body_case = IXN__V1__REQUEST__BODY_UNDRAIN_ROUTER;
    request.undrain_router = &undrain;
    work_ask(exchange, &request, s_on_router);
}

static void s_change(exchange_t *exchange, const char *action, size_t least, route_fn *run)
{
    const char *name;
    json_t *value;
    error_t error;
    json_object_foreach(exchange->body, name, value)
    {
        if (strcmp(name, "reason") == 0 && json_is_string(value))
            continue;
        http_answer_error(exchange->request, 400, "INVALID_ARGUMENT",
                          "\"%s\" is not known here, or not of its type; there is reason (text)",
                          name);
        return;
    }
    if (wire_check_text("reason", s_reason(exchange), least, LIMIT_TEXT, &error))
        audit_begin(exchange, AUDIT_NEEDED, action, exchange->id, run);
    else
        http_answer_error(exchange->request, 400, error_name(error.code), "%s", error.text);
}

void route_drain(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_change(exchange, "drain", 1, s_drain);
}

void route_undrain(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_change(exchange, "undrain", 0, s_undrain);
}
