/* Work: what a Route says, kept for as long as the script runs. Everything is copied.
 */
#ifndef IXN_ROUTER_WORK_H
#define IXN_ROUTER_WORK_H

#include "core/base/id.h"
#include "core/base/types.h"
#include "core/wire/client.pb-c.h"

/* A token as a key of tables: no padding. */
typedef struct {
    uint64_t epoch;
    uint64_t index;
} work_token_t;

typedef struct {
    id128_t id;
    work_token_t token;
    const char *strategy;
    uint32_t strategy_version; /* of the node's store; 0: a file */
    const char *tenant;
    const char *queue;
    const char *media_type;
    const char *type;
    const char *subtype;
    const char *external_id;
    uint32_t attempt;
    int32_t priority;
    usec_t received_at; /* wall */
    usec_t submitted_at;
    usec_t placed_at; /* in this queue */
    char *attributes; /* JSON as it came; owned, NULL once it was decoded */
    size_t attributes_len;
} work_t;

/* NULL when the message lacks its token, its interaction or a 16-byte id. */
work_t *work_new(const Ixn__V1__Route *route);
void work_destroy(work_t **self_p);

#endif
