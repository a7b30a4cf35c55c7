/* Kept, the code. */
#include "core/client/kept.h"

#include <stdlib.h>
#include <utlist.h>

#include "core/base/alloc.h"
#include "core/base/check.h"

struct kept_event {
    kept_event_t *prev, *next;
    ixn_event_t event;
    size_t len;
    uint8_t bytes[]; /* its message */
};

void kept_init(kept_t *self)
{
    *self = (kept_t){.arena = wire_arena_new()};
}

void kept_free(kept_t *self)
{
    for (kept_event_t *kept = self->first, *next; kept; kept = next) {
        next = kept->next;
        free(kept);
    }
    self->first = NULL;
    wire_arena_destroy(&self->arena);
}

void kept_add(kept_t *self, const ixn_event_t *event)
{
    size_t len = event->message ? ixn__v1__message__get_packed_size(event->message) : 0;
    kept_event_t *kept = memory_new(sizeof *kept + len);
    *kept = (kept_event_t){.event = *event, .len = len};
    if (event->message)
        ixn__v1__message__pack(event->message, kept->bytes);
    DL_APPEND(self->first, kept);
}

bool kept_take(kept_t *self, bool last, ixn_event_t *ret_event)
{
    if (!self->first)
        return false;
    kept_event_t *kept = last ? self->first->prev : self->first;
    DL_DELETE(self->first, kept);
    *ret_event = kept->event;
    wire_arena_reset(self->arena);
    if (kept->event.message) {
        ret_event->message =
            ixn__v1__message__unpack(wire_arena_allocator(self->arena), kept->len, kept->bytes);
        CHECK(ret_event->message); /* it was packed here */
    }
    free(kept);
    return true;
}
