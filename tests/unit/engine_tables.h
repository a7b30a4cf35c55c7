/* Tables: what ixn.interaction, ixn.interaction_history and ixn.configuration would hold after the
 * checkpoint images of a test's world, so that a state can be loaded from them. Keeps all images;
 * for small worlds.
 */
#ifndef IXN_TESTS_ENGINE_TABLES_H
#define IXN_TESTS_ENGINE_TABLES_H

#include "core/state.h"

typedef struct engine_tables engine_tables_t;

engine_tables_t *engine_tables_new(void);
void engine_tables_destroy(engine_tables_t **self_p);
/* Takes the image over; returns the index that the tables are at now. */
uint64_t engine_tables_write(engine_tables_t *self, checkpoint_image_t *image);
/* Into an empty state; nothing when no image has been written. */
void engine_tables_load(const engine_tables_t *self, state_t *state);

#endif
