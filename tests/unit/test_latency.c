/* Histograms of durations, and what waits for its commit. */
#include <criterion/criterion.h>

#include "core/base/latency.h"
#include "ha/waits.h"

Test(latency, counts_at_the_bounds)
{
    latency_t latency = {0};
    latency_add(&latency, latency_bounds[0], 1);
    latency_add(&latency, latency_bounds[0] + 1, 2);
    latency_add(&latency, -5, 1); /* a calendar that was set back */
    latency_add(&latency, latency_bounds[LATENCY_BOUNDS - 1] + 1, 3);
    cr_expect_eq(latency.counts[0], 2);
    cr_expect_eq(latency.counts[1], 2);
    cr_expect_eq(latency.counts[LATENCY_BOUNDS], 3);
    cr_expect_eq(latency_count(&latency), 7);
    const usec_t sum = latency_bounds[0] + 2 * (latency_bounds[0] + 1) +
                       3 * (latency_bounds[LATENCY_BOUNDS - 1] + 1);
    cr_expect_eq(latency.sum_us, (uint64_t)sum);
}

Test(latency, bounds_rise)
{
    for (int i = 1; i < LATENCY_BOUNDS; i++)
        cr_expect_lt(latency_bounds[i - 1], latency_bounds[i]);
}

Test(waits, each_waits_for_its_own_commit)
{
    static waits_t waits;
    latency_t latency = {0};
    waits_add(&waits, 10, 1000, 2);
    waits_add(&waits, 11, 2000, 0); /* nothing was accepted in that turn */
    waits_add(&waits, 20, 3000, 1);
    waits_end(&waits, 9, 5000, &latency);
    cr_expect_eq(latency_count(&latency), 0);
    waits_end(&waits, 10, 5000, &latency);
    cr_expect_eq(latency_count(&latency), 2);
    cr_expect_eq(latency.sum_us, 2 * 4000);
    waits_end(&waits, 25, 5000, &latency);
    cr_expect_eq(latency_count(&latency), 3);
    cr_expect_eq(waits.len, 0);
}

Test(waits, is_bounded_and_loses_none)
{
    static waits_t waits;
    latency_t latency = {0};
    const uint64_t turns = WAITS_TURNS * 3;
    for (uint64_t i = 1; i <= turns; i++)
        waits_add(&waits, i, (usec_t)i, 1);
    cr_expect_eq(waits.len, WAITS_TURNS);
    waits_end(&waits, turns - 1, 10000, &latency);
    cr_expect_eq(latency_count(&latency), WAITS_TURNS - 1, "the last has those that came after");
    waits_end(&waits, turns, 10000, &latency);
    cr_expect_eq(latency_count(&latency), turns);
}
