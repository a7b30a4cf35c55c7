#include "balancer/rate.h"

#include <stdlib.h>

#include "core/base/alloc.h"

void rate_set(rate_t *self, uint32_t count, usec_t interval)
{
    if (interval <= 0)
        count = 0;
    self->interval = interval;
    if (count == self->count)
        return;
    usec_t *times = count ? memory_zero(count, sizeof *times) : NULL;
    uint32_t kept = self->len < count ? self->len : count; /* the newest ones */
    for (uint32_t i = 0; i < kept; i++)
        times[i] = self->times[(self->first + self->len - kept + i) % self->count];
    free(self->times);
    self->times = times;
    self->count = count;
    self->first = 0;
    self->len = kept;
}

usec_t rate_opens_at(const rate_t *self, usec_t now)
{
    if (self->len < self->count || self->count == 0)
        return 0;
    usec_t opens = self->times[self->first] + self->interval;
    return opens > now ? opens : 0;
}

void rate_take(rate_t *self, usec_t now)
{
    if (self->count == 0)
        return;
    if (self->len == self->count) {
        self->times[self->first] = now;
        self->first = (self->first + 1) % self->count;
        return;
    }
    self->times[(self->first + self->len++) % self->count] = now;
}

void rate_free(rate_t *self)
{
    free(self->times);
    *self = (rate_t){0};
}
