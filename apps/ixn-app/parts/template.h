/* Template: text with places for values: {{name}} becomes the member "name" of a JSON object;
 * {{a.b}} looks inside; {{name|text}} says what stands there where it is missing. "{{{{" is a
 * literal
 * "{{". A value that is an object or a list is written as JSON. Nothing else: what has to be
 * decided is decided by the strategy.
 */
#ifndef IXN_APP_TEMPLATE_H
#define IXN_APP_TEMPLATE_H

#include <jansson.h>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/types.h"

/* Without values: are all places closed and named? Errors say the line. */
bool template_check(text_t source, error_t *ret_error);
/* Appends the text. A place without a value and without a text of its own is an error that names
 * it; so is more than `most` bytes. */
bool template_render(text_t source, const json_t *values, size_t most, buffer_t *out,
                     error_t *ret_error);

#endif
