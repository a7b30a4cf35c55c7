/* Connections: deadlines, refusals, transactions that are lost, secrets that are not told. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dap/params.h"
#include "dap/pipeline.h"
#include "tests/database/pair_fixture.h"

static pair_t s_pair;
static connection_t *s_connection;

static void s_init(void)
{
    pair_make(&s_pair);
    s_connection = pair_connection(&s_pair);
}

static void s_free(void)
{
    connection_destroy(&s_connection);
    pair_free(&s_pair);
}

TestSuite(connection, .init = s_init, .fini = s_free, .timeout = 300);

static void s_end_session(void)
{
    pair_ask(s_pair.pq,
             "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE "
             "datname = current_database() AND pid <> pg_backend_pid()");
}

Test(connection, that_gets_no_answer_in_time_is_closed_and_opened_again)
{
    error_t error = {0};
    connection_t *hasty = connection_new(&s_pair.daps[0], 20000, 2000);
    usec_t started = connection_now();
    cr_assert(!connection_command(hasty, "SELECT pg_sleep(60)", &error));
    cr_assert(connection_now() - started < 20 * USEC_PER_SECOND);
    cr_assert_eq(error.code, ERROR_DATABASE_UNREACHABLE);
    cr_assert_str_eq(error.text, "DAP dap-1: no answer within 2000 ms; the connection was closed");
    cr_assert(!connection_is_open(hasty));
    cr_assert(connection_command(hasty, "SELECT 1", &error), "%s", error.text);
    connection_destroy(&hasty);
}

/* It is no fault of the server, and nothing is said of a time that has not passed. */
Test(connection, a_pipeline_that_is_given_up_says_so)
{
    error_t error = {0};
    int stop = eventfd(0, EFD_CLOEXEC);
    cr_assert_geq(stop, 0);
    connection_set_stop(s_connection, stop);
    cr_assert(connection_open(s_connection, &error), "%s", error.text);
    cr_assert_eq(eventfd_write(stop, 1), 0);
    pipeline_statement_t statement = {"SELECT pg_sleep(60)", NULL, -1, 60000};
    cr_assert_not(pipeline_transaction(s_connection, &statement, 1000, NULL, &error));
    cr_assert_str_eq(error.text, "DAP dap-1: given up, since its lane is closed");
    cr_assert_not(connection_is_open(s_connection));
    close(stop);
}

/* "out of shared memory" alone leads nobody to what is to be done. */
Test(connection, what_a_server_has_too_little_of_is_said_with_its_hint)
{
    error_t error = {0};
    static const char sql[] =
        "DO $$ BEGIN RAISE 'out of it' USING ERRCODE = '%s', "
        "HINT = 'You might need more.'; END $$";
    char text[200];
    snprintf(text, sizeof text, sql, "53200");
    cr_assert_not(connection_command(s_connection, text, &error));
    cr_assert_str_eq(error.text, "DAP dap-1: out of it; You might need more. (SQLSTATE 53200)");
    snprintf(text, sizeof text, sql, "42883");
    cr_assert_not(connection_command(s_connection, text, &error));
    cr_assert_str_eq(error.text, "DAP dap-1: out of it (SQLSTATE 42883)");
}

Test(connection, refusals_have_words_and_sqlstate)
{
    error_t error = {0};
    cr_assert(!connection_command(s_connection, "SELECT * FROM nowhere", &error));
    cr_assert_eq(error.code, ERROR_DATABASE_REFUSED);
    cr_assert_str_eq(error.text, "DAP dap-1: relation \"nowhere\" does not exist (SQLSTATE 42P01)");
    cr_assert_str_eq(connection_sqlstate(s_connection), "42P01");
    cr_assert(connection_is_open(s_connection));
    cr_assert(connection_command(s_connection, "SELECT 1", &error));
    cr_assert_str_eq(connection_sqlstate(s_connection), "");
}

Test(connection, statements_of_a_lost_transaction_do_not_run_outside_of_it)
{
    error_t error = {0};
    cr_assert(connection_command(s_connection, "BEGIN", &error), "%s", error.text);
    cr_assert(connection_in_transaction(s_connection));
    s_end_session();
    cr_assert(!connection_command(s_connection, "CREATE TABLE a (i int)", &error));
    cr_assert_eq(error.code, ERROR_DATABASE_UNREACHABLE);
    cr_assert(connection_in_transaction(s_connection));
    cr_assert(!connection_command(s_connection, "CREATE TABLE a (i int)", &error));
    cr_assert_str_eq(error.text, "DAP dap-1: the connection was lost with its transaction");
    connection_rollback(s_connection);
    cr_assert(!connection_in_transaction(s_connection));
    cr_assert(connection_command(s_connection, "SELECT 1", &error), "%s", error.text);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT to_regclass('a') IS NULL"), "t");
}

Test(connection, a_failed_transaction_is_rolled_back)
{
    error_t error = {0};
    cr_assert(connection_command(s_connection, "BEGIN", &error));
    cr_assert(!connection_command(s_connection, "SELECT 1 / 0", &error));
    cr_assert_str_eq(connection_sqlstate(s_connection), "22012");
    cr_assert(connection_in_transaction(s_connection));
    connection_rollback(s_connection);
    cr_assert(connection_is_open(s_connection) && !connection_in_transaction(s_connection));
}

Test(connection, a_password_is_never_told)
{
    static const char *const bad[] = {
        "host=127.0.0.1 password=hunter2 port=",         /* no port: libpq quotes nothing */
        "host=127.0.0.1 port=1 user=x password=hunter2", /* nobody listens there */
        "hunter2",
        "postgresql://x:hunter2@[::1:1/x",
        "host=127.0.0.1 port=1 pass=hunter2",
        "host=127.0.0.1 password='hunter2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error_t error = {0};
        config_dap_t dap = {.name = "dap-9"};
        snprintf(dap.conninfo, sizeof dap.conninfo, "%s", bad[i]);
        connection_t *connection = connection_new(&dap, 300, 300);
        cr_assert(!connection_open(connection, &error), "%s", bad[i]);
        cr_assert_eq(error.code, ERROR_DATABASE_UNREACHABLE);
        cr_assert(strstr(error.text, "DAP dap-9: ") == error.text, "%s", error.text);
        cr_assert(!strstr(error.text, "hunter2"), "%s", error.text);
        cr_assert(!strchr(error.text, '\n'), "%s", error.text);
        connection_destroy(&connection);
    }
}

/* More than fits into a socket, both ways at once. */
Test(connection, large_values_pass)
{
    enum { SIZE = 24 * 1024 * 1024 };
    error_t error = {0};
    char *bytes = calloc(1, SIZE);
    const char *values[] = {bytes};
    const int lengths[] = {SIZE};
    const Oid types[] = {17};
    connection_params_t params = {1, types, values, lengths};
    bytes[SIZE - 1] = 7;
    PGresult *result = connection_query_within(s_connection, "SELECT $1 || '\\x01'::bytea", &params,
                                               20000, &error);
    cr_assert(result, "%s", error.text);
    cr_assert_eq(PQgetlength(result, 0, 0), SIZE + 1);
    cr_assert_eq(PQgetvalue(result, 0, 0)[SIZE - 1], 7);
    PQclear(result);
    free(bytes);
}

/* ---- A statement of the session's own ---- */

/* The process that answers, asked through the connection. */
static int32_t s_backend(connection_t *connection)
{
    error_t error = {0};
    PGresult *result = connection_query(connection, "SELECT pg_backend_pid()", NULL, &error);
    cr_assert(result, "%s", error.text);
    uint32_t backend;
    memcpy(&backend, PQgetvalue(result, 0, 0), sizeof backend);
    PQclear(result);
    return (int32_t)ntohl(backend);
}

/* Steps until it says something else than BUSY. */
static bool s_finish(connection_t *connection, PGresult **ret_result, error_t *ret_error)
{
    connection_step_t step;
    while ((step = connection_step(connection, ret_result, ret_error)) == CONNECTION_BUSY)
        connection_wait(connection, false, connection_deadline(connection));
    return step == CONNECTION_DONE;
}

static connection_params_t s_seven(params_t *params)
{
    *params = (params_t){0};
    params_int4(params, 7);
    return params_all(params);
}

static void s_prepare(connection_t *connection)
{
    error_t error = {0};
    PGresult *result = NULL;
    params_t params;
    connection_params_t all = s_seven(&params);
    cr_assert(connection_prepare(connection, "SELECT $1 + 1", &all, 20000, &error), "%s",
              error.text);
    cr_assert(s_finish(connection, &result, &error), "%s", error.text);
    PQclear(result);
}

Test(connection, a_prepared_statement_is_sent_by_its_name)
{
    error_t error = {0};
    params_t params;
    cr_assert(connection_may_prepare(s_connection, s_backend(s_connection)));
    cr_assert(!connection_may_prepare(s_connection, s_backend(s_connection) + 1));
    s_prepare(s_connection);
    cr_assert(connection_is_prepared(s_connection));
    for (int i = 0; i < 3; i++) {
        PGresult *result = NULL;
        connection_params_t all = s_seven(&params);
        cr_assert(connection_send_prepared(s_connection, &all, 20000, &error), "%s", error.text);
        cr_assert(s_finish(s_connection, &result, &error), "%s", error.text);
        cr_assert_eq(PQgetvalue(result, 0, 0)[3], 8);
        PQclear(result);
    }
    connection_close(s_connection);
    cr_assert(!connection_is_prepared(s_connection), "it ends with the session");
}

/* What a pooler in between that says the server's own process would do. */
Test(connection, a_prepared_statement_that_is_gone_is_not_tried_again)
{
    error_t error = {0};
    PGresult *result = NULL;
    params_t params;
    int32_t backend = s_backend(s_connection);
    s_prepare(s_connection);
    cr_assert(connection_command(s_connection, "DEALLOCATE ALL", &error), "%s", error.text);
    connection_params_t all = s_seven(&params);
    cr_assert(connection_send_prepared(s_connection, &all, 20000, &error), "%s", error.text);
    cr_assert(!s_finish(s_connection, &result, &error));
    cr_assert_str_eq(connection_sqlstate(s_connection), "26000");
    cr_assert(connection_is_open(s_connection) && !connection_is_prepared(s_connection));
    cr_assert(!connection_may_prepare(s_connection, backend));
    connection_close(s_connection);
    backend = s_backend(s_connection);
    cr_assert(!connection_may_prepare(s_connection, backend), "nor in the next session");
}

Test(connection, a_statement_that_fails_stays_prepared)
{
    error_t error = {0};
    PGresult *result = NULL;
    params_t params = {0};
    params_int4(&params, INT32_MAX);
    connection_params_t all = params_all(&params);
    s_backend(s_connection);
    s_prepare(s_connection);
    cr_assert(connection_send_prepared(s_connection, &all, 20000, &error), "%s", error.text);
    cr_assert(!s_finish(s_connection, &result, &error));
    cr_assert_str_eq(connection_sqlstate(s_connection), "22003"); /* out of range */
    cr_assert(connection_is_prepared(s_connection));
}

Test(connection, a_pooler_is_no_session_of_our_own)
{
    pair_set_dap(&s_pair, 0, getenv("IXN_TEST_POOLER"));
    connection_t *pooled = pair_connection(&s_pair);
    cr_assert(!connection_may_prepare(pooled, s_backend(pooled)));
    connection_destroy(&pooled);
}
