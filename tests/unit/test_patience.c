/* How long a batch waits for company. */
#include <criterion/criterion.h>

#include "ha/patience.h"

/* Each of these sessions says one thing. */
static void s_hear(patience_t *self, uint64_t first, uint64_t last, usec_t now)
{
    for (uint64_t session = first; session <= last; session++)
        patience_heard(self, session, 1, now);
}

/* Sixteen sessions have spoken, and their batch is gone. */
static patience_t s_busy_world(usec_t now)
{
    patience_t patience = {.crowded = true};
    s_hear(&patience, 1, 16, now);
    patience_end(&patience);
    return patience;
}

Test(patience, nothing_waits_while_processors_are_idle)
{
    patience_t patience = s_busy_world(1000);
    patience.crowded = false;
    patience_heard(&patience, 1, 1, 1500);
    cr_assert_not(patience_waits(&patience, 1500));
}

Test(patience, a_batch_waits_for_half_of_those_who_spoke)
{
    patience_t patience = s_busy_world(1000);
    s_hear(&patience, 1, 7, 1500);
    cr_assert(patience_waits(&patience, 1600));
    patience_heard(&patience, 8, 1, 1700);
    cr_assert_not(patience_waits(&patience, 1700));
}

Test(patience, requests_count_whoever_makes_them)
{
    patience_t patience = s_busy_world(1000);
    patience_heard(&patience, 1, 8, 1500);
    cr_assert_not(patience_waits(&patience, 1500));
}

Test(patience, it_ends)
{
    patience_t patience = s_busy_world(1000);
    patience_heard(&patience, 1, 1, 1500);
    cr_assert(patience_waits(&patience, 2000));
    cr_assert(patience_waits(&patience, 2000 + PATIENCE_US - 1));
    cr_assert_not(patience_waits(&patience, 2000 + PATIENCE_US));
    patience_end(&patience);
    patience_heard(&patience, 1, 1, 5000);
    cr_assert(patience_waits(&patience, 5000), "the next batch has a time of its own");
}

Test(patience, what_nobody_asked_for_does_not_wait)
{
    patience_t patience = s_busy_world(1000);
    cr_assert_not(patience_waits(&patience, 1500));
}

Test(patience, few_sessions_are_no_company)
{
    patience_t patience = {.crowded = true};
    s_hear(&patience, 1, PATIENCE_LEAST - 1, 1000);
    patience_end(&patience);
    patience_heard(&patience, 1, 1, 1500);
    cr_assert_not(patience_waits(&patience, 1500));
}

Test(patience, one_session_counts_once_however_much_it_says)
{
    patience_t patience = {.crowded = true};
    for (int i = 0; i < 100; i++)
        patience_heard(&patience, 7, 1, 1000);
    patience_end(&patience);
    patience_heard(&patience, 7, 1, 1500);
    cr_assert_not(patience_waits(&patience, 1500));
}

Test(patience, those_who_fell_silent_are_not_waited_for)
{
    patience_t patience = s_busy_world(1000);
    usec_t later = 1000 + PATIENCE_WINDOW_US;
    patience_heard(&patience, 1, 1, later);
    cr_assert(patience_waits(&patience, later), "they spoke in the window before");
    patience_end(&patience);
    later += PATIENCE_WINDOW_US;
    patience_heard(&patience, 1, 1, later);
    cr_assert_not(patience_waits(&patience, later));
    patience = s_busy_world(1000);
    later = 1000 + 2 * PATIENCE_WINDOW_US;
    patience_heard(&patience, 1, 1, later);
    cr_assert_not(patience_waits(&patience, later), "nobody spoke for two windows");
}
