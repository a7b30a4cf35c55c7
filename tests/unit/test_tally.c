/* How many interactions each queue has, kept with every change, is what a count of all gives. */
#include "tests/unit/state_driver.h"

/* Counts everything anew, by walking all handles as lists do. */
static void s_expect_tallies(state_t *state)
{
    tally_t *counted = memory_zero(state->queues_len + 1, sizeof *counted);
    size_t seen = 0;
    for (uint32_t i = 0; i < state_handles(state); i++) {
        const interaction_t *interaction = state_of_handle(state, i);
        if (!interaction)
            continue;
        tally_t *tally = &counted[interaction->queue];
        seen++;
        if (interaction->flags & INTERACTION_HELD)
            tally->held++;
        else if (interaction->state == INTERACTION_QUEUED)
            tally->waiting++;
        else if (interaction->state == INTERACTION_QUARANTINED)
            tally->quarantined++;
        else
            tally->routing++;
    }
    cr_assert_eq(seen, state->count);
    cr_assert_null(state_of_handle(state, state_handles(state)));
    for (size_t i = 0; i < state->queues_len; i++) {
        const tally_t *kept = &state->queues[i]->tally;
        cr_assert_eq(kept->waiting, counted[i].waiting, "queue %zu", i);
        cr_assert_eq(kept->held, counted[i].held, "queue %zu", i);
        cr_assert_eq(kept->routing, counted[i].routing, "queue %zu", i);
        cr_assert_eq(kept->quarantined, counted[i].quarantined, "queue %zu", i);
        cr_assert_eq(kept->entered - kept->left, kept->waiting, "who came and has not left waits");
    }
    free(counted);
}

Test(tally, is_what_a_count_of_all_gives)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        driver_t *driver = driver_new(seed);
        for (size_t i = 0; i < 60; i++) {
            driver_batch(driver, random_below(&driver->random, 60));
            s_expect_tallies(driver->state);
        }
        driver_free(driver);
    }
}

/* The oldest is looked for among the first of each priority. */
Test(tally, knows_since_when_the_oldest_waits)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        driver_t *driver = driver_new(seed);
        for (size_t i = 0; i < 40; i++)
            driver_batch(driver, 40);
        state_t *state = driver->state;
        for (size_t i = 0; i < state->queues_len; i++) {
            const usec_t oldest = state_oldest_in_line(state->queues[i], UINT32_MAX);
            const interaction_t *first = state_first_in_line(state->queues[i]);
            cr_assert_eq(oldest == 0, first == NULL);
            if (first)
                cr_assert_leq(oldest, first->placed_at);
            const usec_t of_one = state_oldest_in_line(state->queues[i], 1);
            cr_assert_eq(of_one, first ? first->placed_at : 0);
        }
        driver_free(driver);
    }
}
