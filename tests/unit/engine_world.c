#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/alloc.h"
#include "tests/unit/engine_world_internal.h"

/* In "default": four queues of two strategies, one without. In "other": one of the same names. */
static const char *const s_queues = "in>s1 second>s1 work>s2 parked> other/in>s1";
static const char *const s_routers = "r1 r2 r3 r4";

enum { STEPS = 100000, WALL = 1700000000 };

/* ---- Configuration ---- */

static char *s_word(const char **text, const char *stops)
{
    size_t len = strcspn(*text, stops);
    char *word = memory_zero(1, len + 1);
    memcpy(word, *text, len);
    *text += len;
    return word;
}

static Ixn__V1__QueueConfiguration *s_queue(const char **text)
{
    Ixn__V1__QueueConfiguration *queue = memory_new(sizeof *queue);
    ixn__v1__queue_configuration__init(queue);
    bool tenant = (*text)[strcspn(*text, "/ ")] == '/';
    queue->tenant = tenant ? s_word(text, "/") : memory_text("default");
    *text += tenant;
    queue->name = s_word(text, ">");
    ++*text;
    queue->strategy = s_word(text, "# ");
    if (**text == '#')
        queue->max_length = (uint32_t)strtoul(*text + 1, NULL, 10);
    *text += strcspn(*text, " ");
    *text += strspn(*text, " ");
    return queue;
}

static Ixn__V1__RouterConfiguration *s_router(const char **text)
{
    Ixn__V1__RouterConfiguration *router = memory_new(sizeof *router);
    ixn__v1__router_configuration__init(router);
    router->name = s_word(text, " ");
    router->agent_reservation = true;
    *text += strspn(*text, " ");
    return router;
}

static uint32_t s_or(uint32_t value, uint32_t standard)
{
    return value ? value : standard;
}

static void s_cluster(Ixn__V1__EngineConfiguration *self, const char *members)
{
    if (!members)
        return;
    Ixn__V1__ClusterConfiguration *cluster = memory_new(sizeof *cluster);
    ixn__v1__cluster_configuration__init(cluster);
    cluster->name = memory_text("c");
    cluster->members = memory_zero(20, sizeof *cluster->members);
    char *names = memory_text(members), *rest = names;
    for (char *name = strsep(&rest, " "); name; name = strsep(&rest, " "))
        cluster->members[cluster->n_members++] = memory_text(name);
    free(names);
    self->clusters = memory_zero(1, sizeof *self->clusters);
    self->clusters[self->n_clusters++] = cluster;
}

/* Freed with ixn__v1__engine_configuration__free_unpacked. */
static Ixn__V1__EngineConfiguration *s_configuration(const world_options_t *options)
{
    Ixn__V1__EngineConfiguration *self = memory_new(sizeof *self);
    ixn__v1__engine_configuration__init(self);
    static const char *const tenants[] = {"default", "other"};
    self->tenants = memory_zero(2, sizeof *self->tenants);
    for (; self->n_tenants < 2; self->n_tenants++) {
        Ixn__V1__TenantConfiguration *tenant = memory_new(sizeof *tenant);
        ixn__v1__tenant_configuration__init(tenant);
        tenant->name = memory_text(tenants[self->n_tenants]);
        self->tenants[self->n_tenants] = tenant;
    }
    self->queues = memory_zero(20, sizeof *self->queues);
    for (const char *text = options->queues ? options->queues : s_queues; *text;)
        self->queues[self->n_queues++] = s_queue(&text);
    self->routers = memory_zero(20, sizeof *self->routers);
    for (const char *text = options->routers ? options->routers : s_routers; *text;)
        self->routers[self->n_routers++] = s_router(&text);
    self->routing_timeout_ms = s_or(options->routing_timeout_ms, 60000);
    self->hold_timeout_ms = s_or(options->hold_timeout_ms, 30000);
    self->max_router_attempts = s_or(options->max_router_attempts, 3);
    self->dedupe_window_ms = s_or(options->dedupe_window_ms, 600000);
    self->dedupe_guaranteed_ms = s_or(options->dedupe_guaranteed_ms, 60000);
    self->dedupe_max_keys = s_or(options->dedupe_max_keys, 10000);
    self->max_interactions = s_or(options->max_interactions, 1000);
    self->max_attributes_size = s_or(options->max_attributes_size, 65536);
    self->max_submitted_interactions = s_or(options->max_submitted, 100);
    self->service_timeout_ms = 5000;
    self->service_max_requests = s_or(options->max_requests, 1000);
    self->service_max_requests_per_router = 1000;
    self->service_max_size = 100 << 20;
    self->service_max_attempts = 3;
    self->service_window = s_or(options->window, 100);
    self->service_queue = 100;
    self->service_breaker_failures = 5;
    self->service_breaker_pause_ms = 10000;
    s_cluster(self, options->cluster);
    return self;
}

/* ---- Life ---- */

static void s_act(world_t *self);

static void s_start(world_t *self, state_t *state)
{
    const world_options_t *options = &self->options;
    Ixn__V1__EngineConfiguration *configuration = s_configuration(options);
    uint64_t epoch = ++self->epoch;
    id128_t generation = id_hash(&epoch, sizeof epoch);
    const node_options_t node = {
        .engine = {.state = state,
                   .database_id = id_hash("database", 8),
                   .epoch = epoch,
                   .generation = generation,
                   .node = "node-1",
                   .reason = "test",
                   .heartbeat_ms = s_or(options->heartbeat_ms, 1000),
                   .max_clients = s_or(options->max_clients, 50)},
        .configuration = configuration,
        .retry_after = s_or(options->retry_after_ms, 1000) * USEC_PER_MS,
        .max_unfinished = options->max_unfinished ? options->max_unfinished : 16 << 20,
        .checkpoint_interval = USEC_PER_SECOND,
        .checkpoint_max_lag = options->checkpoint_max_lag ? options->checkpoint_max_lag : 1 << 30,
        .beat = options->beat_ms * USEC_PER_MS,
        .boot_time = self->now,
        .wall_time = WALL * USEC_PER_SECOND + self->now,
    };
    self->node = node_new(&node);
    ixn__v1__engine_configuration__free_unpacked(configuration, NULL);
    self->in_turn = false;
    s_act(self);
}

world_t *world_new(const world_options_t *options)
{
    world_t *self = memory_zero(1, sizeof *self);
    self->options = options ? *options : (world_options_t){0};
    self->arena = wire_arena_new();
    self->tables = engine_tables_new();
    self->now = 1000 * USEC_PER_SECOND;
    s_start(self, state_new());
    world_settle(self);
    return self;
}

void world_free(world_t **self_p)
{
    world_t *self = *self_p;
    node_destroy(&self->node);
    batch_destroy(&self->in_flight);
    for (size_t i = 0; i < self->journal_len; i++)
        batch_destroy(&self->journal[i]);
    if (self->waiting)
        checkpoint_image_destroy(&self->waiting);
    engine_tables_destroy(&self->tables);
    wire_arena_destroy(&self->arena);
    buffer_free(&self->told);
    free(self->journal);
    free(self->asked);
    free(self->named);
    free(self->tokens);
    free(self);
    *self_p = NULL;
}

node_t *world_node(world_t *self)
{
    return self->node;
}

engine_t *world_engine(world_t *self)
{
    return node_engine(self->node);
}

void world_restart(world_t *self, const world_options_t *options, bool from_tables)
{
    node_destroy(&self->node);
    batch_destroy(&self->in_flight);
    if (self->waiting)
        checkpoint_image_destroy(&self->waiting);
    self->connections_len = 0;
    self->written = 0;
    for (size_t i = 0; i < self->asked_len; i++)
        self->asked[i].answered = true; /* nobody waits any more */
    if (options)
        self->options = *options;
    state_t *state = state_new();
    if (from_tables) {
        engine_tables_load(self->tables, state);
    } else { /* the state's next image begins anew */
        engine_tables_destroy(&self->tables);
        self->tables = engine_tables_new();
    }
    error_t error = {0};
    for (size_t i = 0; i < self->journal_len; i++) {
        const batch_t *batch = self->journal[i];
        if (batch->last > state->index)
            cr_assert(state_apply_batch(state, batch, self->arena, NULL, &error), "%s", error.text);
    }
    s_start(self, state);
}

void world_reboot(world_t *self)
{
    self->now = USEC_PER_SECOND;
    world_restart(self, NULL, false);
}

void world_checkpoint(world_t *self)
{
    cr_assert(self->waiting, "no image waits");
    self->written = engine_tables_write(self->tables, self->waiting);
    self->waiting = NULL;
}

/* ---- Connections ---- */

connection_t *world_find(const world_t *self, const char *who)
{
    for (size_t i = 0; i < self->connections_len; i++)
        if (strcmp(self->connections[i].who, who) == 0)
            return (connection_t *)&self->connections[i];
    return NULL;
}

const char *world_who(const world_t *self, session_t session)
{
    for (size_t i = 0; i < self->connections_len; i++)
        if (self->connections[i].session == session)
            return self->connections[i].who;
    return NULL;
}

static void s_forget_connection(world_t *self, session_t session)
{
    for (size_t i = 0; i < self->connections_len; i++) {
        if (self->connections[i].session != session)
            continue;
        for (size_t j = 0; j < self->asked_len; j++)
            if (strcmp(self->asked[j].who, self->connections[i].who) == 0)
                self->asked[j].answered = true;
        memmove(&self->connections[i], &self->connections[i + 1],
                (--self->connections_len - i) * sizeof *self->connections);
        return;
    }
}

void world_begin(world_t *self)
{
    if (self->in_turn)
        return;
    self->in_turn = true;
    node_turn_begin(self->node, self->now, WALL * USEC_PER_SECOND + self->now);
    if (self->written)
        node_checkpoint_written(self->node, self->written);
    self->written = 0;
}

bool world_connected(const world_t *self, const char *who)
{
    return world_find(self, who) != NULL;
}

bool world_connect(world_t *self, const char *who)
{
    world_begin(self);
    session_t session = node_session_open(self->node);
    if (!session)
        return false;
    cr_assert(!world_find(self, who), "%s is connected already", who);
    connection_t *connection = &self->connections[self->connections_len++];
    *connection = (connection_t){.session = session};
    snprintf(connection->who, sizeof connection->who, "%s", who);
    return true;
}

void world_lose(world_t *self, const char *who)
{
    world_begin(self);
    connection_t *connection = world_find(self, who);
    cr_assert(connection, "%s is not connected", who);
    session_t session = connection->session;
    node_session_lost(self->node, session);
    s_forget_connection(self, session);
}

/* ---- Turns ---- */

static void s_hear_from(world_t *self, session_t session, engine_frame_t *frames, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!frames[i].bytes || (session && frames[i].session != session))
            continue;
        world_hear(self, &frames[i]);
        free(frames[i].bytes);
        frames[i].bytes = NULL;
    }
}

/* In the order in which they connected, so that tests can compare; the node promises an order to
 * each of them only. */
static void s_hear_all(world_t *self)
{
    engine_frame_t *frames = NULL;
    size_t len = 0;
    engine_frame_t frame;
    while (node_next_frame(self->node, &frame)) {
        frames = memory_resize(frames, (len + 1) * sizeof *frames);
        frames[len++] = frame;
    }
    for (size_t i = 0; i < self->connections_len; i++)
        s_hear_from(self, self->connections[i].session, frames, len);
    s_hear_from(self, 0, frames, len);
    free(frames);
}

static void s_act(world_t *self)
{
    batch_t *batch = node_next_batch(self->node);
    if (batch) {
        cr_assert(!self->in_flight, "two batches in flight");
        cr_assert(batch->entries.len <= LIMIT_BATCH, "batch of %zu bytes", batch->entries.len);
        cr_assert(batch->last - batch->first < LIMIT_BATCH_ENTRIES, "batch of too many entries");
        self->in_flight = batch;
    }
    s_hear_all(self);
    session_t session;
    while (node_next_ended(self->node, &session)) {
        const char *who = world_who(self, session);
        if (who && !self->observer.heard)
            buffer_printf(&self->told, "%s: (ended)\n", who);
        s_forget_connection(self, session);
    }
    checkpoint_image_t *image = node_next_image(self->node);
    if (image && self->options.no_checkpoints)
        self->waiting = image;
    else if (image)
        self->written = engine_tables_write(self->tables, image);
}

static void s_end(world_t *self, bool drained)
{
    world_begin(self);
    node_turn_end(self->node, drained);
    self->in_turn = false;
    s_act(self);
}

void world_turn(world_t *self)
{
    s_end(self, true);
}

void world_turn_undrained(world_t *self)
{
    s_end(self, false);
}

static void s_commit(world_t *self, bool clean)
{
    cr_assert(self->in_flight, "nothing is in flight");
    batch_t *batch = self->in_flight;
    self->in_flight = NULL;
    self->journal = memory_resize(self->journal, (self->journal_len + 1) * sizeof *self->journal);
    self->journal[self->journal_len++] = batch;
    if (self->observer.committed)
        self->observer.committed(self->observer.context, batch);
    world_begin(self);
    node_journal_committed(self->node, batch->last, clean);
    s_end(self, true);
}

void world_commit(world_t *self)
{
    s_commit(self, true);
}

void world_commit_unclean(world_t *self)
{
    s_commit(self, false);
}

bool world_in_flight(const world_t *self)
{
    return self->in_flight != NULL;
}

void world_settle(world_t *self)
{
    world_turn(self);
    for (int i = 0; self->in_flight || node_next_wakeup(self->node) == self->now; i++) {
        cr_assert(i < STEPS, "never settles");
        if (self->in_flight)
            world_commit(self);
        else
            world_turn(self);
    }
}

void world_wait(world_t *self, uint32_t ms)
{
    cr_assert(!self->in_turn, "time passes between turns only");
    self->now += ms * USEC_PER_MS;
}

void world_pass(world_t *self, uint32_t ms)
{
    for (uint32_t step = 100; ms > 0; ms -= step) {
        step = ms < step ? ms : step;
        world_wait(self, step);
        for (size_t i = 0; i < self->connections_len; i++) {
            world_ping(self, self->connections[i].who);
            self->asked[self->asked_len - 1].untold = true;
        }
        world_settle(self);
    }
}
