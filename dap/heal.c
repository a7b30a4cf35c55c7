#include "dap/heal.h"

#include <inttypes.h>
#include <string.h>

#include "core/wire/wire.h"
#include "dap/journal_row.h"
#include "dap/params.h"

/* The head is read by each of them, so the chain is proven by what the database has. */
static const char s_batch_sql[] =
    "INSERT INTO ixn.journal (last_index, first_index, epoch, previous_hash, hash, log_time_us,"
    " decided_at, entries) SELECT $1, $2, $3, $4, $5, $6, $7, $8"
    " FROM (SELECT last_index, hash FROM ixn.journal ORDER BY last_index DESC LIMIT 1) AS head"
    " WHERE head.last_index = $2 - 1 AND head.hash = $4";

/* One of that number that is there must be the same one. */
static const char s_epoch_sql[] =
    "INSERT INTO ixn.epoch (epoch, generation, owner, first_index, previous_hash, reason,"
    " started_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (epoch)"
    " DO UPDATE SET epoch = excluded.epoch WHERE epoch.generation = excluded.generation";

/* True when the statement changed exactly one row; sets `ret_none` when it changed none. */
static bool s_run(connection_t *connection, const char *sql, const params_t *params, bool *ret_none,
                  error_t *ret_error)
{
    connection_params_t all = params_all(params);
    PGresult *result = connection_query(connection, sql, &all, ret_error);
    bool one = result && strcmp(PQcmdTuples(result), "1") == 0;
    *ret_none = result && !one;
    PQclear(result);
    return one;
}

/* ---- One batch ---- */

static bool s_write_batch(connection_t *connection, const batch_t *batch, error_t *ret_error)
{
    bool none;
    char hash[ID_TEXT_SIZE];
    params_t params = {0};
    params_int8(&params, batch->last);
    params_int8(&params, batch->first);
    params_int8(&params, batch->epoch);
    params_id(&params, batch->previous);
    params_id(&params, batch->hash);
    params_int8(&params, (uint64_t)batch->log_time);
    params_wall(&params, batch->wall_time);
    params_bytes(&params, batch->entries);
    if (s_run(connection, s_batch_sql, &params, &none, ret_error))
        return true;
    if (none)
        error_set(
            ret_error, ERROR_DATABASE_DIVERGED,
            "DAP %s: the batch %" PRIu64 " … %" PRIu64 " continues index %" PRIu64
            " with hash %s, which is not what the journal ends with; nothing was written back",
            connection_name(connection), batch->first, batch->last, batch->first - 1,
            id_text(batch->previous, hash));
    return false;
}

/* ---- The epochs that began with them ---- */

static bool s_write_epoch(connection_t *connection, const batch_t *batch,
                          const Ixn__V1__EpochStarted *started, error_t *ret_error)
{
    bool none;
    id128_t generation;
    char id[ID_TEXT_SIZE];
    if (!wire_read_id(started->generation, &generation))
        return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                         "the entry %" PRIu64 " begins epoch %" PRIu64 " without a generation",
                         batch->first, started->epoch);
    params_t params = {0};
    params_int8(&params, started->epoch);
    params_id(&params, generation);
    params_text(&params, text_of(started->node));
    params_int8(&params, batch->first);
    params_id(&params, batch->previous);
    params_text(&params, text_of(started->reason));
    params_wall(&params, batch->wall_time);
    if (s_run(connection, s_epoch_sql, &params, &none, ret_error))
        return true;
    if (none)
        error_set(ret_error, ERROR_DATABASE_DIVERGED,
                  "DAP %s: ixn.epoch has another generation for epoch %" PRIu64
                  " than %s: somebody else claimed it; nothing was written back",
                  connection_name(connection), started->epoch, id_text(generation, id));
    return false;
}

/* An epoch's first entry is the first of its batch. */
static bool s_write_began(connection_t *connection, wire_arena_t *arena, const batch_t *batch,
                          error_t *ret_error)
{
    wire_arena_reset(arena);
    const Ixn__V1__Batch *decoded = wire_decode_batch(arena, (const uint8_t *)batch->entries.data,
                                                      batch->entries.len, ret_error);
    if (!decoded)
        return false;
    const Ixn__V1__Entry *entry = decoded->n_entries > 0 ? decoded->entries[0] : NULL;
    bool begins = entry && entry->body_case == IXN__V1__ENTRY__BODY_EPOCH_STARTED;
    return !begins || s_write_epoch(connection, batch, entry->epoch_started, ret_error);
}

static bool s_write_batches(connection_t *connection, const database_claim_t *claim,
                            error_t *ret_error)
{
    wire_arena_t *arena = wire_arena_new();
    bool done = true;
    for (size_t i = 0; i < claim->batches_len && done; i++) {
        const batch_t *batch = claim->batches[i];
        done = journal_row_check(batch, batch->first - 1, batch->previous, ret_error) &&
               s_write_batch(connection, batch, ret_error) &&
               (i > 0 && batch->epoch == claim->batches[i - 1]->epoch
                    ? true
                    : s_write_began(connection, arena, batch, ret_error));
    }
    wire_arena_destroy(&arena);
    return done;
}

/* ---- What is kept of it ---- */

static bool s_record(connection_t *connection, const database_claim_t *claim,
                     const database_status_t *before, const database_status_t *after,
                     error_t *ret_error)
{
    bool none;
    params_t params = {0};
    uint64_t seen = before->epoch > claim->highest_seen ? before->epoch : claim->highest_seen;
    params_int8(&params, seen + 1);
    params_wall(&params, before->instance.started_at);
    params_int4(&params, (int32_t)before->instance.port);
    params_int8(&params, before->head_index);
    params_id(&params, before->head_hash);
    params_int8(&params, after->head_index);
    params_id(&params, after->head_hash);
    params_int8(&params, after->head_index - before->head_index);
    params_int8(&params, claim->batches_len);
    params_text(&params, text_of(claim->reason));
    params_text(&params, text_of(claim->owner));
    return s_run(connection,
                 "INSERT INTO ixn.heal (epoch, server_started_at, server_port, head_index,"
                 " head_hash, healed_index, healed_hash, entries, batches, reason, node)"
                 " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                 &params, &none, ret_error);
}

bool heal_write(connection_t *connection, const database_claim_t *claim, database_status_t *found,
                error_t *ret_error)
{
    const place_t known = found->known;
    const database_status_t before = *found;
    if (!s_write_batches(connection, claim, ret_error) ||
        !database_read_status(connection, &known, found, ret_error))
        return false;
    if (found->lineage != LINEAGE_AGREES || found->head_index != known.index)
        return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                         "DAP %s: with the lost batches the head would be index %" PRIu64
                         ", index %" PRIu64
                         " with another hash is known to be committed; nothing was written back",
                         connection_name(connection), found->head_index, known.index);
    return s_record(connection, claim, &before, found, ret_error);
}
