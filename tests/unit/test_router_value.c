/* Values of scripts as JSON: what is stored as what, and what is refused. */
#include "tests/unit/router_script.h"

#include <stdlib.h>

/* What `interaction:set{v = EXPRESSION}` sends. */
static void stores(const char *expression, const char *expected)
{
    vm_t *vm = script_vm();
    char source[1000];
    snprintf(source, sizeof source, "interaction:set{v = %s} stop('x')", expression);
    run_t *run = script_start(vm, source, "{\"given\":{\"empty\":[],\"list\":[1],\"map\":{}}}");
    cr_assert_eq(run->outcome, RUN_STOPPED, "%s: %s", expression, run->reason);
    char *set;
    size_t len;
    cr_assert(run_changes_text(run, &set, &len));
    char wanted[1000];
    snprintf(wanted, sizeof wanted, "{\"v\":%s}", expected);
    cr_assert_str_eq(set, wanted);
    free(set);
    run_destroy(&run);
    vm_destroy(&vm);
}

static void refuses(const char *expression, const char *why)
{
    vm_t *vm = script_vm();
    char source[1000];
    snprintf(source, sizeof source, "interaction:set{good = 1, v = %s} stop('x')", expression);
    run_t *run = script_start(vm, source, "{}");
    cr_assert_eq(run->outcome, RUN_FAILED, "%s", expression);
    cr_assert(strstr(run->reason, why), "%s: \"%s\" is not in \"%s\"", expression, why,
              run->reason);
    cr_assert(strstr(run->reason, "test.lua:1: attribute \"v\""), "%s", run->reason);
    /* All or nothing. */
    cr_assert_null(run->changes.set);
    run_destroy(&run);
    vm_destroy(&vm);
}

Test(router_value, numbers)
{
    stores("1", "1");
    stores("-7", "-7");
    stores("math.maxinteger", "9223372036854775807");
    stores("1.5", "1.5");
    stores("1.0", "1.0");
    stores("0.1", "0.1");
    stores("1/3", "0.33333333333333331");
    stores("1e300", "1e300");
    refuses("0/0", "NaN and infinities");
    refuses("1/0", "NaN and infinities");
    refuses("{deep = {-1/0}}", "NaN and infinities");
}

Test(router_value, texts)
{
    stores("'ä \"q\" \\n'", "\"ä \\\"q\\\" \\n\"");
    stores("''", "\"\"");
    refuses("'\\xff'", "not valid UTF-8");
    refuses("'\\xed\\xa0\\x80'", "not valid UTF-8");
    refuses("'a\\0b'", "U+0000");
    refuses("{['\\xff'] = 1}", "not valid UTF-8");
    refuses("{['a\\0b'] = 1}", "not valid UTF-8");
}

Test(router_value, tables)
{
    stores("{}", "{}");
    stores("array{}", "[]");
    stores("{1, 'a', true, null}", "[1,\"a\",true,null]");
    stores("{{}, {a = {}}}", "[{},{\"a\":{}}]");
    stores("interaction.attributes.given.empty", "[]");
    stores("interaction.attributes.given.list", "[1]");
    stores("interaction.attributes.given.map", "{}");
    stores("null", "null");
    stores("false", "false");
    refuses("{1, a = 2}", "all names (an object) or all 1 … n");
    refuses("{[1] = 1, [3] = 3}", "without holes");
    refuses("{[2^53] = 1}", "without holes");
    refuses("{[0] = 1}", "all names");
    refuses("{[1.5] = 1}", "all names");
    refuses("{[true] = 1}", "all names");
    refuses("array{a = 1}", "all names");
}

Test(router_value, other_types)
{
    refuses("pairs", "a function cannot be stored");
    refuses("interaction", "cannot be stored");
    refuses("{pairs}", "a function cannot be stored");
}

Test(router_value, metatables)
{
    refuses("setmetatable({}, {})", "metatable");
    refuses("{a = setmetatable({}, {__pairs = function() while true do end end})}", "metatable");
    refuses("setmetatable({}, {__index = function() error('called') end})", "metatable");
}

Test(router_value, endless)
{
    refuses("(function() local t = {} t.t = t return t end)()", "contains itself");
    refuses("(function() local t = {} for i = 1, 63 do t = {t} end return t end)()", "deeper");
    refuses("(function() local t = {1} for i = 1, 60 do t = {t, t} end return t end)()",
            "larger than attributes may be");
    refuses("string.rep('x', 1024 * 1024)", "larger than attributes may be");
}

Test(router_value, deepest)
{
    vm_t *vm = script_vm();
    script_stops(vm,
                 "local t = {} for i = 1, 62 do t = {t} end interaction:set{v = t} stop('fits')",
                 "{}", "fits");
    /* Fits as values, but not as text: every byte of it is escaped. */
    script_fails(vm, "interaction:set{v = string.rep('\\1', 1000000)} stop('x')",
                 "changed attributes have 6000");
    script_fails(vm, "interaction:set{['\\xff'] = 1}", "an attribute's name must be");
    script_fails(vm, "interaction:set{[''] = 1}", "an attribute's name must be");
    vm_destroy(&vm);
}

Test(router_value, broken_attributes)
{
    vm_t *vm = script_vm();
    run_t *run = script_start(vm, "stop(interaction.attributes.x)", "{\"x\":");
    cr_assert_eq(run->outcome, RUN_FAILED);
    cr_assert(strstr(run->reason, "test.lua:1: the attributes cannot be read"), "%s", run->reason);
    run_destroy(&run);
    vm_destroy(&vm);
}
