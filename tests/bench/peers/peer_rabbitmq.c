/* RabbitMQ: a quorum queue, published to with confirms. A confirm may be for several and out of
 * order. The end of work has no answer: it counts as soon as it is sent, which is in RabbitMQ's
 * favour.
 */
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/bench/peers/peer.h"
#include "tests/bench/peers/tags.h"

#define S_CHANNEL 1
#define S_FRAME 131072
#define S_PENDING 16384 /* more than any window */

static const char s_queue[] = "work";

typedef struct {
    amqp_connection_state_t amqp;
    peer_side_t side;
    uint64_t sent;   /* publishes so far: their number is their tag of delivery */
    uint64_t oldest; /* the first one without a confirm, from 1 */
    uint64_t tags[S_PENDING];
    bool confirmed[S_PENDING];
    uint64_t last; /* delivery that is to be ended, with all before it; 0: none */
    bool queued;
} link_t;

static void s_check(amqp_connection_state_t amqp, const char *what)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(amqp);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return;
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
        peer_fail("RabbitMQ, %s: %s", what, amqp_error_string2(reply.library_error));
    const amqp_channel_close_t *close = reply.reply.decoded;
    peer_fail("RabbitMQ, %s: %.*s", what, (int)close->reply_text.len,
              (const char *)close->reply_text.bytes);
}

static amqp_connection_state_t s_connect(const peer_target_t *target)
{
    char host[64] = "";
    int port = 0;
    if (sscanf(target->at[0], "%63[^:]:%d", host, &port) != 2)
        peer_fail("\"%s\" is not ADDRESS:PORT", target->at[0]);
    amqp_connection_state_t amqp = amqp_new_connection();
    if (amqp_socket_open(amqp_tcp_socket_new(amqp), host, port) != AMQP_STATUS_OK)
        peer_fail("cannot connect to RabbitMQ at %s", target->at[0]);
    amqp_rpc_reply_t reply =
        amqp_login(amqp, "/", 0, S_FRAME, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        peer_fail("RabbitMQ refuses the login of its guest");
    amqp_channel_open(amqp, S_CHANNEL);
    s_check(amqp, "channel.open");
    return amqp;
}

static void s_disconnect(amqp_connection_state_t amqp)
{
    amqp_connection_close(amqp, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(amqp);
}

/* An empty queue: the old one, if any, with all that is in it, goes. */
static void s_prepare(const peer_target_t *target)
{
    amqp_connection_state_t amqp = s_connect(target);
    amqp_queue_delete(amqp, S_CHANNEL, amqp_cstring_bytes(s_queue), 0, 0);
    s_check(amqp, "queue.delete");
    amqp_table_entry_t kind = {.key = amqp_cstring_bytes("x-queue-type")};
    kind.value.kind = AMQP_FIELD_KIND_UTF8;
    kind.value.value.bytes = amqp_cstring_bytes("quorum");
    amqp_table_t arguments = {.num_entries = 1, .entries = &kind};
    amqp_queue_declare(amqp, S_CHANNEL, amqp_cstring_bytes(s_queue), 0, 1, 0, 0, arguments);
    s_check(amqp, "queue.declare");
    s_disconnect(amqp);
}

static void *s_open(const peer_target_t *target, peer_side_t side, uint32_t number)
{
    (void)number;
    link_t *self = memory_zero(1, sizeof *self);
    self->side = side;
    self->oldest = 1;
    self->amqp = s_connect(target);
    if (side == PEER_WORKER) {
        amqp_basic_qos(self->amqp, S_CHANNEL, 0, (uint16_t)target->batch, 0);
        s_check(self->amqp, "basic.qos");
        amqp_basic_consume(self->amqp, S_CHANNEL, amqp_cstring_bytes(s_queue), amqp_empty_bytes, 0,
                           0, 0, amqp_empty_table);
        s_check(self->amqp, "basic.consume");
    } else {
        amqp_confirm_select(self->amqp, S_CHANNEL);
        s_check(self->amqp, "confirm.select");
    }
    return self;
}

static int s_fd(const void *link)
{
    return amqp_get_sockfd(((const link_t *)link)->amqp);
}

static void s_submit(void *link, uint64_t tag, const char *payload, size_t payload_len)
{
    link_t *self = link;
    uint8_t body[sizeof tag + 65536];
    if (payload_len > sizeof body - sizeof tag)
        peer_fail("a payload of %zu bytes is more than %zu", payload_len, sizeof body - sizeof tag);
    memcpy(body, &tag, sizeof tag);
    memcpy(body + sizeof tag, payload, payload_len);
    amqp_bytes_t bytes = {.len = sizeof tag + payload_len, .bytes = body};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                          .delivery_mode = AMQP_DELIVERY_PERSISTENT};
    int status = amqp_basic_publish(self->amqp, S_CHANNEL, amqp_empty_bytes,
                                    amqp_cstring_bytes(s_queue), 0, 0, &properties, bytes);
    if (status != AMQP_STATUS_OK)
        peer_fail("RabbitMQ, basic.publish: %s", amqp_error_string2(status));
    if (++self->sent - self->oldest >= S_PENDING)
        peer_fail("more than %d publishes without a confirm", S_PENDING);
    self->tags[self->sent % S_PENDING] = tag;
    self->queued = true; /* librabbitmq has sent it */
}

static void s_confirm(link_t *self, uint64_t number, bool with_all_before, peer_news_t *news)
{
    for (uint64_t i = with_all_before ? self->oldest : number; i <= number; i++) {
        if (self->confirmed[i % S_PENDING])
            continue;
        self->confirmed[i % S_PENDING] = true;
        peer_tell(&news->acknowledged, self->tags[i % S_PENDING]);
    }
    while (self->oldest <= self->sent && self->confirmed[self->oldest % S_PENDING])
        self->confirmed[self->oldest++ % S_PENDING] = false;
}

static bool s_take_confirm(link_t *self, peer_news_t *news)
{
    amqp_frame_t frame;
    struct timeval none = {0, 0};
    int status = amqp_simple_wait_frame_noblock(self->amqp, &frame, &none);
    if (status == AMQP_STATUS_TIMEOUT)
        return false;
    if (status != AMQP_STATUS_OK)
        peer_fail("RabbitMQ: %s", amqp_error_string2(status));
    if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
        peer_fail("RabbitMQ answered a publish with method %#x", frame.payload.method.id);
    const amqp_basic_ack_t *ack = frame.payload.method.decoded;
    s_confirm(self, ack->delivery_tag, ack->multiple, news);
    return true;
}

static bool s_take_work(link_t *self, peer_news_t *news)
{
    amqp_envelope_t envelope;
    struct timeval none = {0, 0};
    amqp_rpc_reply_t reply = amqp_consume_message(self->amqp, &envelope, &none, 0);
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
        reply.library_error == AMQP_STATUS_TIMEOUT)
        return false;
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        peer_fail("RabbitMQ gave no work: %s", amqp_error_string2(reply.library_error));
    uint64_t tag;
    if (envelope.message.body.len < sizeof tag)
        peer_fail("RabbitMQ gave a message that was not submitted here");
    memcpy(&tag, envelope.message.body.bytes, sizeof tag);
    self->last = envelope.delivery_tag;
    amqp_destroy_envelope(&envelope);
    peer_tell(&news->completed, tag); /* flush comes before anybody hears it */
    return true;
}

static void s_drain(void *link, peer_news_t *news)
{
    link_t *self = link;
    while (self->side == PEER_WORKER ? s_take_work(self, news) : s_take_confirm(self, news))
        amqp_maybe_release_buffers(self->amqp);
}

static bool s_flush(void *link)
{
    link_t *self = link;
    bool sent = self->queued;
    self->queued = false;
    if (self->last == 0)
        return sent;
    int status = amqp_basic_ack(self->amqp, S_CHANNEL, self->last, 1);
    if (status != AMQP_STATUS_OK)
        peer_fail("RabbitMQ, basic.ack: %s", amqp_error_string2(status));
    self->last = 0;
    return true;
}

static void s_close(void *link)
{
    link_t *self = link;
    s_disconnect(self->amqp);
    free(self);
}

const peer_t peer_rabbitmq = {.name = "rabbitmq",
                              .what = "a quorum queue, with confirms",
                              .prepare = s_prepare,
                              .open = s_open,
                              .fd = s_fd,
                              .submit = s_submit,
                              .drain = s_drain,
                              .flush = s_flush,
                              .close = s_close};
