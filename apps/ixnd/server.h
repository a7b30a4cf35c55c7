/* Server: the shell of the pure pair (ha/pair.h): one thread, one loop over the client port, the
 * peer link and the lanes of the database. No decisions in it: it carries inputs in and actions
 * out.
 */
#ifndef IXN_APPS_IXND_SERVER_H
#define IXN_APPS_IXND_SERVER_H

#include <signal.h>

#include "config/config.h"

/* Runs until the pair says that the process ends; `*stop` becomes true when it is asked to. False
 * and an error when an operator is needed or, without a peer, another node has taken over. */
bool server_run(const config_t *config, const volatile sig_atomic_t *stop, error_t *ret_error);

#endif
