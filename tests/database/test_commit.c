/* The statement that commits a batch, in two sessions at once: every order in which a batch and a
 * claim, or two batches, can meet. These are the facts that the fence stands on.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/database/pair_fixture.h"

static pair_t s_pair;
static commit_t s_commit;

static void s_init(void)
{
    pair_init(&s_pair);
    s_commit = (commit_t){s_pair.status.identity, s_pair.status.epoch, s_pair.status.generation,
                          s_pair.status.instance};
}

static void s_free(void)
{
    pair_free(&s_pair);
}

TestSuite(commit, .init = s_init, .fini = s_free, .timeout = 300);

/* Two batches that both continue the head; the second has `entries`. */
static void s_rivals(uint64_t entries, batch_t **ret_first, batch_t **ret_second)
{
    uint64_t index = s_pair.index;
    id128_t hash = s_pair.hash;
    *ret_first = pair_batch(&s_pair, 1);
    s_pair.index = index;
    s_pair.hash = hash;
    *ret_second = pair_batch(&s_pair, entries);
}

/* A session whose statement can be left unfinished. */
typedef struct {
    connection_t *connection;
    PGresult *result;
    error_t error;
} session_t;

static void s_command(session_t *self, const char *sql)
{
    if (!self->connection)
        self->connection = pair_connection(&s_pair);
    cr_assert(connection_command(self->connection, sql, &self->error), "%s", self->error.text);
}

static void s_send(session_t *self, const batch_t *batch)
{
    if (!self->connection)
        self->connection = pair_connection(&s_pair);
    cr_assert(connection_open(self->connection, &self->error), "%s", self->error.text);
    cr_assert(commit_send(&s_commit, self->connection, batch, 20000, &self->error));
}

static bool s_finish(session_t *self)
{
    connection_step_t step;
    while ((step = connection_step(self->connection, &self->result, &self->error)) ==
           CONNECTION_BUSY)
        connection_wait(self->connection, false, connection_deadline(self->connection));
    return step == CONNECTION_DONE;
}

static void s_close(session_t *self)
{
    PQclear(self->result);
    connection_destroy(&self->connection);
}

static void s_expect_head(const char *head)
{
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT string_agg(first_index || '-' || last_index, ' ' "
                              "ORDER BY last_index) FROM ixn.journal"),
                     head);
}

static commit_verdict_t s_verdict(session_t *self, const batch_t *batch, error_t *ret_error)
{
    session_t question = {.connection = self->connection};
    cr_assert(commit_send_question(question.connection, batch, 5000, &question.error));
    cr_assert(s_finish(&question), "%s", question.error.text);
    commit_verdict_t verdict = commit_judge(&s_commit, "dap-1", batch, question.result, ret_error);
    PQclear(question.result);
    return verdict;
}

/* A claim, up to its commit, that takes the weakest lock a change of the row can take. */
static void s_claim_without_commit(void)
{
    pair_ask(s_pair.pq,
             "BEGIN; UPDATE ixn.pair SET epoch = epoch + 1, generation = gen_random_uuid()");
}

Test(commit, that_waits_for_a_claim_inserts_nothing)
{
    session_t session = {0};
    batch_t *batch = pair_batch(&s_pair, 1);
    error_t error = {0};
    s_claim_without_commit();
    s_send(&session, batch);
    PGconn *other = pair_connect(&s_pair);
    pair_await(other, "1", PAIR_WAITING);
    pair_ask(s_pair.pq, "COMMIT");
    cr_assert(s_finish(&session), "%s", session.error.text);
    cr_assert(!commit_inserted(session.result));
    cr_assert_eq(s_verdict(&session, batch, &error), COMMIT_FENCED);
    s_expect_head("0-0");
    PQfinish(other);
    s_close(&session);
    batch_destroy(&batch);
}

Test(commit, that_waits_for_a_claim_that_is_given_up_inserts)
{
    session_t session = {0};
    batch_t *batch = pair_batch(&s_pair, 1);
    s_claim_without_commit();
    s_send(&session, batch);
    PGconn *other = pair_connect(&s_pair);
    pair_await(other, "1", PAIR_WAITING);
    pair_ask(s_pair.pq, "ROLLBACK");
    cr_assert(s_finish(&session), "%s", session.error.text);
    cr_assert(commit_inserted(session.result));
    s_expect_head("0-0 1-1");
    PQfinish(other);
    s_close(&session);
    batch_destroy(&batch);
}

typedef struct {
    database_t *database;
    database_status_t judged;
    database_status_t status;
    bool done;
    error_t error;
} claiming_t;

static void *s_claim(void *arguments)
{
    claiming_t *self = arguments;
    database_claim_t claim = {.generation = id_random(), .owner = "node-b", .reason = "test"};
    self->done = database_claim(self->database, &self->judged, &claim, &self->status, &self->error);
    return NULL;
}

/* The claim is made by another role than the session in its way, so that it must wait for it. */
Test(commit, in_flight_is_waited_for_by_a_claim_that_sees_its_head)
{
    session_t session = {0};
    batch_t *batch = pair_batch(&s_pair, 3);
    claiming_t claiming = {.judged = s_pair.status, .database = pair_open_as_ixn(&s_pair, 5000)};
    pthread_t thread;
    s_command(&session, "BEGIN");
    s_send(&session, batch);
    cr_assert(s_finish(&session) && commit_inserted(session.result));
    pthread_create(&thread, NULL, s_claim, &claiming);
    pair_await(s_pair.pq, "1", PAIR_WAITING);
    s_command(&session, "COMMIT");
    pthread_join(thread, NULL);
    cr_assert(claiming.done, "%s", claiming.error.text);
    database_destroy(&claiming.database);
    cr_assert_eq(claiming.status.head_index, 3);
    cr_assert(id_equal(claiming.status.head_hash, batch->hash));
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT first_index FROM ixn.epoch ORDER BY epoch DESC"),
                     "4");
    s_close(&session);
    batch_destroy(&batch);
}

/* Two sessions with the same generation, which only a statement that was cut off can bring about.
 */
static void s_race(uint64_t entries, const char *end, bool inserts, const char *head)
{
    batch_t *first;
    batch_t *second;
    session_t a = {0};
    session_t b = {0};
    s_rivals(entries, &first, &second);
    s_command(&a, "BEGIN");
    s_send(&a, first);
    cr_assert(s_finish(&a) && commit_inserted(a.result), "%s", a.error.text);
    s_send(&b, second);
    pair_await(s_pair.pq, "1", PAIR_WAITING);
    s_command(&a, end);
    bool done = s_finish(&b);
    cr_assert_eq(done && commit_inserted(b.result), inserts, "%s", b.error.text);
    if (!done)
        cr_assert_str_eq(connection_sqlstate(b.connection), "23505");
    s_expect_head(head);
    error_t error = {0};
    if (!inserts)
        cr_assert_eq(s_verdict(&b, second, &error), entries == 1 ? COMMIT_THERE : COMMIT_DIVERGED);
    s_close(&a);
    s_close(&b);
    batch_destroy(&first);
    batch_destroy(&second);
}

Test(commit, of_the_same_batch_twice_inserts_once)
{
    s_race(1, "COMMIT", false, "0-0 1-1");
}

/* The one that waited still sees the old head: only the journal's own key stops it. */
Test(commit, of_a_rival_batch_does_not_fork_the_chain)
{
    s_race(2, "COMMIT", false, "0-0 1-1");
}

Test(commit, after_one_that_was_rolled_back_inserts)
{
    s_race(2, "ROLLBACK", true, "0-0 1-2");
}

Test(commit, needs_identity_epoch_generation_and_head)
{
    error_t error = {0};
    batch_t *batch = pair_batch(&s_pair, 1);
    const commit_t good = s_commit;
    for (int wrong = 0; wrong < 7; wrong++) {
        session_t session = {0};
        batch_t *sent = batch;
        commit_verdict_t expected = COMMIT_WRONG;
        s_commit = good;
        if (wrong == 0)
            s_commit.identity.database_id.bytes[3] ^= 1;
        if (wrong == 1)
            s_commit.identity.system_identifier ^= 1;
        if (wrong == 2)
            s_commit.identity.database_oid++;
        if (wrong == 3 || wrong == 4)
            expected = COMMIT_FENCED;
        if (wrong == 3)
            s_commit.epoch++;
        if (wrong == 4)
            s_commit.generation.bytes[3] ^= 1;
        if (wrong == 5) {
            expected = COMMIT_DIVERGED;
            sent = pair_batch(&s_pair, 1); /* continues `batch`, which is not there */
        }
        if (wrong == 6)
            expected = COMMIT_CLEAR;
        s_send(&session, sent);
        cr_assert(s_finish(&session), "%d: %s", wrong, session.error.text);
        cr_assert_eq(commit_inserted(session.result), wrong == 6, "%d", wrong);
        if (wrong < 6) {
            cr_assert_eq(s_verdict(&session, sent, &error), expected, "%d: %s", wrong, error.text);
            s_expect_head("0-0");
        }
        if (sent != batch)
            batch_destroy(&sent);
        s_close(&session);
    }
    s_expect_head("0-0 1-1");
    batch_destroy(&batch);
}

Test(commit, locks_nothing_but_its_own_pair)
{
    batch_t *batch = pair_batch(&s_pair, 1);
    session_t session = {0};
    s_commit.identity.database_oid++;
    pair_ask(s_pair.pq, "BEGIN; SELECT 1 FROM ixn.pair FOR UPDATE");
    s_send(&session, batch);
    cr_assert(s_finish(&session), "%s", session.error.text);
    cr_assert(!commit_inserted(session.result));
    pair_ask(s_pair.pq, "COMMIT");
    s_close(&session);
    batch_destroy(&batch);
}

/* A long reader (a dump) keeps nothing waiting and costs no dead rows: the fence changes nothing.
 */
Test(commit, goes_on_under_a_long_reader)
{
    PGconn *reader = pair_connect(&s_pair);
    pair_ask(reader, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM ixn.journal");
    pair_start(&s_pair);
    for (int i = 0; i < 100; i++)
        pair_commit(&s_pair);
    cr_assert_str_eq(pair_ask(reader, "SELECT count(*) FROM ixn.journal"), "1");
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT pg_relation_size('ixn.pair') <= 8192"), "t");
    PQfinish(reader);
}
