/* Recent: the newest committed batches, as this node decided or applied them, in case the database
 * loses them (asynchronous fail-over of PostgreSQL). A chain without gaps, bounded by LIMIT_RECENT
 * and LIMIT_RECENT_BATCHES: the oldest go first. Memory only, so a node that was started again has
 * none of what came before. Pure.
 */
#ifndef IXN_HA_RECENT_H
#define IXN_HA_RECENT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/batch.h"

typedef struct recent recent_t;

recent_t *recent_new(void);
void recent_destroy(recent_t **self_p);

/* A committed batch; owned from now on. One that is held already is dropped; one that does not
 * continue the newest makes the chain begin anew with it. */
void recent_add(recent_t *self, batch_t *batch);

/* First index of the oldest and last index of the newest; 0: there is none. */
uint64_t recent_first(const recent_t *self);
uint64_t recent_last(const recent_t *self);

/* Bytes of entries after an index up to the newest, also of batches that are not held any more;
 * false: it never had them. */
bool recent_bytes_after(const recent_t *self, uint64_t index, uint64_t *ret_bytes);

/* What is held behind an index, up to another one. */
typedef enum {
    RECENT_HELD,     /* all of it, and it continues that very hash */
    RECENT_TOO_LATE, /* the oldest begins after it */
    RECENT_TOO_FEW,  /* the newest ends before `to` */
    RECENT_DIVERGES, /* the batch that ends there, or begins after it, says another hash, or no
                      * batch ends there */
} recent_answer_t;
/* HELD, DIVERGES: number of the first batch, and how many there are; and the hash that the chain
 * has at `from`; zero: no batch ends there. */
typedef struct {
    size_t first;
    size_t len;
    id128_t hash;
} recent_part_t;
recent_answer_t recent_find(const recent_t *self, uint64_t from, id128_t hash, uint64_t to,
                            recent_part_t *ret_part);
/* Valid until the next recent_add. */
const batch_t *recent_at(const recent_t *self, size_t number);

#endif
