/* Ways: the DAPs that a lane may use, each with its connection, its turn and its back-off.
 *
 * A use_t says which they are, in the order of preference; the owner of a lane hands it over by
 * pointer, at the beginning and whenever it changes. What is in both lists keeps its connection.
 */
#ifndef IXN_DAP_WAYS_H
#define IXN_DAP_WAYS_H

#include "core/base/weighted.h"
#include "dap/connection.h"

#define WAYS_MAX 32

typedef struct {
    size_t number; /* by which the owner knows the DAP */
    config_dap_t dap;
} use_dap_t;

typedef struct {
    uint32_t connect_timeout_ms;
    uint32_t statement_timeout_ms;
    uint32_t
        hedge_after_ms; /* the journal lane: so long without an answer, the next is tried too */
    bool rearranged;    /* go to the first that works, also from one that works */
    size_t len;
    use_dap_t daps[WAYS_MAX];
} use_t;

/* With the configuration's time-outs and without DAPs. */
use_t *use_new(const config_t *config);
/* With all of the configuration's DAPs, numbered in its order. */
use_t *use_all(const config_t *config);
void use_add(use_t *self, size_t number, const config_dap_t *dap);
void use_destroy(use_t **self_p); /* also wipes the passwords in it */

typedef struct {
    size_t number;
    connection_t *connection;
    weighted_t turn;
    usec_t retry_at; /* not to be tried before; 0: now */
    usec_t backoff;
} way_t;

/* A value. Pointers to a way stay valid until ways_set leaves it out. */
typedef struct {
    way_t *ways[WAYS_MAX];
    size_t len;
    int stop; /* connection_set_stop of each */
} ways_t;

void ways_init(ways_t *self, int stop);
void ways_free(ways_t *self);
/* True when a way stays as it is under the new list. */
bool ways_keeps(const way_t *way, const use_t *use);
void ways_set(ways_t *self, const use_t *use);

/* It failed: not again before a pause that doubles, from `first` up to `longest`. */
void way_failed(way_t *self, usec_t first, usec_t longest);
void way_worked(way_t *self);
/* The first in order that may be tried at `now` and is not `but`; NULL: none. */
way_t *ways_first(const ways_t *self, usec_t now, const way_t *but);
/* The one whose turn it is among those that may be tried; NULL: none. */
way_t *ways_next(const ways_t *self, usec_t now);
/* When the first of those that must wait may be tried; USEC_NEVER: there is none. */
usec_t ways_retry_at(const ways_t *self);

#endif
