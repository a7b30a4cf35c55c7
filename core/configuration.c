#include "core/configuration.h"

#include <stdlib.h>

#include "core/base/alloc.h"

static void s_tenants(const config_t *config, Ixn__V1__EngineConfiguration *self)
{
    self->n_tenants = config->tenants_len;
    self->tenants = memory_zero(self->n_tenants, sizeof *self->tenants);
    for (size_t i = 0; i < self->n_tenants; i++) {
        self->tenants[i] = memory_new(sizeof **self->tenants);
        ixn__v1__tenant_configuration__init(self->tenants[i]);
        self->tenants[i]->name = config->tenants[i].name;
    }
}

static void s_queues(const config_t *config, Ixn__V1__EngineConfiguration *self)
{
    self->n_queues = config->queues_len;
    self->queues = memory_zero(self->n_queues, sizeof *self->queues);
    for (size_t i = 0; i < self->n_queues; i++) {
        Ixn__V1__QueueConfiguration *queue = memory_new(sizeof *queue);
        ixn__v1__queue_configuration__init(queue);
        queue->name = config->queues[i].name;
        queue->tenant = config->queues[i].tenant;
        queue->strategy = config->queues[i].strategy;
        queue->max_length = config->queues[i].max_length;
        self->queues[i] = queue;
    }
}

static void s_routers(const config_t *config, Ixn__V1__EngineConfiguration *self)
{
    self->n_routers = config->routers_len;
    self->routers = memory_zero(self->n_routers, sizeof *self->routers);
    for (size_t i = 0; i < self->n_routers; i++) {
        const config_router_t *from = &config->routers[i];
        Ixn__V1__RouterConfiguration *router = memory_new(sizeof *router);
        ixn__v1__router_configuration__init(router);
        router->name = (char *)from->name;
        router->agent_reservation = from->agent_reservation;
        if (from->has_max_submitted_interactions) {
            router->max_submitted_interactions_given_case =
                IXN__V1__ROUTER_CONFIGURATION__MAX_SUBMITTED_INTERACTIONS_GIVEN_MAX_SUBMITTED_INTERACTIONS;
            router->max_submitted_interactions = from->max_submitted_interactions;
        }
        self->routers[i] = router;
    }
}

Ixn__V1__EngineConfiguration *configuration_of(const config_t *config)
{
    Ixn__V1__EngineConfiguration *self = memory_new(sizeof *self);
    ixn__v1__engine_configuration__init(self);
    s_tenants(config, self);
    s_queues(config, self);
    s_routers(config, self);
    self->routing_timeout_ms = config->routing_timeout_ms;
    self->hold_timeout_ms = config->hold_timeout_ms;
    self->max_router_attempts = config->max_router_attempts;
    self->dedupe_window_ms = config->dedupe_window_ms;
    self->dedupe_guaranteed_ms = config->dedupe_guaranteed_ms;
    self->dedupe_max_keys = config->dedupe_max_keys;
    self->max_interactions = config->max_interactions;
    self->max_attributes_size = config->max_attributes_size;
    self->max_submitted_interactions = config->max_submitted_interactions;
    return self;
}

void configuration_destroy(Ixn__V1__EngineConfiguration **self_p)
{
    Ixn__V1__EngineConfiguration *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->n_tenants; i++)
        free(self->tenants[i]);
    for (size_t i = 0; i < self->n_queues; i++)
        free(self->queues[i]);
    for (size_t i = 0; i < self->n_routers; i++)
        free(self->routers[i]);
    free(self->tenants);
    free(self->queues);
    free(self->routers);
    free(self);
    *self_p = NULL;
}
