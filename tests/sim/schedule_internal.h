/* What the files of the schedule share. */
#ifndef IXN_TESTS_SIM_SCHEDULE_INTERNAL_H
#define IXN_TESTS_SIM_SCHEDULE_INTERNAL_H

#include "tests/sim/database.h"
#include "tests/sim/schedule.h"

struct schedule {
    database_sim_t *snapshot; /* a copy of some time ago, that nobody reaches */
    bool healing;
    usec_t healed_at;
    int asked; /* the node that was told to hand over in peace; -1: none yet */
    usec_t asked_at;
    usec_t said_at; /* the command may have been lost on its way */
    usec_t resumed_at;
    size_t last_live; /* of what is left to complete, since `shrunk_at`; 0: not looked yet */
    usec_t shrunk_at;
    /* The next time that a node goes to another server, the other one is led back to the one
     * before, and hears nothing of it for so long; 0: not. */
    usec_t divides_for;
    bool divides_crashed; /* … and begins anew there */
    usec_t divided_until;
};

/* All access points of a node lead to this server again; NULL: to the pair's own. */
void schedule_lead_home(world_t *world, int node, database_sim_t *before);
/* A node's process ends and another version of the program begins: one whose protocol between the
 * nodes, or whose schema, is that much newer. */
void schedule_start_as(world_t *world, int node, unsigned protocol, unsigned schema);
/* liveness.c: an event */
void liveness_begin(world_t *world, void *data);

#endif
