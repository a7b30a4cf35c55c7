#include "ha/patience.h"

static void s_turn_window(patience_t *self, usec_t now)
{
    if (self->number && now - self->window < PATIENCE_WINDOW_US)
        return;
    /* Two windows without a word are as good as none. */
    self->heard_before = now - self->window < 2 * PATIENCE_WINDOW_US ? self->heard : 0;
    self->heard = 0;
    self->window = now;
    self->number++;
}

void patience_heard(patience_t *self, uint64_t session, size_t requests, usec_t now)
{
    s_turn_window(self, now);
    uint32_t *seen = &self->seen[session % PATIENCE_SESSIONS];
    if (*seen != self->number)
        self->heard++;
    *seen = self->number;
    self->requests += (uint32_t)requests;
}

bool patience_waits(patience_t *self, usec_t now)
{
    if (!self->crowded || self->requests == 0)
        return false;
    s_turn_window(self, now);
    uint32_t active = self->heard > self->heard_before ? self->heard : self->heard_before;
    if (active < PATIENCE_LEAST || self->requests >= active / 2)
        return false;
    if (!self->since)
        self->since = now;
    return now - self->since < PATIENCE_US;
}

void patience_end(patience_t *self)
{
    self->since = 0;
    self->requests = 0;
}
