/* Plain: what it accepts, the full check accepts; and it accepts what attributes usually are. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "core/base/buffer.h"
#include "core/base/limits.h"
#include "core/plain.h"
#include "tests/unit/random.h"

static bool s_plain(const char *json)
{
    return plain_object(text_of(json));
}

Test(plain, knows_what_is_usual)
{
    static const char *const good[] = {
        "{}",
        " {\t} \n",
        "{\"a\":\"\"}",
        "{\"a\":1,\"b\":-20,\"c\":[true,false,null,[],{}],\"d\":{\"a\":0}}",
        "{ \"from\" : \"ann@example.com\" , \"text\" : \"a line\\nand \\\"another\\\"\\\\\" }",
        "{\"gr\xc3\xbc\xc3\x9f\":\"\xf0\x9f\x98\x80, and more of this text\"}",
        "{\"a\":{\"x\":1},\"b\":{\"x\":1},\"x\":1}", /* the same name in different objects */
        "{\"n\":999999999999999}",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_assert(s_plain(good[i]), "%s", good[i]);
}

Test(plain, leaves_all_else_to_the_full_check)
{
    static const char *const other[] = {
        "",
        "[]",
        "{",
        "{}}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":1.5}",
        "{\"a\":1e3}",
        "{\"a\":1000000000000000}",
        "{\"a\":tru}",
        "{\"a\":[1,]}",
        "{\"a\":[1}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"12345678\n\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":1,\"a\":2}",
        "{\"a\\n\":1}",
        "{\"a\":1}x",
        "{\"a\":\"abcdefgh",
    };
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        cr_assert(!s_plain(other[i]), "%s", other[i]);
    cr_assert(!plain_object((text_t){"{\"a\":\"\\\0\"}", 9}));
    cr_assert(!plain_object((text_t){"{\"a\":\"\0\"}", 8}));
    cr_assert(!plain_object((text_t){"{\"a\":1\0}", 8}));
    cr_assert(!plain_object((text_t){"{\"a\":\"b\"}", 8})); /* not a byte behind its length */
}

Test(plain, knows_depth_and_size)
{
    buffer_t json = {0};
    buffer_append_text(&json, "{\"a\":");
    for (int i = 1; i < LIMIT_ATTRIBUTES_DEPTH; i++)
        buffer_append_text(&json, "[");
    for (int i = 1; i < LIMIT_ATTRIBUTES_DEPTH; i++)
        buffer_append_text(&json, "]");
    buffer_append_text(&json, "}");
    cr_assert(plain_object((text_t){(char *)json.bytes, json.len}));
    buffer_clear(&json);
    buffer_append_text(&json, "{\"a\":");
    for (int i = 0; i < LIMIT_ATTRIBUTES_DEPTH; i++)
        buffer_append_text(&json, "[");
    for (int i = 0; i < LIMIT_ATTRIBUTES_DEPTH; i++)
        buffer_append_text(&json, "]");
    buffer_append_text(&json, "}");
    cr_assert(!plain_object((text_t){(char *)json.bytes, json.len}));
    buffer_clear(&json);
    buffer_append_text(&json, "{\"a\":\"");
    while (json.len <= LIMIT_ATTRIBUTES_STORED / 2)
        buffer_append_text(&json, "xxxxxxxx");
    buffer_append_text(&json, "\"}");
    cr_assert(!plain_object((text_t){(char *)json.bytes, json.len}));
    buffer_free(&json);
}

/* What the full check demands of JSON itself. */
static bool s_is_valid(text_t json)
{
    json_t *object = json_loadb(json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
    bool valid = json_is_object(object);
    json_decref(object);
    return valid;
}

/* Texts made of pieces that are nearly JSON, whole objects with one byte changed among them: none
 * is plain that the library refuses. */
Test(plain, accepts_nothing_that_is_not_valid)
{
    static const char *const pieces[] = {"{",
                                         "}",
                                         "[",
                                         "]",
                                         ",",
                                         ":",
                                         "\"",
                                         "\"a\"",
                                         "\"b\"",
                                         "\"a\":1",
                                         "\"c\":\"text of 8 bytes\"",
                                         "1",
                                         "-",
                                         "0",
                                         "12",
                                         "true",
                                         "null",
                                         " ",
                                         "\n",
                                         "\\n",
                                         "\\",
                                         "\x01",
                                         "\xc3\xa4",
                                         "\xc3",
                                         ".5",
                                         "e1",
                                         "\"k\":{\"a\":[1,2]}",
                                         "\"u\":\"\\u00e4\""};
    static const char whole[] =
        "{\"from\":\"ann\",\"n\":[1,-2,{\"x\":null}],\"t\":\"a \\\"b\\\"\"}";
    random_t random = {7};
    buffer_t json = {0};
    int accepted = 0;
    for (int round = 0; round < 300000; round++) {
        buffer_clear(&json);
        if (round % 2) {
            buffer_append(&json, whole, sizeof whole - 1);
            for (uint64_t i = random_below(&random, 3); i > 0; i--)
                json.bytes[random_below(&random, json.len)] = (uint8_t)random_below(&random, 256);
        } else {
            buffer_append_text(&json, "{");
            for (uint64_t i = random_below(&random, 9); i > 0; i--)
                buffer_append_text(&json,
                                   pieces[random_below(&random, sizeof pieces / sizeof pieces[0])]);
            buffer_append_text(&json, "}");
        }
        text_t text = {(char *)json.bytes, json.len};
        if (!plain_object(text))
            continue;
        accepted++;
        cr_assert(s_is_valid(text), "%.*s", (int)text.len, text.data);
    }
    cr_assert_gt(accepted, 1000);
    buffer_free(&json);
}
