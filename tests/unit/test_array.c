/* Array: bytes against those that PostgreSQL documents and sends. */
#include <criterion/criterion.h>

#include "dap/array.h"

static void s_expect(const array_t *array, const uint8_t *bytes, size_t len)
{
    cr_assert_eq(array->bytes.len, len, "%zu bytes, not %zu", array->bytes.len, len);
    for (size_t i = 0; i < len; i++)
        cr_assert_eq(array->bytes.bytes[i], bytes[i], "byte %zu is %02x, not %02x", i,
                     array->bytes.bytes[i], bytes[i]);
}

Test(array, empty_has_no_dimension)
{
    array_t array = {0};
    array_start(&array, ARRAY_INT4);
    array_finish(&array);
    static const uint8_t bytes[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 23};
    s_expect(&array, bytes, sizeof bytes);
    array_free(&array);
}

/* As `SELECT ARRAY[1, NULL, -2]` answers in binary. */
Test(array, int4_with_null)
{
    array_t array = {0};
    array_start(&array, ARRAY_INT4);
    array_add_int4(&array, 1);
    array_add_null(&array);
    array_add_int4(&array, -2);
    array_finish(&array);
    static const uint8_t bytes[] = {0,    0,    0,    1,    0, 0, 0, 1, 0,    0,    0,    23,  0, 0,
                                    0,    3,    0,    0,    0, 1, 0, 0, 0,    4,    0,    0,   0, 1,
                                    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xfe};
    s_expect(&array, bytes, sizeof bytes);
    array_free(&array);
}

Test(array, texts_keep_zero_bytes_and_emptiness)
{
    array_t array = {0};
    array_start(&array, ARRAY_BYTEA);
    array_add_text(&array, TEXT("a\0b"));
    array_add_text(&array, (text_t){0});
    array_finish(&array);
    static const uint8_t bytes[] = {0, 0, 0, 1, 0, 0, 0, 0, 0,   0, 0,   17, 0, 0, 0, 2,
                                    0, 0, 0, 1, 0, 0, 0, 3, 'a', 0, 'b', 0,  0, 0, 0};
    s_expect(&array, bytes, sizeof bytes);
    array_free(&array);
}

Test(array, jsonb_begins_with_its_version)
{
    array_t array = {0};
    array_start(&array, ARRAY_JSONB);
    array_add_text(&array, TEXT("{}"));
    array_finish(&array);
    cr_assert_eq(array.bytes.len, 20 + 4 + 3);
    cr_assert_eq(array.bytes.bytes[23], 3);
    cr_assert_eq(array.bytes.bytes[24], 1);
    cr_assert_eq(memcmp(array.bytes.bytes + 25, "{}", 2), 0);
    array_free(&array);
}

Test(array, start_forgets_what_was_there)
{
    array_t array = {0};
    array_start(&array, ARRAY_TEXT);
    array_add_null(&array);
    array_finish(&array);
    array_start(&array, ARRAY_BOOL);
    array_add_bool(&array, true);
    array_finish(&array);
    static const uint8_t bytes[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 16, 0,
                                    0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1};
    s_expect(&array, bytes, sizeof bytes);
    array_free(&array);
}

Test(array, timestamps_count_from_2000)
{
    cr_assert_eq(array_timestamp(INT64_C(946684800000000)), 0);
    cr_assert_eq(array_timestamp(0), INT64_C(-946684800000000));
    /* Never an infinity, never another time: what does not fit is out of PostgreSQL's range. */
    cr_assert_eq(array_timestamp(INT64_MIN), INT64_MIN + 1);
    cr_assert_eq(array_timestamp(INT64_MIN + INT64_C(946684800000001)), INT64_MIN + 1);
    cr_assert_lt(array_timestamp(INT64_MAX), INT64_MAX);
}
