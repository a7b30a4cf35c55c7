/* Marks: see marks.h. */
#include "ha/marks.h"

/* Of the older half every second one goes: the newer ones stay exact. */
static void s_thin(marks_t *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->len; i++)
        if (i >= MARKS_LEN / 2 || i % 2 == 0)
            self->list[kept++] = self->list[i];
    self->len = kept;
}

void marks_add(marks_t *self, uint64_t first, uint64_t last, size_t bytes)
{
    if (self->len == 0 || self->list[self->len - 1].index + 1 != first) {
        self->len = 1;
        self->list[0].index = first - 1;
        self->list[0].bytes = 0;
    }
    if (self->len == MARKS_LEN)
        s_thin(self);
    self->list[self->len].index = last;
    self->list[self->len].bytes = self->list[self->len - 1].bytes + bytes;
    self->len++;
}

/* Number of the last mark at `index` or before it; there is one. */
static size_t s_find(const marks_t *self, uint64_t index)
{
    size_t low = 0;
    size_t high = self->len;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (self->list[middle].index <= index)
            low = middle;
        else
            high = middle;
    }
    return low;
}

bool marks_bytes_after(const marks_t *self, uint64_t index, uint64_t *ret_bytes)
{
    if (self->len == 0 || index < self->list[0].index)
        return false;
    const size_t at = s_find(self, index);
    const size_t newest = self->len - 1;
    *ret_bytes = self->list[newest].bytes - self->list[at].bytes;
    if (at < newest) {
        const uint64_t entries = self->list[at + 1].index - self->list[at].index;
        const uint64_t bytes = self->list[at + 1].bytes - self->list[at].bytes;
        *ret_bytes -=
            (uint64_t)((double)bytes / (double)entries * (double)(index - self->list[at].index));
    }
    return true;
}
