#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "dap/claim.h"
#include "dap/commit.h"
#include "dap/field.h"
#include "dap/image_transaction.h"
#include "tests/interleavings/interleaving.h"

/* The real side: sessions of a PostgreSQL, stepped without waiting for those that wait for a lock.
 * Who waits, and for whom, is what the server says (pg_blocking_pids). */

enum { PATIENCE_MS = 10000, FOLLOW_BYTES = 1 << 20 };

typedef struct {
    connection_t *connection;
    bool busy;
    bool open; /* in a transaction */
    act_kind_t kind;
    id128_t generation; /* CHANGE: what is claimed, and how much of it is said */
    int changes;
    database_status_t found; /* LOCK: under the lock; CHANGE: after it */
    shown_t shown;
} session_t;

struct real {
    char name[64];
    char server[500];
    config_dap_t dap;
    config_t config;
    database_t *database;
    database_status_t first;
    connection_t *control;
    session_t sessions[SESSIONS];
    error_t error;
};

static void __attribute__((noreturn, format(printf, 1, 2))) s_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

static void s_need(bool done, const real_t *self, const char *what)
{
    if (!done)
        s_fail("%s: %s", what, self->error.text);
}

static PGresult *s_query(real_t *self, connection_t *connection, const char *sql)
{
    PGresult *result = connection_query(connection, sql, NULL, &self->error);
    s_need(result != NULL, self, sql);
    return result;
}

/* ---- Life ---- */

static void s_server(const real_t *self, const char *format)
{
    char sql[200];
    char whole[600];
    snprintf(whole, sizeof whole, "%s dbname=postgres", self->server);
    PGconn *pq = PQconnectdb(whole);
    snprintf(sql, sizeof sql, "%s %s%s", format, self->name,
             strncmp(format, "DROP", 4) == 0 ? " WITH (FORCE)" : "");
    PGresult *result = PQexec(pq, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        s_fail("%s: %s", sql, PQerrorMessage(pq));
    PQclear(result);
    PQfinish(pq);
}

real_t *real_new(const char *conninfo)
{
    real_t *self = memory_zero(1, sizeof *self);
    char id[ID_TEXT_SIZE];
    identity_t identity;
    snprintf(self->name, sizeof self->name, "interleavings_%.8s", id_text(id_random(), id));
    snprintf(self->server, sizeof self->server, "%s", conninfo);
    s_server(self, "CREATE DATABASE");
    self->dap = (config_dap_t){.name = "dap-1", .weight = 1};
    snprintf(self->dap.conninfo, sizeof self->dap.conninfo, "%s dbname=%s", conninfo, self->name);
    self->config = (config_t){.daps = &self->dap,
                              .daps_len = 1,
                              .connect_timeout_ms = PATIENCE_MS,
                              .statement_timeout_ms = PATIENCE_MS,
                              .state_dir = "/nowhere"};
    self->database = database_open(&self->config, &self->error);
    s_need(self->database && database_init(self->database, &identity, &self->error) &&
               database_status(self->database, NULL, &self->first, &self->error),
           self, "a new database");
    self->control = connection_new(&self->dap, PATIENCE_MS, PATIENCE_MS);
    for (int i = 0; i < SESSIONS; i++)
        self->sessions[i].connection = connection_new(&self->dap, PATIENCE_MS, PATIENCE_MS);
    return self;
}

void real_destroy(real_t **self_p)
{
    real_t *self = *self_p;
    if (!self)
        return;
    for (int i = 0; i < SESSIONS; i++)
        connection_destroy(&self->sessions[i].connection);
    connection_destroy(&self->control);
    database_destroy(&self->database);
    s_server(self, "DROP DATABASE");
    free(self);
    *self_p = NULL;
}

void real_identity(const real_t *self, identity_t *ret_identity, id128_t *ret_genesis)
{
    *ret_identity = self->first.identity;
    *ret_genesis = self->first.head_hash;
}

void real_reset(real_t *self)
{
    for (int i = 0; i < SESSIONS; i++) {
        session_t *session = &self->sessions[i];
        if (session->busy || session->open || !connection_is_open(session->connection)) {
            connection_close(session->connection);
            s_need(connection_open(session->connection, &self->error), self, "a session");
        }
        *session = (session_t){.connection = session->connection};
    }
    PQclear(s_query(self, self->control, "DELETE FROM ixn.journal WHERE last_index > 0"));
    PQclear(s_query(self, self->control, "DELETE FROM ixn.epoch WHERE epoch > 0"));
    PQclear(s_query(self, self->control,
                    "UPDATE ixn.pair SET epoch = 0, generation = NULL, owner = ''"));
    PQclear(s_query(self, self->control,
                    "UPDATE ixn.checkpoint SET index = 0, generation = NULL, log_time_us = 0,"
                    " hash = (SELECT hash FROM ixn.journal)"));
}

/* ---- Sessions ---- */

/* Another one after the session was ended and opened again. */
static int s_pid(const session_t *session)
{
    return PQbackendPID(connection_pq(session->connection));
}

static void s_close(session_t *session, const char *answer)
{
    connection_rollback(session->connection);
    session->busy = session->open = false;
    session->shown.place = STAND_IDLE;
    snprintf(session->shown.answer, ANSWER_SIZE, "%.150s", answer);
}

static void s_answer_status(session_t *session)
{
    const database_status_t *found = &session->found;
    answer_status(session->shown.answer, found->epoch, found->generation, found->head_index,
                  found->head_hash, found->checkpoint_index);
}

/* What a statement that failed is told as. */
static void s_failed(real_t *self, session_t *session)
{
    const char *sqlstate = connection_sqlstate(session->connection);
    bool unique = strcmp(sqlstate, "23505") == 0;
    bool gone = self->error.code == ERROR_DATABASE_UNREACHABLE;
    s_close(session, unique ? "there already" : gone ? "ended" : self->error.text);
}

static bool s_status(real_t *self, session_t *session)
{
    params_t params = {0};
    database_status_params(&params, NULL);
    connection_params_t all = params_all(&params);
    PGresult *result =
        connection_query(session->connection, database_status_sql, &all, &self->error);
    bool read = result && database_parse_status(result, NULL, &session->found, &self->error);
    PQclear(result);
    return read;
}

/* Why an image was not written, as image_transaction.c asks it. */
static void s_judge_image(real_t *self, session_t *session)
{
    char answer[ANSWER_SIZE];
    connection_rollback(session->connection);
    PGresult *result =
        s_query(self, session->connection, "SELECT generation, index FROM ixn.checkpoint");
    id128_t generation = field_id(field_of(result, 0, 0));
    snprintf(answer, sizeof answer, "not written: %02x%02x at %" PRIu64, generation.bytes[0],
             generation.bytes[1], field_int8(field_of(result, 0, 1)));
    PQclear(result);
    s_close(session, answer);
}

static bool s_send(real_t *self, session_t *session, const char *sql, const params_t *params)
{
    connection_params_t all = params_all(params);
    return connection_send(session->connection, sql, &all, PATIENCE_MS, &self->error);
}

/* The next of the claim's changes. */
static bool s_change(real_t *self, session_t *session)
{
    claim_statement_t changes[CLAIM_CHANGES];
    database_claim_t claim = {.generation = session->generation, .owner = "node", .reason = "test"};
    claim_changes(&claim, &session->found, changes);
    const claim_statement_t *change = &changes[session->changes++];
    session->busy = s_send(self, session, change->sql, &change->params);
    return session->busy;
}

/* A statement has done what it does: on to the commit, or to what comes next. */
static void s_done(real_t *self, session_t *session, const PGresult *result)
{
    session->busy = false;
    switch (session->kind) {
    case ACT_INSERT:
        if (commit_inserted(result))
            session->shown.place = STAND_COMMIT;
        else
            s_close(session, "nothing");
        return;
    case ACT_IMAGE:
        if (strcmp(PQcmdTuples((PGresult *)result), "1") == 0)
            session->shown.place = STAND_COMMIT;
        else
            s_judge_image(self, session);
        return;
    case ACT_LOCK:
        s_need(s_status(self, session), self, "the status under the lock");
        s_answer_status(session);
        session->shown.place = STAND_LOCKED;
        return;
    default:
        if (session->changes < CLAIM_CHANGES) {
            if (!s_change(self, session))
                s_failed(self, session);
            return;
        }
        s_need(s_status(self, session), self, "the status after the change");
        session->shown.place = STAND_COMMIT;
    }
}

/* Takes what has arrived for it. */
static void s_go_on(real_t *self, session_t *session)
{
    PGresult *result = NULL;
    connection_step_t step = connection_step(session->connection, &result, &self->error);
    if (step == CONNECTION_FAILED)
        s_failed(self, session);
    else if (step == CONNECTION_DONE)
        s_done(self, session, result);
    PQclear(result);
}

/* ---- Until all that can go on has gone on ---- */

/* Sets who is behind whom; true when every session that is busy waits for a lock. */
static bool s_look(real_t *self)
{
    char sql[80];
    bool settled = true;
    for (int i = 0; i < SESSIONS; i++) {
        session_t *session = &self->sessions[i];
        session->shown.behind = 0;
        if (!session->busy)
            continue;
        snprintf(sql, sizeof sql, "SELECT unnest(pg_blocking_pids(%d))", s_pid(session));
        PGresult *result = s_query(self, self->control, sql);
        for (int row = 0; row < PQntuples(result); row++)
            for (int j = 0; j < SESSIONS; j++)
                if (s_pid(&self->sessions[j]) == field_int4(field_of(result, row, 0)))
                    session->shown.behind |= 1u << j;
        PQclear(result);
        settled = settled && session->shown.behind;
    }
    return settled;
}

static bool s_any_arrived(real_t *self, int timeout_ms)
{
    struct pollfd polls[SESSIONS];
    for (int i = 0; i < SESSIONS; i++) {
        bool busy = self->sessions[i].busy;
        polls[i] = (struct pollfd){busy ? connection_fd(self->sessions[i].connection) : -1,
                                   connection_events(self->sessions[i].connection), 0};
    }
    if (poll(polls, SESSIONS, timeout_ms) <= 0)
        return false;
    for (int i = 0; i < SESSIONS; i++)
        if (polls[i].revents)
            s_go_on(self, &self->sessions[i]);
    return true;
}

/* False: in vain; what is shown then tells which session neither ends nor waits. */
static bool s_settle(real_t *self)
{
    usec_t deadline = connection_now() + PATIENCE_MS * USEC_PER_MS;
    unsigned settled = 0;
    /* Seen twice, since the sessions are asked for one after the other. */
    while (settled < 2) {
        if (s_any_arrived(self, settled ? 0 : 1))
            settled = 0;
        else
            settled = s_look(self) ? settled + 1 : 0;
        if (connection_now() > deadline)
            return false;
    }
    return true;
}

/* ---- Steps ---- */

static bool s_insert(real_t *self, session_t *session, const act_t *step)
{
    const commit_t commit = {step->identity, step->epoch, step->generation, self->first.instance};
    return commit_send(&commit, session->connection, step->batch, PATIENCE_MS, &self->error);
}

static bool s_image(real_t *self, session_t *session, const act_t *step)
{
    char sql[IMAGE_MOVE_SQL_SIZE];
    params_t params;
    const fence_t fence = {step->identity, step->generation, self->first.instance};
    const checkpoint_image_t image = {.from = step->from, .to = step->index, .hash = step->hash};
    image_move(&fence, &image, sql, &params);
    return s_send(self, session, sql, &params);
}

static bool s_lock(real_t *self, session_t *session)
{
    claim_statement_t lock;
    claim_lock(&self->first, &lock);
    return s_send(self, session, lock.sql, &lock.params);
}

static void s_begin(real_t *self, session_t *session, const act_t *step)
{
    bool sent =
        session->open || connection_command(session->connection,
                                            "BEGIN ISOLATION LEVEL READ COMMITTED", &self->error);
    session->open = true;
    session->kind = step->kind;
    session->generation = step->generation;
    session->changes = 0;
    session->shown.place = STAND_WAITS;
    if (sent && step->kind == ACT_INSERT)
        sent = s_insert(self, session, step);
    else if (sent && step->kind == ACT_IMAGE)
        sent = s_image(self, session, step);
    else if (sent && step->kind == ACT_LOCK)
        sent = s_lock(self, session);
    else if (sent)
        sent = s_change(self, session);
    session->busy = sent;
    if (!sent)
        s_failed(self, session);
}

static void s_commit(real_t *self, session_t *session)
{
    if (!connection_command(session->connection, "COMMIT", &self->error)) {
        s_failed(self, session);
        return;
    }
    s_close(session, session->kind == ACT_INSERT ? "inserted" : "written");
    if (session->kind == ACT_CHANGE)
        s_answer_status(session);
}

/* Those that only read: they end at once, whoever has which lock. */
static void s_read(real_t *self, session_t *session, const act_t *step)
{
    const database_place_t after = {step->index, step->hash};
    database_follow_t follow;
    if (step->kind == ACT_STATUS) {
        s_need(s_status(self, session), self, "the status");
        s_answer_status(session);
        return;
    }
    s_need(database_follow(self->database, &after, &self->first.instance, FOLLOW_BYTES, &follow,
                           &self->error),
           self, "following");
    char *answer = session->shown.answer;
    size_t len = (size_t)snprintf(answer, ANSWER_SIZE, "%s", follow.gone ? "gone" : "rows");
    for (size_t i = 0; i < follow.len; i++) {
        if (len < ANSWER_SIZE)
            len += (size_t)snprintf(answer + len, ANSWER_SIZE - len, " %" PRIu64,
                                    follow.batches[i]->last);
        batch_destroy(&follow.batches[i]);
    }
    if (!follow.gone)
        free(follow.batches);
}

static void s_end_blockers(real_t *self, const session_t *session, unsigned blockers)
{
    params_t params = {0};
    params_int4(&params, s_pid(session));
    connection_params_t all = params_all(&params);
    PGresult *result = connection_query(self->control, claim_end_blockers_sql, &all, &self->error);
    s_need(result != NULL, self, "ending who is in the way");
    PQclear(result);
    /* A session that is told to end does so when it hears of it. */
    usec_t deadline = connection_now() + PATIENCE_MS * USEC_PER_MS;
    for (bool gone = false; !gone;) {
        char sql[120];
        if (connection_now() > deadline)
            s_fail("a session that was told to end goes on");
        gone = true;
        for (int i = 0; i < SESSIONS && gone; i++) {
            if (!(blockers & 1u << i))
                continue;
            snprintf(sql, sizeof sql, "SELECT 1 FROM pg_stat_activity WHERE pid = %d",
                     s_pid(&self->sessions[i]));
            result = s_query(self, self->control, sql);
            gone = PQntuples(result) == 0;
            PQclear(result);
        }
    }
}

void real_step(real_t *self, const act_t *step, shown_t shown[SESSIONS])
{
    session_t *session = &self->sessions[step->session];
    switch (step->kind) {
    case ACT_STATUS:
    case ACT_FOLLOW:
        s_read(self, session, step);
        break;
    case ACT_COMMIT:
        s_commit(self, session);
        break;
    case ACT_LEAVE:
        s_close(session, "left");
        break;
    case ACT_END:
        s_end_blockers(self, session, step->blockers);
        break;
    default:
        s_begin(self, session, step);
    }
    bool settled = s_settle(self);
    for (int i = 0; i < SESSIONS; i++)
        shown[i] = self->sessions[i].shown;
    if (!settled)
        snprintf(shown[step->session].answer, ANSWER_SIZE, "not settled in time");
}

void real_tables(real_t *self, char text[TABLES_SIZE])
{
    PGresult *result =
        s_query(self, self->control,
                "SELECT (SELECT string_agg(first_index || '-' || last_index || '/' || epoch, ' '"
                " ORDER BY last_index, first_index) FROM ixn.journal) || ' epoch ' || p.epoch"
                " || ' checkpoint ' || c.index FROM ixn.pair AS p, ixn.checkpoint AS c");
    field_copy(field_of(result, 0, 0), text, TABLES_SIZE);
    PQclear(result);
}

bool real_harm(real_t *self, char *ret_what, size_t size)
{
    PGresult *result =
        s_query(self, self->control,
                "SELECT format('batch %s-%s of epoch %s landed after epoch %s was claimed at index"
                " %s', j.first_index, j.last_index, j.epoch, e.epoch, e.first_index)"
                " FROM ixn.journal AS j JOIN ixn.epoch AS e ON e.epoch > j.epoch"
                " AND j.last_index >= e.first_index WHERE j.last_index > 0"
                " UNION ALL SELECT format('%s batches continue index %s', count(*),"
                " first_index - 1) FROM ixn.journal GROUP BY first_index HAVING count(*) > 1"
                " LIMIT 1");
    bool harm = PQntuples(result) > 0;
    if (harm)
        field_copy(field_of(result, 0, 0), ret_what, size);
    PQclear(result);
    return harm;
}
