/* Fence: under what the checkpoint's lane may write: the pair's own database, on the server that is
 * proven, under this node's generation. Every transaction of the lane proves it inside itself,
 * since what a DAP reaches can change between two transactions.
 */
#ifndef IXN_DAP_FENCE_H
#define IXN_DAP_FENCE_H

#include "dap/identity.h"

typedef struct {
    identity_t identity;
    id128_t generation;
    instance_t instance;
} fence_t;

/* As SQL: true where ixn.pair (called p) and ixn.checkpoint (called c) are those of the fence.
 * Numbers and ids only, so nothing in it needs to be quoted. Returns `text`. */
#define FENCE_TEXT_SIZE 512
const char *fence_condition(const fence_t *self, char text[FENCE_TEXT_SIZE]);

#endif
