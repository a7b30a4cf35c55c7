/* Fence: under which identity and generation the checkpoint's lane may write. Every transaction of
 * the lane proves it inside itself, since what a DAP reaches can change between two transactions.
 */
#ifndef IXN_DAP_FENCE_H
#define IXN_DAP_FENCE_H

#include "core/base/id.h"

typedef struct {
    id128_t database_id;
    id128_t generation;
} fence_t;

#endif
