/* Field: one value of a binary result, read as the type it has. A value: it points into the result
 * (or the row of a COPY) that it came from.
 *
 * A field of another length than its type has reads as zero, so bytes from outside are never
 * trusted to be there; who wants to know more checks the types first (field_check).
 */
#ifndef IXN_DAP_FIELD_H
#define IXN_DAP_FIELD_H

#include <libpq-fe.h>

#include "core/base/error.h"
#include "core/base/id.h"
#include "core/base/types.h"

typedef struct {
    const char *data;
    int len; /* -1: NULL */
} field_t;

/* False and DATABASE_SCHEMA unless the result has exactly these types; `what` is for the text. */
bool field_check(const PGresult *result, const char *what, const Oid *types, int count,
                 error_t *ret_error);
field_t field_of(const PGresult *result, int row, int column);

bool field_is_null(field_t self);
bool field_bool(field_t self);
uint64_t field_int8(field_t self); /* bigint as 64 bits; NULL: 0 */
int32_t field_int4(field_t self);
uint32_t field_oid(field_t self);
id128_t field_id(field_t self);   /* NULL: zero */
usec_t field_wall(field_t self);  /* timestamptz as microseconds since 1970; NULL: 0 */
text_t field_text(field_t self);  /* text or bytea; NULL: empty */
text_t field_jsonb(field_t self); /* its text form */

/* Copies text, terminated, cut at `size`. */
void field_copy(field_t self, char *out, size_t size);

#endif
