/* Symbols: equal names have equal numbers, unused names cost nothing, a full table keeps no more.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "core/base/alloc.h"
#include "core/base/limits.h"
#include "core/symbol.h"
#include "tests/unit/random.h"

static symbol_t s_take(symbol_table_t *table, size_t number)
{
    char name[32];
    int len = snprintf(name, sizeof name, "name-%zu", number);
    return symbol_take(table, (text_t){name, (size_t)len});
}

Test(symbol, equal_names_are_one_number)
{
    symbol_table_t *table = symbol_table_new();
    symbol_t a = symbol_take(table, TEXT("a"));
    symbol_t b = symbol_take(table, TEXT("b"));
    cr_assert(a != 0 && b != 0 && a != b);
    cr_assert_eq(symbol_take(table, TEXT("a")), a);
    cr_assert_eq(symbol_again(table, a), a);
    cr_assert(text_equal(symbol_name(table, a), TEXT("a")));
    cr_assert_eq(symbol_name(table, a).data[1], 0);
    for (int i = 0; i < 3; i++) {
        cr_assert(text_equal(symbol_name(table, a), TEXT("a")));
        symbol_drop(table, a);
    }
    cr_assert_eq(symbol_name(table, a).len, 0u);
    cr_assert_eq(symbol_take(table, TEXT("c")), a, "the number is used again");
    symbol_table_destroy(&table);
    cr_assert_null(table);
}

Test(symbol, the_empty_name_is_zero)
{
    symbol_table_t *table = symbol_table_new();
    cr_assert_eq(symbol_take(table, (text_t){0}), 0u);
    cr_assert_eq(symbol_again(table, 0), 0u);
    symbol_drop(table, 0);
    cr_assert_eq(symbol_name(table, 0).len, 0u);
    cr_assert_str_eq(symbol_name(table, 0).data, "");
    symbol_table_destroy(&table);
}

Test(symbol, names_are_bytes)
{
    symbol_table_t *table = symbol_table_new();
    symbol_t a = symbol_take(table, (text_t){"a\0b", 3});
    symbol_t b = symbol_take(table, (text_t){"a\0c", 3});
    symbol_t c = symbol_take(table, (text_t){"a", 1});
    cr_assert(a != b && b != c && a != c);
    cr_assert(text_equal(symbol_name(table, b), (text_t){"a\0c", 3}));
    symbol_table_destroy(&table);
}

Test(symbol, a_full_table_keeps_no_more_until_one_is_free)
{
    symbol_table_t *table = symbol_table_new();
    for (size_t i = 0; i < LIMIT_SYMBOLS; i++)
        cr_assert_neq(s_take(table, i), 0u);
    cr_assert_eq(s_take(table, LIMIT_SYMBOLS), 0u);
    cr_assert_neq(s_take(table, 17), 0u, "a name that is known still has its number");
    symbol_t last = s_take(table, LIMIT_SYMBOLS - 1);
    symbol_drop(table, last);
    cr_assert_eq(s_take(table, LIMIT_SYMBOLS), 0u, "it has one more use");
    symbol_drop(table, last);
    cr_assert_eq(s_take(table, LIMIT_SYMBOLS), last);
    symbol_table_destroy(&table);
}

/* Random uses against counts: a number names its name as long as it has a use. */
Test(symbol, agrees_with_a_model)
{
    enum { NAMES = 500 };
    random_t random = {3};
    symbol_table_t *table = symbol_table_new();
    uint32_t uses[NAMES] = {0};
    symbol_t numbers[NAMES] = {0};
    for (int step = 0; step < 200000; step++) {
        size_t name = random_below(&random, NAMES);
        if (random_below(&random, 2) == 0 && uses[name]) {
            symbol_drop(table, numbers[name]);
            uses[name]--;
        } else {
            symbol_t number = s_take(table, name);
            cr_assert(uses[name] == 0 || number == numbers[name]);
            numbers[name] = number;
            uses[name]++;
        }
        size_t other = random_below(&random, NAMES);
        char text[32];
        snprintf(text, sizeof text, "name-%zu", other);
        if (uses[other])
            cr_assert_str_eq(symbol_name(table, numbers[other]).data, text);
    }
    symbol_table_destroy(&table);
}
