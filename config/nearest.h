/* Nearest: which of the known words was probably meant. */
#ifndef IXN_CONFIG_NEAREST_H
#define IXN_CONFIG_NEAREST_H

#include "core/base/types.h"

/* How many single edits (a character more, less, another one, or two neighbours swapped) lead from
 * `a` to `b`, in bytes; large where a word is too long to be a key. */
size_t nearest_distance(text_t a, text_t b);

/* Whether `known`, at that distance, is near enough to be worth asking "did you mean?". */
bool nearest_is_near(text_t known, size_t distance);

#endif
