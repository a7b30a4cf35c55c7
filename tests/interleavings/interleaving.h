/* Interleaving: the same steps of several sessions on the simulated database (tests/sim) and on a
 * real PostgreSQL. After each step every session that can go on has gone on; what each shows then
 * (where it stands, for whom it waits, what it was answered) must be the same on both.
 *
 * The statements are the product's own: the journal's insert (dap/commit.h), the claim's
 * transaction statement by statement (dap/claim.h), the checkpoint's first statement
 * (dap/image_transaction.h), the status and following (dap/database.h). What a statement that
 * changes something does once it has its locks is its commit, a step of its own: that is where a
 * node may be frozen, or slow.
 */
#ifndef IXN_TESTS_INTERLEAVING_H
#define IXN_TESTS_INTERLEAVING_H

#include "core/batch.h"
#include "dap/identity.h"

enum { SESSIONS = 4, ANSWER_SIZE = 160 };

typedef enum {
    ACT_STATUS,
    ACT_FOLLOW, /* after index and hash */
    ACT_INSERT, /* batch, under identity, epoch, generation */
    ACT_IMAGE,  /* checkpoint `from` to index and hash, under generation */
    ACT_LOCK,   /* a claim's lock of the pair's row, and its look */
    ACT_CHANGE, /* … and what it changes, to generation; CLAIM_… */
    ACT_COMMIT, /* of what stands at its commit */
    ACT_LEAVE,  /* the claim is given up */
    ACT_END,    /* a claim that waits ends who is in the way */
} act_kind_t;

typedef struct {
    act_kind_t kind;
    int session;
    identity_t identity;
    uint64_t epoch;
    id128_t generation;
    const batch_t *batch;
    uint64_t from;
    uint64_t index;
    id128_t hash;
    unsigned blockers; /* END: set of the sessions that the server names */
} act_t;

typedef enum {
    STAND_IDLE,
    STAND_WAITS,  /* for a lock */
    STAND_LOCKED, /* a claim between its look and its changes */
    STAND_COMMIT, /* what it changes is done but for the commit */
} stand_t;

typedef struct {
    stand_t place;
    unsigned behind;          /* WAITS: set of the sessions that the server names */
    char answer[ANSWER_SIZE]; /* of the last statement or transaction that ended */
} shown_t;

/* What the tables say once more, at the end: the whole journal, the epochs' number, the row. */
enum { TABLES_SIZE = 6000 };

typedef struct simulated simulated_t;
simulated_t *simulated_new(const identity_t *identity, id128_t genesis);
void simulated_destroy(simulated_t **self_p);
/* `hint`: what the real side shows; who gets a lock of several that may is its choice. */
void simulated_step(simulated_t *self, const act_t *step, const shown_t hint[SESSIONS],
                    shown_t shown[SESSIONS]);
void simulated_tables(const simulated_t *self, char text[TABLES_SIZE]);

/* `conninfo` without a database's name. Ends the program with a sentence when it cannot go on. */
typedef struct real real_t;
real_t *real_new(const char *conninfo);
void real_destroy(real_t **self_p);
void real_identity(const real_t *self, identity_t *ret_identity, id128_t *ret_genesis);
/* As it was when it was made; no session does anything. */
void real_reset(real_t *self);
void real_step(real_t *self, const act_t *step, shown_t shown[SESSIONS]);
void real_tables(real_t *self, char text[TABLES_SIZE]);
/* True, with a sentence, when the tables break the promise that the SQL is there for. */
bool real_harm(real_t *self, char *ret_what, size_t size);

/* The way answers are written, for both. */
void answer_status(char answer[ANSWER_SIZE], uint64_t epoch, id128_t generation, uint64_t head,
                   id128_t hash, uint64_t checkpoint);

/* Runs one seed on both sides; true: no difference. Otherwise `ret_what` says where, and with
 * `print` both histories are shown. */
typedef struct {
    uint64_t steps;
    uint64_t waited; /* steps that had to wait */
    uint64_t ended;  /* sessions ended by a claim */
} figures_t;
bool interleaving_run(real_t *real, uint64_t seed, bool print, figures_t *figures, char *ret_what,
                      size_t size);
/* Runs one seed on the real side alone; true: no harm (real_harm). */
bool interleaving_run_alone(real_t *real, uint64_t seed, char *ret_what, size_t size);

#endif
