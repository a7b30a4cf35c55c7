/* DAPs: what this node knows of each access point, and which one is asked next. Pure.
 *
 * An access point is proven when what it reaches has the identity of the pair's own database
 * (static), holds what the pair knows to be committed (lineage), and is the server on which that
 * was seen to live (live proof; daps_judge.c). At most one request is under way on each.
 */
#ifndef IXN_HA_DAPS_H
#define IXN_HA_DAPS_H

#include "core/base/weighted.h"
#include "dap/database.h"

/* Those of the file, and as many that are on their way out. */
#define DAPS_MAX 32

/* What a place in the table stands for. */
typedef enum {
    DAP_IN_USE,    /* zero: a way that may be used as soon as, and as long as, it is proven */
    DAP_CANDIDATE, /* new in the file: looked at and judged, not used before it is proven */
    DAP_RETIRING,  /* no longer in the file: used until one that takes its place is proven */
    DAP_LEAVING,   /* not used any more; closed as soon as it has answered */
    DAP_ABSENT,    /* a free place */
} dap_standing_t;

/* Who uses it now. */
enum { DAP_JOURNAL = 1, DAP_CHECKPOINT = 2 };

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
    dap_standing_t standing;
    id128_t route;   /* equal for equal connection strings */
    uint32_t rank;   /* its place in the order of the file */
    uint32_t line;   /* of the file; 0: the route is remembered, the file does not give it */
    bool remembered; /* state_dir holds this very route as one that was proven */
    weighted_t turn; /* its share of the work that is spread */
    uint32_t lanes;  /* DAP_JOURNAL, DAP_CHECKPOINT: those that are on it now */
    usec_t average;  /* of its answers and commits, smoothed */
    uint64_t done;   /* pieces of work done through it: commits, checkpoints, loads, looks */
    uint64_t spread; /* of these, the ones that are spread: checkpoints, loads */
    uint64_t errors;
    bool trusted;         /* was proven, and has not shown anything else since */
    bool refused;         /* that it is no way to the own database was said */
    dap_verdict_t said;   /* the last one that was logged … */
    const char *said_why; /* … and why it is no better */
    usec_t said_at;       /* … which was so last */
    bool busy;
    usec_t asked_at; /* of the request under way, or of the last one */
    /* Where it leads is not known: it keeps its answer back, or reaches tables of another version.
     */
    bool unclear;
    bool reachable;
    bool proven; /* the verdict is DAP_PROVEN */
    dap_verdict_t verdict;
    bool seen;                /* `status` is from some time */
    database_status_t status; /* the last one */
    usec_t seen_at;           /* when it came */
    usec_t latency;           /* of the last answer */
    error_t trouble;          /* why it is of no use; OK: it is */
    const char *why; /* … while it is being proven: the end of that sentence, a constant */
    /* The live proof: what it showed first of this instance, and since when. */
    instance_t watched;
    uint64_t watched_head;
    usec_t watched_since;
    usec_t reached_at;  /* it reached the proven instance last; 0: never … */
    instance_t reached; /* … and this was that one */
    instance_t standby; /* it was seen as a standby last: promoted, it is no copy of a moment ago */
} dap_t;

/* What the other node of the pair says of the proven server. */
typedef struct {
    bool exists;       /* the configuration has one */
    bool silent;       /* what it reaches now is not known: it is not heard, or does not hear */
    usec_t since;      /* it spoke after it had heard what this node said at this time */
    bool exact;        /* it is heard, and what it knows to be committed is all it ever knew */
    instance_t server; /* it is heard, and takes this one for the pair's own; not known: none */
    bool asks;    /* … but asks this node to give that up, so that it can go to another one */
    bool primary; /* it is heard as the primary, whatever it reaches now */
    bool reaches; /* one of its DAPs reaches the proven server, or may do so again */
    const dap_t *daps; /* what they reach; only while it is heard */
    size_t daps_len;
} daps_word_t;

typedef struct {
    dap_t daps[DAPS_MAX];
    size_t len; /* places that were ever taken */
    bool known; /* `own` is the pair's own */
    identity_t own;
    instance_t instance; /* the server that was proven to hold it; not known: none yet */
    usec_t moved_at;     /* that became so at this time, in this process; 0: before */
    /* Nothing but the other node's belief in the server before keeps this node from going there,
     * since when; not known: nowhere. */
    instance_t wanted;
    usec_t wanted_since;
    instance_t given_up; /* was the pair's own until this node gave it up; not known: none … */
    instance_t given_up_for; /* … so that the other one can go there */
    bool warm;               /* it was reached since this process began */
    bool exact;              /* `place` was the newest when this node ended in order */
    bool owns;     /* this node serves, or has claimed to: whoever committed after it has a higher
                      epoch, and says so */
    usec_t begun;  /* whatever was reached before says nothing of now */
    place_t place; /* the newest that is known to be committed */
    daps_word_t word; /* of the other node, as of now */
    /* The highest epoch that was heard of, and since when: a database that is asked later and has
     * less is a copy that stayed behind. */
    uint64_t epoch;
    id128_t generation;
    usec_t epoch_since;
    bool has_demanded;
    id128_t demanded; /* the only database_id that the configuration accepts */
} daps_t;

/* One that work may be given to: in use, or not replaced yet. */
bool dap_is_used(const dap_t *dap);
/* It shows nothing of where it leads, so that may be the own server. */
bool dap_is_silent(const dap_t *dap);
/* A free place; false: there is none. */
bool daps_place(daps_t *self, size_t *ret_dap);
/* A piece of work ended: how long it took, or NULL and … it failed. */
void dap_worked(dap_t *dap, usec_t elapsed, bool failed);

/* A request goes out. */
void daps_ask(daps_t *self, size_t dap, usec_t now);
/* Its answer: a status (judged here) or NULL and an error. True: proven. */
bool daps_answer(daps_t *self, size_t dap, const database_status_t *status, const error_t *error,
                 usec_t now);
/* The identity is known from now on; what was seen is judged again. */
void daps_learn(daps_t *self, const identity_t *own);

/* Judges what the DAP has shown last (daps_judge.c). */
void daps_judge(daps_t *self, dap_t *dap);
/* Another server takes the place of the proven one, which nobody reaches any more, if everything
 * that is known to be committed is there. True: it did. Otherwise those that are being proven say
 * why not. */
bool daps_replace(daps_t *self, usec_t now);
/* Nothing else is in the way of going to what this DAP reaches. True: the other node has given its
 * own up, is there, or cannot be asked where that may not keep this one; false: it is asked. */
bool daps_agreed(daps_t *self, const dap_t *dap, usec_t now);
/* Notes which DAPs keep an answer back by now. */
void daps_watch(daps_t *self, usec_t now);
/* The proven server is the pair's own no longer, as the other node goes to another one: whether it
 * has, is not known. */
void daps_give_up(daps_t *self, const instance_t *others);
/* From now on this is the proven server. Commits that were seen to land elsewhere before are of the
 * time when that one was. */
void daps_move(daps_t *self, const instance_t *instance, usec_t now);
/* One that reaches the proven server, or that does not answer and may reach it again; NULL: none.
 */
const dap_t *daps_reaching(const daps_t *self, usec_t now);
/* One that reaches the pair's database, on another server than the proven one, without its newest
 * commits, while none reaches one that has them all; NULL: none. */
const dap_t *daps_short(const daps_t *self);
/* The same, and nobody reaches the proven server any more. */
const dap_t *daps_loss(const daps_t *self, usec_t now);

/* One that is used, free and proven, in weighted turn; false: none. */
bool daps_choose(daps_t *self, size_t *ret_dap);
/* While the identity is not known yet (the first start): the first that answers, if all that answer
 * reach the same database. */
bool daps_choose_first(const daps_t *self, size_t *ret_dap);
/* One that is free and was asked longest ago, at least `age` ago; false: none. */
bool daps_oldest(const daps_t *self, usec_t now, usec_t age, size_t *ret_dap);
/* True when all have answered, and waiting will mend none of them (another database, an empty one,
 * another schema): the error says which is the first, and why. */
bool daps_are_hopeless(const daps_t *self, error_t *ret_error);
/* Those that are proven and have not kept an answer back for so long. */
size_t daps_alive(const daps_t *self, usec_t now, usec_t patience);
size_t daps_proven(const daps_t *self);
/* In the table, in whatever standing. */
bool dap_is_here(const dap_t *dap);
/* The first trouble, for people; empty: none. */
const char *daps_trouble(const daps_t *self);

#endif
