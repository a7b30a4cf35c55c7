/* Tally: what became of everything that was read, and how the command ends.
 */
#ifndef IXNCTL_TALLY_H
#define IXNCTL_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "apps/ixnctl/parts/source.h"
#include "core/base/buffer.h"
#include "core/base/error.h"

#define TALLY_REASONS 32
#define TALLY_EXAMPLE_SIZE 600

/* Exit codes of all commands. */
enum {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,       /* the node or the database said no */
    EXIT_USAGE = 2,         /* the command line or a file it names is wrong; nothing was done */
    EXIT_NOT_REACHABLE = 3, /* nothing was answered */
    EXIT_PARTLY = 4,        /* some of it was done; the summary says what */
};

typedef struct {
    error_code_t code;
    uint64_t count;
    char example[TALLY_EXAMPLE_SIZE]; /* the first one: where and why */
} tally_reason_t;

typedef struct {
    uint64_t read;       /* messages and lines found */
    uint64_t submitted;  /* acknowledged by the node */
    uint64_t repeated;   /* of these, those whose interaction had been acknowledged in this run */
    uint64_t refused;    /* lines that are no submission, and what the node refused */
    uint64_t unanswered; /* sent; whether they were done is not known */
    uint64_t failed;     /* files that could not be read */
    bool interrupted;    /* the input was not read to its end */
    tally_reason_t reasons[TALLY_REASONS];
    size_t reasons_len;
} tally_t;

/* Notes why something was refused or failed; the caller counts it in its field. `where` may be
 * "". */
void tally_reason(tally_t *self, error_code_t code, const char *where, const char *sentence);

int tally_exit_code(const tally_t *self);

/* The summary, for people (lines) or programs (one line of JSON). */
void tally_print(const tally_t *self, const source_progress_t *input, double elapsed,
                 buffer_t *out);
void tally_print_json(const tally_t *self, const source_progress_t *input, double elapsed,
                      buffer_t *out);

#endif
