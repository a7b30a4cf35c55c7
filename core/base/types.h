/* Small types that everything shares: time and text.
 *
 * Three kinds of time, never mixed: `wall` is the calendar (microseconds since 1970, UTC; may jump;
 * only for people), `log` is the time inside the log (microseconds; goes on from the last entry;
 * deadlines are in it), and a shell's own CLOCK_BOOTTIME (never leaves the process).
 */
#ifndef IXN_BASE_TYPES_H
#define IXN_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef int64_t usec_t; /* microseconds */

#define USEC_PER_MS ((usec_t)1000)
#define USEC_PER_SECOND ((usec_t)1000000)
#define USEC_NEVER INT64_MAX

/* A piece of text or bytes that somebody else owns; not terminated. The owner and the lifetime are
 * said where it is used. `{0}` is the empty text. */
typedef struct {
    const char *data;
    size_t len;
} text_t;

#define TEXT(literal) ((text_t){(literal), sizeof(literal) - 1})

static inline text_t text_of(const char *terminated)
{
    return (text_t){terminated, terminated ? strlen(terminated) : 0};
}

static inline bool text_equal(text_t a, text_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Where its first zero byte is; its length when there is none. Asked of JSON that comes from
 * outside: jansson takes one behind the object for the end of the text, whatever follows. */
static inline size_t text_zero(text_t text)
{
    const char *zero = text.len ? (const char *)memchr(text.data, 0, text.len) : NULL;
    return zero ? (size_t)(zero - text.data) : text.len;
}

#endif
