/* Event: an entry of the log as JSON, for those who watch. Pure. */
#ifndef IXN_VIEWS_EVENT_H
#define IXN_VIEWS_EVENT_H

#include <jansson.h>
#include <stdbool.h>

#include "core/base/buffer.h"
#include "core/wire/entry.pb-c.h"

/* Its name ("submitted", …), and what it says without attributes; NULL for one that says nothing (a
 * beat). A new reference. */
json_t *event_of(const Ixn__V1__Entry *entry, const char **ret_name);

/* Whether an event may have that name; appends all of them, for a sentence. */
bool event_is_name(const char *name);
void event_names(buffer_t *out);

#endif
