#include "dap/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/clock.h"
#include "dap/opening.h"

typedef enum { STATE_CLOSED, STATE_CONNECTING, STATE_IDLE, STATE_SENT } state_t;

struct connection {
    char name[CONFIG_NAME_SIZE];
    char conninfo[CONFIG_CONNINFO_SIZE]; /* may hold a password: never in a text */
    uint32_t connect_timeout_ms;
    uint32_t statement_timeout_ms;
    state_t state;
    PGconn *pq;
    opening_t *opening; /* while connecting; and one that was called off until it is over */
    bool unsent;        /* libpq could not write everything yet */
    PGresult *result;   /* of the statement in flight: the first error, else the last */
    usec_t deadline;
    uint32_t timeout_ms; /* of the deadline, for its text */
    int stop;            /* descriptor that ends every wait; -1: none */
    char sqlstate[6];
    bool in_transaction; /* after the last answer */
    bool transaction_lost;
    enum { NAMED_NONE, NAMED_PREPARING, NAMED_PREPARED, NAMED_SENT } named; /* statement */
    bool refuses_named;         /* this DAP, for as long as the object lives */
    bool replication_cancelled; /* a warning that came since the statement was sent */
};

usec_t connection_now(void)
{
    return clock_usec(CLOCK_BOOTTIME);
}

connection_t *connection_new(const config_dap_t *dap, uint32_t connect_timeout_ms,
                             uint32_t statement_timeout_ms)
{
    connection_t *self = memory_zero(1, sizeof *self);
    memcpy(self->name, dap->name, sizeof self->name);
    memcpy(self->conninfo, dap->conninfo, sizeof self->conninfo);
    self->connect_timeout_ms = connect_timeout_ms;
    self->statement_timeout_ms = statement_timeout_ms;
    self->deadline = USEC_NEVER;
    self->stop = -1;
    return self;
}

connection_t *connection_again(const connection_t *self)
{
    config_dap_t dap = {0};
    memcpy(dap.name, self->name, sizeof dap.name);
    memcpy(dap.conninfo, self->conninfo, sizeof dap.conninfo);
    connection_t *again =
        connection_new(&dap, self->connect_timeout_ms, self->statement_timeout_ms);
    explicit_bzero(&dap, sizeof dap);
    again->stop = self->stop;
    return again;
}

bool connection_leads_to(const connection_t *self, const config_dap_t *dap)
{
    return strcmp(self->name, dap->name) == 0 && strcmp(self->conninfo, dap->conninfo) == 0;
}

void connection_set_timeouts(connection_t *self, uint32_t connect_timeout_ms,
                             uint32_t statement_timeout_ms)
{
    self->connect_timeout_ms = connect_timeout_ms;
    self->statement_timeout_ms = statement_timeout_ms;
}

void connection_set_stop(connection_t *self, int stop)
{
    self->stop = stop;
}

static bool s_is_stopped(const connection_t *self)
{
    struct pollfd item = {.fd = self->stop, .events = POLLIN}; /* -1 is passed over */
    return poll(&item, 1, 0) > 0;
}

void connection_destroy(connection_t **self_p)
{
    if (!*self_p)
        return;
    connection_close(*self_p);
    opening_destroy(&(*self_p)->opening);
    explicit_bzero((*self_p)->conninfo, sizeof(*self_p)->conninfo);
    free(*self_p);
    *self_p = NULL;
}

const char *connection_name(const connection_t *self)
{
    return self->name;
}

uint32_t connection_timeout_ms(const connection_t *self)
{
    return self->statement_timeout_ms;
}

bool connection_is_open(const connection_t *self)
{
    return self->state == STATE_IDLE || self->state == STATE_SENT;
}

const char *connection_sqlstate(const connection_t *self)
{
    return self->sqlstate;
}

bool connection_commit_in_doubt(const connection_t *self)
{
    return self->replication_cancelled;
}

PGconn *connection_pq(connection_t *self)
{
    return connection_is_open(self) ? self->pq : NULL;
}

void connection_close(connection_t *self)
{
    if (self->opening)
        opening_call_off(self->opening);
    PQclear(self->result);
    self->result = NULL;
    if (self->pq)
        PQfinish(self->pq);
    self->pq = NULL;
    self->state = STATE_CLOSED;
    self->deadline = USEC_NEVER;
    self->unsent = false;
    self->named = NAMED_NONE;
    self->in_transaction = false;
    self->transaction_lost = false;
}

/* As closing, but the caller does not know yet that its transaction went with it. */
static void s_lose(connection_t *self)
{
    bool lost = self->in_transaction || self->transaction_lost;
    connection_close(self);
    self->transaction_lost = lost;
}

bool connection_in_transaction(const connection_t *self)
{
    if (!connection_is_open(self))
        return self->transaction_lost;
    PGTransactionStatusType status = PQtransactionStatus(self->pq);
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || self->in_transaction;
}

/* libpq's texts end with a line break and may have some inside. */
static const char *s_one_line(const char *words, char text[300])
{
    size_t len = 0;
    for (; *words && len < 299; words++)
        text[len++] = *words == '\n' || *words == '\t' ? ' ' : *words;
    while (len && text[len - 1] == ' ')
        len--;
    text[len] = 0;
    return len ? text : "no reason given";
}

/* The connection is of no use any more. Returns false. */
static bool s_unreachable(connection_t *self, const char *what, error_t *ret_error)
{
    char text[300];
    const char *words = self->pq ? s_one_line(PQerrorMessage(self->pq), text) : "out of memory";
    error_set(ret_error, ERROR_DATABASE_UNREACHABLE, "DAP %s: %s: %s", self->name, what, words);
    s_lose(self);
    return false;
}

static bool s_given_up(const connection_t *self, error_t *ret_error)
{
    return error_set(ret_error, ERROR_DATABASE_UNREACHABLE,
                     "DAP %s: given up, since its lane is closed", self->name);
}

bool connection_too_late(connection_t *self, const char *what, uint32_t timeout_ms,
                         error_t *ret_error)
{
    if (s_is_stopped(self)) {
        s_given_up(self, ret_error);
        s_lose(self);
        return false;
    }
    error_set(ret_error, ERROR_DATABASE_UNREACHABLE,
              "DAP %s: %s within %u ms; the connection was closed", self->name, what, timeout_ms);
    s_lose(self);
    return false;
}

bool connection_failed(connection_t *self, const PGresult *result, error_t *ret_error)
{
    const char *sqlstate = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *severity =
        result ? PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED) : NULL;
    const char *primary = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    snprintf(self->sqlstate, sizeof self->sqlstate, "%s", sqlstate ? sqlstate : "");
    if (!self->pq || !sqlstate)
        return s_unreachable(self, "the connection was lost", ret_error);
    char text[300];
    s_one_line(primary ? primary : "", text);
    /* What a server has too little of it only says there, such as max_locks_per_transaction. */
    char hint[300];
    bool hinted =
        strncmp(sqlstate, "53", 2) == 0 && PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    if (hinted)
        s_one_line(PQresultErrorField(result, PG_DIAG_MESSAGE_HINT), hint);
    /* FATAL ends the connection; class 08 is a pooler that lost the server behind it. In both cases
     * nobody knows whether a commit that was asked for has happened. */
    bool over = (severity && strcmp(severity, "ERROR") != 0) || strncmp(sqlstate, "08", 2) == 0 ||
                PQstatus(self->pq) != CONNECTION_OK;
    error_set(ret_error, over ? ERROR_DATABASE_UNREACHABLE : ERROR_DATABASE_REFUSED,
              "DAP %s: %s%s%s (SQLSTATE %s)", self->name, text, hinted ? "; " : "",
              hinted ? hint : "", sqlstate);
    if (over)
        s_lose(self);
    return false;
}

/* The cancelled wait is known by the server's own function name, which no language setting
 * translates. */
static void s_on_notice(void *context, const PGresult *notice)
{
    connection_t *self = context;
    const char *function = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
    const char *primary = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    if ((function && strcmp(function, "SyncRepWaitForLSN") == 0) ||
        (primary && strstr(primary, "synchronous replication")))
        self->replication_cancelled = true;
}

static void s_set_deadline(connection_t *self, uint32_t timeout_ms)
{
    self->timeout_ms = timeout_ms;
    self->deadline = connection_now() + timeout_ms * USEC_PER_MS;
}

/* A thread of the connection's own. One that was called off while it looks a name up is waited for
 * first: however often somebody tries, and however dead the resolver is, there is one. */
static bool s_open(connection_t *self, error_t *ret_error)
{
    if (self->opening && opening_is_over(self->opening))
        opening_destroy(&self->opening);
    if (!self->opening)
        self->opening = opening_new(self->conninfo);
    if (self->opening)
        return true;
    error_set(ret_error, ERROR_DATABASE_UNREACHABLE,
              "DAP %s: cannot connect: no thread, or no event, for it: %s", self->name,
              strerror(errno));
    s_lose(self);
    return false;
}

bool connection_start(connection_t *self, error_t *ret_error)
{
    CHECK(self->state == STATE_CLOSED);
    self->transaction_lost = false;
    self->sqlstate[0] = 0;
    if (s_is_stopped(self))
        return s_given_up(self, ret_error);
    /* libpq quotes a string that it cannot parse, password and all; so it is parsed first, and the
     * words are thrown away. */
    PQconninfoOption *options = PQconninfoParse(self->conninfo, NULL);
    if (!options)
        return error_set(ret_error, ERROR_DATABASE_UNREACHABLE,
                         "DAP %s: its conninfo is neither a list of key=value pairs nor a URI that "
                         "libpq understands (not shown here: it may hold a password)",
                         self->name);
    PQconninfoFree(options);
    self->state = STATE_CONNECTING;
    s_set_deadline(self, self->connect_timeout_ms);
    return s_open(self, ret_error);
}

int connection_fd(const connection_t *self)
{
    if (self->state == STATE_CONNECTING)
        return opening_fd(self->opening);
    return self->pq ? PQsocket(self->pq) : -1;
}

short connection_events(const connection_t *self)
{
    return self->unsent ? POLLIN | POLLOUT : POLLIN;
}

usec_t connection_deadline(const connection_t *self)
{
    return self->deadline;
}

static void s_not_connected(connection_t *self, error_t *ret_error)
{
    bool held = opening_is_held(self->opening);
    connection_too_late(self, "not connected", self->timeout_ms, ret_error);
    if (held && !s_is_stopped(self))
        error_set(
            ret_error, ERROR_DATABASE_UNREACHABLE,
            "DAP %s: not connected within %u ms: the name of its host is still being looked "
            "up (or libpq asks Kerberos); see the machine's resolver, or give the DAP a hostaddr",
            self->name, self->timeout_ms);
}

static connection_step_t s_step_connecting(connection_t *self, error_t *ret_error)
{
    bool over = opening_is_over(self->opening);
    if (over && opening_is_called_off(self->opening))
        return s_open(self, ret_error) ? CONNECTION_BUSY : CONNECTION_FAILED;
    if (!over && connection_now() < self->deadline)
        return CONNECTION_BUSY;
    if (!over) {
        s_not_connected(self, ret_error);
        return CONNECTION_FAILED;
    }
    self->pq = opening_take(self->opening);
    opening_destroy(&self->opening);
    if (PQstatus(self->pq) != CONNECTION_OK || PQsetnonblocking(self->pq, 1) != 0) {
        s_unreachable(self, "cannot connect", ret_error);
        return CONNECTION_FAILED;
    }
    PQsetNoticeReceiver(self->pq, s_on_notice, self);
    self->state = STATE_IDLE;
    self->deadline = USEC_NEVER;
    return CONNECTION_DONE;
}

/* Before a statement: opened if it may be, nothing in flight. */
static bool s_ready(connection_t *self, error_t *ret_error)
{
    if (self->transaction_lost)
        return error_set(ret_error, ERROR_DATABASE_UNREACHABLE,
                         "DAP %s: the connection was lost with its transaction", self->name);
    CHECK(self->state == STATE_IDLE);
    self->sqlstate[0] = 0;
    self->replication_cancelled = false;
    return true;
}

static bool s_sent(connection_t *self, int sent, uint32_t timeout_ms, error_t *ret_error)
{
    int unsent = sent == 1 ? PQflush(self->pq) : -1;
    if (unsent < 0)
        return s_unreachable(self, "the connection was lost", ret_error);
    self->unsent = unsent == 1;
    self->state = STATE_SENT;
    s_set_deadline(self, timeout_ms);
    return true;
}

enum { FEW = 32 };
static const int s_few_formats[FEW] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                       1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

bool connection_send(connection_t *self, const char *sql, const connection_params_t *params,
                     uint32_t timeout_ms, error_t *ret_error)
{
    static const connection_params_t none = {0};
    if (!s_ready(self, ret_error))
        return false;
    if (!params)
        params = &none;
    int *formats = NULL;
    if (params->count > FEW) {
        formats = memory_new(sizeof *formats * (size_t)params->count);
        for (int i = 0; i < params->count; i++)
            formats[i] = 1;
    }
    int sent = PQsendQueryParams(self->pq, sql, params->count, params->types, params->values,
                                 params->lengths, formats ? formats : s_few_formats, 1);
    free(formats);
    return s_sent(self, sent, timeout_ms, ret_error);
}

/* ---- A statement of the session's own ---- */

static const char s_named[] = "ixn_prepared";

bool connection_may_prepare(const connection_t *self, int32_t backend)
{
    return self->state == STATE_IDLE && !self->refuses_named && PQbackendPID(self->pq) == backend;
}

bool connection_prepare(connection_t *self, const char *sql, const connection_params_t *params,
                        uint32_t timeout_ms, error_t *ret_error)
{
    if (!s_ready(self, ret_error))
        return false;
    CHECK(self->named == NAMED_NONE);
    self->named = NAMED_PREPARING;
    return s_sent(self, PQsendPrepare(self->pq, s_named, sql, params->count, params->types),
                  timeout_ms, ret_error);
}

bool connection_is_prepared(const connection_t *self)
{
    return self->named == NAMED_PREPARED;
}

void connection_refuse_prepared(connection_t *self)
{
    self->refuses_named = true;
}

bool connection_send_prepared(connection_t *self, const connection_params_t *params,
                              uint32_t timeout_ms, error_t *ret_error)
{
    CHECK(connection_is_prepared(self) && params->count <= FEW);
    if (!s_ready(self, ret_error))
        return false;
    self->named = NAMED_SENT;
    int sent = PQsendQueryPrepared(self->pq, s_named, params->count, params->values,
                                   params->lengths, s_few_formats, 1);
    return s_sent(self, sent, timeout_ms, ret_error);
}

/* The answer to it is there. The server knows no such statement (class 26), or another of that name
 * (42P05): so there is a pooler after all. Or it cannot use what it has prepared any more (0A000).
 */
static void s_settle_named(connection_t *self, const PGresult *result)
{
    if (self->named != NAMED_PREPARING && self->named != NAMED_SENT)
        return;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    bool refused = sqlstate && (self->named == NAMED_PREPARING || strncmp(sqlstate, "26", 2) == 0 ||
                                strcmp(sqlstate, "0A000") == 0);
    self->refuses_named = self->refuses_named || refused;
    self->named = refused ? NAMED_NONE : NAMED_PREPARED;
}

/* Takes what has arrived; true when the statement has been answered whole. */
static bool s_collect(connection_t *self)
{
    while (!PQisBusy(self->pq)) {
        PGresult *result = PQgetResult(self->pq);
        if (!result)
            return true;
        ExecStatusType status = PQresultStatus(result);
        CHECK(status != PGRES_COPY_IN && status != PGRES_COPY_OUT); /* by connection_pq only */
        ExecStatusType kept = PQresultStatus(self->result);         /* of NULL: FATAL_ERROR */
        if (self->result && kept != PGRES_COMMAND_OK && kept != PGRES_TUPLES_OK) {
            PQclear(result);
        } else {
            PQclear(self->result);
            self->result = result;
        }
        if (PQstatus(self->pq) != CONNECTION_OK)
            return true;
    }
    return false;
}

static connection_step_t s_step_sent(connection_t *self, PGresult **ret_result, error_t *ret_error)
{
    if (self->unsent) {
        int unsent = PQflush(self->pq);
        self->unsent = unsent == 1;
        if (unsent < 0 && !PQconsumeInput(self->pq)) {
            s_unreachable(self, "the connection was lost", ret_error);
            return CONNECTION_FAILED;
        }
    }
    /* What the server said before it closed the connection is still to be read, so a failed read
     * counts only when there is no answer. */
    bool alive = PQconsumeInput(self->pq);
    if (!s_collect(self)) {
        if (!alive) {
            s_unreachable(self, "the connection was lost", ret_error);
            return CONNECTION_FAILED;
        }
        if (connection_now() < self->deadline)
            return CONNECTION_BUSY;
        connection_too_late(self, "no answer", self->timeout_ms, ret_error);
        return CONNECTION_FAILED;
    }
    PGresult *result = self->result;
    self->result = NULL;
    self->state = STATE_IDLE;
    self->deadline = USEC_NEVER;
    s_settle_named(self, result);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        self->in_transaction = PQtransactionStatus(self->pq) == PQTRANS_INTRANS;
        *ret_result = result;
        return CONNECTION_DONE;
    }
    connection_failed(self, result, ret_error);
    if (self->pq)
        self->in_transaction = PQtransactionStatus(self->pq) != PQTRANS_IDLE;
    PQclear(result);
    return CONNECTION_FAILED;
}

connection_step_t connection_step(connection_t *self, PGresult **ret_result, error_t *ret_error)
{
    if (self->state == STATE_CONNECTING)
        return s_step_connecting(self, ret_error);
    CHECK(self->state == STATE_SENT);
    return s_step_sent(self, ret_result, ret_error);
}

bool connection_listen(connection_t *self, error_t *ret_error)
{
    CHECK(self->state == STATE_IDLE);
    struct pollfd item = {.fd = connection_fd(self), .events = POLLIN};
    /* A server's last words and its hanging up come one after the other. */
    while (poll(&item, 1, 0) > 0) {
        if (!PQconsumeInput(self->pq) || PQstatus(self->pq) != CONNECTION_OK)
            return s_unreachable(self, "the connection was lost", ret_error);
        PQisBusy(self->pq); /* takes in what arrived, which can only be a notice */
    }
    return true;
}

/* Waits for any of `events`; false when the deadline, or the owner's stop, came first. */
static bool s_wait(connection_t *self, short events, usec_t deadline)
{
    for (;;) {
        usec_t left = deadline - connection_now();
        if (left < 0)
            left = 0;
        struct timespec timeout = {.tv_sec = left / USEC_PER_SECOND,
                                   .tv_nsec = left % USEC_PER_SECOND * 1000};
        struct pollfd items[] = {{.fd = connection_fd(self), .events = events},
                                 {.fd = self->stop, .events = POLLIN}};
        int ready = ppoll(items, 2, &timeout, NULL);
        if (ready > 0 && items[1].revents) {
            self->deadline = 0; /* of the statement, too */
            return false;
        }
        if (ready > 0)
            return true;
        if (connection_now() >= deadline)
            return false;
    }
}

bool connection_wait(connection_t *self, bool writable, usec_t deadline)
{
    return s_wait(self, writable ? POLLIN | POLLOUT : POLLIN, deadline);
}

static connection_step_t s_finish(connection_t *self, PGresult **ret_result, error_t *ret_error)
{
    for (;;) {
        connection_step_t step = connection_step(self, ret_result, ret_error);
        if (step != CONNECTION_BUSY)
            return step;
        s_wait(self, connection_events(self), self->deadline);
    }
}

bool connection_open(connection_t *self, error_t *ret_error)
{
    if (connection_is_open(self))
        return true;
    PGresult *none = NULL;
    return connection_start(self, ret_error) && s_finish(self, &none, ret_error) == CONNECTION_DONE;
}

PGresult *connection_query_within(connection_t *self, const char *sql,
                                  const connection_params_t *params, uint32_t timeout_ms,
                                  error_t *ret_error)
{
    PGresult *result = NULL;
    if (!self->transaction_lost && !connection_open(self, ret_error))
        return NULL;
    if (!connection_send(self, sql, params, timeout_ms, ret_error))
        return NULL;
    return s_finish(self, &result, ret_error) == CONNECTION_DONE ? result : NULL;
}

PGresult *connection_query(connection_t *self, const char *sql, const connection_params_t *params,
                           error_t *ret_error)
{
    return connection_query_within(self, sql, params, self->statement_timeout_ms, ret_error);
}

bool connection_command(connection_t *self, const char *sql, error_t *ret_error)
{
    PGresult *result = connection_query(self, sql, NULL, ret_error);
    PQclear(result);
    return result != NULL;
}

bool connection_script(connection_t *self, const char *sql, uint32_t timeout_ms, error_t *ret_error)
{
    PGresult *result = NULL;
    if (!self->transaction_lost && !connection_open(self, ret_error))
        return false;
    if (!s_ready(self, ret_error) ||
        !s_sent(self, PQsendQuery(self->pq, sql), timeout_ms, ret_error))
        return false;
    bool done = s_finish(self, &result, ret_error) == CONNECTION_DONE;
    PQclear(result);
    return done;
}

void connection_rollback(connection_t *self)
{
    self->transaction_lost = false;
    if (self->state == STATE_IDLE && PQtransactionStatus(self->pq) == PQTRANS_IDLE)
        return;
    char why[sizeof self->sqlstate]; /* of what is rolled back: the caller may still ask for it */
    memcpy(why, self->sqlstate, sizeof why);
    if (self->state != STATE_IDLE || !connection_command(self, "ROLLBACK", NULL))
        connection_close(self);
    memcpy(self->sqlstate, why, sizeof why);
}
