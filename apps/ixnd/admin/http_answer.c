/* Answers of the admin port: whole bodies, shared ones, streams. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnd/admin/http_internal.h"
#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/wire/wire.h"
#include "dap/connection.h"

enum {
    STREAM_BYTES = 256 * 1024, /* that a client may leave untaken */
    STREAM_BLOCK = 16 * 1024,
    STREAM_US = 60 * 1000000, /* something is written and taken that often, or it is cut */
    SENTENCE = 1000,
};

/* ---- What was asked ---- */

const char *http_method(const http_request_t *request)
{
    return request->method;
}

const char *http_path(const http_request_t *request)
{
    return request->path;
}

const char *http_header(const http_request_t *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_query(const http_request_t *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

text_t http_body(const http_request_t *request)
{
    return (text_t){(const char *)request->body.bytes, request->body.len};
}

const char *http_address(http_request_t *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    if (address && address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, request->address,
                  sizeof request->address);
    else if (address && address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, request->address,
                  sizeof request->address);
    return request->address;
}

void *http_own(http_request_t *request)
{
    return request->own;
}

void http_set_own(http_request_t *request, void *own, void (*free_own)(void *own))
{
    request->own = own;
    request->own_free = free_own;
}

/* ---- Answering ---- */

void http_add_header(http_request_t *request, const char *name, const char *value)
{
    CHECK(request->headers_len < HTTP_HEADERS);
    request->headers[request->headers_len].name = memory_text(name);
    request->headers[request->headers_len++].value = memory_text(value);
}

static void s_answer(http_request_t *request, unsigned status, struct MHD_Response *response)
{
    CHECK(response && !request->response);
    request->status = status;
    request->response = response;
    if (!request->suspended)
        return;
    request->suspended = false;
    LIST_REMOVE(request, link);
    MHD_resume_connection(request->connection);
}

static void s_set_type(struct MHD_Response *response, const char *type)
{
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
}

/* Becomes the owner of the bytes. */
static struct MHD_Response *s_response(const char *type, buffer_t *body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body->len, body->bytes ? body->bytes : (uint8_t *)"",
        body->bytes ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    CHECK(response);
    *body = (buffer_t){0};
    s_set_type(response, type);
    return response;
}

void http_answer(http_request_t *request, unsigned status, const char *type, buffer_t *body)
{
    s_answer(request, status, s_response(type, body));
}

void http_answer_static(http_request_t *request, unsigned status, const char *type, text_t body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body.len, (void *)body.data, MHD_RESPMEM_PERSISTENT);
    CHECK(response);
    s_set_type(response, type);
    s_answer(request, status, response);
}

void http_answer_json(http_request_t *request, unsigned status, json_t *json)
{
    CHECK(json);
    buffer_t body = {0};
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(12));
    CHECK(text);
    json_decref(json);
    buffer_append_text(&body, text);
    buffer_append_text(&body, "\n");
    free(text);
    http_answer(request, status, "application/json", &body);
}

void http_answer_error(http_request_t *request, unsigned status, const char *code,
                       const char *format, ...)
{
    char sentence[SENTENCE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    wire_clean_text(sentence);
    http_answer_json(request, status,
                     json_pack("{s:{s:s, s:s}}", "error", "code", code, "sentence", sentence));
}

/* ---- Shared bodies ---- */

struct http_body {
    size_t uses; /* its owner's, and one for each answer that is under way */
    buffer_t bytes;
    char type[64];
};

static void s_drop_body(void *own)
{
    http_body_t *self = own;
    if (--self->uses > 0)
        return;
    buffer_free(&self->bytes);
    free(self);
}

http_body_t *http_body_new(const char *type, buffer_t *body)
{
    http_body_t *self = memory_zero(1, sizeof *self);
    self->uses = 1;
    self->bytes = *body;
    *body = (buffer_t){0};
    snprintf(self->type, sizeof self->type, "%s", type);
    return self;
}

void http_body_destroy(http_body_t **self_p)
{
    if (*self_p)
        s_drop_body(*self_p);
    *self_p = NULL;
}

void http_answer_body(http_request_t *request, unsigned status, http_body_t *body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        body->bytes.len, body->bytes.bytes, s_drop_body, body);
    CHECK(response);
    body->uses++;
    s_set_type(response, body->type);
    s_answer(request, status, response);
}

/* ---- Streams ---- */

/* What libmicrohttpd calls when the client can take more. */
static ssize_t s_read_stream(void *context, uint64_t position, char *bytes, size_t max)
{
    (void)position;
    http_stream_t *self = context;
    size_t len = self->bytes.len < max ? self->bytes.len : max;
    if (len > 0) {
        memcpy(bytes, self->bytes.bytes, len);
        memmove(self->bytes.bytes, self->bytes.bytes + len, self->bytes.len - len);
        self->bytes.len -= len;
        self->request->entry->until = connection_now() + STREAM_US;
        return (ssize_t)len;
    }
    if (self->ending)
        return MHD_CONTENT_READER_END_OF_STREAM;
    self->asleep = true;
    MHD_suspend_connection(self->request->connection);
    return 0;
}

http_stream_t *http_answer_stream(http_request_t *request, void (*ended)(void *context),
                                  void *context)
{
    http_stream_t *self = memory_zero(1, sizeof *self);
    self->request = request;
    self->ended = ended;
    self->context = context;
    request->stream = self;
    request->entry->until = connection_now() + STREAM_US;
    LIST_INSERT_HEAD(&request->http->streams, self, link);
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_BLOCK, s_read_stream, self, NULL);
    CHECK(response);
    s_set_type(response, "text/event-stream");
    s_answer(request, MHD_HTTP_OK, response);
    return self;
}

size_t http_stream_room(const http_stream_t *self)
{
    return self->bytes.len < STREAM_BYTES ? STREAM_BYTES - self->bytes.len : 0;
}

static void s_wake(http_stream_t *self)
{
    if (!self->asleep)
        return;
    self->asleep = false;
    self->request->entry->until = connection_now() + STREAM_US;
    MHD_resume_connection(self->request->connection);
}

void http_stream_write(http_stream_t *self, const void *bytes, size_t len)
{
    buffer_append(&self->bytes, bytes, len);
    s_wake(self);
}

void http_stream_end(http_stream_t *self)
{
    self->ending = true;
    LIST_REMOVE(self, link);
    self->link.le_prev = NULL;
    s_wake(self);
}

void http_stream_ended(http_stream_t *self)
{
    if (self->link.le_prev)
        LIST_REMOVE(self, link);
    if (self->ended)
        self->ended(self->context);
    buffer_free(&self->bytes);
    free(self);
}
