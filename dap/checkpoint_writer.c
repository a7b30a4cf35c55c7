#include "dap/checkpoint_writer.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "dap/connection.h"
#include "dap/image_transaction.h"
#include "dap/retention.h"

#define BACK_OFF_FIRST_US (50 * USEC_PER_MS)
#define BACK_OFF_LONGEST_US USEC_PER_SECOND
/* A row that the database refuses is refused again, until somebody mends something. */
#define REFUSED_FIRST_US USEC_PER_SECOND
#define REFUSED_LONGEST_US (30 * USEC_PER_SECOND)

_Static_assert(ERROR_TIMED_OUT < 64, "a bit for each code of an error");

struct checkpoint_writer {
    zactor_t *actor;
    int stop;     /* an event on it ends what the lane waits for */
    bool writing; /* an image was handed over and is not written yet */
};

/* What the owner sends: one of these. */
typedef struct {
    checkpoint_image_t *image;
    use_t *use;
    checkpoint_keep_t keep; /* with `use` */
    instance_t instance;    /* with neither: another server is proven */
} order_t;

/* The lane's own; nobody else touches it once the thread runs. */
typedef struct {
    zsock_t *pipe;
    ways_t ways;
    image_transaction_t transaction;
    retention_t retention;
    bool fenced;
    bool stopping;
    /* about the image in work */
    usec_t back_off;  /* after a refusal */
    uint64_t waiting; /* bits of the error codes that WAITING was said for */
    error_t refused;  /* what REFUSED was said with */
} lane_t;

static void s_say(lane_t *self, const checkpoint_event_t *event)
{
    /* Blocks only when a thousand events wait unread; the lane has nothing to say so often. */
    while (zmq_send(zsock_resolve(self->pipe), event, sizeof *event, 0) < 0 && errno == EINTR)
        ;
}

/* Waits for word from the owner; false: none until then (CLOCK_BOOTTIME; USEC_NEVER: for ever). */
static bool s_wait(lane_t *self, usec_t until)
{
    zmq_pollitem_t item = {.socket = zsock_resolve(self->pipe), .events = ZMQ_POLLIN};
    for (;;) {
        usec_t left = until - connection_now();
        long left_ms = left <= 0 ? 0 : (long)((left + USEC_PER_MS - 1) / USEC_PER_MS);
        int ready = zmq_poll(&item, 1, until == USEC_NEVER ? -1 : left_ms);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR) { /* the context has ended */
            self->stopping = true;
            return true;
        }
        if (ready == 0 && until != USEC_NEVER && connection_now() >= until)
            return false;
    }
}

static void s_use(lane_t *self, use_t *use, const checkpoint_keep_t *keep)
{
    ways_set(&self->ways, use);
    self->transaction.statement_timeout_ms = use->statement_timeout_ms;
    const retention_options_t retention = {
        .journal_retention_us = keep->journal_retention,
        .journal_retention_size = keep->journal_retention_size,
        .history_retention_us = keep->history_retention,
        .statement_timeout_ms = use->statement_timeout_ms,
    };
    retention_change(&self->retention, &retention);
    use_destroy(&use);
}

/* Takes what the owner said: an image, or NULL and perhaps `stopping`. */
static checkpoint_image_t *s_hear(lane_t *self)
{
    order_t order = {0};
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    if (self->stopping || zmq_msg_recv(&msg, zsock_resolve(self->pipe), ZMQ_DONTWAIT) < 0) {
        self->stopping = self->stopping || errno == ETERM;
    } else if (zmq_msg_size(&msg) == sizeof order) {
        memcpy(&order, zmq_msg_data(&msg), sizeof order);
        if (!order.image && !order.use) {
            self->transaction.fence.instance = order.instance;
            retention_prove(&self->retention, &order.instance);
        }
    } else {
        self->stopping = true; /* zactor's "$TERM" is the only other thing there is to say */
    }
    zmq_msg_close(&msg);
    if (order.use)
        s_use(self, order.use, &order.keep);
    return order.image;
}

static void s_say_waiting(lane_t *self, const error_t *error)
{
    /* Once an outage and kind of reason: "wrong database" must not hide behind "unreachable". */
    uint64_t bit = UINT64_C(1) << error->code;
    if (self->waiting & bit)
        return;
    self->waiting |= bit;
    checkpoint_event_t event = {.kind = CHECKPOINT_WAITING, .error = *error};
    s_say(self, &event);
}

static void s_say_refused(lane_t *self, const error_t *error)
{
    if (strcmp(self->refused.text, error->text) == 0)
        return;
    self->refused = *error;
    checkpoint_event_t event = {.kind = CHECKPOINT_REFUSED, .error = *error};
    s_say(self, &event);
}

/* The row is refused for what it holds, wherever it goes: when to try again. */
static usec_t s_refused(lane_t *self, const error_t *error)
{
    s_say_refused(self, error);
    if (self->back_off < REFUSED_FIRST_US)
        self->back_off = REFUSED_FIRST_US;
    usec_t wait = self->back_off;
    self->back_off = wait * 2 > REFUSED_LONGEST_US ? REFUSED_LONGEST_US : wait * 2;
    return connection_now() + wait;
}

/* Not through this one now; the next is tried at once. */
static void s_failed(lane_t *self, way_t *way, const error_t *error)
{
    bool wrong = error->code == ERROR_DATABASE_WRONG;
    checkpoint_event_t event = {
        .kind = wrong ? CHECKPOINT_WRONG : CHECKPOINT_FAILED, .dap = way->number, .error = *error};
    /* One that reaches another database rests for the longest time at once. */
    way_failed(way, wrong ? BACK_OFF_LONGEST_US : BACK_OFF_FIRST_US, BACK_OFF_LONGEST_US);
    s_say(self, &event);
    if (!ways_first(&self->ways, connection_now(), NULL))
        s_say_waiting(self, error);
}

/* One attempt. True: the image is done with. `*ret_until`: when to try again. */
static bool s_attempt(lane_t *self, const checkpoint_image_t *image, usec_t start,
                      usec_t *ret_until)
{
    error_t error = {0};
    way_t *way = ways_next(&self->ways, connection_now());
    if (!way) {
        *ret_until = ways_retry_at(&self->ways);
        return false;
    }
    checkpoint_event_t event = {.index = image->to, .dap = way->number};
    image_outcome_t outcome =
        image_transaction_run(&self->transaction, way->connection, image, &error);
    switch (outcome) {
    case IMAGE_WRITTEN:
        way_worked(way);
        event.kind = CHECKPOINT_WRITTEN;
        event.elapsed = connection_now() - start;
        event.rows = image->changed_len + image->gone_len + image->finished_len;
        s_say(self, &event);
        return true;
    case IMAGE_FENCED:
    case IMAGE_BEHIND:
        self->fenced = true;
        event.kind = outcome == IMAGE_FENCED ? CHECKPOINT_FENCED : CHECKPOINT_BEHIND;
        event.error = error;
        s_say(self, &event);
        return true;
    case IMAGE_REFUSED:
        *ret_until = s_refused(self, &error);
        return false;
    case IMAGE_FAILED:
        s_failed(self, way, &error);
        *ret_until = 0;
        return false;
    }
    return true;
}

/* Tries until it is written, the lane is fenced or the owner wants it to stop. */
static void s_write(lane_t *self, const checkpoint_image_t *image)
{
    usec_t start = connection_now();
    usec_t until = 0;
    self->back_off = 0;
    self->waiting = 0;
    self->refused = (error_t){0};
    while (!self->stopping && !s_attempt(self, image, start, &until))
        if (s_wait(self, until))
            CHECK(!s_hear(self)); /* one image at a time: other DAPs, or the end */
}

/* One step of keeping the tables in shape. Returns when the next is due. */
static usec_t s_retain(lane_t *self)
{
    usec_t now = connection_now();
    way_t *way = ways_next(&self->ways, now);
    if (!way) {
        usec_t retry = ways_retry_at(&self->ways);
        return retry == USEC_NEVER ? now + BACK_OFF_LONGEST_US : retry;
    }
    usec_t next = retention_step(&self->retention, way->connection);
    if (!connection_is_open(way->connection))
        way_failed(way, BACK_OFF_FIRST_US, BACK_OFF_LONGEST_US);
    return next;
}

static void s_run(lane_t *self)
{
    usec_t next = 0;
    while (!self->stopping) {
        checkpoint_image_t *image = s_wait(self, next) ? s_hear(self) : NULL;
        if (image && !self->fenced)
            s_write(self, image);
        if (image)
            checkpoint_image_destroy(&image);
        /* Fenced: the tables are somebody else's to keep in shape, too. Otherwise a step is due
         * even while images come without a pause. */
        if (self->fenced)
            next = USEC_NEVER;
        else if (!self->stopping && connection_now() >= next)
            next = s_retain(self);
    }
}

static void s_destroy(lane_t **self_p)
{
    lane_t *self = *self_p;
    ways_free(&self->ways);
    image_transaction_free(&self->transaction);
    free(self);
    *self_p = NULL;
}

static void s_thread(zsock_t *pipe, void *argument)
{
    lane_t *self = argument;
    self->pipe = pipe;
    zsock_signal(pipe, 0);
    s_run(self);
    s_destroy(&self);
}

checkpoint_keep_t checkpoint_keep_of(const config_t *config)
{
    return (checkpoint_keep_t){
        .journal_retention = (usec_t)config->journal_retention_ms * USEC_PER_MS,
        .journal_retention_size = config->journal_retention_size,
        .history_retention = (usec_t)config->history_retention_ms * USEC_PER_MS,
    };
}

checkpoint_writer_t *checkpoint_writer_new(const checkpoint_writer_options_t *options)
{
    fence_t fence = {options->identity, options->generation, options->instance};
    retention_options_t retention = {.fence = fence};
    lane_t *lane = memory_zero(1, sizeof *lane);
    checkpoint_writer_t *self = memory_zero(1, sizeof *self);
    self->stop = eventfd(0, EFD_CLOEXEC);
    CHECK(self->stop >= 0);
    ways_init(&lane->ways, self->stop);
    image_transaction_init(&lane->transaction, &fence, options->use->statement_timeout_ms);
    retention_init(&lane->retention, &retention);
    s_use(lane, options->use, &options->keep);
    self->actor = zactor_new(s_thread, lane);
    CHECK(self->actor);
    return self;
}

void checkpoint_writer_destroy(checkpoint_writer_t **self_p)
{
    checkpoint_writer_t *self = *self_p;
    if (!self)
        return;
    CHECK(eventfd_write(self->stop, 1) == 0);
    zactor_destroy(&self->actor);
    close(self->stop);
    free(self);
    *self_p = NULL;
}

zsock_t *checkpoint_writer_socket(checkpoint_writer_t *self)
{
    return zactor_sock(self->actor);
}

static void s_order(checkpoint_writer_t *self, const order_t *order)
{
    while (zmq_send(zsock_resolve(self->actor), order, sizeof *order, 0) < 0)
        CHECK(errno == EINTR);
}

void checkpoint_writer_write(checkpoint_writer_t *self, checkpoint_image_t *image)
{
    CHECK(!self->writing && image->to > image->from);
    self->writing = true;
    s_order(self, &(order_t){.image = image});
}

void checkpoint_writer_use(checkpoint_writer_t *self, use_t *use, const checkpoint_keep_t *keep)
{
    s_order(self, &(order_t){.use = use, .keep = *keep});
}

void checkpoint_writer_prove(checkpoint_writer_t *self, const instance_t *instance)
{
    s_order(self, &(order_t){.instance = *instance});
}

bool checkpoint_writer_next(checkpoint_writer_t *self, checkpoint_event_t *ret_event)
{
    checkpoint_event_t event;
    int size = zmq_recv(zsock_resolve(self->actor), &event, sizeof event, ZMQ_DONTWAIT);
    if (size != (int)sizeof event)
        return false;
    if (event.kind == CHECKPOINT_WRITTEN)
        self->writing = false;
    *ret_event = event;
    return true;
}
