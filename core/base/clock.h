/* Clock: the kernel's clocks as one number. Not for what decides (docs/architecture.md): that is
 * told what time it is.
 *
 * CLOCK_MONOTONIC measures how long something took; CLOCK_BOOTTIME also counts while the machine
 * sleeps, so deadlines that others count on are by that one.
 */
#ifndef IXN_BASE_CLOCK_H
#define IXN_BASE_CLOCK_H

#include <time.h>

#include "core/base/check.h"
#include "core/base/types.h"

static inline usec_t clock_usec(clockid_t clock)
{
    struct timespec now;
    CHECK(clock_gettime(clock, &now) == 0);
    return (usec_t)now.tv_sec * USEC_PER_SECOND + now.tv_nsec / 1000;
}

#endif
