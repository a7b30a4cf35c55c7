/* Stored: one interaction of the documented tables as a message of the contract, so that programs
 * show it as they show one that a node tells of. Asks nobody.
 */
#ifndef IXN_VIEWS_STORED_H
#define IXN_VIEWS_STORED_H

#include <libpq-fe.h>

#include "core/base/id.h"
#include "core/wire/client.pb-c.h"

/* What stored_read reads, of a row of ixn.interaction_history or ixn.interaction; all of it text.
 */
#define STORED_WIDTH 25
#define STORED_FINISHED STORED_COLUMNS STORED_TIME("completed_at") STORED_TEXTS
#define STORED_UNFINISHED STORED_COLUMNS ", '0'" STORED_TEXTS

#define STORED_TIME(column)                                                                        \
    ", coalesce((extract(epoch FROM " column ") * 1000000)::bigint, 0)::text"
#define STORED_TEXTS ", attributes::text, journey::text"
#define STORED_COLUMNS                                                                             \
    "state, held::int::text, tenant, queue, media_type, type, subtype, external_id,"               \
    " coalesce(parent_id::text, ''), submitted_by, coalesce(router, ''), coalesce(strategy, ''),"  \
    " coalesce(reason, ''), priority::text, version::text, attempts::text" STORED_TIME(            \
        "received_at") STORED_TIME("submitted_at") STORED_TIME("placed_in_queue_at")               \
        STORED_TIME("moved_to_queue_at") STORED_TIME("routed_at") STORED_TIME("held_at")

typedef struct {
    Ixn__V1__Interaction one; /* points into the row and to … */
    id128_t id;               /* … these */
    id128_t parent;
} stored_t;

/* The first row of a result that begins with these columns. `ret_stored` is not to be moved, and
 * valid as long as the result. */
void stored_read(const PGresult *row, id128_t id, stored_t *ret_stored);

#endif
