#include "tests/sim/loss.h"

#include <stdlib.h>

#include "core/base/alloc.h"
#include "tests/sim/checker.h"
#include "tests/sim/database.h"
#include "tests/sim/machine.h"

enum {
    MOST_BATCHES = 12,
    FORGED_PER_MILLE = 250, /* somebody else writes to the replica, too */
    AGAIN_US = 3000,
    ATTEMPTS = 200,
    PATIENCE_US = 15000000,
};

bool loss_is_open(const world_t *world)
{
    return world->loss && world->loss != world->database;
}

/* Whoever is told something knows that it is committed; only then the promise is exact that heal
 * brings back all that was. */
static bool s_all_is_known(const world_t *world)
{
    bool served = false;
    for (int node = 0; node < WORLD_NODES; node++) {
        pair_t *pair = world->machines[node]->pair;
        if (!pair || !machine_runs(world->machines[node]) || !world->machines[node]->has_memory)
            return false;
        served |= pair_serves(pair) &&
                  node_figures(pair_node(pair)).committed == checker_head(world->checker);
    }
    return served && world->database->up;
}

static void s_fail_over(world_t *world)
{
    database_sim_t *old = world->database;
    database_sim_t *replica = database_sim_copy(old);
    tables_lose(replica, (size_t)world_between(world, 1, MOST_BATCHES));
    if (tables_head(replica)->last == tables_head(old)->last)
        return; /* its checkpoint has it all */
    world->forged = world_chance(world, FORGED_PER_MILLE);
    if (world->forged)
        tables_forge(replica);
    database_sim_stop(world);
    world->loss = replica;
    for (int node = 0; node < WORLD_NODES; node++)
        for (size_t dap = 0; dap < WORLD_DAPS; dap++)
            if (world->paths[node][dap] == old)
                database_sim_lead(world, node, dap, replica);
    world_trace(world, "faults", world->forged ? "lost-and-forged" : "lost",
                tables_head(replica)->last, tables_head(old)->last);
}

static void s_try(world_t *world, void *data)
{
    int attempts = *(int *)data;
    free(data);
    if (loss_is_open(world) || world->servers_len + 1 >= WORLD_SERVERS)
        return;
    if (s_all_is_known(world)) {
        s_fail_over(world);
    } else if (attempts > 0) {
        attempts--;
        world_at(world, world->now + AGAIN_US, s_try, NULL,
                 memory_copy(&attempts, sizeof attempts));
    }
}

void loss_break(world_t *world)
{
    int attempts = ATTEMPTS;
    s_try(world, memory_copy(&attempts, sizeof attempts));
}

static void s_give_up(world_t *world, void *data)
{
    free(data);
    if (!loss_is_open(world))
        return;
    if (world->options.faults == 1u << FAULT_LOSS && !world->forged)
        world_violation(world, "P6",
                        "the database ends at %llu, the log at %llu, both nodes live on, and "
                        "nothing was written back",
                        (unsigned long long)tables_head(world->loss)->last,
                        (unsigned long long)checker_head(world->checker));
    world_trace(world, "faults", "comes-back", world->database->host, 0);
    world->loss = NULL;
    database_sim_start(world);
    for (int node = 0; node < WORLD_NODES; node++)
        for (size_t dap = 0; dap < WORLD_DAPS; dap++)
            database_sim_lead(world, node, dap, world->database);
}

void loss_heal(world_t *world)
{
    world_at(world, world->now + PATIENCE_US, s_give_up, NULL, NULL);
}
