/* node-cost: drives the pure node through submits or whole lifecycles in one process, without
 * sockets and database, so that callgrind counts what one of them costs: the same number every
 * time. Only the node's own work is counted, not the clients that are played here. cost.py runs it.
 *
 *   node-cost submit|lifecycle WARMUP COUNT
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/wire/wire.h"
#include "ha/node.h"

#define S_PER_TURN 64       /* submits that share a batch: what a busy node sees */
#define S_PER_CHECKPOINT 16 /* turns */
#define S_PAYLOAD 300
#define S_TURN (5 * USEC_PER_MS)
#define S_WALL ((usec_t)1700000000 * USEC_PER_SECOND)

typedef struct {
    node_t *node;
    wire_arena_t *arena;
    bool lifecycle;
    session_t media;
    session_t router;
    uint64_t requests; /* so many were sent */
    uint64_t submits;
    uint64_t acknowledged;
    uint64_t completed;
    uint64_t checkpoint; /* written, to be told */
    usec_t now;
    uint64_t turns;
    bool counting;
    buffer_t frame;   /* the media server's next one */
    buffer_t results; /* the router's next one */
    char attributes[S_PAYLOAD + 1];
} cost_t;

static desk_t s_desk; /* as in a process that notes what it works on */

/* What happens between these two is counted. */
static void s_begin(const cost_t *self)
{
    if (self->counting)
        CALLGRIND_TOGGLE_COLLECT;
}

static void s_end(const cost_t *self)
{
    if (self->counting)
        CALLGRIND_TOGGLE_COLLECT;
}

/* ---- The node's configuration --------------------------------------------------------------- */

static void s_start(cost_t *self)
{
    Ixn__V1__TenantConfiguration tenant = IXN__V1__TENANT_CONFIGURATION__INIT;
    Ixn__V1__TenantConfiguration *tenants[] = {&tenant};
    tenant.name = (char *)"default";
    Ixn__V1__QueueConfiguration queue = IXN__V1__QUEUE_CONFIGURATION__INIT;
    Ixn__V1__QueueConfiguration *queues[] = {&queue};
    queue.tenant = (char *)"default";
    queue.name = (char *)"inbound";
    queue.strategy = (char *)(self->lifecycle ? "classify" : "");
    Ixn__V1__EngineConfiguration configuration = IXN__V1__ENGINE_CONFIGURATION__INIT;
    configuration.n_tenants = 1;
    configuration.tenants = tenants;
    configuration.n_queues = 1;
    configuration.queues = queues;
    configuration.routing_timeout_ms = 60000;
    configuration.hold_timeout_ms = 30000;
    configuration.max_router_attempts = 3;
    configuration.dedupe_window_ms = 600000;
    configuration.dedupe_guaranteed_ms = 60000;
    configuration.dedupe_max_keys = 1000000;
    configuration.max_interactions = 1000000;
    configuration.max_attributes_size = 65536;
    configuration.max_submitted_interactions = 1000;
    uint64_t seed = 1;
    const node_options_t options = {
        .engine = {.state = state_new(),
                   .database_id = id_hash("database", 8),
                   .epoch = 1,
                   .generation = id_hash(&seed, sizeof seed),
                   .node = "node-1",
                   .reason = "cost",
                   .heartbeat_ms = 1000,
                   .max_clients = 10},
        .configuration = &configuration,
        .retry_after = USEC_PER_SECOND,
        .max_unfinished = 64 << 20,
        .checkpoint_interval = S_PER_CHECKPOINT * S_TURN,
        .checkpoint_max_lag = (size_t)1 << 30,
        .desk = &s_desk,
        .boot_time = self->now,
        .wall_time = S_WALL + self->now,
    };
    self->node = node_new(&options);
}

/* ---- Clients -------------------------------------------------------------------------------- */

static void s_ask(cost_t *self, buffer_t *frame, Ixn__V1__Request *request)
{
    if (frame->len == 0)
        wire_append_to_node_head(frame);
    request->id = ++self->requests;
    wire_append_request(frame, request);
}

static void s_send(cost_t *self, session_t session, buffer_t *frame)
{
    if (frame->len == 0)
        return;
    s_begin(self);
    node_receive(self->node, session, frame->bytes, frame->len);
    s_end(self);
    buffer_clear(frame);
}

static session_t s_register(cost_t *self, Ixn__V1__Role role, const char *name)
{
    session_t session = node_session_open(self->node);
    CHECK(session);
    id128_t incarnation = id_hash(name, strlen(name));
    Ixn__V1__Register message = IXN__V1__REGISTER__INIT;
    message.role = role;
    message.name = (char *)name;
    message.incarnation = wire_bytes(&incarnation);
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_REGISTER;
    request.register_ = &message;
    buffer_t frame = {0};
    s_ask(self, &frame, &request);
    s_send(self, session, &frame);
    buffer_free(&frame);
    return session;
}

static void s_load_strategy(cost_t *self)
{
    Ixn__V1__StrategyLoaded loaded = IXN__V1__STRATEGY_LOADED__INIT;
    loaded.strategy = (char *)"classify";
    loaded.version = (char *)"1";
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_STRATEGY_LOADED;
    request.strategy_loaded = &loaded;
    s_ask(self, &self->results, &request);
    s_send(self, self->router, &self->results);
}

static void s_submit(cost_t *self)
{
    uint64_t number = ++self->submits;
    id128_t key = id_hash(&number, sizeof number);
    char external_id[32];
    snprintf(external_id, sizeof external_id, "%" PRIu64, number);
    Ixn__V1__Submit submit = IXN__V1__SUBMIT__INIT;
    submit.key = wire_bytes(&key);
    submit.queue = (char *)"inbound";
    submit.media_type = (char *)"email";
    submit.external_id = external_id;
    submit.attributes.data = (uint8_t *)self->attributes;
    submit.attributes.len = S_PAYLOAD;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_SUBMIT;
    request.submit = &submit;
    s_ask(self, &self->frame, &request);
}

static void s_complete(cost_t *self, const Ixn__V1__Route *route)
{
    Ixn__V1__Stop stop = IXN__V1__STOP__INIT;
    stop.interaction_id = route->interaction->interaction_id;
    stop.token = route->token;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_STOP;
    request.stop = &stop;
    s_ask(self, &self->results, &request);
}

static void s_hear(cost_t *self, const engine_frame_t *frame)
{
    error_t error = {0};
    wire_arena_reset(self->arena);
    Ixn__V1__FromNode *heard = wire_decode_from_node(self->arena, frame->bytes, frame->len, &error);
    CHECK(heard);
    for (size_t i = 0; i < heard->n_messages; i++) {
        const Ixn__V1__Message *message = heard->messages[i];
        CHECK(message->body_case != IXN__V1__MESSAGE__BODY_ERROR);
        if (message->body_case == IXN__V1__MESSAGE__BODY_ROUTE)
            s_complete(self, message->route);
        else if (message->body_case == IXN__V1__MESSAGE__BODY_ACK && frame->session == self->media)
            self->acknowledged++;
        else if (message->body_case == IXN__V1__MESSAGE__BODY_ACK)
            self->completed++;
    }
}

/* ---- Turns ---------------------------------------------------------------------------------- */

static void s_take_image(cost_t *self)
{
    s_begin(self);
    checkpoint_image_t *image = node_next_image(self->node);
    s_end(self);
    if (!image)
        return;
    self->checkpoint = image->to;
    checkpoint_image_destroy(&image);
}

/* A turn, and the commit of what it decided; then everybody hears their answers. */
static void s_turn(cost_t *self)
{
    s_begin(self);
    node_turn_end(self->node, true);
    batch_t *batch = node_next_batch(self->node);
    s_end(self);
    uint64_t last = batch ? batch->last : 0;
    batch_destroy(&batch);
    s_take_image(self);
    self->now += S_TURN;
    self->turns++;
    s_begin(self);
    node_turn_begin(self->node, self->now, S_WALL + self->now);
    if (last > 0)
        node_journal_committed(self->node, last, true);
    if (self->checkpoint > 0)
        node_checkpoint_written(self->node, self->checkpoint);
    s_end(self);
    self->checkpoint = 0;
    for (;;) {
        engine_frame_t frame;
        s_begin(self);
        bool more = node_next_frame(self->node, &frame);
        s_end(self);
        if (!more)
            break;
        s_hear(self, &frame);
        free(frame.bytes);
    }
}

static bool s_is_done(const cost_t *self)
{
    return self->acknowledged == self->submits &&
           (!self->lifecycle || self->completed == self->submits + 1); /* StrategyLoaded's, too */
}

static void s_run(cost_t *self, uint64_t count)
{
    uint64_t end = self->submits + count;
    while (self->submits < end || !s_is_done(self)) {
        for (int i = 0; i < S_PER_TURN && self->submits < end; i++)
            s_submit(self);
        s_send(self, self->media, &self->frame);
        s_send(self, self->router, &self->results);
        s_turn(self);
    }
}

int main(int argc, char **argv)
{
    static cost_t self;
    if (argc != 4 || (strcmp(argv[1], "submit") != 0 && strcmp(argv[1], "lifecycle") != 0)) {
        fprintf(stderr, "usage: node-cost submit|lifecycle WARMUP COUNT\n");
        return 2;
    }
    self.lifecycle = strcmp(argv[1], "lifecycle") == 0;
    self.arena = wire_arena_new();
    self.now = 1000 * USEC_PER_SECOND;
    snprintf(self.attributes, sizeof self.attributes, "{\"from\":\"ann@example.com\",\"text\":\"");
    size_t len = strlen(self.attributes);
    memset(self.attributes + len, 'x', S_PAYLOAD - len);
    snprintf(self.attributes + S_PAYLOAD - 2, 3, "\"}");
    s_start(&self);
    node_turn_begin(self.node, self.now, S_WALL + self.now);
    s_turn(&self);
    self.media = s_register(&self, IXN__V1__ROLE__MEDIA_SERVER, "media");
    if (self.lifecycle) {
        self.router = s_register(&self, IXN__V1__ROLE__ROUTER, "router");
        s_load_strategy(&self);
    }
    s_run(&self, strtoull(argv[2], NULL, 10));
    self.counting = true;
    s_run(&self, strtoull(argv[3], NULL, 10));
    node_destroy(&self.node);
    wire_arena_destroy(&self.arena);
    buffer_free(&self.frame);
    buffer_free(&self.results);
    return 0;
}
