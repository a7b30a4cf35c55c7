#include "apps/ixn-bench/options.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/manual/manual.h"
#include "core/base/limits.h"

#define S_MAX_CLIENTS 1000
#define S_MAX_THREADS 64
#define S_MAX_WINDOW 9000 /* the client library's own bound is 10,000 unanswered requests */
#define S_MAX_RATE 10000000
#define S_MAX_SECONDS (7 * 24 * 3600.0)

enum {
    KEY_NODE = 'n',
    KEY_SUBMITTERS = 256,
    KEY_SUBMIT_THREADS,
    KEY_WINDOW,
    KEY_PAYLOAD,
    KEY_ROUTERS,
    KEY_ROUTER_THREADS,
    KEY_ROUTER_WINDOW,
    KEY_SUBMIT_ONLY,
    KEY_STRATEGY,
    KEY_QUEUE,
    KEY_TENANT,
    KEY_MEDIA_TYPE,
    KEY_SECONDS,
    KEY_COUNT,
    KEY_RATE,
    KEY_WARMUP,
    KEY_DRAIN,
    KEY_GAP,
    KEY_LOG,
};

static const struct argp_option s_options[] = {
    {NULL, 0, NULL, 0, "Where", 1},
    {"node", KEY_NODE, "ENDPOINT", 0, "A node; twice for a pair (default tcp://127.0.0.1:7420)", 1},
    {"tenant", KEY_TENANT, "NAME", 0, "Tenant (default \"default\")", 1},
    {"queue", KEY_QUEUE, "NAME", 0, "Queue that is submitted to (default inbound)", 1},
    {"media-type", KEY_MEDIA_TYPE, "NAME", 0, "Media type of the submits (default bench)", 1},
    {NULL, 0, NULL, 0, "Submitters", 2},
    {"submitters", KEY_SUBMITTERS, "N", 0, "Clients that submit (default 4)", 2},
    {"window", KEY_WINDOW, "N", 0, "Submits in flight for each of them (default 64)", 2},
    {"payload", KEY_PAYLOAD, "BYTES", 0, "Size of the attributes (default 300)", 2},
    {"rate", KEY_RATE, "N", 0,
     "Submits a second of all together, measured from when each was due; without it a submit "
     "leaves "
     "when an answer has come",
     2},
    {"submit-threads", KEY_SUBMIT_THREADS, "N", 0, "Threads for them (default 1)", 2},
    {NULL, 0, NULL, 0, "Routers", 3},
    {"routers", KEY_ROUTERS, "N", 0,
     "Built-in routers that complete at once (default 1); 0: others do the routing, and only the "
     "submits are measured",
     3},
    {"submit-only", KEY_SUBMIT_ONLY, NULL, 0, "The same as --routers 0", 3},
    {"strategy", KEY_STRATEGY, "NAME", 0, "Strategy they run (default classify)", 3},
    {"router-window", KEY_ROUTER_WINDOW, "N", 0,
     "Most interactions that each wants to hold (default: the node's limit)", 3},
    {"router-threads", KEY_ROUTER_THREADS, "N", 0, "Threads for them (default 1)", 3},
    {NULL, 0, NULL, 0, "How long", 4},
    {"seconds", KEY_SECONDS, "T", 0, "Time that is measured (default 10)", 4},
    {"count", KEY_COUNT, "N", 0, "Ends after N submits, however long they take", 4},
    {"warmup", KEY_WARMUP, "T", 0, "Seconds of load before measuring (default 1; 0 with --count)",
     4},
    {"drain", KEY_DRAIN, "T", 0,
     "At the end, seconds to wait for answers and for completion (default 30)", 4},
    {NULL, 0, NULL, 0, "Proof", 5},
    {"gap-ms", KEY_GAP, "N", 0,
     "Counts the times without any acknowledgement, while some are due, that are at least so long "
     "(default 100)",
     5},
    {"log", KEY_LOG, "FILE", 0,
     "Records every acknowledged submit and every accepted result, one JSON object a line", 5},
    {0}};

static uint64_t s_number(struct argp_state *state, const char *text, const char *name, uint64_t max)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || value > max)
        argp_error(state, "--%s must be a number from 0 to %llu, not \"%s\"", name,
                   (unsigned long long)max, text);
    return value;
}

static double s_seconds(struct argp_state *state, const char *text, const char *name)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value < 0 || value > S_MAX_SECONDS)
        argp_error(state, "--%s must be seconds from 0 to %.0f, not \"%s\"", name, S_MAX_SECONDS,
                   text);
    return value;
}

static const char *s_name(struct argp_state *state, const char *text, const char *name)
{
    size_t len = strlen(text);
    if (len < 1 || len > LIMIT_NAME)
        argp_error(state, "--%s must have 1 to %d bytes, not %zu", name, LIMIT_NAME, len);
    return text;
}

static error_t s_load_option(int key, char *text, struct argp_state *state)
{
    options_t *self = state->input;
    switch (key) {
    case KEY_SUBMITTERS:
        self->submitters = (uint32_t)s_number(state, text, "submitters", S_MAX_CLIENTS);
        break;
    case KEY_SUBMIT_THREADS:
        self->submit_threads = (uint32_t)s_number(state, text, "submit-threads", S_MAX_THREADS);
        break;
    case KEY_WINDOW:
        self->window = (uint32_t)s_number(state, text, "window", S_MAX_WINDOW);
        break;
    case KEY_PAYLOAD:
        self->payload = (uint32_t)s_number(state, text, "payload", LIMIT_ATTRIBUTES);
        break;
    case KEY_ROUTERS:
        self->routers = (uint32_t)s_number(state, text, "routers", S_MAX_CLIENTS);
        break;
    case KEY_SUBMIT_ONLY:
        self->routers = 0;
        break;
    case KEY_ROUTER_THREADS:
        self->router_threads = (uint32_t)s_number(state, text, "router-threads", S_MAX_THREADS);
        break;
    case KEY_ROUTER_WINDOW:
        self->router_window = (uint32_t)s_number(state, text, "router-window", UINT32_MAX);
        break;
    case KEY_GAP:
        self->gap_ms = (uint32_t)s_number(state, text, "gap-ms", 3600 * 1000);
        break;
    case KEY_RATE:
        self->rate = s_number(state, text, "rate", S_MAX_RATE);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static error_t s_option(int key, char *text, struct argp_state *state)
{
    options_t *self = state->input;
    switch (key) {
    case KEY_NODE:
        if (self->nodes_len == OPTIONS_NODES)
            argp_error(state, "at most %d times --node", OPTIONS_NODES);
        self->nodes[self->nodes_len++] = text;
        break;
    case KEY_STRATEGY:
        self->strategy = s_name(state, text, "strategy");
        break;
    case KEY_QUEUE:
        self->queue = s_name(state, text, "queue");
        break;
    case KEY_TENANT:
        self->tenant = s_name(state, text, "tenant");
        break;
    case KEY_MEDIA_TYPE:
        self->media_type = s_name(state, text, "media-type");
        break;
    case KEY_SECONDS:
        self->seconds = s_seconds(state, text, "seconds");
        break;
    case KEY_COUNT:
        self->count = s_number(state, text, "count", UINT32_MAX);
        break;
    case KEY_WARMUP:
        self->warmup_seconds = s_seconds(state, text, "warmup");
        break;
    case KEY_DRAIN:
        self->drain_seconds = s_seconds(state, text, "drain");
        break;
    case KEY_LOG:
        self->log_path = text;
        break;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is not an option", text);
        break;
    default:
        return s_load_option(key, text, state);
    }
    return 0;
}

static const char s_doc[] =
    "ixn-bench submits interactions to a node and measures how long each takes to be acknowledged "
    "and, with its built-in routers, to be completed.\v"
    "Examples:\n"
    "  ixn-bench --submitters 8 --window 128 --seconds 30\n"
    "  ixn-bench --submit-only --count 1000000 --payload 1000 --queue parked\n"
    "  ixn-bench --rate 5000 --log run.jsonl\n"
    "  ixn-bench --node tcp://10.0.0.1:7420 --node tcp://10.0.0.2:7420 --rate 1000 --seconds 60\n\n"
    "With both nodes of a pair it goes on through a fail-over; longest_gap_ms is what that cost. "
    "The last line is one JSON object. Exit code: 0 every submit was acknowledged and, with "
    "routers, completed, each once, fail-over or not; 1 not so; 2 usage; 3 no node served.";

void options_parse(int argc, char **argv, options_t *ret_options)
{
    options_t self = {.tenant = "default",
                      .queue = "inbound",
                      .media_type = "bench",
                      .strategy = "classify",
                      .submitters = 4,
                      .submit_threads = 1,
                      .window = 64,
                      .payload = 300,
                      .routers = 1,
                      .router_threads = 1,
                      .seconds = 10,
                      .warmup_seconds = -1,
                      .drain_seconds = 30,
                      .gap_ms = 100};
    argp_err_exit_status = 2;
    argp_program_version = "ixn-bench " IXN_VERSION;
    static const struct argp_child manual[] = {{&manual_argp, 0, NULL, 0}, {0}};
    static const struct argp parser = {
        .options = s_options, .parser = s_option, .doc = s_doc, .children = manual};
    argp_parse(&parser, argc, argv, 0, NULL, &self);
    if (self.nodes_len == 0)
        self.nodes[self.nodes_len++] = "tcp://127.0.0.1:7420";
    if (self.warmup_seconds < 0)
        self.warmup_seconds = self.count > 0 ? 0 : 1;
    if (self.window < 1)
        self.window = 1;
    if (self.submit_threads > self.submitters)
        self.submit_threads = self.submitters;
    if (self.submitters > 0 && self.submit_threads < 1)
        self.submit_threads = 1;
    if (self.router_threads > self.routers)
        self.router_threads = self.routers;
    if (self.routers > 0 && self.router_threads < 1)
        self.router_threads = 1;
    *ret_options = self;
}
