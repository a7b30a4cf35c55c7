/* ixnd: the interaction server. This file: command line, signals, and the order of things. */
#include <argp.h>
#include <czmq.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "apps/ixnd/descriptors.h"
#include "apps/ixnd/server.h"
#include "apps/manual/manual.h"
#include "apps/state/state_dir.h"
#include "core/base/check.h"
#include "core/base/log.h"

/* Exit codes; systemd is told not to restart after EXIT_FENCED and EXIT_OPERATOR. */
enum { EXIT_USAGE = 2, EXIT_OPERATOR = 3, EXIT_FENCED = 4 };

enum { LOG_LINES_A_SECOND = 200 }; /* of one event: a storm must not fill the disk */

static volatile sig_atomic_t s_stop;
static volatile sig_atomic_t s_reload;

static void s_on_signal(int number)
{
    if (number == SIGHUP)
        s_reload = 1;
    else
        s_stop = 1;
}

typedef struct {
    const char *config;
    bool check_config;
    bool print_config;
    bool help_config;
} arguments_t;

static int s_parse(int key, char *value, struct argp_state *state)
{
    arguments_t *arguments = state->input;
    switch (key) {
    case 'c':
        arguments->config = value;
        return 0;
    case 'C':
        arguments->check_config = true;
        return 0;
    case 'P':
        arguments->print_config = true;
        return 0;
    case 'H':
        arguments->help_config = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument \"%s\"", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option s_options[] = {
    {"config", 'c', "FILE", 0, "the configuration; /etc/ixn/ixnd.yaml when not given", 0},
    {"check-config", 'C', NULL, 0, "check the configuration and end", 0},
    {"print-config", 'P', NULL, 0, "print the effective configuration and end", 0},
    {"help-config", 'H', NULL, 0, "print what each key of the configuration may be and end", 0},
    {0},
};

static const struct argp_child s_manual[] = {{&manual_argp, 0, NULL, 0}, {0}};
static const struct argp s_argp = {
    .options = s_options,
    .parser = s_parse,
    .doc =
        "Interaction server: takes interactions in, keeps them in PostgreSQL, hands them to "
        "routers.\v"
        "The database must have been made with `ixnctl database init`.\n\n"
        "Exit codes: 0 stopped in order; 2 wrong usage or configuration; 3 an operator is "
        "needed (another database, no schema, a port in use: the last line of the log says "
        "what); 4 another node has taken over.",
    .children = s_manual,
};

static void s_catch_signals(void)
{
    struct sigaction action = {.sa_handler = s_on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Asks the C library for memory in huge pages, which it decides when a process begins; so the
 * program begins anew, once. When a process is killed the kernel frees its memory before it closes
 * its connections, and the other node waits for that: 40 ms for 600 MB of small pages, 2 ms for
 * huge ones. Threads' heaps (the state of a backup is loaded by one) get them only when they are
 * made whole: top_pad. It stops the C library from raising its threshold for blocks of their own by
 * itself, so that is set too, as high as it goes: what a block of its own gives back to the kernel
 * is cleared again for the next one, and checkpoints need such blocks every second. An environment
 * that has the variable already, or a kernel without huge pages, is left alone. */
static void s_want_huge_pages(char **argv)
{
    static const char name[] = "GLIBC_TUNABLES";
    static const char value[] =
        "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=67108864:"
        "glibc.malloc.mmap_threshold=33554432:"
        "glibc.malloc.trim_threshold=268435456";
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (getenv(name) || len < 0 || setenv(name, value, 1) != 0)
        return;
    path[len] = 0;
    execv(path, argv);
    log_warning("node.small_pages", "error=\"the program could not begin anew: %m\"");
}

static int s_exit_code(const error_t *error)
{
    return error->code == ERROR_DATABASE_FENCED ? EXIT_FENCED : EXIT_OPERATOR;
}

/* `config` is the server's. */
static int s_serve(const char *path, config_t *config, char **argv)
{
    error_t error = {0};
    const server_signals_t signals = {&s_stop, &s_reload};
    signal(SIGHUP, SIG_IGN); /* until it can be obeyed; also over what follows */
    s_want_huge_pages(argv);
    zsys_init();
    zsys_handler_set(NULL); /* signals are ours, not the library's */
    s_catch_signals();
    log_set_level(config->log_level);
    log_set_limit(LOG_LINES_A_SECOND);
    log_info("node.starting", "node=\"%s\" version=%s", config->node_name, IXN_VERSION);
    descriptors_raise(config->max_clients);
    bool locked = state_dir_lock(config->state_dir, &error);
    if (!locked)
        config_destroy(&config);
    if (!locked || !server_run(path, config, &signals, &error)) {
        log_error("node.failed", "code=%s error=\"%s\"", error_name(error.code), error.text);
        return s_exit_code(&error);
    }
    log_info("node.stopped", "in order");
    return 0;
}

int main(int argc, char **argv)
{
    arguments_t arguments = {.config = "/etc/ixn/ixnd.yaml"};
    argp_program_version = "ixnd " IXN_VERSION;
    argp_err_exit_status = EXIT_USAGE;
    /* A wrong option ends the process itself; otherwise memory is out. */
    CHECK(argp_parse(&s_argp, argc, argv, 0, NULL, &arguments) == 0);
    if (arguments.help_config) {
        config_describe(stdout);
        return ferror(stdout) || fflush(stdout) != 0;
    }
    error_t error = {0};
    config_t *config = config_load(arguments.config, &error);
    if (!config) {
        fprintf(stderr, "ixnd: %s\n", error.text);
        return EXIT_USAGE;
    }
    if (!arguments.print_config && !arguments.check_config)
        return s_serve(arguments.config, config, argv);
    if (arguments.print_config)
        config_print(config, stdout);
    else
        printf("%s: ok%s\n", arguments.config, config_notes(config, stdout) ? ", see above" : "");
    config_destroy(&config);
    if (!ferror(stdout) && fflush(stdout) == 0)
        return 0;
    fprintf(stderr, "ixnd: cannot write to standard output: %s\n", strerror(errno));
    return EXIT_OPERATOR;
}
