/* Show: one interaction, as a node tells it, for people or programs. */
#ifndef IXNCTL_SHOW_H
#define IXNCTL_SHOW_H

#include "apps/ixnctl/parts/table.h"
#include "core/base/buffer.h"
#include "core/wire/client.pb-c.h"

/* "queued"; a state that is newer than this program is shown by its number. */
enum { SHOW_STATE_SIZE = 32 };
const char *show_state(Ixn__V1__InteractionState state, char text[SHOW_STATE_SIZE]);

/* Appends lines "field  value"; what is not set is left out. */
void show_interaction(const Ixn__V1__Interaction *one, table_style_t style, buffer_t *out);
/* Appends one line of JSON; the attributes are in it byte for byte as the node has them. Of a
 * completed interaction it keeps none: then there is no such member. */
void show_interaction_json(const Ixn__V1__Interaction *one, buffer_t *out);

#endif
