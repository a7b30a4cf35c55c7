/* Pair call: see pair_call.h. */
#include "apps/ixnctl/pair_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/clock.h"

enum { ANSWER_MAX = 8 * 1024 * 1024 }; /* the largest: a configuration */

bool pair_open(pair_call_t *self, common_t *common, error_t *ret_error)
{
    *self = (pair_call_t){.timeout_ms = common->timeout_ms};
    self->view.len = common_endpoints(common, self->endpoints, ret_error);
    if (self->view.len == 0)
        return false;
    self->arena = wire_arena_new();
    common_operator(common, self->by);
    for (size_t i = 0; i < self->view.len; i++) {
        wire_clean_text(self->endpoints[i]);
        self->view.nodes[i].endpoint = self->endpoints[i];
    }
    self->view.whole = common->nodes_len > 1;
    return true;
}

void pair_close(pair_call_t *self)
{
    for (size_t i = 0; i < self->view.len; i++)
        free(self->endpoints[i]);
    wire_arena_destroy(&self->arena);
}

static int64_t s_now_ms(void)
{
    return clock_usec(CLOCK_MONOTONIC) / USEC_PER_MS;
}

/* What is asked: a request, and perhaps for figures too. */
typedef struct {
    Ixn__V1__Request *request;
    bool figures;
} question_t;

enum { REQUEST_ID = 1, FIGURES_ID = 2 };

static void s_append_question(buffer_t *frame, const question_t *question)
{
    wire_append_to_node_head(frame);
    question->request->id = REQUEST_ID;
    wire_append_request(frame, question->request);
    if (!question->figures)
        return;
    Ixn__V1__FiguresRequest figures = IXN__V1__FIGURES_REQUEST__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.id = FIGURES_ID;
    request.body_case = IXN__V1__REQUEST__BODY_FIGURES;
    request.figures = &figures;
    wire_append_request(frame, &request);
}

/* A connection on which the question is on its way; NULL and an error when the endpoint is none. */
static void *s_ask(void *context, const char *endpoint, const question_t *question,
                   error_t *ret_error)
{
    static const int zero = 0;
    static const int64_t largest = ANSWER_MAX;
    void *socket = zmq_socket(context, ZMQ_DEALER);
    CHECK(socket);
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &largest, sizeof largest);
    const int ipv6 = strchr(endpoint, '[') != NULL;
    zmq_setsockopt(socket, ZMQ_IPV6, &ipv6, sizeof ipv6);
    if (zmq_connect(socket, endpoint) != 0) {
        error_set(ret_error, ERROR_CONFIGURATION,
                  "cannot connect to \"%s\": %s; a node is like tcp://127.0.0.1:7420", endpoint,
                  zmq_strerror(errno));
        zmq_close(socket);
        return NULL;
    }
    buffer_t frame = {0};
    s_append_question(&frame, question);
    zmq_send(socket, frame.bytes, frame.len, ZMQ_DONTWAIT);
    buffer_free(&frame);
    return socket;
}

/* What a peer sent may be no text at all. */
static void s_clean(Ixn__V1__PairNode *node)
{
    if (!node)
        return;
    wire_clean_text(node->name);
    wire_clean_text(node->role);
    wire_clean_text(node->client_endpoint);
    wire_clean_text(node->readiness);
    for (size_t i = 0; i < node->n_daps; i++) {
        wire_clean_text(node->daps[i]->name);
        wire_clean_text(node->daps[i]->trouble);
    }
}

static void s_clean_heal(Ixn__V1__PairHeal *heal)
{
    wire_clean_text(heal->dap);
    wire_clean_text(heal->server);
    wire_clean_text(heal->objection);
    wire_clean_text(heal->error);
}

/* Makes a node's answer of a message. */
static void s_take(pair_call_t *self, pair_view_node_t *node, const Ixn__V1__Message *message)
{
    if (message->body_case == IXN__V1__MESSAGE__BODY_CONFIG) {
        self->answers[node - self->view.nodes] = message->config;
        node->error = (error_t){0};
    } else if (message->body_case == IXN__V1__MESSAGE__BODY_PAIR_STATUS &&
               message->pair_status->own) {
        s_clean(message->pair_status->own);
        s_clean(message->pair_status->peer);
        wire_clean_text(message->pair_status->database);
        wire_clean_text(message->pair_status->role_reason);
        if (message->pair_status->heal)
            s_clean_heal(message->pair_status->heal);
        node->status = message->pair_status;
        node->error = (error_t){0};
    } else if (message->body_case == IXN__V1__MESSAGE__BODY_ERROR) {
        const Ixn__V1__Error *error = message->error;
        error_code_t code = (error_code_t)error->code;
        error_set(&node->error, code, "%s: %s (%s)", node->endpoint, error->sentence,
                  error_name(code));
        wire_clean_text(node->error.text);
    } else {
        error_set(&node->error, ERROR_UNSUPPORTED_VERSION,
                  "%s: does not understand questions about the pair; is its ixnd as new as this "
                  "ixnctl?",
                  node->endpoint);
    }
}

static void s_take_figures(pair_call_t *self, size_t node, const Ixn__V1__Message *message)
{
    if (message->body_case != IXN__V1__MESSAGE__BODY_FIGURES)
        return; /* an older node has none */
    wire_clean_text(message->figures->node);
    wire_clean_text(message->figures->version);
    self->figures[node] = message->figures;
}

/* A node that cannot read the question, such as one of another version, says so to the request 0.
 */
static bool s_is_unread(const Ixn__V1__Message *message)
{
    return message->request_id == 0 && message->body_case == IXN__V1__MESSAGE__BODY_ERROR;
}

/* Reads what has come; true when the node has answered. The figures are asked last and so answered
 * last. */
static bool s_receive(pair_call_t *self, pair_view_node_t *node, void *socket, bool figures)
{
    const uint64_t last = figures ? FIGURES_ID : REQUEST_ID;
    zmq_msg_t frame;
    bool answered = false;
    zmq_msg_init(&frame);
    while (!answered && zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0) {
        error_t error = {0};
        const Ixn__V1__FromNode *packet =
            wire_decode_from_node(self->arena, zmq_msg_data(&frame), zmq_msg_size(&frame), &error);
        if (!packet) {
            error_set(&node->error, error.code, "%s: its answer is not understood: %s",
                      node->endpoint, error.text);
            answered = true;
        }
        for (size_t i = 0; packet && i < packet->n_messages && !answered; i++) {
            const Ixn__V1__Message *message = packet->messages[i];
            answered = message->request_id == last || s_is_unread(message);
            if (message->request_id == REQUEST_ID || s_is_unread(message))
                s_take(self, node, message);
            else if (message->request_id == FIGURES_ID)
                s_take_figures(self, (size_t)(node - self->view.nodes), message);
        }
    }
    zmq_msg_close(&frame);
    return answered;
}

static bool s_is_sought(const pair_call_t *self, const pair_view_node_t *node)
{
    return self->seeks_primary && node->status && pair_view_serves(node->status->own);
}

/* Asks the nodes from `first` to before `end`, all at once. */
static void s_ask_all(pair_call_t *self, size_t first, size_t end, const question_t *question,
                      uint32_t patience_ms)
{
    void *context = zmq_ctx_new();
    zmq_pollitem_t items[PAIR_VIEW_NODES];
    size_t at[PAIR_VIEW_NODES];
    int open = 0;
    for (size_t i = first; i < end; i++) {
        pair_view_node_t *node = &self->view.nodes[i];
        node->status = NULL;
        self->figures[i] = NULL;
        error_set(&node->error, ERROR_TIMED_OUT, "%s: no answer", node->endpoint);
        void *socket = s_ask(context, node->endpoint, question, &node->error);
        if (!socket)
            continue;
        at[open] = i;
        items[open++] = (zmq_pollitem_t){socket, 0, ZMQ_POLLIN, 0};
    }
    int64_t until = s_now_ms() + self->timeout_ms;
    for (int64_t now = s_now_ms(); open > 0 && now < until; now = s_now_ms()) {
        if (zmq_poll(items, open, (long)(until - now)) < 0 && errno != EINTR)
            break;
        for (int i = 0; i < open; i++) {
            pair_view_node_t *node = &self->view.nodes[at[i]];
            if (!s_receive(self, node, items[i].socket, question->figures))
                continue;
            zmq_close(items[i].socket);
            items[i] = items[--open];
            at[i--] = at[open];
            int64_t sooner = s_now_ms() + (s_is_sought(self, node) ? 0 : patience_ms);
            until = sooner < until ? sooner : until;
        }
    }
    while (open > 0)
        zmq_close(items[--open].socket);
    zmq_ctx_term(context);
}

/* The other node, where one that was asked names it and nobody has. */
static void s_add_peers(pair_call_t *self)
{
    for (size_t i = 0; i < self->view.len && !self->view.whole; i++) {
        const Ixn__V1__PairStatus *status = self->view.nodes[i].status;
        const char *endpoint = status && status->peer ? status->peer->client_endpoint : "";
        if (!*endpoint || self->view.len == PAIR_VIEW_NODES || common_is_any_address(endpoint))
            continue;
        self->view.whole = true;
        char *copy = memory_text(endpoint);
        self->endpoints[self->view.len] = copy;
        self->view.nodes[self->view.len++] = (pair_view_node_t){.endpoint = copy};
    }
}

bool pair_status(pair_call_t *self, uint32_t patience_ms, error_t *ret_error)
{
    Ixn__V1__PairStatusRequest ask = IXN__V1__PAIR_STATUS_REQUEST__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_STATUS;
    request.pair_status = &ask;
    const question_t question = {&request, self->wants_figures};
    wire_arena_reset(self->arena);
    size_t asked = self->view.len;
    s_ask_all(self, 0, asked, &question, patience_ms);
    if (!self->seeks_primary || pair_view_primary(&self->view) == PAIR_VIEW_NONE)
        s_add_peers(self);
    if (self->view.len > asked) {
        uint32_t kept = self->timeout_ms;
        self->timeout_ms = patience_ms < kept ? patience_ms : kept;
        s_ask_all(self, asked, self->view.len, &question, patience_ms);
        self->timeout_ms = kept;
    }
    for (size_t i = 0; i < self->view.len; i++)
        if (self->view.nodes[i].status)
            return true;
    if (ret_error)
        *ret_error = self->view.nodes[0].error;
    if (ret_error && ret_error->code == ERROR_TIMED_OUT)
        error_set(ret_error, ERROR_TIMED_OUT,
                  "no node of the pair has answered at %s%s within %u s; is one running? (--node, "
                  "once for each; --timeout)",
                  self->view.nodes[0].endpoint, self->view.len > 1 ? " and others" : "",
                  self->timeout_ms / 1000);
    return false;
}

bool pair_command(pair_call_t *self, size_t node, const Ixn__V1__PairCommand *command,
                  error_t *ret_error)
{
    Ixn__V1__PairCommand copy = *command;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_COMMAND;
    request.pair_command = &copy;
    request.by = self->by;
    s_ask_all(self, node, node + 1, &(question_t){&request, false}, self->timeout_ms);
    if (self->view.nodes[node].status)
        return true;
    *ret_error = self->view.nodes[node].error;
    if (ret_error->code == ERROR_TIMED_OUT)
        error_set(ret_error, ERROR_TIMED_OUT,
                  "%s: no answer to the command within %u s; whether it was taken is not known: "
                  "see ixnctl pair status",
                  self->view.nodes[node].endpoint, self->timeout_ms / 1000);
    return false;
}

void pair_config(pair_call_t *self, const Ixn__V1__ConfigRequest *request, uint32_t patience_ms)
{
    Ixn__V1__ConfigRequest copy = *request;
    Ixn__V1__Request ask = IXN__V1__REQUEST__INIT;
    ask.body_case = IXN__V1__REQUEST__BODY_CONFIG;
    ask.config = &copy;
    ask.by = self->by;
    s_ask_all(self, 0, self->view.len, &(question_t){&ask, false}, patience_ms);
    for (size_t i = 0; i < self->view.len; i++) {
        pair_view_node_t *node = &self->view.nodes[i];
        if (!self->answers[i] && node->error.code == ERROR_TIMED_OUT)
            error_set(&node->error, ERROR_TIMED_OUT,
                      "%s: no answer within %u s; is this node running? (--node, --timeout)",
                      node->endpoint, self->timeout_ms / 1000);
    }
}
