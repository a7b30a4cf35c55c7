#include "core/engine.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/engine_internal.h"

enum {
    RETURNS_A_TURN = 5000,
    DISPATCHES_A_TURN = 5000,
    SILENT_HEARTBEATS = 3,    /* a session that is silent for so many is ended */
    RECONCILE_HEARTBEATS = 3, /* so long routers have after a start to say what they hold */
    /* A batch and what waits to be told grow up to these, plus what one input may add: a request
     * one entry with all attributes, or (Register) one for each piece of work of a router, a small
     * one. A request of a few bytes may cost as much as attributes are large. */
    BATCH_BYTES = LIMIT_BATCH / 2,
    BATCH_ENTRIES = LIMIT_BATCH_ENTRIES / 2,
    HELD_BYTES = 64 * 1024 * 1024,
    LOOKS_A_TURN = 100000, /* then lists are BUSY, but for each session's first */
    SHOWN_IS = 16,         /* looks: what is shown is copied and encoded, too */
};

_Static_assert(BATCH_BYTES + 2 * LIMIT_ATTRIBUTES + 200 * BATCH_ENTRIES < LIMIT_BATCH,
               "one more input fits into a batch");

/* ---- Life ---- */

engine_t *engine_new(const engine_options_t *options)
{
    engine_t *self = memory_zero(1, sizeof *self);
    self->options = *options;
    self->state = options->state;
    self->balancer = balancer_new();
    engine_services_new(self);
    CHECK(strlen(options->node) <= LIMIT_NAME);
    memcpy(self->node, options->node, strlen(options->node) + 1);
    self->previous = self->state->hash;
    self->committed = self->state->index;
    self->log_time = self->state->log_time;
    self->slots_capacity = options->max_clients;
    self->slots = memory_zero(options->max_clients, sizeof *self->slots);
    self->free_slots = memory_zero(options->max_clients, sizeof *self->free_slots);
    self->flush = memory_zero(options->max_clients, sizeof *self->flush);
    return self;
}

static void s_free_held(engine_t *self)
{
    for (size_t i = 0; i < self->held_capacity; i++) {
        buffer_free(&self->held[i].bytes);
        free(self->held[i].messages);
    }
    free(self->held);
    for (size_t i = self->ready_at; i < self->ready_len; i++)
        free(self->ready[i].bytes);
    free(self->ready);
}

void engine_destroy(engine_t **self_p)
{
    engine_t *self = *self_p;
    if (!self)
        return;
    HASH_CLEAR(by_name, self->by_name);
    HASH_CLEAR(by_key, self->strategies_by_key);
    for (size_t i = 0; i < self->slots_len; i++) {
        buffer_free(&self->slots[i]->out);
        engine_forget_loads(self->slots[i]);
        free(self->slots[i]);
    }
    for (size_t i = 0; i < self->strategies_len; i++) {
        rate_free(&self->strategies[i]->rate);
        free(self->strategies[i]);
    }
    engine_free_contests(self);
    s_free_held(self);
    free(self->slots);
    free(self->free_slots);
    free(self->flush);
    free(self->ended);
    free(self->strategies);
    free(self->dirty_strategies);
    free(self->gated);
    free(self->draining);
    free(self->balanced_sessions);
    free(self->dirty_queues);
    free(self->returning);
    free(self->router_sessions);
    buffer_free(&self->entries);
    buffer_free(&self->scratch);
    buffer_free(&self->attributes);
    balancer_destroy(&self->balancer);
    engine_services_free(self);
    state_destroy(&self->state);
    free(self);
    *self_p = NULL;
}

state_t *engine_state(engine_t *self)
{
    return self->state;
}

uint64_t engine_index(const engine_t *self)
{
    return self->state->index;
}

engine_figures_t engine_figures(const engine_t *self)
{
    return self->figures;
}

void engine_set_busy(engine_t *self, const char *sentence)
{
    self->busy = sentence;
}

void engine_set_retry(engine_t *self, const char *sentence)
{
    self->retry = sentence;
}

void engine_hold(engine_t *self, const char *sentence)
{
    self->hold = sentence;
}

/* ---- Deciding ---- */

static bool s_is_filled(const engine_t *self, size_t divisor)
{
    return self->figures.held_bytes >= HELD_BYTES / divisor ||
           (self->batch_open && (self->entries.len >= BATCH_BYTES / divisor ||
                                 self->entries_len >= BATCH_ENTRIES / divisor));
}

bool engine_has_room(const engine_t *self)
{
    return !s_is_filled(self, 1);
}

bool engine_may_receive(const engine_t *self)
{
    return !s_is_filled(self, 2);
}

bool engine_may_look(engine_t *self, session_t session, uint64_t request)
{
    engine_session_t *slot = engine_slot(self, session);
    bool first = slot->looked_in != self->turn;
    slot->looked_in = self->turn;
    if (first || self->looks < LOOKS_A_TURN)
        return true;
    engine_say_busy(self, session, request,
                    "as much as may be listed in one turn of the node was asked for");
    return false;
}

void engine_looked(engine_t *self, size_t at, size_t shown)
{
    self->looks += at + shown * SHOWN_IS;
}

void engine_emit(engine_t *self, Ixn__V1__Entry *entry)
{
    if (!self->batch_open) {
        state_begin_batch(self->state, self->options.epoch, self->log_time, self->wall_time);
        self->batch_open = true;
        self->first = self->state->index + 1;
        self->entries_len = 0;
        buffer_clear(&self->entries);
    }
    wire_append_entry(&self->entries, entry);
    self->entries_len++;
    error_t error;
    bool applied = state_apply(self->state, entry, &error);
    CHECK(applied); /* what this very state decided fits it */
    engine_services_dropped(self);
}

void engine_beat(engine_t *self)
{
    Ixn__V1__Beat beat = IXN__V1__BEAT__INIT;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_BEAT;
    entry.beat = &beat;
    engine_emit(self, &entry);
}

void engine_start(engine_t *self, const Ixn__V1__EngineConfiguration *configuration)
{
    Ixn__V1__EpochStarted started = IXN__V1__EPOCH_STARTED__INIT;
    started.epoch = self->options.epoch;
    started.generation = wire_bytes(&self->options.generation);
    started.node = self->node;
    started.reason = (char *)self->options.reason;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_EPOCH_STARTED;
    entry.epoch_started = &started;
    engine_emit(self, &entry);
    if (configuration && !engine_same_configuration(self->state->configuration, configuration)) {
        engine_emit_configuration(self, configuration);
        engine_configure_routing(self);
    }
    self->reconcile_until =
        self->log_time + (usec_t)self->options.heartbeat_ms * RECONCILE_HEARTBEATS * USEC_PER_MS;
    engine_services_start(self);
    engine_all_queues_dirty(self);
}

void engine_turn_begin(engine_t *self, usec_t log_time, usec_t wall_time)
{
    /* Log time never goes back, whatever the shell's clock says. */
    if (log_time > self->log_time)
        self->log_time = log_time;
    self->wall_time = wall_time;
    self->turn++;
    self->looks = 0;
    balancer_set_time(self->balancer, self->log_time);
}

size_t engine_open_bytes(const engine_t *self)
{
    return self->batch_open ? self->entries.len : 0;
}

bool engine_batch_open(const engine_t *self)
{
    return self->batch_open;
}

static batch_t *s_close_batch(engine_t *self)
{
    state_t *state = self->state;
    batch_t *batch =
        batch_new(self->options.epoch, self->first, state->index, self->previous, state->log_time,
                  state->wall_time, (text_t){(char *)self->entries.bytes, self->entries.len});
    state_end_batch(state, batch->hash);
    self->previous = batch->hash;
    self->batch_open = false;
    return batch;
}

batch_t *engine_turn_end(engine_t *self, bool close, bool *ret_more)
{
    *ret_more = false;
    if (!self->hold) {
        engine_return_some(self, RETURNS_A_TURN);
        engine_decide_agents(self);
        engine_dispatch(self, DISPATCHES_A_TURN);
        bool returns = engine_servers_return(self, RETURNS_A_TURN);
        engine_services_dispatch(self, DISPATCHES_A_TURN);
        *ret_more =
            self->returning_len > 0 || self->dirty_len > 0 || returns || self->services_dirty;
        if (self->needs_entry && !self->batch_open)
            engine_beat(self);
        self->needs_entry = false;
    }
    batch_t *batch = NULL;
    if (self->batch_open && close)
        batch = s_close_batch(self);
    if (!self->batch_open)
        engine_close_held(self);
    return batch;
}

/* ---- Sessions ---- */

bool engine_may_see(const engine_session_t *slot, uint16_t tenant)
{
    return slot->tenant == tenant || slot->role == IXN__V1__ROLE__OPERATOR;
}

session_t engine_ref(const engine_t *self, const engine_session_t *slot)
{
    (void)self;
    return slot->ref;
}

engine_session_t *engine_slot(engine_t *self, session_t session)
{
    uint32_t number = (uint32_t)session;
    if (number >= self->slots_len)
        return NULL;
    engine_session_t *slot = self->slots[number];
    return slot->open && slot->ref == session ? slot : NULL;
}

void engine_watch_silence(engine_t *self, const engine_session_t *slot)
{
    usec_t due = slot->heard + slot->heartbeat * SILENT_HEARTBEATS;
    if (due < self->silent_at)
        self->silent_at = due;
}

session_t engine_session_open(engine_t *self)
{
    uint32_t number;
    if (self->slots_len - self->free_len >= self->options.max_clients)
        return 0;
    if (self->free_len > 0) {
        number = self->free_slots[--self->free_len];
    } else {
        number = (uint32_t)self->slots_len++;
        self->slots[number] = memory_zero(1, sizeof **self->slots);
    }
    engine_session_t *slot = self->slots[number];
    bool in_flush = slot->in_flush;
    *slot = (engine_session_t){.ref = (uint64_t)++self->serial << 32 | number,
                               .open = true,
                               .in_flush = in_flush,
                               .heartbeat = self->options.heartbeat_ms * USEC_PER_MS,
                               .heard = self->log_time};
    engine_watch_silence(self, slot);
    self->figures.sessions++;
    return slot->ref;
}

static void s_forget_router(engine_t *self, engine_session_t *slot, Ixn__V1__ReturnCause cause)
{
    if (!slot->router)
        return;
    balancer_remove_router(self->balancer, slot->balanced);
    self->router_sessions[slot->router->number] = 0;
    self->figures.routers--;
    engine_return_all(self, slot->router, cause, slot->incarnation);
    slot->router = NULL;
    engine_forget_loads(slot);
}

void engine_end_session(engine_t *self, engine_session_t *slot, Ixn__V1__ReturnCause cause)
{
    s_forget_router(self, slot, cause);
    engine_server_lost(self, slot, cause);
    if (slot->registered)
        HASH_DELETE(by_name, self->by_name, slot);
    engine_finish_frame(self, slot); /* what it may still hear */
    buffer_free(&slot->out);
    if (self->ended_len == self->ended_capacity) {
        self->ended_capacity = self->ended_capacity * 2 + 64;
        self->ended = memory_resize(self->ended, self->ended_capacity * sizeof *self->ended);
    }
    self->ended[self->ended_len++] = slot->ref;
    slot->open = false;
    slot->registered = false;
    self->figures.sessions--;
}

void engine_session_lost(engine_t *self, session_t session)
{
    engine_session_t *slot = engine_slot(self, session);
    if (slot)
        engine_end_session(self, slot, IXN__V1__RETURN_CAUSE__ROUTER_LOST);
}

bool engine_next_ended(engine_t *self, session_t *ret_session)
{
    if (self->ended_len == 0)
        return false;
    *ret_session = self->ended[--self->ended_len];
    /* Only now: the transport must not meet two sessions of one slot. */
    self->free_slots[self->free_len++] = (uint32_t)*ret_session;
    return true;
}

/* ---- Time ---- */

/* After a delay of the node itself (it was frozen, or busy) what its clients said meanwhile may not
 * have arrived yet: their silence begins anew. */
static void s_forgive_silence(engine_t *self)
{
    for (size_t i = 0; i < self->slots_len; i++)
        self->slots[i]->heard = self->log_time;
}

/* All sessions are looked at when one of them may be due, which those that talk put off. */
static void s_end_silent(engine_t *self)
{
    usec_t heartbeat = (usec_t)self->options.heartbeat_ms * USEC_PER_MS;
    if (self->log_time - self->listened > heartbeat)
        s_forgive_silence(self);
    self->listened = self->log_time;
    if (self->log_time <= self->silent_at)
        return;
    self->silent_at = USEC_NEVER;
    for (size_t i = 0; i < self->slots_len; i++) {
        engine_session_t *slot = self->slots[i];
        if (!slot->open)
            continue;
        if (self->log_time > slot->heard + slot->heartbeat * SILENT_HEARTBEATS)
            engine_end_session(self, slot, IXN__V1__RETURN_CAUSE__ROUTER_LOST);
        else
            engine_watch_silence(self, slot);
    }
}

/* Routers that did not come back after the start: what they had goes on elsewhere. Nobody knows
 * whether it is their work's fault, so it counts against none of it. */
static void s_end_reconcile(engine_t *self)
{
    if (self->reconcile_until == 0 || self->log_time < self->reconcile_until)
        return;
    self->reconcile_until = 0;
    for (size_t i = 0; i < self->state->routers_len; i++) {
        state_router_t *router = self->state->routers[i];
        if (router->pending > 0 && engine_router_session(self, router) == 0)
            engine_return_all(self, router, IXN__V1__RETURN_CAUSE__NOT_HELD, (id128_t){0});
    }
}

static void s_resume(engine_t *self, interaction_t *interaction)
{
    Ixn__V1__HeldChanged resumed = IXN__V1__HELD_CHANGED__INIT;
    resumed.interaction_id = wire_bytes(&interaction->id);
    resumed.held = false;
    resumed.by = (char *)"hold_timeout";
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_HELD_CHANGED;
    entry.held_changed = &resumed;
    engine_emit(self, &entry);
    engine_queue_dirty(self, interaction->queue);
}

static void s_expire(engine_t *self)
{
    for (int i = 0; i < RETURNS_A_TURN && engine_has_room(self); i++) {
        interaction_t *interaction = state_next_deadline(self->state);
        if (!interaction || interaction->deadline > self->log_time || MUTATION(DEADLINES_LOST))
            return;
        if (interaction->state == INTERACTION_QUEUED) {
            s_resume(self, interaction);
        } else if (!engine_was_told(self, interaction, self->committed)) {
            return; /* its router cannot have begun: not before the commit */
        } else {
            engine_revoke(self, interaction, "routing timeout");
            const engine_return_t timeout = {.cause = IXN__V1__RETURN_CAUSE__ROUTING_TIMEOUT,
                                             .reason = "routing timeout"};
            engine_return_one(self, interaction, &timeout);
        }
    }
}

void engine_tick(engine_t *self, bool drained)
{
    if (self->hold)
        return;
    if (drained)
        s_end_silent(self);
    s_end_reconcile(self);
    s_expire(self);
    engine_services_tick(self);
}

/* ---- Requests ---- */

static const char *s_role(Ixn__V1__Role role)
{
    static const char *const names[] = {"", "MEDIA_SERVER", "ROUTER", "OPERATOR",
                                        "APPLICATION_SERVER"};
    return (size_t)role < sizeof names / sizeof *names ? names[role] : "";
}

/* For another one than itself. */
static bool s_may_speak(const engine_session_t *slot, const char *by, error_t *ret_error)
{
    if (*by && slot->role != IXN__V1__ROLE__OPERATOR)
        return error_set(ret_error, ERROR_WRONG_ROLE,
                         "\"%s\" is registered as %s; only an OPERATOR may speak for somebody "
                         "(`by`)",
                         slot->name, s_role(slot->role));
    return !*by || wire_check_text("by", by, 0, LIMIT_NAME, ret_error);
}

static bool s_may(engine_session_t *slot, const Ixn__V1__Request *request, error_t *ret_error)
{
    if (request->body_case == IXN__V1__REQUEST__BODY_REGISTER)
        return true;
    if (!slot->registered) /* a Ping, too: who only listens would never know that it is nobody */
        return error_set(
            ret_error, ERROR_NOT_REGISTERED,
            "this connection has no session: it never registered, or left, or was silent for "
            "three heartbeats, or another one took its place; send Register first");
    bool router_only = request->body_case == IXN__V1__REQUEST__BODY_STRATEGY_LOADED ||
                       request->body_case == IXN__V1__REQUEST__BODY_STRATEGY_UNLOADED ||
                       request->body_case == IXN__V1__REQUEST__BODY_STRATEGY_FAILED ||
                       request->body_case == IXN__V1__REQUEST__BODY_RESERVE ||
                       request->body_case == IXN__V1__REQUEST__BODY_ROUTE_FAILED ||
                       request->body_case == IXN__V1__REQUEST__BODY_CALL_SERVICE;
    bool server_only = request->body_case == IXN__V1__REQUEST__BODY_SERVICE_RESPONSE ||
                       request->body_case == IXN__V1__REQUEST__BODY_SERVICE_FAULT;
    bool others_only = request->body_case == IXN__V1__REQUEST__BODY_SUBMIT ||
                       request->body_case == IXN__V1__REQUEST__BODY_HOLD ||
                       request->body_case == IXN__V1__REQUEST__BODY_RESUME;
    bool operators_only = request->body_case == IXN__V1__REQUEST__BODY_PUT_STRATEGY ||
                          request->body_case == IXN__V1__REQUEST__BODY_REMOVE_STRATEGY ||
                          request->body_case == IXN__V1__REQUEST__BODY_ACTIVATE_STRATEGY ||
                          request->body_case == IXN__V1__REQUEST__BODY_DEACTIVATE_STRATEGY ||
                          request->body_case == IXN__V1__REQUEST__BODY_LIST ||
                          request->body_case == IXN__V1__REQUEST__BODY_LIST_QUEUES ||
                          request->body_case == IXN__V1__REQUEST__BODY_LIST_INTERACTIONS ||
                          request->body_case == IXN__V1__REQUEST__BODY_DRAIN_ROUTER ||
                          request->body_case == IXN__V1__REQUEST__BODY_UNDRAIN_ROUTER ||
                          request->body_case == IXN__V1__REQUEST__BODY_CHANGE_AGENT;
    bool reads_strategies = request->body_case == IXN__V1__REQUEST__BODY_GET_STRATEGY;
    bool router = slot->role == IXN__V1__ROLE__ROUTER;
    if (server_only && !slot->server)
        return error_set(ret_error, ERROR_WRONG_ROLE,
                         "\"%s\" did not register as an application server; only one may answer "
                         "a service",
                         slot->name);
    if (others_only && slot->role == IXN__V1__ROLE__APPLICATION_SERVER)
        return error_set(ret_error, ERROR_WRONG_ROLE,
                         "\"%s\" is registered as APPLICATION_SERVER; register as MEDIA_SERVER "
                         "with `application_server` to be both",
                         slot->name);
    if (router_only && !router)
        return error_set(ret_error, ERROR_WRONG_ROLE,
                         "\"%s\" is registered as %s; only a ROUTER may ask this", slot->name,
                         s_role(slot->role));
    if ((operators_only && slot->role != IXN__V1__ROLE__OPERATOR) ||
        (reads_strategies && slot->role != IXN__V1__ROLE__OPERATOR && !router))
        return error_set(ret_error, ERROR_WRONG_ROLE,
                         "\"%s\" is registered as %s; only an OPERATOR%s may ask this", slot->name,
                         s_role(slot->role), reads_strategies ? " or a ROUTER" : "");
    if (others_only && router)
        return error_set(ret_error, ERROR_WRONG_ROLE,
                         "\"%s\" is registered as ROUTER; only a MEDIA_SERVER or an OPERATOR may "
                         "ask this",
                         slot->name);
    return s_may_speak(slot, request->by, ret_error);
}

static void s_pong(engine_t *self, session_t session, uint64_t request)
{
    Ixn__V1__Pong pong = IXN__V1__PONG__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_PONG;
    message.pong = &pong;
    engine_say_now(self, session, &message);
}

static void s_leave(engine_t *self, engine_session_t *slot, uint64_t request)
{
    Ixn__V1__Ack ack = IXN__V1__ACK__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_ACK;
    message.ack = &ack;
    engine_say_now(self, slot->ref, &message);
    engine_end_session(self, slot, IXN__V1__RETURN_CAUSE__ROUTER_LEFT);
}

/* Strategies, agents, and what operators look at. */
static void s_handle_catalog(engine_t *self, engine_session_t *slot,
                             const Ixn__V1__Request *request)
{
    switch (request->body_case) {
    case IXN__V1__REQUEST__BODY_STRATEGY_LOADED:
        engine_strategy_loaded(self, slot->ref, request);
        return;
    case IXN__V1__REQUEST__BODY_STRATEGY_UNLOADED:
        engine_strategy_unloaded(self, slot->ref, request);
        return;
    case IXN__V1__REQUEST__BODY_STRATEGY_FAILED:
        engine_strategy_failed(self, slot->ref, request);
        return;
    case IXN__V1__REQUEST__BODY_GET_STRATEGY:
        engine_get_strategy(self, slot->ref, request->id, request->get_strategy);
        return;
    case IXN__V1__REQUEST__BODY_PUT_STRATEGY:
        engine_put_strategy(self, slot->ref, request->id, request->put_strategy);
        return;
    case IXN__V1__REQUEST__BODY_REMOVE_STRATEGY:
        engine_remove_strategy(self, slot->ref, request->id, request->remove_strategy);
        return;
    case IXN__V1__REQUEST__BODY_ACTIVATE_STRATEGY:
        engine_activate_strategy(self, slot->ref, request->id, request->activate_strategy);
        return;
    case IXN__V1__REQUEST__BODY_DEACTIVATE_STRATEGY:
        engine_deactivate_strategy(self, slot->ref, request->id, request->deactivate_strategy);
        return;
    case IXN__V1__REQUEST__BODY_LIST:
        engine_list(self, slot->ref, request->id, request->list);
        return;
    case IXN__V1__REQUEST__BODY_RESERVE:
        engine_reserve(self, slot->ref, request->id, request->reserve);
        return;
    case IXN__V1__REQUEST__BODY_CHANGE_AGENT:
        engine_change_agent(self, slot->ref, request->id, request->change_agent);
        return;
    case IXN__V1__REQUEST__BODY_DRAIN_ROUTER:
        engine_drain_router(self, slot->ref, request->id, request->drain_router);
        return;
    case IXN__V1__REQUEST__BODY_UNDRAIN_ROUTER:
        engine_undrain_router(self, slot->ref, request->id, request->undrain_router);
        return;
    case IXN__V1__REQUEST__BODY_LIST_QUEUES:
        engine_list_queues(self, slot->ref, request->id, request->list_queues);
        return;
    case IXN__V1__REQUEST__BODY_LIST_INTERACTIONS:
        engine_list_interactions(self, slot->ref, request->id, request->list_interactions);
        return;
    default: {
        error_t error;
        error_set(&error, ERROR_MALFORMED,
                  "request %llu has no body that this version knows (field numbers 2 … 81)",
                  (unsigned long long)request->id);
        engine_refuse_now(self, slot->ref, request->id, &error);
    }
    }
}

static void s_handle(engine_t *self, engine_session_t *slot, const Ixn__V1__Request *request)
{
    switch (request->body_case) {
    case IXN__V1__REQUEST__BODY_REGISTER:
        engine_register(self, slot->ref, request->id, request->register_);
        return;
    case IXN__V1__REQUEST__BODY_PING:
        s_pong(self, slot->ref, request->id);
        return;
    case IXN__V1__REQUEST__BODY_SUBMIT:
        engine_submit(self, slot->ref, request->id, request->submit);
        return;
    case IXN__V1__REQUEST__BODY_GET:
        engine_get(self, slot->ref, request->id, request->get);
        return;
    case IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES:
    case IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE:
    case IXN__V1__REQUEST__BODY_HOLD:
    case IXN__V1__REQUEST__BODY_RESUME:
    case IXN__V1__REQUEST__BODY_STOP:
    case IXN__V1__REQUEST__BODY_ROUTE_FAILED:
        engine_change(self, slot->ref, request);
        return;
    case IXN__V1__REQUEST__BODY_CALL_SERVICE:
        engine_call_service(self, slot->ref, request->id, request->call_service);
        return;
    case IXN__V1__REQUEST__BODY_SERVICE_RESPONSE:
    case IXN__V1__REQUEST__BODY_SERVICE_FAULT:
        engine_service_answer(self, slot->ref, request);
        return;
    case IXN__V1__REQUEST__BODY_APPLICATIONS:
        engine_applications(self, slot->ref, request->id);
        return;
    case IXN__V1__REQUEST__BODY_LEAVE:
        s_leave(self, slot, request->id);
        return;
    default:
        s_handle_catalog(self, slot, request);
    }
}

void engine_request(engine_t *self, session_t session, const Ixn__V1__Request *request)
{
    engine_session_t *slot = engine_slot(self, session);
    if (!slot)
        return;
    slot->heard = self->log_time;
    error_t error; /* nothing is in it until it is set: to clear it takes longer than to judge */
    const char *retry = self->hold ? self->hold : self->retry;
    if (request->id == 0) {
        error_set(&error, ERROR_MALFORMED, "a request has the id 0; ids begin with 1");
        engine_refuse_now(self, session, 0, &error);
    } else if (!s_may(slot, request, &error)) {
        engine_refuse_now(self, session, request->id, &error);
    } else if (retry && request->body_case != IXN__V1__REQUEST__BODY_PING &&
               request->body_case != IXN__V1__REQUEST__BODY_LEAVE) {
        engine_say_retry(self, session, request->id, retry);
    } else if (!engine_has_room(self) && request->body_case != IXN__V1__REQUEST__BODY_PING &&
               request->body_case != IXN__V1__REQUEST__BODY_LEAVE) {
        engine_say_busy(self, session, request->id,
                        "as much work as may be unfinished at once waits for its commit");
    } else {
        self->by = *request->by ? request->by : slot->name;
        s_handle(self, slot, request);
        self->by = NULL;
    }
}

void engine_turn_away(engine_t *self, session_t session, uint64_t request, const error_t *error)
{
    if (engine_slot(self, session))
        engine_refuse_now(self, session, request, error);
}

const char *engine_session_name(const engine_t *self, session_t session)
{
    const engine_session_t *slot = engine_slot((engine_t *)self, session);
    return slot ? slot->name : "";
}
