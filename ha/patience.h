/* Patience: whether the open batch still waits for company before the journal gets it.
 *
 * A commit costs about the same for one entry and for fifty. While processors are idle that is
 * nobody's loss, and a batch goes as soon as the one before is committed. While they are not, each
 * commit takes its time from the clients that the next one could be shared with: then a batch waits
 * until it holds half as many requests as there are sessions that spoke lately, for PATIENCE_US at
 * most. docs/decisions/0076 has the figures. A value of bounded size; pure.
 */
#ifndef IXN_HA_PATIENCE_H
#define IXN_HA_PATIENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/types.h"

#define PATIENCE_US 2000
#define PATIENCE_WINDOW_US 10000 /* "lately": in this window of time or in the one before */
#define PATIENCE_SESSIONS 512    /* told apart; more count as fewer, and ask for less company */
#define PATIENCE_LEAST 4         /* with fewer sessions there is nothing to wait for */

/* All zero is the beginning. */
typedef struct {
    bool crowded;      /* processors are, as it was said last */
    usec_t since;      /* the batch could go since then; 0: it does not wait */
    uint32_t requests; /* since the last batch was closed */
    usec_t window;     /* when this one began */
    uint32_t number;   /* of this one */
    uint32_t heard;    /* sessions, in this one */
    uint32_t heard_before;
    uint32_t seen[PATIENCE_SESSIONS]; /* the number of the window that the session was heard in */
} patience_t;

void patience_heard(patience_t *self, uint64_t session, size_t requests, usec_t now);
/* Nothing but the batch's own waiting keeps it. True: not yet. */
bool patience_waits(patience_t *self, usec_t now);
/* The batch is closed, or there is none. */
void patience_end(patience_t *self);

#endif
