/* What http.c and http_answer.c share: connections, requests and streams. */
#ifndef IXN_ADMIN_HTTP_INTERNAL_H
#define IXN_ADMIN_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <sys/queue.h>

#include "apps/ixnd/admin/http.h"
#include "core/base/types.h"

#define HTTP_HEADERS 12

/* A connection is idle until its request is complete, and again after the answer. */
typedef struct connection_entry {
    TAILQ_ENTRY(connection_entry) link;
    int descriptor;
    usec_t until; /* then it is cut */
    bool busy;
    bool cut;
} connection_entry_t;

struct http_stream {
    LIST_ENTRY(http_stream) link;
    http_request_t *request;
    buffer_t bytes; /* not taken yet */
    bool asleep;    /* its connection waits for more */
    bool ending;
    void (*ended)(void *context);
    void *context;
};

struct http_request {
    LIST_ENTRY(http_request) link; /* among those that wait for their answer */
    http_t *http;
    struct MHD_Connection *connection;
    connection_entry_t *entry;
    char *method;
    char *path;
    buffer_t body;
    bool too_large;
    bool handled;
    bool suspended; /* until it is answered */
    unsigned status;
    struct MHD_Response *response; /* NULL: not answered yet */
    http_stream_t *stream;
    struct {
        char *name;
        char *value;
    } headers[HTTP_HEADERS];
    size_t headers_len;
    char address[64];
    void *own;
    void (*own_free)(void *own);
};

struct http {
    struct MHD_Daemon *daemon;
    http_handler_fn *handler;
    void *context;
    uint32_t max_connections;
    size_t connections;
    TAILQ_HEAD(, connection_entry) idle; /* the longest first */
    TAILQ_HEAD(, connection_entry) busy;
    LIST_HEAD(, http_request) waiting;
    LIST_HEAD(, http_stream) streams;
    usec_t sweep_at;
};

/* http_answer.c: its client is gone. */
void http_stream_ended(http_stream_t *stream);

#endif
