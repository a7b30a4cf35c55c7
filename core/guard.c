#include "core/guard.h"

#include <inttypes.h>
#include <stdio.h>

id128_t guard_entry(uint64_t index, id128_t batch)
{
    char id[ID_TEXT_SIZE];
    char text[80];
    int len = snprintf(text, sizeof text, "entry %" PRIu64 " %s", index, id_text(batch, id));
    return id_hash(text, (size_t)len);
}

const guard_stop_t *guard_stop(const guard_t *self, const batch_t *batch, uint64_t after)
{
    const guard_stop_t *first = NULL;
    for (size_t i = 0; i < self->stops_len; i++) {
        const guard_stop_t *stop = &self->stops[i];
        if (stop->index <= after || stop->index < batch->first || stop->index > batch->last ||
            (first && first->index < stop->index) ||
            !id_equal(stop->fingerprint, guard_entry(stop->index, batch->hash)))
            continue;
        first = stop;
    }
    return first;
}
