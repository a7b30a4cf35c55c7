/* DAPs: what this node knows of each access point, and which one is asked next. Pure.
 *
 * An access point is proven when what it reaches has the identity that this node knows to be the
 * pair's own. At most one request is under way on each.
 */
#ifndef IXN_HA_DAPS_H
#define IXN_HA_DAPS_H

#include "dap/database.h"

#define DAPS_MAX 16

typedef struct {
    char name[CONFIG_NAME_SIZE];
    bool busy;
    usec_t asked_at; /* of the request under way, or of the last one */
    bool reachable;
    bool proven;
    bool seen;                /* `status` is from some time */
    database_status_t status; /* the last one */
    usec_t seen_at;           /* when it came */
    usec_t latency;           /* of the last answer */
    error_t trouble;          /* why it is of no use; OK: it is */
} dap_t;

typedef struct {
    dap_t daps[DAPS_MAX];
    size_t len;
    size_t next; /* the one to prefer, in turn */
    bool known;  /* `own` is the pair's own */
    identity_t own;
    /* The highest epoch that was heard of, and since when: a database that is asked later and has
     * less is a copy that stayed behind. */
    uint64_t epoch;
    id128_t generation;
    usec_t epoch_since;
    bool has_demanded;
    id128_t demanded; /* the only database_id that the configuration accepts */
} daps_t;

/* A request goes out. */
void daps_ask(daps_t *self, size_t dap, usec_t now);
/* Its answer: a status (judged here) or NULL and an error. True: proven. */
bool daps_answer(daps_t *self, size_t dap, const database_status_t *status, const error_t *error,
                 usec_t now);
/* The identity is known from now on; what was seen is judged again. */
void daps_learn(daps_t *self, const identity_t *own);

/* One that is free and proven, in turn; false: none. */
bool daps_choose(daps_t *self, size_t *ret_dap);
/* While the identity is not known yet (the first start): the first that answers, if all that answer
 * reach the same database. */
bool daps_choose_first(const daps_t *self, size_t *ret_dap);
/* One that is free and was asked longest ago, at least `age` ago; false: none. */
bool daps_oldest(const daps_t *self, usec_t now, usec_t age, size_t *ret_dap);
/* True when all have answered, none is of use, and waiting will not mend at least one of them
 * (another database, an empty one, another schema): the error says which and why. */
bool daps_are_hopeless(const daps_t *self, error_t *ret_error);
/* Those that are proven and have not kept an answer back for so long. */
size_t daps_alive(const daps_t *self, usec_t now, usec_t patience);
size_t daps_proven(const daps_t *self);
/* The first trouble, for people; empty: none. */
const char *daps_trouble(const daps_t *self);

#endif
