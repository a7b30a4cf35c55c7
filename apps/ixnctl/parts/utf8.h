/* Utf8: makes any bytes into text that JSON, PostgreSQL and a terminal take.
 *
 * Promises: what is appended is always valid UTF-8 without NUL and without control characters
 * (except line end and tab where several lines are allowed); nothing is ever refused.
 */
#ifndef IXNCTL_UTF8_H
#define IXNCTL_UTF8_H

#include <stdbool.h>

#include "core/base/buffer.h"
#include "core/base/types.h"

typedef enum {
    UTF8_LINES, /* CRLF and CR become line ends; tabs stay */
    UTF8_LINE,  /* one line: runs of spaces, tabs and line ends become one space; trimmed */
} utf8_style_t;

/* Appends `source`, which should be UTF-8: what is not becomes U+FFFD, control characters go.
 * False when bytes were not UTF-8 or there was a NUL. */
bool utf8_clean(buffer_t *out, text_t source, utf8_style_t style);

/* Appends `source`, which is said to be in `charset` (NULL: nothing was said), as UTF-8, cleaned as
 * UTF8_LINES. An unknown charset, or a wrong one, is answered by a guess: UTF-8 if it is that,
 * windows-1252 otherwise. False when it had to guess or to replace. */
bool utf8_convert(buffer_t *out, const char *charset, text_t source);

/* The greatest length that is at most `max` bytes and does not cut a character of `source`, which
 * is valid UTF-8. */
size_t utf8_cut(text_t source, size_t max);

#endif
