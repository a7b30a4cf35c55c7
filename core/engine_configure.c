/* The configuration changes while the engine serves: one entry, and what follows from it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/engine_internal.h"
#include "core/state_internal.h"

bool engine_same_configuration(const Ixn__V1__EngineConfiguration *a,
                               const Ixn__V1__EngineConfiguration *b)
{
    size_t size = ixn__v1__engine_configuration__get_packed_size(a);
    if (size != ixn__v1__engine_configuration__get_packed_size(b))
        return false;
    uint8_t *packed = memory_new(size * 2);
    ixn__v1__engine_configuration__pack(a, packed);
    ixn__v1__engine_configuration__pack(b, packed + size);
    bool same = memcmp(packed, packed + size, size) == 0;
    free(packed);
    return same;
}

void engine_emit_configuration(engine_t *self, const Ixn__V1__EngineConfiguration *configuration)
{
    Ixn__V1__ConfigurationChanged changed = IXN__V1__CONFIGURATION_CHANGED__INIT;
    changed.configuration = (Ixn__V1__EngineConfiguration *)configuration;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_CONFIGURATION_CHANGED;
    entry.configuration_changed = &changed;
    engine_emit(self, &entry);
}

static bool s_has_queue(const engine_t *self, const Ixn__V1__EngineConfiguration *configuration,
                        const queue_t *queue)
{
    for (size_t i = 0; i < configuration->n_queues; i++) {
        uint16_t tenant;
        const Ixn__V1__QueueConfiguration *configured = configuration->queues[i];
        if (strcmp(configured->name, queue->name) == 0 &&
            state_tenant(self->state, text_of(configured->tenant), &tenant) &&
            tenant == queue->tenant)
            return true;
    }
    return false;
}

/* With routers now, and back to this queue if they fail. */
static uint32_t s_routing(const engine_t *self, const queue_t *queue)
{
    uint32_t count = 0;
    for (size_t i = 0; i < self->state->routers_len; i++) {
        const interaction_t *interaction;
        LIST_FOREACH(interaction, &self->state->routers[i]->interactions, more->with_router)
        count += interaction->queue == queue->number;
    }
    return count;
}

bool engine_check_configuration(const engine_t *self,
                                const Ixn__V1__EngineConfiguration *configuration,
                                error_t *ret_error)
{
    for (size_t i = 0; i < self->state->queues_len; i++) {
        const queue_t *queue = self->state->queues[i];
        if (!queue->configured || s_has_queue(self, configuration, queue))
            continue;
        uint32_t routing = s_routing(self, queue);
        if (queue->length || routing)
            return error_set(
                ret_error, ERROR_WRONG_STATE,
                "queue \"%s\" is no longer in `queues`, but %" PRIu32
                " interactions wait in it and %" PRIu32
                " are with routers; keep it without a strategy until they are gone, or "
                "move them (ixnctl list --queue, ixnctl place)",
                queue->name, queue->length, routing);
    }
    return state_check_configuration(self->state, configuration) ||
           error_set(ret_error, ERROR_WRONG_STATE,
                     "more than %d different queues or tenants have been configured since the "
                     "database was made; use names again",
                     LIMIT_SYMBOLS);
}

void engine_configure(engine_t *self, const Ixn__V1__EngineConfiguration *configuration)
{
    if (engine_same_configuration(self->state->configuration, configuration))
        return;
    engine_emit_configuration(self, configuration);
    engine_configure_routing(self);
    engine_services_configured(self);
    engine_all_queues_dirty(self);
}

void engine_set_clients(engine_t *self, uint32_t heartbeat_ms, uint32_t max_clients)
{
    self->options.heartbeat_ms = heartbeat_ms;
    self->options.max_clients = max_clients;
    if (max_clients <= self->slots_capacity)
        return; /* those that are there stay */
    self->slots = memory_resize(self->slots, max_clients * sizeof *self->slots);
    self->free_slots = memory_resize(self->free_slots, max_clients * sizeof *self->free_slots);
    self->flush = memory_resize(self->flush, max_clients * sizeof *self->flush);
    self->slots_capacity = max_clients;
}
