#include "dap/access.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/log.h"

/* Rows between two looks at whether the lane is to end; one is a system call. */
enum { ROWS_A_LOOK = 1024 };

struct access {
    zactor_t *actor;
    int stop; /* an event on it ends what the lane waits for */
};

/* What the owner sends. The last one is ORDER_STOP: after it nothing comes from the lane but what
 * it has said already, and an answer to the order. */
typedef enum {
    ORDER_OBSERVE,
    ORDER_CLAIM,
    ORDER_LOAD,
    ORDER_FOLLOW,
    ORDER_TIMEOUTS, /* is not answered */
    ORDER_STOP,
} order_kind_t;
typedef struct {
    order_kind_t kind;
    access_claim_t claim; /* its texts and batches are the lane's to free */
    database_place_t after;
    instance_t instance; /* FOLLOW */
    uint32_t connect_timeout_ms;
    uint32_t statement_timeout_ms;
    place_t known;       /* OBSERVE */
    guard_stop_t *stops; /* LOAD; the lane's to free */
    size_t stops_len;
} order_t;
#define ACCESS_STOPPED ((access_kind_t)-1) /* the answer to ORDER_STOP; never leaves this file */

/* Owned by the lane's thread. */
typedef struct {
    zsock_t *pipe;
    int stop;
    hand_t *hand;
    char name[CONFIG_NAME_SIZE]; /* of the DAP */
    database_t *database;        /* with this one DAP */
} lane_t;

static bool s_is_stopped(const lane_t *self)
{
    struct pollfd item = {.fd = self->stop, .events = POLLIN};
    return poll(&item, 1, 0) > 0;
}

/* ---- Loading ---- */

typedef struct {
    const lane_t *lane;
    guard_t guard;
    state_t *state;
    wire_arena_t *arena;
    database_status_t status;
    uint64_t rows; /* and batches */
} loading_t;

/* A load that gets its rows without waiting sees nothing of the end otherwise. */
static bool s_goes_on(loading_t *self, error_t *ret_error)
{
    return ++self->rows % ROWS_A_LOOK != 0 || !s_is_stopped(self->lane) ||
           error_set(ret_error, ERROR_DATABASE_UNREACHABLE,
                     "DAP %s: the load was given up, since its lane is closed", self->lane->name);
}

static void s_on_status(void *context, const database_status_t *status)
{
    loading_t *self = context;
    self->status = *status;
}

static bool s_on_checkpoint(void *context, uint64_t index, id128_t hash, usec_t log_time,
                            error_t *ret_error)
{
    loading_t *self = context;
    return state_load_checkpoint(self->state, index, hash, log_time) ||
           error_set(ret_error, ERROR_DATABASE_DIVERGED, "a second checkpoint in one load");
}

static bool s_on_skip(void *context, uint64_t index, id128_t batch_hash, error_t *ret_error)
{
    loading_t *self = context;
    (void)ret_error;
    state_load_skip(self->state, index, batch_hash);
    return true;
}

static bool s_on_configuration(void *context, text_t encoded, error_t *ret_error)
{
    loading_t *self = context;
    return state_load_configuration(self->state, encoded, ret_error);
}

static usec_t s_on_dedupe_window(void *context)
{
    const loading_t *self = context;
    return (usec_t)self->state->configuration->dedupe_window_ms * USEC_PER_MS;
}

static bool s_on_catalog(void *context, const catalog_row_t *row, error_t *ret_error)
{
    loading_t *self = context;
    return state_load_catalog(self->state, row, ret_error);
}

static bool s_on_interaction(void *context, const interaction_row_t *row, error_t *ret_error)
{
    loading_t *self = context;
    return s_goes_on(self, ret_error) && state_load_interaction(self->state, row, ret_error);
}

static bool s_on_service(void *context, const service_row_t *row, error_t *ret_error)
{
    loading_t *self = context;
    return s_goes_on(self, ret_error) && state_load_service(self->state, row, ret_error);
}

static bool s_on_completed(void *context, const interaction_row_t *row, error_t *ret_error)
{
    loading_t *self = context;
    return s_goes_on(self, ret_error) && state_load_completed(self->state, row, ret_error);
}

static bool s_on_batch(void *context, const batch_t *batch, error_t *ret_error)
{
    loading_t *self = context;
    return s_goes_on(self, ret_error) &&
           state_apply_batch(self->state, batch, self->arena, &self->guard, ret_error);
}

static void s_on_progress(void *context, uint64_t interactions, uint64_t batches)
{
    const loading_t *self = context;
    log_info("node.loading", "dap=%s interactions=%" PRIu64 " batches=%" PRIu64, self->lane->name,
             interactions, batches);
}

static void s_load(lane_t *self, const order_t *order, access_event_t *event)
{
    loading_t loading = {.lane = self,
                         .guard = {self->hand, order->stops, order->stops_len},
                         .state = state_new(),
                         .arena = wire_arena_new()};
    const database_load_t callbacks = {.status = s_on_status,
                                       .checkpoint = s_on_checkpoint,
                                       .skip = s_on_skip,
                                       .configuration = s_on_configuration,
                                       .dedupe_window = s_on_dedupe_window,
                                       .catalog = s_on_catalog,
                                       .interaction = s_on_interaction,
                                       .service = s_on_service,
                                       .completed = s_on_completed,
                                       .batch = s_on_batch,
                                       .progress = s_on_progress,
                                       .context = &loading};
    usec_t begun = connection_now();
    event->ok = database_load(self->database, &callbacks, &event->error);
    wire_arena_destroy(&loading.arena);
    if (!event->ok) {
        state_destroy(&loading.state);
        return;
    }
    state_follow_begin(loading.state);
    event->status = loading.status;
    event->state = loading.state;
    log_info("node.loaded",
             "dap=%s interactions=%" PRIu32 " index=%" PRIu64 " checkpoint=%" PRIu64
             " remembered_keys=%zu ms=%" PRId64,
             self->name, loading.state->count, loading.state->index,
             loading.status.checkpoint_index, loading.state->remembered.len,
             (connection_now() - begun) / USEC_PER_MS);
}

/* ---- The other orders ---- */

/* The generation is told also when the claim failed: an outcome that is not known is known again
 * when somebody reads the row. */
static void s_claim(lane_t *self, const access_claim_t *claim, access_event_t *event)
{
    event->generation = id_random();
    const database_claim_t next = {.highest_seen = claim->highest_seen,
                                   .with_head = claim->claim_head,
                                   .generation = event->generation,
                                   .owner = claim->owner,
                                   .reason = claim->reason,
                                   .batches = claim->batches,
                                   .batches_len = claim->batches_len};
    event->ok =
        database_claim(self->database, &claim->judged, &next, &event->status, &event->error);
}

static void s_follow(lane_t *self, const order_t *order, access_event_t *event)
{
    database_follow_t follow;
    event->ok = database_follow(self->database, &order->after, &order->instance,
                                ACCESS_FOLLOW_BYTES, &follow, &event->error);
    if (!event->ok)
        return;
    event->batches = follow.batches;
    event->batches_len = follow.len;
    event->gone = follow.gone;
}

static void s_do(lane_t *self, const order_t *order, access_event_t *event)
{
    usec_t begun = connection_now();
    switch (order->kind) {
    case ORDER_OBSERVE:
        event->kind = ACCESS_OBSERVED;
        event->ok = database_status(self->database, &order->known, &event->status, &event->error);
        break;
    case ORDER_CLAIM:
        event->kind = ACCESS_CLAIMED;
        s_claim(self, &order->claim, event);
        break;
    case ORDER_LOAD:
        event->kind = ACCESS_LOADED;
        s_load(self, order, event);
        break;
    case ORDER_FOLLOW:
        event->kind = ACCESS_FOLLOWED;
        s_follow(self, order, event);
        break;
    case ORDER_TIMEOUTS:
        database_set_timeouts(self->database, order->connect_timeout_ms,
                              order->statement_timeout_ms);
        break;
    case ORDER_STOP:
        event->kind = ACCESS_STOPPED;
        break;
    }
    event->elapsed = connection_now() - begun;
}

/* ---- The thread ---- */

/* The next order; false: the thread is to end. */
static bool s_hear(lane_t *self, order_t *ret_order)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    int size;
    do
        size = zmq_msg_recv(&msg, zsock_resolve(self->pipe), 0);
    while (size < 0 && errno == EINTR);
    /* zactor's "$TERM" is the only other thing there is to hear. */
    bool heard = size == (int)sizeof *ret_order;
    if (heard)
        memcpy(ret_order, zmq_msg_data(&msg), sizeof *ret_order);
    zmq_msg_close(&msg);
    return heard;
}

static void s_order_free(order_t *order)
{
    access_claim_t *claim = &order->claim;
    free((char *)claim->owner);
    free((char *)claim->reason);
    for (size_t i = 0; i < claim->batches_len; i++)
        batch_destroy(&claim->batches[i]);
    free(claim->batches);
    free(order->stops);
}

static void s_say(lane_t *self, const access_event_t *event)
{
    while (zmq_send(zsock_resolve(self->pipe), event, sizeof *event, 0) < 0)
        CHECK(errno == EINTR);
}

static void s_thread(zsock_t *pipe, void *argument)
{
    lane_t *self = argument;
    order_t order;
    self->pipe = pipe;
    hand_bind(self->hand);
    zsock_signal(pipe, 0);
    while (s_hear(self, &order)) {
        access_event_t event = {0};
        s_do(self, &order, &event);
        s_order_free(&order);
        if (order.kind != ORDER_TIMEOUTS)
            s_say(self, &event);
    }
    database_destroy(&self->database);
    free(self);
}

/* ---- The owner ---- */

access_t *access_new(const config_t *config, size_t dap, hand_t *hand)
{
    CHECK(dap < config->daps_len);
    access_t *self = memory_zero(1, sizeof *self);
    self->stop = eventfd(0, EFD_CLOEXEC);
    CHECK(self->stop >= 0);
    lane_t *lane = memory_zero(1, sizeof *lane);
    lane->stop = self->stop;
    lane->hand = hand;
    memcpy(lane->name, config->daps[dap].name, sizeof lane->name);
    lane->database = database_of_dap(config, dap, self->stop);
    self->actor = zactor_new(s_thread, lane);
    CHECK(self->actor);
    return self;
}

static void s_send(access_t *self, const order_t *order)
{
    while (zmq_send(zsock_resolve(self->actor), order, sizeof *order, 0) < 0)
        CHECK(errno == EINTR);
}

static void s_event_free(access_event_t *event)
{
    state_destroy(&event->state);
    for (size_t i = 0; i < event->batches_len; i++)
        batch_destroy(&event->batches[i]);
    free(event->batches);
}

void access_destroy(access_t **self_p)
{
    access_t *self = *self_p;
    if (!self)
        return;
    const order_t stop = {.kind = ORDER_STOP};
    access_event_t event = {0};
    CHECK(eventfd_write(self->stop, 1) == 0);
    s_send(self, &stop);
    /* What was said and not taken holds memory. */
    while (event.kind != ACCESS_STOPPED) {
        if (zmq_recv(zsock_resolve(self->actor), &event, sizeof event, 0) < 0)
            CHECK(errno == EINTR);
        else
            s_event_free(&event);
    }
    zactor_destroy(&self->actor);
    close(self->stop);
    free(self);
    *self_p = NULL;
}

void access_set_timeouts(access_t *self, uint32_t connect_timeout_ms, uint32_t statement_timeout_ms)
{
    const order_t order = {.kind = ORDER_TIMEOUTS,
                           .connect_timeout_ms = connect_timeout_ms,
                           .statement_timeout_ms = statement_timeout_ms};
    s_send(self, &order);
}

void access_observe(access_t *self, const place_t *known)
{
    const order_t order = {.kind = ORDER_OBSERVE, .known = *known};
    s_send(self, &order);
}

void access_claim(access_t *self, const access_claim_t *claim)
{
    order_t order = {.kind = ORDER_CLAIM, .claim = *claim};
    order.claim.owner = memory_text(claim->owner);
    order.claim.reason = memory_text(claim->reason);
    s_send(self, &order);
}

void access_load(access_t *self, const guard_t *guard)
{
    order_t order = {.kind = ORDER_LOAD, .stops_len = guard ? guard->stops_len : 0};
    if (order.stops_len > 0) {
        order.stops = memory_new(order.stops_len * sizeof *order.stops);
        memcpy(order.stops, guard->stops, order.stops_len * sizeof *order.stops);
    }
    s_send(self, &order);
}

void access_follow(access_t *self, uint64_t index, id128_t hash, const instance_t *instance)
{
    const order_t order = {.kind = ORDER_FOLLOW, .after = {index, hash}, .instance = *instance};
    s_send(self, &order);
}

zsock_t *access_socket(access_t *self)
{
    return zactor_sock(self->actor);
}

bool access_next(access_t *self, access_event_t *ret_event)
{
    access_event_t event;
    int size = zmq_recv(zsock_resolve(self->actor), &event, sizeof event, ZMQ_DONTWAIT);
    if (size != (int)sizeof event)
        return false;
    *ret_event = event;
    return true;
}
