/* DAP memory: the routes by which this node last reached the database that was proven to be its
 * own, in file "daps" of state_dir. So a route of the configuration that leads elsewhere does not
 * keep the node from its database, also after a restart.
 *
 * Promises: written atomically (temporary file, fsync, rename, fsync of the folder), readable by
 * its owner alone, since connection strings hold passwords; what cannot be read is never guessed
 * at.
 */
#ifndef IXN_APPS_STATE_DAP_MEMORY_H
#define IXN_APPS_STATE_DAP_MEMORY_H

#include "config/config.h"

#define DAP_MEMORY_MAX 16 /* as many as a configuration may have */

bool dap_memory_write(const char *state_dir, const config_dap_t *daps, size_t len,
                      error_t *ret_error);
/* At most `max`; 0 where there is no such file. False: there is one, but it makes no sense. */
bool dap_memory_read(const char *state_dir, config_dap_t *daps, size_t max, size_t *ret_len,
                     error_t *ret_error);

#endif
