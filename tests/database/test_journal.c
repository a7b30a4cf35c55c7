/* The journal lane against a real server: order, outages, other databases, lost answers. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/limits.h"
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

TestSuite(journal, .init = s_init, .fini = s_free, .timeout = 300);

static void s_count(const char *expected)
{
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT count(*) FROM ixn.journal"), expected);
}

Test(journal, commits_batches_in_order_as_they_are)
{
    pair_start(&s_pair);
    for (uint64_t i = 0; i < 50; i++)
        journal_append(s_pair.journal, pair_batch(&s_pair, i % 7 + 1));
    uint64_t seen = 0;
    while (seen < s_pair.index) {
        journal_event_t event;
        pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
        cr_assert(event.index > seen && event.clean && event.elapsed > 0);
        seen = event.index;
    }
    s_count("51");
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT count(*) FROM ixn.journal AS a JOIN ixn.journal "
                              "AS b ON b.first_index = a.last_index + 1 AND "
                              "b.previous_hash = a.hash"),
                     "50");
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT encode(entries, 'hex') || ' ' || "
                              "(extract(epoch FROM decided_at) * 1000000)::bigint || ' ' || epoch "
                              "|| ' ' || (committed_at > now() - interval '1 minute') "
                              "FROM ixn.journal WHERE last_index = 1"),
                     "0a00fffe20656e747269657300 1767225600123456 1 true");
}

/* A session's first batch is not prepared, the others are. */
Test(journal, is_on_disk_where_the_server_would_not_wait_for_that)
{
    pair_note_commits(&s_pair, "ixn.journal", "local");
    pair_start(&s_pair);
    pair_commit(&s_pair);
    journal_destroy(&s_pair.journal);
    pair_note_commits(&s_pair, "ixn.journal", "off");
    pair_start(&s_pair);
    for (int i = 0; i < 3; i++)
        pair_commit(&s_pair);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT string_agg(setting, ' ') FROM noted"),
                     "local on on on");
}

/* More than a socket takes at once. */
Test(journal, a_large_batch_is_sent_to_its_end)
{
    journal_event_t event;
    pair_start(&s_pair);
    char *bytes = memory_zero(1, LIMIT_BATCH);
    batch_t *batch = batch_new(s_pair.status.epoch, s_pair.index + 1, s_pair.index + 1, s_pair.hash,
                               1000, 1767225600123456, (text_t){bytes, LIMIT_BATCH});
    free(bytes);
    s_pair.index = batch->last;
    s_pair.hash = batch->hash;
    journal_append(s_pair.journal, batch);
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert(event.clean);
    pair_commit(&s_pair);
    s_count("3");
}

Test(journal, waits_for_a_locked_row_and_says_so_once)
{
    s_pair.config.statement_timeout_ms = 2000;
    pair_start(&s_pair);
    pair_commit(&s_pair);
    pair_ask(s_pair.pq, "BEGIN; SELECT 1 FROM ixn.pair FOR UPDATE");
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    journal_event_t event;
    pair_expect(&s_pair, JOURNAL_WAITING, &event);
    cr_assert_eq(event.error.code, ERROR_DATABASE_UNREACHABLE);
    cr_assert(strstr(event.error.text, "DAP dap-1: no answer within 2000 ms"), "%s",
              event.error.text);
    /* Several attempts wait in the server by now; one of them may take it. */
    PGconn *other = pair_connect(&s_pair);
    pair_await(other, "t",
               "SELECT count(*) >= 3 FROM pg_stat_activity WHERE datname = current_database() AND "
               "wait_event_type = 'Lock'");
    pair_ask(s_pair.pq, "COMMIT");
    pair_expect(&s_pair, JOURNAL_RESUMED, &event);
    cr_assert_eq(event.index, 2);
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.index, 2);
    pair_commit(&s_pair);
    s_count("4");
    PQfinish(other);
}

Test(journal, finds_a_batch_whose_answer_was_lost)
{
    pair_start(&s_pair);
    pair_commit(&s_pair);
    /* Another session is about to insert the same batch, as a statement of the lane would that was
     * cut off; the lane's own waits for its lock. */
    batch_t *batch = pair_batch(&s_pair, 2);
    commit_t commit = {s_pair.status.identity, s_pair.status.epoch, s_pair.status.generation,
                       s_pair.status.instance};
    connection_t *zombie = pair_connection(&s_pair);
    error_t error = {0};
    PGresult *result = NULL;
    cr_assert(connection_command(zombie, "BEGIN", &error), "%s", error.text);
    cr_assert(commit_send(&commit, zombie, batch, 5000, &error), "%s", error.text);
    while (connection_step(zombie, &result, &error) == CONNECTION_BUSY)
        connection_wait(zombie, false, connection_deadline(zombie));
    cr_assert(result && commit_inserted(result), "%s", error.text);
    PQclear(result);
    journal_append(s_pair.journal, batch);
    pair_await(s_pair.pq, "1", PAIR_WAITING);
    pair_ask(s_pair.pq,
             "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
             "datname = current_database() AND wait_event_type = 'Lock'");
    journal_event_t event;
    pair_expect(&s_pair, JOURNAL_WAITING, &event);
    cr_assert(strstr(event.error.text, "57P01"), "%s", event.error.text);
    pair_await(s_pair.pq, "1", PAIR_WAITING);
    cr_assert(connection_command(zombie, "COMMIT", &error), "%s", error.text);
    pair_expect(&s_pair, JOURNAL_RESUMED, &event);
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.index, 3);
    cr_assert(!event.clean, "its effects may wait for a clean commit only");
    pair_commit(&s_pair);
    s_count("4");
    connection_destroy(&zombie);
}

/* Two: before the second is sent, the statement is prepared. */
static void s_commit_prepared(pair_t *pair)
{
    pair_commit(pair);
    pair_commit(pair);
}

/* As behind a pooler that follows what is prepared: the session does not know any more what it was
 * told when the statement was. */
Test(journal, a_session_that_forgets_is_left_once)
{
    journal_event_t event;
    int failed = 0;
    pair_ask(s_pair.pq,
             "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS"
             " 'BEGIN PERFORM set_config(''ixn.place'', '''', false); RETURN NULL; END';"
             " CREATE TRIGGER forgets AFTER INSERT ON ixn.journal"
             " EXECUTE FUNCTION forget()");
    pair_start(&s_pair);
    for (int i = 0; i < 12; i++)
        journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    do {
        while (!journal_next(s_pair.journal, &event))
            pair_turn(&s_pair, 60000);
        failed += event.kind == JOURNAL_FAILED;
    } while (event.kind != JOURNAL_COMMITTED || event.index < s_pair.index);
    s_count("13");
    cr_assert_eq(failed, 1, "%d sessions were left", failed);
}

/* A batch is committed, and word of it is on its way, when its owner goes to another server, which
 * may have it or not. Both are played by one. */
static void s_move_unheard(const char *rows)
{
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    pair_await(s_pair.pq, rows, "SELECT count(*) FROM ixn.journal");
    while (journal_deadline(s_pair.journal) > 0) /* then there is an event */
        pair_turn(&s_pair, 60000);
}

Test(journal, says_nothing_of_a_commit_on_the_server_before)
{
    journal_event_t event;
    pair_start(&s_pair);
    pair_commit(&s_pair);
    s_move_unheard("3");
    journal_prove(s_pair.journal, &s_pair.status.instance);
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.index, 2);
    cr_assert(!event.clean, "it was found there");
    s_move_unheard("4");
    pair_ask(s_pair.pq, "DELETE FROM ixn.journal WHERE last_index = 3");
    journal_prove(s_pair.journal, &s_pair.status.instance);
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.index, 3);
    cr_assert(event.clean, "it was missing, and sent again");
    pair_commit(&s_pair);
    s_count("5");
}

/* What happens between the batch that leaves and the answer that should come. */
static void s_through_a_proxy(proxy_fault_t fault, bool clean)
{
    journal_event_t event;
    proxy_t *proxy = proxy_new(pair_port());
    s_pair.config.statement_timeout_ms = 3000;
    pair_set_proxy(&s_pair, 0, proxy_port(proxy));
    pair_start(&s_pair);
    s_commit_prepared(&s_pair);
    proxy_arm(proxy, fault, "", "ixn_prepared");
    journal_append(s_pair.journal, pair_batch(&s_pair, 3));
    pair_expect(&s_pair, JOURNAL_WAITING, &event);
    cr_assert_eq(event.error.code, ERROR_DATABASE_UNREACHABLE);
    pair_expect(&s_pair, JOURNAL_RESUMED, &event);
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.index, 5);
    cr_assert_eq(event.clean, clean);
    pair_commit(&s_pair);
    s_count("5");
    journal_destroy(&s_pair.journal);
    proxy_destroy(&proxy);
}

Test(journal, sends_again_what_never_arrived)
{
    s_through_a_proxy(PROXY_LOSE_REQUEST, true);
}

Test(journal, finds_what_arrived_but_was_not_answered)
{
    s_through_a_proxy(PROXY_LOSE_ANSWER, false);
}

Test(journal, gives_up_on_a_server_that_froze)
{
    s_through_a_proxy(PROXY_FREEZE, false);
}

Test(journal, does_not_take_somebody_elses_batch_for_its_own)
{
    batch_t *batch = pair_batch(&s_pair, 1);
    s_pair.index = s_pair.status.head_index;
    s_pair.hash = s_pair.status.head_hash;
    pair_start(&s_pair);
    pair_commit(&s_pair);
    journal_destroy(&s_pair.journal);
    /* The same batch from a lane that has never sent it. */
    s_pair.index = s_pair.status.head_index;
    s_pair.hash = s_pair.status.head_hash;
    pair_start(&s_pair);
    journal_append(s_pair.journal, batch);
    journal_event_t event;
    pair_expect(&s_pair, JOURNAL_DIVERGED, &event);
    cr_assert_eq(event.error.code, ERROR_DATABASE_DIVERGED);
    s_count("2");
}

Test(journal, stops_when_fenced)
{
    pair_start(&s_pair);
    pair_commit(&s_pair);
    database_status_t old = s_pair.status;
    uint64_t index = s_pair.index;
    id128_t hash = s_pair.hash;
    cr_assert(database_status(s_pair.database, NULL, &s_pair.status, NULL));
    pair_claim(&s_pair);
    s_pair.index = index;
    s_pair.hash = hash;
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    journal_event_t event;
    pair_expect(&s_pair, JOURNAL_FENCED, &event);
    char generation[ID_TEXT_SIZE];
    cr_assert(strstr(event.error.text, id_text(old.generation, generation)), "%s",
              event.error.text);
    cr_assert(strstr(event.error.text, id_text(s_pair.status.generation, generation)), "%s",
              event.error.text);
    s_count("2");
    cr_assert(!journal_next(s_pair.journal, &event));
}

Test(journal, stops_at_another_head)
{
    s_pair.index = 7;
    pair_start(&s_pair);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    journal_event_t event;
    pair_expect(&s_pair, JOURNAL_DIVERGED, &event);
    cr_assert(strstr(event.error.text, "head is index 0"), "%s", event.error.text);
    cr_assert(strstr(event.error.text, "lost 7 committed entries"), "%s", event.error.text);
    s_count("1");
}

/* A copy made with TEMPLATE is equal in everything but the database's oid. */
Test(journal, writes_nothing_to_a_copy)
{
    char copy[80];
    database_destroy(&s_pair.database);
    PQfinish(s_pair.pq);
    snprintf(copy, sizeof copy, "%s_copy", s_pair.name);
    pair_t server = {.name = "postgres"};
    PGconn *pq = pair_connect(&server);
    pair_ask(pq, "CREATE DATABASE %s TEMPLATE %s", copy, s_pair.name);
    char name[64];
    snprintf(name, sizeof name, "%s", s_pair.name);
    snprintf(s_pair.name, sizeof s_pair.name, "%.60s", copy);
    pair_set_dap(&s_pair, 0, getenv("IXN_TEST_CONNINFO"));
    pair_start(&s_pair);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    journal_event_t event;
    pair_expect(&s_pair, JOURNAL_WRONG, &event);
    cr_assert_eq(event.error.code, ERROR_DATABASE_WRONG);
    cr_assert(strstr(event.error.text, "DAP dap-1 reaches database pair_"), "%s", event.error.text);
    journal_destroy(&s_pair.journal);
    s_pair.pq = pair_connect(&s_pair);
    s_count("1");
    PQfinish(s_pair.pq);
    pair_ask(pq, "DROP DATABASE %s WITH (FORCE)", copy);
    PQfinish(pq);
    snprintf(s_pair.name, sizeof s_pair.name, "%s", name);
    s_pair.pq = pair_connect(&s_pair);
}

Test(journal, waits_out_a_database_that_lets_nobody_in)
{
    pair_start(&s_pair);
    pair_commit(&s_pair);
    pair_t server = {.name = "postgres"};
    PGconn *pq = pair_connect(&server);
    pair_ask(pq, "ALTER DATABASE %s ALLOW_CONNECTIONS false", s_pair.name);
    pair_ask(pq, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'",
             s_pair.name);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    journal_event_t event;
    pair_expect(&s_pair, JOURNAL_WAITING, &event);
    pair_ask(pq, "ALTER DATABASE %s ALLOW_CONNECTIONS true", s_pair.name);
    pair_expect(&s_pair, JOURNAL_RESUMED, &event);
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.index, 2);
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.index, 3);
    PQfinish(pq);
    PQreset(s_pair.pq);
    s_count("4");
}

Test(journal, waits_out_a_database_that_is_read_only)
{
    pair_ask(s_pair.pq, "ALTER DATABASE %s SET default_transaction_read_only = on", s_pair.name);
    pair_start(&s_pair);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    journal_event_t event;
    pair_expect(&s_pair, JOURNAL_WAITING, &event);
    cr_assert_eq(event.error.code, ERROR_DATABASE_REFUSED);
    cr_assert(strstr(event.error.text, "25006"), "%s", event.error.text);
    pair_ask(s_pair.pq, "ALTER DATABASE %s RESET default_transaction_read_only", s_pair.name);
    pair_expect(&s_pair, JOURNAL_RESUMED, &event);
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.index, 1);
}

Test(journal, waits_out_what_an_operator_must_mend)
{
    pair_ask(s_pair.pq, "ALTER TABLE ixn.pair RENAME TO pear");
    pair_start(&s_pair);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    journal_event_t event;
    pair_expect(&s_pair, JOURNAL_WAITING, &event);
    cr_assert(strstr(event.error.text, "42P01"), "%s", event.error.text);
    pair_ask(s_pair.pq, "ALTER TABLE ixn.pear RENAME TO pair");
    pair_expect(&s_pair, JOURNAL_RESUMED, &event);
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
}

/* It takes connections and never says a word. */
static int s_deaf_server(char conninfo[80])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(server >= 0 && bind(server, (struct sockaddr *)&address, len) == 0 &&
              listen(server, 16) == 0 &&
              getsockname(server, (struct sockaddr *)&address, &len) == 0);
    snprintf(conninfo, 80, "host=127.0.0.1 user=x port=%d", ntohs(address.sin_port));
    return server;
}

Test(journal, overtakes_a_dap_that_never_says_a_word)
{
    char conninfo[80];
    int server = s_deaf_server(conninfo);
    s_pair.config.connect_timeout_ms = 60000;
    s_pair.config.hedge_after_ms = 250;
    pair_set_dap(&s_pair, 0, conninfo);
    pair_set_dap(&s_pair, 1, getenv("IXN_TEST_CONNINFO"));
    pair_start(&s_pair);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    journal_event_t event;
    pair_expect(&s_pair, JOURNAL_MOVED, &event);
    cr_assert_eq(event.dap, 1);
    cr_assert(strstr(event.error.text, "DAP dap-1 has kept a commit waiting"), "%s",
              event.error.text);
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert(event.clean && event.dap == 1);
    pair_commit(&s_pair); /* stays where it works */
    close(server);
}

Test(journal, goes_on_with_the_next_dap_at_once)
{
    pair_set_dap(&s_pair, 0, "host=127.0.0.1 port=1 user=x"); /* refuses */
    pair_set_dap(&s_pair, 1, getenv("IXN_TEST_CONNINFO"));
    pair_start(&s_pair);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    journal_event_t event;
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert(event.clean && event.dap == 1);
}

/* Frozen in the middle of a commit, with a second DAP: how long does the commit take? */
static void s_overtakes(proxy_fault_t fault, bool clean)
{
    journal_event_t event;
    proxy_t *proxy = proxy_new(pair_port());
    pair_set_proxy(&s_pair, 0, proxy_port(proxy));
    pair_set_dap(&s_pair, 1, getenv("IXN_TEST_CONNINFO"));
    s_pair.config.statement_timeout_ms = 30000;
    s_pair.config.hedge_after_ms = 1500;
    pair_start(&s_pair);
    s_commit_prepared(&s_pair);
    proxy_arm(proxy, fault, "", "ixn_prepared");
    journal_append(s_pair.journal, pair_batch(&s_pair, 3));
    if (fault == PROXY_FREEZE)
        pair_expect(&s_pair, JOURNAL_MOVED, &event);
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.index, 5);
    cr_assert_eq(event.dap, 1);
    cr_assert_eq(event.clean, clean);
    fprintf(stderr, "measured: a commit through a DAP that %s: %lld ms\n",
            fault == PROXY_FREEZE ? "froze" : "broke", (long long)(event.elapsed / USEC_PER_MS));
    cr_assert(event.elapsed < 20 * USEC_PER_SECOND, "it did not wait for the statement's time-out");
    pair_commit(&s_pair);
    s_count("5");
    journal_destroy(&s_pair.journal);
    proxy_destroy(&proxy);
}

Test(journal, overtakes_a_dap_that_freezes_in_a_commit)
{
    s_overtakes(PROXY_FREEZE, false);
}

/* Waits for its commit by whichever DAP. */
static void s_expect_committed(uint64_t index)
{
    journal_event_t event;
    do
        pair_expect_any(&s_pair, &event);
    while (event.kind == JOURNAL_MOVED);
    cr_assert_eq(event.kind, JOURNAL_COMMITTED, "%s", event.error.text);
    cr_assert_eq(event.index, index);
}

/* The server is slow, not the DAP: what is sent a second time waits behind the first, which counts.
 */
Test(journal, a_slow_commit_is_committed_once)
{
    pair_set_dap(&s_pair, 1, getenv("IXN_TEST_CONNINFO"));
    pair_start(&s_pair);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    s_expect_committed(1);
    s_pair.config.hedge_after_ms = 10; /* only now: one of the first would wait with the others */
    journal_use(s_pair.journal, use_all(&s_pair.config));
    pair_ask(s_pair.pq, "BEGIN");
    pair_ask(s_pair.pq, "SELECT 1 FROM ixn.pair FOR NO KEY UPDATE");
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    PGconn *other = pair_connect(&s_pair);
    pair_await(other, "2", PAIR_WAITING); /* both wait for the lock */
    pair_ask(s_pair.pq, "COMMIT");
    s_expect_committed(2);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    s_expect_committed(3);
    s_count("4");
    PQfinish(other);
}

Test(journal, leaves_a_dap_that_reaches_another_database)
{
    pair_t other;
    char conninfo[160];
    journal_event_t event;
    pair_init(&other);
    snprintf(conninfo, sizeof conninfo, "%s dbname=%s", getenv("IXN_TEST_CONNINFO"), other.name);
    pair_set_dap(&s_pair, 1, getenv("IXN_TEST_CONNINFO"));
    snprintf(s_pair.daps[0].conninfo, sizeof s_pair.daps[0].conninfo, "%s", conninfo);
    pair_start(&s_pair);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    pair_expect(&s_pair, JOURNAL_WRONG, &event);
    cr_assert_eq(event.dap, 0);
    cr_assert_eq(event.error.code, ERROR_DATABASE_WRONG);
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.dap, 1);
    cr_assert_str_eq(pair_ask(other.pq, "SELECT count(*) FROM ixn.journal"), "1", "untouched");
    pair_free(&other);
}

/* The list changes while batches flow: none is lost, and it goes where it is told to. */
Test(journal, uses_what_it_is_told_to)
{
    journal_event_t event;
    pair_set_dap(&s_pair, 1, getenv("IXN_TEST_CONNINFO"));
    pair_start(&s_pair);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.dap, 0);
    use_t *use = use_new(&s_pair.config);
    use_add(use, 1, &s_pair.daps[1]);
    journal_use(s_pair.journal, use);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.dap, 1);
    journal_use(s_pair.journal, use_all(&s_pair.config));
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.dap, 1, "it stays where it works");
    use = use_all(&s_pair.config);
    use->rearranged = true;
    journal_use(s_pair.journal, use);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.dap, 0, "unless the order was changed");
    journal_use(s_pair.journal, use_new(&s_pair.config));
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    pair_expect(&s_pair, JOURNAL_WAITING, &event);
    cr_assert(strstr(event.error.text, "no DAP is proven"), "%s", event.error.text);
    journal_use(s_pair.journal, use_all(&s_pair.config));
    pair_expect(&s_pair, JOURNAL_RESUMED, &event);
    pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    cr_assert(event.clean);
    s_count("6");
}

Test(journal, ends_at_once_while_nobody_answers)
{
    char conninfo[80];
    int server = s_deaf_server(conninfo);
    pair_set_dap(&s_pair, 0, conninfo);
    s_pair.config.connect_timeout_ms = 30000;
    pair_start(&s_pair);
    for (int i = 0; i < 3000; i++) /* more than a socket's usual limit */
        journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    usec_t started = connection_now();
    journal_destroy(&s_pair.journal);
    cr_assert(connection_now() - started < 15 * USEC_PER_SECOND);
    close(server);
}

/* A statement in flight is not waited for; nothing was said of its batch, whether it lands or not.
 */
Test(journal, ends_at_once_with_a_statement_in_flight)
{
    journal_event_t event;
    s_pair.config.statement_timeout_ms = 30000;
    pair_start(&s_pair);
    pair_commit(&s_pair);
    PGconn *other = pair_connect(&s_pair);
    pair_ask(other, "BEGIN; SELECT 1 FROM ixn.pair FOR UPDATE");
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    pair_await(s_pair.pq, "1", PAIR_WAITING);
    cr_assert(!journal_next(s_pair.journal, &event));
    usec_t started = connection_now();
    journal_destroy(&s_pair.journal);
    usec_t elapsed = connection_now() - started;
    cr_assert(elapsed < 15 * USEC_PER_SECOND, "%ld us", (long)elapsed);
    pair_ask(other, "COMMIT");
    /* What goes on starts from the head, wherever that is by then. */
    pair_claim(&s_pair);
    cr_assert(s_pair.index == 1 || s_pair.index == 2, "head %d", (int)s_pair.index);
    pair_start(&s_pair);
    pair_commit(&s_pair);
    PQfinish(other);
}

Test(journal, notices_a_lost_connection_before_it_is_needed)
{
    pair_start(&s_pair);
    pair_commit(&s_pair);
    const char *others =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'ixn' AND backend_start > "
        "(SELECT max(committed_at) FROM ixn.journal)";
    pair_ask(s_pair.pq,
             "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
             "datname = current_database() AND pid <> pg_backend_pid()");
    pair_await(s_pair.pq, "1", others);
    pair_commit(&s_pair);
}

/* Sessions that die at any moment, also between the commit and its answer: nothing is lost, nothing
 * is there twice, nothing comes out of order. */
Test(journal, survives_sessions_that_die_at_any_moment)
{
    enum { BATCHES = 200 };
    journal_event_t event;
    uint64_t seen = 0;
    uint64_t struck = UINT64_MAX; /* at this batch, once */
    int deaths = 0;
    int unclean = 0;
    pair_start(&s_pair);
    for (int i = 0; i < BATCHES; i++)
        journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    while (seen < s_pair.index || deaths == 0) {
        if (seen == s_pair.index) /* each commit was done before it was looked at */
            journal_append(s_pair.journal, pair_batch(&s_pair, 1));
        if (seen != struck && seen % 5 == 0) {
            const char *count =
                pair_ask(s_pair.pq,
                         "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                         "WHERE datname = current_database() AND state = 'active' AND "
                         "application_name = 'ixn'");
            if (strcmp(count, "0") != 0) {
                struck = seen;
                deaths++;
            }
        }
        pair_turn(&s_pair, 60000);
        while (journal_next(s_pair.journal, &event)) {
            cr_assert(event.kind == JOURNAL_COMMITTED || event.kind == JOURNAL_WAITING ||
                          event.kind == JOURNAL_RESUMED || event.kind == JOURNAL_FAILED,
                      "event %d: %s", event.kind, event.error.text);
            if (event.kind != JOURNAL_COMMITTED)
                continue;
            cr_assert_eq(event.index, ++seen);
            unclean += !event.clean;
        }
    }
    char count[24];
    snprintf(count, sizeof count, "%" PRIu64, seen + 1);
    s_count(count);
    fprintf(stderr,
            "measured: journal: %d sessions died in %" PRIu64 " commits, %d of them in doubt\n",
            deaths, seen, unclean);
}

Test(journal, works_through_a_transaction_pooler)
{
    const char *pooler = getenv("IXN_TEST_POOLER");
    if (!pooler)
        cr_skip_test("IXN_TEST_POOLER is not set");
    pair_set_dap(&s_pair, 0, pooler);
    pair_start(&s_pair);
    for (int i = 0; i < 100; i++)
        pair_commit(&s_pair);
    s_count("101");
}

/* How long one commit takes, and how many a second pass when they queue. */
Test(journal, measure)
{
    enum { COMMITS = 300 };
    journal_event_t event;
    pair_start(&s_pair);
    usec_t sum = 0;
    for (int i = 0; i < COMMITS; i++) {
        journal_append(s_pair.journal, pair_batch(&s_pair, 1));
        pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
        sum += event.elapsed;
    }
    usec_t started = connection_now();
    for (int i = 0; i < COMMITS; i++)
        journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    for (int i = 0; i < COMMITS; i++)
        pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    usec_t elapsed = connection_now() - started;
    fprintf(stderr, "measured: journal: %ld us a commit, %ld commits/s in a row\n",
            (long)(sum / COMMITS), (long)(COMMITS * USEC_PER_SECOND / elapsed));
}
