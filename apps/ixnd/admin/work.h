/* Work: the admin port as a client of the pair, in the role of an operator: the same requests, with
 * the same rules, as any other client's. It uses the node that serves, whichever that is, so both
 * admin ports answer the same.
 */
#ifndef IXN_ADMIN_WORK_H
#define IXN_ADMIN_WORK_H

#include "core/client/client.h"

typedef struct work work_t;

/* How a request ended: `message` is its answer (also an Error), or NULL, and `error` says why there
 * is none; whether a change was done is then not known. */
typedef void work_answer_fn(void *context, const Ixn__V1__Message *message, const error_t *error);

typedef struct {
    const char *node;     /* of whose admin port it is */
    const char *tenant;   /* any that is configured */
    const char *endpoint; /* of this node's client port */
} work_options_t;

work_t *work_new(const work_options_t *options, error_t *ret_error);
void work_destroy(work_t **self_p); /* what is unanswered ends with an error */

/* Where the other node's client port is. Another one than before: connects anew, and what is
 * unanswered ends with an error. */
void work_set_peer(work_t *self, const char *endpoint);

/* Asks; false when as much as is allowed is unanswered. */
bool work_send(work_t *self, Ixn__V1__Request *request, work_answer_fn *answer, void *context);

int work_fd(const work_t *self);
int work_wait_ms(const work_t *self);
void work_turn(work_t *self); /* call until the descriptor shows nothing, and after every send */

#endif
