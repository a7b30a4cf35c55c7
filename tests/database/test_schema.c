/* The schema's migrations: what an older version of the database keeps, and gets. */
#include <criterion/criterion.h>

#include "dap/partition.h"
#include "dap/schema.h"
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

TestSuite(schema, .init = s_init, .fini = s_free, .timeout = 300);

/* Makes of the database one that was initialised by that version; its identity stays. */
static void s_go_back(uint32_t version)
{
    pair_ask(s_pair.pq,
             "CREATE TEMP TABLE pair AS TABLE ixn.pair;"
             "CREATE TEMP TABLE checkpoint AS TABLE ixn.checkpoint;"
             "CREATE TEMP TABLE journal AS TABLE ixn.journal;"
             "DROP SCHEMA ixn CASCADE");
    for (uint32_t i = 0; i < version; i++) {
        PGresult *result = PQexec(s_pair.pq, schema_migrations[i].sql);
        cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s", PQresultErrorMessage(result));
        PQclear(result);
        pair_ask(s_pair.pq, "INSERT INTO ixn.schema_migration (version, name) VALUES (%u, '%s')",
                 schema_migrations[i].version, schema_migrations[i].name);
    }
    pair_ask(s_pair.pq,
             "INSERT INTO ixn.pair SELECT * FROM pg_temp.pair;"
             "INSERT INTO ixn.checkpoint SELECT * FROM pg_temp.checkpoint;"
             "INSERT INTO ixn.journal SELECT * FROM pg_temp.journal;"
             "DROP TABLE pg_temp.pair, pg_temp.checkpoint, pg_temp.journal");
}

/* A database of the first version keeps what it has, and gets what is missing. */
Test(schema, of_an_older_version_is_migrated)
{
    identity_t identity;
    database_status_t before, after;
    error_t error = {0};
    uint32_t applied = 99;
    cr_assert(database_init(s_pair.database, &identity, &error), "%s", error.text);
    cr_assert(database_status(s_pair.database, NULL, &before, &error), "%s", error.text);
    s_go_back(1);
    cr_assert(!database_status(s_pair.database, NULL, &after, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_SCHEMA);
    cr_assert(strstr(error.text, "version 1") && strstr(error.text, "ixnctl database migrate"),
              "%s", error.text);
    cr_assert(database_migrate(s_pair.database, &applied, &error), "%s", error.text);
    cr_assert_eq(applied, schema_migrations_len - 1);
    cr_assert(database_status(s_pair.database, NULL, &after, &error), "%s", error.text);
    cr_assert(id_equal(after.identity.database_id, before.identity.database_id));
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT count(*) FROM ixn.role_history"), "0");
}

/* What an older schema stored otherwise stays readable; only new rows are compressed by LZ4. A
 * server without LZ4 leaves the journal as it was. */
Test(schema, compresses_what_is_large_where_the_server_can)
{
    identity_t identity;
    error_t error = {0};
    cr_assert(database_init(s_pair.database, &identity, &error), "%s", error.text);
    bool can = strcmp(pair_ask(s_pair.pq,
                               "SELECT 'lz4' = ANY (enumvals) FROM pg_settings "
                               "WHERE name = 'default_toast_compression'"),
                      "t") == 0;
    static const char columns[] =
        "SELECT string_agg(DISTINCT concat(attcompression, attstorage), ' ') FROM pg_attribute "
        "WHERE (attrelid, attname) IN (('ixn.journal'::regclass, 'entries'), "
        "('ixn.interaction'::regclass, 'attributes'), "
        "('ixn.interaction_finished'::regclass, 'journey'))";
    if (!can)
        cr_skip_test("this server was built without LZ4");
    cr_assert_str_eq(pair_ask(s_pair.pq, columns), "lx");
    s_go_back(9);
    pair_ask(s_pair.pq,
             "INSERT INTO ixn.journal VALUES (1, 1, 0, gen_random_uuid(), "
             "gen_random_uuid(), 0, now(), now(), convert_to(repeat('ab', 50000), "
             "'UTF8'))");
    uint32_t applied;
    cr_assert(database_migrate(s_pair.database, &applied, &error), "%s", error.text);
    cr_assert_eq(applied, schema_migrations_len - 9);
    cr_assert_str_eq(pair_ask(s_pair.pq, columns), "lx");
    pair_ask(s_pair.pq,
             "INSERT INTO ixn.journal SELECT 2, 2, epoch, previous_hash, hash, "
             "log_time_us, decided_at, committed_at, entries || '' FROM ixn.journal "
             "WHERE last_index = 1");
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT string_agg(octet_length(entries) || ' ' || "
                              "(pg_column_size(entries) < 5000), ', ' ORDER BY last_index) "
                              "FROM ixn.journal WHERE last_index > 0"),
                     "100000 false, 100000 true");
}

/* ---- Version 11: the history becomes a view of two tables ---- */

/* Into the table of the first version, whatever it is called by now. */
static void s_add_history(const char *table)
{
    pair_ask(
        s_pair.pq,
        "CREATE TABLE ixn.interaction_history_20260131 (LIKE %s INCLUDING ALL);"
        "ALTER TABLE %s ATTACH PARTITION ixn.interaction_history_20260131 "
        "FOR VALUES FROM ('2026-01-31 00:00+00') TO ('2026-02-01 00:00+00');"
        "INSERT INTO %s SELECT gen_random_uuid(), NULL, 'completed', false, "
        "'default', 'inbound', 'email', '', '', 'mail-' || i, 'client', 'key', i, "
        "'{\"b\": 1, \"a\": [\"\\u00e4\"]}', '[{\"at\": \"2026-01-31T12:00:00.000000Z\"}]', NULL, "
        "'s', 'answered', 0, 1, i, 0, 0, now(), now(), now(), now(), NULL, now(), "
        "'2026-01-31 12:00:00Z', 3000 + i FROM generate_series(1, 100) AS i",
        table, table, table);
}

/* Of everything that a reader of the history sees. */
static void s_describe(char text[2048])
{
    static const char *const questions[] = {
        "SELECT md5(string_agg(h::text, ' ' ORDER BY id)) FROM ixn.interaction_history AS h",
        "SELECT md5(string_agg(concat(attname, atttypid::regtype, CASE attname WHEN "
        "'submitted_by' THEN '' ELSE col_description(attrelid, attnum) END), ' ' "
        "ORDER BY attnum)) FROM pg_attribute "
        "WHERE attrelid = 'ixn.interaction_history'::regclass AND attnum > 0",
        "SELECT string_agg(concat_ws(' ', r, has_table_privilege(r, 'ixn.interaction_history', "
        "'SELECT'), has_column_privilege(r, 'ixn.interaction_history', 'queue', 'SELECT'), "
        "has_table_privilege(r, 'ixn.interaction_history', 'SELECT WITH GRANT OPTION')), ', ') "
        "FROM unnest('{pg_monitor,pg_checkpoint,pg_signal_backend}'::text[]) AS r",
        "SELECT string_agg(t::text, ' ') FROM ixn.throughput_hourly AS t",
    };
    text[0] = 0;
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        size_t len = strlen(text);
        snprintf(text + len, 2048 - len, "%s\n", pair_ask(s_pair.pq, "%s", questions[i]));
    }
}

Test(schema, of_version_10_keeps_its_history)
{
    identity_t identity;
    error_t error = {0};
    uint32_t applied;
    char before[2048];
    char after[2048];
    cr_assert(database_init(s_pair.database, &identity, &error), "%s", error.text);
    s_go_back(10);
    s_add_history("ixn.interaction_history");
    pair_ask(s_pair.pq,
             "GRANT SELECT ON ixn.interaction_history TO pg_monitor WITH GRANT OPTION;"
             "GRANT SELECT (queue) ON ixn.interaction_history TO pg_checkpoint");
    s_describe(before);
    cr_assert(strstr(before, "pg_monitor t t t, pg_checkpoint f t f, pg_signal_backend f f f"),
              "%s", before);
    const char *place = "SELECT pg_relation_filenode('ixn.interaction_history_20260131')";
    char node[40];
    snprintf(node, sizeof node, "%s", pair_ask(s_pair.pq, "%s", place));
    cr_assert(database_migrate(s_pair.database, &applied, &error), "%s", error.text);
    cr_assert_eq(applied, schema_migrations_len - 10);
    s_describe(after);
    cr_assert_str_eq(after, before);
    cr_assert_str_eq(pair_ask(s_pair.pq, "%s", place), node, "it was rewritten");
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT count(*) FROM pg_attribute AS a WHERE attnum > 0 AND "
                              "attrelid = 'ixn.interaction_finished'::regclass "
                              "AND col_description(attrelid, attnum) IS NULL"),
                     "0");
}

/* Version 12: an operator speaks for a person, so a name need not be a client's. */
Test(schema, says_whose_names_its_columns_hold)
{
    identity_t identity;
    error_t error = {0};
    cr_assert(database_init(s_pair.database, &identity, &error), "%s", error.text);
    cr_assert_str_eq(
        pair_ask(s_pair.pq,
                 "SELECT concat_ws(' ', count(*), string_agg(attrelid::regclass || '.' || attname, "
                 "' ') FILTER (WHERE col_description(attrelid, attnum) IS NULL OR "
                 "col_description(attrelid, attnum) !~ 'or of the person that an operator')) "
                 "FROM pg_attribute WHERE attrelid::regclass::text ~ '^ixn' AND attname IN "
                 "('submitted_by', 'put_by', 'activated_by', 'drained_by', 'changed_by')"),
        "8", "these do not say so");
}

/* With rows in the tables that all versions have. */
Test(schema, of_each_older_version_keeps_its_rows)
{
    static const char rows[] =
        "SELECT md5(string_agg(r::text, ' ' ORDER BY id)) FROM (SELECT id, "
        "external_id, attributes, journey, completed_at FROM "
        "ixn.interaction_history UNION ALL SELECT id, external_id, "
        "attributes, journey, submitted_at FROM ixn.interaction) AS r";
    char before[40];
    error_t error = {0};
    identity_t identity;
    uint32_t applied;
    cr_assert(database_init(s_pair.database, &identity, &error), "%s", error.text);
    for (uint32_t version = 1; version < DATABASE_SCHEMA_VERSION; version++) {
        s_go_back(version);
        s_add_history(version < 11 ? "ixn.interaction_history" : "ixn.interaction_history_before");
        pair_ask(s_pair.pq,
                 "INSERT INTO ixn.interaction SELECT id, NULL, 'queued', false, tenant, queue, "
                 "media_type, type, subtype, external_id, submitted_by, key, fingerprint, "
                 "attributes, journey, NULL, NULL, NULL, 0, 1, 7, NULL, NULL, 0, 0, NULL, now(), "
                 "now(), now(), now(), NULL, NULL FROM ixn.interaction_history LIMIT 10");
        snprintf(before, sizeof before, "%s", pair_ask(s_pair.pq, "%s", rows));
        cr_assert(database_migrate(s_pair.database, &applied, &error), "from %u: %s", version,
                  error.text);
        cr_assert_eq(applied, schema_migrations_len - version);
        cr_assert_str_eq(pair_ask(s_pair.pq, "%s", rows), before, "from %u", version);
        cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT count(*) FROM ixn.interaction_history"),
                         "100");
    }
}

/* A migration takes the time that it needs. */
Test(schema, is_migrated_whatever_the_database_allows_by_default)
{
    identity_t identity;
    error_t error = {0};
    uint32_t applied;
    cr_assert(database_init(s_pair.database, &identity, &error), "%s", error.text);
    s_go_back(10);
    pair_ask(s_pair.pq,
             "CREATE FUNCTION public.nap() RETURNS event_trigger LANGUAGE plpgsql AS"
             " 'BEGIN PERFORM pg_sleep(2); END';"
             "CREATE EVENT TRIGGER nap ON ddl_command_end WHEN tag IN ('CREATE VIEW')"
             " EXECUTE FUNCTION public.nap();"
             "ALTER DATABASE %s SET statement_timeout = '1500ms'",
             s_pair.name);
    database_destroy(&s_pair.database);
    s_pair.database = database_open(&s_pair.config, &error);
    cr_assert(s_pair.database, "%s", error.text);
    cr_assert(database_migrate(s_pair.database, &applied, &error), "%s", error.text);
}

/* It would go on with the old table alone. */
Test(schema, of_version_10_with_something_of_somebody_else_says_so)
{
    static const struct {
        const char *make, *name, *drop;
    } others[] = {
        {"CREATE VIEW public.mine AS SELECT queue FROM ixn.interaction_history", "view mine",
         "VIEW public.mine"},
        {"CREATE FUNCTION public.mine() RETURNS bigint BEGIN ATOMIC"
         " SELECT count(*) FROM ixn.interaction_history; END",
         "function mine()", "FUNCTION public.mine()"},
        {"CREATE TRIGGER mine BEFORE UPDATE ON ixn.interaction_history FOR EACH ROW"
         " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
         "trigger mine on", "TRIGGER mine ON ixn.interaction_history"},
        {"CREATE POLICY mine ON ixn.interaction_history USING (queue = current_user)",
         "policy mine on", "POLICY mine ON ixn.interaction_history"},
        {"SET LOCAL client_min_messages = error;"
         "CREATE PUBLICATION mine FOR TABLE ixn.interaction_history",
         "in publication mine", "PUBLICATION mine"},
    };
    identity_t identity;
    error_t error = {0};
    uint32_t applied;
    cr_assert(database_init(s_pair.database, &identity, &error), "%s", error.text);
    s_go_back(10);
    pair_ask(s_pair.pq, "CREATE VIEW public.hours AS SELECT hour FROM ixn.throughput_hourly");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        pair_ask(s_pair.pq, "%s", others[i].make);
        cr_assert(!database_migrate(s_pair.database, &applied, &error), "%s", others[i].name);
        cr_assert(strstr(error.text, others[i].name), "%s: %s", others[i].name, error.text);
        cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT max(version) FROM ixn.schema_migration"),
                         "10");
        pair_ask(s_pair.pq, "DROP %s", others[i].drop);
    }
    cr_assert(database_migrate(s_pair.database, &applied, &error), "%s", error.text);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT count(*) FROM public.hours"), "0");
}
