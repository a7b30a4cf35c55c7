/* Stored: see stored.h. */
#include "apps/views/stored.h"

#include <stdlib.h>

#include "core/row.h"
#include "core/wire/wire.h"

enum {
    STATE,
    HELD,
    TENANT,
    QUEUE,
    MEDIA_TYPE,
    TYPE,
    SUBTYPE,
    EXTERNAL_ID,
    PARENT,
    SUBMITTED_BY,
    ROUTER,
    STRATEGY,
    REASON,
    PRIORITY,
    VERSION,
    ATTEMPTS,
    RECEIVED,
    SUBMITTED,
    PLACED,
    MOVED,
    ROUTED,
    HELD_AT,
    COMPLETED,
    ATTRIBUTES,
    JOURNEY,
    COLUMNS
};
static_assert(COLUMNS == STORED_WIDTH, "each column has its number");

static int64_t s_number(const PGresult *row, int column)
{
    return strtoll(PQgetvalue(row, 0, column), NULL, 10);
}

static ProtobufCBinaryData s_bytes(const PGresult *row, int column)
{
    return (ProtobufCBinaryData){(size_t)PQgetlength(row, 0, column),
                                 (uint8_t *)PQgetvalue(row, 0, column)};
}

static void s_read_texts(const PGresult *row, Ixn__V1__Interaction *one)
{
    one->tenant = PQgetvalue(row, 0, TENANT);
    one->queue = PQgetvalue(row, 0, QUEUE);
    one->media_type = PQgetvalue(row, 0, MEDIA_TYPE);
    one->type = PQgetvalue(row, 0, TYPE);
    one->subtype = PQgetvalue(row, 0, SUBTYPE);
    one->external_id = PQgetvalue(row, 0, EXTERNAL_ID);
    one->submitted_by = PQgetvalue(row, 0, SUBMITTED_BY);
    one->router = PQgetvalue(row, 0, ROUTER);
    one->strategy = PQgetvalue(row, 0, STRATEGY);
    one->reason = PQgetvalue(row, 0, REASON);
    one->attributes = s_bytes(row, ATTRIBUTES);
    one->journey = s_bytes(row, JOURNEY);
}

static void s_read_times(const PGresult *row, Ixn__V1__Interaction *one)
{
    one->received_at_us = s_number(row, RECEIVED);
    one->submitted_at_us = s_number(row, SUBMITTED);
    one->placed_in_queue_at_us = s_number(row, PLACED);
    one->moved_to_queue_at_us = s_number(row, MOVED);
    one->routed_at_us = s_number(row, ROUTED);
    one->held_at_us = s_number(row, HELD_AT);
    one->completed_at_us = s_number(row, COMPLETED);
}

void stored_read(const PGresult *row, id128_t id, stored_t *ret_stored)
{
    interaction_state_t state = 0;
    Ixn__V1__Interaction *one = &ret_stored->one;
    ixn__v1__interaction__init(one);
    ret_stored->id = id;
    one->interaction_id = wire_bytes(&ret_stored->id);
    if (id_parse(PQgetvalue(row, 0, PARENT), &ret_stored->parent))
        one->parent_id = wire_bytes(&ret_stored->parent);
    interaction_state_parse(text_of(PQgetvalue(row, 0, STATE)), &state);
    one->state = (Ixn__V1__InteractionState)state;
    one->held = s_number(row, HELD) != 0;
    one->priority = (int32_t)s_number(row, PRIORITY);
    one->version = (uint32_t)s_number(row, VERSION);
    one->attempts = (uint32_t)s_number(row, ATTEMPTS);
    s_read_texts(row, one);
    s_read_times(row, one);
}
