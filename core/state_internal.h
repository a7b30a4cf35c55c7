/* What the files of the state share among themselves (state.c, apply.c, digest.c, image.c,
 * load.c, remembered.c).
 */
#ifndef IXN_CORE_STATE_INTERNAL_H
#define IXN_CORE_STATE_INTERNAL_H

#include "core/base/mutation.h"
#include "core/state.h"

/* state.c */
interaction_t *state_record_new(state_t *self);
/* Its memory. Whoever takes it out of the state lowers `count`. */
void state_record_free(state_t *self, interaction_t *interaction);
interaction_t *state_record(const state_t *self, uint32_t handle);
interaction_more_t *state_more(interaction_t *interaction); /* made when needed */
queue_t *state_queue_make(state_t *self, uint16_t tenant, text_t name);
bool state_tenant_make(state_t *self, text_t name, uint16_t *ret_tenant);
/* Puts it where its state, flags and deadline say: its queue's line or the deadlines. */
void state_link(state_t *self, interaction_t *interaction);
void state_unlink(state_t *self, interaction_t *interaction);
/* False when its queue's line has another one at its priority and age. */
bool state_place_is_free(const state_t *self, interaction_t *interaction);
void state_give_to_router(state_t *self, interaction_t *interaction, state_router_t *router);
void state_take_from_router(state_t *self, interaction_t *interaction);
/* True when all its names fit, there is room for them, and no duration overflows. */
bool state_check_configuration(const state_t *self,
                               const Ixn__V1__EngineConfiguration *configuration);
void state_set_configuration(state_t *self, const Ixn__V1__EngineConfiguration *configuration);

/* apply.c: the entry that comes next does not fit the state. */
bool state_misfit(const state_t *self, const char *entry, const char *what, error_t *ret_error);

/* image.c */
void image_touch(state_t *self, interaction_t *interaction); /* before it changes */
/* Completed, and no longer part of the state: the record is the image's from now on. */
void image_finish(state_t *self, interaction_t *interaction);
void image_destroy(image_t **self_p);
image_t *image_new(void);
void image_set_base(image_t *self, uint64_t index); /* where the tables are */

/* digest.c */
void digest_add(state_t *self, const interaction_t *interaction);
void digest_remove(state_t *self, const interaction_t *interaction); /* before it changes */
uint64_t digest_of_names(text_t owner, text_t name);
void digest_add_service(state_t *self, const service_t *service);
void digest_remove_service(state_t *self, const service_t *service);

/* tally.c: before an interaction changes, and after; also for one that is new */
void tally_remove(state_t *self, const interaction_t *interaction);
void tally_add(state_t *self, const interaction_t *interaction);

/* remembered.c */
void remembered_init(remembered_table_t *self);
void remembered_free(remembered_table_t *self);
/* Takes the last changes of a journey. */
void remembered_changes(remembered_t *entry, const journey_t *journey);
void remembered_add(remembered_table_t *self, const remembered_t *entry);
void remembered_expire(state_t *self);

#endif
