#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/engine_internal.h"

/* Stored strategies: operators put and activate them, routers load them. A strategy that is stored
 * runs where it is activated and loaded, and nowhere else; one that is not stored runs where a
 * router brings it. */

/* ---- What a router has ---- */

engine_load_t *engine_load(const engine_session_t *slot, balancer_strategy_t strategy)
{
    engine_load_t *load = NULL;
    HASH_FIND(hh, slot->loads, &strategy, sizeof strategy, load);
    return load;
}

static engine_load_t *s_load_make(engine_session_t *slot, balancer_strategy_t strategy)
{
    engine_load_t *load = engine_load(slot, strategy);
    if (load)
        return load;
    load = memory_zero(1, sizeof *load);
    load->strategy = strategy;
    HASH_ADD(hh, slot->loads, strategy, sizeof load->strategy, load);
    return load;
}

void engine_forget_loads(engine_session_t *slot)
{
    engine_load_t *load, *next;
    HASH_ITER(hh, slot->loads, load, next)
    {
        HASH_DEL(slot->loads, load);
        free(load->reason);
        free(load);
    }
}

static void s_set_failure(engine_load_t *load, uint32_t version, const char *reason)
{
    load->failed = version;
    free(load->reason);
    load->reason = reason ? memory_text(reason) : NULL;
}

static void s_say_load(engine_t *self, const engine_session_t *slot, const char *name,
                       const strategy_version_t *version)
{
    Ixn__V1__LoadStrategy load = IXN__V1__LOAD_STRATEGY__INIT;
    load.strategy = (char *)name;
    load.version = version->version;
    load.content_type = (char *)version->content_type;
    load.hash = wire_bytes(&version->hash);
    load.size = version->size;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_LOAD_STRATEGY;
    message.load_strategy = &load;
    engine_say(self, slot->ref, &message);
}

static void s_say_unload(engine_t *self, const engine_session_t *slot, const char *name,
                         uint32_t version)
{
    if (version == 0)
        return;
    Ixn__V1__UnloadStrategy unload = IXN__V1__UNLOAD_STRATEGY__INIT;
    unload.strategy = (char *)name;
    unload.version = version;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_UNLOAD_STRATEGY;
    message.unload_strategy = &unload;
    engine_say(self, slot->ref, &message);
}

/* Tells a router what it is to load or unload, and the balancer whether it runs the strategy. */
static void s_update(engine_t *self, engine_session_t *slot, const strategy_record_t *record,
                     engine_strategy_t *strategy)
{
    bool stored = record && record->versions_len > 0;
    const strategy_activation_t *activation =
        stored ? strategy_activation(record, slot->name) : NULL;
    engine_load_t *load = engine_load(slot, strategy->number);
    if (activation) {
        load = s_load_make(slot, strategy->number);
        uint32_t wanted = activation->version;
        if (load->loaded != wanted && load->asked != wanted && load->failed != wanted) {
            const strategy_version_t *version = strategy_version(record, wanted);
            CHECK(version); /* what is activated stays stored */
            load->asked = wanted;
            s_say_load(self, slot, record->name, version);
        }
    } else if (load) {
        s_say_unload(self, slot, strategy->name, load->loaded);
        if (load->asked != load->loaded)
            s_say_unload(self, slot, strategy->name, load->asked);
        load->loaded = load->asked = 0;
        s_set_failure(load, 0, NULL);
    }
    bool runs = stored ? activation && load->loaded : load && load->brought;
    if (runs && !engine_drain(self, slot))
        balancer_load(self->balancer, slot->balanced, strategy->number);
    else if (!MUTATION(DEACTIVATED_RUNS))
        balancer_unload(self->balancer, slot->balanced, strategy->number);
}

/* After versions or activations of a strategy changed: on all routers of its tenant. */
static void s_update_all(engine_t *self, uint16_t tenant, const char *name)
{
    const strategy_record_t *record = catalog_strategy(self->state, tenant, text_of(name));
    engine_strategy_t *strategy = engine_strategy(self, tenant, text_of(name));
    for (size_t i = 0; i < self->slots_len; i++) {
        engine_session_t *slot = self->slots[i];
        if (slot->open && slot->router && slot->tenant == tenant)
            s_update(self, slot, record, strategy);
    }
}

void engine_update_router(engine_t *self, engine_session_t *slot)
{
    for (const engine_load_t *load = slot->loads; load; load = load->hh.next) {
        engine_strategy_t *strategy = self->strategies[load->strategy];
        s_update(self, slot, catalog_strategy(self->state, slot->tenant, text_of(strategy->name)),
                 strategy);
    }
}

void engine_load_activated(engine_t *self, engine_session_t *slot)
{
    for (const strategy_record_t *record = self->state->catalog.strategies; record;
         record = record->hh.next) {
        if (record->tenant == slot->tenant && strategy_activation(record, slot->name))
            s_update(self, slot, record,
                     engine_strategy(self, record->tenant, text_of(record->name)));
    }
}

/* ---- What routers say ---- */

/* The strategy that a router speaks of; NULL when that was refused. */
static engine_strategy_t *s_named(engine_t *self, const engine_session_t *slot, uint64_t request,
                                  const char *name, const char *version)
{
    error_t error = {0};
    if (!wire_check_text("strategy", name, 1, LIMIT_NAME, &error) ||
        !wire_check_text("version", version, 0, LIMIT_NAME, &error)) {
        engine_refuse_now(self, slot->ref, request, &error);
        return NULL;
    }
    if (self->strategies_len >= LIMIT_SYMBOLS &&
        !engine_find_strategy(self, slot->tenant, text_of(name))) {
        error_set(&error, ERROR_TOO_LARGE,
                  "%d different strategies have been announced, which is the limit; use the same "
                  "names again, or restart the node",
                  LIMIT_SYMBOLS);
        engine_refuse_now(self, slot->ref, request, &error);
        return NULL;
    }
    return engine_strategy(self, slot->tenant, text_of(name));
}

static void s_loaded_stored(engine_t *self, engine_session_t *slot, engine_load_t *load,
                            const char *name, uint32_t version)
{
    uint32_t before = load->loaded;
    load->loaded = version;
    if (load->asked == version)
        load->asked = 0;
    if (load->failed == version)
        s_set_failure(load, 0, NULL);
    if (before != version) /* every Route that names it has gone out before this */
        s_say_unload(self, slot, name, before);
}

void engine_strategy_loaded(engine_t *self, session_t session, const Ixn__V1__Request *request)
{
    engine_session_t *slot = engine_slot(self, session);
    const Ixn__V1__StrategyLoaded *body = request->strategy_loaded;
    engine_strategy_t *strategy = s_named(self, slot, request->id, body->strategy, body->version);
    if (!strategy)
        return;
    const strategy_record_t *record =
        catalog_strategy(self->state, slot->tenant, text_of(body->strategy));
    if (body->stored_version && (!record || body->stored_version > record->highest)) {
        error_t error;
        error_set(&error, ERROR_UNKNOWN_STRATEGY,
                  "version %u of strategy \"%s\" was never stored; the highest is %u",
                  body->stored_version, body->strategy, record ? record->highest : 0);
        engine_refuse(self, session, request->id, &error);
        return;
    }
    engine_load_t *load = s_load_make(slot, strategy->number);
    memcpy(load->version, body->version, strlen(body->version) + 1);
    if (body->stored_version)
        s_loaded_stored(self, slot, load, body->strategy, body->stored_version);
    else
        load->brought = true;
    s_update(self, slot, record, strategy);
    engine_ack(self, session, request->id, (id128_t){0}, 0);
}

void engine_strategy_unloaded(engine_t *self, session_t session, const Ixn__V1__Request *request)
{
    engine_session_t *slot = engine_slot(self, session);
    const char *name = request->strategy_unloaded->strategy;
    engine_strategy_t *strategy = s_named(self, slot, request->id, name, "");
    if (!strategy)
        return;
    const strategy_record_t *record = catalog_strategy(self->state, slot->tenant, text_of(name));
    const strategy_activation_t *activation =
        record ? strategy_activation(record, slot->name) : NULL;
    engine_load_t *load = s_load_make(slot, strategy->number);
    load->brought = false;
    load->loaded = load->asked = 0;
    if (activation) /* until it says that it has it, or an operator activates it again */
        s_set_failure(load, activation->version, "the router has unloaded it");
    s_update(self, slot, record, strategy);
    engine_ack(self, session, request->id, (id128_t){0}, 0);
}

void engine_strategy_failed(engine_t *self, session_t session, const Ixn__V1__Request *request)
{
    engine_session_t *slot = engine_slot(self, session);
    const Ixn__V1__StrategyFailed *body = request->strategy_failed;
    error_t error;
    if (!wire_check_text("reason", body->reason, 0, LIMIT_TEXT, &error)) {
        engine_refuse_now(self, session, request->id, &error);
        return;
    }
    engine_strategy_t *strategy = s_named(self, slot, request->id, body->strategy, "");
    if (!strategy)
        return;
    engine_load_t *load = s_load_make(slot, strategy->number);
    if (load->asked == body->version)
        load->asked = 0;
    s_set_failure(load, body->version,
                  body->reason[0] ? body->reason : "the router gave no reason");
    engine_ack(self, session, request->id, (id128_t){0}, 0);
}

/* ---- What operators ask ---- */

static void s_say_strategy(engine_t *self, session_t session, uint64_t request, const char *name,
                           const strategy_version_t *version, bool with_body)
{
    Ixn__V1__Strategy strategy = IXN__V1__STRATEGY__INIT;
    engine_strategy_view(name, version, &strategy);
    if (with_body)
        strategy.body = (ProtobufCBinaryData){version->size, (uint8_t *)version->body};
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_STRATEGY;
    message.strategy = &strategy;
    engine_say(self, session, &message);
}

void engine_strategy_view(const char *name, const strategy_version_t *version,
                          Ixn__V1__Strategy *ret_view)
{
    ret_view->strategy = (char *)name;
    ret_view->version = version->version;
    ret_view->content_type = (char *)version->content_type;
    ret_view->comment = version->comment;
    ret_view->put_by = (char *)version->by;
    ret_view->put_at_us = version->at;
    ret_view->hash = wire_bytes(&version->hash);
    ret_view->size = version->size;
}

/* The stored strategy of that name and its version (0: the newest), or NULL and an error. */
static const strategy_version_t *s_stored(const engine_t *self, const engine_session_t *slot,
                                          const char *name, uint32_t wanted,
                                          const strategy_record_t **ret_record, error_t *ret_error)
{
    const strategy_record_t *record = catalog_strategy(self->state, slot->tenant, text_of(name));
    const strategy_version_t *newest = strategy_newest(record);
    if (!newest) {
        error_set(ret_error, ERROR_UNKNOWN_STRATEGY,
                  "tenant \"%s\" has no stored strategy \"%.64s\"; see ixnctl strategy list for "
                  "those it has, or store it first (ixnctl strategy put)",
                  self->state->tenants[slot->tenant], name);
        return NULL;
    }
    const strategy_version_t *version =
        wanted && !MUTATION(BODY_OF_NEWEST) ? strategy_version(record, wanted) : newest;
    if (!version)
        error_set(ret_error, ERROR_UNKNOWN_STRATEGY,
                  "strategy \"%s\" has no version %u (any more): the newest is %u, and the %d "
                  "newest and those in use are kept",
                  name, wanted, newest->version, LIMIT_STRATEGY_VERSIONS);
    *ret_record = record;
    return version;
}

void engine_get_strategy(engine_t *self, session_t session, uint64_t request,
                         const Ixn__V1__GetStrategy *get)
{
    error_t error = {0};
    const strategy_record_t *record = NULL;
    const strategy_version_t *version =
        s_stored(self, engine_slot(self, session), get->strategy, get->version, &record, &error);
    if (version)
        s_say_strategy(self, session, request, record->name, version, true);
    else
        engine_refuse(self, session, request, &error);
}

static bool s_check_routers(char **routers, size_t len, error_t *ret_error)
{
    if (len > LIMIT_ACTIVATIONS)
        return error_set(ret_error, ERROR_TOO_LARGE, "%zu routers, the limit is %d", len,
                         LIMIT_ACTIVATIONS);
    for (size_t i = 0; i < len; i++)
        if (!wire_check_text("routers", routers[i], 1, LIMIT_NAME, ret_error))
            return false;
    return true;
}

static bool s_check_put(const engine_t *self, const engine_session_t *slot,
                        const Ixn__V1__PutStrategy *put, error_t *ret_error)
{
    const catalog_t *catalog = &self->state->catalog;
    if (!wire_check_text("strategy", put->strategy, 1, LIMIT_NAME, ret_error) ||
        !wire_check_text("content_type", put->content_type, 0, LIMIT_NAME, ret_error) ||
        !wire_check_text("comment", put->comment, 0, LIMIT_TEXT, ret_error) ||
        !s_check_routers(put->routers, put->n_routers, ret_error))
        return false;
    if (put->body.len < 1 || put->body.len > LIMIT_STRATEGY)
        return error_set(ret_error, ERROR_TOO_LARGE,
                         "the body of strategy \"%s\" has %zu bytes, allowed are 1 … %d",
                         put->strategy, put->body.len, LIMIT_STRATEGY);
    if (catalog->body_bytes + put->body.len > LIMIT_STRATEGY_BYTES)
        return error_set(ret_error, ERROR_TOO_LARGE,
                         "all stored strategies have %zu bytes, this one %zu more; the limit is "
                         "%d: remove some",
                         catalog->body_bytes, put->body.len, LIMIT_STRATEGY_BYTES);
    const strategy_record_t *record =
        catalog_strategy(self->state, slot->tenant, text_of(put->strategy));
    if ((!record || record->versions_len == 0) && catalog->stored >= LIMIT_STRATEGIES)
        return error_set(ret_error, ERROR_TOO_LARGE,
                         "%zu strategies are stored, the limit is %d: remove some", catalog->stored,
                         LIMIT_STRATEGIES);
    return true;
}

/* Activates a version on the routers that do not have it so already. */
static bool s_activate(engine_t *self, const engine_session_t *slot,
                       const strategy_record_t *record, uint32_t version, char **routers,
                       size_t len, error_t *ret_error)
{
    size_t fresh = 0;
    for (size_t i = 0; i < len; i++)
        fresh += !strategy_activation(record, routers[i]);
    if (record->activations_len + fresh > LIMIT_ACTIVATIONS)
        return error_set(ret_error, ERROR_TOO_LARGE,
                         "strategy \"%s\" is activated on %zu routers, this adds %zu; the limit is "
                         "%d",
                         record->name, record->activations_len, fresh, LIMIT_ACTIVATIONS);
    Ixn__V1__StrategyActivated activated = IXN__V1__STRATEGY_ACTIVATED__INIT;
    activated.tenant = self->state->tenants[slot->tenant];
    activated.name = (char *)record->name;
    activated.version = version;
    activated.routers = memory_zero(len ? len : 1, sizeof *activated.routers);
    activated.by = (char *)self->by;
    for (size_t i = 0; i < len; i++) {
        const strategy_activation_t *activation = strategy_activation(record, routers[i]);
        if (!activation || activation->version != version)
            activated.routers[activated.n_routers++] = routers[i];
    }
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_STRATEGY_ACTIVATED;
    entry.strategy_activated = &activated;
    if (activated.n_routers)
        engine_emit(self, &entry);
    free(activated.routers);
    /* Asked again: what failed there before is tried again. */
    const engine_strategy_t *strategy =
        engine_find_strategy(self, record->tenant, text_of(record->name));
    for (size_t i = 0; strategy && i < len; i++) {
        engine_session_t *router = engine_find_router(self, routers[i]);
        engine_load_t *load = router && router->tenant == record->tenant
                                  ? engine_load(router, strategy->number)
                                  : NULL;
        if (load && load->failed == version)
            s_set_failure(load, 0, NULL);
    }
    return true;
}

void engine_put_strategy(engine_t *self, session_t session, uint64_t request,
                         const Ixn__V1__PutStrategy *put)
{
    const engine_session_t *slot = engine_slot(self, session);
    error_t error = {0};
    if (!s_check_put(self, slot, put, &error)) {
        engine_refuse(self, session, request, &error);
        return;
    }
    const strategy_record_t *record =
        catalog_strategy(self->state, slot->tenant, text_of(put->strategy));
    const strategy_version_t *newest = strategy_newest(record);
    /* Asked again, or nothing new. */
    bool same = newest && newest->size == put->body.len &&
                memcmp(newest->body, put->body.data, put->body.len) == 0 &&
                strcmp(newest->content_type, put->content_type) == 0;
    if (!same) {
        Ixn__V1__StrategyPut entry_body = IXN__V1__STRATEGY_PUT__INIT;
        entry_body.tenant = self->state->tenants[slot->tenant];
        entry_body.name = put->strategy;
        entry_body.version = (record ? record->highest : 0) + 1;
        entry_body.body = put->body;
        entry_body.content_type = put->content_type;
        entry_body.comment = put->comment;
        entry_body.by = (char *)self->by;
        Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
        entry.body_case = IXN__V1__ENTRY__BODY_STRATEGY_PUT;
        entry.strategy_put = &entry_body;
        engine_emit(self, &entry);
        record = catalog_strategy(self->state, slot->tenant, text_of(put->strategy));
        newest = strategy_newest(record);
    }
    if (put->n_routers &&
        !s_activate(self, slot, record, newest->version, put->routers, put->n_routers, &error)) {
        s_update_all(self, slot->tenant, put->strategy);
        engine_refuse(self, session, request, &error);
        return;
    }
    s_update_all(self, slot->tenant, put->strategy);
    s_say_strategy(self, session, request, record->name, newest, false);
}

void engine_activate_strategy(engine_t *self, session_t session, uint64_t request,
                              const Ixn__V1__ActivateStrategy *activate)
{
    const engine_session_t *slot = engine_slot(self, session);
    error_t error = {0};
    const strategy_record_t *record = NULL;
    const strategy_version_t *version = NULL;
    if (s_check_routers(activate->routers, activate->n_routers, &error))
        version = s_stored(self, slot, activate->strategy, activate->version, &record, &error);
    char **routers = activate->routers;
    size_t len = activate->n_routers;
    char **all = NULL;
    if (version && len == 0) { /* those that it is activated on */
        len = record->activations_len;
        routers = all = memory_zero(len + 1, sizeof *all);
        for (size_t i = 0; i < len; i++)
            all[i] = memory_text(record->activations[i].router);
        if (len == 0) {
            error_set(&error, ERROR_INVALID_ARGUMENT,
                      "strategy \"%s\" is activated on no router yet; name the routers",
                      record->name);
            version = NULL;
        }
    }
    if (version && !s_activate(self, slot, record, version->version, routers, len, &error))
        version = NULL;
    for (size_t i = 0; all && i < len; i++)
        free(all[i]);
    free(all);
    if (!version) {
        engine_refuse(self, session, request, &error);
        return;
    }
    s_update_all(self, slot->tenant, record->name);
    s_say_strategy(self, session, request, record->name, version, false);
}

static void s_emit_deactivated(engine_t *self, const engine_session_t *slot,
                               const strategy_record_t *record, char **routers, size_t len)
{
    Ixn__V1__StrategyDeactivated deactivated = IXN__V1__STRATEGY_DEACTIVATED__INIT;
    deactivated.tenant = self->state->tenants[slot->tenant];
    deactivated.name = (char *)record->name;
    deactivated.by = (char *)self->by;
    size_t all = len ? len : record->activations_len;
    deactivated.routers = memory_zero(all ? all : 1, sizeof *deactivated.routers);
    for (size_t i = 0; i < all; i++) {
        const char *router = len ? routers[i] : record->activations[i].router;
        if (strategy_activation(record, router))
            deactivated.routers[deactivated.n_routers++] = (char *)router;
    }
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_STRATEGY_DEACTIVATED;
    entry.strategy_deactivated = &deactivated;
    /* The names may be those of the very rows that go. */
    for (size_t i = 0; i < deactivated.n_routers; i++)
        deactivated.routers[i] = memory_text(deactivated.routers[i]);
    if (deactivated.n_routers)
        engine_emit(self, &entry);
    for (size_t i = 0; i < deactivated.n_routers; i++)
        free(deactivated.routers[i]);
    free(deactivated.routers);
}

void engine_deactivate_strategy(engine_t *self, session_t session, uint64_t request,
                                const Ixn__V1__DeactivateStrategy *deactivate)
{
    const engine_session_t *slot = engine_slot(self, session);
    error_t error = {0};
    const strategy_record_t *record = NULL;
    if (!s_check_routers(deactivate->routers, deactivate->n_routers, &error) ||
        !s_stored(self, slot, deactivate->strategy, 0, &record, &error)) {
        engine_refuse(self, session, request, &error);
        return;
    }
    s_emit_deactivated(self, slot, record, deactivate->routers, deactivate->n_routers);
    s_update_all(self, slot->tenant, record->name);
    engine_ack(self, session, request, (id128_t){0}, 0);
}

void engine_remove_strategy(engine_t *self, session_t session, uint64_t request,
                            const Ixn__V1__RemoveStrategy *remove)
{
    const engine_session_t *slot = engine_slot(self, session);
    error_t error = {0};
    const strategy_record_t *record = NULL;
    if (!s_stored(self, slot, remove->strategy, 0, &record, &error)) {
        /* Asked again, perhaps: that it is gone is what was wanted. */
        record = catalog_strategy(self->state, slot->tenant, text_of(remove->strategy));
        if (record && record->highest)
            engine_ack(self, session, request, (id128_t){0}, 0);
        else
            engine_refuse(self, session, request, &error);
        return;
    }
    Ixn__V1__StrategyRemoved removed = IXN__V1__STRATEGY_REMOVED__INIT;
    removed.tenant = self->state->tenants[slot->tenant];
    removed.name = (char *)record->name;
    removed.by = (char *)self->by;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_STRATEGY_REMOVED;
    entry.strategy_removed = &removed;
    engine_emit(self, &entry);
    s_update_all(self, slot->tenant, record->name);
    engine_ack(self, session, request, (id128_t){0}, 0);
}
