#include "tests/sim/seen_services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/sim/checker_internal.h"
#include "tests/sim/seen_rounds.h"

enum { OVERDUE_US = 3000000 }; /* a fault for what nobody answered comes within this */

struct seen_services {
    world_t *world;
    seen_service_t *by_index;
    seen_service_t **open;
    size_t open_len;
    seen_rounds_t rounds;
};

seen_services_t *seen_services_new(world_t *world)
{
    seen_services_t *self = memory_zero(1, sizeof *self);
    self->world = world;
    return self;
}

void seen_services_destroy(seen_services_t **self_p)
{
    seen_services_t *self = *self_p;
    if (!self)
        return;
    seen_service_t *seen, *next;
    HASH_ITER(hh, self->by_index, seen, next)
    {
        HASH_DEL(self->by_index, seen);
        free(seen->outcomes);
        free(seen);
    }
    free(self->open);
    free(self);
    *self_p = NULL;
}

void seen_services_forget(seen_services_t *self)
{
    seen_service_t *seen, *next;
    HASH_ITER(hh, self->by_index, seen, next)
    {
        seen->forgotten = true;
    }
    self->open_len = 0;
}

static seen_service_t *s_find(const seen_services_t *self, uint64_t epoch, uint64_t index)
{
    seen_service_t *seen = NULL;
    HASH_FIND(hh, self->by_index, &index, sizeof index, seen);
    return seen && seen->epoch == epoch && !seen->forgotten ? seen : NULL;
}

/* A new one, or one that the log has come to again. */
static seen_service_t *s_make(seen_services_t *self, uint64_t epoch, uint64_t index)
{
    seen_service_t *seen = NULL;
    HASH_FIND(hh, self->by_index, &index, sizeof index, seen);
    if (seen && seen->epoch != epoch) {
        HASH_DEL(self->by_index, seen);
        free(seen->outcomes);
        free(seen);
        seen = NULL;
    }
    if (!seen) {
        seen = memory_zero(1, sizeof *seen);
        seen->index = index;
        seen->epoch = epoch;
        HASH_ADD(hh, self->by_index, index, sizeof seen->index, seen);
    }
    seen->forgotten = seen->answered = false;
    seen->server[0] = '\0';
    seen->sends = 0;
    return seen;
}

const seen_service_t *seen_services_find(const seen_services_t *self, const Ixn__V1__Token *token)
{
    return token ? s_find(self, token->epoch, token->index) : NULL;
}

static bool s_wrong(const seen_services_t *self, uint64_t index, const char *what)
{
    return world_violation(self->world, "services", "entry %llu: %s", (unsigned long long)index,
                           what);
}

/* The work that asked still goes on. */
static bool s_is_wanted(const seen_service_t *seen)
{
    const seen_t *interaction = seen->interaction;
    return interaction->routing && interaction->token_epoch == seen->work_epoch &&
           interaction->token_index == seen->work_index;
}

/* ---- The log ---- */

void seen_services_requested(seen_services_t *self, const batch_t *batch, uint64_t index,
                             seen_t *interaction, usec_t after,
                             const Ixn__V1__ServiceRequested *entry)
{
    if (!interaction->routing) {
        s_wrong(self, index, "a service is asked for an interaction that is with no router");
        return;
    }
    for (size_t i = 0; i < self->open_len; i++) {
        const seen_service_t *other = self->open[i];
        if (other->work_index == interaction->token_index && other->key_len == entry->key.len &&
            memcmp(other->key, entry->key.data, entry->key.len) == 0) {
            s_wrong(self, index, "a key makes a second request of the same work");
            return;
        }
    }
    seen_service_t *seen = s_make(self, batch->epoch, index);
    seen->interaction = interaction;
    seen->work_epoch = interaction->token_epoch;
    seen->work_index = interaction->token_index;
    memcpy(seen->key, entry->key.data, entry->key.len);
    seen->key_len = entry->key.len;
    seen->safe = entry->safe;
    seen->pool = seen_rounds_pool(entry);
    seen->deadline = entry->deadline_us;
    seen->timeout = entry->deadline_us - batch->log_time;
    seen->after = after;
    self->open = memory_resize(self->open, (self->open_len + 1) * sizeof *self->open);
    self->open[self->open_len++] = seen;
}

static seen_service_t *s_open(seen_services_t *self, uint64_t at, uint64_t epoch, uint64_t index)
{
    seen_service_t *seen = s_find(self, epoch, index);
    if (!seen || seen->answered)
        s_wrong(self, at, "it is about a request to a server that is not open");
    else if (!s_is_wanted(seen))
        s_wrong(self, at, "it is about a request whose work has left its router");
    else
        return seen;
    return NULL;
}

/* How many requests each server has. */
static void s_count_busy(const seen_services_t *self, uint32_t busy[SERVERS_MAX])
{
    memset(busy, 0, SERVERS_MAX * sizeof *busy);
    for (size_t i = 0; i < self->open_len; i++) {
        const seen_service_t *seen = self->open[i];
        if (seen->server[0] && !seen->answered && s_is_wanted(seen))
            busy[seen_rounds_place(seen->server)]++;
    }
}

/* An unsafe request belongs to the process that may have heard of it. */
void seen_services_sent(seen_services_t *self, uint64_t index, const Ixn__V1__ServiceSent *entry)
{
    seen_service_t *seen = s_open(self, index, entry->epoch, entry->index);
    if (!seen)
        return;
    if (seen->server[0]) {
        s_wrong(self, index, "it sends a request that is with a server");
        return;
    }
    if (!seen->safe && seen->told &&
        memcmp(seen->told_to.bytes, entry->incarnation.data, 16) != 0) {
        s_wrong(self, index, "an unsafe request goes to a second process");
        return;
    }
    uint32_t busy[SERVERS_MAX];
    s_count_busy(self, busy);
    seen_rounds_sent(&self->rounds, self->world->checker, index, seen->pool, entry->server, busy);
    snprintf(seen->server, sizeof seen->server, "%s", entry->server);
    memcpy(seen->incarnation.bytes, entry->incarnation.data, 16);
    seen->sends++;
}

void seen_services_waits(seen_services_t *self, uint64_t index, const Ixn__V1__ServiceWaits *entry)
{
    seen_service_t *seen = s_open(self, index, entry->epoch, entry->index);
    if (!seen)
        return;
    if (seen->server[0])
        seen_rounds_ended(&self->rounds, self->world->checker, seen->server, false);
    seen->server[0] = '\0';
}

/* By the server that has it. What another one makes up counts once that one is asked itself. */
static bool s_was_done(const seen_service_t *seen, const char *outcome)
{
    for (size_t i = 0; i < seen->outcomes_len; i++)
        if (strcmp(seen->outcomes[i].text, outcome) == 0 &&
            strcmp(seen->outcomes[i].server, seen->server) == 0)
            return true;
    return false;
}

static bool s_is_own_fault(const char *fault)
{
    return strcmp(fault, "TIMED_OUT") == 0 || strcmp(fault, "SERVER_LOST") == 0 ||
           strcmp(fault, "SERVER_LEFT") == 0;
}

void seen_services_answered(seen_services_t *self, uint64_t index,
                            const Ixn__V1__ServiceAnswered *entry)
{
    seen_service_t *seen = s_open(self, index, entry->epoch, entry->index);
    if (!seen)
        return;
    seen->fault = entry->outcome_case == IXN__V1__SERVICE_ANSWERED__OUTCOME_FAULT;
    if (seen->fault)
        snprintf(seen->outcome, sizeof seen->outcome, "%s", entry->fault);
    else
        snprintf(seen->outcome, sizeof seen->outcome, "%.*s", (int)entry->result.len,
                 (const char *)entry->result.data);
    seen->answered = true;
    bool own = seen->fault && s_is_own_fault(seen->outcome);
    usec_t passed = self->world->now - seen->after;
    if (seen->server[0])
        seen_rounds_ended(&self->rounds, self->world->checker, seen->server, !own);
    if (!own && !s_was_done(seen, seen->outcome))
        world_violation(self->world, "services",
                        "entry %llu: request %llu is answered with %s, which the server that has "
                        "it (%s) never did",
                        (unsigned long long)index, (unsigned long long)seen->index, seen->outcome,
                        seen->server[0] ? seen->server : "none");
    if (own && strcmp(seen->outcome, "TIMED_OUT") == 0 &&
        passed < options_slowest(&self->world->options, seen->timeout))
        world_violation(self->world, "deadline",
                        "entry %llu: a service has timed out after %lld us of %lld",
                        (unsigned long long)index, (long long)passed, (long long)seen->timeout);
}

void seen_services_time(seen_services_t *self, usec_t log_time, usec_t epoch_began)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->open_len; i++) {
        seen_service_t *seen = self->open[i];
        if (seen->answered || !s_is_wanted(seen))
            continue;
        self->open[kept++] = seen;
        if (log_time - seen->deadline > OVERDUE_US && log_time - epoch_began > OVERDUE_US)
            world_violation(self->world, "deadline",
                            "request %llu to a server should have had its fault %lld us ago",
                            (unsigned long long)seen->index,
                            (long long)(log_time - seen->deadline));
    }
    self->open_len = kept;
}

/* ---- What is released ---- */

void seen_services_told_request(seen_services_t *self, int node, const char *server,
                                const id128_t *incarnation, const Ixn__V1__ServiceRequest *request)
{
    seen_service_t *seen = s_find(self, request->token->epoch, request->token->index);
    /* It may have moved on since: then what is released was overtaken. */
    if (!seen || seen->sends == 0) {
        world_violation(self->world, "P4 released",
                        "node %c tells %s to do what the committed log never sent", 'a' + node,
                        server);
        return;
    }
    bool current = strcmp(seen->server, server) == 0 && id_equal(seen->incarnation, *incarnation);
    if (current && !seen->told)
        seen->told_to = *incarnation;
    seen->told = seen->told || current;
}

void seen_services_told_result(seen_services_t *self, int node, const char *router,
                               const Ixn__V1__ServiceResult *result)
{
    const seen_service_t *seen = seen_services_find(self, result->service);
    bool fault = result->outcome_case == IXN__V1__SERVICE_RESULT__OUTCOME_FAULT;
    if (!seen || !seen->answered || seen->fault != fault ||
        (fault ? strcmp(seen->outcome, result->fault->code) != 0
               : strlen(seen->outcome) != result->result.len ||
                     memcmp(seen->outcome, result->result.data, result->result.len) != 0))
        world_violation(self->world, "P4 released",
                        "node %c tells %s what came of a service, and the committed log has it "
                        "otherwise",
                        'a' + node, router);
}

/* ---- What servers do ---- */

void seen_services_begun(seen_services_t *self, const char *server, const id128_t *incarnation,
                         const Ixn__V1__Token *token)
{
    seen_service_t *seen = s_find(self, token->epoch, token->index);
    if (!seen)
        return; /* told_request has said it */
    if (!seen->safe && seen->heard && !id_equal(seen->heard_by, *incarnation))
        world_violation(self->world, "services",
                        "unsafe request %llu is begun by %s, and another process began it before",
                        (unsigned long long)seen->index, server);
    if (!seen->heard)
        seen->heard_by = *incarnation;
    seen->heard = true;
}

void seen_services_done(seen_services_t *self, const char *server, const Ixn__V1__Token *token,
                        const char *outcome)
{
    seen_service_t *seen = s_find(self, token->epoch, token->index);
    if (!seen)
        return;
    seen->outcomes =
        memory_resize(seen->outcomes, (seen->outcomes_len + 1) * sizeof *seen->outcomes);
    seen_outcome_t *seen_outcome = &seen->outcomes[seen->outcomes_len++];
    snprintf(seen_outcome->server, sizeof seen_outcome->server, "%s", server);
    snprintf(seen_outcome->text, sizeof seen_outcome->text, "%s", outcome);
}
