#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/interleavings/interleaving.h"
#include "tests/sim/checker.h"
#include "tests/sim/database.h"
#include "tests/sim/machine.h"

/* The simulated side: a world in which there is nothing but the database. Each session has a DAP of
 * its own, by whose number its answers are known. */

/* All work of a step is done well within; time-outs are far longer. */
enum { SETTLED_US = USEC_PER_SECOND };
#define NO_TIMEOUT_US (1000000 * USEC_PER_SECOND)

typedef struct {
    shown_t shown;
    uint64_t owner;        /* the ask that its locks belong to; 0: none */
    ask_t *held;           /* at its commit, … */
    event_fn *commit;      /* … which is this */
    shared_image_t *image; /* of its last IMAGE */
} visitor_t;

struct simulated {
    world_t world; /* first: events know the world only */
    visitor_t visitors[SESSIONS];
    const shown_t *hint; /* what the real side has come to in this step */
};

static simulated_t *s_of(world_t *world)
{
    return (simulated_t *)world;
}

static bool s_gate(world_t *world, ask_t *ask, event_fn *commit)
{
    visitor_t *visitor = &s_of(world)->visitors[ask->dap];
    visitor->held = ask;
    visitor->commit = commit;
    visitor->shown.place = STAND_COMMIT;
    return true;
}

/* Where the simulated server leaves it to chance, the real one decides: first those that have ended
 * there, then the one that has the lock now. */
static size_t s_choose(world_t *world, const row_lock_t *lock)
{
    const shown_t *hint = s_of(world)->hint;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < lock->waiters_len; i++) {
            stand_t place = hint[lock->waiters[i]->dap].place;
            if (place == STAND_IDLE || (pass == 1 && place != STAND_WAITS))
                return i;
        }
    return 0;
}

simulated_t *simulated_new(const identity_t *identity, id128_t genesis)
{
    simulated_t *self = memory_zero(1, sizeof *self);
    world_t *world = &self->world;
    options_draw(&world->options, 1);
    world->options.statement_timeout = NO_TIMEOUT_US;
    world->options.journal_retention = NO_TIMEOUT_US;
    world->checker = checker_new(world);
    world->database = database_sim_new(world);
    world->database->gate = s_gate;
    world->database->choose = s_choose;
    world->database->row.identity = *identity;
    world->database->journal[0]->hash = genesis;
    world->database->checkpoint_hash = genesis;
    for (int i = 0; i < WORLD_NODES; i++)
        world->machines[i] = machine_new(world, i);
    return self;
}

static void s_image_free(visitor_t *visitor)
{
    if (visitor->image)
        free(visitor->image->image);
    free(visitor->image);
    visitor->image = NULL;
}

void simulated_destroy(simulated_t **self_p)
{
    simulated_t *self = *self_p;
    if (!self)
        return;
    world_t *world = &self->world;
    world->over = true;
    for (int i = 0; i < SESSIONS; i++)
        ask_destroy(&self->visitors[i].held);
    for (size_t i = 0; i < world->events_len; i++) {
        event_t *event = &world->events[i];
        if (event->drop)
            event->drop(world, event->data);
        else
            free(event->data);
    }
    free(world->events);
    for (int i = 0; i < WORLD_NODES; i++)
        machine_destroy(&world->machines[i]);
    database_sim_destroy(&world->database);
    for (int i = 0; i < SESSIONS; i++)
        s_image_free(&self->visitors[i]);
    checker_destroy(&world->checker);
    free(self);
    *self_p = NULL;
}

/* ---- Answers ---- */

static void s_answer_status(const ask_t *ask, char answer[ANSWER_SIZE])
{
    const database_status_t *status = &ask->status;
    answer_status(answer, status->epoch, status->generation, status->head_index, status->head_hash,
                  status->checkpoint_index);
}

static void s_answer_follow(const ask_t *ask, char answer[ANSWER_SIZE])
{
    size_t len = (size_t)snprintf(answer, ANSWER_SIZE, "%s", ask->gone ? "gone" : "rows");
    for (size_t i = 0; i < ask->batches_len && len < ANSWER_SIZE; i++)
        len += (size_t)snprintf(answer + len, ANSWER_SIZE - len, " %llu",
                                (unsigned long long)ask->batches[i]->last);
}

static void s_answer(const ask_t *ask, char answer[ANSWER_SIZE])
{
    if (!ask->ok) {
        snprintf(answer, ANSWER_SIZE, "%.150s",
                 strstr(ask->error.text, "terminating") ? "ended" : ask->error.text);
        return;
    }
    switch (ask->kind) {
    case ASK_FOLLOW:
        s_answer_follow(ask, answer);
        return;
    case ASK_INSERT:
        snprintf(answer, ANSWER_SIZE, "%s",
                 ask->there      ? "there already"
                 : ask->inserted ? "inserted"
                                 : "nothing");
        return;
    case ASK_IMAGE:
        if (ask->inserted)
            snprintf(answer, ANSWER_SIZE, "written");
        else
            snprintf(answer, ANSWER_SIZE, "not written: %02x%02x at %llu",
                     ask->found_generation.bytes[0], ask->found_generation.bytes[1],
                     (unsigned long long)ask->status.checkpoint_index);
        return;
    default:
        s_answer_status(ask, answer);
    }
}

static void s_answered(machine_t *machine, ask_t *ask)
{
    visitor_t *visitor = &s_of(machine->world)->visitors[ask->dap];
    s_answer(ask, visitor->shown.answer);
    visitor->shown.place = STAND_IDLE;
    if (ask->kind == ASK_LOCK && ask->ok)
        visitor->shown.place = STAND_LOCKED;
    else
        visitor->owner = 0;
    ask_destroy(&ask);
}

/* ---- Steps ---- */

static ask_t *s_ask(simulated_t *self, const act_t *step, ask_kind_t kind)
{
    machine_t *machine = self->world.machines[step->session % WORLD_NODES];
    ask_t *ask = ask_new(machine, kind, (size_t)step->session, s_answered);
    /* A claim judges the database that is there (real.c). */
    ask->identity =
        kind == ASK_LOCK ? s_of(machine->world)->world.database->row.identity : step->identity;
    ask->instance = tables_instance(machine->world->database);
    ask->epoch = step->epoch;
    ask->generation = step->generation;
    ask->index = step->index;
    ask->hash = step->hash;
    return ask;
}

static batch_t *s_copy(const batch_t *batch)
{
    return batch_new(batch->epoch, batch->first, batch->last, batch->previous, batch->log_time,
                     batch->wall_time, batch->entries);
}

/* Ours: without the memory behind those of core/image.c, so the asks that carry it never free it.
 */
static shared_image_t *s_image(visitor_t *visitor, const act_t *step)
{
    s_image_free(visitor);
    visitor->image = memory_zero(1, sizeof *visitor->image);
    visitor->image->image = memory_zero(1, sizeof *visitor->image->image);
    visitor->image->image->from = step->from;
    visitor->image->image->to = step->index;
    visitor->image->image->hash = step->hash;
    visitor->image->users = 2;
    return visitor->image;
}

static void s_send(simulated_t *self, const act_t *step)
{
    static const ask_kind_t kinds[] = {
        [ACT_STATUS] = ASK_STATUS, [ACT_FOLLOW] = ASK_FOLLOW, [ACT_INSERT] = ASK_INSERT,
        [ACT_IMAGE] = ASK_IMAGE,   [ACT_LOCK] = ASK_LOCK,     [ACT_CHANGE] = ASK_CHANGE};
    visitor_t *visitor = &self->visitors[step->session];
    ask_t *ask = s_ask(self, step, kinds[step->kind]);
    if (step->kind == ACT_INSERT)
        ask->batch = s_copy(step->batch);
    if (step->kind == ACT_IMAGE)
        ask->image = s_image(visitor, step);
    if (step->kind == ACT_CHANGE) {
        ask->session = visitor->owner;
        ask->index = 0; /* no higher epoch was seen elsewhere */
    } else {
        visitor->owner = ask->id;
    }
    visitor->shown.place = STAND_WAITS;
    database_sim_ask(&self->world, ask);
}

static void s_commit(simulated_t *self, visitor_t *visitor)
{
    ask_t *ask = visitor->held;
    visitor->held = NULL;
    visitor->shown.place = STAND_WAITS;
    visitor->commit(&self->world, ask);
}

/* ---- Who waits for whom ---- */

static unsigned s_session_of(const simulated_t *self, uint64_t owner)
{
    for (int i = 0; i < SESSIONS; i++)
        if (owner && self->visitors[i].owner == owner)
            return 1u << i;
    return 0;
}

static void s_look_at(simulated_t *self, const row_lock_t *lock)
{
    for (size_t i = 0; i < lock->waiters_len; i++)
        self->visitors[lock->waiters[i]->dap].shown.behind |= s_session_of(self, lock->owner);
}

static void s_look(simulated_t *self, shown_t shown[SESSIONS])
{
    for (int i = 0; i < SESSIONS; i++)
        self->visitors[i].shown.behind = 0;
    s_look_at(self, &self->world.database->pair);
    s_look_at(self, &self->world.database->checkpoint);
    for (int i = 0; i < SESSIONS; i++)
        shown[i] = self->visitors[i].shown;
}

void simulated_step(simulated_t *self, const act_t *step, const shown_t hint[SESSIONS],
                    shown_t shown[SESSIONS])
{
    self->hint = hint;
    world_t *world = &self->world;
    visitor_t *visitor = &self->visitors[step->session];
    switch (step->kind) {
    case ACT_COMMIT:
        s_commit(self, visitor);
        break;
    case ACT_LEAVE:
        database_sim_release(world, visitor->owner);
        snprintf(visitor->shown.answer, ANSWER_SIZE, "left");
        visitor->shown.place = STAND_IDLE;
        visitor->owner = 0;
        break;
    case ACT_END:
        for (int i = 0; i < SESSIONS; i++)
            if (step->blockers & 1u << i)
                statement_terminate(world->database, self->visitors[i].owner);
        break;
    default:
        s_send(self, step);
    }
    while (world_step(world, world->now + SETTLED_US))
        continue;
    /* The checker judges nodes, of which there are none. */
    world->over = world->failed = false;
    s_look(self, shown);
}

void simulated_tables(const simulated_t *self, char text[TABLES_SIZE])
{
    const database_sim_t *database = self->world.database;
    size_t len = 0;
    for (size_t i = 0; i < database->journal_len && len < TABLES_SIZE; i++) {
        const batch_t *batch = database->journal[i];
        len += (size_t)snprintf(text + len, TABLES_SIZE - len, "%llu-%llu/%llu ",
                                (unsigned long long)batch->first, (unsigned long long)batch->last,
                                (unsigned long long)batch->epoch);
    }
    if (len < TABLES_SIZE)
        snprintf(text + len, TABLES_SIZE - len, "epoch %llu checkpoint %llu",
                 (unsigned long long)database->row.epoch,
                 (unsigned long long)database->row.checkpoint_index);
}
