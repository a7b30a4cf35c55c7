/* Screen: see screen.h. */
#include "apps/ixnctl/parts/screen.h"

#include <stdio.h>
#include <string.h>
#include <unistr.h>
#include <uniwidth.h>

#include "apps/ixnctl/parts/units.h"

#define HOME "\x1b[H"
#define END_OF_LINE "\x1b[K"
#define END_OF_SCREEN "\x1b[J"
#define REVERSE "\x1b[7m"
#define PLAIN "\x1b[0m"

enum { INDENT = 4, QUEUES_LEAST = 3, QUEUES_AROUND = 3 };

static const struct {
    char key;
    picture_order_t order;
    const char *name;
} s_orders[] = {
    {'t', PICTURE_BY_TROUBLE, "trouble"}, {'w', PICTURE_BY_WAITING, "waiting"},
    {'o', PICTURE_BY_OLDEST, "oldest"},   {'i', PICTURE_BY_IN, "in/s"},
    {'n', PICTURE_BY_NAME, "name"},
};

static const double s_intervals[] = {0.2, 0.5, 1, 2, 5, 10, 30, 60};
#define INTERVALS_LEN (sizeof s_intervals / sizeof *s_intervals)

/* ---- Keys ---- */

static void s_scroll(screen_t *self, long by, size_t queues_len)
{
    const size_t last = queues_len > self->page ? queues_len - self->page : 0;
    const long to = (long)self->first + by;
    self->first = to < 0 ? 0 : (size_t)to > last ? last : (size_t)to;
}

static void s_set_interval(screen_t *self, bool longer)
{
    for (size_t i = 0; i < INTERVALS_LEN; i++) {
        const double one = s_intervals[longer ? i : INTERVALS_LEN - 1 - i];
        if (longer ? one <= self->interval : one >= self->interval)
            continue;
        self->interval = one;
        return;
    }
}

/* What follows ESC [: arrows, and the keys that move by a page. */
static screen_action_t s_sequence(screen_t *self, const char *bytes, size_t len, size_t queues_len,
                                  size_t *ret_used)
{
    const long page = self->page ? (long)self->page : 1;
    size_t at = 2;
    while (at < len && (unsigned char)bytes[at] < 0x40)
        at++;
    *ret_used = at < len ? at + 1 : len;
    switch (at < len ? bytes[at] : '\0') {
    case 'A':
        s_scroll(self, -1, queues_len);
        return SCREEN_REDRAW;
    case 'B':
        s_scroll(self, 1, queues_len);
        return SCREEN_REDRAW;
    case 'H':
        self->first = 0;
        return SCREEN_REDRAW;
    case 'F':
        s_scroll(self, (long)queues_len, queues_len);
        return SCREEN_REDRAW;
    case '~':
        if (bytes[2] != '5' && bytes[2] != '6')
            return SCREEN_NOTHING;
        s_scroll(self, bytes[2] == '5' ? -page : page, queues_len);
        return SCREEN_REDRAW;
    default:
        return SCREEN_NOTHING;
    }
}

screen_action_t screen_key(screen_t *self, const char *bytes, size_t len, size_t queues_len,
                           size_t *ret_used)
{
    *ret_used = 1;
    if (len > 2 && bytes[0] == '\x1b' && (bytes[1] == '[' || bytes[1] == 'O'))
        return s_sequence(self, bytes, len, queues_len, ret_used);
    for (size_t i = 0; i < sizeof s_orders / sizeof *s_orders; i++)
        if (bytes[0] == s_orders[i].key) {
            self->order = s_orders[i].order;
            self->first = 0;
            return SCREEN_REDRAW;
        }
    switch (bytes[0]) {
    case 'q':
    case '\x03': /* Ctrl-C */
        return SCREEN_QUIT;
    case '\x1a':
        return SCREEN_STOP;
    case '\x0c': /* Ctrl-L */
        return SCREEN_REDRAW;
    case '\r':
    case '\n':
        return SCREEN_TAKE;
    case ' ':
        self->paused = !self->paused;
        return self->paused ? SCREEN_REDRAW : SCREEN_TAKE;
    case 'h':
    case '?':
        self->help = !self->help;
        return SCREEN_REDRAW;
    case '+':
    case '-':
        s_set_interval(self, bytes[0] == '+');
        return SCREEN_REDRAW;
    case 'k':
    case 'j':
        s_scroll(self, bytes[0] == 'k' ? -1 : 1, queues_len);
        return SCREEN_REDRAW;
    default:
        return SCREEN_NOTHING;
    }
}

/* ---- Lines ---- */

/* A sequence that sets colours, which takes no room; 0: none begins here. */
static size_t s_colour(const char *text, size_t len)
{
    if (len < 3 || text[0] != '\x1b' || text[1] != '[')
        return 0;
    for (size_t i = 2; i < len; i++)
        if (text[i] == 'm')
            return i + 1;
    return 0;
}

/* Appends one line of a page, as several where it is wider than the screen; how many. */
static size_t s_append_wrapped(buffer_t *out, const char *text, size_t len, size_t columns,
                               size_t rows)
{
    size_t lines = 1;
    size_t used = 0;
    for (size_t at = 0; at < len;) {
        const size_t colour = s_colour(text + at, len - at);
        if (colour) {
            buffer_append(out, text + at, colour);
            at += colour;
            continue;
        }
        ucs4_t c = 0;
        const int bytes = u8_mbtouc(&c, (const uint8_t *)text + at, len - at);
        const int width = uc_width(c, "UTF-8");
        const size_t wide = width > 0 ? (size_t)width : 0;
        if (used + wide > columns) {
            if (lines == rows)
                break;
            buffer_append_text(out, END_OF_LINE "\r\n");
            lines++;
            used = columns > 2 * INDENT ? INDENT : 0;
            buffer_printf(out, "%*s", (int)used, "");
        }
        buffer_append(out, text + at, (size_t)bytes);
        used += wide;
        at += (size_t)bytes;
    }
    buffer_append_text(out, PLAIN END_OF_LINE "\r\n");
    return lines;
}

/* As many lines of the page as fit; how many that were. */
static size_t s_append_page(buffer_t *out, const buffer_t *page, size_t columns, size_t rows)
{
    size_t lines = 0;
    const char *text = (const char *)page->bytes;
    for (size_t at = 0; at < page->len && lines < rows;) {
        const char *end = memchr(text + at, '\n', page->len - at);
        const size_t len = end ? (size_t)(end - text) - at : page->len - at;
        lines += s_append_wrapped(out, text + at, len, columns, rows - lines);
        at += len + 1;
    }
    return lines;
}

/* A line that is cut, never wrapped, in reverse colours. */
static void s_append_bar(const screen_t *self, const char *text, buffer_t *out)
{
    buffer_t line = {0};
    table_t table = {.columns_len = 1, .columns = {{NULL, false, true}}};
    table_add(&table, text_of(text));
    table_layout(&table, (table_style_t){self->columns, false}, &line);
    table_free(&table);
    line.len -= line.len > 0; /* its end */
    buffer_append_text(out, self->colour ? REVERSE : "");
    buffer_append(out, line.bytes, line.len);
    const size_t width = table_text_width((text_t){(const char *)line.bytes, line.len});
    for (size_t i = width; self->colour && i < self->columns; i++)
        buffer_append_text(out, " ");
    buffer_append_text(out, self->colour ? PLAIN END_OF_LINE : END_OF_LINE);
    buffer_free(&line);
}

/* ---- The screen ---- */

static void s_print_help(buffer_t *out)
{
    buffer_append_text(out,
                       "\n"
                       "  q, Ctrl-C      leave\n"
                       "  space          stop and go on; what is shown stands still\n"
                       "  Enter          look again now\n"
                       "  + and -        longer and shorter between two looks\n"
                       "  t w o i n      queues by trouble, waiting, oldest, in/s, name\n"
                       "  arrows, j, k   through the queues; also PgUp, PgDn, Home, End\n"
                       "  h, ?           this help, and back\n"
                       "\n"
                       "IN/s and OUT/s count what came into line and left it between two looks.\n"
                       "After a fail-over it goes on with the node that serves then.\n");
}

static size_t s_count_lines(const buffer_t *page, size_t columns)
{
    buffer_t away = {0};
    const size_t lines = s_append_page(&away, page, columns, SIZE_MAX);
    buffer_free(&away);
    return lines;
}

/* Everything else has its room first; the queues have what is left. */
static void s_print_page(screen_t *self, const picture_t *picture, size_t rows, buffer_t *page)
{
    picture_problems_t problems;
    picture_find_problems(picture, &problems);
    picture_look_t look = {
        .style = {self->columns, self->colour}, .order = self->order, .rates = true};
    size_t lines = 0;
    for (int brief = 0; brief < 2; brief++) {
        look.brief = brief == 1;
        buffer_clear(page);
        picture_print(picture, &problems, &look, page);
        lines = s_count_lines(page, self->columns) + QUEUES_AROUND;
        if (rows >= lines + QUEUES_LEAST)
            break;
    }
    look.queues_max = rows > lines + QUEUES_LEAST ? rows - lines : QUEUES_LEAST;
    self->page = look.queues_max;
    s_scroll(self, 0, picture->queues_len);
    look.first = self->first;
    buffer_clear(page);
    picture_print(picture, &problems, &look, page);
}

void screen_paint(screen_t *self, const picture_t *picture, const char *note, buffer_t *out)
{
    char text[300];
    char at[UNITS_TEXT_SIZE];
    const char *order = "";
    for (size_t i = 0; i < sizeof s_orders / sizeof *s_orders; i++)
        order = s_orders[i].order == self->order ? s_orders[i].name : order;
    units_time(picture->wall_us, at);
    snprintf(text, sizeof text, " ixn  %.19sZ  every %g s  queues by %s%s%s%s", at, self->interval,
             order, self->paused ? "  STANDS STILL (space: go on)" : "", *note ? "  " : "", note);
    const size_t rows = self->rows > 3 ? self->rows - 2 : 1;
    buffer_t page = {0};
    if (self->help)
        s_print_help(&page);
    else
        s_print_page(self, picture, rows, &page);
    buffer_append_text(out, HOME);
    s_append_bar(self, text, out);
    buffer_append_text(out, "\r\n");
    s_append_page(out, &page, self->columns, rows);
    buffer_append_text(out, END_OF_SCREEN);
    buffer_printf(out, "\x1b[%zu;1H", self->rows);
    s_append_bar(self,
                 " q leave  space stand still  t w o i n order  arrows scroll  + - speed  h help",
                 out);
    buffer_free(&page);
}
