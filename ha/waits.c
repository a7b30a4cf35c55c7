#include "ha/waits.h"

void waits_add(waits_t *self, uint64_t index, usec_t now, uint64_t count)
{
    if (count == 0)
        return;
    if (self->len == WAITS_TURNS) {
        wait_t *last = &self->turns[(self->first + self->len - 1) % WAITS_TURNS];
        last->index = index;
        last->count += count;
        return;
    }
    self->turns[(self->first + self->len++) % WAITS_TURNS] = (wait_t){index, now, count};
}

void waits_end(waits_t *self, uint64_t index, usec_t now, latency_t *latency)
{
    while (self->len > 0 && self->turns[self->first].index <= index) {
        const wait_t *wait = &self->turns[self->first];
        latency_add(latency, now - wait->since, wait->count);
        self->first = (self->first + 1) % WAITS_TURNS;
        self->len--;
    }
}
