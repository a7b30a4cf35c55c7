/* Source: everything that the operator named, as a sequence of submissions.
 *
 * Files are JSON Lines, mbox or single messages, plain or gzip; folders are Maildirs or folders of
 * such files, at any depth. What a file is, is seen from its first bytes unless it is said.
 *
 * Promises: one broken line or file never ends the sequence; the memory is that of one message.
 */
#ifndef IXNCTL_SOURCE_H
#define IXNCTL_SOURCE_H

#include "apps/ixnctl/parts/mail.h"
#include "apps/ixnctl/parts/submission.h"

typedef struct source source_t;

typedef enum { FORMAT_AUTO, FORMAT_JSONL, FORMAT_MBOX, FORMAT_MAILDIR, FORMAT_EML } source_format_t;

/* "auto", "jsonl", "mbox", "maildir", "eml". */
bool source_format_parse(const char *name, source_format_t *ret_format);

/* Finds all files first; `paths` end with NULL. The defaults and what they point to stay the
 * caller's and must outlive the source. NULL and an error that names the path when one is not
 * there, cannot be read, or holds no file. */
source_t *source_new(const char *const *paths, source_format_t format,
                     const submission_defaults_t *defaults, error_t *ret_error);
void source_destroy(source_t **self_p);

typedef enum {
    SOURCE_ITEM,    /* in the submission */
    SOURCE_REFUSED, /* a line that is no submission; the error names file and line */
    SOURCE_FAILED,  /* a file that cannot be read (any further); the error names it */
    SOURCE_END,
} source_result_t;

source_result_t source_next(source_t *self, submission_t *ret_submission, error_t *ret_error);

/* Where the last item came from: "FILE:LINE". Valid until the next call. */
const char *source_where(const source_t *self);

typedef struct {
    uint64_t files;
    uint64_t bytes;                 /* of input, as on disk, taken so far */
    uint64_t bytes_total;           /* 0: not known (a pipe) */
    uint64_t notes[MAIL_NOTES_LEN]; /* how many messages */
} source_progress_t;

void source_progress(const source_t *self, source_progress_t *ret_progress);

#endif
