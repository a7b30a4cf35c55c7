#include "core/base/log.h"

#include <errno.h>
#include <execinfo.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 2000, EVENTS = 64, LAST_LINES = 32, LAST_SIZE = 400 };

/* How many lines of an event went out in this second, and how many did not. */
typedef struct {
    const char *event;
    int level;
    time_t second;
    uint32_t lines;
    uint32_t held_back;
} count_t;

static atomic_int s_level = LOG_LEVEL_INFO;
static atomic_int s_limit;           /* lines of one event in a second; 0: none */
static atomic_bool s_has_last_words; /* lines below the level are kept, too */
static pthread_mutex_t s_lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows */
static count_t s_counts[EVENTS];
static char s_last[LAST_LINES][LAST_SIZE]; /* a ring: the newest lines, also those not written */
static size_t s_last_next;

void log_set_level(int level)
{
    atomic_store(&s_level, level);
}

void log_set_limit(int lines_a_second)
{
    atomic_store(&s_limit, lines_a_second);
}

/* A line end inside a value would forge a second event. */
static void s_flatten(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            *text = ' ';
}

/* The journal of systemd reads standard error: it has the time already, and wants the priority in
 * front (systemd.exec(5), JOURNAL_STREAM; sd-daemon(3)). */
static bool s_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

static size_t s_begin(char line[LINE], int level, const char *event, const struct timespec *now)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    static const int priorities[] = {7, 6, 4, 3};
    if (s_is_journal())
        return (size_t)snprintf(line, LINE, "<%d>%s %s ", priorities[level], names[level], event);
    struct tm calendar;
    gmtime_r(&now->tv_sec, &calendar);
    size_t len = strftime(line, LINE, "%Y-%m-%dT%H:%M:%S", &calendar);
    return len + (size_t)snprintf(line + len, LINE - len, ".%06ldZ %s %s ", now->tv_nsec / 1000,
                                  names[level], event);
}

/* A log that cannot be written must not stop the server. */
static void s_write(char line[LINE])
{
    size_t len = strlen(line);
    line[len] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len + 1);
    (void)written;
    line[len] = '\0';
}

/* ---- Not too many of one event ---- */

static bool s_is_over(const count_t *count, time_t second)
{
    return !count->event || (count->second != second && count->held_back == 0);
}

/* The count of this event in this second; NULL: there is no room for one more event, which then has
 * no limit. */
static count_t *s_count(int level, const char *event, time_t second)
{
    count_t *free_count = NULL;
    for (size_t i = 0; i < EVENTS; i++) {
        count_t *count = &s_counts[i];
        bool over = s_is_over(count, second);
        if (!over && strcmp(count->event, event) == 0)
            return count;
        if (over)
            free_count = count;
    }
    if (free_count)
        *free_count = (count_t){.event = event, .level = level, .second = second};
    return free_count;
}

static bool s_is_held_back(int level, const char *event, time_t second)
{
    uint32_t limit = (uint32_t)atomic_load(&s_limit);
    count_t *count = limit ? s_count(level, event, second) : NULL;
    if (!count)
        return false;
    if (count->lines < limit) {
        count->lines++;
        return false;
    }
    count->held_back++;
    return true;
}

/* Of seconds that are over. */
static void s_tell_held_back(const struct timespec *now)
{
    static time_t told;
    char line[LINE];
    if (told == now->tv_sec)
        return;
    told = now->tv_sec;
    for (size_t i = 0; i < EVENTS; i++) {
        count_t *count = &s_counts[i];
        if (count->held_back == 0 || count->second == now->tv_sec)
            continue;
        size_t len = s_begin(line, count->level, "log.held_back", now);
        snprintf(line + len, LINE - len - 1, "event=%s lines=%" PRIu32 " limit=%d", count->event,
                 count->held_back, atomic_load(&s_limit));
        s_write(line);
        count->held_back = 0;
    }
}

/* ---- A line ---- */

static void s_keep(const char *line)
{
    size_t len = strnlen(line, LAST_SIZE - 1);
    memcpy(s_last[s_last_next], line, len);
    s_last[s_last_next][len] = '\0';
    s_last_next = (s_last_next + 1) % LAST_LINES;
}

void log_line(int level, const char *event, const char *format, ...)
{
    bool wanted = level >= atomic_load(&s_level);
    int kept_errno = errno;
    struct timespec now;
    char line[LINE];
    if (!wanted && !atomic_load(&s_has_last_words))
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    size_t len = s_begin(line, level, event, &now);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + len, sizeof line - len - 1, format, arguments);
    va_end(arguments);
    s_flatten(line);
    pthread_mutex_lock(&s_lock);
    s_keep(line);
    s_tell_held_back(&now);
    if (wanted && !s_is_held_back(level, event, now.tv_sec))
        s_write(line);
    pthread_mutex_unlock(&s_lock);
    errno = kept_errno;
}

/* ---- Last words ---- */

static void s_put(const char *text, size_t max)
{
    ssize_t written = write(STDERR_FILENO, text, strnlen(text, max));
    (void)written;
}

/* The first backtrace loads a library. */
void log_prepare_last_words(void)
{
    void *frame;
    backtrace(&frame, 1);
    atomic_store(&s_has_last_words, true);
}

/* Only what a handler of a signal may do; another thread may be writing a line meanwhile. */
void log_last_words(int signal)
{
    char number[] = "00";
    void *frames[64];
    number[0] = (char)('0' + signal / 10 % 10);
    number[1] = (char)('0' + signal % 10);
    s_put("log.last_words signal=", LINE);
    s_put(number, sizeof number);
    s_put("\n", 1);
    for (size_t i = 0; i < LAST_LINES; i++) {
        const char *line = s_last[(s_last_next + i) % LAST_LINES];
        if (!line[0])
            continue;
        s_put("| ", 2);
        s_put(line, LAST_SIZE);
        s_put("\n", 1);
    }
    int len = backtrace(frames, (int)(sizeof frames / sizeof *frames));
    backtrace_symbols_fd(frames, len, STDERR_FILENO);
}
