/* Dull: bytes that need no looking at one by one, because they are the same in a text, in a JSON
 * string and on a line: ASCII, no control character, no quote, no backslash. Nearly all bytes that
 * come are. Pure.
 */
#ifndef IXN_BASE_DULL_H
#define IXN_BASE_DULL_H

#include <stddef.h>

/* How many bytes at the beginning are dull. */
size_t dull_bytes(const char *bytes, size_t len);

#endif
