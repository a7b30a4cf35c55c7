/* Strategies that try to keep the router's thread, its memory or other runs' data. Every one of
 * them must end as a failed step with a reason, soon, and leave the VM as good as new. */
#include "tests/unit/router_script.h"

#include <time.h>

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static vm_t *s_vm;

static void setup(void)
{
    s_vm = script_vm();
}

/* The VM still works, nothing was left behind in what scripts share, memory comes back. */
static void teardown(void)
{
    script_stops(s_vm,
                 "assert(string.format('%d', 3) == '3' and ('x'):rep(3) == 'xxx' and pcall and\n"
                 "  rawget(string, 'x') == nil and #table.pack(table.unpack{1, 2}) == 2)\n"
                 "stop('well')",
                 "{}", "well");
    cr_assert(vm_has_room(s_vm));
    lua_gc(s_vm->lua, LUA_GCCOLLECT);
    cr_assert_lt(s_vm->heap.used, 200 * 1024, "%zu bytes are left", s_vm->heap.used);
    vm_destroy(&s_vm);
}

TestSuite(router_hostile, .init = setup, .fini = teardown, .timeout = 300);

static void cut(const char *source)
{
    double start = seconds();
    script_fails(s_vm, source, "cut off after");
    cr_assert_lt(seconds() - start, 10, "%s took too long", source);
}

Test(router_hostile, infinite_loops)
{
    cut("while true do end");
    cut("\n\nlocal n = 0\nrepeat n = n + 1 until false");
    cut("::again:: goto again");
    cut("local function f() return f() end f()");
    script_fails(s_vm, "\n\nwhile true do end", "test.lua:3: cut off after 100000 instructions");
}

Test(router_hostile, infinite_loops_in_pcall)
{
    cut("while true do pcall(function() while true do end end) end");
    cut("pcall(function() while true do end end) while true do end");
    cut("pcall(function() while true do end end) stop('got away')");
    cut("local function f() pcall(f) while true do end end f()");
    cut("pcall(pcall, pcall, pcall, function() while true do end end) stop('got away')");
    cut("return pcall(function() while true do end end)");
    /* Where a yield is not possible, the way out is an error that a pcall could catch. */
    cut("table.sort({1, 2, 3}, function() while true do end end)");
    cut("table.sort({1, 2, 3}, function() pcall(function() while true do end end) return true end) "
        "stop('got away')");
    cut("string.gsub('aaa', 'a', function() pcall(function() while true do end end) end) "
        "stop('got away')");
    cut("pcall(string.gsub, 'aaa', 'a', function() while true do end end) stop('got away')");
    cut("tostring(setmetatable({}, {__tostring = function() while true do end end}))");
}

Test(router_hostile, metamethods_and_closing)
{
    cut("local t = setmetatable({}, {__index = function() while true do end end}) stop(t.x)");
    cut("local t = setmetatable({}, {__len = function() while true do end end}) stop(#t)");
    cut("for _ in pairs(setmetatable({}, {__pairs = function() while true do end end})) do end");
    /* What is to be closed when a run fails is not called at all. */
    script_fails(s_vm,
                 "local x <close> = setmetatable({}, {__close = function() while true do end end}) "
                 "error('out')",
                 "test.lua:1: out");
    cut("do local x <close> = setmetatable({}, {__close = function() while true do end end}) end");
    cut("pcall(function() local x <close> = setmetatable({}, {__close = function() "
        "while true do end end}) error('out') end) stop('got away')");
    cut("local x <close> = setmetatable({}, {__close = function() while true do end end}) "
        "while true do end");
    script_fails(s_vm, "setmetatable({}, {__gc = function() end})", "__gc is not available");
    script_fails(s_vm, "setmetatable(interaction, {})", "table expected");
    script_fails(s_vm, "setmetatable(interaction.attributes, {})", "table expected");
    script_fails(s_vm, "setmetatable(string, {})", "cannot change a protected metatable");
    script_fails(s_vm, "getmetatable('').__index = nil", "attempt to index a boolean value");
}

Test(router_hostile, memory)
{
    script_fails(s_vm, "local t = {} for i = 1, 1e9 do t[i] = string.rep(i, 500) end",
                 "not enough memory");
    script_fails(s_vm, "local s = 'x' while true do s = s .. s end", "not enough memory");
    script_fails(s_vm, "string.rep('x', 1e9)", "test.lua:1: not enough memory: scripts may use");
    script_fails(s_vm, "string.rep('x', 1 << 62)", "test.lua:1: resulting string too large");
    script_fails(s_vm, "pcall(string.rep, 'x', 1e8) stop('got away')", "not enough memory");
    script_fails(s_vm, "while true do pcall(string.rep, 'x', 1e8) end", "not enough memory");
    script_fails(s_vm, "return pcall(string.rep, 'x', 1e8)", "not enough memory");
    script_fails(s_vm, "table.concat({string.rep('x', 2000000), string.rep('y', 2000000)})",
                 "not enough memory");
    script_fails(s_vm, "string.format('%s', string.rep('x', 3e6)):rep(2)", "not enough memory");
}

Test(router_hostile, recursion)
{
    script_fails(s_vm, "local function f() return 1 + f() end f()", "test.lua:1: ");
    script_stops(s_vm, "local function f() pcall(f) end f() stop('unharmed')", "{}", "unharmed");
    script_fails(s_vm, "local function f(s) return s:gsub('.', f) end f('x')", "C stack overflow");
    script_fails(s_vm, "local t = setmetatable({}, {}) getmetatable(t).__index = t stop(t.x)",
                 "'__index' chain too long");
    script_fails(s_vm, "error(error)", "an error that is a function value");
}

Test(router_hostile, endless_library_calls)
{
    script_stops(s_vm, "stop(string.rep('', 1 << 62) .. ('').rep('', 1e15, ''))", "{}", "");
    script_fails(s_vm, "table.move({}, 1, 1 << 53, 2)", "table.move of more than");
    script_fails(s_vm, "table.move({}, math.mininteger, math.maxinteger, 2)", "table.move of more");
    script_fails(s_vm,
                 "table.insert(setmetatable({}, {__len = function() return 1 << 53 end}), 1, 1)",
                 "a table without metamethods is needed here");
    script_fails(s_vm, "table.remove(setmetatable({}, {__len = function() return 1 << 53 end}), 1)",
                 "a table without metamethods is needed here");
    script_fails(s_vm, "table.unpack({}, 1, 1e8)", "too many results to unpack");
    script_fails(s_vm, "table.concat({}, '', 1, 1 << 53)", "invalid value (nil) at index 1");
}

/* Few instructions, each of which copies or compares megabytes: the time bound ends them. */
Test(router_hostile, expensive_instructions)
{
    cut("local s = string.rep('x', 1000000) while true do local t = s .. 'y' end");
    cut("local a, b = string.rep('x', 1000000), string.rep('x', 1000000) while a == b do end");
    cut("local s = string.rep('x', 1000000) while true do s:find('y', 1, true) end");
}

Test(router_hostile, what_is_not_there)
{
    static const char *const names[] = {
        "io",         "debug",  "package",   "require",        "load",
        "loadstring", "dofile", "xpcall",    "loadfile",       "rawset",
        "print",      "_G",     "coroutine", "collectgarbage", "warn",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char source[100];
        snprintf(source, sizeof source, "stop(tostring(%s))", names[i]);
        script_fails(s_vm, source, "there is no variable or function");
    }
    script_stops(s_vm,
                 "stop(tostring(os.execute or os.exit or os.getenv or os.remove or os.tmpname or\n"
                 "  string.dump or math.randomseed or os.setlocale or os.rename))",
                 "{}", "nil");
    /* A generator that places: there are no coroutines to hide the yield in. */
    script_fails(s_vm, "coroutine.wrap(function() place('support') end)()",
                 "there is no variable or function \"coroutine\"");
}

Test(router_hostile, nothing_is_shared_between_runs)
{
    script_fails(s_vm, "counter = 1",
                 "\"counter\" is not a local variable; write \"local counter\"");
    script_fails(s_vm, "function helper() end", "\"helper\" is not a local variable");
    script_fails(s_vm, "place = nil", "\"place\" is not a local variable");
    script_fails(s_vm, "string.rep = nil", "\"string.rep\" cannot be assigned");
    script_fails(s_vm, "_ENV.x = 1", "\"x\" is not a local variable");
    script_fails(s_vm, "interaction.set = 1", "cannot be assigned");
    script_stops(s_vm, "local a = array{} stop(tostring(getmetatable(a)))", "{}", "false");
    script_fails(s_vm, "setmetatable(array{}, {})", "cannot change a protected metatable");
    script_fails(s_vm, "array(setmetatable({}, {}))", "has a metatable already");
}

Test(router_hostile, ending_where_it_cannot_wait)
{
    script_fails(s_vm, "table.sort({1, 2}, function() place('q') end)",
                 "test.lua:1: a strategy cannot end inside a sort or a gsub");
    script_fails(s_vm, "('x'):gsub('x', function() sleep(1) end)", "sleep cannot wait inside");
    script_fails(s_vm, "interaction:set{a = 1}; ('x'):gsub('x', function() interaction:save() end)",
                 "save() cannot wait inside");
    /* A pcall cannot keep a script from ending. */
    script_stops(s_vm, "pcall(stop, 'at once') place('q')", "{}", "at once");
}

Test(router_hostile, sleeping_needs_no_end_but_each_step_has_a_budget)
{
    run_t *run = script_start(s_vm, "while true do for i = 1, 20000 do end sleep(0) end", "{}");
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(run->outcome, RUN_SLEEPS, "%s", run->reason);
        cr_assert_eq(run->sleep_us, RUN_SLEEP_LEAST_US);
        run_resume(run, NULL);
    }
    run_destroy(&run);
}

/* One run fills its quarter while others wait; they go on unharmed. */
Test(router_hostile, others_keep_their_memory)
{
    run_t *waiting =
        script_start(s_vm, "local t = {1, 2, 3} sleep(1) stop(table.concat(t, ' '))", "{}");
    script_fails(s_vm, "local t = {} for i = 1, 1e9 do t[i] = string.rep(i, 500) end",
                 "not enough memory");
    cr_assert_eq(run_resume(waiting, NULL), RUN_STOPPED);
    cr_assert_str_eq(waiting->reason, "1 2 3");
    run_destroy(&waiting);
}

/* Many runs that hold memory: starting another fails cleanly, and there is no room. */
Test(router_hostile, full)
{
    enum { MOST = 200 };
    run_t *runs[MOST];
    int len = 0;
    while (len < MOST && vm_has_room(s_vm)) {
        runs[len] = script_start(
            s_vm, "local s = string.rep('x', 300000) sleep(1) stop(s:sub(1, 1))", "{}");
        cr_assert_eq(runs[len]->outcome, RUN_SLEEPS, "%s", runs[len]->reason);
        len++;
    }
    cr_assert(len > 20 && len < MOST, "%d", len);
    for (int i = 0; i < len; i++) {
        cr_assert_eq(run_resume(runs[i], NULL), RUN_STOPPED, "%s", runs[i]->reason);
        run_destroy(&runs[i]);
    }
    cr_assert(vm_has_room(s_vm));
}
