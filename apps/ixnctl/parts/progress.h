/* Progress: one line that says how far a long command is, for a terminal or for a log. Pure: the
 * caller tells the time and prints.
 */
#ifndef IXNCTL_PROGRESS_H
#define IXNCTL_PROGRESS_H

#include <stdint.h>

#include "core/base/buffer.h"

typedef struct {
    uint64_t bytes;       /* of input, done */
    uint64_t bytes_total; /* 0: not known */
    uint64_t items;       /* done */
    double elapsed;       /* seconds */
} progress_t;

/* Appends a line for a terminal of this many columns, without a line end and never wider:
 * "[######------]  52%  14.6 MiB of 28.0 MiB  41,200 submitted  5,150/s  7.2s left". */
void progress_bar(const progress_t *self, size_t width, buffer_t *out);
/* Appends a line for a log, without a line end. */
void progress_line(const progress_t *self, buffer_t *out);

#endif
