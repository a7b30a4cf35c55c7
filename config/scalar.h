/* Scalar: one value of the configuration, from text and back, as its key in the schema says.
 *
 * Promises: what is read is within the key's bounds; what is written reads back to the same value;
 * errors say the value, what is allowed and an example, without a place (the caller knows it).
 */
#ifndef IXN_CONFIG_SCALAR_H
#define IXN_CONFIG_SCALAR_H

#include "config/schema.h"
#include "core/base/buffer.h"

/* Reads `text` (valid UTF-8) into the key's field of `item`, which is config_t or an item of a list
 * and otherwise zero there (NAMES: adds one name). False and a CONFIGURATION error where it is not
 * allowed. */
bool scalar_read(const schema_key_t *key, text_t text, void *item, error_t *ret_error);

/* Appends the field's value as an operator would write it; conninfo with its passwords hidden. */
void scalar_write(const schema_key_t *key, const void *item, buffer_t *out);

/* The field's value: INTEGER, DURATION, SIZE, CHOICE. */
uint64_t scalar_number(const schema_key_t *key, const void *item);

/* Appends a number of this type with its unit: "10min", "256KiB", "5". */
void scalar_write_number(schema_type_t type, uint64_t number, buffer_t *out);

/* What a value of this key may be: "a duration from 100ms to 1min". */
void scalar_write_allowed(const schema_key_t *key, buffer_t *out);

#endif
