/* Schedule: what breaks and when it heals: first the phase of safety, in which anything of the
 * seed's kinds may break at any time, then the phase of liveness, in which all heals and everything
 * has to come true within a bound.
 */
#ifndef IXN_TESTS_SIM_SCHEDULE_H
#define IXN_TESTS_SIM_SCHEDULE_H

#include "core/base/error.h"
#include "tests/sim/world.h"

schedule_t *schedule_new(world_t *world);
void schedule_destroy(schedule_t **self_p);
/* Another server than `before` is the pair's own from now on, as this node has gone there. */
void schedule_moved(world_t *world, int node, database_sim_t *before);
/* The process of a node has ended by itself. */
void schedule_stopped(world_t *world, int node, const error_t *error);

#endif
