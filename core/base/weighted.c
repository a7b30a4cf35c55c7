#include "core/base/weighted.h"

#include "core/base/check.h"

size_t weighted_choose(weighted_t *const *items, size_t len)
{
    size_t chosen = 0;
    int64_t total = 0;
    CHECK(len > 0);
    for (size_t i = 0; i < len; i++) {
        int64_t weight = items[i]->weight ? items[i]->weight : 1;
        items[i]->credit += weight;
        total += weight;
        if (items[i]->credit > items[chosen]->credit)
            chosen = i;
    }
    items[chosen]->credit -= total;
    return chosen;
}
