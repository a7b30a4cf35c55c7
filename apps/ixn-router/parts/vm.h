/* VM: the one Lua state of a router, with the compiled strategies. Each run (run.h) is a coroutine
 * of it.
 *
 * Promises: source only, never bytecode; memory as heap.h bounds it; nothing here raises a Lua
 * error to the caller, whatever the source is. One thread owns it.
 */
#ifndef IXN_ROUTER_VM_H
#define IXN_ROUTER_VM_H

#include <lua.h>
#include <stdbool.h>

#include "apps/ixn-router/parts/heap.h"
#include "core/base/error.h"
#include "core/base/types.h"

typedef struct {
    size_t memory_limit;   /* bytes, at least VM_MEMORY_LEAST */
    uint32_t instructions; /* of Lua that one step may use, at least 1 */
} vm_options_t;

#define VM_MEMORY_LEAST ((size_t)1024 * 1024)

typedef struct {
    lua_State *lua;
    heap_t heap;
    uint32_t instructions;
    size_t kept; /* bytes in use after the last full collection */
} vm_t;

vm_t *vm_new(const vm_options_t *options, error_t *ret_error);
void vm_destroy(vm_t **self_p); /* after all its runs */

/* Compiles a strategy; `name` is what errors call the file. CONFIGURATION with file and line
 * otherwise. `ret_code` is for run_new and vm_unload; runs that have started keep the code they
 * started with. */
bool vm_load(vm_t *self, const char *name, text_t source, int *ret_code, error_t *ret_error);
void vm_unload(vm_t *self, int code);

/* False when scripts hold so much that no more should be started; collects garbage to find out, so
 * do not ask more than about once a second when it was false. */
bool vm_has_room(vm_t *self);
/* Before a step: where garbage alone could make it fail, collects it. Costs nothing otherwise. */
void vm_tidy(vm_t *self);

#endif
