#include <string.h>

#include "tests/sim/talker.h"

/* What a router does for its strategies: it brings its own, and loads what it is told to. */

enum { AGAIN_US = 700000, SAID_MAX = sizeof((loading_t *)0)->said / sizeof(uint32_t) };

void loading_registered(talker_t *self)
{
    memset(self->loads, 0, sizeof self->loads);
}

static loading_t *s_of(talker_t *self, const char *name)
{
    return &self->loads[strcmp(name, engine_file_strategies[0]) == 0 ? 0 : 1];
}

/* ---- Versions that the node may send work of ---- */

static bool s_has_said(const loading_t *load, uint32_t version)
{
    for (size_t i = 0; i < load->said_len; i++)
        if (load->said[i] == version)
            return true;
    return false;
}

static void s_forget(loading_t *load, uint32_t version)
{
    for (size_t i = load->said_len; i-- > 0;)
        if (load->said[i] == version)
            load->said[i] = load->said[--load->said_len];
}

static void s_say(loading_t *load, uint32_t version)
{
    s_forget(load, version);
    if (load->said_len == SAID_MAX)
        memmove(load->said, load->said + 1, --load->said_len * sizeof *load->said);
    load->said[load->said_len++] = version;
}

/* ---- Saying ---- */

static void s_loaded(talker_t *self, size_t strategy, uint32_t version)
{
    Ixn__V1__StrategyLoaded body = IXN__V1__STRATEGY_LOADED__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    body.strategy = (char *)engine_file_strategies[strategy];
    body.stored_version = version;
    request.body_case = IXN__V1__REQUEST__BODY_STRATEGY_LOADED;
    request.strategy_loaded = &body;
    uint64_t id = talker_ask(self, &request, ASKED_LOADED, strategy);
    self->requests[id].detail = version;
    if (version)
        s_say(&self->loads[strategy], version);
}

static void s_failed(talker_t *self, size_t strategy, uint32_t version)
{
    Ixn__V1__StrategyFailed body = IXN__V1__STRATEGY_FAILED__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    body.strategy = (char *)engine_file_strategies[strategy];
    body.version = version;
    body.reason = (char *)"line 1: it cannot be understood";
    request.body_case = IXN__V1__REQUEST__BODY_STRATEGY_FAILED;
    request.strategy_failed = &body;
    uint64_t id = talker_ask(self, &request, ASKED_FAILED, strategy);
    self->requests[id].detail = version;
}

static void s_get(talker_t *self, size_t strategy, uint32_t version)
{
    Ixn__V1__GetStrategy body = IXN__V1__GET_STRATEGY__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    body.strategy = (char *)engine_file_strategies[strategy];
    body.version = version;
    request.body_case = IXN__V1__REQUEST__BODY_GET_STRATEGY;
    request.get_strategy = &body;
    uint64_t id = talker_ask(self, &request, ASKED_BODY, strategy);
    self->requests[id].detail = version;
}

void loading_tick(talker_t *self)
{
    usec_t now = self->world->now;
    for (size_t i = 0; i < STRATEGIES; i++) {
        loading_t *load = &self->loads[i];
        if (now < load->again_at || (load->brought && !load->wanted))
            continue;
        load->again_at = now + AGAIN_US;
        if (!load->brought)
            s_loaded(self, i, 0);
        if (load->wanted && !load->has_body)
            s_get(self, i, load->wanted);
        else if (load->wanted && load->fails)
            s_failed(self, i, load->wanted);
        else if (load->wanted)
            s_loaded(self, i, load->wanted);
    }
}

/* ---- Hearing ---- */

void loading_load(talker_t *self, const Ixn__V1__LoadStrategy *told)
{
    loading_t *load = s_of(self, told->strategy);
    load->wanted = told->version;
    load->has_body = false;
    load->fails = !self->quiet && world_chance(self->world, 60);
    load->again_at = self->world->now;
}

void loading_unload(talker_t *self, const Ixn__V1__UnloadStrategy *told)
{
    loading_t *load = s_of(self, told->strategy);
    s_forget(load, told->version);
    if (load->wanted == told->version)
        load->wanted = 0;
}

void loading_answer(talker_t *self, const answer_t *answer)
{
    const Ixn__V1__Message *message = answer->message;
    const request_t *request = answer->request;
    loading_t *load = &self->loads[request->item];
    uint32_t version = (uint32_t)request->detail;
    if (answer->retry_at) {
        load->again_at = answer->retry_at;
        return;
    }
    if (answer->node != self->target || message->body_case == IXN__V1__MESSAGE__BODY_ERROR) {
        if (message->body_case == IXN__V1__MESSAGE__BODY_ERROR &&
            message->error->code != IXN__V1__CODE__NOT_REGISTERED && version == load->wanted)
            load->wanted = 0; /* it is gone meanwhile */
        return;
    }
    if (request->what == ASKED_BODY) {
        if (message->strategy->version != version)
            world_violation(self->world, "strategies", "%s asks for version %u and hears of %u",
                            self->name, version, message->strategy->version);
        load->has_body = load->has_body || version == load->wanted;
        load->again_at = self->world->now;
    } else if (version == 0) {
        load->brought = true;
        self->world->router_changes++;
    } else if (version == load->wanted) {
        load->wanted = 0;
    }
}

/* Of a version that it has said it has, since it registered. */
void loading_routed(talker_t *self, const Ixn__V1__Route *route)
{
    const loading_t *load = s_of(self, route->strategy);
    if (route->strategy_version && self->registered && !s_has_said(load, route->strategy_version))
        world_violation(self->world, "strategies",
                        "%s is given work of %s under version %u, which it does not have",
                        self->name, route->strategy, route->strategy_version);
}
