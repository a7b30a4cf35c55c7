/* Told: what leaves a node for its clients, and what they take it for: held against the committed
 * log (checker.h) and against what they were told before.
 */
#ifndef IXN_TESTS_SIM_TOLD_H
#define IXN_TESTS_SIM_TOLD_H

#include "tests/sim/talker.h"

told_t *told_new(world_t *world);
void told_destroy(told_t **self_p);

/* A serving node is handed a client's frame. */
void told_received(world_t *world, int node, size_t talker, const uint8_t *bytes, size_t len);
/* A serving node lets a frame go. */
void told_released(world_t *world, int node, size_t talker, const uint8_t *bytes, size_t len);

/* Clients hear the answers to what they asked; these keep them in the items. */
void told_submit_acked(talker_t *talker, submit_t *submit, const Ixn__V1__Ack *ack);
void told_submit_refused(talker_t *talker, submit_t *submit, const Ixn__V1__Message *message);
void told_change_answered(talker_t *talker, change_item_t *change, const Ixn__V1__Message *message);
void told_result_answered(talker_t *talker, const work_t *work, const Ixn__V1__Message *message);

/* It was acknowledged, and its entry skipped since. */
bool told_submit_skipped(const talker_t *talker, const submit_t *submit);
/* At the end: every submit that was acknowledged is in the log and completed, or its media server
 * knows that it was skipped. False: not yet. */
bool told_all_completed(const world_t *world);

#endif
