/* Value: between JSON (jansson) and the values of a script.
 *
 *   JSON                Lua
 *   object              table with string keys; key order is not kept
 *   array               table 1 … n that is marked as an array (so an empty one stays one)
 *   string              string, the same bytes
 *   1, -7               integer
 *   1.5, 1.0, 1e3       float
 *   true, false         boolean
 *   null                the value `null` (a table cannot hold nil); it is not false
 *
 * The way back: a table with the keys 1 … n is an array, one with string keys is an object, an
 * empty one is an object unless it is marked (`array{}`). Everything else is refused with the name
 * of the attribute: NaN and infinities, bytes that are not UTF-8, U+0000, functions, holes, mixed
 * keys, tables with a metatable of the script's own, too deep, too large, contained in itself.
 * Metamethods are never called.
 */
#ifndef IXN_ROUTER_VALUE_H
#define IXN_ROUTER_VALUE_H

#include <jansson.h>
#include <lua.h>

#include "core/base/error.h"

/* Makes `null` and the mark of arrays known to the state. Raises Lua errors. */
void value_open(lua_State *lua);
void value_push_null(lua_State *lua);
/* Lua function `array(table)`: marks the table as an array and returns it. */
int value_array(lua_State *lua);

/* Pushes one value. Raises a Lua error when memory is out; `value` still belongs to the caller. */
void value_push(lua_State *lua, const json_t *value);

typedef struct {
    const char *name; /* of the attribute, for errors */
    size_t room;      /* bytes of JSON that may still be made; taken from */
    bool exact;       /* set when a float needs 17 digits to come back equal, 15 do otherwise */
} value_reader_t;

/* The value at `index` as JSON (caller owns it), or NULL and INVALID_ATTRIBUTES. Raises nothing. */
json_t *value_read(lua_State *lua, int index, value_reader_t *reader, error_t *ret_error);

#endif
