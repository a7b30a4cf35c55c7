/* Moments as operators write them. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "apps/ixnctl/parts/when.h"

/* 2026-01-31T12:00:00Z */
enum { NOW = 1769860800 };

static void s_expect(const char *text, long after)
{
    time_t found = 0;
    cr_assert(when_parse(text, NOW, &found), "%s", text);
    cr_expect_eq((long)(found - NOW), after, "%s: %ld", text, (long)(found - NOW));
}

Test(when, clock_times_are_the_next)
{
    setenv("TZ", "UTC", 1);
    tzset();
    s_expect("12:01", 60);
    s_expect("12:00:01", 1);
    s_expect("12:00", 86400);
    s_expect("11:59:59", 86399);
    s_expect("00:00", 43200); /* of the next month */
}

Test(when, local_and_utc)
{
    setenv("TZ", "EST5", 1);
    tzset();
    s_expect("07:30", 1800);
    s_expect("2026-01-31T07:30", 1800);
    s_expect("2026-01-31 07:30:05", 1805);
    s_expect("2026-01-31T12:30:00Z", 1800);
    s_expect("2026-01-31T12:30Z", 1800);
    s_expect("2026-01-31T11:00Z", -3600);
}

Test(when, nonsense)
{
    static const char *const texts[] = {"",
                                        "x",
                                        "24:00",
                                        "12:60",
                                        "12:00x",
                                        "2026-01-31",
                                        "2026-02-30T00:00",
                                        "2026-01-31T12:00+01:00",
                                        "12"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        time_t found = 7;
        cr_expect_not(when_parse(texts[i], NOW, &found), "%s", texts[i]);
    }
}
