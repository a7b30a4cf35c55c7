#include "apps/ixn-router/parts/run.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistr.h>

#include "apps/ixn-router/parts/calling.h"
#include "apps/ixn-router/parts/watchdog.h"
#include "core/base/alloc.h"
#include "core/base/check.h"

/* The hook looks after this many instructions: seldom enough to be cheap, often enough that
 * expensive instructions cannot use up much time in between. */
#define HOOK_EVERY 100
/* Levels of the call stack that a trace names. */
#define TRACE_LEVELS 8

run_t *run_of(lua_State *lua)
{
    return *(run_t **)lua_getextraspace(lua);
}

run_t *run_new(vm_t *vm, work_t *work)
{
    run_t *self = memory_zero(1, sizeof *self);
    self->vm = vm;
    self->work = work;
    self->anchor = LUA_NOREF;
    self->attributes = LUA_NOREF;
    return self;
}

/* The coroutine is left to the collector, never closed: closing would call what the script marked
 * as to be closed, outside of every bound. */
static void s_release(run_t *self)
{
    luaL_unref(self->vm->lua, LUA_REGISTRYINDEX, self->anchor);
    luaL_unref(self->vm->lua, LUA_REGISTRYINDEX, self->attributes);
    self->anchor = self->attributes = LUA_NOREF;
    self->thread = NULL;
    json_decref(self->decoding);
    self->decoding = NULL;
}

void run_destroy(run_t **self_p)
{
    run_t *self = *self_p;
    if (!self)
        return;
    s_release(self);
    run_changes_clear(self);
    work_destroy(&self->work);
    free(self->queue);
    if (self->call) {
        free(self->call->parameters);
        json_decref(self->call->result);
        free(self->call);
    }
    free(self->grants);
    free(self->reason);
    buffer_free(&self->trace);
    free(self);
    *self_p = NULL;
}

void run_changes_clear(run_t *self)
{
    json_decref(self->changes.set);
    json_decref(self->changes.remove);
    self->changes = (run_changes_t){0};
}

bool run_changes_text(const run_t *self, char **ret_set, size_t *ret_len)
{
    *ret_set = NULL;
    *ret_len = 0;
    if (!self->changes.set)
        return true;
    size_t digits = self->changes.exact ? 17 : 15;
    *ret_set = json_dumps(self->changes.set, JSON_COMPACT | JSON_REAL_PRECISION(digits));
    CHECK(*ret_set); /* everything in it was checked when it came in */
    *ret_len = strlen(*ret_set);
    return *ret_len <= (size_t)LIMIT_ATTRIBUTES;
}

/* ---- Errors as text ---- */

/* Valid UTF-8 without control characters, cut at `size` - 1 between characters. */
static void s_clean(const char *from, char *to, size_t size)
{
    size_t len = strlen(from), used = 0;
    for (size_t at = 0; at < len;) {
        int width = u8_mblen((const uint8_t *)from + at, len - at);
        bool valid = width > 0;
        size_t step = valid ? (size_t)width : 1;
        if (used + step >= size)
            break;
        bool control = valid && step == 1 && ((unsigned char)from[at] < ' ' || from[at] == 127);
        control =
            control || (step == 2 && (uint8_t)from[at] == 0xC2 && (uint8_t)from[at + 1] < 0xA0);
        if (!valid || control)
            to[used++] = control ? ' ' : '?';
        else {
            memcpy(to + used, from + at, step);
            used += step;
        }
        at += step;
    }
    to[used] = '\0';
}

void run_fail(run_t *self, const char *reason)
{
    self->outcome = RUN_FAILED;
    char clean[LIMIT_TEXT + 1];
    s_clean(reason, clean, sizeof clean);
    free(self->reason);
    self->reason = memory_text(clean);
}

/* Where the script is, without allocating in Lua: it may be out of memory. */
static void s_trace(run_t *self, buffer_t *trace)
{
    lua_Debug at;
    int written = 0;
    for (int level = 0; written < TRACE_LEVELS && lua_getstack(self->thread, level, &at); level++) {
        lua_getinfo(self->thread, "Sln", &at);
        if (at.currentline < 0)
            continue; /* a library function */
        if (level == 0 && self->cut_line > 0)
            at.currentline = self->cut_line;
        const char *name = *at.what == 'm' ? "main" : at.name ? at.name : "?";
        buffer_printf(trace, "%s%s %s:%d", written > 0 ? " < " : "", name, at.short_src,
                      at.currentline);
        written++;
    }
}

/* "FILE:LINE: " of the innermost line of the script, or nothing. */
static void s_position(run_t *self, buffer_t *text)
{
    lua_Debug at;
    for (int level = 0; lua_getstack(self->thread, level, &at); level++) {
        lua_getinfo(self->thread, "Sl", &at);
        if (at.currentline >= 0) {
            int line = self->cut_line > 0 ? self->cut_line : at.currentline;
            buffer_printf(text, "%s:%d: ", at.short_src, line);
            return;
        }
    }
    buffer_printf(text, "%s.lua: ", self->work->strategy);
}

static void s_append_cut(const run_t *self, buffer_t *text)
{
    size_t limit_kb = self->vm->heap.limit / 1024;
    if (self->cut == RUN_CUT_MEMORY)
        buffer_printf(text,
                      "not enough memory: scripts may use %zu KiB in all, one step of one script "
                      "%zu KiB",
                      limit_kb, limit_kb / 4);
    else if (self->cut == RUN_CUT_TIME)
        buffer_printf(text, "cut off after %d ms of CPU time without waiting",
                      (int)(RUN_STEP_CPU_US / USEC_PER_MS));
    else
        buffer_printf(text, "cut off after %u instructions without waiting",
                      self->vm->instructions);
}

/* A fault of an application server that the script did not catch (parts/calling.c). Allocates
 * nothing in Lua. */
static bool s_append_fault(lua_State *thread, buffer_t *text)
{
    int type = luaL_getmetafield(thread, -1, "__name");
    if (type == LUA_TNIL)
        return false;
    bool is_fault = type == LUA_TSTRING && strcmp(lua_tostring(thread, -1), CALLING_FAULT) == 0;
    lua_pop(thread, 1);
    static const char *const behind[] = {"", ": ", ""};
    for (int i = 0; is_fault && i < 3; i++) { /* where, code, text */
        if (lua_rawgeti(thread, -1, i + 1) == LUA_TSTRING)
            buffer_printf(text, "%.250s%s", lua_tostring(thread, -1), behind[i]);
        lua_pop(thread, 1);
    }
    return is_fault;
}

/* What a script raised: text as it is (it mostly has file and line), anything else by its type. */
static void s_append_raised(run_t *self, buffer_t *text)
{
    lua_State *thread = self->thread;
    int type = lua_type(thread, -1);
    if (type == LUA_TSTRING) {
        size_t len;
        const char *raised = lua_tolstring(thread, -1, &len);
        char prefix[LUA_IDSIZE + 8];
        lua_Debug at;
        bool named = false;
        for (int level = 0; !named && lua_getstack(thread, level, &at); level++) {
            lua_getinfo(thread, "S", &at);
            snprintf(prefix, sizeof prefix, "%s:", at.short_src);
            named = strncmp(raised, prefix, strlen(prefix)) == 0;
        }
        if (!named)
            s_position(self, text);
        buffer_append(text, raised, len < LIMIT_TEXT ? len : LIMIT_TEXT);
        return;
    }
    if (type == LUA_TTABLE && s_append_fault(thread, text))
        return;
    s_position(self, text);
    if (type == LUA_TNUMBER)
        buffer_printf(text, "error %.14g", lua_tonumber(thread, -1));
    else
        buffer_printf(text, "an error that is a %s value, not text", lua_typename(thread, type));
}

static void s_fail(run_t *self, int status)
{
    buffer_t text = {0};
    if (self->cut != RUN_CUT_NONE) {
        s_position(self, &text);
        s_append_cut(self, &text);
    } else if (status == LUA_OK) {
        buffer_printf(&text, "%s.lua: the script ended without place() or stop()",
                      self->work->strategy);
    } else {
        s_append_raised(self, &text);
    }
    buffer_clear(&self->trace);
    s_trace(self, &self->trace);
    /* A trace of one level says what the position says. */
    buffer_append(&self->trace, "", 1);
    if (strstr((char *)self->trace.bytes, " < "))
        buffer_printf(&text, " [%s]", (char *)self->trace.bytes);
    buffer_append(&text, "", 1);
    run_fail(self, (char *)text.bytes);
    buffer_free(&text);
}

/* ---- Steps ---- */

static usec_t s_clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * USEC_PER_SECOND + now.tv_nsec / 1000;
}

/* Coarse time is almost free; the thread's own CPU time, which is what counts (the process may have
 * been stopped), is asked only when the step looks long. */
static bool s_took_too_long(run_t *self)
{
    if (s_clock_us(CLOCK_MONOTONIC_COARSE) - self->started_us < RUN_STEP_CPU_US)
        return false;
    usec_t cpu_us = s_clock_us(CLOCK_THREAD_CPUTIME_ID);
    if (self->cpu_mark_us == 0)
        self->cpu_mark_us = cpu_us;
    return cpu_us - self->cpu_mark_us >= RUN_STEP_CPU_US;
}

/* A script that is cut off leaves by a yield, which no pcall can catch, and is never resumed. Where
 * a yield is not possible (a comparison inside table.sort) an error leads out of there, and the
 * next instruction comes back here. */
static void s_hook(lua_State *lua, lua_Debug *event)
{
    run_t *self = run_of(lua);
    self->spent += (uint32_t)lua_gethookcount(lua);
    if (self->cut == RUN_CUT_NONE) {
        if (self->spent >= self->vm->instructions)
            self->cut = RUN_CUT_INSTRUCTIONS;
        else if (s_took_too_long(self))
            self->cut = RUN_CUT_TIME;
        else
            return;
    }
    if (lua_gethookcount(lua) != 1)
        lua_sethook(lua, s_hook, LUA_MASKCOUNT, 1);
    if (lua_isyieldable(lua)) {
        /* After the yield the stack says the instruction before. */
        lua_getinfo(lua, "l", event);
        self->cut_line = event->currentline;
        lua_yield(lua, 0);
        return;
    }
    luaL_error(lua, "cut off");
}

static void s_exhausted(void *context)
{
    run_t *self = context;
    if (self->cut == RUN_CUT_NONE)
        self->cut = RUN_CUT_MEMORY;
    lua_sethook(self->thread, s_hook, LUA_MASKCOUNT, 1);
}

static run_outcome_t s_step(run_t *self, int arguments)
{
    vm_t *vm = self->vm;
    vm_tidy(vm);
    self->outcome = RUN_NONE;
    self->cut = RUN_CUT_NONE;
    self->cut_line = 0;
    self->spent = 0;
    self->logged = 0;
    self->started_us = s_clock_us(CLOCK_MONOTONIC_COARSE);
    self->cpu_mark_us = 0;
    uint32_t every = vm->instructions < HOOK_EVERY ? vm->instructions : HOOK_EVERY;
    lua_sethook(self->thread, s_hook, LUA_MASKCOUNT, (int)every);
    heap_begin_step(&vm->heap, s_exhausted, self);
    watchdog_enter(self->work->strategy, self->work->id);
    int results = 0;
    int status = lua_resume(self->thread, vm->lua, arguments, &results);
    watchdog_leave();
    heap_end_step(&vm->heap);
    if (self->cut != RUN_CUT_NONE || status != LUA_YIELD)
        s_fail(self, status);
    CHECK(self->outcome != RUN_NONE);
    if (self->outcome >= RUN_PLACED)
        s_release(self);
    else
        lua_pop(self->thread, results);
    return self->outcome;
}

static int s_new_thread(lua_State *lua)
{
    run_t *self = lua_touserdata(lua, 1);
    self->thread = lua_newthread(lua);
    self->anchor = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 0;
}

run_outcome_t run_start(run_t *self, int code)
{
    lua_State *lua = self->vm->lua;
    lua_pushcfunction(lua, s_new_thread);
    lua_pushlightuserdata(lua, self);
    if (lua_pcall(lua, 1, 0, 0) != LUA_OK) {
        lua_pop(lua, 1);
        self->thread = NULL;
        run_fail(self, "there is not enough memory to start the script; see --memory-mb");
        return self->outcome;
    }
    *(run_t **)lua_getextraspace(self->thread) = self;
    lua_rawgeti(self->thread, LUA_REGISTRYINDEX, code);
    return s_step(self, 0);
}

run_outcome_t run_resume(run_t *self, const error_t *answer)
{
    CHECK(self->outcome == RUN_SLEEPS || self->outcome == RUN_SAVES ||
          self->outcome == RUN_RESERVES || self->outcome == RUN_CALLS);
    self->answer = answer;
    run_outcome_t outcome = s_step(self, 0);
    self->answer = NULL;
    return outcome;
}

run_outcome_t run_resume_call(run_t *self)
{
    return run_resume(self, NULL);
}

void run_granted(run_t *self, work_token_t token)
{
    size_t at = 0;
    while (at < self->grants_len && strcmp(self->grants[at].agent, self->reservation.agent) != 0)
        at++;
    if (token.index == 0) {
        if (at < self->grants_len)
            self->grants[at] = self->grants[--self->grants_len];
        return;
    }
    CHECK(at < RUN_GRANTS); /* the script was told otherwise */
    if (!self->grants)
        self->grants = memory_zero(RUN_GRANTS, sizeof *self->grants);
    memcpy(self->grants[at].agent, self->reservation.agent, sizeof self->grants[at].agent);
    self->grants[at].token = token;
    if (at == self->grants_len)
        self->grants_len++;
}
