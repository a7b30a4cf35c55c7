/* API: what a strategy can do: `interaction`, place, stop, sleep, log (docs/routers.md).
 *
 * Promises: every value that goes into a request was checked here, so that a wrong one is an error
 * with a line of the script and never a broken message.
 */
#ifndef IXN_ROUTER_API_H
#define IXN_ROUTER_API_H

#include <lua.h>

/* Puts the functions into the table at the top of the stack. Raises Lua errors. */
void api_open(lua_State *lua);

#endif
