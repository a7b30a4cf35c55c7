#include <string.h>

#include "core/engine_internal.h"

/* Draining routers: to the balancer a drained one runs nothing, so it is as if it had unloaded its
 * strategies in order, whatever it says and however often it connects. */

const drain_record_t *engine_drain(const engine_t *self, const engine_session_t *slot)
{
    return catalog_drain(self->state, slot->tenant, text_of(slot->name));
}

/* A live session of another tenant has the name. */
static bool s_is_elsewhere(const engine_session_t *router, uint16_t tenant)
{
    return router && router->tenant != tenant;
}

/* Whether anything speaks of this router: a misspelt name drains nobody. */
static bool s_is_known(const engine_t *self, uint16_t tenant, const char *name)
{
    if (engine_find_router(self, name) || engine_router_annexed(self, name) ||
        catalog_drain(self->state, tenant, text_of(name)))
        return true;
    for (const strategy_record_t *record = self->state->catalog.strategies; record;
         record = record->hh.next)
        if (record->tenant == tenant && strategy_activation(record, name))
            return true;
    return false;
}

static bool s_check(const engine_t *self, uint16_t tenant, const char *name, error_t *ret_error)
{
    if (!wire_check_text("router", name, 1, LIMIT_NAME, ret_error))
        return false;
    const engine_session_t *router = engine_find_router(self, name);
    if (s_is_elsewhere(router, tenant))
        return error_set(ret_error, ERROR_UNKNOWN_ROUTER,
                         "router \"%s\" works for tenant \"%s\", this asks for tenant \"%s\"", name,
                         self->state->tenants[router->tenant], self->state->tenants[tenant]);
    return s_is_known(self, tenant, name) ||
           error_set(ret_error, ERROR_UNKNOWN_ROUTER,
                     "router \"%s\" is not connected, not configured under `routers`, and no "
                     "strategy is activated for it; ixnctl routers lists those that are known",
                     name);
}

/* What changed counts at once; then the router is told as it is now. */
static void s_done(engine_t *self, session_t session, uint64_t request, const char *name)
{
    engine_session_t *router = engine_find_router(self, name);
    if (router)
        engine_update_router(self, router);
    engine_list_router(self, session, request, name);
}

void engine_drain_router(engine_t *self, session_t session, uint64_t request,
                         const Ixn__V1__DrainRouter *body)
{
    const engine_session_t *slot = engine_slot(self, session);
    error_t error = {0};
    bool ok = s_check(self, slot->tenant, body->router, &error) &&
              wire_check_text("reason", body->reason, 1, LIMIT_TEXT, &error);
    const drain_record_t *drain =
        ok ? catalog_drain(self->state, slot->tenant, text_of(body->router)) : NULL;
    if (ok && !drain && HASH_COUNT(self->state->catalog.drains) >= LIMIT_DRAINS)
        ok = error_set(&error, ERROR_TOO_LARGE, "%d routers are drained, which is the limit",
                       LIMIT_DRAINS);
    if (ok && !drain && !state_router(self->state, text_of(body->router)))
        ok = error_set(&error, ERROR_TOO_LARGE, "%d routers are known, which is the limit",
                       LIMIT_SYMBOLS);
    if (!ok) {
        engine_refuse(self, session, request, &error);
        return;
    }
    if (!drain || strcmp(drain->reason, body->reason) != 0) {
        Ixn__V1__RouterDrained drained = IXN__V1__ROUTER_DRAINED__INIT;
        drained.tenant = self->state->tenants[slot->tenant];
        drained.router = body->router;
        drained.reason = body->reason;
        drained.by = (char *)self->by;
        Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
        entry.body_case = IXN__V1__ENTRY__BODY_ROUTER_DRAINED;
        entry.router_drained = &drained;
        engine_emit(self, &entry);
    }
    s_done(self, session, request, body->router);
}

void engine_undrain_router(engine_t *self, session_t session, uint64_t request,
                           const Ixn__V1__UndrainRouter *body)
{
    const engine_session_t *slot = engine_slot(self, session);
    error_t error = {0};
    /* A drained one may be undrained whatever became of its name since. */
    bool drained = strlen(body->router) <= LIMIT_NAME &&
                   catalog_drain(self->state, slot->tenant, text_of(body->router));
    if (!drained && !s_check(self, slot->tenant, body->router, &error)) {
        engine_refuse(self, session, request, &error);
        return;
    }
    if (drained) {
        Ixn__V1__RouterUndrained undrained = IXN__V1__ROUTER_UNDRAINED__INIT;
        undrained.tenant = self->state->tenants[slot->tenant];
        undrained.router = body->router;
        undrained.by = (char *)self->by;
        Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
        entry.body_case = IXN__V1__ENTRY__BODY_ROUTER_UNDRAINED;
        entry.router_undrained = &undrained;
        engine_emit(self, &entry);
    }
    s_done(self, session, request, body->router);
}
