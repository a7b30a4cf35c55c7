/* The simulated database against a real one (interleaving.h), seed by seed.
 *
 *   test_interleavings [--seeds N] [--from S]        the product's SQL: no seed may differ
 *   test_sql_mutations                               its SQL broken on purpose: harm must be seen
 *
 * IXN_TEST_CONNINFO names a superuser of a private cluster (tests/database/run.sh). A seed that
 * differs prints both histories: step by step, who stands where, who waits for whom, what was
 * answered.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "tests/interleavings/interleaving.h"
#include "tests/sim/mutations.h"

enum { SEEDS = 200, MUTATION_SEEDS = 100 };

#ifdef IXN_MUTATIONS
/* One broken rule: until a seed does harm. NONE must do none. */
static bool s_catch(const char *conninfo, mutation_t mutation)
{
    char what[200] = "";
    mutation_active = mutation;
    real_t *real = real_new(conninfo);
    uint64_t seed = 1;
    while (seed <= MUTATION_SEEDS && interleaving_run_alone(real, seed, what, sizeof what))
        seed++;
    real_destroy(&real);
    bool caught = seed <= MUTATION_SEEDS;
    if (mutation == MUTATION_NONE) {
        printf("measured: the SQL as it is: %s%s\n", caught ? "HARM: " : "no harm", what);
        return caught;
    }
    printf("measured: %-18s %s\n", mutation_name(mutation), mutation_text(mutation));
    if (caught)
        printf("measured: %-18s caught at seed %" PRIu64 ": %s\n", "", seed, what);
    else
        printf("measured: %-18s NOT CAUGHT in %d seeds\n", "", MUTATION_SEEDS);
    return caught;
}

static int s_run(const char *conninfo, uint64_t from, uint64_t seeds)
{
    unsigned missed = 0;
    (void)from;
    (void)seeds;
    /* The product as it is does none in as many seeds as catch a mutation. */
    if (s_catch(conninfo, MUTATION_NONE))
        return 1;
    static const mutation_t all[] = {MUTATION_FENCE_BY_SELECT, MUTATION_CHECKED_OUTSIDE,
                                     MUTATION_SUCCESSORS_MANY, MUTATION_CLAIM_UNLOCKED};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        missed += !s_catch(conninfo, all[i]);
    printf("measured: %zu mutations of the SQL, %u not caught\n", sizeof all / sizeof *all, missed);
    return missed ? 1 : 0;
}
#else
static int s_run(const char *conninfo, uint64_t from, uint64_t seeds)
{
    figures_t figures = {0};
    unsigned different = 0;
    real_t *real = real_new(conninfo);
    for (uint64_t seed = from; seed < from + seeds && different < 3; seed++) {
        char what[200];
        if (interleaving_run(real, seed, true, &figures, what, sizeof what))
            continue;
        different++;
        printf("seed %" PRIu64 ": %s\n", seed, what);
    }
    real_destroy(&real);
    printf("measured: simulated and real database: %" PRIu64 " seeds, %" PRIu64 " steps, %" PRIu64
           " of them waited, %" PRIu64 " claims ended others, %u seeds differ\n",
           seeds, figures.steps, figures.waited, figures.ended, different);
    return different ? 1 : 0;
}
#endif

static bool s_number(const char *text, uint64_t *ret_number)
{
    char *end;
    *ret_number = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end;
}

int main(int argc, char **argv)
{
    uint64_t from = 1;
    uint64_t seeds = SEEDS;
    for (int i = 1; i < argc; i += 2) {
        bool ok =
            i + 1 < argc && ((strcmp(argv[i], "--seeds") == 0 && s_number(argv[i + 1], &seeds)) ||
                             (strcmp(argv[i], "--from") == 0 && s_number(argv[i + 1], &from)));
        if (!ok) {
            fprintf(stderr, "usage: %s [--seeds N] [--from S]\n", argv[0]);
            return 2;
        }
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *conninfo = getenv("IXN_TEST_CONNINFO");
    if (!conninfo) {
        fprintf(stderr, "SKIPPED: IXN_TEST_CONNINFO is not set; run tests/database/run.sh\n");
        return 0;
    }
    return s_run(conninfo, from, seeds);
}
