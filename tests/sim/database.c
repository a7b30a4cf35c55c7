#include "tests/sim/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "tests/sim/machine.h"

/* Where asks travel, are stalled by a frozen server, and how their answers come back. What the
 * statements do is in statements.c. */

enum { LATE_US = 3000000, LATE_STEP_US = 50000 };

static database_sim_t *s_new(world_t *world)
{
    database_sim_t *self = memory_zero(1, sizeof *self);
    CHECK(world->servers_len < WORLD_SERVERS);
    world->servers[world->servers_len++] = self;
    self->world = world;
    self->up = true;
    self->boot = ++world->boots;
    /* A copy may be at the same port … */
    self->port = 5432 + (uint32_t)(world->options.one_address ? 0 : world->servers_len % 2);
    self->host = (uint32_t)world->servers_len; /* … elsewhere */
    return self;
}

database_sim_t *database_sim_new(world_t *world)
{
    database_sim_t *self = s_new(world);
    tables_init(self);
    for (int node = 0; node < WORLD_NODES; node++)
        for (size_t dap = 0; dap < WORLD_DAPS; dap++)
            world->paths[node][dap] = self;
    return self;
}

database_sim_t *database_sim_copy(const database_sim_t *original)
{
    database_sim_t *self = s_new(original->world);
    tables_copy(self, original);
    return self;
}

database_sim_t *database_sim_stranger(world_t *world)
{
    database_sim_t *self = s_new(world);
    tables_init(self);
    return self;
}

void database_sim_destroy(database_sim_t **self_p)
{
    database_sim_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->stalled_len; i++)
        ask_destroy(&self->stalled[i]);
    for (size_t i = 0; i < self->pair.waiters_len; i++)
        ask_destroy(&self->pair.waiters[i]);
    for (size_t i = 0; i < self->checkpoint.waiters_len; i++)
        ask_destroy(&self->checkpoint.waiters[i]);
    tables_free(self);
    free(self);
    *self_p = NULL;
}

/* ---- Asks ---- */

void shared_image_leave(shared_image_t **self_p)
{
    shared_image_t *self = *self_p;
    *self_p = NULL;
    if (!self || --self->users > 0)
        return;
    checkpoint_image_destroy(&self->image);
    free(self);
}

ask_t *ask_new(machine_t *machine, ask_kind_t kind, size_t dap, ask_answered_fn *answered)
{
    ask_t *self = memory_zero(1, sizeof *self);
    self->kind = kind;
    self->id = ++machine->world->asks;
    self->node = machine->number;
    self->life = machine->life;
    self->dap = dap;
    self->way = machine->ways[dap];
    self->schema_version = DATABASE_SCHEMA_VERSION + machine->newer_schema;
    self->answered = answered;
    return self;
}

void ask_destroy(ask_t **self_p)
{
    ask_t *self = *self_p;
    if (!self)
        return;
    batch_destroy(&self->batch);
    shared_image_leave(&self->image);
    state_destroy(&self->state);
    for (size_t i = 0; i < self->batches_len; i++)
        batch_destroy(&self->batches[i]);
    free(self->batches);
    free(self->stops);
    free(self);
    *self_p = NULL;
}

static void s_drop(world_t *world, void *data)
{
    (void)world;
    ask_t *ask = data;
    ask_destroy(&ask);
}

/* ---- The way back ---- */

static void s_deliver(world_t *world, void *data)
{
    ask_t *ask = data;
    ask->answered(world->machines[ask->node], ask);
}

/* Nobody is there to hear it: what it locked is given up when the server notices. */
static void s_nobody(world_t *world, void *data)
{
    ask_t *ask = data;
    if (ask->kind == ASK_LOCK && ask->ok && !world->over)
        database_sim_release(world, ask->id);
    ask_destroy(&ask);
}

static usec_t s_travel(world_t *world)
{
    return world_between(world, 60, 250);
}

static void s_come_back(world_t *world, ask_t *ask)
{
    machine_at(world->machines[ask->node], ask->life, world->now + s_travel(world), s_deliver,
               s_nobody, ask);
}

static void s_fail(world_t *world, ask_t *ask, error_code_t code, const char *text)
{
    ask->ok = false;
    error_set(&ask->error, code, "DAP %zu: %s", ask->dap, text);
    s_come_back(world, ask);
}

void database_sim_answer(database_sim_t *self, ask_t *ask)
{
    world_t *world = self->world;
    cut_t cut = world->database->cuts[ask->node][ask->way];
    if (cut == CUT_SILENT) {
        s_nobody(world, ask);
        return;
    }
    if (cut == CUT_LOUD || world_chance(world, self->doubt)) {
        if (ask->kind == ASK_LOCK && ask->ok)
            statement_release(self, ask->id);
        world_trace(world, "database", "answer-lost", ask->kind, ask->id);
        s_fail(world, ask, ERROR_DATABASE_UNREACHABLE, "server closed the connection unexpectedly");
        return;
    }
    s_come_back(world, ask);
}

bool database_sim_refuse(database_sim_t *self, ask_t *ask, error_code_t code, const char *text)
{
    ask->ok = false;
    error_set(&ask->error, code, "DAP %zu: %s", ask->dap, text);
    database_sim_answer(self, ask);
    return false;
}

/* ---- In the server ---- */

typedef struct {
    ask_t *ask;
    event_fn *step;
} step_t_sim;

static void s_step(world_t *world, void *data)
{
    step_t_sim step = *(step_t_sim *)data;
    free(data);
    database_sim_t *self = step.ask->server;
    if (step.ask->boot != self->boot) {
        s_fail(world, step.ask, ERROR_DATABASE_UNREACHABLE,
               "terminating connection: the server was restarted");
        return;
    }
    if (!self->frozen) {
        step.step(world, step.ask);
        return;
    }
    CHECK(self->stalled_len < sizeof self->stalled / sizeof *self->stalled);
    self->stalled[self->stalled_len] = step.ask;
    self->stalled_step[self->stalled_len++] = step.step;
}

static void s_step_drop(world_t *world, void *data)
{
    step_t_sim *step = data;
    s_drop(world, step->ask);
    free(step);
}

void database_sim_work(database_sim_t *self, ask_t *ask, usec_t least, usec_t most, event_fn *step)
{
    usec_t took = world_between(self->world, least, most);
    if (self->slow)
        took += world_between(self->world, 0, self->slow);
    step_t_sim *work = memory_new(sizeof *work);
    *work = (step_t_sim){ask, step};
    world_at(self->world, self->world->now + took, s_step, s_step_drop, work);
}

void database_sim_commit(database_sim_t *self, ask_t *ask, usec_t least, usec_t most,
                         event_fn *commit)
{
    if (!self->gate || !self->gate(self->world, ask, commit))
        database_sim_work(self, ask, least, most, commit);
}

static void s_begin(world_t *world, void *data)
{
    (void)world;
    ask_t *ask = data;
    statement_begin(ask->server, ask);
}

/* What was sent into a silent cut is sent again by the kernel: it may arrive when its sender has
 * long given it up. */
static void s_arrive(world_t *world, void *data)
{
    ask_t *ask = data;
    if (ask->way == MACHINE_WAYS) { /* a lane that is told in this turn that the DAP is gone */
        s_fail(world, ask, ERROR_DATABASE_UNREACHABLE, "the DAP is used no longer");
        return;
    }
    if (!ask->server)
        ask->server = world->paths[ask->node][ask->way];
    database_sim_t *self = ask->server;
    cut_t cut = world->database->cuts[ask->node][ask->way];
    if (cut == CUT_SILENT) {
        if (world->now - ask->sent_at > LATE_US)
            ask_destroy(&ask);
        else
            world_at(world, world->now + LATE_STEP_US, s_arrive, s_drop, ask);
        return;
    }
    if (cut == CUT_LOUD || !self || !self->up) {
        s_fail(world, ask, ERROR_DATABASE_UNREACHABLE, "connection refused");
        return;
    }
    if (world_chance(world, self->errors)) {
        world_trace(world, "database", "refused", ask->kind, ask->id);
        s_fail(world, ask, ERROR_DATABASE_REFUSED, "sorry, too many clients already");
        return;
    }
    ask->boot = self->boot;
    database_sim_work(self, ask, 20, 120, s_begin);
}

void database_sim_ask(world_t *world, ask_t *ask)
{
    ask->sent_at = world->now;
    world_at(world, world->now + s_travel(world), s_arrive, s_drop, ask);
}

void database_sim_release(world_t *world, uint64_t session)
{
    for (size_t i = 0; i < world->servers_len; i++)
        statement_release(world->servers[i], session);
}

typedef struct {
    int node;
    uint64_t life;
} gone_t;

static void s_gone(world_t *world, void *data)
{
    gone_t gone = *(gone_t *)data;
    free(data);
    for (size_t server = 0; server < world->servers_len; server++) {
        row_lock_t *locks[] = {&world->servers[server]->pair, &world->servers[server]->checkpoint};
        for (int i = 0; i < 2; i++)
            if (locks[i]->owner && locks[i]->transaction && locks[i]->node == gone.node &&
                locks[i]->life == gone.life)
                statement_release(world->servers[server], locks[i]->owner);
    }
}

void database_sim_node_gone(world_t *world, int node, uint64_t life, bool heard)
{
    if (!heard)
        return;
    gone_t *gone = memory_new(sizeof *gone);
    *gone = (gone_t){node, life};
    world_at(world, world->now + world_between(world, 100, 2000), s_gone, NULL, gone);
}

/* ---- Faults ---- */

void database_sim_lead(world_t *world, int node, size_t dap, database_sim_t *server)
{
    world->paths[node][dap] = server;
}

bool database_sim_reached(const world_t *world, const database_sim_t *server)
{
    for (int node = 0; node < WORLD_NODES; node++) {
        const machine_t *machine = world->machines[node];
        for (size_t dap = 0; machine_runs(machine) && dap < PAIR_MAX_DAPS; dap++) {
            size_t way = machine->ways[dap];
            if (way != MACHINE_WAYS && world->paths[node][way] == server &&
                world->database->cuts[node][way] == CUT_NONE)
                return true;
        }
    }
    return false;
}

void database_sim_cut(world_t *world, int node, size_t dap, cut_t cut)
{
    world->database->cuts[node][dap] = cut;
}

void database_sim_stop(world_t *world)
{
    database_sim_t *self = world->database;
    self->up = false;
    self->boot = ++world->boots;
    statements_end_all(self, "terminating connection due to administrator command");
    for (size_t i = 0; i < self->stalled_len; i++)
        s_fail(world, self->stalled[i], ERROR_DATABASE_UNREACHABLE,
               "server closed the connection unexpectedly");
    self->stalled_len = 0;
    self->frozen = false;
}

void database_sim_start(world_t *world)
{
    world->database->up = true;
}

void database_sim_freeze(world_t *world)
{
    world->database->frozen = true;
}

void database_sim_thaw(world_t *world)
{
    database_sim_t *self = world->database;
    self->frozen = false;
    for (size_t i = 0; i < self->stalled_len; i++)
        database_sim_work(self, self->stalled[i], 1, 500, self->stalled_step[i]);
    self->stalled_len = 0;
}

void database_sim_slow(world_t *world, usec_t most)
{
    world->database->slow = most;
}

void database_sim_errors(world_t *world, unsigned per_mille)
{
    world->database->errors = per_mille;
}

void database_sim_doubt(world_t *world, unsigned per_mille)
{
    world->database->doubt = per_mille;
}

void database_sim_disk_full(world_t *world, bool full)
{
    world->database->disk_full = full;
}

void database_sim_read_only(world_t *world, bool read_only)
{
    world->database->read_only = read_only;
}

database_figures_t database_sim_figures(const world_t *world)
{
    const database_sim_t *self = world->database;
    return (database_figures_t){.epoch = self->row.epoch,
                                .generation = self->row.generation,
                                .head = tables_head(self)->last,
                                .checkpoint = self->row.checkpoint_index,
                                .up = self->up && !self->frozen};
}
