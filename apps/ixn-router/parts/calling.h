/* Calling: service.call{…} of a script: asks an application server and waits for what comes of it.
 */
#ifndef IXN_ROUTER_CALLING_H
#define IXN_ROUTER_CALLING_H

#include "apps/ixn-router/parts/run.h"
#include "core/wire/client.pb-c.h"

/* Name of the metatable of faults: tables with `code`, `text`, `server` and `where`. */
#define CALLING_FAULT "service.fault"

/* Puts `service` into the table on top of the stack. */
void calling_open(lua_State *lua);

/* What came of the run's call, before it is resumed. */
bool calling_is_key(const run_t *run, ProtobufCBinaryData key);
void calling_answered(run_t *run, const Ixn__V1__ServiceResult *result);
void calling_failed(run_t *run, const char *code, const char *text);

#endif
