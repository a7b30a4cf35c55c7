#include "tests/sim/told.h"

#include <string.h>

#include "core/base/alloc.h"
#include "tests/sim/checker.h"
#include "tests/sim/machine.h"
#include "tests/sim/planted.h"
#include "tests/sim/seen_agents.h"
#include "tests/sim/seen_services.h"
#include "tests/sim/seen_strategies.h"

struct told {
    wire_arena_t *arena;
};

told_t *told_new(world_t *world)
{
    (void)world;
    told_t *self = memory_zero(1, sizeof *self);
    self->arena = wire_arena_new();
    return self;
}

void told_destroy(told_t **self_p)
{
    told_t *self = *self_p;
    if (!self)
        return;
    wire_arena_destroy(&self->arena);
    free(self);
    *self_p = NULL;
}

/* ---- What is released: all of it is in the one committed log ---- */

static bool s_release_fails(const world_t *world, int node, const talker_t *talker,
                            const char *promise, const char *what)
{
    return world_violation((world_t *)world, promise, "node %c tells %s %s", 'a' + node,
                           talker->name, what);
}

/* It was skipped under an epoch that the node does not know of yet. */
static bool s_gave_up(const world_t *world, int node, ProtobufCBinaryData id)
{
    return checker_gave_up(world->checker, id.data, id.len,
                           pair_epoch(world->machines[node]->pair));
}

static void s_route(const world_t *world, int node, const talker_t *talker,
                    const Ixn__V1__Route *route)
{
    if (s_gave_up(world, node, route->interaction->interaction_id))
        return;
    const handed_t *handed =
        checker_handed(world->checker, route->token->epoch, route->token->index);
    if (!handed ||
        memcmp(handed->interaction->id.bytes, route->interaction->interaction_id.data, 16) != 0)
        s_release_fails(world, node, talker, "P4 released",
                        "of work that the committed log does not hand out");
    else if (strcmp(handed->router, talker->name) != 0)
        s_release_fails(world, node, talker, "P4 released", "of another router's work");
}

static void s_ack_of_submit(const world_t *world, int node, const talker_t *talker,
                            const submit_t *submit, const Ixn__V1__Ack *ack)
{
    const seen_t *seen = checker_find_key(world->checker, submit->key, sizeof submit->key);
    if (s_gave_up(world, node, ack->interaction_id))
        return;
    if (!seen)
        s_release_fails(world, node, talker, "P4 released",
                        "that its submit is kept, and the committed log does not have it");
    else if (ack->interaction_id.len != 16 || memcmp(seen->id.bytes, ack->interaction_id.data, 16))
        s_release_fails(world, node, talker, "P2", "another id than its key has in the log");
}

static void s_ack_of_change(const world_t *world, int node, const talker_t *talker,
                            const Ixn__V1__Ack *ack)
{
    id128_t id;
    const seen_t *seen =
        wire_read_id(ack->interaction_id, &id) ? checker_find(world->checker, &id) : NULL;
    if (s_gave_up(world, node, ack->interaction_id))
        return;
    if (!seen || ack->version > seen->version)
        s_release_fails(world, node, talker, "P4 released",
                        "of a change that the committed log does not have");
}

static void s_ack_of_result(const world_t *world, int node, const talker_t *talker,
                            const work_t *work, const Ixn__V1__Ack *ack)
{
    const handed_t *handed = checker_handed(world->checker, work->token.epoch, work->token.index);
    if (s_gave_up(world, node, ack->interaction_id))
        return;
    if (!handed || !handed->result || strcmp(handed->router, talker->name) != 0)
        s_release_fails(world, node, talker, "P3",
                        "that its result is accepted, and the log has none under that token");
    else
        s_ack_of_change(world, node, talker, ack);
}

static void s_view(const world_t *world, int node, const talker_t *talker,
                   const Ixn__V1__Interaction *view)
{
    id128_t id;
    const seen_t *seen =
        wire_read_id(view->interaction_id, &id) ? checker_find(world->checker, &id) : NULL;
    if (s_gave_up(world, node, view->interaction_id))
        return;
    if (!seen || view->version > seen->version)
        s_release_fails(world, node, talker, "P4 released",
                        "of an interaction as the committed log does not have it");
}

static bool s_asks_of_skipped(const talker_t *talker, const request_t *request)
{
    const id128_t *id = NULL;
    if (request->what == ASKED_GET)
        id = &talker->submits[request->item].id;
    else if (request->what == ASKED_CHANGE)
        id = &talker->submits[talker->changes[request->item].submit].id;
    else if (request->what == ASKED_RESULT)
        id = &talker->works[request->item].id;
    return id && checker_gave_up(talker->world->checker, id->bytes, sizeof *id, 0);
}

/* Refusals that cannot be, whatever happened. */
static void s_error(const world_t *world, int node, const talker_t *talker,
                    const request_t *request, const Ixn__V1__Error *error)
{
    const work_t *work = request->what == ASKED_RESULT ? &talker->works[request->item] : NULL;
    const seen_t *seen = work ? checker_find(world->checker, &work->id) : NULL;
    bool current = seen && !request->detail && seen->routing &&
                   seen->token_index == work->token.index && seen->token_epoch == work->token.epoch;
    if (error->code == IXN__V1__CODE__UNKNOWN_INTERACTION && !s_asks_of_skipped(talker, request))
        s_release_fails(world, node, talker, "P1",
                        "that an interaction is unknown which the committed log has");
    else if (error->code == IXN__V1__CODE__OLD_TOKEN && current)
        s_release_fails(world, node, talker, "P3",
                        "that a token is old which holds the work by the committed log");
    else if (error->code == IXN__V1__CODE__KEY_REUSED)
        s_release_fails(world, node, talker, "P2", "that a key was used for something else");
}

static void s_message(const world_t *world, int node, const talker_t *talker,
                      const Ixn__V1__Message *message)
{
    static const request_t none = {.what = ASKED_NOTHING};
    bool known = message->request_id && message->request_id < talker->requests_len;
    const request_t *request = known ? &talker->requests[message->request_id] : &none;
    if (request->what == ASKED_RESERVE)
        seen_agents_answered(checker_agents(world->checker), node, talker->number,
                             message->request_id);
    switch (message->body_case) {
    case IXN__V1__MESSAGE__BODY_ROUTE:
        s_route(world, node, talker, message->route);
        return;
    case IXN__V1__MESSAGE__BODY_REVOKED:
        if (!checker_handed(world->checker, message->revoked->token->epoch,
                            message->revoked->token->index) &&
            !checker_left_out(world->checker, message->revoked->token->epoch,
                              message->revoked->token->index))
            s_release_fails(world, node, talker, "P4 released",
                            "that work is taken away which the log never handed out");
        return;
    case IXN__V1__MESSAGE__BODY_ACK:
        if (request->what == ASKED_SUBMIT)
            s_ack_of_submit(world, node, talker, &talker->submits[request->item], message->ack);
        else if (request->what == ASKED_CHANGE)
            s_ack_of_change(world, node, talker, message->ack);
        else if (request->what == ASKED_RESULT)
            s_ack_of_result(world, node, talker, &talker->works[request->item], message->ack);
        else if (request->what == ASKED_CALL &&
                 !seen_services_find(checker_services(world->checker), message->ack->service))
            s_release_fails(world, node, talker, "P4 released",
                            "that its request to a server is kept; the committed log has none");
        return;
    case IXN__V1__MESSAGE__BODY_SERVICE_REQUEST:
        seen_services_told_request(checker_services(world->checker), node, talker->name,
                                   &talker->incarnation, message->service_request);
        return;
    case IXN__V1__MESSAGE__BODY_SERVICE_RESULT:
        seen_services_told_result(checker_services(world->checker), node, talker->name,
                                  message->service_result);
        return;
    case IXN__V1__MESSAGE__BODY_GRANTED:
        seen_agents_told(checker_agents(world->checker), node, talker->name, message->granted);
        return;
    case IXN__V1__MESSAGE__BODY_STRATEGY:
        seen_strategies_told(checker_strategies(world->checker), node, talker->name,
                             message->strategy);
        return;
    case IXN__V1__MESSAGE__BODY_LOAD_STRATEGY:
        seen_strategies_told_load(checker_strategies(world->checker), node, talker->name,
                                  message->load_strategy);
        return;
    case IXN__V1__MESSAGE__BODY_INTERACTION:
        s_view(world, node, talker, message->interaction);
        return;
    case IXN__V1__MESSAGE__BODY_ERROR:
        s_error(world, node, talker, request, message->error);
        return;
    default:
        return;
    }
}

void told_released(world_t *world, int node, size_t talker, const uint8_t *bytes, size_t len)
{
    told_t *self = world->told;
    error_t error;
    wire_arena_reset(self->arena);
    const Ixn__V1__FromNode *frame = wire_decode_from_node(self->arena, bytes, len, &error);
    if (!frame) {
        world_violation(world, "contract", "node %c sends what is no frame: %s", 'a' + node,
                        error.text);
        return;
    }
    int owner;
    uint64_t life;
    if (frame->epoch == 0 || !checker_owner(world->checker, frame->epoch, &owner, &life) ||
        owner != node || life != world->machines[node]->life)
        world_violation(world, "P4 epochs", "node %c speaks under epoch %llu, which it never had",
                        'a' + node, (unsigned long long)frame->epoch);
    if (frame->index > checker_head(world->checker))
        world_violation(world, "P4 released",
                        "node %c says that index %llu is durable, the log ends at %llu", 'a' + node,
                        (unsigned long long)frame->index,
                        (unsigned long long)checker_head(world->checker));
    checker_told(world->checker, frame->epoch, frame->index);
    for (size_t i = 0; i < frame->n_messages; i++)
        s_message(world, node, world->talkers[talker], frame->messages[i]);
}

/* Only requests for agents are looked at. */
void told_received(world_t *world, int node, size_t talker, const uint8_t *bytes, size_t len)
{
    error_t error;
    if (world->options.agents == 0 || world->talkers[talker]->kind != TALKER_ROUTER)
        return;
    wire_arena_reset(world->told->arena);
    const Ixn__V1__ToNode *frame = wire_decode_to_node(world->told->arena, bytes, len, &error);
    const machine_t *machine = world->machines[node];
    for (size_t i = 0; frame && i < frame->n_requests; i++)
        if (frame->requests[i]->body_case == IXN__V1__REQUEST__BODY_RESERVE)
            seen_agents_asked(checker_agents(world->checker), node, machine->life, talker,
                              frame->requests[i]->id, pair_epoch(machine->pair),
                              pair_state(machine->pair)->index, frame->requests[i]->reserve);
}

/* ---- What clients hear ---- */

bool told_submit_skipped(const talker_t *talker, const submit_t *submit)
{
    return submit->acked &&
           checker_gave_up(talker->world->checker, submit->id.bytes, sizeof submit->id, 0);
}

void told_submit_acked(talker_t *talker, submit_t *submit, const Ixn__V1__Ack *ack)
{
    char a[ID_TEXT_SIZE], b[ID_TEXT_SIZE];
    id128_t id = {{0}};
    wire_read_id(ack->interaction_id, &id);
    if (submit->acked && !id_equal(id, submit->id) && !told_submit_skipped(talker, submit))
        world_violation(talker->world, "P2", "%s hears %s for a key that was %s before",
                        talker->name, id_text(id, a), id_text(submit->id, b));
    submit->acked = true;
    submit->id = id;
}

/* What crashed nodes twice, and nothing else. */
static bool s_is_poison(const talker_t *talker, const submit_t *submit,
                        const Ixn__V1__Message *message)
{
    return message->body_case == IXN__V1__MESSAGE__BODY_ERROR &&
           message->error->code == IXN__V1__CODE__POISON && submit->planted < PLANTED_MAX &&
           planted_crashes(talker->world->planted, submit->planted) >= 2;
}

void told_submit_refused(talker_t *talker, submit_t *submit, const Ixn__V1__Message *message)
{
    if (s_is_poison(talker, submit, message))
        submit->refused = true;
    else if (message->body_case != IXN__V1__MESSAGE__BODY_ERROR ||
             message->error->code != IXN__V1__CODE__NOT_REGISTERED)
        world_violation(
            talker->world, "contract", "%s hears %d (%s) for a submit", talker->name,
            (int)message->body_case,
            message->body_case == IXN__V1__MESSAGE__BODY_ERROR ? message->error->sentence : "");
}

/* A repeated change has the first answer. One that is older than what an interaction remembers, or
 * that is completed, may be refused. */
void told_change_answered(talker_t *talker, change_item_t *change, const Ixn__V1__Message *message)
{
    bool acked = message->body_case == IXN__V1__MESSAGE__BODY_ACK;
    Ixn__V1__Code code = IXN__V1__CODE__OK;
    if (message->body_case == IXN__V1__MESSAGE__BODY_ERROR)
        code = message->error->code;
    uint32_t version = acked ? message->ack->version : 0;
    bool gone = code == IXN__V1__CODE__UNKNOWN_INTERACTION &&
                told_submit_skipped(talker, &talker->submits[change->submit]);
    if (change->answered && change->code == IXN__V1__CODE__OK && !gone &&
        !(acked && version == change->version) && code != IXN__V1__CODE__ALREADY_COMPLETED)
        world_violation(talker->world, "P2",
                        "%s asks for a change again that made version %u and hears code %d, "
                        "version %u",
                        talker->name, change->version, (int)code, version);
    if (change->answered)
        return;
    change->answered = true;
    change->code = code;
    change->version = version;
}

void told_result_answered(talker_t *talker, const work_t *work, const Ixn__V1__Message *message)
{
    bool acked = message->body_case == IXN__V1__MESSAGE__BODY_ACK;
    world_trace(talker->world, talker->name, acked ? "result-taken" : "result-refused",
                work->token.index, work->token.epoch);
}

bool told_all_completed(const world_t *world)
{
    for (size_t i = 0; i < world->talkers_len; i++) {
        const talker_t *talker = world->talkers[i];
        for (size_t j = 0; j < talker->submits_len; j++) {
            const submit_t *submit = &talker->submits[j];
            if (submit->refused || (submit->gone && told_submit_skipped(talker, submit)))
                continue;
            if (told_submit_skipped(talker, submit))
                return false; /* and has not heard of it yet */
            const seen_t *seen = submit->acked ? checker_find(world->checker, &submit->id) : NULL;
            if (submit->acked && !seen)
                return world_violation((world_t *)world, "P1",
                                       "%s was told that its submit %zu is kept; it is not in the "
                                       "committed log",
                                       talker->name, j);
            if (!submit->acked || !seen->completed)
                return false;
        }
    }
    return true;
}
