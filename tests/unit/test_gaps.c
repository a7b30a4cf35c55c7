/* Gaps and marks of ixn-bench: what it says of a fail-over. */
#include <criterion/criterion.h>
#include <pthread.h>

#include "apps/ixn-bench/parts/gaps.h"
#include "apps/ixn-bench/parts/marks.h"

Test(gaps, only_while_something_is_due)
{
    gaps_t gaps = {.threshold = 100};
    gaps_begin(&gaps, 1000);
    gaps_end(&gaps, 1050);
    gaps_end(&gaps, 1149);   /* 99 */
    gaps_begin(&gaps, 9000); /* idle until then */
    gaps_end(&gaps, 9010);
    cr_assert_eq(gaps.count, 0);
    cr_assert_eq(gaps.longest, 99);
    gaps_end(&gaps, 9110);
    gaps_end(&gaps, 9500);
    gaps_end(&gaps, 9650);
    cr_assert_eq(gaps.count, 3);
    cr_assert_eq(gaps.longest, 390);
}

Test(marks, each_number_once)
{
    static marks_t done, wanted;
    cr_assert_eq(marks_count_without(&wanted, &done), 0);
    uint64_t numbers[] = {0, 1, 63, 64, MARKS_CHUNK - 1, MARKS_CHUNK, MARKS_MAX - 1};
    size_t len = sizeof numbers / sizeof *numbers;
    for (size_t i = 0; i < len; i++) {
        cr_assert_not(marks_set(&wanted, numbers[i]), "number %zu", i);
        cr_assert(marks_set(&wanted, numbers[i]), "number %zu", i);
    }
    cr_assert_eq(marks_count_without(&wanted, &done), len);
    for (size_t i = 0; i < len; i++) {
        marks_set(&done, numbers[i]);
        cr_assert_eq(marks_count_without(&wanted, &done), len - i - 1);
    }
    marks_set(&done, 5);
    cr_assert_eq(marks_count_without(&done, &wanted), 1);
    cr_assert_not(marks_set(&done, MARKS_MAX));
    cr_assert_not(marks_set(&done, MARKS_MAX), "beyond the last chunk nothing is known");
    marks_free(&done);
    marks_free(&wanted);
    cr_assert_not(marks_set(&done, 0));
    marks_free(&done);
}

#define NUMBERS 200000

static marks_t s_marks;
static _Atomic uint64_t s_first;

static void *s_mark_all(void *unused)
{
    for (uint64_t i = 0; i < NUMBERS; i++) {
        if (!marks_set(&s_marks, i * 8))
            atomic_fetch_add(&s_first, 1);
    }
    return unused;
}

Test(marks, of_two_threads_one_is_first)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, s_mark_all, NULL), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(s_first, NUMBERS);
    static marks_t none;
    cr_assert_eq(marks_count_without(&s_marks, &none), NUMBERS);
    marks_free(&s_marks);
}
