/* Claims: the next epoch, rivals, sessions in the way. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/database/pair_fixture.h"
#include "tests/database/proxy.h"

static pair_t s_pair;

static void s_init(void)
{
    pair_init(&s_pair);
}

static void s_free(void)
{
    pair_free(&s_pair);
}

TestSuite(claim, .init = s_init, .fini = s_free, .timeout = 300);

static database_claim_t s_claim(void)
{
    return (database_claim_t){
        .generation = id_random(), .owner = "node-b", .reason = "node-a died"};
}

Test(claim, takes_the_next_epoch)
{
    char id[ID_TEXT_SIZE];
    cr_assert_eq(s_pair.status.epoch, 1);
    pair_start(&s_pair);
    pair_commit(&s_pair);
    journal_destroy(&s_pair.journal);
    error_t error = {0};
    database_status_t judged;
    cr_assert(database_status(s_pair.database, NULL, &judged, &error), "%s", error.text);
    database_claim_t claim = s_claim();
    claim.highest_seen = 41;
    cr_assert(database_claim(s_pair.database, &judged, &claim, &s_pair.status, &error), "%s",
              error.text);
    cr_assert_eq(s_pair.status.epoch, 42);
    cr_assert(id_equal(s_pair.status.generation, claim.generation));
    cr_assert_str_eq(s_pair.status.owner, "node-b");
    cr_assert_eq(s_pair.status.head_index, 1);
    cr_assert(id_equal(s_pair.status.head_hash, s_pair.hash));
    id_text(claim.generation, id);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT generation FROM ixn.checkpoint"), id);
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT epoch || ' ' || owner || ' ' || first_index || ' ' "
                              "|| reason FROM ixn.epoch WHERE generation = '%s'",
                              id),
                     "42 node-b 2 node-a died");
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT count(*) FROM ixn.epoch"), "2");
    /* And the journal goes on under it. */
    pair_start(&s_pair);
    pair_commit(&s_pair);
}

Test(claim, is_on_disk_where_the_server_would_not_wait_for_that)
{
    pair_note_commits(&s_pair, "ixn.epoch", "off");
    database_destroy(&s_pair.database);
    s_pair.database = database_open(&s_pair.config, NULL);
    pair_claim(&s_pair);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT string_agg(setting, ' ') FROM noted"), "on");
}

Test(claim, of_what_is_no_longer_there_is_refused)
{
    database_status_t judged = s_pair.status;
    database_status_t status;
    error_t error = {0};
    pair_claim(&s_pair);
    database_claim_t claim = s_claim();
    cr_assert(!database_claim(s_pair.database, &judged, &claim, &status, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_FENCED);
    cr_assert(strstr(error.text, "epoch 1 was judged, but epoch 2"), "%s", error.text);
    judged = s_pair.status;
    judged.identity.database_oid++;
    cr_assert(!database_claim(s_pair.database, &judged, &claim, &status, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_WRONG);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT epoch FROM ixn.pair"), "2");
}

/* The head moved after it was judged: a reason to judge again for who asks so, and for nobody else.
 */
Test(claim, of_a_head_that_moved_is_refused_where_that_matters)
{
    char judged_hash[ID_TEXT_SIZE], found_hash[ID_TEXT_SIZE], text[400];
    database_status_t judged = s_pair.status;
    database_status_t status;
    error_t error = {0};
    pair_start(&s_pair);
    pair_commit(&s_pair);
    pair_commit(&s_pair);
    journal_destroy(&s_pair.journal);
    database_claim_t claim = s_claim();
    claim.with_head = true;
    cr_assert(!database_claim(s_pair.database, &judged, &claim, &status, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_FENCED);
    snprintf(text, sizeof text, "the head was judged to be index 0 (%s), but index 2 (%s) is there",
             id_text(judged.head_hash, judged_hash), id_text(s_pair.hash, found_hash));
    cr_assert(strstr(error.text, text), "%s", error.text);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT epoch FROM ixn.pair"), "1");
    /* The same index with another hash is another head. */
    judged.head_index = 2;
    cr_assert(!database_claim(s_pair.database, &judged, &claim, &status, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_FENCED);
    judged.head_hash = s_pair.hash;
    cr_assert(database_claim(s_pair.database, &judged, &claim, &status, &error), "%s", error.text);
    cr_assert(status.epoch == 2 && status.head_index == 2);
    /* Without: whatever the head was. */
    judged = status;
    judged.head_index = 0;
    claim = s_claim();
    cr_assert(database_claim(s_pair.database, &judged, &claim, &status, &error), "%s", error.text);
    cr_assert_eq(status.epoch, 3);
}

/* A batch that waits for the claim's lock, or that the claim waits for, is on one side of it. */
Test(claim, with_its_head_has_the_batch_that_it_waited_for)
{
    database_status_t judged = s_pair.status;
    database_status_t status;
    error_t error = {0};
    commit_t commit = {s_pair.status.identity, s_pair.status.epoch, s_pair.status.generation,
                       s_pair.status.instance};
    connection_t *writer = pair_connection(&s_pair);
    batch_t *batch = pair_batch(&s_pair, 1);
    PGresult *result = NULL;
    cr_assert(connection_command(writer, "BEGIN", &error), "%s", error.text);
    cr_assert(commit_send(&commit, writer, batch, 5000, &error), "%s", error.text);
    while (connection_step(writer, &result, &error) == CONNECTION_BUSY)
        connection_wait(writer, false, connection_deadline(writer));
    cr_assert(result && commit_inserted(result), "%s", error.text);
    PQclear(result);
    /* The claim ends the session that holds the lock: the batch is not in the head it compares. */
    database_claim_t claim = s_claim();
    claim.with_head = true;
    cr_assert(database_claim(s_pair.database, &judged, &claim, &status, &error), "%s", error.text);
    cr_assert_eq(status.head_index, 0);
    cr_assert(!connection_command(writer, "COMMIT", &error));
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT max(last_index) FROM ixn.journal"), "0");
    batch_destroy(&batch);
    connection_destroy(&writer);
}

/* A frozen primary: its session holds the lock and will never say another word. */
static void s_against_a_frozen_session(const char *lock)
{
    PGconn *frozen = pair_connect(&s_pair);
    error_t error = {0};
    pair_ask(frozen, "BEGIN; %s", lock);
    database_claim_t claim = s_claim();
    database_status_t judged = s_pair.status;
    usec_t started = connection_now();
    cr_assert(database_claim(s_pair.database, &judged, &claim, &s_pair.status, &error), "%s",
              error.text);
    cr_assert(connection_now() - started < 15 * USEC_PER_SECOND);
    PGresult *result = PQexec(frozen, "COMMIT");
    cr_assert_neq(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    PQfinish(frozen);
    fprintf(stderr, "measured: claim against a frozen session: %ld ms\n",
            (long)((connection_now() - started) / USEC_PER_MS));
}

Test(claim, ends_a_frozen_session_that_holds_the_pair)
{
    s_against_a_frozen_session("SELECT 1 FROM ixn.pair FOR NO KEY UPDATE");
}

Test(claim, ends_a_frozen_session_that_holds_the_checkpoint)
{
    s_against_a_frozen_session("UPDATE ixn.checkpoint SET written_at = now()");
}

Test(claim, ends_sessions_one_behind_the_other)
{
    PGconn *waiting = pair_connect(&s_pair);
    PGconn *frozen = pair_connect(&s_pair);
    error_t error = {0};
    pair_ask(frozen, "BEGIN; SELECT 1 FROM ixn.pair FOR NO KEY UPDATE");
    cr_assert(PQsendQuery(waiting, "SELECT 1 FROM ixn.pair FOR NO KEY UPDATE"));
    PQflush(waiting);
    pair_await(s_pair.pq, "1", PAIR_WAITING);
    database_claim_t claim = s_claim();
    database_status_t judged = s_pair.status;
    cr_assert(database_claim(s_pair.database, &judged, &claim, &s_pair.status, &error), "%s",
              error.text);
    PQfinish(waiting);
    PQfinish(frozen);
}

Test(claim, names_a_session_that_it_may_not_end)
{
    error_t error = {0};
    database_t *database = pair_open_as_ixn(&s_pair, 2000);
    pair_ask(s_pair.pq, "BEGIN; SELECT 1 FROM ixn.pair FOR UPDATE");
    database_claim_t claim = s_claim();
    database_status_t status;
    cr_assert(!database_claim(database, &s_pair.status, &claim, &status, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_REFUSED, "%s", error.text);
    cr_assert(strstr(error.text, "of role postgres") && strstr(error.text, "55P03"), "%s",
              error.text);
    pair_ask(s_pair.pq, "COMMIT");
    cr_assert(database_claim(database, &s_pair.status, &claim, &status, &error), "%s", error.text);
    database_destroy(&database);
}

/* The answer to the commit is lost: what is in the row tells whether it happened. */
static void s_through_a_proxy(proxy_fault_t fault, bool done)
{
    error_t error = {0};
    database_status_t status;
    database_claim_t claim = s_claim();
    proxy_t *proxy = proxy_new(pair_port());
    database_destroy(&s_pair.database);
    pair_set_proxy(&s_pair, 0, proxy_port(proxy));
    s_pair.database = database_open(&s_pair.config, &error);
    cr_assert(s_pair.database, "%s", error.text);
    proxy_arm(proxy, fault, "UPDATE ixn.checkpoint", "COMMIT");
    cr_assert_eq(database_claim(s_pair.database, &s_pair.status, &claim, &status, &error), done);
    cr_assert(!proxy_is_armed(proxy));
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT epoch FROM ixn.pair"), done ? "2" : "1");
    if (done)
        cr_assert(status.epoch == 2 && id_equal(status.generation, claim.generation));
    else
        cr_assert_eq(error.code, ERROR_DATABASE_UNREACHABLE);
    database_destroy(&s_pair.database);
    proxy_destroy(&proxy);
}

Test(claim, whose_commit_was_not_answered_is_found)
{
    s_through_a_proxy(PROXY_LOSE_ANSWER, true);
}

Test(claim, whose_commit_never_arrived_is_told)
{
    s_through_a_proxy(PROXY_LOSE_REQUEST, false);
}

enum { RIVALS = 8 };

typedef struct {
    database_status_t judged;
    id128_t generation;
    bool done;
} rival_t;

static void *s_rival(void *arguments)
{
    rival_t *self = arguments;
    error_t error = {0};
    database_status_t status;
    database_claim_t claim = s_claim();
    self->generation = claim.generation;
    database_t *database = database_open(&s_pair.config, &error);
    self->done = database && database_claim(database, &self->judged, &claim, &status, &error);
    database_destroy(&database);
    return NULL;
}

Test(claim, of_many_at_once_exactly_one_wins)
{
    rival_t rivals[RIVALS];
    pthread_t threads[RIVALS];
    int winners = 0;
    for (int i = 0; i < RIVALS; i++) {
        rivals[i] = (rival_t){.judged = s_pair.status};
        pthread_create(&threads[i], NULL, s_rival, &rivals[i]);
    }
    for (int i = 0; i < RIVALS; i++)
        pthread_join(threads[i], NULL);
    cr_assert(database_status(s_pair.database, NULL, &s_pair.status, NULL));
    for (int i = 0; i < RIVALS; i++) {
        winners += rivals[i].done;
        cr_assert_eq(rivals[i].done, id_equal(rivals[i].generation, s_pair.status.generation));
    }
    cr_assert_eq(winners, 1);
    cr_assert_eq(s_pair.status.epoch, 2);
}

Test(claim, works_through_a_transaction_pooler)
{
    const char *pooler = getenv("IXN_TEST_POOLER");
    error_t error = {0};
    if (!pooler)
        cr_skip_test("IXN_TEST_POOLER is not set");
    database_destroy(&s_pair.database);
    pair_set_dap(&s_pair, 0, pooler);
    s_pair.database = database_open(&s_pair.config, &error);
    cr_assert(s_pair.database, "%s", error.text);
    for (int i = 0; i < 5; i++)
        pair_claim(&s_pair);
    s_against_a_frozen_session("SELECT 1 FROM ixn.pair FOR NO KEY UPDATE");
}
