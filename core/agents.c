#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/state_internal.h"

/* Agents: who is declared, by the configuration or by an operator, and for which piece of work each
 * is kept. A grant ends with its time and with the work it was given for; neither needs an entry.
 */

agent_record_t *catalog_agent(const state_t *self, uint16_t tenant, text_t name)
{
    if (name.len > LIMIT_NAME)
        return NULL;
    id128_t key = key_hash_of(text_of(self->tenants[tenant]), name);
    agent_record_t *agent = NULL;
    HASH_FIND(hh, self->catalog.agents, &key, sizeof key, agent);
    return agent;
}

static agent_record_t *s_make(state_t *self, uint16_t tenant, text_t name)
{
    agent_record_t *agent = catalog_agent(self, tenant, name);
    if (agent)
        return agent;
    agent = memory_zero(1, sizeof *agent);
    agent->key = key_hash_of(text_of(self->tenants[tenant]), name);
    agent->names = digest_of_names(text_of(self->tenants[tenant]), name);
    agent->tenant = tenant;
    memcpy(agent->name, name.data, name.len);
    HASH_ADD(hh, self->catalog.agents, key, sizeof agent->key, agent);
    return agent;
}

bool agent_is_reserved(const state_t *self, const agent_record_t *agent, usec_t log_time)
{
    if (agent->grant_index == 0 || agent->expires <= log_time)
        return false;
    const interaction_t *interaction = state_find(self, &agent->interaction_id);
    return interaction && interaction->state == INTERACTION_ROUTING &&
           interaction->more->token_epoch == agent->work_epoch &&
           interaction->more->token_index == agent->work_index;
}

catalog_row_t agent_row(const state_t *self, const agent_record_t *agent)
{
    return (catalog_row_t){.kind = CATALOG_AGENT,
                           .tenant = text_of(self->tenants[agent->tenant]),
                           .name = text_of(agent->name),
                           .router = text_of(agent->router),
                           .by = text_of(agent->by),
                           .at = agent->at,
                           .added = agent->added,
                           .interaction_id = agent->interaction_id,
                           .grant_epoch = agent->grant_epoch,
                           .grant_index = agent->grant_index,
                           .work_epoch = agent->work_epoch,
                           .work_index = agent->work_index,
                           .priority = agent->priority,
                           .expires = agent->expires,
                           .change = agent->change};
}

static void s_changed(state_t *self, agent_record_t *agent)
{
    const uint64_t content[] = {htole64(agent->names),       htole64(agent->added),
                                htole64(agent->configured),  htole64(agent->grant_epoch),
                                htole64(agent->grant_index), htole64(agent->work_epoch),
                                htole64(agent->work_index),  htole64((uint64_t)agent->expires),
                                htole64(agent->change)};
    uint64_t digest = XXH3_64bits_withSeed(content, sizeof content, CATALOG_AGENT);
    catalog_changed(self, &agent->stamp, digest);
}

static void s_remove(state_t *self, agent_record_t *agent)
{
    catalog_row_t row = agent_row(self, agent);
    catalog_left(self, &agent->stamp, &row);
    HASH_DEL(self->catalog.agents, agent);
    free(agent);
}

void agents_configured(state_t *self)
{
    const Ixn__V1__EngineConfiguration *configuration = self->configuration;
    agent_record_t *agent, *next;
    HASH_ITER(hh, self->catalog.agents, agent, next)
    {
        if (agent->configured) {
            agent->configured = false;
            s_changed(self, agent);
        }
    }
    for (size_t i = 0; i < configuration->n_agents; i++) {
        uint16_t tenant;
        CHECK(state_tenant_make(self, text_of(configuration->agents[i]->tenant), &tenant));
        agent = s_make(self, tenant, text_of(configuration->agents[i]->name));
        agent->configured = true;
        s_changed(self, agent);
    }
    HASH_ITER(hh, self->catalog.agents, agent, next)
    {
        if (!agent->configured && !agent->added)
            s_remove(self, agent);
    }
}

static bool s_fits(const char *text)
{
    return strnlen(text, LIMIT_NAME + 1) <= LIMIT_NAME;
}

const char *agents_changed(state_t *self, const Ixn__V1__AgentChanged *entry)
{
    uint16_t tenant;
    if (!state_tenant(self, text_of(entry->tenant), &tenant))
        return "its tenant is not there";
    if (!entry->agent[0] || !s_fits(entry->agent) || !s_fits(entry->by))
        return "a name is empty or longer than its limit";
    agent_record_t *agent = catalog_agent(self, tenant, text_of(entry->agent));
    if (entry->removed && (!agent || !agent->added))
        return "it takes back an agent that no operator declared";
    if (!entry->removed)
        agent = s_make(self, tenant, text_of(entry->agent));
    agent->added = !entry->removed;
    memcpy(agent->by, entry->by, strlen(entry->by) + 1);
    agent->at = self->wall_time;
    if (agent->added || agent->configured)
        s_changed(self, agent);
    else
        s_remove(self, agent);
    return NULL;
}

static agent_record_t *s_named(const state_t *self, const char *tenant_name, const char *name)
{
    uint16_t tenant;
    return state_tenant(self, text_of(tenant_name), &tenant)
               ? catalog_agent(self, tenant, text_of(name))
               : NULL;
}

const char *agents_reserved(state_t *self, const Ixn__V1__AgentReserved *entry)
{
    agent_record_t *agent = s_named(self, entry->tenant, entry->agent);
    if (!agent)
        return "its agent is not declared";
    id128_t id;
    const interaction_t *interaction =
        wire_read_id(entry->interaction_id, &id) ? state_find(self, &id) : NULL;
    if (!interaction || interaction->state != INTERACTION_ROUTING)
        return "its interaction is with no router";
    if (!s_fits(entry->router) || entry->duration_ms > LIMIT_DURATION_MS)
        return "a name or a duration is over its limit";
    agent->interaction_id = id;
    agent->work_epoch = interaction->more->token_epoch;
    agent->work_index = interaction->more->token_index;
    if (!entry->prolonged) {
        agent->grant_epoch = self->epoch;
        agent->grant_index = self->index + 1;
    }
    memcpy(agent->router, entry->router, strlen(entry->router) + 1);
    agent->priority = entry->priority;
    agent->expires = self->log_time + (usec_t)entry->duration_ms * USEC_PER_MS;
    agent->change = entry->change;
    s_changed(self, agent);
    return NULL;
}

static void s_clear_grant(agent_record_t *agent)
{
    agent->interaction_id = (id128_t){0};
    agent->grant_epoch = agent->grant_index = agent->work_epoch = agent->work_index = 0;
    agent->router[0] = '\0';
    agent->priority = 0;
    agent->expires = 0;
    agent->change = 0;
}

const char *agents_released(state_t *self, const Ixn__V1__AgentReleased *entry)
{
    agent_record_t *agent = s_named(self, entry->tenant, entry->agent);
    if (!agent)
        return "its agent is not declared";
    s_clear_grant(agent);
    s_changed(self, agent);
    return NULL;
}

/* The configuration was loaded before: what it declares is there already. */
bool agents_load(state_t *self, uint16_t tenant, const catalog_row_t *row)
{
    agent_record_t *agent = catalog_agent(self, tenant, row->name);
    if ((agent && agent->added) || (!agent && !row->added))
        return false;
    agent = s_make(self, tenant, row->name);
    agent->added = row->added;
    memcpy(agent->by, row->by.data, row->by.len);
    agent->by[row->by.len] = '\0';
    agent->at = row->at;
    agent->interaction_id = row->interaction_id;
    agent->grant_epoch = row->grant_epoch;
    agent->grant_index = row->grant_index;
    agent->work_epoch = row->work_epoch;
    agent->work_index = row->work_index;
    memcpy(agent->router, row->router.data, row->router.len);
    agent->router[row->router.len] = '\0';
    agent->priority = row->priority;
    agent->expires = row->expires;
    agent->change = row->change;
    s_changed(self, agent);
    return true;
}

void agents_free(catalog_t *self)
{
    agent_record_t *agent, *next;
    HASH_ITER(hh, self->agents, agent, next)
    {
        HASH_DEL(self->agents, agent);
        free(agent);
    }
}
