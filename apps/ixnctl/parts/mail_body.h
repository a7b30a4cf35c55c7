/* Mail body: the text and the list of attachments of a message's parts.
 *
 * Of a multipart/alternative one part is taken: the first with a plain text that says something,
 * otherwise the first with HTML that does. Of other multiparts all texts, in their order. What is
 * marked as an attachment, and what is no text, is listed.
 */
#ifndef IXNCTL_MAIL_BODY_H
#define IXNCTL_MAIL_BODY_H

#include <gmime/gmime.h>
#include <jansson.h>
#include <stdbool.h>

#include "core/base/buffer.h"

typedef struct {
    size_t max_text;     /* given */
    json_t *attachments; /* given: an empty array */
    buffer_t text;       /* caller frees it */
    unsigned notes;      /* bits 1 << mail_note_t */
    size_t parts;        /* seen so far */
    bool only_list;      /* inside an alternative that was not taken */
} mail_body_t;

/* `root` may be NULL: a message without a body. */
void mail_body_read(mail_body_t *self, GMimeObject *root);

/* A text of a header as JSON: one clean line, cut at `max` bytes; NULL is the empty text. Sets
 * `ret_clean` (may be NULL) to false when it was not valid UTF-8. */
json_t *mail_body_line(const char *text, size_t max, bool *ret_clean);

#endif
