/* The configuration of this node changes while it runs. */
#include "core/base/check.h"
#include "core/configuration.h"
#include "ha/pair_internal.h"

void pair_set(pair_t *self, const pair_settings_t *settings)
{
    node_settings_t node = settings->node;
    /* A pause that an operator asked for stays until the file itself says something else. */
    if (settings->manual != self->options.manual)
        self->manual = settings->manual;
    self->options.manual = settings->manual;
    self->options.preferred = settings->preferred;
    self->options.failover_timeout = settings->failover_timeout;
    self->options.heartbeat = settings->heartbeat;
    self->options.beat = settings->beat;
    self->options.node.engine.heartbeat_ms = node.heartbeat_ms;
    self->options.node.engine.max_clients = node.max_clients;
    self->options.node.retry_after = node.retry_after;
    self->options.node.max_unfinished = node.max_unfinished;
    self->options.node.checkpoint_interval = node.checkpoint_interval;
    self->options.node.checkpoint_max_lag = node.checkpoint_max_lag;
    if (self->node) {
        node.beat = pair_beat(self);
        node.gap = pair_gap(self);
        node_set(self->node, &node);
    }
    pair_hello(self);
}

bool pair_check_configuration(const pair_t *self, const Ixn__V1__EngineConfiguration *configuration,
                              const id128_t *database_id, error_t *ret_error)
{
    char own[ID_TEXT_SIZE];
    char given[ID_TEXT_SIZE];
    if (database_id && self->daps.known && !id_equal(*database_id, self->daps.own.database_id))
        return error_set(ret_error, ERROR_CONFIGURATION,
                         "database.id is %s, but this node works on database %s; correct it or "
                         "leave it out",
                         id_text(*database_id, given), id_text(self->daps.own.database_id, own));
    return !self->node || node_check_configuration(self->node, configuration, ret_error);
}

void pair_configure(pair_t *self, const Ixn__V1__EngineConfiguration *configuration,
                    const id128_t *database_id)
{
    self->daps.has_demanded = database_id != NULL;
    if (database_id)
        self->daps.demanded = *database_id;
    ixn__v1__engine_configuration__free_unpacked(self->configuration, NULL);
    self->configuration = pair_copy_configuration(configuration, &self->configuration_digest);
    if (self->node)
        node_configure(self->node, self->configuration);
    pair_hello(self);
}
