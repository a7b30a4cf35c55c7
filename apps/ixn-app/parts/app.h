/* App: the framework of an application server. A service is a function from parameters to a result;
 * everything else (registering, the pair and its take-overs, heartbeats, repeats, deadlines,
 * leaving) is done here. docs/applications.md has a whole server on one page.
 *
 * Promises: a request is handed to its service once a process, however often the node says it; its
 * answer is repeated until the node has taken or refused it. One thread.
 */
#ifndef IXN_APP_APP_H
#define IXN_APP_APP_H

#include <jansson.h>

#include "core/base/limits.h"
#include "core/client/client.h"

typedef struct {
    const char *service;
    const char *method;
    const json_t *parameters; /* an object */
    uint32_t timeout_ms;      /* an answer after that is of no use */
    uint32_t attempt;
    bool safe;
    uint64_t epoch, index; /* its token: the same for a repeated request */
} app_request_t;

/* What a service says: a result (an object; the framework takes it), or the code of a fault. */
typedef struct {
    json_t *result;
    char fault[LIMIT_NAME + 1];
    char text[LIMIT_TEXT + 1];
    uint32_t delay_ms; /* the answer is sent so much later; others are served meanwhile */
} app_reply_t;

typedef void app_service_fn(void *context, const app_request_t *request, app_reply_t *reply);

typedef struct {
    const char *name;
    app_service_fn *serve;
    void *context;
} app_service_t;

/* For a service: "NO_SUCH_ACCOUNT", and what to say about it. */
void app_fault(app_reply_t *reply, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

typedef struct {
    ixn_client_options_t client; /* role MEDIA_SERVER makes it one as well; 0: only this */
    Ixn__V1__ApplicationType type;
    const app_service_t *services;
    size_t services_len;
    uint32_t window;    /* most requests at once; 0: the node's */
    bool is_undeclared; /* does not tell the node what it offers */
} app_options_t;

/* Serves until `*stop` is set by a signal handler, then answers what it can and leaves. False and
 * an error when the options make no sense or the node refuses it. */
bool app_run(const app_options_t *options, const volatile int *stop, error_t *ret_error);

#endif
