/* Skip: an operator's decision that one entry of the log is passed over (table ixn.skip), since
 * nodes crash on it. One transaction: it locks the pair's row, makes sure that the entry is in the
 * journal and not yet in the tables, records the decision, and takes the epoch on, so that a node
 * that has applied the entry serves no more. Nodes then load the state anew, without it.
 */
#ifndef IXN_DAP_SKIP_H
#define IXN_DAP_SKIP_H

#include "dap/database.h"

typedef struct {
    uint64_t index;
    uint64_t highest_epoch; /* that any node has heard of; 0: none */
    const char *reason;
    const char *by;
    bool dry_run;
} skip_t;

typedef struct {
    database_status_t before;
    uint64_t first; /* of its batch */
    uint64_t last;
    uint64_t batch_epoch;
    id128_t batch_hash;
    uint64_t epoch; /* that began */
    char what[64];  /* the entry's kind, as in entry.proto */
} skip_result_t;

/* DATABASE_REFUSED: it is in the tables already (then no node applies it any more), it is beyond
 * the head, it is skipped already; the error says which. */
bool skip_perform(database_t *self, const skip_t *skip, skip_result_t *ret_result,
                  error_t *ret_error);

#endif
