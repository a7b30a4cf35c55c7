/* When: moments as operators write them. */
#ifndef IXNCTL_WHEN_H
#define IXNCTL_WHEN_H

#include <stdbool.h>
#include <time.h>

/* HH:MM or HH:MM:SS (the next such moment after `now`, in local time), or an ISO 8601 time
 * YYYY-MM-DDTHH:MM[:SS] (local; with Z behind it UTC; a space will do for the T). False: none of
 * these. */
bool when_parse(const char *text, time_t now, time_t *ret_time);

#endif
