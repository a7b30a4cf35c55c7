/* Heal: committed batches that the database lost are written back, inside the transaction of a
 * claim (dap/database.h: database_claim).
 *
 * Promises: each row is the very batch, and continues the journal's head as the database itself has
 * it, by index and hash, or nothing is written at all. Epochs that were lost with their first batch
 * come back, too, and ixn.heal keeps what was done.
 */
#ifndef IXN_DAP_HEAL_H
#define IXN_DAP_HEAL_H

#include "dap/database.h"

/* Behind the lock of the pair's row; `found` was read under it, and is how things stand afterwards.
 * DATABASE_DIVERGED, with both values, where a batch does not continue what is there. */
bool heal_write(connection_t *connection, const database_claim_t *claim, database_status_t *found,
                error_t *ret_error);

#endif
