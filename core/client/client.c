/* Client, the code: the loop that joins requests into frames, takes frames apart into events, and
 * sleeps. Who serves is the affair of nodes.c, what is unanswered that of requests.c.
 *
 * ZeroMQ's descriptors tell only about changes, and a send can use such a change up. So everything
 * that sends comes before the read that finds the socket empty, and only then does the loop sleep.
 * Each look into a socket of ZeroMQ is a system call, also when it is empty: only those are read
 * whose descriptor told of something, and those that were sent to.
 */
#include "core/client/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <zmq.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/client/kept.h"
#include "core/client/nodes.h"
#include "core/client/requests.h"
#include "core/client/traits.h"
#include "core/wire/wire.h"

enum {
    RESEND_MS = 1000,
    GIVE_UP_MS = 30000,
    UNANSWERED = 10000,
    UNANSWERED_MOST = 1000000,
    FRAMES_IN_A_ROW = 64, /* then timers are looked at, however much there is to read */
};

#define UNANSWERED_SIZE ((size_t)256 * 1024 * 1024) /* bytes of all unanswered requests */
#define FRAME_SIZE ((size_t)1024 * 1024)            /* a frame is not made longer by one more */
#define FRAME_HEAD 16                               /* more than ToNode's own fields take */
#define FLUSH_AFTER USEC_PER_MS /* what is queued waits no longer while events are handed out */

struct ixn_client {
    void *context;
    bool own_context;
    int epoll;
    nodes_t nodes;
    requests_t requests;
    usec_t resend;
    usec_t give_up;
    bool told_connected; /* what the program was told last */
    bool looked;         /* at all descriptors, since it was told that there is nothing */
    usec_t queued_at;    /* since when there is something in requests.ready */
    usec_t paused_until; /* the node said Retry */
    buffer_t scratch;
    /* the frame whose messages are handed out one by one */
    wire_arena_t *arena;
    const Ixn__V1__FromNode *frame; /* NULL: none */
    size_t frame_next;
    endpoint_t *frame_from;
    bool frame_is_old;
    size_t frames_in_a_row;
    char *by;         /* owned; NULL: it speaks for itself */
    size_t read_next; /* the endpoint to read from next */
    kept_t kept;      /* events of before, to be handed out first */
    entropy_t entropy;
};

static usec_t s_now(void)
{
    return clock_usec(CLOCK_BOOTTIME);
}

/* ---------------------------------------------------------------------------------------------
 * Begin and end */

ixn_client_t *ixn_client_new(const ixn_client_options_t *options, error_t *ret_error)
{
    if (options->max_unanswered > UNANSWERED_MOST) {
        error_set(ret_error, ERROR_INVALID_ARGUMENT, "max_unanswered is %zu, at most %d",
                  options->max_unanswered, UNANSWERED_MOST);
        return NULL;
    }
    ixn_client_t *self = memory_zero(1, sizeof *self);
    uint32_t resend_ms = options->resend_ms ? options->resend_ms : RESEND_MS;
    uint32_t give_up_ms = options->give_up_ms ? options->give_up_ms : GIVE_UP_MS;
    self->resend = resend_ms * USEC_PER_MS;
    self->give_up = give_up_ms * USEC_PER_MS;
    self->by = options->by ? memory_text(options->by) : NULL;
    self->arena = wire_arena_new();
    kept_init(&self->kept);
    requests_init(&self->requests, options->max_unanswered ? options->max_unanswered : UNANSWERED);
    self->nodes.requests = &self->requests;
    self->nodes.entropy = &self->entropy;
    self->nodes.resend = self->resend;
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    self->own_context = !options->context;
    if (self->epoll >= 0)
        self->context = self->own_context ? zmq_ctx_new() : options->context;
    if (!self->context) {
        error_set(ret_error, ERROR_SYSTEM, "cannot begin to poll: %s", strerror(errno));
        ixn_client_destroy(&self);
    } else if (!nodes_init(&self->nodes, options, self->context, self->epoll, ret_error)) {
        ixn_client_destroy(&self);
    }
    return self;
}

void ixn_client_destroy(ixn_client_t **self_p)
{
    ixn_client_t *self = *self_p;
    if (!self)
        return;
    if (self->context) {
        nodes_free(&self->nodes, s_now());
        while (self->own_context && zmq_ctx_term(self->context) != 0 && errno == EINTR)
            continue;
    }
    if (self->epoll >= 0)
        close(self->epoll);
    kept_free(&self->kept);
    requests_free(&self->requests);
    wire_arena_destroy(&self->arena);
    buffer_free(&self->scratch);
    free(self->by);
    free(self);
    *self_p = NULL;
}

/* ---------------------------------------------------------------------------------------------
 * Sending */

/* Moves the first requests of `ready` into one frame. False: the socket does not take it now. */
static bool s_send_frame(ixn_client_t *self, usec_t now)
{
    size_t size = 0;
    size_t count = requests_fit(&self->requests, LIMIT_PACKET_REQUESTS, FRAME_SIZE, &size);
    buffer_clear(&self->scratch);
    wire_append_to_node_head(&self->scratch);
    zmq_msg_t frame;
    CHECK(zmq_msg_init_size(&frame, self->scratch.len + size) == 0);
    uint8_t *out = zmq_msg_data(&frame);
    memcpy(out, self->scratch.bytes, self->scratch.len);
    requests_copy(&self->requests, count, out + self->scratch.len);
    if (!endpoint_send(self->nodes.serving, &frame, now)) {
        zmq_msg_close(&frame);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        requests_sent(&self->requests, self->requests.lists[REQUESTS_READY], now, self->resend);
    return true;
}

/* What is due goes back to `ready`, except in a pause, which ends for all at once. */
static void s_wake(ixn_client_t *self, usec_t now)
{
    if (now < self->paused_until)
        return;
    self->paused_until = 0;
    if (requests_wake(&self->requests, now, self->nodes.serving != NULL))
        nodes_doubt(&self->nodes, now);
}

/* Returns whether anything was sent. */
static bool s_flush(ixn_client_t *self, usec_t now)
{
    if (self->paused_until)
        s_wake(self, now); /* the older ones first, at the end of a pause */
    bool sent = false;
    while (self->nodes.serving && self->requests.ready_count && !self->paused_until &&
           s_send_frame(self, now))
        sent = true;
    return sent;
}

/* While events are handed out, requests are collected: as many as fit a frame, or for a moment. */
static void s_flush_if_worth(ixn_client_t *self, usec_t now)
{
    if (self->requests.ready_count >= LIMIT_PACKET_REQUESTS ||
        self->requests.ready_size >= FRAME_SIZE ||
        (self->requests.ready_count && now - self->queued_at >= FLUSH_AFTER))
        s_flush(self, now);
}

void ixn_client_flush(ixn_client_t *self)
{
    s_flush(self, s_now());
}

/* A request that no node would take: it is told as any other that got no answer, as the last of
 * what is kept. */
static uint64_t s_refuse_too_large(ixn_client_t *self, size_t len)
{
    ixn_event_t event = {.kind = IXN_EVENT_FAILED, .request_id = requests_own_id(&self->requests)};
    error_set(&event.error, ERROR_TOO_LARGE,
              "the request has %zu bytes, at most %d are allowed; it was not sent", len,
              LIMIT_PACKET - FRAME_HEAD);
    kept_add(&self->kept, &event);
    return event.request_id;
}

uint64_t ixn_client_send(ixn_client_t *self, Ixn__V1__Request *request)
{
    /* The session is the client's own affair; ixn_client_destroy leaves. */
    CHECK(request->body_case != IXN__V1__REQUEST__BODY_REGISTER &&
          request->body_case != IXN__V1__REQUEST__BODY_LEAVE);
    uint64_t id = requests_next_id(&self->requests);
    if (id == 0 || self->requests.size > UNANSWERED_SIZE)
        return 0;
    traits_t traits = traits_of(request);
    bool needs_key = traits.key && traits.key->len == 0;
    id128_t key;
    if (needs_key) {
        entropy_take(&self->entropy, key.bytes, sizeof key.bytes);
        *traits.key = wire_bytes(&key);
    }
    request->id = id;
    char *by = request->by;
    if (self->by && !*by)
        request->by = self->by;
    buffer_clear(&self->scratch);
    wire_append_request(&self->scratch, request);
    request->by = by;
    if (needs_key)
        *traits.key = (ProtobufCBinaryData){0};
    if (self->scratch.len > LIMIT_PACKET - FRAME_HEAD)
        return request->id = s_refuse_too_large(self, self->scratch.len);
    usec_t now = s_now();
    if (self->requests.ready_count == 0)
        self->queued_at = now;
    text_t bytes = {(const char *)self->scratch.bytes, self->scratch.len};
    request_t *added = requests_add(&self->requests, bytes, now);
    CHECK(added->id == id);
    if (traits.token)
        added->token = (held_token_t){traits.token->epoch, traits.token->index};
    added->is_result = traits.is_result;
    if (self->requests.ready_count >= LIMIT_PACKET_REQUESTS)
        s_flush(self, now);
    return id;
}

size_t ixn_client_unanswered(const ixn_client_t *self)
{
    return self->requests.count;
}

/* ---------------------------------------------------------------------------------------------
 * Messages become events */

/* Without an error: its text is long, and to clear all of it would be most of the work. */
static void s_tell(ixn_event_t *ret_event, ixn_event_kind_t kind, const Ixn__V1__Message *message)
{
    ret_event->kind = kind;
    ret_event->request_id = kind == IXN_EVENT_ANSWER ? message->request_id : 0;
    ret_event->message = message;
    ret_event->error.code = ERROR_OK;
    ret_event->error.text[0] = '\0';
}

/* The node gave a final answer: the request and perhaps its token are done with. */
static void s_settle(ixn_client_t *self, request_t *request, const Ixn__V1__Message *message)
{
    bool ends = request->is_result;
    if (message->body_case == IXN__V1__MESSAGE__BODY_ERROR) {
        Ixn__V1__Code code = message->error->code;
        ends = code == IXN__V1__CODE__OLD_TOKEN || code == IXN__V1__CODE__ALREADY_COMPLETED ||
               code == IXN__V1__CODE__UNKNOWN_INTERACTION;
    }
    if (ends)
        held_remove(&self->nodes.held, request->token);
    requests_remove(&self->requests, request);
}

static bool s_on_answer(ixn_client_t *self, const Ixn__V1__Message *message, ixn_event_t *ret_event)
{
    request_t *request = requests_find(&self->requests, message->request_id);
    if (!request)
        return false; /* answered before, or given up */
    s_settle(self, request, message);
    s_tell(ret_event, IXN_EVENT_ANSWER, message);
    return true;
}

/* Whether this is the answer to the endpoint's Register; if so, none is expected any more. */
static bool s_answers_register(ixn_client_t *self, const Ixn__V1__Message *message)
{
    endpoint_t *from = self->frame_from;
    if (from->register_id == 0 || message->request_id != from->register_id)
        return false;
    from->register_id = 0;
    return true;
}

static bool s_on_error(ixn_client_t *self, const Ixn__V1__Message *message, usec_t now,
                       ixn_event_t *ret_event)
{
    endpoint_t *from = self->frame_from;
    const Ixn__V1__Error *error = message->error;
    if (s_answers_register(self, message)) {
        nodes_note(&self->nodes, "%s refused the registration: %s", from->address, error->sentence);
        nodes_on_refused(&self->nodes, from, self->frame->epoch, now);
        if (self->nodes.serving)
            return false; /* another node does not mind */
        *ret_event = (ixn_event_t){.kind = IXN_EVENT_REFUSED};
        error_set(&ret_event->error, (error_code_t)error->code, "%s: %s", from->address,
                  error->sentence);
        return true;
    }
    if (error->code == IXN__V1__CODE__NOT_REGISTERED) {
        /* The request waits for the next Registered, which brings all of them back in order. */
        nodes_on_forgotten(&self->nodes, from, now);
        return false;
    }
    if (message->request_id == 0)
        nodes_note(&self->nodes, "%s: %s", from->address, error->sentence);
    return s_on_answer(self, message, ret_event);
}

/* Retry concerns the node as a whole, so that everything waits and keeps its order; Busy concerns
 * the one request (its queue may be full, others not). */
static void s_on_not_now(ixn_client_t *self, const Ixn__V1__Message *message, usec_t now)
{
    bool busy = message->body_case == IXN__V1__MESSAGE__BODY_BUSY;
    uint32_t after_ms = busy ? message->busy->after_ms : message->retry->after_ms;
    nodes_note(&self->nodes, "%s said %s: %s", self->frame_from->address, busy ? "Busy" : "Retry",
               busy ? message->busy->sentence : message->retry->sentence);
    if (s_answers_register(self, message)) {
        nodes_on_not_now(&self->nodes, self->frame_from, after_ms, now);
        return;
    }
    /* What a node says that serves no more is late: all requests are with the next one already. */
    request_t *request = requests_find(&self->requests, message->request_id);
    if (!request || self->frame_from != self->nodes.serving)
        return;
    usec_t due_at = requests_delay(&self->requests, request, after_ms, &self->entropy, now);
    if (!busy && due_at > self->paused_until)
        self->paused_until = due_at;
}

/* The answer to a request, or to none: then the node has stopped to serve, and answers nothing of
 * what it has. Requests wait for the next Registered; if there was one already, they are with that
 * node. */
static void s_on_not_primary(ixn_client_t *self, const Ixn__V1__Message *message, usec_t now)
{
    endpoint_t *from = self->frame_from;
    if (message->request_id == 0)
        from->register_id = 0;
    if (message->request_id == 0 || s_answers_register(self, message) ||
        from == self->nodes.serving)
        nodes_on_not_primary(&self->nodes, from, message->not_primary, now);
}

static bool s_on_registered(ixn_client_t *self, const Ixn__V1__Message *message, usec_t now,
                            ixn_event_t *ret_event)
{
    if (!s_answers_register(self, message) ||
        !nodes_on_registered(&self->nodes, self->frame_from, self->frame->epoch,
                             message->registered, now))
        return false;
    /* Whatever another node or session did with them is known by their keys. */
    requests_rewind(&self->requests);
    self->paused_until = 0;
    self->told_connected = true;
    s_tell(ret_event, IXN_EVENT_CONNECTED, message);
    return true;
}

static held_token_t s_token(const Ixn__V1__Token *token)
{
    return token ? (held_token_t){token->epoch, token->index} : (held_token_t){0, 0};
}

/* True: it makes an event. */
static bool s_on_message(ixn_client_t *self, const Ixn__V1__Message *message, usec_t now,
                         ixn_event_t *ret_event)
{
    if (message->body_case == IXN__V1__MESSAGE__BODY_REGISTERED)
        return s_on_registered(self, message, now, ret_event);
    if (self->frame_is_old)
        return false;
    switch (message->body_case) {
    case IXN__V1__MESSAGE__BODY_NOT_PRIMARY:
        s_on_not_primary(self, message, now);
        return false;
    case IXN__V1__MESSAGE__BODY_RETRY:
    case IXN__V1__MESSAGE__BODY_BUSY:
        s_on_not_now(self, message, now);
        return false;
    case IXN__V1__MESSAGE__BODY_ERROR:
        return s_on_error(self, message, now, ret_event);
    case IXN__V1__MESSAGE__BODY_PONG:
    case IXN__V1__MESSAGE__BODY_PAIR_STATUS:
    case IXN__V1__MESSAGE__BODY_APPLICATIONS:
    case IXN__V1__MESSAGE__BODY_FIGURES:
        return s_on_answer(self, message, ret_event);
    case IXN__V1__MESSAGE__BODY_ACK:
    case IXN__V1__MESSAGE__BODY_INTERACTION:
    case IXN__V1__MESSAGE__BODY_STRATEGY:
    case IXN__V1__MESSAGE__BODY_LISTING:
    case IXN__V1__MESSAGE__BODY_GRANTED:
    case IXN__V1__MESSAGE__BODY_QUEUES:
    case IXN__V1__MESSAGE__BODY_INTERACTIONS:
        /* Only a node that serves can know this. */
        return self->frame->epoch && s_on_answer(self, message, ret_event);
    case IXN__V1__MESSAGE__BODY_ROUTE:
        held_add(&self->nodes.held, s_token(message->route->token));
        break;
    case IXN__V1__MESSAGE__BODY_REVOKED:
        held_remove(&self->nodes.held, s_token(message->revoked->token));
        break;
    case IXN__V1__MESSAGE__BODY_SERVICE_REQUEST:
        if (!held_add(&self->nodes.held, s_token(message->service_request->token)))
            return false; /* it is at work already */
        break;
    case IXN__V1__MESSAGE__BODY_SERVICE_CANCELLED:
        held_remove(&self->nodes.held, s_token(message->service_cancelled->token));
        break;
    case IXN__V1__MESSAGE__BODY_SERVICE_RESULT:
    case IXN__V1__MESSAGE__BODY_LOAD_STRATEGY:
    case IXN__V1__MESSAGE__BODY_UNLOAD_STRATEGY:
        break;
    default:
        return false; /* of a later version */
    }
    s_tell(ret_event, IXN_EVENT_MESSAGE, message);
    return true;
}

/* ---------------------------------------------------------------------------------------------
 * The loop */

/* Hands out what the current frame has left, and what is known without it. */
static bool s_take_event(ixn_client_t *self, usec_t now, ixn_event_t *ret_event)
{
    if (self->told_connected && !self->nodes.serving) {
        self->told_connected = false;
        *ret_event = (ixn_event_t){.kind = IXN_EVENT_DISCONNECTED};
        error_set(&ret_event->error, ERROR_TIMED_OUT, "%s", self->nodes.trouble);
        return true;
    }
    while (self->frame) {
        if (self->frame_next == self->frame->n_messages) {
            self->frame = NULL;
            break;
        }
        const Ixn__V1__Message *message = self->frame->messages[self->frame_next++];
        if (s_on_message(self, message, now, ret_event))
            return true;
    }
    return false;
}

/* Reads the next frame of any endpoint. False: nothing there. */
static bool s_receive(ixn_client_t *self, usec_t now)
{
    for (size_t i = 0; i < self->nodes.count; i++) {
        endpoint_t *endpoint = self->nodes.endpoints[self->read_next++ % self->nodes.count];
        zmq_msg_t bytes;
        if (!endpoint_receive(endpoint, &bytes))
            continue;
        wire_arena_reset(self->arena);
        error_t error = {0};
        self->frame =
            wire_decode_from_node(self->arena, zmq_msg_data(&bytes), zmq_msg_size(&bytes), &error);
        zmq_msg_close(&bytes);
        self->frame_next = 0;
        self->frame_from = endpoint;
        if (self->frame)
            self->frame_is_old = !nodes_heard(&self->nodes, endpoint, self->frame->epoch, now);
        else
            nodes_note(&self->nodes, "%s: %.150s", endpoint->address, error.text);
        return true;
    }
    return false;
}

/* When the oldest request is given up; never after the node may have forgotten its key. */
static usec_t s_give_up_at(const ixn_client_t *self)
{
    if (!self->requests.all)
        return USEC_NEVER;
    usec_t give_up = self->give_up;
    usec_t guaranteed = (usec_t)self->nodes.dedupe_guaranteed_ms * USEC_PER_MS;
    if (guaranteed > 0 && give_up > guaranteed - guaranteed / 10)
        give_up = guaranteed - guaranteed / 10;
    return self->requests.all->made_at + give_up;
}

static bool s_give_up(ixn_client_t *self, usec_t now, ixn_event_t *ret_event)
{
    if (now < s_give_up_at(self))
        return false;
    request_t *request = self->requests.all;
    *ret_event = (ixn_event_t){.kind = IXN_EVENT_FAILED, .request_id = request->id};
    error_set(&ret_event->error, ERROR_TIMED_OUT, "no answer in %lld ms, %s; the latest: %s",
              (long long)((now - request->made_at) / USEC_PER_MS),
              request->was_sent ? "whether it was done is not known" : "it was never sent",
              self->nodes.trouble);
    requests_remove(&self->requests, request);
    return true;
}

/* Everything that is due. Returns whether anything was sent. */
static bool s_turn(ixn_client_t *self, usec_t now)
{
    s_wake(self, now);
    bool sent = nodes_turn(&self->nodes, now);
    return s_flush(self, now) || sent;
}

static usec_t s_due_at(const ixn_client_t *self, usec_t now)
{
    usec_t due_at = nodes_due_at(&self->nodes);
    usec_t others[] = {s_give_up_at(self),
                       now < self->paused_until
                           ? self->paused_until
                           : requests_due_at(&self->requests, self->nodes.serving != NULL)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (others[i] < due_at)
            due_at = others[i];
    }
    return due_at;
}

/* Milliseconds until `at`, rounded up so that the loop does not wake just before it; -1: never. */
static int s_ms_until(usec_t at, usec_t now)
{
    if (at == USEC_NEVER)
        return -1;
    usec_t left = (at - now + USEC_PER_MS - 1) / USEC_PER_MS;
    return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

typedef enum { SLEPT_QUIETLY, SLEPT_WOKEN, SLEPT_INTERRUPTED } sleep_result_t;

static sleep_result_t s_sleep(ixn_client_t *self, int timeout_ms)
{
    struct epoll_event events[NODES_MAX * 2];
    int count = epoll_wait(self->epoll, events, NODES_MAX * 2, timeout_ms);
    CHECK(count >= 0 || errno == EINTR);
    if (count < 0)
        return SLEPT_INTERRUPTED;
    self->looked = true;
    for (int i = 0; i < count; i++) {
        endpoint_t *endpoint = self->nodes.endpoints[events[i].data.u32 / 2];
        if (events[i].data.u32 % 2)
            nodes_watch(&self->nodes, endpoint, s_now());
        else
            endpoint_wake(endpoint);
    }
    return count ? SLEPT_WOKEN : SLEPT_QUIETLY;
}

static bool s_is_stirred(const ixn_client_t *self)
{
    for (size_t i = 0; i < self->nodes.count; i++) {
        if (endpoint_stirred(self->nodes.endpoints[i]))
            return true;
    }
    return false;
}

/* Sleeps when there is time, and no send that failed has used up what a descriptor had to tell.
 * False: the program has waited long enough. What comes after the descriptors were looked at makes
 * the client's own descriptor readable: once is enough for a program that does not want to wait. */
static bool s_wait(ixn_client_t *self, usec_t now, usec_t deadline)
{
    if (deadline <= now && self->looked)
        return false;
    if (s_is_stirred(self))
        return true;
    usec_t due_at = deadline > now ? s_due_at(self, now) : deadline;
    sleep_result_t slept = s_sleep(self, s_ms_until(due_at < deadline ? due_at : deadline, now));
    return slept == SLEPT_WOKEN || (slept == SLEPT_QUIETLY && s_now() < deadline);
}

/* The next event that is not among the kept ones. */
static void s_next(ixn_client_t *self, int timeout_ms, ixn_event_t *ret_event)
{
    usec_t now = s_now();
    usec_t deadline = timeout_ms < 0 ? USEC_NEVER : now + timeout_ms * USEC_PER_MS;
    s_tell(ret_event, IXN_EVENT_NONE, NULL);
    for (;; now = s_now()) {
        if (s_take_event(self, now, ret_event)) {
            s_flush_if_worth(self, now);
            return;
        }
        bool read_all = true;
        if (self->frames_in_a_row < FRAMES_IN_A_ROW) {
            s_flush(self, now);
            if (s_receive(self, now)) {
                self->frames_in_a_row++;
                continue;
            }
        } else {
            read_all = false;
        }
        self->frames_in_a_row = 0;
        if (read_all && s_give_up(self, now, ret_event))
            return;
        if (s_turn(self, now))
            continue;
        if (!read_all)
            s_sleep(self, 0); /* the other nodes want to be heard, too */
        else if (!s_wait(self, now, deadline))
            break;
    }
    self->looked = false;
}

void ixn_client_next(ixn_client_t *self, int timeout_ms, ixn_event_t *ret_event)
{
    if (kept_take(&self->kept, false, ret_event)) {
        s_flush_if_worth(self, s_now());
    } else {
        s_next(self, timeout_ms, ret_event);
    }
}

int ixn_client_fd(const ixn_client_t *self)
{
    return self->epoll;
}

int ixn_client_wait_ms(const ixn_client_t *self)
{
    usec_t now = s_now();
    const endpoint_t *serving = self->nodes.serving;
    bool to_send = serving && !serving->full && self->requests.ready_count > 0;
    bool at_once = self->kept.first || self->frame || (self->told_connected && !serving) ||
                   (to_send && now >= self->paused_until) || s_is_stirred(self);
    return at_once ? 0 : s_ms_until(s_due_at(self, now), now);
}

/* ---------------------------------------------------------------------------------------------
 * One request and its answer */

/* True when the event is the end of the wait for request `id`. */
static bool s_ends_call(const ixn_event_t *event, uint64_t id)
{
    return event->kind == IXN_EVENT_REFUSED ||
           (event->request_id == id &&
            (event->kind == IXN_EVENT_ANSWER || event->kind == IXN_EVENT_FAILED));
}

bool ixn_client_call(ixn_client_t *self, Ixn__V1__Request *request,
                     const Ixn__V1__Message **ret_message, error_t *ret_error)
{
    uint64_t id = ixn_client_send(self, request);
    if (id == 0)
        return error_set(ret_error, ERROR_TOO_LARGE,
                         "%zu requests wait for an answer, at most %zu may; call ixn_client_next",
                         self->requests.count, self->requests.max);
    ixn_event_t event = {.kind = IXN_EVENT_NONE};
    if (!requests_find(&self->requests, id))
        kept_take(&self->kept, true, &event); /* it was too large */
    while (!s_ends_call(&event, id)) {
        if (event.kind != IXN_EVENT_NONE)
            kept_add(&self->kept, &event);
        s_next(self, -1, &event);
    }
    if (event.kind == IXN_EVENT_REFUSED) {
        kept_add(&self->kept, &event); /* it concerns the program as a whole */
        request_t *unanswered = requests_find(&self->requests, id);
        if (unanswered)
            requests_remove(&self->requests, unanswered);
    }
    if (event.kind != IXN_EVENT_ANSWER)
        return error_set(ret_error, event.error.code, "%s", event.error.text);
    if (event.message->body_case == IXN__V1__MESSAGE__BODY_ERROR)
        return error_set(ret_error, (error_code_t)event.message->error->code, "%s",
                         event.message->error->sentence);
    *ret_message = event.message;
    return true;
}

/* ---------------------------------------------------------------------------------------------
 * What is known */

size_t ixn_client_held(const ixn_client_t *self)
{
    return held_count(&self->nodes.held);
}

uint64_t ixn_client_epoch(const ixn_client_t *self)
{
    return self->nodes.epoch;
}

const char *ixn_client_endpoint(const ixn_client_t *self)
{
    return self->nodes.serving ? self->nodes.serving->address : NULL;
}
