/* Adoption: a copy of the pair's database is declared to be the pair's own, by an operator, in one
 * transaction: it gets a database_id of its own and a new epoch, and a row of ixn.adoption says
 * from which database to which one the pair has moved. A node that remembers the former and finds
 * the latter may go there (dap/moves.h).
 *
 * Why a new database_id: a base backup is equal to its original in id, system identifier and oid.
 * If the moved database kept them, the original could be taken for it later.
 */
#ifndef IXN_DAP_ADOPTION_H
#define IXN_DAP_ADOPTION_H

#include "dap/database.h"

#define ADOPTION_PLACES 4

typedef struct {
    identity_t previous; /* what the nodes remember as their own */
    /* The epoch that they saw last, which the database must know; and the highest heard of. */
    uint64_t epoch;
    id128_t generation;
    uint64_t highest_epoch;
    /* What is known to have been committed, as far as somebody knows it. */
    place_t places[ADOPTION_PLACES];
    size_t places_len;
    bool accepts_loss; /* of exactly so many entries */
    uint64_t loss;
    bool dry_run; /* judge, change nothing */
    const char *reason;
    const char *adopted_by;
} adoption_t;

typedef struct {
    database_status_t before; /* the status before it … */
    identity_t adopted; /* … and what the database is since; dry run: the database_id is old */
    identity_t previous;
    uint64_t epoch;
    uint64_t known_index;
    uint64_t lost;
    bool covered; /* it was adopted before: `move` is the last one */
    move_t move;
} adoption_result_t;

/* False, and nothing was changed:
 *   DATABASE_EMPTY, DATABASE_SCHEMA  as of database_status
 *   DATABASE_REFUSED   a standby; or adopted before, and nothing more is known to be lost
 *   DATABASE_WRONG     it is not a copy of the pair's database
 *   DATABASE_DIVERGED  its log is not the one that the nodes know; or entries would be lost and
 *                      `loss` is not exactly how many (the text names the number)
 * Sessions that hold the fence are not ended: who holds it for long makes it fail. */
bool adoption_perform(database_t *self, const adoption_t *adoption, adoption_result_t *ret_result,
                      error_t *ret_error);

#endif
