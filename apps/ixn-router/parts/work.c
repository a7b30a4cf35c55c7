#include "apps/ixn-router/parts/work.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/wire/wire.h"

/* The texts share one block with the structure. */
static const char *s_place(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    memcpy(*at, text, size);
    const char *placed = *at;
    *at += size;
    return placed;
}

work_t *work_new(const Ixn__V1__Route *route)
{
    const Ixn__V1__Interaction *from = route->interaction;
    id128_t id;
    if (!from || !route->token || !wire_read_id(from->interaction_id, &id))
        return NULL;
    size_t size = strlen(route->strategy) + strlen(from->tenant) + strlen(from->queue) +
                  strlen(from->media_type) + strlen(from->type) + strlen(from->subtype) +
                  strlen(from->external_id) + 7;
    work_t *self = memory_zero(1, sizeof *self + size);
    char *at = (char *)(self + 1);
    self->id = id;
    self->token = (work_token_t){route->token->epoch, route->token->index};
    self->strategy = s_place(&at, route->strategy);
    self->tenant = s_place(&at, from->tenant);
    self->queue = s_place(&at, from->queue);
    self->media_type = s_place(&at, from->media_type);
    self->type = s_place(&at, from->type);
    self->subtype = s_place(&at, from->subtype);
    self->external_id = s_place(&at, from->external_id);
    self->strategy_version = route->strategy_version;
    self->attempt = route->attempt;
    self->priority = from->priority;
    self->received_at = from->received_at_us;
    self->submitted_at = from->submitted_at_us;
    self->placed_at = from->placed_in_queue_at_us;
    if (from->attributes.len > 0) {
        self->attributes = memory_copy(from->attributes.data, from->attributes.len);
        self->attributes_len = from->attributes.len;
    }
    return self;
}

void work_destroy(work_t **self_p)
{
    if (*self_p)
        free((*self_p)->attributes);
    free(*self_p);
    *self_p = NULL;
}
