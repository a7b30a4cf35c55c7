#include "apps/ixn-router/parts/watchdog.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Looks this often within the limit: a step is ended after at most a quarter more than it. */
#define LOOKS 4

/* The thread interrupts itself, so these need no atomics, only that they are written in order. */
static volatile uint64_t s_step;      /* number of the running step; even: none runs */
static volatile uint64_t s_step_seen; /* when the handler looked last */
static volatile sig_atomic_t s_looks; /* that found the same step */
static const char *volatile s_strategy;
static id128_t s_interaction_id;

/* In a signal handler: no printf, no allocation. */
static void s_end(void)
{
    static const char digits[] = "0123456789abcdef";
    char id[32];
    for (size_t i = 0; i < sizeof s_interaction_id.bytes; i++) {
        id[2 * i] = digits[s_interaction_id.bytes[i] >> 4];
        id[2 * i + 1] = digits[s_interaction_id.bytes[i] & 15];
    }
    static char first[] =
        "error router.hung the router ends itself: a library call of a script "
        "does not return; strategy=";
    static char second[] = " interaction=";
    static char end[] = "\n";
    char *strategy = (char *)(uintptr_t)s_strategy;
    struct iovec parts[] = {
        {first, sizeof first - 1},
        {strategy, strlen(strategy)},
        {second, sizeof second - 1},
        {id, sizeof id},
        {end, 1},
    };
    ssize_t written = writev(STDERR_FILENO, parts, 5);
    (void)written;
    _exit(WATCHDOG_EXIT);
}

static void s_look(int number)
{
    (void)number;
    uint64_t step = s_step;
    if (step % 2 == 0 || step != s_step_seen) {
        s_step_seen = step;
        s_looks = 0;
        return;
    }
    s_looks = s_looks + 1;
    if (s_looks >= LOOKS)
        s_end();
}

bool watchdog_start(uint32_t limit_ms, error_t *ret_error)
{
    struct sigaction action = {.sa_handler = s_look, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGVTALRM};
    timer_t timer;
    if (sigaction(SIGVTALRM, &action, NULL) != 0 ||
        timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) != 0)
        return error_set(ret_error, ERROR_SYSTEM, "the watchdog's timer cannot be made: %s",
                         strerror(errno));
    uint64_t period_ns = (uint64_t)limit_ms * 1000000 / LOOKS;
    struct itimerspec often = {
        .it_interval = {(time_t)(period_ns / 1000000000), (long)(period_ns % 1000000000)},
        .it_value = {(time_t)(period_ns / 1000000000), (long)(period_ns % 1000000000)},
    };
    if (timer_settime(timer, 0, &often, NULL) != 0)
        return error_set(ret_error, ERROR_SYSTEM, "the watchdog's timer cannot be set: %s",
                         strerror(errno));
    return true;
}

void watchdog_enter(const char *strategy, id128_t interaction_id)
{
    s_strategy = strategy;
    s_interaction_id = interaction_id;
    atomic_signal_fence(memory_order_seq_cst);
    s_step = s_step + 1;
}

void watchdog_leave(void)
{
    s_step = s_step + 1;
}
