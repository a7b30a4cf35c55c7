#include "core/base/dull.h"

#include <stdint.h>
#include <string.h>

/* The compiler makes of it what the processor has. Signed: what is not ASCII is less than a space,
 * too. */
typedef int8_t sixteen_t __attribute__((vector_size(16)));

/* Of a byte, or of each byte of a vector. */
#define IS_ODD(c) (((c) < ' ') | ((c) == '"') | ((c) == '\\') | ((c) == 0x7f))

/* The first byte that is not 0. */
static inline size_t s_first(uint64_t word)
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest");
    return (size_t)__builtin_ctzll(word) / 8;
}

size_t dull_bytes(const char *bytes, size_t len)
{
    size_t at = 0;
    for (; len - at >= sizeof(sixteen_t); at += sizeof(sixteen_t)) {
        sixteen_t all;
        memcpy(&all, bytes + at, sizeof all);
        all = IS_ODD(all);
        uint64_t odd[2];
        memcpy(odd, &all, sizeof odd);
        if (odd[0])
            return at + s_first(odd[0]);
        if (odd[1])
            return at + 8 + s_first(odd[1]);
    }
    while (at < len && !IS_ODD((int8_t)bytes[at]))
        at++;
    return at;
}
