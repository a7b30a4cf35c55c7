/* Server: the shell of the pure pair (ha/pair.h): one thread, one loop over the client port, the
 * peer link and the lanes of the database. No decisions in it: it carries inputs in and actions
 * out.
 */
#ifndef IXN_APPS_IXND_SERVER_H
#define IXN_APPS_IXND_SERVER_H

#include <signal.h>

#include "config/config.h"

/* Set by signal handlers: asked to stop, asked to reload (which sets it back). */
typedef struct {
    const volatile sig_atomic_t *stop;
    volatile sig_atomic_t *reload;
} server_signals_t;

/* Runs until the pair says that the process ends. `path`: the file of the configuration, read again
 * at a reload; `config` is the server's from now on. False and an error when an operator is needed
 * or, without a peer, another node has taken over. */
bool server_run(const char *path, config_t *config, const server_signals_t *signals,
                error_t *ret_error);

#endif
