#include "apps/ixnd/admin/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "core/base/alloc.h"
#include "core/base/log.h"
#include "core/wire/wire.h"
#include "dap/connection.h"

enum {
    UNANSWERED = 256,
    RESEND_MS = 1000,
    GIVE_UP_MS = 8000,
    EVENTS_A_TURN = 1000,
    REFUSED_US = 1000 * 1000, /* then another name is tried */
};

typedef struct {
    uint64_t request; /* 0: free */
    work_answer_fn *answer;
    void *context;
} pending_t;

struct work {
    char node[CONFIG_NAME_SIZE];
    unsigned connected; /* how often */
    usec_t again_at;    /* it was refused, and connects anew then; 0: it was not */
    char tenant[CONFIG_NAME_SIZE];
    char endpoint[CONFIG_PATH_SIZE];
    char peer[CONFIG_PATH_SIZE];
    ixn_client_t *client;
    pending_t pending[UNANSWERED];
};

/* Each time by a name of its own: a node may still know the connection before. */
static bool s_connect(work_t *self, error_t *ret_error)
{
    char name[CONFIG_NAME_SIZE];
    snprintf(name, sizeof name, "admin-%u@%.48s", ++self->connected, self->node);
    wire_clean_text(name);
    const char *endpoints[] = {self->endpoint, self->peer};
    const ixn_client_options_t options = {
        .endpoints = endpoints,
        .endpoints_len = self->peer[0] ? 2 : 1,
        .role = IXN__V1__ROLE__OPERATOR,
        .name = name,
        .tenant = self->tenant,
        .resend_ms = RESEND_MS,
        .give_up_ms = GIVE_UP_MS,
        .max_unanswered = UNANSWERED,
    };
    self->client = ixn_client_new(&options, ret_error);
    return self->client != NULL;
}

work_t *work_new(const work_options_t *options, error_t *ret_error)
{
    work_t *self = memory_zero(1, sizeof *self);
    snprintf(self->node, sizeof self->node, "%s", options->node);
    snprintf(self->tenant, sizeof self->tenant, "%s", options->tenant);
    snprintf(self->endpoint, sizeof self->endpoint, "%s", options->endpoint);
    if (!s_connect(self, ret_error))
        work_destroy(&self);
    return self;
}

static void s_end(pending_t *pending, const Ixn__V1__Message *message, const error_t *error)
{
    const pending_t ended = *pending;
    *pending = (pending_t){0};
    ended.answer(ended.context, message, error);
}

static void s_end_all(work_t *self, const char *why)
{
    error_t error;
    error_set(&error, ERROR_TIMED_OUT, "%s", why);
    for (size_t i = 0; i < UNANSWERED; i++)
        if (self->pending[i].request)
            s_end(&self->pending[i], NULL, &error);
}

void work_destroy(work_t **self_p)
{
    work_t *self = *self_p;
    if (!self)
        return;
    s_end_all(self, "the node stops");
    ixn_client_destroy(&self->client);
    free(self);
    *self_p = NULL;
}

void work_set_peer(work_t *self, const char *endpoint)
{
    error_t error;
    if (strcmp(self->peer, endpoint) == 0)
        return;
    char before[CONFIG_PATH_SIZE];
    snprintf(before, sizeof before, "%s", self->peer);
    ixn_client_t *old = self->client;
    snprintf(self->peer, sizeof self->peer, "%s", endpoint);
    if (!s_connect(self, &error)) { /* what the peer says is no endpoint: without it, then */
        snprintf(self->peer, sizeof self->peer, "%s", before);
        self->client = old;
        return;
    }
    ixn_client_destroy(&old);
    s_end_all(self, "the other node has another address now; ask again");
}

static pending_t *s_find(work_t *self, uint64_t request)
{
    for (size_t i = 0; i < UNANSWERED; i++)
        if (self->pending[i].request == request)
            return &self->pending[i];
    return NULL;
}

bool work_send(work_t *self, Ixn__V1__Request *request, work_answer_fn *answer, void *context)
{
    pending_t *pending = s_find(self, 0);
    uint64_t number = pending ? ixn_client_send(self->client, request) : 0;
    if (number == 0)
        return false;
    *pending = (pending_t){number, answer, context};
    return true;
}

int work_fd(const work_t *self)
{
    return ixn_client_fd(self->client);
}

int work_wait_ms(const work_t *self)
{
    const int wait = ixn_client_wait_ms(self->client);
    return self->again_at && (wait < 0 || wait > 100) ? 100 : wait;
}

/* It was refused: with another name, once it has been quiet for a while. */
static void s_reconnect(work_t *self)
{
    error_t error;
    if (!self->again_at || connection_now() < self->again_at)
        return;
    ixn_client_t *old = self->client;
    self->again_at = 0;
    if (!s_connect(self, &error)) {
        self->client = old;
        return;
    }
    ixn_client_destroy(&old);
    s_end_all(self, "the node has refused this port's connection; ask again");
}

void work_turn(work_t *self)
{
    for (int i = 0; i < EVENTS_A_TURN; i++) {
        ixn_event_t event;
        ixn_client_next(self->client, 0, &event);
        if (event.kind == IXN_EVENT_NONE)
            break;
        if (event.kind == IXN_EVENT_REFUSED) {
            log_warning("admin.client", "error=\"%s\"", event.error.text);
            self->again_at = connection_now() + REFUSED_US;
        }
        if (event.kind != IXN_EVENT_ANSWER && event.kind != IXN_EVENT_FAILED)
            continue;
        pending_t *pending = s_find(self, event.request_id);
        if (pending)
            s_end(pending, event.kind == IXN_EVENT_ANSWER ? event.message : NULL, &event.error);
    }
    s_reconnect(self);
}
