/* Record: what a run was told by the node, one JSON object a line, for a checker to hold against
 * the database afterwards. Each thread has its own record; all append to one file by whole lines.
 *
 *   {"event":"acknowledged","key":"…","id":"…","at_us":…}
 *   {"event":"refused","key":"…","code":"…"}
 *   {"event":"unknown","key":"…"}                     never answered: may or may not be there
 *   {"event":"completed","id":"…","epoch":…,"index":…,"at_us":…}   this token's result was accepted
 */
#ifndef IXN_BENCH_RECORD_H
#define IXN_BENCH_RECORD_H

#include "core/base/id.h"

typedef struct record record_t;

/* NULL when the file cannot be opened; says so on standard error. */
record_t *record_new(const char *path);
/* Writes what is left; takes NULL. */
void record_destroy(record_t **self_p);

/* With a NULL record these do nothing. Keys are 16 bytes. */
void record_acknowledged(record_t *self, id128_t key, id128_t id);
void record_refused(record_t *self, id128_t key, const char *code);
void record_unknown(record_t *self, id128_t key);
void record_completed(record_t *self, id128_t id, uint64_t epoch, uint64_t index);
void record_flush(record_t *self);

#endif
