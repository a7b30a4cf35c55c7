#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "tests/sim/machine.h"
#include "tests/sim/mutations.h"
#include "tests/sim/planted.h"
#include "tests/sim/schedule.h"

/* The access lanes (dap/access.h): one thing at a time on each, answered exactly once. */

typedef struct {
    machine_t *machine;
    size_t dap;
    uint64_t ask;
} deadline_t;

static void s_answered(machine_t *self, ask_t *ask);

static void s_failed(machine_t *self, size_t dap, const error_t *error);

static void s_deadline(world_t *world, void *data)
{
    (void)world;
    deadline_t deadline = *(deadline_t *)data;
    free(data);
    machine_t *self = deadline.machine;
    if (self->access[deadline.dap].asking != deadline.ask)
        return;
    error_t error;
    error_set(&error, ERROR_DATABASE_UNREACHABLE, "DAP %zu: no answer in time", deadline.dap);
    s_failed(self, deadline.dap, &error);
}

static void s_send(machine_t *self, ask_t *ask)
{
    access_lane_t *lane = &self->access[ask->dap];
    lane->asking = ask->id;
    deadline_t *deadline = memory_new(sizeof *deadline);
    *deadline = (deadline_t){self, ask->dap, ask->id};
    machine_at(self, self->life, self->world->now + self->world->options.statement_timeout,
               s_deadline, NULL, deadline);
    database_sim_ask(self->world, ask);
}

static input_kind_t s_input_of(pair_action_kind_t kind)
{
    switch (kind) {
    case PAIR_OBSERVE:
        return INPUT_OBSERVED;
    case PAIR_CLAIM:
        return INPUT_CLAIMED;
    case PAIR_LOAD:
        return INPUT_LOADED;
    default:
        return INPUT_FOLLOWED;
    }
}

static void s_drop_batches(access_lane_t *lane)
{
    for (size_t i = 0; i < lane->batches_len; i++)
        batch_destroy(&lane->batches[i]);
    free(lane->batches);
    lane->batches = NULL;
    lane->batches_len = 0;
}

void access_clear(machine_t *self)
{
    for (size_t i = 0; i < PAIR_MAX_DAPS; i++)
        s_drop_batches(&self->access[i]);
    memset(self->access, 0, sizeof self->access);
}

static input_t *s_finish(machine_t *self, size_t dap)
{
    access_lane_t *lane = &self->access[dap];
    s_drop_batches(lane);
    input_t *input = machine_input(self, s_input_of(lane->kind));
    input->dap = dap;
    input->generation = lane->generation;
    lane->busy = false;
    lane->asking = 0;
    return input;
}

static void s_give_error(machine_t *self, size_t dap, const error_t *error)
{
    input_t *input = s_finish(self, dap);
    input->error = *error;
    machine_give(self, input);
}

/* A commit whose answer is lost: the row tells whether it happened, if it can be read. */
static void s_failed(machine_t *self, size_t dap, const error_t *error)
{
    access_lane_t *lane = &self->access[dap];
    if (lane->kind == PAIR_CLAIM && lane->changing && !lane->looking) {
        lane->looking = true;
        lane->error = *error;
        s_send(self, ask_new(self, ASK_STATUS, dap, s_answered));
        return;
    }
    s_give_error(self, dap, lane->looking ? &lane->error : error);
}

static bool s_compare(const access_lane_t *lane, const database_status_t *found, error_t *ret_error)
{
    const database_status_t *judged = &lane->judged;
    bool outside = mutation_is(MUTATION_SERVER_UNCHECKED);
    bool same = identity_equal(&judged->identity, &found->identity) ||
                mutation_is(MUTATION_STATIC_SKIPPED) || outside;
    bool server = instance_equal(&judged->instance, &found->instance) || outside;
    bool lacking = found->lineage == LINEAGE_SHORT && lane->batches_len == 0;
    bool lineage = (!lacking && found->lineage != LINEAGE_DIVERGED) || outside;
    if (!same)
        return error_set(ret_error, ERROR_DATABASE_WRONG, "another database answers");
    if (!server || !lineage)
        return error_set(ret_error, ERROR_DATABASE_FENCED, "another server, or another lineage");
    if (judged->epoch != found->epoch || !id_equal(judged->generation, found->generation))
        return error_set(
            ret_error, ERROR_DATABASE_FENCED, "epoch %llu was judged, epoch %llu of %s is there",
            (unsigned long long)judged->epoch, (unsigned long long)found->epoch, found->owner);
    if (lane->claim_head &&
        (judged->head_index != found->head_index || !id_equal(judged->head_hash, found->head_hash)))
        return error_set(
            ret_error, ERROR_DATABASE_FENCED, "head %llu was judged, head %llu is there",
            (unsigned long long)judged->head_index, (unsigned long long)found->head_index);
    return true;
}

static void s_on_lock(machine_t *self, const ask_t *lock)
{
    access_lane_t *lane = &self->access[lock->dap];
    error_t error;
    if (!s_compare(lane, &lock->status, &error)) {
        database_sim_release(self->world, lock->id);
        s_give_error(self, lock->dap, &error);
        return;
    }
    ask_t *ask = ask_new(self, ASK_CHANGE, lock->dap, s_answered);
    ask->session = lock->id;
    ask->server = lock->server;
    ask->known = lock->known;
    ask->generation = lane->generation;
    ask->index = lane->highest_seen;
    snprintf(ask->owner, sizeof ask->owner, "%s", self->name);
    ask->batches = lane->batches;
    ask->batches_len = lane->batches_len;
    lane->batches = NULL;
    lane->batches_len = 0;
    lane->changing = true;
    s_send(self, ask);
}

static void s_on_status(machine_t *self, const ask_t *ask)
{
    access_lane_t *lane = &self->access[ask->dap];
    if (lane->looking && !id_equal(ask->status.generation, lane->generation)) {
        s_give_error(self, ask->dap, &lane->error);
        return;
    }
    input_t *input = s_finish(self, ask->dap);
    input->ok = true;
    input->status = ask->status;
    machine_give(self, input);
}

static void s_on_rows(machine_t *self, ask_t *ask)
{
    input_t *input = s_finish(self, ask->dap);
    input->ok = true;
    input->status = ask->status;
    input->gone = ask->gone;
    input->state = ask->state;
    input->batches = ask->batches;
    input->batches_len = ask->batches_len;
    ask->state = NULL;
    ask->batches = NULL;
    ask->batches_len = 0;
    machine_give(self, input);
}

/* The thread that applied what it was given takes the process with it. */
static void s_crash(machine_t *self, const ask_t *ask)
{
    planted_load_crashes(self->world->planted, self->number, &ask->left);
    machine_kill(self, true);
    schedule_stopped(self->world, self->number, NULL);
}

static void s_answered(machine_t *self, ask_t *ask)
{
    access_lane_t *lane = &self->access[ask->dap];
    if (lane->asking != ask->id) {
        if (ask->kind == ASK_LOCK && ask->ok)
            database_sim_release(self->world, ask->id);
    } else if (ask->crashes) {
        s_crash(self, ask);
    } else if (!ask->ok) {
        s_failed(self, ask->dap, &ask->error);
    } else if (ask->kind == ASK_LOCK) {
        s_on_lock(self, ask);
    } else if (ask->kind == ASK_STATUS || ask->kind == ASK_CHANGE) {
        s_on_status(self, ask);
    } else {
        s_on_rows(self, ask);
    }
    ask_destroy(&ask);
}

/* They may change while the order is under way. */
static void s_note_stops(machine_t *self, ask_t *ask)
{
    const guard_t *guard = pair_guard(self->pair);
    planted_orders_load(self->world->planted, self->number);
    ask->stops_len = guard->stops_len;
    if (guard->stops_len > 0)
        ask->stops = memory_copy(guard->stops, guard->stops_len * sizeof *guard->stops);
}

void access_begin(machine_t *self, const pair_action_t *action)
{
    static const ask_kind_t kinds[] = {[PAIR_OBSERVE] = ASK_STATUS,
                                       [PAIR_CLAIM] = ASK_LOCK,
                                       [PAIR_LOAD] = ASK_LOAD,
                                       [PAIR_FOLLOW] = ASK_FOLLOW};
    if (self->ways[action->dap] == MACHINE_WAYS) {
        world_violation(self->world, "contract", "%s asks DAP %zu, which has no lane", self->name,
                        action->dap);
        return;
    }
    access_lane_t *lane = &self->access[action->dap];
    if (lane->busy)
        world_violation(self->world, "contract",
                        "%s asks DAP %zu before its last request is answered", self->name,
                        action->dap);
    *lane = (access_lane_t){.busy = true,
                            .kind = action->kind,
                            .judged = action->judged,
                            .claim_head = action->claim_head,
                            .highest_seen = action->highest_seen,
                            .batches = action->batches,
                            .batches_len = action->batches_len,
                            .generation = random_id(&self->world->random)};
    ask_t *ask = ask_new(self, kinds[action->kind], action->dap, s_answered);
    ask->index = action->index;
    ask->hash = action->hash;
    ask->known = action->kind == PAIR_CLAIM ? action->judged.known : action->known;
    ask->identity = action->judged.identity;
    ask->instance = action->kind == PAIR_CLAIM ? action->judged.instance : action->instance;
    if (action->kind == PAIR_LOAD)
        s_note_stops(self, ask);
    s_send(self, ask);
}
