/* Kept: events that were heard while a program waited for something else (ixn_client_call), in
 * their order. Their messages are kept encoded, to outlive the frames they came in.
 */
#ifndef IXN_CLIENT_KEPT_H
#define IXN_CLIENT_KEPT_H

#include "core/client/client.h"
#include "core/wire/wire.h"

typedef struct kept_event kept_event_t;

typedef struct {
    kept_event_t *first; /* NULL: none */
    wire_arena_t *arena; /* of the event that was taken last */
} kept_t;

void kept_init(kept_t *self);
void kept_free(kept_t *self);
void kept_add(kept_t *self, const ixn_event_t *event);
/* Takes the first one, or the last one; its message lives until the next one is taken. False: none.
 */
bool kept_take(kept_t *self, bool last, ixn_event_t *ret_event);

#endif
