/* The watchdog, and what a waiting run costs. */
#include "tests/unit/router_script.h"

#include "apps/ixn-router/parts/jobs.h"
#include "apps/ixn-router/parts/watchdog.h"

/* One call of the library that would backtrack for years; no hook can interrupt it. */
#define HANG "('a'):rep(60):find(('a*'):rep(30) .. 'b') stop('x')"

Test(router_watchdog, ends_a_hung_process, .exit_code = WATCHDOG_EXIT, .timeout = 300)
{
    error_t error = {0};
    cr_assert(watchdog_start(400, &error), "%s", error.text);
    vm_t *vm = script_vm();
    script_start(vm, HANG, "{}");
    cr_assert_fail("the step came back");
}

/* Many steps, each of them short, are not one long step. */
Test(router_watchdog, leaves_busy_processes_alone, .timeout = 300)
{
    error_t error = {0};
    cr_assert(watchdog_start(40, &error), "%s", error.text);
    vm_t *vm = script_vm();
    run_t *run = script_start(vm, "while true do for i = 1, 1000 do end sleep(0) end", "{}");
    for (int i = 0; i < 20000; i++)
        cr_assert_eq(run_resume(run, NULL), RUN_SLEEPS);
    run_destroy(&run);
    vm_destroy(&vm);
}

Test(router_watchdog, waiting_runs_are_small)
{
    enum { MANY = 5000 };
    vm_t *vm = script_vm();
    static run_t *runs[MANY];
    size_t before = vm->heap.used;
    for (size_t i = 0; i < MANY; i++) {
        runs[i] = script_start(vm, "sleep(1) stop('x')", "{}");
        cr_assert_eq(runs[i]->outcome, RUN_SLEEPS, "%s", runs[i]->reason);
    }
    /* Each has compiled its own copy of the strategy here, which a router would not. */
    lua_gc(vm->lua, LUA_GCCOLLECT);
    size_t each = (vm->heap.used - before) / MANY;
    cr_assert_lt(each, 2000, "a waiting run takes %zu bytes of the scripts' memory", each);
    cr_assert_lt(sizeof(run_t) + sizeof(job_t), 512);
    for (size_t i = 0; i < MANY; i++) {
        run_resume(runs[i], NULL);
        run_destroy(&runs[i]);
    }
    lua_gc(vm->lua, LUA_GCCOLLECT);
    /* The registry keeps its slots. */
    cr_assert_lt(vm->heap.used, before + MANY * 100);
    vm_destroy(&vm);
}
