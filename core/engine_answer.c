#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/engine_internal.h"

/* The one rule lives here: engine_say holds, engine_committed releases, and nothing else appends
 * what depends on the state to a frame. */

enum {
    FRAME_BYTES = 512 * 1024,
    KEPT_BYTES = 1024 * 1024, /* of a turn's messages: room for those of a later one */
    RETRY_AFTER_MS = 200,
};

void engine_finish_frame(engine_t *self, engine_session_t *slot)
{
    if (slot->out_messages == 0)
        return;
    if (self->ready_len == self->ready_capacity) {
        self->ready_capacity = self->ready_capacity * 2 + 64;
        self->ready = memory_resize(self->ready, self->ready_capacity * sizeof *self->ready);
    }
    self->ready[self->ready_len++] =
        (engine_frame_t){engine_ref(self, slot), slot->out.bytes, slot->out.len};
    slot->usual = slot->out.len;
    slot->out = (buffer_t){0}; /* the frame owns the bytes now */
    slot->out_messages = 0;
}

static void s_to_frame(engine_t *self, engine_session_t *slot, const uint8_t *bytes, size_t len)
{
    if (slot->out.len + len > FRAME_BYTES)
        engine_finish_frame(self, slot);
    if (slot->out_messages == 0) {
        buffer_reserve(&slot->out, slot->usual);
        wire_append_from_node_head(&slot->out, self->options.epoch, self->committed);
    }
    buffer_append(&slot->out, bytes, len);
    if (++slot->out_messages == LIMIT_PACKET_REQUESTS)
        engine_finish_frame(self, slot);
    else if (!slot->in_flush) {
        slot->in_flush = true;
        self->flush[self->flush_len++] = (uint32_t)engine_ref(self, slot);
    }
}

void engine_say_now(engine_t *self, session_t session, const Ixn__V1__Message *message)
{
    engine_session_t *slot = engine_slot(self, session);
    if (!slot)
        return;
    buffer_clear(&self->scratch);
    wire_append_message(&self->scratch, message);
    s_to_frame(self, slot, self->scratch.bytes, self->scratch.len);
}

/* The messages of the turn; its index is known when the turn ends (engine_close_held). */
static held_turn_t *s_held_turn(engine_t *self)
{
    if (self->held_open)
        return &self->held[(self->held_first + self->held_len - 1) % self->held_capacity];
    if (self->held_len == self->held_capacity) {
        size_t capacity = self->held_capacity * 2 + 16;
        held_turn_t *held = memory_zero(capacity, sizeof *held);
        for (size_t i = 0; i < self->held_capacity; i++)
            held[i] = self->held[(self->held_first + i) % self->held_capacity];
        free(self->held);
        self->held = held;
        self->held_first = 0;
        self->held_capacity = capacity;
    }
    held_turn_t *turn = &self->held[(self->held_first + self->held_len++) % self->held_capacity];
    turn->index = UINT64_MAX;
    turn->messages_len = 0;
    buffer_clear(&turn->bytes);
    self->held_open = true;
    return turn;
}

void engine_close_held(engine_t *self)
{
    if (!self->held_open)
        return;
    s_held_turn(self)->index = self->state->index;
    self->held_open = false;
    /* Where nothing was decided all is durable: out at once. */
    engine_committed(self, MUTATION(RELEASED_EARLY) ? self->state->index : self->committed);
}

void engine_say(engine_t *self, session_t session, const Ixn__V1__Message *message)
{
    held_turn_t *turn = s_held_turn(self);
    size_t before = turn->bytes.len;
    wire_append_message(&turn->bytes, message);
    if (turn->messages_len == turn->messages_capacity) {
        turn->messages_capacity = turn->messages_capacity * 2 + 64;
        turn->messages =
            memory_resize(turn->messages, turn->messages_capacity * sizeof *turn->messages);
    }
    turn->messages[turn->messages_len++] = (struct held_message){session, turn->bytes.len - before};
    self->figures.held_bytes += turn->bytes.len - before;
}

void engine_committed(engine_t *self, uint64_t index)
{
    if (index > self->committed)
        self->committed = index;
    while (self->held_len > 0) {
        held_turn_t *turn = &self->held[self->held_first];
        if (turn->index > self->committed)
            return;
        const uint8_t *bytes = turn->bytes.bytes;
        for (size_t i = 0; i < turn->messages_len; i++) {
            engine_session_t *slot = engine_slot(self, turn->messages[i].session);
            if (slot)
                s_to_frame(self, slot, bytes, turn->messages[i].len);
            bytes += turn->messages[i].len;
        }
        self->figures.held_bytes -= turn->bytes.len;
        if (turn->bytes.capacity > KEPT_BYTES)
            buffer_free(&turn->bytes);
        self->held_first = (self->held_first + 1) % self->held_capacity;
        self->held_len--;
    }
}

bool engine_next_frame(engine_t *self, engine_frame_t *ret_frame)
{
    while (self->ready_at == self->ready_len && self->flush_len > 0) {
        engine_session_t *slot = self->slots[self->flush[--self->flush_len]];
        slot->in_flush = false;
        if (slot->open)
            engine_finish_frame(self, slot);
    }
    if (self->ready_at == self->ready_len) {
        self->ready_at = self->ready_len = 0;
        return false;
    }
    *ret_frame = self->ready[self->ready_at++];
    return true;
}

void engine_ack(engine_t *self, session_t session, uint64_t request, id128_t id, uint32_t version)
{
    Ixn__V1__Ack ack = IXN__V1__ACK__INIT;
    ack.interaction_id = wire_bytes(&id);
    ack.version = version;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_ACK;
    message.ack = &ack;
    engine_say(self, session, &message);
}

static void s_refusal(uint64_t request, error_t *error, Ixn__V1__Error *ret_body,
                      Ixn__V1__Message *ret_message)
{
    wire_clean_text(error->text);
    *ret_body = (Ixn__V1__Error)IXN__V1__ERROR__INIT;
    ret_body->code = (Ixn__V1__Code)error->code;
    ret_body->sentence = error->text;
    *ret_message = (Ixn__V1__Message)IXN__V1__MESSAGE__INIT;
    ret_message->request_id = request;
    ret_message->body_case = IXN__V1__MESSAGE__BODY_ERROR;
    ret_message->error = ret_body;
}

void engine_refuse(engine_t *self, session_t session, uint64_t request, const error_t *error)
{
    Ixn__V1__Error body;
    Ixn__V1__Message message;
    error_t clean = *error;
    s_refusal(request, &clean, &body, &message);
    self->figures.refused++;
    engine_say(self, session, &message);
}

void engine_refuse_now(engine_t *self, session_t session, uint64_t request, const error_t *error)
{
    Ixn__V1__Error body;
    Ixn__V1__Message message;
    error_t clean = *error;
    s_refusal(request, &clean, &body, &message);
    self->figures.refused++;
    engine_say_now(self, session, &message);
}

void engine_say_busy(engine_t *self, session_t session, uint64_t request, const char *sentence)
{
    Ixn__V1__Busy body = IXN__V1__BUSY__INIT;
    body.after_ms = RETRY_AFTER_MS;
    body.sentence = (char *)sentence;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_BUSY;
    message.busy = &body;
    engine_say_now(self, session, &message);
}

void engine_say_retry(engine_t *self, session_t session, uint64_t request, const char *sentence)
{
    Ixn__V1__Retry body = IXN__V1__RETRY__INIT;
    body.after_ms = RETRY_AFTER_MS;
    body.sentence = (char *)sentence;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_RETRY;
    message.retry = &body;
    engine_say_now(self, session, &message);
}

void engine_view(engine_t *self, const interaction_t *interaction, interaction_view_t *ret_view)
{
    const queue_t *queue = self->state->queues[interaction->queue];
    const interaction_more_t *more = interaction->more;
    text_t texts[FIELDS];
    interaction_texts(interaction, texts);
    Ixn__V1__Interaction *view = &ret_view->message;
    *view = (Ixn__V1__Interaction)IXN__V1__INTERACTION__INIT;
    view->interaction_id = wire_bytes(&interaction->id);
    view->version = interaction->version;
    view->state = (Ixn__V1__InteractionState)interaction->state;
    view->tenant = self->state->tenants[queue->tenant];
    view->queue = (char *)queue->name;
    view->media_type = (char *)texts[FIELD_MEDIA_TYPE].data;
    view->type = (char *)texts[FIELD_TYPE].data;
    view->subtype = (char *)texts[FIELD_SUBTYPE].data;
    view->external_id = (char *)texts[FIELD_EXTERNAL_ID].data;
    view->parent_id = wire_text(texts[FIELD_PARENT]);
    view->priority = interaction->priority;
    const text_t attributes = texts[FIELD_ATTRIBUTES];
    view->attributes = wire_text(attributes.len > 0 ? attributes : TEXT("{}"));
    view->held = interaction->flags & INTERACTION_HELD;
    view->submitted_by = (char *)texts[FIELD_SUBMITTED_BY].data;
    view->received_at_us = interaction->received_at;
    view->submitted_at_us = interaction->submitted_at;
    view->placed_in_queue_at_us = interaction->placed_at;
    view->moved_to_queue_at_us = interaction->moved_at;
    if (interaction->deadline != USEC_NEVER) {
        const usec_t left = interaction->deadline - self->log_time;
        view->deadline_in_us = left ? left : -1; /* 0 would say that there is none */
    }
    if (!more)
        return;
    view->attempts = more->attempts;
    view->routed_at_us = more->routed_at;
    view->held_at_us = more->held_at;
    if (more->reason)
        view->reason = more->reason;
    if (interaction->state != INTERACTION_ROUTING)
        return;
    view->router = self->state->routers[more->router]->name;
    view->strategy = more->strategy->name;
    ret_view->token = (Ixn__V1__Token)IXN__V1__TOKEN__INIT;
    ret_view->token.epoch = more->token_epoch;
    ret_view->token.index = more->token_index;
    view->token = &ret_view->token;
}
