#include "apps/ixn-router/parts/value.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/limits.h"

/* Their addresses are keys of the registry. */
static const char s_null_key, s_array_key;

static int s_null_text(lua_State *lua)
{
    lua_pushliteral(lua, "null");
    return 1;
}

/* Scripts can neither read nor change a metatable that has this field. */
static void s_lock_metatable(lua_State *lua)
{
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
}

void value_open(lua_State *lua)
{
    lua_newuserdatauv(lua, 0, 0);
    lua_newtable(lua);
    lua_pushcfunction(lua, s_null_text);
    lua_setfield(lua, -2, "__tostring");
    lua_pushliteral(lua, "null");
    lua_setfield(lua, -2, "__name");
    s_lock_metatable(lua);
    lua_setmetatable(lua, -2);
    lua_rawsetp(lua, LUA_REGISTRYINDEX, &s_null_key);

    lua_newtable(lua);
    lua_pushliteral(lua, "array");
    lua_setfield(lua, -2, "__name");
    s_lock_metatable(lua);
    lua_rawsetp(lua, LUA_REGISTRYINDEX, &s_array_key);
}

void value_push_null(lua_State *lua)
{
    lua_rawgetp(lua, LUA_REGISTRYINDEX, &s_null_key);
}

static bool s_is_null(lua_State *lua, int index)
{
    lua_rawgetp(lua, LUA_REGISTRYINDEX, &s_null_key);
    bool is = lua_rawequal(lua, -1, index);
    lua_pop(lua, 1);
    return is;
}

int value_array(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    if (lua_getmetatable(lua, 1))
        return luaL_argerror(lua, 1, "this table has a metatable already");
    lua_settop(lua, 1);
    lua_rawgetp(lua, LUA_REGISTRYINDEX, &s_array_key);
    lua_setmetatable(lua, 1);
    return 1;
}

static void s_push_array(lua_State *lua, const json_t *value)
{
    size_t len = json_array_size(value);
    lua_createtable(lua, (int)len, 0);
    lua_rawgetp(lua, LUA_REGISTRYINDEX, &s_array_key);
    lua_setmetatable(lua, -2);
    for (size_t i = 0; i < len; i++) {
        value_push(lua, json_array_get(value, i));
        lua_rawseti(lua, -2, (lua_Integer)i + 1);
    }
}

static void s_push_object(lua_State *lua, const json_t *value)
{
    /* Iterating writes nothing; jansson's signature lacks the const. */
    json_t *object = (json_t *)(uintptr_t)value;
    lua_createtable(lua, 0, (int)json_object_size(value));
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        lua_pushlstring(lua, json_object_iter_key(at), json_object_iter_key_len(at));
        value_push(lua, json_object_iter_value(at));
        lua_rawset(lua, -3);
    }
}

void value_push(lua_State *lua, const json_t *value)
{
    luaL_checkstack(lua, 4, "nested too deep");
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        s_push_object(lua, value);
        break;
    case JSON_ARRAY:
        s_push_array(lua, value);
        break;
    case JSON_STRING:
        lua_pushlstring(lua, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        lua_pushinteger(lua, json_integer_value(value));
        break;
    case JSON_REAL:
        lua_pushnumber(lua, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(lua, json_is_true(value));
        break;
    case JSON_NULL:
        value_push_null(lua);
        break;
    }
}

/* ---- From a script to JSON ---- */

static json_t *s_read(lua_State *lua, int index, value_reader_t *reader, size_t depth,
                      error_t *ret_error);

static json_t *s_refused(const value_reader_t *reader, error_t *ret_error, const char *what)
{
    error_set(ret_error, ERROR_INVALID_ATTRIBUTES, "attribute \"%.64s\": %s", reader->name, what);
    return NULL;
}

/* Every byte is counted before it is made: a table that contains another twice, which contains
 * another twice …, is small in Lua and endless as text. */
static bool s_take(value_reader_t *reader, size_t size, error_t *ret_error)
{
    if (size > reader->room) {
        s_refused(reader, ret_error, "larger than attributes may be (1 MiB); shorten it");
        return false;
    }
    reader->room -= size;
    return true;
}

static json_t *s_read_number(lua_State *lua, int index, value_reader_t *reader, error_t *ret_error)
{
    if (lua_isinteger(lua, index))
        return json_integer(lua_tointeger(lua, index));
    double number = lua_tonumber(lua, index);
    if (!isfinite(number))
        return s_refused(reader, ret_error, "NaN and infinities do not exist in JSON");
    char text[40];
    snprintf(text, sizeof text, "%.15g", number);
    if (strtod(text, NULL) != number)
        reader->exact = true;
    return json_real(number);
}

static json_t *s_read_string(lua_State *lua, int index, value_reader_t *reader, error_t *ret_error)
{
    size_t len;
    const char *bytes = lua_tolstring(lua, index, &len);
    if (!s_take(reader, len, ret_error))
        return NULL;
    if (memchr(bytes, '\0', len))
        return s_refused(reader, ret_error, "text with U+0000 cannot be stored; remove it");
    json_t *text = json_stringn(bytes, len);
    return text ? text : s_refused(reader, ret_error, "the text is not valid UTF-8");
}

typedef enum { SHAPE_OBJECT, SHAPE_ARRAY, SHAPE_REFUSED } shape_t;

/* What the keys of the table make of it, and how many there are. */
static shape_t s_shape(lua_State *lua, int index, size_t *ret_len, const char **ret_problem)
{
    bool marked = false;
    if (lua_getmetatable(lua, index)) {
        lua_rawgetp(lua, LUA_REGISTRYINDEX, &s_array_key);
        marked = lua_rawequal(lua, -1, -2);
        lua_pop(lua, 2);
        if (!marked) {
            *ret_problem = "a table with a metatable cannot be stored; copy what it holds";
            return SHAPE_REFUSED;
        }
    }
    size_t names = 0, places = 0, others = 0;
    lua_Integer highest = 0;
    for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1)) {
        if (lua_type(lua, -2) == LUA_TSTRING)
            names++;
        else if (lua_isinteger(lua, -2) && lua_tointeger(lua, -2) >= 1)
            places++;
        else
            others++;
        if (lua_isinteger(lua, -2) && lua_tointeger(lua, -2) > highest)
            highest = lua_tointeger(lua, -2);
    }
    *ret_len = names + places;
    if (names + others == 0 && (places > 0 || marked) && (size_t)highest == places)
        return SHAPE_ARRAY;
    if (places + others == 0 && !marked)
        return SHAPE_OBJECT;
    *ret_problem = names + others > 0
                       ? "the keys of a table must be all names (an object) or all 1 … n (an array)"
                       : "an array needs the positions 1 … n without holes (null can fill one)";
    return SHAPE_REFUSED;
}

static bool s_read_member(lua_State *lua, json_t *object, value_reader_t *reader, size_t depth,
                          error_t *ret_error)
{
    size_t len;
    const char *name = lua_tolstring(lua, -2, &len);
    if (!s_take(reader, len + 4, ret_error))
        return false;
    json_t *value = s_read(lua, lua_gettop(lua), reader, depth + 1, ret_error);
    if (!value)
        return false;
    /* Takes the value over in any case. */
    if (json_object_setn_new(object, name, len, value) != 0 || memchr(name, '\0', len)) {
        s_refused(reader, ret_error, "a name in it is not valid UTF-8");
        return false;
    }
    return true;
}

static json_t *s_read_table(lua_State *lua, int index, value_reader_t *reader, size_t depth,
                            error_t *ret_error)
{
    if (depth >= LIMIT_ATTRIBUTES_DEPTH || !lua_checkstack(lua, 6))
        return s_refused(reader, ret_error, "nested deeper than 64, or a table contains itself");
    size_t len = 0;
    const char *problem = NULL;
    shape_t shape = s_shape(lua, index, &len, &problem);
    if (shape == SHAPE_REFUSED)
        return s_refused(reader, ret_error, problem);
    if (!s_take(reader, 2, ret_error))
        return NULL;
    if (shape == SHAPE_OBJECT) {
        json_t *object = json_object();
        for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1)) {
            if (s_read_member(lua, object, reader, depth, ret_error))
                continue;
            lua_pop(lua, 2);
            json_decref(object);
            return NULL;
        }
        return object;
    }
    json_t *array = json_array();
    for (size_t i = 1; i <= len; i++) {
        lua_rawgeti(lua, index, (lua_Integer)i);
        json_t *value = s_read(lua, lua_gettop(lua), reader, depth + 1, ret_error);
        lua_pop(lua, 1);
        if (!value) {
            json_decref(array);
            return NULL;
        }
        json_array_append_new(array, value);
    }
    return array;
}

static json_t *s_read(lua_State *lua, int index, value_reader_t *reader, size_t depth,
                      error_t *ret_error)
{
    if (!s_take(reader, 2, ret_error))
        return NULL;
    switch (lua_type(lua, index)) {
    case LUA_TNUMBER:
        return s_read_number(lua, index, reader, ret_error);
    case LUA_TSTRING:
        return s_read_string(lua, index, reader, ret_error);
    case LUA_TBOOLEAN:
        return json_boolean(lua_toboolean(lua, index));
    case LUA_TTABLE:
        return s_read_table(lua, index, reader, depth, ret_error);
    default:
        break;
    }
    if (s_is_null(lua, index))
        return json_null();
    char what[80];
    snprintf(what, sizeof what, "a %s cannot be stored", luaL_typename(lua, index));
    return s_refused(reader, ret_error, what);
}

json_t *value_read(lua_State *lua, int index, value_reader_t *reader, error_t *ret_error)
{
    if (!lua_checkstack(lua, 6))
        return s_refused(reader, ret_error, "nested too deep");
    /* The members of the attributes are one level deep already. */
    return s_read(lua, lua_absindex(lua, index), reader, 1, ret_error);
}
