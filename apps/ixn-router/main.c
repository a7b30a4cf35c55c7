/* ixn-router: the reference router, a program around parts/router.h. Reads its options, turns
 * signals into calls, sleeps when the router has nothing to do, prints figures. Decides nothing.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "apps/ixn-router/parts/router.h"
#include "apps/ixn-router/parts/strategies.h"
#include "apps/ixn-router/parts/watchdog.h"
#include "apps/manual/manual.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/wire/wire.h"

#define NODES 8 /* what the client library takes */

typedef struct {
    const char *nodes[NODES];
    router_options_t router;
    uint32_t stats_ms;
    uint32_t hang_ms;
    bool check;
} options_t;

enum {
    OPTION_MAX_SUBMITTED = 256,
    OPTION_INSTRUCTIONS,
    OPTION_MEMORY_MB,
    OPTION_HANG_MS,
    OPTION_LEAVE_MS,
    OPTION_STATS_MS,
    OPTION_AGENT_RESERVATION,
    OPTION_CHECK,
    OPTION_DEBUG,
};

const char *argp_program_version = "ixn-router " IXN_VERSION;

static const char s_help[] =
    "Runs strategies for the interactions that a node routes to it.\n\n"
    "A strategy is stored on the nodes (ixnctl strategy put, activate), or a file NAME.lua in the "
    "folder of strategies; docs/routers.md says how to write one."
    "\v"
    "Examples:\n\n"
    "  One node on this machine, strategies from ./strategies:\n"
    "    ixn-router --name R1 --node tcp://127.0.0.1:7420 --strategies strategies\n\n"
    "  A pair of nodes; at most 500 interactions at once; figures every 10 s:\n"
    "    ixn-router --name R2 --strategies /etc/ixn/strategies \\\n"
    "      --node tcp://10.0.0.1:7420 --node tcp://10.0.0.2:7420 \\\n"
    "      --max-submitted 500 --stats-ms 10000\n\n"
    "  Do the files compile? (Before a reload.)\n"
    "    ixn-router --check --strategies /etc/ixn/strategies\n\n"
    "Signals: HUP loads changed files (what runs goes on with the old ones); TERM and INT end what "
    "can "
    "end within --leave-ms and return the rest to the node without blame; a second one returns it "
    "at "
    "once.\n\n"
    "Exit status: 0 after a signal; 1 when a strategy is broken or the node refuses the router; 64 "
    "for "
    "wrong options; 70 when a script hung (see --hang-ms).";

static const struct argp_option s_options[] = {
    {0, 0, 0, 0, "Who and where", 1},
    {"name", 'n', "NAME", 0, "Name of this router, unique among live routers (required)", 0},
    {"node", 'N', "ENDPOINT", 0, "Where a node listens; once for each node of the pair (required)",
     0},
    {"strategies", 's', "DIR", 0,
     "Folder with strategies of its own; those that the node stores come from there", 0},
    {"tenant", 't', "TENANT", 0, "Whose interactions (default: default)", 0},
    {"agent-reservation", OPTION_AGENT_RESERVATION, 0, 0,
     "Takes part in agent reservation: needed on every router where several can run a strategy", 0},
    {0, 0, 0, 0, "Bounds", 2},
    {"max-submitted", OPTION_MAX_SUBMITTED, "N", 0,
     "Most interactions to hold at once (default: the node's limit; the smaller one counts)", 0},
    {"instructions", OPTION_INSTRUCTIONS, "N", 0,
     "Lua instructions that a script may use before it waits or ends (default 1000000)", 0},
    {"memory-mb", OPTION_MEMORY_MB, "N", 0,
     "Memory of all scripts in MiB; one step of one script may take a quarter (default 256)", 0},
    {"hang-ms", OPTION_HANG_MS, "N", 0,
     "CPU time after which a library call that does not return ends the router (default 10000)", 0},
    {"leave-ms", OPTION_LEAVE_MS, "N", 0,
     "How long running scripts may go on after a signal to end (default 5000)", 0},
    {0, 0, 0, 0, "Watching", 3},
    {"stats-ms", OPTION_STATS_MS, "N", 0, "Log a line of figures this often (default: never)", 0},
    {"debug", OPTION_DEBUG, 0, 0, "Log more", 0},
    {"check", OPTION_CHECK, 0, 0, "Compile the strategies, print the result, and exit", 0},
    {0},
};

/* A whole number from `least` to `most`, or the program ends with a sentence. */
static uint32_t s_number(struct argp_state *state, const char *option, const char *text,
                         uint32_t least, uint32_t most)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || *text == '-' || value < least || value > most)
        argp_error(state, "--%s is \"%s\"; it must be a whole number from %u to %u", option, text,
                   least, most);
    return (uint32_t)value;
}

static void s_check_name(struct argp_state *state, const char *option, const char *text)
{
    error_t error;
    if (!wire_check_text(option, text, 1, LIMIT_NAME, &error))
        argp_error(state, "%s", error.text);
}

static void s_check_whole(struct argp_state *state, const options_t *options)
{
    const ixn_client_options_t *client = &options->router.client;
    if (options->check && !options->router.strategies)
        argp_error(state, "--strategies is missing: the folder with the strategies to check");
    if (!options->check && !client->name)
        argp_error(state, "--name is missing: the name of this router");
    if (!options->check && client->endpoints_len == 0)
        argp_error(state, "--node is missing: for example --node tcp://127.0.0.1:7420");
}

static int s_parse_bound(int key, char *text, struct argp_state *state)
{
    options_t *options = state->input;
    router_options_t *router = &options->router;
    switch (key) {
    case OPTION_MAX_SUBMITTED:
        router->client.max_submitted_interactions =
            s_number(state, "max-submitted", text, 1, 50000);
        return 0;
    case OPTION_INSTRUCTIONS:
        router->vm.instructions = s_number(state, "instructions", text, 1000, 1000000000);
        return 0;
    case OPTION_MEMORY_MB:
        router->vm.memory_limit =
            (size_t)s_number(state, "memory-mb", text, 16, 1024 * 1024) * 1024 * 1024;
        return 0;
    case OPTION_HANG_MS:
        options->hang_ms = s_number(state, "hang-ms", text, 1000, 3600000);
        return 0;
    case OPTION_LEAVE_MS:
        router->leave_ms = s_number(state, "leave-ms", text, 0, 3600000);
        return 0;
    case OPTION_STATS_MS:
        options->stats_ms = s_number(state, "stats-ms", text, 10, 3600000);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int s_parse(int key, char *text, struct argp_state *state)
{
    options_t *options = state->input;
    ixn_client_options_t *client = &options->router.client;
    switch (key) {
    case 'n':
        s_check_name(state, "--name", text);
        client->name = text;
        return 0;
    case 'N':
        if (client->endpoints_len == NODES)
            argp_error(state, "--node is given more than %d times", NODES);
        options->nodes[client->endpoints_len++] = text;
        return 0;
    case 's':
        options->router.strategies = text;
        return 0;
    case 't':
        s_check_name(state, "--tenant", text);
        client->tenant = text;
        return 0;
    case OPTION_AGENT_RESERVATION:
        client->agent_reservation = true;
        return 0;
    case OPTION_DEBUG:
        log_set_level(LOG_LEVEL_DEBUG);
        return 0;
    case OPTION_CHECK:
        options->check = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is not an option", text);
        return 0;
    case ARGP_KEY_END:
        s_check_whole(state, options);
        return 0;
    default:
        return s_parse_bound(key, text, state);
    }
}

/* ---- --check ---- */

static void s_print_strategy(void *context, strategy_event_t event, const strategy_t *strategy,
                             const error_t *error)
{
    (void)context;
    if (event == STRATEGY_BROKEN)
        printf("broken  %s: %s\n", strategy->name, error->text);
    else
        printf("good    %s (version %s)\n", strategy->name, strategy->version);
}

static int s_check(const options_t *options)
{
    error_t error = {0};
    vm_t *vm = vm_new(&options->router.vm, &error);
    strategies_t *strategies = vm ? strategies_new(vm, options->router.strategies) : NULL;
    int broken = strategies ? strategies_load(strategies, s_print_strategy, NULL, &error) : -1;
    if (broken < 0)
        fprintf(stderr, "ixn-router: %s\n", error.text);
    else
        printf("%zu good, %d broken\n", strategies_len(strategies), broken);
    bool good = broken == 0 && strategies_len(strategies) > 0;
    strategies_destroy(&strategies);
    vm_destroy(&vm);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- The loop ---- */

static int64_t s_now_ms(void)
{
    return clock_usec(CLOCK_BOOTTIME) / USEC_PER_MS;
}

static void s_print_figures(const router_t *router)
{
    router_figures_t figures;
    router_figures(router, &figures);
    log_info("router.stats",
             "routed=%" PRIu64 " placed=%" PRIu64 " stopped=%" PRIu64 " failed=%" PRIu64
             " returned=%" PRIu64 " saved=%" PRIu64 " lost=%" PRIu64
             " held=%zu waiting=%zu sleeping=%zu memory_kb=%zu",
             figures.routed, figures.placed, figures.stopped, figures.failed, figures.returned,
             figures.saved, figures.lost, figures.held, figures.waiting, figures.sleeping,
             figures.memory / 1024);
}

/* HUP, TERM, INT. They are blocked and come as bytes, so none can be missed before a wait. */
static int s_open_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0)
        return -1;
    return signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void s_take_signals(int signals, router_t *router)
{
    struct signalfd_siginfo taken;
    while (read(signals, &taken, sizeof taken) == (ssize_t)sizeof taken) {
        if (taken.ssi_signo == SIGHUP)
            router_reload(router);
        else
            router_leave(router);
    }
}

static int s_wait_ms(const router_t *router, int64_t stats_at)
{
    int wait_ms = router_wait_ms(router);
    if (stats_at == INT64_MAX)
        return wait_ms;
    int64_t left = stats_at - s_now_ms();
    left = left < 0 ? 0 : left;
    return wait_ms < 0 || left < wait_ms ? (int)left : wait_ms;
}

static void s_run(router_t *router, int signals, uint32_t stats_ms)
{
    int64_t stats_at = stats_ms > 0 ? s_now_ms() + stats_ms : INT64_MAX;
    error_t unused;
    while (!router_is_over(router, &unused)) {
        struct pollfd readable[] = {{signals, POLLIN, 0}, {router_fd(router), POLLIN, 0}};
        bool busy = router_turn(router);
        if (poll(readable, 2, busy ? 0 : s_wait_ms(router, stats_at)) > 0 && readable[0].revents)
            s_take_signals(signals, router);
        if (s_now_ms() >= stats_at) {
            s_print_figures(router);
            stats_at = s_now_ms() + stats_ms;
        }
    }
}

static int s_serve(const options_t *options)
{
    error_t error = {0};
    /* Before the client's threads start: they inherit the blocked signals. */
    int signals = s_open_signals();
    if (signals < 0) {
        log_error("router.start", "error=\"signals: %s\"", strerror(errno));
        return EXIT_FAILURE;
    }
    router_t *router = router_new(&options->router, &error);
    if (!router || !watchdog_start(options->hang_ms, &error)) {
        log_error("router.start", "code=%s error=\"%s\"", error_name(error.code), error.text);
        router_destroy(&router);
        close(signals);
        return EXIT_FAILURE;
    }
    log_info("router.start", "name=%s strategies=%s", options->router.client.name,
             options->router.strategies ? options->router.strategies : "");
    s_run(router, signals, options->stats_ms);
    s_print_figures(router);
    bool refused = router_is_over(router, &error) && error.code != ERROR_OK;
    if (refused)
        log_error("router.refused", "code=%s error=\"%s\"", error_name(error.code), error.text);
    router_destroy(&router);
    close(signals);
    log_info("router.end", "name=%s", options->router.client.name);
    return refused ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    options_t options = {
        .router.vm = {.memory_limit = (size_t)256 * 1024 * 1024, .instructions = 1000000},
        .router.leave_ms = 5000,
        .hang_ms = 10000,
    };
    options.router.client.endpoints = options.nodes;
    static const struct argp_child manual[] = {{&manual_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        .options = s_options, .parser = s_parse, .doc = s_help, .children = manual};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    return options.check ? s_check(&options) : s_serve(&options);
}
