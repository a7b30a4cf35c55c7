/* Node link: what one node of the pair says of itself, asked by its client port like anybody may,
 * without Register. A node that is asked again and again is asked one question at a time, so
 * however many watch, it does the work of one.
 */
#ifndef IXN_ADMIN_NODE_LINK_H
#define IXN_ADMIN_NODE_LINK_H

#include "core/base/error.h"
#include "core/base/types.h"
#include "core/wire/client.pb-c.h"

typedef struct node_link node_link_t;

/* `context` is libzmq's. Does not wait for a connection. NULL and an error: the endpoint is none.
 */
node_link_t *node_link_new(void *context, const char *endpoint, error_t *ret_error);
void node_link_destroy(node_link_t **self_p);
const char *node_link_endpoint(const node_link_t *self);
void *node_link_socket(node_link_t *self); /* to poll */

/* Asks how it is, unless it is being asked. */
void node_link_ask(node_link_t *self, usec_t now);
/* Tells it a command: to the pair, or about its configuration. The number by which its answer
 * comes. 0: it is not connected. */
uint64_t node_link_tell(node_link_t *self, const Ixn__V1__Request *command);

/* Takes what has arrived. True: a command was answered, `*ret_command` is its number, and the
 * error's code is OK when it was taken. Call until false. */
bool node_link_next(node_link_t *self, usec_t now, uint64_t *ret_command, error_t *ret_error);

/* What the command that was answered just now, about the configuration, has brought; NULL: nothing.
 * Valid until the next node_link_next. */
const Ixn__V1__ConfigAnswer *node_link_config(const node_link_t *self);

/* What it said last, NULL: nothing yet. Valid until the next node_link_next. */
const Ixn__V1__PairStatus *node_link_status(const node_link_t *self);
const Ixn__V1__Figures *node_link_figures(const node_link_t *self);
usec_t node_link_heard_at(const node_link_t *self); /* 0: never */
/* It was asked, has not answered, and that is not usual. */
bool node_link_is_silent(const node_link_t *self, usec_t now);

#endif
