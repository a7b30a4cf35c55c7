#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/sim/talker.h"
#include "tests/sim/told.h"

/* Routers: load both strategies, answer their work after a while, keep to their tokens. Those that
 * lie answer work that they were told they no longer have. */

enum { AGAIN_US = 700000, QUICK_US = 5000 };

void router_forget(talker_t *self)
{
    self->works_from = self->works_len;
}

size_t router_tokens(talker_t *self, Ixn__V1__Token ***ret_tokens)
{
    Ixn__V1__Token **tokens = memory_new((self->works_len - self->works_from + 1) * sizeof *tokens);
    size_t len = 0;
    for (size_t i = self->works_from; i < self->works_len; i++)
        if (self->works[i].held && !self->works[i].over)
            tokens[len++] = &self->works[i].token;
    *ret_tokens = tokens;
    return len;
}

static void s_load(talker_t *self, size_t strategy)
{
    static const char *const names[] = {"classify", "answer"};
    Ixn__V1__StrategyLoaded body = IXN__V1__STRATEGY_LOADED__INIT;
    body.strategy = (char *)names[strategy];
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_STRATEGY_LOADED;
    request.strategy_loaded = &body;
    talker_ask(self, &request, ASKED_LOADED, strategy);
}

void router_registered(talker_t *self, const Ixn__V1__Registered *registered)
{
    for (size_t i = 0; i < registered->n_revoked; i++)
        router_revoked(self, registered->revoked[i]);
    self->loaded[0] = self->loaded[1] = false;
    self->load_at = 0;
}

static work_t *s_find(talker_t *self, const Ixn__V1__Token *token)
{
    for (size_t i = self->works_from; i < self->works_len; i++)
        if (self->works[i].token.index == token->index &&
            self->works[i].token.epoch == token->epoch)
            return &self->works[i];
    return NULL;
}

void router_route(talker_t *self, const Ixn__V1__Route *route)
{
    world_t *world = self->world;
    usec_t most = self->quiet ? QUICK_US : 2 * world->options.think;
    if (s_find(self, route->token))
        return; /* it has it already */
    self->works = memory_resize(self->works, (self->works_len + 1) * sizeof *self->works);
    work_t *work = &self->works[self->works_len++];
    *work = (work_t){.token = *route->token,
                     .first_step = strcmp(route->strategy, "classify") == 0,
                     .held = true,
                     .due_at = world->now + world_between(world, 0, most)};
    wire_read_id(route->interaction->interaction_id, &work->id);
    if (options_has(&world->options, FAULT_ROUTER) && !self->quiet) {
        if (world_chance(world, 30))
            work->due_at = USEC_NEVER;
        else if (world_chance(world, 40)) /* too late, mostly */
            work->due_at += world->options.routing_timeout;
    }
    work->result = IXN__V1__REQUEST__BODY_STOP;
    if (work->first_step && world_chance(world, 600))
        work->result = IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE;
    else if (world_chance(world, 50) && !self->quiet)
        work->result = IXN__V1__REQUEST__BODY_ROUTE_FAILED;
    work->again_at = work->due_at;
}

void router_revoked(talker_t *self, const Ixn__V1__Token *token)
{
    work_t *work = s_find(self, token);
    if (!work || work->over)
        return;
    work->held = false;
    work->lying = options_has(&self->world->options, FAULT_ROUTER) && !self->quiet &&
                  world_chance(self->world, 500);
    work->over = !work->lying;
}

static void s_send_result(talker_t *self, size_t item)
{
    work_t *work = &self->works[item];
    Ixn__V1__Token token = work->token;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    Ixn__V1__Stop stop = IXN__V1__STOP__INIT;
    Ixn__V1__PlaceInQueue place = IXN__V1__PLACE_IN_QUEUE__INIT;
    Ixn__V1__RouteFailed failed = IXN__V1__ROUTE_FAILED__INIT;
    stop.interaction_id = place.interaction_id = failed.interaction_id = wire_bytes(&work->id);
    stop.token = place.token = failed.token = &token;
    place.queue = (char *)(work->id.bytes[15] & 1 ? "work" : "urgent");
    failed.reason = (char *)"the script failed";
    request.body_case = work->result;
    if (work->result == IXN__V1__REQUEST__BODY_STOP)
        request.stop = &stop;
    else if (work->result == IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE)
        request.place_in_queue = &place;
    else
        request.route_failed = &failed;
    work->asking = talker_ask(self, &request, ASKED_RESULT, item);
    work->again_at = self->world->now + AGAIN_US;
}

void router_tick(talker_t *self)
{
    usec_t now = self->world->now;
    if (now >= self->load_at && !(self->loaded[0] && self->loaded[1])) {
        self->load_at = now + AGAIN_US;
        for (size_t i = 0; i < 2; i++)
            if (!self->loaded[i])
                s_load(self, i);
    }
    for (size_t i = self->works_from; i < self->works_len; i++) {
        work_t *work = &self->works[i];
        if (!work->over && work->due_at <= now && work->again_at <= now)
            s_send_result(self, i);
        if (i == self->works_from && work->over)
            self->works_from++;
    }
}

void router_answer(talker_t *self, const answer_t *answer)
{
    const Ixn__V1__Message *message = answer->message;
    if (answer->request->what == ASKED_LOADED) {
        if (answer->retry_at)
            self->load_at = answer->retry_at;
        else if (message->body_case == IXN__V1__MESSAGE__BODY_ACK && answer->node == self->target)
            self->loaded[answer->request->item] = true;
        return;
    }
    work_t *work = &self->works[answer->request->item];
    if (answer->retry_at) {
        if (answer->id == work->asking)
            work->again_at = answer->retry_at;
        return;
    }
    if (message->body_case == IXN__V1__MESSAGE__BODY_ERROR &&
        message->error->code == IXN__V1__CODE__NOT_REGISTERED)
        return;
    work->over = true;
    work->held = false;
    told_result_answered(self, work, message);
}
