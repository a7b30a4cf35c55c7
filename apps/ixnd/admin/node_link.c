#include "apps/ixnd/admin/node_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/wire/wire.h"

enum {
    FRAMES = 16,
    ASK_AGAIN_US = 1000 * 1000, /* an answer that has not come by then is not waited for */
    SILENT_US = 300 * 1000,
};

struct node_link {
    char *endpoint;
    void *socket;
    wire_arena_t *arena; /* of what was said last … */
    wire_arena_t *spare; /* … and of the frame that is read */
    const Ixn__V1__PairStatus *status;
    const Ixn__V1__Figures *figures;
    const Ixn__V1__ConfigAnswer *config; /* in the spare one: of the command answered just now */
    usec_t heard_at;
    usec_t asked_at; /* 0: nothing is asked */
    uint64_t asked;  /* number of that question; the figures have the next one */
    uint64_t number;
};

static void s_set(void *socket, int option, int value)
{
    CHECK(zmq_setsockopt(socket, option, &value, sizeof value) == 0);
}

node_link_t *node_link_new(void *context, const char *endpoint, error_t *ret_error)
{
    static const int64_t largest = LIMIT_PACKET;
    void *socket = zmq_socket(context, ZMQ_DEALER);
    CHECK(socket);
    s_set(socket, ZMQ_LINGER, 0);
    s_set(socket, ZMQ_SNDHWM, FRAMES);
    s_set(socket, ZMQ_RCVHWM, FRAMES);
    s_set(socket, ZMQ_IMMEDIATE, 1);
    s_set(socket, ZMQ_RECONNECT_IVL, 50);
    s_set(socket, ZMQ_RECONNECT_IVL_MAX, 1000);
    s_set(socket, ZMQ_IPV6, strchr(endpoint, '[') != NULL);
    CHECK(zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest) == 0);
    if (zmq_connect(socket, endpoint) != 0) {
        error_set(ret_error, ERROR_CONFIGURATION, "admin port: cannot connect to \"%s\": %s",
                  endpoint, zmq_strerror(errno));
        zmq_close(socket);
        return NULL;
    }
    node_link_t *self = memory_zero(1, sizeof *self);
    self->endpoint = memory_text(endpoint);
    self->socket = socket;
    self->arena = wire_arena_new();
    self->spare = wire_arena_new();
    return self;
}

void node_link_destroy(node_link_t **self_p)
{
    node_link_t *self = *self_p;
    if (!self)
        return;
    zmq_close(self->socket);
    wire_arena_destroy(&self->arena);
    wire_arena_destroy(&self->spare);
    free(self->endpoint);
    free(self);
    *self_p = NULL;
}

const char *node_link_endpoint(const node_link_t *self)
{
    return self->endpoint;
}

void *node_link_socket(node_link_t *self)
{
    return self->socket;
}

static bool s_send(node_link_t *self, const buffer_t *frame)
{
    return zmq_send(self->socket, frame->bytes, frame->len, ZMQ_DONTWAIT) >= 0;
}

void node_link_ask(node_link_t *self, usec_t now)
{
    if (self->asked_at && now - self->asked_at < ASK_AGAIN_US)
        return;
    Ixn__V1__PairStatusRequest status = IXN__V1__PAIR_STATUS_REQUEST__INIT;
    Ixn__V1__FiguresRequest figures = IXN__V1__FIGURES_REQUEST__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    buffer_t frame = {0};
    wire_append_to_node_head(&frame);
    self->asked = request.id = ++self->number;
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_STATUS;
    request.pair_status = &status;
    wire_append_request(&frame, &request);
    request.id = ++self->number;
    request.body_case = IXN__V1__REQUEST__BODY_FIGURES;
    request.figures = &figures;
    wire_append_request(&frame, &request);
    s_send(self, &frame);
    buffer_free(&frame);
    self->asked_at = now;
}

uint64_t node_link_tell(node_link_t *self, const Ixn__V1__Request *command)
{
    Ixn__V1__Request request = *command;
    buffer_t frame = {0};
    request.id = ++self->number;
    wire_append_to_node_head(&frame);
    wire_append_request(&frame, &request);
    bool sent = s_send(self, &frame);
    buffer_free(&frame);
    return sent ? request.id : 0;
}

/* What a peer sent may be no text at all. */
static void s_clean_node(Ixn__V1__PairNode *node)
{
    if (!node)
        return;
    wire_clean_text(node->name);
    wire_clean_text(node->role);
    wire_clean_text(node->client_endpoint);
    wire_clean_text(node->admin_url);
    wire_clean_text(node->readiness);
    for (size_t i = 0; i < node->n_daps; i++) {
        wire_clean_text(node->daps[i]->name);
        wire_clean_text(node->daps[i]->trouble);
    }
}

static void s_clean(Ixn__V1__PairStatus *status)
{
    s_clean_node(status->own);
    s_clean_node(status->peer);
    wire_clean_text(status->database);
    wire_clean_text(status->role_reason);
}

/* A frame with the answer to the question that is asked becomes what was said last. */
static void s_take_answer(node_link_t *self, const Ixn__V1__FromNode *frame, usec_t now)
{
    Ixn__V1__PairStatus *status = NULL;
    const Ixn__V1__Figures *figures = NULL;
    for (size_t i = 0; i < frame->n_messages; i++) {
        const Ixn__V1__Message *message = frame->messages[i];
        if (message->request_id == self->asked &&
            message->body_case == IXN__V1__MESSAGE__BODY_PAIR_STATUS && message->pair_status->own)
            status = message->pair_status;
        if (message->request_id == self->asked + 1 &&
            message->body_case == IXN__V1__MESSAGE__BODY_FIGURES)
            figures = message->figures;
    }
    if (!status)
        return;
    s_clean(status);
    self->status = status;
    self->figures = figures;
    self->heard_at = now;
    self->asked_at = 0;
    wire_arena_t *kept = self->spare;
    self->spare = self->arena;
    self->arena = kept;
}

/* The answer to a command, if the frame has one. What cannot be read is answered to the request 0,
 * which is no command's number. */
static bool s_take_command(node_link_t *self, const Ixn__V1__FromNode *frame, uint64_t *ret_command,
                           error_t *ret_error)
{
    const Ixn__V1__Message *message = frame->n_messages == 1 ? frame->messages[0] : NULL;
    if (!message || message->request_id == 0 || message->request_id == self->asked)
        return false;
    *ret_command = message->request_id;
    *ret_error = (error_t){0};
    if (message->body_case == IXN__V1__MESSAGE__BODY_PAIR_STATUS)
        return true;
    if (message->body_case == IXN__V1__MESSAGE__BODY_CONFIG) {
        self->config = message->config;
        return true;
    }
    if (message->body_case != IXN__V1__MESSAGE__BODY_ERROR)
        return false;
    error_set(ret_error, (error_code_t)message->error->code, "%s", message->error->sentence);
    wire_clean_text(ret_error->text);
    return true;
}

bool node_link_next(node_link_t *self, usec_t now, uint64_t *ret_command, error_t *ret_error)
{
    bool answered = false;
    zmq_msg_t bytes;
    zmq_msg_init(&bytes);
    while (!answered && zmq_msg_recv(&bytes, self->socket, ZMQ_DONTWAIT) >= 0) {
        error_t error;
        self->config = NULL;
        wire_arena_reset(self->spare);
        const Ixn__V1__FromNode *frame =
            wire_decode_from_node(self->spare, zmq_msg_data(&bytes), zmq_msg_size(&bytes), &error);
        if (!frame)
            continue;
        answered = s_take_command(self, frame, ret_command, ret_error);
        if (!answered)
            s_take_answer(self, frame, now);
    }
    zmq_msg_close(&bytes);
    return answered;
}

const Ixn__V1__PairStatus *node_link_status(const node_link_t *self)
{
    return self->status;
}

const Ixn__V1__Figures *node_link_figures(const node_link_t *self)
{
    return self->figures;
}

const Ixn__V1__ConfigAnswer *node_link_config(const node_link_t *self)
{
    return self->config;
}

usec_t node_link_heard_at(const node_link_t *self)
{
    return self->heard_at;
}

bool node_link_is_silent(const node_link_t *self, usec_t now)
{
    return self->asked_at && now - self->asked_at > SILENT_US;
}
