/* Picture: see picture.h. */
#include "apps/ixnctl/parts/picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/wire/wire.h"

void picture_init(picture_t *self)
{
    *self = (picture_t){.submit_rate = -1, .dispatch_rate = -1, .finish_rate = -1};
}

void picture_free(picture_t *self)
{
    free(self->queues);
    free(self->routers);
    free(self->servers);
    picture_init(self);
}

/* Room for one more at the end of a list; it is zero. */
static void *s_more(void **list, size_t *len, size_t *capacity, size_t size)
{
    if (*len == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 16;
        *list = memory_resize(*list, *capacity * size);
    }
    void *one = (char *)*list + (*len)++ * size;
    memset(one, 0, size);
    return one;
}

/* What comes from outside, cut to its room, and never inside a character. */
static void s_copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%.*s", (int)size - 1, from);
    wire_clean_text(to);
}

void picture_add_queue(picture_t *self, const Ixn__V1__Queue *queue)
{
    picture_queue_t *one =
        s_more((void **)&self->queues, &self->queues_len, &self->queues_capacity, sizeof *one);
    s_copy(one->tenant, sizeof one->tenant, queue->tenant);
    s_copy(one->name, sizeof one->name, queue->name);
    s_copy(one->strategy, sizeof one->strategy, queue->strategy);
    s_copy(one->reason, sizeof one->reason, queue->reason);
    one->configured = queue->configured;
    one->max_length = queue->max_length;
    one->waiting = queue->waiting;
    one->held = queue->held;
    one->routing = queue->routing;
    one->quarantined = queue->quarantined;
    one->entered = queue->entered;
    one->left = queue->left;
    one->in_rate = one->out_rate = -1;
    one->oldest_seconds = -1;
    if (queue->oldest_placed_at_us)
        one->oldest_seconds = self->wall_us > queue->oldest_placed_at_us
                                  ? (double)(self->wall_us - queue->oldest_placed_at_us) / 1e6
                                  : 0;
}

void picture_keep_tenant(picture_t *self, const char *tenant)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->queues_len; i++)
        if (strcmp(self->queues[i].tenant, tenant) == 0)
            self->queues[kept++] = self->queues[i];
    self->queues_len = kept;
}

void picture_add_router(picture_t *self, const Ixn__V1__RouterInfo *router)
{
    picture_worker_t *one =
        s_more((void **)&self->routers, &self->routers_len, &self->routers_capacity, sizeof *one);
    s_copy(one->name, sizeof one->name, router->name);
    one->connected = router->connected;
    one->busy = router->pending;
    one->room = router->max_submitted_interactions;
    one->drained = router->drained;
    for (size_t i = 0; i < router->n_strategies && !one->reason[0]; i++)
        if (router->strategies[i]->reason[0]) {
            char reason[PICTURE_REASON + PICTURE_NAME];
            snprintf(reason, sizeof reason, "%s: %s", router->strategies[i]->strategy,
                     router->strategies[i]->reason);
            s_copy(one->reason, sizeof one->reason, reason);
        }
}

void picture_set_applications(picture_t *self, const Ixn__V1__ApplicationsStatus *status)
{
    self->requests_open = status->open;
    for (size_t i = 0; i < status->n_servers; i++) {
        const Ixn__V1__ApplicationStatus *server = status->servers[i];
        picture_worker_t *one = s_more((void **)&self->servers, &self->servers_len,
                                       &self->servers_capacity, sizeof *one);
        s_copy(one->name, sizeof one->name, server->name);
        s_copy(one->breaker, sizeof one->breaker, server->breaker);
        s_copy(one->reason, sizeof one->reason, server->note);
        one->connected = server->connected;
        one->expected = server->configured;
        one->busy = server->in_flight;
        one->room = server->window;
    }
}

/* ---- Rates ---- */

static double s_rate(uint64_t now, uint64_t before, double seconds)
{
    return now >= before && seconds > 0 ? (double)(now - before) / seconds : -1;
}

/* Queues come in the same order each time, but for those that come and go. */
static void s_rate_queues(picture_t *self, const picture_before_t *before, double seconds)
{
    size_t at = 0;
    for (size_t i = 0; i < self->queues_len; i++) {
        picture_queue_t *queue = &self->queues[i];
        for (size_t tried = 0; tried < before->queues_len; tried++) {
            const size_t j = (at + tried) % before->queues_len;
            if (strcmp(before->queues[j].name, queue->name) != 0 ||
                strcmp(before->queues[j].tenant, queue->tenant) != 0)
                continue;
            queue->in_rate = s_rate(queue->entered, before->queues[j].entered, seconds);
            queue->out_rate = s_rate(queue->left, before->queues[j].left, seconds);
            at = j + 1;
            break;
        }
    }
}

static void s_remember(const picture_t *self, const Ixn__V1__Figures *figures, const char *primary,
                       picture_before_t *ret_before)
{
    free(ret_before->queues);
    *ret_before = (picture_before_t){.wall_us = self->wall_us};
    if (!figures)
        return;
    snprintf(ret_before->primary, sizeof ret_before->primary, "%s", primary);
    ret_before->uptime_ms = figures->uptime_ms;
    ret_before->submitted = figures->submitted;
    ret_before->dispatched = figures->dispatched;
    ret_before->completed = figures->completed;
    ret_before->queues = memory_new(self->queues_len * sizeof *ret_before->queues + 1);
    ret_before->queues_len = self->queues_len;
    for (size_t i = 0; i < self->queues_len; i++) {
        memcpy(ret_before->queues[i].tenant, self->queues[i].tenant, PICTURE_NAME);
        memcpy(ret_before->queues[i].name, self->queues[i].name, PICTURE_NAME);
        ret_before->queues[i].entered = self->queues[i].entered;
        ret_before->queues[i].left = self->queues[i].left;
    }
}

void picture_rate(picture_t *self, picture_before_t *before)
{
    const size_t primary = pair_view_primary(&self->view);
    const bool serves = primary != PAIR_VIEW_NONE;
    const Ixn__V1__Figures *figures = serves ? self->figures[primary] : NULL;
    const char *name = serves ? self->view.nodes[primary].status->own->name : "";
    if (figures && before->wall_us && strcmp(before->primary, name) == 0 &&
        figures->uptime_ms > before->uptime_ms) {
        const double seconds = (double)(figures->uptime_ms - before->uptime_ms) / 1e3;
        self->submit_rate = s_rate(figures->submitted, before->submitted, seconds);
        self->dispatch_rate = s_rate(figures->dispatched, before->dispatched, seconds);
        self->finish_rate = s_rate(figures->completed, before->completed, seconds);
        s_rate_queues(self, before, seconds);
    }
    s_remember(self, figures, name, before);
}

void picture_before_free(picture_before_t *self)
{
    free(self->queues);
    *self = (picture_before_t){0};
}
