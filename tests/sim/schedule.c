#include "tests/sim/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/sim/checker.h"
#include "tests/sim/database.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"
#include "tests/sim/talker.h"
#include "tests/sim/told.h"
#include "tests/sim/wires.h"

enum {
    LOOK_US = 20000,
    AGAIN_US = 1500000,
    BOUND_US = 40000000,       /* everything comes true within this after the faults end */
    LEVEL_US = 500000,         /* the nodes were level so recently */
    SWITCH_BOUND_US = 8000000, /* a switchover in peace comes true within this */
};

struct schedule {
    database_sim_t *snapshot; /* a copy of some time ago, that nobody reaches */
    bool healing;
    usec_t healed_at;
    int asked; /* the node that was told to hand over in peace; -1: none yet */
    usec_t asked_at;
    usec_t said_at; /* the command may have been lost on its way */
    usec_t resumed_at;
};

static void s_fault(world_t *world, void *data);
static void s_snapshot(world_t *world, void *data);
static void s_heal_all(world_t *world, void *data);

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
    world_at(world, world->options.safety, s_heal_all, NULL, NULL);
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

/* ---- Healing of one fault ---- */

typedef struct {
    fault_t fault;
    int node;
    size_t which;
    database_sim_t *before; /* an operator takes it back: access points lead there again */
} ill_t;

/* To the pair's own, or to what that was before. */
static void s_lead_home(world_t *world, int node, database_sim_t *before)
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
    case FAULT_CLIENT_CUT:
        wires_cut(world, ill.which, ill.node, false);
        return;
    case FAULT_CLONE:
    case FAULT_STALE:
    case FAULT_STRANGER:
        s_lead_home(world, ill.node, world->schedule->healing ? NULL : ill.before);
        return;
    case FAULT_ROUTER:
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
void schedule_moved(world_t *world)
{
    for (int node = 0; node < WORLD_NODES && world->schedule->healing; node++)
        s_lead_home(world, node, NULL);
}

/* ---- Faults ---- */

/* Mostly short; long ones are longer than any time-out. */
static usec_t s_most(world_t *world)
{
    return world_chance(world, 600) ? 500 * USEC_PER_MS : 5 * USEC_PER_SECOND;
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
    if (fault == FAULT_FORGET)
        machine->has_memory = false;
    s_start_later(world, node, world_between(world, USEC_PER_MS, s_most(world)));
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

static void s_break_router(world_t *world, ill_t *ill)
{
    ill->which = (size_t)world_between(world, 0, (usec_t)world->talkers_len - 2);
    talker_t *talker = world->talkers[ill->which];
    if (!talker->alive || talker->hung)
        return;
    if (talker->kind == TALKER_ROUTER && world_chance(world, 300))
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
    if (world->schedule->healing)
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
    if (world->servers_len + 1 >= WORLD_SERVERS || !old->up)
        return;
    database_sim_t *replica = database_sim_copy(old);
    /* Behind the same address. At another one it takes an operator (ixnctl database adopt), when
     * both nodes were killed meanwhile, or when one does not come back. */
    if ((world->options.faults & (1u << FAULT_CRASH | 1u << FAULT_POWER)) != 0 ||
        world_chance(world, 500)) {
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

static void s_break(world_t *world, fault_t fault, size_t number)
{
    ill_t ill = {.fault = fault, .node = (int)world_between(world, 0, 1)};
    world_trace(world, "faults", fault_name(fault), number, (uint64_t)ill.node);
    switch (fault) {
    case FAULT_CRASH:
    case FAULT_POWER:
    case FAULT_STOP:
    case FAULT_FORGET:
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
        s_break_router(world, &ill);
        return;
    case FAULT_CLOCK:
        world->machines[ill.node]->wall_offset +=
            world_between(world, -3600 * USEC_PER_SECOND, 3600 * USEC_PER_SECOND);
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

/* ---- The phase of liveness ---- */

static void s_look(world_t *world, void *data);

static talker_t *s_operator(const world_t *world)
{
    return world->talkers[world->talkers_len - 1];
}

/* What breaks between the nodes, or among the clients, moves no epoch. */
static void s_check_peace(world_t *world)
{
    const uint32_t harmless = 1u << FAULT_PEER_CUT | 1u << FAULT_PEER_NOISE |
                              1u << FAULT_CLIENT_CUT | 1u << FAULT_ROUTER | 1u << FAULT_CLOCK |
                              1u << FAULT_RELOAD;
    if ((world->options.faults & ~harmless) == 0 && checker_epoch(world->checker) != 1)
        world_violation(world, "flapping",
                        "epoch %llu is there, though no node and no database failed",
                        (unsigned long long)checker_epoch(world->checker));
}

/* Said again while nobody serves: the command may have been lost on its way. */
static void s_resume(world_t *world)
{
    world->schedule->resumed_at = world->now;
    for (int node = 0; node < WORLD_NODES; node++)
        operator_command(s_operator(world), node, IXN__V1__PAIR_COMMAND__KIND__RESUME);
}

static void s_heal_all(world_t *world, void *data)
{
    static const noise_t no_noise = {0};
    free(data);
    schedule_t *self = world->schedule;
    self->healing = true;
    self->healed_at = world->now;
    world_trace(world, "faults", "all-heals", 0, 0);
    s_check_peace(world);
    network_set_noise(world, &no_noise);
    database_sim_start(world);
    database_sim_thaw(world);
    database_sim_slow(world, 0);
    database_sim_errors(world, 0);
    database_sim_doubt(world, 0);
    for (int node = 0; node < WORLD_NODES; node++) {
        network_cut(world, node, CUT_NONE);
        s_lead_home(world, node, NULL);
        for (size_t dap = 0; dap < world->options.daps_len; dap++)
            database_sim_cut(world, node, dap, CUT_NONE);
        for (size_t i = 0; i < world->talkers_len; i++)
            wires_cut(world, i, node, false);
        machine_thaw(world->machines[node]);
        if (!machine_runs(world->machines[node]))
            machine_start(world->machines[node]);
    }
    s_resume(world);
    for (size_t i = 0; i < world->talkers_len; i++) {
        talker_t *talker = world->talkers[i];
        if (!talker->alive)
            talker_start(talker);
        talker->hung = false;
        talker->quiet = true;
    }
    world_at(world, world->now + LOOK_US, s_look, NULL, NULL);
}

static int s_primary(const world_t *world)
{
    int primary = -1;
    for (int node = 0; node < WORLD_NODES; node++)
        if (machine_runs(world->machines[node]) && role_serves(world->machines[node]->role))
            primary = primary < 0 ? node : 2;
    return primary;
}

/* What is not as it has to be, for people; NULL: all is. */
static const char *s_missing(const world_t *world, int primary)
{
    if (primary < 0)
        return "no node serves";
    if (primary > 1)
        return "both nodes serve";
    if (!machine_runs(world->machines[1 - primary]) ||
        world->machines[1 - primary]->role != ROLE_READY)
        return "the other node is not ready as a backup";
    if (world->machines[primary]->role != ROLE_PAIRED)
        return "the primary does not know of its backup";
    usec_t level = checker_level_at(world->checker);
    if (level == USEC_NEVER || world->now - level > LEVEL_US)
        return "the nodes are not level";
    if (!told_all_completed(world))
        return "not every submit is acknowledged and completed";
    if (checker_live(world->checker) > 0)
        return "interactions of which nobody was told are not completed";
    return NULL;
}

static void s_give_up(world_t *world, const char *missing, const char *since)
{
    const seen_t *live = checker_live_first(world->checker);
    char id[ID_TEXT_SIZE] = "none";
    if (live)
        id_text(live->id, id);
    world_violation(world, "P6",
                    "%s, so long after %s; a is %s, b is %s; head %llu; %zu of %llu interactions "
                    "live, such as %s%s",
                    missing, since,
                    machine_runs(world->machines[0]) ? role_name(world->machines[0]->role) : "down",
                    machine_runs(world->machines[1]) ? role_name(world->machines[1]->role) : "down",
                    (unsigned long long)checker_head(world->checker), checker_live(world->checker),
                    (unsigned long long)checker_submitted(world->checker), id,
                    !live           ? ""
                    : live->held    ? " (held)"
                    : live->routing ? " (with a router)"
                                    : " (queued)");
}

/* All is well: then a switchover has to work, and all has to be well again. */
static bool s_switch(world_t *world, int primary)
{
    schedule_t *self = world->schedule;
    if (self->asked < 0) {
        self->asked = primary;
        self->asked_at = self->said_at = world->now;
        operator_command(s_operator(world), primary, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER);
        for (size_t i = 0; i + 1 < world->talkers_len; i++)
            world->talkers[i]->quiet = false; /* under load */
        return false;
    }
    if (primary == self->asked && world->now - self->said_at > AGAIN_US) {
        self->said_at = world->now;
        operator_command(s_operator(world), primary, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER);
    }
    return primary != self->asked;
}

static void s_look(world_t *world, void *data)
{
    free(data);
    schedule_t *self = world->schedule;
    int primary = s_primary(world);
    if (self->asked >= 0 && world->now - self->asked_at > USEC_PER_SECOND)
        for (size_t i = 0; i < world->talkers_len; i++)
            world->talkers[i]->quiet = true;
    if (primary < 0 && world->now - self->resumed_at > AGAIN_US)
        s_resume(world);
    const char *missing = s_missing(world, primary);
    if (!missing && (!checker_compare(world->checker, primary) || s_switch(world, primary))) {
        world->over = true;
        return;
    }
    usec_t asked = world->now - self->asked_at;
    if (self->asked >= 0 && primary == self->asked && asked > SWITCH_BOUND_US)
        s_give_up(world, missing ? missing : "the same node serves", "a switchover");
    else if (missing && self->asked < 0 && world->now - self->healed_at > BOUND_US)
        s_give_up(world, missing, "the faults ended");
    else if (missing && self->asked >= 0 && asked > BOUND_US)
        s_give_up(world, missing, "a switchover");
    world_at(world, world->now + LOOK_US, s_look, NULL, NULL);
}
