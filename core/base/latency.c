#include "core/base/latency.h"

#define MS ((usec_t)1000)
#define S ((usec_t)1000 * 1000)

const usec_t latency_bounds[LATENCY_BOUNDS] = {
    MS / 2, MS,    MS * 2, MS * 5, MS * 10, MS * 20, MS * 50, MS * 100, MS * 200, MS * 500,
    S,      S * 2, S * 5,  S * 10, S * 30,  S * 60,  S * 300, S * 600,  S * 1800, S * 3600,
};

void latency_add(latency_t *self, usec_t duration, uint64_t times)
{
    usec_t counted = duration < 0 ? 0 : duration;
    int bound = 0;
    while (bound < LATENCY_BOUNDS && counted > latency_bounds[bound])
        bound++;
    self->counts[bound] += times;
    self->sum_us += (uint64_t)counted * times;
}

uint64_t latency_count(const latency_t *self)
{
    uint64_t count = 0;
    for (int i = 0; i <= LATENCY_BOUNDS; i++)
        count += self->counts[i];
    return count;
}
