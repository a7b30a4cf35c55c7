/* Gather: makes pictures of the pair, one after another: asks both nodes how they are, and the one
 * that serves what is in its queues. It goes on over a fail-over, and finds a node that comes back.
 */
#ifndef IXNCTL_GATHER_H
#define IXNCTL_GATHER_H

#include "apps/ixnctl/common.h"
#include "apps/ixnctl/pair_call.h"
#include "apps/ixnctl/parts/picture.h"

typedef struct gather gather_t;

typedef enum {
    GATHER_PAIR,    /* both nodes are in the picture */
    GATHER_PRIMARY, /* who serves is enough, and a silent one is not waited for */
} gather_whom_t;

/* Nobody is asked yet. NULL and an error: the configuration is wrong. `common` must outlive it. */
gather_t *gather_new(common_t *common, gather_whom_t whom, error_t *ret_error);
void gather_destroy(gather_t **self_p);

/* Asks, and makes a picture of what was answered; nodes that are silent while others answer are
 * given `patience_ms` more. False and an error: no node has answered; the picture shows that too.
 * The picture is valid until the next call. */
bool gather_take(gather_t *self, uint32_t patience_ms, error_t *ret_error);
picture_t *gather_picture(gather_t *self);

#endif
