#include "dap/skip.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/wire/wire.h"
#include "dap/decision.h"
#include "dap/field.h"
#include "dap/params.h"

/* ---- Is there something to skip? ---- */

static void s_name(text_t entries, uint64_t number, char *name, size_t size)
{
    error_t error;
    wire_arena_t *arena = wire_arena_new();
    const Ixn__V1__Batch *batch =
        wire_decode_batch(arena, (const uint8_t *)entries.data, entries.len, &error);
    const ProtobufCFieldDescriptor *body =
        batch && number < batch->n_entries
            ? protobuf_c_message_descriptor_get_field(&ixn__v1__entry__descriptor,
                                                      batch->entries[number]->body_case)
            : NULL;
    snprintf(name, size, "%s", body ? body->name : "unknown");
    wire_arena_destroy(&arena);
}

static bool s_find(connection_t *connection, const skip_t *skip, skip_result_t *result,
                   error_t *ret_error)
{
    static const Oid types[] = {OID_INT8, OID_INT8, OID_INT8, OID_UUID, OID_BYTEA, OID_BOOL};
    params_t params = {0};
    params_int8(&params, skip->index);
    connection_params_t all = params_all(&params);
    PGresult *found = connection_query(
        connection,
        "SELECT first_index, last_index, epoch, hash, entries,"
        " EXISTS (SELECT FROM ixn.skip AS s WHERE s.index = $1 AND s.batch_hash = j.hash)"
        " FROM ixn.journal AS j WHERE last_index >= $1 ORDER BY last_index LIMIT 1",
        &all, ret_error);
    bool read = found && field_check(found, "ixn.journal", types, 6, ret_error);
    bool there = read && PQntuples(found) == 1 && field_int8(field_of(found, 0, 0)) <= skip->index;
    bool skipped = there && field_bool(field_of(found, 0, 5));
    if (there) {
        result->first = field_int8(field_of(found, 0, 0));
        result->last = field_int8(field_of(found, 0, 1));
        result->batch_epoch = field_int8(field_of(found, 0, 2));
        result->batch_hash = field_id(field_of(found, 0, 3));
        s_name(field_text(field_of(found, 0, 4)), skip->index - result->first, result->what,
               sizeof result->what);
    }
    PQclear(found);
    if (!read)
        return false;
    if (!there)
        return error_set(ret_error, ERROR_DATABASE_REFUSED,
                         "the journal of %s holds no entry %" PRIu64 ": its head is index %" PRIu64,
                         result->before.server, skip->index, result->before.head_index);
    return !skipped ||
           error_set(ret_error, ERROR_DATABASE_REFUSED,
                     "entry %" PRIu64 " is skipped already (table ixn.skip)", skip->index);
}

static bool s_judge(connection_t *connection, const skip_t *skip, skip_result_t *result,
                    error_t *ret_error)
{
    const database_status_t *before = &result->before;
    if (skip->index <= before->checkpoint_index)
        return error_set(ret_error, ERROR_DATABASE_REFUSED,
                         "entry %" PRIu64 " is in the tables already (the checkpoint is at %" PRIu64
                         "): no node applies it any more, and it cannot be taken back",
                         skip->index, before->checkpoint_index);
    return s_find(connection, skip, result, ret_error);
}

/* ---- The change ---- */

static bool s_change(connection_t *connection, const skip_t *skip, const skip_result_t *result,
                     const decision_t *decision, error_t *ret_error)
{
    params_t row = {0};
    params_int8(&row, skip->index);
    params_int8(&row, result->batch_epoch);
    params_id(&row, result->batch_hash);
    params_int8(&row, result->epoch);
    params_text(&row, text_of(skip->reason));
    params_text(&row, text_of(skip->by));
    return params_run(connection,
                      "INSERT INTO ixn.skip (index, batch_epoch, batch_hash, epoch, reason,"
                      " skipped_by) VALUES ($1, $2, $3, $4, $5, $6)",
                      &row, ret_error) &&
           decision_claim(decision, connection, ret_error);
}

static bool s_transaction(database_t *database, connection_t *connection, const skip_t *skip,
                          skip_result_t *result, error_t *ret_error)
{
    char reason[400];
    if (!decision_begin(connection, &result->before, ret_error) ||
        !s_judge(connection, skip, result, ret_error))
        return false;
    result->epoch = decision_epoch(&result->before, skip->highest_epoch);
    if (skip->dry_run)
        return true;
    snprintf(reason, sizeof reason, "skipped entry %" PRIu64 ": %s", skip->index, skip->reason);
    decision_t decision = {.before = &result->before,
                           .epoch = result->epoch,
                           .generation = id_random(),
                           .by = skip->by,
                           .reason = reason};
    return s_change(connection, skip, result, &decision, ret_error) &&
           decision_commit(&decision, connection, database, ret_error);
}

bool skip_perform(database_t *self, const skip_t *skip, skip_result_t *ret_result,
                  error_t *ret_error)
{
    skip_result_t result = {0};
    connection_t *connection = database_connection(self, ret_error);
    if (!connection)
        return false;
    bool done = s_transaction(self, connection, skip, &result, ret_error);
    connection_rollback(connection); /* where it was not committed */
    if (done)
        *ret_result = result;
    return done;
}
