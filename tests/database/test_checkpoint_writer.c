/* Checkpoint lane on a real PostgreSQL: what an image holds is what the tables hold, once, or
 * nothing at all. (Faults on the way: test_checkpoint_faults.c; retention: test_retention.c.) */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "dap/field.h"
#include "tests/database/lane_fixture.h"

static fixture_t s_fixture;

static void s_setup(void)
{
    fixture_init(&s_fixture);
}

static void s_teardown(void)
{
    fixture_free(&s_fixture);
}

TestSuite(checkpoint_writer, .init = s_setup, .fini = s_teardown, .timeout = 300);

/* ---- Exactness ---- */

/* Fields of one row as they come back; texts point into the result. */
static interaction_row_t s_read(const PGresult *result, bool live)
{
    int column = 0;
#define NEXT field_of(result, 0, column++)
    interaction_row_t row = {0};
    row.id = field_id(NEXT);
    row.parent_id = field_id(NEXT);
    cr_assert(interaction_state_parse(field_text(NEXT), &row.state));
    row.held = field_bool(NEXT);
    row.tenant = field_text(NEXT);
    row.queue = field_text(NEXT);
    row.media_type = field_text(NEXT);
    row.type = field_text(NEXT);
    row.subtype = field_text(NEXT);
    row.external_id = field_text(NEXT);
    row.submitted_by = field_text(NEXT);
    row.key = field_text(NEXT);
    row.fingerprint = field_int8(NEXT);
    row.attributes = field_jsonb(NEXT);
    row.journey = field_jsonb(NEXT);
    row.router = field_text(NEXT);
    row.strategy = field_text(NEXT);
    row.reason = field_text(NEXT);
    row.priority = field_int4(NEXT);
    row.version = (uint32_t)field_int8(NEXT);
    row.age = field_int8(NEXT);
    row.attempts = (uint32_t)field_int4(NEXT);
    row.losses = (uint32_t)field_int4(NEXT);
    row.received_at = field_wall(NEXT);
    row.submitted_at = field_wall(NEXT);
    row.placed_at = field_wall(NEXT);
    row.moved_at = field_wall(NEXT);
    row.routed_at = field_wall(NEXT);
    row.held_at = field_wall(NEXT);
    if (live) {
        row.token_epoch = field_int8(NEXT);
        row.token_index = field_int8(NEXT);
        field_t deadline = NEXT;
        row.deadline = field_is_null(deadline) ? USEC_NEVER : (usec_t)field_int8(deadline);
    } else {
        row.completed_at = field_wall(NEXT);
        row.completed_log = (usec_t)field_int8(NEXT);
        row.deadline = USEC_NEVER;
    }
#undef NEXT
    return row;
}

#define FIELDS                                                                                     \
    "id, parent_id, state, held, tenant, queue, media_type, type, subtype, external_id, "          \
    "submitted_by, key, fingerprint, attributes, journey, router, strategy, reason, priority, "    \
    "version, age, attempts, losses, received_at, submitted_at, placed_in_queue_at, "              \
    "moved_to_queue_at, routed_at, held_at, "

static void s_expect_text(const char *field, text_t found, text_t wanted)
{
    cr_expect(text_equal(found, wanted), "%s is \"%.*s\" (%zu bytes), not \"%.*s\" (%zu bytes)",
              field, (int)found.len, found.data, found.len, (int)wanted.len, wanted.data,
              wanted.len);
}

static void s_expect_numbers(const interaction_row_t *found, const interaction_row_t *wanted)
{
#define SAME(member)                                                                               \
    cr_expect_eq(found->member, wanted->member, #member " is %lld, not %lld",                      \
                 (long long)found->member, (long long)wanted->member)
    SAME(state);
    SAME(held);
    SAME(fingerprint);
    SAME(priority);
    SAME(version);
    SAME(age);
    SAME(attempts);
    SAME(losses);
    SAME(token_epoch);
    SAME(token_index);
    SAME(deadline);
    SAME(received_at);
    SAME(submitted_at);
    SAME(placed_at);
    SAME(moved_at);
    SAME(routed_at);
    SAME(held_at);
    SAME(completed_at);
    SAME(completed_log);
#undef SAME
}

static void s_expect_row(const interaction_row_t *wanted, bool live)
{
    char id[ID_TEXT_SIZE];
    char sql[900];
    snprintf(sql, sizeof sql, "SELECT " FIELDS "%s WHERE id = '%s'",
             live ? "token_epoch, token_index, deadline_log_us FROM ixn.interaction"
                  : "completed_at, completed_log_us FROM ixn.interaction_history",
             id_text(wanted->id, id));
    PGresult *result = PQexecParams(s_fixture.pq, sql, 0, NULL, NULL, NULL, NULL, 1);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s", PQresultErrorMessage(result));
    cr_assert_eq(PQntuples(result), 1, "%d rows of %s", PQntuples(result), id);
    interaction_row_t found = s_read(result, live);
    cr_expect(id_equal(found.id, wanted->id));
    cr_expect(id_equal(found.parent_id, wanted->parent_id));
    s_expect_text("tenant", found.tenant, wanted->tenant);
    s_expect_text("queue", found.queue, wanted->queue);
    s_expect_text("media_type", found.media_type, wanted->media_type);
    s_expect_text("type", found.type, wanted->type);
    s_expect_text("subtype", found.subtype, wanted->subtype);
    s_expect_text("external_id", found.external_id, wanted->external_id);
    s_expect_text("submitted_by", found.submitted_by, wanted->submitted_by);
    s_expect_text("key", found.key, wanted->key);
    s_expect_text("attributes", found.attributes, wanted->attributes);
    s_expect_text("journey", found.journey, wanted->journey);
    s_expect_text("router", found.router, wanted->router);
    s_expect_text("strategy", found.strategy, wanted->strategy);
    s_expect_text("reason", found.reason, wanted->reason);
    s_expect_numbers(&found, wanted);
    PQclear(result);
}

/* Everything that a row can have, and nothing that it need not. JSON is written as the server
 * prints it. */
static interaction_row_t s_full_row(void)
{
    return (interaction_row_t){
        .id = id_random(),
        .parent_id = id_random(),
        .state = INTERACTION_ROUTING,
        .held = true,
        .tenant = TEXT("täglich"),
        .queue = TEXT("a \"quoted\", {braced} \\ queue"),
        .media_type = TEXT("email"),
        .type = TEXT("NULL"),
        .subtype = TEXT("null"),
        .external_id = TEXT("<1@example.org>"),
        .submitted_by = TEXT("mail-1"),
        .key = TEXT("\0with\0zero\xff\0"),
        .fingerprint = UINT64_MAX,
        .attributes =
            TEXT("{\"\": {\"x\": \"\\n\"}, \"a\": [1, 2.50, null, true], \"snow\": \"☃\"}"),
        .journey = TEXT("[{\"at\": \"2026-01-31T12:00:00.000000Z\", \"step\": \"placed\"}]"),
        .router = TEXT("router-1"),
        .strategy = TEXT("classify"),
        .reason = TEXT("because"),
        .priority = -1000000,
        .version = UINT32_MAX,
        .age = UINT64_C(1) << 62,
        .token_epoch = 7,
        .token_index = UINT64_C(1) << 61,
        .attempts = 65535,
        .losses = 3,
        .deadline = INT64_C(1) << 60,
        .received_at = -62135596800000000,  /* year 1 */
        .submitted_at = 253402300799999999, /* end of 9999 */
        .placed_at = 1,
        .moved_at = 1769860800123456,
        .routed_at = 1769860800123457,
        .held_at = 951782400000000, /* 2000-02-29 */
    };
}

static interaction_row_t s_empty_row(void)
{
    return (interaction_row_t){.id = id_random(),
                               .state = INTERACTION_QUEUED,
                               .attributes = TEXT("{}"),
                               .journey = TEXT("[]"),
                               .deadline = USEC_NEVER};
}

Test(checkpoint_writer, live_rows_come_back_field_by_field)
{
    fixture_start(&s_fixture);
    interaction_row_t rows[] = {s_full_row(), s_empty_row(), s_full_row()};
    rows[2].state = INTERACTION_QUARANTINED;
    rows[2].priority = 1000000;
    rows[2].deadline = 0; /* due at once is not "never" */
    test_image_t *image = test_image_new(0, 10);
    for (size_t i = 0; i < 3; i++)
        test_image_change(image, &rows[i]);
    fixture_write(&s_fixture, &image->image);
    for (size_t i = 0; i < 3; i++)
        s_expect_row(&rows[i], true);
    cr_expect_eq(fixture_number(&s_fixture,
                                "SELECT count(*) FROM ixn.interaction WHERE num_nulls(parent_id, "
                                "router, strategy, reason, token_epoch, token_index, "
                                "deadline_log_us, routed_at, held_at) = 9"),
                 1, "what is absent is NULL");
    char wanted[ID_TEXT_SIZE + 20];
    char hash[ID_TEXT_SIZE];
    snprintf(wanted, sizeof wanted, "10 %s 10000", id_text(test_hash(10), hash));
    cr_expect_str_eq(fixture_ask(s_fixture.pq,
                                 "SELECT index || ' ' || hash || ' ' || log_time_us "
                                 "FROM ixn.checkpoint"),
                     wanted);
}

Test(checkpoint_writer, finished_rows_come_back_field_by_field)
{
    fixture_start(&s_fixture);
    interaction_row_t rows[] = {s_full_row(), s_empty_row(), s_full_row()};
    test_image_t *image = test_image_new(0, 10);
    /* Far apart: days that nobody has made yet. */
    usec_t times[] = {1, 253402300799999999, 1769860800123456};
    for (size_t i = 0; i < 3; i++) {
        rows[i].state = INTERACTION_COMPLETED;
        rows[i].token_epoch = rows[i].token_index = 0; /* the history has no tokens, */
        rows[i].deadline = USEC_NEVER;                 /* no deadlines */
        rows[i].completed_at = times[i];
        rows[i].completed_log = (usec_t)(INT64_C(1) << (20 * i));
        test_image_finish(image, &rows[i]);
    }
    fixture_write(&s_fixture, &image->image);
    for (size_t i = 0; i < 3; i++)
        s_expect_row(&rows[i], false);
}

Test(checkpoint_writer, rows_are_replaced_and_leave)
{
    fixture_start(&s_fixture);
    interaction_row_t stays = s_full_row();
    interaction_row_t leaves = s_full_row();
    test_image_t *first = test_image_new(0, 10);
    interaction_row_t empty = s_empty_row();
    test_image_add(first, &stays);
    test_image_add(first, &empty);
    test_image_change(first, &leaves);
    fixture_write(&s_fixture, &first->image);
    s_expect_row(&stays, true);
    s_expect_row(&empty, true);
    s_expect_row(&leaves, true);
    id128_t id = stays.id;
    stays = s_empty_row();
    stays.id = id;
    leaves.state = INTERACTION_COMPLETED;
    leaves.completed_at = test_wall();
    test_image_t *second = test_image_new(10, 20);
    test_image_change(second, &stays);
    test_image_gone(second, leaves.id);
    test_image_gone(second, empty.id);
    test_image_gone(second, id_random()); /* came and went between two images */
    test_image_finish(second, &leaves);
    fixture_write(&s_fixture, &second->image);
    s_expect_row(&stays, true);
    cr_expect_eq(fixture_number(&s_fixture, "SELECT count(*) FROM ixn.interaction"), 1);
    cr_expect_eq(fixture_number(&s_fixture, "SELECT count(*) FROM ixn.interaction_history"), 1);
}

Test(checkpoint_writer, an_empty_image_moves_the_checkpoint)
{
    fixture_start(&s_fixture);
    fixture_write(&s_fixture, &test_image_new(0, 5)->image);
    fixture_write(&s_fixture, &test_image_new(5, 6)->image);
    cr_expect_eq(fixture_number(&s_fixture, "SELECT index FROM ixn.checkpoint"), 6);
}

Test(checkpoint_writer, the_configuration_is_written_when_it_changed)
{
    fixture_start(&s_fixture);
    test_image_t *image = test_image_new(0, 5);
    image->image.configuration_changed = true;
    image->image.configuration = TEXT("\x0a\0first");
    fixture_write(&s_fixture, &image->image);
    fixture_write(&s_fixture, &test_image_new(5, 6)->image);
    cr_expect_str_eq(fixture_ask(s_fixture.pq,
                                 "SELECT encoded || index::text::bytea "
                                 "FROM ixn.configuration"),
                     "\\x0a00666972737435");
    image = test_image_new(6, 7);
    image->image.configuration_changed = true; /* an empty message is a configuration, too */
    fixture_write(&s_fixture, &image->image);
    cr_expect_eq(fixture_number(&s_fixture, "SELECT length(encoded) FROM ixn.configuration"), 0);
}

Test(checkpoint_writer, many_chunks_make_one_transaction)
{
    fixture_start(&s_fixture);
    test_image_t *image = test_image_new(0, 5);
    usec_t now = test_wall();
    for (uint64_t i = 0; i < 12000; i++) {
        interaction_row_t row = i % 2 ? test_row(i) : test_finished(i, now);
        if (i % 2)
            (i < 6000 ? test_image_add : test_image_change)(image, &row);
        else
            test_image_finish(image, &row);
    }
    /* Larger than what fits a chunk. */
    size_t len = 900 * 1024;
    char *large = malloc(len);
    memset(large, 'x', len);
    memcpy(large, "{\"x\":\"", 6);
    memcpy(large + len - 2, "\"}", 2);
    for (uint64_t i = 0; i < 40; i++) {
        interaction_row_t row = test_row(20000 + i);
        row.attributes = (text_t){large, len};
        test_image_change(image, &row);
    }
    free(large);
    fixture_write(&s_fixture, &image->image);
    cr_expect_eq(fixture_number(&s_fixture, "SELECT count(*) FROM ixn.interaction"), 6040);
    cr_expect_eq(fixture_number(&s_fixture, "SELECT count(*) FROM ixn.interaction_history"), 6000);
    cr_expect_eq(fixture_number(&s_fixture,
                                "SELECT count(DISTINCT xmin::text) FROM "
                                "(SELECT xmin FROM ixn.interaction UNION ALL "
                                "SELECT xmin FROM ixn.interaction_finished) AS r"),
                 1, "one transaction");
}

/* Everything that is stored is also written to the WAL, and most of what a finished interaction
 * costs the server grows with it. It depends on no clock, and on nobody who writes beside: an index
 * more, or a wider row, shows. */
Test(checkpoint_writer, a_finished_interaction_is_few_bytes)
{
    enum { ROWS = 20000, ROW_MOST = 600, INDEXES_MOST = 130 };
    usec_t now = test_wall();
    test_image_t *image = test_image_new(0, ROWS);
    fixture_start(&s_fixture);
    for (uint64_t i = 0; i < ROWS; i++) {
        interaction_row_t row = test_finished(i + 1, now);
        test_image_finish(image, &row);
    }
    fixture_write(&s_fixture, &image->image);
    long long row = fixture_number(&s_fixture,
                                   "SELECT sum(pg_table_size(relid)) / 20000 FROM "
                                   "pg_partition_tree('ixn.interaction_finished') WHERE isleaf");
    long long indexes =
        fixture_number(&s_fixture,
                       "SELECT sum(pg_indexes_size(relid)) / 20000 FROM "
                       "pg_partition_tree('ixn.interaction_finished') WHERE isleaf");
    printf("measured: a finished interaction is %lld bytes, and %lld in indexes\n", row, indexes);
    cr_expect_leq(row, ROW_MOST, "%lld bytes for a finished interaction, at most %d", row,
                  (int)ROW_MOST);
    cr_expect_leq(indexes, INDEXES_MOST, "%lld bytes in its indexes, at most %d", indexes,
                  (int)INDEXES_MOST);
}

/* ---- Fence ---- */

static void s_expect_nothing(void)
{
    cr_expect_eq(fixture_number(&s_fixture, "SELECT count(*) FROM ixn.interaction"), 0);
    cr_expect_eq(fixture_number(&s_fixture, "SELECT count(*) FROM ixn.interaction_history"), 0);
}

static checkpoint_image_t *s_one_of_each(uint64_t from, uint64_t to)
{
    test_image_t *image = test_image_new(from, to);
    interaction_row_t row = test_row(from + 1);
    interaction_row_t finished = test_finished(from + 2, test_wall());
    test_image_change(image, &row);
    test_image_finish(image, &finished);
    return &image->image;
}

Test(checkpoint_writer, another_generation_fences)
{
    fixture_start(&s_fixture);
    fixture_write(&s_fixture, &test_image_new(0, 5)->image);
    char other[ID_TEXT_SIZE];
    id_text(id_random(), other);
    fixture_ask(s_fixture.pq, "UPDATE ixn.checkpoint SET generation = '%s'", other);
    checkpoint_writer_write(s_fixture.writer, s_one_of_each(5, 6));
    checkpoint_event_t event;
    fixture_next(&s_fixture, &event);
    cr_expect_eq(event.kind, CHECKPOINT_FENCED);
    cr_expect(strstr(event.error.text, other), "%s", event.error.text);
    s_expect_nothing();
    cr_expect_eq(fixture_number(&s_fixture, "SELECT index FROM ixn.checkpoint"), 5);
}

Test(checkpoint_writer, another_index_is_an_error_that_names_both)
{
    fixture_start(&s_fixture);
    fixture_write(&s_fixture, &test_image_new(0, 5)->image);
    checkpoint_writer_write(s_fixture.writer, s_one_of_each(3, 9));
    checkpoint_event_t event;
    fixture_next(&s_fixture, &event);
    cr_expect_eq(event.kind, CHECKPOINT_WAITING);
    cr_expect_eq(event.error.code, ERROR_DATABASE_DIVERGED);
    cr_expect(strstr(event.error.text, "index 5") && strstr(event.error.text, "at 3"), "%s",
              event.error.text);
    s_expect_nothing();
    fixture_ask(s_fixture.pq, "UPDATE ixn.checkpoint SET index = 3");
    fixture_next(&s_fixture, &event);
    cr_expect_eq(event.kind, CHECKPOINT_WRITTEN, "it goes on when it is mended");
    cr_expect_eq(event.index, 9u);
}

/* They are those of another server, which took the proven one's place while an image was under way:
 * trying again would never end. */
Test(checkpoint_writer, tables_that_are_behind_end_the_lane)
{
    fixture_start(&s_fixture);
    fixture_write(&s_fixture, &test_image_new(0, 5)->image);
    checkpoint_writer_write(s_fixture.writer, s_one_of_each(7, 9));
    checkpoint_event_t event;
    fixture_next(&s_fixture, &event);
    cr_expect_eq(event.kind, CHECKPOINT_BEHIND);
    cr_expect_eq(event.error.code, ERROR_DATABASE_DIVERGED);
    cr_expect(strstr(event.error.text, "index 5") && strstr(event.error.text, "at 7"), "%s",
              event.error.text);
    s_expect_nothing();
}

Test(checkpoint_writer, another_database_gets_nothing)
{
    char ours[ID_TEXT_SIZE];
    char theirs[ID_TEXT_SIZE];
    id_text(s_fixture.identity.database_id, theirs);
    s_fixture.identity.database_id = id_random();
    id_text(s_fixture.identity.database_id, ours);
    fixture_start(&s_fixture);
    checkpoint_writer_write(s_fixture.writer, s_one_of_each(0, 9));
    checkpoint_event_t event;
    fixture_next(&s_fixture, &event);
    cr_expect_eq(event.kind, CHECKPOINT_WRONG);
    cr_expect_eq(event.error.code, ERROR_DATABASE_WRONG);
    cr_expect(strstr(event.error.text, ours) && strstr(event.error.text, theirs), "%s",
              event.error.text);
    s_expect_nothing();
    cr_expect_eq(fixture_number(&s_fixture,
                                "SELECT count(*) FROM pg_inherits WHERE inhparent = "
                                "'ixn.interaction_finished'::regclass"),
                 0, "no partition either");
}

Test(checkpoint_writer, the_same_image_again_changes_nothing)
{
    fixture_start(&s_fixture);
    test_image_t *images[2];
    interaction_row_t row = s_full_row();
    interaction_row_t finished = test_finished(2, test_wall());
    for (int i = 0; i < 2; i++) {
        images[i] = test_image_new(0, 6);
        test_image_change(images[i], &row);
        test_image_finish(images[i], &finished);
    }
    fixture_write(&s_fixture, &images[0]->image);
    static const char marks[] =
        "SELECT string_agg(mark, ' ') FROM (SELECT xmin || ctid::text AS "
        "mark FROM ixn.interaction UNION ALL SELECT xmin || ctid::text "
        "FROM ixn.interaction_finished UNION ALL SELECT xmin || ctid::text "
        "FROM ixn.checkpoint) AS m";
    char before[200];
    snprintf(before, sizeof before, "%s", fixture_ask(s_fixture.pq, marks));
    fixture_write(&s_fixture, &images[1]->image);
    cr_expect_str_eq(fixture_ask(s_fixture.pq, marks), before);
}

Test(checkpoint_writer, the_same_index_with_another_hash_is_not_ours)
{
    fixture_start(&s_fixture);
    fixture_write(&s_fixture, &test_image_new(0, 6)->image);
    test_image_t *image = test_image_new(0, 6);
    image->image.hash = id_random();
    checkpoint_writer_write(s_fixture.writer, &image->image);
    checkpoint_event_t event;
    fixture_next(&s_fixture, &event);
    cr_expect_eq(event.kind, CHECKPOINT_WAITING);
    cr_expect_eq(event.error.code, ERROR_DATABASE_DIVERGED);
}
