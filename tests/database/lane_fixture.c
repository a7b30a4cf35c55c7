#include "tests/database/lane_fixture.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/alloc.h"
#include "core/base/buffer.h"
#include "dap/opening.h"
#include "dap/schema.h"

enum { EVENT_TIMEOUT_MS = 60000 };

/* Images are made here and not by the state, so they are freed here, too. Weak, because this file
 * is also linked into programs that use the state. */
__attribute__((weak)) void checkpoint_image_destroy(checkpoint_image_t **self_p)
{
    test_image_t *self = (test_image_t *)*self_p;
    if (!self)
        return;
    arena_free(&self->arena);
    free(self->changed);
    free(self->finished);
    free(self->gone);
    free(self);
    *self_p = NULL;
}

static PGconn *s_connect(const char *conninfo, const char *database)
{
    char whole[700];
    snprintf(whole, sizeof whole, "%s dbname=%s", conninfo, database);
    PGconn *pq = PQconnectdb(whole);
    cr_assert_eq(PQstatus(pq), CONNECTION_OK, "%s: %s", whole, PQerrorMessage(pq));
    return pq;
}

const char *fixture_ask(PGconn *pq, const char *format, ...)
{
    static char answer[8192];
    buffer_t sql = {0};
    va_list arguments;
    va_start(arguments, format);
    char *text = NULL;
    cr_assert_geq(vasprintf(&text, format, arguments), 0);
    va_end(arguments);
    buffer_append(&sql, text, strlen(text) + 1);
    free(text);
    PGresult *result = PQexec(pq, (const char *)sql.bytes);
    ExecStatusType status = PQresultStatus(result);
    cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%.300s: %s",
              (const char *)sql.bytes, PQerrorMessage(pq));
    snprintf(answer, sizeof answer, "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    buffer_free(&sql);
    return answer;
}

long long fixture_number(const fixture_t *self, const char *sql)
{
    return strtoll(fixture_ask(self->pq, "%s", sql), NULL, 10);
}

PGconn *fixture_connect(const fixture_t *self)
{
    return s_connect(getenv("IXN_TEST_CONNINFO"), self->name);
}

void fixture_set_dap(fixture_t *self, size_t number, const char *conninfo)
{
    config_dap_t *dap = &self->daps[number];
    char database[sizeof self->name];
    memcpy(database, self->name, sizeof database);
    *dap = (config_dap_t){.weight = 1};
    snprintf(dap->name, sizeof dap->name, "dap-%zu", number + 1);
    snprintf(dap->conninfo, sizeof dap->conninfo, "%s dbname=%s", conninfo, database);
    if (self->config.daps_len <= number)
        self->config.daps_len = number + 1;
}

/* What the lane is told of the server that answers. */
static void s_learn_server(fixture_t *self)
{
    self->identity.system_identifier = (uint64_t)strtoll(
        fixture_ask(self->pq, "SELECT system_identifier FROM pg_control_system()"), NULL, 10);
    self->identity.database_oid = (uint32_t)strtoul(
        fixture_ask(self->pq, "SELECT oid FROM pg_database WHERE datname = current_database()"),
        NULL, 10);
    self->instance.started_at =
        strtoll(fixture_ask(self->pq,
                            "SELECT (extract(epoch FROM pg_postmaster_start_time())"
                            " * 1000000)::bigint"),
                NULL, 10);
    self->instance.port =
        (uint32_t)strtoul(fixture_ask(self->pq, "SELECT current_setting('port')"), NULL, 10);
}

/* What people set for their own tools is not the lane's business. The test's own session has begun
 * before. */
static void s_set_otherwise(const fixture_t *self)
{
    static const char *const settings[] = {
        "datestyle = 'sql, dmy'",  "intervalstyle = sql_standard", "timezone = 'Asia/Kathmandu'",
        "bytea_output = escape",   "extra_float_digits = -15",     "search_path = nowhere",
        "array_nulls = off",       "transform_null_equals = on",   "quote_all_identifiers = on",
        "client_encoding = latin1"};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        fixture_ask(self->pq, "ALTER DATABASE %s SET %s", self->name, settings[i]);
    /* Servers from version 19 on know the one way only. */
    fixture_ask(self->pq,
                "DO $$ BEGIN ALTER DATABASE %s SET standard_conforming_strings = off;"
                " EXCEPTION WHEN invalid_parameter_value OR feature_not_supported THEN NULL;"
                " END $$",
                self->name);
}

void fixture_init(fixture_t *self)
{
    const char *conninfo = getenv("IXN_TEST_CONNINFO");
    if (!conninfo)
        cr_skip_test("IXN_TEST_CONNINFO is not set: run tests/database/run.sh");
    *self = (fixture_t){.generation = id_random()};
    char id[ID_TEXT_SIZE];
    id_text(id_random(), id);
    snprintf(self->name, sizeof self->name, "lane_%.8s%.4s", id, id + 9);
    PGconn *server = s_connect(conninfo, "postgres");
    fixture_ask(server, "CREATE DATABASE %s", self->name);
    PQfinish(server);
    self->pq = fixture_connect(self);
    fixture_ask(self->pq, "SET client_min_messages = warning; SET timezone = 'UTC'");
    for (size_t i = 0; i < schema_migrations_len; i++)
        fixture_ask(self->pq, "%s", schema_migrations[i].sql);
    self->identity.database_id = id_random();
    char generation[ID_TEXT_SIZE];
    char hash[ID_TEXT_SIZE];
    id_text(self->generation, generation);
    id_text(self->identity.database_id, id);
    id_text(test_hash(0), hash);
    fixture_ask(self->pq,
                "DELETE FROM ixn.journal; DELETE FROM ixn.checkpoint; DELETE FROM ixn.pair;"
                "INSERT INTO ixn.pair (database_id, epoch, generation) VALUES ('%s', 1, '%s');"
                "INSERT INTO ixn.checkpoint (index, hash, generation, log_time_us) "
                "VALUES (0, '%s', '%s', 0);",
                id, generation, hash, generation);
    s_learn_server(self);
    s_set_otherwise(self);
    self->config = (config_t){
        .daps = self->daps,
        .connect_timeout_ms = 20000, /* others may keep the machine busy */
        .statement_timeout_ms = 20000,
        .journal_retention_ms = 3600000,
        .journal_retention_size = UINT64_C(1) << 30,
        .history_retention_ms = UINT64_C(90) * 86400000,
    };
    fixture_set_dap(self, 0, conninfo);
}

void fixture_start(fixture_t *self)
{
    checkpoint_writer_options_t options = {.use = use_all(&self->config),
                                           .identity = self->identity,
                                           .generation = self->generation,
                                           .instance = self->instance,
                                           .keep = checkpoint_keep_of(&self->config)};
    self->writer = checkpoint_writer_new(&options);
}

void fixture_free(fixture_t *self)
{
    checkpoint_writer_destroy(&self->writer);
    opening_await_all();
    PQfinish(self->pq);
    PGconn *server = s_connect(getenv("IXN_TEST_CONNINFO"), "postgres");
    fixture_ask(server, "DROP DATABASE %s WITH (FORCE)", self->name);
    PQfinish(server);
}

void fixture_next(fixture_t *self, checkpoint_event_t *ret_event)
{
    zmq_pollitem_t item = {.socket = zsock_resolve(checkpoint_writer_socket(self->writer)),
                           .events = ZMQ_POLLIN};
    ret_event->kind = CHECKPOINT_FAILED;
    while (ret_event->kind == CHECKPOINT_FAILED) /* only for figures */
        if (!checkpoint_writer_next(self->writer, ret_event))
            cr_assert_eq(zmq_poll(&item, 1, EVENT_TIMEOUT_MS), 1, "no event in time");
}

void fixture_write(fixture_t *self, checkpoint_image_t *image)
{
    uint64_t to = image->to;
    checkpoint_writer_write(self->writer, image);
    checkpoint_event_t event;
    fixture_next(self, &event);
    cr_assert_eq(event.kind, CHECKPOINT_WRITTEN, "event %d: %s", event.kind, event.error.text);
    cr_assert_eq(event.index, to);
}

test_image_t *test_image_new(uint64_t from, uint64_t to)
{
    test_image_t *self = memory_zero(1, sizeof *self);
    self->image.from = from;
    self->image.to = to;
    self->image.hash = test_hash(to);
    self->image.log_time = (usec_t)to * 1000;
    return self;
}

static const interaction_row_t *s_keep(test_image_t *self, const interaction_row_t *row)
{
    interaction_row_t *kept = arena_take(&self->arena, sizeof *kept);
    *kept = *row;
    text_t *texts[] = {&kept->tenant,     &kept->queue,       &kept->media_type,   &kept->type,
                       &kept->subtype,    &kept->external_id, &kept->submitted_by, &kept->key,
                       &kept->attributes, &kept->journey,     &kept->router,       &kept->strategy,
                       &kept->reason};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        self->image.bytes += texts[i]->len;
        *texts[i] = arena_text(&self->arena, *texts[i]);
    }
    self->image.bytes += sizeof *kept;
    return kept;
}

void test_image_change(test_image_t *self, const interaction_row_t *row)
{
    size_t len = self->image.changed_len++;
    if ((len & (len - 1)) == 0)
        self->changed = memory_resize(self->changed, (len ? len * 2 : 1) * sizeof *self->changed);
    self->changed[len] = s_keep(self, row);
    self->image.changed = self->changed;
}

void test_image_add(test_image_t *self, const interaction_row_t *row)
{
    cr_assert_eq(self->image.added_len++, self->image.changed_len);
    test_image_change(self, row);
}

void test_image_finish(test_image_t *self, const interaction_row_t *row)
{
    size_t len = self->image.finished_len++;
    if ((len & (len - 1)) == 0)
        self->finished =
            memory_resize(self->finished, (len ? len * 2 : 1) * sizeof *self->finished);
    self->finished[len] = s_keep(self, row);
    self->image.finished = self->finished;
}

void test_image_gone(test_image_t *self, id128_t id)
{
    size_t len = self->image.gone_len++;
    if ((len & (len - 1)) == 0)
        self->gone = memory_resize(self->gone, (len ? len * 2 : 1) * sizeof id);
    self->gone[len] = id;
    self->image.gone = self->gone;
}

id128_t test_hash(uint64_t index)
{
    return id_hash(&index, sizeof index);
}

usec_t test_wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (usec_t)now.tv_sec * USEC_PER_SECOND + now.tv_nsec / 1000;
}

interaction_row_t test_row(uint64_t number)
{
    /* Texts of the last few rows; an image copies them. */
    static char texts[8][3][400];
    static unsigned turn;
    char(*text)[400] = texts[turn++ % 8];
    snprintf(text[0], sizeof text[0], "key-%llu", (unsigned long long)number);
    snprintf(
        text[1], sizeof text[1], "{\"name\": \"Zoë\", \"text\": \"%.*s\", \"number\": %llu}", 240,
        "All work and no play makes a test dull, so this one has a line that is long enough to "
        "look like the beginning of a letter that somebody wrote to a company, and waited for "
        "an answer to it, for a day, and for another one, and then wrote again, and called.",
        (unsigned long long)number);
    snprintf(text[2], sizeof text[2], "<%llu@example.org>", (unsigned long long)number);
    usec_t now = test_wall();
    return (interaction_row_t){
        .id = id_from_time(now + (usec_t)number * 1000, id_hash(&number, sizeof number)),
        .state = INTERACTION_QUEUED,
        .tenant = TEXT("default"),
        .queue = TEXT("inbound"),
        .media_type = TEXT("email"),
        .type = TEXT("Inbound"),
        .external_id = text_of(text[2]),
        .submitted_by = TEXT("mail-1"),
        .key = text_of(text[0]),
        .fingerprint = UINT64_C(0xf000000000000000) + number,
        .attributes = text_of(text[1]),
        .journey = TEXT("[]"),
        .priority = (int32_t)number,
        .version = 1,
        .age = number,
        .deadline = USEC_NEVER,
        .received_at = now - 5,
        .submitted_at = now,
        .placed_at = now,
        .moved_at = now,
    };
}

interaction_row_t test_finished(uint64_t number, usec_t completed_at)
{
    interaction_row_t row = test_row(number);
    row.state = INTERACTION_COMPLETED;
    row.reason = TEXT("answered");
    row.routed_at = completed_at - 1;
    row.completed_at = completed_at;
    row.completed_log = (usec_t)number;
    return row;
}
