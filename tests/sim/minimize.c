#include "tests/sim/minimize.h"

#include <stdio.h>
#include <string.h>

#include "tests/sim/run.h"

/* Leaves out ever smaller parts of the list while the same promise is broken (delta debugging,
 * after A. Zeller). */

typedef struct {
    uint64_t seed;
    char promise[40];
    unsigned runs;
    run_planned_t result; /* of the last run that broke it */
} search_t;

/* The words before "at": which promise it is; or how the program dies. */
static void s_promise(const char *what, char *promise, size_t size)
{
    const char *begin = strstr(what, ": ");
    begin = begin ? begin + 2 : what;
    const char *end = strstr(begin, " at ");
    snprintf(promise, size, "%.*s", end ? (int)(end - begin) : (int)strlen(begin), begin);
}

static bool s_breaks(search_t *self, const plan_t *plan)
{
    char promise[sizeof self->promise];
    run_planned_t result;
    self->runs++;
    run_planned(self->seed, plan, &result);
    if (!result.failed)
        return false;
    s_promise(result.what, promise, sizeof promise);
    if (!self->promise[0])
        snprintf(self->promise, sizeof self->promise, "%s", promise);
    if (strcmp(self->promise, promise) != 0)
        return false;
    self->result = result;
    return true;
}

/* Tries without `len` of the kept ones, from the first on. True: some could go. */
static bool s_leave_out(search_t *self, plan_t *plan, size_t len)
{
    bool any = false;
    for (size_t from = 0; from < PLAN_FAULTS;) {
        plan_t less = *plan;
        size_t left = 0;
        size_t at = from;
        for (; at < PLAN_FAULTS && left < len; at++)
            if (less.kept[at]) {
                less.kept[at] = false;
                left++;
            }
        from = at;
        if (left == 0 || !s_breaks(self, &less))
            continue;
        *plan = less;
        any = true;
    }
    return any;
}

static size_t s_count(const plan_t *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < PLAN_FAULTS; i++)
        count += plan->kept[i];
    return count;
}

bool minimize(uint64_t seed, const plan_t *plan)
{
    search_t search = {.seed = seed};
    if (!s_breaks(&search, plan)) {
        printf("# seed %llu breaks nothing\n", (unsigned long long)seed);
        return false;
    }
    plan_t least = {.chosen = true};
    for (size_t i = 0; i < search.result.faults && i < PLAN_FAULTS; i++)
        least.kept[i] = plan_keeps(plan, i);
    size_t before = s_count(&least);
    for (size_t len = before; len > 0;)
        if (!s_leave_out(&search, &least, len) || len > 1)
            len /= 2;
    printf("# %zu of %zu faults, found in %u runs; run it: sim --replay FILE [--trace]\n# %s\n",
           s_count(&least), before, search.runs, search.result.what);
    plan_print(&least, seed);
    return true;
}
