/* Sender: submits through the client library with a bounded number of submissions in flight, and
 * counts what becomes of each. What the library cannot get answered is counted, never sent anew
 * under another key.
 */
#ifndef IXNCTL_SENDER_H
#define IXNCTL_SENDER_H

#include "apps/ixnctl/parts/submission.h"
#include "apps/ixnctl/parts/tally.h"
#include "core/client/client.h"

typedef struct sender sender_t;

/* The client and the tally stay the caller's and must outlive the sender. */
sender_t *sender_new(ixn_client_t *client, size_t window, tally_t *tally);
void sender_destroy(sender_t **self_p);

/* Waits until a serving node has answered the registration. False and TIMED_OUT, or why it refused
 * us. */
bool sender_connect(sender_t *self, uint32_t timeout_ms, error_t *ret_error);

bool sender_has_room(const sender_t *self);
size_t sender_unanswered(const sender_t *self);
/* Only when there is room. `where` is copied. */
void sender_send(sender_t *self, const submission_t *submission, const char *where);
/* Takes what has happened; waits at most this long for the first of it. */
void sender_poll(sender_t *self, int timeout_ms);

/* True when going on makes no sense: a submission was not answered within the client's time, or the
 * registration was refused. */
bool sender_is_lost(const sender_t *self);
/* True when it was the latter: then what is in flight will not be answered either. */
bool sender_is_refused(const sender_t *self);

#endif
