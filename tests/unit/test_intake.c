/* How many frames one turn takes, by how long each of them takes. */
#include <criterion/criterion.h>

#include "ha/intake.h"

static size_t s_taken(usec_t frame_us)
{
    intake_t intake = {0};
    size_t taken = 0;
    for (usec_t now = 1000000; taken < 10000 && intake_may(&intake, now); now += frame_us)
        taken++;
    cr_assert_eq(taken, intake.frames);
    return taken;
}

Test(intake, frames_are_bounded)
{
    cr_assert_eq(s_taken(0), INTAKE_FRAMES);
    cr_assert_eq(s_taken(INTAKE_US / INTAKE_FRAMES), INTAKE_FRAMES);
}

Test(intake, time_is_bounded)
{
    cr_assert_eq(s_taken(100), INTAKE_US / 100);
    cr_assert_eq(s_taken(1000), INTAKE_US / 1000);
    cr_assert_eq(s_taken(1001), INTAKE_US / 1000);
}

/* Otherwise a node that is slow would hear nobody. */
Test(intake, one_frame_is_always_taken)
{
    cr_assert_eq(s_taken(INTAKE_US), 1);
    cr_assert_eq(s_taken(INTAKE_US * 100), 1);
}

Test(intake, a_turn_is_not_long)
{
    cr_assert_leq(INTAKE_US, 5000);
    cr_assert_leq(INTAKE_FRAMES, 500);
}
