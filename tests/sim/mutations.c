#include "tests/sim/mutations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/run.h"

#ifdef IXN_MUTATIONS
mutation_t mutation_active;
#else
static const mutation_t mutation_active = MUTATION_NONE;
#endif

bool mutation_is(mutation_t mutation)
{
    return mutation_active == mutation;
}

const char *mutation_name(mutation_t mutation)
{
    static const char *const names[] = {
#define X(name, text) #name,
        MUTATIONS(X) SQL_MUTATIONS(X)
#undef X
    };
    return names[mutation];
}

const char *mutation_text(mutation_t mutation)
{
    static const char *const texts[] = {
#define X(name, text) text,
        MUTATIONS(X) SQL_MUTATIONS(X)
#undef X
    };
    return texts[mutation];
}

#ifdef IXN_MUTATIONS
bool mutation_break(const char *name)
{
    for (mutation_t mutation = 0; mutation < MUTATIONS_LEN; mutation++)
        if (strcmp(name, mutation_name(mutation)) == 0) {
            mutation_active = mutation;
            return true;
        }
    fprintf(stderr, "there is no mutation %s; --mutations lists them\n", name);
    return false;
}

int mutations_run(uint64_t seeds)
{
    unsigned missed = 0;
    for (mutation_t mutation = 1; mutation < MUTATIONS_LEN; mutation++) {
        run_result_t result;
        const run_options_t options = {
            .from = 1, .seeds = seeds, .jobs = 2, .stop_at_first = true, .quiet = true};
        mutation_active = mutation;
        run_many(&options, &result);
        printf("%-20s %s\n", mutation_name(mutation), mutation_text(mutation));
        if (result.violations)
            printf("%-20s caught at seed %llu: %.160s\n", "", (unsigned long long)result.first_seed,
                   result.first);
        else
            printf("%-20s NOT CAUGHT in %llu seeds\n", "", (unsigned long long)result.seeds);
        fflush(stdout);
        missed += result.violations == 0;
    }
    mutation_active = MUTATION_NONE;
    printf("%d mutations, %u not caught\n", MUTATIONS_LEN - 1, missed);
    return missed ? 1 : 0;
}
#else
static int s_as_it_is(void)
{
    fprintf(stderr,
            "this is the simulator of the product as it is; the program sim-mutations "
            "beside it has the build that can be broken\n");
    return 2;
}

bool mutation_break(const char *name)
{
    (void)name;
    return s_as_it_is() == 0;
}

int mutations_run(uint64_t seeds)
{
    (void)seeds;
    return s_as_it_is();
}
#endif
