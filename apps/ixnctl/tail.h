/* Tail: reads the log of the pair's database from an index on, by the DAPs of the configuration. A
 * fail-over of the nodes does not touch it, for the log is one; of the database it takes the next
 * DAP, but only to the very same database.
 */
#ifndef IXNCTL_TAIL_H
#define IXNCTL_TAIL_H

#include <libpq-fe.h>

#include "apps/ixnctl/common.h"

typedef struct tail tail_t;

/* NULL and an error: the configuration is wrong. Connects to nothing yet. */
tail_t *tail_new(common_t *common, error_t *ret_error);
void tail_destroy(tail_t **self_p);

/* One look: rows of dap/feed.h, binary, the caller's to clear. NULL and an error: no DAP gives
 * them. */
PGresult *tail_look(tail_t *self, uint64_t from, error_t *ret_error);

#endif
