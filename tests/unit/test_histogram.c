/* The histogram of ixn-bench: quantiles are what sorting would say, to the width of a bucket. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "apps/ixn-bench/parts/histogram.h"

static int s_compare(const void *a, const void *b)
{
    usec_t left = *(const usec_t *)a;
    usec_t right = *(const usec_t *)b;
    return (left > right) - (left < right);
}

Test(histogram, empty_and_one)
{
    histogram_t histogram = {0};
    cr_assert_eq(histogram_quantile(&histogram, 0.99), 0);
    histogram_add(&histogram, 1234567);
    cr_assert_eq(histogram_quantile(&histogram, 0.0), 1234567);
    cr_assert_eq(histogram_quantile(&histogram, 1.0), 1234567);
    cr_assert_eq(histogram.count, 1);
}

/* Every value is told to 1/64 above itself and never below, from 0 over all powers of two. */
Test(histogram, precision)
{
    for (int bit = 0; bit < HISTOGRAM_VALUE_BITS; bit++) {
        for (int around = -1; around <= 1; around++) {
            usec_t value = ((usec_t)1 << bit) + around;
            histogram_t histogram = {0};
            histogram_add(&histogram, value);
            histogram_add(&histogram, ((usec_t)1 << HISTOGRAM_VALUE_BITS) - 1);
            usec_t got = histogram_quantile(&histogram, 0.5);
            cr_assert(got >= value && got <= value + value / 64, "%lld told as %lld",
                      (long long)value, (long long)got);
        }
    }
}

Test(histogram, like_sorting)
{
    enum { N = 20000 };
    static usec_t values[N];
    static histogram_t histogram;
    uint64_t state = 42;
    for (int i = 0; i < N; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        values[i] = (usec_t)((state >> 33) % ((uint64_t)1 << (1 + state % 30)));
        histogram_add(&histogram, values[i]);
    }
    qsort(values, N, sizeof values[0], s_compare);
    static const double quantiles[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0};
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        size_t rank = (size_t)(quantiles[i] * N + 0.999999);
        usec_t expected = values[rank - 1];
        usec_t got = histogram_quantile(&histogram, quantiles[i]);
        cr_assert(got >= expected && got <= expected + expected / 64, "q %f: %lld, sorted %lld",
                  quantiles[i], (long long)got, (long long)expected);
    }
}

Test(histogram, merge_and_extremes)
{
    static histogram_t a;
    static histogram_t b;
    histogram_add(&a, -5);
    histogram_add(&a, 10);
    histogram_add(&b, INT64_MAX);
    histogram_merge(&a, &b);
    cr_assert_eq(a.count, 3);
    cr_assert_eq(a.max, INT64_MAX);
    cr_assert_eq(histogram_quantile(&a, 0.3), 0);
    cr_assert_eq(histogram_quantile(&a, 0.6), 10);
    cr_assert_eq(histogram_quantile(&a, 0.99), ((int64_t)1 << HISTOGRAM_VALUE_BITS) - 1);
}
