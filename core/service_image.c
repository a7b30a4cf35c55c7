#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/state_internal.h"

/* Requests to application servers in checkpoints: exact without a pause in the same way as
 * interactions are (core/image.c), with two lists instead of two flags. */

static struct service_tail *s_list(services_t *self, bool work)
{
    return &self->lists[work ? 1 - self->next : self->next];
}

static bool s_is_in(const services_t *self, const service_t *service, bool work)
{
    return service->in_list[work ? 1 - self->next : self->next];
}

static void s_enter(services_t *self, service_t *service, bool work)
{
    uint8_t list = work ? 1 - self->next : self->next;
    if (service->in_list[list])
        return;
    service->in_list[list] = true;
    TAILQ_INSERT_TAIL(&self->lists[list], service, list[list]);
}

static void s_leave(services_t *self, service_t *service, bool work)
{
    uint8_t list = work ? 1 - self->next : self->next;
    if (!service->in_list[list])
        return;
    service->in_list[list] = false;
    TAILQ_REMOVE(&self->lists[list], service, list[list]);
}

/* ---- Copies ---- */

static void s_copy(service_collection_t *out, arena_t *arena, const service_t *service)
{
    if (out->changed_len == out->changed_capacity) {
        out->changed_capacity = out->changed_capacity * 2 + 64;
        out->changed = memory_resize(out->changed, out->changed_capacity * sizeof *out->changed);
    }
    out->changed[out->changed_len++] = (service_row_t){
        .token = service->token,
        .interaction_id = service->interaction->id,
        .state = service->state,
        .target = service->target,
        .name = arena_text(arena, service_text(service, SERVICE_NAME)),
        .service = arena_text(arena, service_text(service, SERVICE_SERVICE)),
        .method = arena_text(arena, service_text(service, SERVICE_METHOD)),
        .key = arena_text(arena, service_text(service, SERVICE_KEY)),
        .parameters = arena_text(arena, service_text(service, SERVICE_PARAMETERS)),
        .fingerprint = service->fingerprint,
        .safe = service->safe,
        .attempts = service->attempts,
        .server = arena_text(arena, text_of(service->server ? service->server->name : "")),
        .incarnation = service->incarnation,
        .sent = service->sent,
        .deadline = service->deadline,
        .asked_at = service->asked_at,
        .result = arena_text(arena, service_result(service)),
        .fault = arena_text(arena, service_fault(service)),
        .fault_text = arena_text(arena, service_fault_text(service)),
    };
}

static void s_copy_work(state_t *state, service_t *service)
{
    service_collection_t *work = image_services(state, true);
    s_copy(work, image_arena(state), service);
    s_leave(&state->services, service, true);
    service->in_table = true;
}

bool services_copy_some(state_t *state, size_t rows)
{
    service_t *service;
    while ((service = TAILQ_FIRST(s_list(&state->services, true)))) {
        if (rows-- == 0)
            return false;
        s_copy_work(state, service);
    }
    return true;
}

/* ---- Changes ---- */

void services_touch(state_t *state, service_t *service)
{
    services_t *self = &state->services;
    if (image_is_following(state))
        service->in_table = true; /* the other node may write it at any time */
    else if (s_is_in(self, service, true))
        s_copy_work(state, service);
    s_enter(self, service, false);
}

void services_gone(state_t *state, service_t *service)
{
    services_t *self = &state->services;
    services_touch(state, service);
    s_leave(self, service, false);
    s_leave(self, service, true); /* following: it is not copied */
    service_collection_t *next = image_services(state, false);
    if (next->gone_len == next->gone_capacity) {
        next->gone_capacity = next->gone_capacity * 2 + 64;
        next->gone = memory_resize(next->gone, next->gone_capacity * sizeof *next->gone);
    }
    next->gone[next->gone_len++] =
        (service_gone_t){service->token, state->index + 1, service->in_table};
    next->written += service->in_table;
}

bool services_hold_changes(const state_t *state)
{
    const services_t *self = &state->services;
    const service_collection_t *next = image_services(state, false);
    return !TAILQ_EMPTY(&self->lists[self->next]) || next->written > 0 ||
           (next->gone_len > 0 && image_is_following(state));
}

void services_take_turns(state_t *state)
{
    services_t *self = &state->services;
    CHECK(TAILQ_EMPTY(s_list(self, true)));
    self->next = 1 - self->next;
}

/* ---- Following ---- */

void services_follow_begin(state_t *state)
{
    service_t *service;
    TAILQ_FOREACH(service, s_list(&state->services, false), list[state->services.next])
    service->in_table = true;
}

void services_drop_work(state_t *state)
{
    service_t *service;
    while ((service = TAILQ_FIRST(s_list(&state->services, true))))
        s_leave(&state->services, service, true);
}

void services_merge(state_t *state)
{
    service_t *service;
    while ((service = TAILQ_FIRST(s_list(&state->services, true)))) {
        s_leave(&state->services, service, true);
        s_enter(&state->services, service, false);
    }
}

/* ---- Collections ---- */

void service_collection_free(service_collection_t *self)
{
    free(self->changed);
    free(self->gone);
    free(self->deleted);
}

void service_collection_give(service_collection_t *self, checkpoint_image_t *image)
{
    self->deleted = memory_zero(self->written, sizeof *self->deleted);
    size_t len = 0;
    for (size_t i = 0; i < self->gone_len; i++)
        if (self->gone[i].written)
            self->deleted[len++] = self->gone[i].token;
    image->services = self->changed;
    image->services_len = self->changed_len;
    image->services_gone = self->deleted;
    image->services_gone_len = len;
}

void service_collection_join(service_collection_t *self, const service_collection_t *from)
{
    size_t len = self->gone_len + from->gone_len;
    CHECK(self->changed_len == 0 && from->changed_len == 0); /* nothing is copied while following */
    if (from->gone_len == 0)
        return;
    self->gone = memory_resize(self->gone, len * sizeof *self->gone);
    memcpy(self->gone + self->gone_len, from->gone, from->gone_len * sizeof *self->gone);
    self->gone_len = self->gone_capacity = len;
}

void service_collection_keep_after(service_collection_t *self, uint64_t index)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->gone_len; i++) {
        if (self->gone[i].index <= index)
            continue;
        self->gone[kept] = self->gone[i];
        self->gone[kept++].written = true; /* for all that is known here */
    }
    self->gone_len = self->written = kept;
}
