/* Loss: the database fails over to a replica that lacks its newest commits, the server before is
 * gone for good, and operators have a node write back what is missing.
 */
#ifndef IXN_TESTS_SIM_LOSS_H
#define IXN_TESTS_SIM_LOSS_H

#include "tests/sim/world.h"

void loss_break(world_t *world);
/* All ways lead to a database that lacks commits. */
bool loss_is_open(const world_t *world);
/* The faults are over: operators have some time left; then the server before comes back. */
void loss_heal(world_t *world);

#endif
