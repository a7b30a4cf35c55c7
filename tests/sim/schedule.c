#include "tests/sim/schedule_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/sim/checker.h"
#include "tests/sim/database.h"
#include "tests/sim/loss.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"
#include "tests/sim/planted.h"
#include "tests/sim/talker.h"
#include "tests/sim/told.h"
#include "tests/sim/wires.h"

static void s_fault(world_t *world, void *data);
static void s_snapshot(world_t *world, void *data);

static void s_start(world_t *world, void *data)
{
    int node = *(int *)data;
    free(data);
    if (!machine_runs(world->machines[node]))
        machine_start(world->machines[node]);
}

static void s_start_later(world_t *world, int node, usec_t delay)
{
    world_at(world, world->now + delay, s_start, NULL, memory_copy(&node, sizeof node));
}

schedule_t *schedule_new(world_t *world)
{
    schedule_t *self = memory_zero(1, sizeof *self);
    self->asked = -1;
    s_start_later(world, 0, 0);
    s_start_later(world, 1,
                  world->options.same_start ? world_between(world, 0, 2000)
                                            : world_between(world, 0, 4 * USEC_PER_SECOND));
    world_at(world, world_between(world, 0, 3 * USEC_PER_SECOND), s_fault, NULL, NULL);
    world_at(world, world->options.safety, liveness_begin, NULL, NULL);
    world_at(world, world_between(world, 0, world->options.safety), s_snapshot, NULL, NULL);
    return self;
}

void schedule_destroy(schedule_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

/* A node that was asked to end is started again; so is, by its supervisor, one that gave up. */
void schedule_stopped(world_t *world, int node, const error_t *error)
{
    (void)error;
    s_start_later(world, node, world_between(world, 50 * USEC_PER_MS, 2 * USEC_PER_SECOND));
}

/* Its process ends and another version of the program begins: one whose protocol between the nodes,
 * or whose schema, is that much newer. */
void schedule_start_as(world_t *world, int node, unsigned protocol, unsigned schema)
{
    machine_t *machine = world->machines[node];
    if (machine->newer_protocol == protocol && machine->newer_schema == schema)
        return;
    machine_kill(machine, true);
    machine->newer_protocol = protocol;
    machine->newer_schema = schema;
    world_trace(world, "faults", "version", protocol, schema);
    s_start_later(world, node, world_between(world, USEC_PER_MS, 300 * USEC_PER_MS));
}

/* ---- Healing of one fault ---- */

typedef struct {
    fault_t fault;
    int node;
    size_t which;
    database_sim_t *before; /* an operator takes it back: access points lead there again */
} ill_t;

/* To the pair's own, or to what that was before. */
void schedule_lead_home(world_t *world, int node, database_sim_t *before)
{
    for (size_t dap = 0; dap < WORLD_DAPS; dap++)
        database_sim_lead(world, node, dap, before ? before : world->database);
    if (before && before != world->database)
        world_trace(world, "faults", "leads-back", before->host, (uint64_t)node);
}

static void s_heal(world_t *world, void *data)
{
    static const noise_t no_noise = {0};
    ill_t ill = *(ill_t *)data;
    free(data);
    world_trace(world, "faults", "heals", ill.fault, (uint64_t)ill.node);
    switch (ill.fault) {
    case FAULT_FREEZE:
        machine_thaw(world->machines[ill.node]);
        return;
    case FAULT_PEER_CUT:
        network_cut(world, ill.node, CUT_NONE);
        return;
    case FAULT_PEER_NOISE:
        network_set_noise(world, &no_noise);
        return;
    case FAULT_DATABASE_CUT:
        database_sim_cut(world, ill.node, ill.which, CUT_NONE);
        return;
    case FAULT_DATABASE_RESTART:
        database_sim_start(world);
        return;
    case FAULT_DATABASE_FREEZE:
        database_sim_thaw(world);
        return;
    case FAULT_DATABASE_SLOW:
        database_sim_slow(world, 0);
        return;
    case FAULT_DATABASE_ERRORS:
        database_sim_errors(world, 0);
        return;
    case FAULT_DATABASE_DOUBT:
        database_sim_doubt(world, 0);
        return;
    case FAULT_DISK_FULL:
        database_sim_disk_full(world, false);
        return;
    case FAULT_READ_ONLY:
        database_sim_read_only(world, false);
        return;
    case FAULT_SKEW:
        schedule_start_as(world, ill.node, 0, 0);
        return;
    case FAULT_CLIENT_CUT:
        wires_cut(world, ill.which, ill.node, false);
        return;
    case FAULT_CLONE:
    case FAULT_STALE:
    case FAULT_STRANGER:
        schedule_lead_home(world, ill.node, world->schedule->healing ? NULL : ill.before);
        return;
    case FAULT_ROUTER:
    case FAULT_SERVER:
        if (!world->talkers[ill.which]->alive)
            talker_start(world->talkers[ill.which]);
        world->talkers[ill.which]->hung = false;
        return;
    default:
        return;
    }
}

static void s_heal_later(world_t *world, const ill_t *ill, usec_t most)
{
    world_at(world, world->now + world_between(world, USEC_PER_MS, most), s_heal, NULL,
             memory_copy(ill, sizeof *ill));
}

/* It was decided just before all access points were led home. */
static void s_break_node(world_t *world, fault_t fault, int node);

/* Nodes that do not hear each other, where an address does not tell one server from another, may go
 * to two that are led to now. */
static bool s_is_apart(const world_t *world)
{
    return world->options.one_address && world->now < world->schedule->divided_until;
}

static void s_crash(world_t *world, void *data)
{
    ill_t ill = *(ill_t *)data;
    free(data);
    if (!world->schedule->healing)
        s_break_node(world, ill.fault, ill.node);
}

/* What no node may be caught by: it believes in the server before, and is led there while it cannot
 * hear that the other one works elsewhere. */
static void s_divide(world_t *world, int node, database_sim_t *before)
{
    usec_t most = world->schedule->divides_for;
    world->schedule->divides_for = 0;
    world->schedule->divided_until = world->now + most;
    schedule_lead_home(world, node, before);
    for (int side = 0; side < WORLD_NODES; side++) {
        const ill_t ill = {.fault = FAULT_PEER_CUT, .node = side};
        network_cut(world, side, CUT_SILENT);
        world_at(world, world->now + most, s_heal, NULL, memory_copy(&ill, sizeof ill));
    }
    const ill_t crash = {.fault = FAULT_CRASH, .node = node};
    if (world->schedule->divides_crashed)
        world_at(world, world->now + USEC_PER_MS, s_crash, NULL, memory_copy(&crash, sizeof crash));
}

void schedule_moved(world_t *world, int node, database_sim_t *before)
{
    schedule_t *self = world->schedule;
    for (int i = 0; i < WORLD_NODES && self->healing; i++)
        schedule_lead_home(world, i, NULL);
    if (self->divides_for && !self->healing)
        s_divide(world, 1 - node, before);
}

/* ---- Faults ---- */

/* Mostly short; long ones are longer than any time-out. */
static usec_t s_most(world_t *world)
{
    return world_chance(world, 600) ? 500 * USEC_PER_MS : 5 * USEC_PER_SECOND;
}

static void s_break_hung(world_t *world, void *data)
{
    ill_t ill = *(ill_t *)data;
    free(data);
    for (size_t dap = 0; dap < world->options.daps_len; dap++)
        database_sim_cut(world, ill.node, dap, CUT_NONE);
    if (!world->schedule->healing)
        s_break_node(world, ill.fault, ill.node);
}

/* The backup hangs, with what it was sent unread, until the primary is back and serves again. What
 * that one has sent last may not be committed: its way to the database may be gone first. */
static void s_break_before_hung(world_t *world, ill_t *ill)
{
    if (role_serves(world->machines[1 - ill->node]->role))
        ill->node = 1 - ill->node;
    ill_t other = {.fault = FAULT_FREEZE, .node = 1 - ill->node};
    machine_freeze(world->machines[other.node]);
    for (size_t dap = 0; dap < world->options.daps_len && world_chance(world, 900); dap++)
        database_sim_cut(world, ill->node, dap, CUT_LOUD);
    world_at(world, world->now + world_between(world, 0, 300 * USEC_PER_MS), s_break_hung, NULL,
             memory_copy(ill, sizeof *ill));
    usec_t thaws = world->now + world_between(world, USEC_PER_SECOND, 6 * USEC_PER_SECOND);
    world_at(world, thaws, s_heal, NULL, memory_copy(&other, sizeof other));
    /* Then it hears of a new epoch before it can read what that has. */
    bool blind = world_chance(world, 800);
    other.fault = FAULT_DATABASE_CUT;
    for (; blind && other.which < world->options.daps_len; other.which++) {
        database_sim_cut(world, other.node, other.which, CUT_LOUD);
        world_at(world, thaws + world_between(world, 0, USEC_PER_SECOND), s_heal, NULL,
                 memory_copy(&other, sizeof other));
    }
}

static void s_break_node(world_t *world, fault_t fault, int node)
{
    machine_t *machine = world->machines[node];
    if (!machine_runs(machine))
        return;
    if (fault == FAULT_STOP) {
        machine_stop(machine);
        return;
    }
    machine_kill(machine, fault != FAULT_POWER);
    if (fault == FAULT_FORGET) {
        machine->has_memory = false;
        planted_forget(world->planted, node);
    }
    /* A supervisor may be quick. */
    usec_t most = world_chance(world, 200) ? 30 * USEC_PER_MS : s_most(world);
    s_start_later(world, node, world_between(world, USEC_PER_MS, most));
    if (world_chance(world, 100)) /* both */
        s_break_node(world, fault, 1 - node);
}

static void s_break_peer(world_t *world, ill_t *ill)
{
    cut_t cut = world_chance(world, 500) ? CUT_SILENT : CUT_LOUD;
    usec_t most = s_most(world);
    network_cut(world, ill->node, cut);
    s_heal_later(world, ill, most);
    if (world_chance(world, 600)) { /* both ways */
        ill->node = 1 - ill->node;
        network_cut(world, ill->node, cut);
        s_heal_later(world, ill, most);
    }
}

static void s_break_noise(world_t *world, const ill_t *ill)
{
    const noise_t noise = {.loss = (unsigned)world_between(world, 0, 300),
                           .duplicates = (unsigned)world_between(world, 0, 200),
                           .reordered = (unsigned)world_between(world, 0, 300),
                           .delay = world_between(world, 0, 200 * USEC_PER_MS)};
    network_set_noise(world, &noise);
    s_heal_later(world, ill, s_most(world));
}

static void s_break_database_cut(world_t *world, ill_t *ill)
{
    usec_t most = s_most(world);
    cut_t cut = world_chance(world, 500) ? CUT_SILENT : CUT_LOUD;
    bool all = world_chance(world, 600);
    for (size_t dap = 0; dap < world->options.daps_len; dap++) {
        if (!all && world_chance(world, 500))
            continue;
        ill->which = dap;
        database_sim_cut(world, ill->node, dap, cut);
        s_heal_later(world, ill, most);
    }
}

static void s_break_database(world_t *world, const ill_t *ill)
{
    switch (ill->fault) {
    case FAULT_DATABASE_RESTART:
        database_sim_stop(world);
        break;
    case FAULT_DATABASE_FREEZE:
        database_sim_freeze(world);
        break;
    case FAULT_DATABASE_SLOW:
        database_sim_slow(world, world_between(world, USEC_PER_MS, 600 * USEC_PER_MS));
        break;
    case FAULT_DATABASE_ERRORS:
        database_sim_errors(world, (unsigned)world_between(world, 50, 900));
        break;
    case FAULT_DISK_FULL:
        database_sim_disk_full(world, true);
        break;
    case FAULT_READ_ONLY:
        database_sim_read_only(world, true);
        break;
    default:
        database_sim_doubt(world, (unsigned)world_between(world, 50, 700));
    }
    s_heal_later(world, ill, s_most(world));
}

static void s_break_clients(world_t *world, ill_t *ill)
{
    bool all = world_chance(world, 200);
    usec_t most = s_most(world);
    for (size_t i = 0; i < world->talkers_len; i++) {
        if (!all && !world_chance(world, 250))
            continue;
        ill->which = i;
        wires_cut(world, i, ill->node, true);
        s_heal_later(world, ill, most);
    }
}

static void s_break_client(world_t *world, ill_t *ill)
{
    /* Application servers are the last but the operator. */
    usec_t servers = (usec_t)world->options.servers;
    usec_t last = (usec_t)world->talkers_len - 2;
    if (ill->fault == FAULT_SERVER && servers == 0)
        return;
    ill->which =
        (size_t)(ill->fault == FAULT_SERVER ? world_between(world, last - servers + 1, last)
                                            : world_between(world, 0, last - servers));
    talker_t *talker = world->talkers[ill->which];
    if (!talker->alive || talker->hung)
        return;
    bool hangs = talker->kind == TALKER_ROUTER || talker->kind == TALKER_SERVER;
    if (hangs && world_chance(world, 300))
        talker->hung = true;
    else
        talker_kill(talker, world_chance(world, 700));
    s_heal_later(world, ill, s_most(world));
}

/* ---- What access points lead to ---- */

/* A copy of the disk; TEMPLATE: in the same run of the same server, as another database. */
static database_sim_t *s_template(world_t *world)
{
    database_sim_t *copy = database_sim_copy(world->database);
    copy->boot = world->database->boot;
    copy->port = world->database->port;
    copy->host = world->database->host;
    copy->row.identity.database_oid++;
    return copy;
}

static database_sim_t *s_other(world_t *world, fault_t fault)
{
    if (fault == FAULT_CLONE)
        return database_sim_copy(world->database);
    if (fault == FAULT_STALE) {
        if (!world->schedule->snapshot)
            return NULL;
        database_sim_t *copy = database_sim_copy(world->schedule->snapshot);
        copy->standby = world_chance(world, 300);
        return copy;
    }
    if (world_chance(world, 200))
        return NULL;
    return world_chance(world, 500) ? s_template(world) : database_sim_stranger(world);
}

typedef struct {
    database_sim_t *server;
    int node;   /* 2: both */
    size_t dap; /* WORLD_DAPS: all */
} lead_t;

/* Also in the middle of what is on its way: a pooler is pointed elsewhere. */
static void s_lead(world_t *world, void *data)
{
    lead_t lead = *(lead_t *)data;
    free(data);
    if (world->schedule->healing || s_is_apart(world))
        return;
    for (int node = 0; node < WORLD_NODES; node++)
        for (size_t dap = 0; dap < WORLD_DAPS; dap++)
            if ((lead.node == 2 || lead.node == node) &&
                (lead.dap == WORLD_DAPS || lead.dap == dap))
                database_sim_lead(world, node, dap, lead.server);
    world_trace(world, "faults", "leads", lead.server ? lead.server->host : 0, (uint64_t)lead.node);
}

static void s_break_path(world_t *world, ill_t *ill)
{
    /* Before it has a database of its own, a node takes the first it is given. */
    if (world->servers_len + 1 >= WORLD_SERVERS || !world->machines[0]->has_memory ||
        !world->machines[1]->has_memory)
        return;
    lead_t lead = {.server = s_other(world, ill->fault),
                   .node = world_chance(world, 300) ? 2 : ill->node,
                   .dap =
                       world_chance(world, 500) ? WORLD_DAPS : (size_t)world_between(world, 0, 1)};
    if (ill->fault == FAULT_CLONE && world_chance(world, 500)) {
        lead.node = 2;
        lead.dap = WORLD_DAPS;
        world->schedule->divides_for =
            world_between(world, 2 * USEC_PER_SECOND, 5 * USEC_PER_SECOND);
        world->schedule->divides_crashed =
            options_has(&world->options, FAULT_CRASH) && world_chance(world, 500);
    }
    world_at(world, world->now + world_between(world, 0, world_chance(world, 500) ? 2000 : 800000),
             s_lead, NULL, memory_copy(&lead, sizeof lead));
    usec_t most = s_most(world);
    if (world_chance(world, 400))
        ill->before = world->database;
    s_heal_later(world, ill, most);
}

/* All ways lead to the replica, which has all that was committed. */
static void s_promote(world_t *world)
{
    database_sim_t *old = world->database;
    if (world->servers_len + 1 >= WORLD_SERVERS || !old->up || s_is_apart(world))
        return;
    database_sim_t *replica = database_sim_copy(old);
    /* Behind the same address. At another one it takes an operator (ixnctl database adopt), when
     * both nodes were killed meanwhile, or when one does not come back. */
    const uint32_t ends = 1u << FAULT_CRASH | 1u << FAULT_POWER | 1u << FAULT_SKEW |
                          1u << FAULT_POISON | 1u << FAULT_APPLY;
    if ((world->options.faults & ends) != 0 || world_chance(world, 500)) {
        replica->host = old->host;
        replica->port = old->port;
    }
    memcpy(replica->cuts, old->cuts, sizeof replica->cuts);
    database_sim_stop(world);
    world->database = replica;
    for (int node = 0; node < WORLD_NODES; node++)
        for (size_t dap = 0; dap < WORLD_DAPS; dap++)
            if (world->paths[node][dap] == old)
                database_sim_lead(world, node, dap, replica);
    world_trace(world, "faults", "promoted", replica->host, tables_head(replica)->last);
}

/* Media servers are the first. */
static talker_t *s_some_media(world_t *world)
{
    return world->talkers[world_between(world, 0, (usec_t)world->options.medias - 1)];
}

/* Who has decided it is killed, too, so that it has to be applied by whoever wants to serve. The
 * other one may hang meanwhile: where that one has applied it, operators do not hear of it. */
static void s_end_primary(world_t *world, void *data)
{
    ill_t ill = {.fault = FAULT_FREEZE};
    free(data);
    for (; ill.node < WORLD_NODES && !world->schedule->healing; ill.node++) {
        int primary = 1 - ill.node;
        if (!role_serves(world->machines[primary]->role))
            continue;
        if (world_chance(world, ill.node == world->options.mended ? 900 : 100)) {
            machine_freeze(world->machines[ill.node]);
            world_at(world,
                     world->now + world_between(world, 3 * USEC_PER_SECOND, 10 * USEC_PER_SECOND),
                     s_heal, NULL, memory_copy(&ill, sizeof ill));
        }
        s_break_node(world, FAULT_CRASH, primary);
    }
}

static void s_break_apply(world_t *world)
{
    if (media_poison(s_some_media(world), PLANTED_APPLY) && world_chance(world, 850))
        world_at(world, world->now + world_between(world, 50 * USEC_PER_MS, 4 * USEC_PER_SECOND),
                 s_end_primary, NULL, NULL);
}

static void s_break(world_t *world, fault_t fault, size_t number)
{
    ill_t ill = {.fault = fault, .node = (int)world_between(world, 0, 1)};
    world_trace(world, "faults", fault_name(fault), number, (uint64_t)ill.node);
    switch (fault) {
    case FAULT_CRASH:
    case FAULT_POWER:
    case FAULT_STOP:
    case FAULT_FORGET:
        if (fault != FAULT_STOP && options_has(&world->options, FAULT_FREEZE) &&
            world_chance(world, 500))
            s_break_before_hung(world, &ill);
        else
            s_break_node(world, fault, ill.node);
        return;
    case FAULT_FREEZE:
        machine_freeze(world->machines[ill.node]);
        s_heal_later(world, &ill, s_most(world));
        return;
    case FAULT_PEER_CUT:
        s_break_peer(world, &ill);
        return;
    case FAULT_PEER_NOISE:
        s_break_noise(world, &ill);
        return;
    case FAULT_DATABASE_CUT:
        s_break_database_cut(world, &ill);
        return;
    case FAULT_CLIENT_CUT:
        s_break_clients(world, &ill);
        return;
    case FAULT_ROUTER:
    case FAULT_SERVER:
        s_break_client(world, &ill);
        return;
    case FAULT_CLOCK:
        world->machines[ill.node]->wall_offset +=
            world_between(world, -3600 * USEC_PER_SECOND, 3600 * USEC_PER_SECOND);
        return;
    case FAULT_DRIFT:
        machine_drift(world->machines[ill.node],
                      world_between(world, -DRIFT_PPM_MAX, DRIFT_PPM_MAX));
        return;
    case FAULT_SKEW:
        schedule_start_as(world, ill.node, (unsigned)world_between(world, 0, 1),
                          (unsigned)world_between(world, 0, 1));
        s_heal_later(world, &ill, s_most(world));
        return;
    case FAULT_RELOAD:
        machine_reload(world->machines[ill.node]);
        return;
    case FAULT_CLONE:
    case FAULT_STALE:
    case FAULT_STRANGER:
        s_break_path(world, &ill);
        return;
    case FAULT_PROMOTION:
        s_promote(world);
        return;
    case FAULT_LOSS:
        loss_break(world);
        return;
    case FAULT_POISON:
        media_poison(s_some_media(world), PLANTED_DECIDE);
        return;
    case FAULT_APPLY:
        s_break_apply(world);
        return;
    case FAULT_COMMAND: /* operators do it (operator.c) */
        return;
    default:
        s_break_database(world, &ill);
    }
}

static void s_snapshot(world_t *world, void *data)
{
    free(data);
    if (options_has(&world->options, FAULT_STALE))
        world->schedule->snapshot = database_sim_copy(world->database);
}

static void s_fault(world_t *world, void *data)
{
    free(data);
    if (world->schedule->healing || world->faults == PLAN_FAULTS)
        return;
    fault_t kinds[FAULTS_LEN];
    size_t len = 0;
    for (fault_t fault = 0; fault < FAULTS_LEN; fault++)
        if (options_has(&world->options, fault))
            kinds[len++] = fault;
    if (len == 0)
        return;
    /* By a chance of its own, so that the others are the same without it. */
    size_t number = world->faults++;
    random_t others = world->random;
    world->random = (random_t){world->seed * PLAN_FAULTS + number};
    usec_t next = world->now + world_between(world, 0, 2 * world->options.pause);
    fault_t fault = kinds[world_between(world, 0, (usec_t)len - 1)];
    if (plan_keeps(&world->plan, number))
        s_break(world, fault, number);
    world->random = others;
    world_at(world, next, s_fault, NULL, NULL);
}
