#include "dap/journal.h"

#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "dap/commit.h"

#define BACKOFF_MIN_US (20 * USEC_PER_MS)
#define BACKOFF_MAX_US (500 * USEC_PER_MS)
/* One that was overtaken, or reaches another database, is not tried again at once. */
#define LAPSE_MIN_US USEC_PER_SECOND
#define LAPSE_MAX_US (10 * USEC_PER_SECOND)
/* A reason that has changed is told again at most this often. */
#define REASON_US (5 * USEC_PER_SECOND)

struct journal {
    zactor_t *actor; /* the lane's thread */
    zsock_t *socket; /* orders to it, events from it */
    uint64_t index;  /* what the next batch must continue */
    id128_t hash;
    uint64_t heard;  /* COMMITTED up to here was said to the owner */
    uint64_t proofs; /* another server was proven so often */
};

/* What the owner sends: one of these. */
typedef struct {
    batch_t *batch;
    use_t *use;
    instance_t instance; /* with neither: another server is proven */
    uint64_t heard;      /* what the owner has heard to be committed */
} order_t;

/* What the lane says, and after how many orders of another server. */
typedef struct {
    uint64_t proofs;
    journal_event_t event;
} said_t;

/* An attempt to commit the oldest batch through one DAP. Two run at once while the second tries to
 * overtake the first; the loser's connection is closed.
 *
 *      ┌───────────────────────── failed ◄──────────────────────┐
 *      ▼                                                        │
 *    NONE ─ a DAP may be tried ─► CONNECTING ─► IDLE ─ batch ─► INSERTING ─ no row ─► ASKING
 *                                                ▲                │ committed          │
 *                                                ├────────────────┴────── it is there ─┘
 *    after the first batch, without a pooler: ── PLANNING ─► PREPARING ─► IDLE
 * Fenced or diverged: the lane stops.
 */
typedef enum {
    PHASE_NONE,
    PHASE_CONNECTING,
    PHASE_IDLE,
    PHASE_INSERTING,
    PHASE_ASKING,
    PHASE_PLANNING,
    PHASE_PREPARING,
} phase_t;

typedef struct {
    way_t *way;
    phase_t phase;
    bool may_prepare;   /* what it sends, and has not yet */
    bool stays_unnamed; /* that failed on this connection: once is enough */
} attempt_t;

enum { MAIN, OVERTAKING, ATTEMPTS };

/* Owned by the lane's thread. */
typedef struct {
    zsock_t *socket; /* the other end of journal_t's */
    commit_t commit; /* what must hold */
    uint32_t timeout_ms;
    usec_t hedge_after;
    ways_t ways;
    attempt_t attempts[ATTEMPTS];
    uint64_t proofs;    /* orders of another server */
    zlist_t *batches;   /* batch_t *, oldest first; the first is the one in flight */
    zlist_t *unheard;   /* batch_t *, oldest first: committed, but not known to the owner yet */
    uint64_t in_doubt;  /* batches up to here may be there already */
    bool tried;         /* the first was sent before, and how that ended is not known */
    usec_t sent_at;     /* its first send; 0: not yet */
    usec_t waits_since; /* the oldest batch waits for this attempt since; 0: it does not */
    bool go_to_first;   /* the order was changed */
    bool waiting;       /* the event was sent */
    usec_t waiting_said_at;
    error_t reason;
    bool stopped;
    bool stopping;
} lane_t;

static void s_emit(lane_t *self, const journal_event_t *event)
{
    /* Fails only when the other end is gone, and then nobody is there to be told. */
    const said_t said = {self->proofs, *event};
    (void)zmq_send(zsock_resolve(self->socket), &said, sizeof said, ZMQ_DONTWAIT);
}

static void s_say(lane_t *self, journal_event_kind_t kind, size_t dap, const error_t *error)
{
    journal_event_t event = {.kind = kind, .dap = dap, .error = *error};
    s_emit(self, &event);
}

static void s_say_waiting(lane_t *self, size_t dap, const error_t *error)
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
    s_say(self, JOURNAL_WAITING, dap, error);
}

/* … unless another DAP is being tried, or can be at once. */
static void s_say_waiting_unless_other(lane_t *self, size_t dap, const error_t *error)
{
    if (self->attempts[OVERTAKING].phase == PHASE_NONE &&
        !ways_first(&self->ways, connection_now(), NULL))
        s_say_waiting(self, dap, error);
}

/* ---- The end of an attempt ---- */

/* What it had sent is in doubt. */
static void s_drop(lane_t *self, attempt_t *attempt)
{
    if (attempt->phase == PHASE_INSERTING || attempt->phase == PHASE_ASKING)
        self->tried = true;
    if (attempt->way)
        connection_close(attempt->way->connection);
    *attempt = (attempt_t){0};
    if (attempt == &self->attempts[MAIN]) {
        self->attempts[MAIN] = self->attempts[OVERTAKING];
        self->attempts[OVERTAKING] = (attempt_t){0};
    }
}

/* Not now: says so and leaves it for some time. A connection on which something was refused is
 * given up too: what was refused may be where it leads (a standby, a session about to end). */
static void s_failed(lane_t *self, attempt_t *attempt, const error_t *error)
{
    way_t *way = attempt->way;
    way_failed(way, BACKOFF_MIN_US, BACKOFF_MAX_US);
    s_say(self, JOURNAL_FAILED, way->number, error);
    s_say_waiting_unless_other(self, way->number, error);
    s_drop(self, attempt);
}

static void s_wrong(lane_t *self, attempt_t *attempt, const error_t *error)
{
    way_t *way = attempt->way;
    way_failed(way, LAPSE_MIN_US, LAPSE_MAX_US);
    s_say(self, JOURNAL_WRONG, way->number, error);
    s_say_waiting_unless_other(self, way->number, error);
    s_drop(self, attempt);
}

static void s_stop(lane_t *self, journal_event_kind_t kind, const attempt_t *attempt,
                   const error_t *error)
{
    s_say(self, kind, attempt->way->number, error);
    while (self->attempts[MAIN].way)
        s_drop(self, &self->attempts[MAIN]);
    self->stopped = true;
}

/* The one that has not answered loses its connection, and its place. */
static void s_overtaken(lane_t *self, attempt_t *winner)
{
    error_t error;
    attempt_t *loser = &self->attempts[winner == &self->attempts[MAIN] ? OVERTAKING : MAIN];
    if (loser->phase == PHASE_NONE)
        return;
    if (loser == &self->attempts[OVERTAKING]) {
        s_drop(self, loser); /* the slow one answered after all */
        return;
    }
    error_set(
        &error, ERROR_DATABASE_UNREACHABLE,
        "DAP %s has kept a commit waiting for %lld ms; DAP %s has done it, and takes its place",
        connection_name(loser->way->connection),
        (long long)((connection_now() - self->waits_since) / USEC_PER_MS),
        connection_name(winner->way->connection));
    way_failed(loser->way, LAPSE_MIN_US, LAPSE_MAX_US);
    s_say(self, JOURNAL_FAILED, loser->way->number, &error);
    s_say(self, JOURNAL_MOVED, winner->way->number, &error);
    s_drop(self, loser); /* now the winner is the main one */
}

static void s_committed(lane_t *self, attempt_t *attempt, bool clean)
{
    way_t *way = attempt->way;
    batch_t *batch = zlist_pop(self->batches);
    if (self->waiting) {
        journal_event_t resumed = {.kind = JOURNAL_RESUMED};
        s_emit(self, &resumed);
    }
    attempt->phase = PHASE_IDLE;
    s_overtaken(self, attempt);
    journal_event_t event = {.kind = JOURNAL_COMMITTED,
                             .index = batch->last,
                             .clean = clean,
                             .dap = way->number,
                             .elapsed = connection_now() - self->sent_at};
    s_emit(self, &event);
    zlist_append(self->unheard, batch);
    way_worked(way);
    self->waiting = false;
    self->tried = false;
    self->sent_at = 0;
    self->waits_since = 0;
}

/* ---- An attempt's moves ---- */

static void s_insert(lane_t *self, attempt_t *attempt)
{
    const batch_t *batch = zlist_first(self->batches);
    error_t error = {0};
    if (!self->sent_at)
        self->sent_at = connection_now();
    attempt->phase = PHASE_INSERTING; /* if it fails, some of it may have left */
    if (!commit_send(&self->commit, attempt->way->connection, batch, self->timeout_ms, &error))
        s_failed(self, attempt, &error);
}

static void s_prepare(lane_t *self, attempt_t *attempt, phase_t phase)
{
    error_t error = {0};
    attempt->may_prepare = false;
    attempt->phase = phase;
    if (!commit_prepare(attempt->way->connection, phase == PHASE_PREPARING, self->timeout_ms,
                        &error))
        s_failed(self, attempt, &error);
}

/* A step of it; false while there is none. What is not prepared is sent as before. */
static bool s_preparing(lane_t *self, attempt_t *attempt)
{
    PGresult *result = NULL;
    error_t error = {0};
    connection_t *connection = attempt->way->connection;
    connection_step_t step = connection_step(connection, &result, &error);
    PQclear(result);
    if (step == CONNECTION_BUSY)
        return false;
    if (!connection_is_open(connection))
        s_failed(self, attempt, &error);
    else if (step == CONNECTION_DONE && attempt->phase == PHASE_PLANNING)
        s_prepare(self, attempt, PHASE_PREPARING);
    else {
        attempt->phase = PHASE_IDLE;
        attempt->stays_unnamed = step == CONNECTION_FAILED;
    }
    return true;
}

static void s_ask(lane_t *self, attempt_t *attempt)
{
    error_t error = {0};
    const batch_t *batch = zlist_first(self->batches);
    if (commit_send_question(attempt->way->connection, batch, self->timeout_ms, &error))
        attempt->phase = PHASE_ASKING;
    else
        s_failed(self, attempt, &error);
}

/* The head is this batch. Another attempt may have sent it, too. */
static void s_there(lane_t *self, attempt_t *attempt)
{
    const batch_t *batch = zlist_first(self->batches);
    const attempt_t *other = &self->attempts[attempt == &self->attempts[MAIN] ? OVERTAKING : MAIN];
    bool sent = other->phase == PHASE_INSERTING || other->phase == PHASE_ASKING;
    error_t error = {0};
    if (self->tried || sent || batch->last <= self->in_doubt) {
        s_committed(self, attempt, false);
        return;
    }
    const char *name = connection_name(attempt->way->connection);
    error_set(&error, ERROR_DATABASE_DIVERGED,
              "DAP %s: the journal holds the batch up to index %" PRIu64
              " before this node has sent it: somebody else writes with its generation",
              name, batch->last);
    s_stop(self, JOURNAL_DIVERGED, attempt, &error);
}

static void s_judge(lane_t *self, attempt_t *attempt, const PGresult *result)
{
    const batch_t *batch = zlist_first(self->batches);
    const char *name = connection_name(attempt->way->connection);
    error_t error = {0};
    switch (commit_judge(&self->commit, name, batch, result, &error)) {
    case COMMIT_THERE:
        s_there(self, attempt);
        return;
    case COMMIT_FENCED:
        s_stop(self, JOURNAL_FENCED, attempt, &error);
        return;
    case COMMIT_WRONG:
        s_wrong(self, attempt, &error);
        return;
    case COMMIT_DIVERGED:
        s_stop(self, JOURNAL_DIVERGED, attempt, &error);
        return;
    case COMMIT_INSTANCE:
        s_failed(self, attempt, &error); /* until the pair says that it is proven (journal_prove) */
        return;
    case COMMIT_CLEAR:
        /* A pooler that leads here and elsewhere by turns does this. */
        error_set(&error, ERROR_DATABASE_REFUSED,
                  "DAP %s: the batch up to index %" PRIu64
                  " was not inserted although nothing is in its way; it is sent again",
                  name, batch->last);
        s_failed(self, attempt, &error);
        return;
    case COMMIT_UNKNOWN:
        s_failed(self, attempt, &error);
        return;
    }
}

static void s_inserted(lane_t *self, attempt_t *attempt, const PGresult *result)
{
    connection_t *connection = attempt->way->connection;
    attempt->may_prepare = !attempt->stays_unnamed && !connection_is_prepared(connection) &&
                           commit_may_prepare(connection, result);
    s_committed(self, attempt, !connection_commit_in_doubt(connection));
}

/* An answer in phase INSERTING or ASKING; false while there is none. */
static bool s_answered(lane_t *self, attempt_t *attempt)
{
    PGresult *result = NULL;
    error_t error = {0};
    connection_t *connection = attempt->way->connection;
    bool inserting = attempt->phase == PHASE_INSERTING;
    switch (connection_step(connection, &result, &error)) {
    case CONNECTION_BUSY:
        return false;
    case CONNECTION_DONE:
        if (!inserting)
            s_judge(self, attempt, result);
        else if (commit_inserted(result))
            s_inserted(self, attempt, result);
        else
            s_ask(self, attempt);
        break;
    case CONNECTION_FAILED:
        /* Unique violation: a statement of ours that was in doubt has landed while this one waited
         * for its lock. */
        if (inserting && strcmp(connection_sqlstate(connection), "23505") == 0)
            s_ask(self, attempt);
        else
            s_failed(self, attempt, &error);
        break;
    }
    PQclear(result);
    return true;
}

static bool s_connected(lane_t *self, attempt_t *attempt)
{
    error_t error = {0};
    PGresult *none = NULL;
    switch (connection_step(attempt->way->connection, &none, &error)) {
    case CONNECTION_BUSY:
        return false;
    case CONNECTION_DONE:
        attempt->phase = PHASE_IDLE;
        return true;
    case CONNECTION_FAILED:
        s_failed(self, attempt, &error);
        return true;
    }
    return true;
}

static void s_begin(lane_t *self, attempt_t *attempt, way_t *way)
{
    error_t error = {0};
    *attempt = (attempt_t){.way = way, .phase = PHASE_CONNECTING};
    if (attempt == &self->attempts[MAIN])
        self->waits_since = 0; /* it gets its own time */
    if (!connection_start(way->connection, &error))
        s_failed(self, attempt, &error);
}

static bool s_idle(lane_t *self, attempt_t *attempt)
{
    error_t error = {0};
    way_t *first = ways_first(&self->ways, connection_now(), NULL);
    if (!connection_listen(attempt->way->connection, &error)) {
        s_failed(self, attempt, &error);
        return true;
    }
    if (self->go_to_first && attempt == &self->attempts[MAIN]) {
        self->go_to_first = false;
        if (first && first != attempt->way) {
            s_drop(self, attempt);
            return true;
        }
    }
    if (attempt->may_prepare) {
        s_prepare(self, attempt, PHASE_PLANNING);
        return true;
    }
    if (zlist_size(self->batches) == 0)
        return false;
    s_insert(self, attempt);
    return true;
}

/* One move; false when there is nothing to do but wait. */
static bool s_move(lane_t *self, attempt_t *attempt)
{
    switch (attempt->phase) {
    case PHASE_NONE:
        return false;
    case PHASE_CONNECTING:
        return s_connected(self, attempt);
    case PHASE_IDLE:
        return s_idle(self, attempt);
    case PHASE_INSERTING:
    case PHASE_ASKING:
        return s_answered(self, attempt);
    case PHASE_PLANNING:
    case PHASE_PREPARING:
        return s_preparing(self, attempt);
    }
    return false;
}

/* ---- Which attempts there are ---- */

static usec_t s_overtake_at(const lane_t *self)
{
    if (self->ways.len < 2 || !self->waits_since || self->attempts[MAIN].phase == PHASE_NONE ||
        self->attempts[OVERTAKING].phase != PHASE_NONE)
        return USEC_NEVER;
    return self->waits_since + self->hedge_after;
}

/* Begins those that are due; true when one was begun. */
static bool s_attempt(lane_t *self)
{
    usec_t now = connection_now();
    attempt_t *main = &self->attempts[MAIN];
    if (main->phase == PHASE_NONE) {
        way_t *way = ways_first(&self->ways, now, NULL);
        if (way)
            s_begin(self, main, way);
        return way != NULL;
    }
    if (now < s_overtake_at(self))
        return false;
    way_t *way = ways_first(&self->ways, now, main->way);
    if (way)
        s_begin(self, &self->attempts[OVERTAKING], way);
    return way != NULL;
}

static bool s_turn(lane_t *self)
{
    if (self->stopped)
        return false;
    if (!self->waits_since && zlist_size(self->batches) > 0)
        self->waits_since = connection_now();
    if (self->ways.len == 0) {
        error_t error;
        error_set(&error, ERROR_DATABASE_UNREACHABLE,
                  "no DAP is proven to reach the pair's own database now");
        s_say_waiting(self, 0, &error);
        return false;
    }
    bool moved = s_attempt(self);
    for (int i = 0; i < ATTEMPTS && !moved; i++)
        moved = s_move(self, &self->attempts[i]);
    return moved;
}

/* Milliseconds to sleep: until a connection's deadline, the next try, or an overtaking. */
static long s_sleep_ms(const lane_t *self)
{
    usec_t now = connection_now();
    usec_t until = USEC_NEVER;
    if (self->stopped)
        return -1;
    for (int i = 0; i < ATTEMPTS; i++) {
        usec_t deadline = self->attempts[i].way
                              ? connection_deadline(self->attempts[i].way->connection)
                              : USEC_NEVER;
        until = deadline < until ? deadline : until;
    }
    usec_t overtake = s_overtake_at(self);
    usec_t retry = USEC_NEVER;
    if (self->attempts[MAIN].phase == PHASE_NONE)
        retry = ways_retry_at(&self->ways);
    else if (overtake < USEC_NEVER && now < overtake)
        retry = overtake;
    else if (overtake < USEC_NEVER) /* no other may be tried now */
        retry = now + BACKOFF_MIN_US;
    until = retry < until ? retry : until;
    if (until == USEC_NEVER)
        return -1;
    usec_t left = until - now;
    return left > 0 ? (long)((left + USEC_PER_MS - 1) / USEC_PER_MS) : 0;
}

/* ---- Orders ---- */

static void s_use(lane_t *self, use_t *use)
{
    for (int i = OVERTAKING; i >= MAIN; i--)
        if (self->attempts[i].way && !ways_keeps(self->attempts[i].way, use))
            s_drop(self, &self->attempts[i]);
    ways_set(&self->ways, use);
    self->timeout_ms = use->statement_timeout_ms;
    self->hedge_after = use->hedge_after_ms * USEC_PER_MS;
    self->go_to_first |= use->rearranged;
    use_destroy(&use);
}

static void s_hear(lane_t *self, uint64_t heard)
{
    const batch_t *oldest;
    while ((oldest = zlist_first(self->unheard)) && oldest->last <= heard) {
        batch_t *batch = zlist_pop(self->unheard);
        batch_destroy(&batch);
    }
}

/* What is under way to the server that was proven before is given up: were its answer believed, a
 * batch would count as committed that the one which is proven now does not have. It is sent again;
 * so is what was committed there when the owner had not heard of it and decided without it.
 */
static void s_prove(lane_t *self, const instance_t *instance)
{
    error_t error = {0};
    error_set(&error, ERROR_DATABASE_REFUSED, "another server is the proven one now");
    self->commit.instance = *instance;
    self->proofs++;
    for (int i = ATTEMPTS - 1; i >= 0; i--)
        if (self->attempts[i].way)
            s_failed(self, &self->attempts[i], &error);
    while (zlist_size(self->unheard) > 0) {
        batch_t *batch = zlist_last(self->unheard);
        zlist_remove(self->unheard, batch);
        zlist_push(self->batches, batch);
        if (batch->last > self->in_doubt)
            self->in_doubt = batch->last;
    }
    for (size_t i = 0; i < self->ways.len; i++) /* those that reach it were left for that */
        way_worked(self->ways.ways[i]);
}

static void s_take_orders(lane_t *self)
{
    order_t order;
    while (zmq_recv(zsock_resolve(self->socket), &order, sizeof order, ZMQ_DONTWAIT) ==
           (int)sizeof order) {
        s_hear(self, order.heard);
        if (order.use)
            s_use(self, order.use);
        else if (!order.batch)
            s_prove(self, &order.instance);
        else if (self->stopped)
            batch_destroy(&order.batch);
        else
            zlist_append(self->batches, order.batch);
    }
}

static int s_add_item(const attempt_t *attempt, zmq_pollitem_t *items, int len)
{
    int fd = attempt->way ? connection_fd(attempt->way->connection) : -1;
    if (fd < 0)
        return len;
    short events = connection_events(attempt->way->connection);
    items[len] = (zmq_pollitem_t){
        .fd = fd,
        .events =
            (short)((events & POLLIN ? ZMQ_POLLIN : 0) | (events & POLLOUT ? ZMQ_POLLOUT : 0)),
    };
    return len + 1;
}

/* Sleeps until there is something to do, and hears whether the thread is to end. */
static void s_sleep(lane_t *self, zsock_t *pipe)
{
    zmq_pollitem_t items[2 + ATTEMPTS] = {
        {.socket = zsock_resolve(pipe), .events = ZMQ_POLLIN},
        {.socket = zsock_resolve(self->socket), .events = ZMQ_POLLIN},
    };
    int len = 2;
    for (int i = 0; i < ATTEMPTS; i++)
        len = s_add_item(&self->attempts[i], items, len);
    if (zmq_poll(items, len, s_sleep_ms(self)) > 0 && items[0].revents) {
        char *command = zstr_recv(pipe);
        self->stopping = self->stopping || (command && strcmp(command, "$TERM") == 0);
        zstr_free(&command);
    }
}

static void s_lane_destroy(lane_t *self)
{
    self->stopped = true;
    s_take_orders(self);
    for (batch_t *batch = zlist_pop(self->batches); batch; batch = zlist_pop(self->batches))
        batch_destroy(&batch);
    s_hear(self, UINT64_MAX);
    zlist_destroy(&self->batches);
    zlist_destroy(&self->unheard);
    ways_free(&self->ways);
    zsock_destroy(&self->socket);
    free(self);
}

static void s_lane(zsock_t *pipe, void *arguments)
{
    lane_t *self = arguments;
    zsock_signal(pipe, 0);
    while (!self->stopping) {
        s_take_orders(self);
        while (s_turn(self))
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
    journal_t *self = memory_zero(1, sizeof *self);
    self->index = self->heard = options->head_index;
    self->hash = options->head_hash;
    lane_t *lane = memory_zero(1, sizeof *lane);
    lane->commit =
        (commit_t){options->identity, options->epoch, options->generation, options->instance};
    ways_init(&lane->ways, -1);
    lane->batches = zlist_new();
    lane->unheard = zlist_new();
    self->socket = s_end_new();
    lane->socket = s_end_new();
    /* A socket that is closed keeps its name for a moment, so the next lane needs another one. */
    static atomic_uint lanes;
    unsigned number = atomic_fetch_add(&lanes, 1);
    CHECK(zsock_bind(self->socket, "inproc://ixn-journal-%u", number) == 0);
    CHECK(zsock_connect(lane->socket, "inproc://ixn-journal-%u", number) == 0);
    s_use(lane, options->use);
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

static void s_order(journal_t *self, order_t order)
{
    order.heard = self->heard;
    CHECK(zmq_send(zsock_resolve(self->socket), &order, sizeof order, 0) == (int)sizeof order);
}

void journal_append(journal_t *self, batch_t *batch)
{
    CHECK(batch->first == self->index + 1 && id_equal(batch->previous, self->hash));
    self->index = batch->last;
    self->hash = batch->hash;
    s_order(self, (order_t){.batch = batch});
}

void journal_use(journal_t *self, use_t *use)
{
    s_order(self, (order_t){.use = use});
}

void journal_prove(journal_t *self, const instance_t *instance)
{
    self->proofs++;
    s_order(self, (order_t){.instance = *instance});
}

zsock_t *journal_socket(journal_t *self)
{
    return self->socket;
}

bool journal_next(journal_t *self, journal_event_t *ret_event)
{
    said_t said;
    do {
        if (zmq_recv(zsock_resolve(self->socket), &said, sizeof said, ZMQ_DONTWAIT) !=
            (int)sizeof said)
            return false;
        /* A commit on the server before; the batch is sent again to the one that is proven now. */
    } while (said.event.kind == JOURNAL_COMMITTED && said.proofs != self->proofs);
    if (said.event.kind == JOURNAL_COMMITTED)
        self->heard = said.event.index;
    *ret_event = said.event;
    return true;
}
