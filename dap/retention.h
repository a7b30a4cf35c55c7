/* Retention: keeps the tables in shape between two checkpoint images. Deletes journal rows that the
 * checkpoint has passed and that are older or more than what is to be kept, makes the history's
 * days ahead of time, and drops those that are over.
 *
 * Promises: one step is short (a few statements of some milliseconds, or a lock that is given up
 * after 50 ms), so that an image never waits for it; everything is bound to the fence; the newest
 * journal row is never deleted. Failures are logged here, once, and tried again later.
 */
#ifndef IXN_DAP_RETENTION_H
#define IXN_DAP_RETENTION_H

#include "dap/connection.h"
#include "dap/fence.h"
#include "dap/partition.h"

typedef struct {
    fence_t fence;
    usec_t journal_retention_us;
    uint64_t journal_retention_size;
    usec_t history_retention_us;
    uint32_t statement_timeout_ms;
} retention_options_t;

enum { RETENTION_TASKS = 3 };

/* A value. Times are CLOCK_BOOTTIME. */
typedef struct {
    retention_options_t options;
    partition_options_t partitions;
    usec_t next_journal;
    usec_t next_days;                  /* when days ahead are looked at */
    usec_t next_drop;                  /* … and days that are over */
    char dropped[PARTITION_NAME_SIZE]; /* the day that was looked at last; "": the next is the first
                                        */
    char told[PARTITION_NAME_SIZE];    /* the last day that was told to be held; "": none is */
    bool held;                         /* one was, since the first */
    int64_t measured;  /* journal rows up to this index are in `kept_size`; -1: none */
    int64_t deleted;   /* no row is left up to this index; -1: not known */
    int64_t kept_size; /* bytes of the journal rows between the two */
    uint32_t chunk;    /* journal rows deleted by a statement */
    error_t warned[RETENTION_TASKS]; /* each one's failure that was logged, until it works again */
} retention_t;

void retention_init(retention_t *self, const retention_options_t *options);
/* From now on; the fence stays what it is. */
void retention_change(retention_t *self, const retention_options_t *options);
/* Another server is proven: the tables there are kept in shape from now on. */
void retention_prove(retention_t *self, const instance_t *instance);
/* Does one step if one is due. Returns when the next one is. */
usec_t retention_step(retention_t *self, connection_t *connection);

#endif
