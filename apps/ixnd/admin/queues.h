/* Queues: what is in each queue, as the node that serves said last. However many watch, the node is
 * asked by one, and no more often than they need.
 */
#ifndef IXN_ADMIN_QUEUES_H
#define IXN_ADMIN_QUEUES_H

#include "apps/ixnd/admin/work.h"
#include "core/base/types.h"

typedef struct queues queues_t;

queues_t *queues_new(work_t *work); /* which must live longer */
void queues_destroy(queues_t **self_p);

void queues_ask(queues_t *self, usec_t now); /* unless it is being asked */
bool queues_is_asking(const queues_t *self);
usec_t queues_heard_at(const queues_t *self); /* 0: never */
/* The queues, valid until the next turn of the work. */
const Ixn__V1__Queue *const *queues_list(const queues_t *self, size_t *ret_len);

#endif
