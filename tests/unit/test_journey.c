/* Journey: what is kept of it, what is found in it, and that what is printed is read back. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>

#include "core/base/alloc.h"
#include "core/journey.h"
#include "tests/unit/random.h"

static symbol_table_t *s_symbols;
static error_t s_error;

static void s_setup(void)
{
    s_symbols = symbol_table_new();
}

static void s_teardown(void)
{
    symbol_table_destroy(&s_symbols);
}

TestSuite(journey, .init = s_setup, .fini = s_teardown);

static void s_append(journey_t **journey, step_kind_t kind, usec_t at, uint64_t change,
                     const char *by)
{
    step_t step = {.at = at,
                   .change = change,
                   .version = (uint32_t)change * 3,
                   .kind = (uint8_t)kind,
                   .by = symbol_take(s_symbols, text_of(by)),
                   .queue = symbol_take(s_symbols, TEXT("inbox"))};
    journey_append(journey, s_symbols, &step);
}

/* Terminated; caller frees. */
static char *s_print(const journey_t *journey)
{
    buffer_t out = {0};
    journey_print(journey, s_symbols, &out);
    buffer_append(&out, "", 1);
    return (char *)out.bytes;
}

static void s_same(const journey_t *a, const journey_t *b)
{
    cr_assert_eq(a->len, b->len);
    cr_assert_eq(a->dropped, b->dropped);
    for (size_t i = 0; i < a->len; i++) {
        const step_t *x = &a->steps[i], *y = &b->steps[i];
        cr_assert_eq(x->at, y->at, "step %zu: %lld, %lld", i, (long long)x->at, (long long)y->at);
        cr_assert_eq(x->change, y->change);
        cr_assert_eq(x->version, y->version);
        cr_assert_eq(x->kind, y->kind);
        cr_assert_eq(x->by, y->by);
        cr_assert_eq(x->queue, y->queue);
    }
}

/* Prints, reads, compares; and the text is JSON. */
static void s_round_trip(const journey_t *journey)
{
    char *text = s_print(journey);
    json_error_t problem;
    json_t *json = json_loads(text, 0, &problem);
    cr_assert(json_is_array(json), "%s: %s", problem.text, text);
    json_decref(json);
    journey_t *back = NULL;
    cr_assert(journey_parse(text_of(text), s_symbols, &back, &s_error), "%s", s_error.text);
    s_same(journey, back);
    journey_destroy(&back, s_symbols);
    free(text);
}

Test(journey, keeps_the_first_and_the_newest)
{
    journey_t *journey = NULL;
    for (uint64_t i = 1; i <= 100; i++) {
        char by[32];
        snprintf(by, sizeof by, "client-%d", (int)i);
        s_append(&journey, STEP_CHANGED, (usec_t)i, i, by);
        cr_assert_eq(journey->len, i < LIMIT_JOURNEY ? i : LIMIT_JOURNEY);
        cr_assert_eq(journey->dropped, i < LIMIT_JOURNEY ? 0 : i - LIMIT_JOURNEY);
        cr_assert_eq(journey->steps[0].change, 1u);
        cr_assert_eq(journey->steps[journey->len - 1].change, i);
    }
    for (size_t i = 1; i < LIMIT_JOURNEY; i++)
        cr_assert_eq(journey->steps[i].change, 100 - LIMIT_JOURNEY + 1 + i);
    cr_assert_not_null(journey_find(journey, 1));
    cr_assert_null(journey_find(journey, 2));
    cr_assert_null(journey_find(journey, 69));
    cr_assert_eq(journey_find(journey, 70)->version, 210u);
    s_round_trip(journey);
    /* The names of steps that are gone are gone too. */
    symbol_t fresh = symbol_take(s_symbols, TEXT("client-2"));
    symbol_drop(s_symbols, fresh);
    cr_assert_leq(fresh, 34u, "numbers were not given back: %u", fresh);
    journey_destroy(&journey, s_symbols);
    cr_assert_null(journey);
}

Test(journey, dropped_stays_at_its_largest)
{
    journey_t *journey = NULL;
    for (uint64_t i = 1; i <= UINT16_MAX + 200; i++)
        s_append(&journey, STEP_DISPATCHED, 5, i, "router");
    cr_assert_eq(journey->dropped, UINT16_MAX);
    s_round_trip(journey);
    journey_destroy(&journey, s_symbols);
}

Test(journey, finds_the_newest_and_never_zero)
{
    journey_t *journey = NULL;
    cr_assert_null(journey_find(NULL, 7));
    s_append(&journey, STEP_DISPATCHED, 1, 0, "router");
    s_append(&journey, STEP_CHANGED, 2, 7, "a");
    s_append(&journey, STEP_CHANGED, 3, 7, "b");
    cr_assert_null(journey_find(journey, 0));
    cr_assert_eq(journey_find(journey, 7)->at, 3);
    cr_assert_null(journey_find(journey, 8));
    journey_destroy(&journey, s_symbols);
}

Test(journey, prints_what_people_read)
{
    journey_t *journey = NULL;
    step_t first = {.at = 1769860800123456,
                    .change = 0xABC,
                    .version = 2,
                    .kind = STEP_PLACED,
                    .by = symbol_take(s_symbols, TEXT("mail")),
                    .queue = symbol_take(s_symbols, TEXT("inbox"))};
    journey_append(&journey, s_symbols, &first);
    step_t second = {.at = 1769860801000000,
                     .version = 2,
                     .kind = STEP_DISPATCHED,
                     .by = symbol_take(s_symbols, TEXT("r1")),
                     .queue = symbol_take(s_symbols, TEXT("classify"))};
    journey_append(&journey, s_symbols, &second);
    char *text = s_print(journey);
    cr_assert_str_eq(text,
                     "[{\"at\":\"2026-01-31T12:00:00.123456Z\",\"step\":\"placed\",\"by\":\"mail\","
                     "\"queue\":\"inbox\",\"version\":2,\"change\":\"0000000000000abc\"},"
                     "{\"at\":\"2026-01-31T12:00:01.000000Z\",\"step\":\"dispatched\","
                     "\"by\":\"r1\",\"strategy\":\"classify\",\"version\":2}]");
    free(text);
    text = s_print(NULL);
    cr_assert_str_eq(text, "[]");
    free(text);
    journey_destroy(&journey, s_symbols);
}

Test(journey, times_before_1970_and_in_9999)
{
    static const struct {
        usec_t at;
        const char *text;
    } times[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {INT64_C(-86400000000), "1969-12-31T00:00:00.000000Z"},
        {INT64_C(-62135596800000000), "0001-01-01T00:00:00.000000Z"},
        {INT64_C(-2203891200000001), "1900-02-28T23:59:59.999999Z"},
        {INT64_C(951782399999999), "2000-02-28T23:59:59.999999Z"},
        {INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z"},
        {INT64_C(4107542400000000), "2100-03-01T00:00:00.000000Z"},
        {LIMIT_TIME, "9999-12-31T23:59:59.999999Z"},
    };
    journey_t *journey = NULL;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        s_append(&journey, STEP_HELD, times[i].at, i + 1, "x");
    char *text = s_print(journey);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        cr_assert(strstr(text, times[i].text), "%s is missing: %s", times[i].text, text);
    free(text);
    s_round_trip(journey);
    journey_destroy(&journey, s_symbols);
}

Test(journey, hostile_names_are_read_back)
{
    static const char *const names[] = {
        "\"",
        "\\",
        "\\\"",
        "\"}],[{\"step\":\"held\"",
        "\\u0041",
        "\t\n\r\x01\x1f\x7f",
        "gr\xc3\xbc\xc3\x9f",
        "\xf0\x9f\x98\x80",
        "\xe2\x80\xa8",
        "/",
        "%s%n",
        " ",
    };
    journey_t *journey = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        s_append(&journey, (step_kind_t)(1 + i % (STEP_KINDS - 1)), (usec_t)i, i, names[i]);
    s_round_trip(journey);
    journey_destroy(&journey, s_symbols);
}

/* Random journeys of all kinds survive being printed and read. */
Test(journey, random_ones_are_read_back)
{
    random_t random = {17};
    for (int round = 0; round < 300; round++) {
        journey_t *journey = NULL;
        size_t len = 1 + random_below(&random, 50);
        for (size_t i = 0; i < len; i++) {
            char by[65] = {0};
            size_t by_len = random_below(&random, 64);
            for (size_t j = 0; j < by_len; j++)
                by[j] = (char)(1 + random_below(&random, 127));
            step_t step = {.at = (usec_t)(random_u64(&random) >> 8) - ((usec_t)1 << 54),
                           .change = random_below(&random, 2) ? random_u64(&random) : 0,
                           .version = (uint32_t)random_u64(&random),
                           .kind = (uint8_t)(1 + random_below(&random, STEP_KINDS - 1)),
                           .by = symbol_take(s_symbols, text_of(by)),
                           .queue = symbol_take(s_symbols, TEXT("q"))};
            journey_append(&journey, s_symbols, &step);
        }
        s_round_trip(journey);
        journey_destroy(&journey, s_symbols);
    }
}

#define STEP(at) "[{\"at\":\"" at "\",\"step\":\"held\"}]"

Test(journey, refuses_what_is_not_one)
{
    static const char *const bad[] = {
        "{}",
        "[",
        "[1]",
        "[{}]",
        "[{\"step\":\"held\"}]",
        "[{\"at\":\"2026-01-31T12:00:00.000000Z\"}]",
        "[{\"at\":\"2026-01-31T12:00:00.000000Z\",\"step\":\"danced\"}]",
        "[{\"at\":1,\"step\":\"held\"}]",
        STEP("yesterday"),
        STEP("2026-01-31T12:00:00"),
        STEP("2026-01-31T12:00:00.000000"),
        STEP("2026-01-31T12:00:00.000000Zx"),
        STEP("2026-13-31T12:00:00.000000Z"),
        STEP("2026-00-31T12:00:00.000000Z"),
        STEP("2026-01-32T12:00:00.000000Z"),
        STEP("2026-01-31T24:00:00.000000Z"),
        STEP("2026-01-31T12:60:00.000000Z"),
        STEP("2026-01-31T12:00:60.000000Z"),
        STEP("2147483647-01-31T12:00:00.000000Z"),
        STEP("-2147483648-01-31T12:00:00.000000Z"),
        STEP("99999999999999999999-01-31T12:00:00.000000Z"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        journey_t *journey = NULL;
        s_error = (error_t){0};
        cr_assert_not(journey_parse(text_of(bad[i]), s_symbols, &journey, &s_error), "%s", bad[i]);
        cr_assert_null(journey);
        cr_assert_eq(s_error.code, ERROR_DATABASE_DIVERGED);
    }
    /* Nothing of what was read before the bad step is left. */
    const char *half =
        "[{\"at\":\"2026-01-31T12:00:00.000000Z\",\"step\":\"held\",\"by\":\"one\"},"
        "{\"step\":\"held\"}]";
    journey_t *journey = NULL;
    cr_assert_not(journey_parse(text_of(half), s_symbols, &journey, &s_error));
    cr_assert_eq(symbol_take(s_symbols, TEXT("two")), 1u);
}

/* More steps than fit, from a newer or an older version: the first and the newest. */
Test(journey, reads_a_longer_one)
{
    buffer_t text = {0};
    buffer_append_text(&text, "[");
    for (int i = 0; i < 50; i++)
        buffer_printf(&text,
                      "%s{\"at\": \"2026-01-31T12:00:%02d.000000Z\", \"step\": \"changed\", "
                      "\"version\": %d%s}",
                      i ? ", " : "", i, i, i ? "" : ", \"dropped\": 3");
    buffer_append_text(&text, "]");
    journey_t *journey = NULL;
    cr_assert(journey_parse((text_t){(char *)text.bytes, text.len}, s_symbols, &journey, &s_error),
              "%s", s_error.text);
    cr_assert_eq(journey->len, LIMIT_JOURNEY);
    cr_assert_eq(journey->dropped, 3 + 50 - LIMIT_JOURNEY);
    cr_assert_eq(journey->steps[0].version, 0u);
    cr_assert_eq(journey->steps[1].version, 50u - LIMIT_JOURNEY + 1);
    journey_destroy(&journey, s_symbols);
    buffer_free(&text);
}
