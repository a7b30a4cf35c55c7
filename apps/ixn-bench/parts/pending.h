/* Pending: the requests of one client that have no answer yet, by their number. */
#ifndef IXN_BENCH_PENDING_H
#define IXN_BENCH_PENDING_H

#include <stdbool.h>

#include "core/base/id.h"
#include "core/base/types.h"

typedef struct {
    usec_t start;        /* when the work that is measured began; 0: not measured */
    uint64_t sequence;   /* of the submit: its number in the run */
    id128_t interaction; /* of a result … */
    uint64_t epoch;      /* … and its token */
    uint64_t index;
} pending_t;

typedef struct pending_table pending_table_t;

pending_table_t *pending_table_new(void);
void pending_table_destroy(pending_table_t **self_p);

void pending_table_put(pending_table_t *self, uint64_t request_id, const pending_t *pending);
/* Takes it out; false when there is none of that number. */
bool pending_table_take(pending_table_t *self, uint64_t request_id, pending_t *ret_pending);
size_t pending_table_len(const pending_table_t *self);
/* Takes any one out; false when it is empty. */
bool pending_table_pop(pending_table_t *self, pending_t *ret_pending);

#endif
