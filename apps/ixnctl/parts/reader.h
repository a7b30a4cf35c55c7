/* Reader: the lines of one file, plain or gzip (zlib tells them apart), or of standard input.
 *
 * A line of any length is read in bounded memory: it comes in pieces.
 */
#ifndef IXNCTL_READER_H
#define IXNCTL_READER_H

#include <stdbool.h>

#include "core/base/error.h"
#include "core/base/types.h"

typedef struct reader reader_t;

/* `path` "-" is standard input. NULL and a SYSTEM error that names the file otherwise. */
reader_t *reader_new(const char *path, error_t *ret_error);
void reader_destroy(reader_t **self_p);

/* The first bytes of what is not read yet (at most 64 KiB); empty at the end. False when reading
 * fails. */
bool reader_peek(reader_t *self, text_t *ret_bytes, error_t *ret_error);

typedef enum { READER_LINE, READER_END, READER_FAILED } reader_result_t;

typedef struct {
    text_t text;     /* with its line end, if it has one; valid until the next call */
    bool begins;     /* the beginning of a line, not the continuation of a long one */
    uint64_t number; /* of the line, from 1 */
} reader_line_t;

reader_result_t reader_line(reader_t *self, reader_line_t *ret_line, error_t *ret_error);

/* Bytes of the file, as it is on disk, that were taken from it so far. */
uint64_t reader_position(const reader_t *self);

#endif
