/* Between the pair and the lanes of the database, the peer link and the folder of the node. */
#include <inttypes.h>
#include <stdlib.h>

#include "apps/ixnd/server_internal.h"
#include "apps/state/state_dir.h"
#include "core/base/limits.h"
#include "core/base/log.h"

/* Of the other node in one turn: whatever it sends, this node goes on with its own work. */
enum { PEER_FRAMES_A_TURN = 500 };

/* ---- What was said ---- */

static void s_hear_access(server_t *self, size_t dap)
{
    access_event_t event;
    self->stirred[INLET_ACCESS + dap] = false;
    while (access_next(self->access[dap], &event)) {
        const database_status_t *status = event.ok ? &event.status : NULL;
        switch (event.kind) {
        case ACCESS_OBSERVED:
            pair_observed(self->pair, dap, status, &event.error);
            break;
        case ACCESS_CLAIMED:
            pair_claimed(self->pair, dap, status, event.generation, &event.error);
            break;
        case ACCESS_LOADED:
            pair_loaded(self->pair, dap, event.state, status, &event.error);
            break;
        case ACCESS_FOLLOWED:
            pair_followed(self->pair, dap, event.batches, event.batches_len, event.gone,
                          &event.error);
            free(event.batches);
            break;
        }
    }
}

static void s_hear_journal(server_t *self)
{
    journal_event_t event;
    while (self->journal && journal_next(self->journal, &event)) {
        switch (event.kind) {
        case JOURNAL_COMMITTED:
            pair_dap_worked(self->pair, event.dap, DAP_JOURNAL, event.elapsed, false);
            pair_journal_committed(self->pair, event.index, event.clean);
            break;
        case JOURNAL_WAITING:
            pair_journal_waiting(self->pair, &event.error);
            break;
        case JOURNAL_RESUMED:
            log_info("journal.resumed", "index=%" PRIu64, event.index);
            break;
        case JOURNAL_FAILED:
            pair_dap_worked(self->pair, event.dap, DAP_JOURNAL, 0, true);
            break;
        case JOURNAL_MOVED:
            log_warning("journal.moved", "error=\"%s\"", event.error.text);
            break;
        case JOURNAL_WRONG:
            pair_dap_wrong(self->pair, event.dap, &event.error);
            break;
        case JOURNAL_FENCED:
        case JOURNAL_DIVERGED:
            pair_lane_stopped(self->pair, &event.error);
            return;
        }
    }
}

static void s_hear_checkpoint(server_t *self)
{
    checkpoint_event_t event;
    self->stirred[INLET_WRITER] = false;
    while (self->writer && checkpoint_writer_next(self->writer, &event)) {
        switch (event.kind) {
        case CHECKPOINT_WRITTEN:
            pair_dap_worked(self->pair, event.dap, DAP_CHECKPOINT, event.elapsed, false);
            pair_checkpoint_written(self->pair, event.index);
            log_debug("checkpoint.written", "index=%" PRIu64 " rows=%zu us=%" PRId64, event.index,
                      event.rows, event.elapsed);
            break;
        case CHECKPOINT_WAITING:
            log_warning("checkpoint.waiting", "error=\"%s\"", event.error.text);
            break;
        case CHECKPOINT_FAILED:
            pair_dap_worked(self->pair, event.dap, DAP_CHECKPOINT, 0, true);
            break;
        case CHECKPOINT_WRONG:
            pair_dap_wrong(self->pair, event.dap, &event.error);
            break;
        case CHECKPOINT_REFUSED:
            log_error("checkpoint.refused", "error=\"%s\"", event.error.text);
            break;
        case CHECKPOINT_FENCED:
            pair_lane_stopped(self->pair, &event.error);
            return;
        case CHECKPOINT_BEHIND:
            pair_tables_behind(self->pair, &event.error);
            return;
        }
    }
}

static void s_hear_peer(server_t *self)
{
    const uint8_t *bytes;
    size_t len;
    int frames = 0;
    while (frames++ < PEER_FRAMES_A_TURN && peer_receive(self->peer, &bytes, &len))
        pair_peer_receive(self->pair, bytes, len);
    self->stirred[INLET_PEER] = frames > PEER_FRAMES_A_TURN;
}

static void s_hear_link(server_t *self)
{
    peer_link_t link;
    self->stirred[INLET_LINK] = false;
    while (peer_next_link(self->peer, &link))
        pair_peer_link(self->pair, link);
}

void server_hear_lanes(server_t *self)
{
    for (size_t i = 0; i < PAIR_MAX_DAPS; i++)
        if (self->access[i] && self->stirred[INLET_ACCESS + i])
            s_hear_access(self, i);
    s_hear_journal(self);
    if (self->stirred[INLET_WRITER])
        s_hear_checkpoint(self);
    if (self->peer && self->stirred[INLET_LINK])
        s_hear_link(self);
    if (self->peer && self->stirred[INLET_PEER])
        s_hear_peer(self);
}

/* ---- What is to be done ---- */

static void s_fail(server_t *self, const error_t *error)
{
    self->ended = true;
    self->error = *error;
}

static void s_open_lanes(server_t *self, const pair_action_t *action)
{
    const journal_options_t journal = {.use = server_use(self, action),
                                       .identity = action->identity,
                                       .epoch = action->epoch,
                                       .generation = action->generation,
                                       .instance = action->instance,
                                       .head_index = action->index,
                                       .head_hash = action->hash};
    const checkpoint_writer_options_t writer = {.use = server_use(self, action),
                                                .identity = action->identity,
                                                .generation = action->generation,
                                                .instance = action->instance,
                                                .keep = checkpoint_keep_of(self->config)};
    self->used = *action;
    self->journal = journal_new(&journal);
    self->writer = checkpoint_writer_new(&writer);
    log_info("node.serving", "node=\"%s\" epoch=%" PRIu64 " index=%" PRIu64 " endpoint=%s",
             self->config->node_name, action->epoch, action->index, self->config->client_endpoint);
}

static void s_use(server_t *self, const pair_action_t *action)
{
    const checkpoint_keep_t keep = checkpoint_keep_of(self->config);
    self->used = *action;
    if (!self->journal)
        return;
    journal_use(self->journal, server_use(self, action));
    checkpoint_writer_use(self->writer, server_use(self, action), &keep);
}

void server_retime_lanes(server_t *self)
{
    self->used.rearranged = false;
    s_use(self, &self->used);
    for (size_t i = 0; i < PAIR_MAX_DAPS; i++)
        if (self->access[i])
            access_set_timeouts(self->access[i], self->config->connect_timeout_ms,
                                self->config->statement_timeout_ms);
    server_stir_lanes(self);
}

static void s_claim(server_t *self, const pair_action_t *action)
{
    const access_claim_t claim = {.judged = action->judged,
                                  .claim_head = action->claim_head,
                                  .highest_seen = action->highest_seen,
                                  .owner = self->config->node_name,
                                  .reason = action->text,
                                  .batches = action->batches,
                                  .batches_len = action->batches_len};
    access_claim(self->access[action->dap], &claim);
}

static void s_save(server_t *self, pair_action_t *action)
{
    error_t error = {0};
    if (!state_dir_save_tail(self->config->state_dir, action->batch, &error))
        log_error("pair.tail_lost", "error=\"%s\"", error.text);
    batch_destroy(&action->batch);
}

static void s_remember(server_t *self, const identity_memory_t *memory)
{
    error_t error = {0};
    bool written = identity_remember(self->config->state_dir, memory, &error);
    self->forgets = !pair_remembered(self->pair, memory, written ? NULL : &error);
    if (self->forgets)
        s_fail(self, &error);
}

static void s_say(const pair_action_t *action)
{
    if (action->severe)
        log_error(action->event, "%s", action->text);
    else if (action->warning)
        log_warning(action->event, "%s", action->text);
    else
        log_info(action->event, "%s", action->text);
}

static void s_do(server_t *self, pair_action_t *action)
{
    error_t error = {0};
    switch (action->kind) {
    case PAIR_OBSERVE:
        access_observe(self->access[action->dap], &action->known);
        return;
    case PAIR_CLAIM:
        s_claim(self, action);
        return;
    case PAIR_LOAD:
        access_load(self->access[action->dap], pair_guard(self->pair));
        return;
    case PAIR_FOLLOW:
        access_follow(self->access[action->dap], action->index, action->hash, &action->instance);
        return;
    case PAIR_OPEN:
        s_open_lanes(self, action);
        return;
    case PAIR_PROVE:
        journal_prove(self->journal, &action->instance);
        checkpoint_writer_prove(self->writer, &action->instance);
        return;
    case PAIR_CLOSE:
        journal_destroy(&self->journal);
        checkpoint_writer_destroy(&self->writer);
        return;
    case PAIR_USE:
        s_use(self, action);
        return;
    case PAIR_DAP_OPEN:
        server_open_dap(self, action);
        return;
    case PAIR_DAP_CLOSE:
        server_close_dap(self, action->dap);
        return;
    case PAIR_REMEMBER_DAPS:
        if (!server_remember_daps(self, action, &error))
            log_error("dap.not_remembered", "error=\"%s\"", error.text);
        return;
    case PAIR_REMEMBER:
        s_remember(self, &action->memory);
        return;
    case PAIR_REMEMBER_POISON:
        if (!crash_remember(self->config->state_dir, pair_poison(self->pair), &error))
            log_error("poison.not_remembered", "error=\"%s\"", error.text);
        return;
    case PAIR_SEND:
        buffer_append(&self->to_peer, &(peer_frame_t){action->bytes, action->len},
                      sizeof(peer_frame_t));
        return;
    case PAIR_BROADCAST:
        transport_broadcast(self->transport, action->bytes, action->len);
        return;
    case PAIR_SAVE:
        s_save(self, action);
        return;
    case PAIR_SAY:
        s_say(action);
        return;
    case PAIR_STOP:
        s_fail(self, &action->error);
        return;
    }
}

/* What the pair wants done; false: nothing more is to be done. */
static bool s_do_all(server_t *self)
{
    pair_action_t action;
    while (!self->forgets && pair_next_action(self->pair, &action)) {
        if (action.kind != PAIR_SEND)
            server_stir_lanes(self);
        s_do(self, &action);
    }
    return !self->forgets;
}

static const char *s_client_name(server_t *self, session_t session)
{
    const node_t *node = pair_node(self->pair);
    return node && session ? node_session_name(node, session) : "";
}

static void s_say_behind(server_t *self, session_t session)
{
    const char *name = s_client_name(self, session);
    if (*name)
        log_warning("client.behind",
                    "client=\"%s\" error=\"it does not read what it is told, and its session ends: "
                    "%zu bytes are unread; at most %d bytes, and %d frames, may be\"",
                    name, transport_unread(self->transport, session), LIMIT_UNREAD,
                    LIMIT_UNREAD_FRAMES);
}

static void s_send_frames(server_t *self)
{
    engine_frame_t frame;
    while (pair_next_frame(self->pair, &frame)) {
        transport_sent_t sent = transport_send(self->transport, &frame);
        if (sent == TRANSPORT_SENT)
            continue;
        if (sent == TRANSPORT_BEHIND)
            s_say_behind(self, frame.session);
        pair_session_lost(self->pair, frame.session);
    }
}

/* What clients leave unread is bounded over all of them, too. */
static void s_leave_behind(server_t *self)
{
    transport_left_t left;
    if (!transport_leave(self->transport, &left))
        return;
    log_warning("client.left_behind",
                "client=\"%s\" error=\"clients do not read what they are told, and this one, the "
                "furthest behind, is disconnected: %zu bytes are unread by it, %zu by all; at most "
                "%d by all may be\"",
                s_client_name(self, left.session), left.unread, left.all, LIMIT_UNREAD_ALL);
    if (left.session)
        pair_session_lost(self->pair, left.session);
}

static void s_send_to_peer(server_t *self)
{
    const peer_frame_t *frames = (const peer_frame_t *)self->to_peer.bytes;
    for (size_t i = 0; i < self->to_peer.len / sizeof *frames; i++) {
        if (self->peer)
            peer_send(self->peer, frames[i].bytes, frames[i].len);
        else
            free(frames[i].bytes);
    }
    buffer_clear(&self->to_peer);
}

/* Whoever is woken first may run first, so what clients wait for comes first: the database has the
 * next batch, the clients have their answers, then the other node hears what there is. Frames come
 * before ended sessions: a session that ends may still hear why. */
void server_act(server_t *self)
{
    if (s_do_all(self)) {
        batch_t *batch;
        while ((batch = pair_next_batch(self->pair)))
            journal_append(self->journal, batch);
        s_send_frames(self);
        s_leave_behind(self);
        checkpoint_image_t *image = pair_next_image(self->pair);
        if (image) {
            checkpoint_writer_write(self->writer, image);
            self->stirred[INLET_WRITER] = true;
        }
        session_t session;
        while (pair_next_ended(self->pair, &session))
            transport_forget(self->transport, session);
    }
    s_send_to_peer(self);
}
