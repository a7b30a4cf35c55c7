/* Engine file: the part of the nodes' configuration files that the engine depends on. */
#ifndef IXN_TESTS_SIM_ENGINE_FILE_H
#define IXN_TESTS_SIM_ENGINE_FILE_H

#include "core/wire/entry.pb-c.h"
#include "tests/sim/options.h"

enum {
    ROUTERS_MAX = 3,
    SERVERS_MAX = 3,
    SERVERS_OF_TYPE = 2, /* of the first type, which routers ask for */
    SERVER_WINDOW = 2,
    AGENTS_MAX = 3,
    STRATEGIES = 2, /* of these names, "classify" and "answer" */
    ROUTING_ATTEMPTS = 10000,
};

extern const char *const engine_file_strategies[STRATEGIES];
extern const char *const engine_file_agents[AGENTS_MAX];
extern const char *const engine_file_cluster; /* of all application servers */
extern const char *const engine_file_services[2];

/* Valid until the next call. */
const Ixn__V1__EngineConfiguration *engine_file_of(const options_t *options);

#endif
