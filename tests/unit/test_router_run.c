/* One run of a strategy: its API, its outcomes, its errors. */
#include "tests/unit/router_script.h"

#include <stdlib.h>

Test(router_run, place)
{
    vm_t *vm = script_vm();
    run_t *run = script_start(vm,
                              "interaction:set{category = 'billing', score = 1.5, n = 1}\n"
                              "interaction:remove('draft')\n"
                              "place('support', {priority = 5, reason = 'because'})\n"
                              "error('never')",
                              "{\"draft\":true}");
    cr_assert_eq(run->outcome, RUN_PLACED, "%s", run->reason);
    cr_assert_str_eq(run->queue, "support");
    cr_assert_str_eq(run->reason, "because");
    cr_assert_eq(run->line, 3);
    cr_assert(run->has_priority);
    cr_assert_eq(run->priority, 5);
    char *set;
    size_t len;
    cr_assert(run_changes_text(run, &set, &len));
    json_t *changes = json_loadb(set, len, 0, NULL);
    cr_assert_str_eq(json_string_value(json_object_get(changes, "category")), "billing");
    cr_assert(json_is_integer(json_object_get(changes, "n")));
    cr_assert_eq(json_real_value(json_object_get(changes, "score")), 1.5);
    cr_assert(json_object_get(run->changes.remove, "draft"));
    json_decref(changes);
    free(set);
    run_destroy(&run);
    vm_destroy(&vm);
}

Test(router_run, fields)
{
    vm_t *vm = script_vm();
    script_stops(vm,
                 "local i = interaction\n"
                 "stop(table.concat({i.id, i.queue, i.media_type, i.type, i.external_id,\n"
                 "  i.priority, i.attempt, i.tenant, i.strategy, i.submitted_at,\n"
                 "  tostring(i.received_at)}, '|'))",
                 "{}",
                 "01020304-0506-0708-090a-0b0c0d0e0f10|inbound|email||<1@example.org>|7|2|default|"
                 "test|1700000000.5|nil");
    script_fails(vm, "stop(interaction.subject)", "test.lua:1: an interaction has no \"subject\"");
    script_fails(vm, "interaction.queue = 'x'", "test.lua:1: an interaction's fields cannot");
    vm_destroy(&vm);
}

Test(router_run, attributes_as_tables)
{
    vm_t *vm = script_vm();
    script_stops(vm,
                 "local a = interaction.attributes\n"
                 "local names = {}\n"
                 "for name in pairs(a) do names[#names + 1] = name end\n"
                 "table.sort(names)\n"
                 "assert(a.nothing == null and a.absent == nil and a.deep.list[2] == null)\n"
                 "assert(#a.deep.list == 3 and a.deep.list[3] == 'x')\n"
                 "assert(math.type(a.one) == 'integer' and math.type(a.half) == 'float')\n"
                 "stop(table.concat(names, ',') .. ' ' .. tostring(a.nothing))",
                 "{\"one\":1,\"half\":0.5,\"nothing\":null,\"yes\":true,"
                 "\"deep\":{\"list\":[1,null,\"x\"]}}",
                 "deep,half,nothing,one,yes null");
    script_fails(vm, "interaction.attributes.x = 1", "changed with interaction:set{x = …}");
    script_stops(vm, "interaction:set{x = {1, 2}}; stop(tostring(interaction.attributes.x[2]))",
                 "{}", "2");
    script_stops(vm, "interaction:remove('x'); stop(tostring(interaction.attributes.x))",
                 "{\"x\":1}", "nil");
    vm_destroy(&vm);
}

Test(router_run, sleep_and_save)
{
    vm_t *vm = script_vm();
    run_t *run = script_start(vm,
                              "sleep(0.25)\n"
                              "interaction:set{a = 1}\n"
                              "local done, why = pcall(interaction.save, interaction)\n"
                              "interaction:save()\n"
                              "interaction:set{b = 1}\n"
                              "interaction:save()\n"
                              "stop(why)",
                              "{}");
    cr_assert_eq(run->outcome, RUN_SLEEPS);
    cr_assert_eq(run->sleep_us, 250000);
    cr_assert_eq(run_resume(run, NULL), RUN_SAVES);
    run_changes_clear(run);
    error_t refusal = {ERROR_TOO_LARGE, "too much"};
    /* Nothing is left to save, so the second save() does not wait. */
    cr_assert_eq(run_resume(run, &refusal), RUN_SAVES, "%s", run->reason);
    run_changes_clear(run);
    cr_assert_eq(run_resume(run, NULL), RUN_STOPPED, "%s", run->reason);
    cr_assert_str_eq(run->reason, "save: TOO_LARGE: too much");
    run_destroy(&run);
    vm_destroy(&vm);
}

Test(router_run, save_refused_is_an_error_with_a_line)
{
    vm_t *vm = script_vm();
    run_t *run = script_start(vm, "\ninteraction:set{a = 1}\ninteraction:save()\nstop()", "{}");
    error_t refusal = {ERROR_TOO_LARGE, "too much"};
    cr_assert_eq(run_resume(run, &refusal), RUN_FAILED);
    cr_assert_str_eq(run->reason, "test.lua:3: save: TOO_LARGE: too much");
    run_destroy(&run);
    vm_destroy(&vm);
}

Test(router_run, no_result_is_an_error)
{
    vm_t *vm = script_vm();
    script_fails(vm, "", "test.lua: the script ended without place() or stop()");
    script_fails(vm, "return 'support'", "ended without place() or stop()");
    vm_destroy(&vm);
}

Test(router_run, errors_have_file_line_and_trace)
{
    vm_t *vm = script_vm();
    script_fails(vm,
                 "local function pick(a)\n  return a.b.c\nend\n"
                 "local x = pick(interaction.attributes)\nstop(x)",
                 "test.lua:2: attempt to index a nil value (field 'b')");
    script_fails(vm,
                 "local function pick(a)\n  local x = a.b.c\n  return x\nend\n"
                 "local x = pick(interaction.attributes)\nstop(x)",
                 "[pick test.lua:2 < main test.lua:5]");
    script_fails(vm, "error('plain', 0)", "test.lua:1: plain");
    script_fails(vm, "error({code = 1})", "test.lua:1: an error that is a table value");
    script_fails(vm, "error()", "test.lua:1: an error that is a nil value");
    script_fails(vm, "error(17)", "test.lua:1: error 17");
    script_fails(vm, "error(setmetatable({}, {__tostring = function() while true do end end}))",
                 "an error that is a table value");
    script_fails(vm, "error('bad \\xff\\n\\0 byte', 0)", "test.lua:1: bad ? ");
    script_fails(vm, "error(string.rep('ä', 1000))", "test.lua:1: ää");
    vm_destroy(&vm);
}

Test(router_run, wrong_arguments)
{
    vm_t *vm = script_vm();
    script_fails(vm, "place()", "test.lua:1: queue must be text, this is a nil");
    script_fails(vm, "place('')", "test.lua:1: queue");
    script_fails(vm, "place(string.rep('q', 65))", "test.lua:1: queue");
    script_fails(vm, "place('a\\0b')", "queue must not contain zero bytes");
    script_fails(vm, "place('a\\xffb')", "test.lua:1: queue");
    script_fails(vm, "place('q', {priority = 1.5})", "priority must be a whole number");
    script_fails(vm, "place('q', {priority = 1000001})", "priority must be a whole number");
    script_fails(vm, "place('q', {prio = 1})", "place has no option \"prio\"");
    script_fails(vm, "stop(string.rep('r', 256))", "test.lua:1: reason");
    script_fails(vm, "stop('a\\nb')", "test.lua:1: reason");
    script_fails(vm, "sleep(-1)", "test.lua:1: sleep takes 0 to");
    script_fails(vm, "sleep(0/0)", "test.lua:1: sleep takes 0 to");
    script_fails(vm, "sleep('soon')", "number expected");
    script_fails(vm, "interaction.set({a = 1})", "test.lua:1: bad argument");
    script_fails(vm, "interaction:set('a', 1)", "test.lua:1: bad argument");
    script_fails(vm, "interaction:set{1, 2}", "the name of an attribute must be text");
    script_fails(vm, "for i = 1, 300 do interaction:remove('n' .. i) end", "more than 256");
    vm_destroy(&vm);
}

Test(router_run, syntax_error_names_file_and_line)
{
    vm_t *vm = script_vm();
    error_t error = {0};
    int code = 0;
    cr_assert_not(vm_load(vm, "bad.lua", TEXT("local x = 1\nif x then\n"), &code, &error));
    cr_assert(strstr(error.text, "bad.lua:2:") || strstr(error.text, "bad.lua:3:"), "%s",
              error.text);
    cr_assert_not(vm_load(vm, "bytecode.lua", TEXT("\x1bLua"), &code, &error));
    cr_assert(strstr(error.text, "attempt to load a binary chunk"), "%s", error.text);
    vm_destroy(&vm);
}

/* ---- service.call ---- */

#include "apps/ixn-router/parts/calling.h"

static void s_answer_call(run_t *run, const char *result, const char *fault)
{
    Ixn__V1__ServiceFailure failure = IXN__V1__SERVICE_FAILURE__INIT;
    Ixn__V1__ServiceResult body = IXN__V1__SERVICE_RESULT__INIT;
    body.server = "app-1";
    if (fault) {
        failure.code = (char *)(uintptr_t)fault;
        failure.text = "said so";
        body.outcome_case = IXN__V1__SERVICE_RESULT__OUTCOME_FAULT;
        body.fault = &failure;
    } else {
        body.outcome_case = IXN__V1__SERVICE_RESULT__OUTCOME_RESULT;
        body.result = (ProtobufCBinaryData){strlen(result), (uint8_t *)(uintptr_t)result};
    }
    calling_answered(run, &body);
    run_resume_call(run);
}

Test(router_run, service_call_waits_for_its_result)
{
    vm_t *vm = script_vm();
    run_t *run = script_start(vm,
                              "local r, by = service.call{type = 'classification', service = 'c',\n"
                              "  method = 'm', parameters = {text = 'x', n = 1}, timeout = 2.5,\n"
                              "  safe = true}\n"
                              "stop(r.label .. ' by ' .. by)",
                              "{}");
    cr_assert_eq(run->outcome, RUN_CALLS, "%s", run->reason);
    cr_assert_eq(run->call->target, CALL_BY_TYPE);
    cr_assert_eq(run->call->type, 1);
    cr_assert_str_eq(run->call->service, "c");
    cr_assert_str_eq(run->call->method, "m");
    cr_assert(strstr(run->call->parameters, "\"n\":1"));
    cr_assert_eq(run->call->timeout_ms, 2500);
    cr_assert(run->call->safe);
    s_answer_call(run, "{\"label\":\"fork\"}", NULL);
    cr_assert_eq(run->outcome, RUN_STOPPED, "%s", run->reason);
    cr_assert_str_eq(run->reason, "fork by app-1");
    run_destroy(&run);
    vm_destroy(&vm);
}

Test(router_run, service_call_raises_faults_that_a_script_can_catch)
{
    vm_t *vm = script_vm();
    run_t *run = script_start(
        vm,
        "local ok, e = pcall(service.call, {server = 'fax-1', service = 'fax'})\n"
        "local again = service.call{cluster = 'fax', service = 'fax'}\n"
        "stop(tostring(ok) .. '|' .. e.code .. '|' .. e.text .. '|' .. e.server .. '|' ..\n"
        "  tostring(e) .. '|' .. again.n)",
        "{}");
    cr_assert_eq(run->outcome, RUN_CALLS, "%s", run->reason);
    uint64_t first = run->call->number;
    s_answer_call(run, NULL, "NO_PAPER");
    cr_assert_eq(run->outcome, RUN_CALLS, "%s", run->reason);
    cr_assert_neq(run->call->number, first, "another key for another call");
    cr_assert_eq(run->call->target, CALL_BY_CLUSTER);
    s_answer_call(run, "{\"n\":3}", NULL);
    cr_assert_eq(run->outcome, RUN_STOPPED, "%s", run->reason);
    cr_assert_str_eq(run->reason, "false|NO_PAPER|said so|app-1|NO_PAPER: said so|3");
    run_destroy(&run);
    vm_destroy(&vm);
}

Test(router_run, a_fault_that_is_not_caught_says_where_and_what)
{
    vm_t *vm = script_vm();
    run_t *run =
        script_start(vm, "local x = 1\nservice.call{server = 's', service = 'x'}\nstop()", "{}");
    s_answer_call(run, NULL, "TIMED_OUT");
    cr_assert_eq(run->outcome, RUN_FAILED);
    cr_assert_str_eq(run->reason, "test.lua:2: TIMED_OUT: said so");
    run_destroy(&run);
    vm_destroy(&vm);
}

Test(router_run, service_call_refuses_what_makes_no_sense)
{
    vm_t *vm = script_vm();
    script_fails(vm, "service.call{service = 'x'}", "needs one of type, server and cluster");
    script_fails(vm, "service.call{server = 'a', cluster = 'b', service = 'x'}", "needs one of");
    script_fails(vm, "service.call{server = 'a'}", "needs a service");
    script_fails(vm, "service.call{type = 'fax', service = 'x'}", "type must be classification");
    script_fails(vm, "service.call{server = 'a', service = 'x', timeout = 0}", "timeout is");
    script_fails(vm, "service.call{server = 'a', service = 'x', tiemout = 1}",
                 "no option \"tiemout\"");
    script_fails(vm, "service.call{server = 'a', service = 'x', parameters = {1, 2}}",
                 "not a list");
    script_fails(vm, "service.call = nil", "service");
    vm_destroy(&vm);
}
