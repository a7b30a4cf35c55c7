#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/sim/checker.h"
#include "tests/sim/database.h"
#include "tests/sim/machine.h"
#include "tests/sim/mutations.h"
#include "tests/sim/planted.h"

/* What each statement does in the server: snapshots, locks, commits. */

/* A claim ends whoever keeps it waiting for longer (dap/claim.c). */
#define PATIENCE_US 50000

static void s_go_on(world_t *world, void *data);

static const char *s_node(const ask_t *ask)
{
    return ask->node == 0 ? "a" : "b";
}

/* ---- Locks ---- */

static bool s_take(row_lock_t *lock, ask_t *ask, uint64_t session, bool transaction)
{
    if (lock->owner && lock->owner != session)
        return false;
    lock->owner = session;
    lock->node = ask->node;
    lock->life = ask->life;
    lock->transaction = transaction;
    lock->working = false;
    return true;
}

static bool s_wait(database_sim_t *self, row_lock_t *lock, ask_t *ask)
{
    if (lock->waiters_len == LOCK_WAITERS)
        return database_sim_refuse(self, ask, ERROR_DATABASE_REFUSED, "too many connections");
    lock->waiters[lock->waiters_len++] = ask;
    return true;
}

static ask_t *s_unqueue(row_lock_t *lock, size_t at)
{
    ask_t *ask = lock->waiters[at];
    lock->waiters_len--;
    memmove(&lock->waiters[at], &lock->waiters[at + 1],
            (lock->waiters_len - at) * sizeof *lock->waiters);
    return ask;
}

/* One of those that wait goes on with its statement. */
static void s_free_lock(database_sim_t *self, row_lock_t *lock)
{
    lock->owner = 0;
    if (lock->waiters_len == 0)
        return;
    size_t last = lock->waiters_len - 1;
    size_t at = self->choose ? self->choose(self->world, lock)
                             : (size_t)world_between(self->world, 0, (usec_t)last);
    ask_t *next = s_unqueue(lock, at);
    s_take(lock, next, next->kind == ASK_CHANGE ? next->session : next->id,
           next->kind == ASK_LOCK || next->kind == ASK_CHANGE);
    database_sim_work(self, next, 5, 50, s_go_on);
}

void statement_release(database_sim_t *self, uint64_t session)
{
    if (self->pair.owner == session)
        s_free_lock(self, &self->pair);
    if (self->checkpoint.owner == session)
        s_free_lock(self, &self->checkpoint);
}

static void s_end_waiters(database_sim_t *self, row_lock_t *lock, const char *why)
{
    while (lock->waiters_len > 0)
        database_sim_refuse(self, s_unqueue(lock, 0), ERROR_DATABASE_UNREACHABLE, why);
    lock->owner = 0;
}

void statements_end_all(database_sim_t *self, const char *why)
{
    s_end_waiters(self, &self->pair, why);
    s_end_waiters(self, &self->checkpoint, why);
}

/* Later, of a session. */
typedef struct {
    database_sim_t *server;
    uint64_t session;
} later_t;

static void s_later(database_sim_t *self, usec_t delay, event_fn *run, uint64_t session)
{
    const later_t later = {self, session};
    world_at(self->world, self->world->now + delay, run, NULL, memory_copy(&later, sizeof later));
}

static size_t s_waiter(const row_lock_t *lock, uint64_t id)
{
    size_t at = 0;
    while (at < lock->waiters_len && lock->waiters[at]->id != id)
        at++;
    return at;
}

void statement_terminate(database_sim_t *self, uint64_t session)
{
    row_lock_t *locks[] = {&self->pair, &self->checkpoint};
    for (int i = 0; i < 2; i++) {
        size_t at = s_waiter(locks[i], session);
        if (at < locks[i]->waiters_len)
            database_sim_refuse(self, s_unqueue(locks[i], at), ERROR_DATABASE_UNREACHABLE,
                                "terminating connection due to administrator command");
        if (locks[i]->owner == session && locks[i]->transaction)
            statement_release(self, session);
    }
}

/* Who the server says is in the way of a claim: those that wait before it, or the owner. */
static void s_end_blockers(database_sim_t *self, uint64_t claim)
{
    size_t before = s_waiter(&self->pair, claim);
    world_trace(self->world, "database", "terminated", self->pair.owner, claim);
    if (before == 0 || world_chance(self->world, 500))
        statement_terminate(self, self->pair.owner);
    else
        while (before-- > 0)
            statement_terminate(self, self->pair.waiters[before]->id);
}

/* A claim has waited too long. */
static void s_patience(world_t *world, void *data)
{
    later_t later = *(later_t *)data;
    free(data);
    database_sim_t *self = later.server;
    uint64_t id = later.session;
    size_t at = s_waiter(&self->pair, id);
    if (at == self->pair.waiters_len)
        return;
    ask_t *ask = self->pair.waiters[at];
    if (!self->frozen && world->now >= ask->wait_until) {
        s_unqueue(&self->pair, at);
        database_sim_refuse(self, ask, ERROR_DATABASE_REFUSED,
                            "canceling statement due to lock timeout");
        return;
    }
    s_later(self, PATIENCE_US, s_patience, id);
    if (!self->frozen)
        s_end_blockers(self, id);
}

/* NULL, before the first claim, is equal to nothing. */
static bool s_same_generation(id128_t found, id128_t asked)
{
    return !id_is_zero(found) && id_equal(found, asked);
}

/* ---- The journal's statement ---- */

static bool s_is_server(const database_sim_t *self, const ask_t *ask)
{
    const instance_t own = tables_instance(self);
    bool same =
        identity_equal(&self->row.identity, &ask->identity) || mutation_is(MUTATION_STATIC_SKIPPED);
    return (same && instance_equal(&own, &ask->instance)) || mutation_is(MUTATION_SERVER_UNCHECKED);
}

static bool s_epoch_holds(const database_sim_t *self, const ask_t *ask)
{
    if (mutation_is(MUTATION_FENCE_SKIPPED))
        return true;
    return self->row.epoch == ask->epoch &&
           s_same_generation(self->row.generation, ask->generation) && s_is_server(self, ask);
}

static void s_insert_commit(world_t *world, void *data)
{
    ask_t *ask = data;
    database_sim_t *self = ask->server;
    writes_t writes = checker_writes(world->checker, ask);
    tables_append(self, ask->batch);
    world_trace_text(world, s_node(ask), writes == WRITES_LATE ? "late" : "committed",
                     "epoch %llu, %llu … %llu", (unsigned long long)ask->epoch,
                     (unsigned long long)ask->batch->first, (unsigned long long)ask->batch->last);
    if (writes == WRITES_OWN)
        checker_committed(world->checker, ask->node, ask->life, ask->batch);
    ask->inserted = true;
    statement_release(self, ask->id);
    database_sim_answer(self, ask);
}

/* With the lock. The condition is judged on the row's newest version, the head is the snapshot's.
 */
static void s_insert_locked(database_sim_t *self, ask_t *ask)
{
    const batch_t *batch = ask->batch;
    ask->ok = true;
    if (!s_epoch_holds(self, ask) || ask->seen_index != batch->first - 1 ||
        !id_equal(ask->seen_hash, batch->previous)) {
        statement_release(self, ask->id);
        database_sim_answer(self, ask);
        return;
    }
    if (tables_head(self)->last >= batch->first) {
        ask->there = true;
        statement_release(self, ask->id);
        database_sim_answer(self, ask);
        return;
    }
    database_sim_commit(self, ask, 200, 1500, s_insert_commit);
}

static void s_insert(database_sim_t *self, ask_t *ask)
{
    const batch_t *head = tables_head(self);
    ask->seen_index = head->last;
    ask->seen_hash = head->hash;
    if (!s_epoch_holds(self, ask)) { /* not even locked */
        ask->ok = true;
        database_sim_answer(self, ask);
        return;
    }
    if (mutation_is(MUTATION_FENCE_BY_SELECT) || s_take(&self->pair, ask, ask->id, false))
        s_insert_locked(self, ask);
    else
        s_wait(self, &self->pair, ask);
}

/* ---- A claim ---- */

/* The server ends a transaction that its client leaves alone for too long
 * (idle_in_transaction_session_timeout). */
static void s_idle(world_t *world, void *data)
{
    (void)world;
    later_t later = *(later_t *)data;
    free(data);
    database_sim_t *self = later.server;
    uint64_t session = later.session;
    if (self->pair.owner == session && !self->pair.working)
        statement_release(self, session);
}

static void s_locked(database_sim_t *self, ask_t *ask)
{
    ask->ok = true;
    s_later(self, self->world->options.statement_timeout * 3 / 4, s_idle, ask->id);
    tables_status(self, &ask->known, &ask->status);
    database_sim_answer(self, ask);
}

static void s_lock(database_sim_t *self, ask_t *ask)
{
    if (!s_is_server(self, ask)) { /* not even locked */
        ask->ok = true;
        tables_status(self, &ask->known, &ask->status);
        database_sim_answer(self, ask);
        return;
    }
    if (s_take(&self->pair, ask, ask->id, true)) {
        s_locked(self, ask);
        return;
    }
    ask->wait_until = self->world->now + self->world->options.statement_timeout * 3 / 4;
    if (!self->gate)
        s_later(self, PATIENCE_US, s_patience, ask->id);
    s_wait(self, &self->pair, ask);
}

/* As dap/heal.c: each continues the head, and the last is what is known to be committed; otherwise
 * nothing of it happens. */
static bool s_write_back(database_sim_t *self, ask_t *ask)
{
    bool unproven = mutation_is(MUTATION_HEAL_UNPROVEN);
    const batch_t *head = tables_head(self);
    if (ask->batches_len == 0)
        return true;
    for (size_t i = 0; i < ask->batches_len; i++) {
        const batch_t *batch = ask->batches[i];
        bool continues = batch->first == head->last + 1 && id_equal(batch->previous, head->hash);
        if (!continues && !unproven) {
            statement_release(self, ask->session);
            return database_sim_refuse(self, ask, ERROR_DATABASE_DIVERGED,
                                       "a batch does not continue what the journal ends with");
        }
        head = batch;
    }
    if (!unproven && (head->last != ask->known.index || !id_equal(head->hash, ask->known.hash))) {
        statement_release(self, ask->session);
        return database_sim_refuse(self, ask, ERROR_DATABASE_DIVERGED,
                                   "another batch is known to be committed there");
    }
    for (size_t i = 0; i < ask->batches_len; i++)
        tables_append(self, ask->batches[i]);
    world_trace(self->world, s_node(ask), "written-back", ask->batches[0]->first, head->last);
    return true;
}

static void s_change_commit(world_t *world, void *data)
{
    ask_t *ask = data;
    database_sim_t *self = ask->server;
    if (self->pair.owner != ask->session) {
        database_sim_refuse(self, ask, ERROR_DATABASE_UNREACHABLE,
                            "terminating connection due to administrator command");
        return;
    }
    if (!s_write_back(self, ask))
        return;
    writes_t writes = checker_writes(world->checker, ask);
    uint64_t seen = self->row.epoch > ask->index ? self->row.epoch : ask->index;
    self->row.epoch = seen + 1;
    self->row.generation = ask->generation;
    snprintf(self->row.owner, sizeof self->row.owner, "%s", ask->owner);
    self->checkpoint_generation = ask->generation;
    tables_begin_epoch(self);
    ask->ok = true;
    tables_status(self, &ask->known, &ask->status);
    world_trace_text(world, s_node(ask), writes == WRITES_LATE ? "late" : "claimed",
                     "epoch %llu, head %llu", (unsigned long long)self->row.epoch,
                     (unsigned long long)tables_head(self)->last);
    if (writes == WRITES_OWN)
        checker_claimed(world->checker, ask->node, ask->life, &ask->status);
    statement_release(self, ask->session);
    database_sim_answer(self, ask);
}

static void s_change(database_sim_t *self, ask_t *ask)
{
    if (self->pair.owner != ask->session) {
        statement_release(self, ask->session);
        database_sim_refuse(self, ask, ERROR_DATABASE_UNREACHABLE,
                            "terminating connection due to administrator command");
        return;
    }
    self->pair.working = true;
    if (s_take(&self->checkpoint, ask, ask->session, true))
        database_sim_commit(self, ask, 200, 1500, s_change_commit);
    else
        s_wait(self, &self->checkpoint, ask);
}

/* ---- The checkpoint ---- */

static void s_image_commit(world_t *world, void *data)
{
    ask_t *ask = data;
    database_sim_t *self = ask->server;
    checker_writes(world->checker, ask);
    tables_write_image(self, ask->image->image);
    world_trace(world, s_node(ask), "checkpoint", ask->image->image->to,
                ask->image->image->changed_len);
    ask->inserted = true;
    statement_release(self, ask->id);
    tables_status(self, &ask->known, &ask->status);
    database_sim_answer(self, ask);
}

static bool s_image_holds(const database_sim_t *self, const ask_t *ask)
{
    return s_same_generation(self->checkpoint_generation, ask->generation) &&
           s_is_server(self, ask) && self->row.checkpoint_index == ask->image->image->from;
}

/* No row: then the row is read to say why. */
static void s_image_refused(database_sim_t *self, ask_t *ask)
{
    ask->ok = true;
    tables_status(self, &ask->known, &ask->status);
    ask->found_generation = self->checkpoint_generation;
    ask->found_hash = self->checkpoint_hash;
    statement_release(self, ask->id);
    database_sim_answer(self, ask);
}

static void s_image_locked(database_sim_t *self, ask_t *ask)
{
    ask->ok = true;
    if (s_image_holds(self, ask))
        database_sim_commit(self, ask, 500, 5000, s_image_commit);
    else
        s_image_refused(self, ask);
}

static void s_image(database_sim_t *self, ask_t *ask)
{
    if (!s_image_holds(self, ask)) /* not even locked */
        s_image_refused(self, ask);
    else if (s_take(&self->checkpoint, ask, ask->id, false))
        s_image_locked(self, ask);
    else
        s_wait(self, &self->checkpoint, ask);
}

/* ---- Reading ---- */

static void s_read_done(world_t *world, void *data)
{
    ask_t *ask = data;
    (void)world;
    database_sim_answer(ask->server, ask);
}

/* What the node's thread makes of the rows, too. */
static void s_load(const database_sim_t *self, ask_t *ask)
{
    planted_t *planted = self->world->planted;
    hand_t hand = {0};
    const guard_t guard = {&hand, ask->stops, ask->stops_len};
    planted_load_begin(planted, ask->node, &hand);
    ask->ok = tables_load(self, &guard, &ask->state, &ask->error);
    ask->crashes = planted_load_end(planted, &ask->left);
}

static void s_read(database_sim_t *self, ask_t *ask)
{
    ask->ok = true;
    tables_status(self, &ask->known, &ask->status);
    if (ask->kind == ASK_STATUS && ask->schema_version != self->row.schema_version) {
        database_sim_refuse(self, ask, ERROR_DATABASE_SCHEMA,
                            "the schema has another version than this program needs");
        return;
    }
    if (ask->kind == ASK_STATUS) {
        database_sim_work(self, ask, 20, 200, s_read_done);
        return;
    }
    const instance_t own = tables_instance(self);
    if (ask->kind == ASK_FOLLOW && !instance_equal(&own, &ask->instance)) {
        ask->ok = false;
        error_set(&ask->error, ERROR_DATABASE_REFUSED, "DAP %zu: another server", ask->dap);
    } else if (ask->kind == ASK_FOLLOW)
        tables_follow(self, ask);
    else
        s_load(self, ask);
    database_sim_work(self, ask, 200, ask->kind == ASK_LOAD ? 20000 : 2000, s_read_done);
}

/* ---- All of them ---- */

static void s_go_on(world_t *world, void *data)
{
    (void)world;
    ask_t *ask = data;
    database_sim_t *self = ask->server;
    switch (ask->kind) {
    case ASK_INSERT:
        s_insert_locked(self, ask);
        return;
    case ASK_LOCK:
        s_locked(self, ask);
        return;
    case ASK_CHANGE:
        s_change(self, ask);
        return;
    default:
        s_image_locked(self, ask);
    }
}

/* What writes fails on a standby, under default_transaction_read_only and where there is no room;
 * all of these read on. */
static bool s_may_write(database_sim_t *self, ask_t *ask)
{
    bool writes = ask->kind == ASK_INSERT || ask->kind == ASK_CHANGE || ask->kind == ASK_IMAGE;
    bool fixed = (self->standby || self->read_only) && (writes || ask->kind == ASK_LOCK);
    if (!fixed && !(writes && self->disk_full))
        return true;
    if (ask->kind == ASK_CHANGE)
        statement_release(self, ask->session);
    world_trace(self->world, "database", "writes-not", ask->kind, ask->id);
    return database_sim_refuse(self, ask, ERROR_DATABASE_REFUSED,
                               fixed ? "cannot execute it in a read-only transaction"
                                     : "could not extend file: No space left on device");
}

void statement_begin(database_sim_t *self, ask_t *ask)
{
    if (!s_may_write(self, ask))
        return;
    switch (ask->kind) {
    case ASK_INSERT:
        s_insert(self, ask);
        return;
    case ASK_LOCK:
        s_lock(self, ask);
        return;
    case ASK_CHANGE:
        s_change(self, ask);
        return;
    case ASK_IMAGE:
        s_image(self, ask);
        return;
    default:
        s_read(self, ask);
    }
}
