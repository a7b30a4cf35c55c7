/* The engine's part of the configuration: where two of them differ is said with both values. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/configuration.h"

#define HEAD                                                                                       \
    "node: {name: a}\n"                                                                            \
    "database: {daps: [{name: d, conninfo: dbname=ixn}]}\n"

typedef struct {
    config_t *config;
    Ixn__V1__EngineConfiguration *engine;
} parsed_t;

static parsed_t s_parse(const char *rest)
{
    char text[1000];
    error_t error = {0};
    snprintf(text, sizeof text, HEAD "%s", rest);
    config_t *config = config_parse("t.yaml", text, strlen(text), &error);
    cr_assert(config, "%s", error.text);
    return (parsed_t){config, configuration_of(config)};
}

static void s_free(parsed_t *self)
{
    configuration_destroy(&self->engine);
    config_destroy(&self->config);
}

static void s_expect(const char *own, const char *in_force, const char *expected)
{
    char text[300] = "?";
    parsed_t a = s_parse(own);
    parsed_t b = s_parse(in_force);
    bool differs = configuration_difference(a.engine, b.engine, text, sizeof text);
    cr_assert_str_eq(text, expected);
    cr_assert_eq(differs, expected[0] != '\0');
    s_free(&a);
    s_free(&b);
}

Test(configuration, equal_ones_do_not_differ)
{
    s_expect("queues: [{name: in, strategy: s}]\n", "queues: [{name: in, strategy: s}]\n", "");
}

Test(configuration, numbers)
{
    s_expect("routing: {timeout: 1min}\n", "routing: {timeout: 720min}\n",
             "routing_timeout_ms is 60000, in force is 43200000");
    s_expect("routing: {max_router_attempts: 4}\n", "routing: {max_router_attempts: 5}\n",
             "max_router_attempts is 4, in force is 5");
}

Test(configuration, lists)
{
    s_expect("queues: [{name: in}, {name: b, strategy: s}]\n", "queues: [{name: in}, {name: b}]\n",
             "queues number 2 (\"b\") differs from \"b\", which is in force");
    s_expect("queues: [{name: in}]\n", "queues: [{name: in}, {name: b}]\n",
             "queues has 1 elements, in force are 2");
    s_expect("routers: [{name: r, agent_reservation: true}]\n", "routers: [{name: r}]\n",
             "routers number 1 (\"r\") differs from \"r\", which is in force");
}
