/* ixn: a pair, or one node, through the client library. A submit is safe with its Ack; a router
 * completes what it gets with Stop, which is safe with its Ack. Submits without workers go to a
 * queue that no strategy reads.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/ixn-bench/parts/pending.h"
#include "core/base/alloc.h"
#include "core/client/client.h"
#include "core/wire/wire.h"
#include "tests/bench/peers/peer.h"

#define S_START_MS 30000

typedef struct {
    ixn_client_t *client;
    pending_table_t *pending; /* requests without an answer */
    const char *queue;
    char *attributes; /* the JSON made of the payload … */
    size_t attributes_len;
    size_t payload_len; /* … of this size */
    bool queued;
} link_t;

/* Waits for one event of this kind. */
static void s_await(link_t *self, ixn_event_kind_t kind, const char *what)
{
    ixn_event_t event;
    do {
        ixn_client_next(self->client, S_START_MS, &event);
        if (event.kind == IXN_EVENT_NONE || event.kind == IXN_EVENT_REFUSED)
            peer_fail("ixn: %s: %s", what,
                      event.kind == IXN_EVENT_NONE ? "none" : event.error.text);
    } while (event.kind != kind);
    if (kind == IXN_EVENT_ANSWER && event.message->body_case == IXN__V1__MESSAGE__BODY_ERROR)
        peer_fail("ixn: %s: %s", what, event.message->error->sentence);
}

static void s_load_strategy(link_t *self)
{
    Ixn__V1__StrategyLoaded loaded = IXN__V1__STRATEGY_LOADED__INIT;
    loaded.strategy = (char *)"classify";
    loaded.version = (char *)"bench";
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_STRATEGY_LOADED;
    request.strategy_loaded = &loaded;
    ixn_client_send(self->client, &request);
    s_await(self, IXN_EVENT_ANSWER, "the answer to StrategyLoaded");
}

static void *s_open(const peer_target_t *target, peer_side_t side, uint32_t number)
{
    link_t *self = memory_zero(1, sizeof *self);
    self->pending = pending_table_new();
    self->queue = target->lifecycle ? "inbound" : "parked";
    char name[64];
    char endpoints[PEER_ENDPOINTS][128];
    const char *list[PEER_ENDPOINTS];
    snprintf(name, sizeof name, "peers-%d-%s-%u", getpid(), side == PEER_WORKER ? "w" : "s",
             number);
    for (uint32_t i = 0; i < target->at_len; i++) {
        snprintf(endpoints[i], sizeof endpoints[i], "tcp://%s", target->at[i]);
        list[i] = endpoints[i];
    }
    ixn_client_options_t options = {.endpoints = list,
                                    .endpoints_len = target->at_len,
                                    .role = side == PEER_WORKER ? IXN__V1__ROLE__ROUTER
                                                                : IXN__V1__ROLE__MEDIA_SERVER,
                                    .name = name,
                                    .agent_reservation = side == PEER_WORKER,
                                    .context = peer_context()};
    error_t error = {0};
    self->client = ixn_client_new(&options, &error);
    if (!self->client)
        peer_fail("ixn: %s", error.text);
    s_await(self, IXN_EVENT_CONNECTED, "a node that serves");
    if (side == PEER_WORKER)
        s_load_strategy(self);
    return self;
}

static int s_fd(const void *link)
{
    return ixn_client_fd(((const link_t *)link)->client);
}

/* Attributes are a JSON object: {"d":"…"} of as many bytes as the payload has. */
static void s_make_attributes(link_t *self, const char *payload, size_t payload_len)
{
    static const char head[] = "{\"d\":\"";
    static const char tail[] = "\"}";
    size_t frame = sizeof head + sizeof tail - 2;
    size_t text = payload_len > frame ? payload_len - frame : 0;
    buffer_t json = {0};
    buffer_append_text(&json, head);
    buffer_append(&json, payload, text);
    buffer_append_text(&json, tail);
    free(self->attributes);
    self->attributes = (char *)json.bytes;
    self->attributes_len = json.len;
    self->payload_len = payload_len;
}

static void s_submit(void *link, uint64_t tag, const char *payload, size_t payload_len)
{
    link_t *self = link;
    if (!self->attributes || self->payload_len != payload_len)
        s_make_attributes(self, payload, payload_len);
    char external_id[32];
    snprintf(external_id, sizeof external_id, "%" PRIu64, tag);
    Ixn__V1__Submit submit = IXN__V1__SUBMIT__INIT;
    submit.queue = (char *)self->queue;
    submit.media_type = (char *)"bench";
    submit.external_id = external_id;
    submit.attributes.data = (uint8_t *)self->attributes;
    submit.attributes.len = self->attributes_len;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_SUBMIT;
    request.submit = &submit;
    uint64_t id = ixn_client_send(self->client, &request);
    if (id == 0)
        peer_fail("ixn: the client library takes no more requests");
    pending_table_put(self->pending, id, &(pending_t){.sequence = tag, .start = 1});
    self->queued = true;
}

static void s_complete(link_t *self, const Ixn__V1__Route *route)
{
    if (!route->token || !route->interaction)
        peer_fail("ixn: a Route without a token or an interaction");
    Ixn__V1__Stop stop = IXN__V1__STOP__INIT;
    stop.interaction_id = route->interaction->interaction_id;
    stop.token = route->token;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_STOP;
    request.stop = &stop;
    uint64_t id = ixn_client_send(self->client, &request);
    if (id == 0)
        peer_fail("ixn: the client library takes no more requests");
    uint64_t tag = strtoull(route->interaction->external_id, NULL, 10);
    pending_table_put(self->pending, id, &(pending_t){.sequence = tag});
    self->queued = true;
}

static void s_answer(link_t *self, const ixn_event_t *event, peer_news_t *news)
{
    pending_t pending;
    if (!pending_table_take(self->pending, event->request_id, &pending))
        return;
    if (event->kind == IXN_EVENT_FAILED)
        peer_fail("ixn: no answer: %s", event->error.text);
    if (event->message->body_case != IXN__V1__MESSAGE__BODY_ACK)
        peer_fail("ixn refused: %s", event->message->body_case == IXN__V1__MESSAGE__BODY_ERROR
                                         ? event->message->error->sentence
                                         : "neither Ack nor Error");
    peer_tell(pending.start ? &news->acknowledged : &news->completed, pending.sequence);
}

static void s_drain(void *link, peer_news_t *news)
{
    link_t *self = link;
    for (;;) {
        ixn_event_t event;
        ixn_client_next(self->client, 0, &event);
        switch (event.kind) {
        case IXN_EVENT_NONE:
            return;
        case IXN_EVENT_ANSWER:
        case IXN_EVENT_FAILED:
            s_answer(self, &event, news);
            break;
        case IXN_EVENT_MESSAGE:
            if (event.message->body_case == IXN__V1__MESSAGE__BODY_ROUTE)
                s_complete(self, event.message->route);
            break;
        case IXN_EVENT_DISCONNECTED:
        case IXN_EVENT_REFUSED:
            peer_fail("ixn: the session ended: %s", event.error.text);
        case IXN_EVENT_CONNECTED:
            break;
        }
    }
}

/* The library knows whether sending took an edge with it. */
static bool s_flush(void *link)
{
    link_t *self = link;
    bool sent = self->queued;
    self->queued = false;
    if (sent)
        ixn_client_flush(self->client);
    return sent && ixn_client_wait_ms(self->client) == 0;
}

static void s_close(void *link)
{
    link_t *self = link;
    ixn_client_destroy(&self->client);
    pending_table_destroy(&self->pending);
    free(self->attributes);
    free(self);
}

const peer_t peer_ixn = {.name = "ixn",
                         .what = "a node or a pair of ours",
                         .edge = true,
                         .open = s_open,
                         .fd = s_fd,
                         .submit = s_submit,
                         .drain = s_drain,
                         .flush = s_flush,
                         .close = s_close};
