/* Access: one lane a DAP, for everything but the journal and the checkpoint: look, claim, load,
 * follow. One thread with one connection, which opens again by itself; it does one thing at a time,
 * in the order asked, each within its deadline, and answers each exactly once. A frozen DAP blocks
 * its own lane only.
 */
#ifndef IXN_DAP_ACCESS_H
#define IXN_DAP_ACCESS_H

#include <czmq.h>

#include "core/state.h"
#include "dap/database.h"

typedef struct access access_t;

/* The lane of config->daps[dap]; `config` is read during the call only. Starts the thread,
 * which notes what it applies in `work` (NULL: nowhere). */
access_t *access_new(const config_t *config, size_t dap, hand_t *hand);
/* Does not wait for what is under way longer than it takes to cancel it. */
void access_destroy(access_t **self_p);

/* ---- Asking ---- */

/* For what is opened and asked from now on. */
void access_set_timeouts(access_t *self, uint32_t connect_timeout_ms,
                         uint32_t statement_timeout_ms);
/* `known`: a place that is known to be committed; it is copied. */
void access_observe(access_t *self, const place_t *known);
/* `judged`, `highest_seen`, `owner`, `reason` are copied; the lane draws the generation.
 * `claim_head`: only while the head is still the judged one. */
typedef struct {
    database_status_t judged;
    bool claim_head;
    uint64_t highest_seen;
    const char *owner;
    const char *reason;
    batch_t **batches; /* to be written back, as of database_claim_t; the lane's from then on */
    size_t batches_len;
} access_claim_t;
void access_claim(access_t *self, const access_claim_t *claim);
/* The whole state; it is in following mode (state_follow_begin). Stops where `guard` does; NULL:
 * nowhere. Its stops are copied. */
void access_load(access_t *self, const guard_t *guard);
/* At most ACCESS_FOLLOW_BYTES of batches after `index`, whose batch has this hash, on the server
 * that is proven. */
#define ACCESS_FOLLOW_BYTES ((size_t)8 * 1024 * 1024)
void access_follow(access_t *self, uint64_t index, id128_t hash, const instance_t *instance);

/* ---- Answers ---- */

typedef enum { ACCESS_OBSERVED, ACCESS_CLAIMED, ACCESS_LOADED, ACCESS_FOLLOWED } access_kind_t;

typedef struct {
    access_kind_t kind;
    bool ok;
    error_t error;            /* when not ok */
    database_status_t status; /* OBSERVED, CLAIMED, LOADED */
    id128_t generation;       /* CLAIMED */
    usec_t elapsed;
    state_t *state;    /* LOADED; owned by the taker */
    batch_t **batches; /* FOLLOWED; array and batches owned by the taker */
    size_t batches_len;
    bool gone; /* FOLLOWED, ok: the journal no longer holds what comes after `index`, or holds
                * something else than `hash` there: load anew */
} access_event_t;

zsock_t *access_socket(access_t *self); /* readable when there are events: drain before polling */
bool access_next(access_t *self, access_event_t *ret_event);

#endif
