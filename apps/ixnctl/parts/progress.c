/* Progress: see progress.h. */
#include "apps/ixnctl/parts/progress.h"

#include "apps/ixnctl/parts/units.h"

#define BAR_MIN 10
#define BAR_MAX 40

static double s_part(const progress_t *self)
{
    if (self->bytes_total == 0)
        return 0;
    double part = (double)self->bytes / (double)self->bytes_total;
    return part < 1 ? part : 1;
}

/* Rate of the whole run: time left jumps less than with the rate of the last second. */
static double s_rate(const progress_t *self)
{
    return self->elapsed > 0 ? (double)self->items / self->elapsed : 0;
}

static void s_append_figures(const progress_t *self, buffer_t *out)
{
    char text[UNITS_TEXT_SIZE];
    if (self->bytes_total > 0)
        buffer_printf(out, "%3.0f%%  ", s_part(self) * 100);
    buffer_printf(out, "%s", units_bytes(self->bytes, text));
    if (self->bytes_total > 0)
        buffer_printf(out, " of %s", units_bytes(self->bytes_total, text));
    buffer_printf(out, "  %s submitted", units_count(self->items, text));
    buffer_printf(out, "  %s/s", units_count((uint64_t)s_rate(self), text));
    double part = s_part(self);
    if (part > 0 && part < 1 && self->elapsed >= 1)
        buffer_printf(out, "  %s left", units_seconds(self->elapsed * (1 - part) / part, text));
}

void progress_line(const progress_t *self, buffer_t *out)
{
    s_append_figures(self, out);
}

void progress_bar(const progress_t *self, size_t width, buffer_t *out)
{
    buffer_t figures = {0};
    s_append_figures(self, &figures);
    size_t room = width > figures.len + 4 ? width - figures.len - 4 : 0;
    if (room > BAR_MAX)
        room = BAR_MAX;
    if (room >= BAR_MIN && self->bytes_total > 0) {
        size_t filled = (size_t)(s_part(self) * (double)room);
        buffer_append_text(out, "[");
        for (size_t i = 0; i < room; i++)
            buffer_append_text(out, i < filled ? "#" : "-");
        buffer_append_text(out, "] ");
    }
    buffer_append(out, figures.bytes, figures.len < width ? figures.len : width);
    buffer_free(&figures);
}
