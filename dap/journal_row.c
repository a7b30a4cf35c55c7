#include "dap/journal_row.h"

#include <inttypes.h>

#include "dap/params.h"

const Oid journal_row_types[JOURNAL_ROW_FIELDS] = {OID_INT8, OID_INT8, OID_INT8,        OID_UUID,
                                                   OID_UUID, OID_INT8, OID_TIMESTAMPTZ, OID_BYTEA};

batch_t journal_row_read(const field_t *fields)
{
    return (batch_t){.last = field_int8(fields[0]),
                     .first = field_int8(fields[1]),
                     .epoch = field_int8(fields[2]),
                     .previous = field_id(fields[3]),
                     .hash = field_id(fields[4]),
                     .log_time = (usec_t)field_int8(fields[5]),
                     .wall_time = field_wall(fields[6]),
                     .entries = field_text(fields[7])};
}

bool journal_row_damaged(const batch_t *batch, const char *what, id128_t has, id128_t expected,
                         error_t *ret_error)
{
    char a[ID_TEXT_SIZE];
    char b[ID_TEXT_SIZE];
    return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                     "ixn.journal is damaged at last_index %" PRIu64
                     ": %s is %s, expected %s; "
                     "restore the database",
                     batch->last, what, id_text(has, a), id_text(expected, b));
}

bool journal_row_check(const batch_t *batch, uint64_t index, id128_t hash, error_t *ret_error)
{
    if (batch->first != index + 1 || batch->last < batch->first)
        return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                         "ixn.journal has a gap: after index %" PRIu64 " comes a row from %" PRIu64
                         " to %" PRIu64 ", expected one from %" PRIu64 "; restore the database",
                         index, batch->first, batch->last, index + 1);
    if (!id_equal(batch->previous, hash))
        return journal_row_damaged(batch, "its previous_hash", batch->previous, hash, ret_error);
    id128_t own = batch_hash(batch);
    return id_equal(batch->hash, own) ||
           journal_row_damaged(batch, "its hash", batch->hash, own, ret_error);
}
