#include "apps/ixnd/admin/metrics.h"

#include <inttypes.h>
#include <string.h>

/* ---- The format ---- */

static void s_head(buffer_t *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and line end are written with a backslash. */
static void s_label(buffer_t *out, const char *before, const char *name, const char *value)
{
    buffer_printf(out, "%s%s=\"", before, name);
    for (const char *at = value ? value : ""; *at; at++) {
        if (*at == '\n')
            buffer_append_text(out, "\\n");
        else if (*at == '\\' || *at == '"')
            buffer_printf(out, "\\%c", *at);
        else
            buffer_append(out, at, 1);
    }
    buffer_append_text(out, "\"");
}

static void s_gauge(buffer_t *out, const char *name, const char *help, double value)
{
    s_head(out, name, "gauge", help);
    buffer_printf(out, "%s %.9g\n", name, value);
}

static void s_counter(buffer_t *out, const char *name, const char *help, uint64_t value)
{
    s_head(out, name, "counter", help);
    buffer_printf(out, "%s %" PRIu64 "\n", name, value);
}

/* ---- The pair ---- */

static void s_print_role(const Ixn__V1__PairStatus *status, buffer_t *out)
{
    static const char *const roles[] = {"starting",     "backup-syncing", "backup-ready",
                                        "taking-over",  "primary-alone",  "primary-paired",
                                        "handing-over", "fenced",         "stopped"};
    s_head(out, "ixn_role", "gauge", "1 for the role that this node has, 0 for the others.");
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        buffer_printf(out, "ixn_role{role=\"%s\"} %d\n", roles[i],
                      strcmp(status->own->role, roles[i]) == 0);
}

typedef double dap_fn(const Ixn__V1__PairDap *dap);

static double s_dap_reachable(const Ixn__V1__PairDap *dap)
{
    return dap->reachable;
}

static double s_dap_proven(const Ixn__V1__PairDap *dap)
{
    return dap->proven;
}

static double s_dap_latency(const Ixn__V1__PairDap *dap)
{
    return dap->latency_us / 1e6;
}

static double s_dap_average(const Ixn__V1__PairDap *dap)
{
    return dap->average_us / 1e6;
}

static double s_dap_weight(const Ixn__V1__PairDap *dap)
{
    return dap->weight;
}

static double s_dap_done(const Ixn__V1__PairDap *dap)
{
    return (double)dap->done;
}

static double s_dap_spread(const Ixn__V1__PairDap *dap)
{
    return (double)dap->spread;
}

static double s_dap_errors(const Ixn__V1__PairDap *dap)
{
    return (double)dap->errors;
}

static void s_print_daps(const Ixn__V1__PairNode *own, buffer_t *out)
{
    static const struct {
        const char *name, *type, *help;
        dap_fn *value;
    } metrics[] = {
        {"ixn_dap_reachable", "gauge", "Whether the access point answers.", s_dap_reachable},
        {"ixn_dap_proven", "gauge",
         "Whether it was shown that the pair's own database is behind the access point.",
         s_dap_proven},
        {"ixn_dap_latency_seconds", "gauge", "Of the access point's last answer.", s_dap_latency},
        {"ixn_dap_average_seconds", "gauge", "Of its answers and commits, smoothed.",
         s_dap_average},
        {"ixn_dap_weight", "gauge", "Its share of the work that is spread.", s_dap_weight},
        {"ixn_dap_work_total", "counter", "Pieces of work since the node began, also failed ones.",
         s_dap_done},
        {"ixn_dap_spread_work_total", "counter",
         "Of them those that are spread by weight: checkpoints, loads.", s_dap_spread},
        {"ixn_dap_errors_total", "counter", "Pieces of work that failed.", s_dap_errors},
    };
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        s_head(out, metrics[i].name, metrics[i].type, metrics[i].help);
        for (size_t j = 0; j < own->n_daps; j++) {
            buffer_printf(out, "%s", metrics[i].name);
            s_label(out, "{", "dap", own->daps[j]->name);
            buffer_printf(out, "} %.15g\n", metrics[i].value(own->daps[j]));
        }
    }
}

/* How many entries of the log the backup is behind: known to whoever hears both. */
static double s_lag(const Ixn__V1__PairStatus *status)
{
    const Ixn__V1__PairNode *own = status->own, *peer = status->peer;
    if (!peer || !status->link)
        return 0;
    const bool serving = strncmp(own->role, "primary", 7) == 0;
    const uint64_t first = serving ? own->index : peer->index;
    const uint64_t second = serving ? peer->index : own->index;
    return first > second ? (double)(first - second) : 0;
}

static void s_print_pair(const Ixn__V1__PairStatus *status, buffer_t *out)
{
    s_print_role(status, out);
    s_gauge(out, "ixn_ready",
            "Whether this node serves, or could take over now (a backup's readiness).",
            status->own->ready || strncmp(status->own->role, "primary", 7) == 0);
    s_gauge(out, "ixn_serving", "Whether this node is the primary.",
            strncmp(status->own->role, "primary", 7) == 0);
    s_gauge(out, "ixn_automatic", "Whether this node takes over by itself.",
            status->own->automatic);
    s_gauge(out, "ixn_epoch", "The highest epoch that this node has heard of.",
            (double)status->epoch);
    s_gauge(out, "ixn_role_seconds", "How long this node has had its role.",
            status->role_since_ms / 1e3);
    s_gauge(out, "ixn_last_takeover_seconds", "How long this node's last take-over took; 0: none.",
            status->last_takeover_ms / 1e3);
    s_gauge(out, "ixn_peer_configured", "Whether there is another node.", status->has_peer);
    s_gauge(out, "ixn_peer_link", "Whether this node hears the other one.", status->link);
    s_gauge(out, "ixn_peer_ready", "Whether the other node says that it could take over.",
            status->peer && status->peer->ready);
    s_gauge(out, "ixn_pair_lag_entries", "Entries of the log that the backup is behind.",
            s_lag(status));
    if (status->has_lag_bytes)
        s_gauge(out, "ixn_pair_lag_bytes",
                "Bytes of the log that the backup is behind; not there where nobody knows.",
                (double)status->lag_bytes);
    s_gauge(out, "ixn_database_proven", "Whether this node reaches the pair's own database.",
            status->own->database);
    s_print_daps(status->own, out);
}

/* ---- The node ---- */

static void s_print_latency(const Ixn__V1__Latency *latency, buffer_t *out)
{
    static const struct {
        const char *name, *metric, *help;
    } known[] = {
        {"submit", "ixn_submit_duration_seconds",
         "From accepting a submit until its answer may leave: durable."},
        {"commit", "ixn_commit_duration_seconds",
         "From handing a batch to the journal until it is "
         "committed."},
        {"dispatch", "ixn_dispatch_wait_seconds",
         "From an interaction's place in its queue to a router."},
        {"completion", "ixn_completion_duration_seconds",
         "From an interaction's submit to its end."},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(latency->name, known[i].name) != 0)
            continue;
        const char *name = known[i].metric;
        uint64_t count = 0;
        s_head(out, name, "histogram", known[i].help);
        for (size_t bound = 0; bound < latency->n_bounds_us; bound++) {
            count += latency->counts[bound];
            buffer_printf(out, "%s_bucket{le=\"%.9g\"} %" PRIu64 "\n", name,
                          (double)latency->bounds_us[bound] / 1e6, count);
        }
        count += latency->counts[latency->n_bounds_us];
        buffer_printf(out,
                      "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.6f\n%s_count %" PRIu64 "\n",
                      name, count, name, (double)latency->sum_us / 1e6, name, count);
    }
}

static void s_print_log(const Ixn__V1__Figures *figures, buffer_t *out)
{
    s_gauge(out, "ixn_log_index", "Last entry that was decided (a backup: applied).",
            (double)figures->index);
    s_gauge(out, "ixn_interactions", "Unfinished interactions in memory.", figures->interactions);
    s_head(out, "ixn_memory_bytes", "gauge", "Memory of the state, by what it is for.");
    const struct {
        const char *kind;
        uint64_t bytes;
    } kinds[] = {{"records", figures->record_bytes},
                 {"texts", figures->text_bytes},
                 {"indexes", figures->index_bytes},
                 {"remembered", figures->remembered_bytes}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        buffer_printf(out, "ixn_memory_bytes{kind=\"%s\"} %" PRIu64 "\n", kinds[i].kind,
                      kinds[i].bytes);
    s_gauge(out, "ixn_unread_bytes", "Told to clients, and not read by them; of all together.",
            (double)figures->unread_bytes);
}

static void s_print_serving(const Ixn__V1__Figures *figures, buffer_t *out)
{
    s_gauge(out, "ixn_log_committed_index", "Last entry that is durable.",
            (double)figures->committed);
    s_gauge(out, "ixn_checkpoint_index", "Last entry that the tables show.",
            (double)figures->checkpoint);
    s_gauge(out, "ixn_unfinished_bytes", "Decided, not durable.",
            (double)figures->unfinished_bytes);
    s_gauge(out, "ixn_checkpoint_lag_bytes", "Durable, not in the tables.",
            (double)figures->lag_bytes);
    s_gauge(out, "ixn_held_bytes", "Answers that wait for their commit.",
            (double)figures->held_bytes);
    s_gauge(out, "ixn_retrying", "Whether commits are so slow that clients hear RETRY.",
            figures->retrying);
    s_gauge(out, "ixn_clients", "Clients that are registered.", figures->sessions);
    s_gauge(out, "ixn_routers", "Routers that are registered.", figures->routers);
    s_counter(out, "ixn_batches_total", "Batches of the journal.", figures->batches);
    s_counter(out, "ixn_interactions_submitted_total", "Accepted interactions.",
              figures->submitted);
    s_counter(out, "ixn_interactions_dispatched_total", "Handed to routers.", figures->dispatched);
    s_counter(out, "ixn_interactions_completed_total", "Finished interactions.",
              figures->completed);
    s_counter(out, "ixn_interactions_returned_total", "Came back from a router without a result.",
              figures->returned);
    s_counter(out, "ixn_requests_refused_total", "Requests that were refused.", figures->refused);
    s_counter(out, "ixn_poison_refused_total", "Requests that were refused, as they crashed nodes.",
              figures->poison_refused);
    s_gauge(out, "ixn_poison_inputs", "Inputs that are not tried again, as they crashed nodes.",
            figures->poison_active);
    s_gauge(out, "ixn_poison_crashes", "Crashes of both nodes that are remembered with an input.",
            figures->crashes_remembered);
    s_counter(out, "ixn_frames_malformed_total", "Frames that could not be decoded.",
              figures->malformed);
    for (size_t i = 0; i < figures->n_latencies; i++)
        s_print_latency(figures->latencies[i], out);
}

/* ---- Queues ---- */

static double s_oldest(const metrics_t *self, const Ixn__V1__Queue *queue)
{
    const usec_t age = self->wall_now - queue->oldest_placed_at_us;
    return queue->oldest_placed_at_us && age > 0 ? (double)age / 1e6 : 0;
}

static void s_queue_labels(buffer_t *out, const char *name, const Ixn__V1__Queue *queue)
{
    buffer_append_text(out, name);
    s_label(out, "{", "tenant", queue->tenant);
    s_label(out, ",", "queue", queue->name);
}

static void s_print_depth(const metrics_t *self, buffer_t *out)
{
    s_head(out, "ixn_queue_interactions", "gauge", "Interactions of the queue, by state.");
    for (size_t i = 0; i < self->queues_len; i++) {
        const Ixn__V1__Queue *queue = self->queues[i];
        const struct {
            const char *state;
            uint32_t count;
        } states[] = {{"waiting", queue->waiting},
                      {"held", queue->held},
                      {"routing", queue->routing},
                      {"quarantined", queue->quarantined}};
        for (size_t j = 0; j < sizeof states / sizeof states[0]; j++) {
            s_queue_labels(out, "ixn_queue_interactions", queue);
            s_label(out, ",", "state", states[j].state);
            buffer_printf(out, "} %" PRIu32 "\n", states[j].count);
        }
    }
}

static void s_print_queues(const metrics_t *self, buffer_t *out)
{
    s_gauge(out, "ixn_queues_age_seconds", "How old the figures of the queues are.",
            (double)self->queues_age / 1e6);
    s_print_depth(self, out);
    s_head(out, "ixn_queue_oldest_seconds", "gauge",
           "How long the oldest that waits is in the queue.");
    for (size_t i = 0; i < self->queues_len; i++) {
        s_queue_labels(out, "ixn_queue_oldest_seconds", self->queues[i]);
        buffer_printf(out, "} %.3f\n", s_oldest(self, self->queues[i]));
    }
    s_head(out, "ixn_queue_entered_total", "counter",
           "Came into the queue's line, also back from a router.");
    for (size_t i = 0; i < self->queues_len; i++) {
        s_queue_labels(out, "ixn_queue_entered_total", self->queues[i]);
        buffer_printf(out, "} %" PRIu64 "\n", self->queues[i]->entered);
    }
    s_head(out, "ixn_queue_left_total", "counter", "Left the queue's line.");
    for (size_t i = 0; i < self->queues_len; i++) {
        s_queue_labels(out, "ixn_queue_left_total", self->queues[i]);
        buffer_printf(out, "} %" PRIu64 "\n", self->queues[i]->left);
    }
}

void metrics_print(const metrics_t *self, buffer_t *out)
{
    s_gauge(out, "ixn_up", "Whether the node answers its own admin port.", self->status != NULL);
    s_gauge(out, "ixn_admin_connections", "Connections to the admin port.",
            (double)self->http_connections);
    if (self->figures) {
        s_head(out, "ixn_build_info", "gauge", "1; the labels say which node and version it is.");
        s_label(out, "ixn_build_info{", "node", self->figures->node);
        s_label(out, ",", "version", self->figures->version);
        buffer_append_text(out, "} 1\n");
        s_gauge(out, "ixn_uptime_seconds", "Since the process began.",
                (double)self->figures->uptime_ms / 1e3);
    }
    if (!self->status)
        return;
    s_gauge(out, "ixn_figures_age_seconds", "How old the node's figures are.",
            (double)self->age / 1e6);
    s_print_pair(self->status, out);
    if (self->figures)
        s_print_log(self->figures, out);
    if (self->figures && self->figures->serving)
        s_print_serving(self->figures, out);
    if (self->queues_age >= 0)
        s_print_queues(self, out);
}
