/* sim: simulates the pair in virtual time.
 *
 *   sim --seed N [--trace]           one seed; with every event
 *   sim --seeds N [--from S]         many; --jobs K: by so many processes
 *   sim --seed N --minimize          the fewest faults that break the same, as a file
 *   sim --replay FILE [--trace]      that file again
 *   sim --mutation NAME --seed N     the same with one rule broken
 *   sim --mutations [--seeds N]      breaks rules on purpose and sees them caught
 *
 * docs/simulator.md explains what it shows. Exit code 1 when a promise was broken.
 */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/minimize.h"
#include "tests/sim/mutations.h"
#include "tests/sim/run.h"

typedef struct {
    bool one;
    bool trace;
    bool mutations;
    bool minimize;
    const char *mutation;
    plan_t plan; /* of --replay */
    uint64_t seed;
    uint64_t seeds;
    uint64_t from;
    unsigned jobs;
} arguments_t;

static int s_usage(void)
{
    fprintf(
        stderr,
        "usage: sim [--mutation NAME] --seed N [--trace | --minimize] | --replay FILE [--trace] |"
        " --seeds N [--from S] [--jobs K] | --mutations [--seeds N]\n");
    return 2;
}

static bool s_number(const char *text, uint64_t *ret_number)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end)
        return false;
    *ret_number = number;
    return true;
}

static bool s_read(int argc, char **argv, arguments_t *arguments)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},     {"trace", no_argument, NULL, 't'},
        {"seeds", required_argument, NULL, 'n'},    {"from", required_argument, NULL, 'f'},
        {"jobs", required_argument, NULL, 'j'},     {"mutations", no_argument, NULL, 'm'},
        {"mutation", required_argument, NULL, 'b'}, {"minimize", no_argument, NULL, 'z'},
        {"replay", required_argument, NULL, 'r'},   {0}};
    int option;
    uint64_t jobs = 1;
    *arguments = (arguments_t){.from = 1};
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        bool ok = true;
        switch (option) {
        case 's':
            arguments->one = ok = s_number(optarg, &arguments->seed);
            break;
        case 't':
            arguments->trace = true;
            break;
        case 'n':
            ok = s_number(optarg, &arguments->seeds) && arguments->seeds > 0;
            break;
        case 'f':
            ok = s_number(optarg, &arguments->from);
            break;
        case 'j':
            ok = s_number(optarg, &jobs) && jobs > 0 && jobs <= 256;
            break;
        case 'm':
            arguments->mutations = true;
            break;
        case 'b':
            arguments->mutation = optarg;
            break;
        case 'z':
            arguments->minimize = true;
            break;
        case 'r':
            if (!plan_read(optarg, &arguments->seed, &arguments->plan))
                exit(2);
            arguments->one = true;
            break;
        default:
            ok = false;
        }
        if (!ok)
            return false;
    }
    arguments->jobs = (unsigned)jobs;
    return optind == argc && (arguments->one || arguments->seeds || arguments->mutations);
}

/* The build that can be broken is a program of its own, so that all else runs the product as it is.
 */
static int s_broken_build(char **argv)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 16);
    if (len < 0)
        len = 0;
    snprintf(path + len, sizeof path - (size_t)len, "-mutations");
    execv(path, argv);
    perror(path);
    return 2;
}

static bool s_needs_broken_build(const arguments_t *arguments)
{
#ifdef IXN_MUTATIONS
    (void)arguments;
    return false;
#else
    return arguments->mutations || arguments->mutation;
#endif
}

int main(int argc, char **argv)
{
    arguments_t arguments;
    if (!s_read(argc, argv, &arguments))
        return s_usage();
    if (s_needs_broken_build(&arguments))
        return s_broken_build(argv);
    if (arguments.mutation && !mutation_break(arguments.mutation))
        return 2;
    if (arguments.mutations)
        return mutations_run(arguments.seeds ? arguments.seeds : 2000);
    if (arguments.one && arguments.minimize)
        return minimize(arguments.seed, &arguments.plan) ? 1 : 0;
    if (arguments.one)
        return run_one(arguments.seed, &arguments.plan, arguments.trace) ? 0 : 1;
    run_result_t result;
    const run_options_t options = {
        .from = arguments.from, .seeds = arguments.seeds, .jobs = arguments.jobs};
    run_many(&options, &result);
    printf("%llu seeds, %llu violations, %.1f seeds/s\n", (unsigned long long)result.seeds,
           (unsigned long long)result.violations, (double)result.seeds / result.seconds);
    return result.violations ? 1 : 0;
}
