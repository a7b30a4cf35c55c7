#include "tests/sim/options.h"

#include <stdio.h>

#include "core/base/buffer.h"
#include "tests/unit/random.h"

enum { MS = 1000, SECOND = 1000000 };

const char *fault_name(fault_t fault)
{
    static const char *const names[] = {
#define X(name, text) text,
        FAULTS(X)
#undef X
    };
    return names[fault];
}

bool options_has(const options_t *self, fault_t fault)
{
    return self->faults & (1u << fault);
}

static usec_t s_between(random_t *random, usec_t low, usec_t high)
{
    return low + (usec_t)random_below(random, (size_t)(high - low + 1));
}

/* One seed in eight has one kind of fault only, so that what follows from it can be judged; the
 * others have about a third of all. */
static uint32_t s_draw_faults(random_t *random)
{
    uint32_t faults = 0;
    if (random_below(random, 8) == 0)
        return 1u << random_below(random, FAULT_LOSS);
    size_t share = 20 + random_below(random, 40);
    for (fault_t fault = 0; fault < FAULT_LOSS; fault++)
        if (random_below(random, 100) < share)
            faults |= 1u << fault;
    /* A node that forgot everything, and hears nobody, cannot know a copy from the original. */
    if (faults & 1u << FAULT_FORGET)
        faults &=
            ~(1u << FAULT_CLONE | 1u << FAULT_STALE | 1u << FAULT_STRANGER | 1u << FAULT_PROMOTION);
    return faults;
}

/* Commits that are lost need time to be healed, by nodes that live on: beside them there is only
 * what leaves both nodes alive. */
static uint32_t s_draw_loss(uint64_t seed, uint32_t faults)
{
    const uint32_t beside = 1u << FAULT_PEER_NOISE | 1u << FAULT_CLIENT_CUT | 1u << FAULT_ROUTER |
                            1u << FAULT_CLOCK | 1u << FAULT_COMMAND | 1u << FAULT_DATABASE_SLOW;
    random_t random = {(seed * 2 + 1) ^ UINT64_C(0x9E3779B97F4A7C15)};
    if (random_below(&random, 12) != 0)
        return faults;
    return 1u << FAULT_LOSS | (random_below(&random, 3) == 0 ? 0 : faults & beside);
}

/* Of those that lose no commits: nobody heals them while nodes die. */
static uint32_t s_draw_poison(uint64_t seed, uint32_t faults)
{
    random_t random = {(seed * 2 + 1) ^ UINT64_C(0xD1B54A32D192ED03)};
    bool has_poison = random_below(&random, 10) == 0;
    return has_poison && (faults & 1u << FAULT_LOSS) == 0 ? faults | 1u << FAULT_POISON : faults;
}

/* Without copies of the database: a skip is of the one where it was made, and a copy that takes its
 * place lacks it. And without services and agents: what builds on a skipped entry is then what
 * changes the interaction itself. Where no checkpoint passes the entry for long, operators have to.
 */
static void s_draw_apply(options_t *self, uint64_t seed)
{
    random_t random = {(seed * 2 + 1) ^ UINT64_C(0x8CB92BA72F3D8DD7)};
    self->mended = 2;
    if (random_below(&random, 8) != 0 || options_has(self, FAULT_LOSS))
        return;
    self->faults |= 1u << FAULT_APPLY;
    self->faults &= ~(1u << FAULT_CLONE | 1u << FAULT_STALE | 1u << FAULT_STRANGER);
    self->servers = self->agents = 0;
    self->mended = (int)random_below(&random, 3);
    if (random_below(&random, 3) != 0)
        self->checkpoint_interval = s_between(&random, 3 * SECOND, 12 * SECOND);
}

/* Where servers cannot be told by their address, a node that hears nobody takes a fresh clone for
 * the own one started again, as it has to, and so do two of which one sees nothing of the own one:
 * beside that there is only what leaves both nodes alive and in touch, and, beside clones, what
 * leaves the own server's answers alone. */
static bool s_draw_one_address(uint64_t seed, uint32_t *faults)
{
    const uint32_t copies = 1u << FAULT_CLONE | 1u << FAULT_STALE;
    const uint32_t apart = 1u << FAULT_CRASH | 1u << FAULT_POWER | 1u << FAULT_FREEZE |
                           1u << FAULT_STOP | 1u << FAULT_FORGET | 1u << FAULT_PEER_CUT |
                           1u << FAULT_PEER_NOISE | 1u << FAULT_SKEW | 1u << FAULT_POISON |
                           1u << FAULT_APPLY;
    const uint32_t silent = 1u << FAULT_DATABASE_CUT | 1u << FAULT_DATABASE_RESTART |
                            1u << FAULT_DATABASE_FREEZE | 1u << FAULT_DATABASE_SLOW |
                            1u << FAULT_DATABASE_ERRORS | 1u << FAULT_DATABASE_DOUBT |
                            1u << FAULT_STRANGER | 1u << FAULT_PROMOTION;
    random_t random = {(seed * 2 + 1) ^ UINT64_C(0xA0761D6478BD642F)};
    if (random_below(&random, 6) != 0 || !(*faults & (copies | 1u << FAULT_PROMOTION)))
        return false;
    *faults &= ~(*faults & copies ? apart | silent : apart);
    return true;
}

/* What only some seeds have: two of five have none of them, for the speed of all. */
static void s_draw_parts(options_t *self, random_t *random)
{
    bool has_servers = random_below(random, 100) < 25;
    bool has_agents = random_below(random, 100) < 25;
    self->servers = has_servers ? 1 + random_below(random, 3) : 0;
    self->agents = has_agents ? 1 + random_below(random, 3) : 0;
    self->stored = random_below(random, 100) < 25;
    self->one_side = random_below(random, 8) == 0;
    self->service_timeout = s_between(random, 300 * MS, 2500 * MS);
    self->reservation_time = s_between(random, 200 * MS, 2000 * MS);
    self->collection_time = s_between(random, 10 * MS, 150 * MS);
    self->once = random_below(random, 2) == 0;
}

void options_draw(options_t *self, uint64_t seed)
{
    random_t random = {seed * 2 + 1};
    *self = (options_t){
        .faults = s_draw_faults(&random),
        .safety = s_between(&random, 4 * SECOND, 14 * SECOND),
        .pause = s_between(&random, 200 * MS, 2500 * MS),
        .manual = {random_below(&random, 8) == 0, false},
        .preferred = (int)random_below(&random, 3),
        .daps_len = 1 + random_below(&random, 2),
        .failover_timeout = s_between(&random, 500 * MS, 1500 * MS),
        .heartbeat = s_between(&random, 50 * MS, 200 * MS),
        .beat = s_between(&random, 20 * MS, 80 * MS),
        .statement_timeout = s_between(&random, 800 * MS, 3000 * MS),
        .retry_after = s_between(&random, 300 * MS, 1000 * MS),
        .checkpoint_interval = s_between(&random, 100 * MS, 1000 * MS),
        .journal_retention = s_between(&random, 200 * MS, 20 * SECOND),
        .same_start = random_below(&random, 2) == 0,
        .medias = 1 + random_below(&random, 4),
        .routers = 1 + random_below(&random, 3),
        .submit_pause = s_between(&random, 40 * MS, 400 * MS),
        .think = s_between(&random, 1 * MS, 300 * MS),
        .routing_timeout = s_between(&random, 1 * SECOND, 4 * SECOND),
        .router_limit = (uint32_t)s_between(&random, 2, 20),
        .client_heartbeat = s_between(&random, 300 * MS, 1000 * MS),
    };
    self->faults = s_draw_loss(seed, self->faults);
    self->faults = s_draw_poison(seed, self->faults);
    self->manual[1] = self->manual[0];
    s_draw_parts(self, &random);
    s_draw_apply(self, seed);
    self->one_address = s_draw_one_address(seed, &self->faults);
}

usec_t options_slowest(const options_t *self, usec_t time)
{
    if (!options_has(self, FAULT_DRIFT))
        return time;
    return time * 1000000 / (1000000 + DRIFT_PPM_MAX) - 2; /* each clock rounds */
}

usec_t options_fastest(const options_t *self, usec_t time)
{
    return options_has(self, FAULT_DRIFT) ? time + time / 1000000 * DRIFT_PPM_MAX + DRIFT_PPM_MAX
                                          : time;
}

void options_print(const options_t *self, char *text, size_t size)
{
    buffer_t faults = {0};
    for (fault_t fault = 0; fault < FAULTS_LEN; fault++)
        if (options_has(self, fault))
            buffer_printf(&faults, "%s%s", faults.len ? "," : "", fault_name(fault));
    snprintf(
        text, size,
        "faults=%.*s safety_ms=%lld pause_ms=%lld manual=%d preferred=%d daps=%zu "
        "failover_ms=%lld heartbeat_ms=%lld beat_ms=%lld statement_ms=%lld checkpoint_ms=%lld "
        "retention_ms=%lld medias=%zu routers=%zu submit_ms=%lld think_ms=%lld routing_ms=%lld "
        "servers=%zu agents=%zu stored=%d mended=%d one_address=%d",
        (int)faults.len, faults.len ? (const char *)faults.bytes : "", (long long)self->safety / MS,
        (long long)self->pause / MS, self->manual[0], self->preferred, self->daps_len,
        (long long)self->failover_timeout / MS, (long long)self->heartbeat / MS,
        (long long)self->beat / MS, (long long)self->statement_timeout / MS,
        (long long)self->checkpoint_interval / MS, (long long)self->journal_retention / MS,
        self->medias, self->routers, (long long)self->submit_pause / MS,
        (long long)self->think / MS, (long long)self->routing_timeout / MS, self->servers,
        self->agents, self->stored, self->mended, self->one_address);
    buffer_free(&faults);
}
