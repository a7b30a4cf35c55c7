#include "dap/journal.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "dap/commit.h"
#include "dap/connection.h"

#define BACKOFF_MIN_US (20 * USEC_PER_MS)
#define BACKOFF_MAX_US (500 * USEC_PER_MS)
/* A reason that has changed is told again at most this often. */
#define REASON_US (5 * USEC_PER_SECOND)

struct journal {
    zactor_t *actor; /* the lane's thread */
    zsock_t *socket; /* batches to it, events from it */
    uint64_t index;  /* what the next batch must continue */
    id128_t hash;
};

/*      ┌───────────────────────── failed ◄──────────────────────┐
 *      ▼                                                        │
 *   CLOSED ─ pause over ─► CONNECTING ─► IDLE ─ batch ─► INSERTING ─ no row ─► ASKING
 *                                         ▲                │ committed          │
 *                                         └────────────────┴────── it is there ─┤
 *   STOPPED ◄── fenced, wrong, diverged ────────────────────────────────────────┘
 */
typedef enum {
    PHASE_CLOSED,
    PHASE_CONNECTING,
    PHASE_IDLE,
    PHASE_INSERTING,
    PHASE_ASKING,
    PHASE_STOPPED,
} phase_t;

/* Owned by the lane's thread. */
typedef struct {
    zsock_t *socket; /* the other end of journal_t's */
    commit_t commit; /* what must hold */
    uint32_t timeout_ms;
    connection_t **connections; /* one a DAP; at most one is open */
    size_t connections_len;
    size_t current;
    phase_t phase;
    zlist_t *batches; /* batch_t *, oldest first; the first is the one in flight */
    bool tried;       /* the first was sent before, and how that ended is not known */
    usec_t sent_at;   /* its first send; 0: not yet */
    usec_t retry_at;  /* CLOSED: when to try again */
    usec_t backoff;
    bool waiting; /* the event was sent */
    usec_t waiting_said_at;
    error_t reason;
    bool stopping;
} lane_t;

static void s_emit(lane_t *self, const journal_event_t *event)
{
    /* Fails only when the other end is gone, and then nobody is there to be told. */
    (void)zmq_send(zsock_resolve(self->socket), event, sizeof *event, ZMQ_DONTWAIT);
}

static connection_t *s_connection(lane_t *self)
{
    return self->connections[self->current];
}

static void s_say_waiting(lane_t *self, const error_t *error)
{
    usec_t now = connection_now();
    if (zlist_size(self->batches) == 0)
        return; /* nobody waits */
    if (self->waiting &&
        (strcmp(self->reason.text, error->text) == 0 || now - self->waiting_said_at < REASON_US))
        return;
    self->waiting = true;
    self->waiting_said_at = now;
    self->reason = *error;
    journal_event_t event = {.kind = JOURNAL_WAITING, .error = *error};
    s_emit(self, &event);
}

/* Not now: says so, pauses, goes on with the next DAP. A connection on which something was refused
 * is given up too: what was refused may be where it leads (a standby, a session about to end). */
static void s_failed(lane_t *self, const error_t *error)
{
    s_say_waiting(self, error);
    connection_close(s_connection(self));
    self->current = (self->current + 1) % self->connections_len;
    self->phase = PHASE_CLOSED;
    self->retry_at = connection_now() + self->backoff;
    self->backoff *= 2;
    if (self->backoff > BACKOFF_MAX_US)
        self->backoff = BACKOFF_MAX_US;
}

static void s_committed(lane_t *self, bool clean)
{
    batch_t *batch = zlist_pop(self->batches);
    if (self->waiting) {
        journal_event_t resumed = {.kind = JOURNAL_RESUMED};
        s_emit(self, &resumed);
    }
    journal_event_t event = {.kind = JOURNAL_COMMITTED,
                             .index = batch->last,
                             .clean = clean,
                             .elapsed = connection_now() - self->sent_at};
    s_emit(self, &event);
    batch_destroy(&batch);
    self->waiting = false;
    self->tried = false;
    self->sent_at = 0;
    self->backoff = BACKOFF_MIN_US;
    self->phase = PHASE_IDLE;
}

static void s_stop(lane_t *self, journal_event_kind_t kind, const error_t *error)
{
    journal_event_t event = {.kind = kind, .error = *error};
    s_emit(self, &event);
    connection_close(s_connection(self));
    self->phase = PHASE_STOPPED;
}

static void s_insert(lane_t *self)
{
    const batch_t *batch = zlist_first(self->batches);
    error_t error = {0};
    if (!self->sent_at)
        self->sent_at = connection_now();
    if (commit_send(&self->commit, s_connection(self), batch, self->timeout_ms, &error)) {
        self->phase = PHASE_INSERTING;
        return;
    }
    self->tried = true; /* some of it may have left */
    s_failed(self, &error);
}

static void s_ask(lane_t *self)
{
    error_t error = {0};
    const batch_t *batch = zlist_first(self->batches);
    if (commit_send_question(s_connection(self), batch, self->timeout_ms, &error))
        self->phase = PHASE_ASKING;
    else
        s_failed(self, &error);
}

static void s_judge(lane_t *self, const PGresult *result)
{
    const batch_t *batch = zlist_first(self->batches);
    error_t error = {0};
    switch (
        commit_judge(&self->commit, connection_name(s_connection(self)), batch, result, &error)) {
    case COMMIT_THERE:
        if (self->tried) {
            s_committed(self, false);
            return;
        }
        error_set(&error, ERROR_DATABASE_DIVERGED,
                  "DAP %s: the journal holds the batch up to index %" PRIu64
                  " before this node has sent it: somebody else writes with its generation",
                  connection_name(s_connection(self)), batch->last);
        s_stop(self, JOURNAL_DIVERGED, &error);
        return;
    case COMMIT_FENCED:
        s_stop(self, JOURNAL_FENCED, &error);
        return;
    case COMMIT_WRONG:
        s_stop(self, JOURNAL_WRONG, &error);
        return;
    case COMMIT_DIVERGED:
        s_stop(self, JOURNAL_DIVERGED, &error);
        return;
    case COMMIT_INSTANCE:
        s_failed(self, &error); /* until the pair says that it is proven (journal_prove) */
        return;
    case COMMIT_CLEAR:
        /* A pooler that leads here and elsewhere by turns does this. */
        error_set(&error, ERROR_DATABASE_REFUSED,
                  "DAP %s: the batch up to index %" PRIu64
                  " was not inserted although nothing is in its way; it is sent again",
                  connection_name(s_connection(self)), batch->last);
        s_failed(self, &error);
        return;
    case COMMIT_UNKNOWN:
        s_failed(self, &error);
        return;
    }
}

/* An answer in phase INSERTING or ASKING; false while there is none. */
static bool s_answered(lane_t *self)
{
    PGresult *result = NULL;
    error_t error = {0};
    connection_t *connection = s_connection(self);
    bool inserting = self->phase == PHASE_INSERTING;
    switch (connection_step(connection, &result, &error)) {
    case CONNECTION_BUSY:
        return false;
    case CONNECTION_DONE:
        if (!inserting)
            s_judge(self, result);
        else if (commit_inserted(result))
            s_committed(self, !connection_commit_in_doubt(connection));
        else
            s_ask(self);
        break;
    case CONNECTION_FAILED:
        /* Unique violation: a statement of ours that was in doubt has landed while this one waited
         * for its lock. */
        if (inserting && strcmp(connection_sqlstate(connection), "23505") == 0) {
            s_ask(self);
            break;
        }
        self->tried = self->tried || inserting;
        s_failed(self, &error);
        break;
    }
    PQclear(result);
    return true;
}

static bool s_connected(lane_t *self)
{
    error_t error = {0};
    PGresult *none = NULL;
    switch (connection_step(s_connection(self), &none, &error)) {
    case CONNECTION_BUSY:
        return false;
    case CONNECTION_DONE:
        self->phase = PHASE_IDLE;
        return true;
    case CONNECTION_FAILED:
        s_failed(self, &error);
        return true;
    }
    return true;
}

/* One move; false when there is nothing to do but wait. */
static bool s_move(lane_t *self)
{
    error_t error = {0};
    switch (self->phase) {
    case PHASE_CLOSED:
        if (connection_now() < self->retry_at)
            return false;
        if (connection_start(s_connection(self), &error))
            self->phase = PHASE_CONNECTING;
        else
            s_failed(self, &error);
        return true;
    case PHASE_CONNECTING:
        return s_connected(self);
    case PHASE_IDLE:
        if (!connection_listen(s_connection(self), &error)) {
            s_failed(self, &error);
            return true;
        }
        if (zlist_size(self->batches) == 0)
            return false;
        s_insert(self);
        return true;
    case PHASE_INSERTING:
    case PHASE_ASKING:
        return s_answered(self);
    case PHASE_STOPPED:
        return false;
    }
    return false;
}

/* Milliseconds to sleep: until the connection's deadline or the next try. */
static long s_sleep_ms(lane_t *self)
{
    usec_t until = USEC_NEVER;
    if (self->phase == PHASE_CLOSED)
        until = self->retry_at;
    else if (self->phase != PHASE_STOPPED)
        until = connection_deadline(s_connection(self));
    if (until == USEC_NEVER)
        return -1;
    usec_t left = until - connection_now();
    return left > 0 ? (long)((left + USEC_PER_MS - 1) / USEC_PER_MS) : 0;
}

/* What the owner sends is a batch, by its pointer, or the instance that is proven now; their sizes
 * tell them apart. */
typedef union {
    batch_t *batch;
    instance_t instance;
} order_t;
_Static_assert(sizeof(batch_t *) != sizeof(instance_t), "told apart by size");

static void s_take_orders(lane_t *self)
{
    order_t order;
    int size;
    while ((size = zmq_recv(zsock_resolve(self->socket), &order, sizeof order, ZMQ_DONTWAIT)) > 0) {
        if (size == (int)sizeof order.instance)
            self->commit.instance = order.instance;
        else if (self->phase == PHASE_STOPPED)
            batch_destroy(&order.batch);
        else
            zlist_append(self->batches, order.batch);
    }
}

/* Sleeps until there is something to do, and hears whether the thread is to end. */
static void s_sleep(lane_t *self, zsock_t *pipe)
{
    bool listening = self->phase != PHASE_CLOSED && self->phase != PHASE_STOPPED;
    int fd = listening ? connection_fd(s_connection(self)) : -1;
    zmq_pollitem_t items[] = {
        {.socket = zsock_resolve(pipe), .events = ZMQ_POLLIN},
        {.socket = zsock_resolve(self->socket), .events = ZMQ_POLLIN},
        {.fd = fd, .events = 0},
    };
    if (fd >= 0) {
        short events = connection_events(s_connection(self));
        items[2].events =
            (short)((events & POLLIN ? ZMQ_POLLIN : 0) | (events & POLLOUT ? ZMQ_POLLOUT : 0));
    }
    if (zmq_poll(items, fd >= 0 ? 3 : 2, s_sleep_ms(self)) > 0 && items[0].revents) {
        char *command = zstr_recv(pipe);
        self->stopping = self->stopping || (command && strcmp(command, "$TERM") == 0);
        zstr_free(&command);
    }
}

static void s_lane_destroy(lane_t *self)
{
    self->phase = PHASE_STOPPED;
    s_take_orders(self);
    for (batch_t *batch = zlist_pop(self->batches); batch; batch = zlist_pop(self->batches))
        batch_destroy(&batch);
    zlist_destroy(&self->batches);
    for (size_t i = 0; i < self->connections_len; i++)
        connection_destroy(&self->connections[i]);
    free(self->connections);
    zsock_destroy(&self->socket);
    free(self);
}

static void s_lane(zsock_t *pipe, void *arguments)
{
    lane_t *self = arguments;
    zsock_signal(pipe, 0);
    while (!self->stopping) {
        s_take_orders(self);
        while (s_move(self))
            continue;
        s_sleep(self, pipe);
    }
    s_lane_destroy(self);
}

/* One end of the way between the threads; without limits, since the caller bounds what is on it. */
static zsock_t *s_end_new(void)
{
    zsock_t *end = zsock_new(ZMQ_PAIR);
    CHECK(end);
    zsock_set_sndhwm(end, 0);
    zsock_set_rcvhwm(end, 0);
    zsock_set_linger(end, 0);
    return end;
}

journal_t *journal_new(const journal_options_t *options)
{
    const config_t *config = options->config;
    CHECK(config->daps_len > 0);
    journal_t *self = memory_zero(1, sizeof *self);
    self->index = options->head_index;
    self->hash = options->head_hash;
    lane_t *lane = memory_zero(1, sizeof *lane);
    lane->commit =
        (commit_t){options->identity, options->epoch, options->generation, options->instance};
    lane->timeout_ms = config->statement_timeout_ms;
    lane->connections_len = config->daps_len;
    lane->connections = memory_zero(config->daps_len, sizeof(connection_t *));
    for (size_t i = 0; i < config->daps_len; i++)
        lane->connections[i] = connection_new(&config->daps[i], config->connect_timeout_ms,
                                              config->statement_timeout_ms);
    lane->backoff = BACKOFF_MIN_US;
    lane->batches = zlist_new();
    self->socket = s_end_new();
    lane->socket = s_end_new();
    CHECK(zsock_bind(self->socket, "inproc://ixn-journal-%p", (void *)self) == 0);
    CHECK(zsock_connect(lane->socket, "inproc://ixn-journal-%p", (void *)self) == 0);
    self->actor = zactor_new(s_lane, lane);
    CHECK(self->actor);
    return self;
}

void journal_destroy(journal_t **self_p)
{
    journal_t *self = *self_p;
    if (!self)
        return;
    zactor_destroy(&self->actor);
    zsock_destroy(&self->socket);
    free(self);
    *self_p = NULL;
}

void journal_append(journal_t *self, batch_t *batch)
{
    CHECK(batch->first == self->index + 1 && id_equal(batch->previous, self->hash));
    self->index = batch->last;
    self->hash = batch->hash;
    void *pointer = batch; /* only it travels */
    CHECK(zmq_send(zsock_resolve(self->socket), &pointer, sizeof pointer, 0) ==
          (int)sizeof pointer);
}

void journal_prove(journal_t *self, const instance_t *instance)
{
    CHECK(zmq_send(zsock_resolve(self->socket), instance, sizeof *instance, 0) ==
          (int)sizeof *instance);
}

zsock_t *journal_socket(journal_t *self)
{
    return self->socket;
}

bool journal_next(journal_t *self, journal_event_t *ret_event)
{
    journal_event_t event;
    if (zmq_recv(zsock_resolve(self->socket), &event, sizeof event, ZMQ_DONTWAIT) !=
        (int)sizeof event)
        return false;
    *ret_event = event;
    return true;
}
