#include "tests/sim/engine_file.h"

const char *const engine_file_strategies[STRATEGIES] = {"classify", "answer"};
const char *const engine_file_agents[AGENTS_MAX] = {"alba", "bruno", "carla"};
const char *const engine_file_cluster = "all";
const char *const engine_file_services[2] = {"guess", "send"};

static void s_queues(Ixn__V1__EngineConfiguration *configuration)
{
    static Ixn__V1__TenantConfiguration tenant;
    static Ixn__V1__TenantConfiguration *tenants[] = {&tenant};
    static Ixn__V1__QueueConfiguration queue[3];
    static Ixn__V1__QueueConfiguration *queues[] = {&queue[0], &queue[1], &queue[2]};
    static const char *const names[][2] = {
        {"inbound", "classify"}, {"work", "answer"}, {"urgent", "answer"}};
    tenant = (Ixn__V1__TenantConfiguration)IXN__V1__TENANT_CONFIGURATION__INIT;
    tenant.name = (char *)"default";
    for (int i = 0; i < 3; i++) {
        queue[i] = (Ixn__V1__QueueConfiguration)IXN__V1__QUEUE_CONFIGURATION__INIT;
        queue[i].name = (char *)names[i][0];
        queue[i].tenant = tenant.name;
        queue[i].strategy = (char *)names[i][1];
    }
    configuration->tenants = tenants;
    configuration->n_tenants = 1;
    configuration->queues = queues;
    configuration->n_queues = 3;
}

/* All take part in agent reservation, but for one where a seed has it so. */
static void s_routers(Ixn__V1__EngineConfiguration *configuration, const options_t *options)
{
    static const char *const names[] = {"router-1", "router-2", "router-3"};
    static Ixn__V1__RouterConfiguration router[ROUTERS_MAX];
    static Ixn__V1__RouterConfiguration *routers[ROUTERS_MAX];
    for (size_t i = 0; i < options->routers; i++) {
        router[i] = (Ixn__V1__RouterConfiguration)IXN__V1__ROUTER_CONFIGURATION__INIT;
        router[i].name = (char *)names[i];
        router[i].agent_reservation = !options->one_side || i != 0;
        routers[i] = &router[i];
    }
    configuration->routers = routers;
    configuration->n_routers = options->routers;
}

static void s_agents(Ixn__V1__EngineConfiguration *configuration, const options_t *options)
{
    static Ixn__V1__AgentConfiguration agent[AGENTS_MAX];
    static Ixn__V1__AgentConfiguration *agents[AGENTS_MAX];
    for (size_t i = 0; i < options->agents; i++) {
        agent[i] = (Ixn__V1__AgentConfiguration)IXN__V1__AGENT_CONFIGURATION__INIT;
        agent[i].name = (char *)engine_file_agents[i];
        agent[i].tenant = (char *)"default";
        agents[i] = &agent[i];
    }
    configuration->agents = agents;
    configuration->n_agents = options->agents;
    configuration->reservation_time_ms = (uint64_t)(options->reservation_time / USEC_PER_MS);
    configuration->request_collection_time_ms = (uint64_t)(options->collection_time / USEC_PER_MS);
    configuration->reject_subsequent_request = options->once;
}

static void s_servers(Ixn__V1__EngineConfiguration *configuration, const options_t *options)
{
    static char *members[] = {(char *)"app-1", (char *)"app-2", (char *)"app-3"};
    static Ixn__V1__ClusterConfiguration cluster;
    static Ixn__V1__ClusterConfiguration *clusters[] = {&cluster};
    cluster = (Ixn__V1__ClusterConfiguration)IXN__V1__CLUSTER_CONFIGURATION__INIT;
    cluster.name = (char *)engine_file_cluster;
    cluster.members = members;
    cluster.n_members = options->servers;
    configuration->clusters = clusters;
    configuration->n_clusters = options->servers > 0;
    configuration->service_timeout_ms = (uint64_t)(options->service_timeout / USEC_PER_MS);
    configuration->service_max_requests = 1000;
    configuration->service_max_requests_per_router = 1000;
    configuration->service_max_size = 100 << 20;
    configuration->service_max_attempts = 3;
    configuration->service_window = 3;
    configuration->service_queue = 100;
    configuration->service_breaker_failures = 5;
    configuration->service_breaker_pause_ms = 500;
}

const Ixn__V1__EngineConfiguration *engine_file_of(const options_t *options)
{
    static Ixn__V1__EngineConfiguration configuration;
    configuration = (Ixn__V1__EngineConfiguration)IXN__V1__ENGINE_CONFIGURATION__INIT;
    s_queues(&configuration);
    s_routers(&configuration, options);
    s_agents(&configuration, options);
    s_servers(&configuration, options);
    configuration.routing_timeout_ms = (uint64_t)(options->routing_timeout / USEC_PER_MS);
    configuration.hold_timeout_ms = 1500;
    configuration.max_router_attempts = ROUTING_ATTEMPTS; /* nobody releases from quarantine here */
    configuration.dedupe_window_ms = 600 * 1000;
    configuration.dedupe_guaranteed_ms = 60 * 1000;
    configuration.dedupe_max_keys = 100000;
    configuration.max_interactions = 100000;
    configuration.max_attributes_size = 65536;
    configuration.max_submitted_interactions = options->router_limit;
    return &configuration;
}
