/* Journal row: a row of ixn.journal read back as a batch, and whether it is what it says. No
 * connection in it.
 */
#ifndef IXN_DAP_JOURNAL_ROW_H
#define IXN_DAP_JOURNAL_ROW_H

#include "core/batch.h"
#include "dap/field.h"

/* The columns as they are read, in this order, without what comes last: the entries. */
#define JOURNAL_ROW_COLUMNS                                                                        \
    "last_index, first_index, epoch, previous_hash, hash, log_time_us, decided_at"
enum { JOURNAL_ROW_FIELDS = 8 };
extern const Oid journal_row_types[JOURNAL_ROW_FIELDS];

/* Its entries point into the fields. */
batch_t journal_row_read(const field_t *fields);
/* DATABASE_DIVERGED, with both values, unless it continues that index and hash and is what its own
 * hash says. */
bool journal_row_check(const batch_t *batch, uint64_t index, id128_t hash, error_t *ret_error);
/* … for another reason: `what` of the batch is not what it should be. Returns false. */
bool journal_row_damaged(const batch_t *batch, const char *what, id128_t has, id128_t expected,
                         error_t *ret_error);

#endif
