/* Utf8: see utf8.h. Conversion is libunistring's (over iconv); here are the guesses around it. */
#include "apps/ixnctl/parts/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uniconv.h>
#include <unistr.h>

#define REPLACEMENT "\xef\xbf\xbd"

static bool s_is_control(ucs4_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f);
}

/* What replaces a character: itself (false), or nothing, or a line end or space in `ret_instead`.
 */
static bool s_replaced(ucs4_t c, text_t rest, utf8_style_t style, char *ret_instead)
{
    if (!s_is_control(c) && !(style == UTF8_LINE && c == ' '))
        return false;
    *ret_instead = '\0';
    if (style == UTF8_LINE && (c == '\n' || c == '\r' || c == '\t' || c == ' '))
        *ret_instead = ' ';
    else if (c == '\n' || c == '\t')
        *ret_instead = (char)c;
    else if (c == '\r' && (rest.len == 0 || rest.data[0] != '\n'))
        *ret_instead = '\n';
    return true;
}

bool utf8_clean(buffer_t *out, text_t source, utf8_style_t style)
{
    bool clean = true;
    size_t start = out->len;
    buffer_reserve(out, source.len + 1);
    for (size_t at = 0; at < source.len;) {
        ucs4_t c = 0;
        const uint8_t *bytes = (const uint8_t *)source.data + at;
        int len = u8_mbtoucr(&c, bytes, source.len - at);
        if (len <= 0) {
            clean = false;
            buffer_append_text(out, REPLACEMENT);
            at++;
            continue;
        }
        at += (size_t)len;
        clean = clean && c != 0;
        char instead = '\0';
        if (!s_replaced(c, (text_t){source.data + at, source.len - at}, style, &instead))
            buffer_append(out, bytes, (size_t)len);
        else if (instead == ' ' && (out->len == start || out->bytes[out->len - 1] == ' '))
            continue; /* runs of spaces, and those in front */
        else if (instead)
            buffer_append(out, &instead, 1);
    }
    if (style == UTF8_LINE && out->len > start && out->bytes[out->len - 1] == ' ')
        out->len--;
    return clean;
}

/* A name that may be given to iconv. It comes out of a stranger's mail: "//IGNORE" and the like are
 * iconv's own language, not charsets. */
static bool s_charset_is_sane(const char *charset)
{
    size_t len = strlen(charset);
    return len > 0 && len <= 40 &&
           strspn(charset, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:+") ==
               len;
}

/* True when nothing useful was said. Latin 1 is not among them: it becomes windows-1252, which is
 * what those who say Latin 1 write. */
static bool s_charset_is_silent(const char *charset)
{
    static const char *const silent[] = {"us-ascii",  "ascii",   "ansi_x3.4-1968", "unknown-8bit",
                                         "x-unknown", "unknown", "8bit",           "default",
                                         "utf-8",     "utf8"};
    if (!charset || !s_charset_is_sane(charset))
        return true;
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++) {
        if (strcasecmp(charset, silent[i]) == 0)
            return true;
    }
    return false;
}

/* Appends through iconv; false when the charset is not known. */
static bool s_iconv(buffer_t *out, const char *charset, text_t source, bool *ret_clean)
{
    *ret_clean = true;
    size_t len = 0;
    uint8_t *converted =
        u8_conv_from_encoding(charset, iconveh_error, source.data, source.len, NULL, NULL, &len);
    if (!converted && errno == EILSEQ) {
        *ret_clean = false;
        converted = u8_conv_from_encoding(charset, iconveh_question_mark, source.data, source.len,
                                          NULL, NULL, &len);
    }
    if (!converted)
        return source.len == 0;
    if (!utf8_clean(out, (text_t){(const char *)converted, len}, UTF8_LINES))
        *ret_clean = false;
    free(converted);
    return true;
}

/* True when most of what is beyond ASCII is UTF-8: then single bad bytes are damage; otherwise the
 * text is in some other charset. */
static bool s_looks_like_utf8(text_t source)
{
    size_t good = 0;
    size_t bad = 0;
    for (size_t at = 0; at < source.len;) {
        ucs4_t c = 0;
        int len = u8_mbtoucr(&c, (const uint8_t *)source.data + at, source.len - at);
        if (len <= 0)
            bad++;
        else if (len > 1)
            good++;
        at += len > 0 ? (size_t)len : 1;
    }
    return bad == 0 || good > bad;
}

static bool s_guess(buffer_t *out, text_t source)
{
    bool clean = false;
    if (!s_looks_like_utf8(source) && s_iconv(out, "CP1252", source, &clean))
        return false;
    return utf8_clean(out, source, UTF8_LINES);
}

bool utf8_convert(buffer_t *out, const char *charset, text_t source)
{
    if (s_charset_is_silent(charset)) {
        bool was_utf8 = s_guess(out, source);
        return was_utf8 && (!charset || s_charset_is_sane(charset));
    }
    if (strcasecmp(charset, "iso-8859-1") == 0 || strcasecmp(charset, "latin1") == 0)
        charset = "CP1252";
    bool clean = true;
    if (s_iconv(out, charset, source, &clean))
        return clean;
    s_guess(out, source);
    return false;
}

size_t utf8_cut(text_t source, size_t max)
{
    if (source.len <= max)
        return source.len;
    while (max > 0 && ((uint8_t)source.data[max] & 0xc0) == 0x80)
        max--;
    return max;
}
