/* Retention on a real PostgreSQL: what goes, and above all what stays. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "dap/connection.h"
#include "dap/partition.h"
#include "dap/retention.h"
#include "tests/database/lane_fixture.h"

static fixture_t s_fixture;
static retention_t s_retention;
static connection_t *s_connection;

static void s_setup(void)
{
    fixture_init(&s_fixture);
    s_connection = connection_new(&s_fixture.daps[0], 2000, 5000);
}

static void s_teardown(void)
{
    connection_destroy(&s_connection);
    fixture_free(&s_fixture);
}

TestSuite(retention, .init = s_setup, .fini = s_teardown, .timeout = 300);

static void s_init(uint64_t journal_retention_ms, uint64_t journal_retention_size)
{
    retention_options_t options = {
        .fence = {s_fixture.identity, s_fixture.generation, s_fixture.instance},
        .journal_retention_us = (usec_t)journal_retention_ms * 1000,
        .journal_retention_size = journal_retention_size,
        .history_retention_us = 90 * DAY_US,
        .statement_timeout_ms = 20000,
    };
    retention_init(&s_retention, &options);
}

/* Steps until nothing is due. */
static void s_run(void)
{
    usec_t deadline = connection_now() + 60 * USEC_PER_SECOND;
    s_retention.next_journal = s_retention.next_days = s_retention.next_drop = 0;
    while (retention_step(&s_retention, s_connection) <= connection_now())
        cr_assert_lt(connection_now(), deadline, "no end of it");
}

/* Journal rows 1 … len of 1,000 bytes of entries; those up to `old` were committed two hours ago.
 * The checkpoint is put at `index`. */
static void s_fill_journal(int len, int old, int index)
{
    fixture_ask(s_fixture.pq,
                "INSERT INTO ixn.journal (last_index, first_index, epoch, previous_hash, hash, "
                "log_time_us, decided_at, committed_at, entries) "
                "SELECT i, i, 1, gen_random_uuid(), gen_random_uuid(), i, now(), "
                "clock_timestamp() - CASE WHEN i <= %d THEN interval '2 hours' "
                "ELSE interval '1 minute' END, decode(repeat('00', 1000), 'hex') "
                "FROM generate_series(1, %d) AS i",
                old, len);
    fixture_ask(s_fixture.pq, "UPDATE ixn.checkpoint SET index = %d", index);
}

static long long s_first(void)
{
    return fixture_number(&s_fixture, "SELECT coalesce(min(last_index), -1) FROM ixn.journal");
}

static long long s_len(void)
{
    return fixture_number(&s_fixture, "SELECT count(*) FROM ixn.journal");
}

Test(retention, old_journal_rows_go)
{
    s_fill_journal(3000, 2500, 2900);
    s_init(3600000, UINT64_C(1) << 30);
    s_run();
    cr_expect_eq(s_first(), 2501);
    cr_expect_eq(s_len(), 500);
    s_run();
    cr_expect_eq(s_len(), 500, "the rest is not old enough");
}

Test(retention, nothing_beyond_the_checkpoint_goes)
{
    s_fill_journal(300, 300, 120);
    s_init(3600000, 0);
    s_run();
    cr_expect_eq(s_first(), 121);
    fixture_ask(s_fixture.pq, "UPDATE ixn.checkpoint SET index = 200");
    s_run();
    cr_expect_eq(s_first(), 201);
}

Test(retention, the_newest_row_stays)
{
    s_fill_journal(300, 300, 300);
    s_init(1, 0);
    s_run();
    cr_expect_eq(s_first(), 300);
    cr_expect_eq(s_len(), 1);
}

Test(retention, what_is_too_much_goes_though_it_is_young)
{
    s_fill_journal(3000, 0, 3000);
    s_init(3600000, 1000000); /* a row counts as 1,160 bytes */
    s_run();
    cr_expect_eq(s_len(), 1000000 / 1160);
    /* What comes is counted, too. */
    fixture_ask(s_fixture.pq,
                "INSERT INTO ixn.journal SELECT last_index + 3000, first_index + 3000, "
                "epoch, previous_hash, hash, log_time_us, decided_at, committed_at, "
                "entries FROM ixn.journal WHERE last_index > 2900");
    fixture_ask(s_fixture.pq, "UPDATE ixn.checkpoint SET index = 6000");
    s_run();
    cr_expect_eq(s_len(), 1000000 / 1160);
    cr_expect_eq(fixture_number(&s_fixture, "SELECT max(last_index) FROM ixn.journal"), 6000);
}

/* The server's clock was set back: an old time behind a young one leaves no hole. */
Test(retention, journal_rows_go_from_the_oldest_on)
{
    s_fill_journal(300, 250, 300);
    fixture_ask(s_fixture.pq, "UPDATE ixn.journal SET committed_at = now() WHERE last_index = 50");
    s_init(3600000, UINT64_C(1) << 30);
    s_run();
    cr_expect_eq(s_first(), 50);
    cr_expect_eq(s_len(), 251);
}

Test(retention, another_generation_deletes_nothing)
{
    s_fill_journal(300, 300, 300);
    fixture_ask(s_fixture.pq, "UPDATE ixn.checkpoint SET generation = gen_random_uuid()");
    s_init(1, 0);
    s_run();
    cr_expect_eq(s_len(), 300);
}

Test(retention, a_long_reader_does_not_stop_it)
{
    s_fill_journal(3000, 2500, 2900);
    PGconn *reader = fixture_connect(&s_fixture);
    fixture_ask(reader, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    fixture_ask(reader, "SELECT count(*) FROM ixn.journal");
    s_init(3600000, UINT64_C(1) << 30);
    s_run();
    cr_expect_eq(s_len(), 500);
    PQfinish(reader);
}

/* ---- Days of the history ---- */

static bool s_has(int64_t day)
{
    char name[PARTITION_NAME_SIZE];
    char sql[200];
    snprintf(
        sql, sizeof sql,
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'ixn.interaction_finished'::regclass "
        "AND inhrelid = to_regclass('ixn.%s')",
        partition_name(day, name));
    return fixture_number(&s_fixture, sql) == 1;
}

static partition_options_t s_partition_options(void)
{
    return (partition_options_t){
        .fence = {s_fixture.identity, s_fixture.generation, s_fixture.instance},
        .timeout_ms = 5000,
        .retention_us = 90 * DAY_US};
}

static void s_make(int64_t day)
{
    partition_options_t options = s_partition_options();
    error_t error = {0};
    cr_assert(partition_make(s_connection, &options, day, &error), "%s", error.text);
}

Test(retention, today_and_tomorrow_are_made)
{
    int64_t today = partition_day(test_wall());
    s_init(1, 0);
    s_run();
    cr_expect(s_has(today) && s_has(today + 1));
    cr_expect_not(s_has(today - 1));
    char name[PARTITION_NAME_SIZE];
    cr_expect_neq(fixture_ask(s_fixture.pq, "SELECT obj_description('ixn.%s'::regclass)",
                              partition_name(today, name))[0],
                  0, "it says what it is");
    cr_expect_str_eq(fixture_ask(s_fixture.pq,
                                 "SELECT count(*) FROM pg_index AS i JOIN pg_class AS c ON "
                                 "c.oid = i.indrelid WHERE c.relname = '%s'",
                                 name),
                     fixture_ask(s_fixture.pq,
                                 "SELECT count(*) + 1 FROM pg_index WHERE indrelid = "
                                 "'ixn.interaction_finished'::regclass"),
                     "those of all days, and the one over id");
}

/* A partition takes nothing of it but the ranges from its parent. */
Test(retention, a_day_is_cheap_to_keep)
{
    s_make(12345);
    const char *name = "'ixn.interaction_finished_20031020'::regclass";
    cr_expect_str_eq(
        fixture_ask(s_fixture.pq, "SELECT reloptions FROM pg_class WHERE oid = %s", name),
        "{autovacuum_analyze_scale_factor=0.5}");
    cr_expect_str_eq(fixture_ask(s_fixture.pq,
                                 "SELECT string_agg(DISTINCT attstattarget::text, ' ') FROM "
                                 "pg_attribute WHERE attrelid = %s AND attnum > 0",
                                 name),
                     "30");
    /* As it was made, not only as it is defined: the first range is there from the beginning, and
     * of ranges of 32 pages 16 more would be full. */
    enum { ROWS = 9000 };
    test_image_t *image = test_image_new(0, ROWS);
    for (uint64_t i = 0; i < ROWS; i++) {
        interaction_row_t row = test_finished(i + 1, 12345 * DAY_US);
        test_image_finish(image, &row);
    }
    fixture_start(&s_fixture);
    fixture_write(&s_fixture, &image->image);
    cr_expect_str_eq(
        fixture_ask(s_fixture.pq,
                    "SELECT concat_ws(' ', pg_relation_size(i.indrelid) / 8192 BETWEEN "
                    "513 AND 1024, c.reloptions, "
                    "brin_summarize_new_values(i.indexrelid)) FROM pg_index AS i "
                    "JOIN pg_class AS c ON c.oid = i.indexrelid "
                    "JOIN pg_am AS m ON m.oid = c.relam AND m.amname = 'brin' "
                    "WHERE i.indrelid = %s",
                    name),
        "t {pages_per_range=512,autosummarize=on} 1");
}

Test(retention, a_day_can_be_made_twice_and_at_the_edges)
{
    s_make(0);
    s_make(0);
    s_make(2932896); /* the last day of 9999 */
    cr_expect(s_has(0) && s_has(2932896));
    fixture_ask(s_fixture.pq, "SET timezone = 'America/New_York'");
    cr_expect_str_eq(fixture_ask(s_fixture.pq,
                                 "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE "
                                 "relname = 'interaction_finished_19700101'"),
                     "FOR VALUES FROM ('1969-12-31 19:00:00-05') TO ('1970-01-01 19:00:00-05')");
}

/* Somebody took it out: its rows have no place to go, and it is said why. */
Test(retention, a_day_that_is_no_partition_is_named)
{
    partition_options_t options = s_partition_options();
    error_t error = {0};
    s_make(12345);
    fixture_ask(s_fixture.pq,
                "ALTER TABLE ixn.interaction_finished "
                "DETACH PARTITION ixn.interaction_finished_20031020");
    cr_assert_not(partition_make(s_connection, &options, 12345, &error));
    cr_expect(strstr(error.text, "ixn.interaction_finished_20031020 is there and is no partition"),
              "%s", error.text);
    fixture_ask(s_fixture.pq, "ALTER TABLE ixn.interaction_finished_20031020 RENAME TO kept");
    cr_assert(partition_make(s_connection, &options, 12345, &error), "%s", error.text);
    cr_expect(s_has(12345));
}

/* Somebody made partitions by hand, by the calendar of another place, or for what has no place. */
Test(retention, what_is_in_a_days_way_is_named)
{
    static const struct {
        const char *made, *removed, *said;
    } cases[] = {
        {"CREATE TABLE ixn.by_hand PARTITION OF ixn.interaction_finished FOR VALUES "
         "FROM ('2003-10-20 22:00:00+00') TO ('2003-11-20 22:00:00+00')",
         "ALTER TABLE ixn.interaction_finished DETACH PARTITION ixn.by_hand",
         "ixn.by_hand [\"2003-10-20 22:00:00+00\",\"2003-11-20 22:00:00+00\") is in the way of "
         "ixn.interaction_finished_20031020 [\"2003-10-20 00:00:00+00\",\"2003-10-21 "
         "00:00:00+00\"): "
         "detach it"},
        {"CREATE TABLE ixn.before PARTITION OF ixn.interaction_finished FOR VALUES "
         "FROM (MINVALUE) TO ('2003-10-20 00:00:01+00')",
         "DROP TABLE ixn.before", "ixn.before (,\"2003-10-20 00:00:01+00\") is in the way of"},
        {"CREATE TABLE ixn.interaction_finished_20031020 PARTITION OF ixn.interaction_finished FOR "
         "VALUES FROM ('2003-10-20 00:00:00+02') TO ('2003-10-21 00:00:00+02')",
         "DROP TABLE ixn.interaction_finished_20031020",
         "ixn.interaction_finished_20031020 [\"2003-10-19 22:00:00+00\","},
        {"CREATE TABLE ixn.interaction_finished_20031020 PARTITION OF ixn.interaction_finished FOR "
         "VALUES FROM ('2001-01-01') TO ('2001-01-02')",
         "DROP TABLE ixn.interaction_finished_20031020",
         "ixn.interaction_finished_20031020 is there and is no partition of "
         "ixn.interaction_finished for [\"2003-10-20"},
    };
    partition_options_t options = s_partition_options();
    fixture_ask(s_fixture.pq, "ALTER DATABASE %s SET datestyle = 'German, DMY'", s_fixture.name);
    fixture_ask(s_fixture.pq, "ALTER DATABASE %s SET timezone = 'Asia/Kolkata'", s_fixture.name);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        error_t error = {0};
        fixture_ask(s_fixture.pq, "%s", cases[i].made);
        cr_expect_not(partition_make(s_connection, &options, 12345, &error));
        cr_expect(strstr(error.text, cases[i].said), "%s", error.text);
        s_make(13000); /* others are not touched */
        fixture_ask(s_fixture.pq, "%s", cases[i].removed);
        s_make(12345);
        fixture_ask(s_fixture.pq,
                    "DROP TABLE ixn.interaction_finished_20031020, "
                    "ixn.interaction_finished_20050805");
    }
}

/* A default partition is in nobody's way until it holds something of the day. The lane says what
 * is, and goes on by itself. */
Test(retention, an_image_waits_until_the_way_is_free)
{
    fixture_ask(s_fixture.pq,
                "CREATE TABLE ixn.all_else PARTITION OF ixn.interaction_finished DEFAULT");
    fixture_start(&s_fixture);
    test_image_t *image = test_image_new(0, 1);
    interaction_row_t row = test_finished(1, 12345 * DAY_US);
    test_image_finish(image, &row);
    fixture_write(&s_fixture, &image->image);
    cr_expect(s_has(12345));
    fixture_ask(s_fixture.pq,
                "ALTER TABLE ixn.interaction_finished "
                "DETACH PARTITION ixn.interaction_finished_20031020");
    fixture_ask(s_fixture.pq, "ALTER TABLE ixn.interaction_finished_20031020 RENAME TO kept");
    fixture_ask(s_fixture.pq, "INSERT INTO ixn.interaction_finished SELECT * FROM ixn.kept");
    checkpoint_writer_destroy(&s_fixture.writer); /* the next one has not seen the day */
    fixture_start(&s_fixture);
    checkpoint_event_t event;
    image = test_image_new(1, 2);
    row = test_finished(2, 12345 * DAY_US + 1);
    test_image_finish(image, &row);
    checkpoint_writer_write(s_fixture.writer, &image->image);
    fixture_next(&s_fixture, &event);
    cr_assert_eq(event.kind, CHECKPOINT_WAITING, "event %d: %s", event.kind, event.error.text);
    cr_expect(strstr(event.error.text,
                     "ixn.all_else, the default partition, holds rows of "
                     "ixn.interaction_finished_20031020 [\"2003-10-20 00"),
              "%s", event.error.text);
    fixture_ask(s_fixture.pq, "ALTER TABLE ixn.interaction_finished DETACH PARTITION ixn.all_else");
    do
        fixture_next(&s_fixture, &event);
    while (event.kind == CHECKPOINT_WAITING);
    cr_assert_eq(event.kind, CHECKPOINT_WRITTEN, "event %d: %s", event.kind, event.error.text);
    cr_expect(s_has(12345));
}

Test(retention, days_are_made_while_the_history_is_read)
{
    PGconn *reader = fixture_connect(&s_fixture);
    fixture_ask(reader, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    fixture_ask(reader, "SELECT count(*) FROM ixn.interaction_history");
    usec_t start = connection_now();
    s_make(12345);
    cr_expect_lt(connection_now() - start, 15 * USEC_PER_SECOND, "the reader was waited for");
    cr_expect(s_has(12345));
    PQfinish(reader);
}

Test(retention, old_days_go_and_others_stay)
{
    int64_t today = partition_day(test_wall());
    s_make(today - 89);
    s_make(today - 90); /* its last hours are not 90 days old */
    s_make(today - 91);
    s_make(today - 400);
    fixture_ask(s_fixture.pq,
                "CREATE TABLE ixn.interaction_finished_old PARTITION OF "
                "ixn.interaction_finished FOR VALUES FROM ('1999-01-01') "
                "TO ('1999-02-01')");
    s_init(1, 0);
    s_run();
    cr_expect(s_has(today - 89) && s_has(today - 90));
    cr_expect_not(s_has(today - 91) || s_has(today - 400));
    cr_expect_eq(fixture_number(&s_fixture,
                                "SELECT count(*) FROM pg_inherits WHERE inhrelid = "
                                "to_regclass('ixn.interaction_finished_old')"),
                 1, "a partition of somebody else is not ours to drop");
}

/* A day's name alone is not enough, whoever gave it; and none keeps the node from its own days. */
Test(retention, what_is_no_whole_day_is_not_dropped)
{
    static const char *const made[] = {
        "interaction_finished_20200101 PARTITION OF ixn.interaction_finished FOR VALUES "
        "FROM ('2020-01-01 00:00:00+00') TO ('2020-01-03 00:00:00+00')",
        "interaction_finished_20200231 PARTITION OF ixn.interaction_finished FOR VALUES "
        "FROM ('2020-02-01 00:00:00+00') TO ('2020-02-02 00:00:00+00')",
        "interaction_finished_00000000 PARTITION OF ixn.interaction_finished FOR VALUES "
        "FROM (MINVALUE) TO ('1970-01-01')",
        "interaction_finished_99999999 PARTITION OF ixn.interaction_finished DEFAULT",
    };
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        fixture_ask(s_fixture.pq, "CREATE TABLE ixn.%s", made[i]);
    int64_t today = partition_day(test_wall());
    s_make(today - 400);
    fixture_ask(s_fixture.pq, "ALTER DATABASE %s SET datestyle = 'SQL, DMY'", s_fixture.name);
    fixture_ask(s_fixture.pq, "ALTER DATABASE %s SET timezone = 'Asia/Kolkata'", s_fixture.name);
    connection_close(s_connection);
    s_init(1, 0);
    s_run();
    cr_expect_not(s_has(today - 400));
    cr_expect_eq(fixture_number(&s_fixture,
                                "SELECT count(*) FROM pg_inherits WHERE inhparent = "
                                "'ixn.interaction_finished'::regclass"),
                 sizeof made / sizeof *made + 2, "today and tomorrow were made");
}

/* A node whose calendar is a year behind: its rows are a year old at once. */
Test(retention, what_was_finished_lately_stays_whatever_its_date)
{
    int64_t today = partition_day(test_wall());
    test_image_t *image = test_image_new(0, 1);
    interaction_row_t rows[] = {test_finished(1, (today - 400) * DAY_US),
                                test_finished(2, (today - 500) * DAY_US)};
    rows[0].completed_log = 10 * DAY_US;
    rows[1].completed_log = 9 * DAY_US - 1;
    image->image.log_time = 10 * DAY_US;
    test_image_finish(image, &rows[0]);
    test_image_finish(image, &rows[1]);
    fixture_start(&s_fixture);
    fixture_write(&s_fixture, &image->image);
    s_init(1, 0);
    /* The writer has a retention of its own: one may postpone what the other one is at. */
    usec_t deadline = connection_now() + 60 * USEC_PER_SECOND;
    for (s_run(); s_has(today - 500); s_run())
        cr_assert_lt(connection_now(), deadline);
    cr_expect(s_has(today - 400));
}

/* What is looked at goes from the oldest on; steps that are postponed come at once here. */
static void s_drop_all_that_may_go(void)
{
    s_run();
    while (s_retention.dropped[0])
        s_run();
}

Test(retention, a_reader_postpones_the_drop_and_nothing_else)
{
    int64_t today = partition_day(test_wall());
    s_make(today - 400);
    PGconn *reader = fixture_connect(&s_fixture);
    fixture_ask(reader, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    fixture_ask(reader, "SELECT count(*) FROM ixn.interaction_history");
    s_fill_journal(100, 100, 100);
    s_init(1, 0);
    usec_t start = connection_now();
    s_drop_all_that_may_go();
    cr_expect_lt(connection_now() - start, 15 * USEC_PER_SECOND, "the reader was waited for");
    cr_expect(s_has(today - 400));
    cr_expect(s_has(today));
    cr_expect_eq(s_len(), 1);
    cr_expect_gt(s_retention.next_drop, connection_now(), "tried again later");
    cr_expect_lt(s_retention.next_drop, connection_now() + 60 * USEC_PER_SECOND);
    PQfinish(reader);
    s_run();
    cr_expect_not(s_has(today - 400));
}

/* One that somebody reads, one that a view is made of, one that is rewritten, one that a trigger of
 * an operator's guards. */
Test(retention, days_that_are_held_postpone_no_other)
{
    int64_t today = partition_day(test_wall());
    char name[PARTITION_NAME_SIZE];
    for (int64_t day = today - 400; day < today - 392; day++)
        s_make(day);
    PGconn *reader = fixture_connect(&s_fixture);
    fixture_ask(reader, "BEGIN");
    fixture_ask(reader, "SELECT count(*) FROM ixn.%s", partition_name(today - 400, name));
    fixture_ask(s_fixture.pq, "CREATE VIEW report AS SELECT id FROM ixn.%s",
                partition_name(today - 398, name));
    PGconn *rewriter = fixture_connect(&s_fixture);
    fixture_ask(rewriter, "BEGIN");
    fixture_ask(rewriter, "LOCK TABLE ixn.%s", partition_name(today - 396, name));
    fixture_ask(
        s_fixture.pq,
        "CREATE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE object_name = '%s') "
        "THEN RAISE EXCEPTION 'this day is kept'; END IF; END $$",
        partition_name(today - 394, name));
    fixture_ask(s_fixture.pq, "CREATE EVENT TRIGGER guard ON sql_drop EXECUTE FUNCTION guard()");
    s_init(1, 0);
    usec_t start = connection_now();
    s_drop_all_that_may_go();
    cr_expect_lt(connection_now() - start, 15 * USEC_PER_SECOND, "they were waited for");
    cr_expect(s_has(today) && s_has(today + 1), "what is rewritten keeps no day from being made");
    for (int64_t day = today - 400; day < today - 392; day++)
        cr_expect_eq(s_has(day), day % 2 == today % 2, "%s", partition_name(day, name));
    cr_expect_lt(s_retention.next_drop, connection_now() + 60 * USEC_PER_SECOND, "tried again");
    PQfinish(reader);
    PQfinish(rewriter);
    fixture_ask(s_fixture.pq, "DROP VIEW report");
    fixture_ask(s_fixture.pq, "DROP EVENT TRIGGER guard");
    s_drop_all_that_may_go();
    for (int64_t day = today - 400; day < today - 392; day++)
        cr_expect_not(s_has(day), "%s", partition_name(day, name));
    cr_expect_gt(s_retention.next_drop, connection_now() + 60 * USEC_PER_SECOND, "none is held");
}

Test(retention, another_generation_makes_and_drops_no_day)
{
    int64_t today = partition_day(test_wall());
    s_make(today - 400);
    fixture_ask(s_fixture.pq, "UPDATE ixn.checkpoint SET generation = gen_random_uuid()");
    s_init(1, 0);
    s_run();
    cr_expect(s_has(today - 400));
    cr_expect_not(s_has(today));
}

/* The lane does all this by itself, also while images keep coming. */
Test(retention, the_lane_does_it_between_images)
{
    int64_t today = partition_day(test_wall());
    s_make(today - 400);
    s_fill_journal(2000, 2000, 0);
    s_fixture.config.journal_retention_ms = 1;
    fixture_start(&s_fixture);
    uint64_t index = 0;
    usec_t deadline = connection_now() + 90 * USEC_PER_SECOND;
    while (s_len() > 1 || s_has(today - 400) || !s_has(today + 1)) {
        cr_assert_lt(connection_now(), deadline, "%lld rows left", s_len());
        uint64_t to = index + (index < 2000 ? 100 : 1);
        fixture_write(&s_fixture, &test_image_new(index, to)->image);
        index = to;
    }
}

Test(retention, through_a_transaction_pooler)
{
    const char *pooler = getenv("IXN_TEST_POOLER");
    if (!pooler) {
        fprintf(stderr, "SKIPPED: IXN_TEST_POOLER is not set: run tests/database/run.sh\n");
        return;
    }
    fixture_set_dap(&s_fixture, 0, pooler);
    connection_destroy(&s_connection);
    s_connection = connection_new(&s_fixture.daps[0], 2000, 5000);
    int64_t today = partition_day(test_wall());
    s_make(today - 400);
    s_fill_journal(3000, 2500, 2900);
    s_init(3600000, UINT64_C(1) << 30);
    s_run();
    cr_expect_eq(s_len(), 500);
    cr_expect(s_has(today) && s_has(today + 1));
    cr_expect_not(s_has(today - 400));
}
