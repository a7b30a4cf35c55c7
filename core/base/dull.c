#include "core/base/dull.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { MANY = 16 };

/* The compiler makes of it what the processor has. Signed: what is not ASCII is less than a space,
 * too. */
typedef int8_t many_t __attribute__((vector_size(MANY)));

/* Of a byte, or of each byte of a vector. */
#define IS_ODD(c) (((c) < ' ') | ((c) == '"') | ((c) == '\\') | ((c) == 0x7f))

/* The first byte that is not 0. */
static inline size_t s_first(uint64_t word)
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest");
    return (size_t)__builtin_ctzll(word) / 8;
}

/* Of MANY bytes; all: MANY. */
static inline size_t s_dull_of_many(const void *bytes)
{
    many_t all;
    memcpy(&all, bytes, sizeof all);
    all = IS_ODD(all);
    uint64_t odd[2];
    memcpy(odd, &all, sizeof odd);
    if (odd[0])
        return s_first(odd[0]);
    return odd[1] ? 8 + s_first(odd[1]) : MANY;
}

/* Of 4 to 15, as MANY: some of them twice. */
static inline bool s_few_are_dull(const char *bytes, size_t len)
{
    uint64_t words[2];
    uint32_t halves[4];
    if (len >= 8) {
        memcpy(&words[0], bytes, 8);
        memcpy(&words[1], bytes + len - 8, 8);
        return s_dull_of_many(words) == MANY;
    }
    memcpy(&halves[0], bytes, 4);
    memcpy(&halves[1], bytes + len - 4, 4);
    halves[2] = halves[3] = halves[0];
    return s_dull_of_many(halves) == MANY;
}

static size_t s_dull_of_few(const char *bytes, size_t len)
{
    if (len >= 4 && s_few_are_dull(bytes, len))
        return len;
    size_t at = 0;
    while (at < len && !IS_ODD((int8_t)bytes[at]))
        at++;
    return at;
}

size_t dull_bytes(const char *bytes, size_t len)
{
    if (len < MANY)
        return s_dull_of_few(bytes, len);
    size_t at = 0;
    for (; len - at >= MANY; at += MANY) {
        size_t dull = s_dull_of_many(bytes + at);
        if (dull < MANY)
            return at + dull;
    }
    at = len - MANY; /* what is left, with some that were looked at */
    return at + s_dull_of_many(bytes + at);
}
