#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/engine_internal.h"

static const Ixn__V1__RouterConfiguration *s_annex(const engine_t *self, const char *name)
{
    const Ixn__V1__EngineConfiguration *configuration = self->state->configuration;
    for (size_t i = 0; i < configuration->n_routers; i++)
        if (strcmp(configuration->routers[i]->name, name) == 0)
            return configuration->routers[i];
    return NULL;
}

uint32_t engine_router_limit(const engine_t *self, const char *name, uint32_t announced)
{
    uint32_t limit = self->state->configuration->max_submitted_interactions;
    const Ixn__V1__RouterConfiguration *annex = s_annex(self, name);
    if (annex &&
        annex->max_submitted_interactions_given_case ==
            IXN__V1__ROUTER_CONFIGURATION__MAX_SUBMITTED_INTERACTIONS_GIVEN_MAX_SUBMITTED_INTERACTIONS)
        limit = annex->max_submitted_interactions;
    return announced && announced < limit ? announced : limit;
}

engine_rate_t engine_router_rate(const engine_t *self, const char *name)
{
    const Ixn__V1__EngineConfiguration *configuration = self->state->configuration;
    const Ixn__V1__RouterConfiguration *annex = s_annex(self, name);
    if (annex && annex->max_submission_rate)
        return (engine_rate_t){annex->max_submission_rate->count,
                               annex->max_submission_rate->interval_ms};
    return (engine_rate_t){configuration->max_submission_rate,
                           configuration->max_submission_interval_ms};
}

bool engine_router_configured(const engine_t *self, const char *name)
{
    const Ixn__V1__RouterConfiguration *annex = s_annex(self, name);
    return annex && annex->agent_reservation;
}

bool engine_router_annexed(const engine_t *self, const char *name)
{
    return s_annex(self, name) != NULL;
}

static size_t s_name_key(Ixn__V1__Role role, const char *name, char key[SESSION_NAME_KEY])
{
    size_t len = strlen(name);
    key[0] = (char)role;
    memcpy(key + 1, name, len);
    return len + 1;
}

engine_session_t *engine_find_router(const engine_t *self, const char *name)
{
    char key[SESSION_NAME_KEY];
    size_t len = s_name_key(IXN__V1__ROLE__ROUTER, name, key);
    engine_session_t *slot = NULL;
    HASH_FIND(by_name, self->by_name, key, len, slot);
    return slot;
}

static bool s_check(const engine_t *self, const Ixn__V1__Register *wanted, uint16_t *ret_tenant,
                    id128_t *ret_incarnation, error_t *ret_error)
{
    if (wanted->role != IXN__V1__ROLE__MEDIA_SERVER && wanted->role != IXN__V1__ROLE__ROUTER &&
        wanted->role != IXN__V1__ROLE__OPERATOR &&
        wanted->role != IXN__V1__ROLE__APPLICATION_SERVER)
        return error_set(ret_error, ERROR_WRONG_ROLE,
                         "role %d cannot register here; roles are MEDIA_SERVER 1, ROUTER 2, "
                         "OPERATOR 3, APPLICATION_SERVER 4",
                         (int)wanted->role);
    if (!wire_check_text("name", wanted->name, 1, LIMIT_NAME, ret_error) ||
        !wire_check_text("tenant", wanted->tenant, 0, LIMIT_NAME, ret_error))
        return false;
    if (!wire_read_id(wanted->incarnation, ret_incarnation))
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "incarnation has %zu bytes, it needs 16 (random, one a process start)",
                         wanted->incarnation.len);
    const char *tenant = wanted->tenant[0] ? wanted->tenant : "default";
    if (!state_tenant(self->state, text_of(tenant), ret_tenant))
        return error_set(ret_error, ERROR_UNKNOWN_TENANT,
                         "no tenant \"%s\"; configure it under `tenants`", tenant);
    return true;
}

/* A live session under the same name: the same process that lost its connection is replaced,
 * another process is refused. */
static bool s_replace(engine_t *self, const engine_session_t *slot, const Ixn__V1__Register *wanted,
                      id128_t incarnation, error_t *ret_error)
{
    char key[SESSION_NAME_KEY];
    size_t len = s_name_key(wanted->role, wanted->name, key);
    engine_session_t *other = NULL;
    HASH_FIND(by_name, self->by_name, key, len, other);
    if (!other || other == slot)
        return true;
    if (!id_equal(other->incarnation, incarnation))
        return error_set(ret_error, ERROR_NAME_IN_USE,
                         "another live process is registered as \"%s\"; give each its own name, or "
                         "wait until the other is gone",
                         wanted->name);
    if (other->router) {
        /* Its work stays with it: what it still holds is in its new registration. */
        balancer_remove_router(self->balancer, other->balanced);
        self->router_sessions[other->router->number] = 0;
        self->figures.routers--;
        other->router = NULL;
        engine_forget_loads(other);
    }
    engine_end_session(self, other, IXN__V1__RETURN_CAUSE__NOT_HELD);
    return true;
}

static int s_compare_tokens(const void *a, const void *b)
{
    const Ixn__V1__Token *x = *(Ixn__V1__Token *const *)a;
    const Ixn__V1__Token *y = *(Ixn__V1__Token *const *)b;
    if (x->index != y->index)
        return x->index < y->index ? -1 : 1;
    if (x->epoch != y->epoch)
        return x->epoch < y->epoch ? -1 : 1;
    return 0;
}

size_t engine_sort_tokens(Ixn__V1__Token **tokens, size_t len)
{
    if (len == 0)
        return 0;
    qsort(tokens, len, sizeof *tokens, s_compare_tokens);
    size_t kept = 1;
    for (size_t i = 1; i < len; i++)
        if (s_compare_tokens(&tokens[i], &tokens[kept - 1]) != 0)
            tokens[kept++] = tokens[i];
    return kept;
}

Ixn__V1__Token **engine_find_token(Ixn__V1__Token **tokens, size_t len, service_token_t token)
{
    Ixn__V1__Token key = {.epoch = token.epoch, .index = token.index};
    Ixn__V1__Token *wanted = &key;
    return len ? bsearch(&wanted, tokens, len, sizeof *tokens, s_compare_tokens) : NULL;
}

/* Compares what the router says it holds with what it holds here. Both may have moved: its results
 * may have been accepted, its work given to others. `self->reconciled` tells which of the tokens
 * are held here, the rest is revoked. `returning`: how what it does not have goes back. */
static void s_reconcile(engine_t *self, engine_session_t *slot, Ixn__V1__Token **tokens,
                        size_t tokens_len, const engine_returning_t *returning)
{
    interaction_t *interaction = LIST_FIRST(&slot->router->interactions);
    while (interaction) {
        interaction_t *next = LIST_NEXT(interaction, more->with_router);
        Ixn__V1__Token **found = engine_find_token(
            tokens, tokens_len,
            (service_token_t){interaction->more->token_epoch, interaction->more->token_index});
        if (found) {
            balancer_hold(self->balancer, slot->balanced, engine_must_be_alone(interaction));
            self->reconciled[found - tokens] = true;
        } else {
            engine_return_t how = engine_return_of(self, returning, interaction);
            engine_return_one(self, interaction, &how);
        }
        interaction = next;
    }
}

/* Its work may be on its way back: that ends here. What this process has stays; what an earlier
 * process had is lost with it, what the same process no longer has counts against nothing. */
static engine_returning_t s_stop_returning(engine_t *self, const engine_session_t *slot)
{
    engine_returning_t found = {.router = slot->router, .cause = IXN__V1__RETURN_CAUSE__NOT_HELD};
    for (size_t i = 0; i < self->returning_len; i++) {
        if (self->returning[i].router != slot->router)
            continue;
        if (!id_equal(self->returning[i].incarnation, slot->incarnation))
            found = self->returning[i];
        self->returning[i--] = self->returning[--self->returning_len];
    }
    return found;
}

static void s_connect_router(engine_t *self, engine_session_t *slot,
                             const Ixn__V1__Register *wanted)
{
    state_router_t *router = state_router(self->state, text_of(slot->name));
    slot->router = router;
    slot->announced = wanted->agent_reservation;
    slot->announced_limit = wanted->max_submitted_interactions;
    engine_rate_t rate = engine_router_rate(self, slot->name);
    const balancer_router_options_t options = {
        .name = text_of(router->name),
        .limit = engine_router_limit(self, slot->name, wanted->max_submitted_interactions),
        .rate = rate.count,
        .rate_interval = (usec_t)rate.interval_ms * USEC_PER_MS,
        .announced = slot->announced,
        .configured = engine_router_configured(self, slot->name),
    };
    slot->balanced = balancer_add_router(self->balancer, &options);
    if (slot->balanced >= self->balanced_sessions_len) {
        self->balanced_sessions_len = (size_t)slot->balanced + 1;
        self->balanced_sessions = memory_resize(
            self->balanced_sessions, self->balanced_sessions_len * sizeof *self->balanced_sessions);
    }
    self->balanced_sessions[slot->balanced] = slot->ref;
    if (router->number >= self->router_sessions_len) {
        size_t len = (size_t)router->number + 1;
        self->router_sessions =
            memory_resize(self->router_sessions, len * sizeof *self->router_sessions);
        memset(self->router_sessions + self->router_sessions_len, 0,
               (len - self->router_sessions_len) * sizeof *self->router_sessions);
        self->router_sessions_len = len;
    }
    self->figures.routers++;
}

static void s_answer(engine_t *self, engine_session_t *slot, uint64_t request,
                     Ixn__V1__Token **revoked, size_t revoked_len, uint32_t limit)
{
    const Ixn__V1__EngineConfiguration *configuration = self->state->configuration;
    Ixn__V1__Registered registered = IXN__V1__REGISTERED__INIT;
    registered.database_id = wire_bytes(&self->options.database_id);
    registered.node = self->node;
    registered.heartbeat_ms = self->options.heartbeat_ms;
    slot->heartbeat = self->options.heartbeat_ms * USEC_PER_MS;
    engine_watch_silence(self, slot);
    registered.dedupe_window_ms = configuration->dedupe_window_ms;
    registered.dedupe_guaranteed_ms = configuration->dedupe_guaranteed_ms;
    registered.max_attributes_size = configuration->max_attributes_size;
    registered.max_submitted_interactions = limit;
    registered.revoked = revoked;
    registered.n_revoked = revoked_len;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_REGISTERED;
    message.registered = &registered;
    engine_say(self, slot->ref, &message);
}

static void s_register_router(engine_t *self, engine_session_t *slot, uint64_t request,
                              const Ixn__V1__Register *wanted)
{
    s_connect_router(self, slot, wanted);
    Ixn__V1__Token **tokens = wanted->tokens;
    size_t len = engine_sort_tokens(tokens, wanted->n_tokens);
    engine_returning_t returning = s_stop_returning(self, slot);
    self->reconciled = memory_zero(len, sizeof *self->reconciled);
    s_reconcile(self, slot, tokens, len, &returning);
    size_t revoked_len = 0;
    for (size_t i = 0; i < len; i++)
        if (!self->reconciled[i])
            tokens[revoked_len++] = tokens[i];
    free(self->reconciled);
    self->reconciled = NULL;
    self->router_sessions[slot->router->number] = slot->ref;
    s_answer(self, slot, request, tokens, revoked_len,
             engine_router_limit(self, slot->name, wanted->max_submitted_interactions));
    const interaction_t *interaction;
    LIST_FOREACH(interaction, &slot->router->interactions, more->with_router)
    engine_services_tell_again(self, interaction);
    engine_load_activated(self, slot);
}

static void s_register_server(engine_t *self, engine_session_t *slot, uint64_t request,
                              const Ixn__V1__Register *wanted)
{
    size_t len = engine_sort_tokens(wanted->tokens, wanted->n_tokens);
    Ixn__V1__Token **revoked = memory_zero(len + 1, sizeof *revoked);
    size_t revoked_len = engine_server_register(self, slot, wanted, len, revoked);
    s_answer(self, slot, request, revoked, revoked_len, 0);
    engine_server_resend(self, slot, wanted->tokens, len);
    free(revoked);
}

void engine_register(engine_t *self, session_t session, uint64_t request,
                     const Ixn__V1__Register *wanted)
{
    engine_session_t *slot = engine_slot(self, session);
    uint16_t tenant = 0;
    id128_t incarnation = {{0}};
    error_t error;
    bool ok = s_check(self, wanted, &tenant, &incarnation, &error);
    if (ok && slot->registered)
        ok = (slot->role == wanted->role && strcmp(slot->name, wanted->name) == 0 &&
              id_equal(slot->incarnation, incarnation)) ||
             error_set(&error, ERROR_ALREADY_REGISTERED,
                       "this connection is registered as \"%s\" already, and role, name or "
                       "incarnation differ; use another connection for \"%s\"",
                       slot->name, wanted->name);
    if (ok && wanted->n_tokens > LIMIT_TOKENS)
        ok = error_set(&error, ERROR_TOO_LARGE, "%zu tokens, the limit is %d", wanted->n_tokens,
                       LIMIT_TOKENS);
    if (ok && wanted->role == IXN__V1__ROLE__ROUTER &&
        !state_router(self->state, text_of(wanted->name)))
        ok = error_set(&error, ERROR_TOO_LARGE,
                       "%d different routers have been seen; use the same names again, or restart "
                       "the node",
                       LIMIT_SYMBOLS);
    ok = ok && engine_server_check(self, slot, wanted, &error);
    ok = ok && s_replace(self, slot, wanted, incarnation, &error);
    if (!ok) { /* held: which tenants and names there are is in the state */
        engine_refuse(self, session, request, &error);
        return;
    }
    if (slot->registered && slot->router) {
        /* Asked again on the same connection: begin anew with the same name. */
        balancer_remove_router(self->balancer, slot->balanced);
        self->router_sessions[slot->router->number] = 0;
        self->figures.routers--;
        slot->router = NULL;
        engine_forget_loads(slot);
    } else if (slot->registered && slot->server) {
        engine_server_lost(self, slot, IXN__V1__RETURN_CAUSE__NOT_HELD);
    } else if (!slot->registered) {
        slot->registered = true;
        slot->role = wanted->role;
        memcpy(slot->name, wanted->name, strlen(wanted->name) + 1);
        size_t len = s_name_key(wanted->role, wanted->name, slot->key);
        HASH_ADD_KEYPTR(by_name, self->by_name, slot->key, len, slot);
    }
    slot->tenant = tenant;
    slot->incarnation = incarnation;
    if (wanted->role == IXN__V1__ROLE__ROUTER)
        s_register_router(self, slot, request, wanted);
    else if (wanted->application_server)
        s_register_server(self, slot, request, wanted);
    else
        s_answer(self, slot, request, NULL, 0, 0);
}
