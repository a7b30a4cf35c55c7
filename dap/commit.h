/* Commit: the statement that commits a batch if, and only if, this node still may, and the question
 * that finds out why it did not.
 *
 * Promises: nothing is inserted unless the database is the pair's own on the instance that is
 * proven, the epoch and its generation are still ours, and the journal's last row is the batch
 * before; the pair's row stays locked until the commit, so a claim waits for it and a statement
 * that waited for a claim inserts nothing. Each is one statement, one round trip. Unless
 * commit_prepare was called they leave no session state: they work through a transaction pooler,
 * also one that leads to another database the next time.
 */
#ifndef IXN_DAP_COMMIT_H
#define IXN_DAP_COMMIT_H

#include "core/batch.h"
#include "dap/connection.h"
#include "dap/identity.h"

/* What must hold. */
typedef struct {
    identity_t identity;
    uint64_t epoch;
    id128_t generation;
    instance_t instance; /* the proven one: nothing is written through any other */
} commit_t;

/* Sends the statement; the batch must stay until this returns. */
bool commit_send(const commit_t *self, connection_t *connection, const batch_t *batch,
                 uint32_t timeout_ms, error_t *ret_error);
/* True when its result says that the batch was inserted. */
bool commit_inserted(const PGresult *result);

/* Parsing and planning the statement costs the server several times what running it does, so where
 * the session is ours alone it is prepared. After a batch was inserted: commit_may_prepare says
 * whether it may be. Then commit_prepare, a step of the connection, and the same once more, until
 * connection_is_prepared; commit_send uses it from then on. */
bool commit_may_prepare(const connection_t *connection, const PGresult *inserted);
bool commit_prepare(connection_t *connection, bool again, uint32_t timeout_ms, error_t *ret_error);

/* Sends the question. */
bool commit_send_question(connection_t *connection, const batch_t *batch, uint32_t timeout_ms,
                          error_t *ret_error);

typedef enum {
    COMMIT_CLEAR,    /* nothing is in the way: send the batch again */
    COMMIT_THERE,    /* the head is this batch: it was inserted before */
    COMMIT_FENCED,   /* another epoch or generation */
    COMMIT_WRONG,    /* another database */
    COMMIT_INSTANCE, /* another server, or the same one started again: not before it is proven */
    COMMIT_DIVERGED, /* the head is something else */
    COMMIT_UNKNOWN,  /* the answer makes no sense */
} commit_verdict_t;

/* Judges its result; the error says both values for all but CLEAR and THERE. */
commit_verdict_t commit_judge(const commit_t *self, const char *dap, const batch_t *batch,
                              const PGresult *result, error_t *ret_error);

#endif
