#include "apps/ixn-router/parts/api.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixn-router/parts/calling.h"
#include "apps/ixn-router/parts/run.h"
#include "apps/ixn-router/parts/value.h"
#include "core/base/alloc.h"
#include "core/base/log.h"
#include "core/wire/wire.h"

/* The objects `interaction` and `interaction.attributes` are one for all runs: which run is meant
 * follows from the coroutine that asks. So a waiting run costs nothing for them. */
#define INTERACTION "interaction"
#define ATTRIBUTES "interaction.attributes"

/* Longest line of log(); the rest is cut. */
#define LOG_TEXT 1000

/* ---- Reading ---- */

/* The attributes as JSON, decoded into a table on first use; pushes it. */
static void s_push_attributes(lua_State *lua, run_t *run)
{
    if (run->attributes != LUA_NOREF) {
        lua_rawgeti(lua, LUA_REGISTRYINDEX, run->attributes);
        return;
    }
    work_t *work = run->work;
    json_error_t problem;
    json_decref(run->decoding); /* of an attempt that ran out of memory */
    run->decoding = work->attributes_len > 0
                        ? json_loadb(work->attributes, work->attributes_len, 0, &problem)
                        : json_object();
    if (!json_is_object(run->decoding))
        luaL_error(lua, "the attributes cannot be read: %s",
                   run->decoding ? "not a JSON object" : problem.text);
    value_push(lua, run->decoding);
    lua_pushvalue(lua, -1);
    run->attributes = luaL_ref(lua, LUA_REGISTRYINDEX);
    json_decref(run->decoding);
    run->decoding = NULL;
    free(work->attributes);
    work->attributes = NULL;
    work->attributes_len = 0;
}

static int s_attributes_index(lua_State *lua)
{
    s_push_attributes(lua, run_of(lua));
    lua_pushvalue(lua, 2);
    lua_rawget(lua, -2);
    return 1;
}

static int s_attributes_newindex(lua_State *lua)
{
    return luaL_error(lua,
                      "attributes are changed with interaction:set{%s = …} and "
                      "interaction:remove(…)",
                      lua_type(lua, 2) == LUA_TSTRING ? lua_tostring(lua, 2) : "name");
}

static int s_attributes_next(lua_State *lua)
{
    lua_settop(lua, 2);
    s_push_attributes(lua, run_of(lua));
    lua_insert(lua, 2);
    return lua_next(lua, 2) ? 2 : 0;
}

static int s_attributes_pairs(lua_State *lua)
{
    lua_pushcfunction(lua, s_attributes_next);
    lua_pushvalue(lua, 1);
    return 2;
}

static void s_push_time(lua_State *lua, usec_t wall)
{
    if (wall > 0)
        lua_pushnumber(lua, (double)wall / USEC_PER_SECOND);
    else
        lua_pushnil(lua);
}

/* Pushes one field; false when there is none of that name. */
static bool s_push_field(lua_State *lua, const work_t *work, const char *name)
{
    const struct {
        const char *name;
        const char *value;
    } texts[] = {
        {"queue", work->queue},       {"media_type", work->media_type},
        {"type", work->type},         {"subtype", work->subtype},
        {"tenant", work->tenant},     {"external_id", work->external_id},
        {"strategy", work->strategy},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(name, texts[i].name) == 0) {
            lua_pushstring(lua, texts[i].value);
            return true;
        }
    }
    char id[ID_TEXT_SIZE];
    if (strcmp(name, "id") == 0)
        lua_pushstring(lua, id_text(work->id, id));
    else if (strcmp(name, "priority") == 0)
        lua_pushinteger(lua, work->priority);
    else if (strcmp(name, "attempt") == 0)
        lua_pushinteger(lua, work->attempt);
    else if (strcmp(name, "received_at") == 0)
        s_push_time(lua, work->received_at);
    else if (strcmp(name, "submitted_at") == 0)
        s_push_time(lua, work->submitted_at);
    else if (strcmp(name, "placed_at") == 0)
        s_push_time(lua, work->placed_at);
    else
        return false;
    return true;
}

static int s_interaction_index(lua_State *lua)
{
    const char *name = lua_type(lua, 2) == LUA_TSTRING ? lua_tostring(lua, 2) : "";
    lua_pushvalue(lua, 2);
    if (lua_rawget(lua, lua_upvalueindex(1)) != LUA_TNIL) /* methods and attributes */
        return 1;
    if (s_push_field(lua, run_of(lua)->work, name))
        return 1;
    return luaL_error(lua, "an interaction has no \"%s\"", name);
}

static int s_interaction_newindex(lua_State *lua)
{
    return luaL_error(lua,
                      "an interaction's fields cannot be assigned; attributes are changed with "
                      "interaction:set{name = value}");
}

/* ---- Changing ---- */

static json_t *s_object(json_t **slot)
{
    if (!*slot)
        *slot = json_object();
    return *slot;
}

static const char *s_check_name(lua_State *lua, int index, size_t *ret_len)
{
    if (lua_type(lua, index) != LUA_TSTRING)
        luaL_error(lua, "the name of an attribute must be text, this is a %s",
                   luaL_typename(lua, index));
    const char *name = lua_tolstring(lua, index, ret_len);
    error_t problem;
    if (strlen(name) != *ret_len || !wire_check_text("the name", name, 1, LIMIT_TEXT, &problem))
        luaL_error(lua,
                   "an attribute's name must be 1 to %d bytes of UTF-8 text without control "
                   "characters",
                   LIMIT_TEXT);
    return name;
}

/* The members of the table at 2 as a JSON object; none of them is taken over before all are good.
 * Kept in the run meanwhile, so that a Lua error cannot lose it. */
static void s_read_members(lua_State *lua, run_t *run)
{
    json_decref(run->decoding);
    run->decoding = json_object();
    for (lua_pushnil(lua); lua_next(lua, 2); lua_pop(lua, 1)) {
        size_t len;
        int name_index = lua_gettop(lua) - 1;
        const char *name = s_check_name(lua, name_index, &len);
        value_reader_t reader = {.name = name, .room = (size_t)LIMIT_ATTRIBUTES};
        error_t problem;
        json_t *value = value_read(lua, name_index + 1, &reader, &problem);
        if (!value)
            luaL_error(lua, "%s", problem.text);
        json_object_set_new(run->decoding, name, value);
        run->changes.exact = run->changes.exact || reader.exact;
    }
}

/* interaction:set{name = value, …} */
static int s_set(lua_State *lua)
{
    luaL_checkudata(lua, 1, INTERACTION);
    luaL_checktype(lua, 2, LUA_TTABLE);
    lua_settop(lua, 2);
    run_t *run = run_of(lua);
    s_push_attributes(lua, run);
    s_read_members(lua, run);
    const char *name;
    json_t *value;
    json_object_foreach(run->decoding, name, value)
    {
        if (run->changes.remove)
            json_object_del(run->changes.remove, name);
        /* The script sees what was taken: a copy of its own. */
        lua_pushstring(lua, name);
        value_push(lua, value);
        lua_rawset(lua, 3);
    }
    json_object_update(s_object(&run->changes.set), run->decoding);
    return 0;
}

/* interaction:remove(name, …) */
static int s_remove(lua_State *lua)
{
    luaL_checkudata(lua, 1, INTERACTION);
    int last = lua_gettop(lua);
    run_t *run = run_of(lua);
    s_push_attributes(lua, run);
    for (int i = 2; i <= last; i++) {
        size_t len;
        const char *name = s_check_name(lua, i, &len);
        json_object_set_new(s_object(&run->changes.remove), name, json_true());
        if (json_object_size(run->changes.remove) > RUN_REMOVE_LIMIT)
            luaL_error(lua, "more than %d attributes removed at once; save() in between",
                       RUN_REMOVE_LIMIT);
        if (run->changes.set)
            json_object_del(run->changes.set, name);
        lua_pushvalue(lua, i);
        lua_pushnil(lua);
        lua_rawset(lua, last + 1);
    }
    return 0;
}

static int s_saved(lua_State *lua, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    const error_t *answer = run_of(lua)->answer;
    if (answer)
        return luaL_error(lua, "save: %s: %s", error_name(answer->code), answer->text);
    return 0;
}

static bool s_is_empty(const json_t *object)
{
    return !object || json_object_size(object) == 0;
}

static void s_check_size(lua_State *lua, run_t *run)
{
    char *set;
    size_t len;
    bool fits = run_changes_text(run, &set, &len);
    free(set);
    if (!fits)
        luaL_error(lua, "the changed attributes have %d bytes, at most %d can be sent", (int)len,
                   LIMIT_ATTRIBUTES);
}

/* interaction:save() */
static int s_save(lua_State *lua)
{
    luaL_checkudata(lua, 1, INTERACTION);
    run_t *run = run_of(lua);
    if (s_is_empty(run->changes.set) && s_is_empty(run->changes.remove))
        return 0;
    s_check_size(lua, run);
    if (!lua_isyieldable(lua))
        return luaL_error(lua, "save() cannot wait inside a sort or a gsub");
    run->outcome = RUN_SAVES;
    return lua_yieldk(lua, 0, 0, s_saved);
}

/* ---- Agents ---- */

static const run_grant_t *s_find_grant(const run_t *run, const char *agent, int *ret_number)
{
    for (size_t i = 0; i < run->grants_len; i++) {
        if (strcmp(run->grants[i].agent, agent) == 0) {
            *ret_number = (int)i;
            return &run->grants[i];
        }
    }
    return NULL;
}

/* What a script cannot help, it hears as nil and a sentence; everything else is its error. */
static int s_reserved(lua_State *lua, int status, lua_KContext context)
{
    (void)status;
    const error_t *answer = run_of(lua)->answer;
    if (!answer) {
        lua_pushboolean(lua, 1);
        return 1;
    }
    if (answer->code != ERROR_AGENT_RESERVED)
        return luaL_error(lua, "agent.%s: %s: %s", context ? "release" : "reserve",
                          error_name(answer->code), answer->text);
    lua_pushnil(lua);
    lua_pushstring(lua, answer->text);
    return 2;
}

static void s_check_reservation(lua_State *lua, run_reservation_t *wanted)
{
    luaL_checktype(lua, 2, LUA_TTABLE);
    for (lua_pushnil(lua); lua_next(lua, 2); lua_settop(lua, 3)) {
        const char *name = lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "?";
        int good = 0;
        if (strcmp(name, "duration") == 0) {
            double seconds = lua_tonumberx(lua, -1, &good);
            if (!good || !(seconds >= 0.001 && seconds <= LIMIT_RESERVATION_MS / 1000.0))
                luaL_error(lua, "duration must be 0.001 to %d seconds",
                           LIMIT_RESERVATION_MS / 1000);
            wanted->duration_ms = (int64_t)(seconds * 1000);
        } else if (strcmp(name, "priority") == 0) {
            lua_Integer priority = lua_tointegerx(lua, -1, &good);
            if (!good || priority < -LIMIT_PRIORITY || priority > LIMIT_PRIORITY)
                luaL_error(lua, "priority must be a whole number between -%d and %d",
                           LIMIT_PRIORITY, LIMIT_PRIORITY);
            wanted->has_priority = true;
            wanted->priority = (int32_t)priority;
        } else {
            luaL_error(lua, "agent.reserve has no option \"%s\", only duration and priority", name);
        }
    }
}

static int s_ask_agent(lua_State *lua, bool release)
{
    run_t *run = run_of(lua);
    run_reservation_t wanted = {.duration_ms = release ? 0 : -1};
    size_t len;
    error_t problem;
    if (lua_type(lua, 1) != LUA_TSTRING)
        luaL_error(lua, "the agent's name must be text, this is a %s", luaL_typename(lua, 1));
    const char *agent = lua_tolstring(lua, 1, &len);
    if (strlen(agent) != len || !wire_check_text("agent", agent, 1, LIMIT_NAME, &problem))
        luaL_error(lua, "an agent's name must be 1 to %d bytes of UTF-8 text", LIMIT_NAME);
    memcpy(wanted.agent, agent, len + 1);
    lua_settop(lua, 2);
    if (!release && !lua_isnil(lua, 2))
        s_check_reservation(lua, &wanted);
    int unused;
    if (!release && run->grants_len == RUN_GRANTS && !s_find_grant(run, agent, &unused))
        luaL_error(lua, "more than %d agents reserved at once; release one", RUN_GRANTS);
    if (!lua_isyieldable(lua))
        return luaL_error(lua, "agent.%s cannot wait inside a sort or a gsub",
                          release ? "release" : "reserve");
    run->reservation = wanted;
    run->outcome = RUN_RESERVES;
    return lua_yieldk(lua, 0, release, s_reserved);
}

/* agent.reserve(name [, {duration = seconds, priority = …}]): true, or nil and why not */
static int s_reserve(lua_State *lua)
{
    return s_ask_agent(lua, false);
}

/* agent.release(name) */
static int s_release_agent(lua_State *lua)
{
    return s_ask_agent(lua, true);
}

/* The option `agent` of a result: one that this script has reserved. */
static void s_check_agent(lua_State *lua, run_t *run, int index)
{
    const char *agent = lua_type(lua, index) == LUA_TSTRING ? lua_tostring(lua, index) : "";
    if (!s_find_grant(run, agent, &run->agent))
        luaL_error(lua, "agent \"%s\" is not reserved by this script; agent.reserve it first",
                   agent);
}

/* ---- Ending and waiting ---- */

/* Text that goes into a request, checked as the node will check it. */
static char *s_check_text(lua_State *lua, int index, const char *field, size_t least)
{
    size_t len;
    if (lua_type(lua, index) != LUA_TSTRING)
        luaL_error(lua, "%s must be text, this is a %s", field, luaL_typename(lua, index));
    const char *text = lua_tolstring(lua, index, &len);
    error_t problem = {0};
    if (strlen(text) != len)
        luaL_error(lua, "%s must not contain zero bytes", field);
    size_t most = least > 0 ? LIMIT_NAME : LIMIT_TEXT; /* names are never empty, reasons may be */
    if (!wire_check_text(field, text, least, most, &problem))
        luaL_error(lua, "%s", problem.text);
    return memory_text(text);
}

static void s_replace(char **slot, char *text)
{
    free(*slot);
    *slot = text;
}

/* An end is a yield that is never resumed: no pcall can catch it, nothing after it runs. */
static int s_end(lua_State *lua, run_t *run, run_outcome_t outcome)
{
    s_check_size(lua, run);
    if (!lua_isyieldable(lua))
        return luaL_error(lua, "a strategy cannot end inside a sort or a gsub");
    lua_Debug at;
    if (lua_getstack(lua, 1, &at) && lua_getinfo(lua, "l", &at))
        run->line = at.currentline;
    run->outcome = outcome;
    return lua_yield(lua, 0);
}

static void s_check_options(lua_State *lua, run_t *run, int index)
{
    luaL_checktype(lua, index, LUA_TTABLE);
    for (lua_pushnil(lua); lua_next(lua, index); lua_settop(lua, index + 1)) {
        const char *name = lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "?";
        int is_integer = 0;
        if (strcmp(name, "agent") == 0) {
            s_check_agent(lua, run, index + 2);
        } else if (strcmp(name, "reason") == 0) {
            s_replace(&run->reason, s_check_text(lua, index + 2, "reason", 0));
        } else if (strcmp(name, "priority") == 0) {
            lua_Integer priority = lua_tointegerx(lua, -1, &is_integer);
            if (!is_integer || priority < -LIMIT_PRIORITY || priority > LIMIT_PRIORITY)
                luaL_error(lua, "priority must be a whole number between -%d and %d",
                           LIMIT_PRIORITY, LIMIT_PRIORITY);
            run->has_priority = true;
            run->priority = (int32_t)priority;
        } else {
            luaL_error(lua, "place has no option \"%s\", only agent, priority and reason", name);
        }
    }
}

/* place(queue [, {agent = …, priority = …, reason = …}]) */
static int s_place(lua_State *lua)
{
    run_t *run = run_of(lua);
    lua_settop(lua, 2);
    run->has_priority = false;
    run->agent = -1;
    s_replace(&run->reason, NULL);
    s_replace(&run->queue, s_check_text(lua, 1, "queue", 1));
    if (!lua_isnil(lua, 2))
        s_check_options(lua, run, 2);
    return s_end(lua, run, RUN_PLACED);
}

/* stop([reason [, {agent = …}]]) */
static int s_stop(lua_State *lua)
{
    run_t *run = run_of(lua);
    lua_settop(lua, 2);
    run->agent = -1;
    if (!lua_isnil(lua, 2)) {
        luaL_checktype(lua, 2, LUA_TTABLE);
        for (lua_pushnil(lua); lua_next(lua, 2); lua_settop(lua, 3)) {
            const char *name = lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "?";
            if (strcmp(name, "agent") != 0)
                luaL_error(lua, "stop has no option \"%s\", only agent", name);
            s_check_agent(lua, run, 4);
        }
    }
    s_replace(&run->reason, lua_isnil(lua, 1) ? NULL : s_check_text(lua, 1, "reason", 0));
    return s_end(lua, run, RUN_STOPPED);
}

static int s_slept(lua_State *lua, int status, lua_KContext context)
{
    (void)lua;
    (void)status;
    (void)context;
    return 0;
}

/* sleep(seconds) */
static int s_sleep(lua_State *lua)
{
    double seconds = luaL_checknumber(lua, 1);
    if (!(seconds >= 0 && seconds <= RUN_SLEEP_MOST_S)) /* NaN is neither */
        return luaL_error(lua, "sleep takes 0 to %d seconds", RUN_SLEEP_MOST_S);
    if (!lua_isyieldable(lua))
        return luaL_error(lua, "sleep cannot wait inside a sort or a gsub");
    run_t *run = run_of(lua);
    run->sleep_us = (usec_t)(seconds * USEC_PER_SECOND);
    if (run->sleep_us < RUN_SLEEP_LEAST_US)
        run->sleep_us = RUN_SLEEP_LEAST_US;
    run->outcome = RUN_SLEEPS;
    return lua_yieldk(lua, 0, 0, s_slept);
}

/* log(value, …) */
static int s_log(lua_State *lua)
{
    run_t *run = run_of(lua);
    run->logged++;
    if (run->logged > RUN_LOG_LINES + 1)
        return 0;
    char text[LOG_TEXT + 1];
    size_t used = 0;
    int last = lua_gettop(lua);
    for (int i = 1; i <= last && used < LOG_TEXT; i++) {
        size_t len;
        const char *piece = luaL_tolstring(lua, i, &len);
        if (i > 1)
            text[used++] = ' ';
        for (size_t at = 0; at < len && used < LOG_TEXT; at++) {
            char c = piece[at] == '"' ? '\'' : piece[at];
            text[used++] = (unsigned char)c < ' ' ? ' ' : c;
        }
        lua_pop(lua, 1);
    }
    text[used] = '\0';
    char id[ID_TEXT_SIZE];
    log_info("script.log", "strategy=%s interaction=%s text=\"%s\"", run->work->strategy,
             id_text(run->work->id, id),
             run->logged > RUN_LOG_LINES ? "(more lines of this step are dropped)" : text);
    return 0;
}

/* ---- The tables ---- */

static void s_push_object(lua_State *lua, const char *name, const luaL_Reg *metamethods)
{
    lua_newuserdatauv(lua, 0, 0);
    luaL_newmetatable(lua, name);
    luaL_setfuncs(lua, metamethods, 0);
    lua_pushboolean(lua, 0);
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, -2);
}

void api_open(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"place", s_place}, {"stop", s_stop}, {"sleep", s_sleep}, {"log", s_log}, {NULL, NULL}};
    static const luaL_Reg agent[] = {
        {"reserve", s_reserve}, {"release", s_release_agent}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"set", s_set}, {"remove", s_remove}, {"save", s_save}, {NULL, NULL}};
    static const luaL_Reg interaction[] = {{"__newindex", s_interaction_newindex}, {NULL, NULL}};
    static const luaL_Reg attributes[] = {{"__index", s_attributes_index},
                                          {"__newindex", s_attributes_newindex},
                                          {"__pairs", s_attributes_pairs},
                                          {NULL, NULL}};
    luaL_setfuncs(lua, functions, 0);
    calling_open(lua);
    luaL_newlib(lua, agent);
    lua_setfield(lua, -2, "agent");
    s_push_object(lua, INTERACTION, interaction);
    lua_getmetatable(lua, -1);
    luaL_newlib(lua, methods);
    s_push_object(lua, ATTRIBUTES, attributes);
    lua_setfield(lua, -2, "attributes");
    lua_pushcclosure(lua, s_interaction_index, 1);
    lua_setfield(lua, -2, "__index");
    lua_pop(lua, 1);
    lua_setfield(lua, -2, "interaction");
}
