#include "tests/sim/planted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/engine_internal.h"
#include "core/wire/peer.pb-c.h"
#include "ha/poison.h"
#include "tests/sim/machine.h"

#define NAME "crash-"

typedef struct {
    unsigned own[WORLD_NODES];   /* crashes that the node itself noted … */
    unsigned heard[WORLD_NODES]; /* … and that it must have heard of from the other one */
    unsigned all;
} input_crashes_t;

/* What a node's host keeps of its process: its note, and how it ended. */
typedef struct {
    desk_t *desk;
    bool crashed; /* at what `left` and the desk's frame say */
    hand_t left;
    size_t number; /* of what it crashed on */
} note_t;

struct planted {
    world_t *world;
    input_crashes_t inputs[PLANTED_MAX];
    size_t len;
    note_t notes[WORLD_NODES];
    int at_work; /* node; -1: none */
    bool heard;  /* a hello of the other node's process came in this turn */
};

void __real_engine_submit(engine_t *self, session_t session, uint64_t request,
                          const Ixn__V1__Submit *submit);
void __wrap_engine_submit(engine_t *self, session_t session, uint64_t request,
                          const Ixn__V1__Submit *submit);

planted_t *planted_new(world_t *world)
{
    planted_t *self = memory_zero(1, sizeof *self);
    self->world = world;
    self->at_work = -1;
    for (int node = 0; node < WORLD_NODES; node++)
        if (options_has(&world->options, FAULT_POISON))
            self->notes[node].desk = memory_zero(1, sizeof *self->notes[node].desk);
    return self;
}

void planted_destroy(planted_t **self_p)
{
    planted_t *self = *self_p;
    for (int node = 0; self && node < WORLD_NODES; node++)
        free(self->notes[node].desk);
    free(self);
    *self_p = NULL;
}

/* ---- What is planted ---- */

bool planted_plant(planted_t *self, size_t *ret_number)
{
    if (self->len == PLANTED_MAX)
        return false;
    *ret_number = self->len++;
    return true;
}

void planted_name(size_t number, char name[PLANTED_NAME])
{
    snprintf(name, PLANTED_NAME, NAME "%zu", number);
}

unsigned planted_crashes(const planted_t *self, size_t number)
{
    return self->inputs[number].all;
}

/* ---- Crashing ---- */

static void s_crash(planted_t *self, size_t number)
{
    int node = self->at_work;
    input_crashes_t *input = &self->inputs[number];
    note_t *note = &self->notes[node];
    const char *name = self->world->machines[node]->name;
    note->crashed = true;
    note->number = number;
    note->left = note->desk->hand;
    world_trace(self->world, name, "crashes", number, input->all + 1);
    if (input->own[node] + input->heard[node] >= POISON_CRASHES)
        world_violation(self->world, "poison",
                        "node %s crashes on " NAME
                        "%zu again, although it crashed on it %u times "
                        "and has heard of %u crashes of the other node",
                        name, number, input->own[node], input->heard[node]);
    input->own[node]++;
    input->all++;
}

/* The process is gone at this place: what it would have done after it does nothing. */
void __wrap_engine_submit(engine_t *self, session_t session, uint64_t request,
                          const Ixn__V1__Submit *submit)
{
    world_t *world = world_current();
    bool planted = strncmp(submit->external_id, NAME, sizeof NAME - 1) == 0;
    if (!planted)
        __real_engine_submit(self, session, request, submit);
    else if (!planted_crashed(world->planted))
        s_crash(world->planted, (size_t)strtoul(submit->external_id + sizeof NAME - 1, NULL, 10));
}

bool planted_crashed(const planted_t *self)
{
    return self->notes[self->at_work].crashed;
}

/* ---- What a host keeps ---- */

desk_t *planted_desk(planted_t *self, int node)
{
    return self->notes[node].desk;
}

void planted_find(planted_t *self, int node, usec_t wall_time)
{
    note_t *note = &self->notes[node];
    machine_t *machine = self->world->machines[node];
    const poison_left_t left = {
        .kind = (hand_kind_t)note->left.kind,
        .request = note->left.request,
        .turn_requests = note->left.turn_requests,
        .frame = {note->desk ? (const char *)note->desk->frame : NULL, note->left.frame_len}};
    char what[POISON_WHAT];
    id128_t fingerprint;
    if (note->crashed && !poison_blame(&machine->poison, &left, wall_time, what, &fingerprint))
        world_violation(self->world, "poison",
                        "node %s crashed on " NAME "%zu, and blames no input: %s", machine->name,
                        note->number, what);
    note->crashed = false;
    if (note->desk)
        memset(&note->desk->hand, 0, sizeof note->desk->hand);
}

void planted_forget(planted_t *self, int node)
{
    self->world->machines[node]->poison = (poison_t){0};
    self->notes[node].crashed = false;
    for (size_t i = 0; i < self->len; i++)
        self->inputs[i].own[node] = self->inputs[i].heard[node] = 0;
}

/* ---- Turns, and what the nodes tell each other in them ---- */

void planted_turn_begin(planted_t *self, int node)
{
    self->at_work = node;
    self->heard = false;
}

void planted_frame(planted_t *self, const uint8_t *bytes, size_t len)
{
    const machine_t *node = self->world->machines[self->at_work];
    const machine_t *other = self->world->machines[1 - self->at_work];
    if (self->len == 0 || !machine_runs(other) || node->newer_protocol != other->newer_protocol)
        return; /* frames of another protocol are not understood */
    Ixn__V1__PeerFrame *frame = ixn__v1__peer_frame__unpack(NULL, len, bytes);
    self->heard |=
        frame && frame->body_case == IXN__V1__PEER_FRAME__BODY_HELLO &&
        frame->incarnation.len == sizeof other->incarnation &&
        memcmp(frame->incarnation.data, &other->incarnation, sizeof other->incarnation) == 0;
    if (frame)
        ixn__v1__peer_frame__free_unpacked(frame, NULL);
}

/* Nodes that know each other as primary and backup believe what the other one's process says, and
 * that knows of all crashes before it. */
void planted_turn_end(planted_t *self)
{
    role_t role = self->world->machines[self->at_work]->role;
    bool heard = self->heard && (role == ROLE_PAIRED || role == ROLE_READY);
    for (size_t i = 0; heard && i < self->len; i++) {
        input_crashes_t *input = &self->inputs[i];
        if (input->heard[self->at_work] < input->own[1 - self->at_work])
            input->heard[self->at_work] = input->own[1 - self->at_work];
    }
}
