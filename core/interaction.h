/* Interaction: one record of the live table, as it is in memory. Small on purpose: a million wait
 * at once. What only some have (times of routing, token, journey) is beside it, made when needed.
 */
#ifndef IXN_CORE_INTERACTION_H
#define IXN_CORE_INTERACTION_H

#include <bsd/sys/tree.h>
#include <sys/queue.h>

#include "core/journey.h"
#include "core/row.h"

/* Texts in one block behind this head, in the order of interaction_field_t (core/state.h), each
 * with a terminating zero. */
typedef struct {
    uint32_t attributes_len;
    uint8_t external_id_len;
    uint8_t media_type_len;
    uint8_t type_len;
    uint8_t subtype_len;
    uint8_t submitted_by_len;
    uint8_t key_len;
    uint8_t parent_len; /* 0 or 16 */
    char data[];
} interaction_texts_t;

/* What an interaction needs once it has been dispatched, held or changed. */
typedef struct {
    uint64_t token_epoch; /* of the last dispatch; 0: none */
    uint64_t token_index;
    usec_t routed_at;
    usec_t held_at;
    journey_t *journey;
    char *reason;                        /* quarantined: why; NULL otherwise */
    struct strategy_record *strategy;    /* of the last dispatch; NULL: none (core/catalog.h) */
    LIST_ENTRY(interaction) with_router; /* state routing: the others that this router has */
    LIST_HEAD(, service) services;       /* state routing: what it asked for, the newest first */
    uint16_t attempts;                   /* at this step, that count towards quarantine */
    uint16_t losses;                     /* routers lost while they had it */
    uint16_t router;                     /* state routing: number in the state's routers */
} interaction_more_t;

enum {
    INTERACTION_HELD = 1, /* waits in its queue until it is resumed */
    /* Has a row in ixn.interaction, as of the last image. What changed while another node wrote the
     * table counts as having one. */
    INTERACTION_IN_TABLE = 2,
    /* Changed since an image was begun. The two take turns: when an image is begun, what was
     * "changed" becomes "belongs to the image" for all records at once. */
    INTERACTION_CHANGED_EVEN = 4,
    INTERACTION_CHANGED_ODD = 8,
};

struct interaction {
    id128_t id;
    id128_t key_hash;           /* of tenant and Submit's key */
    uint64_t fingerprint;       /* of Submit's content */
    RB_ENTRY(interaction) line; /* its queue's line, or the deadlines */
    uint64_t age;               /* index of the entry that put it in line */
    usec_t deadline;            /* log time; USEC_NEVER */
    usec_t received_at;
    usec_t submitted_at;
    usec_t placed_at;
    usec_t moved_at;
    interaction_texts_t *texts;
    interaction_more_t *more; /* NULL until needed */
    uint32_t handle;
    uint32_t version;
    int32_t priority;
    uint16_t queue; /* number in the state's queues */
    uint8_t state;  /* interaction_state_t; 0: a free record; COMPLETED: an image keeps it */
    uint8_t flags;
};
typedef struct interaction interaction_t;

#endif
