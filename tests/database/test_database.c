/* The database as a whole: made, looked at, migrated, refused. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "tests/database/pair_fixture.h"

static pair_t s_pair;

static void s_init(void)
{
    pair_open(&s_pair);
}

static void s_free(void)
{
    pair_free(&s_pair);
}

TestSuite(database, .init = s_init, .fini = s_free, .timeout = 300);

Test(database, that_is_empty_is_not_initialised_by_looking_at_it)
{
    database_status_t status;
    error_t error = {0};
    uint32_t applied;
    cr_assert(!database_status(s_pair.database, NULL, &status, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_EMPTY);
    cr_assert(strstr(error.text, s_pair.name) && strstr(error.text, "ixnctl database init"), "%s",
              error.text);
    cr_assert(!database_migrate(s_pair.database, &applied, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_EMPTY);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT count(*) FROM pg_namespace WHERE nspname = 'ixn'"),
                     "0");
}

Test(database, is_initialised_once)
{
    identity_t identity;
    identity_t again;
    database_status_t status;
    error_t error = {0};
    char text[IDENTITY_TEXT_SIZE];
    char id[ID_TEXT_SIZE];
    cr_assert(database_init(s_pair.database, &identity, &error), "%s", error.text);
    cr_assert(database_status(s_pair.database, NULL, &status, &error), "%s", error.text);
    cr_assert(identity_equal(&identity, &status.identity));
    cr_assert_eq(status.schema_version, DATABASE_SCHEMA_VERSION);
    cr_assert_eq(status.epoch, 0);
    cr_assert(id_is_zero(status.generation));
    cr_assert_str_eq(status.owner, "");
    cr_assert_eq(status.head_index, 0);
    cr_assert(id_equal(status.head_hash, id_hash(identity.database_id.bytes, 16)));
    cr_assert_eq(status.checkpoint_index, 0);
    cr_assert(strstr(status.server, s_pair.name) && strstr(status.server, " on 127.0.0.1:") &&
                  strstr(status.server, ", PostgreSQL "),
              "%s", status.server);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT database_id FROM ixn.pair"),
                     id_text(identity.database_id, id));
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT oid = %u FROM pg_database WHERE datname = '%s'",
                              identity.database_oid, s_pair.name),
                     "t");
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT system_identifier = %llu FROM pg_control_system()",
                              (unsigned long long)identity.system_identifier),
                     "t");

    cr_assert(!database_init(s_pair.database, &again, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_REFUSED);
    cr_assert(strstr(error.text, identity_text(&identity, text)), "%s", error.text);
    cr_assert_eq(
        strtol(pair_ask(s_pair.pq, "SELECT max(version) FROM ixn.schema_migration"), NULL, 10),
        DATABASE_SCHEMA_VERSION);
}

typedef struct {
    bool done;
    error_code_t code;
} initiation_t;

static void *s_initialise(void *arguments)
{
    initiation_t *self = arguments;
    identity_t identity;
    error_t error = {0};
    database_t *database = database_open(&s_pair.config, &error);
    self->done = database && database_init(database, &identity, &error);
    self->code = error.code;
    database_destroy(&database);
    return NULL;
}

Test(database, is_initialised_by_one_of_many_at_once)
{
    enum { MANY = 4 };
    initiation_t initiations[MANY] = {0};
    pthread_t threads[MANY];
    int done = 0;
    for (int i = 0; i < MANY; i++)
        pthread_create(&threads[i], NULL, s_initialise, &initiations[i]);
    for (int i = 0; i < MANY; i++) {
        pthread_join(threads[i], NULL);
        done += initiations[i].done;
        cr_assert(initiations[i].done || initiations[i].code == ERROR_DATABASE_REFUSED);
    }
    cr_assert_eq(done, 1);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT count(*) FROM ixn.pair"), "1");
}

Test(database, of_another_version_is_named_with_both)
{
    identity_t identity;
    database_status_t status;
    error_t error = {0};
    uint32_t applied = 99;
    cr_assert(database_init(s_pair.database, &identity, &error), "%s", error.text);
    cr_assert(database_migrate(s_pair.database, &applied, &error), "%s", error.text);
    cr_assert_eq(applied, 0);
    pair_ask(s_pair.pq, "INSERT INTO ixn.schema_migration (version, name) VALUES (1000, 'later')");
    cr_assert(!database_status(s_pair.database, NULL, &status, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_SCHEMA);
    char needs[60];
    snprintf(needs, sizeof needs, "version 1000, this program needs %d", DATABASE_SCHEMA_VERSION);
    cr_assert(strstr(error.text, needs), "%s", error.text);
    cr_assert(!database_migrate(s_pair.database, &applied, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_SCHEMA);
}

Test(database, with_somebody_elses_schema_is_left_alone)
{
    identity_t identity;
    error_t error = {0};
    pair_ask(s_pair.pq, "CREATE SCHEMA ixn CREATE TABLE ixn.pair (a int)");
    cr_assert(!database_init(s_pair.database, &identity, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_SCHEMA);
    cr_assert(strstr(error.text, "not made by this program"), "%s", error.text);
}

Test(database, that_was_emptied_is_an_error_and_no_crash)
{
    identity_t identity;
    database_status_t status;
    error_t error = {0};
    cr_assert(database_init(s_pair.database, &identity, &error), "%s", error.text);
    pair_ask(s_pair.pq, "TRUNCATE ixn.journal");
    cr_assert(!database_status(s_pair.database, NULL, &status, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_SCHEMA);
    pair_ask(s_pair.pq, "TRUNCATE ixn.pair");
    cr_assert(!database_status(s_pair.database, NULL, &status, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_SCHEMA);
    pair_ask(s_pair.pq, "ALTER TABLE ixn.pair ALTER owner TYPE varchar(20)");
    cr_assert(!database_status(s_pair.database, NULL, &status, &error));
    cr_assert(strstr(error.text, "column owner"), "%s", error.text);
}

Test(database, in_another_encoding_is_refused)
{
    identity_t identity;
    error_t error = {0};
    char name[sizeof s_pair.name];
    snprintf(name, sizeof name, "%s", s_pair.name);
    pair_ask(s_pair.pq, "CREATE DATABASE %s_latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
             name);
    snprintf(s_pair.name, sizeof s_pair.name, "%.50s_latin", name);
    pair_set_dap(&s_pair, 0, getenv("IXN_TEST_CONNINFO"));
    database_t *latin = database_open(&s_pair.config, &error);
    cr_assert(latin, "%s", error.text);
    cr_assert(!database_init(latin, &identity, &error));
    cr_assert(strstr(error.text, "LATIN1") && strstr(error.text, "UTF8"), "%s", error.text);
    database_destroy(&latin);
    pair_ask(s_pair.pq, "DROP DATABASE %s WITH (FORCE)", s_pair.name);
    snprintf(s_pair.name, sizeof s_pair.name, "%s", name);
}

Test(database, is_reached_by_the_first_dap_that_answers)
{
    error_t error = {0};
    config_t config = s_pair.config;
    config_dap_t daps[2] = {{.name = "dead", .conninfo = "host=127.0.0.1 port=1"}, s_pair.daps[0]};
    config.daps = daps;
    config.daps_len = 2;
    database_t *database = database_open(&config, &error);
    cr_assert(database, "%s", error.text);
    connection_t *connection = database_connection(database, &error);
    cr_assert_str_eq(connection_name(connection), "dap-1");
    /* Lost between two calls: the next one opens it again. */
    pair_ask(s_pair.pq,
             "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE "
             "datname = current_database() AND pid <> pg_backend_pid()");
    connection = database_connection(database, &error);
    cr_assert(connection, "%s", error.text);
    cr_assert(connection_command(connection, "SELECT 1", &error), "%s", error.text);
    database_destroy(&database);
    config.daps_len = 1;
    cr_assert_null(database_open(&config, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_UNREACHABLE);
    cr_assert(strstr(error.text, "DAP dead: cannot connect"), "%s", error.text);
}

/* Three epochs; the second decided nothing. */
Test(database, tells_who_served_when)
{
    static const char *const owners[] = {"node-a", "node-b", "node-a"};
    identity_t identity;
    error_t error = {0};
    cr_assert(database_init(s_pair.database, &identity, &error), "%s", error.text);
    cr_assert(database_status(s_pair.database, NULL, &s_pair.status, &error), "%s", error.text);
    for (size_t i = 0; i < 3; i++) {
        database_claim_t claim = {
            .generation = id_random(), .owner = owners[i], .reason = i ? "take-over" : "start"};
        database_status_t judged = s_pair.status;
        cr_assert(database_claim(s_pair.database, &judged, &claim, &s_pair.status, &error), "%s",
                  error.text);
        s_pair.index = s_pair.status.head_index;
        s_pair.hash = s_pair.status.head_hash;
        if (i == 1)
            continue;
        pair_start(&s_pair);
        for (int j = 0; j < 3; j++)
            pair_commit(&s_pair);
        journal_destroy(&s_pair.journal);
        cr_assert(database_status(s_pair.database, NULL, &s_pair.status, &error), "%s", error.text);
    }
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT string_agg(concat_ws(' ', epoch, owner, reason, first_index, "
                              "entries), ', ' ORDER BY epoch) FROM ixn.role_history"),
                     "1 node-a start 1 3, 2 node-b take-over 4 0, 3 node-a take-over 4 3");
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT count(*) FROM ixn.role_history AS a JOIN ixn.role_history AS "
                              "b ON b.epoch = a.epoch + 1 AND b.started_at = a.ended_at AND "
                              "a.started_at + a.duration = a.ended_at"),
                     "2");
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT ended_at IS NULL AND duration > '0' FROM "
                              "ixn.role_history WHERE epoch = 3"),
                     "t");
}

/* People query these tables. */
Test(database, explains_every_table_and_column)
{
    identity_t identity;
    error_t error = {0};
    cr_assert(database_init(s_pair.database, &identity, &error), "%s", error.text);
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT coalesce(string_agg(c.relname || '.' || a.attname, ' '), '') "
                              "FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid "
                              "WHERE c.relnamespace = 'ixn'::regnamespace AND "
                              "c.relkind IN ('r', 'p', 'v') AND a.attnum > 0 AND "
                              "(col_description(c.oid, a.attnum) IS NULL OR "
                              "obj_description(c.oid, 'pg_class') IS NULL)"),
                     "");
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT count(*) FROM ixn.queue_overview"), "0");
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT count(*) FROM ixn.throughput_hourly"), "0");
}
