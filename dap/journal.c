#include "dap/journal.h"

#include <czmq.h>
#include <inttypes.h>
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

/* An attempt to commit the oldest batch through one DAP. Two run at once while the second tries
 * to overtake the first; the loser's connection is closed.
 *
 *      ┌───────────────────────── failed ◄──────────────────────┐
 *      ▼                                                        │
 *    NONE ─ a DAP may be tried ─► CONNECTING ─► IDLE ─ batch ─► INSERTING ─ no row ─► ASKING
 *                                                ▲                │ committed          │
 *                                                ├────────────────┴────── it is there ─┘
 *    after the first batch, without a pooler: ── PLANNING ─► PREPARING ─► IDLE
 * Fenced or diverged: it stops.
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
    bool stirred;       /* its connection may have something to read, or take more to send */
    bool may_prepare;   /* what it sends, and has not yet */
    bool stays_unnamed; /* that failed on this connection: once is enough */
} attempt_t;

enum { MAIN, OVERTAKING, ATTEMPTS };

struct journal {
    commit_t commit; /* what must hold */
    uint64_t index;  /* what the next batch must continue */
    id128_t hash;
    uint32_t timeout_ms;
    usec_t hedge_after;
    ways_t ways;
    attempt_t attempts[ATTEMPTS];
    zlist_t *batches;   /* batch_t *, oldest first; the first is the one in flight */
    zlist_t *said;      /* said_t *, oldest first: what the owner has not heard yet */
    uint64_t in_doubt;  /* batches up to here may be there already */
    bool tried;         /* the first was sent before, and how that ended is not known */
    usec_t sent_at;     /* its first send; 0: not yet */
    usec_t waits_since; /* the oldest batch waits for this attempt since; 0: it does not */
    bool go_to_first;   /* the order was changed */
    bool waiting;       /* the event was sent */
    usec_t waiting_said_at;
    error_t reason;
    bool stopped;
};

/* With a batch: that is committed, and is freed when the owner has heard of it. */
typedef struct {
    journal_event_t event;
    batch_t *batch;
} said_t;

static void s_emit(journal_t *self, const journal_event_t *event, batch_t *batch)
{
    said_t *said = memory_new(sizeof *said);
    *said = (said_t){*event, batch};
    zlist_append(self->said, said);
}

static void s_say(journal_t *self, journal_event_kind_t kind, size_t dap, const error_t *error)
{
    journal_event_t event = {.kind = kind, .dap = dap, .error = *error};
    s_emit(self, &event, NULL);
}

static void s_say_waiting(journal_t *self, size_t dap, const error_t *error)
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
static void s_say_waiting_unless_other(journal_t *self, size_t dap, const error_t *error)
{
    if (self->attempts[OVERTAKING].phase == PHASE_NONE &&
        !ways_first(&self->ways, connection_now(), NULL))
        s_say_waiting(self, dap, error);
}

/* ---- The end of an attempt ---- */

/* What it had sent is in doubt. */
static void s_drop(journal_t *self, attempt_t *attempt)
{
    if (attempt->phase == PHASE_INSERTING || attempt->phase == PHASE_ASKING)
        self->tried = true;
    if (attempt->way)
        connection_close(attempt->way->connection);
    if (attempt == &self->attempts[MAIN]) {
        *attempt = self->attempts[OVERTAKING];
        attempt = &self->attempts[OVERTAKING];
    }
    *attempt = (attempt_t){0};
}

/* Not now: says so and leaves it for some time. A connection on which something was refused is
 * given up too: what was refused may be where it leads (a standby, a session about to end). */
static void s_failed(journal_t *self, attempt_t *attempt, const error_t *error)
{
    way_t *way = attempt->way;
    way_failed(way, BACKOFF_MIN_US, BACKOFF_MAX_US);
    s_say(self, JOURNAL_FAILED, way->number, error);
    s_say_waiting_unless_other(self, way->number, error);
    s_drop(self, attempt);
}

static void s_wrong(journal_t *self, attempt_t *attempt, const error_t *error)
{
    way_t *way = attempt->way;
    way_failed(way, LAPSE_MIN_US, LAPSE_MAX_US);
    s_say(self, JOURNAL_WRONG, way->number, error);
    s_say_waiting_unless_other(self, way->number, error);
    s_drop(self, attempt);
}

static void s_stop(journal_t *self, journal_event_kind_t kind, const attempt_t *attempt,
                   const error_t *error)
{
    s_say(self, kind, attempt->way->number, error);
    while (self->attempts[MAIN].way)
        s_drop(self, &self->attempts[MAIN]);
    self->stopped = true;
}

/* The one that has not answered loses its connection, and its place. */
static void s_overtaken(journal_t *self, attempt_t *winner)
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

static void s_committed(journal_t *self, attempt_t *attempt, bool clean)
{
    way_t *way = attempt->way;
    batch_t *batch = zlist_pop(self->batches);
    if (self->waiting) {
        journal_event_t resumed = {.kind = JOURNAL_RESUMED, .index = batch->last};
        s_emit(self, &resumed, NULL);
    }
    attempt->phase = PHASE_IDLE;
    s_overtaken(self, attempt);
    journal_event_t event = {.kind = JOURNAL_COMMITTED,
                             .index = batch->last,
                             .clean = clean,
                             .dap = way->number,
                             .elapsed = connection_now() - self->sent_at};
    s_emit(self, &event, batch);
    way_worked(way);
    self->waiting = false;
    self->tried = false;
    self->sent_at = 0;
    self->waits_since = 0;
}

/* ---- An attempt's moves ---- */

/* A step of what was sent. Without anything to read it has none before its deadline. */
static connection_step_t s_step(attempt_t *attempt, PGresult **ret_result, error_t *ret_error)
{
    connection_t *connection = attempt->way->connection;
    if (!attempt->stirred && connection_now() < connection_deadline(connection))
        return CONNECTION_BUSY;
    attempt->stirred = false; /* what there is beyond this answer stirs again */
    return connection_step(connection, ret_result, ret_error);
}

static void s_insert(journal_t *self, attempt_t *attempt)
{
    const batch_t *batch = zlist_first(self->batches);
    error_t error = {0};
    if (!self->sent_at)
        self->sent_at = connection_now();
    attempt->phase = PHASE_INSERTING; /* if it fails, some of it may have left */
    if (!commit_send(&self->commit, attempt->way->connection, batch, self->timeout_ms, &error))
        s_failed(self, attempt, &error);
}

static void s_prepare(journal_t *self, attempt_t *attempt, phase_t phase)
{
    error_t error = {0};
    attempt->may_prepare = false;
    attempt->phase = phase;
    if (!commit_prepare(attempt->way->connection, phase == PHASE_PREPARING, self->timeout_ms,
                        &error))
        s_failed(self, attempt, &error);
}

/* A step of it; false while there is none. What is not prepared is sent as before. */
static bool s_preparing(journal_t *self, attempt_t *attempt)
{
    PGresult *result = NULL;
    error_t error = {0};
    connection_t *connection = attempt->way->connection;
    connection_step_t step = s_step(attempt, &result, &error);
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

static void s_ask(journal_t *self, attempt_t *attempt)
{
    error_t error = {0};
    const batch_t *batch = zlist_first(self->batches);
    if (commit_send_question(attempt->way->connection, batch, self->timeout_ms, &error))
        attempt->phase = PHASE_ASKING;
    else
        s_failed(self, attempt, &error);
}

/* The head is this batch. Another attempt may have sent it, too. */
static void s_there(journal_t *self, attempt_t *attempt)
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

/* A pooler that leads here and elsewhere by turns does this; and one that follows what is prepared,
 * but not what the session was told beside (commit_prepare). */
static void s_clear(journal_t *self, attempt_t *attempt)
{
    error_t error = {0};
    const batch_t *batch = zlist_first(self->batches);
    connection_t *connection = attempt->way->connection;
    error_set(&error, ERROR_DATABASE_REFUSED,
              "DAP %s: the batch up to index %" PRIu64
              " was not inserted although nothing is in its way; it is sent again",
              connection_name(connection), batch->last);
    if (connection_is_prepared(connection))
        connection_refuse_prepared(connection);
    s_failed(self, attempt, &error);
}

static void s_judge(journal_t *self, attempt_t *attempt, const PGresult *result)
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
        s_clear(self, attempt);
        return;
    case COMMIT_UNKNOWN:
        s_failed(self, attempt, &error);
        return;
    }
}

static void s_inserted(journal_t *self, attempt_t *attempt, const PGresult *result)
{
    connection_t *connection = attempt->way->connection;
    attempt->may_prepare = !attempt->stays_unnamed && !connection_is_prepared(connection) &&
                           commit_may_prepare(connection, result);
    s_committed(self, attempt, !connection_commit_in_doubt(connection));
}

/* An answer in phase INSERTING or ASKING; false while there is none. */
static bool s_answered(journal_t *self, attempt_t *attempt)
{
    PGresult *result = NULL;
    error_t error = {0};
    connection_t *connection = attempt->way->connection;
    bool inserting = attempt->phase == PHASE_INSERTING;
    switch (s_step(attempt, &result, &error)) {
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

static void s_begin(journal_t *self, attempt_t *attempt, way_t *way)
{
    error_t error = {0};
    *attempt = (attempt_t){.way = way, .phase = PHASE_CONNECTING};
    if (attempt == &self->attempts[MAIN])
        self->waits_since = 0; /* it gets its own time */
    if (!connection_start(way->connection, &error))
        s_failed(self, attempt, &error);
}

static bool s_connecting(journal_t *self, attempt_t *attempt)
{
    PGresult *none = NULL;
    error_t error = {0};
    switch (s_step(attempt, &none, &error)) {
    case CONNECTION_BUSY:
        return false;
    case CONNECTION_DONE:
        attempt->phase = PHASE_IDLE;
        break;
    case CONNECTION_FAILED:
        s_failed(self, attempt, &error);
        break;
    }
    return true;
}

static bool s_idle(journal_t *self, attempt_t *attempt)
{
    error_t error = {0};
    bool has_batch = zlist_size(self->batches) > 0;
    if ((attempt->stirred || has_batch) && !connection_listen(attempt->way->connection, &error)) {
        s_failed(self, attempt, &error);
        return true;
    }
    attempt->stirred = false;
    if (self->go_to_first && attempt == &self->attempts[MAIN]) {
        way_t *first = ways_first(&self->ways, connection_now(), NULL);
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
    if (has_batch)
        s_insert(self, attempt);
    return has_batch;
}

/* One move; false when there is nothing to do but wait. */
static bool s_move(journal_t *self, attempt_t *attempt)
{
    switch (attempt->phase) {
    case PHASE_NONE:
        return false;
    case PHASE_CONNECTING:
        return s_connecting(self, attempt);
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

static usec_t s_overtake_at(const journal_t *self)
{
    if (self->ways.len < 2 || !self->waits_since || self->attempts[MAIN].phase == PHASE_NONE ||
        self->attempts[OVERTAKING].phase != PHASE_NONE)
        return USEC_NEVER;
    return self->waits_since + self->hedge_after;
}

/* Begins those that are due; true when one was begun. */
static bool s_attempt(journal_t *self)
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

static bool s_move_any(journal_t *self)
{
    bool moved = false;
    for (int i = 0; i < ATTEMPTS && !moved; i++)
        moved = s_move(self, &self->attempts[i]);
    return moved;
}

/* One move: first what was answered, so that nothing is overtaken whose answer is there. */
static bool s_go_on(journal_t *self)
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
    return s_move_any(self) || s_attempt(self);
}

static void s_run(journal_t *self)
{
    while (s_go_on(self))
        continue;
}

/* ---- Orders ---- */

static void s_set_ways(journal_t *self, use_t *use)
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

void journal_use(journal_t *self, use_t *use)
{
    s_set_ways(self, use);
    s_run(self);
}

/* What is committed and the owner has not heard of is to be sent again. */
static void s_take_back(journal_t *self)
{
    zlist_t *kept = zlist_new();
    said_t *said;
    while ((said = zlist_last(self->said))) {
        zlist_remove(self->said, said);
        if (!said->batch) {
            zlist_push(kept, said);
            continue;
        }
        zlist_push(self->batches, said->batch);
        if (said->batch->last > self->in_doubt)
            self->in_doubt = said->batch->last;
        free(said);
    }
    zlist_destroy(&self->said);
    self->said = kept;
}

/* What is under way to the server that was proven before is given up: were its answer believed, a
 * batch would count as committed that the one which is proven now does not have. It is sent again;
 * so is what was committed there when the owner had not heard of it and decided without it.
 */
void journal_prove(journal_t *self, const instance_t *instance)
{
    error_t error = {0};
    error_set(&error, ERROR_DATABASE_REFUSED, "another server is the proven one now");
    self->commit.instance = *instance;
    for (int i = ATTEMPTS - 1; i >= 0; i--)
        if (self->attempts[i].way)
            s_failed(self, &self->attempts[i], &error);
    s_take_back(self);
    for (size_t i = 0; i < self->ways.len; i++) /* those that reach it were left for that */
        way_worked(self->ways.ways[i]);
    s_run(self);
}

void journal_append(journal_t *self, batch_t *batch)
{
    CHECK(batch->first == self->index + 1 && id_equal(batch->previous, self->hash));
    self->index = batch->last;
    self->hash = batch->hash;
    if (self->stopped) {
        batch_destroy(&batch);
        return;
    }
    zlist_append(self->batches, batch);
    s_run(self);
}

/* ---- Life ---- */

journal_t *journal_new(const journal_options_t *options)
{
    journal_t *self = memory_zero(1, sizeof *self);
    self->index = options->head_index;
    self->hash = options->head_hash;
    self->commit =
        (commit_t){options->identity, options->epoch, options->generation, options->instance};
    ways_init(&self->ways, -1);
    self->batches = zlist_new();
    self->said = zlist_new();
    journal_use(self, options->use);
    return self;
}

void journal_destroy(journal_t **self_p)
{
    journal_t *self = *self_p;
    journal_event_t event;
    if (!self)
        return;
    while (journal_next(self, &event))
        continue;
    for (batch_t *batch = zlist_pop(self->batches); batch; batch = zlist_pop(self->batches))
        batch_destroy(&batch);
    zlist_destroy(&self->batches);
    zlist_destroy(&self->said);
    ways_free(&self->ways);
    free(self);
    *self_p = NULL;
}

/* ---- The owner's loop ---- */

static struct pollfd s_item(const attempt_t *attempt)
{
    int fd = attempt->way ? connection_fd(attempt->way->connection) : -1;
    return (struct pollfd){.fd = fd,
                           .events = fd < 0 ? 0 : connection_events(attempt->way->connection)};
}

void journal_watch(const journal_t *self, struct pollfd ret_items[JOURNAL_ITEMS])
{
    for (int i = 0; i < ATTEMPTS; i++)
        ret_items[i] = s_item(&self->attempts[i]);
}

static usec_t s_attempt_until(const attempt_t *attempt)
{
    return attempt->way ? connection_deadline(attempt->way->connection) : USEC_NEVER;
}

usec_t journal_deadline(const journal_t *self)
{
    usec_t until = USEC_NEVER;
    if (zlist_size(self->said) > 0)
        return 0;
    if (self->stopped)
        return USEC_NEVER;
    for (int i = 0; i < ATTEMPTS; i++) {
        usec_t deadline = s_attempt_until(&self->attempts[i]);
        until = deadline < until ? deadline : until;
    }
    usec_t now = connection_now();
    usec_t overtake = s_overtake_at(self);
    usec_t retry = USEC_NEVER;
    if (self->attempts[MAIN].phase == PHASE_NONE)
        retry = ways_retry_at(&self->ways);
    else if (overtake < USEC_NEVER && now < overtake)
        retry = overtake;
    else if (overtake < USEC_NEVER) /* no other may be tried now */
        retry = now + BACKOFF_MIN_US;
    return retry < until ? retry : until;
}

void journal_turn(journal_t *self, const struct pollfd items[JOURNAL_ITEMS])
{
    for (int i = 0; i < ATTEMPTS; i++) {
        const struct pollfd now = s_item(&self->attempts[i]);
        self->attempts[i].stirred |= now.fd >= 0 && now.fd == items[i].fd && items[i].revents;
    }
    s_run(self);
}

bool journal_next(journal_t *self, journal_event_t *ret_event)
{
    said_t *said = zlist_pop(self->said);
    if (!said)
        return false;
    *ret_event = said->event;
    batch_destroy(&said->batch);
    free(said);
    return true;
}
