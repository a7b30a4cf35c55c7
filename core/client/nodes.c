/* Nodes, the code. */
#include "core/client/nodes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/wire/wire.h"

#define REGISTER_SOONEST (20 * USEC_PER_MS)    /* two registrations at one node are so far apart */
#define RETRY_FIRST (10 * USEC_PER_MS)         /* no node serves: ask all again, doubling … */
#define RETRY_MOST (500 * USEC_PER_MS)         /* … up to this */
#define HEARTBEAT_DEFAULT (1000 * USEC_PER_MS) /* until a node says how often */
#define HEARTBEAT_LEAST (50 * USEC_PER_MS)
#define SOCKET_FULL (5 * USEC_PER_MS) /* a connection that takes nothing: look again */
#define SILENT_HEARTBEATS 3

/* ---------------------------------------------------------------------------------------------
 * The states of an endpoint */

typedef enum {
    EVENT_CONNECTED,
    EVENT_LOST,        /* the connection, or a node that is silent */
    EVENT_REGISTERED,  /* and its epoch is the highest */
    EVENT_NOT_PRIMARY, /* it said so, or its epoch is too low */
    EVENT_NOT_NOW,     /* Retry or Busy to a Register */
    EVENT_REFUSED,     /* Error to a Register */
    EVENT_FORGOTTEN,   /* NOT_REGISTERED to anything */
    EVENTS,
} node_event_t;

static const endpoint_state_t s_next_state[][EVENTS] = {
    [ENDPOINT_DOWN] = {[EVENT_CONNECTED] = ENDPOINT_ASKING,
                       [EVENT_LOST] = ENDPOINT_DOWN,
                       /* the rest of what a lost connection had received */
                       [EVENT_REGISTERED] = ENDPOINT_DOWN,
                       [EVENT_NOT_PRIMARY] = ENDPOINT_DOWN,
                       [EVENT_NOT_NOW] = ENDPOINT_DOWN,
                       [EVENT_REFUSED] = ENDPOINT_DOWN,
                       [EVENT_FORGOTTEN] = ENDPOINT_DOWN},
    [ENDPOINT_ASKING] = {[EVENT_CONNECTED] = ENDPOINT_ASKING,
                         [EVENT_LOST] = ENDPOINT_DOWN,
                         [EVENT_REGISTERED] = ENDPOINT_SERVING,
                         [EVENT_NOT_PRIMARY] = ENDPOINT_STANDBY,
                         [EVENT_NOT_NOW] = ENDPOINT_ASKING,
                         [EVENT_REFUSED] = ENDPOINT_REFUSED,
                         [EVENT_FORGOTTEN] = ENDPOINT_ASKING},
    [ENDPOINT_STANDBY] = {[EVENT_CONNECTED] = ENDPOINT_ASKING,
                          [EVENT_LOST] = ENDPOINT_DOWN,
                          [EVENT_REGISTERED] = ENDPOINT_SERVING,
                          [EVENT_NOT_PRIMARY] = ENDPOINT_STANDBY,
                          [EVENT_NOT_NOW] = ENDPOINT_ASKING,
                          [EVENT_REFUSED] = ENDPOINT_REFUSED,
                          [EVENT_FORGOTTEN] = ENDPOINT_ASKING},
    [ENDPOINT_SERVING] = {[EVENT_CONNECTED] = ENDPOINT_ASKING,
                          [EVENT_LOST] = ENDPOINT_DOWN,
                          [EVENT_REGISTERED] = ENDPOINT_SERVING,
                          [EVENT_NOT_PRIMARY] = ENDPOINT_STANDBY,
                          [EVENT_NOT_NOW] = ENDPOINT_ASKING,
                          [EVENT_REFUSED] = ENDPOINT_REFUSED,
                          [EVENT_FORGOTTEN] = ENDPOINT_ASKING},
    [ENDPOINT_REFUSED] = {[EVENT_CONNECTED] = ENDPOINT_ASKING,
                          [EVENT_LOST] = ENDPOINT_DOWN,
                          [EVENT_REGISTERED] = ENDPOINT_SERVING,
                          [EVENT_NOT_PRIMARY] = ENDPOINT_STANDBY,
                          [EVENT_NOT_NOW] = ENDPOINT_REFUSED,
                          [EVENT_REFUSED] = ENDPOINT_REFUSED,
                          [EVENT_FORGOTTEN] = ENDPOINT_REFUSED},
};

static void s_register_at(endpoint_t *endpoint, usec_t at)
{
    usec_t soonest = endpoint->registered_at + REGISTER_SOONEST;
    endpoint->register_at = at < soonest ? soonest : at;
}

/* Asks every node that is connected and not refused, as soon as it may be; where a Register is
 * under way already, its answer tells. */
static void s_ask_all(nodes_t *self, usec_t now)
{
    for (size_t i = 0; i < self->count; i++) {
        endpoint_t *endpoint = self->endpoints[i];
        if (endpoint->state == ENDPOINT_STANDBY ||
            (endpoint->state == ENDPOINT_ASKING && endpoint->register_id == 0)) {
            endpoint->retry = RETRY_FIRST;
            s_register_at(endpoint, now);
        }
    }
}

/* The node that did not mind the client serves no more: what another one refused once is asked of
 * it again. */
static void s_forgive(nodes_t *self, const endpoint_t *lost)
{
    for (size_t i = 0; i < self->count; i++) {
        endpoint_t *endpoint = self->endpoints[i];
        if (endpoint != lost && endpoint->state == ENDPOINT_REFUSED)
            endpoint->state = ENDPOINT_ASKING;
    }
}

/* How long to wait until the node is asked again; the next time, twice as long. Long pauses cost
 * nothing: a node that begins to serve says so. */
static usec_t s_pause_before_retry(nodes_t *self, endpoint_t *endpoint)
{
    usec_t pause = endpoint->retry;
    endpoint->retry = pause * 2 < RETRY_MOST ? pause * 2 : RETRY_MOST;
    return entropy_spread(self->entropy, pause);
}

static void s_move(nodes_t *self, endpoint_t *endpoint, node_event_t event, usec_t now)
{
    endpoint_state_t before = endpoint->state;
    endpoint->state = s_next_state[before][event];
    switch (endpoint->state) {
    case ENDPOINT_ASKING:
        s_register_at(endpoint, now);
        break;
    case ENDPOINT_STANDBY:
        endpoint->register_at = self->serving && self->serving != endpoint
                                    ? USEC_NEVER
                                    : now + s_pause_before_retry(self, endpoint);
        break;
    case ENDPOINT_DOWN:
    case ENDPOINT_SERVING:
    case ENDPOINT_REFUSED:
        endpoint->register_at = USEC_NEVER;
        endpoint->retry = RETRY_FIRST;
        break;
    }
    if (before == ENDPOINT_SERVING && endpoint->state != ENDPOINT_SERVING &&
        self->serving == endpoint) {
        self->serving = NULL;
        s_forgive(self, endpoint);
        s_ask_all(self, now);
    }
}

/* Once after opening, too: a ZeroMQ descriptor tells of nothing before the first read. */
void nodes_watch(nodes_t *self, endpoint_t *endpoint, usec_t now)
{
    endpoint_change_t change;
    while ((change = endpoint_watch(endpoint)) != ENDPOINT_SAME) {
        endpoint->register_id = 0;
        endpoint->pinged_at = 0;
        endpoint->heard_at = endpoint->said_at = now;
        if (change == ENDPOINT_CONNECTED) {
            s_move(self, endpoint, EVENT_CONNECTED, now);
            endpoint->register_at = now; /* a new connection: nothing to be patient about */
        } else {
            nodes_note(self, "the connection to %s was lost", endpoint->address);
            s_move(self, endpoint, EVENT_LOST, now);
        }
    }
}

/* ---------------------------------------------------------------------------------------------
 * What nodes say */

/* A node that is not `serving` speaks as one that serves. If it may be the one to use, it is asked
 * at once: the first time that it tells of an epoch without any patience, and only then if it
 * refused the client. */
static void s_on_epoch(nodes_t *self, endpoint_t *endpoint, uint64_t epoch, usec_t now)
{
    bool first = epoch > endpoint->announced;
    if (endpoint->state == ENDPOINT_DOWN || (endpoint->state == ENDPOINT_REFUSED && !first))
        return;
    bool news = epoch > self->epoch || (epoch == self->epoch && !self->serving);
    if (!news || endpoint->register_id) /* it has a Register, and answers it as one that serves */
        return;
    if (first) {
        if (endpoint->state == ENDPOINT_REFUSED)
            endpoint->state = ENDPOINT_ASKING;
        endpoint->announced = epoch;
        endpoint->register_at = now;
    } else {
        s_register_at(endpoint, now);
    }
}

bool nodes_heard(nodes_t *self, endpoint_t *endpoint, uint64_t epoch, usec_t now)
{
    endpoint->heard_at = now;
    endpoint->pinged_at = 0;
    if (epoch == 0)
        return true;
    if (endpoint != self->serving) {
        s_on_epoch(self, endpoint, epoch, now);
    } else if (epoch > self->epoch) {
        /* It has stopped and begun again meanwhile, and our session is over. */
        self->epoch = epoch;
        s_move(self, endpoint, EVENT_FORGOTTEN, now);
    }
    return epoch >= self->epoch;
}

/* Whether a node that answered Registered is the one to use; otherwise it is noted why not. */
static bool s_may_serve(nodes_t *self, const endpoint_t *endpoint, uint64_t epoch,
                        id128_t database_id)
{
    bool other = self->serving && self->serving != endpoint;
    char mine[ID_TEXT_SIZE], its[ID_TEXT_SIZE];
    if (!id_equal(database_id, self->database_id)) {
        /* A pair has one database. If another one answers while ours is served, that is somebody's
         * mistake; if ours is gone, an operator has moved the pair. */
        if (!other)
            return true;
        nodes_note(self, "%s serves database %s, %s serves %s", endpoint->address,
                   id_text(database_id, its), self->serving->address,
                   id_text(self->database_id, mine));
        return false;
    }
    if (epoch < self->epoch || (other && epoch == self->epoch)) {
        nodes_note(self, "%s serves epoch %llu, but epoch %llu was heard already",
                   endpoint->address, (unsigned long long)epoch, (unsigned long long)self->epoch);
        return false;
    }
    return true;
}

bool nodes_on_registered(nodes_t *self, endpoint_t *endpoint, uint64_t epoch,
                         const Ixn__V1__Registered *registered, usec_t now)
{
    id128_t database_id;
    if (!wire_read_id(registered->database_id, &database_id) || epoch == 0) {
        nodes_note(self, "%s answered Registered without a database id or an epoch",
                   endpoint->address);
        s_move(self, endpoint, EVENT_NOT_PRIMARY, now);
        return false;
    }
    if (!s_may_serve(self, endpoint, epoch, database_id)) {
        s_move(self, endpoint, EVENT_NOT_PRIMARY, now);
        return false;
    }
    if (self->serving && self->serving != endpoint)
        s_move(self, self->serving, EVENT_NOT_PRIMARY, now);
    s_move(self, endpoint, EVENT_REGISTERED, now);
    if (endpoint->state != ENDPOINT_SERVING)
        return false;
    self->serving = endpoint;
    self->database_id = database_id;
    self->epoch = epoch;
    self->dedupe_guaranteed_ms = registered->dedupe_guaranteed_ms;
    endpoint->heartbeat = registered->heartbeat_ms * USEC_PER_MS;
    if (endpoint->heartbeat < HEARTBEAT_LEAST)
        endpoint->heartbeat = registered->heartbeat_ms ? HEARTBEAT_LEAST : HEARTBEAT_DEFAULT;
    for (size_t i = 0; i < registered->n_revoked; i++)
        held_remove(&self->held,
                    (held_token_t){registered->revoked[i]->epoch, registered->revoked[i]->index});
    for (size_t i = 0; i < self->count; i++) {
        if (self->endpoints[i]->state == ENDPOINT_STANDBY)
            self->endpoints[i]->register_at = USEC_NEVER;
    }
    return true;
}

void nodes_on_not_primary(nodes_t *self, endpoint_t *endpoint,
                          const Ixn__V1__NotPrimary *not_primary, usec_t now)
{
    nodes_note(self, "%s is not the primary", endpoint->address);
    s_move(self, endpoint, EVENT_NOT_PRIMARY, now);
    /* Only endpoints that the program named are used: an answer does not lead anywhere else. */
    for (size_t i = 0; i < self->count && !self->serving; i++) {
        endpoint_t *named = self->endpoints[i];
        if (named->state != ENDPOINT_STANDBY || now < named->named_at + RETRY_MOST ||
            strcmp(named->address, not_primary->primary_endpoint) != 0)
            continue;
        named->named_at = now; /* not again and again: two nodes may name each other */
        s_register_at(named, now);
    }
}

void nodes_on_not_now(nodes_t *self, endpoint_t *endpoint, uint32_t after_ms, usec_t now)
{
    usec_t after = entropy_spread(self->entropy, after_ms * USEC_PER_MS);
    s_move(self, endpoint, EVENT_NOT_NOW, now);
    if (endpoint->state != ENDPOINT_ASKING)
        return;
    usec_t pause = s_pause_before_retry(self, endpoint);
    s_register_at(endpoint, now + (after > pause ? after : pause));
}

void nodes_on_refused(nodes_t *self, endpoint_t *endpoint, uint64_t epoch, usec_t now)
{
    if (epoch > endpoint->announced)
        endpoint->announced = epoch;
    s_move(self, endpoint, EVENT_REFUSED, now);
}

void nodes_on_forgotten(nodes_t *self, endpoint_t *endpoint, usec_t now)
{
    if (endpoint->state != ENDPOINT_SERVING && endpoint->state != ENDPOINT_STANDBY)
        return;
    nodes_note(self, "%s has no session of this client", endpoint->address);
    s_move(self, endpoint, EVENT_FORGOTTEN, now);
}

void nodes_doubt(nodes_t *self, usec_t now)
{
    if (now < self->doubted_at + self->resend)
        return;
    self->doubted_at = now;
    s_ask_all(self, now);
}

void nodes_note(nodes_t *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->trouble, sizeof self->trouble, format, arguments);
    va_end(arguments);
}

/* ---------------------------------------------------------------------------------------------
 * What is said to nodes */

static bool s_say(nodes_t *self, endpoint_t *endpoint, const Ixn__V1__Request *request, usec_t now)
{
    buffer_clear(&self->scratch);
    wire_append_to_node_head(&self->scratch);
    wire_append_request(&self->scratch, request);
    zmq_msg_t frame;
    CHECK(zmq_msg_init_size(&frame, self->scratch.len) == 0);
    memcpy(zmq_msg_data(&frame), self->scratch.bytes, self->scratch.len);
    if (endpoint_send(endpoint, &frame, now))
        return true;
    zmq_msg_close(&frame);
    return false;
}

static bool s_register(nodes_t *self, endpoint_t *endpoint, usec_t now)
{
    size_t count = held_count(&self->held);
    if (count > LIMIT_TOKENS)
        count = LIMIT_TOKENS;
    held_token_t *held = memory_zero(count, sizeof *held);
    Ixn__V1__Token *tokens = memory_zero(count, sizeof *tokens);
    Ixn__V1__Token **list = memory_zero(count, sizeof(void *));
    held_list(&self->held, held, count);
    for (size_t i = 0; i < count; i++) {
        ixn__v1__token__init(&tokens[i]);
        tokens[i].epoch = held[i].epoch;
        tokens[i].index = held[i].index;
        list[i] = &tokens[i];
    }
    Ixn__V1__Register body = IXN__V1__REGISTER__INIT;
    body.role = self->role;
    body.name = self->name;
    body.tenant = self->tenant;
    body.incarnation = wire_bytes(&self->incarnation);
    body.agent_reservation = self->agent_reservation;
    body.max_submitted_interactions = self->max_submitted_interactions;
    body.application_server = self->application_server;
    body.n_tokens = count;
    body.tokens = list;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    /* The same id until it is answered: a slow node's answer counts whichever it belongs to. */
    request.id = endpoint->register_id ? endpoint->register_id : requests_own_id(self->requests);
    request.body_case = IXN__V1__REQUEST__BODY_REGISTER;
    request.register_ = &body;
    bool sent = s_say(self, endpoint, &request, now);
    if (sent) {
        endpoint->register_id = request.id;
        endpoint->registered_at = now;
    }
    free(list);
    free(tokens);
    free(held);
    return sent;
}

static bool s_ping(nodes_t *self, endpoint_t *endpoint, usec_t now)
{
    Ixn__V1__Ping body = IXN__V1__PING__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.id = requests_own_id(self->requests);
    request.body_case = IXN__V1__REQUEST__BODY_PING;
    request.ping = &body;
    return s_say(self, endpoint, &request, now);
}

static void s_leave(nodes_t *self, endpoint_t *endpoint, usec_t now)
{
    if (endpoint->state == ENDPOINT_DOWN || endpoint->registered_at == 0)
        return;
    Ixn__V1__Leave body = IXN__V1__LEAVE__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.id = requests_own_id(self->requests);
    request.body_case = IXN__V1__REQUEST__BODY_LEAVE;
    request.leave = &body;
    s_say(self, endpoint, &request, now);
}

/* ---------------------------------------------------------------------------------------------
 * Time */

/* A Ping goes out a little more often than the node asks, because timers are late. */
static usec_t s_pause(const endpoint_t *endpoint)
{
    return endpoint->heartbeat * 3 / 4;
}

static usec_t s_ping_at(const endpoint_t *endpoint)
{
    usec_t unsaid = endpoint->said_at + s_pause(endpoint);
    usec_t unheard = endpoint->heard_at + s_pause(endpoint);
    return endpoint->pinged_at || unsaid < unheard ? unsaid : unheard;
}

static usec_t s_dead_at(const endpoint_t *endpoint)
{
    if (endpoint->pinged_at == 0)
        return USEC_NEVER;
    return endpoint->pinged_at + endpoint->heartbeat * (SILENT_HEARTBEATS - 1);
}

static usec_t s_most(usec_t a, usec_t b)
{
    return a > b ? a : b;
}

/* When the silence of the node that serves is a reason to ask the others: well before it is given
 * up. */
static usec_t s_doubt_at(const nodes_t *self)
{
    if (!self->serving || self->serving->pinged_at == 0)
        return USEC_NEVER;
    return s_most(self->serving->pinged_at + self->serving->heartbeat / 2,
                  self->doubted_at + self->resend);
}

/* The connection stands, but nothing comes: a frozen node, or a host that is gone. A new connection
 * finds out. */
static void s_connect_anew(nodes_t *self, endpoint_t *endpoint, usec_t now)
{
    nodes_note(self, "%s said nothing for %lld ms", endpoint->address,
               (long long)((now - endpoint->heard_at) / USEC_PER_MS));
    endpoint_close(endpoint, 0);
    endpoint->register_id = 0;
    endpoint->pinged_at = 0;
    s_move(self, endpoint, EVENT_LOST, now);
    endpoint->reopen_at = now;
}

static bool s_turn(nodes_t *self, endpoint_t *endpoint, usec_t now)
{
    if (!endpoint->socket) {
        error_t error = {0};
        if (now >= endpoint->reopen_at && !endpoint_open(endpoint, &error)) {
            nodes_note(self, "%.190s", error.text);
            endpoint->reopen_at = now + RETRY_MOST;
        }
        nodes_watch(self, endpoint, now);
        return false;
    }
    if (endpoint->state == ENDPOINT_DOWN)
        return false;
    if (now >= s_dead_at(endpoint)) {
        s_connect_anew(self, endpoint, now);
        return false;
    }
    bool sent = false;
    if (now >= endpoint->register_at) {
        sent = s_register(self, endpoint, now);
        endpoint->register_at = now + (sent ? self->resend : SOCKET_FULL);
    }
    if (now >= s_ping_at(endpoint)) {
        sent |= s_ping(self, endpoint, now);
        endpoint->said_at = now; /* also when the socket is full: not again at once */
        if (endpoint->pinged_at == 0)
            endpoint->pinged_at = now;
    }
    return sent;
}

bool nodes_turn(nodes_t *self, usec_t now)
{
    bool sent = false;
    for (size_t i = 0; i < self->count; i++) {
        endpoint_t *endpoint = self->endpoints[i];
        /* Who was away for so long cannot tell whose silence it was: begin to listen again. */
        if (self->due_at != USEC_NEVER && now > self->due_at + endpoint->heartbeat &&
            endpoint->pinged_at)
            endpoint->pinged_at = now;
        if (now >= s_doubt_at(self))
            nodes_doubt(self, now);
        sent |= s_turn(self, endpoint, now);
    }
    self->due_at = nodes_due_at(self);
    return sent;
}

static usec_t s_least(usec_t a, usec_t b)
{
    return a < b ? a : b;
}

usec_t nodes_due_at(const nodes_t *self)
{
    usec_t due_at = s_doubt_at(self);
    for (size_t i = 0; i < self->count; i++) {
        const endpoint_t *endpoint = self->endpoints[i];
        if (!endpoint->socket)
            due_at = s_least(due_at, endpoint->reopen_at);
        if (endpoint->state == ENDPOINT_DOWN)
            continue;
        due_at = s_least(due_at, endpoint->register_at);
        due_at = s_least(due_at, s_ping_at(endpoint));
        due_at = s_least(due_at, s_dead_at(endpoint));
    }
    return due_at;
}

/* ---------------------------------------------------------------------------------------------
 * Begin and end */

static Ixn__V1__ApplicationServer *s_copy_server(const Ixn__V1__ApplicationServer *server)
{
    size_t size = ixn__v1__application_server__get_packed_size(server);
    uint8_t *packed = memory_new(size + 1);
    ixn__v1__application_server__pack(server, packed);
    Ixn__V1__ApplicationServer *copy = ixn__v1__application_server__unpack(NULL, size, packed);
    CHECK(copy); /* its names are UTF-8, or protobuf would not have packed them */
    free(packed);
    return copy;
}

static bool s_check_options(const ixn_client_options_t *options, error_t *ret_error)
{
    if (options->endpoints_len < 1 || options->endpoints_len > NODES_MAX)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "%zu endpoints are given, 1 to %d are possible", options->endpoints_len,
                         NODES_MAX);
    if (options->role < IXN__V1__ROLE__MEDIA_SERVER ||
        options->role > IXN__V1__ROLE__APPLICATION_SERVER)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT, "there is no role number %d",
                         (int)options->role);
    return wire_check_text("name", options->name, 1, LIMIT_NAME, ret_error) &&
           wire_check_text("tenant", options->tenant, 0, LIMIT_NAME, ret_error);
}

bool nodes_init(nodes_t *self, const ixn_client_options_t *options, void *context, int epoll,
                error_t *ret_error)
{
    if (!s_check_options(options, ret_error))
        return false;
    self->role = options->role;
    self->name = memory_text(options->name);
    self->tenant = memory_text(options->tenant ? options->tenant : "");
    self->incarnation = id_random();
    self->agent_reservation = options->agent_reservation;
    self->max_submitted_interactions = options->max_submitted_interactions;
    if (options->application_server)
        self->application_server = s_copy_server(options->application_server);
    self->due_at = USEC_NEVER;
    nodes_note(self, "no connection yet");
    for (size_t i = 0; i < options->endpoints_len; i++) {
        endpoint_t *endpoint =
            endpoint_new(context, epoll, (uint32_t)i, options->endpoints[i], ret_error);
        if (!endpoint)
            return false;
        endpoint->heartbeat = HEARTBEAT_DEFAULT;
        endpoint->retry = RETRY_FIRST;
        self->endpoints[self->count++] = endpoint;
        nodes_watch(self, endpoint, 0);
    }
    return true;
}

void nodes_free(nodes_t *self, usec_t now)
{
    for (size_t i = 0; i < self->count; i++) {
        s_leave(self, self->endpoints[i], now);
        endpoint_destroy(&self->endpoints[i]);
    }
    held_free(&self->held);
    buffer_free(&self->scratch);
    free(self->name);
    free(self->tenant);
    if (self->application_server)
        ixn__v1__application_server__free_unpacked(self->application_server, NULL);
    *self = (nodes_t){0};
}
