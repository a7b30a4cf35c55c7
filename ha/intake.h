/* Intake: how much of what clients have sent one turn takes. Others wait for the turn's end, so it
 * is bounded in frames and, as a frame may hold a thousand requests, in time. A value; pure.
 */
#ifndef IXN_HA_INTAKE_H
#define IXN_HA_INTAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/types.h"

#define INTAKE_FRAMES 500
#define INTAKE_US 5000 /* then the turn takes no more frames; it always takes the first one */

/* All zero at the begin of a turn. */
typedef struct {
    size_t frames; /* taken */
    usec_t until;
} intake_t;

/* Whether the turn may take one more frame at `now`; true counts it. */
bool intake_may(intake_t *self, usec_t now);

#endif
