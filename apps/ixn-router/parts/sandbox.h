/* Sandbox: what a strategy can see of Lua.
 *
 * Promises: no files, no processes, no bytecode, no debug, no packages, no garbage collector's
 * knobs, no coroutines of its own, no finalizers; nothing that one run writes can be seen by
 * another: globals and library tables cannot be assigned to, and reading a name that does not exist
 * is an error. Where a library function could loop for ever in C over a length that a metamethod
 * claims, it takes plain tables only.
 */
#ifndef IXN_ROUTER_SANDBOX_H
#define IXN_ROUTER_SANDBOX_H

#include <lua.h>

/* Pushes the two tables of a new environment: what strategies get as globals (read-only), and the
 * table behind it, into which the caller may put more functions. Raises Lua errors. */
void sandbox_push(lua_State *lua);
/* Locks the table at the top of the stack: replaces it by an empty one that reads through to it. */
void sandbox_lock(lua_State *lua, const char *name);

#endif
