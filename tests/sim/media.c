#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/sim/planted.h"
#include "tests/sim/talker.h"
#include "tests/sim/told.h"

/* Media servers: submit with keys of their own, ask again until they are answered, and sometimes
 * again although they are; change what they have submitted. */

enum { AGAIN_US = 700000, REPEAT_US = 300000, CHANGES_MAX = 400 };

static const char *const s_queues[] = {"inbound", "work", "urgent"};

static void s_new_submit(talker_t *self)
{
    world_t *world = self->world;
    self->submits = memory_resize(self->submits, (self->submits_len + 1) * sizeof *self->submits);
    submit_t *submit = &self->submits[self->submits_len++];
    id128_t key = random_id(&world->random);
    *submit = (submit_t){.priority = (int32_t)world_between(world, -2, 2),
                         .queue = world_chance(world, 700) ? 0 : (int)world_between(world, 1, 2),
                         .hold = world_chance(world, 60),
                         .planted = PLANTED_MAX,
                         .again_at = world->now,
                         .repeats = world_chance(world, 200) ? 2 : 0};
    memcpy(submit->key, key.bytes, sizeof submit->key);
}

bool media_poison(talker_t *self, planted_kind_t kind)
{
    size_t number;
    if (!planted_plant(self->world->planted, kind, &number))
        return false;
    s_new_submit(self);
    submit_t *submit = &self->submits[self->submits_len - 1];
    submit->planted = number;
    submit->repeats = kind == PLANTED_APPLY ? 0 : 2;
    return true;
}

static void s_send_submit(talker_t *self, size_t item)
{
    submit_t *submit = &self->submits[item];
    char attributes[64];
    char external_id[PLANTED_NAME] = "";
    if (submit->planted < PLANTED_MAX)
        planted_name(self->world->planted, submit->planted, external_id);
    snprintf(attributes, sizeof attributes, "{\"n\":%zu,\"of\": \"a: b, c\"}", item);
    Ixn__V1__Submit body = IXN__V1__SUBMIT__INIT;
    body.key = (ProtobufCBinaryData){sizeof submit->key, submit->key};
    body.queue = (char *)s_queues[submit->queue];
    body.media_type = (char *)"email";
    body.external_id = external_id;
    body.priority = submit->priority;
    body.attributes = (ProtobufCBinaryData){strlen(attributes), (uint8_t *)attributes};
    body.hold = submit->hold;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_SUBMIT;
    request.submit = &body;
    submit->asking = talker_ask(self, &request, ASKED_SUBMIT, item);
    submit->again_at = self->world->now + AGAIN_US;
}

/* ---- Changes of what was submitted ---- */

static void s_new_change(talker_t *self)
{
    static const Ixn__V1__Request__BodyCase kinds[] = {
        IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES, IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE,
        IXN__V1__REQUEST__BODY_HOLD, IXN__V1__REQUEST__BODY_RESUME, IXN__V1__REQUEST__BODY_STOP};
    world_t *world = self->world;
    size_t submit =
        (size_t)world_between(world, (usec_t)self->open_from, (usec_t)self->submits_len - 1);
    if (!self->submits[submit].acked || self->changes_len == CHANGES_MAX)
        return;
    self->changes = memory_resize(self->changes, (self->changes_len + 1) * sizeof *self->changes);
    change_item_t *change = &self->changes[self->changes_len++];
    id128_t key = random_id(&world->random);
    *change = (change_item_t){.submit = submit,
                              .kind = kinds[world_between(world, 0, 4)],
                              .again_at = world->now,
                              .repeats = world_chance(world, 300) ? 1 : 0};
    memcpy(change->key, key.bytes, sizeof change->key);
}

static void s_send_change(talker_t *self, size_t item)
{
    change_item_t *change = &self->changes[item];
    submit_t *submit = &self->submits[change->submit];
    ProtobufCBinaryData id = wire_bytes(&submit->id);
    ProtobufCBinaryData key = {sizeof change->key, change->key};
    Ixn__V1__ChangeProperties properties = IXN__V1__CHANGE_PROPERTIES__INIT;
    Ixn__V1__PlaceInQueue place = IXN__V1__PLACE_IN_QUEUE__INIT;
    Ixn__V1__Hold hold = IXN__V1__HOLD__INIT;
    Ixn__V1__Resume resume = IXN__V1__RESUME__INIT;
    Ixn__V1__Stop stop = IXN__V1__STOP__INIT;
    Ixn__V1__AttributesChange attributes = IXN__V1__ATTRIBUTES_CHANGE__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    static uint8_t set[] = "{\"changed\":true}";
    attributes.set = (ProtobufCBinaryData){sizeof set - 1, set};
    properties.interaction_id = place.interaction_id = hold.interaction_id = id;
    resume.interaction_id = stop.interaction_id = id;
    properties.key = place.key = hold.key = resume.key = stop.key = key;
    properties.attributes = &attributes;
    properties.priority_given_case = IXN__V1__CHANGE_PROPERTIES__PRIORITY_GIVEN_PRIORITY;
    properties.priority = change->key[0] % 5 - 2;
    place.queue = (char *)s_queues[change->key[1] % 3];
    request.body_case = change->kind;
    switch (change->kind) {
    case IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES:
        request.change_properties = &properties;
        break;
    case IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE:
        request.place_in_queue = &place;
        break;
    case IXN__V1__REQUEST__BODY_HOLD:
        request.hold = &hold;
        break;
    case IXN__V1__REQUEST__BODY_RESUME:
        request.resume = &resume;
        break;
    default:
        request.stop = &stop;
    }
    change->asking = talker_ask(self, &request, ASKED_CHANGE, item);
    change->again_at = self->world->now + AGAIN_US;
}

static void s_get(talker_t *self, size_t item)
{
    if (!self->submits[item].acked)
        return;
    Ixn__V1__Get body = IXN__V1__GET__INIT;
    body.interaction_id = wire_bytes(&self->submits[item].id);
    body.confirmed = world_chance(self->world, 500);
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_GET;
    request.get = &body;
    talker_ask(self, &request, ASKED_GET, item);
}

/* Whoever submitted what was skipped asks for it, and hears that it is gone. */
static void s_ask_for_skipped(talker_t *self)
{
    usec_t now = self->world->now;
    if (!options_has(&self->world->options, FAULT_APPLY))
        return;
    for (size_t i = 0; i < self->submits_len; i++) {
        submit_t *submit = &self->submits[i];
        if (submit->planted == PLANTED_MAX || submit->gone || submit->again_at > now ||
            !told_submit_skipped(self, submit))
            continue;
        submit->again_at = now + AGAIN_US;
        s_get(self, i);
    }
}

void media_tick(talker_t *self)
{
    world_t *world = self->world;
    usec_t now = world->now;
    if (now >= self->next_submit && !self->quiet) {
        s_new_submit(self);
        self->next_submit = now + world_between(world, 0, 2 * world->options.submit_pause);
        if (world_chance(world, 150))
            s_new_change(self);
        if (world_chance(world, 100))
            s_get(self, (size_t)world_between(world, 0, (usec_t)self->submits_len - 1));
    }
    for (size_t i = self->open_from; i < self->submits_len; i++) {
        submit_t *submit = &self->submits[i];
        bool answered = submit->acked || submit->refused;
        if (submit->again_at <= now && (!answered || submit->repeats > 0)) {
            submit->repeats -= answered;
            s_send_submit(self, i);
        }
        if (i == self->open_from && answered && submit->repeats == 0)
            self->open_from++;
    }
    s_ask_for_skipped(self);
    if (self->open_from >= self->submits_len && self->submits_len > 0)
        self->open_from = self->submits_len - 1;
    for (size_t i = 0; i < self->changes_len; i++) {
        change_item_t *change = &self->changes[i];
        if (change->again_at <= now && (!change->answered || change->repeats > 0)) {
            change->repeats -= change->answered;
            s_send_change(self, i);
        }
    }
}

/* ---- Answers ---- */

static void s_submit_answer(talker_t *self, const answer_t *answer)
{
    submit_t *submit = &self->submits[answer->request->item];
    const Ixn__V1__Message *message = answer->message;
    if (answer->retry_at) {
        if (answer->id == submit->asking)
            submit->again_at = answer->retry_at;
        return;
    }
    if (message->body_case != IXN__V1__MESSAGE__BODY_ACK) {
        told_submit_refused(self, submit, message);
        submit->again_at = self->world->now + REPEAT_US;
        return;
    }
    told_submit_acked(self, submit, message->ack);
    if (answer->id == submit->asking)
        submit->again_at = self->world->now + REPEAT_US;
}

/* It hears that what it knew is gone. */
static void s_get_answer(talker_t *self, const answer_t *answer)
{
    submit_t *submit = &self->submits[answer->request->item];
    const Ixn__V1__Message *message = answer->message;
    if (!answer->retry_at && message->body_case == IXN__V1__MESSAGE__BODY_ERROR &&
        message->error->code == IXN__V1__CODE__UNKNOWN_INTERACTION)
        submit->gone = true;
}

static void s_change_answer(talker_t *self, const answer_t *answer)
{
    change_item_t *change = &self->changes[answer->request->item];
    const Ixn__V1__Message *message = answer->message;
    if (answer->retry_at) {
        if (answer->id == change->asking)
            change->again_at = answer->retry_at;
        return;
    }
    if (message->body_case == IXN__V1__MESSAGE__BODY_ERROR &&
        message->error->code == IXN__V1__CODE__NOT_REGISTERED)
        return;
    told_change_answered(self, change, message);
    change->again_at = self->world->now + REPEAT_US;
}

void media_answer(talker_t *self, const answer_t *answer)
{
    if (answer->request->what == ASKED_SUBMIT)
        s_submit_answer(self, answer);
    else if (answer->request->what == ASKED_CHANGE)
        s_change_answer(self, answer);
    else if (answer->request->what == ASKED_GET)
        s_get_answer(self, answer);
}
