/* Skip: an entry of the log that an operator passes over; what it costs, and what is refused
 * without a trace. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/wire/wire.h"
#include "dap/skip.h"
#include "tests/database/pair_fixture.h"
#include "tests/database/proxy.h"

static pair_t s_pair;
static char s_generation[ID_TEXT_SIZE]; /* before anybody skipped */
static char s_hash[ID_TEXT_SIZE];       /* of the batch that ends at 4 */

/* Two entries that the program knows by name. */
static batch_t *s_readable(void)
{
    Ixn__V1__EpochStarted started = IXN__V1__EPOCH_STARTED__INIT;
    Ixn__V1__Beat beat = IXN__V1__BEAT__INIT;
    Ixn__V1__Entry entries[2] = {IXN__V1__ENTRY__INIT, IXN__V1__ENTRY__INIT};
    Ixn__V1__Entry *list[2] = {&entries[0], &entries[1]};
    Ixn__V1__Batch body = IXN__V1__BATCH__INIT;
    uint8_t packed[64];
    entries[0].body_case = IXN__V1__ENTRY__BODY_EPOCH_STARTED;
    entries[0].epoch_started = &started;
    entries[1].body_case = IXN__V1__ENTRY__BODY_BEAT;
    entries[1].beat = &beat;
    body.entries = list;
    body.n_entries = 2;
    size_t len = ixn__v1__batch__pack(&body, packed);
    batch_t *batch = batch_new(s_pair.status.epoch, s_pair.index + 1, s_pair.index + 2, s_pair.hash,
                               1000, 1767225600123456, (text_t){(const char *)packed, len});
    s_pair.index = batch->last;
    s_pair.hash = batch->hash;
    id_text(batch->hash, s_hash);
    return batch;
}

/* Six entries in batches that end at 2, 4 and 6; the tables have the first batch. */
static void s_init(void)
{
    pair_init(&s_pair);
    pair_start(&s_pair);
    for (int i = 0; i < 3; i++) {
        journal_event_t event;
        journal_append(s_pair.journal, i == 1 ? s_readable() : pair_batch(&s_pair, 2));
        pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    }
    journal_destroy(&s_pair.journal);
    pair_ask(s_pair.pq,
             "UPDATE ixn.checkpoint SET index = 2, hash = (SELECT hash FROM ixn.journal"
             " WHERE last_index = 2)");
    id_text(s_pair.status.generation, s_generation);
}

static void s_free(void)
{
    pair_free(&s_pair);
}

TestSuite(skip, .init = s_init, .fini = s_free, .timeout = 60);

static skip_t s_skip(uint64_t index)
{
    return (skip_t){.index = index, .reason = "it crashes 1.2", .by = "operator@host"};
}

/* All that a skip may touch. */
static const char s_all[] =
    "SELECT md5(concat((SELECT string_agg(p::text, ',') FROM ixn.pair AS p),"
    " (SELECT string_agg(e::text, ',' ORDER BY epoch) FROM ixn.epoch AS e),"
    " (SELECT string_agg(c::text, ',') FROM ixn.checkpoint AS c),"
    " (SELECT string_agg(j::text, ',' ORDER BY last_index) FROM ixn.journal AS j),"
    " (SELECT string_agg(s::text, ',' ORDER BY index) FROM ixn.skip AS s)))";

/* Refused with these words; and nothing was changed. */
static void s_refused(const skip_t *skip, const char *words)
{
    char before[64];
    skip_result_t result;
    error_t error = {0};
    snprintf(before, sizeof before, "%s", pair_ask(s_pair.pq, s_all));
    cr_assert(!skip_perform(s_pair.database, skip, &result, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_REFUSED, "%s", error.text);
    cr_assert(strstr(error.text, words), "%s", error.text);
    cr_assert_str_eq(pair_ask(s_pair.pq, s_all), before);
}

static void s_done(const skip_t *skip, skip_result_t *result)
{
    error_t error = {0};
    cr_assert(skip_perform(s_pair.database, skip, result, &error), "%s", error.text);
}

static void s_expect_one_skip(void)
{
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT string_agg(concat_ws('|', index, batch_epoch, batch_hash,"
                              " epoch, reason, skipped_by), ' ') = '4|1|%s|2|it crashes 1.2|"
                              "operator@host' FROM ixn.skip",
                              s_hash),
                     "t");
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT count(*) FROM ixn.epoch"), "2");
}

Test(skip, is_recorded_and_begins_an_epoch)
{
    char hash[ID_TEXT_SIZE];
    skip_result_t result;
    database_status_t status;
    error_t error = {0};
    skip_t skip = s_skip(4);
    s_done(&skip, &result);
    cr_assert(result.first == 3 && result.last == 4 && result.batch_epoch == 1);
    cr_assert_str_eq(id_text(result.batch_hash, hash), s_hash);
    cr_assert_str_eq(result.what, "beat");
    cr_assert(result.epoch == 2 && result.before.epoch == 1);
    s_expect_one_skip();
    /* A claim of nobody's: the row, the history and the checkpoint have the new generation. */
    cr_assert_str_eq(
        pair_ask(s_pair.pq,
                 "SELECT concat_ws('|', e.epoch, e.owner, e.first_index, e.reason) FROM ixn.epoch"
                 " AS e JOIN ixn.pair AS p USING (epoch, generation, owner) JOIN ixn.checkpoint"
                 " USING (generation) WHERE generation <> '%s'",
                 s_generation),
        "2|operator@host|7|skipped entry 4: it crashes 1.2");
    /* The journal and its chain are as they were. */
    cr_assert(database_status(s_pair.database, NULL, &status, &error), "%s", error.text);
    cr_assert(status.head_index == 6 && id_equal(status.head_hash, s_pair.hash));
    cr_assert_eq(status.skips, 1);
}

Test(skip, is_on_disk_where_the_server_would_not_wait_for_that)
{
    skip_result_t result;
    skip_t skip = s_skip(4);
    pair_note_commits(&s_pair, "ixn.skip", "off");
    database_destroy(&s_pair.database);
    s_pair.database = database_open(&s_pair.config, NULL);
    s_done(&skip, &result);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT string_agg(setting, ' ') FROM noted"), "on");
}

Test(skip, fences_who_has_applied_the_entry)
{
    skip_result_t result;
    journal_event_t event;
    skip_t skip = s_skip(4);
    pair_start(&s_pair);
    s_done(&skip, &result);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    pair_expect(&s_pair, JOURNAL_FENCED, &event);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT max(last_index) FROM ixn.journal"), "6");
}

Test(skip, begins_an_epoch_beyond_all_that_was_heard)
{
    skip_result_t result;
    skip_t skip = s_skip(3);
    skip.highest_epoch = 41;
    s_done(&skip, &result);
    cr_assert_eq(result.epoch, 42);
    cr_assert_str_eq(result.what, "epoch_started");
    skip = s_skip(5); /* and the next one in its place, although nobody has heard of that */
    s_done(&skip, &result);
    cr_assert_eq(result.epoch, 43);
    cr_assert_str_eq(result.what, "unknown"); /* bytes that are no batch */
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT string_agg(index || ':' || epoch, ' ' ORDER BY"
                              " index) FROM ixn.skip"),
                     "3:42 5:43");
}

Test(skip, judges_without_a_trace)
{
    skip_result_t result;
    char before[64];
    skip_t skip = s_skip(4);
    skip.dry_run = true;
    snprintf(before, sizeof before, "%s", pair_ask(s_pair.pq, s_all));
    s_done(&skip, &result);
    cr_assert(result.epoch == 2 && result.first == 3);
    cr_assert_str_eq(pair_ask(s_pair.pq, s_all), before);
    skip.index = 2;
    s_refused(&skip, "entry 2 is in the tables already");
}

Test(skip, is_refused_for_what_is_in_the_tables)
{
    skip_result_t result;
    skip_t skip = s_skip(2);
    s_refused(&skip, "entry 2 is in the tables already (the checkpoint is at 2)");
    skip.index = 3;
    s_done(&skip, &result);
}

Test(skip, is_refused_for_what_is_not_there)
{
    skip_t skip = s_skip(7);
    s_refused(&skip, "holds no entry 7: its head is index 6");
    skip.index = UINT64_MAX / 2;
    s_refused(&skip, "holds no entry 9223372036854775807");
    /* A hole, as only a hand can make one: the next batch is not this entry's. */
    pair_ask(s_pair.pq, "DELETE FROM ixn.journal WHERE last_index = 4");
    skip.index = 4;
    s_refused(&skip, "holds no entry 4");
}

Test(skip, is_refused_twice)
{
    skip_result_t result;
    skip_t skip = s_skip(4);
    s_done(&skip, &result);
    s_refused(&skip, "entry 4 is skipped already (table ixn.skip)");
}

/* Who holds a row is not ended, and not waited for. */
static void s_held(const char *lock)
{
    skip_t skip = s_skip(4);
    PGconn *other = pair_connect(&s_pair);
    pair_ask(other, "BEGIN");
    pair_ask(other, "%s", lock);
    s_refused(&skip, "lock timeout");
    pair_ask(other, "COMMIT");
    PQfinish(other);
}

Test(skip, gives_up_while_somebody_holds_the_pair)
{
    s_held("SELECT 1 FROM ixn.pair FOR NO KEY UPDATE");
}

/* A checkpoint on its way may pass the entry. */
Test(skip, gives_up_while_somebody_writes_the_checkpoint)
{
    s_held("UPDATE ixn.checkpoint SET index = 2");
}

static void *s_perform(void *arguments)
{
    error_t *error = arguments;
    skip_result_t result;
    skip_t skip = s_skip(4);
    database_t *database = database_open(&s_pair.config, error);
    bool done = database && skip_perform(database, &skip, &result, error);
    database_destroy(&database);
    return done ? error : NULL;
}

/* What it waited for is judged as it is afterwards. */
Test(skip, sees_the_checkpoint_that_it_waited_for)
{
    error_t error = {0};
    pthread_t thread;
    void *done;
    PGconn *other = pair_connect(&s_pair);
    pair_ask(other, "BEGIN");
    pair_ask(other, "UPDATE ixn.checkpoint SET index = 4");
    pthread_create(&thread, NULL, s_perform, &error);
    pair_await(s_pair.pq, "1", PAIR_WAITING);
    pair_ask(other, "COMMIT");
    pthread_join(thread, &done);
    cr_assert(!done && strstr(error.text, "the checkpoint is at 4"), "%s", error.text);
    PQfinish(other);
}

/* A batch on its way lands before the new epoch, or never. */
Test(skip, sees_the_batch_that_it_waited_for)
{
    error_t error = {0};
    pthread_t thread;
    void *done;
    PGconn *other = pair_connect(&s_pair);
    pair_ask(other, "BEGIN");
    pair_ask(other, "SELECT 1 FROM ixn.pair FOR NO KEY UPDATE");
    pair_ask(other,
             "INSERT INTO ixn.journal (last_index, first_index, epoch, previous_hash, hash,"
             " log_time_us, decided_at, entries) SELECT 9, 7, 1, hash, gen_random_uuid(),"
             " 1000, now(), '' FROM ixn.journal WHERE last_index = 6");
    pthread_create(&thread, NULL, s_perform, &error);
    pair_await(s_pair.pq, "1", PAIR_WAITING);
    pair_ask(other, "COMMIT");
    pthread_join(thread, &done);
    cr_assert(done, "%s", error.text);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT first_index FROM ixn.epoch WHERE epoch = 2"),
                     "10");
    PQfinish(other);
}

/* Nothing of a standby can be locked, so it is told before that is tried. */
Test(skip, is_refused_on_a_standby)
{
    error_t error = {0};
    skip_t skip = s_skip(4);
    pair_pretend(&s_pair, "pg_is_in_recovery()", "boolean", "true");
    database_destroy(&s_pair.database);
    s_pair.database = database_open(&s_pair.config, &error);
    s_refused(&skip, "reaches a standby, database ");
    pair_ask(s_pair.pq, "ALTER DATABASE %s SET default_transaction_read_only = on", s_pair.name);
    database_destroy(&s_pair.database);
    s_pair.database = database_open(&s_pair.config, &error);
    s_refused(&skip, "reaches a standby, database ");
}

/* ---- A lost answer to the COMMIT ---- */

static void s_open_through(proxy_t *proxy, uint32_t statement_timeout_ms)
{
    error_t error = {0};
    database_destroy(&s_pair.database);
    pair_set_proxy(&s_pair, 0, proxy_port(proxy));
    s_pair.config.statement_timeout_ms = statement_timeout_ms;
    s_pair.database = database_open(&s_pair.config, &error);
    cr_assert(s_pair.database, "%s", error.text);
}

/* Its answer is lost: the database tells whether it happened. */
Test(skip, whose_commit_was_not_answered_is_found)
{
    skip_result_t result;
    skip_t skip = s_skip(4);
    proxy_t *proxy = proxy_new(pair_port());
    s_open_through(proxy, 5000);
    proxy_arm(proxy, PROXY_LOSE_ANSWER, "UPDATE ixn.checkpoint", "COMMIT");
    s_done(&skip, &result);
    cr_assert(!proxy_is_armed(proxy));
    cr_assert_eq(result.epoch, 2);
    s_expect_one_skip();
    database_destroy(&s_pair.database);
    proxy_destroy(&proxy);
}

Test(skip, whose_commit_never_arrived_is_told_and_may_be_said_again)
{
    error_t error = {0};
    skip_result_t result;
    skip_t skip = s_skip(4);
    proxy_t *proxy = proxy_new(pair_port());
    s_open_through(proxy, 5000);
    proxy_arm(proxy, PROXY_LOSE_REQUEST, "UPDATE ixn.checkpoint", "COMMIT");
    cr_assert(!skip_perform(s_pair.database, &skip, &result, &error));
    cr_assert(!proxy_is_armed(proxy));
    cr_assert_eq(error.code, ERROR_DATABASE_UNREACHABLE);
    cr_assert(strstr(error.text, "; nothing was changed"), "%s", error.text);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT count(*) FROM ixn.skip"), "0");
    s_done(&skip, &result);
    s_expect_one_skip();
    database_destroy(&s_pair.database);
    proxy_destroy(&proxy);
}

/* Somebody has claimed before the question was asked: what is in the pair's row says nothing of it,
 * and the epoch that was begun is still in the history. */
Test(skip, is_found_behind_a_claim_that_came_after_it)
{
    skip_result_t result;
    skip_t skip = s_skip(4);
    proxy_t *proxy = proxy_new(pair_port());
    pair_ask(s_pair.pq,
             "CREATE FUNCTION ixn.claim() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
             " UPDATE ixn.pair SET epoch = epoch + 1, generation = gen_random_uuid();"
             " RETURN NULL; END $$;"
             " CREATE CONSTRAINT TRIGGER claimed AFTER INSERT ON ixn.skip DEFERRABLE INITIALLY"
             " DEFERRED FOR EACH ROW EXECUTE FUNCTION ixn.claim()");
    s_open_through(proxy, 5000);
    proxy_arm(proxy, PROXY_LOSE_ANSWER, "UPDATE ixn.checkpoint", "COMMIT");
    s_done(&skip, &result);
    cr_assert(!proxy_is_armed(proxy));
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT epoch FROM ixn.pair"), "3");
    database_destroy(&s_pair.database);
    proxy_destroy(&proxy);
}

/* The COMMIT is still under way when its answer is given up: the question waits for its end. Here
 * it takes until another session, which the test holds, lets go. */
Test(skip, whose_commit_takes_long_is_waited_for)
{
    error_t error = {0};
    pthread_t thread;
    void *done;
    proxy_t *proxy = proxy_new(pair_port());
    pair_ask(s_pair.pq,
             "CREATE FUNCTION ixn.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
             " PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;"
             " CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON ixn.skip DEFERRABLE INITIALLY"
             " DEFERRED FOR EACH ROW EXECUTE FUNCTION ixn.slow()");
    PGconn *other = pair_connect(&s_pair);
    pair_ask(other, "SELECT pg_advisory_lock(1)");
    s_open_through(proxy, 1500);
    proxy_arm(proxy, PROXY_FREEZE, "UPDATE ixn.checkpoint", "COMMIT");
    pthread_create(&thread, NULL, s_perform, &error);
    pair_await(s_pair.pq, "2", PAIR_WAITING); /* the COMMIT, and the question behind it */
    PQfinish(other);
    pthread_join(thread, &done);
    cr_assert(done, "%s", error.text);
    s_expect_one_skip();
    database_destroy(&s_pair.database);
    proxy_destroy(&proxy);
}

/* Nobody can tell: that is said, with what to look for. */
Test(skip, whose_outcome_cannot_be_found_says_so)
{
    char generation[ID_TEXT_SIZE];
    error_t error = {0};
    skip_result_t result;
    skip_t skip = s_skip(4);
    proxy_t *proxy = proxy_new(pair_port());
    s_open_through(proxy, 500);
    pair_ask(s_pair.pq,
             "CREATE FUNCTION ixn.never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
             " PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;"
             " CREATE CONSTRAINT TRIGGER never AFTER INSERT ON ixn.skip DEFERRABLE INITIALLY"
             " DEFERRED FOR EACH ROW EXECUTE FUNCTION ixn.never()");
    PGconn *other = pair_connect(&s_pair);
    pair_ask(other, "SELECT pg_advisory_lock(1)");
    cr_assert(!skip_perform(s_pair.database, &skip, &result, &error));
    cr_assert(strstr(error.text, "whether it was done is not known"), "%s", error.text);
    PQfinish(other);
    pair_await(s_pair.pq, "1", "SELECT count(*) FROM ixn.skip");
    snprintf(generation, sizeof generation, "%s",
             pair_ask(s_pair.pq, "SELECT generation FROM ixn.epoch WHERE epoch = 2"));
    cr_assert(strstr(error.text, generation), "%s", error.text);
    database_destroy(&s_pair.database);
    proxy_destroy(&proxy);
}
