#include "tests/sim/seen_rounds.h"

#include <string.h>

#include "tests/sim/checker_internal.h"
#include "tests/sim/talker.h"

size_t seen_rounds_place(const char *server)
{
    return (size_t)(server[strlen(server) - 1] - '1') % SERVERS_MAX;
}

size_t seen_rounds_pool(const Ixn__V1__ServiceRequested *entry)
{
    const size_t by_cluster = entry->target == IXN__V1__SERVICE_TARGET__SERVICE_BY_CLUSTER;
    return by_cluster * 2 + (strcmp(entry->service, engine_file_services[0]) == 0);
}

/* The first so many servers: all are in the cluster, two are of the type that is asked for. */
static size_t s_members(const world_t *world, size_t pool)
{
    const size_t servers = world->options.servers;
    return pool >= 2 || servers < SERVERS_OF_TYPE ? servers : SERVERS_OF_TYPE;
}

/* All members are there, have room, and have answered since anything has changed: so none of them
 * is passed over. */
static bool s_is_undisturbed(const seen_rounds_t *self, const checker_t *checker, size_t members,
                             const uint32_t busy[SERVERS_MAX])
{
    const world_t *world = checker->world;
    const epoch_t *epoch = &checker->epochs[checker->epochs_len - 1];
    if (checker->replays || options_has(&world->options, FAULT_CLIENT_CUT))
        return false;
    for (size_t i = 0; i < world->talkers_len; i++) {
        const talker_t *talker = world->talkers[i];
        if (talker->kind != TALKER_SERVER || talker->place >= members)
            continue;
        if (!talker->alive || !talker->registered || talker->registered_epoch != epoch->epoch ||
            busy[talker->place] >= SERVER_WINDOW ||
            self->healthy_at[talker->place] != world->router_changes)
            return false;
    }
    return true;
}

void seen_rounds_sent(seen_rounds_t *self, const checker_t *checker, uint64_t index, size_t pool,
                      const char *server, const uint32_t busy[SERVERS_MAX])
{
    const size_t members = s_members(checker->world, pool);
    turns_t *turns = &self->turns[pool];
    if (members < 2)
        return;
    if (!s_is_undisturbed(self, checker, members, busy))
        turns->len = 0;
    else if (!turns_took(turns, checker->world, members - 1, server))
        world_violation(checker->world, "turns",
                        "entry %llu gives a request of pool %zu to %s again, before each of the "
                        "others had its turn",
                        (unsigned long long)index, pool, server);
}

void seen_rounds_ended(seen_rounds_t *self, const checker_t *checker, const char *server, bool good)
{
    if (!checker->replays)
        self->healthy_at[seen_rounds_place(server)] = good ? checker->world->router_changes : 0;
}
