/* Attributes (user data) of an interaction: a JSON object as text.
 *
 * Promises: what is accepted here, PostgreSQL's jsonb accepts too (else one interaction could block
 * every checkpoint): valid UTF-8, one object, no U+0000, no lone surrogates, numbers within the
 * range of a double, nested at most LIMIT_ATTRIBUTES_DEPTH deep, no name twice. A change keeps the
 * members that it does not name byte for byte: numbers are never printed again. Pure.
 */
#ifndef IXN_CORE_ATTRIBUTES_H
#define IXN_CORE_ATTRIBUTES_H

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/types.h"

/* INVALID_ATTRIBUTES with line, column and byte of the first offence, TOO_LARGE over `max_size`.
 * The empty text is valid and means {}. */
bool attributes_check(text_t json, size_t max_size, error_t *ret_error);

/* Appends to `out` (cleared first) what `json` becomes when the members of the object `set` are
 * added or take the place of those of the same name, and those named in `remove` go. `json` is
 * valid (it was checked when it came in); `set` is checked here. */
bool attributes_change(text_t json, text_t set, char *const *remove, size_t remove_len,
                       size_t max_size, buffer_t *out, error_t *ret_error);

#endif
