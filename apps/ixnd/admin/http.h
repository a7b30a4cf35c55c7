/* HTTP: the server of the admin port. It reads requests, bounded in every way, hands each to one
 * handler, and sends what that answers, at once or later. Knows nothing of what is asked.
 *
 * Promises: as many connections as its bound are served, and beyond it a new one takes the place of
 * the one that has been idle for longest; a request must be complete within ten seconds, its answer
 * be taken within a minute; headers are at most 16 KiB, bodies 64 KiB. So neither idle nor slow
 * clients keep others out, and its memory is bounded.
 *
 * One thread owns it: it polls http_fd and calls http_turn. libmicrohttpd does the protocol.
 */
#ifndef IXN_ADMIN_HTTP_H
#define IXN_ADMIN_HTTP_H

#include <jansson.h>
#include <stdbool.h>

#include "config/config.h"
#include "core/base/buffer.h"
#include "core/base/error.h"

typedef struct http http_t;
/* One request, from its handler until it is answered. */
typedef struct http_request http_request_t;

typedef void http_handler_fn(void *context, http_request_t *request);

typedef struct {
    const char *endpoint; /* tcp://HOST:PORT */
    uint32_t max_connections;
    const char *certificate; /* PEM text; NULL: no TLS */
    const char *private_key;
    http_handler_fn *handler;
    void *context;
} http_options_t;

/* Binds. NULL and an error (SYSTEM, CONFIGURATION) when that fails. Strings are used during the
 * call only. */
http_t *http_new(const http_options_t *options, error_t *ret_error);
/* What waits for an answer gets none. */
void http_destroy(http_t **self_p);

int http_fd(const http_t *self);       /* readable: http_turn has something to do */
long http_wait_ms(const http_t *self); /* call it within so long anyway; -1: no need */
void http_turn(http_t *self);
size_t http_connections(const http_t *self);

/* ---- The request; what is returned lives as long as it ---- */

const char *http_method(const http_request_t *request);
const char *http_path(const http_request_t *request);
const char *http_header(const http_request_t *request, const char *name); /* NULL: none */
const char *http_query(const http_request_t *request, const char *name);  /* NULL: none */
text_t http_body(const http_request_t *request);
const char *http_address(http_request_t *request); /* of the client */
/* A place for the handler's affairs, NULL at first; `own_free` is called at the request's end. */
void *http_own(http_request_t *request);
void http_set_own(http_request_t *request, void *own, void (*own_free)(void *own));

/* ---- The answer: exactly one for each request, from its handler or later ---- */

/* A header of the answer; before it. */
void http_add_header(http_request_t *request, const char *name, const char *value);
/* Takes the bytes over. */
void http_answer(http_request_t *request, unsigned status, const char *type, buffer_t *body);
/* The same bytes for every request; they live for ever. */
void http_answer_static(http_request_t *request, unsigned status, const char *type, text_t body);
void http_answer_json(http_request_t *request, unsigned status, json_t *json); /* takes it over */
/* {"error": {"code": …, "sentence": …}} */
void http_answer_error(http_request_t *request, unsigned status, const char *code,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A body that many requests share, prepared once: what is asked ten thousand times a second. */
typedef struct http_body http_body_t;
http_body_t *http_body_new(const char *type, buffer_t *body); /* takes the bytes over */
void http_body_destroy(http_body_t **self_p);
void http_answer_body(http_request_t *request, unsigned status, http_body_t *body);

/* ---- A stream of server-sent events: an answer that does not end by itself ---- */

typedef struct http_stream http_stream_t;
/* `context`'s `ended` is called once, when the client is gone; the stream is not to be used after
 * it. */
http_stream_t *http_answer_stream(http_request_t *request, void (*ended)(void *context),
                                  void *context);
/* Room for more; 0: the client has not taken what is there. */
size_t http_stream_room(const http_stream_t *stream);
void http_stream_write(http_stream_t *stream, const void *bytes, size_t len);
void http_stream_end(http_stream_t *stream); /* after what is there; then `ended` */

#endif
