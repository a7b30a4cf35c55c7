/* Attributes: what is accepted, what is refused and where, and how a change splices the text. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/attributes.h"
#include "core/base/limits.h"

static error_t s_error;

static bool s_check(const char *json)
{
    s_error = (error_t){0};
    return attributes_check(text_of(json), LIMIT_ATTRIBUTES, &s_error);
}

Test(attributes, accepts_objects)
{
    cr_assert(s_check(""));
    cr_assert(s_check("{}"));
    cr_assert(s_check(" {\"a\": [1, 2.50, -3e10, true, null, {\"b\": \"\\u00e9\"}]} "));
    cr_assert(s_check("{\"gr\xc3\xbc\xc3\x9f\": \"\xf0\x9f\x98\x80\"}"));
}

Test(attributes, refuses_what_jsonb_would_refuse)
{
    static const char *const bad[] = {
        "[]",
        "1",
        "\"a\"",
        "{",
        "{\"a\"}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{\"a\":1}x",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":1e400}",
        "{\"a\":NaN}",
        "{\"a\":1,\"a\":2}",
        "{'a':1}",
        "{\"a\":\"\x01\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(s_check(bad[i]), "accepted: %s", bad[i]);
        cr_assert_eq(s_error.code, ERROR_INVALID_ATTRIBUTES);
    }
}

Test(attributes, says_where)
{
    cr_assert_not(s_check("{\n \"a\": 1,\n \"b\": tru\n}"));
    cr_assert(strstr(s_error.text, "line 3, column"), "%s", s_error.text);
    cr_assert_not(s_check("{\"a\":\"\\u0000\"}"));
    cr_assert(strstr(s_error.text, "byte 13: \\u0000 is not allowed (the database"), "%s",
              s_error.text);
}

Test(attributes, refuses_deep_nesting_and_size)
{
    char deep[1000] = "{\"a\":";
    size_t len = strlen(deep);
    memset(deep + len, '[', 100);
    memset(deep + len + 100, ']', 100);
    memcpy(deep + len + 200, "}", 2);
    cr_assert_not(s_check(deep));
    cr_assert(strstr(s_error.text, "deeper than 64"), "%s", s_error.text);
    cr_assert_not(attributes_check(TEXT("{\"a\":1}"), 6, &s_error));
    cr_assert_eq(s_error.code, ERROR_TOO_LARGE);
    cr_assert(strstr(s_error.text, "7 bytes, the limit is 6"), "%s", s_error.text);
}

static const char *s_change(const char *json, const char *set, const char *remove)
{
    static buffer_t out;
    char *names[] = {(char *)remove};
    s_error = (error_t){0};
    if (!attributes_change(text_of(json), text_of(set), names, remove ? 1 : 0, 200, &out, &s_error))
        return s_error.text;
    buffer_append(&out, "", 1);
    return (const char *)out.bytes;
}

Test(attributes, change_adds_replaces_and_removes)
{
    cr_assert_str_eq(s_change("", "{\"a\":1}", NULL), "{\"a\":1}");
    cr_assert_str_eq(s_change("{}", "", NULL), "{}");
    cr_assert_str_eq(s_change("{\"a\":1,\"b\":2}", "{\"b\":3,\"c\":4}", NULL),
                     "{\"a\":1,\"b\":3,\"c\":4}");
    cr_assert_str_eq(s_change("{\"a\":1,\"b\":2}", "", "a"), "{\"b\":2}");
    cr_assert_str_eq(s_change("{\"a\":1}", "{}", "a"), "{}");
    cr_assert_str_eq(s_change("{\"a\":1}", "", "nobody"), "{\"a\":1}");
}

Test(attributes, change_keeps_the_bytes_of_others)
{
    cr_assert_str_eq(s_change(" { \"n\" : 1.10 , \"t\":\"x,}\\\"]\" , \"o\":{\"a\":[1,{}]} } ",
                              "{\"z\":0}", "t"),
                     "{\"n\" : 1.10,\"o\":{\"a\":[1,{}]},\"z\":0}");
}

Test(attributes, change_knows_escaped_names)
{
    cr_assert_str_eq(s_change("{\"\\u0061\":1,\"b\":2}", "{\"a\":3}", NULL), "{\"b\":2,\"a\":3}");
    cr_assert_str_eq(s_change("{\"\\u0061\":1,\"b\":2}", "", "a"), "{\"b\":2}");
}

Test(attributes, change_is_refused_whole)
{
    cr_assert(strstr(s_change("{}", "[1]", NULL), "must be one JSON object"));
    cr_assert(strstr(s_change("{\"a\":1}", "{\"a\":2}", "a"), "both set and removed"));
    char large[400] = "{\"a\":\"";
    memset(large + 6, 'x', 190);
    memcpy(large + 196, "\"}", 3);
    cr_assert(strstr(s_change("{\"b\":123}", large, NULL), "after the change"), "%s",
              s_change("{\"b\":123}", large, NULL));
}

/* The library takes one for the end of the text; the database refuses the text, and every
 * checkpoint with it. */
Test(attributes, refuses_a_zero_byte_wherever_it_is)
{
    static const text_t bad[] = {
        TEXT("{}\0"),         TEXT("{}\0x"),          TEXT("{\"a\":1} \0{\"b\":2}"), TEXT("\0{}"),
        TEXT("{\"a\":\0 1}"), TEXT("{\"a\":\"\0\"}"), TEXT("{\"\\u00e4\":1}\0"),
    };
    buffer_t out = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(attributes_check(bad[i], LIMIT_ATTRIBUTES, &s_error), "accepted: %zu", i);
        cr_assert_eq(s_error.code, ERROR_INVALID_ATTRIBUTES);
        cr_assert_not(attributes_change(TEXT("{}"), bad[i], NULL, 0, LIMIT_ATTRIBUTES, &out, NULL));
    }
    attributes_check(bad[2], LIMIT_ATTRIBUTES, &s_error);
    cr_assert(strstr(s_error.text, "byte 8 is zero"), "%s", s_error.text);
    buffer_free(&out);
}

/* jsonb keeps numbers as decimals: it refuses some that a double can hold, which would block every
 * checkpoint, and gives others back without their exponent. */
Test(attributes, refuses_numbers_that_the_database_cannot_keep)
{
    static char wide[21000] = "{\"a\":0.";
    memset(wide + 7, '1', 20000);
    memcpy(wide + 20007, "}", 2);
    const char *const bad[] = {
        "{\"a\":1e-20000}",
        "{\"a\":0e-10000000000}",
        "{\"a\":0E+99999999999999999999999}",
        "{\"a\":[1,2,-1.5e-1000]}",
        wide,
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(s_check(bad[i]), "accepted: %.30s", bad[i]);
        cr_assert_eq(s_error.code, ERROR_INVALID_ATTRIBUTES);
    }
    cr_assert_not(s_check("{\"text\": \"1e-9999\", \"a\": 1e-9999}"));
    cr_assert(strstr(s_error.text, "byte 25"), "%s", s_error.text);
    cr_assert(s_check("{\"a\":1e308,\"b\":-2.2250738585072014E-308,\"c\":1e+0,\"1e-9999\":0.5}"));
    cr_assert(s_check("{\"a\":\"\\\"1e-9999\",\"b\":123456789012345678}"));
}

Test(attributes, refuses_what_the_database_gives_back_too_long)
{
    buffer_t many = {0};
    buffer_append_text(&many, "{\"a\":[1e308");
    while (many.len < 6 * 7000)
        buffer_append_text(&many, ",1e308");
    buffer_append_text(&many, "]}");
    text_t json = {(char *)many.bytes, many.len};
    error_t error = {0};
    cr_assert_not(attributes_check(json, LIMIT_ATTRIBUTES, &error));
    cr_assert_eq(error.code, ERROR_TOO_LARGE);
    cr_assert(strstr(error.text, "in the database"), "%s", error.text);
    /* Half of it is accepted, but not twice in one object. */
    many.len = 6 * 4000;
    buffer_append_text(&many, "0]}");
    json = (text_t){(char *)many.bytes, many.len};
    cr_assert(attributes_check(json, LIMIT_ATTRIBUTES, &error), "%s", error.text);
    buffer_t other = {0}, out = {0};
    buffer_append(&other, json.data, json.len);
    other.bytes[2] = 'b';
    cr_assert_not(attributes_change(json, (text_t){(char *)other.bytes, other.len}, NULL, 0,
                                    LIMIT_ATTRIBUTES, &out, &error));
    cr_assert_eq(error.code, ERROR_TOO_LARGE);
    buffer_free(&many);
    buffer_free(&other);
    buffer_free(&out);
}
