#include "apps/ixnd/admin/http.h"

#include <microhttpd.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "apps/ixnd/admin/http_internal.h"
#include "core/base/alloc.h"
#include "core/base/check.h"
#include "dap/connection.h"

enum {
    HEADERS_MAX = 16 * 1024,
    BODY_MAX = 64 * 1024,
    SPARE = 64, /* connections beyond the bound, until those in whose place they come
                   are closed */
    BACKLOG = 256,
    QUIET_S = 30,              /* nothing moves on a connection that is busy */
    REQUEST_US = 10 * 1000000, /* from the connection to its first request, complete */
    IDLE_US = 30 * 1000000,    /* … and from an answer to the next one */
    ANSWER_US = 60 * 1000000,  /* an answer must be taken within */
    SWEEP_MS = 250,
};

/* ---- Connections ---- */

/* The descriptor is not closed but shut: libmicrohttpd, which owns it, then sees its end. */
static void s_cut(connection_entry_t *entry)
{
    if (entry->cut)
        return;
    entry->cut = true;
    shutdown(entry->descriptor, SHUT_RDWR);
}

/* Its place is needed: the one that has been idle for longest goes. */
static void s_make_room(http_t *self)
{
    connection_entry_t *entry;
    TAILQ_FOREACH(entry, &self->idle, link)
    {
        if (entry->cut)
            continue;
        s_cut(entry);
        return;
    }
}

static void s_opened(http_t *self, struct MHD_Connection *connection, void **own)
{
    connection_entry_t *entry = memory_zero(1, sizeof *entry);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    entry->descriptor = info->connect_fd;
    entry->until = connection_now() + REQUEST_US;
    if (self->connections >= self->max_connections)
        s_make_room(self);
    TAILQ_INSERT_TAIL(&self->idle, entry, link);
    self->connections++;
    *own = entry;
}

static void s_closed(http_t *self, connection_entry_t *entry)
{
    if (entry->busy)
        TAILQ_REMOVE(&self->busy, entry, link);
    else
        TAILQ_REMOVE(&self->idle, entry, link);
    self->connections--;
    free(entry);
}

static void s_on_connection(void *context, struct MHD_Connection *connection, void **own,
                            enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        s_opened(context, connection, own);
    else if (*own)
        s_closed(context, *own);
}

/* Its request is complete, or answered to the end. */
static void s_set_busy(http_t *self, connection_entry_t *entry, bool busy)
{
    if (entry->busy == busy)
        return;
    if (busy) {
        TAILQ_REMOVE(&self->idle, entry, link);
        TAILQ_INSERT_TAIL(&self->busy, entry, link);
        entry->until = connection_now() + ANSWER_US;
    } else {
        TAILQ_REMOVE(&self->busy, entry, link);
        TAILQ_INSERT_TAIL(&self->idle, entry, link);
        entry->until = connection_now() + IDLE_US;
    }
    entry->busy = busy;
}

static void s_sweep(http_t *self)
{
    const usec_t now = connection_now();
    if (now < self->sweep_at)
        return;
    self->sweep_at = now + SWEEP_MS * USEC_PER_MS;
    connection_entry_t *entry;
    TAILQ_FOREACH(entry, &self->idle, link)
    if (entry->until < now)
        s_cut(entry);
    TAILQ_FOREACH(entry, &self->busy, link)
    if (entry->until < now)
        s_cut(entry);
}

/* ---- Requests ---- */

static http_request_t *s_request_new(http_t *self, struct MHD_Connection *connection,
                                     const char *method, const char *path)
{
    http_request_t *request = memory_zero(1, sizeof *request);
    request->http = self;
    request->connection = connection;
    request->method = memory_text(method);
    request->path = memory_text(path);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    request->entry = info->socket_context;
    return request;
}

static void s_request_free(http_request_t *request)
{
    if (request->own_free)
        request->own_free(request->own);
    if (request->response)
        MHD_destroy_response(request->response);
    for (size_t i = 0; i < request->headers_len; i++) {
        free(request->headers[i].name);
        free(request->headers[i].value);
    }
    buffer_free(&request->body);
    free(request->method);
    free(request->path);
    free(request);
}

/* True when the body fits; what is over the bound is not kept. */
static bool s_take_body(http_request_t *request, const char *bytes, size_t len)
{
    if (request->too_large || request->body.len + len > BODY_MAX) {
        request->too_large = true;
        return false;
    }
    buffer_append(&request->body, bytes, len);
    return true;
}

static enum MHD_Result s_send(http_request_t *request)
{
    for (size_t i = 0; i < request->headers_len; i++)
        MHD_add_response_header(request->response, request->headers[i].name,
                                request->headers[i].value);
    return MHD_queue_response(request->connection, request->status, request->response);
}

/* All of it is here: the handler decides. Without an answer the connection sleeps until there is
 * one. */
static enum MHD_Result s_handle(http_t *self, http_request_t *request)
{
    request->handled = true;
    s_set_busy(self, request->entry, true);
    if (request->too_large)
        http_answer_error(request, MHD_HTTP_CONTENT_TOO_LARGE, "TOO_LARGE",
                          "the body has more than %d bytes", BODY_MAX);
    else
        self->handler(self->context, request);
    if (request->response)
        return s_send(request);
    request->suspended = true;
    LIST_INSERT_HEAD(&self->waiting, request, link);
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are libmicrohttpd's. */
static enum MHD_Result s_on_access(void *context, struct MHD_Connection *connection,
                                   const char *path, const char *method, const char *version,
                                   const char *bytes, size_t *len, void **own)
{
    (void)version;
    http_t *self = context;
    http_request_t *request = *own;
    if (!request) {
        *own = s_request_new(self, connection, method, path);
        return MHD_YES;
    }
    if (*len > 0) {
        s_take_body(request, bytes, *len);
        *len = 0;
        return MHD_YES;
    }
    if (request->response)
        return s_send(request);
    return request->handled ? MHD_YES : s_handle(self, request);
}

static void s_on_completed(void *context, struct MHD_Connection *connection, void **own,
                           enum MHD_RequestTerminationCode code)
{
    (void)connection;
    (void)code;
    http_request_t *request = *own;
    if (!request)
        return;
    s_set_busy(context, request->entry, false);
    if (request->suspended)
        LIST_REMOVE(request, link);
    http_stream_t *stream = request->stream;
    s_request_free(request);
    if (stream)
        http_stream_ended(stream);
    *own = NULL;
}

/* ---- Life ---- */

/* HOST and PORT of tcp://HOST:PORT; HOST may be *, or [an IPv6 address]. */
static bool s_split(const char *endpoint, char host[CONFIG_PATH_SIZE], const char **ret_port)
{
    static const char scheme[] = "tcp://";
    const char *rest = endpoint + sizeof scheme - 1;
    const char *colon = strrchr(endpoint, ':');
    if (strncmp(endpoint, scheme, sizeof scheme - 1) != 0 || colon < rest)
        return false;
    size_t len = (size_t)(colon - rest);
    if (len >= 2 && rest[0] == '[' && rest[len - 1] == ']') {
        rest++;
        len -= 2;
    }
    memcpy(host, rest, len);
    host[len] = '\0';
    *ret_port = colon + 1;
    return len > 0;
}

static int s_listen_at(const struct addrinfo *address)
{
    const int one = 1;
    int file = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (file < 0)
        return -1;
    setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(file, address->ai_addr, address->ai_addrlen) == 0 && listen(file, BACKLOG) == 0)
        return file;
    const int error = errno;
    close(file);
    errno = error;
    return -1;
}

static int s_listen(const char *endpoint, error_t *ret_error)
{
    char host[CONFIG_PATH_SIZE];
    const char *port;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *addresses = NULL;
    if (!s_split(endpoint, host, &port)) {
        error_set(ret_error, ERROR_CONFIGURATION, "admin.endpoint %s: is not tcp://HOST:PORT",
                  endpoint);
        return -1;
    }
    int code = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, port, &hints, &addresses);
    if (code != 0) {
        error_set(ret_error, ERROR_SYSTEM, "admin.endpoint %s: \"%s\" is no address: %s", endpoint,
                  host, gai_strerror(code));
        return -1;
    }
    int file = -1;
    for (const struct addrinfo *at = addresses; at && file < 0; at = at->ai_next)
        file = s_listen_at(at);
    if (file < 0)
        error_set(ret_error, ERROR_SYSTEM, "admin.endpoint %s: cannot bind: %s", endpoint,
                  strerror(errno));
    freeaddrinfo(addresses);
    return file;
}

static void s_on_log(void *context, const char *format, va_list arguments)
{
    (void)context; /* what clients do wrong is theirs; ours are errors of calls below */
    (void)format;
    (void)arguments;
}

static struct MHD_Daemon *s_start(http_t *self, const http_options_t *options, int listener)
{
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)options->certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)options->private_key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (options->certificate)
        flags |= MHD_USE_TLS;
    else
        tls[0].option = MHD_OPTION_END;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, s_on_access, self, MHD_OPTION_LISTEN_SOCKET, listener,
        MHD_OPTION_EXTERNAL_LOGGER, s_on_log, NULL, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)(self->max_connections + SPARE), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HEADERS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)QUIET_S,
        MHD_OPTION_NOTIFY_CONNECTION, s_on_connection, self, MHD_OPTION_NOTIFY_COMPLETED,
        s_on_completed, self, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

http_t *http_new(const http_options_t *options, error_t *ret_error)
{
    int listener = s_listen(options->endpoint, ret_error);
    if (listener < 0)
        return NULL;
    http_t *self = memory_zero(1, sizeof *self);
    self->handler = options->handler;
    self->context = options->context;
    self->max_connections = options->max_connections;
    TAILQ_INIT(&self->idle);
    TAILQ_INIT(&self->busy);
    self->daemon = s_start(self, options, listener);
    if (!self->daemon) {
        close(listener);
        free(self);
        error_set(ret_error, ERROR_CONFIGURATION, "admin.endpoint %s: the server cannot start%s",
                  options->endpoint,
                  options->certificate
                      ? "; do admin.certificate and admin.private_key belong together (PEM)?"
                      : "");
        return NULL;
    }
    return self;
}

void http_destroy(http_t **self_p)
{
    http_t *self = *self_p;
    if (!self)
        return;
    http_request_t *request;
    while ((request = LIST_FIRST(&self->waiting)))
        http_answer_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "STOPPED", "the node stops");
    http_stream_t *stream;
    while ((stream = LIST_FIRST(&self->streams)))
        http_stream_end(stream);
    MHD_run(self->daemon);
    MHD_stop_daemon(self->daemon);
    free(self);
    *self_p = NULL;
}

int http_fd(const http_t *self)
{
    return MHD_get_daemon_info(self->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

long http_wait_ms(const http_t *self)
{
    MHD_UNSIGNED_LONG_LONG ms;
    long wait = self->connections ? SWEEP_MS : -1;
    if (MHD_get_timeout(self->daemon, &ms) == MHD_YES && (wait < 0 || (long)ms < wait))
        wait = (long)ms;
    return wait;
}

void http_turn(http_t *self)
{
    MHD_run(self->daemon);
    s_sweep(self);
}

size_t http_connections(const http_t *self)
{
    return self->connections;
}
