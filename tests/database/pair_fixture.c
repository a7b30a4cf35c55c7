#include "tests/database/pair_fixture.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "dap/opening.h"

enum { PATIENCE_MS = 60000 };

static PGconn *s_connect(const char *database)
{
    char whole[700];
    snprintf(whole, sizeof whole, "%s dbname=%s", getenv("IXN_TEST_CONNINFO"), database);
    PGconn *pq = PQconnectdb(whole);
    cr_assert_eq(PQstatus(pq), CONNECTION_OK, "%s: %s", whole, PQerrorMessage(pq));
    return pq;
}

const char *pair_ask(PGconn *pq, const char *format, ...)
{
    static char answer[1024];
    char sql[4096];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(sql, sizeof sql, format, arguments);
    va_end(arguments);
    cr_assert(len >= 0 && (size_t)len < sizeof sql);
    PGresult *result = PQexec(pq, sql);
    ExecStatusType status = PQresultStatus(result);
    cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s", sql,
              PQerrorMessage(pq));
    snprintf(answer, sizeof answer, "%s", PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return answer;
}

/* Whose journal has its turns while the test waits. */
static pair_t *s_turning;

void pair_turn(pair_t *self, int most_ms)
{
    struct pollfd items[JOURNAL_ITEMS];
    if (!self->journal) {
        poll(NULL, 0, most_ms);
        return;
    }
    journal_watch(self->journal, items);
    usec_t left = journal_deadline(self->journal) - connection_now();
    usec_t ms = left < 0 ? 0 : left / USEC_PER_MS + 1;
    poll(items, JOURNAL_ITEMS, ms < most_ms ? (int)ms : most_ms);
    journal_turn(self->journal, items);
}

void pair_await(PGconn *pq, const char *answer, const char *sql)
{
    usec_t deadline = connection_now() + PATIENCE_MS * USEC_PER_MS;
    while (strcmp(pair_ask(pq, "%s", sql), answer) != 0) {
        cr_assert(connection_now() < deadline, "%s never answered %s", sql, answer);
        if (s_turning)
            pair_turn(s_turning, 2);
        else
            poll(NULL, 0, 2); /* leave the processor to those that are waited for */
    }
}

void pair_set_dap(pair_t *self, size_t number, const char *conninfo)
{
    config_dap_t dap = {.weight = 1};
    snprintf(dap.name, sizeof dap.name, "dap-%zu", number + 1);
    snprintf(dap.conninfo, sizeof dap.conninfo, "%s dbname=%s", conninfo, self->name);
    self->daps[number] = dap;
    if (self->config.daps_len <= number)
        self->config.daps_len = number + 1;
}

int pair_port(void)
{
    const char *port = strstr(getenv("IXN_TEST_CONNINFO"), "port=");
    return port ? (int)strtol(port + 5, NULL, 10) : 5432;
}

void pair_set_proxy(pair_t *self, size_t number, int port)
{
    char conninfo[80];
    snprintf(conninfo, sizeof conninfo, "host=127.0.0.1 port=%d user=postgres", port);
    pair_set_dap(self, number, conninfo);
}

void pair_make(pair_t *self)
{
    const char *conninfo = getenv("IXN_TEST_CONNINFO");
    if (!conninfo) {
        fprintf(stderr, "SKIPPED: IXN_TEST_CONNINFO is not set; run tests/database/run.sh\n");
        cr_skip_test("IXN_TEST_CONNINFO is not set; run tests/database/run.sh");
    }
    *self = (pair_t){0};
    char id[ID_TEXT_SIZE];
    id_text(id_random(), id);
    snprintf(self->name, sizeof self->name, "pair_%.8s%.4s", id, id + 9);
    PGconn *server = s_connect("postgres");
    pair_ask(server, "CREATE DATABASE %s", self->name);
    PQfinish(server);
    self->pq = pair_connect(self);
    /* Nothing ends by itself, unless a test says so: others may keep the machine busy. */
    self->config = (config_t){.daps = self->daps,
                              .connect_timeout_ms = 20000,
                              .statement_timeout_ms = 20000,
                              .hedge_after_ms = 10000,
                              .state_dir = "/var/lib/ixn"};
    pair_set_dap(self, 0, conninfo);
}

void pair_open(pair_t *self)
{
    error_t error = {0};
    pair_make(self);
    self->database = database_open(&self->config, &error);
    cr_assert(self->database, "%s", error.text);
}

void pair_init(pair_t *self)
{
    identity_t identity;
    error_t error = {0};
    pair_open(self);
    cr_assert(database_init(self->database, &identity, &error), "%s", error.text);
    cr_assert(database_status(self->database, NULL, &self->status, &error), "%s", error.text);
    cr_assert(identity_equal(&identity, &self->status.identity));
    pair_claim(self);
}

void pair_claim(pair_t *self)
{
    error_t error = {0};
    database_claim_t claim = {.generation = id_random(), .owner = "node-a", .reason = "test"};
    database_status_t judged = self->status;
    cr_assert(database_claim(self->database, &judged, &claim, &self->status, &error), "%s",
              error.text);
    cr_assert(id_equal(self->status.generation, claim.generation));
    self->index = self->status.head_index;
    self->hash = self->status.head_hash;
}

void pair_start(pair_t *self)
{
    journal_options_t options = {.use = use_all(&self->config),
                                 .identity = self->status.identity,
                                 .epoch = self->status.epoch,
                                 .generation = self->status.generation,
                                 .instance = self->status.instance,
                                 .head_index = self->index,
                                 .head_hash = self->hash};
    self->journal = journal_new(&options);
    s_turning = self;
}

void pair_free(pair_t *self)
{
    journal_destroy(&self->journal);
    s_turning = NULL;
    database_destroy(&self->database);
    opening_await_all();
    PQfinish(self->pq);
    PGconn *server = s_connect("postgres");
    pair_ask(server, "DROP DATABASE %s WITH (FORCE)", self->name);
    PQfinish(server);
}

database_t *pair_open_as_ixn(pair_t *self, uint32_t statement_timeout_ms)
{
    error_t error = {0};
    config_t config = self->config;
    config_dap_t dap = {.name = "dap-1"};
    snprintf(dap.conninfo, sizeof dap.conninfo, "%.1000s user=ixn", self->daps[0].conninfo);
    config.daps = &dap;
    config.daps_len = 1;
    config.statement_timeout_ms = statement_timeout_ms;
    pair_ask(self->pq,
             "GRANT ALL ON SCHEMA ixn TO ixn; GRANT ALL ON ALL TABLES IN SCHEMA ixn TO ixn");
    database_t *database = database_open(&config, &error);
    cr_assert(database, "%s", error.text);
    return database;
}

batch_t *pair_batch(pair_t *self, uint64_t entries)
{
    /* Zero bytes and bytes that are no UTF-8: entries are not text. */
    static const char bytes[] = "\x0a\x00\xff\xfe entries";
    batch_t *batch =
        batch_new(self->status.epoch, self->index + 1, self->index + entries, self->hash,
                  (usec_t)(self->index * 1000), 1767225600123456, (text_t){bytes, sizeof bytes});
    self->index = batch->last;
    self->hash = batch->hash;
    return batch;
}

void pair_expect_any(pair_t *self, journal_event_t *ret_event)
{
    usec_t end = connection_now() + PATIENCE_MS * USEC_PER_MS;
    ret_event->kind = JOURNAL_FAILED;
    while (ret_event->kind == JOURNAL_FAILED) { /* only for figures */
        if (journal_next(self->journal, ret_event))
            continue;
        cr_assert(connection_now() < end, "no event in time");
        pair_turn(self, PATIENCE_MS);
    }
}

void pair_expect(pair_t *self, journal_event_kind_t kind, journal_event_t *ret_event)
{
    pair_expect_any(self, ret_event);
    cr_assert_eq(ret_event->kind, kind, "event %d instead of %d: %s", ret_event->kind, kind,
                 ret_event->error.text);
}

void pair_commit(pair_t *self)
{
    journal_event_t event;
    journal_append(self->journal, pair_batch(self, 1));
    pair_expect(self, JOURNAL_COMMITTED, &event);
    cr_assert_eq(event.index, self->index);
    cr_assert(event.clean);
}

PGconn *pair_connect(const pair_t *self)
{
    return s_connect(self->name);
}

void pair_note_commits(pair_t *self, const char *table, const char *setting)
{
    pair_ask(
        self->pq,
        "CREATE TABLE IF NOT EXISTS noted (setting text);"
        "GRANT INSERT ON noted TO PUBLIC;"
        "CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO noted VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;"
        "DROP TRIGGER IF EXISTS note ON %s;"
        "CREATE CONSTRAINT TRIGGER note AFTER INSERT ON %s DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION note();"
        "ALTER DATABASE \"%s\" SET synchronous_commit = %s",
        table, table, self->name, setting);
}

/* Found before pg_catalog's, which is otherwise looked through first. */
void pair_pretend(pair_t *self, const char *call, const char *type, const char *answer)
{
    pair_ask(self->pq,
             "CREATE SCHEMA IF NOT EXISTS pretended; GRANT USAGE ON SCHEMA pretended TO PUBLIC;"
             " CREATE OR REPLACE FUNCTION pretended.%s RETURNS %s LANGUAGE sql AS 'SELECT %s';"
             " ALTER DATABASE %s SET search_path = pretended, pg_catalog",
             call, type, answer, self->name);
}

connection_t *pair_connection(const pair_t *self)
{
    return connection_new(&self->daps[0], 20000, 20000);
}
