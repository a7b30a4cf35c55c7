#include "apps/ixn-router/parts/sandbox.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stddef.h>

#include "apps/ixn-router/parts/value.h"

/* table.move over more than this is a mistake or an attack: it is one instruction to the hook. */
#define MOVE_LIMIT 1000000

static const char *const s_base[] = {
    "assert", "error",  "ipairs", "next",     "pairs",    "pcall", "rawequal",
    "rawget", "rawlen", "select", "tonumber", "tostring", "type",  NULL,
};
static const char *const s_os[] = {"clock", "date", "difftime", "time", NULL};
/* Not xpcall: its handler runs while the hook that cuts a script off is not active. */

static int s_refuse_write(lua_State *lua)
{
    const char *name = lua_tostring(lua, lua_upvalueindex(1));
    const char *key = lua_type(lua, 2) == LUA_TSTRING ? lua_tostring(lua, 2) : "?";
    if (*name == '\0')
        return luaL_error(lua,
                          "\"%s\" is not a local variable; write \"local %s\" (globals would be "
                          "shared by all interactions)",
                          key, key);
    return luaL_error(lua, "\"%s.%s\" cannot be assigned: \"%s\" is shared by all strategies", name,
                      key, name);
}

static int s_refuse_read(lua_State *lua)
{
    if (lua_type(lua, 2) != LUA_TSTRING)
        return 0;
    return luaL_error(lua, "there is no variable or function \"%s\" here", lua_tostring(lua, 2));
}

void sandbox_lock(lua_State *lua, const char *name)
{
    lua_newtable(lua);
    lua_createtable(lua, 0, 3);
    lua_pushvalue(lua, -3);
    lua_setfield(lua, -2, "__index");
    lua_pushstring(lua, name);
    lua_pushcclosure(lua, s_refuse_write, 1);
    lua_setfield(lua, -2, "__newindex");
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, -2);
    lua_remove(lua, -2);
}

/* ---- Wrappers: the original function is upvalue 1 ---- */

static int s_call_original(lua_State *lua)
{
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, lua_gettop(lua) - 1, LUA_MULTRET);
    return lua_gettop(lua);
}

static void s_check_plain(lua_State *lua, int index)
{
    if (lua_type(lua, index) != LUA_TTABLE || !lua_getmetatable(lua, index))
        return; /* the original says what is wrong */
    bool is_ours = !luaL_getmetafield(lua, index, "__index") &&
                   !luaL_getmetafield(lua, index, "__newindex") &&
                   !luaL_getmetafield(lua, index, "__len");
    if (!is_ours)
        luaL_argerror(lua, index, "a table without metamethods is needed here");
    lua_pop(lua, 1);
}

static int s_plain_table(lua_State *lua)
{
    s_check_plain(lua, 1);
    return s_call_original(lua);
}

static int s_table_move(lua_State *lua)
{
    s_check_plain(lua, 1);
    s_check_plain(lua, 5);
    lua_Integer first = luaL_checkinteger(lua, 2);
    lua_Integer last = luaL_checkinteger(lua, 3);
    if (last >= first && (lua_Unsigned)last - (lua_Unsigned)first >= MOVE_LIMIT)
        return luaL_error(lua, "table.move of more than %d elements", MOVE_LIMIT);
    return s_call_original(lua);
}

/* Nothing, repeated any number of times, is nothing; the original would count. */
static int s_string_rep(lua_State *lua)
{
    size_t len, separator_len = 0;
    luaL_checklstring(lua, 1, &len);
    luaL_optlstring(lua, 3, "", &separator_len);
    if (len + separator_len == 0) {
        luaL_checkinteger(lua, 2);
        lua_pushliteral(lua, "");
        return 1;
    }
    return s_call_original(lua);
}

/* A finalizer would run in somebody else's time, outside of every bound. */
static int s_setmetatable(lua_State *lua)
{
    if (lua_type(lua, 2) == LUA_TTABLE) {
        lua_pushliteral(lua, "__gc");
        lua_rawget(lua, 2);
        if (!lua_isnil(lua, -1))
            return luaL_argerror(lua, 2, "__gc is not available");
        lua_pop(lua, 1);
    }
    return s_call_original(lua);
}

static void s_wrap(lua_State *lua, const char *name, lua_CFunction wrapper)
{
    lua_getfield(lua, -1, name);
    lua_pushcclosure(lua, wrapper, 1);
    lua_setfield(lua, -2, name);
}

static void s_drop(lua_State *lua, const char *name)
{
    lua_pushnil(lua);
    lua_setfield(lua, -2, name);
}

/* ---- The environment ---- */

static void s_add_library(lua_State *lua, const char *name, lua_CFunction open)
{
    luaL_requiref(lua, name, open, 0);
    if (open == luaopen_string) {
        s_drop(lua, "dump");
        s_wrap(lua, "rep", s_string_rep);
    } else if (open == luaopen_table) {
        s_wrap(lua, "insert", s_plain_table);
        s_wrap(lua, "remove", s_plain_table);
        s_wrap(lua, "sort", s_plain_table);
        s_wrap(lua, "concat", s_plain_table);
        s_wrap(lua, "unpack", s_plain_table);
        s_wrap(lua, "move", s_table_move);
    } else if (open == luaopen_math) {
        s_drop(lua, "randomseed"); /* one generator, seeded at random, for all */
    }
    sandbox_lock(lua, name);
    lua_setfield(lua, -2, name);
}

/* Copies the named functions from the table at the top into the one below it. */
static void s_copy(lua_State *lua, const char *const *names)
{
    for (; *names; names++) {
        lua_getfield(lua, -1, *names);
        lua_setfield(lua, -3, *names);
    }
}

void sandbox_push(lua_State *lua)
{
    lua_newtable(lua);
    luaL_requiref(lua, LUA_GNAME, luaopen_base, 0);
    s_copy(lua, s_base);
    lua_getfield(lua, -1, "getmetatable");
    lua_setfield(lua, -3, "getmetatable");
    s_wrap(lua, "setmetatable", s_setmetatable);
    lua_getfield(lua, -1, "setmetatable");
    lua_setfield(lua, -3, "setmetatable");
    lua_pop(lua, 1);
    s_add_library(lua, LUA_STRLIBNAME, luaopen_string);
    s_add_library(lua, LUA_TABLIBNAME, luaopen_table);
    s_add_library(lua, LUA_MATHLIBNAME, luaopen_math);
    s_add_library(lua, LUA_UTF8LIBNAME, luaopen_utf8);
    lua_newtable(lua);
    luaL_requiref(lua, LUA_OSLIBNAME, luaopen_os, 0);
    s_copy(lua, s_os);
    lua_pop(lua, 1);
    sandbox_lock(lua, LUA_OSLIBNAME);
    lua_setfield(lua, -2, LUA_OSLIBNAME);
    value_push_null(lua);
    lua_setfield(lua, -2, "null");
    lua_pushcfunction(lua, value_array);
    lua_setfield(lua, -2, "array");

    /* The methods of strings are behind a metatable that all strings share. */
    lua_pushliteral(lua, "");
    lua_getmetatable(lua, -1);
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 2);

    lua_newtable(lua);
    lua_pushcfunction(lua, s_refuse_read);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
    lua_pushvalue(lua, -1);
    sandbox_lock(lua, "");
    lua_insert(lua, -2);
}
