/* View: messages of the contract as JSON, as the admin port and ixnctl show them. Pure. Each
 * returns a new reference. Times are RFC 3339 in UTC; ids are UUIDs as text.
 */
#ifndef IXN_VIEWS_VIEW_H
#define IXN_VIEWS_VIEW_H

#include <jansson.h>

#include "core/base/types.h"
#include "core/wire/client.pb-c.h"

json_t *view_text(const char *text);     /* what is no UTF-8 is shown as '?' */
json_t *view_time(usec_t wall);          /* null: 0 */
json_t *view_id(ProtobufCBinaryData id); /* null: not 16 bytes */

json_t *view_node(const Ixn__V1__PairNode *node);
/* What one node says of the pair; `age` since it said so. */
json_t *view_pair(const Ixn__V1__PairStatus *status, usec_t age);
json_t *view_queue(const Ixn__V1__Queue *queue, usec_t wall_now);
json_t *view_interaction(const Ixn__V1__Interaction *interaction, bool whole);

#endif
