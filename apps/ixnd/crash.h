/* Crash: what this process works on, in a mapped file of state_dir ("work"), and what the process
 * before it was working on when it died; and the list of what crashed nodes ("poison").
 *
 * Promises: noting costs no system call. A signal that ends the process is noted with the thread
 * that it struck, so that only that thread's work is blamed; a process that was killed without one
 * (SIGKILL, no memory left) blames whatever was in hand. The list is written and synced before the
 * note is cleared.
 */
#ifndef IXN_APPS_IXND_CRASH_H
#define IXN_APPS_IXND_CRASH_H

#include "core/base/error.h"
#include "ha/poison.h"

typedef struct crash crash_t;

/* Reads the list, counts what the process before died of, logs both. A folder that has no room for
 * the file is no reason not to serve: then nothing is noted, which is logged. NULL: the list is
 * there, but it makes no sense. */
crash_t *crash_open(const char *state_dir, usec_t wall_time, error_t *ret_error);
/* In order: nothing is in hand any more. */
void crash_close(crash_t **self_p);

const poison_t *crash_poison(const crash_t *self); /* as of the start */
desk_t *crash_desk(crash_t *self);                 /* of this thread; NULL: nothing is noted */
hand_t *crash_lane(crash_t *self, size_t number);  /* below CRASH_LANES; likewise */
enum { CRASH_LANES = 32 };

bool crash_remember(const char *state_dir, const poison_t *poison, error_t *ret_error);

#endif
