/* Log: one line an event, structured (logfmt): time, level, event, then key=value pairs.
 *
 *   2026-01-31T12:00:00.123456Z info node.serving epoch=3 index=1201
 *
 * Under the journal of systemd the time is left out, and the priority stands in front.
 *
 * For shells only: the engine, the balancer and the pair logic never log (a test proves it).
 * Thread-safe (one write(2) a line). Never put a secret into a line.
 */
#ifndef IXN_BASE_LOG_H
#define IXN_BASE_LOG_H

#include <stdarg.h>

enum { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* Lines below this level are dropped; INFO from the start. Standard error is written to. */
void log_set_level(int level);
/* Of one event at most so many lines go out in a second; how many did not is said in a later one
 * (log.held_back). 0, from the start: no limit, as for programs whose lines are their output. */
void log_set_limit(int lines_a_second);

/* `event` is a dotted name ("dap.lost"); `format` makes the key=value pairs; a value with spaces
 * must be given in quotes ("error=\"%s\""). Line ends and control characters become
 * spaces. */
void log_line(int level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For the handler of a signal that ends the process: its number, the newest lines of the log, also
 * those below the level, and where it was. Calls nothing that a handler may not call, once
 * log_prepare_last_words was called. */
void log_last_words(int signal);
void log_prepare_last_words(void);

#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
