#include "tests/sim/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool plan_keeps(const plan_t *self, size_t number)
{
    return number < PLAN_FAULTS && (!self->chosen || self->kept[number]);
}

void plan_print(const plan_t *self, uint64_t seed)
{
    printf("seed %" PRIu64 "\n", seed);
    for (size_t i = 0; i < PLAN_FAULTS; i++)
        if (self->chosen && self->kept[i])
            printf("fault %zu\n", i);
}

static bool s_line(const char *line, uint64_t *seed, plan_t *plan)
{
    size_t number;
    char rest;
    if (sscanf(line, "seed %" SCNu64 " %c", seed, &rest) == 1)
        return true;
    if (sscanf(line, "fault %zu %c", &number, &rest) != 1 || number >= PLAN_FAULTS)
        return false;
    plan->kept[number] = true;
    return true;
}

bool plan_read(const char *path, uint64_t *ret_seed, plan_t *ret_plan)
{
    char line[3000];
    plan_t plan = {.chosen = true};
    uint64_t seed = 0;
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    bool ok = true;
    for (int number = 1; ok && fgets(line, sizeof line, file); number++) {
        line[strcspn(line, "#\n")] = 0;
        ok = strspn(line, " \t") == strlen(line) || s_line(line, &seed, &plan);
        if (!ok)
            fprintf(stderr, "%s:%d: \"%s\": expected \"seed N\" or \"fault N\", N below %d\n", path,
                    number, line, PLAN_FAULTS);
    }
    fclose(file);
    if (ok && seed == 0)
        fprintf(stderr, "%s: no line \"seed N\"\n", path);
    if (!ok || seed == 0)
        return false;
    *ret_seed = seed;
    *ret_plan = plan;
    return true;
}
