#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/sim/checker.h"
#include "tests/sim/engine_file.h"
#include "tests/sim/seen_services.h"
#include "tests/sim/talker.h"

/* Application servers: do what they are asked after a while, once a process, and answer until they
 * are heard. One that lies answers what others have been asked. */

enum { AGAIN_US = 700000, QUICK_US = 5000, LONG_US = 4000000 };

void server_fill(talker_t *self, Ixn__V1__ApplicationServer *body)
{
    static const Ixn__V1__ApplicationType types[] = {
        IXN__V1__APPLICATION_TYPE__APPLICATION_CLASSIFICATION,
        IXN__V1__APPLICATION_TYPE__APPLICATION_CLASSIFICATION,
        IXN__V1__APPLICATION_TYPE__APPLICATION_THIRD_PARTY};
    body->type = types[self->place];
    body->services = (char **)engine_file_services;
    body->n_services = 2;
    body->window = SERVER_WINDOW;
}

void server_forget(talker_t *self)
{
    self->tasks_from = self->tasks_len;
}

size_t server_tokens(talker_t *self, Ixn__V1__Token ***ret_tokens)
{
    Ixn__V1__Token **tokens = memory_new((self->tasks_len - self->tasks_from + 1) * sizeof *tokens);
    size_t len = 0;
    for (size_t i = self->tasks_from; i < self->tasks_len; i++)
        if (!self->tasks[i].over && !self->tasks[i].foreign)
            tokens[len++] = &self->tasks[i].token;
    *ret_tokens = tokens;
    return len;
}

static task_t *s_find(talker_t *self, const Ixn__V1__Token *token)
{
    for (size_t i = self->tasks_from; i < self->tasks_len; i++)
        if (self->tasks[i].token.index == token->index &&
            self->tasks[i].token.epoch == token->epoch && !self->tasks[i].foreign)
            return &self->tasks[i];
    return NULL;
}

static task_t *s_add(talker_t *self, const Ixn__V1__Token *token)
{
    self->tasks = memory_resize(self->tasks, (self->tasks_len + 1) * sizeof *self->tasks);
    task_t *task = &self->tasks[self->tasks_len++];
    *task = (task_t){.token = *token};
    return task;
}

/* Another server answers, too, without having been asked. */
static void s_lie(talker_t *self, const Ixn__V1__Token *token)
{
    world_t *world = self->world;
    for (size_t i = 0; i < world->talkers_len; i++) {
        talker_t *other = world->talkers[i];
        if (other->kind != TALKER_SERVER || other == self || !other->alive)
            continue;
        task_t *task = s_add(other, token);
        task->foreign = task->done = true;
        task->due_at = task->again_at = world->now + world_between(world, 0, QUICK_US);
        snprintf(task->outcome, sizeof task->outcome, "{\"lie\": %zu}", other->place);
        seen_services_done(checker_services(world->checker), other->name, token, task->outcome);
        return;
    }
}

void server_request(talker_t *self, const Ixn__V1__ServiceRequest *request)
{
    world_t *world = self->world;
    task_t *task = s_find(self, request->token);
    if (self->hung)
        return;
    if (task) { /* the same request: it is done once, and answered again */
        task->over = false;
        task->again_at = world->now;
        return;
    }
    seen_services_begun(checker_services(world->checker), self->name, &self->incarnation,
                        request->token);
    task = s_add(self, request->token);
    task->due_at = world->now + world_between(world, 0, self->quiet ? QUICK_US : 300000);
    bool bad = options_has(&world->options, FAULT_SERVER) && !self->quiet;
    if (bad && world_chance(world, 60))
        task->due_at += world_between(world, 0, LONG_US);
    task->fault = world_chance(world, 100);
    task->again_at = task->due_at;
    if (bad && world_chance(world, 80))
        s_lie(self, request->token); /* moves the tasks only of others */
}

void server_drop(talker_t *self, const Ixn__V1__Token *token)
{
    task_t *task = s_find(self, token);
    if (task)
        task->over = true;
}

void server_registered(talker_t *self, const Ixn__V1__Registered *registered)
{
    for (size_t i = 0; i < registered->n_revoked; i++)
        server_drop(self, registered->revoked[i]);
}

static void s_do(talker_t *self, task_t *task)
{
    task->done = true;
    if (task->fault)
        snprintf(task->outcome, sizeof task->outcome, "NO_LUCK_%zu", self->place);
    else
        snprintf(task->outcome, sizeof task->outcome, "{\"by\": %zu, \"life\": %llu, \"n\": %zu}",
                 self->place, (unsigned long long)self->life, self->tasks_len);
    seen_services_done(checker_services(self->world->checker), self->name, &task->token,
                       task->outcome);
}

static void s_answer(talker_t *self, size_t item)
{
    task_t *task = &self->tasks[item];
    Ixn__V1__Token token = task->token;
    Ixn__V1__ServiceResponse response = IXN__V1__SERVICE_RESPONSE__INIT;
    Ixn__V1__ServiceFault fault = IXN__V1__SERVICE_FAULT__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    response.token = fault.token = &token;
    if (task->fault) {
        fault.code = task->outcome;
        fault.text = (char *)"it did not work";
        request.body_case = IXN__V1__REQUEST__BODY_SERVICE_FAULT;
        request.service_fault = &fault;
    } else {
        response.result = (ProtobufCBinaryData){strlen(task->outcome), (uint8_t *)task->outcome};
        request.body_case = IXN__V1__REQUEST__BODY_SERVICE_RESPONSE;
        request.service_response = &response;
    }
    task->asking = talker_ask(self, &request, ASKED_ANSWER, item);
    task->again_at = self->world->now + AGAIN_US;
}

void server_tick(talker_t *self)
{
    usec_t now = self->world->now;
    for (size_t i = self->tasks_from; i < self->tasks_len; i++) {
        task_t *task = &self->tasks[i];
        if (!task->done && task->due_at <= now)
            s_do(self, task);
        if (!task->over && task->done && task->again_at <= now)
            s_answer(self, i);
        if (i == self->tasks_from && task->over && task->done)
            self->tasks_from++;
    }
}

void server_answer(talker_t *self, const answer_t *answer)
{
    const Ixn__V1__Message *message = answer->message;
    task_t *task = &self->tasks[answer->request->item];
    if (answer->retry_at) {
        if (answer->id == task->asking)
            task->again_at = answer->retry_at;
        return;
    }
    if (message->body_case == IXN__V1__MESSAGE__BODY_ERROR &&
        message->error->code == IXN__V1__CODE__NOT_REGISTERED)
        return;
    if (answer->id == task->asking)
        task->over = true;
}
