/* Checkpoint image: every row that changed since the checkpoint before, exactly as of one index.
 * Made by the state (core/state.h), written by dap/checkpoint_writer.h.
 */
#ifndef IXN_CORE_CHECKPOINT_H
#define IXN_CORE_CHECKPOINT_H

#include "core/catalog.h"
#include "core/row.h"
#include "core/service_row.h"

typedef struct {
    uint64_t from;                           /* the index the tables are at */
    uint64_t to;                             /* the index they are brought to; to > from */
    id128_t hash;                            /* of the batch whose last index is `to` */
    usec_t log_time;                         /* log time at `to` */
    const interaction_row_t *const *changed; /* rows of ixn.interaction to insert or update */
    size_t changed_len;
    size_t added_len;    /* of these, the first so many are in no table yet */
    const id128_t *gone; /* ids whose row leaves ixn.interaction; none of them is in `changed` */
    size_t gone_len;
    const interaction_row_t *const *finished; /* rows to add to ixn.interaction_history */
    size_t finished_len;
    const service_row_t *services; /* rows of ixn.service_request to insert or update */
    size_t services_len;
    const service_token_t *services_gone; /* whose row leaves it; none is in `services` */
    size_t services_gone_len;
    bool configuration_changed;
    text_t configuration;         /* encoded ixn.v1.EngineConfiguration, when it changed */
    const catalog_row_t *catalog; /* rows of strategies and agents: those that go come first */
    size_t catalog_len;
    size_t bytes; /* about how much memory this holds */
} checkpoint_image_t;

/* Frees the image and all its rows. */
void checkpoint_image_destroy(checkpoint_image_t **self_p);

#endif
