/* Marks: how many bytes of log lie between two places of it, as far as they went by here. What is
 * long ago is remembered less exactly, so that any length of log has room. Pure.
 */
#ifndef IXN_HA_MARKS_H
#define IXN_HA_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MARKS_LEN 2048

/* A value; `{0}` is empty. */
typedef struct {
    size_t len;
    struct {
        uint64_t index; /* the last one of a batch */
        uint64_t bytes; /* of all that went by until its end */
    } list[MARKS_LEN];
} marks_t;

/* A batch that continues the newest mark; otherwise they begin anew with it. */
void marks_add(marks_t *self, uint64_t first, uint64_t last, size_t bytes);

/* The bytes after `index` up to the newest mark; false: that far back nothing is known. Among marks
 * that were given up since, it is an estimate. */
bool marks_bytes_after(const marks_t *self, uint64_t index, uint64_t *ret_bytes);

#endif
