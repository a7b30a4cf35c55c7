/* Wires: the connections between clients (talkers) and nodes. */
#ifndef IXN_TESTS_SIM_WIRES_H
#define IXN_TESTS_SIM_WIRES_H

#include "tests/sim/machine.h"
#include "tests/sim/world.h"

wires_t *wires_new(world_t *world);
void wires_destroy(wires_t **self_p);

/* Both take over the bytes. */
void wires_to_machine(talker_t *talker, int node, uint8_t *bytes, size_t len);
void wires_to_talker(machine_t *machine, size_t talker, uint8_t *bytes, size_t len);
/* A talker's process ended: its connections are closed, and the nodes hear of it, or not. */
void wires_talker_gone(talker_t *talker, bool heard);
void wires_process_gone(world_t *world, int node, bool heard);
void wires_cut(world_t *world, size_t talker, int node, bool cut);
bool wires_is_cut(const world_t *world, size_t talker, int node);

#endif
