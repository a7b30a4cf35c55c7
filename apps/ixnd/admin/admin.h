/* Admin: the admin port of a node, in a thread of its own. It never touches what the node's thread
 * owns: what it shows, it asks for by the node's client port, in the published contract, as any
 * operator's tool could; what it changes, it changes by the same requests. So the node does a
 * bounded amount of work for it, and nothing that the log decides is shown before it is committed.
 */
#ifndef IXN_ADMIN_ADMIN_H
#define IXN_ADMIN_ADMIN_H

#include "config/config.h"
#include "core/base/error.h"

typedef struct admin admin_t;

/* Binds config->admin_endpoint and starts the thread. `config` is read during the call only.
 * `client_endpoint`: where this node's client port can be reached from here. NULL and an error when
 * it cannot be bound, or when a file it needs cannot be used. */
admin_t *admin_new(const config_t *config, const char *client_endpoint, error_t *ret_error);
void admin_destroy(admin_t **self_p);
/* Another configuration is in force: what it shows of it, and its ways to the database. What needs
 * a restart (the section admin itself) stays as it was. `config` is read during the call only. */
void admin_configure(admin_t *self, const config_t *config);

/* How browsers and the other node find it, such as https://node-a:7430; empty when it is bound to
 * every address and so has none that it knows. */
void admin_url(const config_t *config, char url[CONFIG_PATH_SIZE]);

#endif
