#include "tests/sim/errand.h"

#include <string.h>

#include "tests/sim/checker.h"
#include "tests/sim/engine_file.h"
#include "tests/sim/seen_agents.h"
#include "tests/sim/talker.h"

enum { AGAIN_US = 700000, SHORT_US = 60000, TRIES = 4 };

static void s_key(world_t *world, uint8_t key[16])
{
    id128_t random = random_id(&world->random);
    memcpy(key, random.bytes, sizeof random.bytes);
}

void errand_draw(talker_t *self, size_t work)
{
    world_t *world = self->world;
    errand_t *errand = &self->works[work].errand;
    *errand = (errand_t){.patient = world_chance(world, 850)};
    if (world->options.servers > 0 && world_chance(world, 500))
        errand->calls_len = (size_t)world_between(world, 1, ERRAND_CALLS);
    for (size_t i = 0; i < errand->calls_len; i++) {
        call_t *call = &errand->calls[i];
        *call = (call_t){.by_cluster = world_chance(world, 300),
                         .safe = world_chance(world, 500),
                         .again_at = world->now};
        s_key(world, call->key);
    }
    if (world->options.agents == 0 || world_chance(world, 400))
        return;
    errand->keep =
        (keep_t){.state = KEEP_WANTED,
                 .agent = (size_t)world_between(world, 0, (usec_t)world->options.agents - 1),
                 .has_priority = world_chance(world, 700),
                 .priority = (int32_t)world_between(world, -3, 3),
                 .duration_ms = world_chance(world, 700) ? -1 : world_between(world, 50, 900),
                 .prolongs = world_chance(world, 200),
                 .again_at = world->now};
    s_key(world, errand->keep.key);
}

/* ---- Services ---- */

static void s_call(talker_t *self, size_t item, call_t *call)
{
    work_t *work = &self->works[item];
    Ixn__V1__Token token = work->token;
    Ixn__V1__CallService body = IXN__V1__CALL_SERVICE__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    body.interaction_id = wire_bytes(&work->id);
    body.token = &token;
    body.key = (ProtobufCBinaryData){sizeof call->key, call->key};
    if (call->by_cluster) {
        body.target_case = IXN__V1__CALL_SERVICE__TARGET_CLUSTER;
        body.cluster = (char *)engine_file_cluster;
    } else {
        body.target_case = IXN__V1__CALL_SERVICE__TARGET_TYPE;
        body.type = IXN__V1__APPLICATION_TYPE__APPLICATION_CLASSIFICATION;
    }
    body.service = (char *)engine_file_services[call->key[0] & 1];
    body.method = (char *)"do";
    body.safe = call->safe;
    request.body_case = IXN__V1__REQUEST__BODY_CALL_SERVICE;
    request.call_service = &body;
    call->asking = talker_ask(self, &request, ASKED_CALL, item);
    call->again_at = self->world->now + AGAIN_US;
}

void errand_call_answer(talker_t *self, const Ixn__V1__Message *message, size_t work,
                        uint64_t request, usec_t retry_at)
{
    errand_t *errand = &self->works[work].errand;
    for (size_t i = 0; i < errand->calls_len; i++) {
        call_t *call = &errand->calls[i];
        if (call->asking != request)
            continue;
        if (retry_at) {
            call->again_at = retry_at;
        } else if (message->body_case == IXN__V1__MESSAGE__BODY_ACK) {
            if (call->acked && (call->service.index != message->ack->service->index ||
                                call->service.epoch != message->ack->service->epoch))
                world_violation(self->world, "P2",
                                "%s asks for a service again and hears of "
                                "another request",
                                self->name);
            call->acked = true;
            call->service = *message->ack->service;
        } else if (message->error->code != IXN__V1__CODE__NOT_REGISTERED) {
            call->over = true;
        }
    }
}

void errand_result(talker_t *self, const Ixn__V1__ServiceResult *result)
{
    for (size_t i = self->works_from; i < self->works_len; i++) {
        errand_t *errand = &self->works[i].errand;
        for (size_t j = 0; j < errand->calls_len; j++)
            if (result->key.len == sizeof errand->calls[j].key &&
                memcmp(errand->calls[j].key, result->key.data, result->key.len) == 0)
                errand->calls[j].over = true;
    }
}

/* ---- An agent ---- */

static void s_reserve(talker_t *self, size_t item, keep_t *keep)
{
    work_t *work = &self->works[item];
    Ixn__V1__Token token = work->token;
    Ixn__V1__Reserve body = IXN__V1__RESERVE__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    body.interaction_id = wire_bytes(&work->id);
    body.token = &token;
    body.agent = (char *)engine_file_agents[keep->agent];
    body.key = (ProtobufCBinaryData){sizeof keep->key, keep->key};
    body.duration_ms = keep->state == KEEP_GIVES_BACK ? 0 : keep->duration_ms;
    if (keep->has_priority) {
        body.priority_given_case = IXN__V1__RESERVE__PRIORITY_GIVEN_PRIORITY;
        body.priority = keep->priority;
    }
    request.body_case = IXN__V1__REQUEST__BODY_RESERVE;
    request.reserve = &body;
    keep->asked_at = self->world->now;
    keep->asking = talker_ask(self, &request, ASKED_RESERVE, item);
    keep->again_at = self->world->now + AGAIN_US;
}

static void s_granted(talker_t *self, keep_t *keep, const Ixn__V1__Granted *granted)
{
    world_t *world = self->world;
    keep->grant = *granted->grant;
    keep->until = keep->asked_at + (usec_t)granted->duration_ms * USEC_PER_MS;
    seen_agents_heard(checker_agents(world->checker), self->name, keep->asked_at, granted);
    world_trace(world, self->name, "granted", granted->grant->index, keep->agent);
    if (keep->prolongs && !world->options.once) { /* under another key */
        keep->prolongs = false;
        s_key(world, keep->key);
        keep->again_at = world->now + world_between(world, 0, SHORT_US);
        return;
    }
    keep->state = world_chance(world, 150) ? KEEP_GIVES_BACK : KEEP_GRANTED;
    keep->again_at = world->now;
}

/* Another has it: again, or without an agent. */
static void s_not_granted(talker_t *self, keep_t *keep, const Ixn__V1__Error *error)
{
    world_t *world = self->world;
    keep->state = KEEP_OVER;
    if (error->code != IXN__V1__CODE__AGENT_RESERVED || ++keep->tries == TRIES)
        return;
    keep->state = KEEP_WANTED;
    keep->again_at = world->now + world_between(world, 0, SHORT_US);
    s_key(world, keep->key);
}

void errand_keep_answer(talker_t *self, const Ixn__V1__Message *message, size_t work,
                        uint64_t request, usec_t retry_at)
{
    keep_t *keep = &self->works[work].errand.keep;
    if (keep->asking != request)
        return;
    if (retry_at)
        keep->again_at = retry_at;
    else if (message->body_case == IXN__V1__MESSAGE__BODY_GRANTED)
        s_granted(self, keep, message->granted);
    else if (message->body_case == IXN__V1__MESSAGE__BODY_ACK)
        keep->state = KEEP_OVER; /* given back */
    else if (message->error->code != IXN__V1__CODE__NOT_REGISTERED)
        s_not_granted(self, keep, message->error);
}

const keep_t *errand_kept(const talker_t *self, size_t work)
{
    const keep_t *keep = &self->works[work].errand.keep;
    bool lies = options_has(&self->world->options, FAULT_ROUTER) && !self->quiet;
    return keep->state == KEEP_GRANTED && (self->world->now < keep->until || lies) ? keep : NULL;
}

/* ---- Both ---- */

bool errand_tick(talker_t *self, size_t item)
{
    errand_t *errand = &self->works[item].errand;
    usec_t now = self->world->now;
    bool ready = true;
    for (size_t i = 0; i < errand->calls_len; i++) {
        call_t *call = &errand->calls[i];
        if (!call->acked && !call->over && call->again_at <= now)
            s_call(self, item, call);
        ready = ready && call->over;
    }
    keep_t *keep = &errand->keep;
    bool asks = keep->state == KEEP_WANTED || keep->state == KEEP_GIVES_BACK;
    if (asks && keep->again_at <= now)
        s_reserve(self, item, keep);
    return (ready && !asks) || !errand->patient;
}
