/* Planted: submits that crash whoever decides them, and submits whose entry in the log crashes
 * whoever applies it: a backup that follows, a node that loads the state. The product's own
 * functions are wrapped (ld --wrap): where one is called with one of these, the process has crashed
 * at that very place, with what it noted in hand; nothing of its turn leaves the node. And what is
 * right then: a node that knows of two crashes does not try again, and nothing else is ever refused
 * or stopped at.
 */
#ifndef IXN_TESTS_SIM_PLANTED_H
#define IXN_TESTS_SIM_PLANTED_H

#include "core/base/hand.h"
#include "core/guard.h"
#include "core/wire/wire.h"
#include "tests/sim/world.h"

enum { PLANTED_MAX = 4, PLANTED_NAME = 16 };

typedef enum { PLANTED_DECIDE, PLANTED_APPLY } planted_kind_t; /* where it crashes */

planted_t *planted_new(world_t *world);
void planted_destroy(planted_t **self_p);

/* The next submit of some media server is one of these; false: there were enough. */
bool planted_plant(planted_t *self, planted_kind_t kind, size_t *ret_number);
/* Its external id. */
void planted_name(const planted_t *self, size_t number, char name[PLANTED_NAME]);

/* Where a node notes what it works on; NULL: nowhere. */
desk_t *planted_desk(planted_t *self, int node);
/* Before a process starts: it finds what the one before died of. */
void planted_find(planted_t *self, int node, usec_t wall_time);
/* The state_dir of a node is lost. */
void planted_forget(planted_t *self, int node);

/* A node's turn begins. */
void planted_turn_begin(planted_t *self, int node);
/* A frame of the other node is about to be handed in. */
void planted_frame(planted_t *self, const uint8_t *bytes, size_t len);
/* True: the process has crashed in this turn; it does nothing more. */
bool planted_crashed(const planted_t *self);
/* The turn is over, and was not ended by a crash. */
void planted_turn_end(planted_t *self);

/* A node orders the state: what it knows now is what it stops at. */
void planted_orders_load(planted_t *self, int node);
/* Its thread applies what the database holds; `hand` is that thread's. */
void planted_load_begin(planted_t *self, int node, const hand_t *hand);
bool planted_load_died(const planted_t *self);
/* True: its process dies of that, at the entry that `ret_left` says. */
bool planted_load_end(planted_t *self, hand_t *ret_left);
void planted_load_crashes(planted_t *self, int node, const hand_t *left);

/* So often nodes crashed on it when they decided it. */
unsigned planted_crashes(const planted_t *self, size_t number);
/* … and when they applied the entry at this index of any log. */
unsigned planted_entry_crashes(const planted_t *self, uint64_t index);

#endif
