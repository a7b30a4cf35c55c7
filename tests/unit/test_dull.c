/* Dull: each byte, at each place, in texts of all lengths that are looked at in another way. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/base/dull.h"

enum { LONGEST = 50 };

static bool s_is_dull(unsigned char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

Test(dull, ends_before_the_first_byte_that_is_not)
{
    for (size_t len = 1; len <= LONGEST; len++) {
        char text[LONGEST];
        memset(text, 'x', sizeof text);
        cr_assert_eq(dull_bytes(text, len), len);
        for (size_t at = 0; at < len; at++) {
            for (unsigned c = 0; c <= 0xff; c++) {
                text[at] = (char)c;
                size_t wanted = s_is_dull((unsigned char)c) ? len : at;
                cr_assert_eq(dull_bytes(text, len), wanted, "byte 0x%02x at %zu of %zu", c, at,
                             len);
            }
            text[at] = 'x';
        }
    }
}

Test(dull, looks_at_nothing_behind_the_end)
{
    char text[LONGEST + 1];
    memset(text, 'x', LONGEST);
    for (size_t len = 0; len <= LONGEST; len++) {
        text[len] = '"';
        cr_assert_eq(dull_bytes(text, len), len);
        text[len] = 'x';
    }
}
