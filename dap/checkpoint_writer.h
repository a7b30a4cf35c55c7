/* Checkpoint lane: one thread that writes checkpoint images, one transaction each, through its DAPs
 * in weighted turn, and keeps the tables in shape: journal retention, history partitions ahead of
 * time, history retention.
 *
 * Promises: an image is written whole or not at all, only while the checkpoint's row has our
 * generation and the index the image starts from; an unknown outcome is resolved by reading that
 * row. A failed write is tried again, unchanged, until it is done.
 */
#ifndef IXN_DAP_CHECKPOINT_WRITER_H
#define IXN_DAP_CHECKPOINT_WRITER_H

#include <czmq.h>

#include "config/config.h"
#include "core/checkpoint.h"
#include "dap/identity.h"
#include "dap/ways.h"

typedef struct checkpoint_writer checkpoint_writer_t;

/* How long what is behind the checkpoint stays. */
typedef struct {
    usec_t journal_retention;
    uint64_t journal_retention_size;
    usec_t history_retention;
} checkpoint_keep_t;
checkpoint_keep_t checkpoint_keep_of(const config_t *config);

typedef struct {
    use_t *use; /* the DAPs that may be used; the lane's from now on */
    identity_t identity;
    id128_t generation;
    checkpoint_keep_t keep;
    instance_t instance; /* the server that is proven */
} checkpoint_writer_options_t;

typedef enum {
    CHECKPOINT_WRITTEN, /* `index` is where the tables are now */
    CHECKPOINT_WAITING, /* cannot write now; still trying; `error` says why */
    CHECKPOINT_FAILED,  /* an attempt through this DAP failed */
    CHECKPOINT_WRONG,  /* another database answers here: `error` names both; it goes on elsewhere */
    CHECKPOINT_FENCED, /* another generation is in the row; nothing more will be written */
    CHECKPOINT_BEHIND, /* the tables are behind what was written; nothing more will be written */
    /* The database refuses a row for what it holds; will not pass by trying. `error` names it. */
    CHECKPOINT_REFUSED,
} checkpoint_event_kind_t;

typedef struct {
    checkpoint_event_kind_t kind;
    uint64_t index;
    size_t dap; /* its number */
    usec_t elapsed;
    size_t rows;
    error_t error;
} checkpoint_event_t;

checkpoint_writer_t *checkpoint_writer_new(const checkpoint_writer_options_t *options);
/* At once: closes the connection, without waiting for a statement in flight. An image that was
 * being written is in the tables whole or not at all; the checkpoint's row tells. */
void checkpoint_writer_destroy(checkpoint_writer_t **self_p);

/* Hands an image over; the lane frees it. One at a time: the next only after WRITTEN. */
void checkpoint_writer_write(checkpoint_writer_t *self, checkpoint_image_t *image);
/* What holds from now on; the lane frees it. */
void checkpoint_writer_use(checkpoint_writer_t *self, use_t *use, const checkpoint_keep_t *keep);
/* Another server is proven to be the pair's own: images go there from now on, and nowhere else. */
void checkpoint_writer_prove(checkpoint_writer_t *self, const instance_t *instance);
zsock_t *checkpoint_writer_socket(checkpoint_writer_t *self);
bool checkpoint_writer_next(checkpoint_writer_t *self, checkpoint_event_t *ret_event);

#endif
