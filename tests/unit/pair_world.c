#include "tests/unit/pair_world_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"

static const char *const s_names[NODES] = {"A", "B"};
static const char *const s_endpoints[NODES] = {"tcp://a:7420", "tcp://b:7420"};

static __attribute__((format(printf, 3, 4))) void s_tell(pair_world_t *self, int node,
                                                         const char *format, ...)
{
    char line[512];
    va_list arguments;
    int len = snprintf(line, sizeof line, "%s: ", s_names[node]);
    va_start(arguments, format);
    len += vsnprintf(line + len, sizeof line - (size_t)len, format, arguments);
    va_end(arguments);
    /* What is said again and again is told once. */
    size_t told = strlen(self->told);
    size_t last = told;
    while (last > 0 && (last == told || self->told[last - 1] != '\n'))
        last--;
    if (strncmp(self->told + last, line, (size_t)len) == 0 &&
        self->told[last + (size_t)len] == '\n')
        return;
    snprintf(self->told + told, sizeof self->told - told, "%s\n", line);
}

/* ---- Databases ---- */

const batch_t *pair_world_newest(const model_t *model)
{
    return model->len > 0 ? model->journal[model->len - 1] : NULL;
}

static database_status_t s_status(const model_t *model)
{
    database_status_t status = {.identity = model->identity,
                                .moves = model->moves,
                                .instance = model->instance,
                                .server = "a model",
                                .schema_version = DATABASE_SCHEMA_VERSION,
                                .epoch = model->epoch,
                                .generation = model->generation,
                                .checkpoint_index = model->checkpoint};
    memcpy(status.owner, model->owner, sizeof status.owner);
    const batch_t *head = pair_world_newest(model);
    if (head) {
        status.head_index = head->last;
        status.head_hash = head->hash;
    }
    return status;
}

static void s_take_epoch(pair_world_t *self, model_t *model, const char *owner, uint64_t seen)
{
    model->epoch = (model->epoch > seen ? model->epoch : seen) + 1;
    self->generations++;
    model->generation = id_hash(&self->generations, sizeof self->generations);
    snprintf(model->owner, sizeof model->owner, "%s", owner);
}

static void s_append(model_t *model, const batch_t *batch)
{
    CHECK(model->len < JOURNAL);
    model->journal[model->len++] =
        batch_new(batch->epoch, batch->first, batch->last, batch->previous, batch->log_time,
                  batch->wall_time, batch->entries);
}

void pair_world_append(pair_world_t *self)
{
    model_t *model = &self->databases[OURS];
    const batch_t *head = pair_world_newest(model);
    Ixn__V1__Beat beat = IXN__V1__BEAT__INIT;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    buffer_t entries = {0};
    entry.body_case = IXN__V1__ENTRY__BODY_BEAT;
    entry.beat = &beat;
    wire_append_entry(&entries, &entry);
    uint64_t index = head ? head->last + 1 : 1;
    batch_t *batch = batch_new(model->epoch, index, index, head ? head->hash : (id128_t){0},
                               head ? head->log_time + 1 : 1, self->now,
                               (text_t){(const char *)entries.bytes, entries.len});
    s_append(model, batch);
    batch_destroy(&batch);
    buffer_free(&entries);
}

void pair_world_usurp(pair_world_t *self)
{
    s_take_epoch(self, &self->databases[OURS], "C", 0);
}

void pair_world_move(pair_world_t *self, pair_world_copy_t copied)
{
    model_t *model = &self->databases[OURS];
    moves_t *moves = &model->moves;
    memmove(moves->moves + 1, moves->moves, (MOVES_MAX - 1) * sizeof moves->moves[0]);
    moves->len += moves->len < MOVES_MAX;
    moves->moves[0].from = model->identity;
    s_take_epoch(self, model, "an operator", 0);
    model->identity.database_id = model->generation;
    moves->moves[0].to = model->identity;
    moves->moves[0].epoch = model->epoch;
    moves->moves[0].instance = model->instance;
    switch (copied) {
    case COPY_NONE:
        break;
    case COPY_ELSEWHERE:
        model->identity.system_identifier++;
        break;
    case COPY_CLONE:
        model->instance.started_at++;
        break;
    }
}

void pair_world_serve_from(pair_world_t *self, bool elsewhere)
{
    instance_t *instance = &self->databases[OURS].instance;
    instance->started_at += 100;
    if (elsewhere)
        instance->address[0]++;
}

static void s_copy(model_t *to, const model_t *from)
{
    for (size_t i = 0; i < to->len; i++)
        batch_destroy(&to->journal[i]);
    *to = *from;
    to->len = 0;
    for (size_t i = 0; i < from->len; i++)
        s_append(to, from->journal[i]);
}

void pair_world_lose(pair_world_t *self, size_t batches)
{
    model_t *model = &self->databases[OURS];
    s_copy(&self->databases[OTHER], model);
    CHECK(batches < model->len);
    for (size_t i = 0; i < batches; i++)
        batch_destroy(&model->journal[--model->len]);
    pair_world_serve_from(self, true);
}

void pair_world_clone(pair_world_t *self, int database)
{
    model_t *model = &self->databases[database];
    s_copy(model, &self->databases[OURS]);
    model->instance.started_at += 50;
    model->instance.address[0] += 2;
}

static void s_drop_batches(pair_action_t *action)
{
    for (size_t i = 0; i < action->batches_len; i++)
        batch_destroy(&action->batches[i]);
    free(action->batches);
    action->batches = NULL;
    action->batches_len = 0;
}

void pair_world_deafen(pair_world_t *self, int node, bool deaf)
{
    self->members[node].deaf = deaf;
}

static void s_observe(member_t *member, size_t dap, const database_status_t *status,
                      const error_t *error)
{
    pair_observed(member->pair, dap, status, error);
}

static void s_claim(pair_world_t *self, member_t *member, model_t *model, size_t dap)
{
    pair_action_t *action = &member->daps[dap].action;
    const database_status_t *judged = &action->judged;
    database_status_t found = s_status(model);
    error_t error = {0};
    if (member->refuse)
        error_set(&error, ERROR_DATABASE_REFUSED, "permission denied");
    else if (!identity_equal(&judged->identity, &found.identity))
        error_set(&error, ERROR_DATABASE_WRONG, "another database was judged");
    else if (judged->epoch != found.epoch || !id_equal(judged->generation, found.generation))
        error_set(&error, ERROR_DATABASE_FENCED,
                  "epoch %" PRIu64 " was judged, %" PRIu64 " is there", judged->epoch, found.epoch);
    else if (action->claim_head && (judged->head_index != found.head_index ||
                                    !id_equal(judged->head_hash, found.head_hash)))
        error_set(&error, ERROR_DATABASE_FENCED,
                  "head %" PRIu64 " was judged, %" PRIu64 " is there", judged->head_index,
                  found.head_index);
    if (error.code) {
        s_drop_batches(action);
        pair_claimed(member->pair, dap, NULL, (id128_t){0}, &error);
        return;
    }
    for (size_t i = 0; i < action->batches_len; i++) /* those that were lost */
        s_append(model, action->batches[i]);
    s_drop_batches(action);
    s_take_epoch(self, model, s_names[member - self->members], action->highest_seen);
    found = s_status(model);
    pair_claimed(member->pair, dap, &found, model->generation, &error);
}

static void s_load(pair_world_t *self, member_t *member, const model_t *model, size_t dap)
{
    error_t error = {0};
    database_status_t status = s_status(model);
    if (member->refuse) {
        error_set(&error, ERROR_DATABASE_REFUSED, "permission denied");
        pair_loaded(member->pair, dap, NULL, NULL, &error);
        return;
    }
    state_t *state = state_new();
    for (size_t i = 0; i < model->len; i++)
        if (!state_apply_batch(state, model->journal[i], self->arena, NULL, &error)) {
            state_destroy(&state);
            pair_loaded(member->pair, dap, NULL, NULL, &error);
            return;
        }
    state_follow_begin(state);
    pair_loaded(member->pair, dap, state, &status, &error);
}

static void s_follow(member_t *member, const model_t *model, size_t dap)
{
    const pair_action_t *action = &member->daps[dap].action;
    batch_t **batches = memory_zero(model->len + 1, sizeof *batches);
    size_t len = 0;
    bool found = action->index == 0;
    error_t none = {0};
    for (size_t i = 0; i < model->len; i++) {
        const batch_t *row = model->journal[i];
        if (row->last == action->index)
            found = id_equal(row->hash, action->hash);
        else if (row->first > action->index && len < 100)
            batches[len++] = batch_new(row->epoch, row->first, row->last, row->previous,
                                       row->log_time, row->wall_time, row->entries);
    }
    for (size_t i = 0; !found && i < len; i++)
        batch_destroy(&batches[i]);
    pair_followed(member->pair, dap, batches, found ? len : 0, !found, &none);
    free(batches);
}

static void s_answer(pair_world_t *self, member_t *member, size_t dap)
{
    access_model_t *access = &member->daps[dap];
    pair_action_kind_t kind = access->action.kind;
    if (member->hold_answers || (kind == PAIR_CLAIM && member->hold_claims))
        return;
    access->asked = false;
    if (access->reaches == NOTHING) {
        s_drop_batches(&access->action);
        error_t error = {0};
        error_set(&error, ERROR_DATABASE_UNREACHABLE, "nothing is there");
        if (kind == PAIR_OBSERVE)
            s_observe(member, dap, NULL, &error);
        else if (kind == PAIR_CLAIM)
            pair_claimed(member->pair, dap, NULL, (id128_t){0}, &error);
        else if (kind == PAIR_LOAD)
            pair_loaded(member->pair, dap, NULL, NULL, &error);
        else
            pair_followed(member->pair, dap, NULL, 0, false, &error);
        return;
    }
    model_t *model = &self->databases[access->reaches];
    database_status_t status = s_status(model);
    if (kind == PAIR_OBSERVE) {
        status.known = access->action.known;
        if (status.known.index > 0)
            status.lineage =
                status.known.index <= status.head_index ? LINEAGE_AGREES : LINEAGE_SHORT;
        s_observe(member, dap, &status, NULL);
    } else if (kind == PAIR_CLAIM)
        s_claim(self, member, model, dap);
    else if (kind == PAIR_LOAD)
        s_load(self, member, model, dap);
    else
        s_follow(member, model, dap);
}

/* ---- Lanes ---- */

static void s_commit(pair_world_t *self, member_t *member)
{
    if (!member->open || !member->batch || member->hold_commits ||
        member->daps[0].reaches == NOTHING)
        return;
    model_t *model = &self->databases[member->daps[0].reaches];
    if (!instance_equal(&member->lanes.instance, &model->instance))
        return;
    batch_t *batch = member->batch;
    const batch_t *head = pair_world_newest(model);
    error_t error = {0};
    if (model->epoch != member->lanes.epoch ||
        !id_equal(model->generation, member->lanes.generation))
        error_set(&error, ERROR_DATABASE_FENCED, "epoch %" PRIu64 " is in the row", model->epoch);
    else if (batch->first != (head ? head->last + 1 : 1) ||
             (head && !id_equal(head->hash, batch->previous)))
        error_set(&error, ERROR_DATABASE_DIVERGED, "the head is not ours");
    member->batch = NULL;
    if (error.code) {
        pair_lane_stopped(member->pair, &error);
    } else {
        s_append(model, batch);
        pair_journal_committed(member->pair, batch->last, true);
    }
    batch_destroy(&batch);
}

static void s_hear_lanes(pair_world_t *self, member_t *member)
{
    for (size_t i = 0; i < PAIR_MAX_DAPS; i++)
        if (member->daps[i].asked)
            s_answer(self, member, i);
    s_commit(self, member);
    if (member->image) {
        if (self->databases[OURS].checkpoint < member->image)
            self->databases[OURS].checkpoint = member->image;
        pair_checkpoint_written(member->pair, member->image);
        member->image = 0;
    }
}

/* ---- The link ---- */

static bool s_linked(const pair_world_t *self)
{
    return !self->cut && self->members[A].pair && self->members[B].pair;
}

static void s_push(frame_t *frames, size_t *len, const uint8_t *bytes, size_t size)
{
    if (*len == FRAMES)
        return;
    frames[*len] = (frame_t){memory_new(size), size};
    memcpy(frames[(*len)++].bytes, bytes, size);
}

void pair_world_drop(frame_t *frames, size_t *len)
{
    for (size_t i = 0; i < *len; i++)
        free(frames[i].bytes);
    *len = 0;
}

static void s_send(pair_world_t *self, int node, uint8_t *bytes, size_t len)
{
    member_t *other = &self->members[1 - node];
    Ixn__V1__PeerFrame *frame = ixn__v1__peer_frame__unpack(NULL, len, bytes);
    CHECK(frame);
    if (frame->body_case == IXN__V1__PEER_FRAME__BODY_HAND_OVER)
        s_tell(self, node, "HandOver%s", frame->hand_over->abandoned ? ", abandoned" : "");
    ixn__v1__peer_frame__free_unpacked(frame, NULL);
    if (s_linked(self) && !self->mute && !other->deaf) {
        s_push(other->inbox, &other->inbox_len, bytes, len);
        s_push(other->kept, &other->kept_len, bytes, len);
    }
    free(bytes);
}

static void s_hear_link(pair_world_t *self, member_t *member)
{
    bool linked = s_linked(self);
    const member_t *other = &self->members[member == self->members ? B : A];
    if (linked != member->up)
        pair_peer_link(member->pair, linked ? PEER_LINK_UP : PEER_LINK_CLOSED);
    member->up = linked;
    if (!linked && !other->pair && !self->cut)
        pair_peer_link(member->pair, PEER_LINK_REFUSED);
    /* What comes in answer to what comes now is for the next step. */
    for (size_t i = 0; i < member->inbox_len; i++)
        pair_peer_receive(member->pair, member->inbox[i].bytes, member->inbox[i].len);
    pair_world_drop(member->inbox, &member->inbox_len);
}

void pair_world_again(pair_world_t *self, int node)
{
    member_t *member = &self->members[node];
    for (size_t i = 0; i < member->kept_len; i++)
        s_push(member->inbox, &member->inbox_len, member->kept[i].bytes, member->kept[i].len);
}

size_t pair_world_heard_len(const pair_world_t *self, int node)
{
    return self->members[node].kept_len;
}

bool pair_world_heard(const pair_world_t *self, int node, size_t number, const uint8_t **ret_bytes,
                      size_t *ret_len)
{
    const member_t *member = &self->members[node];
    if (member->kept_len == 0)
        return false;
    const frame_t *frame = &member->kept[member->kept_len - 1 - number % member->kept_len];
    *ret_bytes = frame->bytes;
    *ret_len = frame->len;
    return true;
}

void pair_world_frame(pair_world_t *self, int node, Ixn__V1__PeerFrame *frame, bool ours)
{
    model_t *model = &self->databases[OURS];
    frame->version = 1;
    if (ours) {
        frame->epoch = model->epoch;
        frame->generation = wire_bytes(&model->generation);
        frame->database_id = wire_bytes(&model->identity.database_id);
    }
    size_t len = ixn__v1__peer_frame__get_packed_size(frame);
    uint8_t *bytes = memory_new(len);
    ixn__v1__peer_frame__pack(frame, bytes);
    pair_peer_receive(self->members[node].pair, bytes, len);
    free(bytes);
}

/* ---- Actions ---- */

static void s_say(pair_world_t *self, int node, const pair_action_t *action)
{
    char from[32], to[32];
    if (strcmp(action->event, "pair.role") == 0 &&
        sscanf(action->text, "from=%31s to=%31s", from, to) == 2)
        s_tell(self, node, "%s > %s", from, to);
    if (strcmp(action->event, "dap.proving") == 0 && strstr(action->text, "dap=dap-1 "))
        snprintf(self->members[node].proving, sizeof self->members[node].proving, "%s",
                 action->text);
    if (strcmp(action->event, "database.assumed") == 0)
        s_tell(self, node, "assumes");
    if (strcmp(action->event, "pair.other_version") == 0 &&
        sscanf(action->text, "theirs=%31s own=%31s", from, to) == 2)
        s_tell(self, node, "another protocol: %s, not %s", from, to);
    if (strcmp(action->event, "pair.same_version") == 0)
        s_tell(self, node, "the same protocol again");
}

static void s_broadcast(pair_world_t *self, int node, pair_action_t *action)
{
    error_t error = {0};
    wire_arena_reset(self->arena);
    const Ixn__V1__FromNode *frame =
        wire_decode_from_node(self->arena, action->bytes, action->len, &error);
    CHECK(frame);
    if (frame->n_messages == 0)
        s_tell(self, node, "tells: it serves");
    else
        s_tell(self, node, "tells: not primary%s%s",
               frame->messages[0]->not_primary->primary_endpoint[0] ? ", " : "",
               frame->messages[0]->not_primary->primary_endpoint);
    free(action->bytes);
}

static void s_ask(pair_world_t *self, int node, const pair_action_t *action)
{
    member_t *member = &self->members[node];
    access_model_t *access = &member->daps[action->dap];
    CHECK(!access->asked);
    access->asked = true;
    access->action = *action;
    member->loads += action->kind == PAIR_LOAD;
    if (action->kind != PAIR_CLAIM)
        return;
    member->claims++;
    snprintf(member->reason, sizeof member->reason, "%.*s", PAIR_REASON - 1, action->text);
    error_t error = {0};
    self->wrong_reason |= !wire_check_text("reason", action->text, 0, PAIR_REASON, &error);
    s_tell(self, node, "claims");
}

static void s_remember(pair_world_t *self, int node, const identity_memory_t *memory)
{
    member_t *member = &self->members[node];
    error_t error = {0};
    if (member->full)
        error_set(&error, ERROR_SYSTEM, "state_dir is full");
    if (!pair_remembered(member->pair, memory, member->full ? &error : NULL)) {
        member->must_end = true;
        s_tell(self, node, "must end");
    }
    if (member->full)
        return;
    member->has_memory = true;
    member->memory = *memory;
}

static void s_do(pair_world_t *self, int node, pair_action_t *action)
{
    member_t *member = &self->members[node];
    switch (action->kind) {
    case PAIR_OBSERVE:
    case PAIR_CLAIM:
    case PAIR_LOAD:
    case PAIR_FOLLOW:
        s_ask(self, node, action);
        return;
    case PAIR_OPEN:
        CHECK(!member->open);
        member->open = true;
        member->lanes = member->used = *action;
        s_tell(self, node, "opens");
        return;
    case PAIR_PROVE:
        member->lanes.instance = action->instance;
        s_tell(self, node, "writes to another server");
        return;
    case PAIR_CLOSE:
        member->open = false;
        member->image = 0;
        batch_destroy(&member->batch);
        s_tell(self, node, "closes");
        return;
    case PAIR_USE:
        CHECK(member->open);
        member->used = *action;
        return;
    case PAIR_DAP_OPEN:
        CHECK(!member->daps[action->dap].asked);
        member->daps[action->dap].reaches = (int)action->route.bytes[0] - 1;
        s_tell(self, node, "opens a lane, %zu", action->dap);
        return;
    case PAIR_DAP_CLOSE:
        CHECK(!member->daps[action->dap].asked);
        s_tell(self, node, "closes a lane, %zu", action->dap);
        return;
    case PAIR_REMEMBER_DAPS:
        member->remembered = *action;
        return;
    case PAIR_REMEMBER:
        s_remember(self, node, &action->memory);
        return;
    case PAIR_REMEMBER_POISON:
        return;
    case PAIR_SEND:
        s_send(self, node, action->bytes, action->len);
        return;
    case PAIR_BROADCAST:
        s_broadcast(self, node, action);
        return;
    case PAIR_SAVE:
        member->saved = action->batch->last;
        batch_destroy(&action->batch);
        s_tell(self, node, "saves a tail");
        return;
    case PAIR_SAY:
        s_say(self, node, action);
        return;
    case PAIR_STOP:
        member->error = action->error;
        s_tell(self, node, "ends");
        return;
    }
}

static void s_act(pair_world_t *self, int node)
{
    member_t *member = &self->members[node];
    pair_action_t action;
    while (!member->must_end && pair_next_action(member->pair, &action))
        s_do(self, node, &action);
    batch_t *batch;
    while (!member->must_end && (batch = pair_next_batch(member->pair))) {
        CHECK(member->open && !member->batch);
        member->batch = batch;
    }
    checkpoint_image_t *image = pair_next_image(member->pair);
    if (image) {
        member->image = image->to;
        checkpoint_image_destroy(&image);
    }
    engine_frame_t frame;
    while (pair_next_frame(member->pair, &frame))
        free(frame.bytes);
    session_t session;
    while (pair_next_ended(member->pair, &session))
        continue;
    if (pair_role(member->pair) == ROLE_STOPPED || member->must_end)
        pair_world_kill(self, node);
    member->must_end = false;
}

/* ---- Time ---- */

static void s_step(pair_world_t *self)
{
    self->now += PAIR_WORLD_STEP_MS * USEC_PER_MS;
    for (int node = 0; node < NODES; node++) {
        member_t *member = &self->members[node];
        if (!member->pair || member->frozen)
            continue;
        pair_turn_begin(member->pair, self->now, WALL * USEC_PER_SECOND + self->now);
        s_hear_lanes(self, member);
        s_hear_link(self, member);
        pair_turn_end(member->pair, true);
        s_act(self, node);
    }
}

void pair_world_pass(pair_world_t *self, uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i += PAIR_WORLD_STEP_MS)
        s_step(self);
}

int pair_world_until(pair_world_t *self, int node, role_t role, uint32_t ms)
{
    const member_t *member = &self->members[node];
    for (uint32_t i = 0; i <= ms; i += PAIR_WORLD_STEP_MS) {
        if (member->pair && pair_role(member->pair) == role)
            return (int)i;
        s_step(self);
    }
    return -1;
}

bool pair_world_settle(pair_world_t *self)
{
    pair_world_start(self, A, NULL);
    bool served = pair_world_until(self, A, ROLE_ALONE, 1000) >= 0;
    pair_world_start(self, B, NULL);
    bool ready = pair_world_until(self, B, ROLE_READY, 2000) >= 0;
    pair_world_pass(self, 200);
    pair_world_forget(self);
    return served && ready && pair_role(self->members[A].pair) == ROLE_PAIRED;
}

/* ---- Life ---- */

pair_world_t *pair_world_new(void)
{
    pair_world_t *self = memory_zero(1, sizeof *self);
    self->now = 1000 * USEC_PER_SECOND;
    self->arena = wire_arena_new();
    for (uint32_t i = 0; i < DATABASES; i++) {
        self->databases[i].identity = (identity_t){
            .database_id = id_hash(&i, sizeof i), .system_identifier = 7, .database_oid = 100 + i};
        self->databases[i].instance = (instance_t){.started_at = 1 + i, .port = 5432 + i};
    }
    return self;
}

void pair_world_free(pair_world_t **self_p)
{
    pair_world_t *self = *self_p;
    for (int node = 0; node < NODES; node++) {
        pair_world_kill(self, node);
        pair_world_drop(self->members[node].kept, &self->members[node].kept_len);
    }
    for (size_t i = 0; i < DATABASES; i++)
        for (size_t j = 0; j < self->databases[i].len; j++)
            batch_destroy(&self->databases[i].journal[j]);
    wire_arena_destroy(&self->arena);
    free(self);
    *self_p = NULL;
}

static pair_options_t s_options(const pair_world_t *self, int node, const pair_world_start_t *start)
{
    const member_t *member = &self->members[node];
    return (pair_options_t){
        .name = start->name ? start->name : s_names[node],
        .client_endpoint = s_endpoints[node],
        .has_peer = !start->alone,
        .preferred = node == A,
        .manual = start->manual,
        .incarnation = id_hash(&self->now, sizeof self->now),
        .has_memory = member->has_memory,
        .memory = member->memory,
        .has_database_id = start->demands_other,
        .database_id = self->databases[OTHER].identity.database_id,
        .daps_len = PAIR_WORLD_DAPS,
        .daps = {{.name = "dap-1", .remembered = member->has_memory},
                 {.name = "dap-2", .remembered = member->has_memory}},
        .failover_timeout = PAIR_WORLD_TIMEOUT_MS * USEC_PER_MS,
        .heartbeat = 100 * USEC_PER_MS,
        .beat = 40 * USEC_PER_MS,
        .node = {.engine = {.heartbeat_ms = 1000, .max_clients = 50},
                 .retry_after = USEC_PER_SECOND,
                 .max_unfinished = 16 << 20,
                 .checkpoint_interval = USEC_PER_SECOND,
                 .checkpoint_max_lag = 1 << 30},
        .boot_time = self->now,
        .wall_time = WALL * USEC_PER_SECOND + self->now,
    };
}

void pair_world_start(pair_world_t *self, int node, const pair_world_start_t *start)
{
    static const pair_world_start_t usual = {0};
    member_t *member = &self->members[node];
    Ixn__V1__TenantConfiguration tenant = IXN__V1__TENANT_CONFIGURATION__INIT;
    Ixn__V1__TenantConfiguration *tenants[] = {&tenant};
    Ixn__V1__QueueConfiguration queue = IXN__V1__QUEUE_CONFIGURATION__INIT;
    Ixn__V1__QueueConfiguration *queues[] = {&queue};
    Ixn__V1__EngineConfiguration configuration = IXN__V1__ENGINE_CONFIGURATION__INIT;
    tenant.name = queue.tenant = "default";
    queue.name = "inbound";
    queue.strategy = "";
    configuration.n_tenants = configuration.n_queues = 1;
    configuration.tenants = tenants;
    configuration.queues = queues;
    configuration.routing_timeout_ms = configuration.hold_timeout_ms = 60000;
    configuration.max_router_attempts = 3;
    configuration.dedupe_window_ms = configuration.dedupe_guaranteed_ms = 60000;
    configuration.dedupe_max_keys = configuration.max_interactions = 1000;
    configuration.max_attributes_size = 65536;
    configuration.max_submitted_interactions = 100;
    CHECK(!member->pair);
    pair_options_t options = s_options(self, node, start ? start : &usual);
    options.configuration = &configuration;
    member->pair = pair_new(&options);
    member->claims = member->loads = 0;
    member->error = (error_t){0};
}

void pair_world_kill(pair_world_t *self, int node)
{
    member_t *member = &self->members[node];
    pair_destroy(&member->pair);
    batch_destroy(&member->batch);
    pair_world_drop(member->inbox, &member->inbox_len);
    for (size_t i = 0; i < PAIR_MAX_DAPS; i++) {
        if (member->daps[i].asked)
            s_drop_batches(&member->daps[i].action);
        member->daps[i].asked = false;
    }
    member->open = member->up = member->frozen = false;
    member->image = 0;
}

void pair_world_freeze(pair_world_t *self, int node, bool frozen)
{
    self->members[node].frozen = frozen;
}

pair_t *pair_world_pair(pair_world_t *self, int node)
{
    return self->members[node].pair;
}

/* ---- Faults ---- */

void pair_world_cut(pair_world_t *self, bool cut)
{
    self->cut = cut;
}

void pair_world_silence(pair_world_t *self, bool mute)
{
    self->mute = mute;
}

void pair_world_reach(pair_world_t *self, int node, int dap, int database)
{
    self->members[node].daps[dap].reaches = database;
}

static const char *s_list(member_t *member, const pair_action_t *action)
{
    member->text[0] = '\0';
    for (size_t i = 0; i < action->daps_len; i++)
        snprintf(member->text + strlen(member->text), sizeof member->text - strlen(member->text),
                 "%s%d", i ? " " : "", action->daps[i]);
    return member->text;
}

const char *pair_world_uses(pair_world_t *self, int node)
{
    return s_list(&self->members[node], &self->members[node].used);
}

const char *pair_world_remembers(pair_world_t *self, int node)
{
    return s_list(&self->members[node], &self->members[node].remembered);
}

void pair_world_reach_all(pair_world_t *self, int node, int database)
{
    for (int i = 0; i < PAIR_WORLD_DAPS; i++)
        pair_world_reach(self, node, i, database);
}

void pair_world_hold_commits(pair_world_t *self, int node, bool hold)
{
    self->members[node].hold_commits = hold;
}

void pair_world_fill(pair_world_t *self, int node, bool full)
{
    self->members[node].full = full;
}

void pair_world_hold_answers(pair_world_t *self, int node, bool hold)
{
    self->members[node].hold_answers = hold;
}

void pair_world_refuse(pair_world_t *self, int node, bool refuse)
{
    self->members[node].refuse = refuse;
}

void pair_world_hold_claims(pair_world_t *self, int node, bool hold)
{
    self->members[node].hold_claims = hold;
}
