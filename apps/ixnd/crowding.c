#include "apps/ixnd/crowding.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
    LOOK_US = 20 * 1000,
    /* Of the time since it looked last. Measured on two cores with everything on them: 15 to 25
     * with 64 clients, 6 to 7 with one, which waits for nobody all the same (PATIENCE_LEAST). */
    CROWDED_PERCENT = 5,
};

void crowding_open(crowding_t *self)
{
    *self = (crowding_t){.fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)};
}

void crowding_close(crowding_t *self)
{
    if (self->fd >= 0)
        close(self->fd);
    self->fd = -1;
}

/* "RAN_NS WAITED_NS TURNS\n" */
static bool s_read(const crowding_t *self, uint64_t *ret_waited_ns)
{
    char text[100];
    ssize_t len = self->fd < 0 ? -1 : pread(self->fd, text, sizeof text - 1, 0);
    if (len <= 0)
        return false;
    text[len] = 0;
    return sscanf(text, "%*s %" SCNu64, ret_waited_ns) == 1;
}

bool crowding_look(crowding_t *self, usec_t now)
{
    usec_t elapsed = now - self->looked_at;
    uint64_t waited_ns;
    if (elapsed < LOOK_US)
        return self->crowded;
    self->looked_at = now;
    if (!s_read(self, &waited_ns))
        return self->crowded = false;
    self->crowded = waited_ns - self->waited_ns > (uint64_t)elapsed * 1000 * CROWDED_PERCENT / 100;
    self->waited_ns = waited_ns;
    return self->crowded;
}
