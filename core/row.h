/* Row: the public shape of one interaction, as it goes into `ixn.interaction` and
 * `ixn.interaction_history` and comes back from them. Names instead of numbers, calendar times,
 * everything that the state needs to continue exactly.
 */
#ifndef IXN_CORE_ROW_H
#define IXN_CORE_ROW_H

#include <stdbool.h>

#include "core/base/id.h"
#include "core/base/types.h"

typedef enum {
    INTERACTION_QUEUED = 1,
    INTERACTION_ROUTING = 2,
    INTERACTION_INVITED = 3,  /* reserved */
    INTERACTION_HANDLING = 4, /* reserved */
    INTERACTION_QUARANTINED = 5,
    INTERACTION_COMPLETED = 6,
} interaction_state_t;

/* "queued", "routing" …; the text in the tables. NULL / false for anything else. */
const char *interaction_state_name(interaction_state_t state);
bool interaction_state_parse(text_t name, interaction_state_t *ret_state);

/* All text belongs to whoever made the row (an image, a query's result). Times `…_at` are wall
 * microseconds, 0 = has not happened. */
typedef struct {
    id128_t id;
    id128_t parent_id; /* zero: none */
    interaction_state_t state;
    bool held;
    text_t tenant;
    text_t queue;
    text_t media_type;
    text_t type;
    text_t subtype;
    text_t external_id;
    text_t submitted_by;
    text_t key;           /* of Submit: bytes, not text */
    uint64_t fingerprint; /* of Submit's content */
    text_t attributes;    /* a JSON object that jsonb accepts */
    text_t journey;       /* a JSON array of steps; see core/journey.h */
    text_t router;        /* routing: who has it */
    text_t strategy;      /* routing: under which strategy */
    text_t reason;        /* quarantined, completed: why */
    int32_t priority;
    uint32_t version;
    uint64_t age;         /* its place in line: index of the entry that put it there */
    uint64_t token_epoch; /* routing: its token; 0 otherwise */
    uint64_t token_index;
    uint32_t attempts; /* attempts at this step that count towards quarantine */
    uint32_t losses;   /* routers lost while they had it, at this step */
    usec_t deadline;   /* log time; USEC_NEVER: none (NULL in the tables) */
    usec_t received_at;
    usec_t submitted_at;
    usec_t placed_at;
    usec_t moved_at;
    usec_t routed_at;
    usec_t held_at;
    usec_t completed_at;
    usec_t completed_log; /* log time of the completion, for the dedupe window */
} interaction_row_t;

#endif
