#include "core/base/id.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "core/base/check.h"

id128_t id_random(void)
{
    id128_t id;
    CHECK(getrandom(id.bytes, sizeof id.bytes, 0) == (ssize_t)sizeof id.bytes);
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

id128_t id_from_time(usec_t wall_us, id128_t seed)
{
    id128_t id = seed;
    uint64_t ms = (uint64_t)(wall_us / USEC_PER_MS);
    for (int i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x70);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

bool id_is_zero(id128_t id)
{
    return id_equal(id, (id128_t){{0}});
}

const char *id_text(id128_t id, char text[ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *out = text;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[id.bytes[i] >> 4];
        *out++ = digits[id.bytes[i] & 15];
    }
    *out = 0;
    return text;
}

static int s_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool id_parse(const char *text, id128_t *ret_id)
{
    if (strlen(text) != ID_TEXT_SIZE - 1)
        return false;
    id128_t id;
    const char *in = text;
    for (int i = 0; i < 16; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *in++ != '-')
            return false;
        int high = s_digit(in[0]);
        int low = s_digit(in[1]);
        if (high < 0 || low < 0)
            return false;
        id.bytes[i] = (uint8_t)(high << 4 | low);
        in += 2;
    }
    *ret_id = id;
    return true;
}

id128_t id_hash(const void *bytes, size_t len)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, len));
    id128_t id;
    memcpy(id.bytes, canonical.digest, sizeof id.bytes);
    return id;
}
