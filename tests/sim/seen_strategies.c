#include "tests/sim/seen_strategies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/base/alloc.h"
#include "tests/sim/engine_file.h"

enum { BODY = 64 };

typedef struct {
    char body[BODY]; /* empty: never stored */
    id128_t hash;
} version_t;

typedef struct {
    version_t *versions; /* [number - 1]; also those that are gone */
    uint32_t highest;
    bool stored;
    uint32_t active[ROUTERS_MAX]; /* version; 0: not activated */
} strategy_t;

struct seen_strategies {
    world_t *world;
    strategy_t strategies[STRATEGIES];
};

seen_strategies_t *seen_strategies_new(world_t *world)
{
    seen_strategies_t *self = memory_zero(1, sizeof *self);
    self->world = world;
    return self;
}

void seen_strategies_forget(seen_strategies_t *self)
{
    for (size_t i = 0; i < STRATEGIES; i++) {
        free(self->strategies[i].versions);
        self->strategies[i] = (strategy_t){0};
    }
}

void seen_strategies_destroy(seen_strategies_t **self_p)
{
    if (*self_p)
        seen_strategies_forget(*self_p);
    free(*self_p);
    *self_p = NULL;
}

static size_t s_number(const char *name)
{
    return strcmp(name, engine_file_strategies[0]) == 0 ? 0 : 1;
}

static strategy_t *s_of(seen_strategies_t *self, const char *name)
{
    return &self->strategies[s_number(name)];
}

static size_t s_router(const char *name)
{
    size_t number = (size_t)(name[strlen(name) - 1] - '1');
    return number < ROUTERS_MAX ? number : 0;
}

static const version_t *s_version(const strategy_t *strategy, uint32_t version)
{
    return version >= 1 && version <= strategy->highest ? &strategy->versions[version - 1] : NULL;
}

/* ---- The log ---- */

void seen_strategies_put(seen_strategies_t *self, uint64_t index, const Ixn__V1__StrategyPut *entry)
{
    strategy_t *strategy = s_of(self, entry->name);
    if (entry->version != strategy->highest + 1 || entry->body.len == 0 ||
        entry->body.len >= BODY) {
        world_violation(self->world, "strategies",
                        "entry %llu stores version %u of %s, of %zu bytes, behind version %u",
                        (unsigned long long)index, entry->version, entry->name, entry->body.len,
                        strategy->highest);
        return;
    }
    strategy->versions =
        memory_resize(strategy->versions, entry->version * sizeof *strategy->versions);
    version_t *version = &strategy->versions[strategy->highest++];
    *version = (version_t){.body = ""};
    memcpy(version->body, entry->body.data, entry->body.len);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(entry->body.data, entry->body.len));
    memcpy(version->hash.bytes, canonical.digest, sizeof version->hash.bytes);
    strategy->stored = true;
}

void seen_strategies_removed(seen_strategies_t *self, const Ixn__V1__StrategyRemoved *entry)
{
    strategy_t *strategy = s_of(self, entry->name);
    strategy->stored = false;
    memset(strategy->active, 0, sizeof strategy->active);
}

void seen_strategies_activated(seen_strategies_t *self, uint64_t index,
                               const Ixn__V1__StrategyActivated *entry)
{
    strategy_t *strategy = s_of(self, entry->name);
    if (!strategy->stored || !s_version(strategy, entry->version))
        world_violation(self->world, "strategies",
                        "entry %llu activates version %u of %s, which is not stored",
                        (unsigned long long)index, entry->version, entry->name);
    for (size_t i = 0; i < entry->n_routers; i++)
        strategy->active[s_router(entry->routers[i])] = entry->version;
}

void seen_strategies_deactivated(seen_strategies_t *self, const Ixn__V1__StrategyDeactivated *entry)
{
    strategy_t *strategy = s_of(self, entry->name);
    for (size_t i = 0; i < entry->n_routers; i++)
        strategy->active[s_router(entry->routers[i])] = 0;
}

void seen_strategies_dispatched(seen_strategies_t *self, uint64_t index,
                                const Ixn__V1__Dispatched *entry)
{
    const strategy_t *strategy = s_of(self, entry->strategy);
    bool active = strategy->active[s_router(entry->router)] != 0;
    if (strategy->stored && !active)
        world_violation(self->world, "strategies",
                        "entry %llu gives work of %s to %s, where it is not activated",
                        (unsigned long long)index, entry->strategy, entry->router);
    else if (strategy->stored ? !s_version(strategy, entry->version) : entry->version != 0)
        world_violation(self->world, "strategies",
                        "entry %llu gives work of %s under version %u, which is not stored",
                        (unsigned long long)index, entry->strategy, entry->version);
}

bool seen_strategies_is_stored(const seen_strategies_t *self, const char *name)
{
    return self->strategies[s_number(name)].stored;
}

/* ---- What is released ---- */

bool seen_strategies_is_body(const seen_strategies_t *self, const char *name, uint32_t number,
                             const char *body)
{
    const version_t *version = s_version(&self->strategies[s_number(name)], number);
    return version && strcmp(version->body, body) == 0;
}

void seen_strategies_told(seen_strategies_t *self, int node, const char *talker,
                          const Ixn__V1__Strategy *told)
{
    const version_t *version = s_version(s_of(self, told->strategy), told->version);
    bool same =
        version && told->hash.len == 16 && memcmp(told->hash.data, version->hash.bytes, 16) == 0 &&
        told->size == strlen(version->body) &&
        (told->body.len == 0 ||
         (told->body.len == told->size && memcmp(told->body.data, version->body, told->size) == 0));
    if (!same)
        world_violation(self->world, "strategies",
                        "node %c tells %s of version %u of %s otherwise than it was stored",
                        'a' + node, talker, told->version, told->strategy);
}

void seen_strategies_told_load(seen_strategies_t *self, int node, const char *talker,
                               const Ixn__V1__LoadStrategy *load)
{
    const version_t *version = s_version(s_of(self, load->strategy), load->version);
    if (!version || load->size != strlen(version->body) || load->hash.len != 16 ||
        memcmp(load->hash.data, version->hash.bytes, 16) != 0)
        world_violation(self->world, "strategies",
                        "node %c tells %s to load version %u of %s, which is not what was stored",
                        'a' + node, talker, load->version, load->strategy);
}
