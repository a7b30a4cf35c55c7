/* Log: what is held back when an event comes too often, and that this is said. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/log.h"

static FILE *s_file;

static void s_open(void)
{
    s_file = tmpfile();
    cr_assert(s_file && dup2(fileno(s_file), STDERR_FILENO) == STDERR_FILENO);
    unsetenv("JOURNAL_STREAM");
}

TestSuite(log, .init = s_open, .timeout = 60);

/* Lines of this event; of log.held_back: what it says was held back. */
static size_t s_count(const char *event)
{
    char line[3000];
    size_t lines = 0;
    rewind(s_file);
    while (fgets(line, sizeof line, s_file)) {
        const char *held_back = strstr(line, " log.held_back event=test.flood lines=");
        if (held_back && strcmp(event, "log.held_back") == 0)
            lines += strtoul(strstr(held_back, "lines=") + strlen("lines="), NULL, 10);
        else if (strstr(line, event) && !held_back)
            lines++;
    }
    return lines;
}

/* By the clock that the log reads: time() is some milliseconds behind it. */
static time_t s_second(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

static void s_await_next_second(void)
{
    time_t now = s_second();
    while (s_second() == now)
        ;
}

Test(log, too_many_of_one_event_are_held_back_and_counted)
{
    enum { LINES = 1000, LIMIT = 200 };
    log_set_limit(LIMIT);
    for (int i = 0; i < LINES; i++)
        log_info("test.flood", "number=%d", i);
    log_warning("test.other", "number=1");
    s_await_next_second();
    log_warning("test.other", "number=2");
    size_t flood = s_count(" test.flood ");
    cr_assert_geq(flood, (size_t)LIMIT);
    cr_assert_lt(flood, (size_t)LINES, "nothing was held back");
    cr_assert_eq(flood + s_count("log.held_back"), (size_t)LINES, "%zu and %zu", flood,
                 s_count("log.held_back"));
    cr_assert_eq(s_count(" test.other "), 2u);
}

Test(log, without_a_limit_every_line_goes_out)
{
    enum { LINES = 3000 };
    for (int i = 0; i < LINES; i++)
        log_info("test.flood", "number=%d", i);
    cr_assert_eq(s_count(" test.flood "), (size_t)LINES);
}

Test(log, a_value_cannot_forge_a_line)
{
    log_info("test.value", "error=\"a\n2026-01-31T12:00:00Z info forged\"");
    cr_assert_eq(s_count(" test.value error=\"a 2026"), 1u);
}
