#include "apps/ixn-router/parts/vm.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "apps/ixn-router/parts/api.h"
#include "apps/ixn-router/parts/sandbox.h"
#include "apps/ixn-router/parts/value.h"
#include "core/base/alloc.h"
#include "core/base/check.h"

/* Its address is the key of the environment in the registry. */
static const char s_environment_key;

/* Every use of the state is protected, so this is never reached by what a script does. */
static int s_panic(lua_State *lua)
{
    bool is_protected = lua == NULL;
    CHECK(is_protected);
    return 0;
}

static int s_open(lua_State *lua)
{
    value_open(lua);
    sandbox_push(lua);
    api_open(lua);
    lua_pop(lua, 1);
    lua_rawsetp(lua, LUA_REGISTRYINDEX, &s_environment_key);
    return 0;
}

vm_t *vm_new(const vm_options_t *options, error_t *ret_error)
{
    if (options->memory_limit < VM_MEMORY_LEAST || options->instructions == 0) {
        error_set(ret_error, ERROR_INVALID_ARGUMENT,
                  "scripts need at least %zu bytes of memory and 1 instruction, not %zu and %u",
                  VM_MEMORY_LEAST, options->memory_limit, options->instructions);
        return NULL;
    }
    vm_t *self = memory_zero(1, sizeof *self);
    heap_init(&self->heap, options->memory_limit);
    self->instructions = options->instructions;
    self->lua = lua_newstate(heap_allocate, &self->heap);
    CHECK(self->lua); /* the state itself takes a few kilobytes */
    lua_atpanic(self->lua, s_panic);
    /* Collect when the heap has grown by half: waiting runs are most of it, and a large pause would
     * keep as much garbage. */
    lua_gc(self->lua, LUA_GCINC, 150, 0, 0);
    lua_pushcfunction(self->lua, s_open);
    int status = lua_pcall(self->lua, 0, 0, 0);
    CHECK(status == LUA_OK);
    return self;
}

void vm_destroy(vm_t **self_p)
{
    if (*self_p)
        lua_close((*self_p)->lua);
    free(*self_p);
    *self_p = NULL;
}

typedef struct {
    const char *name;
    text_t source;
    int code;
} load_t;

static int s_load(lua_State *lua)
{
    load_t *load = lua_touserdata(lua, 1);
    const char *chunk = lua_pushfstring(lua, "@%s", load->name);
    if (luaL_loadbufferx(lua, load->source.data, load->source.len, chunk, "t") != LUA_OK)
        return lua_error(lua);
    lua_rawgetp(lua, LUA_REGISTRYINDEX, &s_environment_key);
    lua_setupvalue(lua, -2, 1);
    load->code = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 0;
}

bool vm_load(vm_t *self, const char *name, text_t source, int *ret_code, error_t *ret_error)
{
    load_t load = {.name = name, .source = source};
    lua_pushcfunction(self->lua, s_load);
    lua_pushlightuserdata(self->lua, &load);
    if (lua_pcall(self->lua, 1, 0, 0) == LUA_OK) {
        *ret_code = load.code;
        return true;
    }
    const char *problem = lua_type(self->lua, -1) == LUA_TSTRING ? lua_tostring(self->lua, -1)
                                                                 : "it cannot be compiled";
    error_set(ret_error, ERROR_CONFIGURATION, "%s", problem);
    lua_pop(self->lua, 1);
    return false;
}

void vm_unload(vm_t *self, int code)
{
    luaL_unref(self->lua, LUA_REGISTRYINDEX, code);
}

static void s_collect(vm_t *self)
{
    lua_gc(self->lua, LUA_GCCOLLECT);
    self->kept = self->heap.used;
}

bool vm_has_room(vm_t *self)
{
    size_t enough = self->heap.limit / 8 * 7;
    if (self->heap.used >= enough)
        s_collect(self);
    return self->heap.used < enough;
}

/* Lua's buffers (string.rep, gsub) do not try again after a collection when they are refused. A
 * sixteenth of new memory between two collections keeps these from being all that is done. */
void vm_tidy(vm_t *self)
{
    const heap_t *heap = &self->heap;
    if (heap->used >= heap->limit / 4 * 3 && heap->used >= self->kept + heap->limit / 16)
        s_collect(self);
}
