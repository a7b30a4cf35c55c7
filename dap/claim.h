/* Claim: takes the next epoch (dap/database.h: database_claim).
 *
 * Promises: the pair's row is locked first and the head is read by a later statement, whose
 * snapshot has the batch that the lock waited for. A session that holds a lock in the way is
 * terminated if it is of our own role: a frozen primary would block for ever. Where it is not, the
 * error names it.
 *
 * The transaction's statements are here, for tests that stand between two of them: lock, status
 * (database_status_sql), changes, status, COMMIT.
 */
#ifndef IXN_DAP_CLAIM_H
#define IXN_DAP_CLAIM_H

#include "dap/database.h"
#include "dap/params.h"

typedef struct {
    const char *sql;
    params_t params; /* they may point into what the statement was made of */
} claim_statement_t;

/* The lock of the pair's row, where it is the database that was judged. */
void claim_lock(const database_status_t *judged, claim_statement_t *ret_lock);

/* Who is in the way of the session $1, ended where that is allowed: pid, role, program, ended. */
extern const char claim_end_blockers_sql[];

/* What is changed, in this order; `found` was read under the lock. */
enum { CLAIM_CHANGES = 3 };
void claim_changes(const database_claim_t *claim, const database_status_t *found,
                   claim_statement_t changes[CLAIM_CHANGES]);

#endif
