/* What the node accepts as attributes, jsonb accepts, and understands the same way: the tables of
 * what waits and the view of the history depend on it. Random texts, from a seed; another one with
 * IXN_TEST_SEED. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/attributes.h"
#include "core/base/limits.h"
#include "dap/array.h"
#include "tests/database/pair_fixture.h"
#include "tests/unit/random.h"

enum { BATCHES = 40, TEXTS = 500, DEPTH = 4, DEEP = LIMIT_ATTRIBUTES_DEPTH + 4, DIGITS = 1010 };

static pair_t s_pair;
static random_t s_random;
static bool s_wild; /* pieces that no JSON has are among the others */

static void s_init(void)
{
    pair_make(&s_pair);
}

static void s_free(void)
{
    pair_free(&s_pair);
}

TestSuite(jsonb, .init = s_init, .fini = s_free, .timeout = 300);

/* ---- Texts ---- */

static bool s_once_in(size_t times)
{
    return random_below(&s_random, times) == 0;
}

/* One of them; from `good` on they are wild. */
static void s_put_one(buffer_t *out, const char *const *pieces, size_t good, size_t len)
{
    buffer_append_text(out, pieces[random_below(&s_random, s_wild ? len : good)]);
}

#define PUT(out, good, ...)                                                                        \
    do {                                                                                           \
        static const char *const pieces[] = {__VA_ARGS__};                                         \
        s_put_one(out, pieces, good, sizeof pieces / sizeof *pieces);                              \
    } while (0)

static void s_put_space(buffer_t *out)
{
    PUT(out, 8, "", "", "", "", " ", "\t", "\n", "\r", "\f", "\v", "\xc2\xa0", "\xef\xbb\xbf",
        "/**/");
}

static void s_put_piece(buffer_t *out)
{
    PUT(out, 32, "a", "b", " ", "'", "/", "\x7f", "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r",
        "\\t", "\\u0001", "\\u001F", "\\u0041", "\\u00e4", "\\u2028", "\\uFFFF", "\\ufffe",
        "\\ud83d\\ude00", "\\uDBFF\\uDFFF", "\xc2\x80", "\xc3\xa4", "\xe2\x80\xa8", "\xef\xbf\xbf",
        "\xef\xbb\xbf", "\xed\x9f\xbf", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf", "\\\\u0000",
        /* no JSON, or none that jsonb takes */
        "\\u0000", "\\ud800", "\\udfff", "\\ude00\\ud83d", "\\ud83d\\u0041", "\\ud83d", "\\u12",
        "\\x41", "\\", "\"", "\x01", "\n", "\x80", "\xc0\x80", "\xc3", "\xe2\x80", "\xed\xa0\x80",
        "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff");
}

/* Few names, so that some come twice, and some are taken away. */
static const char *const s_names[] = {"", "a", "b", "a b", "\xc3\xa4", "x\"y"};

static void s_put_name(buffer_t *out)
{
    PUT(out, 10, "\"\"", "\"a\"", "\"\\u0061\"", "\"b\"", "\"a b\"", "\"a\\u0020b\"",
        "\"\xc3\xa4\"", "\"\\u00e4\"", "\"\\u00E4\"", "\"x\\\"y\"", "a", "'a'", "\"a", "1",
        "\"\\u0000\"");
}

static void s_put_string(buffer_t *out)
{
    buffer_append(out, "\"", 1);
    for (size_t left = random_below(&s_random, 5); left > 0; left--)
        s_put_piece(out);
    buffer_append(out, "\"", 1);
}

static void s_put_digits(buffer_t *out, size_t most)
{
    for (size_t left = 1 + random_below(&s_random, most); left > 0; left--)
        buffer_append(out, &"0123456789"[random_below(&s_random, 10)], 1);
}

static void s_put_number(buffer_t *out)
{
    PUT(out, 22, "0", "-0", "0.0", "-0.00", "0e0", "0E+7", "0.0e-999", "1", "-1", "1.50", "1e5",
        "1E+5", "1.5e-3", "1e308", "-1e308", "1e-300", "2.2250738585072014E-308", "4.9e-324",
        "9223372036854775807", "-9223372036854775808", "1234567890123456", "0.1",
        /* too large or too long for one of the two, or no numbers */
        "9223372036854775808", "18446744073709551616", "1e309", "1e-1000", "1e-20000",
        "1e999999999999", "0e-99999999999", "01", "-", "+1", "1.", ".5", "1e", "1e+", "-01", "0x1",
        "NaN", "Infinity", "-Infinity", "1_000", "nan");
}

static void s_put_long_number(buffer_t *out)
{
    buffer_append_text(out, s_once_in(2) ? "-0." : "1.");
    s_put_digits(out, DIGITS);
    if (s_once_in(2))
        buffer_printf(out, "e%d", (int)random_below(&s_random, 700) - 350);
}

static void s_put_value(buffer_t *out, size_t depth);

static void s_put_members(buffer_t *out, bool object, size_t depth)
{
    size_t len = random_below(&s_random, 5);
    buffer_append(out, object ? "{" : "[", 1);
    for (size_t i = 0; i < len; i++) {
        s_put_space(out);
        if (object) {
            s_put_name(out);
            s_put_space(out);
            buffer_append(out, ":", 1);
            s_put_space(out);
        }
        s_put_value(out, depth);
        s_put_space(out);
        if (i + 1 < len || (s_wild && s_once_in(20)))
            buffer_append(out, ",", 1);
    }
    s_put_space(out);
    buffer_append(out, object ? "}" : "]", 1);
}

static void s_put_deep(buffer_t *out)
{
    size_t depth = 1 + random_below(&s_random, DEEP);
    for (size_t i = 0; i < depth; i++)
        buffer_append_text(out, i % 2 ? "{\"a\":" : "[");
    buffer_append(out, "1", 1);
    for (size_t i = depth; i > 0; i--)
        buffer_append(out, i % 2 ? "]" : "}", 1);
}

static void s_put_value(buffer_t *out, size_t depth)
{
    size_t kind = random_below(&s_random, depth > 0 ? 8 : 6);
    if (kind < 2)
        s_put_string(out);
    else if (kind < 4)
        s_put_number(out);
    else if (kind == 4)
        PUT(out, 3, "true", "false", "null", "True", "nul", "undefined", "truee");
    else if (kind == 5)
        s_once_in(4)   ? s_put_long_number(out)
        : s_once_in(8) ? s_put_deep(out)
                       : s_put_digits(out, 18);
    else
        s_put_members(out, kind == 6, depth - 1);
}

/* An object, or nearly one; of some, any byte is another. */
static void s_put_text(buffer_t *out)
{
    buffer_clear(out);
    s_wild = s_once_in(2);
    s_put_space(out);
    s_put_members(out, true, DEPTH);
    s_put_space(out);
    if (s_once_in(8))
        buffer_append(out, "\0x", 1 + random_below(&s_random, 2));
    if (s_once_in(8))
        out->bytes[random_below(&s_random, out->len)] = (uint8_t)random_below(&s_random, 256);
}

/* Until one is accepted. */
static text_t s_accepted(buffer_t *out)
{
    do
        s_put_text(out);
    while (!attributes_check((text_t){(char *)out->bytes, out->len}, LIMIT_ATTRIBUTES, NULL));
    return (text_t){(char *)out->bytes, out->len};
}

/* ---- Against the server ---- */

enum { BEFORE, SET, REMOVED, AFTER, COLUMNS };

static PGresult *s_compare(array_t arrays[COLUMNS])
{
    Oid types[COLUMNS];
    const char *values[COLUMNS];
    int lengths[COLUMNS];
    int formats[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) {
        array_finish(&arrays[i]);
        types[i] = array_type(ARRAY_TEXT);
        values[i] = (const char *)arrays[i].bytes.bytes;
        lengths[i] = (int)arrays[i].bytes.len;
        formats[i] = 1;
    }
    return PQexecParams(s_pair.pq,
                        "SELECT before, set, removed, after, after::jsonb::text FROM "
                        "unnest($1::text[], $2::text[], $3::text[], $4::text[]) "
                        "AS t (before, set, removed, after) WHERE after::jsonb IS DISTINCT FROM "
                        "(before::jsonb - removed) || set::jsonb "
                        "OR octet_length(after::jsonb::text) > 2097152",
                        COLUMNS, types, values, lengths, formats, 0);
}
_Static_assert(LIMIT_ATTRIBUTES_STORED == 2097152, "as above");

/* With the seed, a failure can be had again; texts that came to differ are shown. */
static void s_expect_same(array_t arrays[COLUMNS], unsigned long long seed)
{
    PGresult *result = s_compare(arrays);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "seed %llu: %s", seed,
                 PQresultErrorMessage(result));
    if (PQntuples(result) > 0)
        cr_assert_fail("seed %llu: %s, set %s, without \"%s\", is %s, for the server %s", seed,
                       PQgetvalue(result, 0, BEFORE), PQgetvalue(result, 0, SET),
                       PQgetvalue(result, 0, REMOVED), PQgetvalue(result, 0, AFTER),
                       PQgetvalue(result, 0, COLUMNS));
    PQclear(result);
}

/* Appends a text before, a change of it and what becomes of it. */
static void s_add(array_t arrays[COLUMNS], buffer_t buffers[3])
{
    text_t before = s_accepted(&buffers[0]);
    text_t set = s_accepted(&buffers[1]);
    const char *name = s_names[random_below(&s_random, sizeof s_names / sizeof *s_names)];
    char *removed = (char *)(uintptr_t)name;
    if (!attributes_change(before, set, &removed, 1, LIMIT_ATTRIBUTES, &buffers[2], NULL))
        return; /* the name is both set and removed */
    array_add_text(&arrays[BEFORE], before);
    array_add_text(&arrays[SET], set);
    array_add_text(&arrays[REMOVED], text_of(name));
    array_add_text(&arrays[AFTER], (text_t){(char *)buffers[2].bytes, buffers[2].len});
}

Test(jsonb, takes_what_the_node_takes_and_changes_it_as_the_node_does)
{
    const char *given = getenv("IXN_TEST_SEED");
    unsigned long long seed = given ? strtoull(given, NULL, 10) : 1;
    array_t arrays[COLUMNS] = {0};
    buffer_t buffers[3] = {0};
    s_random.state = seed;
    for (int batch = 0; batch < BATCHES; batch++) {
        for (int i = 0; i < COLUMNS; i++)
            array_start(&arrays[i], ARRAY_TEXT);
        for (int i = 0; i < TEXTS; i++)
            s_add(arrays, buffers);
        cr_assert_gt(arrays[AFTER].count, TEXTS / 4u);
        s_expect_same(arrays, seed);
    }
    for (int i = 0; i < COLUMNS; i++)
        array_free(&arrays[i]);
    for (int i = 0; i < 3; i++)
        buffer_free(&buffers[i]);
}
