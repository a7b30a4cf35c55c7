/* Connection: one libpq connection to one DAP. Every call ends within a deadline of our own (a
 * frozen pooler or server answers nothing, not even an error).
 *
 * Promises: only unnamed extended-protocol statements and plain BEGIN/COMMIT, so it works through a
 * transaction pooler (connection_prepare is the one exception, where there is none); after a
 * deadline or a lost connection the connection is closed (what was in flight is "in doubt") and the
 * next call opens it again. Errors carry the DAP's name, the server's words and SQLSTATE; never a
 * password.
 *
 * Two ways to use it: calls that block (connection_open, connection_query), and the same in steps
 * for a thread that has more to wait for (connection_start, connection_send, connection_step). One
 * thread at a time owns a connection. It is opened by a thread of its own (dap/opening.h), since
 * libpq waits for the resolver of a host's name as long as that likes: nobody else does, not even
 * who closes or destroys it. A process that ends gives those threads a moment (opening_await_all).
 */
#ifndef IXN_DAP_CONNECTION_H
#define IXN_DAP_CONNECTION_H

#include <libpq-fe.h>

#include "config/config.h"
#include "core/base/error.h"

typedef struct connection connection_t;

/* Copies what it needs of `dap`. Does not connect. */
connection_t *connection_new(const config_dap_t *dap, uint32_t connect_timeout_ms,
                             uint32_t statement_timeout_ms);
/* Another connection to the same DAP. */
connection_t *connection_again(const connection_t *self);
void connection_destroy(connection_t **self_p);
/* True when it is one to this very DAP: the same name and connection string. */
bool connection_leads_to(const connection_t *self, const config_dap_t *dap);
/* For what is opened and asked from now on. */
void connection_set_timeouts(connection_t *self, uint32_t connect_timeout_ms,
                             uint32_t statement_timeout_ms);
/* For an owner that must not wait: once this descriptor is readable, nothing is opened any more,
 * and every wait ends as if its deadline had passed (so the connection is closed, and what was in
 * flight is in doubt). The descriptor stays the caller's; connection_again passes it on. -1: none.
 */
void connection_set_stop(connection_t *self, int stop);

const char *connection_name(const connection_t *self);    /* of the DAP */
uint32_t connection_timeout_ms(const connection_t *self); /* of a statement */
bool connection_is_open(const connection_t *self);
bool connection_open(connection_t *self, error_t *ret_error); /* nothing to do when open */
void connection_close(connection_t *self);

/* Binary parameters and results (format 1) of an unnamed statement. Types may be NULL. The values
 * must stay until the call returns (connection_send copies them). */
typedef struct {
    int count;
    const Oid *types;
    const char *const *values;
    const int *lengths;
} connection_params_t;

/* Runs one statement and waits for its result at most statement_timeout_ms. The result (caller
 * clears it) is PGRES_COMMAND_OK or PGRES_TUPLES_OK. `params` may be NULL. Otherwise NULL and an
 * error:
 *   DATABASE_UNREACHABLE  the connection could not be opened, was lost or gave no answer in time
 *                         (in doubt if the statement changes something); it is closed now
 *   DATABASE_REFUSED      the server said no (text and SQLSTATE in the error; connection_sqlstate)
 * A statement given when the connection is closed opens it first, unless a transaction was lost
 * with it: then it fails until connection_rollback, connection_close or connection_open has been
 * called.
 */
PGresult *connection_query(connection_t *self, const char *sql, const connection_params_t *params,
                           error_t *ret_error);
/* The same with another time-out, for statements whose work grows with what they are given. */
PGresult *connection_query_within(connection_t *self, const char *sql,
                                  const connection_params_t *params, uint32_t timeout_ms,
                                  error_t *ret_error);
/* A statement without parameters whose result nobody needs (BEGIN, COMMIT, SET LOCAL …). */
bool connection_command(connection_t *self, const char *sql, error_t *ret_error);
/* A script of several statements, by the simple protocol; give it inside a transaction. */
bool connection_script(connection_t *self, const char *sql, uint32_t timeout_ms,
                       error_t *ret_error);
/* True while a transaction is open, or was lost with the connection and nobody has noticed. */
bool connection_in_transaction(const connection_t *self);
/* Ends the open transaction, if there is one; closes the connection if it cannot. */
void connection_rollback(connection_t *self);

/* The same in steps. Start (or send) once, then step whenever connection_fd shows
 * connection_events or connection_deadline has passed, until it says something else than BUSY. The
 * descriptor may change with each step while connecting. Only a closed connection is started. */
typedef enum {
    CONNECTION_BUSY,
    CONNECTION_DONE,   /* connected; or `ret_result` is the result, as of connection_query */
    CONNECTION_FAILED, /* as of connection_open, connection_query */
} connection_step_t;
bool connection_start(connection_t *self, error_t *ret_error);
bool connection_send(connection_t *self, const char *sql, const connection_params_t *params,
                     uint32_t timeout_ms, error_t *ret_error);
/* One statement of the session's own, parsed and planned once, which a server does for each unnamed
 * one. It belongs to the server's session, so there must be no transaction pooler between:
 * connection_may_prepare says so when `backend`, the server's pg_backend_pid(), is the process that
 * the connection was begun with (a pooler says some number of its own), and while no such statement
 * was refused through this DAP, or by connection_refuse_prepared. Prepared when a step is DONE,
 * until the connection is closed. `params` gives the types. */
bool connection_may_prepare(const connection_t *self, int32_t backend);
bool connection_prepare(connection_t *self, const char *sql, const connection_params_t *params,
                        uint32_t timeout_ms, error_t *ret_error);
bool connection_is_prepared(const connection_t *self);
/* Nothing is prepared through this DAP any more: what was did not do what it should. */
void connection_refuse_prepared(connection_t *self);
bool connection_send_prepared(connection_t *self, const connection_params_t *params,
                              uint32_t timeout_ms, error_t *ret_error);
connection_step_t connection_step(connection_t *self, PGresult **ret_result, error_t *ret_error);
/* Of an open connection on which nothing is asked: takes what has arrived; false when it was lost.
 */
bool connection_listen(connection_t *self, error_t *ret_error);
int connection_fd(const connection_t *self);          /* -1: closed */
short connection_events(const connection_t *self);    /* POLLIN, POLLOUT */
usec_t connection_deadline(const connection_t *self); /* CLOCK_BOOTTIME; USEC_NEVER: none */

/* SQLSTATE of the last failed statement, "" if it failed without one or did not fail. */
const char *connection_sqlstate(const connection_t *self);
/* True when the last clean answer came with the warning that a wait for synchronous replication was
 * cancelled: the commit is then in doubt although the server reported success. */
bool connection_commit_in_doubt(const connection_t *self);

/* libpq's own, for COPY, single rows and pipelines inside dap/; NULL when closed. Who uses it
 * closes the connection after a failure. */
PGconn *connection_pq(connection_t *self);
/* Waits until libpq's socket is readable (or writable), at most until the deadline (absolute,
 * CLOCK_BOOTTIME microseconds). False: deadline. */
bool connection_wait(connection_t *self, bool writable, usec_t deadline);
/* Sets the error that a failed result stands for, as connection_query does (and closes the
 * connection where it does); keeps the SQLSTATE. Does not clear the result, which may be NULL.
 * Returns false. */
bool connection_failed(connection_t *self, const PGresult *result, error_t *ret_error);
/* Sets the error of a wait that ended without what was waited for ("no answer"), because of the
 * deadline or the owner's stop, and closes the connection. Returns false. */
bool connection_too_late(connection_t *self, const char *what, uint32_t timeout_ms,
                         error_t *ret_error);

/* CLOCK_BOOTTIME in microseconds. */
usec_t connection_now(void);

#endif
