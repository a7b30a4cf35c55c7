/* Dialer: a thread that opens connections for an owner who must not wait. Opening may wait for a
 * resolver, whatever libpq is told; an open connection is used without waiting by whoever owns it.
 *
 * A connection belongs to the dialer from dialer_dial until its answer is taken.
 */
#ifndef IXN_DAP_DIALER_H
#define IXN_DAP_DIALER_H

#include "dap/connection.h"

typedef struct dialer dialer_t;

enum { DIALER_MOST = 4 }; /* at a time; those that were called off do not count */

typedef struct {
    uint64_t number;          /* which was given to dialer_dial */
    connection_t *connection; /* the owner's from now on; open, unless there is an error */
    error_t error;            /* code ERROR_OK: it is open */
} dialer_answer_t;

dialer_t *dialer_new(void);
/* Calls everything off. Waits for the thread: as long as a resolver lets it wait. */
void dialer_destroy(dialer_t **self_p);

/* Opens a closed connection. Numbers are the owner's, differ, and are not 0. */
void dialer_dial(dialer_t *self, uint64_t number, connection_t *connection);
/* It is not wanted any more. An answer may be on its way already. */
void dialer_call_off(dialer_t *self, uint64_t number);
/* Never waits. Read it to its end, after the last of the calls above, before polling dialer_fd:
 * that tells of changes. */
bool dialer_next(dialer_t *self, dialer_answer_t *ret_answer);
int dialer_fd(const dialer_t *self); /* readable when there may be an answer */

#endif
