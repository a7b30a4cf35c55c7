/* DAPs: what this node knows of each access point, and which one is asked next. Pure.
 *
 * An access point is proven when what it reaches has the identity that this node knows to be the
 * pair's own. At most one request is under way on each.
 */
#ifndef IXN_HA_DAPS_H
#define IXN_HA_DAPS_H

#include "dap/database.h"

#define DAPS_MAX 16

/* What an access point is worth. */
typedef enum {
    DAP_UNKNOWN, /* not asked yet, or nobody knows yet which database is the pair's own */
    DAP_NOT_NOW, /* does not answer, or a standby does: says nothing of what it reaches */
    DAP_PROVING, /* may be the pair's own: the live proof is not there yet */
    DAP_PROVEN,  /* reaches the pair's own live database */
    DAP_WRONG,   /* reaches something else, or a copy that stayed behind */
} dap_verdict_t;
const char *dap_verdict_name(dap_verdict_t verdict);

typedef struct {
    char name[CONFIG_NAME_SIZE];
    bool remembered; /* its text is the one under which it was proven before */
    bool busy;
    usec_t asked_at; /* of the request under way, or of the last one */
    bool reachable;
    bool proven; /* the verdict is DAP_PROVEN */
    dap_verdict_t verdict;
    bool seen;                /* `status` is from some time */
    database_status_t status; /* the last one */
    usec_t seen_at;           /* when it came */
    usec_t latency;           /* of the last answer */
    error_t trouble;          /* why it is of no use; OK: it is */
    /* The live proof: what it showed first of this instance, and since when. */
    instance_t watched;
    uint64_t watched_head;
    usec_t reached_at; /* it reached the proven instance last; 0: never */
} dap_t;

typedef struct {
    dap_t daps[DAPS_MAX];
    size_t len;
    size_t next; /* the one to prefer, in turn */
    bool known;  /* `own` is the pair's own */
    identity_t own;
    instance_t instance; /* the server that was proven to hold it; not known: none yet */
    place_t place;       /* the newest that is known to be committed */
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
