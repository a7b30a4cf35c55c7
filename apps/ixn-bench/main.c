/* ixn-bench: a load generator that uses the node as any client does, through the client library. It
 * measures, prints, and can record what it was told (--log) so that a checker can hold it against
 * the database. It knows nothing of the node's insides.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <zmq.h>

#include "apps/ixn-bench/report.h"
#include "apps/ixn-bench/sink.h"
#include "apps/ixn-bench/source.h"
#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/id.h"
#include "core/client/client.h"

#define S_TICK_MS 10
#define S_CONNECT_SECONDS 30
#define S_REFUSED_AT_START 1000 /* so many refusals without one acknowledgement: give up */

enum { EXIT_GOOD, EXIT_BAD, EXIT_USAGE, EXIT_UNREACHABLE };

typedef struct {
    run_t run;
    source_t **sources;
    uint32_t sources_len;
    sink_t **sinks;
    uint32_t sinks_len;
    int signals; /* readable when the user wants the end */
} bench_t;

/* Shares `total` clients out: part `part` of `parts` begins at … and has …. */
static uint32_t s_share(uint32_t total, uint32_t parts, uint32_t part, uint32_t *ret_first)
{
    uint32_t first = (uint32_t)((uint64_t)total * part / parts);
    *ret_first = first;
    return (uint32_t)((uint64_t)total * (part + 1) / parts) - first;
}

static bool s_start(bench_t *self)
{
    const options_t *options = self->run.options;
    self->sinks = memory_zero(options->router_threads + 1, sizeof(sink_t *));
    self->sources = memory_zero(options->submit_threads + 1, sizeof(source_t *));
    for (; self->sinks_len < options->router_threads; self->sinks_len++) {
        uint32_t first;
        uint32_t len = s_share(options->routers, options->router_threads, self->sinks_len, &first);
        self->sinks[self->sinks_len] = sink_new(&self->run, first, len);
        if (!self->sinks[self->sinks_len])
            return false;
    }
    for (; self->sources_len < options->submit_threads; self->sources_len++) {
        uint32_t first;
        uint32_t len =
            s_share(options->submitters, options->submit_threads, self->sources_len, &first);
        self->sources[self->sources_len] = source_new(&self->run, first, len);
        if (!self->sources[self->sources_len])
            return false;
    }
    return true;
}

static void s_set_phase(bench_t *self, run_phase_t phase)
{
    atomic_store_explicit(&self->run.phase, phase, memory_order_release);
}

/* A tick of waiting; false when the user wants the end of what is waited for. The first signal ends
 * the load, a second one the wait for the last answers. */
static bool s_tick(bench_t *self)
{
    struct signalfd_siginfo signal;
    struct pollfd signals = {.fd = self->signals, .events = POLLIN};
    if (poll(&signals, 1, S_TICK_MS) <= 0)
        return true;
    return read(self->signals, &signal, sizeof signal) != (ssize_t)sizeof signal;
}

static bool s_connect(bench_t *self)
{
    const options_t *options = self->run.options;
    uint64_t wanted = (uint64_t)options->submitters + options->routers;
    usec_t deadline = run_now() + S_CONNECT_SECONDS * USEC_PER_SECOND;
    while (atomic_load(&self->run.ready) < wanted) {
        if (run_now() >= deadline) {
            fprintf(stderr,
                    "ixn-bench: %llu of %llu clients are registered at %s%s after %d s; is a node "
                    "serving there?\n",
                    (unsigned long long)atomic_load(&self->run.ready), (unsigned long long)wanted,
                    options->nodes[0], options->nodes_len > 1 ? " …" : "", S_CONNECT_SECONDS);
            return false;
        }
        if (!s_tick(self))
            return false;
    }
    return true;
}

/* Nothing but refusals: the queue or the tenant is wrong, and going on would only burn time. */
static bool s_hopeless(run_t *run)
{
    return atomic_load(&run->acknowledged) == 0 && atomic_load(&run->answered) > S_REFUSED_AT_START;
}

/* Lets the load run; false when it should end before its time. */
static bool s_load_until(bench_t *self, usec_t end)
{
    const options_t *options = self->run.options;
    while (run_now() < end) {
        if (options->count && atomic_load(&self->run.answered) >= options->count)
            return true;
        if (s_hopeless(&self->run) || !s_tick(self))
            return false;
    }
    return true;
}

/* Until every submit has its answer and, with routers, every acknowledged one is completed. */
static void s_drain(bench_t *self)
{
    run_t *run = &self->run;
    usec_t end = run_now() + (usec_t)(run->options->drain_seconds * 1e6);
    while (run_now() < end) {
        bool answered = atomic_load(&run->answered) >= atomic_load(&run->sequence);
        bool completed = run->options->routers == 0 ||
                         atomic_load(&run->completed) >= atomic_load(&run->acknowledged);
        if ((answered && completed) || !s_tick(self))
            return;
    }
}

static void s_stop(bench_t *self, report_t *report)
{
    s_set_phase(self, RUN_ENDING);
    for (uint32_t i = 0; i < self->sources_len; i++)
        source_destroy(&self->sources[i], &report->submits);
    for (uint32_t i = 0; i < self->sinks_len; i++)
        sink_destroy(&self->sinks[i], &report->results);
    free(self->sources);
    free(self->sinks);
}

/* With --count the whole run is measured, the last completion included. */
static void s_load(bench_t *self, report_t *report)
{
    const options_t *options = self->run.options;
    usec_t begin = run_now();
    self->run.load_start = begin;
    self->run.gaps.threshold = options->gap_ms * USEC_PER_MS;
    bool more = true;
    if (options->warmup_seconds > 0) {
        s_set_phase(self, RUN_WARMING);
        more = s_load_until(self, begin + (usec_t)(options->warmup_seconds * 1e6));
        begin = run_now();
    }
    s_set_phase(self, RUN_MEASURING);
    if (more)
        more = s_load_until(self,
                            options->count ? USEC_NEVER : begin + (usec_t)(options->seconds * 1e6));
    bool whole = options->count && more;
    if (!whole) {
        report->measured_seconds = (double)(run_now() - begin) / 1e6;
        s_set_phase(self, RUN_DRAINING);
    }
    s_drain(self);
    if (atomic_load(&self->run.answered) < atomic_load(&self->run.sequence))
        gaps_end(&self->run.gaps, run_now());
    if (whole)
        report->measured_seconds = (double)(run_now() - begin) / 1e6;
}

/* One for all clients: with one each, a thousand clients would be a thousand I/O threads. */
static void *s_new_context(const options_t *options)
{
    void *context = zmq_ctx_new();
    CHECK(context);
    uint64_t clients = (uint64_t)options->submitters + options->routers + 1;
    int sockets = (int)(clients * options->nodes_len * CLIENT_SOCKETS) + 16;
    CHECK(zmq_ctx_set(context, ZMQ_MAX_SOCKETS, sockets) == 0);
    return context;
}

static int s_watch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    CHECK(signals >= 0);
    return signals;
}

int main(int argc, char **argv)
{
    options_t options;
    options_parse(argc, argv, &options);
    static bench_t bench; /* its marks are too big for a stack */
    bench.run.options = &options;
    bench.run.context = s_new_context(&options);
    id128_t id = id_random();
    memcpy(&bench.run.id, id.bytes, sizeof bench.run.id);
    bench.signals = s_watch_signals();

    report_t *report = memory_zero(1, sizeof *report); /* its histograms are too big for a stack */
    report->options = &options;
    int code = EXIT_BAD;
    bool started = s_start(&bench);
    bool connected = started && s_connect(&bench);
    if (connected)
        s_load(&bench, report);
    else if (started)
        code = EXIT_UNREACHABLE;
    s_stop(&bench, report);
    while (zmq_ctx_term(bench.run.context) != 0 && errno == EINTR)
        continue;
    report_take(report, &bench.run);
    if (connected) {
        report_print(report);
        code = report_is_good(report) ? EXIT_GOOD : EXIT_BAD;
    } else if (report->submits.first_error[0] || report->results.first_error[0]) {
        fprintf(stderr, "ixn-bench: %s\n",
                report->submits.first_error[0] ? report->submits.first_error
                                               : report->results.first_error);
    }
    free(report);
    close(bench.signals);
    return code;
}
