/* Command `top`: the same as `status`, live. */
#include "apps/ixnctl/command.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "apps/ixnctl/parts/screen.h"
#include "apps/ixnctl/terminal.h"
#include "apps/ixnctl/watcher.h"
#include "core/base/clock.h"

enum {
    ANSWER_MS = 2000, /* longer is no news any more */
    KEY_COUNT = 0x500,
};

typedef struct {
    common_t *common;
    double interval;
    long count; /* of pictures; 0: no end */
} input_t;

static const struct argp_option s_options[] = {
    {"interval", 'i', "SECONDS", 0, "Between two looks, 0.2 to 3600 (1)", 0},
    {"count", KEY_COUNT, "N", 0, "End after so many looks", 0},
    {0},
};

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    switch (key) {
    case 'i':
        input->interval = common_seconds(argument, 0.2, 3600, "--interval", state);
        return 0;
    case KEY_COUNT:
        input->count = common_number(argument, 1, 1000000000, "--count", state);
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

static double s_seconds(void)
{
    return (double)clock_usec(CLOCK_MONOTONIC) / 1e6;
}

static long s_left_ms(double until)
{
    const double left = until - s_seconds();
    return left > 0 ? (long)(left * 1000) + 1 : 0;
}

/* ---- For people ---- */

typedef struct {
    const input_t *input;
    watcher_t *watcher;
    screen_t screen;
    buffer_t out;
    double look_at; /* when the next picture is made */
    long taken;
    bool dirty; /* the screen shows something old */
    bool leaves;
} view_t;

static void s_paint(view_t *self)
{
    const char *trouble = "";
    const picture_t *picture = watcher_picture(self->watcher, &trouble);
    if (!picture)
        return; /* it is on its way */
    terminal_size(&self->screen.rows, &self->screen.columns);
    buffer_clear(&self->out);
    screen_paint(&self->screen, picture, trouble, &self->out);
    for (size_t done = 0; done < self->out.len;) {
        const ssize_t wrote = write(STDOUT_FILENO, self->out.bytes + done, self->out.len - done);
        if (wrote < 0 && errno != EINTR) {
            self->leaves = true; /* the terminal is gone */
            return;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    self->dirty = false;
}

static void s_read_keys(view_t *self)
{
    char keys[64];
    const char *trouble;
    const ssize_t len = read(STDIN_FILENO, keys, sizeof keys);
    const picture_t *picture = watcher_picture(self->watcher, &trouble);
    if (len == 0 || (len < 0 && errno != EINTR && errno != EAGAIN)) {
        self->leaves = true; /* nobody sits there any more */
        return;
    }
    for (ssize_t at = 0; at < len;) {
        size_t used;
        switch (screen_key(&self->screen, keys + at, (size_t)(len - at),
                           picture ? picture->queues_len : SIZE_MAX / 2, &used)) {
        case SCREEN_NOTHING:
            break;
        case SCREEN_TAKE:
            self->look_at = 0;
            break;
        case SCREEN_STOP:
            terminal_stop();
            break;
        case SCREEN_QUIT:
            self->leaves = true;
            break;
        case SCREEN_REDRAW:
            break;
        }
        self->dirty = true;
        at += (ssize_t)used;
    }
}

static void s_turn(view_t *self)
{
    const bool asks = !self->screen.paused || self->look_at <= 0 || self->taken == 0;
    if (asks && !watcher_is_busy(self->watcher) && s_seconds() >= self->look_at) {
        self->look_at = s_seconds() + self->screen.interval;
        watcher_ask(self->watcher);
    }
    const bool waits = watcher_is_busy(self->watcher) || self->screen.paused;
    if (watcher_wait(self->watcher, STDIN_FILENO, waits ? -1 : s_left_ms(self->look_at))) {
        self->dirty = true;
        self->taken++;
        self->leaves = self->leaves || self->taken == self->input->count;
    }
    if (poll(&(struct pollfd){STDIN_FILENO, POLLIN, 0}, 1, 0) > 0)
        s_read_keys(self);
    self->dirty = terminal_has_changed() || self->dirty;
    self->leaves = self->leaves || terminal_must_end();
    if (self->dirty)
        s_paint(self);
}

static int s_watch(const input_t *input, watcher_t *watcher)
{
    if (!terminal_enter()) {
        fprintf(stderr,
                "ixnctl: top needs a terminal; for programs there is ixnctl top -o json, "
                "and ixnctl status for one look\n");
        return EXIT_USAGE;
    }
    view_t view = {.input = input,
                   .watcher = watcher,
                   .screen = {.interval = input->interval, .colour = common_style().colour}};
    while (!view.leaves)
        s_turn(&view);
    terminal_leave();
    buffer_free(&view.out);
    return EXIT_DONE;
}

/* ---- For programs ---- */

static int s_stream(const input_t *input, watcher_t *watcher)
{
    for (long taken = 0; input->count == 0 || taken < input->count; taken++) {
        const double next = s_seconds() + input->interval;
        const char *trouble;
        picture_problems_t problems;
        watcher_ask(watcher);
        while (!watcher_wait(watcher, -1, -1))
            continue; /* a signal that did not end us */
        const picture_t *picture = watcher_picture(watcher, &trouble);
        picture_find_problems(picture, &problems);
        if (!common_print_json(picture_json(picture, &problems)))
            return EXIT_PARTLY;
        const bool last = input->count && taken + 1 == input->count;
        for (long left = s_left_ms(next); left > 0 && !last; left = s_left_ms(next))
            watcher_wait(watcher, -1, left);
    }
    return EXIT_DONE;
}

int command_top(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options,
        .parser = s_parse,
        .doc =
            "The pair and its queues, live.\v"
            "What ixnctl status shows, again and again, with rates: what came into each queue and "
            "left it a second. It asks both nodes, so it goes on over a fail-over, and without "
            "them until one answers again. Keys: q leaves, space stands still, t w o i n order the "
            "queues (by trouble, waiting, oldest, rate in, name), arrows scroll, + and - change "
            "the interval, h helps. The terminal is as before when it ends.\n\n"
            "With -o json it prints a document a look, one a line, as ixnctl status does; so it "
            "can be piped.\n\nExit codes: 0 left; 2 no terminal.\n\nExamples:\n"
            "  ixnctl -n tcp://a:7420 -n tcp://b:7420 top\n"
            "  ixnctl top -o json --interval 5 | jq --unbuffered .work.submitted_per_second",
        .children = common_children,
    };
    input_t input = {.common = common, .interval = 1};
    common_parse(&argp, argc, argv, &input);
    if (common->timeout_ms > ANSWER_MS)
        common->timeout_ms = ANSWER_MS;
    error_t error = {0};
    watcher_t *watcher = watcher_new(common, &error);
    if (!watcher)
        return common_fail(&error);
    int code = common->json ? s_stream(&input, watcher) : s_watch(&input, watcher);
    watcher_destroy(&watcher);
    return code;
}
