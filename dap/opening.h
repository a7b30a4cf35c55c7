/* Opening: a connection of libpq's that is being opened by a thread of its own. libpq looks a
 * host's name up within its calls, for as long as the resolver likes, whatever time-out it is
 * given; whoever waits for an opening may stop waiting at any time, and leave it to its thread.
 */
#ifndef IXN_DAP_OPENING_H
#define IXN_DAP_OPENING_H

#include <libpq-fe.h>
#include <stdbool.h>

typedef struct opening opening_t;

/* Begins, with what PQconninfoParse takes, which is copied. NULL: there is no thread for it, and
 * errno says why. It has no time-out: that is its owner's. */
opening_t *opening_new(const char *conninfo);
/* Never waits: calls it off, and leaves it to its thread, which frees it when libpq lets it go. */
void opening_destroy(opening_t **self_p);

/* It is not wanted any more: it is over as soon as libpq lets its thread go, and the server has no
 * session of it. */
void opening_call_off(opening_t *self);
bool opening_is_called_off(opening_t *self);
/* libpq holds the thread: it looks a name up, or its libraries ask somebody (Kerberos). */
bool opening_is_held(opening_t *self);

int opening_fd(const opening_t *self); /* readable as soon as it is over, and from then on */
bool opening_is_over(opening_t *self);
/* Of one that is over: the connection is the caller's, open if PQstatus says so. NULL: no memory.
 */
PGconn *opening_take(opening_t *self);

/* For the end of a process, which takes libpq's libraries down: a thread that is inside one of them
 * crashes then. Waits until all openings that there are were let go, a tenth of a second at most;
 * false: one was not. */
bool opening_await_all(void);

#endif
