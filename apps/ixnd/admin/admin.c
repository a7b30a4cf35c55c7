#include "apps/ixnd/admin/admin.h"

#include <czmq.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <zmq.h>

#include "apps/ixnd/admin/core.h"
#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/log.h"
#include "dap/connection.h"

enum { PEM_MAX = 64 * 1024, PARKED_MS = 5, IDLE_MS = 1000, POLL_ITEMS = 6 };

struct admin {
    zactor_t *actor;
    core_t *core;
};

/* ---- Where it is ---- */

static bool s_is_any(const char *endpoint)
{
    return strncmp(endpoint, "tcp://*:", 8) == 0 || strncmp(endpoint, "tcp://0.0.0.0:", 14) == 0 ||
           strncmp(endpoint, "tcp://[::]:", 11) == 0;
}

void admin_url(const config_t *config, char url[CONFIG_PATH_SIZE])
{
    url[0] = '\0';
    const char *endpoint = config->admin_endpoint;
    if (!config->has_admin || s_is_any(endpoint) || strncmp(endpoint, "tcp://", 6) != 0)
        return;
    int len = snprintf(url, CONFIG_PATH_SIZE, "%s://%s",
                       config->admin_certificate[0] ? "https" : "http", endpoint + 6);
    if (len >= CONFIG_PATH_SIZE)
        url[0] = '\0';
}

static void s_host(const char *endpoint, char host[CONFIG_PATH_SIZE])
{
    const char *begin = endpoint + strlen("tcp://");
    const char *colon = strrchr(begin, ':');
    size_t len = colon ? (size_t)(colon - begin) : strlen(begin);
    memcpy(host, begin, len);
    host[len] = '\0';
}

/* ---- The thread ---- */

/* The other node's client port, as this node names it. */
static void s_find_peer(core_t *self)
{
    const Ixn__V1__PairStatus *status = node_link_status(self->own);
    const char *endpoint = status && status->peer ? status->peer->client_endpoint : "";
    error_t error;
    if (!*endpoint || s_is_any(endpoint) ||
        (self->peer && strcmp(node_link_endpoint(self->peer), endpoint) == 0))
        return;
    node_link_t *peer = node_link_new(self->context, endpoint, &error);
    if (!peer)
        return; /* what it says of itself is none; its own admin port will say so */
    if (self->peer)
        pair_forget_link(self, self->peer);
    node_link_destroy(&self->peer);
    self->peer = peer;
    work_set_peer(self->work, endpoint);
}

static long s_least(long a, long b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

static long s_wait_ms(const core_t *self)
{
    long wait = s_least(http_wait_ms(self->http), work_wait_ms(self->work));
    wait = s_least(wait, live_wait_ms(self->live, self->now));
    if (!LIST_EMPTY(&self->parked))
        wait = s_least(wait, PARKED_MS);
    return s_least(wait, IDLE_MS);
}

static int s_add(zmq_pollitem_t *items, int len, void *socket, int file)
{
    items[len] = (zmq_pollitem_t){socket, file, ZMQ_POLLIN, 0};
    return len + 1;
}

/* What the owner sends to the thread: a configuration, in the place of the one before. */
typedef struct {
    text_t configuration;
    records_t *records;
} change_t;

static text_t s_print(const config_t *config)
{
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    CHECK(stream);
    config_print(config, stream);
    CHECK(fclose(stream) == 0);
    return (text_t){text, len};
}

/* False when it is to end. */
static bool s_hear_owner(core_t *self, zsock_t *pipe)
{
    char *word = NULL;
    change_t *change = NULL;
    if (zsock_recv(pipe, "sp", &word, &change) != 0)
        return true;
    const bool ends = !change;
    free(word);
    if (ends)
        return false;
    free((char *)self->configuration.data);
    self->configuration = change->configuration;
    records_t *old = self->records; /* what it still answers may ask the new one */
    self->records = change->records;
    records_destroy(&old);
    free(change);
    return true;
}

/* False when it is to end. */
static bool s_turn(core_t *self, zsock_t *pipe)
{
    zmq_pollitem_t items[POLL_ITEMS];
    int len = s_add(items, 0, zsock_resolve(pipe), 0);
    len = s_add(items, len, node_link_socket(self->own), 0);
    if (self->peer)
        len = s_add(items, len, node_link_socket(self->peer), 0);
    len = s_add(items, len, zsock_resolve(records_socket(self->records)), 0);
    len = s_add(items, len, NULL, http_fd(self->http));
    len = s_add(items, len, NULL, work_fd(self->work));
    zmq_poll(items, len, s_wait_ms(self));
    if (items[0].revents && !s_hear_owner(self, pipe))
        return false;
    self->now = connection_now();
    pair_hear_commands(self, self->own);
    if (self->peer)
        pair_hear_commands(self, self->peer);
    s_find_peer(self);
    work_turn(self->work);
    records_turn(self->records);
    pair_expire_commands(self);
    http_turn(self->http);
    routes_run_parked(self);
    live_turn(self->live);
    http_turn(self->http); /* what was answered meanwhile */
    return true;
}

static void s_run(zsock_t *pipe, void *argument)
{
    core_t *self = argument;
    pthread_setname_np(pthread_self(), "admin");
    zsock_signal(pipe, 0);
    while (s_turn(self, pipe))
        ;
}

/* ---- Life ---- */

/* A file of the configuration, whole and terminated; the caller frees it. */
static char *s_read_file(const char *key, const char *path, error_t *ret_error)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        error_set(ret_error, ERROR_SYSTEM, "%s %s: cannot be opened: %s", key, path,
                  strerror(errno));
        return NULL;
    }
    char *text = memory_zero(PEM_MAX + 1, 1);
    size_t len = fread(text, 1, PEM_MAX, file);
    bool ok = !ferror(file) && len > 0 && feof(file);
    fclose(file);
    if (ok)
        return text;
    error_set(ret_error, ERROR_CONFIGURATION, "%s %s: is no file of 1 … %d bytes", key, path,
              PEM_MAX);
    free(text);
    return NULL;
}

/* Descriptors are the whole process's: clients and the database must keep theirs. */
static uint32_t s_max_connections(const config_t *config)
{
    struct rlimit limit;
    const uint32_t wanted = config->admin_max_connections;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        wanted <= limit.rlim_cur / 4)
        return wanted;
    const uint32_t most = (uint32_t)(limit.rlim_cur / 4);
    log_warning("admin.connections",
                "wanted=%u used=%u reason=\"a quarter of the %llu files that the process may open "
                "(LimitNOFILE)\"",
                wanted, most, (unsigned long long)limit.rlim_cur);
    return most;
}

static bool s_open_http(core_t *self, const config_t *config, error_t *ret_error)
{
    http_options_t options = {.endpoint = config->admin_endpoint,
                              .max_connections = s_max_connections(config),
                              .handler = routes_handle,
                              .context = self};
    char *certificate = NULL, *key = NULL;
    bool ok = true;
    if (config->admin_certificate[0]) {
        certificate = s_read_file("admin.certificate", config->admin_certificate, ret_error);
        key = certificate ? s_read_file("admin.private_key", config->admin_private_key, ret_error)
                          : NULL;
        ok = key != NULL;
        options.certificate = certificate;
        options.private_key = key;
    }
    if (ok)
        self->http = http_new(&options, ret_error);
    free(certificate);
    if (key)
        explicit_bzero(key, strlen(key));
    free(key);
    return self->http != NULL;
}

static bool s_open(core_t *self, const config_t *config, const char *client_endpoint,
                   error_t *ret_error)
{
    const work_options_t work = {
        .node = config->node_name, .tenant = config->tenants[0].name, .endpoint = client_endpoint};
    if (config->admin_tokens[0] && !(self->tokens = tokens_new(config->admin_tokens, ret_error)))
        return false;
    if (!s_open_http(self, config, ret_error))
        return false;
    self->own = node_link_new(self->context, client_endpoint, ret_error);
    if (!self->own)
        return false;
    self->work = work_new(&work, ret_error);
    if (!self->work)
        return false;
    self->queues = queues_new(self->work);
    self->records = records_new(config);
    self->live = live_new(self);
    node_link_ask(self->own, self->now);
    return true;
}

/* What asks ends before what answers: everything that is parked gets an answer. */
static void s_close(core_t *self)
{
    self->stopping = true;
    while (!LIST_EMPTY(&self->parked)) {
        exchange_t *exchange = LIST_FIRST(&self->parked);
        LIST_REMOVE(exchange, link);
        exchange->parked = false;
        http_answer_error(exchange->request, 503, "STOPPED", "the node stops");
    }
    if (self->own)
        pair_forget_link(self, self->own);
    if (self->peer)
        pair_forget_link(self, self->peer);
    work_destroy(&self->work);
    records_destroy(&self->records);
    http_destroy(&self->http);
    live_destroy(&self->live);
    queues_destroy(&self->queues);
    node_link_destroy(&self->own);
    node_link_destroy(&self->peer);
    http_body_destroy(&self->status);
    tokens_destroy(&self->tokens);
    zmq_ctx_term(self->context);
    free((char *)self->configuration.data);
    free(self);
}

admin_t *admin_new(const config_t *config, const char *client_endpoint, error_t *ret_error)
{
    core_t *core = memory_zero(1, sizeof *core);
    snprintf(core->node, sizeof core->node, "%s", config->node_name);
    core->configuration = s_print(config);
    core->context = zmq_ctx_new();
    core->now = connection_now();
    admin_url(config, core->url);
    s_host(config->admin_endpoint, core->host);
    if (!s_open(core, config, client_endpoint, ret_error)) {
        s_close(core);
        return NULL;
    }
    admin_t *self = memory_zero(1, sizeof *self);
    self->core = core;
    self->actor = zactor_new(s_run, core);
    CHECK(self->actor);
    log_info("admin.listening", "endpoint=%s tls=%d tokens=%d", config->admin_endpoint,
             config->admin_certificate[0] != 0, core->tokens != NULL);
    if (core->tokens && !config->admin_certificate[0] && strncmp(core->url, "http://127.", 11) != 0)
        log_warning("admin.plain",
                    "reason=\"tokens cross the network readable; give "
                    "admin.certificate, or put something with TLS in front\"");
    return self;
}

void admin_configure(admin_t *self, const config_t *config)
{
    change_t *change = memory_zero(1, sizeof *change);
    change->configuration = s_print(config);
    change->records = records_new(config);
    zsock_send(self->actor, "sp", "CONFIGURE", change);
}

void admin_destroy(admin_t **self_p)
{
    admin_t *self = *self_p;
    if (!self)
        return;
    zactor_destroy(&self->actor);
    s_close(self->core);
    free(self);
    *self_p = NULL;
}
