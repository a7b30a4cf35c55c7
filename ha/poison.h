/* Poison: inputs that crash nodes. Pure.
 *
 * A list of what a process was working on when it died, by fingerprint, with how often: counted for
 * each node by itself, so that the two can tell each other their lists again and again and come to
 * the same sums. What has crashed nodes POISON_CRASHES times is not tried again: a client's request
 * is refused, and at an entry of the log the node stops. An operator can forgive a fingerprint (the
 * program was mended); then it may crash so often again.
 *
 * The list is bounded: by number (what has crashed only once goes first), and what was not seen to
 * crash for POISON_KEPT is forgotten.
 */
#ifndef IXN_HA_POISON_H
#define IXN_HA_POISON_H

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/hand.h"
#include "core/base/id.h"

enum {
    POISON_MAX = 64,
    POISON_CRASHES = 2,
    POISON_WHAT = 96,
};
#define POISON_KEPT ((usec_t)30 * 24 * 3600 * USEC_PER_SECOND)

typedef struct {
    id128_t fingerprint;
    uint64_t index;    /* of an entry of the log; 0: a request */
    uint32_t own;      /* crashes of this node … */
    uint32_t other;    /* … and of the other one */
    uint32_t forgiven; /* crashes that count no more */
    usec_t last_at;    /* calendar: of the last crash */
    char what[POISON_WHAT];
} poison_entry_t;

typedef struct {
    size_t len;
    size_t active; /* of them, those that are refused */
    poison_entry_t entries[POISON_MAX];
} poison_t;

/* What a process left behind when it ended in the middle of its hand. */
typedef struct {
    hand_kind_t kind;
    uint32_t request; /* FRAME, TURN: which one of the frame, or HAND_DECODING */
    uint32_t turn_requests;
    text_t frame;
    uint64_t index; /* APPLY */
    id128_t hash;   /* APPLY: of the batch */
} poison_left_t;

/* The fingerprint of a request, whatever id it has (of an entry: core/guard.h). */
id128_t poison_request(text_t request);
/* … of a packet that cannot even be decoded, whatever ids its requests have. */
id128_t poison_packet(text_t packet);

/* Counts a crash of this node. False: what was left names no single input (a turn in which several
 * requests came, a frame of the other node); `what` then says what it was. */
bool poison_blame(poison_t *self, const poison_left_t *left, usec_t wall_time,
                  char what[POISON_WHAT], id128_t *ret_fingerprint);
/* What the other node counts, as it says. True: something is new. */
bool poison_merge(poison_t *self, const poison_entry_t *theirs);
bool poison_forgive(poison_t *self, id128_t fingerprint); /* false: it is not in the list */
/* Forgets what is over; true: something was. */
bool poison_expire(poison_t *self, usec_t wall_time);

/* NULL: it may be tried. */
const poison_entry_t *poison_find(const poison_t *self, id128_t fingerprint);
bool poison_is_active(const poison_entry_t *entry);

/* The list as text, a line an entry, and back; false: that is not what poison_print wrote. */
void poison_print(const poison_t *self, buffer_t *text);
bool poison_parse(poison_t *self, const char *text);

#endif
