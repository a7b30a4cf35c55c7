#include "tests/sim/wires.h"

#include <stdlib.h>

#include "core/base/alloc.h"
#include "tests/sim/talker.h"

struct wires {
    bool cut[WORLD_TALKERS_MAX][WORLD_NODES];
    bool broken[WORLD_TALKERS_MAX][WORLD_NODES];    /* lost a frame: never goes on silently */
    uint64_t lives[WORLD_TALKERS_MAX][WORLD_NODES]; /* the process a connection leads to */
    usec_t last_in[WORLD_TALKERS_MAX][WORLD_NODES]; /* in order, each way */
    usec_t last_out[WORLD_TALKERS_MAX][WORLD_NODES];
};

typedef struct {
    size_t talker;
    int node;
    uint64_t life;
    uint64_t connection;
    uint8_t *bytes; /* NULL: the connection is closed */
    size_t len;
} parcel_t;

wires_t *wires_new(world_t *world)
{
    (void)world;
    return memory_zero(1, sizeof(wires_t));
}

void wires_destroy(wires_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

static void s_drop(world_t *world, void *data)
{
    (void)world;
    free(((parcel_t *)data)->bytes);
    free(data);
}

/* Lost in a cut. */
static void s_lose(world_t *world, parcel_t *parcel)
{
    world->wires->broken[parcel->talker][parcel->node] = true;
    s_drop(world, parcel);
}

static void s_send(world_t *world, const parcel_t *parcel, usec_t *last, event_fn *run)
{
    usec_t at = world->now + world_between(world, 50, 300);
    at = at > *last ? at : *last;
    *last = at;
    world_at(world, at, run, s_drop, memory_copy(parcel, sizeof *parcel));
}

/* ---- To a node ---- */

static void s_at_machine(world_t *world, void *data)
{
    parcel_t *parcel = data;
    machine_t *machine = world->machines[parcel->node];
    if (world->wires->cut[parcel->talker][parcel->node]) {
        s_lose(world, parcel);
        return;
    }
    if (!machine_runs(machine) || machine->life != parcel->life) {
        s_drop(world, data);
        return;
    }
    uint64_t *known = &machine->connections[parcel->talker];
    if (parcel->connection > *known && machine->sessions[parcel->talker]) {
        input_t *closed = machine_input(machine, INPUT_CLOSED);
        closed->talker = parcel->talker;
        closed->connection = parcel->connection;
        machine_give(machine, closed);
    }
    if (parcel->connection > *known)
        *known = parcel->connection;
    input_t *input = machine_input(machine, parcel->bytes ? INPUT_FRAME : INPUT_CLOSED);
    input->talker = parcel->talker;
    input->connection = parcel->connection;
    input->bytes = parcel->bytes;
    input->len = parcel->len;
    free(parcel);
    machine_give(machine, input);
}

static void s_at_talker(world_t *world, void *data);

/* A connection to a process that is gone without a word, or that has lost a frame, is found dead by
 * the next frame on it. */
static bool s_is_dead(talker_t *talker, int node)
{
    world_t *world = talker->world;
    wires_t *wires = world->wires;
    size_t number = talker->number;
    uint64_t life = world->machines[node]->life;
    bool dead = wires->broken[number][node] ||
                (wires->lives[number][node] && life && wires->lives[number][node] != life);
    if (!dead || wires->cut[number][node]) {
        if (!wires->lives[number][node])
            wires->lives[number][node] = life;
        return dead;
    }
    parcel_t reset = {
        .talker = number, .node = node, .life = life, .connection = talker->connection};
    s_send(world, &reset, &wires->last_out[number][node], s_at_talker);
    s_send(world, &reset, &wires->last_in[number][node], s_at_machine);
    wires->lives[number][node] = life;
    wires->broken[number][node] = false;
    return true;
}

void wires_to_machine(talker_t *talker, int node, uint8_t *bytes, size_t len)
{
    world_t *world = talker->world;
    if (s_is_dead(talker, node)) {
        free(bytes);
        return;
    }
    parcel_t parcel = {.talker = talker->number,
                       .node = node,
                       .life = world->machines[node]->life,
                       .connection = talker->connection,
                       .bytes = bytes,
                       .len = len};
    s_send(world, &parcel, &world->wires->last_in[talker->number][node], s_at_machine);
}

void wires_talker_gone(talker_t *talker, bool heard)
{
    for (int node = 0; heard && node < WORLD_NODES; node++)
        wires_to_machine(talker, node, NULL, 0);
}

/* ---- To a talker ---- */

static void s_at_talker(world_t *world, void *data)
{
    parcel_t *parcel = data;
    talker_t *talker = world->talkers[parcel->talker];
    if (world->wires->cut[parcel->talker][parcel->node]) {
        s_lose(world, parcel);
        return;
    }
    if (talker->alive && talker->connection == parcel->connection) {
        if (parcel->bytes)
            talker_receive(talker, parcel->node, parcel->bytes, parcel->len);
        else
            talker_closed(talker, parcel->node);
    }
    s_drop(world, data);
}

void wires_to_talker(machine_t *machine, size_t talker, uint8_t *bytes, size_t len)
{
    world_t *world = machine->world;
    parcel_t parcel = {.talker = talker,
                       .node = machine->number,
                       .connection = machine->connections[talker],
                       .bytes = bytes,
                       .len = len};
    s_send(world, &parcel, &world->wires->last_out[talker][machine->number], s_at_talker);
}

void wires_process_gone(world_t *world, int node, bool heard)
{
    for (size_t i = 0; heard && i < world->talkers_len; i++) {
        parcel_t parcel = {.talker = i, .node = node, .connection = world->talkers[i]->connection};
        s_send(world, &parcel, &world->wires->last_out[i][node], s_at_talker);
    }
}

void wires_cut(world_t *world, size_t talker, int node, bool cut)
{
    world->wires->cut[talker][node] = cut;
}

bool wires_is_cut(const world_t *world, size_t talker, int node)
{
    return world->wires->cut[talker][node];
}
