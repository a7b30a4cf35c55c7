/* Which of many descriptors a thread of the load programs looks at, and when. */
#include <criterion/criterion.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "apps/ixn-bench/parts/poller.h"

#define S_LEN 3
#define S_LONG 60000 /* ms: a test that sleeps so long hangs */

static int fds[S_LEN];
static poller_t *poller;

static void s_open(void)
{
    poller = poller_new(S_LEN);
    for (uint32_t i = 0; i < S_LEN; i++) {
        fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        cr_assert_geq(fds[i], 0);
        poller_watch(poller, i, fds[i], i != 2);
    }
    uint32_t len;
    poller_wait(poller, S_LONG, &len);
    cr_assert_eq(len, S_LEN, "all in the first turn");
}

static void s_close(void)
{
    poller_destroy(&poller);
    cr_assert_null(poller);
    for (uint32_t i = 0; i < S_LEN; i++)
        close(fds[i]);
}

TestSuite(poller, .init = s_open, .fini = s_close);

static void s_expect_one(uint32_t number, int timeout_ms)
{
    uint32_t len;
    const uint32_t *given = poller_wait(poller, timeout_ms, &len);
    cr_assert_eq(len, 1, "%u were given", len);
    cr_assert_eq(given[0], number);
}

Test(poller, gives_the_one_that_has_something)
{
    cr_assert_eq(eventfd_write(fds[1], 1), 0);
    s_expect_one(1, S_LONG);
}

Test(poller, one_that_tells_of_changes_is_given_once_for_each)
{
    cr_assert_eq(eventfd_write(fds[0], 1), 0);
    s_expect_one(0, S_LONG);
    cr_assert_eq(eventfd_write(fds[1], 1), 0);
    s_expect_one(1, S_LONG); /* not 0 again, although nobody read it */
}

Test(poller, one_that_tells_of_what_is_there_is_given_until_it_is_read)
{
    eventfd_t count;
    cr_assert_eq(eventfd_write(fds[2], 1), 0);
    s_expect_one(2, S_LONG);
    s_expect_one(2, S_LONG);
    cr_assert_eq(eventfd_read(fds[2], &count), 0);
    cr_assert_eq(eventfd_write(fds[0], 1), 0);
    s_expect_one(0, S_LONG);
}

Test(poller, what_is_to_be_looked_at_is_given_without_sleep_once)
{
    poller_look(poller, 1);
    poller_look(poller, 1);
    s_expect_one(1, S_LONG);
    cr_assert_eq(eventfd_write(fds[0], 1), 0);
    s_expect_one(0, S_LONG);
}

Test(poller, what_is_to_be_looked_at_does_not_hide_what_has_something)
{
    poller_look(poller, 1);
    cr_assert_eq(eventfd_write(fds[0], 1), 0);
    uint32_t len;
    poller_wait(poller, S_LONG, &len);
    cr_assert_eq(len, 2);
}

Test(poller, a_sleep_to_its_end_gives_all)
{
    uint32_t len;
    poller_wait(poller, 1, &len);
    cr_assert_eq(len, S_LEN);
}

Test(poller, one_whose_time_has_come_is_given_although_others_keep_it_awake)
{
    poller_due(poller, 1, 0);
    cr_assert_eq(eventfd_write(fds[2], 1), 0);
    uint32_t len;
    poller_wait(poller, S_LONG, &len);
    cr_assert_eq(len, 2, "the one that is due, and the one that has something");
    s_expect_one(2, S_LONG); /* the time was over once */
}

Test(poller, a_sleep_ends_when_the_next_is_due)
{
    poller_due(poller, 1, 1);
    uint32_t len;
    poller_wait(poller, S_LONG, &len);
    cr_assert_eq(len, S_LEN, "it slept until a time was over");
    poller_due(poller, 1, -1);
    cr_assert_eq(eventfd_write(fds[0], 1), 0);
    s_expect_one(0, S_LONG);
}
