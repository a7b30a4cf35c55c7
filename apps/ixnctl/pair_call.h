/* Pair call: one question to every node of the pair, each by a plain DEALER and without Register:
 * the client library talks to the node that serves only, and these questions are for both.
 */
#ifndef IXNCTL_PAIR_CALL_H
#define IXNCTL_PAIR_CALL_H

#include "apps/ixnctl/common.h"
#include "apps/ixnctl/parts/pair_view.h"
#include "core/wire/wire.h"

/* The nodes and what they answered last. A value: `{0}`, then pair_open. */
typedef struct {
    char *endpoints[PAIR_VIEW_NODES];                      /* owned */
    pair_view_t view;                                      /* what is in it lives in the arena */
    const Ixn__V1__ConfigAnswer *answers[PAIR_VIEW_NODES]; /* of pair_config; NULL: none */
    bool wants_figures;                                    /* of pair_status too, into … */
    const Ixn__V1__Figures *figures[PAIR_VIEW_NODES];      /* … these; NULL: none */
    bool seeks_primary; /* pair_status: once a node that serves has answered, no other is waited for
                         */
    char by[COMMON_OPERATOR_SIZE]; /* who gives its commands */
    wire_arena_t *arena;
    uint32_t timeout_ms;
} pair_call_t;

/* The nodes of --node, otherwise that of the configuration; where that is only one, pair_status
 * adds the one it names as its peer. Asks none yet. False: the configuration is wrong. */
bool pair_open(pair_call_t *self, common_t *common, error_t *ret_error);
void pair_close(pair_call_t *self);

/* Asks all for their status. Those that are silent while others answer are given `patience_ms`
 * more. False when none has answered (TIMED_OUT). */
bool pair_status(pair_call_t *self, uint32_t patience_ms, error_t *ret_error);
/* Tells one node, by its number in the view, a command. Its new status comes into the view. */
bool pair_command(pair_call_t *self, size_t node, const Ixn__V1__PairCommand *command,
                  error_t *ret_error);

/* Asks all about their configuration; what they answer is in `answers`, why not in the view. */
void pair_config(pair_call_t *self, const Ixn__V1__ConfigRequest *request, uint32_t patience_ms);

#endif
