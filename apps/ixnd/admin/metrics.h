/* Metrics: figures in the text format of Prometheus. Pure. Names follow its conventions: base
 * units, _total for counters, HELP and TYPE for each.
 */
#ifndef IXN_ADMIN_METRICS_H
#define IXN_ADMIN_METRICS_H

#include "core/base/buffer.h"
#include "core/base/types.h"
#include "core/wire/client.pb-c.h"

typedef struct {
    const Ixn__V1__PairStatus *status; /* NULL: the node does not answer */
    const Ixn__V1__Figures *figures;
    usec_t age; /* of both */
    const Ixn__V1__Queue *const *queues;
    size_t queues_len;
    usec_t queues_age; /* negative: none are known (this node does not serve) */
    usec_t wall_now;
    size_t http_connections;
} metrics_t;

void metrics_print(const metrics_t *self, buffer_t *out);

#endif
