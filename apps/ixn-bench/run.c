#include "apps/ixn-bench/run.h"
#include "core/base/clock.h"

#include <stdio.h>

usec_t run_now(void)
{
    return clock_usec(CLOCK_MONOTONIC);
}

void figures_error(figures_t *self, const char *what, const char *sentence)
{
    if (!self->first_error[0])
        snprintf(self->first_error, sizeof self->first_error, "%s: %s", what, sentence);
}

void figures_merge(figures_t *self, const figures_t *other)
{
    histogram_merge(&self->latency, &other->latency);
    self->measured += other->measured;
    self->sent += other->sent;
    self->accepted += other->accepted;
    self->refused += other->refused;
    self->unknown += other->unknown;
    self->stale += other->stale;
    self->foreign += other->foreign;
    self->repeated += other->repeated;
    buffer_append(&self->ids, other->ids.bytes, other->ids.len);
    if (other->silence > self->silence)
        self->silence = other->silence;
    if (!self->first_error[0] && other->first_error[0])
        snprintf(self->first_error, sizeof self->first_error, "%s", other->first_error);
}

void figures_free(figures_t *self)
{
    buffer_free(&self->ids);
}
