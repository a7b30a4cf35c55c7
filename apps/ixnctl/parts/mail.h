/* Mail: one message as it came from outside, read into the attributes of an interaction.
 *
 * GMime reads the MIME. Promises: no message is refused; what is broken is repaired to valid UTF-8
 * and noted; the attributes are bounded, so that a hostile message is no larger than an honest one:
 *
 *   message_id    text, null when there is none (without <>)
 *   subject       text, one line
 *   from_name     text, one line
 *   from_address  text
 *   to            list of addresses (To and Cc), at most MAIL_LIST
 *   date          ISO 8601 in UTC, null when there is no valid one
 *   text          the text/plain parts, otherwise what a reader sees of the HTML
 *   size          bytes of the whole message
 *   attachments   list of {name, type, size in bytes, decoded}, at most MAIL_LIST
 */
#ifndef IXNCTL_MAIL_H
#define IXNCTL_MAIL_H

#include "core/base/buffer.h"
#include "core/base/limits.h"
#include "core/base/types.h"

#define MAIL_LIST 50
#define MAIL_TEXT_DEFAULT ((size_t)64 * 1024)
/* JSON may double a text (every character escaped); the rest of the attributes stays below 96 KiB.
 */
#define MAIL_TEXT_MAX ((size_t)(LIMIT_ATTRIBUTES - 96 * 1024) / 2)

/* What had to be done to a message. X(NAME, name in JSON, words for a person). */
#define MAIL_NOTES(X)                                                                              \
    X(NO_MESSAGE_ID, "no_message_id", "without a Message-ID")                                      \
    X(NO_DATE, "no_date", "without a valid Date")                                                  \
    X(HEADER, "header_repaired", "with 8-bit or broken headers, repaired")                         \
    X(CHARSET, "text_repaired", "with text in a wrong or unknown charset, repaired")               \
    X(STRUCTURE, "structure_broken", "with broken MIME structure, read as far as it goes")         \
    X(TEXT_CUT, "text_cut", "with a text cut at --max-text")

typedef enum {
#define X(name, json, words) MAIL_##name,
    MAIL_NOTES(X)
#undef X
        MAIL_NOTES_LEN
} mail_note_t;

/* Names in JSON and words for people, MAIL_NOTES_LEN each. */
extern const char *const mail_note_names[];
extern const char *const mail_note_words[];

typedef struct {
    buffer_t attributes; /* a JSON object */
    char
        external_id[LIMIT_TEXT + 1]; /* the Message-ID, cut at a character; "" when there is none */
    unsigned notes;                  /* bits 1 << mail_note_t */
} mail_t;

/* Once a process, before the first mail_read. */
void mail_prepare(void);

/* Reads a message. `self` is `{0}` or one that was read before: its memory is used again.
 * `max_text` bounds the attribute `text`, in bytes of UTF-8. */
void mail_read(mail_t *self, text_t raw, size_t max_text);
void mail_free(mail_t *self);

#endif
