/* Image transaction: one attempt to write one checkpoint image.
 *
 * Promises: all of the image or nothing; only while the checkpoint's row has our generation and the
 * index that the image starts from, in the pair's own database, proved inside the transaction. An
 * earlier attempt whose outcome was unknown is recognised. It blocks, within deadlines that grow
 * with what is sent and are bounded; a transaction that this program no longer looks after is ended
 * by the server. It does not decide when to try again.
 */
#ifndef IXN_DAP_IMAGE_TRANSACTION_H
#define IXN_DAP_IMAGE_TRANSACTION_H

#include "core/checkpoint.h"
#include "dap/connection.h"
#include "dap/fence.h"
#include "dap/params.h"
#include "dap/rows.h"

typedef enum {
    IMAGE_WRITTEN, /* now, or by an earlier attempt */
    IMAGE_FAILED,  /* not now, or nobody knows: the same again will tell */
    IMAGE_FENCED,  /* another generation is in the checkpoint's row */
    IMAGE_BEHIND,  /* the tables are behind where the image begins: they are another server's */
    IMAGE_REFUSED, /* a row is refused for what it holds; the error names its interaction */
} image_outcome_t;

enum { IMAGE_DAYS = 64, IMAGE_ABANDONED = 16 };

/* A transaction of ours in the server. */
typedef struct {
    int32_t pid;       /* 0: none */
    usec_t started_at; /* by the server's calendar; tells it from a later one of the same pid */
} image_session_t;

typedef struct {
    fence_t fence;
    uint32_t statement_timeout_ms;
    unsigned patience; /* the time-outs are doubled so many times; grows with each that passed */
    rows_t rows;
    int64_t days[IMAGE_DAYS]; /* days of the history whose partition is there */
    size_t days_len;
    image_session_t abandoned[IMAGE_ABANDONED]; /* lost on the way; they may hold the row */
    size_t abandoned_len;
} image_transaction_t;

void image_transaction_init(image_transaction_t *self, const fence_t *fence,
                            uint32_t statement_timeout_ms);
void image_transaction_free(image_transaction_t *self);

/* The statement that comes first, for tests that stand between it and the commit: no row unless the
 * fence holds and the checkpoint is where the image begins. */
#define IMAGE_MOVE_SQL_SIZE (FENCE_TEXT_SIZE + 256)
void image_move(const fence_t *fence, const checkpoint_image_t *image,
                char sql[IMAGE_MOVE_SQL_SIZE], params_t *params);

/* No transaction is open afterwards. */
image_outcome_t image_transaction_run(image_transaction_t *self, connection_t *connection,
                                      const checkpoint_image_t *image, error_t *ret_error);

#endif
