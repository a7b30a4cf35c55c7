/* Start: from a configuration to a loaded state under an epoch of our own. Blocks, tells its
 * progress in the log, and gives up only for what waiting cannot mend.
 */
#ifndef IXN_APPS_IXND_START_H
#define IXN_APPS_IXND_START_H

#include <signal.h>

#include "config/config.h"
#include "core/state.h"
#include "dap/database.h"

typedef struct {
    state_t *state; /* loaded; the caller owns it */
    database_status_t database;
    id128_t generation;
    const char *reason; /* why this epoch began; static */
} started_t;

/* Locks `state_dir` for the life of the process, so that one folder serves one node only. */
bool start_lock(const config_t *config, error_t *ret_error);

/* Tries until the database is there; `*stop` becomes true when the process is asked to end. Returns
 * false with an error for what only an operator can mend (another database, another node serves, no
 * schema), or with ERROR_OK in it when it was stopped. */
bool start(const config_t *config, const volatile sig_atomic_t *stop, started_t *ret_started,
           error_t *ret_error);

#endif
