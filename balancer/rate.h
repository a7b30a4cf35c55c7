/* Rate: at most so many in any interval of a given length. Exact: the times of the last so many are
 * remembered. A value: `{0}` has no limit. Pure; the time comes from the caller and never goes
 * back.
 */
#ifndef IXN_BALANCER_RATE_H
#define IXN_BALANCER_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/types.h"

typedef struct {
    uint32_t count; /* 0: no limit */
    usec_t interval;
    usec_t *times; /* a ring */
    uint32_t first;
    uint32_t len;
} rate_t;

/* Another limit; what was counted so far counts, as far as it fits. */
void rate_set(rate_t *self, uint32_t count, usec_t interval);
/* When the next one may go: 0 when it may go now. */
usec_t rate_opens_at(const rate_t *self, usec_t now);
void rate_take(rate_t *self, usec_t now);
void rate_free(rate_t *self);

#endif
