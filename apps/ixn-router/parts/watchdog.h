/* Watchdog: ends the process when one step of a script keeps the thread inside a single library
 * call (a pattern that backtracks for ever), which no instruction hook can interrupt.
 *
 * Promises: it counts the CPU time of the thread that started it, so a stopped or starved process
 * is not ended; before it ends, it says which strategy and interaction it was. The node then sees
 * the router's loss, and after repeated losses quarantines that interaction. One a process.
 */
#ifndef IXN_ROUTER_WATCHDOG_H
#define IXN_ROUTER_WATCHDOG_H

#include <stdint.h>

#include "core/base/error.h"
#include "core/base/id.h"

#define WATCHDOG_EXIT 70 /* the exit status (EX_SOFTWARE) */

/* From now on a step of this thread may use about `limit_ms` of CPU time. */
bool watchdog_start(uint32_t limit_ms, error_t *ret_error);
/* Around every step; `strategy` is valid until leave. */
void watchdog_enter(const char *strategy, id128_t interaction_id);
void watchdog_leave(void);

#endif
