#include "dap/adoption.h"

#include <inttypes.h>
#include <stdio.h>

#include "dap/decision.h"
#include "dap/field.h"
#include "dap/params.h"

/* ---- Is it the pair's own, moved? ---- */

/* Sets `previous`: where it was adopted before, another node may remember that already. */
static bool s_is_copy(const adoption_t *adoption, adoption_result_t *result, error_t *ret_error)
{
    char actual[IDENTITY_TEXT_SIZE];
    char own[IDENTITY_TEXT_SIZE];
    const database_status_t *found = &result->before;
    result->previous = adoption->previous;
    result->covered =
        moves_lead(&found->moves, &adoption->previous, &found->identity, &result->move);
    if (result->covered)
        result->previous = found->identity;
    if (result->covered || id_equal(found->identity.database_id, adoption->previous.database_id))
        return true;
    return error_set(ret_error, ERROR_DATABASE_WRONG,
                     "%s is %s, the pair's is %s: it is no copy of the pair's database, so it "
                     "cannot be adopted; correct the DAP. (To begin anew with an empty database: "
                     "ixnctl database init, and nodes with an empty state_dir)",
                     found->server, identity_text(&found->identity, actual),
                     identity_text(&adoption->previous, own));
}

/* ---- Does its log go as far as the pair's? ---- */

static bool s_judge_place(connection_t *connection, const place_t *place, uint64_t *lost,
                          error_t *ret_error)
{
    database_status_t status;
    char here[ID_TEXT_SIZE];
    char known[ID_TEXT_SIZE];
    if (!database_read_status(connection, place, &status, ret_error))
        return false;
    uint64_t missing = database_lost(&status);
    *lost = missing > *lost ? missing : *lost;
    if (status.lineage != LINEAGE_DIVERGED)
        return true;
    return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                     "%s: at index %" PRIu64
                     " its journal has %s, the pair's had %s: other work "
                     "was written into it since they parted, so no number of entries describes "
                     "what would be lost; adopt a copy that nobody wrote to",
                     status.server, place->index,
                     id_is_zero(status.there) ? "no batch" : id_text(status.there, here),
                     id_text(place->hash, known));
}

/* An epoch of that number is the pair's own or another one; where it is missing, the copy is from
 * before it. */
static bool s_judge_epoch(connection_t *connection, const adoption_t *adoption,
                          const database_status_t *found, error_t *ret_error)
{
    static const Oid types[] = {OID_UUID};
    char here[ID_TEXT_SIZE];
    char known[ID_TEXT_SIZE];
    params_t params = {0};
    params_int8(&params, adoption->epoch);
    connection_params_t all = params_all(&params);
    PGresult *result = connection_query(
        connection, "SELECT generation FROM ixn.epoch WHERE epoch = $1", &all, ret_error);
    bool checked = result && field_check(result, "ixn.epoch", types, 1, ret_error);
    id128_t generation =
        checked && PQntuples(result) ? field_id(field_of(result, 0, 0)) : (id128_t){0};
    PQclear(result);
    if (!checked || id_is_zero(generation) || id_equal(generation, adoption->generation))
        return checked;
    return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                     "%s: its epoch %" PRIu64
                     " is %s, the pair's was %s: somebody else served from "
                     "it since they parted; adopt a copy that nobody wrote to",
                     found->server, adoption->epoch, id_text(generation, here),
                     id_text(adoption->generation, known));
}

static bool s_accepts(const adoption_t *adoption, const database_status_t *found, uint64_t lost,
                      error_t *ret_error)
{
    if (adoption->accepts_loss ? adoption->loss == lost : lost == 0)
        return true;
    if (adoption->accepts_loss)
        return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                         "%" PRIu64 " entries would be lost, --accept-loss says %" PRIu64
                         ": the head is index %" PRIu64 ", index %" PRIu64
                         " is known to be committed; nothing was changed",
                         lost, adoption->loss, found->head_index, found->head_index + lost);
    return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                     "%" PRIu64 " entries would be lost: the head of %s is index %" PRIu64
                     ", but index %" PRIu64
                     " is known to be committed; look for a newer copy, or "
                     "give them up with --accept-loss %" PRIu64,
                     lost, found->server, found->head_index, found->head_index + lost, lost);
}

static bool s_judge(connection_t *connection, const adoption_t *adoption, adoption_result_t *result,
                    error_t *ret_error)
{
    const database_status_t *found = &result->before;
    if (!s_is_copy(adoption, result, ret_error) ||
        !s_judge_epoch(connection, adoption, found, ret_error))
        return false;
    for (size_t i = 0; i < adoption->places_len; i++)
        if (!s_judge_place(connection, &adoption->places[i], &result->lost, ret_error))
            return false;
    result->known_index = found->head_index + result->lost;
    if (result->covered && move_is_fresh(&result->move, found->epoch, &found->instance) &&
        (result->lost == 0 || result->known_index <= result->move.known_index))
        return error_set(ret_error, ERROR_DATABASE_REFUSED,
                         "%s was adopted before, from the database that is remembered here (table "
                         "ixn.adoption): there is nothing to do but to start the nodes",
                         found->server);
    return s_accepts(adoption, found, result->lost, ret_error);
}

/* ---- The transaction ---- */

static bool s_insert(connection_t *connection, const adoption_t *adoption,
                     const adoption_result_t *result, error_t *ret_error)
{
    params_t params = {0};
    params_id(&params, result->adopted.database_id);
    params_int8(&params, result->adopted.system_identifier);
    params_oid(&params, result->adopted.database_oid);
    params_wall(&params, result->before.instance.started_at);
    params_int4(&params, (int32_t)result->before.instance.port);
    params_id(&params, result->previous.database_id);
    params_int8(&params, result->previous.system_identifier);
    params_oid(&params, result->previous.database_oid);
    params_int8(&params, result->before.head_index);
    params_id(&params, result->before.head_hash);
    params_int8(&params, result->known_index);
    params_int8(&params, result->lost);
    params_int8(&params, result->epoch);
    params_text(&params, text_of(adoption->reason));
    params_text(&params, text_of(adoption->adopted_by));
    return params_run(connection,
                      "INSERT INTO ixn.adoption (database_id, system_identifier, database_oid,"
                      " server_started_at, server_port, previous_database_id,"
                      " previous_system_identifier, previous_database_oid, head_index, head_hash,"
                      " known_index, entries_lost, epoch, reason, adopted_by)"
                      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
                      &params, ret_error);
}

static bool s_change(connection_t *connection, const adoption_t *adoption,
                     const adoption_result_t *result, const decision_t *decision,
                     error_t *ret_error)
{
    params_t pair = {0};
    params_id(&pair, result->adopted.database_id);
    return s_insert(connection, adoption, result, ret_error) &&
           params_run(connection, "UPDATE ixn.pair SET database_id = $1", &pair, ret_error) &&
           decision_claim(decision, connection, ret_error);
}

static bool s_transaction(database_t *database, connection_t *connection,
                          const adoption_t *adoption, adoption_result_t *result, error_t *ret_error)
{
    char reason[300];
    if (!decision_begin(connection, &result->before, ret_error) ||
        !s_judge(connection, adoption, result, ret_error))
        return false;
    result->epoch = decision_epoch(&result->before, adoption->highest_epoch);
    result->adopted = result->before.identity;
    if (adoption->dry_run)
        return true;
    result->adopted.database_id = id_random();
    snprintf(reason, sizeof reason, "adopted: %s", adoption->reason);
    decision_t decision = {.before = &result->before,
                           .epoch = result->epoch,
                           .generation = id_random(),
                           .by = adoption->adopted_by,
                           .reason = reason};
    return s_change(connection, adoption, result, &decision, ret_error) &&
           decision_commit(&decision, connection, database, ret_error);
}

bool adoption_perform(database_t *self, const adoption_t *adoption, adoption_result_t *ret_result,
                      error_t *ret_error)
{
    adoption_result_t result = {0};
    connection_t *connection = database_connection(self, ret_error);
    if (!connection)
        return false;
    bool done = s_transaction(self, connection, adoption, &result, ret_error);
    connection_rollback(connection); /* where it was not committed */
    if (done)
        *ret_result = result;
    return done;
}
