/* Array: a one-dimensional array of PostgreSQL in its binary format, to be the parameter of a
 * statement (`unnest($1)`, `= ANY ($1)`). Pure: bytes only, no connection.
 *
 * Promises: what was added is what the server reads, NULLs and zero bytes included. It does not
 * check texts: whether they are UTF-8 or JSON is for the server to say.
 *
 * Format (array_recv of PostgreSQL): number of dimensions, whether there are NULLs, type of the
 * elements, length and lower bound of the dimension; then for each element its length (-1: NULL)
 * and its bytes. All numbers are 32 bits, big-endian.
 */
#ifndef IXN_DAP_ARRAY_H
#define IXN_DAP_ARRAY_H

#include "core/base/buffer.h"
#include "core/base/id.h"
#include "core/base/types.h"

typedef enum {
    ARRAY_UUID,
    ARRAY_TEXT,
    ARRAY_BYTEA,
    ARRAY_INT4,
    ARRAY_INT8,
    ARRAY_BOOL,
    ARRAY_JSONB,
    ARRAY_TIMESTAMPTZ,
} array_kind_t;

typedef struct {
    buffer_t bytes; /* what to send, once array_finish has been called */
    array_kind_t kind;
    uint32_t count;
    bool nulls;
} array_t;

/* Empties it, whatever it was before (`{0}` or used), and keeps the memory. */
void array_start(array_t *self, array_kind_t kind);
/* Writes the header: the bytes are complete. Nothing may be added after it. */
void array_finish(array_t *self);
void array_free(array_t *self);

void array_add_null(array_t *self);
void array_add_id(array_t *self, id128_t id);      /* UUID */
void array_add_text(array_t *self, text_t text);   /* TEXT, BYTEA, JSONB */
void array_add_int4(array_t *self, int32_t value); /* INT4 */
void array_add_int8(array_t *self, int64_t value); /* INT8 */
void array_add_bool(array_t *self, bool value);    /* BOOL */
/* TIMESTAMPTZ, from wall microseconds since 1970. What PostgreSQL cannot represent arrives as a
 * value that it refuses, never as another time. */
void array_add_time(array_t *self, usec_t wall_us);

/* Object ids of the array's type and of its elements' (pg_type.dat; they never change). */
uint32_t array_type(array_kind_t kind);
uint32_t array_element_type(array_kind_t kind);

/* Wall microseconds since 1970 as PostgreSQL counts them, from 2000. */
int64_t array_timestamp(usec_t wall_us);

#endif
