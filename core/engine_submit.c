#include <string.h>
#include <xxhash.h>

#include "core/attributes.h"
#include "core/engine_internal.h"

static text_t s_bytes(ProtobufCBinaryData bytes)
{
    return (text_t){(const char *)bytes.data, bytes.len};
}

/* What the content is, to tell a retry from a key that is used for something else. */
static uint64_t s_fingerprint(const Ixn__V1__Submit *submit)
{
    XXH64_hash_t hash = 0;
    const text_t parts[] = {text_of(submit->queue),       text_of(submit->media_type),
                            text_of(submit->type),        text_of(submit->subtype),
                            text_of(submit->external_id), s_bytes(submit->parent_id),
                            s_bytes(submit->attributes)};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        hash = XXH3_64bits_withSeed(parts[i].data, parts[i].len, hash + parts[i].len);
    int64_t numbers[3] = {submit->priority, submit->received_at_us, submit->hold};
    return XXH3_64bits_withSeed(numbers, sizeof numbers, hash);
}

static bool s_check_names(const Ixn__V1__Submit *submit, error_t *ret_error)
{
    return wire_check_text("queue", submit->queue, 1, LIMIT_NAME, ret_error) &&
           wire_check_text("media_type", submit->media_type, 1, LIMIT_NAME, ret_error) &&
           wire_check_text("type", submit->type, 0, LIMIT_NAME, ret_error) &&
           wire_check_text("subtype", submit->subtype, 0, LIMIT_NAME, ret_error) &&
           wire_check_text("external_id", submit->external_id, 0, LIMIT_TEXT, ret_error);
}

static bool s_check_key(const Ixn__V1__Submit *submit, error_t *ret_error)
{
    if (submit->key.len >= 1 && submit->key.len <= LIMIT_KEY)
        return true;
    return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                     "key has %zu bytes, it needs 1 … %d; make a random one for each new "
                     "interaction",
                     submit->key.len, LIMIT_KEY);
}

static bool s_check(engine_t *self, const Ixn__V1__Submit *submit, error_t *ret_error)
{
    if (!s_check_names(submit, ret_error))
        return false;
    if (submit->parent_id.len != 0 && submit->parent_id.len != sizeof(id128_t))
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "parent_id has %zu bytes, an interaction's id has 16",
                         submit->parent_id.len);
    if (submit->priority < -LIMIT_PRIORITY || submit->priority > LIMIT_PRIORITY)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT, "priority is %d, it may be %d … %d",
                         submit->priority, -LIMIT_PRIORITY, LIMIT_PRIORITY);
    if (submit->received_at_us < 0 || submit->received_at_us > LIMIT_TIME)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "received_at_us is %lld, it may be 0 … %lld (the year 9999)",
                         (long long)submit->received_at_us, (long long)LIMIT_TIME);
    return attributes_check(s_bytes(submit->attributes),
                            self->state->configuration->max_attributes_size, ret_error);
}

/* The answer of an earlier submit with this key, if there was one. */
static bool s_answered_before(engine_t *self, session_t session, uint64_t request,
                              const id128_t *key_hash, uint64_t fingerprint)
{
    const interaction_t *live = state_find_by_key(self->state, key_hash);
    const remembered_t *done = live ? NULL : state_remembered_by_key(self->state, key_hash);
    if (!live && (!done || MUTATION(KEYS_FORGOTTEN)))
        return false;
    id128_t id = live ? live->id : done->id;
    if ((live ? live->fingerprint : done->fingerprint) == fingerprint) {
        engine_ack(self, session, request, id, 1);
        return true;
    }
    char text[ID_TEXT_SIZE];
    error_t error;
    error_set(&error, ERROR_KEY_REUSED,
              "this key made interaction %s before, with another content; nothing was kept of this "
              "one: make a new key for each new interaction",
              id_text(id, text));
    engine_refuse(self, session, request, &error);
    return true;
}

/* Why there is no room, or NULL. */
static const char *s_no_room(const engine_t *self, const queue_t *queue)
{
    const state_t *state = self->state;
    const Ixn__V1__EngineConfiguration *configuration = state->configuration;
    if (self->busy)
        return self->busy;
    if (state->count >= configuration->max_interactions)
        return "as many interactions as limits.max_interactions allows are unfinished";
    if (queue->max_length && queue->length >= queue->max_length)
        return "the queue is as long as its max_length allows";
    if (state_dedupe_reach(state) < (usec_t)configuration->dedupe_guaranteed_ms * USEC_PER_MS)
        return "the memory of keys is full (dedupe.max_keys) and may not forget younger ones than "
               "dedupe.guaranteed";
    return NULL;
}

static id128_t s_new_id(const engine_t *self)
{
    uint8_t seed[24];
    uint64_t index = self->state->index + 1;
    memcpy(seed, self->options.generation.bytes, 16);
    memcpy(seed + 16, &index, sizeof index);
    return id_from_time(self->wall_time, id_hash(seed, sizeof seed));
}

static void s_decide(engine_t *self, engine_session_t *slot, const Ixn__V1__Submit *submit,
                     id128_t id, uint64_t fingerprint)
{
    Ixn__V1__Submitted submitted = IXN__V1__SUBMITTED__INIT;
    submitted.interaction_id = wire_bytes(&id);
    submitted.key = submit->key;
    submitted.fingerprint = fingerprint;
    submitted.tenant = self->state->tenants[slot->tenant];
    submitted.queue = submit->queue;
    submitted.media_type = submit->media_type;
    submitted.type = submit->type;
    submitted.subtype = submit->subtype;
    submitted.external_id = submit->external_id;
    submitted.parent_id = submit->parent_id;
    submitted.priority = submit->priority;
    submitted.attributes = submit->attributes;
    submitted.received_at_us = submit->received_at_us ? submit->received_at_us : self->wall_time;
    submitted.submitted_by = (char *)self->by;
    submitted.held = submit->hold;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_SUBMITTED;
    entry.submitted = &submitted;
    engine_emit(self, &entry);
}

void engine_submit(engine_t *self, session_t session, uint64_t request,
                   const Ixn__V1__Submit *submit)
{
    engine_session_t *slot = engine_slot(self, session);
    error_t error;
    if (!s_check_key(submit, &error)) {
        engine_refuse(self, session, request, &error);
        return;
    }
    /* First of all: what was answered once is answered the same, although bounds may be lower now.
     */
    const char *tenant = self->state->tenants[slot->tenant];
    id128_t key_hash = key_hash_of(text_of(tenant), s_bytes(submit->key));
    state_remembered_prefetch(self->state, NULL, &key_hash);
    uint64_t fingerprint = s_fingerprint(submit);
    if (s_answered_before(self, session, request, &key_hash, fingerprint))
        return;
    if (!s_check(self, submit, &error)) {
        engine_refuse(self, session, request, &error);
        return;
    }
    queue_t *queue = state_queue(self->state, slot->tenant, text_of(submit->queue));
    if (!queue || !queue->configured) {
        error_set(&error, ERROR_UNKNOWN_QUEUE,
                  "tenant \"%s\" has no queue \"%s\"; configure it under `queues`", tenant,
                  submit->queue);
        engine_refuse(self, session, request, &error);
        return;
    }
    const char *no_room = s_no_room(self, queue);
    if (no_room) {
        engine_say_busy(self, session, request, no_room);
        return;
    }
    id128_t id = s_new_id(self);
    state_remembered_prefetch(self->state, &id, NULL);
    s_decide(self, slot, submit, id, fingerprint);
    engine_queue_dirty(self, queue->number);
    self->figures.submitted++;
    engine_ack(self, session, request, id, 1);
}

static void s_say_view(engine_t *self, session_t session, uint64_t request,
                       Ixn__V1__Interaction *view)
{
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_INTERACTION;
    message.interaction = view;
    engine_say(self, session, &message);
}

void engine_get(engine_t *self, session_t session, uint64_t request, const Ixn__V1__Get *get)
{
    engine_session_t *slot = engine_slot(self, session);
    id128_t id;
    error_t error;
    if (!wire_read_id(get->interaction_id, &id)) {
        error_set(&error, ERROR_INVALID_ARGUMENT, "interaction_id has %zu bytes, it needs 16",
                  get->interaction_id.len);
        engine_refuse(self, session, request, &error);
        return;
    }
    if (get->confirmed)
        self->needs_entry = true;
    const interaction_t *live = state_find(self->state, &id);
    if (live && engine_may_see(slot, self->state->queues[live->queue]->tenant)) {
        interaction_view_t view;
        buffer_t journey = {0};
        engine_view(self, live, &view);
        if (get->journey && live->more && live->more->journey) {
            journey_print(live->more->journey, self->state->symbols, &journey);
            view.message.journey = (ProtobufCBinaryData){journey.len, journey.bytes};
        }
        s_say_view(self, session, request, &view.message);
        buffer_free(&journey);
        return;
    }
    const remembered_t *done = live ? NULL : state_remembered(self->state, &id);
    if (done && engine_may_see(slot, done->tenant)) {
        Ixn__V1__Interaction view = IXN__V1__INTERACTION__INIT;
        view.interaction_id = wire_bytes(&done->id);
        view.version = done->versions[0];
        view.state = IXN__V1__INTERACTION_STATE__COMPLETED;
        view.tenant = self->state->tenants[done->tenant];
        view.completed_at_us = done->completed_at;
        s_say_view(self, session, request, &view);
        return;
    }
    char text[ID_TEXT_SIZE];
    error_set(&error, ERROR_UNKNOWN_INTERACTION,
              "no interaction %s is live here or was completed within dedupe.window; older ones "
              "are in ixn.interaction_history",
              id_text(id, text));
    engine_refuse(self, session, request, &error);
}
