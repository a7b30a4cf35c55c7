/* Partition: the days of ixn.interaction_finished. A partition holds one day of completed_at (UTC)
 * and is called interaction_finished_YYYYMMDD. Those of ixn.interaction_history_before, where what
 * was finished went up to version 10 of the schema, are called interaction_history_YYYYMMDD; they
 * are only dropped.
 *
 * Promises: making one takes no lock that a reader of the history (a dump) holds up or waits for;
 * dropping one gives up after a moment when somebody reads. Whether a day is over is judged by the
 * database's clock. Only what is called so, and holds that day, is ever dropped.
 */
#ifndef IXN_DAP_PARTITION_H
#define IXN_DAP_PARTITION_H

#include "core/base/types.h"
#include "dap/connection.h"
#include "dap/fence.h"

/* Days since 1970-01-01 (UTC), of times before it too. */
int64_t partition_day(usec_t wall_us);
/* Days that get a partition: of the years 1970 … 9999. A row of another day is refused by the
 * database, which is better than a table for each nonsense. */
bool partition_day_valid(int64_t day);

#define PARTITION_NAME_SIZE 64
/* "interaction_finished_20260131". */
const char *partition_name(int64_t day, char name[PARTITION_NAME_SIZE]);

typedef struct {
    fence_t fence;
    uint32_t timeout_ms; /* of each statement */
    usec_t retention_us; /* for partition_drop_next */
} partition_options_t;

/* Makes the partition of a valid day unless it is there; true then too. When the fence does not
 * hold it makes nothing: whoever writes next finds out. What somebody put in its place is named:
 * another partition that overlaps, rows in a default partition, a table of the same name. */
bool partition_make(connection_t *connection, const partition_options_t *options, int64_t day,
                    error_t *ret_error);

/* What the database's clock says now. */
bool partition_today(connection_t *connection, const partition_options_t *options, int64_t *ret_day,
                     error_t *ret_error);

typedef enum {
    PARTITION_NONE,   /* there is none to drop (any more) */
    PARTITION_SEEN,   /* there was one; there may be another */
    PARTITION_HELD,   /* the database does not drop this one now: somebody reads it, needs it … */
    PARTITION_FAILED, /* nothing can be said about any */
} partition_drop_t;
/* Drops the first partition called later than `after` ("" at first; set to its name) that lies
 * `retention_us` back, as a whole. A partition in which something was completed within the last day
 * of log time stays: a node with a wrong calendar wrote it, and its keys may still be needed. */
partition_drop_t partition_drop_next(connection_t *connection, const partition_options_t *options,
                                     char after[PARTITION_NAME_SIZE], error_t *ret_error);

#endif
