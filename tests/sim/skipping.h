/* Skipping: an operator who reads what the nodes log, and gives the command that they name: ixnctl
 * database skip. As that does, he asks both nodes first, and takes no for an answer while one says
 * that it serves; one that does not answer is no reason.
 */
#ifndef IXN_TESTS_SIM_SKIPPING_H
#define IXN_TESTS_SIM_SKIPPING_H

#include "tests/sim/world.h"

/* A node has logged this. */
void skipping_reads(world_t *world, int node, const char *event, const char *text);

#endif
