#include "ha/recent.h"

#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/limits.h"
#include "ha/line.h"
#include "ha/marks.h"

struct recent {
    line_t line;
    marks_t marks;
};

recent_t *recent_new(void)
{
    return memory_zero(1, sizeof(recent_t));
}

void recent_destroy(recent_t **self_p)
{
    recent_t *self = *self_p;
    if (!self)
        return;
    line_free(&self->line);
    free(self);
    *self_p = NULL;
}

/* Number of the first batch that ends at `index` or after it; `len` when there is none. */
static size_t s_find(const line_t *line, uint64_t index)
{
    size_t low = 0;
    size_t high = line->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (line_at(line, middle)->last < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool s_has(const line_t *line, const batch_t *batch)
{
    size_t number = s_find(line, batch->last);
    return number < line->len && id_equal(line_at(line, number)->hash, batch->hash);
}

void recent_add(recent_t *self, batch_t *batch)
{
    line_t *line = &self->line;
    const batch_t *newest = line_newest(line);
    if (s_has(line, batch)) {
        batch_destroy(&batch);
        return;
    }
    if (newest && (batch->first != newest->last + 1 || !id_equal(batch->previous, newest->hash)))
        line_empty(line);
    marks_add(&self->marks, batch->first, batch->last, batch->entries.len);
    line_push(line, batch);
    while (line->len > LIMIT_RECENT_BATCHES || line->bytes > LIMIT_RECENT)
        line_drop_oldest(line);
}

uint64_t recent_first(const recent_t *self)
{
    const batch_t *oldest = line_oldest(&self->line);
    return oldest ? oldest->first : 0;
}

uint64_t recent_last(const recent_t *self)
{
    const batch_t *newest = line_newest(&self->line);
    return newest ? newest->last : 0;
}

bool recent_bytes_after(const recent_t *self, uint64_t index, uint64_t *ret_bytes)
{
    return marks_bytes_after(&self->marks, index, ret_bytes);
}

recent_answer_t recent_find(const recent_t *self, uint64_t from, id128_t hash, uint64_t to,
                            recent_part_t *ret_part)
{
    const line_t *line = &self->line;
    *ret_part = (recent_part_t){0};
    if (line->len == 0 || recent_first(self) > from + 1)
        return RECENT_TOO_LATE;
    if (recent_last(self) < to)
        return RECENT_TOO_FEW;
    size_t first = s_find(line, from + 1);
    size_t end = s_find(line, to);
    const batch_t *next = line_at(line, first);
    bool begins = next->first == from + 1;
    *ret_part = (recent_part_t){.first = first, .len = end - first + 1};
    if (begins)
        ret_part->hash = next->previous;
    return begins && id_equal(next->previous, hash) && line_at(line, end)->last == to
               ? RECENT_HELD
               : RECENT_DIVERGES;
}

const batch_t *recent_at(const recent_t *self, size_t number)
{
    return line_at(&self->line, number);
}
