/* Sender: see sender.h. */
#include "apps/ixnctl/sender.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/wire/wire.h"

/* Of attributes in flight: the client library keeps the bytes of each until it is answered. */
#define BYTES_MAX ((size_t)64 * 1024 * 1024)

typedef struct {
    size_t bytes;
    char *where;
} flight_t;

struct sender {
    ixn_client_t *client;
    size_t window;
    size_t bytes;
    tally_t *tally;
    GHashTable *flights; /* request id → flight_t */
    GHashTable *known;   /* interactions that were acknowledged, by the random half of their id */
    bool connected;
    bool lost;
    error_t refusal;
};

static void s_flight_free(gpointer data)
{
    flight_t *flight = data;
    free(flight->where);
    free(flight);
}

sender_t *sender_new(ixn_client_t *client, size_t window, tally_t *tally)
{
    sender_t *self = memory_zero(1, sizeof *self);
    self->client = client;
    self->window = window;
    self->tally = tally;
    self->flights = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, s_flight_free);
    self->known = g_hash_table_new(g_direct_hash, g_direct_equal);
    return self;
}

void sender_destroy(sender_t **self_p)
{
    sender_t *self = *self_p;
    if (!self)
        return;
    g_hash_table_destroy(self->flights);
    g_hash_table_destroy(self->known);
    free(self);
    *self_p = NULL;
}

bool sender_has_room(const sender_t *self)
{
    return g_hash_table_size(self->flights) < self->window && self->bytes < BYTES_MAX;
}

size_t sender_unanswered(const sender_t *self)
{
    return g_hash_table_size(self->flights);
}

bool sender_is_lost(const sender_t *self)
{
    return self->lost;
}

bool sender_is_refused(const sender_t *self)
{
    return self->refusal.code != ERROR_OK;
}

void sender_send(sender_t *self, const submission_t *submission, const char *where)
{
    Ixn__V1__Submit submit = IXN__V1__SUBMIT__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    submit.key = (ProtobufCBinaryData){strlen(submission->key), (uint8_t *)submission->key};
    submit.queue = (char *)submission->queue;
    submit.media_type = (char *)submission->media_type;
    submit.type = (char *)submission->type;
    submit.subtype = (char *)submission->subtype;
    submit.external_id = (char *)submission->external_id;
    if (!id_is_zero(submission->parent_id))
        submit.parent_id = wire_bytes(&submission->parent_id);
    submit.priority = submission->priority;
    submit.attributes =
        (ProtobufCBinaryData){submission->attributes.len, submission->attributes.bytes};
    submit.received_at_us = submission->received_at_us;
    submit.hold = submission->hold;
    request.body_case = IXN__V1__REQUEST__BODY_SUBMIT;
    request.submit = &submit;
    uint64_t id = ixn_client_send(self->client, &request);
    CHECK(id != 0);
    flight_t *flight = memory_new(sizeof *flight);
    *flight = (flight_t){submission->attributes.len, memory_text(where)};
    self->bytes += flight->bytes;
    g_hash_table_insert(self->flights, GSIZE_TO_POINTER(id), flight);
}

static void s_acknowledged(sender_t *self, const Ixn__V1__Ack *ack)
{
    id128_t id = {0};
    uint64_t random = 0;
    wire_read_id(ack->interaction_id, &id);
    memcpy(&random, id.bytes + 8, sizeof random);
    self->tally->submitted++;
    if (!g_hash_table_add(self->known, GSIZE_TO_POINTER(random)))
        self->tally->repeated++;
}

static void s_refused(sender_t *self, const Ixn__V1__Message *message, const char *where)
{
    bool is_error = message->body_case == IXN__V1__MESSAGE__BODY_ERROR;
    self->tally->refused++;
    tally_reason(self->tally, is_error ? (error_code_t)message->error->code : ERROR_MALFORMED,
                 where,
                 is_error ? message->error->sentence : "the node's answer is none to a submission");
}

/* An answer, or the end of waiting for one. */
static void s_answered(sender_t *self, const ixn_event_t *event)
{
    gpointer key = GSIZE_TO_POINTER(event->request_id);
    flight_t *flight = g_hash_table_lookup(self->flights, key);
    if (!flight)
        return;
    if (event->kind == IXN_EVENT_FAILED) {
        self->tally->unanswered++;
        self->lost = true;
        tally_reason(self->tally, event->error.code, flight->where, event->error.text);
    } else if (event->message->body_case == IXN__V1__MESSAGE__BODY_ACK) {
        s_acknowledged(self, event->message->ack);
    } else {
        s_refused(self, event->message, flight->where);
    }
    self->bytes -= flight->bytes;
    g_hash_table_remove(self->flights, key);
}

static void s_take(sender_t *self, const ixn_event_t *event)
{
    switch (event->kind) {
    case IXN_EVENT_ANSWER:
    case IXN_EVENT_FAILED:
        s_answered(self, event);
        break;
    case IXN_EVENT_CONNECTED:
        self->connected = true;
        break;
    case IXN_EVENT_DISCONNECTED: /* the library looks for a node by itself, and sends again */
        self->connected = false;
        break;
    case IXN_EVENT_REFUSED:
        self->lost = true;
        self->refusal = event->error;
        tally_reason(self->tally, event->error.code, "", event->error.text);
        break;
    case IXN_EVENT_NONE:
    case IXN_EVENT_MESSAGE: /* nobody routes to one who submits */
        break;
    }
}

void sender_poll(sender_t *self, int timeout_ms)
{
    ixn_event_t event;
    do {
        ixn_client_next(self->client, timeout_ms, &event);
        s_take(self, &event);
        timeout_ms = 0;
    } while (event.kind != IXN_EVENT_NONE);
}

bool sender_connect(sender_t *self, uint32_t timeout_ms, error_t *ret_error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    while (!self->connected && !self->lost) {
        gint64 left = deadline - g_get_monotonic_time();
        if (left <= 0)
            return error_set(ret_error, ERROR_TIMED_OUT, "no node has answered in time");
        sender_poll(self, (int)(left / 1000) + 1);
    }
    if (self->lost && ret_error)
        *ret_error = self->refusal;
    return !self->lost;
}
