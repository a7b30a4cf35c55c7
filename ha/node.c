#include "ha/node.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/mutation.h"
#include "ha/patience.h"
#include "ha/waits.h"

enum { IMAGE_ROWS_A_TURN = 1000, TICK_US = 50 * 1000 };

struct node {
    node_options_t options;
    engine_t *engine;
    wire_arena_t *arena;
    usec_t now;        /* boot time of this turn */
    usec_t log_offset; /* log time - boot time */
    bool more;
    bool held;
    bool beat_needed; /* an unclean commit waits for a clean one behind it */
    /* journal */
    batch_t *batch;     /* closed, to be taken by the shell */
    uint64_t in_flight; /* last index handed to the journal and not committed yet; 0: none */
    size_t in_flight_bytes;
    usec_t in_flight_since; /* also of the last one */
    /* checkpoint */
    checkpoint_image_t *image; /* complete; waits for its commit or for the shell */
    bool image_out;            /* with the shell */
    usec_t checkpoint_at;
    size_t lag_bytes;          /* decided since the last written image began */
    size_t lag_bytes_at_begin; /* part of it that belongs to the image in work */
    waits_t waits;             /* submits for their commit */
    patience_t patience;
    uint64_t submitted; /* of them, those that were decided before this turn */
    node_figures_t figures;
};

static void s_take_batch(node_t *self, batch_t *batch)
{
    if (!batch)
        return;
    CHECK(!self->batch && !self->in_flight);
    self->batch = batch;
    self->in_flight = batch->last;
    self->in_flight_bytes = batch->entries.len;
    self->in_flight_since = self->now;
    self->lag_bytes += batch->entries.len;
    self->figures.batches++;
}

node_t *node_new(const node_options_t *options)
{
    node_t *self = memory_zero(1, sizeof *self);
    self->options = *options;
    self->engine = engine_new(&options->engine);
    self->arena = wire_arena_new();
    self->now = options->boot_time;
    state_t *state = engine_state(self->engine);
    self->log_offset = state->log_time - options->boot_time;
    self->checkpoint_at = self->now;
    self->figures.committed = state->index;
    self->figures.checkpoint = options->checkpoint;
    node_turn_begin(self, options->boot_time, options->wall_time);
    engine_start(self->engine, options->configuration);
    node_turn_end(self, false);
    return self;
}

void node_destroy(node_t **self_p)
{
    node_t *self = *self_p;
    if (!self)
        return;
    batch_destroy(&self->batch);
    if (self->image)
        checkpoint_image_destroy(&self->image);
    wire_arena_destroy(&self->arena);
    engine_destroy(&self->engine);
    free(self);
    *self_p = NULL;
}

engine_t *node_engine(node_t *self)
{
    return self->engine;
}

/* ---- Inputs ---- */

/* Commits that take too long, and a checkpoint that falls behind, are told to clients instead of
 * being waited for in silence. */
static void s_set_pressure(node_t *self)
{
    bool slow = self->in_flight && self->now - self->in_flight_since > self->options.retry_after;
    engine_set_retry(self->engine,
                     slow ? "the database does not commit now; ask again with the same key" : NULL);
    bool behind = self->lag_bytes > self->options.checkpoint_max_lag;
    engine_set_busy(self->engine, behind ? "the checkpoint is further behind than "
                                           "checkpoint.max_lag_size allows"
                                         : NULL);
    self->figures.retrying = slow;
}

void node_turn_begin(node_t *self, usec_t boot_time, usec_t wall_time)
{
    bool stood_still = self->options.gap && boot_time - self->now > self->options.gap;
    /* While nothing is committed no result can be accepted and no client heard, nor while this node
     * itself is frozen: the time in the log stands still, so that nothing falls due for it. */
    if ((self->figures.retrying || stood_still) && boot_time > self->now)
        self->log_offset -= boot_time - self->now;
    self->now = boot_time;
    usec_t log_time = boot_time + self->log_offset;
    if (MUTATION(WALL_CLOCK))
        log_time += wall_time - self->options.wall_time - (boot_time - self->options.boot_time);
    engine_turn_begin(self->engine, log_time, wall_time);
    s_set_pressure(self);
    /* Another node may serve by now. Whatever this turn wants to tell waits for this entry's
     * commit, which only the epoch's owner gets. */
    if (stood_still && !self->held && !engine_batch_open(self->engine))
        engine_beat(self->engine);
}

session_t node_session_open(node_t *self)
{
    return engine_session_open(self->engine);
}

void node_session_lost(node_t *self, session_t session)
{
    engine_session_lost(self->engine, session);
}

void node_receive(node_t *self, session_t session, const uint8_t *bytes, size_t len)
{
    error_t error = {0};
    desk_t *desk = self->options.desk;
    hand_begin_frame(desk, bytes, len);
    wire_arena_reset(self->arena);
    Ixn__V1__ToNode *frame = wire_decode_to_node(self->arena, bytes, len, &error);
    if (!frame) {
        self->figures.malformed++;
        engine_turn_away(self->engine, session, 0, &error);
    }
    if (frame)
        patience_heard(&self->patience, session, frame->n_requests, self->now);
    for (size_t i = 0; frame && i < frame->n_requests; i++) {
        hand_begin_request(desk, i);
        engine_request(self->engine, session, frame->requests[i]);
    }
    hand_end_frame(desk, frame ? frame->n_requests : 0);
}

void node_refuse(node_t *self, session_t session, uint64_t request, const error_t *error)
{
    engine_turn_away(self->engine, session, request, error);
}

const char *node_session_name(const node_t *self, session_t session)
{
    return engine_session_name(self->engine, session);
}

void node_set_crowded(node_t *self, bool crowded)
{
    self->patience.crowded = crowded;
}

void node_journal_committed(node_t *self, uint64_t index, bool clean)
{
    CHECK(index == self->in_flight);
    latency_add(&self->figures.commit, self->now - self->in_flight_since, 1);
    self->in_flight = 0;
    self->in_flight_bytes = 0;
    self->beat_needed = !clean;
    if (!clean)
        return;
    self->figures.committed = index;
    waits_end(&self->waits, index, self->now, &self->figures.submit);
    engine_committed(self->engine, index);
    s_set_pressure(self); /* what comes in this turn already finds it mended */
}

void node_checkpoint_written(node_t *self, uint64_t index)
{
    self->image_out = false;
    self->figures.checkpoint = index;
    self->lag_bytes -= self->lag_bytes_at_begin;
    self->lag_bytes_at_begin = 0;
}

void node_set(node_t *self, const node_settings_t *settings)
{
    node_options_t *options = &self->options;
    options->retry_after = settings->retry_after;
    options->max_unfinished = settings->max_unfinished;
    options->checkpoint_interval = settings->checkpoint_interval;
    options->checkpoint_max_lag = settings->checkpoint_max_lag;
    options->beat = settings->beat;
    options->gap = settings->gap;
    engine_set_clients(self->engine, settings->heartbeat_ms, settings->max_clients);
}

bool node_check_configuration(const node_t *self, const Ixn__V1__EngineConfiguration *configuration,
                              error_t *ret_error)
{
    if (self->held)
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "this node hands over now; ask again, on both nodes, when that is done");
    return engine_check_configuration(self->engine, configuration, ret_error);
}

void node_configure(node_t *self, const Ixn__V1__EngineConfiguration *configuration)
{
    engine_configure(self->engine, configuration);
}

void node_hold(node_t *self, const char *sentence)
{
    self->held = sentence != NULL;
    engine_hold(self->engine, sentence);
}

bool node_is_drained(const node_t *self)
{
    return !self->batch && !self->in_flight && !engine_batch_open(self->engine) && !self->image &&
           !self->image_out;
}

batch_t *node_abandon(node_t *self)
{
    node_hold(self, "this node serves no more");
    return engine_turn_end(self->engine, true, &self->more);
}

bool node_may_receive(const node_t *self)
{
    size_t unfinished = self->in_flight_bytes + engine_open_bytes(self->engine);
    return self->figures.retrying ||
           (unfinished < self->options.max_unfinished && engine_may_receive(self->engine));
}

/* ---- The end of a turn ---- */

static void s_checkpoint(node_t *self)
{
    state_t *state = engine_state(self->engine);
    if (state_image_in_work(state)) {
        self->image = state_image_step(state, IMAGE_ROWS_A_TURN);
        return;
    }
    /* Only at the end of a batch is the state as of an index. */
    if (self->held || self->image || self->image_out || engine_batch_open(self->engine) ||
        self->now < self->checkpoint_at || !state_image_needed(state))
        return;
    self->checkpoint_at = self->now + self->options.checkpoint_interval;
    self->lag_bytes_at_begin = self->lag_bytes;
    state_image_begin(state);
    self->image = state_image_step(state, IMAGE_ROWS_A_TURN);
}

static bool s_can_take(node_t *self)
{
    if (self->in_flight)
        return false;
    /* What ends sooner the sooner it is committed does not wait. */
    bool urgent = self->held || self->beat_needed;
    return urgent || !patience_waits(&self->patience, self->now);
}

static void s_end_turn(node_t *self, bool drained)
{
    engine_tick(self->engine, drained);
    uint64_t submitted = engine_figures(self->engine).submitted;
    waits_add(&self->waits, engine_index(self->engine), self->now, submitted - self->submitted);
    self->submitted = submitted;
    bool can_take = s_can_take(self);
    bool idle = self->options.beat && self->now - self->in_flight_since >= self->options.beat;
    bool beat = self->beat_needed || (idle && !self->held);
    if (can_take && beat && !engine_batch_open(self->engine))
        engine_beat(self->engine);
    s_take_batch(self, engine_turn_end(self->engine, can_take, &self->more));
    if (!engine_batch_open(self->engine))
        patience_end(&self->patience);
    s_checkpoint(self);
}

void node_turn_end(node_t *self, bool drained)
{
    hand_begin_turn(self->options.desk);
    s_end_turn(self, drained);
    hand_end_turn(self->options.desk);
}

/* ---- Actions ---- */

batch_t *node_next_batch(node_t *self)
{
    batch_t *batch = self->batch;
    self->batch = NULL;
    return batch;
}

checkpoint_image_t *node_next_image(node_t *self)
{
    if (!self->image || self->image->to > self->figures.committed)
        return NULL;
    checkpoint_image_t *image = self->image;
    self->image = NULL;
    self->image_out = true;
    return image;
}

bool node_next_frame(node_t *self, engine_frame_t *ret_frame)
{
    return engine_next_frame(self->engine, ret_frame);
}

bool node_next_ended(node_t *self, session_t *ret_session)
{
    return engine_next_ended(self->engine, ret_session);
}

void node_busy_frame(node_t *self, engine_frame_t *ret_frame)
{
    Ixn__V1__Busy busy = IXN__V1__BUSY__INIT;
    busy.after_ms = 1000;
    busy.sentence = (char *)"as many clients as limits.max_clients allows are connected";
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_BUSY;
    message.busy = &busy;
    buffer_t bytes = {0};
    wire_append_from_node_head(&bytes, self->options.engine.epoch, self->figures.committed);
    wire_append_message(&bytes, &message);
    *ret_frame = (engine_frame_t){0, bytes.bytes, bytes.len};
}

usec_t node_next_wakeup(const node_t *self)
{
    if (self->more && !self->in_flight)
        return self->now;
    if (state_image_in_work(engine_state(self->engine)))
        return self->now;
    usec_t tick = self->now + TICK_US;
    if (self->patience.since)
        tick = self->patience.since + PATIENCE_US;
    if (!self->options.beat || self->held || self->in_flight)
        return tick;
    usec_t beat = self->in_flight_since + self->options.beat;
    return beat < tick ? beat : tick;
}

node_figures_t node_figures(const node_t *self)
{
    node_figures_t figures = self->figures;
    figures.index = engine_index(self->engine);
    figures.unfinished = self->in_flight_bytes + engine_open_bytes(self->engine);
    figures.lag = self->lag_bytes;
    return figures;
}
