/* Crowding: whether the calling thread lately had to wait for a processor, as the kernel counts it
 * (/proc/thread-self/schedstat). Where the kernel does not count, it never had to.
 */
#ifndef IXN_APPS_IXND_CROWDING_H
#define IXN_APPS_IXND_CROWDING_H

#include "core/base/types.h"

typedef struct {
    int fd;
    usec_t looked_at;
    uint64_t waited_ns;
    bool crowded;
} crowding_t;

void crowding_open(crowding_t *self); /* for the thread that calls, and looks */
void crowding_close(crowding_t *self);
bool crowding_look(crowding_t *self, usec_t now); /* asks the kernel every 20 ms at most */

#endif
