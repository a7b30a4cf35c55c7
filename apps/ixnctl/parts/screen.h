/* Screen: a picture laid out for a terminal of a given size, as the bytes that paint it. Pure:
 * which key does what and what fits are decided here; the terminal itself is terminal.h's.
 *
 * Plain ANSI sequences and no library of screens: it is one page of text a second, painted by the
 * very code that prints `ixnctl status`; every terminal in use knows the six sequences it needs.
 */
#ifndef IXNCTL_SCREEN_H
#define IXNCTL_SCREEN_H

#include "apps/ixnctl/parts/picture.h"

typedef struct {
    size_t rows, columns;
    bool colour;
    picture_order_t order;
    size_t first; /* queue that is shown first */
    bool paused;
    bool help;
    double interval; /* seconds between pictures */
    size_t page;     /* queues that the last screen had room for */
} screen_t;

typedef enum {
    SCREEN_NOTHING, /* not a key of ours */
    SCREEN_REDRAW,
    SCREEN_TAKE, /* a new picture, now */
    SCREEN_STOP, /* Ctrl-Z */
    SCREEN_QUIT,
} screen_action_t;

/* Reads the first key of some bytes from a keyboard, and how many bytes it takes (at least one). */
screen_action_t screen_key(screen_t *self, const char *bytes, size_t len, size_t queues_len,
                           size_t *ret_used);

/* Appends the bytes that paint the whole screen. `note` is what the status line ends with, such as
 * why there is no newer picture; "": nothing. */
void screen_paint(screen_t *self, const picture_t *picture, const char *note, buffer_t *out);

#endif
