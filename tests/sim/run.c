#include "tests/sim/run.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/clock.h"
#include "tests/sim/world.h"

enum {
    SEED_SECONDS = 60, /* a seed that takes longer hangs */
    TWICE = 16,        /* one seed in so many is run a second time: its trace must be the same */
};

/* ---- One seed ---- */

static void s_describe(const world_t *world, const char *what, char *text, size_t size)
{
    char options[700];
    options_print(&world->options, options, sizeof options);
    snprintf(text, size, "seed %llu: %.1200s [%.690s]", (unsigned long long)world->seed, what,
             options);
}

/* What a process that runs one plan reports: in a file that both see. */
static run_planned_t *s_planned;

static uint64_t s_run(uint64_t seed, const plan_t *plan, bool print, bool *ret_failed, char *text,
                      size_t size)
{
    world_t *world = world_new(seed, plan, print);
    if (print) {
        char options[700];
        options_print(&world->options, options, sizeof options);
        printf("seed %llu %s\n", (unsigned long long)seed, options);
    }
    world_run(world);
    uint64_t hash = world->trace_hash;
    *ret_failed = world->failed;
    if (s_planned)
        s_planned->faults = world->faults;
    if (world->failed)
        s_describe(world, world->violation, text, size);
    else if (print)
        printf("%3lld.%06lld all is well after %llu events, trace %016llx\n",
               (long long)(world->now / USEC_PER_SECOND), (long long)(world->now % USEC_PER_SECOND),
               (unsigned long long)world->happened, (unsigned long long)hash);
    world_destroy(&world);
    return hash;
}

static bool s_run_checked(uint64_t seed, const plan_t *plan, bool print, char *text, size_t size)
{
    bool failed;
    uint64_t hash = s_run(seed, plan, print, &failed, text, size);
    if (failed || print || seed % TWICE != 0)
        return !failed;
    uint64_t again = s_run(seed, plan, false, &failed, text, size);
    if (hash == again)
        return true;
    snprintf(text, size, "seed %llu: replay: its trace is %016llx, and the second time %016llx",
             (unsigned long long)seed, (unsigned long long)hash, (unsigned long long)again);
    return false;
}

bool run_one(uint64_t seed, const plan_t *plan, bool print)
{
    char text[2200] = "";
    bool ok = s_run_checked(seed, plan, print, text, sizeof text);
    if (!ok)
        printf("%s\n", text);
    return ok;
}

/* ---- Many: each job is a process that reports a line a seed; one that dies is replaced ---- */

typedef struct {
    pid_t pid;
    int pipe; /* its reports */
    uint64_t next;
    uint64_t step;
    uint64_t end;
    char line[2600];
    size_t len;
    bool over;
} job_t;

static int s_report;
static uint64_t s_seed;

static void s_write_line(const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t written = write(s_report, text, len);
        if (written <= 0)
            _exit(2);
        text += written;
        len -= (size_t)written;
    }
}

static void s_died(int number)
{
    static char text[2600];
    static char line[2700];
    const world_t *world = world_current();
    const char *name = number == SIGALRM ? "it hangs" : strsignal(number);
    if (world) {
        char what[100];
        snprintf(what, sizeof what, "dies at %lld.%06lld: %s",
                 (long long)(world->now / USEC_PER_SECOND),
                 (long long)(world->now % USEC_PER_SECOND), name);
        s_describe(world, what, text, sizeof text);
    } else {
        snprintf(text, sizeof text, "seed %llu: dies: %s", (unsigned long long)s_seed, name);
    }
    if (s_planned) {
        s_planned->failed = true;
        s_planned->faults = world ? world->faults : 0;
        snprintf(s_planned->what, sizeof s_planned->what, "%.1990s", text);
        _exit(3);
    }
    snprintf(line, sizeof line, "! %s\n", text);
    s_write_line(line);
    _exit(3);
}

static void s_catch_deaths(void)
{
    static const int deaths[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGALRM};
    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++)
        signal(deaths[i], s_died);
}

void run_planned(uint64_t seed, const plan_t *plan, run_planned_t *ret_result)
{
    s_planned =
        mmap(NULL, sizeof *s_planned, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(s_planned != MAP_FAILED);
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        char text[2200] = "";
        s_catch_deaths();
        s_seed = seed;
        alarm(SEED_SECONDS);
        s_planned->failed = !s_run_checked(seed, plan, false, text, sizeof text);
        snprintf(s_planned->what, sizeof s_planned->what, "%.1990s", text);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    *ret_result = *s_planned;
    munmap(s_planned, sizeof *s_planned);
    s_planned = NULL;
}

static void s_worker(const job_t *job)
{
    s_catch_deaths();
    for (uint64_t seed = job->next; seed < job->end; seed += job->step) {
        char text[2200] = "";
        char line[2300];
        s_seed = seed;
        alarm(SEED_SECONDS);
        bool ok = s_run_checked(seed, NULL, false, text, sizeof text);
        snprintf(line, sizeof line, "%s%s\n", ok ? "." : "! ", text);
        s_write_line(line);
    }
    exit(0); /* not at once: what counts coverage is written */
}

static void s_start(job_t *job, const job_t *jobs, unsigned jobs_len)
{
    int ends[2];
    fflush(stdout);
    CHECK(pipe(ends) == 0);
    job->pid = fork();
    CHECK(job->pid >= 0);
    if (job->pid == 0) {
        for (unsigned i = 0; i < jobs_len; i++)
            if (&jobs[i] != job && jobs[i].pid)
                close(jobs[i].pipe);
        close(ends[0]);
        s_report = ends[1];
        s_worker(job);
    }
    close(ends[1]);
    job->pipe = ends[0];
    job->len = 0;
}

static void s_line(job_t *job, const run_options_t *options, run_result_t *result)
{
    uint64_t seed = job->next;
    job->next += job->step;
    result->seeds++;
    if (job->line[0] == '.')
        return;
    if (result->violations++ == 0 || seed < result->first_seed) {
        result->first_seed = seed;
        snprintf(result->first, sizeof result->first, "%s", job->line + 2);
    }
    if (!options->quiet)
        printf("%s\n", job->line + 2);
    fflush(stdout);
}

/* False when the job has ended. */
static bool s_read(job_t *job, const run_options_t *options, run_result_t *result)
{
    char bytes[4096];
    ssize_t got = read(job->pipe, bytes, sizeof bytes);
    for (ssize_t i = 0; i < got; i++) {
        if (bytes[i] != '\n') {
            if (job->len + 1 < sizeof job->line)
                job->line[job->len++] = bytes[i];
            continue;
        }
        job->line[job->len] = 0;
        job->len = 0;
        s_line(job, options, result);
    }
    return got > 0;
}

static void s_end(job_t *job)
{
    close(job->pipe);
    kill(job->pid, SIGKILL);
    waitpid(job->pid, NULL, 0);
    job->pid = 0;
}

static double s_now(void)
{
    return (double)clock_usec(CLOCK_MONOTONIC) / 1e6;
}

void run_many(const run_options_t *options, run_result_t *ret_result)
{
    job_t *jobs = memory_zero(options->jobs, sizeof *jobs);
    struct pollfd *polls = memory_zero(options->jobs, sizeof *polls);
    double began = s_now();
    *ret_result = (run_result_t){0};
    unsigned running = 0;
    for (unsigned i = 0; i < options->jobs; i++) {
        jobs[i].next = options->from + i;
        jobs[i].step = options->jobs;
        jobs[i].end = options->from + options->seeds;
        jobs[i].over = jobs[i].next >= jobs[i].end;
        if (jobs[i].over)
            continue;
        s_start(&jobs[i], jobs, options->jobs);
        running++;
    }
    while (running > 0 && !(options->stop_at_first && ret_result->violations)) {
        for (unsigned i = 0; i < options->jobs; i++)
            polls[i] = (struct pollfd){jobs[i].over ? -1 : jobs[i].pipe, POLLIN, 0};
        poll(polls, options->jobs, -1);
        for (unsigned i = 0; i < options->jobs; i++) {
            if (!polls[i].revents || s_read(&jobs[i], options, ret_result))
                continue;
            s_end(&jobs[i]);
            jobs[i].over = jobs[i].next >= jobs[i].end;
            if (jobs[i].over)
                running--;
            else
                s_start(&jobs[i], jobs, options->jobs);
        }
    }
    for (unsigned i = 0; i < options->jobs; i++)
        if (jobs[i].pid)
            s_end(&jobs[i]);
    ret_result->seconds = s_now() - began;
    free(jobs);
    free(polls);
}
