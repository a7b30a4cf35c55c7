/* Common: see common.h. */
#include "apps/ixnctl/common.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "apps/ixnctl/pair_call.h"
#include "apps/ixnctl/parts/utf8.h"
#include "apps/manual/manual.h"
#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/wire/wire.h"

#define CONFIG_DEFAULT "/etc/ixn/ixnd.yaml"
#define ENDPOINT_DEFAULT "tcp://127.0.0.1:7420"
#define TIMEOUT_MAX_S 30 /* below the time for which nodes guarantee to know a key */
/* For the one node that is known to name the other one; and no more than half of --timeout. */
#define PEER_MS 1000

enum { KEY_TENANT = 0x100, KEY_TIMEOUT, KEY_NAME };

static const struct argp_option s_options[] = {
    {0, 0, 0, 0, "For all commands:", 90},
    {"config", 'c', "FILE", 0,
     "Configuration of a node (otherwise $IXN_CONFIG, otherwise " CONFIG_DEFAULT ")", 0},
    {"node", 'n', "ENDPOINT", 0,
     "A node to talk to, tcp://HOST:PORT; once for each node of a pair (otherwise the "
     "configuration's)",
     0},
    {"output", 'o', "table|json", 0, "For people, or for programs", 0},
    {"tenant", KEY_TENANT, "NAME", 0, "Whose interactions (\"default\" unless said)", 0},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "How long to wait for an answer, 1 to 30 (10)", 0},
    {"name", KEY_NAME, "NAME", 0,
     "What this client calls itself to the node, and who is said to have done it (you@host)", 0},
    {0},
};

static int s_parse(int key, char *argument, struct argp_state *state)
{
    common_t *self = state->input;
    switch (key) {
    case 'c':
        self->config_path = argument;
        return 0;
    case 'n':
        if (self->nodes_len == COMMON_NODES)
            argp_error(state, "more than %d nodes", COMMON_NODES);
        else
            self->nodes[self->nodes_len++] = argument;
        return 0;
    case 'o':
        self->json = strcmp(argument, "json") == 0;
        if (!self->json && strcmp(argument, "table") != 0)
            argp_error(state, "--output %s: must be table or json", argument);
        return 0;
    case KEY_TENANT:
        self->tenant = argument;
        return 0;
    case KEY_TIMEOUT:
        self->timeout_ms =
            (uint32_t)common_number(argument, 1, TIMEOUT_MAX_S, "--timeout", state) * 1000;
        return 0;
    case KEY_NAME:
        self->name = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child s_manual[] = {{&manual_argp, 0, NULL, 0}, {0}};
const struct argp common_argp = {.options = s_options, .parser = s_parse, .children = s_manual};
const struct argp_child common_children[] = {{&common_argp, 0, NULL, 90}, {0}};

void common_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    argp_err_exit_status = EXIT_USAGE;
    if (argp_parse(argp, argc, argv, 0, NULL, input) != 0)
        exit(EXIT_USAGE); /* argp has said why */
}

void common_word_too_many(const char *word, const struct argp_state *state)
{
    argp_error(state, "\"%s\" is one word too many", word);
}

int common_key(int key, char *argument, struct argp_state *state, common_t *common)
{
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = common;
        return 0;
    case ARGP_KEY_ARG:
        common_word_too_many(argument, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int s_parse_only(int key, char *argument, struct argp_state *state)
{
    return common_key(key, argument, state, state->input);
}

void common_parse_only(common_t *self, const char *doc, int argc, char **argv)
{
    const struct argp argp = {.parser = s_parse_only, .doc = doc, .children = common_children};
    common_parse(&argp, argc, argv, self);
}

long common_number(const char *text, long min, long max, const char *what,
                   const struct argp_state *state)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end || number < min || number > max)
        argp_error(state, "%s %s: must be a whole number from %ld to %ld", what, text, min, max);
    return number;
}

double common_seconds(const char *text, double min, double max, const char *what,
                      const struct argp_state *state)
{
    char *end = NULL;
    double number = strtod(text, &end);
    if (end == text || *end || !(number >= min && number <= max))
        argp_error(state, "%s %s: must be a number from %g to %g", what, text, min, max);
    return number;
}

void common_ids(const char *const *ids, size_t len, const char *needed,
                const struct argp_state *state)
{
    if (len == 0 && needed)
        argp_error(state, "%s", needed);
    for (size_t i = 0; i < len; i++) {
        id128_t id;
        if (!id_parse(ids[i], &id))
            argp_error(state,
                       "\"%s\" is no interaction's id; one has 36 characters, such as "
                       "0198c2a4-7b1e-7cc2-98c5-1f2e3d4c5b6a (see ixnctl list)",
                       ids[i]);
    }
}

const char *common_reason(const char *text, const struct argp_state *state)
{
    if (!*text || strlen(text) > LIMIT_TEXT)
        argp_error(state, "--reason has %zu bytes; it has 1 to %d", strlen(text), LIMIT_TEXT);
    return text;
}

const config_t *common_config(common_t *self, error_t *ret_error)
{
    const char *path = self->config_path ? self->config_path : getenv("IXN_CONFIG");
    error_t error = {0};
    if (!self->config)
        self->config = config_load(path ? path : CONFIG_DEFAULT, &error);
    if (!self->config && path)
        *ret_error = error;
    else if (!self->config)
        error_set(ret_error, error.code, "%s; --config or $IXN_CONFIG names another file",
                  error.text);
    return self->config;
}

static const char *const s_any[][2] = {{"tcp://*:", "tcp://127.0.0.1:"},
                                       {"tcp://0.0.0.0:", "tcp://127.0.0.1:"},
                                       {"tcp://[::]:", "tcp://[::1]:"}};
#define ANY_LEN (sizeof s_any / sizeof s_any[0])

bool common_is_any_address(const char *endpoint)
{
    for (size_t i = 0; i < ANY_LEN; i++)
        if (strncmp(endpoint, s_any[i][0], strlen(s_any[i][0])) == 0)
            return true;
    return false;
}

/* A node binds; a client connects, on this machine. */
static char *s_connectable(const char *endpoint)
{
    for (size_t i = 0; i < ANY_LEN; i++) {
        size_t len = strlen(s_any[i][0]);
        if (strncmp(endpoint, s_any[i][0], len) != 0)
            continue;
        buffer_t made = {0};
        buffer_printf(&made, "%s%s", s_any[i][1], endpoint + len);
        buffer_append(&made, "", 1);
        return (char *)made.bytes;
    }
    return memory_text(endpoint);
}

/* Finds the endpoint when no --node was given. Caller frees it. */
static char *s_find_endpoint(common_t *self, error_t *ret_error)
{
    bool said = self->config_path || getenv("IXN_CONFIG");
    if (!said && access(CONFIG_DEFAULT, F_OK) != 0)
        return memory_text(ENDPOINT_DEFAULT);
    const config_t *config = common_config(self, ret_error);
    return config ? s_connectable(config->client_endpoint) : NULL;
}

size_t common_endpoints(common_t *self, char *ret_endpoints[COMMON_NODES], error_t *ret_error)
{
    for (size_t i = 0; i < self->nodes_len; i++)
        ret_endpoints[i] = memory_text(self->nodes[i]);
    if (self->nodes_len > 0)
        return self->nodes_len;
    ret_endpoints[0] = s_find_endpoint(self, ret_error);
    return ret_endpoints[0] ? 1 : 0;
}

static void s_make_name(char *name, size_t size)
{
    char host[40] = "";
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    snprintf(name, size, "ixnctl-%s-%ld", host, (long)getpid());
}

/* The nodes to talk to, the caller's to free; how many, 0 and an error as common_endpoints. Where
 * only one is named it is asked for the other one, so any of the pair will do. */
static size_t s_find_nodes(common_t *self, char *ret_endpoints[COMMON_NODES], error_t *ret_error)
{
    pair_call_t pair;
    size_t len = common_endpoints(self, ret_endpoints, ret_error);
    if (len != 1 || !pair_open(&pair, self, ret_error))
        return len;
    pair.timeout_ms = self->timeout_ms / 2 < PEER_MS ? self->timeout_ms / 2 : PEER_MS;
    pair_status(&pair, 0, NULL);
    if (pair.view.len > 1)
        ret_endpoints[len++] = memory_text(pair.endpoints[1]);
    pair_close(&pair);
    return len;
}

ixn_client_t *common_client(common_t *self, Ixn__V1__Role role, error_t *ret_error)
{
    char name[LIMIT_NAME + 1];
    char by[COMMON_OPERATOR_SIZE];
    char *endpoints[COMMON_NODES];
    const usec_t begun = clock_usec(CLOCK_MONOTONIC);
    const size_t len = s_find_nodes(self, endpoints, ret_error);
    if (len == 0)
        return NULL;
    const usec_t took_ms = (clock_usec(CLOCK_MONOTONIC) - begun) / USEC_PER_MS;
    const uint32_t half_ms = self->timeout_ms / 2; /* finding them takes no more, but for delays */
    self->left_ms = took_ms < half_ms ? self->timeout_ms - (uint32_t)took_ms : half_ms;
    s_make_name(name, sizeof name);
    common_operator(self, by);
    const ixn_client_options_t options = {.endpoints = (const char *const *)endpoints,
                                          .endpoints_len = len,
                                          .role = role,
                                          .name = self->name ? self->name : name,
                                          .tenant = self->tenant,
                                          .by = role == IXN__V1__ROLE__OPERATOR ? by : NULL,
                                          .give_up_ms = self->left_ms};
    for (size_t i = 0, used = 0; i < len && used < sizeof self->endpoints; i++)
        used += (size_t)snprintf(self->endpoints + used, sizeof self->endpoints - used, "%s%s",
                                 i ? ", " : "", endpoints[i]);
    ixn_client_t *client = ixn_client_new(&options, ret_error);
    for (size_t i = 0; i < len; i++)
        free(endpoints[i]);
    return client;
}

bool common_no_node(const common_t *self, const char *why, error_t *ret_error)
{
    return error_set(
        ret_error, ERROR_TIMED_OUT,
        "no node has answered at %s within %u s%s%s; ixnctl status says which runs, and which "
        "serves (--node, --timeout)",
        self->endpoints, self->timeout_ms / 1000, *why ? ": " : "", why);
}

static int s_exit_code(error_code_t code)
{
    switch (code) {
    case ERROR_OK:
        return EXIT_DONE;
    case ERROR_DATABASE_UNREACHABLE:
    case ERROR_TIMED_OUT:
        return EXIT_NOT_REACHABLE;
    case ERROR_CONFIGURATION:
    case ERROR_SYSTEM:
        return EXIT_USAGE;
    default:
        return EXIT_REFUSED;
    }
}

int common_fail(const error_t *error)
{
    buffer_t line = {0};
    utf8_clean(&line, text_of(error->text), UTF8_LINE); /* parts of it come from outside */
    fprintf(stderr, "ixnctl: %.*s\n", (int)line.len, line.len ? (const char *)line.bytes : "");
    buffer_free(&line);
    return s_exit_code(error->code);
}

int common_fail_asking(const common_t *self, const error_t *error)
{
    error_t told = *error;
    if (error->code == ERROR_TIMED_OUT)
        common_no_node(self, error->text, &told);
    return common_fail(&told);
}

bool common_print(const buffer_t *text)
{
    if (text->len > 0 && fwrite(text->bytes, text->len, 1, stdout) != 1) {
        perror("ixnctl: standard output");
        return false;
    }
    if (fflush(stdout) != 0) {
        perror("ixnctl: standard output");
        return false;
    }
    return true;
}

void common_append_json(buffer_t *out, json_t *json)
{
    CHECK(json);
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(12));
    CHECK(text);
    buffer_printf(out, "%s\n", text);
    free(text);
    json_decref(json);
}

bool common_print_json(json_t *json)
{
    buffer_t out = {0};
    common_append_json(&out, json);
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed;
}

size_t common_terminal_width(int descriptor)
{
    struct winsize size;
    if (!isatty(descriptor))
        return 0;
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

table_style_t common_style(void)
{
    const char *term = getenv("TERM");
    const char *no_colour = getenv("NO_COLOR"); /* https://no-color.org */
    size_t width = common_terminal_width(STDOUT_FILENO);
    bool dumb = !term || strcmp(term, "dumb") == 0;
    return (table_style_t){width, width > 0 && !dumb && !(no_colour && *no_colour)};
}

void common_free(common_t *self)
{
    config_destroy(&self->config);
}

void common_operator(const common_t *self, char text[COMMON_OPERATOR_SIZE])
{
    char host[128] = "";
    const struct passwd *user = getpwuid(getuid());
    const char *before = getuid() == 0 ? getenv("SUDO_USER") : NULL;
    gethostname(host, sizeof host - 1);
    if (self->name)
        snprintf(text, COMMON_OPERATOR_SIZE, "%s", self->name);
    else
        snprintf(text, COMMON_OPERATOR_SIZE, "%s@%s",
                 before ? before
                 : user ? user->pw_name
                        : "?",
                 host);
    wire_clean_text(text); /* it may be cut */
}
