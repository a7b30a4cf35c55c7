#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "tests/sim/machine.h"

/* The journal lane and the checkpoint lane, as dap/journal.c and dap/checkpoint_writer.c are them:
 * in order, one statement in flight, again until its outcome is known. */

enum { BACKOFF_MIN_US = 20000, BACKOFF_MAX_US = 500000 };

typedef struct {
    machine_t *machine;
    uint64_t serial;
    uint64_t ask; /* a deadline: of this ask; 0: a pause is over */
} timer_t_sim;

static void s_insert(machine_t *self);
static void s_write(machine_t *self);
static void s_inserted(machine_t *self, ask_t *ask);
static void s_asked(machine_t *self, ask_t *ask);
static void s_written(machine_t *self, ask_t *ask);

static void s_later(machine_t *self, usec_t delay, uint64_t ask, event_fn *run)
{
    timer_t_sim *timer = memory_new(sizeof *timer);
    *timer = (timer_t_sim){self, self->serial, ask};
    machine_at(self, self->life, self->world->now + delay, run, NULL, timer);
}

static void s_stop_lane(machine_t *self, error_code_t code, const char *text)
{
    /* The simulated database never loses what it has, and there is only one. */
    if (code != ERROR_DATABASE_FENCED)
        world_violation(self->world, "P4 log", "a lane of node %s stops: %s", self->name, text);
    input_t *input = machine_input(self, INPUT_LANE_STOPPED);
    error_set(&input->error, code, "%s", text);
    machine_give(self, input);
}

static usec_t s_back_off(usec_t *backoff)
{
    usec_t pause = *backoff;
    *backoff = pause * 2 > BACKOFF_MAX_US ? BACKOFF_MAX_US : pause * 2;
    return pause;
}

/* The DAP at this place among those that are used; false: none is. */
static bool s_dap(const machine_t *self, size_t place, size_t *ret_dap)
{
    if (self->used_len == 0)
        return false;
    *ret_dap = self->used[place % self->used_len];
    return true;
}

/* ---- Journal ---- */

static void s_insert_again(world_t *world, void *data)
{
    (void)world;
    timer_t_sim timer = *(timer_t_sim *)data;
    free(data);
    if (timer.serial == timer.machine->serial && !timer.machine->journal.asking)
        s_insert(timer.machine);
}

static void s_journal_failed(machine_t *self, const error_t *error)
{
    journal_lane_t *lane = &self->journal;
    lane->asking = 0;
    lane->dap++;
    if (!lane->waiting) {
        lane->waiting = true;
        input_t *input = machine_input(self, INPUT_WAITING);
        input->error = *error;
        machine_give(self, input);
    }
    s_later(self, s_back_off(&lane->backoff), 0, s_insert_again);
}

static void s_journal_timeout(world_t *world, void *data)
{
    (void)world;
    timer_t_sim timer = *(timer_t_sim *)data;
    free(data);
    machine_t *self = timer.machine;
    if (timer.serial != self->serial || self->journal.asking != timer.ask)
        return;
    self->journal.tried = true;
    error_t error;
    error_set(&error, ERROR_DATABASE_UNREACHABLE, "DAP %zu: no answer in time", self->journal.dap);
    s_journal_failed(self, &error);
}

static void s_journal_ask(machine_t *self, ask_t *ask)
{
    ask->identity = self->identity;
    ask->instance = self->instance;
    ask->epoch = self->epoch;
    ask->generation = self->generation;
    self->journal.asking = ask->id;
    s_later(self, self->world->options.statement_timeout, ask->id, s_journal_timeout);
    database_sim_ask(self->world, ask);
}

static void s_insert(machine_t *self)
{
    journal_lane_t *lane = &self->journal;
    if (lane->len == 0 || lane->asking || lane->stopped)
        return;
    const batch_t *batch = lane->batches[0];
    size_t dap;
    if (!s_dap(self, lane->dap, &dap))
        return; /* lanes_use goes on */
    ask_t *ask = ask_new(self, ASK_INSERT, dap, s_inserted);
    ask->batch = batch_new(batch->epoch, batch->first, batch->last, batch->previous,
                           batch->log_time, batch->wall_time, batch->entries);
    s_journal_ask(self, ask);
}

static void s_committed(machine_t *self, bool clean)
{
    journal_lane_t *lane = &self->journal;
    input_t *input = machine_input(self, INPUT_COMMITTED);
    input->index = lane->batches[0]->last;
    input->clean = clean;
    machine_give(self, input);
    batch_destroy(&lane->batches[0]);
    lane->len--;
    memmove(&lane->batches[0], &lane->batches[1], lane->len * sizeof *lane->batches);
    lane->tried = false;
    lane->waiting = false;
    lane->backoff = BACKOFF_MIN_US;
    s_insert(self);
}

static bool s_is_mine(machine_t *self, const ask_t *ask, uint64_t *asking)
{
    (void)self;
    if (*asking != ask->id)
        return false;
    *asking = 0;
    return true;
}

static void s_inserted(machine_t *self, ask_t *ask)
{
    journal_lane_t *lane = &self->journal;
    if (s_is_mine(self, ask, &lane->asking)) {
        if (!ask->ok) {
            lane->tried = true;
            s_journal_failed(self, &ask->error);
        } else if (ask->inserted) {
            s_committed(self, true);
        } else {
            s_journal_ask(self, ask_new(self, ASK_STATUS, ask->dap, s_asked));
        }
    }
    ask_destroy(&ask);
}

/* No row was inserted: why. */
static void s_judge(machine_t *self, size_t dap, const database_status_t *status)
{
    journal_lane_t *lane = &self->journal;
    const batch_t *batch = lane->batches[0];
    error_t error;
    if (!identity_equal(&status->identity, &self->identity)) {
        input_t *input = machine_input(self, INPUT_DAP_WRONG);
        input->dap = dap;
        error_set(&error, ERROR_DATABASE_WRONG, "another database answers");
        input->error = error;
        machine_give(self, input);
        s_journal_failed(self, &error);
    } else if (!instance_equal(&status->instance, &self->instance)) {
        error_set(&error, ERROR_DATABASE_REFUSED, "another server than the one that is proven");
        s_journal_failed(self, &error);
    } else if (status->epoch != self->epoch || !id_equal(status->generation, self->generation)) {
        lane->stopped = true;
        s_stop_lane(self, ERROR_DATABASE_FENCED, "another epoch is in the row");
    } else if (status->head_index == batch->last && id_equal(status->head_hash, batch->hash)) {
        if (lane->tried) {
            s_committed(self, false);
            return;
        }
        lane->stopped = true;
        s_stop_lane(self, ERROR_DATABASE_DIVERGED, "the batch is there before it was sent");
    } else if (status->head_index == batch->first - 1 &&
               id_equal(status->head_hash, batch->previous)) {
        error_set(&error, ERROR_DATABASE_REFUSED, "the batch was not inserted; it is sent again");
        s_journal_failed(self, &error);
    } else {
        lane->stopped = true;
        s_stop_lane(self, ERROR_DATABASE_DIVERGED, "the head is not the batch before");
    }
}

static void s_asked(machine_t *self, ask_t *ask)
{
    if (s_is_mine(self, ask, &self->journal.asking)) {
        if (ask->ok)
            s_judge(self, ask->dap, &ask->status);
        else
            s_journal_failed(self, &ask->error);
    }
    ask_destroy(&ask);
}

void lanes_append(machine_t *self, batch_t *batch)
{
    journal_lane_t *lane = &self->journal;
    if (!self->open) {
        world_violation(self->world, "contract", "%s: a batch while the lanes are closed",
                        self->name);
        batch_destroy(&batch);
        return;
    }
    CHECK(lane->len < sizeof lane->batches / sizeof *lane->batches);
    lane->batches[lane->len++] = batch;
    s_insert(self);
}

/* ---- Checkpoint ---- */

static void s_write_again(world_t *world, void *data)
{
    (void)world;
    timer_t_sim timer = *(timer_t_sim *)data;
    free(data);
    if (timer.serial == timer.machine->serial && !timer.machine->checkpoint.asking)
        s_write(timer.machine);
}

static void s_write_failed(machine_t *self)
{
    checkpoint_lane_t *lane = &self->checkpoint;
    lane->asking = 0;
    lane->dap++;
    s_later(self, s_back_off(&lane->backoff), 0, s_write_again);
}

static void s_write_timeout(world_t *world, void *data)
{
    (void)world;
    timer_t_sim timer = *(timer_t_sim *)data;
    free(data);
    machine_t *self = timer.machine;
    if (timer.serial == self->serial && self->checkpoint.asking == timer.ask)
        s_write_failed(self);
}

static void s_write(machine_t *self)
{
    checkpoint_lane_t *lane = &self->checkpoint;
    size_t dap;
    if (!lane->image || lane->asking || lane->stopped || !s_dap(self, lane->dap, &dap))
        return;
    ask_t *ask = ask_new(self, ASK_IMAGE, dap, s_written);
    ask->identity = self->identity;
    ask->instance = self->instance;
    ask->generation = self->generation;
    ask->image = lane->image;
    lane->image->users++;
    lane->asking = ask->id;
    s_later(self, self->world->options.statement_timeout * 2, ask->id, s_write_timeout);
    database_sim_ask(self->world, ask);
}

static void s_is_written(machine_t *self)
{
    input_t *input = machine_input(self, INPUT_WRITTEN);
    input->index = self->checkpoint.image->image->to;
    machine_give(self, input);
    shared_image_leave(&self->checkpoint.image);
    self->checkpoint.backoff = BACKOFF_MIN_US;
}

static void s_written(machine_t *self, ask_t *ask)
{
    checkpoint_lane_t *lane = &self->checkpoint;
    if (s_is_mine(self, ask, &lane->asking)) {
        const checkpoint_image_t *image = lane->image->image;
        if (!ask->ok) {
            s_write_failed(self);
        } else if (ask->inserted) {
            s_is_written(self);
        } else if (!instance_equal(&ask->status.instance, &ask->instance) ||
                   !identity_equal(&ask->status.identity, &ask->identity)) {
            s_write_failed(self);
        } else if (!id_equal(ask->found_generation, self->generation)) {
            lane->stopped = true;
            s_stop_lane(self, ERROR_DATABASE_FENCED, "another generation is in the checkpoint");
        } else if (ask->status.checkpoint_index == image->to &&
                   id_equal(ask->found_hash, image->hash)) {
            s_is_written(self); /* by an earlier attempt */
        } else if (ask->status.checkpoint_index < image->from) {
            lane->stopped = true; /* an image before this one went to the server before */
            input_t *input = machine_input(self, INPUT_TABLES_BEHIND);
            error_set(&input->error, ERROR_DATABASE_DIVERGED, "the tables are behind");
            machine_give(self, input);
        } else {
            world_violation(self->world, "checkpoint",
                            "%s writes an image from %llu to %llu, the tables are at %llu",
                            self->name, (unsigned long long)image->from,
                            (unsigned long long)image->to,
                            (unsigned long long)ask->status.checkpoint_index);
        }
    }
    ask_destroy(&ask);
}

void lanes_write(machine_t *self, checkpoint_image_t *image)
{
    checkpoint_lane_t *lane = &self->checkpoint;
    if (!self->open || lane->image) {
        world_violation(self->world, "contract", "%s: an image while %s", self->name,
                        lane->image ? "another is being written" : "the lanes are closed");
        checkpoint_image_destroy(&image);
        return;
    }
    lane->image = memory_zero(1, sizeof *lane->image);
    *lane->image = (shared_image_t){image, 1};
    s_write(self);
}

/* ---- Both ---- */

/* What is under way to the server before is given up, and sent again. */
void lanes_prove(machine_t *self, const instance_t *instance)
{
    error_t error;
    self->instance = *instance;
    if (!self->journal.asking)
        return;
    self->journal.asking = 0;
    self->journal.tried = true;
    error_set(&error, ERROR_DATABASE_REFUSED, "another server is the proven one now");
    s_journal_failed(self, &error);
}

void lanes_open(machine_t *self, const pair_action_t *action)
{
    if (self->open)
        world_violation(self->world, "contract", "%s opens its lanes twice", self->name);
    lanes_close(self);
    self->open = true;
    self->identity = action->identity;
    self->instance = action->instance;
    self->epoch = action->epoch;
    self->generation = action->generation;
    self->journal = (journal_lane_t){.backoff = BACKOFF_MIN_US};
    self->checkpoint = (checkpoint_lane_t){.backoff = BACKOFF_MIN_US};
    lanes_use(self, action);
}

void lanes_use(machine_t *self, const pair_action_t *action)
{
    self->used_len = action->daps_len;
    for (size_t i = 0; i < action->daps_len; i++)
        self->used[i] = action->daps[i];
    s_insert(self);
    s_write(self);
}

void lanes_close(machine_t *self)
{
    self->open = false;
    self->serial++;
    for (size_t i = 0; i < self->journal.len; i++)
        batch_destroy(&self->journal.batches[i]);
    shared_image_leave(&self->checkpoint.image);
    self->journal = (journal_lane_t){0};
    self->checkpoint = (checkpoint_lane_t){0};
}
