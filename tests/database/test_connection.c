/* Connections: deadlines, refusals, transactions that are lost, secrets that are not told. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/database/pair_fixture.h"

static pair_t s_pair;
static connection_t *s_connection;

static void s_init(void)
{
    pair_make(&s_pair);
    s_connection = connection_new(&s_pair.daps[0], 2000, 300);
}

static void s_free(void)
{
    connection_destroy(&s_connection);
    pair_free(&s_pair);
}

TestSuite(connection, .init = s_init, .fini = s_free, .timeout = 60);

static void s_end_session(void)
{
    pair_ask(s_pair.pq,
             "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE "
             "datname = current_database() AND pid <> pg_backend_pid()");
}

Test(connection, that_gets_no_answer_in_time_is_closed_and_opened_again)
{
    error_t error = {0};
    usec_t started = connection_now();
    cr_assert(!connection_command(s_connection, "SELECT pg_sleep(20)", &error));
    cr_assert(connection_now() - started < 5 * USEC_PER_SECOND);
    cr_assert_eq(error.code, ERROR_DATABASE_UNREACHABLE);
    cr_assert_str_eq(error.text, "DAP dap-1: no answer within 300 ms; the connection was closed");
    cr_assert(!connection_is_open(s_connection));
    cr_assert(connection_command(s_connection, "SELECT 1", &error), "%s", error.text);
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
