/* Helpers of the router's tests: a VM, one strategy from a text, one run of it. */
#ifndef IXN_TESTS_ROUTER_SCRIPT_H
#define IXN_TESTS_ROUTER_SCRIPT_H

#include <criterion/criterion.h>
#include <string.h>

#include "apps/ixn-router/parts/run.h"
#include "apps/ixn-router/parts/vm.h"

#define SCRIPT_MEMORY ((size_t)16 * 1024 * 1024)
#define SCRIPT_INSTRUCTIONS 100000

static inline vm_t *script_vm(void)
{
    error_t error = {0};
    vm_options_t options = {.memory_limit = SCRIPT_MEMORY, .instructions = SCRIPT_INSTRUCTIONS};
    vm_t *vm = vm_new(&options, &error);
    cr_assert(vm, "%s", error.text);
    return vm;
}

static inline work_t *script_work(const char *attributes)
{
    uint8_t id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    Ixn__V1__Interaction interaction = IXN__V1__INTERACTION__INIT;
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    Ixn__V1__Route route = IXN__V1__ROUTE__INIT;
    token.epoch = 3;
    token.index = 1201;
    interaction.interaction_id = (ProtobufCBinaryData){sizeof id, id};
    interaction.tenant = "default";
    interaction.queue = "inbound";
    interaction.media_type = "email";
    interaction.external_id = "<1@example.org>";
    interaction.priority = 7;
    interaction.submitted_at_us = 1700000000500000;
    interaction.attributes = (ProtobufCBinaryData){strlen(attributes), (uint8_t *)attributes};
    route.token = &token;
    route.strategy = "test";
    route.attempt = 2;
    route.interaction = &interaction;
    work_t *work = work_new(&route);
    cr_assert(work);
    return work;
}

/* Compiles and does the first step. */
static inline run_t *script_start(vm_t *vm, const char *source, const char *attributes)
{
    error_t error = {0};
    int code = 0;
    cr_assert(vm_load(vm, "test.lua", text_of(source), &code, &error), "%s", error.text);
    run_t *run = run_new(vm, script_work(attributes));
    run_start(run, code);
    vm_unload(vm, code); /* what has started keeps its code */
    return run;
}

/* The whole run of a script is one failed step whose reason contains `expected`. */
static inline void script_fails(vm_t *vm, const char *source, const char *expected)
{
    run_t *run = script_start(vm, source, "{}");
    cr_assert_eq(run->outcome, RUN_FAILED, "outcome %d of: %s", run->outcome, source);
    cr_assert(strstr(run->reason, expected), "\"%s\" is not in \"%s\"", expected, run->reason);
    run_destroy(&run);
}

/* The whole run of a script stops with exactly this reason. */
static inline void script_stops(vm_t *vm, const char *source, const char *attributes,
                                const char *expected)
{
    run_t *run = script_start(vm, source, attributes);
    cr_assert_eq(run->outcome, RUN_STOPPED, "outcome %d (%s) of: %s", run->outcome, run->reason,
                 source);
    cr_assert_str_eq(run->reason, expected);
    run_destroy(&run);
}

#endif
