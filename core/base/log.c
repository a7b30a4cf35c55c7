#include "core/base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int s_level = LOG_LEVEL_INFO;

void log_set_level(int level)
{
    atomic_store(&s_level, level);
}

/* A line end inside a value would forge a second event. */
static void s_flatten(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            *text = ' ';
}

void log_line(int level, const char *event, const char *format, ...)
{
    if (level < atomic_load(&s_level))
        return;
    static const char *const names[] = {"debug", "info", "warning", "error"};
    int kept_errno = errno;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm calendar;
    gmtime_r(&now.tv_sec, &calendar);
    char line[2000];
    size_t len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &calendar);
    len += (size_t)snprintf(line + len, sizeof line - len, ".%06ldZ %s %s ", now.tv_nsec / 1000,
                            names[level], event);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + len, sizeof line - len - 1, format, arguments);
    va_end(arguments);
    s_flatten(line);
    len = strlen(line);
    line[len++] = '\n';
    /* A log that cannot be written must not stop the server. */
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written;
    errno = kept_errno;
}
