#include "dap/dialer.h"

#include <czmq.h>
#include <poll.h>
#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/check.h"

struct dialer {
    zactor_t *actor;
};

/* What the owner sends: without a connection that number is called off; with neither all are, and
 * the same is the last answer. */
typedef struct {
    uint64_t number;
    connection_t *connection;
} order_t;

/* Owned by the thread. */
typedef struct {
    zsock_t *pipe;
    order_t lines[DIALER_MOST]; /* being opened */
    size_t len;
    bool stopping;
} exchange_t;

static void s_remove(exchange_t *self, size_t line)
{
    self->lines[line] = self->lines[--self->len];
}

/* Those of that number; 0: all. */
static void s_call_off(exchange_t *self, uint64_t number)
{
    for (size_t i = 0; i < self->len;) {
        if (number == 0 || self->lines[i].number == number) {
            connection_destroy(&self->lines[i].connection);
            s_remove(self, i);
        } else {
            i++;
        }
    }
}

static void s_tell(const exchange_t *self, const dialer_answer_t *answer)
{
    CHECK(zmq_send(zsock_resolve(self->pipe), answer, sizeof *answer, 0) == (int)sizeof *answer);
}

/* A step of one; true when that was its last. */
static bool s_step(exchange_t *self, size_t line)
{
    error_t error = {0};
    PGresult *none = NULL;
    connection_t *connection = self->lines[line].connection;
    /* Each time: it is nothing once it has begun. */
    if (connection_start(connection, &error) &&
        connection_step(connection, &none, &error) == CONNECTION_BUSY)
        return false;
    const dialer_answer_t answer = {self->lines[line].number, connection, error};
    s_remove(self, line);
    s_tell(self, &answer);
    return true;
}

static void s_hear(exchange_t *self)
{
    order_t order;
    int len;
    while ((len = zmq_recv(zsock_resolve(self->pipe), &order, sizeof order, ZMQ_DONTWAIT)) >= 0) {
        if (len != (int)sizeof order) {
            self->stopping = true; /* "$TERM", the only other thing that is said */
        } else if (!order.connection) {
            s_call_off(self, order.number);
            if (order.number == 0)
                s_tell(self, &(dialer_answer_t){0});
        } else {
            CHECK(self->len < DIALER_MOST);
            self->lines[self->len++] = order;
        }
    }
}

static void s_sleep(const exchange_t *self)
{
    zmq_pollitem_t items[1 + DIALER_MOST] = {
        {.socket = zsock_resolve(self->pipe), .events = ZMQ_POLLIN}};
    usec_t until = USEC_NEVER;
    for (size_t i = 0; i < self->len; i++) {
        const connection_t *connection = self->lines[i].connection;
        bool writing = connection_events(connection) == POLLOUT;
        items[1 + i] = (zmq_pollitem_t){.fd = connection_fd(connection),
                                        .events = writing ? ZMQ_POLLOUT : ZMQ_POLLIN};
        usec_t deadline = connection_deadline(connection);
        until = deadline < until ? deadline : until;
    }
    usec_t left = until == USEC_NEVER ? USEC_NEVER : until - connection_now();
    long ms = left == USEC_NEVER ? -1 : left > 0 ? (long)(left / USEC_PER_MS + 1) : 0;
    zmq_poll(items, (int)self->len + 1, ms);
}

static void s_exchange(zsock_t *pipe, void *arguments)
{
    (void)arguments;
    exchange_t self = {.pipe = pipe};
    zsock_signal(pipe, 0);
    while (!self.stopping) {
        s_hear(&self);
        for (size_t i = 0; i < self.len;)
            i += s_step(&self, i) ? 0 : 1;
        if (!self.stopping)
            s_sleep(&self);
    }
}

dialer_t *dialer_new(void)
{
    dialer_t *self = memory_zero(1, sizeof *self);
    self->actor = zactor_new(s_exchange, NULL);
    CHECK(self->actor);
    return self;
}

static void *s_socket(const dialer_t *self)
{
    return zsock_resolve(zactor_sock(self->actor));
}

static void s_order(dialer_t *self, order_t order)
{
    CHECK(zmq_send(s_socket(self), &order, sizeof order, 0) == (int)sizeof order);
}

static bool s_receive(dialer_t *self, int flags, dialer_answer_t *ret_answer)
{
    return zmq_recv(s_socket(self), ret_answer, sizeof *ret_answer, flags) ==
           (int)sizeof *ret_answer;
}

void dialer_destroy(dialer_t **self_p)
{
    dialer_t *self = *self_p;
    dialer_answer_t answer = {.number = 1};
    if (!self)
        return;
    s_order(self, (order_t){0});
    while (answer.number != 0)
        if (s_receive(self, 0, &answer)) /* fails only when a signal is caught */
            connection_destroy(&answer.connection);
    zactor_destroy(&self->actor);
    free(self);
    *self_p = NULL;
}

void dialer_dial(dialer_t *self, uint64_t number, connection_t *connection)
{
    CHECK(connection && number != 0);
    s_order(self, (order_t){number, connection});
}

void dialer_call_off(dialer_t *self, uint64_t number)
{
    s_order(self, (order_t){.number = number});
}

bool dialer_next(dialer_t *self, dialer_answer_t *ret_answer)
{
    return s_receive(self, ZMQ_DONTWAIT, ret_answer);
}

int dialer_fd(const dialer_t *self)
{
    return zsock_fd(zactor_sock(self->actor));
}
