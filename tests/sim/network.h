/* Network: the link between the two nodes, as apps/ixnd/peer.h shows it: each node has a connection
 * that it hears the other one through, and sees it come up, close, or be refused.
 */
#ifndef IXN_TESTS_SIM_NETWORK_H
#define IXN_TESTS_SIM_NETWORK_H

#include "tests/sim/database.h"
#include "tests/sim/world.h"

network_t *network_new(world_t *world);
void network_destroy(network_t **self_p);

/* A frame of this node to the other; takes over the bytes. */
void network_send(world_t *world, int from, uint8_t *bytes, size_t len);
void network_process_started(world_t *world, int node);
/* A process that was frozen reads what has arrived. */
void network_thawed(world_t *world, int node);
void network_process_gone(world_t *world, int node, bool heard);

/* What goes from a node to the other one is cut. */
void network_cut(world_t *world, int from, cut_t cut);
/* Chances per mille, and a delay at most; all 0: none. */
typedef struct {
    unsigned loss;
    unsigned duplicates;
    unsigned reordered;
    usec_t delay;
} noise_t;
void network_set_noise(world_t *world, const noise_t *noise);

#endif
