/* Decision: what an operator's changes of the pair's database itself have in common
 * (dap/adoption.h, dap/skip.h). Each is one transaction, which ends with a claim of nobody's:
 * whoever served, or remembers the database as it was, can commit nothing more.
 *
 * Promises: what is judged was read under the locks of the pair's and the checkpoint's row; no
 * session is ended for them, who holds them for long makes it fail. A lost answer to the COMMIT is
 * resolved: done, or nothing was changed, or the error says that it is not known.
 */
#ifndef IXN_DAP_DECISION_H
#define IXN_DAP_DECISION_H

#include "dap/database.h"

/* Begins the transaction: looks, locks, looks again. DATABASE_REFUSED: a standby, or somebody holds
 * the locks. */
bool decision_begin(connection_t *connection, database_status_t *ret_before, error_t *ret_error);

/* The claim. */
typedef struct {
    const database_status_t *before; /* as decision_begin read it */
    uint64_t epoch;
    id128_t generation; /* fresh, random */
    const char *by;     /* who gave the command */
    const char *reason;
} decision_t;
/* The epoch after all that anybody has heard of. */
uint64_t decision_epoch(const database_status_t *before, uint64_t highest_heard);
bool decision_claim(const decision_t *self, connection_t *connection, error_t *ret_error);

/* Ends the transaction, which `connection` of `database` is in. */
bool decision_commit(const decision_t *self, connection_t *connection, database_t *database,
                     error_t *ret_error);

#endif
