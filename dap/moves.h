/* Moves: where the pair's database went, as the database itself records it (table ixn.adoption):
 * the newest adoptions, each from one identity to another. Pure.
 */
#ifndef IXN_DAP_MOVES_H
#define IXN_DAP_MOVES_H

#include <assert.h>
#include <stddef.h>

#include "core/base/types.h"
#include "dap/identity.h"

#define MOVES_MAX 8

typedef struct {
    identity_t from;
    identity_t to;
    instance_t instance;  /* which run of which server the operator saw */
    uint64_t epoch;       /* that was taken then */
    uint64_t known_index; /* what was known to be committed, and perhaps given up */
} move_t;

typedef struct {
    move_t moves[MOVES_MAX]; /* the newest first */
    size_t len;
} moves_t;

/* A subselect: the newest of them as one bytea; and what it gave (what is no whole move is left
 * out). */
#define MOVES_SQL                                                                                  \
    "(SELECT string_agg(uuid_send(a.previous_database_id)"                                         \
    " || int8send(a.previous_system_identifier) || oidsend(a.previous_database_oid)"               \
    " || uuid_send(a.database_id) || int8send(a.system_identifier) || oidsend(a.database_oid)"     \
    " || timestamptz_send(a.server_started_at) || int4send(a.server_port) || int8send(a.epoch)"    \
    " || int8send(a.known_index), ''::bytea ORDER BY a.epoch DESC)"                                \
    " FROM (SELECT * FROM ixn.adoption ORDER BY epoch DESC LIMIT 8) AS a)"
static_assert(MOVES_MAX == 8, "the limit in MOVES_SQL");
void moves_parse(text_t bytes, moves_t *ret_moves);

/* True when moves, one after the other, lead from one identity to the other, which is another one;
 * `ret_move`: the last one on that way, with the highest index that any on it knew. A copy of a
 * moved database is not what its newest move led to, so nothing leads there. */
bool moves_lead(const moves_t *self, const identity_t *from, const identity_t *to,
                move_t *ret_move);
/* Nobody has claimed the database since that move, and it is the very server that was seen then: no
 * copy that was made later. */
bool move_is_fresh(const move_t *self, uint64_t epoch, const instance_t *instance);

#endif
