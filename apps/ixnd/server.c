#include "apps/ixnd/server.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "apps/ixnd/transport.h"
#include "core/base/alloc.h"
#include "core/base/log.h"
#include "core/configuration.h"
#include "dap/checkpoint_writer.h"
#include "dap/connection.h"
#include "dap/journal.h"
#include "ha/node.h"

enum {
    FRAMES_A_TURN = 500,
    PROBE_MS = 1,
    STOP_MS = 3000,            /* at most so long an orderly stop waits for commits in flight */
    FIGURES_US = 10 * 1000000, /* a line of figures in the log, when something happened */
};

typedef struct {
    const config_t *config;
    node_t *node;
    transport_t *transport;
    journal_t *journal;
    checkpoint_writer_t *writer;
    bool receive_at_once; /* the last turn left frames in the socket */
    bool failed;          /* must not go on */
    error_t error;
    usec_t figures_at;
    engine_figures_t told; /* figures of the last line */
} server_t;

static usec_t s_wall_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * USEC_PER_SECOND + now.tv_nsec / 1000;
}

/* ---- Inputs ---- */

static void s_answer_busy(server_t *self)
{
    engine_frame_t busy;
    node_busy_frame(self->node, &busy);
    transport_answer(self->transport, &busy);
}

/* Hands in what has arrived, a bounded number of frames; true when that was all. */
static bool s_receive(server_t *self)
{
    for (int i = 0; i < FRAMES_A_TURN; i++) {
        if (!node_may_receive(self->node))
            return false;
        transport_frame_t frame;
        if (!transport_receive(self->transport, &frame))
            return true;
        if (frame.replaced)
            node_session_lost(self->node, frame.replaced);
        if (!frame.session) {
            frame.session = node_session_open(self->node);
            if (!frame.session) {
                s_answer_busy(self);
                continue;
            }
            transport_bind_session(self->transport, frame.session);
        }
        node_receive(self->node, frame.session, frame.bytes, frame.len);
    }
    return false;
}

static void s_lost_connections(server_t *self)
{
    session_t session;
    while ((session = transport_next_lost(self->transport))) {
        node_session_lost(self->node, session);
        transport_forget(self->transport, session);
    }
}

static void s_fail(server_t *self, const error_t *error)
{
    self->failed = true;
    self->error = *error;
}

static void s_journal_events(server_t *self)
{
    journal_event_t event;
    while (journal_next(self->journal, &event)) {
        switch (event.kind) {
        case JOURNAL_COMMITTED:
            node_journal_committed(self->node, event.index, event.clean);
            break;
        case JOURNAL_WAITING:
            log_warning("journal.waiting", "error=\"%s\"", event.error.text);
            break;
        case JOURNAL_RESUMED:
            log_info("journal.resumed", "index=%" PRIu64, event.index);
            break;
        case JOURNAL_FENCED:
        case JOURNAL_WRONG:
        case JOURNAL_DIVERGED:
            s_fail(self, &event.error);
            return;
        }
    }
}

static void s_checkpoint_events(server_t *self)
{
    checkpoint_event_t event;
    while (checkpoint_writer_next(self->writer, &event)) {
        switch (event.kind) {
        case CHECKPOINT_WRITTEN:
            node_checkpoint_written(self->node, event.index);
            log_debug("checkpoint.written", "index=%" PRIu64 " rows=%zu us=%" PRId64, event.index,
                      event.rows, event.elapsed);
            break;
        case CHECKPOINT_WAITING:
            log_warning("checkpoint.waiting", "error=\"%s\"", event.error.text);
            break;
        case CHECKPOINT_REFUSED:
            log_error("checkpoint.refused", "error=\"%s\"", event.error.text);
            break;
        case CHECKPOINT_FENCED:
            s_fail(self, &event.error);
            return;
        }
    }
}

/* ---- Actions ---- */

/* Frames before ended sessions: a session that ends may still hear why. */
static void s_act(server_t *self)
{
    batch_t *batch;
    while ((batch = node_next_batch(self->node)))
        journal_append(self->journal, batch);
    checkpoint_image_t *image = node_next_image(self->node);
    if (image)
        checkpoint_writer_write(self->writer, image);
    engine_frame_t frame;
    while (node_next_frame(self->node, &frame))
        if (!transport_send(self->transport, &frame))
            node_session_lost(self->node, frame.session);
    session_t session;
    while (node_next_ended(self->node, &session))
        transport_forget(self->transport, session);
}

static void s_log_figures(server_t *self, usec_t now)
{
    if (now < self->figures_at)
        return;
    self->figures_at = now + FIGURES_US;
    engine_figures_t figures = engine_figures(node_engine(self->node));
    if (figures.submitted == self->told.submitted && figures.completed == self->told.completed)
        return;
    node_figures_t node = node_figures(self->node);
    state_memory_t memory = state_memory(engine_state(node_engine(self->node)));
    log_info("node.figures",
             "submitted=%" PRIu64 " dispatched=%" PRIu64 " completed=%" PRIu64 " returned=%" PRIu64
             " refused=%" PRIu64 " unfinished=%" PRIu32 " sessions=%" PRIu32 " routers=%" PRIu32
             " index=%" PRIu64 " checkpoint=%" PRIu64 " batches=%" PRIu64
             " record_bytes=%zu text_bytes=%zu index_bytes=%zu remembered_bytes=%zu",
             figures.submitted, figures.dispatched, figures.completed, figures.returned,
             figures.refused, engine_state(node_engine(self->node))->count, figures.sessions,
             figures.routers, node.index, node.checkpoint, node.batches, memory.records,
             memory.texts, memory.indexes, memory.remembered);
    self->told = figures;
}

static long s_wait_ms(server_t *self, usec_t now)
{
    if (self->receive_at_once && node_may_receive(self->node))
        return 0;
    usec_t until = node_next_wakeup(self->node);
    long ms = until <= now ? 0 : (long)((until - now + 999) / 1000);
    return transport_has_suspects(self->transport) && ms > PROBE_MS ? PROBE_MS : ms;
}

static void s_turn(server_t *self, bool receive)
{
    zmq_pollitem_t items[] = {
        {zsock_resolve(journal_socket(self->journal)), 0, ZMQ_POLLIN, 0},
        {zsock_resolve(checkpoint_writer_socket(self->writer)), 0, ZMQ_POLLIN, 0},
        {transport_monitor(self->transport), 0, ZMQ_POLLIN, 0},
        {transport_socket(self->transport), 0, ZMQ_POLLIN, 0},
    };
    bool listen = receive && node_may_receive(self->node);
    zmq_poll(items, listen ? 4 : 3, s_wait_ms(self, connection_now()));
    usec_t now = connection_now();
    node_turn_begin(self->node, now, s_wall_time());
    s_journal_events(self);
    s_checkpoint_events(self);
    if (self->failed)
        return; /* fenced: nothing more may leave */
    s_lost_connections(self);
    bool drained = receive && s_receive(self);
    self->receive_at_once = receive && !drained;
    node_turn_end(self->node, drained);
    s_act(self);
    s_log_figures(self, now);
}

/* ---- Life ---- */

static bool s_open(server_t *self, started_t *started)
{
    const config_t *config = self->config;
    self->transport = transport_new(config->client_endpoint, &self->error);
    if (!self->transport) {
        state_destroy(&started->state);
        return false;
    }
    Ixn__V1__EngineConfiguration *configuration = configuration_of(config);
    const journal_options_t journal = {.config = config,
                                       .identity = started->database.identity,
                                       .epoch = started->database.epoch,
                                       .generation = started->generation,
                                       .head_index = started->state->index,
                                       .head_hash = started->state->hash};
    const checkpoint_writer_options_t writer = {.config = config,
                                                .identity = started->database.identity,
                                                .generation = started->generation};
    const node_options_t options = {
        .engine = {.state = started->state,
                   .database_id = started->database.identity.database_id,
                   .epoch = started->database.epoch,
                   .generation = started->generation,
                   .node = config->node_name,
                   .reason = started->reason,
                   .heartbeat_ms = config->heartbeat_ms,
                   .max_clients = config->max_clients},
        .configuration = configuration,
        .retry_after = config->retry_after_ms * USEC_PER_MS,
        .max_unfinished = config->max_unfinished_size,
        .checkpoint_interval = config->checkpoint_interval_ms * USEC_PER_MS,
        .checkpoint_max_lag = config->checkpoint_max_lag_size,
        .beat = USEC_PER_SECOND,
        .boot_time = connection_now(),
        .wall_time = s_wall_time(),
    };
    self->journal = journal_new(&journal);
    self->writer = checkpoint_writer_new(&writer);
    self->node = node_new(&options);
    configuration_destroy(&configuration);
    return true;
}

/* What was decided is committed and told before the process ends; a database that is away must not
 * keep it from ending. */
static void s_finish(server_t *self)
{
    usec_t until = connection_now() + STOP_MS * USEC_PER_MS;
    while (!self->failed && connection_now() < until) {
        node_figures_t figures = node_figures(self->node);
        if (figures.unfinished == 0)
            break;
        s_turn(self, false);
    }
}

static void s_close(server_t *self)
{
    journal_destroy(&self->journal);
    checkpoint_writer_destroy(&self->writer);
    node_destroy(&self->node);
    transport_destroy(&self->transport);
}

bool server_run(const config_t *config, started_t *started, const volatile sig_atomic_t *stop,
                error_t *ret_error)
{
    server_t self = {.config = config, .figures_at = connection_now() + FIGURES_US};
    if (s_open(&self, started)) {
        log_info("node.serving", "node=\"%s\" epoch=%" PRIu64 " index=%" PRIu64 " endpoint=%s",
                 config->node_name, started->database.epoch, node_figures(self.node).index,
                 config->client_endpoint);
        s_act(&self);
        while (!*stop && !self.failed)
            s_turn(&self, true);
        if (!self.failed)
            s_finish(&self);
        self.failed = self.failed || !*stop;
    } else {
        self.failed = true;
    }
    bool ok = !self.failed;
    *ret_error = self.error;
    s_close(&self);
    return ok;
}
