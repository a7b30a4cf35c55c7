#include <string.h>

#include "tests/sim/checker.h"
#include "tests/sim/database.h"
#include "tests/sim/loss.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"
#include "tests/sim/schedule_internal.h"
#include "tests/sim/talker.h"
#include "tests/sim/told.h"
#include "tests/sim/wires.h"

/* The phase of liveness: everything heals, then all has to be well, then a switchover in peace. */

enum {
    LOOK_US = 20000,
    AGAIN_US = 1500000,
    BOUND_US = 40000000,       /* all comes true within this after the faults end, or a skip … */
    FARTHEST_US = 160000000,   /* … or within this, while what is left becomes less … */
    SHRINK_US = 5000000,       /* … at least so often: one agent may be all that much waits for */
    LEVEL_US = 500000,         /* the nodes were level so recently */
    SWITCH_BOUND_US = 8000000, /* a switchover in peace comes true within this */
};

static void s_look(world_t *world, void *data);

static talker_t *s_operator(const world_t *world)
{
    return world->talkers[world->talkers_len - 1];
}

/* What breaks between the nodes, or among the clients, moves no epoch. */
static void s_check_peace(world_t *world)
{
    const uint32_t harmless = 1u << FAULT_PEER_CUT | 1u << FAULT_PEER_NOISE |
                              1u << FAULT_CLIENT_CUT | 1u << FAULT_ROUTER | 1u << FAULT_SERVER |
                              1u << FAULT_CLOCK | 1u << FAULT_RELOAD | 1u << FAULT_DRIFT;
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

void liveness_begin(world_t *world, void *data)
{
    static const noise_t no_noise = {0};
    free(data);
    schedule_t *self = world->schedule;
    self->healing = true;
    self->healed_at = world->now;
    world_trace(world, "faults", "all-heals", 0, 0);
    s_check_peace(world);
    network_set_noise(world, &no_noise);
    bool lost = loss_is_open(world);
    if (lost)
        loss_heal(world);
    else
        database_sim_start(world);
    database_sim_thaw(world);
    database_sim_slow(world, 0);
    database_sim_errors(world, 0);
    database_sim_doubt(world, 0);
    database_sim_disk_full(world, false);
    database_sim_read_only(world, false);
    for (int node = 0; node < WORLD_NODES; node++) {
        network_cut(world, node, CUT_NONE);
        if (!lost)
            schedule_lead_home(world, node, NULL);
        for (size_t dap = 0; dap < world->options.daps_len; dap++)
            database_sim_cut(world, node, dap, CUT_NONE);
        for (size_t i = 0; i < world->talkers_len; i++)
            wires_cut(world, i, node, false);
        machine_thaw(world->machines[node]);
        machine_drift(world->machines[node], 0);
        schedule_start_as(world, node, 0, 0);
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

/* What is not as it has to be with the nodes, for people; NULL: all is. */
static const char *s_missing_in_pair(const world_t *world, int primary)
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
    return NULL;
}

static const char *s_missing_work(const world_t *world)
{
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

/* What is left to complete becomes less; or more, where clients ask again what nobody answered. */
static bool s_shrinks(world_t *world)
{
    schedule_t *self = world->schedule;
    size_t live = checker_live(world->checker);
    if (self->shrunk_at == 0 || live != self->last_live) {
        self->last_live = live;
        self->shrunk_at = world->now;
    }
    return live > 0 && world->now - self->shrunk_at < SHRINK_US;
}

/* Each entry that operators skip is progress: where the log has many that build on each other, each
 * takes a node that names it, and a claim. */
static bool s_is_late(world_t *world, usec_t begun, bool pair_is_well)
{
    bool shrinks = s_shrinks(world) && pair_is_well;
    usec_t skipped_at = checker_skipped_at(world->checker);
    usec_t moved_at = skipped_at > begun ? skipped_at : begun;
    return world->now - begun > FARTHEST_US || (!shrinks && world->now - moved_at > BOUND_US);
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
    const char *missing = s_missing_in_pair(world, primary);
    bool late = s_is_late(world, self->asked < 0 ? self->healed_at : self->asked_at, !missing);
    if (!missing)
        missing = s_missing_work(world);
    if (!missing && loss_is_open(world))
        missing = "the database lost commits, and nobody has noticed yet";
    if (!missing && (!checker_compare(world->checker, primary) || s_switch(world, primary))) {
        world->over = true;
        return;
    }
    if (self->asked >= 0 && primary == self->asked && world->now - self->asked_at > SWITCH_BOUND_US)
        s_give_up(world, missing ? missing : "the same node serves", "a switchover");
    else if (missing && late)
        s_give_up(world, missing, self->asked < 0 ? "the faults ended" : "a switchover");
    world_at(world, world->now + LOOK_US, s_look, NULL, NULL);
}
