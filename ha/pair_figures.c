/* How the process does, for people who watch it. */
#include <string.h>

#include "core/base/check.h"
#include "ha/pair_internal.h"

enum { LATENCIES = 4 };

typedef struct {
    Ixn__V1__Figures message;
    Ixn__V1__Latency latencies[LATENCIES];
    Ixn__V1__Latency *list[LATENCIES];
    uint64_t bounds[LATENCY_BOUNDS];
    /* what the latencies point to */
    node_figures_t of_node;
    engine_figures_t of_engine;
} figures_view_t;

static void s_add_latency(figures_view_t *view, const char *name, latency_t *latency)
{
    size_t at = view->message.n_latencies++;
    CHECK(at < LATENCIES);
    Ixn__V1__Latency *message = &view->latencies[at];
    ixn__v1__latency__init(message);
    message->name = (char *)name;
    message->n_bounds_us = LATENCY_BOUNDS;
    message->bounds_us = view->bounds;
    message->n_counts = LATENCY_BOUNDS + 1;
    message->counts = latency->counts;
    message->sum_us = latency->sum_us;
    view->list[at] = message;
}

static void s_fill_serving(const pair_t *self, figures_view_t *view)
{
    Ixn__V1__Figures *message = &view->message;
    view->of_node = node_figures(self->node);
    view->of_engine = engine_figures(node_engine(self->node));
    const node_figures_t *node = &view->of_node;
    const engine_figures_t *engine = &view->of_engine;
    message->retrying = node->retrying;
    message->index = node->index;
    message->committed = node->committed;
    message->checkpoint = node->checkpoint;
    message->unfinished_bytes = node->unfinished;
    message->lag_bytes = node->lag;
    message->held_bytes = engine->held_bytes;
    message->batches = node->batches;
    message->submitted = engine->submitted;
    message->dispatched = engine->dispatched;
    message->completed = engine->completed;
    message->returned = engine->returned;
    message->refused = engine->refused;
    message->malformed = node->malformed;
    message->sessions = engine->sessions;
    message->routers = engine->routers;
    for (size_t i = 0; i < LATENCY_BOUNDS; i++)
        view->bounds[i] = (uint64_t)latency_bounds[i];
    message->latencies = view->list;
    s_add_latency(view, "submit", &view->of_node.submit);
    s_add_latency(view, "commit", &view->of_node.commit);
    s_add_latency(view, "dispatch", &view->of_engine.dispatch);
    s_add_latency(view, "completion", &view->of_engine.completion);
}

void pair_answer_figures(pair_t *self, uint64_t request, buffer_t *frame)
{
    figures_view_t view = {.message = IXN__V1__FIGURES__INIT};
    Ixn__V1__Figures *message = &view.message;
    message->node = self->name;
    message->version = (char *)IXN_VERSION;
    message->uptime_ms = (uint64_t)((self->now - self->began) / USEC_PER_MS);
    message->serving = self->node != NULL;
    const state_t *state = pair_state(self);
    if (state) {
        state_memory_t memory = state_memory(state);
        message->index = state->index;
        message->interactions = state->count;
        message->record_bytes = memory.records;
        message->text_bytes = memory.texts;
        message->index_bytes = memory.indexes;
        message->remembered_bytes = memory.remembered;
    }
    message->unread_bytes = self->unread;
    message->poison_refused = self->poison_refused;
    message->poison_active = (uint32_t)self->poison.active;
    for (size_t i = 0; i < self->poison.len; i++)
        message->crashes_remembered += self->poison.entries[i].own + self->poison.entries[i].other;
    if (self->node)
        s_fill_serving(self, &view);
    Ixn__V1__Message answer = IXN__V1__MESSAGE__INIT;
    answer.request_id = request;
    answer.body_case = IXN__V1__MESSAGE__BODY_FIGURES;
    answer.figures = message;
    wire_append_message(frame, &answer);
}
