/* Schema: the table. A new key is one row here, one field in config.h and one line in
 * config/ixnd.yaml; the tests name the one that was forgotten. Bounds that are not simply generous
 * say in their sentence where they come from.
 */
#include "config/schema.h"

#include <string.h>

#include "core/base/check.h"
#include "core/base/log.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

#define SECOND ((uint64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* Where a key's field is; FIELD in config_t, ITEM in the item of a list, and with the bool beside
 * it that says that it was given. */
#define IN(type, member)                                                                           \
    .offset = offsetof(type, member), .size = sizeof(((type *)0)->member),                         \
    .given_offset = SCHEMA_NOWHERE
#define IN_IF_GIVEN(type, member)                                                                  \
    .offset = offsetof(type, member), .size = sizeof(((type *)0)->member),                         \
    .given_offset = offsetof(type, has_##member)
#define IN_AS(type, member, given)                                                                 \
    .offset = offsetof(type, member), .size = sizeof(((type *)0)->member),                         \
    .given_offset = offsetof(type, given)
#define FIELD(member) IN(config_t, member)

static const schema_key_t s_node[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .reload = SCHEMA_RESTART,
     .required = true,
     FIELD(node_name),
     .sentence = "name of this node, in answers to clients, in logs and in the database"},
    {.name = "client_endpoint",
     .type = SCHEMA_ENDPOINT,
     .reload = SCHEMA_RESTART,
     FIELD(client_endpoint),
     .standard = "tcp://127.0.0.1:7420",
     .sentence = "where clients connect: tcp://HOST:PORT or ipc://PATH"},
    {.name = "state_dir",
     .type = SCHEMA_PATH,
     .reload = SCHEMA_RESTART,
     FIELD(state_dir),
     .standard = "/var/lib/ixn",
     .sentence = "folder for what this node remembers between starts: which database is its own"},
};

static const char *const s_failovers[] = {"automatic", "manual", NULL};

static const schema_key_t s_pair[] = {
    {.name = "bind",
     .type = SCHEMA_ENDPOINT,
     .reload = SCHEMA_RESTART,
     .required = true,
     FIELD(peer_bind),
     .sentence = "the peer port of this node: where the other node connects"},
    {.name = "peer",
     .type = SCHEMA_ENDPOINT,
     .reload = SCHEMA_RESTART,
     .required = true,
     FIELD(peer_endpoint),
     .sentence = "the peer port of the other node: what its `bind` is, seen from here"},
    {.name = "certificate",
     .type = SCHEMA_PATH,
     .reload = SCHEMA_RESTART,
     .required = true,
     FIELD(peer_certificate),
     .sentence = "the pair's key, from `ixnctl pair keygen FILE`; the same file on both nodes"},
    {.name = "failover",
     .type = SCHEMA_CHOICE,
     .reload = SCHEMA_LIVE,
     FIELD(failover_manual),
     .standard = "automatic",
     .choices = s_failovers,
     .sentence = "automatic: the backup takes over by itself; manual: it waits for an operator"},
    {.name = "preferred",
     .type = SCHEMA_BOOLEAN,
     .reload = SCHEMA_LIVE,
     FIELD(preferred),
     .standard = "false",
     .sentence = "serves when both nodes start at the same time; never moves a role later"},
    {.name = "failover_timeout",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LIVE,
     FIELD(failover_timeout_ms),
     .standard = "1s",
     .minimum = 200,
     .maximum = MINUTE,
     .sentence = "peer silent and nothing committed for so long: its host is gone or frozen"},
    {.name = "heartbeat",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LIVE,
     FIELD(peer_heartbeat_ms),
     .standard = "100ms",
     .minimum = 20,
     .maximum = 15 * SECOND,
     .sentence = "how often the nodes say hello; 4 of them fit into failover_timeout"},
    {.name = "beat",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LIVE,
     FIELD(beat_ms),
     .standard = "40ms",
     .minimum = 10,
     .maximum = SECOND,
     .sentence =
         "an idle primary commits so often, as a sign of life; 5 fit into failover_timeout"},
};

static const schema_key_t s_database[] = {
    {.name = "id",
     .type = SCHEMA_UUID,
     .reload = SCHEMA_LIVE,
     IN_IF_GIVEN(config_t, database_id),
     .sentence = "the only database that is accepted, as `ixnctl database status` shows its id"},
    {.name = "connect_timeout",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LIVE,
     FIELD(connect_timeout_ms),
     .standard = "2s",
     .minimum = 100,
     .maximum = MINUTE,
     .sentence = "how long opening a connection may take before the next DAP is tried"},
    {.name = "statement_timeout",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LIVE,
     FIELD(statement_timeout_ms),
     .standard = "5s",
     .minimum = 100,
     .maximum = 10 * MINUTE,
     .sentence = "how long a statement may take, also of a frozen server, before it is retried"},
    {.name = "hedge_after",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LIVE,
     FIELD(hedge_after_ms),
     .standard = "250ms",
     .minimum = 10,
     .maximum = 10 * SECOND,
     .sentence = "a commit that waits for longer is tried through the next DAP as well"},
    {.name = "retry_after",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LIVE,
     FIELD(retry_after_ms),
     .standard = "1s",
     .minimum = 10,
     .maximum = 10 * SECOND,
     .sentence = "a commit that waits for longer: clients hear RETRY instead of silence"},
};

static const schema_key_t s_daps[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .reload = SCHEMA_LIVE,
     .required = true,
     IN(config_dap_t, name),
     .sentence = "name of the DAP in logs, errors and status"},
    {.name = "conninfo",
     .type = SCHEMA_CONNINFO,
     .reload = SCHEMA_LIVE,
     .required = true,
     IN(config_dap_t, conninfo),
     .sentence = "libpq connection string (host=… dbname=…) or URI (postgresql://…)"},
    {.name = "weight",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LIVE,
     IN(config_dap_t, weight),
     .standard = "10",
     .minimum = 1,
     .maximum = 100,
     .sentence = "its share of the work that is spread, relative to the other DAPs"},
};

static const schema_key_t s_tenants[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .reload = SCHEMA_LOGGED,
     .required = true,
     IN(config_tenant_t, name),
     .sentence = "name of the tenant, as clients register with it"},
};

static const schema_key_t s_queues[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .reload = SCHEMA_LOGGED,
     .required = true,
     IN(config_queue_t, name),
     .sentence = "name of the queue, unique in its tenant"},
    {.name = "tenant",
     .type = SCHEMA_NAME,
     .reload = SCHEMA_LOGGED,
     IN(config_queue_t, tenant),
     .standard = "default",
     .sentence = "whose queue it is; one of `tenants`"},
    {.name = "strategy",
     .type = SCHEMA_NAME,
     .reload = SCHEMA_LOGGED,
     IN(config_queue_t, strategy),
     .sentence = "the strategy that routers run on what waits here; absent: nothing is routed"},
    {.name = "max_length",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     IN(config_queue_t, max_length),
     .standard = "0",
     .minimum = 0,
     .maximum = LIMIT_INTERACTIONS,
     .sentence = "more are refused with BUSY; 0: only limits.max_interactions counts"},
};

static const schema_key_t s_routers[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .reload = SCHEMA_LOGGED,
     .required = true,
     IN(config_router_t, name),
     .sentence = "name under which the router registers"},
    {.name = "max_submitted_interactions",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     IN_IF_GIVEN(config_router_t, max_submitted_interactions),
     .minimum = 0,
     .maximum = 50000,
     .sentence = "in place of routing.max_submitted_interactions; 0 stops it, recalling nothing"},
    {.name = "max_submission_rate",
     .type = SCHEMA_RATE,
     .reload = SCHEMA_LOGGED,
     IN_IF_GIVEN(config_router_t, max_submission_rate),
     .minimum = 1,
     .maximum = LIMIT_RATE,
     .sentence = "in place of routing.max_submission_rate"},
    {.name = "agent_reservation",
     .type = SCHEMA_BOOLEAN,
     .reload = SCHEMA_LOGGED,
     IN(config_router_t, agent_reservation),
     .standard = "false",
     .sentence = "shares a strategy with other routers; the router must announce it too"},
};

static const schema_key_t s_applications[] = {
    {.name = "timeout",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LOGGED,
     FIELD(service_timeout_ms),
     .standard = "30s",
     .minimum = 10,
     .maximum = LIMIT_SERVICE_TIMEOUT_MS,
     .sentence = "how long a request may take, unless the call, its server or its cluster says"},
    {.name = "max_requests",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     FIELD(service_max_requests),
     .standard = "20000",
     .minimum = 1,
     .maximum = 1000000,
     .sentence = "most requests without an answer; beyond it calls hear BUSY"},
    {.name = "max_requests_per_router",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     FIELD(service_max_requests_per_router),
     .standard = "10000",
     .minimum = 1,
     .maximum = 1000000,
     .sentence = "the same of one router"},
    {.name = "max_size",
     .type = SCHEMA_SIZE,
     .reload = SCHEMA_LOGGED,
     FIELD(service_max_size),
     .standard = "256MiB",
     .minimum = MIB,
     .maximum = 64 * GIB,
     .sentence = "parameters and results in memory; beyond it calls hear BUSY"},
    {.name = "max_attempts",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     FIELD(service_max_attempts),
     .standard = "3",
     .minimum = 1,
     .maximum = 100,
     .sentence = "servers that may be lost with a safe request before its router hears a fault"},
    {.name = "window_size",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     FIELD(service_window),
     .standard = "100",
     .minimum = 1,
     .maximum = LIMIT_SERVICE_WINDOW,
     .sentence = "most requests that one server has at once"},
    {.name = "queue_size",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     FIELD(service_queue),
     .standard = "1000",
     .minimum = 1,
     .maximum = 1000000,
     .sentence = "most requests that wait for one server; beyond it calls hear BUSY"},
    {.name = "breaker_failures",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     FIELD(service_breaker_failures),
     .standard = "5",
     .minimum = 1,
     .maximum = 1000000,
     .sentence = "a server that fails so often in a row gets nothing for a while"},
    {.name = "breaker_pause",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LOGGED,
     FIELD(service_breaker_pause_ms),
     .standard = "10s",
     .minimum = 10,
     .maximum = DAY,
     .sentence = "after this it gets one request, and what becomes of that decides"},
};

static const char *const s_types[] = {"any",    "classification", "email",       "sms",
                                      "social", "chat",           "third_party", NULL};

static const schema_key_t s_servers[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .reload = SCHEMA_LOGGED,
     .required = true,
     IN(config_application_t, name),
     .sentence = "name of the application server, as it registers"},
    {.name = "type",
     .type = SCHEMA_CHOICE,
     .reload = SCHEMA_LOGGED,
     IN(config_application_t, type),
     .choices = s_types,
     .sentence = "what it must register as; any: as it says"},
    {.name = "services",
     .type = SCHEMA_NAMES,
     .reload = SCHEMA_LOGGED,
     IN(config_application_t, services),
     .maximum = LIMIT_SERVICES,
     .sentence = "what it offers; counts instead of what it says"},
    {.name = "window_size",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     IN_AS(config_application_t, window, has_window),
     .minimum = 1,
     .maximum = LIMIT_SERVICE_WINDOW,
     .sentence = "in place of applications.window_size"},
    {.name = "queue_size",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     IN_AS(config_application_t, queue, has_queue),
     .minimum = 1,
     .maximum = 1000000,
     .sentence = "in place of applications.queue_size"},
    {.name = "timeout",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LOGGED,
     IN_AS(config_application_t, timeout_ms, has_timeout_ms),
     .minimum = 10,
     .maximum = LIMIT_SERVICE_TIMEOUT_MS,
     .sentence = "in place of applications.timeout, of calls that name this server"},
};

static const schema_key_t s_clusters[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .reload = SCHEMA_LOGGED,
     .required = true,
     IN(config_cluster_t, name),
     .sentence = "name of the cluster, as strategies call it"},
    {.name = "members",
     .type = SCHEMA_NAMES,
     .reload = SCHEMA_LOGGED,
     .required = true,
     IN(config_cluster_t, members),
     .maximum = LIMIT_CLUSTER,
     .sentence = "names of application servers; a cluster has no clusters in it"},
    {.name = "queue_size",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     IN_AS(config_cluster_t, queue, has_queue),
     .minimum = 1,
     .maximum = 1000000,
     .sentence = "most requests that wait for a member; absent: the sum of theirs"},
    {.name = "timeout",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LOGGED,
     IN_AS(config_cluster_t, timeout_ms, has_timeout_ms),
     .minimum = 10,
     .maximum = LIMIT_SERVICE_TIMEOUT_MS,
     .sentence = "in place of applications.timeout, of calls that name this cluster"},
};

static const schema_key_t s_strategies[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .reload = SCHEMA_LOGGED,
     .required = true,
     IN(config_strategy_t, name),
     .sentence = "the strategy, stored or brought by routers"},
    {.name = "tenant",
     .type = SCHEMA_NAME,
     .reload = SCHEMA_LOGGED,
     IN(config_strategy_t, tenant),
     .standard = "default",
     .sentence = "one of `tenants`"},
    {.name = "max_submitted_interactions",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     IN_IF_GIVEN(config_strategy_t, max_submitted_interactions),
     .minimum = 0,
     .maximum = LIMIT_INTERACTIONS,
     .sentence = "most interactions under it at once, over all routers; 0 stops it"},
    {.name = "max_submission_rate",
     .type = SCHEMA_RATE,
     .reload = SCHEMA_LOGGED,
     IN_IF_GIVEN(config_strategy_t, max_submission_rate),
     .minimum = 1,
     .maximum = LIMIT_RATE,
     .sentence = "most interactions in any such time, over all routers"},
};

static const schema_key_t s_agents[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .reload = SCHEMA_LOGGED,
     .required = true,
     IN(config_agent_t, name),
     .sentence = "an agent that routers may reserve"},
    {.name = "tenant",
     .type = SCHEMA_NAME,
     .reload = SCHEMA_LOGGED,
     IN(config_agent_t, tenant),
     .standard = "default",
     .sentence = "one of `tenants`"},
};

static const schema_key_t s_routing[] = {
    {.name = "timeout",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LOGGED,
     FIELD(routing_timeout_ms),
     .standard = "720min",
     .minimum = 100,
     .maximum = 30 * DAY,
     .sentence = "a router that keeps an interaction for longer loses it: back to its queue"},
    {.name = "hold_timeout",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LOGGED,
     FIELD(hold_timeout_ms),
     .standard = "30d",
     .minimum = SECOND,
     .maximum = 3650 * DAY,
     .sentence = "a held interaction is resumed by itself after this time"},
    {.name = "max_router_attempts",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     FIELD(max_router_attempts),
     .standard = "5",
     .minimum = 1,
     .maximum = 1000,
     .sentence = "an interaction that fails this often at one step is quarantined"},
    {.name = "max_submitted_interactions",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     FIELD(max_submitted_interactions),
     .standard = "1000",
     .minimum = 0,
     .maximum = 50000,
     .sentence = "most interactions with one router at once; 0: none are sent to any"},
    {.name = "max_submission_rate",
     .type = SCHEMA_RATE,
     .reload = SCHEMA_LOGGED,
     IN_IF_GIVEN(config_t, max_submission_rate),
     .minimum = 1,
     .maximum = LIMIT_RATE,
     .sentence = "most interactions to one router in any such time; absent: no limit"},
    {.name = "reservation_time",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LOGGED,
     FIELD(reservation_time_ms),
     .standard = "10s",
     .minimum = 1,
     .maximum = DAY,
     .sentence = "how long an agent is reserved when a router does not say for how long"},
    {.name = "request_collection_time",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LOGGED,
     FIELD(request_collection_time_ms),
     .standard = "100ms",
     .minimum = 0,
     .maximum = 10 * SECOND,
     .sentence = "while several ask for one agent: how long they are collected before one wins"},
    {.name = "reject_subsequent_request",
     .type = SCHEMA_BOOLEAN,
     .reload = SCHEMA_LOGGED,
     FIELD(reject_subsequent_request),
     .standard = "true",
     .sentence = "false: who has an agent reserved may ask again and so prolong it"},
};

static const schema_key_t s_dedupe[] = {
    {.name = "window",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LOGGED,
     FIELD(dedupe_window_ms),
     .standard = "10min",
     .minimum = 35 * SECOND,
     .maximum = 30 * DAY,
     .sentence = "how long a completed interaction's key still answers a repeated submit"},
    {.name = "guaranteed",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LOGGED,
     FIELD(dedupe_guaranteed_ms),
     .standard = "1min",
     .minimum = 35 * SECOND,
     .maximum = 30 * DAY,
     .sentence = "never remembered for less, submits hear BUSY; clients retry for up to 30s"},
    {.name = "max_keys",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     FIELD(dedupe_max_keys),
     .standard = "4000000",
     .minimum = 1,
     .maximum = 1000000000,
     .sentence = "most keys of completed interactions in memory"},
};

static const schema_key_t s_clients[] = {
    {.name = "heartbeat",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LIVE,
     FIELD(heartbeat_ms),
     .standard = "1s",
     .minimum = 100,
     .maximum = MINUTE,
     .sentence = "asked of clients; one that is silent for three times as long is gone"},
};

static const schema_key_t s_limits[] = {
    {.name = "max_interactions",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LOGGED,
     FIELD(max_interactions),
     .standard = "10000000",
     .minimum = 1,
     .maximum = LIMIT_INTERACTIONS,
     .sentence = "most unfinished interactions; beyond it submits hear BUSY"},
    {.name = "max_attributes_size",
     .type = SCHEMA_SIZE,
     .reload = SCHEMA_LOGGED,
     FIELD(max_attributes_size),
     .standard = "256KiB",
     .minimum = KIB,
     .maximum = LIMIT_ATTRIBUTES,
     .sentence = "largest attributes of one interaction, as JSON text"},
    {.name = "max_clients",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_LIVE,
     FIELD(max_clients),
     .standard = "10000",
     .minimum = 1,
     .maximum = LIMIT_SESSIONS,
     .sentence = "most clients registered at once"},
    {.name = "max_unfinished_size",
     .type = SCHEMA_SIZE,
     .reload = SCHEMA_LIVE,
     FIELD(max_unfinished_size),
     .standard = "64MiB",
     .minimum = LIMIT_PACKET,
     .maximum = 16 * GIB,
     .sentence = "decided but not yet durable work, in memory; beyond it clients hear BUSY"},
};

static const schema_key_t s_journal[] = {
    {.name = "retention",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LIVE,
     FIELD(journal_retention_ms),
     .standard = "1h",
     .minimum = SECOND,
     .maximum = 365 * DAY,
     .sentence = "how long rows of ixn.journal stay once the checkpoint has passed them"},
    {.name = "retention_size",
     .type = SCHEMA_SIZE,
     .reload = SCHEMA_LIVE,
     FIELD(journal_retention_size),
     .standard = "1GiB",
     .minimum = MIB,
     .maximum = TIB,
     .sentence = "bytes of such rows; the oldest go first when there are more"},
};

static const schema_key_t s_checkpoint[] = {
    {.name = "interval",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LIVE,
     FIELD(checkpoint_interval_ms),
     .standard = "1s",
     .minimum = 50,
     .maximum = MINUTE,
     .sentence = "how often changed rows are written to the public tables"},
    {.name = "max_lag_size",
     .type = SCHEMA_SIZE,
     .reload = SCHEMA_LIVE,
     FIELD(checkpoint_max_lag_size),
     .standard = "256MiB",
     .minimum = LIMIT_BATCH,
     .maximum = TIB,
     .sentence = "journal that the tables may be behind; beyond it clients hear BUSY"},
};

static const schema_key_t s_history[] = {
    {.name = "retention",
     .type = SCHEMA_DURATION,
     .reload = SCHEMA_LIVE,
     FIELD(history_retention_ms),
     .standard = "90d",
     .minimum = DAY,
     .maximum = 3650 * DAY,
     .sentence = "how long completed interactions stay in ixn.interaction_history"},
};

static const schema_key_t s_admin[] = {
    {.name = "endpoint",
     .type = SCHEMA_ENDPOINT,
     .reload = SCHEMA_RESTART,
     FIELD(admin_endpoint),
     .standard = "tcp://127.0.0.1:7430",
     .sentence =
         "where the admin port listens: tcp://HOST:PORT; other than loopback needs `tokens`"},
    {.name = "tokens",
     .type = SCHEMA_PATH,
     .reload = SCHEMA_RESTART,
     FIELD(admin_tokens),
     .sentence = "file of lines ROLE NAME TOKEN, mode 0600; absent: who reaches the port may all"},
    {.name = "certificate",
     .type = SCHEMA_PATH,
     .reload = SCHEMA_RESTART,
     FIELD(admin_certificate),
     .sentence = "the port's certificate (PEM), for TLS; with `private_key`"},
    {.name = "private_key",
     .type = SCHEMA_PATH,
     .reload = SCHEMA_RESTART,
     FIELD(admin_private_key),
     .sentence = "the certificate's key (PEM)"},
    {.name = "max_connections",
     .type = SCHEMA_INTEGER,
     .reload = SCHEMA_RESTART,
     FIELD(admin_max_connections),
     .standard = "256",
     .minimum = 8,
     .maximum = 10000,
     .sentence = "beyond it a new connection takes the place of the one idle for longest"},
};

static const char *const s_log_levels[] = {
    [LOG_LEVEL_DEBUG] = "debug",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_ERROR] = "error",
    NULL,
};

static const schema_key_t s_log[] = {
    {.name = "level",
     .type = SCHEMA_CHOICE,
     .reload = SCHEMA_LIVE,
     FIELD(log_level),
     .standard = "info",
     .choices = s_log_levels,
     .sentence = "lines below this level are dropped"},
};

#define KEYS(array) .keys = (array), .keys_len = COUNT(array)
#define LIST(member, type)                                                                         \
    .list = true, .items_offset = offsetof(config_t, member),                                      \
    .len_offset = offsetof(config_t, member##_len), .item_size = sizeof(type)

const schema_section_t schema_sections[SCHEMA_SECTIONS] = {
    [SCHEMA_TOP] = {.name = "",
                    .path = "the file",
                    .sentence = "sections such as node and database"},
    [SCHEMA_NODE] = {.name = "node", .path = "node", KEYS(s_node), .sentence = "this node"},
    [SCHEMA_PAIR] = {.name = "pair",
                     .path = "pair",
                     .optional = true,
                     .present_offset = offsetof(config_t, has_peer),
                     KEYS(s_pair),
                     .sentence = "the other node; absent: this one is alone"},
    [SCHEMA_DATABASE] = {.name = "database",
                         .path = "database",
                         KEYS(s_database),
                         .sentence = "the pair's database in PostgreSQL"},
    [SCHEMA_DAPS] = {.name = "daps",
                     .path = "database.daps",
                     .parent = SCHEMA_DATABASE,
                     LIST(daps, config_dap_t),
                     .min_items = 1,
                     .max_items = 16,
                     KEYS(s_daps),
                     .sentence = "database access points: ways to reach the one database"},
    [SCHEMA_TENANTS] = {.name = "tenants",
                        .path = "tenants",
                        LIST(tenants, config_tenant_t),
                        .min_items = 1,
                        .max_items = 1000,
                        .standard_item = "default",
                        KEYS(s_tenants),
                        .sentence = "whose interactions are kept apart"},
    [SCHEMA_QUEUES] = {.name = "queues",
                       .path = "queues",
                       LIST(queues, config_queue_t),
                       .max_items = 10000,
                       KEYS(s_queues),
                       .sentence = "where interactions wait"},
    [SCHEMA_ROUTERS] = {.name = "routers",
                        .path = "routers",
                        LIST(routers, config_router_t),
                        .max_items = 10000,
                        KEYS(s_routers),
                        .sentence = "routers with settings of their own; others may connect too"},
    [SCHEMA_APPLICATIONS] = {.name = "applications",
                             .path = "applications",
                             KEYS(s_applications),
                             .sentence = "what routers ask of application servers"},
    [SCHEMA_SERVERS] = {.name = "servers",
                        .path = "applications.servers",
                        .parent = SCHEMA_APPLICATIONS,
                        LIST(applications, config_application_t),
                        .max_items = 1000,
                        KEYS(s_servers),
                        .sentence = "application servers with settings of their own; others may "
                                    "connect too"},
    [SCHEMA_CLUSTERS] = {.name = "clusters",
                         .path = "clusters",
                         LIST(clusters, config_cluster_t),
                         .max_items = 1000,
                         KEYS(s_clusters),
                         .sentence = "application servers that are called by one name"},
    [SCHEMA_STRATEGIES] = {.name = "strategies",
                           .path = "strategies",
                           LIST(strategies, config_strategy_t),
                           .max_items = LIMIT_STRATEGIES,
                           KEYS(s_strategies),
                           .sentence = "limits of single strategies; others have none"},
    [SCHEMA_AGENTS] = {.name = "agents",
                       .path = "agents",
                       LIST(agents, config_agent_t),
                       .max_items = LIMIT_AGENTS,
                       KEYS(s_agents),
                       .sentence = "agents that routers may reserve; operators may add others"},
    [SCHEMA_ROUTING] = {.name = "routing",
                        .path = "routing",
                        KEYS(s_routing),
                        .sentence = "how interactions go to routers"},
    [SCHEMA_DEDUPE] = {.name = "dedupe",
                       .path = "dedupe",
                       KEYS(s_dedupe),
                       .sentence = "memory that keeps a repeated submit from making a second one"},
    [SCHEMA_CLIENTS] = {.name = "clients",
                        .path = "clients",
                        KEYS(s_clients),
                        .sentence = "connections of clients"},
    [SCHEMA_LIMITS] = {.name = "limits",
                       .path = "limits",
                       KEYS(s_limits),
                       .sentence = "bounds that protect the node"},
    [SCHEMA_JOURNAL] = {.name = "journal",
                        .path = "journal",
                        KEYS(s_journal),
                        .sentence = "the durable log of decisions"},
    [SCHEMA_CHECKPOINT] = {.name = "checkpoint",
                           .path = "checkpoint",
                           KEYS(s_checkpoint),
                           .sentence = "the tables that show the state"},
    [SCHEMA_HISTORY] = {.name = "history",
                        .path = "history",
                        KEYS(s_history),
                        .sentence = "completed interactions"},
    [SCHEMA_ADMIN] = {.name = "admin",
                      .path = "admin",
                      .optional = true,
                      .present_offset = offsetof(config_t, has_admin),
                      KEYS(s_admin),
                      .sentence = "the operator's HTTP port; absent: there is none"},
    [SCHEMA_LOG] = {.name = "log", .path = "log", KEYS(s_log), .sentence = "what the node writes"},
};

_Static_assert(LIMIT_ATTRIBUTES >= 256 * 1024, "the default of max_attributes_size is allowed");
_Static_assert(LIMIT_BATCH <= 256 * 1024 * 1024, "the default of max_lag_size is allowed");
_Static_assert(LIMIT_PACKET <= 64 * 1024 * 1024, "the default of max_unfinished_size is allowed");

const char *schema_reload_name(schema_reload_t reload)
{
    static const char *const names[] = {"unsaid", "live", "logged", "restart"};
    return names[reload];
}

size_t schema_items_len(const schema_section_t *section, const config_t *config)
{
    if (!section->list)
        return 1;
    size_t len;
    memcpy(&len, (const char *)config + section->len_offset, sizeof len);
    return len;
}

const void *schema_item(const schema_section_t *section, const config_t *config, size_t item)
{
    CHECK(item < schema_items_len(section, config));
    if (!section->list)
        return config;
    const char *items;
    memcpy(&items, (const char *)config + section->items_offset, sizeof items);
    return items + item * section->item_size;
}

bool schema_is_present(const schema_section_t *section, const config_t *config)
{
    if (!section->optional)
        return true;
    bool present;
    memcpy(&present, (const char *)config + section->present_offset, sizeof present);
    return present;
}

const schema_key_t *schema_find_key(const schema_section_t *section, text_t name)
{
    for (size_t i = 0; i < section->keys_len; i++) {
        if (text_equal(text_of(section->keys[i].name), name))
            return &section->keys[i];
    }
    return NULL;
}

schema_section_id_t schema_find_section(schema_section_id_t parent, text_t name)
{
    for (schema_section_id_t id = SCHEMA_TOP + 1; id < SCHEMA_SECTIONS; id++) {
        const schema_section_t *section = &schema_sections[id];
        if (section->parent == parent && text_equal(text_of(section->name), name))
            return id;
    }
    return SCHEMA_TOP;
}

bool schema_is_given(const schema_key_t *key, const void *item)
{
    const char *field = (const char *)item + key->offset;
    if (key->given_offset != SCHEMA_NOWHERE) {
        bool given;
        memcpy(&given, (const char *)item + key->given_offset, sizeof given);
        return given;
    }
    if (!key->standard && !key->required)
        return *field != 0; /* text that may be absent */
    return true;
}
