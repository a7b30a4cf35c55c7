/* Jsonl: one line of JSON Lines, read into a submission. Two forms:
 *
 *   {"subject":"Hello","text":"…"}            the object is the attributes
 *   {"queue":"support","attributes":{…}}      an envelope: an object whose "attributes" is an
 * object
 *
 * An envelope may hold queue, media_type, type, subtype, external_id, key (texts), priority (whole
 * number), hold (boolean), parent_id (UUID), received_at (ISO 8601 with its offset), attributes.
 * Any other member is refused: it would be lost.
 */
#ifndef IXNCTL_JSONL_H
#define IXNCTL_JSONL_H

#include "apps/ixnctl/parts/submission.h"

/* Reads a line into a submission that was reset to the defaults. False and an error that says what
 * and at which column; the caller knows file and line. */
bool jsonl_read(submission_t *self, text_t line, error_t *ret_error);

#endif
