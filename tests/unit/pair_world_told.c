/* The world of the pair: what clients ask and hear, and what the test reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "tests/unit/pair_world_internal.h"

/* ---- Clients ---- */

static void s_describe(pair_world_t *self, const Ixn__V1__Message *message)
{
    char *text = self->answer;
    size_t size = sizeof self->answer;
    switch (message->body_case) {
    case IXN__V1__MESSAGE__BODY_PONG:
        snprintf(text, size, "pong");
        return;
    case IXN__V1__MESSAGE__BODY_RETRY:
        snprintf(text, size, "retry");
        return;
    case IXN__V1__MESSAGE__BODY_NOT_PRIMARY:
        snprintf(text, size, "not primary: %s", message->not_primary->primary_endpoint);
        return;
    case IXN__V1__MESSAGE__BODY_PAIR_STATUS:
        self->lag_bytes =
            message->pair_status->has_lag_bytes ? (int64_t)message->pair_status->lag_bytes : -1;
        snprintf(text, size, "status: %s", message->pair_status->own->role);
        return;
    case IXN__V1__MESSAGE__BODY_ERROR:
        snprintf(text, size, "error: %s", message->error->sentence);
        return;
    default:
        snprintf(text, size, "%d", (int)message->body_case);
    }
}

/* NULL: it is for a session. */
static const Ixn__V1__Message *s_ask(pair_world_t *self, int node, Ixn__V1__Request *request)
{
    buffer_t bytes = {0};
    error_t error = {0};
    engine_frame_t frame;
    request->id = 1;
    wire_append_to_node_head(&bytes);
    wire_append_request(&bytes, request);
    bool answered = pair_visit(self->members[node].pair, bytes.bytes, bytes.len, &frame);
    buffer_free(&bytes);
    if (!answered)
        return NULL;
    wire_arena_reset(self->arena);
    const Ixn__V1__FromNode *answer =
        wire_decode_from_node(self->arena, frame.bytes, frame.len, &error);
    CHECK(answer && answer->n_messages == 1);
    free(frame.bytes);
    return answer->messages[0];
}

const char *pair_world_ask(pair_world_t *self, int node, Ixn__V1__Request *request)
{
    const Ixn__V1__Message *message = s_ask(self, node, request);
    if (!message)
        return "serves";
    s_describe(self, message);
    return self->answer;
}

int64_t pair_world_lag_bytes(pair_world_t *self, int node)
{
    Ixn__V1__PairStatusRequest status = IXN__V1__PAIR_STATUS_REQUEST__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_STATUS;
    request.pair_status = &status;
    pair_world_ask(self, node, &request);
    return self->lag_bytes;
}

const char *pair_world_ping(pair_world_t *self, int node)
{
    Ixn__V1__Ping ping = IXN__V1__PING__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_PING;
    request.ping = &ping;
    return pair_world_ask(self, node, &request);
}

const char *pair_world_get(pair_world_t *self, int node)
{
    Ixn__V1__Get get = IXN__V1__GET__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_GET;
    request.get = &get;
    return pair_world_ask(self, node, &request);
}

const char *pair_world_command(pair_world_t *self, int node, int kind, bool dry_run)
{
    Ixn__V1__PairCommand command = IXN__V1__PAIR_COMMAND__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    command.kind = (Ixn__V1__PairCommand__Kind)kind;
    command.dry_run = dry_run;
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_COMMAND;
    request.pair_command = &command;
    return pair_world_ask(self, node, &request);
}

const char *pair_world_heal(pair_world_t *self, int node, const pair_world_heal_t *heal)
{
    Ixn__V1__PairCommand command = IXN__V1__PAIR_COMMAND__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    command.kind = IXN__V1__PAIR_COMMAND__KIND__HEAL;
    command.reason = (char *)(heal->reason ? heal->reason : "a test");
    command.lost = heal->lost;
    command.without_other = heal->without_other;
    command.dry_run = heal->dry_run;
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_COMMAND;
    request.pair_command = &command;
    const char *answer = pair_world_ask(self, node, &request);
    return strncmp(answer, "status: ", 8) == 0 ? "taken" : answer;
}

static const Ixn__V1__PairStatus *s_status(pair_world_t *self, int node)
{
    Ixn__V1__PairStatusRequest status = IXN__V1__PAIR_STATUS_REQUEST__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_STATUS;
    request.pair_status = &status;
    const Ixn__V1__Message *message = s_ask(self, node, &request);
    CHECK(message && message->body_case == IXN__V1__MESSAGE__BODY_PAIR_STATUS);
    return message->pair_status;
}

const Ixn__V1__PairHeal *pair_world_healed(pair_world_t *self, int node)
{
    return s_status(self, node)->heal;
}

const char *pair_world_unready(pair_world_t *self, int node)
{
    const Ixn__V1__PairNode *own = s_status(self, node)->own;
    return own->ready ? "" : own->readiness;
}

/* ---- What they did ---- */

const char *pair_world_told(const pair_world_t *self)
{
    return self->told;
}

void pair_world_forget(pair_world_t *self)
{
    self->told[0] = '\0';
    for (int node = 0; node < NODES; node++)
        pair_world_drop(self->members[node].kept, &self->members[node].kept_len);
}

const char *pair_world_proving(const pair_world_t *self, int node)
{
    return self->members[node].proving;
}

uint64_t pair_world_head(const pair_world_t *self)
{
    const batch_t *head = pair_world_newest(&self->databases[OURS]);
    return head ? head->last : 0;
}

uint64_t pair_world_epoch(const pair_world_t *self)
{
    return self->databases[OURS].epoch;
}

uint64_t pair_world_saved(const pair_world_t *self, int node)
{
    return self->members[node].saved;
}

const error_t *pair_world_error(const pair_world_t *self, int node)
{
    return &self->members[node].error;
}

size_t pair_world_claims(const pair_world_t *self, int node)
{
    return self->members[node].claims;
}

size_t pair_world_loads(const pair_world_t *self, int node)
{
    return self->members[node].loads;
}

const char *pair_world_reason(const pair_world_t *self, int node)
{
    return self->members[node].reason;
}

bool pair_world_reasons_are_text(const pair_world_t *self)
{
    return !self->wrong_reason;
}

bool pair_world_rests(const pair_world_t *self, int node)
{
    return pair_next_wakeup(self->members[node].pair) > self->now;
}

const identity_memory_t *pair_world_memory(const pair_world_t *self, int node)
{
    return &self->members[node].memory;
}
