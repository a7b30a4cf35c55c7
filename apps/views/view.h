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

/* What the database lost and this node may write back; null: nothing is missing. */
json_t *view_heal(const Ixn__V1__PairHeal *heal);
/* Which of two nodes is told to write it back: the one that is worth more. 2: it would do it; 1: it
 * holds all that is missing, and says why not; 0: it does not; NULL: not heard, or too old. */
int view_heal_worth(const Ixn__V1__PairHeal *heal);
json_t *view_node(const Ixn__V1__PairNode *node);
/* What one node says of the pair; `age` since it said so. */
json_t *view_lag_bytes(const Ixn__V1__PairStatus *status); /* null: not known */
json_t *view_pair(const Ixn__V1__PairStatus *status, usec_t age);
json_t *view_queue(const Ixn__V1__Queue *queue, usec_t wall_now);
json_t *view_interaction(const Ixn__V1__Interaction *interaction, bool whole);

#endif
