#include "apps/ixn-bench/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"

static double s_ms(usec_t us)
{
    return (double)us / (double)USEC_PER_MS;
}

static double s_rate(const report_t *self, const figures_t *figures)
{
    return self->measured_seconds > 0 ? (double)figures->measured / self->measured_seconds : 0;
}

static int s_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t s_count_shared(buffer_t *ids)
{
    uint64_t *all = (uint64_t *)(void *)ids->bytes;
    size_t len = ids->len / sizeof *all;
    uint64_t shared = 0;
    if (len)
        qsort(all, len, sizeof *all, s_compare);
    for (size_t i = 1; i < len; i++)
        shared += all[i] == all[i - 1];
    return shared;
}

void report_take(report_t *self, run_t *run)
{
    self->longest_gap = run->gaps.longest;
    self->gaps = run->gaps.count;
    if (self->options->routers)
        self->lost = marks_count_without(&run->acknowledged_marks, &run->completed_marks);
    self->shared_ids = s_count_shared(&self->submits.ids);
    marks_free(&run->acknowledged_marks);
    marks_free(&run->completed_marks);
    figures_free(&self->submits);
}

bool report_is_good(const report_t *self)
{
    const figures_t *submits = &self->submits;
    if (submits->accepted != submits->sent || submits->accepted == 0)
        return false;
    if (self->lost || self->results.repeated || self->shared_ids)
        return false;
    return self->options->routers == 0 || self->results.accepted == submits->accepted;
}

static void s_print_row(const report_t *self, const char *name, const figures_t *figures)
{
    const histogram_t *latency = &figures->latency;
    printf("%-14s %10" PRIu64 " %12.0f/s %10.2f %10.2f %10.2f %10.2f\n", name, figures->accepted,
           s_rate(self, figures), s_ms(histogram_quantile(latency, 0.5)),
           s_ms(histogram_quantile(latency, 0.99)), s_ms(histogram_quantile(latency, 0.999)),
           s_ms(latency->max));
}

static void s_print_text(const report_t *self)
{
    const options_t *options = self->options;
    printf("%u submitters x %u in flight, %u bytes, %u routers, %.1f s measured\n",
           options->submitters, options->window, options->payload, options->routers,
           self->measured_seconds);
    printf("%-14s %10s %14s %10s %10s %10s %10s\n", "", "count", "rate", "p50 ms", "p99 ms",
           "p99.9 ms", "max ms");
    s_print_row(self, "submit to ack", &self->submits);
    if (options->routers)
        s_print_row(self, "end to end", &self->results);
    printf("longest gap without an acknowledgement: %.1f ms; of %u ms or more: %" PRIu64 "\n",
           s_ms(self->longest_gap), options->gap_ms, self->gaps);
    if (options->routers)
        printf("acknowledged but not completed: %" PRIu64 ", completed twice: %" PRIu64 "\n",
               self->lost, self->results.repeated);
    if (self->shared_ids)
        printf("acknowledged under another one's id: %" PRIu64 "\n", self->shared_ids);
    if (self->submits.refused || self->submits.unknown)
        printf("submits refused: %" PRIu64 ", never answered: %" PRIu64 "\n", self->submits.refused,
               self->submits.unknown);
    if (self->results.refused || self->results.unknown || self->results.stale)
        printf("results refused: %" PRIu64 ", never answered: %" PRIu64 ", too late: %" PRIu64 "\n",
               self->results.refused, self->results.unknown, self->results.stale);
    if (self->submits.first_error[0])
        printf("first trouble with a submit: %s\n", self->submits.first_error);
    if (self->results.first_error[0])
        printf("first trouble with a result: %s\n", self->results.first_error);
}

static json_t *s_latency(const histogram_t *latency)
{
    return json_pack("{s:f, s:f, s:f, s:f}", "p50", s_ms(histogram_quantile(latency, 0.5)), "p99",
                     s_ms(histogram_quantile(latency, 0.99)), "p99.9",
                     s_ms(histogram_quantile(latency, 0.999)), "max", s_ms(latency->max));
}

static void s_set_count(json_t *object, const char *name, uint64_t count)
{
    CHECK(json_object_set_new(object, name, json_integer((json_int_t)count)) == 0);
}

static json_t *s_json(const report_t *self)
{
    const options_t *options = self->options;
    json_t *root = json_pack("{s:s, s:b, s:f}", "bench", "ixn-bench", "ok", report_is_good(self),
                             "seconds", self->measured_seconds);
    CHECK(root);
    s_set_count(root, "submitters", options->submitters);
    s_set_count(root, "window", options->window);
    s_set_count(root, "payload", options->payload);
    s_set_count(root, "rate", options->rate);
    s_set_count(root, "routers", options->routers);
    s_set_count(root, "submitted", self->submits.sent);
    s_set_count(root, "acknowledged", self->submits.accepted);
    s_set_count(root, "refused", self->submits.refused);
    s_set_count(root, "unknown", self->submits.unknown);
    json_object_set_new(root, "submit_rate", json_real(s_rate(self, &self->submits)));
    json_object_set_new(root, "submit_ms", s_latency(&self->submits.latency));
    json_object_set_new(root, "silence_ms", json_real(s_ms(self->submits.silence)));
    json_object_set_new(root, "longest_gap_ms", json_real(s_ms(self->longest_gap)));
    s_set_count(root, "gaps", self->gaps);
    s_set_count(root, "gap_ms", options->gap_ms);
    s_set_count(root, "shared_ids", self->shared_ids);
    if (options->routers) {
        s_set_count(root, "completed", self->results.accepted);
        s_set_count(root, "lost", self->lost);
        s_set_count(root, "repeated", self->results.repeated);
        s_set_count(root, "foreign", self->results.foreign);
        s_set_count(root, "results_refused", self->results.refused);
        s_set_count(root, "results_unknown", self->results.unknown);
        s_set_count(root, "results_stale", self->results.stale);
        json_object_set_new(root, "complete_rate", json_real(s_rate(self, &self->results)));
        json_object_set_new(root, "end_to_end_ms", s_latency(&self->results.latency));
    }
    return root;
}

void report_print(const report_t *self)
{
    s_print_text(self);
    json_t *root = s_json(self);
    char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6));
    CHECK(text);
    puts(text);
    free(text);
    json_decref(root);
    fflush(stdout);
}
