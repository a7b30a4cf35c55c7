#include "core/configuration.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* The result may be NULL: no limit. */
static Ixn__V1__SubmissionRate *s_rate(const config_rate_t *from)
{
    if (from->count == 0)
        return NULL;
    Ixn__V1__SubmissionRate *rate = memory_new(sizeof *rate);
    ixn__v1__submission_rate__init(rate);
    rate->count = from->count;
    rate->interval_ms = from->interval_ms;
    return rate;
}

static void s_strategies(const config_t *config, Ixn__V1__EngineConfiguration *self)
{
    self->n_strategies = config->strategies_len;
    self->strategies = memory_zero(self->n_strategies, sizeof *self->strategies);
    for (size_t i = 0; i < self->n_strategies; i++) {
        const config_strategy_t *from = &config->strategies[i];
        Ixn__V1__StrategyConfiguration *strategy = memory_new(sizeof *strategy);
        ixn__v1__strategy_configuration__init(strategy);
        strategy->name = (char *)from->name;
        strategy->tenant = (char *)from->tenant;
        if (from->has_max_submitted_interactions) {
            strategy->max_submitted_interactions_given_case =
                IXN__V1__STRATEGY_CONFIGURATION__MAX_SUBMITTED_INTERACTIONS_GIVEN_MAX_SUBMITTED_INTERACTIONS;
            strategy->max_submitted_interactions = from->max_submitted_interactions;
        }
        strategy->max_submission_rate = s_rate(&from->max_submission_rate);
        self->strategies[i] = strategy;
    }
}

static void s_agents(const config_t *config, Ixn__V1__EngineConfiguration *self)
{
    self->n_agents = config->agents_len;
    self->agents = memory_zero(self->n_agents, sizeof *self->agents);
    for (size_t i = 0; i < self->n_agents; i++) {
        self->agents[i] = memory_new(sizeof **self->agents);
        ixn__v1__agent_configuration__init(self->agents[i]);
        self->agents[i]->name = config->agents[i].name;
        self->agents[i]->tenant = config->agents[i].tenant;
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
        router->max_submission_rate = s_rate(&from->max_submission_rate);
        self->routers[i] = router;
    }
}

/* Names point into the configuration; only the array of pointers is the message's. */
static char **s_names(const config_names_t *names)
{
    char **out = memory_zero(names->len + 1, sizeof *out);
    for (size_t i = 0; i < names->len; i++)
        out[i] = (char *)names->names[i];
    return out;
}

static void s_applications(const config_t *config, Ixn__V1__EngineConfiguration *self)
{
    static const char *const types[] = {"",       "classification", "email",      "sms",
                                        "social", "chat",           "third_party"};
    self->n_application_servers = config->applications_len;
    self->application_servers =
        memory_zero(self->n_application_servers, sizeof *self->application_servers);
    for (size_t i = 0; i < self->n_application_servers; i++) {
        const config_application_t *from = &config->applications[i];
        Ixn__V1__ApplicationConfiguration *server = memory_new(sizeof *server);
        ixn__v1__application_configuration__init(server);
        server->name = (char *)from->name;
        server->type = (char *)types[from->type];
        server->services = s_names(&from->services);
        server->n_services = from->services.len;
        server->window = from->window;
        server->queue = from->queue;
        server->timeout_ms = from->timeout_ms;
        self->application_servers[i] = server;
    }
    self->service_timeout_ms = config->service_timeout_ms;
    self->service_max_requests = config->service_max_requests;
    self->service_max_requests_per_router = config->service_max_requests_per_router;
    self->service_max_size = config->service_max_size;
    self->service_max_attempts = config->service_max_attempts;
    self->service_window = config->service_window;
    self->service_queue = config->service_queue;
    self->service_breaker_failures = config->service_breaker_failures;
    self->service_breaker_pause_ms = config->service_breaker_pause_ms;
}

static void s_clusters(const config_t *config, Ixn__V1__EngineConfiguration *self)
{
    self->n_clusters = config->clusters_len;
    self->clusters = memory_zero(self->n_clusters, sizeof *self->clusters);
    for (size_t i = 0; i < self->n_clusters; i++) {
        const config_cluster_t *from = &config->clusters[i];
        Ixn__V1__ClusterConfiguration *cluster = memory_new(sizeof *cluster);
        ixn__v1__cluster_configuration__init(cluster);
        cluster->name = (char *)from->name;
        cluster->members = s_names(&from->members);
        cluster->n_members = from->members.len;
        cluster->queue = from->queue;
        cluster->timeout_ms = from->timeout_ms;
        self->clusters[i] = cluster;
    }
}

Ixn__V1__EngineConfiguration *configuration_of(const config_t *config)
{
    Ixn__V1__EngineConfiguration *self = memory_new(sizeof *self);
    ixn__v1__engine_configuration__init(self);
    s_tenants(config, self);
    s_queues(config, self);
    s_routers(config, self);
    s_applications(config, self);
    s_clusters(config, self);
    s_strategies(config, self);
    s_agents(config, self);
    self->max_submission_rate = config->max_submission_rate.count;
    self->max_submission_interval_ms = config->max_submission_rate.interval_ms;
    self->reservation_time_ms = config->reservation_time_ms;
    self->request_collection_time_ms = config->request_collection_time_ms;
    self->reject_subsequent_request = config->reject_subsequent_request;
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
    for (size_t i = 0; i < self->n_routers; i++) {
        free(self->routers[i]->max_submission_rate);
        free(self->routers[i]);
    }
    for (size_t i = 0; i < self->n_application_servers; i++) {
        free(self->application_servers[i]->services);
        free(self->application_servers[i]);
    }
    for (size_t i = 0; i < self->n_clusters; i++) {
        free(self->clusters[i]->members);
        free(self->clusters[i]);
    }
    free(self->application_servers);
    free(self->clusters);
    for (size_t i = 0; i < self->n_strategies; i++) {
        free(self->strategies[i]->max_submission_rate);
        free(self->strategies[i]);
    }
    for (size_t i = 0; i < self->n_agents; i++)
        free(self->agents[i]);
    free(self->strategies);
    free(self->agents);
    free(self->tenants);
    free(self->queues);
    free(self->routers);
    free(self);
    *self_p = NULL;
}

/* ---- Differences ---- */

typedef struct {
    char *text;
    size_t size;
    bool found;
} difference_t;

/* The configuration has numbers of 32 and 64 bits at its top, and lists of messages. */
static uint64_t s_number(const ProtobufCFieldDescriptor *field, const void *message)
{
    const uint8_t *at = (const uint8_t *)message + field->offset;
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (field->type == PROTOBUF_C_TYPE_UINT64)
        memcpy(&wide, at, sizeof wide);
    else
        memcpy(&narrow, at, sizeof narrow);
    return wide + narrow;
}

static const ProtobufCMessage *const *s_list(const ProtobufCFieldDescriptor *field,
                                             const void *message, size_t *ret_len)
{
    const uint8_t *base = message;
    const ProtobufCMessage *const *list;
    memcpy(ret_len, base + field->quantifier_offset, sizeof *ret_len);
    memcpy(&list, base + field->offset, sizeof list);
    return list;
}

static bool s_same(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    size_t size = protobuf_c_message_get_packed_size(a);
    if (size != protobuf_c_message_get_packed_size(b))
        return false;
    uint8_t *packed = memory_new(size * 2);
    protobuf_c_message_pack(a, packed);
    protobuf_c_message_pack(b, packed + size);
    bool same = memcmp(packed, packed + size, size) == 0;
    free(packed);
    return same;
}

/* The name of an element: its first field. */
static const char *s_name(const ProtobufCMessage *message)
{
    const char *name;
    memcpy(&name, (const uint8_t *)message + message->descriptor->fields[0].offset, sizeof name);
    return name;
}

static void s_compare_list(difference_t *self, const ProtobufCFieldDescriptor *field, const void *a,
                           const void *b)
{
    size_t a_len;
    size_t b_len;
    const ProtobufCMessage *const *a_list = s_list(field, a, &a_len);
    const ProtobufCMessage *const *b_list = s_list(field, b, &b_len);
    for (size_t i = 0; i < a_len && i < b_len; i++) {
        if (s_same(a_list[i], b_list[i]))
            continue;
        self->found = true;
        snprintf(self->text, self->size,
                 "%s number %zu (\"%s\") differs from \"%s\", which is in force", field->name,
                 i + 1, s_name(a_list[i]), s_name(b_list[i]));
        return;
    }
    if (a_len == b_len)
        return;
    self->found = true;
    snprintf(self->text, self->size, "%s has %zu elements, in force are %zu", field->name, a_len,
             b_len);
}

bool configuration_difference(const Ixn__V1__EngineConfiguration *self,
                              const Ixn__V1__EngineConfiguration *other, char *text, size_t size)
{
    const ProtobufCMessageDescriptor *descriptor = self->base.descriptor;
    difference_t difference = {.text = text, .size = size};
    text[0] = '\0';
    for (unsigned i = 0; i < descriptor->n_fields && !difference.found; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            s_compare_list(&difference, field, self, other);
        } else if (s_number(field, self) != s_number(field, other)) {
            difference.found = true;
            snprintf(text, size, "%s is %" PRIu64 ", in force is %" PRIu64, field->name,
                     s_number(field, self), s_number(field, other));
        }
    }
    return difference.found;
}
