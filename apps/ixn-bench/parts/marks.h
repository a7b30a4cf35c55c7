/* Marks: one bit for each submit of a run, by its number; set by any thread. How a run knows which
 * of its submits were acknowledged or completed, and whether one was completed twice, at the price
 * of a bit each.
 */
#ifndef IXN_BENCH_MARKS_H
#define IXN_BENCH_MARKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MARKS_CHUNK (1u << 20) /* numbers in a chunk */
#define MARKS_CHUNKS 4096
#define MARKS_MAX ((uint64_t)MARKS_CHUNK * MARKS_CHUNKS)

/* A value; `{0}` has no mark. Not to be copied. */
typedef struct {
    _Atomic(_Atomic uint64_t *) chunks[MARKS_CHUNKS];
} marks_t;

void marks_free(marks_t *self);

/* Sets the mark of `number`; true when it was set before. Numbers from MARKS_MAX on have none:
 * false.
 */
bool marks_set(marks_t *self, uint64_t number);
/* How many numbers have a mark in `self`, but none in `other`. No thread may set any meanwhile. */
uint64_t marks_count_without(const marks_t *self, const marks_t *other);

#endif
