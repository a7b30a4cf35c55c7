/* Terminal: the screen and the keyboard of whoever sits there, borrowed: what it was like comes
 * back however the program ends, short of SIGKILL.
 */
#ifndef IXNCTL_TERMINAL_H
#define IXNCTL_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Takes the keyboard (keys come one by one and unseen, Ctrl-C and Ctrl-Z as keys) and a screen of
 * its own, and hears signals. False: this is no terminal. */
bool terminal_enter(void);
void terminal_leave(void); /* also when it was not entered */
/* Ctrl-Z: leaves, stops until the shell lets it go on, enters again. */
void terminal_stop(void);

void terminal_size(size_t *ret_rows, size_t *ret_columns);
/* A signal has said that the program must end; or that the size may be another one, or that the
 * program went on after a stop (which is forgotten by asking). */
bool terminal_must_end(void);
bool terminal_has_changed(void);

#endif
