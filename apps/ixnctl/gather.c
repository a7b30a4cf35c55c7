/* Gather: see gather.h. */
#include "apps/ixnctl/gather.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/alloc.h"

/* Whoever looks for what is wrong must not wait long for what is not to be had. */
enum { WORK_MS = 2000 };

struct gather {
    common_t *common;
    pair_call_t pair;
    picture_t picture;
    ixn_client_t *client; /* NULL: not needed yet */
    size_t client_nodes;  /* of how many nodes it knows */
};

gather_t *gather_new(common_t *common, gather_whom_t whom, error_t *ret_error)
{
    gather_t *self = memory_zero(1, sizeof *self);
    self->common = common;
    picture_init(&self->picture);
    if (!pair_open(&self->pair, common, ret_error)) {
        free(self);
        return NULL;
    }
    self->pair.wants_figures = true;
    self->pair.seeks_primary = whom == GATHER_PRIMARY;
    return self;
}

void gather_destroy(gather_t **self_p)
{
    gather_t *self = *self_p;
    if (!self)
        return;
    ixn_client_destroy(&self->client);
    picture_free(&self->picture);
    pair_close(&self->pair);
    free(self);
    *self_p = NULL;
}

picture_t *gather_picture(gather_t *self)
{
    return &self->picture;
}

/* ---- What the node that serves has ---- */

/* A client of all nodes that are known by now. */
static bool s_connect(gather_t *self, error_t *ret_error)
{
    if (self->client && self->client_nodes == self->pair.view.len)
        return true;
    ixn_client_destroy(&self->client);
    common_t common = *self->common;
    common.timeout_ms = common.timeout_ms < WORK_MS ? common.timeout_ms : WORK_MS;
    common.nodes_len = self->pair.view.len < COMMON_NODES ? self->pair.view.len : COMMON_NODES;
    for (size_t i = 0; i < common.nodes_len; i++)
        common.nodes[i] = self->pair.endpoints[i];
    self->client = common_client(&common, IXN__V1__ROLE__OPERATOR, ret_error);
    self->client_nodes = self->pair.view.len;
    return self->client != NULL;
}

static bool s_ask(gather_t *self, Ixn__V1__Request *request, Ixn__V1__Message__BodyCase wanted,
                  const Ixn__V1__Message **ret_message, error_t *ret_error)
{
    if (!ixn_client_call(self->client, request, ret_message, ret_error))
        return false;
    return (*ret_message)->body_case == wanted ||
           error_set(ret_error, ERROR_MALFORMED, "the node answered something else than was asked");
}

static bool s_take_queues(gather_t *self, error_t *ret_error)
{
    uint32_t after = 0;
    do {
        const Ixn__V1__Message *message;
        Ixn__V1__ListQueues list = IXN__V1__LIST_QUEUES__INIT;
        Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
        list.after = after;
        request.body_case = IXN__V1__REQUEST__BODY_LIST_QUEUES;
        request.list_queues = &list;
        if (!s_ask(self, &request, IXN__V1__MESSAGE__BODY_QUEUES, &message, ret_error))
            return false;
        for (size_t i = 0; i < message->queues->n_queues; i++)
            picture_add_queue(&self->picture, message->queues->queues[i]);
        after = message->queues->next;
    } while (after);
    return true;
}

static bool s_take_routers(gather_t *self, error_t *ret_error)
{
    char after[LIMIT_NAME + 1] = "";
    do {
        const Ixn__V1__Message *message;
        Ixn__V1__List list = IXN__V1__LIST__INIT;
        Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
        list.kind = IXN__V1__LIST__KIND__ROUTERS;
        list.after = after;
        request.body_case = IXN__V1__REQUEST__BODY_LIST;
        request.list = &list;
        if (!s_ask(self, &request, IXN__V1__MESSAGE__BODY_LISTING, &message, ret_error))
            return false;
        for (size_t i = 0; i < message->listing->n_routers; i++)
            picture_add_router(&self->picture, message->listing->routers[i]);
        snprintf(after, sizeof after, "%s", message->listing->next);
    } while (after[0]);
    return true;
}

static bool s_take_applications(gather_t *self, error_t *ret_error)
{
    const Ixn__V1__Message *message;
    Ixn__V1__ApplicationsRequest ask = IXN__V1__APPLICATIONS_REQUEST__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_APPLICATIONS;
    request.applications = &ask;
    if (!s_ask(self, &request, IXN__V1__MESSAGE__BODY_APPLICATIONS, &message, ret_error))
        return false;
    picture_set_applications(&self->picture, message->applications);
    return true;
}

/* ---- All of it ---- */

bool gather_take(gather_t *self, uint32_t patience_ms, error_t *ret_error)
{
    struct timespec now;
    picture_t *picture = &self->picture;
    picture_free(picture);
    const bool answered = pair_status(&self->pair, patience_ms, ret_error);
    clock_gettime(CLOCK_REALTIME, &now);
    picture->wall_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    picture->view = self->pair.view;
    memcpy(picture->figures, self->pair.figures, sizeof picture->figures);
    if (answered && pair_view_primary(&picture->view) != PAIR_VIEW_NONE)
        picture->has_work = s_connect(self, &picture->work_error) &&
                            s_take_queues(self, &picture->work_error) &&
                            s_take_routers(self, &picture->work_error) &&
                            s_take_applications(self, &picture->work_error);
    return answered;
}
