/* Adoption: what may become the pair's own, what it costs, and what is refused without a trace. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "dap/adoption.h"
#include "tests/database/pair_fixture.h"
#include "tests/database/proxy.h"

static pair_t s_pair;

/* A database with six committed entries: batches end at 2, 4 and 6. */
static void s_init(void)
{
    pair_init(&s_pair);
    pair_start(&s_pair);
    for (int i = 0; i < 3; i++) {
        journal_append(s_pair.journal, pair_batch(&s_pair, 2));
        journal_event_t event;
        pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    }
    journal_destroy(&s_pair.journal);
}

static void s_free(void)
{
    pair_free(&s_pair);
}

TestSuite(adoption, .init = s_init, .fini = s_free, .timeout = 300);

/* Nodes that remember a database of this id elsewhere, and its head. */
static adoption_t s_adoption(void)
{
    adoption_t adoption = {
        .previous = s_pair.status.identity,
        .epoch = s_pair.status.epoch,
        .generation = s_pair.status.generation,
        .highest_epoch = 41,
        .places = {{6, s_pair.hash, s_pair.status.epoch, s_pair.status.generation}},
        .places_len = 1,
        .reason = "moved to db-2",
        .adopted_by = "operator@host"};
    adoption.previous.system_identifier++;
    return adoption;
}

static void s_done(const adoption_t *adoption, adoption_result_t *result)
{
    error_t error = {0};
    cr_assert(adoption_perform(s_pair.database, adoption, result, &error), "%s", error.text);
}

/* Refused with these words; and nothing was changed. */
static void s_refused(const adoption_t *adoption, error_code_t code, const char *words)
{
    static const char all[] =
        "SELECT md5(concat((SELECT string_agg(p::text, ',') FROM ixn.pair AS p),"
        " (SELECT string_agg(e::text, ',' ORDER BY epoch) FROM ixn.epoch AS e),"
        " (SELECT string_agg(c::text, ',') FROM ixn.checkpoint AS c),"
        " (SELECT string_agg(a::text, ',' ORDER BY epoch) FROM ixn.adoption AS a)))";
    char before[64];
    adoption_result_t result;
    error_t error = {0};
    snprintf(before, sizeof before, "%s", pair_ask(s_pair.pq, all));
    cr_assert(!adoption_perform(s_pair.database, adoption, &result, &error));
    cr_assert_eq(error.code, code, "%s", error.text);
    cr_assert(strstr(error.text, words), "%s", error.text);
    cr_assert_str_eq(pair_ask(s_pair.pq, all), before);
}

Test(adoption, stamps_a_new_identity_and_epoch_and_says_why)
{
    adoption_result_t result;
    database_status_t status;
    move_t move;
    error_t error = {0};
    adoption_t adoption = s_adoption();
    s_done(&adoption, &result);
    cr_assert(database_status(s_pair.database, NULL, &status, &error), "%s", error.text);
    cr_assert(identity_equal(&status.identity, &result.adopted));
    cr_assert(!id_equal(status.identity.database_id, s_pair.status.identity.database_id));
    cr_assert(status.epoch == 42 && result.epoch == 42 && result.lost == 0);
    cr_assert(status.head_index == 6 && id_equal(status.head_hash, s_pair.hash));
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT concat_ws('|', adopted_by, reason, head_index, "
                              "known_index, entries_lost, epoch) FROM ixn.adoption"),
                     "operator@host|moved to db-2|6|6|0|42");
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT concat_ws('|', e.owner, e.reason, e.first_index) "
                              "FROM ixn.epoch AS e JOIN ixn.pair AS p USING (epoch, "
                              "generation) JOIN ixn.checkpoint USING (generation)"),
                     "operator@host|adopted: moved to db-2|7");
    cr_assert(moves_lead(&status.moves, &adoption.previous, &status.identity, &move));
    cr_assert(move.known_index == 6 && move_is_fresh(&move, status.epoch, &status.instance));
    cr_assert(!moves_lead(&status.moves, &s_pair.status.identity, &status.identity, &move));
}

/* Whoever could write before cannot any more. */
Test(adoption, fences_who_served_from_it)
{
    adoption_result_t result;
    adoption_t adoption = s_adoption();
    pair_start(&s_pair);
    s_done(&adoption, &result);
    journal_event_t event;
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    pair_expect(&s_pair, JOURNAL_WRONG, &event);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT max(last_index) FROM ixn.journal"), "6");
}

Test(adoption, judges_without_a_trace)
{
    adoption_result_t result;
    adoption_t adoption = s_adoption();
    adoption.dry_run = true;
    s_done(&adoption, &result);
    cr_assert(result.epoch == 42 && result.lost == 0);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT count(*) FROM ixn.adoption"), "0");
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT epoch FROM ixn.pair"), "1");
}

Test(adoption, gives_up_exactly_what_is_named)
{
    adoption_result_t result;
    adoption_t adoption = s_adoption();
    adoption.places[1] = (place_t){106, id_random(), 1, s_pair.status.generation};
    adoption.places_len = 2;
    s_refused(&adoption, ERROR_DATABASE_DIVERGED, "with --accept-loss 100");
    adoption.accepts_loss = true;
    adoption.loss = 99;
    s_refused(&adoption, ERROR_DATABASE_DIVERGED,
              "100 entries would be lost, --accept-loss says 99");
    adoption.loss = 101;
    s_refused(&adoption, ERROR_DATABASE_DIVERGED, "--accept-loss says 101");
    adoption.loss = 100;
    s_done(&adoption, &result);
    cr_assert(result.lost == 100 && result.known_index == 106);
    cr_assert_str_eq(
        pair_ask(s_pair.pq, "SELECT known_index || ' ' || entries_lost FROM ixn.adoption"),
        "106 100");
    /* None is missing, but the operator expects that. */
    adoption = s_adoption();
    adoption.previous = result.adopted;
    adoption.epoch = 0;
    adoption.accepts_loss = true;
    adoption.loss = 1;
    s_refused(&adoption, ERROR_DATABASE_DIVERGED, "0 entries would be lost");
}

Test(adoption, refuses_a_log_that_has_parted)
{
    adoption_t adoption = s_adoption();
    adoption.accepts_loss = true;
    adoption.loss = 1;
    adoption.places[0].hash.bytes[3]++; /* another batch there */
    s_refused(&adoption, ERROR_DATABASE_DIVERGED, "at index 6 its journal has");
    adoption.places[0] = (place_t){5, s_pair.hash, 1, s_pair.status.generation}; /* within one */
    s_refused(&adoption, ERROR_DATABASE_DIVERGED, "at index 5 its journal has no batch");
    adoption = s_adoption();
    adoption.generation.bytes[0]++; /* the same number, claimed by somebody else */
    s_refused(&adoption, ERROR_DATABASE_DIVERGED, "somebody else served from it");
}

/* Where the journal no longer reaches back so far, the epochs tell. */
Test(adoption, judges_a_pruned_place_by_its_epoch)
{
    adoption_result_t result;
    adoption_t adoption = s_adoption();
    pair_ask(s_pair.pq, "DELETE FROM ixn.journal WHERE last_index < 6");
    adoption.places[0] = (place_t){2, id_random(), 1, id_random()};
    s_refused(&adoption, ERROR_DATABASE_DIVERGED, "at index 2 its journal has no batch");
    adoption.places[0].generation = s_pair.status.generation;
    s_done(&adoption, &result);
    cr_assert_eq(result.lost, 0);
}

Test(adoption, refuses_what_is_no_copy)
{
    adoption_t adoption = s_adoption();
    char id[ID_TEXT_SIZE];
    adoption.previous.database_id = id_random();
    adoption.accepts_loss = true;
    s_refused(&adoption, ERROR_DATABASE_WRONG, "it is no copy of the pair's database");
    s_refused(&adoption, ERROR_DATABASE_WRONG, id_text(adoption.previous.database_id, id));
    s_refused(&adoption, ERROR_DATABASE_WRONG, id_text(s_pair.status.identity.database_id, id));
    pair_ask(s_pair.pq, "INSERT INTO ixn.schema_migration (version, name) VALUES (99, 'later')");
    s_refused(&adoption, ERROR_DATABASE_SCHEMA, "version 99");
}

/* Two nodes with memories of their own, and a place that the first did not know. */
Test(adoption, is_repeated_where_more_is_known_to_be_lost)
{
    adoption_result_t first, second;
    database_status_t status;
    move_t move;
    error_t error = {0};
    adoption_t adoption = s_adoption();
    s_done(&adoption, &first);
    s_refused(&adoption, ERROR_DATABASE_REFUSED, "was adopted before");
    adoption.places[0].index = 9;
    s_refused(&adoption, ERROR_DATABASE_DIVERGED, "--accept-loss 3");
    adoption.accepts_loss = true;
    adoption.loss = 3;
    s_done(&adoption, &second);
    cr_assert(identity_equal(&second.previous, &first.adopted));
    cr_assert_eq(second.epoch, 43);
    /* Both memories lead to what it is now. */
    cr_assert(database_status(s_pair.database, NULL, &status, &error), "%s", error.text);
    cr_assert(moves_lead(&status.moves, &adoption.previous, &status.identity, &move));
    cr_assert(moves_lead(&status.moves, &first.adopted, &status.identity, &move));
    cr_assert_eq(move.known_index, 9);
    s_refused(&adoption, ERROR_DATABASE_REFUSED, "was adopted before");
    /* Somebody has served since: a node that comes later needs a word again. */
    s_pair.status = status;
    pair_claim(&s_pair);
    adoption.epoch = 0;
    adoption.highest_epoch = s_pair.status.epoch;
    s_done(&adoption, &second);
}

/* Who holds the fence is not ended, and not waited for. */
Test(adoption, gives_up_while_somebody_holds_the_row)
{
    adoption_t adoption = s_adoption();
    PGconn *other = pair_connect(&s_pair);
    pair_ask(other, "BEGIN");
    pair_ask(other, "SELECT 1 FROM ixn.pair FOR NO KEY UPDATE");
    s_refused(&adoption, ERROR_DATABASE_REFUSED, "lock timeout");
    PQfinish(other);
}

/* Nothing of a standby can be locked, so it is told before that is tried. */
Test(adoption, is_refused_on_a_standby)
{
    error_t error = {0};
    adoption_t adoption = s_adoption();
    pair_pretend(&s_pair, "pg_is_in_recovery()", "boolean", "true");
    database_destroy(&s_pair.database);
    s_pair.database = database_open(&s_pair.config, &error);
    s_refused(&adoption, ERROR_DATABASE_REFUSED, "reaches a standby, database ");
    pair_ask(s_pair.pq, "ALTER DATABASE %s SET default_transaction_read_only = on", s_pair.name);
    database_destroy(&s_pair.database);
    s_pair.database = database_open(&s_pair.config, &error);
    s_refused(&adoption, ERROR_DATABASE_REFUSED, "reaches a standby, database ");
}

/* The answer to the commit is lost: the history of epochs tells whether it happened. */
static void s_through_a_proxy(proxy_fault_t fault, bool done)
{
    error_t error = {0};
    adoption_result_t result;
    adoption_t adoption = s_adoption();
    proxy_t *proxy = proxy_new(pair_port());
    database_destroy(&s_pair.database);
    pair_set_proxy(&s_pair, 0, proxy_port(proxy));
    s_pair.database = database_open(&s_pair.config, &error);
    cr_assert(s_pair.database, "%s", error.text);
    proxy_arm(proxy, fault, "UPDATE ixn.checkpoint", "COMMIT");
    cr_assert_eq(adoption_perform(s_pair.database, &adoption, &result, &error), done);
    cr_assert(!proxy_is_armed(proxy));
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT count(*) FROM ixn.adoption"), done ? "1" : "0");
    if (!done)
        cr_assert(strstr(error.text, "; nothing was changed"), "%s", error.text);
    database_destroy(&s_pair.database);
    proxy_destroy(&proxy);
}

Test(adoption, whose_commit_was_not_answered_is_found)
{
    s_through_a_proxy(PROXY_LOSE_ANSWER, true);
}

Test(adoption, whose_commit_never_arrived_is_told)
{
    s_through_a_proxy(PROXY_LOSE_REQUEST, false);
}
