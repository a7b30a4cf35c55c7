#include "tests/sim/seen_turns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/sim/checker_internal.h"
#include "tests/sim/engine_file.h"
#include "tests/sim/talker.h"

struct seen_turns {
    world_t *world;
    turns_t turns[STRATEGIES];
};

bool turns_took(turns_t *self, const world_t *world, size_t others, const char *name)
{
    bool fair = true;
    if (self->changes != world->router_changes)
        self->len = 0;
    self->changes = world->router_changes;
    for (size_t i = 0; i < self->len; i++)
        fair = fair && strcmp(self->last[i], name) != 0;
    if (self->len == others) {
        memmove(self->last[0], self->last[1], (others - 1) * sizeof self->last[0]);
        self->len--;
    }
    snprintf(self->last[self->len++], sizeof self->last[0], "%s", name);
    return fair;
}

seen_turns_t *seen_turns_new(world_t *world)
{
    seen_turns_t *self = memory_zero(1, sizeof *self);
    self->world = world;
    return self;
}

void seen_turns_destroy(seen_turns_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

/* All of them have room, and nothing has to be alone with a router. One that was full takes as many
 * strategies up again at a time as it has room for. */
static bool s_have_room(const checker_t *checker)
{
    uint32_t held[ROUTERS_MAX] = {0};
    for (size_t i = 0; i < checker->live_len; i++) {
        const seen_t *seen = checker->live[i];
        if (seen->losses > 1)
            return false;
        if (!seen->routing)
            continue;
        const handed_t *handed = checker_handed(checker, seen->token_epoch, seen->token_index);
        size_t router = handed ? (size_t)(handed->router[strlen(handed->router) - 1] - '1') : 0;
        if (++held[router % ROUTERS_MAX] + STRATEGIES > checker->world->options.router_limit)
            return false;
    }
    return true;
}

static bool s_is_undisturbed(const world_t *world, size_t strategy)
{
    const checker_t *checker = world->checker;
    const epoch_t *epoch = &checker->epochs[checker->epochs_len - 1];
    if (options_has(&world->options, FAULT_CLIENT_CUT) || world->options.one_side ||
        seen_strategies_is_stored(checker->strategies, engine_file_strategies[strategy]))
        return false;
    for (size_t i = 0; i < world->talkers_len; i++) {
        const talker_t *talker = world->talkers[i];
        if (talker->kind == TALKER_ROUTER &&
            (!talker->alive || !talker->registered || talker->registered_epoch != epoch->epoch ||
             !talker->loads[strategy].brought))
            return false;
    }
    return s_have_room(checker);
}

void seen_turns_dispatched(seen_turns_t *self, uint64_t index, const Ixn__V1__Dispatched *entry)
{
    world_t *world = self->world;
    size_t strategy = strcmp(entry->strategy, engine_file_strategies[0]) == 0 ? 0 : 1;
    turns_t *turns = &self->turns[strategy];
    size_t others = world->options.routers - 1;
    if (others == 0)
        return;
    if (world->checker->replays || !s_is_undisturbed(world, strategy)) {
        turns->len = 0;
        return;
    }
    if (!turns_took(turns, world, others, entry->router))
        world_violation(world, "turns",
                        "entry %llu gives work of %s to %s again, before each of the others "
                        "had its turn",
                        (unsigned long long)index, entry->strategy, entry->router);
}
