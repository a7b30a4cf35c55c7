/* bench-peer: one load on one store of work, ours or another one; prints its figures as one line of
 * JSON. It also is the two servers of bare ZeroMQ. tests/bench/run.sh peers runs it.
 */
#include <argp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "tests/bench/peers/load.h"
#include "tests/bench/peers/relay.h"

#define S_MAX_CLIENTS 1000
#define S_MAX_SOCKETS 16000 /* of so many clients and workers, at two endpoints each */
#define S_MAX_WINDOW 8000
#define S_MAX_PAYLOAD 65536
#define S_MAX_SECONDS 3600

static const peer_t *const s_peers[] = {&peer_beanstalkd, &peer_echo,  &peer_gearmand, &peer_ixn,
                                        &peer_rabbitmq,   &peer_redis, &peer_relay};
#define S_PEERS (sizeof s_peers / sizeof s_peers[0])

enum {
    KEY_AT = 256,
    KEY_CLIENTS,
    KEY_WINDOW,
    KEY_WORKERS,
    KEY_BATCH,
    KEY_PAYLOAD,
    KEY_SECONDS,
    KEY_WARMUP,
    KEY_SERVE
};

static const struct argp_option s_options[] = {
    {"at", KEY_AT, "ADDRESS:PORT", 0, "Where the server is; twice for a pair of ours", 0},
    {"clients", KEY_CLIENTS, "N", 0, "Submitters (default 1)", 0},
    {"window", KEY_WINDOW, "N", 0, "Outstanding for each (default 1)", 0},
    {"workers", KEY_WORKERS, "N", 0, "Complete what is submitted (default 0: submits only)", 0},
    {"batch", KEY_BATCH, "N", 0,
     "Most that a worker takes at once, of peers that have such a notion (default 64)", 0},
    {"payload", KEY_PAYLOAD, "BYTES", 0, "(default 300)", 0},
    {"warmup", KEY_WARMUP, "T", 0, "Seconds of load before it measures (default 0.5)", 0},
    {"seconds", KEY_SECONDS, "T", 0, "(default 3)", 0},
    {"serve", KEY_SERVE, NULL, 0, "Be the server of echo or relay instead, until SIGTERM", 0},
    {0}};

typedef struct {
    load_options_t load;
    bool serve;
} options_t;

void *peer_context(void)
{
    static void *context;
    if (!context) {
        context = zmq_ctx_new();
        CHECK(context);
        CHECK(zmq_ctx_set(context, ZMQ_MAX_SOCKETS, S_MAX_SOCKETS) == 0);
    }
    return context;
}

void peer_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench-peer: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _Exit(1); /* other threads may be at work */
}

static double s_number(struct argp_state *state, const char *text, double least, double most)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= least && value <= most))
        argp_error(state, "\"%s\" must be a number from %g to %g", text, least, most);
    return value;
}

static void s_peer(struct argp_state *state, load_options_t *load, const char *name)
{
    if (load->peer)
        argp_error(state, "more than one peer: %s, %s", load->peer->name, name);
    for (size_t i = 0; i < S_PEERS; i++)
        if (strcmp(s_peers[i]->name, name) == 0)
            load->peer = s_peers[i];
    if (!load->peer)
        argp_error(state, "there is no peer %s", name);
}

static error_t s_option(int key, char *text, struct argp_state *state)
{
    options_t *self = state->input;
    load_options_t *load = &self->load;
    switch (key) {
    case KEY_AT:
        if (load->target.at_len == PEER_ENDPOINTS)
            argp_error(state, "--at at most %d times", PEER_ENDPOINTS);
        load->target.at[load->target.at_len++] = text;
        break;
    case KEY_CLIENTS:
        load->clients = (uint32_t)s_number(state, text, 1, S_MAX_CLIENTS);
        break;
    case KEY_WINDOW:
        load->window = (uint32_t)s_number(state, text, 1, S_MAX_WINDOW);
        break;
    case KEY_WORKERS:
        load->workers = (uint32_t)s_number(state, text, 0, S_MAX_CLIENTS);
        break;
    case KEY_BATCH:
        load->target.batch = (uint32_t)s_number(state, text, 1, S_MAX_WINDOW);
        break;
    case KEY_PAYLOAD:
        load->payload = (uint32_t)s_number(state, text, 1, S_MAX_PAYLOAD);
        break;
    case KEY_WARMUP:
        load->warmup_seconds = s_number(state, text, 0, S_MAX_SECONDS);
        break;
    case KEY_SECONDS:
        load->seconds = s_number(state, text, 0.1, S_MAX_SECONDS);
        break;
    case KEY_SERVE:
        self->serve = true;
        break;
    case ARGP_KEY_ARG:
        s_peer(state, load, text);
        break;
    case ARGP_KEY_END:
        if (!load->peer)
            argp_error(state, "which peer?");
        if (load->target.at_len == 0)
            argp_error(state, "--at is missing");
        if (load->peer->no_workers && load->workers > 0)
            argp_error(state, "%s has no workers", load->peer->name);
        if (self->serve && load->peer != &peer_echo && load->peer != &peer_relay)
            argp_error(state, "--serve is for echo and relay, not for %s", load->peer->name);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static void s_latency(const char *name, const histogram_t *histogram)
{
    printf(",\"%s\":{\"p50\":%.3f,\"p99\":%.3f,\"p99.9\":%.3f,\"max\":%.3f}", name,
           (double)histogram_quantile(histogram, 0.5) / 1e3,
           (double)histogram_quantile(histogram, 0.99) / 1e3,
           (double)histogram_quantile(histogram, 0.999) / 1e3, (double)histogram->max / 1e3);
}

int main(int argc, char **argv)
{
    static const char doc[] =
        "bench-peer puts a load on a store of work and prints its figures.\v"
        "PEER is one of beanstalkd, echo, gearmand, ixn, rabbitmq, redis, "
        "relay. Times are in milliseconds.";
    const struct argp parser = {s_options, s_option, "PEER", doc, NULL, NULL, NULL};
    options_t options = {.load = {.clients = 1,
                                  .window = 1,
                                  .payload = 300,
                                  .warmup_seconds = 0.5,
                                  .seconds = 3,
                                  .target = {.batch = 64}}};
    argp_parse(&parser, argc, argv, 0, NULL, &options);
    load_options_t *load = &options.load;
    if (options.serve) {
        relay_serve(load->target.at[0], load->peer == &peer_echo);
        return 0;
    }
    load->target.lifecycle = load->workers > 0;
    load_figures_t *figures = memory_zero(1, sizeof *figures);
    load_run(load, figures);
    printf(
        "{\"peer\":\"%s\",\"clients\":%u,\"window\":%u,\"workers\":%u,\"payload\":%u,"
        "\"count\":%llu,\"seconds\":%.3f,\"rate\":%.1f,\"client_cpu_seconds\":%.3f",
        load->peer->name, load->clients, load->window, load->workers, load->payload,
        (unsigned long long)figures->count, figures->seconds,
        (double)figures->count / figures->seconds, figures->cpu_seconds);
    s_latency("ms", &figures->latency);
    s_latency("acknowledged_ms", &figures->acknowledged);
    printf("}\n");
    free(figures);
    return 0;
}
