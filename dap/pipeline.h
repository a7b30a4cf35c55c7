/* Pipeline: several statements on their way to the server at once, so that a transaction of many
 * statements costs a few round trips and the next one is made while the last one runs.
 *
 * Promises: a bounded number is on its way; every answer comes within the deadline of its
 * statement, counted from when it was the oldest; each statement has a synchronisation point of its
 * own, so the server's time-out for abandoned transactions runs between any two. After a failure
 * the rest is answered and dropped, or the connection is closed; it never stays half way. Unnamed
 * statements only: it works through a transaction pooler as long as it stays inside a transaction.
 *
 * It may not decide what a failure means, and it does not end transactions.
 */
#ifndef IXN_DAP_PIPELINE_H
#define IXN_DAP_PIPELINE_H

#include "dap/connection.h"

/* However the server's defaults are set; whether it is read only stays the operator's choice. */
#define PIPELINE_BEGIN "BEGIN ISOLATION LEVEL READ COMMITTED"

enum { PIPELINE_WINDOW = 4 }; /* statements that are on their way at most */

typedef struct {
    const char *sql;
    const connection_params_t *params; /* NULL: none; copied when sent */
    int64_t rows;                      /* that it must return or change; -1: any number */
    uint32_t timeout_ms;
} pipeline_statement_t;

typedef struct {
    connection_t *connection;
    struct {
        int64_t rows;
        uint32_t timeout_ms;
    } window[PIPELINE_WINDOW];
    size_t sent;      /* statements, since the beginning */
    size_t answered;  /* … of which the answer is here */
    usec_t deadline;  /* of the oldest without an answer */
    int64_t rows;     /* returned or changed by the one answered last */
    PGresult *result; /* of the one that returned rows last, or NULL; the caller clears it */
    bool failed;      /* a statement was refused: number `failed_number`, from 0 */
    size_t failed_number;
} pipeline_t;

/* Opens the connection if it is closed. */
bool pipeline_begin(pipeline_t *self, connection_t *connection, error_t *ret_error);
/* Waits only while the window is full. False: a statement, not always this one, has failed
 * (`failed`) or the connection is gone; the pipeline has ended and the connection, if it is open,
 * is in a transaction that can only be rolled back. */
bool pipeline_send(pipeline_t *self, const pipeline_statement_t *statement, error_t *ret_error);
/* Waits for all answers and ends the pipeline. False as above. */
bool pipeline_end(pipeline_t *self, error_t *ret_error);

/* One statement in a transaction of its own, in one round trip, that waits for locks at most
 * `lock_timeout_ms`. True: it is committed, and `ret_result` (may be NULL; caller clears it) is
 * what it returned, NULL when it does not return rows. False: as connection_query; nothing is open.
 */
bool pipeline_transaction(connection_t *connection, const pipeline_statement_t *statement,
                          uint32_t lock_timeout_ms, PGresult **ret_result, error_t *ret_error);

#endif
