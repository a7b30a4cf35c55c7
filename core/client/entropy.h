/* Entropy: random bytes for keys and for spreading clients in time, taken from the kernel some
 * thousand at a time, so that a key costs no system call. A value; `{0}` is an empty one.
 */
#ifndef IXN_CLIENT_ENTROPY_H
#define IXN_CLIENT_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/types.h"

typedef struct {
    uint8_t bytes[4096];
    size_t left; /* how many at the end are not used yet */
} entropy_t;

/* Fills `out`; at most 256 bytes at once. */
void entropy_take(entropy_t *self, void *out, size_t len);
/* `delay` and up to a half more: clients that were told the same delay do not come back at once. */
usec_t entropy_spread(entropy_t *self, usec_t delay);

#endif
