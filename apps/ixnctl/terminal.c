/* Terminal: see terminal.h. */
#include "apps/ixnctl/terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\x1b[?1049h\x1b[?25l" /* the other screen, no cursor */
#define LEAVE "\x1b[?25h\x1b[?1049l"

static struct termios s_before;
static bool s_entered;
static volatile sig_atomic_t s_end;
static volatile sig_atomic_t s_changed;

static void s_on_signal(int signal_number)
{
    if (signal_number == SIGWINCH || signal_number == SIGCONT)
        s_changed = 1;
    else
        s_end = 1;
}

static void s_write(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        return; /* whoever had that screen is gone */
}

static bool s_take(void)
{
    struct termios raw = s_before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
    raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0)
        return false;
    s_write(ENTER);
    s_entered = true;
    return true;
}

bool terminal_enter(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT};
    static bool once;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &s_before) != 0)
        return false;
    /* Without SA_RESTART, so that waiting ends. */
    const struct sigaction action = {.sa_handler = s_on_signal};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    if (!once)
        atexit(terminal_leave);
    once = true;
    return s_take();
}

void terminal_leave(void)
{
    if (!s_entered)
        return;
    s_entered = false;
    s_write(LEAVE);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &s_before);
}

void terminal_stop(void)
{
    terminal_leave();
    kill(0, SIGTSTP); /* the whole job, as the key does */
    s_take();
}

void terminal_size(size_t *ret_rows, size_t *ret_columns)
{
    struct winsize size = {0};
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    *ret_rows = known && size.ws_row ? size.ws_row : 24;
    *ret_columns = known && size.ws_col ? size.ws_col : 80;
}

bool terminal_must_end(void)
{
    return s_end;
}

bool terminal_has_changed(void)
{
    const bool changed = s_changed;
    s_changed = 0;
    if (changed && s_entered)
        s_take(); /* who stopped it from outside left the terminal as it liked */
    return changed;
}
