#include "tests/sim/checker.h"
#include "tests/sim/loss.h"
#include "tests/sim/machine.h"
#include "tests/sim/talker.h"
#include "tests/sim/told.h"
#include "tests/sim/wires.h"

/* Operators: ask either node how it stands, and give commands. Where commits are lost they have a
 * node write them back, and now and then have the number wrong. */
enum { WRONG_PER_MILLE = 300, WRONG = 1000 };

static void s_send(talker_t *self, int node, const Ixn__V1__Request *request)
{
    buffer_t bytes = {0};
    wire_append_to_node_head(&bytes);
    wire_append_request(&bytes, request);
    wires_to_machine(self, node, bytes.bytes, bytes.len);
}

/* Requests of operators are frames of their own, to the node that is meant. */
static uint64_t s_number(talker_t *self, asked_t what, size_t item)
{
    Ixn__V1__Ping ping = IXN__V1__PING__INIT;
    Ixn__V1__Request none = IXN__V1__REQUEST__INIT;
    none.body_case = IXN__V1__REQUEST__BODY_PING;
    none.ping = &ping;
    uint64_t id = talker_ask(self, &none, what, item);
    buffer_clear(&self->out);
    self->out_requests = 0;
    return id;
}

void operator_command(talker_t *self, int node, Ixn__V1__PairCommand__Kind kind)
{
    Ixn__V1__PairCommand body = IXN__V1__PAIR_COMMAND__INIT;
    body.kind = kind;
    body.reason = (char *)"the simulator says so";
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.id = s_number(self, ASKED_COMMAND, (size_t)kind);
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_COMMAND;
    request.pair_command = &body;
    world_trace(self->world, self->name, "command", (uint64_t)kind, (uint64_t)node);
    s_send(self, node, &request);
}

static void s_status(talker_t *self, int node)
{
    Ixn__V1__PairStatusRequest body = IXN__V1__PAIR_STATUS_REQUEST__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.id = s_number(self, ASKED_STATUS, (size_t)node);
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_STATUS;
    request.pair_status = &body;
    s_send(self, node, &request);
}

static void s_heal(talker_t *self, int node, const Ixn__V1__PairHeal *heal)
{
    world_t *world = self->world;
    bool wrong = world_chance(world, WRONG_PER_MILLE);
    Ixn__V1__PairCommand body = IXN__V1__PAIR_COMMAND__INIT;
    body.kind = IXN__V1__PAIR_COMMAND__KIND__HEAL;
    body.reason = (char *)"the simulator says so";
    body.lost = wrong ? heal->lost + 1 : heal->lost;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.id = s_number(self, ASKED_COMMAND, body.kind + (wrong ? WRONG : 0));
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_COMMAND;
    request.pair_command = &body;
    world_trace(world, self->name, "heal", body.lost, (uint64_t)node);
    s_send(self, node, &request);
}

void operator_tick(talker_t *self)
{
    world_t *world = self->world;
    if (loss_is_open(world) && world->now >= self->next_command) {
        self->next_command = world->now + world_between(world, 50, 500) * USEC_PER_MS;
        s_status(self, (int)world_between(world, 0, 1));
        return;
    }
    if (self->quiet || world->now < self->next_command)
        return;
    self->next_command = world->now + world_between(world, 200 * USEC_PER_MS, 4 * USEC_PER_SECOND);
    int node = (int)world_between(world, 0, 1);
    if (!options_has(&world->options, FAULT_COMMAND) || world_chance(world, 300)) {
        s_status(self, node);
        return;
    }
    static const Ixn__V1__PairCommand__Kind kinds[] = {
        IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER,
        IXN__V1__PAIR_COMMAND__KIND__FAILOVER, IXN__V1__PAIR_COMMAND__KIND__PAUSE,
        IXN__V1__PAIR_COMMAND__KIND__RESUME};
    operator_command(self, node, kinds[world_between(world, 0, 4)]);
}

void operator_answer(talker_t *self, const answer_t *answer)
{
    const Ixn__V1__Message *message = answer->message;
    bool status = message->body_case == IXN__V1__MESSAGE__BODY_PAIR_STATUS;
    const Ixn__V1__PairHeal *heal = status ? message->pair_status->heal : NULL;
    if (answer->request->what == ASKED_STATUS && heal && heal->lost > 0 && !heal->objection[0] &&
        heal->state != IXN__V1__PAIR_HEAL__STATE__UNDER_WAY)
        s_heal(self, answer->node, heal);
    if (answer->request->what != ASKED_COMMAND)
        return;
    world_trace(self->world, self->name, status ? "command-taken" : "command-refused",
                answer->request->item, (uint64_t)answer->node);
    if (status && answer->request->item >= WRONG)
        world_violation(self->world, "P5", "node %c heals though the number was wrong",
                        'a' + answer->node);
}
