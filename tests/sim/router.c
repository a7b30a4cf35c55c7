#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/sim/talker.h"
#include "tests/sim/told.h"

/* Routers: answer their work after a while, keep to their tokens. Those that lie answer work that
 * they were told they no longer have. */

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

void router_registered(talker_t *self, const Ixn__V1__Registered *registered)
{
    for (size_t i = 0; i < registered->n_revoked; i++)
        router_revoked(self, registered->revoked[i]);
    loading_registered(self);
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
    loading_routed(self, route);
    errand_draw(self, self->works_len - 1);
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
    const keep_t *keep = errand_kept(self, item);
    Ixn__V1__Token grant = IXN__V1__TOKEN__INIT;
    if (keep) {
        grant = keep->grant;
        stop.agent = place.agent = (char *)engine_file_agents[keep->agent];
        stop.grant = place.grant = &grant;
    }
    work->asking = talker_ask(self, &request, ASKED_RESULT, item);
    self->requests[work->asking].detail = keep != NULL;
    work->again_at = self->world->now + AGAIN_US;
}

void router_tick(talker_t *self)
{
    usec_t now = self->world->now;
    loading_tick(self);
    for (size_t i = self->works_from; i < self->works_len; i++) {
        work_t *work = &self->works[i];
        bool ready = work->over || work->lying || !work->held || errand_tick(self, i);
        if (!work->over && ready && work->due_at <= now && work->again_at <= now)
            s_send_result(self, i);
        if (i == self->works_from && work->over)
            self->works_from++;
    }
}

void router_answer(talker_t *self, const answer_t *answer)
{
    const Ixn__V1__Message *message = answer->message;
    size_t item = answer->request->item;
    if (answer->request->what == ASKED_CALL) {
        errand_call_answer(self, message, item, answer->id, answer->retry_at);
        return;
    }
    if (answer->request->what == ASKED_RESERVE) {
        errand_keep_answer(self, message, item, answer->id, answer->retry_at);
        return;
    }
    work_t *work = &self->works[item];
    if (answer->retry_at) {
        if (answer->id == work->asking)
            work->again_at = answer->retry_at;
        return;
    }
    if (message->body_case == IXN__V1__MESSAGE__BODY_ERROR &&
        message->error->code == IXN__V1__CODE__NOT_REGISTERED)
        return;
    if (message->body_case == IXN__V1__MESSAGE__BODY_ERROR && answer->request->detail &&
        message->error->code == IXN__V1__CODE__OLD_TOKEN) {
        work->errand.keep.state = KEEP_OVER; /* the grant's, perhaps: without the agent, then */
        work->again_at = self->world->now;
        return;
    }
    work->over = true;
    work->held = false;
    told_result_answered(self, work, message);
}
