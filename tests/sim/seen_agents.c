#include "tests/sim/seen_agents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/sim/checker_internal.h"
#include "tests/sim/engine_file.h"

enum { GRANTS_KEPT = 8, CLAIMS_MAX = 256 };

/* One grant, by the log; and what its router was told of it. */
typedef struct {
    uint64_t epoch;
    uint64_t index;
    seen_t *interaction;
    uint64_t work_epoch;
    uint64_t work_index;
    char router[LIMIT_NAME + 1];
    usec_t expires; /* log time */
    bool released;
    usec_t told_until; /* true time; 0: its router has not heard of it */
} grant_t;

typedef struct {
    grant_t grants[GRANTS_KEPT]; /* newest first */
    size_t len;
} agent_t;

/* A request that the serving node has. */
typedef struct {
    int node;
    uint64_t life;
    size_t talker;
    uint64_t request;
    size_t agent;
    uint64_t epoch;
    uint64_t index; /* where the log was */
    bool free;      /* nobody had the agent then, by the log that was committed */
    uint64_t work_epoch;
    uint64_t work_index;
    int32_t priority;
    bool judged; /* it says its priority */
} claim_t;

struct seen_agents {
    world_t *world;
    agent_t agents[AGENTS_MAX];
    agent_t before[AGENTS_MAX]; /* as they were before the log was read again */
    claim_t claims[CLAIMS_MAX];
    size_t claims_len;
};

seen_agents_t *seen_agents_new(world_t *world)
{
    seen_agents_t *self = memory_zero(1, sizeof *self);
    self->world = world;
    return self;
}

void seen_agents_destroy(seen_agents_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

void seen_agents_forget(seen_agents_t *self)
{
    memcpy(self->before, self->agents, sizeof self->before);
    memset(self->agents, 0, sizeof self->agents);
}

static bool s_number(const char *name, size_t *ret_number)
{
    for (size_t i = 0; i < AGENTS_MAX; i++)
        if (strcmp(engine_file_agents[i], name) == 0) {
            *ret_number = i;
            return true;
        }
    return false;
}

static bool s_work_goes_on(const seen_t *interaction, uint64_t epoch, uint64_t index)
{
    return interaction->routing && interaction->token_epoch == epoch &&
           interaction->token_index == index;
}

static bool s_is_in_force(const grant_t *grant, usec_t log_time)
{
    return !grant->released && log_time < grant->expires &&
           s_work_goes_on(grant->interaction, grant->work_epoch, grant->work_index);
}

/* ---- The log ---- */

/* Of those that the node had before it decided, and that were not refused at once, the one with the
 * highest priority wins, then the oldest interaction. */
static void s_check_order(const seen_agents_t *self, size_t agent, uint64_t index,
                          const seen_t *winner, int32_t priority)
{
    const checker_t *checker = self->world->checker;
    const epoch_t *epoch = &checker->epochs[checker->epochs_len - 1];
    for (size_t i = 0; i < self->claims_len; i++) {
        const claim_t *claim = &self->claims[i];
        const handed_t *handed = checker_handed(checker, claim->work_epoch, claim->work_index);
        if (claim->agent != agent || !claim->judged || !claim->free || claim->index >= index ||
            claim->node != epoch->node || claim->life != epoch->life ||
            claim->epoch != epoch->epoch || !handed || handed->over ||
            handed->interaction == winner)
            continue;
        uint64_t age = handed->interaction->age;
        if (claim->priority > priority || (claim->priority == priority && age < winner->age))
            world_violation(self->world, "P7 agents",
                            "entry %llu grants agent %s to priority %d of age %llu, while priority "
                            "%d of age %llu has asked",
                            (unsigned long long)index, engine_file_agents[agent], priority,
                            (unsigned long long)winner->age, claim->priority,
                            (unsigned long long)age);
    }
}

/* Whatever asked before this was known here has lost, or was refused at once. */
static void s_given(seen_agents_t *self, size_t agent)
{
    for (size_t i = 0; i < self->claims_len; i++)
        if (self->claims[i].agent == agent)
            self->claims[i].free = false;
}

static void s_prolonged(seen_agents_t *self, const batch_t *batch, uint64_t index,
                        const seen_t *interaction, agent_t *agent, usec_t expires)
{
    grant_t *grant = &agent->grants[0];
    if (agent->len == 0 || grant->interaction != interaction ||
        !s_is_in_force(grant, batch->log_time))
        world_violation(self->world, "agents",
                        "entry %llu prolongs a grant that is not in force for that work",
                        (unsigned long long)index);
    grant->expires = expires;
}

void seen_agents_reserved(seen_agents_t *self, const batch_t *batch, uint64_t index,
                          seen_t *interaction, const Ixn__V1__AgentReserved *entry)
{
    size_t number;
    usec_t expires = batch->log_time + (usec_t)entry->duration_ms * USEC_PER_MS;
    if (!s_number(entry->agent, &number) || !interaction->routing) {
        world_violation(self->world, "agents",
                        "entry %llu keeps agent %s, which is not declared, or for what no router "
                        "has",
                        (unsigned long long)index, entry->agent);
        return;
    }
    agent_t *agent = &self->agents[number];
    if (entry->prolonged) {
        s_given(self, number);
        s_prolonged(self, batch, index, interaction, agent, expires);
        return;
    }
    /* What was decided last in a batch was so for as long after its time as it was open. */
    const usec_t open = self->world->now - self->world->checker->committed_at[1];
    const usec_t latest = batch->log_time + options_fastest(&self->world->options, open);
    for (size_t i = 0; i < agent->len; i++)
        if (s_is_in_force(&agent->grants[i], latest))
            world_violation(self->world, "agents",
                            "entry %llu grants agent %s to %s, while %s has it by entry %llu",
                            (unsigned long long)index, entry->agent, entry->router,
                            agent->grants[i].router, (unsigned long long)agent->grants[i].index);
    s_check_order(self, number, index, interaction, entry->priority);
    s_given(self, number);
    if (agent->len == GRANTS_KEPT)
        agent->len--;
    memmove(&agent->grants[1], &agent->grants[0], agent->len * sizeof *agent->grants);
    agent->len++;
    agent->grants[0] = (grant_t){.epoch = batch->epoch,
                                 .index = index,
                                 .interaction = interaction,
                                 .work_epoch = interaction->token_epoch,
                                 .work_index = interaction->token_index,
                                 .expires = expires};
    snprintf(agent->grants[0].router, sizeof agent->grants[0].router, "%s", entry->router);
    const agent_t *before = &self->before[number];
    for (size_t i = 0; i < before->len; i++)
        if (before->grants[i].epoch == batch->epoch && before->grants[i].index == index)
            agent->grants[0].told_until = before->grants[i].told_until;
}

void seen_agents_released(seen_agents_t *self, const Ixn__V1__AgentReleased *entry)
{
    size_t number;
    if (s_number(entry->agent, &number) && self->agents[number].len > 0)
        self->agents[number].grants[0].released = true;
}

void seen_agents_chosen(seen_agents_t *self, const batch_t *batch, uint64_t index,
                        const seen_t *interaction, const char *agent)
{
    size_t number;
    if (!agent[0])
        return;
    const grant_t *grant = s_number(agent, &number) && self->agents[number].len > 0
                               ? &self->agents[number].grants[0]
                               : NULL;
    if (!grant || grant->interaction != interaction || !s_is_in_force(grant, batch->log_time))
        world_violation(self->world, "agents",
                        "entry %llu takes a result for agent %s, whom that work does not have",
                        (unsigned long long)index, agent);
}

/* ---- Requests that the node has ---- */

static void s_forget(seen_agents_t *self, size_t at)
{
    self->claims[at] = self->claims[--self->claims_len];
}

void seen_agents_asked(seen_agents_t *self, int node, uint64_t life, size_t talker,
                       uint64_t request, uint64_t epoch, uint64_t index,
                       const Ixn__V1__Reserve *body)
{
    size_t number;
    const checker_t *checker = self->world->checker;
    for (size_t i = self->claims_len; i-- > 0;) /* the newest request of a work counts */
        if (self->claims[i].life != life || self->claims[i].node != node ||
            (self->claims[i].work_index == body->token->index &&
             self->claims[i].work_epoch == body->token->epoch))
            s_forget(self, i);
    if (!s_number(body->agent, &number) || body->duration_ms == 0 || self->claims_len == CLAIMS_MAX)
        return;
    const agent_t *agent = &self->agents[number];
    /* It is refused at once while another has the agent. What is decided and not committed yet is
     * looked at when it is (s_given). A router that is cut off may have lost its session. */
    bool given = agent->len > 0 && s_is_in_force(&agent->grants[0], checker->log_time);
    self->claims[self->claims_len++] = (claim_t){
        .node = node,
        .life = life,
        .talker = talker,
        .request = request,
        .agent = number,
        .epoch = epoch,
        .index = index,
        .free = !given,
        .work_epoch = body->token->epoch,
        .work_index = body->token->index,
        .priority = body->priority,
        .judged = body->priority_given_case == IXN__V1__RESERVE__PRIORITY_GIVEN_PRIORITY &&
                  !options_has(&self->world->options, FAULT_CLIENT_CUT)};
}

void seen_agents_answered(seen_agents_t *self, int node, size_t talker, uint64_t request)
{
    for (size_t i = self->claims_len; i-- > 0;)
        if (self->claims[i].node == node && self->claims[i].talker == talker &&
            self->claims[i].request == request)
            s_forget(self, i);
}

void seen_agents_gone(seen_agents_t *self, size_t talker)
{
    for (size_t i = self->claims_len; i-- > 0;)
        if (self->claims[i].talker == talker)
            s_forget(self, i);
}

/* ---- What routers are told ---- */

static grant_t *s_grant(seen_agents_t *self, const Ixn__V1__Granted *granted)
{
    size_t number;
    agent_t *agent = s_number(granted->agent, &number) ? &self->agents[number] : NULL;
    for (size_t i = 0; agent && i < agent->len; i++)
        if (agent->grants[i].index == granted->grant->index &&
            agent->grants[i].epoch == granted->grant->epoch)
            return &agent->grants[i];
    return NULL;
}

void seen_agents_told(seen_agents_t *self, int node, const char *router,
                      const Ixn__V1__Granted *granted)
{
    const grant_t *grant = s_grant(self, granted);
    if (!grant || strcmp(grant->router, router) != 0)
        world_violation(self->world, "P4 released",
                        "node %c tells %s of a grant that the committed log does not have",
                        'a' + node, router);
}

/* Two routers must never both have reason to think that the agent is theirs: by what they were
 * told, as long as the work that they were told it for is theirs. */
static bool s_is_believed(const seen_agents_t *self, const grant_t *grant)
{
    return !grant->released && self->world->now < grant->told_until &&
           s_work_goes_on(grant->interaction, grant->work_epoch, grant->work_index);
}

void seen_agents_heard(seen_agents_t *self, const char *router, usec_t asked_at,
                       const Ixn__V1__Granted *granted)
{
    size_t number;
    grant_t *grant = s_grant(self, granted);
    if (!grant || !s_number(granted->agent, &number))
        return; /* an old one */
    usec_t until = asked_at + options_slowest(&self->world->options,
                                              (usec_t)granted->duration_ms * USEC_PER_MS);
    if (until > grant->told_until)
        grant->told_until = until;
    const agent_t *agent = &self->agents[number];
    for (size_t i = 0; i < agent->len && s_is_believed(self, grant); i++)
        if (&agent->grants[i] != grant && s_is_believed(self, &agent->grants[i]))
            world_violation(self->world, "agents",
                            "%s is told that agent %s is its own by grant %llu, and %s was told "
                            "the same by grant %llu",
                            router, granted->agent, (unsigned long long)grant->index,
                            agent->grants[i].router, (unsigned long long)agent->grants[i].index);
}
