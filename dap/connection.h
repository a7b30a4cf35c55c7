/* Connection: one libpq connection to one DAP, used by blocking calls that always end within a
 * deadline of our own (a frozen pooler or server answers nothing, not even an error).
 *
 * Promises: only unnamed extended-protocol statements and plain BEGIN/COMMIT, so it works through a
 * transaction pooler; after a deadline or a lost connection the connection is closed (what was in
 * flight is "in doubt") and the next call opens it again. Errors carry the DAP's name, the server's
 * words and SQLSTATE; never a password.
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
void connection_destroy(connection_t **self_p);

const char *connection_name(const connection_t *self); /* of the DAP */
bool connection_is_open(const connection_t *self);
bool connection_open(connection_t *self, error_t *ret_error); /* nothing to do when open */
void connection_close(connection_t *self);

/* Binary parameters and results (format 1) of an unnamed statement. Types may be NULL. */
typedef struct {
    int count;
    const Oid *types;
    const char *const *values;
    const int *lengths;
} connection_params_t;

/* Runs one statement and waits for its result at most statement_timeout_ms. The result (caller
 * clears it) is PGRES_COMMAND_OK or PGRES_TUPLES_OK. Otherwise NULL and an error:
 *   DATABASE_UNREACHABLE  the connection could not be opened, was lost or gave no answer in time
 *                         (in doubt if the statement changes something); it is closed now
 *   DATABASE_REFUSED      the server said no (text and SQLSTATE in the error; connection_sqlstate)
 * A statement given when the connection is closed opens it first, unless a transaction was lost with
 * it: connection_in_transaction tells. */
PGresult *connection_query(connection_t *self, const char *sql, const connection_params_t *params,
                           error_t *ret_error);
/* SQLSTATE of the last refused statement, "" if none. */
const char *connection_sqlstate(const connection_t *self);
/* True when the last clean answer came with a WARNING that a wait for synchronous replication was
 * cancelled (SQLSTATE 01000 … "canceling wait for synchronous replication"): the commit is then in
 * doubt although the server reported success. */
bool connection_commit_in_doubt(const connection_t *self);
/* libpq's own, for COPY and pipelines inside dap/; NULL when closed. */
PGconn *connection_pq(connection_t *self);
/* Waits until libpq's socket is readable (or writable), at most until the deadline (absolute,
 * CLOCK_BOOTTIME microseconds). False: deadline. */
bool connection_wait(connection_t *self, bool writable, usec_t deadline);

/* CLOCK_BOOTTIME in microseconds. */
usec_t connection_now(void);

#endif
