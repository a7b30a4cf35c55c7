/* Server: the loop of a serving node. Carries inputs into the pure node and its actions out;
 * decides nothing itself.
 */
#ifndef IXN_APPS_IXND_SERVER_H
#define IXN_APPS_IXND_SERVER_H

#include "apps/ixnd/start.h"

/* Serves until `*stop` or until the node must not go on. Takes over started->state. True: stopped
 * in order. */
bool server_run(const config_t *config, started_t *started, const volatile sig_atomic_t *stop,
                error_t *ret_error);

#endif
