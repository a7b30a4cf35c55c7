/* Show: one interaction, as a node or the tables tell it, for people or programs. */
#ifndef IXNCTL_SHOW_H
#define IXNCTL_SHOW_H

#include "apps/ixnctl/parts/table.h"
#include "core/base/buffer.h"
#include "core/wire/client.pb-c.h"

/* "queued"; a state that is newer than this program is shown by its number. */
enum { SHOW_STATE_SIZE = 32 };
const char *show_state(Ixn__V1__InteractionState state, char text[SHOW_STATE_SIZE]);

/* Whence it is. Of the tables: as of which index, how many seconds ago that was, and why the node
 * was not asked ("": it was, and knows no more of it). */
typedef struct {
    bool tables;
    uint64_t index;
    double age;
    const char *why;
} show_source_t;

/* Appends lines "field  value", then a line for each step of the journey; what is not set is left
 * out. */
void show_interaction(const Ixn__V1__Interaction *one, const show_source_t *source,
                      table_style_t style, buffer_t *out);
/* Appends one line of JSON; attributes and journey are in it byte for byte as they came, but for
 * line ends. Where there are none, there is no such member. */
void show_interaction_json(const Ixn__V1__Interaction *one, const show_source_t *source,
                           buffer_t *out);

#endif
