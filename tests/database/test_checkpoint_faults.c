/* Checkpoint lane when things go wrong: lost answers, frozen connections, rows that the database
 * refuses, readers that stay for long, a pooler in between. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "dap/connection.h"
#include "dap/rows.h"
#include "tests/database/lane_fixture.h"
#include "tests/database/proxy.h"

static fixture_t s_fixture;
/* What only the transaction of an image says: other transactions of the lane commit, too. */
static const char s_image_word[] = "UPDATE ixn.checkpoint";
static proxy_t *s_proxy;

static void s_setup(void)
{
    fixture_init(&s_fixture);
}

static void s_teardown(void)
{
    fixture_free(&s_fixture);
    proxy_destroy(&s_proxy);
}

TestSuite(checkpoint_faults, .init = s_setup, .fini = s_teardown, .timeout = 300);

static long long s_count(const char *table)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM ixn.%s", table);
    return fixture_number(&s_fixture, sql);
}

static checkpoint_image_t *s_image(uint64_t from, uint64_t to)
{
    test_image_t *image = test_image_new(from, to);
    usec_t now = test_wall();
    for (uint64_t i = 0; i < 50; i++) {
        interaction_row_t row = test_row(from * 1000 + i);
        interaction_row_t finished = test_finished(from * 1000 + 500 + i, now);
        test_image_change(image, &row);
        test_image_finish(image, &finished);
    }
    return &image->image;
}

/* One DAP through the proxy, and when told so a second one straight to the server. */
static void s_start_behind_proxy(bool with_straight)
{
    char conninfo[200];
    s_proxy = proxy_new((int)strtol(PQport(s_fixture.pq), NULL, 10));
    snprintf(conninfo, sizeof conninfo,
             "host=127.0.0.1 port=%d user=%s sslmode=disable gssencmode=disable",
             proxy_port(s_proxy), PQuser(s_fixture.pq));
    fixture_set_dap(&s_fixture, 0, conninfo);
    if (with_straight) {
        fixture_set_dap(&s_fixture, 1, getenv("IXN_TEST_CONNINFO"));
        s_fixture.daps[0].weight = 100; /* its turn, nearly always */
    }
    fixture_start(&s_fixture);
    fixture_write(&s_fixture, &test_image_new(0, 1)->image); /* it works before it does not */
}

static void s_expect_waiting_then_written(uint64_t index)
{
    checkpoint_event_t event;
    fixture_next(&s_fixture, &event);
    if (s_fixture.config.daps_len == 1) { /* with another one nothing is waited for */
        cr_assert_eq(event.kind, CHECKPOINT_WAITING, "event %d: %s", event.kind, event.error.text);
        cr_expect_eq(event.error.code, ERROR_DATABASE_UNREACHABLE, "%s", event.error.text);
    }
    while (event.kind == CHECKPOINT_WAITING)
        fixture_next(&s_fixture, &event);
    cr_assert_eq(event.kind, CHECKPOINT_WRITTEN, "event %d: %s", event.kind, event.error.text);
    cr_expect_eq(event.index, index);
    cr_expect_not(proxy_is_armed(s_proxy));
    cr_expect_eq(s_count("interaction"), 50);
    cr_expect_eq(s_count("interaction_history"), 50);
    cr_expect_eq(fixture_number(&s_fixture, "SELECT index FROM ixn.checkpoint"), (long long)index);
}

Test(checkpoint_faults, the_commits_answer_is_lost)
{
    s_start_behind_proxy(false);
    proxy_arm(s_proxy, PROXY_LOSE_ANSWER, s_image_word, "COMMIT");
    checkpoint_writer_write(s_fixture.writer, s_image(1, 2));
    s_expect_waiting_then_written(2);
    cr_expect_eq(fixture_number(&s_fixture,
                                "SELECT count(DISTINCT xmin::text) FROM "
                                "(SELECT xmin FROM ixn.interaction UNION ALL "
                                "SELECT xmin FROM ixn.checkpoint) AS r"),
                 1, "written once, by the first attempt");
}

Test(checkpoint_faults, the_commit_itself_is_lost)
{
    s_start_behind_proxy(false);
    proxy_arm(s_proxy, PROXY_LOSE_REQUEST, s_image_word, "COMMIT");
    checkpoint_writer_write(s_fixture.writer, s_image(1, 2));
    s_expect_waiting_then_written(2);
}

Test(checkpoint_faults, the_connection_breaks_between_rows)
{
    s_start_behind_proxy(true);
    proxy_arm(s_proxy, PROXY_LOSE_REQUEST, s_image_word, "COPY ixn.interaction_finished");
    checkpoint_writer_write(s_fixture.writer, s_image(1, 2));
    s_expect_waiting_then_written(2);
}

/* The frozen connection's transaction holds the checkpoint's row; the server itself ends it. */
Test(checkpoint_faults, the_connection_freezes_in_the_transaction)
{
    s_fixture.config.statement_timeout_ms = 400;
    s_start_behind_proxy(true);
    proxy_arm(s_proxy, PROXY_FREEZE, s_image_word, "INSERT INTO ixn.interaction ");
    checkpoint_writer_write(s_fixture.writer, s_image(1, 2));
    s_expect_waiting_then_written(2);
}

Test(checkpoint_faults, the_connection_freezes_in_a_copy)
{
    s_fixture.config.statement_timeout_ms = 400;
    s_start_behind_proxy(true);
    proxy_arm(s_proxy, PROXY_FREEZE, s_image_word, "PGCOPY");
    checkpoint_writer_write(s_fixture.writer, s_image(1, 2));
    s_expect_waiting_then_written(2);
}

Test(checkpoint_faults, the_connection_freezes_at_commit)
{
    s_fixture.config.statement_timeout_ms = 400;
    s_start_behind_proxy(true);
    proxy_arm(s_proxy, PROXY_FREEZE, s_image_word, "COMMIT");
    checkpoint_writer_write(s_fixture.writer, s_image(1, 2));
    s_expect_waiting_then_written(2);
}

Test(checkpoint_faults, the_server_ends_the_session)
{
    fixture_start(&s_fixture);
    fixture_write(&s_fixture, &test_image_new(0, 1)->image);
    fixture_ask(s_fixture.pq,
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND application_name = 'ixn'");
    checkpoint_writer_write(s_fixture.writer, s_image(1, 2));
    checkpoint_event_t event;
    do
        fixture_next(&s_fixture, &event);
    while (event.kind == CHECKPOINT_WAITING);
    cr_assert_eq(event.kind, CHECKPOINT_WRITTEN, "event %d: %s", event.kind, event.error.text);
    cr_expect_eq(s_count("interaction"), 50);
}

Test(checkpoint_faults, a_dap_that_is_down_leaves_it_to_the_next)
{
    proxy_t *gone = proxy_new(1);
    char conninfo[100];
    snprintf(conninfo, sizeof conninfo, "host=127.0.0.1 port=%d user=postgres", proxy_port(gone));
    proxy_destroy(&gone); /* nobody listens there now */
    fixture_set_dap(&s_fixture, 0, conninfo);
    fixture_set_dap(&s_fixture, 1, getenv("IXN_TEST_CONNINFO"));
    fixture_start(&s_fixture);
    checkpoint_writer_write(s_fixture.writer, s_image(0, 2));
    checkpoint_event_t event;
    int waiting = -1;
    do {
        fixture_next(&s_fixture, &event);
        waiting++;
    } while (event.kind == CHECKPOINT_WAITING);
    cr_assert_eq(event.kind, CHECKPOINT_WRITTEN);
    cr_expect_leq(waiting, 1, "said once an outage");
    fixture_write(&s_fixture, s_image(2, 3)); /* and stays with what works */
}

Test(checkpoint_faults, it_can_be_stopped_while_it_waits)
{
    fixture_start(&s_fixture);
    fixture_ask(s_fixture.pq, "ALTER TABLE ixn.checkpoint RENAME TO elsewhere");
    checkpoint_writer_write(s_fixture.writer, s_image(0, 2));
    checkpoint_event_t event;
    fixture_next(&s_fixture, &event);
    cr_assert_eq(event.kind, CHECKPOINT_WAITING);
    cr_expect_eq(event.error.code, ERROR_DATABASE_REFUSED, "%s", event.error.text);
    usec_t start = connection_now();
    checkpoint_writer_destroy(&s_fixture.writer);
    cr_expect_lt(connection_now() - start, 10 * USEC_PER_SECOND);
}

/* Nor is a statement in flight waited for, however patient the lane is with the server. */
Test(checkpoint_faults, it_can_be_stopped_in_the_middle_of_an_image)
{
    s_fixture.config.statement_timeout_ms = 60000;
    fixture_start(&s_fixture);
    fixture_write(&s_fixture, s_image(0, 1));
    PGconn *other = fixture_connect(&s_fixture);
    fixture_ask(other, "BEGIN; LOCK TABLE ixn.interaction IN EXCLUSIVE MODE");
    checkpoint_writer_write(s_fixture.writer, s_image(1, 2));
    usec_t deadline = connection_now() + 60 * USEC_PER_SECOND;
    while (fixture_number(&s_fixture,
                          "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                          "current_database() AND wait_event_type = 'Lock'") == 0)
        cr_assert_lt(connection_now(), deadline);
    usec_t start = connection_now();
    checkpoint_writer_destroy(&s_fixture.writer);
    usec_t elapsed = connection_now() - start;
    cr_expect_lt(elapsed, 10 * USEC_PER_SECOND, "%ld us", (long)elapsed);
    fixture_ask(other, "COMMIT");
    PQfinish(other);
    /* Half of an image is nowhere: its transaction ends with its connection. */
    while (fixture_number(&s_fixture,
                          "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                          "current_database() AND pid <> pg_backend_pid()") > 0)
        cr_assert_lt(connection_now(), deadline);
    cr_expect_eq(fixture_number(&s_fixture, "SELECT index FROM ixn.checkpoint"), 1);
    cr_expect_eq(s_count("interaction"), 50);
}

/* ---- Rows that are refused ---- */

/* An image of many rows, one of which is told apart by `spoil`; its id. */
static id128_t s_write_spoiled(void (*put)(test_image_t *, const interaction_row_t *),
                               void (*spoil)(interaction_row_t *))
{
    test_image_t *image = test_image_new(0, 2);
    usec_t now = test_wall();
    id128_t id = {{0}};
    for (uint64_t i = 0; i < 6000; i++) {
        interaction_row_t row = put == test_image_finish ? test_finished(i, now) : test_row(i);
        if (i == 5432) {
            spoil(&row);
            id = row.id;
        }
        put(image, &row);
    }
    checkpoint_writer_write(s_fixture.writer, &image->image);
    return id;
}

static void s_expect_refused(id128_t id, const char *words)
{
    checkpoint_event_t event;
    char text[ID_TEXT_SIZE];
    fixture_next(&s_fixture, &event);
    cr_assert_eq(event.kind, CHECKPOINT_REFUSED, "event %d: %s", event.kind, event.error.text);
    cr_expect(strstr(event.error.text, id_text(id, text)), "%s, not %s", event.error.text, text);
    cr_expect(strstr(event.error.text, words), "%s", event.error.text);
    cr_expect_eq(s_count("interaction"), 0);
    cr_expect_eq(s_count("interaction_history"), 0);
    cr_expect_eq(fixture_number(&s_fixture, "SELECT index FROM ixn.checkpoint"), 0);
}

static void s_spoil_attributes(interaction_row_t *row)
{
    row->attributes = TEXT("{\"a\": \"\\ud800\"}"); /* half of a surrogate pair */
}

static void s_spoil_text(interaction_row_t *row)
{
    row->queue = TEXT("zero\0byte");
}

static void s_spoil_priority(interaction_row_t *row)
{
    row->priority = 77777;
}

static void s_spoil_time(interaction_row_t *row)
{
    row->completed_at = INT64_MAX - 1;
}

Test(checkpoint_faults, json_that_the_database_does_not_take)
{
    fixture_start(&s_fixture);
    s_expect_refused(s_write_spoiled(test_image_add, s_spoil_attributes), "json");
}

Test(checkpoint_faults, text_that_the_database_does_not_take)
{
    fixture_start(&s_fixture);
    s_expect_refused(s_write_spoiled(test_image_finish, s_spoil_text), "0x00");
}

Test(checkpoint_faults, a_time_that_the_database_does_not_take)
{
    fixture_start(&s_fixture);
    s_expect_refused(s_write_spoiled(test_image_finish, s_spoil_time), "no partition");
}

/* The state has finished it twice, and nobody should hide that: whatever the time of day. */
Test(checkpoint_faults, what_is_finished_twice_in_a_day_is_refused)
{
    checkpoint_event_t event;
    const usec_t day = (usec_t)24 * 3600 * USEC_PER_SECOND;
    interaction_row_t row = test_finished(1, test_wall() / day * day);
    fixture_start(&s_fixture);
    for (uint64_t i = 0; i < 2; i++) {
        test_image_t *image = test_image_new(i, i + 1);
        test_image_finish(image, &row);
        checkpoint_writer_write(s_fixture.writer, &image->image);
        fixture_next(&s_fixture, &event);
        row.completed_at++;
    }
    cr_assert_eq(event.kind, CHECKPOINT_REFUSED, "event %d: %s", event.kind, event.error.text);
    cr_expect(strstr(event.error.text, "_id_idx"), "%s", event.error.text);
    cr_expect_eq(s_count("interaction_history"), 1);
}

Test(checkpoint_faults, a_mended_schema_lets_it_go_on)
{
    fixture_ask(s_fixture.pq,
                "ALTER TABLE ixn.interaction ADD CONSTRAINT small "
                "CHECK (priority < 10000)");
    fixture_start(&s_fixture);
    s_expect_refused(s_write_spoiled(test_image_change, s_spoil_priority), "small");
    fixture_ask(s_fixture.pq, "ALTER TABLE ixn.interaction DROP CONSTRAINT small");
    checkpoint_event_t event;
    fixture_next(&s_fixture, &event);
    cr_expect_eq(event.kind, CHECKPOINT_WRITTEN, "event %d: %s", event.kind, event.error.text);
    cr_expect_eq(s_count("interaction"), 6000);
}

Test(checkpoint_faults, an_interaction_that_is_finished_twice)
{
    fixture_start(&s_fixture);
    interaction_row_t row = test_finished(1, test_wall());
    interaction_row_t other = test_finished(2, test_wall());
    test_image_t *image = test_image_new(0, 1);
    test_image_finish(image, &row);
    fixture_write(&s_fixture, &image->image);
    image = test_image_new(1, 2);
    test_image_finish(image, &other);
    test_image_finish(image, &row);
    checkpoint_writer_write(s_fixture.writer, &image->image);
    checkpoint_event_t event;
    char id[ID_TEXT_SIZE];
    fixture_next(&s_fixture, &event);
    cr_expect_eq(event.kind, CHECKPOINT_REFUSED);
    cr_expect(strstr(event.error.text, id_text(row.id, id)), "%s", event.error.text);
    cr_expect_eq(s_count("interaction_history"), 1);
}

/* Somebody put it there by hand: the row that is named is the one, and without it all is well. */
Test(checkpoint_faults, a_new_row_that_is_in_the_table_already)
{
    char id[ID_TEXT_SIZE];
    checkpoint_event_t event;
    test_image_t *images[2] = {test_image_new(0, 1), test_image_new(1, 2)};
    fixture_start(&s_fixture);
    for (uint64_t i = 0; i < 1000; i++) {
        interaction_row_t row = test_row(i);
        if (i == 321) {
            id_text(row.id, id);
            test_image_add(images[0], &row);
        }
        test_image_add(images[1], &row);
    }
    fixture_write(&s_fixture, &images[0]->image);
    checkpoint_writer_write(s_fixture.writer, &images[1]->image);
    fixture_next(&s_fixture, &event);
    cr_assert_eq(event.kind, CHECKPOINT_REFUSED, "event %d: %s", event.kind, event.error.text);
    cr_expect(strstr(event.error.text, id), "%s, not %s", event.error.text, id);
    cr_expect(strstr(event.error.text, "interaction_pkey"), "%s", event.error.text);
    fixture_ask(s_fixture.pq, "DELETE FROM ixn.interaction");
    fixture_next(&s_fixture, &event);
    cr_expect_eq(event.kind, CHECKPOINT_WRITTEN, "event %d: %s", event.kind, event.error.text);
    cr_expect_eq(s_count("interaction"), 1000);
}

Test(checkpoint_faults, an_id_twice_in_one_image)
{
    fixture_start(&s_fixture);
    test_image_t *image = test_image_new(0, 1);
    for (uint64_t i = 0; i < 10; i++) {
        interaction_row_t row = test_row(i % 9);
        row.id = id_hash(&(uint64_t){i % 9}, 8);
        test_image_change(image, &row);
    }
    checkpoint_writer_write(s_fixture.writer, &image->image);
    checkpoint_event_t event;
    fixture_next(&s_fixture, &event);
    cr_expect_eq(event.kind, CHECKPOINT_REFUSED);
    cr_expect(strstr(event.error.text, "second time"), "%s", event.error.text);
    cr_expect_eq(s_count("interaction"), 0);
}

/* A rule or trigger that swallows rows must not pass for a written image. */
Test(checkpoint_faults, rows_that_somebody_swallows)
{
    fixture_ask(s_fixture.pq,
                "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN IF NEW.age = 7 THEN RETURN NULL; END IF; RETURN NEW; END';"
                "CREATE TRIGGER swallow BEFORE INSERT ON ixn.interaction "
                "FOR EACH ROW EXECUTE FUNCTION swallow()");
    fixture_start(&s_fixture);
    checkpoint_writer_write(s_fixture.writer, s_image(0, 2));
    checkpoint_event_t event;
    fixture_next(&s_fixture, &event);
    cr_expect_eq(event.kind, CHECKPOINT_WAITING);
    cr_expect(strstr(event.error.text, "49 rows instead of 50"), "%s", event.error.text);
    cr_expect_eq(s_count("interaction"), 0);
    cr_expect_eq(s_count("interaction_history"), 0);
}

/* ---- Others in the database ---- */

Test(checkpoint_faults, a_long_reader_does_not_stall_images)
{
    fixture_start(&s_fixture);
    fixture_write(&s_fixture, s_image(0, 1));
    PGconn *reader = fixture_connect(&s_fixture);
    fixture_ask(reader, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    fixture_ask(reader, "SELECT count(*) FROM ixn.interaction_history");
    fixture_ask(reader, "SELECT count(*) FROM ixn.interaction, ixn.checkpoint, ixn.journal");
    for (uint64_t i = 1; i < 20; i++) {
        test_image_t *image = (test_image_t *)s_image(i, i + 1);
        interaction_row_t finished = test_finished(i, (usec_t)i * DAY_US); /* a day for each */
        test_image_finish(image, &finished);
        checkpoint_writer_write(s_fixture.writer, &image->image);
        checkpoint_event_t event;
        fixture_next(&s_fixture, &event);
        cr_assert_eq(event.kind, CHECKPOINT_WRITTEN, "%s", event.error.text);
        cr_expect_lt(event.elapsed, 15 * USEC_PER_SECOND, "%lld us", (long long)event.elapsed);
    }
    cr_expect_str_eq(fixture_ask(reader, "SELECT count(*) FROM ixn.interaction_history"), "50");
    PQfinish(reader);
    cr_expect_eq(s_count("interaction_history"), 50 * 20 + 19);
}

Test(checkpoint_faults, through_a_transaction_pooler)
{
    const char *pooler = getenv("IXN_TEST_POOLER");
    if (!pooler) {
        fprintf(stderr, "SKIPPED: IXN_TEST_POOLER is not set: run tests/database/run.sh\n");
        return;
    }
    fixture_set_dap(&s_fixture, 0, pooler);
    fixture_start(&s_fixture);
    test_image_t *image = (test_image_t *)s_image(0, 1);
    for (uint64_t i = 0; i < 30000; i++) {
        interaction_row_t row = test_row(10000 + i);
        test_image_change(image, &row);
        test_image_gone(image, id_random());
    }
    fixture_write(&s_fixture, &image->image);
    for (uint64_t i = 1; i < 30; i++)
        fixture_write(&s_fixture, s_image(i, i + 1));
    cr_expect_eq(s_count("interaction"), 30000 + 30 * 50);
    cr_expect_eq(s_count("interaction_history"), 30 * 50);
    cr_expect_eq(fixture_number(&s_fixture,
                                "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                                "current_database() AND state LIKE 'idle in%'"),
                 0, "nothing is left open behind the pooler");
    /* What a failed image left behind would be the next client's trouble. */
    checkpoint_writer_write(s_fixture.writer, s_image(31000, 31001));
    checkpoint_event_t event;
    fixture_next(&s_fixture, &event);
    cr_expect_eq(event.kind, CHECKPOINT_BEHIND, "another index");
    cr_expect_eq(event.error.code, ERROR_DATABASE_DIVERGED, "%s", event.error.text);
    cr_expect_eq(fixture_number(&s_fixture,
                                "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                                "current_database() AND state LIKE 'idle in%'"),
                 0);
}

/* ---- Speed ---- */

Test(checkpoint_faults, sixty_thousand_rows)
{
    fixture_start(&s_fixture);
    uint64_t at = 0;
    for (int turn = 0; turn < 3; turn++) {
        test_image_t *image = test_image_new(at, at + 1);
        usec_t now = test_wall();
        for (uint64_t i = 0; i < 60000; i++) {
            interaction_row_t row = i < 50000 ? test_finished(at * 100000 + i, now) : test_row(i);
            if (i < 50000) {
                test_image_finish(image, &row);
                test_image_gone(image, row.id);
            } else {
                row.id = id_hash(&i, sizeof i); /* the second and third time it is an update */
                test_image_change(image, &row);
            }
        }
        at++;
        checkpoint_writer_write(s_fixture.writer, &image->image);
        checkpoint_event_t event;
        fixture_next(&s_fixture, &event);
        cr_assert_eq(event.kind, CHECKPOINT_WRITTEN, "%s", event.error.text);
        fprintf(stderr,
                "measured: checkpoint of 50,000 finished, 10,000 changed rows: %lld ms, "
                "%lld rows/s\n",
                (long long)event.elapsed / 1000,
                (long long)(60000 * USEC_PER_SECOND / event.elapsed));
        cr_expect_lt(event.elapsed, 100 * USEC_PER_SECOND);
    }
}
