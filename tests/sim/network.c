#include "tests/sim/network.h"

#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "tests/sim/machine.h"

enum { RECONNECT_US = 100000 };

/* The connection through which one node hears the other. */
typedef struct {
    bool up;
    uint64_t serial; /* of the connection: frames of an earlier one are lost with it … */
    uint64_t late; /* … but for this one: they wait at the hearing process, or in its kernel … */
    usec_t late_at; /* … until then; 0: until the new connection is there, at least */
    usec_t last_at; /* frames of one connection arrive in order, but for noise */
    bool trying;
} hearing_t;

/* A frame that was sent into a silent cut; the kernel sends it again when that heals. */
typedef struct {
    int to;
    uint64_t serial;
    uint8_t *bytes;
    size_t len;
    usec_t sent_at;
    bool held;
} frame_t;

/* Frames that have reached a frozen process, in order. */
typedef struct {
    frame_t **frames;
    size_t len;
} unread_t;

struct network {
    hearing_t hears[WORLD_NODES];
    unread_t unread[WORLD_NODES];
    cut_t cuts[WORLD_NODES]; /* by sender */
    noise_t noise;
};

enum { STALE_US = 5000000, STALE_STEP_US = 20000, LATE_US = 400000, LATE_STEP_US = 20000 };

network_t *network_new(world_t *world)
{
    (void)world;
    return memory_zero(1, sizeof(network_t));
}

static void s_frame_drop(world_t *world, void *data)
{
    (void)world;
    free(((frame_t *)data)->bytes);
    free(data);
}

void network_destroy(network_t **self_p)
{
    network_t *self = *self_p;
    for (int node = 0; self && node < WORLD_NODES; node++) {
        for (size_t i = 0; i < self->unread[node].len; i++)
            s_frame_drop(NULL, self->unread[node].frames[i]);
        free(self->unread[node].frames);
    }
    free(self);
    *self_p = NULL;
}

/* ---- Links ---- */

static void s_tell(world_t *world, int node, peer_link_t event)
{
    static const char *const names[] = {"link-up", "link-closed", "link-refused"};
    machine_t *machine = world->machines[node];
    if (!machine_runs(machine))
        return;
    world_trace(world, machine->name, names[event], 0, 0);
    input_t *input = machine_input(machine, INPUT_LINK);
    input->link = event;
    machine_give(machine, input);
}

static void s_close(world_t *world, int node)
{
    hearing_t *hearing = &world->network->hears[node];
    hearing->serial++;
    if (!hearing->up)
        return;
    hearing->up = false;
    s_tell(world, node, PEER_LINK_CLOSED);
}

static void s_try(world_t *world, void *data);

static void s_try_later(world_t *world, int node, usec_t delay)
{
    hearing_t *hearing = &world->network->hears[node];
    if (hearing->trying)
        return;
    hearing->trying = true;
    world_at(world, world->now + delay, s_try, NULL, memory_copy(&node, sizeof node));
}

static bool s_is_cut(const world_t *world, cut_t cut)
{
    return world->network->cuts[0] == cut || world->network->cuts[1] == cut;
}

static void s_try(world_t *world, void *data)
{
    int node = *(int *)data;
    free(data);
    hearing_t *hearing = &world->network->hears[node];
    machine_t *machine = world->machines[node];
    machine_t *other = world->machines[1 - node];
    hearing->trying = false;
    if (!machine_runs(machine) || hearing->up)
        return;
    if (machine->frozen || s_is_cut(world, CUT_SILENT) || (machine_runs(other) && other->frozen)) {
        s_try_later(world, node, RECONNECT_US);
        return;
    }
    if (s_is_cut(world, CUT_LOUD) || !machine_runs(other)) {
        s_tell(world, node, PEER_LINK_REFUSED);
        s_try_later(world, node, RECONNECT_US);
        return;
    }
    hearing->up = true;
    hearing->serial++;
    s_tell(world, node, PEER_LINK_UP);
}

void network_process_started(world_t *world, int node)
{
    s_try_later(world, node, world_between(world, 500, 3000));
    /* A connection to the life before is found dead by now. */
    if (world->network->hears[1 - node].up) {
        s_close(world, 1 - node);
        s_try_later(world, 1 - node, world_between(world, 1000, RECONNECT_US));
    }
}

static void s_closed(world_t *world, void *data)
{
    int node = *(int *)data;
    free(data);
    /* Unless the other one is back already and this is its connection. */
    if (machine_runs(world->machines[1 - node]))
        return;
    s_close(world, node);
    s_try_later(world, node, world_between(world, 200, 20000));
}

void network_process_gone(world_t *world, int node, bool heard)
{
    hearing_t *own = &world->network->hears[node];
    own->up = false;
    own->serial++;
    own->late = 0;
    for (size_t i = 0; i < world->network->unread[node].len; i++)
        s_frame_drop(world, world->network->unread[node].frames[i]);
    world->network->unread[node].len = 0;
    int other = 1 - node;
    hearing_t *others = &world->network->hears[other];
    /* What it sent last comes, or is lost with it; where nobody reads, the kernel has it. */
    bool kept = world_chance(world, 500) || world->machines[other]->frozen;
    others->late = kept ? others->serial : 0;
    others->late_at = 0;
    others->serial++;
    if (heard && world->network->cuts[node] != CUT_SILENT)
        world_at(world, world->now + world_between(world, 100, 1000), s_closed, NULL,
                 memory_copy(&other, sizeof other));
}

void network_cut(world_t *world, int from, cut_t cut)
{
    world->network->cuts[from] = cut;
    if (cut != CUT_LOUD)
        return;
    for (int node = 0; node < WORLD_NODES; node++) {
        s_close(world, node);
        s_try_later(world, node, world_between(world, 200, 20000));
    }
}

void network_set_noise(world_t *world, const noise_t *noise)
{
    world->network->noise = *noise;
}

/* ---- Frames ---- */

static void s_arrive(world_t *world, void *data);

/* A frozen process does not read it. One that goes on looks into its connections in turn: a new one
 * may be read before what is left of an old one. */
static bool s_waits(world_t *world, const machine_t *machine, frame_t *frame)
{
    if (machine->frozen) {
        unread_t *unread = &world->network->unread[frame->to];
        unread->frames = memory_resize(unread->frames, (unread->len + 1) * sizeof *unread->frames);
        unread->frames[unread->len++] = frame;
        return true;
    }
    hearing_t *hearing = &world->network->hears[frame->to];
    if (frame->held || frame->serial != hearing->late)
        return false;
    bool due = hearing->up || world->now - frame->sent_at > STALE_US;
    if (due && !hearing->late_at)
        hearing->late_at =
            world->now + world_between(world, 0, world_chance(world, 500) ? LATE_STEP_US : LATE_US);
    frame->held = hearing->late_at != 0;
    usec_t at = frame->held ? hearing->late_at : world->now + LATE_STEP_US;
    world_at(world, at, s_arrive, s_frame_drop, frame);
    return true;
}

void network_thawed(world_t *world, int node)
{
    unread_t *unread = &world->network->unread[node];
    size_t len = unread->len;
    unread->len = 0;
    for (size_t i = 0; i < len; i++)
        s_arrive(world, unread->frames[i]);
}

static void s_arrive(world_t *world, void *data)
{
    frame_t *frame = data;
    const hearing_t *hearing = &world->network->hears[frame->to];
    machine_t *machine = world->machines[frame->to];
    bool same = (frame->serial == hearing->serial || frame->serial == hearing->late) &&
                machine_runs(machine);
    if (same && s_is_cut(world, CUT_SILENT) &&
        (world->network->cuts[1 - frame->to] == CUT_SILENT || world_chance(world, 500)) &&
        world->now - frame->sent_at < STALE_US) {
        world_at(world, world->now + STALE_STEP_US, s_arrive, s_frame_drop, frame);
        return;
    }
    if (same && s_waits(world, machine, frame))
        return;
    if (!same || world->network->cuts[1 - frame->to] == CUT_SILENT) {
        s_frame_drop(world, frame);
        return;
    }
    input_t *input = machine_input(machine, INPUT_PEER);
    input->bytes = frame->bytes;
    input->len = frame->len;
    free(frame);
    machine_give(machine, input);
}

static void s_on_its_way(world_t *world, int to, uint8_t *bytes, size_t len)
{
    hearing_t *hearing = &world->network->hears[to];
    const noise_t *noise = &world->network->noise;
    usec_t at = world->now + world_between(world, 60, 250) + world_between(world, 0, noise->delay);
    if (at < hearing->last_at && !world_chance(world, noise->reordered))
        at = hearing->last_at;
    if (at > hearing->last_at)
        hearing->last_at = at;
    frame_t *frame = memory_new(sizeof *frame);
    *frame = (frame_t){to, hearing->serial, bytes, len, world->now, false};
    world_at(world, at, s_arrive, s_frame_drop, frame);
}

/* Between programs whose protocols differ a frame has the other's version: the first field of a
 * PeerFrame, written first. */
static void s_set_version(const world_t *world, uint8_t *bytes, size_t len)
{
    enum { VERSION_TAG = 1 << 3, OTHER = 9 };
    if (world->machines[0]->newer_protocol == world->machines[1]->newer_protocol)
        return;
    CHECK(len > 2 && bytes[0] == VERSION_TAG && bytes[1] < OTHER);
    bytes[1] = OTHER;
}

void network_send(world_t *world, int from, uint8_t *bytes, size_t len)
{
    int to = 1 - from;
    s_set_version(world, bytes, len);
    const noise_t *noise = &world->network->noise;
    if (!world->network->hears[to].up || world_chance(world, noise->loss)) {
        free(bytes);
        return;
    }
    if (world_chance(world, noise->duplicates))
        s_on_its_way(world, to, memory_copy(bytes, len), len);
    s_on_its_way(world, to, bytes, len);
}
