#include "apps/ixn-bench/sink.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "apps/ixn-bench/parts/pending.h"
#include "apps/ixn-bench/parts/poller.h"
#include "apps/ixn-bench/record.h"
#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/client/client.h"
#include "core/wire/wire.h"

#define S_WAIT_MS 20 /* how soon a change of the run's phase is seen */

typedef struct {
    ixn_client_t *client;
    pending_table_t *pending; /* results without an answer */
    buffer_t arrived;         /* pending_t: work that is not answered yet */
    uint64_t loading;         /* the StrategyLoaded without an answer, or 0 */
    bool ready;
} worker_t;

struct sink {
    run_t *run;
    pthread_t thread;
    bool started;
    worker_t *workers;
    poller_t *poller; /* of the same numbers */
    uint32_t len;
    record_t *record;
    figures_t figures;
};

static void s_load_strategy(sink_t *self, worker_t *worker)
{
    Ixn__V1__StrategyLoaded loaded = IXN__V1__STRATEGY_LOADED__INIT;
    loaded.strategy = (char *)self->run->options->strategy;
    loaded.version = (char *)"bench";
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_STRATEGY_LOADED;
    request.strategy_loaded = &loaded;
    worker->loading = ixn_client_send(worker->client, &request);
}

/* When the submit of this interaction was due and its number, out of the external id that the
 * source gave it; when 0, it is not of this run. */
static usec_t s_submitted(const run_t *run, const char *external_id, uint64_t *ret_sequence)
{
    char prefix[32];
    int len = snprintf(prefix, sizeof prefix, "bench:%016" PRIx64 ":", run->id);
    if (strncmp(external_id, prefix, (size_t)len) != 0)
        return 0;
    char *end = NULL;
    usec_t due = (usec_t)strtoll(external_id + len, &end, 10);
    *ret_sequence = *end == ':' ? strtoull(end + 1, NULL, 10) : MARKS_MAX;
    return due;
}

static void s_route(sink_t *self, worker_t *worker, const Ixn__V1__Route *route)
{
    pending_t work = {0};
    if (!route->token || !route->interaction ||
        !wire_read_id(route->interaction->interaction_id, &work.interaction)) {
        figures_error(&self->figures, "Route", "without a token or an interaction");
        return;
    }
    work.start = s_submitted(self->run, route->interaction->external_id, &work.sequence);
    work.epoch = route->token->epoch;
    work.index = route->token->index;
    buffer_append(&worker->arrived, &work, sizeof work);
}

/* Completes what has arrived; true when something was sent. What the client does not take now (too
 * many unanswered) is kept for the next time. */
static bool s_complete(worker_t *worker)
{
    pending_t *work = (pending_t *)worker->arrived.bytes;
    size_t len = worker->arrived.len / sizeof *work;
    size_t done = 0;
    for (; done < len; done++) {
        Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
        token.epoch = work[done].epoch;
        token.index = work[done].index;
        Ixn__V1__Stop stop = IXN__V1__STOP__INIT;
        stop.interaction_id = wire_bytes(&work[done].interaction);
        stop.token = &token;
        Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
        request.body_case = IXN__V1__REQUEST__BODY_STOP;
        request.stop = &stop;
        uint64_t id = ixn_client_send(worker->client, &request);
        if (id == 0)
            break;
        pending_table_put(worker->pending, id, &work[done]);
    }
    if (done == 0)
        return false;
    size_t left = (len - done) * sizeof *work;
    memmove(worker->arrived.bytes, worker->arrived.bytes + done * sizeof *work, left);
    worker->arrived.len = left;
    return true;
}

static void s_accepted(sink_t *self, const pending_t *work)
{
    run_t *run = self->run;
    record_completed(self->record, work->interaction, work->epoch, work->index);
    if (work->start == 0) {
        self->figures.foreign++;
        return;
    }
    if (marks_set(&run->completed_marks, work->sequence)) {
        self->figures.repeated++;
        figures_error(&self->figures, "a submit was completed twice",
                      "results under two tokens were accepted, or it became two interactions");
        return;
    }
    self->figures.accepted++;
    atomic_fetch_add(&run->completed, 1);
    if (run_phase(run) == RUN_MEASURING) {
        self->figures.measured++;
        histogram_add(&self->figures.latency, run_now() - work->start);
    }
}

static void s_loaded(sink_t *self, worker_t *worker, const ixn_event_t *event)
{
    worker->loading = 0;
    if (event->kind == IXN_EVENT_FAILED) {
        figures_error(&self->figures, "StrategyLoaded", event->error.text);
        return;
    }
    if (event->message->body_case == IXN__V1__MESSAGE__BODY_ERROR) {
        figures_error(&self->figures, "StrategyLoaded refused", event->message->error->sentence);
        return;
    }
    if (!worker->ready)
        atomic_fetch_add(&self->run->ready, 1);
    worker->ready = true;
}

static void s_answer(sink_t *self, worker_t *worker, const ixn_event_t *event)
{
    if (event->request_id == worker->loading) {
        s_loaded(self, worker, event);
        return;
    }
    pending_t work;
    if (!pending_table_take(worker->pending, event->request_id, &work))
        return;
    if (event->kind == IXN_EVENT_FAILED) {
        self->figures.unknown++;
        figures_error(&self->figures, "no answer to a result", event->error.text);
    } else if (event->message->body_case == IXN__V1__MESSAGE__BODY_ACK) {
        s_accepted(self, &work);
    } else if (event->message->body_case == IXN__V1__MESSAGE__BODY_ERROR &&
               (event->message->error->code == IXN__V1__CODE__OLD_TOKEN ||
                event->message->error->code == IXN__V1__CODE__ALREADY_COMPLETED)) {
        self->figures.stale++;
    } else {
        self->figures.refused++;
        figures_error(&self->figures, "result refused",
                      event->message->body_case == IXN__V1__MESSAGE__BODY_ERROR
                          ? event->message->error->sentence
                          : "neither Ack nor Error");
    }
}

/* Takes everything that has arrived for one router. */
static void s_drain(sink_t *self, worker_t *worker)
{
    for (;;) {
        ixn_event_t event;
        ixn_client_next(worker->client, 0, &event);
        switch (event.kind) {
        case IXN_EVENT_NONE:
            return;
        case IXN_EVENT_ANSWER:
        case IXN_EVENT_FAILED:
            s_answer(self, worker, &event);
            break;
        case IXN_EVENT_CONNECTED:
            s_load_strategy(self, worker);
            break;
        case IXN_EVENT_MESSAGE:
            if (event.message->body_case == IXN__V1__MESSAGE__BODY_ROUTE)
                s_route(self, worker, event.message->route);
            break;
        case IXN_EVENT_REFUSED:
            figures_error(&self->figures, "registration refused", event.error.text);
            break;
        case IXN_EVENT_DISCONNECTED:
            break;
        }
    }
}

/* One router's turn; true when something was sent. */
static bool s_serve(sink_t *self, uint32_t number)
{
    worker_t *worker = &self->workers[number];
    bool loading = worker->loading != 0;
    s_drain(self, worker);
    bool sent = s_complete(worker) || (!loading && worker->loading != 0);
    if (sent) {
        ixn_client_flush(worker->client);
        poller_look(self->poller, number); /* sending may have swallowed the edge */
    }
    poller_due(self->poller, number, ixn_client_wait_ms(worker->client));
    return sent;
}

static void *s_thread(void *argument)
{
    sink_t *self = argument;
    while (run_phase(self->run) != RUN_ENDING) {
        uint32_t len;
        const uint32_t *numbers = poller_wait(self->poller, S_WAIT_MS, &len);
        bool sent = false;
        for (uint32_t i = 0; i < len; i++)
            sent |= s_serve(self, numbers[i]);
        if (!sent)
            record_flush(self->record);
    }
    return NULL;
}

static ixn_client_t *s_client(run_t *run, uint32_t number)
{
    const options_t *options = run->options;
    char name[64];
    snprintf(name, sizeof name, "bench-%08x-router-%u", (unsigned)(run->id >> 32), number);
    ixn_client_options_t client = {.endpoints = options->nodes,
                                   .endpoints_len = options->nodes_len,
                                   .role = IXN__V1__ROLE__ROUTER,
                                   .name = name,
                                   .tenant = options->tenant,
                                   .agent_reservation = true,
                                   .max_submitted_interactions = options->router_window,
                                   .context = run->context};
    error_t error = {0};
    ixn_client_t *self = ixn_client_new(&client, &error);
    if (!self)
        fprintf(stderr, "ixn-bench: %s\n", error.text);
    return self;
}

sink_t *sink_new(run_t *run, uint32_t first, uint32_t len)
{
    sink_t *self = memory_zero(1, sizeof *self);
    self->run = run;
    self->workers = memory_zero(len, sizeof *self->workers);
    self->poller = poller_new(len);
    bool ok = true;
    if (run->options->log_path) {
        self->record = record_new(run->options->log_path);
        ok = self->record != NULL;
    }
    for (; ok && self->len < len; self->len++) {
        worker_t *worker = &self->workers[self->len];
        worker->client = s_client(run, first + self->len);
        worker->pending = pending_table_new();
        if (worker->client)
            poller_watch(self->poller, self->len, ixn_client_fd(worker->client), true);
        else
            ok = false;
    }
    if (ok) {
        CHECK(pthread_create(&self->thread, NULL, s_thread, self) == 0);
        self->started = true;
    } else {
        sink_destroy(&self, NULL);
    }
    return self;
}

void sink_destroy(sink_t **self_p, figures_t *figures)
{
    sink_t *self = *self_p;
    if (!self)
        return;
    if (self->started)
        CHECK(pthread_join(self->thread, NULL) == 0);
    if (figures)
        figures_merge(figures, &self->figures);
    poller_destroy(&self->poller);
    for (uint32_t i = 0; i < self->len; i++) {
        ixn_client_destroy(&self->workers[i].client);
        pending_table_destroy(&self->workers[i].pending);
        buffer_free(&self->workers[i].arrived);
    }
    record_destroy(&self->record);
    free(self->workers);
    free(self);
    *self_p = NULL;
}
