/* Journal: commits batches in order, through one DAP at a time, in the turns of its owner's loop:
 * it never waits, and a batch leaves for the database within journal_append.
 *
 * Promises: a batch is one statement and one round trip that locks the pair's row under database
 * id, epoch and generation, requires the journal's last row to be the batch before, and inserts. A
 * batch whose outcome is unknown is sent again unchanged until it is known. Every wait has a
 * deadline. It stays on one DAP while that works. One that fails is left at once for the next
 * in order; one that keeps an answer back is overtaken: the batch is also sent through the next,
 * and whichever answers first counts. A DAP that reaches another database is left, reported and
 * goes last. It never drops a batch and never reorders. After FENCED or DIVERGED it does nothing
 * more.
 */
#ifndef IXN_DAP_JOURNAL_H
#define IXN_DAP_JOURNAL_H

#include <poll.h>

#include "core/batch.h"
#include "dap/identity.h"
#include "dap/ways.h"

typedef struct journal journal_t;

typedef struct {
    use_t *use; /* the DAPs that may be used; the journal's from now on */
    identity_t identity;
    uint64_t epoch;
    id128_t generation;
    instance_t instance; /* the server that is proven */
    uint64_t head_index; /* what the first batch continues */
    id128_t head_hash;
} journal_options_t;

typedef enum {
    /* `index`: everything up to it is committed. `clean`: the server said so itself. Not clean: it
     * was found there after its outcome had been unknown, and is released only by a later clean
     * commit. */
    JOURNAL_COMMITTED,
    JOURNAL_WAITING,  /* the database does not take it now; still trying; `error` says why */
    JOURNAL_RESUMED,  /* … and now it does */
    JOURNAL_FAILED,   /* an attempt through this DAP failed; it goes on with the next */
    JOURNAL_MOVED,    /* `dap` overtook the one before, which gave no answer; `error` says so */
    JOURNAL_WRONG,    /* another database answers here: `error` names both; it goes on */
    JOURNAL_FENCED,   /* another epoch or generation is in the row: `error` names both */
    JOURNAL_DIVERGED, /* the head is not the batch before: `error` names both */
} journal_event_kind_t;

typedef struct {
    journal_event_kind_t kind;
    uint64_t index;
    bool clean;
    size_t dap;     /* its number; not of RESUMED */
    usec_t elapsed; /* COMMITTED: from the first send to the answer */
    error_t error;
} journal_event_t;

/* Connects in the background. */
journal_t *journal_new(const journal_options_t *options);
/* At once: closes the connection, without waiting for a statement in flight. Whether its batch was
 * committed is not known; whoever goes on reads the head. Nothing of it, nor of the batches that
 * were not sent, was released: no COMMITTED was said. */
void journal_destroy(journal_t **self_p);

/* Hands a batch over; the journal frees it. The caller keeps the number in flight bounded. */
void journal_append(journal_t *self, batch_t *batch);
/* The DAPs that may be used from now on; may be none. The journal frees it. */
void journal_use(journal_t *self, use_t *use);
/* Another server is proven to be the pair's own: batches go there from now on, and nowhere else. No
 * COMMITTED of the server before is said any more: such a batch is sent again. */
void journal_prove(journal_t *self, const instance_t *instance);

/* What a turn of the owner's loop does: poll what journal_watch fills (descriptors that are -1 are
 * passed over) until journal_deadline at the latest, hand the items to journal_turn, and take the
 * events. None of it blocks. */
enum { JOURNAL_ITEMS = 2 };
void journal_watch(const journal_t *self, struct pollfd ret_items[JOURNAL_ITEMS]);
usec_t journal_deadline(const journal_t *self); /* CLOCK_BOOTTIME; past: at once */
void journal_turn(journal_t *self, const struct pollfd items[JOURNAL_ITEMS]);
bool journal_next(journal_t *self, journal_event_t *ret_event);

#endif
