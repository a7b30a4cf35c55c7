#include "tests/sim/planted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/engine_internal.h"
#include "core/wire/peer.pb-c.h"
#include "ha/poison.h"
#include "tests/sim/machine.h"

#define DECIDE "crash-"
#define APPLY "apply-"

/* A submit that is asked again after its entry was skipped makes another entry. */
enum { ENTRIES_MAX = 64, INPUTS_MAX = PLANTED_MAX + ENTRIES_MAX };

/* The first PLANTED_MAX are submits, by their number; then come entries of the log. */
typedef struct {
    unsigned own[WORLD_NODES];   /* crashes that the node itself noted … */
    unsigned heard[WORLD_NODES]; /* … and that it must have heard of from the other one */
    unsigned all;
    unsigned ordered[WORLD_NODES]; /* what it knew of when it ordered the state last */
    uint64_t index;                /* of an entry */
    id128_t hash;                  /* … and of its batch */
} input_crashes_t;

/* What a node's host keeps of its process: its note, and how it ended. */
typedef struct {
    desk_t *desk;
    bool crashed; /* at what `left` and the desk's frame say */
    hand_t left;
    size_t number; /* of the input that it crashed on */
} note_t;

struct planted {
    world_t *world;
    planted_kind_t kinds[PLANTED_MAX];
    size_t len;
    input_crashes_t inputs[INPUTS_MAX];
    size_t entries;
    note_t notes[WORLD_NODES];
    int at_work; /* node; -1: none */
    bool heard;  /* a hello of the other node's process came in this turn */
    /* a thread that loads */
    const hand_t *loads; /* NULL: none does */
    int loader;          /* of this node */
    bool load_crashed;
    hand_t load_left;
};

void __real_engine_submit(engine_t *self, session_t session, uint64_t request,
                          const Ixn__V1__Submit *submit);
void __wrap_engine_submit(engine_t *self, session_t session, uint64_t request,
                          const Ixn__V1__Submit *submit);
bool __real_state_apply(state_t *self, const Ixn__V1__Entry *entry, error_t *ret_error);
bool __wrap_state_apply(state_t *self, const Ixn__V1__Entry *entry, error_t *ret_error);

planted_t *planted_new(world_t *world)
{
    planted_t *self = memory_zero(1, sizeof *self);
    self->world = world;
    self->at_work = -1;
    bool notes =
        options_has(&world->options, FAULT_POISON) || options_has(&world->options, FAULT_APPLY);
    for (int node = 0; node < WORLD_NODES && notes; node++)
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

bool planted_plant(planted_t *self, planted_kind_t kind, size_t *ret_number)
{
    if (self->len == PLANTED_MAX)
        return false;
    self->kinds[self->len] = kind;
    *ret_number = self->len++;
    return true;
}

void planted_name(const planted_t *self, size_t number, char name[PLANTED_NAME])
{
    snprintf(name, PLANTED_NAME, "%s%zu", self->kinds[number] == PLANTED_APPLY ? APPLY : DECIDE,
             number);
}

unsigned planted_crashes(const planted_t *self, size_t number)
{
    return self->inputs[number].all;
}

static bool s_is(const char *external_id, const char *kind)
{
    return strncmp(external_id, kind, strlen(kind)) == 0;
}

static input_crashes_t *s_entry(planted_t *self, const hand_t *hand)
{
    for (size_t i = 0; i < self->entries; i++) {
        input_crashes_t *input = &self->inputs[PLANTED_MAX + i];
        if (input->index == hand->index && id_equal(input->hash, hand->hash))
            return input;
    }
    CHECK(self->entries < ENTRIES_MAX);
    input_crashes_t *input = &self->inputs[PLANTED_MAX + self->entries++];
    input->index = hand->index;
    input->hash = hand->hash;
    return input;
}

unsigned planted_entry_crashes(const planted_t *self, uint64_t index)
{
    unsigned most = 0;
    for (size_t i = 0; i < self->entries; i++) {
        const input_crashes_t *input = &self->inputs[PLANTED_MAX + i];
        if (input->index == index && input->all > most)
            most = input->all;
    }
    return most;
}

/* ---- Crashing ---- */

/* `known`: the crashes of this input that the node knew of when it might have stopped. */
static void s_crash(planted_t *self, int node, input_crashes_t *input, unsigned known,
                    const hand_t *left)
{
    note_t *note = &self->notes[node];
    const char *name = self->world->machines[node]->name;
    note->crashed = true;
    note->number = (size_t)(input - self->inputs);
    note->left = *left;
    world_trace(self->world, name, "crashes", input->index ? input->index : note->number,
                input->all + 1);
    if (known >= POISON_CRASHES)
        world_violation(self->world, "poison",
                        "node %s crashes on input %zu (entry %llu) again, although it crashed on "
                        "it %u times and has heard of %u crashes of the other node",
                        name, note->number, (unsigned long long)input->index, input->own[node],
                        input->heard[node]);
    input->own[node]++;
    input->all++;
}

static unsigned s_known(const input_crashes_t *input, int node)
{
    return input->own[node] + input->heard[node];
}

/* The process is gone at this place: what it would have done after it does nothing. */
void __wrap_engine_submit(engine_t *self, session_t session, uint64_t request,
                          const Ixn__V1__Submit *submit)
{
    planted_t *planted = world_current()->planted;
    if (!s_is(submit->external_id, DECIDE)) {
        __real_engine_submit(self, session, request, submit);
    } else if (!planted_crashed(planted)) {
        size_t number = (size_t)strtoul(submit->external_id + strlen(DECIDE), NULL, 10);
        input_crashes_t *input = &planted->inputs[number];
        int node = planted->at_work;
        s_crash(planted, node, input, s_known(input, node), &planted->notes[node].desk->hand);
    }
}

/* Whoever applies it from the log crashes; whoever decides it does not. */
bool __wrap_state_apply(state_t *self, const Ixn__V1__Entry *entry, error_t *ret_error)
{
    planted_t *planted = world_current() ? world_current()->planted : NULL;
    if (!planted || entry->body_case != IXN__V1__ENTRY__BODY_SUBMITTED ||
        !s_is(entry->submitted->external_id, APPLY))
        return __real_state_apply(self, entry, ret_error);
    int node = planted->loads ? planted->loader : planted->at_work;
    if (node == planted->world->options.mended)
        return __real_state_apply(self, entry, ret_error);
    error_set(ret_error, ERROR_DATABASE_DIVERGED, "the process is gone");
    if (planted->loads) {
        planted->load_left = *planted->loads;
        planted->load_crashed = true;
        return false;
    }
    const hand_t *hand = &planted->notes[node].desk->hand;
    if (hand->kind != HAND_APPLY)
        return __real_state_apply(self, entry, ret_error);
    input_crashes_t *input = s_entry(planted, hand);
    if (!planted_crashed(planted))
        s_crash(planted, node, input, s_known(input, node), hand);
    return false;
}

bool planted_crashed(const planted_t *self)
{
    return self->notes[self->at_work].crashed;
}

/* ---- While a state is loaded ---- */

void planted_orders_load(planted_t *self, int node)
{
    for (size_t i = 0; i < self->entries; i++) {
        input_crashes_t *input = &self->inputs[PLANTED_MAX + i];
        input->ordered[node] = s_known(input, node);
    }
}

void planted_load_begin(planted_t *self, int node, const hand_t *hand)
{
    self->loads = self->notes[node].desk ? hand : NULL;
    self->loader = node;
    self->load_crashed = false;
}

bool planted_load_died(const planted_t *self)
{
    return self->load_crashed;
}

bool planted_load_end(planted_t *self, hand_t *ret_left)
{
    self->loads = NULL;
    *ret_left = self->load_left;
    bool crashed = self->load_crashed;
    self->load_crashed = false;
    return crashed;
}

void planted_load_crashes(planted_t *self, int node, const hand_t *left)
{
    input_crashes_t *input = s_entry(self, left);
    s_crash(self, node, input, input->ordered[node], left);
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
        .frame = {note->desk ? (const char *)note->desk->frame : NULL, note->left.frame_len},
        .index = note->left.index,
        .hash = note->left.hash};
    char what[POISON_WHAT];
    id128_t fingerprint;
    if (note->crashed && !poison_blame(&machine->poison, &left, wall_time, what, &fingerprint))
        world_violation(self->world, "poison",
                        "node %s crashed on planted input %zu, and blames no input: %s",
                        machine->name, note->number, what);
    note->crashed = false;
    if (note->desk)
        memset(&note->desk->hand, 0, sizeof note->desk->hand);
}

void planted_forget(planted_t *self, int node)
{
    self->world->machines[node]->poison = (poison_t){0};
    self->notes[node].crashed = false;
    for (size_t i = 0; i < INPUTS_MAX; i++)
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
    for (size_t i = 0; heard && i < PLANTED_MAX + self->entries; i++) {
        input_crashes_t *input = &self->inputs[i];
        if (input->heard[self->at_work] < input->own[1 - self->at_work])
            input->heard[self->at_work] = input->own[1 - self->at_work];
    }
}
