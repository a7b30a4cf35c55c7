#include "apps/ixn-router/parts/calling.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixn-router/parts/sandbox.h"
#include "apps/ixn-router/parts/value.h"
#include "core/base/alloc.h"
#include "core/wire/wire.h"

/* ---- Arguments ---- */

/* Text that goes into a request, checked as the node will check it. */
static void s_read_text(lua_State *lua, const char *field, size_t least, char out[LIMIT_NAME + 1])
{
    size_t len;
    if (lua_type(lua, -1) != LUA_TSTRING)
        luaL_error(lua, "%s must be text, this is a %s", field, luaL_typename(lua, -1));
    const char *text = lua_tolstring(lua, -1, &len);
    error_t problem = {0};
    if (strlen(text) != len)
        luaL_error(lua, "%s must not contain zero bytes", field);
    if (!wire_check_text(field, text, least, LIMIT_NAME, &problem))
        luaL_error(lua, "%s", problem.text);
    memcpy(out, text, len + 1);
}

static void s_read_type(lua_State *lua, run_call_t *call)
{
    static const char *const types[] = {"classification", "email", "sms",
                                        "social",         "chat",  "third_party"};
    s_read_text(lua, "type", 1, call->name);
    call->target = CALL_BY_TYPE;
    for (call->type = 1; call->type <= 6; call->type++)
        if (strcmp(types[call->type - 1], call->name) == 0)
            return;
    luaL_error(lua, "type must be classification, email, sms, social, chat or third_party");
}

static void s_read_timeout(lua_State *lua, run_call_t *call)
{
    int is_number = 0;
    double seconds = lua_tonumberx(lua, -1, &is_number);
    if (!is_number || !(seconds > 0 && seconds * 1000 <= LIMIT_SERVICE_TIMEOUT_MS))
        luaL_error(lua, "timeout is a number of seconds above 0, at most %d",
                   LIMIT_SERVICE_TIMEOUT_MS / 1000);
    call->timeout_ms = (uint32_t)(seconds * 1000);
    if (call->timeout_ms == 0)
        call->timeout_ms = 1;
}

static void s_read_parameters(lua_State *lua, run_t *run)
{
    if (lua_type(lua, -1) != LUA_TTABLE)
        luaL_error(lua, "parameters must be a table, this is a %s", luaL_typename(lua, -1));
    value_reader_t reader = {.name = "parameters", .room = LIMIT_SERVICE_TEXT};
    error_t problem;
    json_t *value = value_read(lua, lua_gettop(lua), &reader, &problem);
    if (!value)
        luaL_error(lua, "%s", problem.text);
    bool is_object = json_is_object(value);
    char *text = is_object
                     ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(reader.exact ? 17 : 15))
                     : NULL;
    json_decref(value);
    if (!text)
        luaL_error(lua, "parameters must be a table with names, not a list");
    free(run->call->parameters);
    run->call->parameters = text;
    if (strlen(text) > LIMIT_SERVICE_TEXT)
        luaL_error(lua, "parameters have more than %d bytes", LIMIT_SERVICE_TEXT);
}

/* The value on top of the stack is that of the option. Returns whether it names the target. */
static bool s_read_option(lua_State *lua, run_t *run, const char *name)
{
    run_call_t *call = run->call;
    if (strcmp(name, "type") == 0) {
        s_read_type(lua, call);
        return true;
    }
    bool server = strcmp(name, "server") == 0;
    if (server || strcmp(name, "cluster") == 0) {
        s_read_text(lua, name, 1, call->name);
        call->target = server ? CALL_BY_SERVER : CALL_BY_CLUSTER;
        return true;
    }
    if (strcmp(name, "service") == 0)
        s_read_text(lua, "service", 1, call->service);
    else if (strcmp(name, "method") == 0)
        s_read_text(lua, "method", 0, call->method);
    else if (strcmp(name, "parameters") == 0)
        s_read_parameters(lua, run);
    else if (strcmp(name, "timeout") == 0)
        s_read_timeout(lua, call);
    else if (strcmp(name, "safe") == 0 && lua_isboolean(lua, -1))
        call->safe = lua_toboolean(lua, -1);
    else if (strcmp(name, "safe") == 0)
        luaL_error(lua, "safe must be true or false");
    else
        luaL_error(lua,
                   "service.call has no option \"%s\"; it knows type, server, cluster, service, "
                   "method, parameters, timeout and safe",
                   name);
    return false;
}

static void s_read_options(lua_State *lua, run_t *run)
{
    if (!run->call)
        run->call = memory_zero(1, sizeof *run->call);
    run_call_t *call = run->call;
    free(call->parameters);
    json_decref(call->result);
    *call = (run_call_t){.number = call->number};
    call->parameters = memory_text("{}");
    int targets = 0;
    for (lua_pushnil(lua); lua_next(lua, 1); lua_settop(lua, 2)) {
        const char *name = lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "?";
        targets += s_read_option(lua, run, name);
    }
    if (targets != 1)
        luaL_error(lua, "service.call needs one of type, server and cluster");
    if (!call->service[0])
        luaL_error(lua, "service.call needs a service");
}

/* ---- The call ---- */

static int s_raise(lua_State *lua, const run_call_t *call)
{
    static const char *const names[] = {"where", "code", "text"};
    lua_createtable(lua, 3, 4);
    luaL_where(lua, 1);
    lua_pushstring(lua, call->fault);
    lua_pushstring(lua, call->text);
    for (int i = 3; i > 0; i--) { /* by number, too: for who must not allocate (run.c) */
        lua_pushvalue(lua, -1);
        lua_setfield(lua, -3 - (i - 1), names[i - 1]);
        lua_rawseti(lua, -1 - i, i);
    }
    lua_pushstring(lua, call->server);
    lua_setfield(lua, -2, "server");
    luaL_setmetatable(lua, CALLING_FAULT);
    return lua_error(lua);
}

static int s_called(lua_State *lua, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    const run_call_t *call = run_of(lua)->call;
    if (!call->result)
        return s_raise(lua, call);
    value_push(lua, call->result);
    lua_pushstring(lua, call->server);
    return 2;
}

/* service.call{type|server|cluster = …, service = …, …}: the result and who gave it. */
static int s_call(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 1);
    run_t *run = run_of(lua);
    s_read_options(lua, run);
    if (!lua_isyieldable(lua))
        return luaL_error(lua, "service.call cannot wait inside a sort or a gsub");
    run->call->number++;
    run->outcome = RUN_CALLS;
    return lua_yieldk(lua, 0, 0, s_called);
}

static int s_fault_text(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_settop(lua, 1);
    lua_pushstring(lua, "where");
    lua_rawget(lua, 1);
    lua_pushstring(lua, "code");
    lua_rawget(lua, 1);
    lua_pushstring(lua, "text");
    lua_rawget(lua, 1);
    lua_pushfstring(lua, "%s%s: %s", lua_isstring(lua, 2) ? lua_tostring(lua, 2) : "",
                    lua_isstring(lua, 3) ? lua_tostring(lua, 3) : "?",
                    lua_isstring(lua, 4) ? lua_tostring(lua, 4) : "");
    return 1;
}

void calling_open(lua_State *lua)
{
    luaL_newmetatable(lua, CALLING_FAULT);
    lua_pushcfunction(lua, s_fault_text);
    lua_setfield(lua, -2, "__tostring");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 1);
    lua_createtable(lua, 0, 1);
    lua_pushcfunction(lua, s_call);
    lua_setfield(lua, -2, "call");
    sandbox_lock(lua, "service");
    lua_setfield(lua, -2, "service");
}

/* ---- What comes of it ---- */

bool calling_is_key(const run_t *run, ProtobufCBinaryData key)
{
    return run->call && key.len == sizeof run->call->number &&
           memcmp(key.data, &run->call->number, sizeof run->call->number) == 0;
}

void calling_failed(run_t *run, const char *code, const char *text)
{
    json_decref(run->call->result);
    run->call->result = NULL;
    snprintf(run->call->fault, sizeof run->call->fault, "%s", code);
    snprintf(run->call->text, sizeof run->call->text, "%s", text);
    wire_clean_text(run->call->text);
}

void calling_answered(run_t *run, const Ixn__V1__ServiceResult *result)
{
    run_call_t *call = run->call;
    snprintf(call->server, sizeof call->server, "%s", result->server);
    if (result->outcome_case == IXN__V1__SERVICE_RESULT__OUTCOME_FAULT) {
        calling_failed(run, result->fault->code, result->fault->text);
        return;
    }
    json_error_t problem;
    json_decref(call->result);
    call->result = json_loadb((const char *)result->result.data, result->result.len, 0, &problem);
    if (!call->result)
        calling_failed(run, "BAD_RESULT", problem.text);
}
