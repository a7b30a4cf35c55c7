/* Configuration: what an operator may say, as one typed value. Loaded from YAML (config/load.c),
 * checked as a whole (config/check.c), printed back (config/print.c). The keys, their units,
 * defaults and bounds are one table (config/schema.c); config/ixnd.yaml is the annotated example
 * and a test keeps the two in step.
 *
 * Promises: every error names file, line and column, the value, and what is allowed; an unknown key
 * is refused with the nearest known one; a configuration is loaded whole or not at all.
 */
#ifndef IXN_CONFIG_CONFIG_H
#define IXN_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/error.h"
#include "core/base/id.h"
#include "core/base/limits.h"
#include "core/base/types.h"

#define CONFIG_NAME_SIZE (LIMIT_NAME + 1)
#define CONFIG_PATH_SIZE 512
#define CONFIG_CONNINFO_SIZE 1024

/* One way to reach the pair's database. */
typedef struct {
    char name[CONFIG_NAME_SIZE];
    char conninfo[CONFIG_CONNINFO_SIZE]; /* libpq connection string or URI */
    uint32_t weight;                     /* share of the work that is spread; 1 … 100 */
    uint32_t line;                       /* where the file names it; 0: not of a file */
} config_dap_t;

typedef struct {
    char name[CONFIG_NAME_SIZE];
} config_tenant_t;

typedef struct {
    char name[CONFIG_NAME_SIZE];
    char tenant[CONFIG_NAME_SIZE];   /* one of `tenants`; names are unique in it */
    char strategy[CONFIG_NAME_SIZE]; /* empty: nothing routes from here */
    uint32_t max_length;             /* 0: only limits.max_interactions */
} config_queue_t;

/* At most `count` in any interval; 0: no limit. */
typedef struct {
    uint32_t count;
    uint32_t interval_ms;
} config_rate_t;

/* What we say about a router, whatever it says about itself ("annex"). Routers that are not listed
 * may connect all the same. */
typedef struct {
    char name[CONFIG_NAME_SIZE];
    bool has_max_submitted_interactions;
    uint32_t max_submitted_interactions;
    bool has_max_submission_rate;
    config_rate_t max_submission_rate;
    bool agent_reservation;
} config_router_t;

/* A list of names inside an item. */
typedef struct {
    size_t len;
    char names[LIMIT_SERVICES][CONFIG_NAME_SIZE];
} config_names_t;

/* What we say about an application server, whatever it says about itself. Those that are not listed
 * may connect all the same. */
typedef struct {
    char name[CONFIG_NAME_SIZE];
    uint32_t type;           /* number of ApplicationType in the contract; 0: as it registers */
    config_names_t services; /* none: what it says */
    bool has_window;
    uint32_t window;
    bool has_queue;
    uint32_t queue;
    bool has_timeout_ms;
    uint64_t timeout_ms;
} config_application_t;

/* Application servers that are called by one name. */
typedef struct {
    char name[CONFIG_NAME_SIZE];
    config_names_t members; /* of `applications.servers` */
    bool has_queue;
    uint32_t queue;
    bool has_timeout_ms;
    uint64_t timeout_ms;
} config_cluster_t;
/* Limits of one strategy, over all routers together. */
typedef struct {
    char name[CONFIG_NAME_SIZE];
    char tenant[CONFIG_NAME_SIZE];
    bool has_max_submitted_interactions;
    uint32_t max_submitted_interactions;
    bool has_max_submission_rate;
    config_rate_t max_submission_rate;
} config_strategy_t;

/* An agent that routers may reserve. Operators may declare more. */
typedef struct {
    char name[CONFIG_NAME_SIZE];
    char tenant[CONFIG_NAME_SIZE];
} config_agent_t;

/* In the order of the file, not of sizes; there is one of it.
 * NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
typedef struct {
    /* node */
    char node_name[CONFIG_NAME_SIZE];
    char client_endpoint[CONFIG_PATH_SIZE]; /* ZeroMQ endpoint that is bound for clients */
    char state_dir[CONFIG_PATH_SIZE];       /* what this node remembers between starts */
    /* pair: the other node; has_peer is false where the section is absent */
    bool has_peer;
    char peer_bind[CONFIG_PATH_SIZE];        /* ZeroMQ endpoint that is bound for the peer */
    char peer_endpoint[CONFIG_PATH_SIZE];    /* where the peer's is */
    char peer_certificate[CONFIG_PATH_SIZE]; /* file with the pair's key, the same on both nodes */
    bool failover_manual;
    bool preferred;
    uint32_t failover_timeout_ms;
    uint32_t peer_heartbeat_ms;
    uint32_t beat_ms;
    /* database */
    bool has_database_id;
    id128_t database_id; /* optional: the only identity that is accepted */
    config_dap_t *daps;
    size_t daps_len;
    uint32_t connect_timeout_ms;
    uint32_t statement_timeout_ms; /* our own deadline for a statement, also of a frozen server */
    uint32_t hedge_after_ms; /* a commit without an answer for so long: the next DAP is tried too */
    uint32_t retry_after_ms; /* a commit older than this: clients hear RETRY, not silence */
    /* admin: the operator's port; has_admin is false where the section is absent */
    bool has_admin;
    char admin_endpoint[CONFIG_PATH_SIZE];
    char admin_tokens[CONFIG_PATH_SIZE];      /* file of tokens; empty: loopback only, no tokens */
    char admin_certificate[CONFIG_PATH_SIZE]; /* PEM; empty: no TLS */
    char admin_private_key[CONFIG_PATH_SIZE];
    uint32_t admin_max_connections;
    /* journal, checkpoint, history */
    uint64_t journal_retention_ms;
    uint64_t journal_retention_size; /* bytes */
    uint32_t checkpoint_interval_ms;
    uint64_t checkpoint_max_lag_size; /* bytes of journal beyond the checkpoint before BUSY */
    uint64_t history_retention_ms;
    /* engine */
    uint64_t routing_timeout_ms;
    uint64_t hold_timeout_ms;
    uint32_t max_router_attempts;
    uint32_t max_submitted_interactions; /* per router, unless its annex says otherwise */
    bool has_max_submission_rate;
    config_rate_t max_submission_rate; /* per router, unless its annex says otherwise */
    uint64_t reservation_time_ms;
    uint64_t request_collection_time_ms;
    bool reject_subsequent_request;
    uint64_t dedupe_window_ms;
    uint64_t dedupe_guaranteed_ms;
    uint32_t dedupe_max_keys;
    /* limits */
    uint32_t max_interactions;
    uint32_t max_attributes_size; /* bytes */
    uint32_t max_clients;
    uint64_t max_unfinished_size; /* bytes of decided but not yet durable entries before BUSY */
    uint32_t heartbeat_ms;        /* asked of clients; three times as long silent = gone */
    /* tables */
    config_tenant_t *tenants;
    size_t tenants_len;
    config_queue_t *queues;
    size_t queues_len;
    config_router_t *routers;
    size_t routers_len;
    config_application_t *applications;
    size_t applications_len;
    config_cluster_t *clusters;
    size_t clusters_len;
    /* applications */
    uint64_t service_timeout_ms;
    uint32_t service_max_requests;
    uint32_t service_max_requests_per_router;
    uint64_t service_max_size; /* bytes */
    uint32_t service_max_attempts;
    uint32_t service_window;
    uint32_t service_queue;
    uint32_t service_breaker_failures;
    uint64_t service_breaker_pause_ms;
    config_strategy_t *strategies;
    size_t strategies_len;
    config_agent_t *agents;
    size_t agents_len;
    /* log */
    int log_level; /* LOG_LEVEL_… of core/base/log.h */
} config_t;

/* Loads and checks a file. NULL and an error otherwise; the error's text begins with
 * "FILE:LINE:COLUMN: " (CONFIGURATION), or with "FILE: " where the system did not let it be read
 * (SYSTEM). Caller owns the result. */
config_t *config_load(const char *path, error_t *ret_error);
/* The same from memory; `name` stands for the file in errors. (Also what the fuzzer calls.) */
config_t *config_parse(const char *name, const char *text, size_t len, error_t *ret_error);
void config_destroy(config_t **self_p);

/* Prints the effective values as YAML that loads back to an equal configuration; passwords in
 * conninfo are shown as "********". Look at ferror(file) afterwards. */
void config_print(const config_t *self, FILE *file);

/* Prints what is allowed and yet worth knowing, a line each. Returns how many. */
size_t config_notes(const config_t *self, FILE *file);

/* Prints every key with what it may be, its default and what it is for. */
void config_describe(FILE *file);

#endif
