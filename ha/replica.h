/* Replica: the state of a backup, and the batches that its primary has sent but that are not known
 * to be committed yet. Pure.
 *
 * Promises: only what is committed is applied, in order, and only what continues the state's chain
 * of hashes. The stream may have gaps, repeats and batches of an epoch that is over: they are
 * dropped, and the journal fills what is missing. Memory is bounded: a stream that runs too far
 * ahead is dropped too.
 */
#ifndef IXN_HA_REPLICA_H
#define IXN_HA_REPLICA_H

#include "core/state.h"
#include "ha/recent.h"

typedef struct replica replica_t;

replica_t *replica_new(void);
void replica_destroy(replica_t **self_p);
/* Batches go there when they were applied, instead of being freed; it outlives the replica. */
void replica_keep(replica_t *self, recent_t *recent);

/* The loaded state, in following mode; the replica owns it. What is buffered stays. */
void replica_load(replica_t *self, state_t *state);
bool replica_is_loaded(const replica_t *self);
const state_t *replica_state(const replica_t *self); /* NULL: not loaded */
/* Gives the state away (to a node that serves); the buffer is emptied. */
state_t *replica_take(replica_t *self);
/* Forgets the state, which does not belong to the log (any more). */
void replica_unload(replica_t *self);

/* A batch of the primary's stream; owned from now on. */
void replica_add(replica_t *self, batch_t *batch);
/* A batch that was read from the journal, right after what is applied or after the one before; it
 * is committed; owned from now on. */
void replica_add_journal(replica_t *self, batch_t *batch);
/* Everything up to `index` is committed, says the primary whose batches came last. */
void replica_committed(replica_t *self, uint64_t index);
/* The journal's head, read from the database. What is buffered there must be it. */
void replica_head(replica_t *self, uint64_t index, id128_t hash);
/* Another epoch began: what is buffered of the one before may not be part of the log. */
void replica_forget_stream(replica_t *self);

/* What it notes and where it stops; the replica reads it until another one is set. */
void replica_guard(replica_t *self, const guard_t *guard);
/* Applies what is committed, about `entries` entries at most. False and an error: what comes does
 * not fit the state; unload it. With POISON the state is whole: it stopped before the batch, and
 * stops there until there is another guard or another state. */
bool replica_step(replica_t *self, size_t entries, error_t *ret_error);
bool replica_has_work(const replica_t *self); /* replica_step has something to apply */

/* The primary's checkpoint is there: what is in it need not be remembered. */
void replica_checkpoint(replica_t *self, uint64_t index);

uint64_t replica_index(const replica_t *self); /* applied; 0 when not loaded */
/* The highest index that is known to be committed. */
uint64_t replica_known(const replica_t *self);
/* True when what is known to be committed is not all in the buffer: ask the journal for what comes
 * after replica_index. */
bool replica_has_gap(const replica_t *self);
/* Of what the primary has sent and nobody knows to be committed, behind a place that is: the batch
 * of this number, from 0; NULL: no more. It goes without gaps from there. */
const batch_t *replica_beyond(const replica_t *self, uint64_t index, id128_t hash, size_t number);
size_t replica_buffered_bytes(const replica_t *self);

#endif
