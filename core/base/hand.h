/* Hand: what a thread has in hand right now, in memory that outlives the process, so that after a
 * crash the next process knows which input it died of.
 *
 * The memory is a mapped file of the shell's (apps/ixnd/crash.h); whoever works writes into it in
 * place: a copy of the frame and which request of it, or which batch and entry. Nothing is synced
 * here: the page cache survives the end of a process, and that is the fault that this is for.
 */
#ifndef IXN_BASE_HAND_H
#define IXN_BASE_HAND_H

#include <stdatomic.h>
#include <string.h>

#include "core/base/id.h"
#include "core/base/limits.h"

typedef enum {
    HAND_NONE,
    HAND_FRAME, /* a frame of a client: `request` of it */
    HAND_TURN,  /* the end of a turn; the last frame is still there */
    HAND_PEER,  /* a frame of the other node */
    HAND_APPLY, /* entry `index` of the batch with `hash`, which is part of the log */
} hand_kind_t;

#define HAND_DECODING UINT32_MAX /* `request`: none of them yet */

/* What is written while it may still matter is volatile: nobody in this process ever reads it. */
typedef struct {
    volatile uint32_t kind;
    volatile uint32_t request;
    uint32_t turn_requests; /* since the turn began */
    uint32_t frame_len;
    volatile uint64_t index;
    id128_t hash;
} hand_t;

/* The node's own thread. */
typedef struct {
    hand_t hand;
    uint8_t frame[LIMIT_PACKET];
} desk_t;

/* This thread's, from now on; what a handler of signals finds. NULL: none. */
void hand_bind(hand_t *self);
hand_t *hand_bound(void);

/* All of these take NULL: nobody keeps a note. */

static inline void hand_begin(hand_t *self, hand_kind_t kind)
{
    if (!self)
        return;
    atomic_signal_fence(memory_order_release); /* what is noted is complete */
    self->kind = kind;
}

static inline void hand_end(hand_t *self)
{
    if (self)
        self->kind = HAND_NONE;
}

static inline void hand_begin_frame(desk_t *self, const uint8_t *bytes, size_t len)
{
    if (!self)
        return;
    size_t kept = len < sizeof self->frame ? len : sizeof self->frame;
    if (kept > 0) /* what is no single frame has no bytes */
        memcpy(self->frame, bytes, kept);
    self->hand.frame_len = (uint32_t)kept;
    self->hand.request = HAND_DECODING;
    hand_begin(&self->hand, HAND_FRAME);
}

static inline void hand_begin_request(desk_t *self, size_t number)
{
    if (self)
        self->hand.request = (uint32_t)number;
}

static inline void hand_end_frame(desk_t *self, size_t requests)
{
    if (!self)
        return;
    self->hand.turn_requests += (uint32_t)requests;
    hand_end(&self->hand);
}

static inline void hand_begin_turn(desk_t *self)
{
    if (self)
        hand_begin(&self->hand, HAND_TURN);
}

static inline void hand_end_turn(desk_t *self)
{
    if (!self)
        return;
    hand_end(&self->hand);
    self->hand.turn_requests = 0;
}

#endif
