/* Mailbox: cuts an mbox file into its messages.
 *
 * A value that is fed line by line, so that a mailbox of any size is read in the memory of one
 * message. GMime's own mbox reader is not used: it takes every line that begins with "From " for
 * the start of a message, and has no bound on a message.
 *
 * A message begins at a line "From SENDER DATE", where DATE holds a time and a year, as all writers
 * of mbox make it. Prose that happens to begin with "From " does not. Lines that the writer quoted
 * (">From ", ">>From ") lose one ">".
 */
#ifndef IXNCTL_MAILBOX_H
#define IXNCTL_MAILBOX_H

#include <stdbool.h>

#include "core/base/buffer.h"
#include "core/base/types.h"

/* The rest of a longer message is dropped. */
#define MAILBOX_MESSAGE_SIZE ((size_t)32 * 1024 * 1024)

typedef struct {
    buffer_t message; /* the message being collected, or the one that is complete */
    bool inside;      /* between the first separator and the end */
    bool complete;    /* `message` is complete and goes with the next line */
    bool cut;         /* it was longer than MAILBOX_MESSAGE_SIZE */
} mailbox_t;

/* True when `line` (with or without its line end) separates messages. */
bool mailbox_is_separator(text_t line);

/* Takes a line with its end, or, when `begins` is false, the continuation of a very long one. True
 * when a message is complete: it is in `message` until the next call. What comes before the first
 * separator is ignored. */
bool mailbox_take(mailbox_t *self, text_t line, bool begins);
/* No more lines: true when there is a last message. */
bool mailbox_finish(mailbox_t *self);
void mailbox_free(mailbox_t *self);

#endif
