/* Each test is a process of its own, whose limits are its own. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "apps/ixnd/descriptors.h"

static FILE *s_log;

static void s_begin(void)
{
    s_log = tmpfile();
    cr_assert(s_log && dup2(fileno(s_log), STDERR_FILENO) == STDERR_FILENO);
}

TestSuite(descriptors, .init = s_begin);

static rlim_t s_raised(rlim_t soft, rlim_t hard, uint32_t clients)
{
    struct rlimit limit = {soft, hard};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    descriptors_raise(clients);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur;
}

static const char *s_said(void)
{
    static char line[1000];
    rewind(s_log);
    return fgets(line, sizeof line, s_log) ? line : "";
}

Test(descriptors, are_all_that_the_process_may_have)
{
    cr_assert_eq(s_raised(100, 300, 100), 300);
    cr_assert_str_eq(s_said(), "");
}

Test(descriptors, that_are_too_few_are_told)
{
    cr_assert_eq(s_raised(100, 299, 100), 299);
    cr_assert(strstr(s_said(), " node.few_files allowed=299 wanted=300 "), "%s", s_said());
}
