#include "apps/ixn-bench/parts/gaps.h"

void gaps_begin(gaps_t *self, usec_t now)
{
    atomic_store(&self->since, now);
}

void gaps_end(gaps_t *self, usec_t now)
{
    usec_t gap = now - atomic_exchange(&self->since, now);
    if (gap >= self->threshold)
        atomic_fetch_add(&self->count, 1);
    usec_t longest = atomic_load(&self->longest);
    while (gap > longest && !atomic_compare_exchange_weak(&self->longest, &longest, gap))
        continue;
}
