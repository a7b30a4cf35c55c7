#include <stdio.h>
#include <string.h>

#include "tests/sim/checker.h"
#include "tests/sim/engine_file.h"
#include "tests/sim/seen_strategies.h"
#include "tests/sim/talker.h"

/* Authors: operators who store strategies, activate them here and there, replace them while they
 * are in use, and remove them. One thing after the other, each until it is answered. In peace what
 * is stored is activated on all routers. */

enum { AGAIN_US = 700000 };

static char *s_routers[ROUTERS_MAX] = {(char *)"router-1", (char *)"router-2", (char *)"router-3"};

static void s_choose(talker_t *self)
{
    static const Ixn__V1__Request__BodyCase kinds[] = {
        IXN__V1__REQUEST__BODY_PUT_STRATEGY,        IXN__V1__REQUEST__BODY_PUT_STRATEGY,
        IXN__V1__REQUEST__BODY_ACTIVATE_STRATEGY,   IXN__V1__REQUEST__BODY_ACTIVATE_STRATEGY,
        IXN__V1__REQUEST__BODY_DEACTIVATE_STRATEGY, IXN__V1__REQUEST__BODY_REMOVE_STRATEGY};
    world_t *world = self->world;
    order_t *order = &self->order;
    *order = (order_t){.kind = kinds[world_between(world, 0, 5)],
                       .strategy = (size_t)world_between(world, 0, 1),
                       .version = (uint32_t)world_between(world, 0, 3),
                       .open = true};
    order->routers = (unsigned)world_between(world, 0, (1 << world->options.routers) - 1);
    snprintf(order->body, sizeof order->body, "-- %s, text %d", self->name, ++self->texts);
}

/* What is activated nowhere is waited for without end. */
static void s_choose_peace(talker_t *self, size_t strategy)
{
    self->order = (order_t){.kind = IXN__V1__REQUEST__BODY_ACTIVATE_STRATEGY,
                            .strategy = strategy,
                            .routers = (1u << self->world->options.routers) - 1,
                            .open = true};
}

static void s_send(talker_t *self)
{
    order_t *order = &self->order;
    char *routers[ROUTERS_MAX];
    size_t len = 0;
    for (size_t i = 0; i < ROUTERS_MAX; i++)
        if (order->routers & 1u << i)
            routers[len++] = s_routers[i];
    char *name = (char *)engine_file_strategies[order->strategy];
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    Ixn__V1__PutStrategy put = IXN__V1__PUT_STRATEGY__INIT;
    Ixn__V1__ActivateStrategy activate = IXN__V1__ACTIVATE_STRATEGY__INIT;
    Ixn__V1__DeactivateStrategy deactivate = IXN__V1__DEACTIVATE_STRATEGY__INIT;
    Ixn__V1__RemoveStrategy gone = IXN__V1__REMOVE_STRATEGY__INIT;
    put.strategy = activate.strategy = deactivate.strategy = gone.strategy = name;
    put.routers = activate.routers = deactivate.routers = routers;
    put.n_routers = activate.n_routers = deactivate.n_routers = len;
    put.body = (ProtobufCBinaryData){strlen(order->body), (uint8_t *)order->body};
    activate.version = order->version;
    request.body_case = order->kind;
    if (order->kind == IXN__V1__REQUEST__BODY_PUT_STRATEGY)
        request.put_strategy = &put;
    else if (order->kind == IXN__V1__REQUEST__BODY_ACTIVATE_STRATEGY)
        request.activate_strategy = &activate;
    else if (order->kind == IXN__V1__REQUEST__BODY_DEACTIVATE_STRATEGY)
        request.deactivate_strategy = &deactivate;
    else
        request.remove_strategy = &gone;
    order->asking = talker_ask(self, &request, ASKED_ORDER, order->strategy);
    order->again_at = self->world->now + AGAIN_US;
    world_trace(self->world, self->name, "orders", (uint64_t)order->kind, order->strategy);
}

void author_tick(talker_t *self)
{
    world_t *world = self->world;
    order_t *order = &self->order;
    if (order->open) {
        if (world->now >= order->again_at)
            s_send(self);
        return;
    }
    if (world->now < self->next_order)
        return;
    self->next_order = world->now + world_between(world, 0, 1500000);
    if (self->quiet)
        s_choose_peace(self, self->peace++ % STRATEGIES);
    else
        s_choose(self);
    s_send(self);
}

void author_answer(talker_t *self, const answer_t *answer)
{
    order_t *order = &self->order;
    const Ixn__V1__Message *message = answer->message;
    if (answer->id != order->asking)
        return;
    if (answer->retry_at) {
        order->again_at = answer->retry_at;
        return;
    }
    if (message->body_case == IXN__V1__MESSAGE__BODY_ERROR &&
        message->error->code == IXN__V1__CODE__NOT_REGISTERED)
        return;
    order->open = false;
    if (order->kind == IXN__V1__REQUEST__BODY_PUT_STRATEGY &&
        (message->body_case != IXN__V1__MESSAGE__BODY_STRATEGY ||
         !seen_strategies_is_body(checker_strategies(self->world->checker),
                                  message->strategy->strategy, message->strategy->version,
                                  order->body)))
        world_violation(self->world, "strategies", "%s stores a strategy and hears of another",
                        self->name);
}
