#include "tests/sim/skipping.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "ha/poison.h"
#include "tests/sim/checker.h"
#include "tests/sim/database.h"
#include "tests/sim/machine.h"
#include "tests/sim/planted.h"
#include "tests/sim/talker.h"
#include "tests/sim/wires.h"

#define COMMAND "database skip --index "

typedef struct {
    uint64_t index;
    int node; /* that has named it: the command is given on its host */
} skip_order_t;

static void s_try(world_t *world, void *data);

static void s_try_later(world_t *world, const skip_order_t *order, usec_t most)
{
    world_at(world, world->now + world_between(world, 100 * USEC_PER_MS, most), s_try, NULL,
             memory_copy(order, sizeof *order));
}

static bool s_answers(const world_t *world, int node)
{
    const machine_t *machine = world->machines[node];
    return machine_runs(machine) && !machine->frozen &&
           !wires_is_cut(world, world->talkers_len - 1, node); /* the operator is the last */
}

/* True when a node says that it serves. */
static bool s_somebody_serves(const world_t *world, uint64_t *ret_highest)
{
    bool serves = false;
    *ret_highest = 0;
    for (int node = 0; node < WORLD_NODES; node++) {
        if (!s_answers(world, node))
            continue;
        uint64_t epoch = pair_epoch(world->machines[node]->pair);
        *ret_highest = epoch > *ret_highest ? epoch : *ret_highest;
        serves |= role_serves(world->machines[node]->role);
    }
    return serves;
}

/* The database that the command reaches, if it may write there and nobody holds the rows. */
static database_sim_t *s_reach(world_t *world, int node)
{
    database_sim_t *server = world->paths[node][0];
    bool writes = server == world->database && server->cuts[node][0] == CUT_NONE && server->up &&
                  !server->frozen && !server->standby && !server->read_only && !server->disk_full &&
                  !world_chance(world, server->errors);
    return writes && !server->pair.owner && !server->checkpoint.owner ? server : NULL;
}

static void s_try(world_t *world, void *data)
{
    skip_order_t order = *(skip_order_t *)data;
    free(data);
    uint64_t highest;
    error_t error;
    bool serves = s_somebody_serves(world, &highest);
    database_sim_t *server = serves ? NULL : s_reach(world, order.node);
    if (!server) {
        s_try_later(world, &order, 500 * USEC_PER_MS);
        return;
    }
    if (!tables_skip(server, order.index, highest, &error)) {
        world_trace_text(world, "operator", "skips-not", "entry %llu: %s",
                         (unsigned long long)order.index, error.text);
        return;
    }
    world_trace(world, "operator", "skips", order.index, server->row.epoch);
    checker_skipped(world->checker, order.index, server->row.epoch, server->row.generation);
}

void skipping_reads(world_t *world, int node, const char *event, const char *text)
{
    const char *command = strstr(text, COMMAND);
    if (!command)
        return;
    const skip_order_t order = {strtoull(command + strlen(COMMAND), NULL, 10), node};
    if (strcmp(event, "poison.stopped") == 0 &&
        planted_entry_crashes(world->planted, order.index) < POISON_CRASHES)
        world_violation(world, "poison",
                        "node %c stops before entry %llu, which crashed nodes %u "
                        "times",
                        'a' + node, (unsigned long long)order.index,
                        planted_entry_crashes(world->planted, order.index));
    s_try_later(world, &order, USEC_PER_SECOND);
}
