#include "apps/ixnd/server.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apps/ixnd/server_internal.h"
#include "core/base/log.h"
#include "core/configuration.h"
#include "dap/connection.h"
#include "dap/opening.h"
#include "ha/intake.h"

enum {
    FIGURES_US = 10 * 1000000, /* a line of figures in the log, when something happened */
};

static usec_t s_wall_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * USEC_PER_SECOND + now.tv_nsec / 1000;
}

/* ---- Clients ---- */

/* A frame of a connection that has no session yet: what the pair answers itself, or the beginning
 * of a session. */
static void s_visit(server_t *self, transport_frame_t *frame)
{
    engine_frame_t answer;
    if (server_visit(self, frame->bytes, frame->len, &answer) ||
        pair_visit(self->pair, frame->bytes, frame->len, &answer)) {
        transport_answer(self->transport, &answer);
        return;
    }
    frame->session = pair_session_open(self->pair);
    if (!frame->session) {
        pair_busy_frame(self->pair, &answer);
        transport_answer(self->transport, &answer);
        return;
    }
    transport_bind_session(self->transport, frame->session);
    pair_receive(self->pair, frame->session, frame->bytes, frame->len);
}

/* Hands in what has arrived, as far as one turn may; true when that was all. ZeroMQ takes the
 * connections in turn: one that sends much holds up the others by its first frame only. */
static bool s_receive(server_t *self)
{
    intake_t intake = {0};
    while (intake_may(&intake, connection_now())) {
        if (!pair_may_receive(self->pair))
            return false;
        transport_frame_t frame;
        self->stirred[INLET_CLIENTS] =
            self->stirred[INLET_CLIENTS] && transport_receive(self->transport, &frame);
        if (!self->stirred[INLET_CLIENTS])
            return true;
        if (frame.replaced)
            pair_session_lost(self->pair, frame.replaced);
        if (frame.session)
            pair_receive(self->pair, frame.session, frame.bytes, frame.len);
        else
            s_visit(self, &frame);
    }
    return false;
}

static void s_lost_connections(server_t *self)
{
    session_t session;
    if (self->stirred[INLET_CLOSED])
        transport_watch(self->transport);
    self->stirred[INLET_CLOSED] = false;
    while ((session = transport_next_lost(self->transport)))
        pair_session_lost(self->pair, session);
}

/* ---- The loop ---- */

static void s_log_figures(server_t *self, usec_t now)
{
    node_t *node = pair_node(self->pair);
    if (now < self->figures_at || !node)
        return;
    self->figures_at = now + FIGURES_US;
    engine_figures_t figures = engine_figures(node_engine(node));
    if (figures.submitted == self->told.submitted && figures.completed == self->told.completed)
        return;
    node_figures_t of_node = node_figures(node);
    const state_t *state = pair_state(self->pair);
    state_memory_t memory = state_memory(state);
    log_info("node.figures",
             "submitted=%" PRIu64 " dispatched=%" PRIu64 " completed=%" PRIu64 " returned=%" PRIu64
             " refused=%" PRIu64 " unfinished=%" PRIu32 " sessions=%" PRIu32 " routers=%" PRIu32
             " index=%" PRIu64 " checkpoint=%" PRIu64 " batches=%" PRIu64
             " record_bytes=%zu text_bytes=%zu index_bytes=%zu remembered_bytes=%zu",
             figures.submitted, figures.dispatched, figures.completed, figures.returned,
             figures.refused, state->count, figures.sessions, figures.routers, of_node.index,
             of_node.checkpoint, of_node.batches, memory.records, memory.texts, memory.indexes,
             memory.remembered);
    self->told = figures;
}

static void s_turn(server_t *self, const server_signals_t *signals)
{
    server_wait(self);
    usec_t now = connection_now();
    pair_turn_begin(self->pair, now, s_wall_time());
    pair_set_crowded(self->pair, crowding_look(&self->crowding, now));
    pair_set_unread(self->pair, transport_unread(self->transport, 0));
    if (*signals->reload) {
        *signals->reload = 0;
        supervisor_reloading();
        server_reload(self);
        supervisor_ready();
    }
    if (*signals->stop && !self->stop_said) {
        self->stop_said = true;
        supervisor_stopping();
        pair_stop(self->pair);
    }
    server_hear_lanes(self);
    s_lost_connections(self);
    bool drained = s_receive(self);
    pair_turn_end(self->pair, drained);
    server_act(self);
    supervisor_turn(&self->supervisor, self->pair, now);
    s_log_figures(self, now);
}

/* ---- Life ---- */

static bool s_recall(const config_t *config, pair_options_t *options, error_t *ret_error)
{
    memory_result_t result = identity_recall(config->state_dir, &options->memory, ret_error);
    options->has_memory = result == MEMORY_READ;
    return result != MEMORY_BROKEN;
}

static bool s_open_pair(server_t *self, error_t *ret_error)
{
    const config_t *config = self->config;
    char url[CONFIG_PATH_SIZE];
    admin_url(config, url);
    pair_options_t options = {
        .name = config->node_name,
        .client_endpoint = config->client_endpoint,
        .admin_url = url,
        .has_peer = config->has_peer,
        .preferred = config->preferred,
        .manual = config->failover_manual,
        .incarnation = id_random(),
        .has_database_id = config->has_database_id,
        .database_id = config->database_id,
        .failover_timeout = config->failover_timeout_ms * USEC_PER_MS,
        .heartbeat = config->peer_heartbeat_ms * USEC_PER_MS,
        .beat = config->beat_ms * USEC_PER_MS,
        .node = server_node_options(config),
        .poison = crash_poison(self->crash),
        .desk = crash_desk(self->crash),
        .boot_time = connection_now(),
        .wall_time = s_wall_time(),
    };
    if (!s_recall(config, &options, ret_error) || !server_begin_daps(self, &options, ret_error))
        return false;
    Ixn__V1__EngineConfiguration *configuration = configuration_of(config);
    options.configuration = configuration;
    self->pair = pair_new(&options);
    configuration_destroy(&configuration);
    server_open_lanes(self, options.daps_len);
    return server_set_daps(self, config, ret_error);
}

static bool s_open(server_t *self, error_t *ret_error)
{
    const config_t *config = self->config;
    self->crash = crash_open(config->state_dir, s_wall_time(), ret_error);
    if (!self->crash)
        return false;
    self->transport = transport_new(config->client_endpoint, ret_error);
    if (!self->transport)
        return false;
    if (config->has_peer && !(self->peer = peer_new(config, ret_error)))
        return false;
    if (!s_open_pair(self, ret_error))
        return false;
    if (config->has_admin &&
        !(self->admin = admin_new(config, transport_endpoint(self->transport), ret_error)))
        return false;
    return true;
}

static void s_close(server_t *self)
{
    admin_destroy(&self->admin); /* first: it asks the others */
    journal_destroy(&self->journal);
    checkpoint_writer_destroy(&self->writer);
    server_close_daps(self);
    pair_destroy(&self->pair);
    peer_destroy(&self->peer);
    buffer_free(&self->to_peer);
    transport_destroy(&self->transport);
    crash_close(&self->crash);
    opening_await_all(); /* and then the process ends */
}

bool server_run(const char *path, config_t *config, const server_signals_t *signals,
                error_t *ret_error)
{
    server_t self = {.path = path, .config = config, .figures_at = connection_now() + FIGURES_US};
    memset(self.stirred, true, sizeof self.stirred); /* none was read before */
    supervisor_init(&self.supervisor);
    crowding_open(&self.crowding);
    bool opened = s_open(&self, &self.error);
    if (opened)
        supervisor_ready();
    while (opened && !self.ended)
        s_turn(&self, signals);
    s_close(&self);
    crowding_close(&self.crowding);
    config_destroy(&self.config);
    *ret_error = self.error;
    return opened && self.error.code == ERROR_OK;
}
