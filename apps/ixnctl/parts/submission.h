/* Submission: one interaction that is to be submitted, whatever it was read from.
 *
 * Its key is made from its content, so that the same input submitted twice is one interaction
 * within the node's dedupe window.
 */
#ifndef IXNCTL_SUBMISSION_H
#define IXNCTL_SUBMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/id.h"
#include "core/base/limits.h"

#define SUBMISSION_NAME_SIZE (LIMIT_NAME + 1)

typedef struct {
    char queue[SUBMISSION_NAME_SIZE];
    char media_type[SUBMISSION_NAME_SIZE];
    char type[SUBMISSION_NAME_SIZE];
    char subtype[SUBMISSION_NAME_SIZE];
    char external_id[LIMIT_TEXT + 1];
    int32_t priority;
    bool hold;
    id128_t parent_id;       /* zero: none */
    int64_t received_at_us;  /* 0: when the node accepts it */
    char key[LIMIT_KEY + 1]; /* "": a random one */
    buffer_t attributes;     /* a JSON object */
} submission_t;

/* What the operator said for everything that does not say it itself. */
typedef struct {
    const char *queue;      /* NULL: each one must name its queue */
    const char *media_type; /* NULL: "email" for mail, otherwise each one must say it */
    const char *type;
    const char *subtype;
    int32_t priority;
    bool hold;
    bool again;      /* random keys: submit also what was submitted before */
    size_t max_text; /* of a mail's text */
} submission_defaults_t;

/* Empties it and takes the defaults over; keeps the memory of the attributes. */
void submission_reset(submission_t *self, const submission_defaults_t *defaults);
void submission_free(submission_t *self);

/* False and an error that names the field and its bound when a name is missing, too long or not
 * UTF-8. */
bool submission_check(const submission_t *self, error_t *ret_error);

/* A number that stands for the content: all fields but the key, and `more` (what the attributes
 * leave out of the source; may be empty). */
id128_t submission_hash(const submission_t *self, text_t more);
/* Makes the key from it: "PREFIX-" and 32 digits. `prefix` has at most 16 bytes. */
void submission_make_key(submission_t *self, const char *prefix, id128_t hash);

#endif
