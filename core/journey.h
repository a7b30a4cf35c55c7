/* Journey: the bounded list of steps of one interaction. People read it in the tables; it is also
 * the memory of which changes (by the hash of their key or token) were made, so that a retry hears
 * the first one's answer. The first step is kept, then the newest. Pure.
 */
#ifndef IXN_CORE_JOURNEY_H
#define IXN_CORE_JOURNEY_H

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/symbol.h"

typedef enum {
    STEP_CHANGED = 1,
    STEP_PLACED = 2,
    STEP_HELD = 3,
    STEP_RESUMED = 4,
    STEP_STOPPED = 5,
    STEP_DISPATCHED = 6,
    STEP_ROUTER_LOST = 7,
    STEP_ROUTER_LEFT = 8,
    STEP_ROUTE_FAILED = 9,
    STEP_ROUTING_TIMEOUT = 10,
    STEP_NOT_HELD = 11,
    STEP_RELEASED = 12,
    STEP_KINDS = 13,
} step_kind_t;

typedef struct {
    usec_t at;        /* wall time */
    uint64_t change;  /* hash of the key or token; 0: not a change that can be asked again */
    uint32_t version; /* of the interaction after it */
    uint8_t kind;
    symbol_t by;    /* the client, or the router it was dispatched to */
    symbol_t queue; /* where it was placed, or the strategy it was dispatched under */
} step_t;

typedef struct {
    uint16_t len;
    uint16_t capacity;
    uint16_t dropped; /* steps that no longer fit; stays at UINT16_MAX */
    step_t steps[];
} journey_t;

/* Appends; the names' uses pass to the journey. `*self_p` is NULL before the first step and moves.
 */
void journey_append(journey_t **self_p, symbol_table_t *symbols, const step_t *step);
void journey_destroy(journey_t **self_p, symbol_table_t *symbols);
/* The step that made this change, or NULL. */
const step_t *journey_find(const journey_t *self, uint64_t change);

/* As a JSON array, one object a step: {"at": "2026-01-31T12:00:00.000000Z", "step": "placed",
 * "by": …, "queue": …, "version": …, "change": "16 hexadecimal digits"}; members that are empty are
 * left out; "dropped" is in the first object when steps are missing behind it. */
void journey_print(const journey_t *self, const symbol_table_t *symbols, buffer_t *out);
/* Reads that back. */
bool journey_parse(text_t json, symbol_table_t *symbols, journey_t **ret_self, error_t *ret_error);

#endif
