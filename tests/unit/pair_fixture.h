/* The world of one story of the pair: `w`, made before the test and freed after it.
 *
 *   TestSuite(pair, .init = world_settled, .fini = world_close, .timeout = 300);
 */
#ifndef IXN_TESTS_PAIR_FIXTURE_H
#define IXN_TESTS_PAIR_FIXTURE_H

#include <criterion/criterion.h>

#include "tests/unit/pair_world.h"

static pair_world_t *w;

/* Nothing runs in it. */
static void world_open(void)
{
    w = pair_world_new();
}

/* A serves, B is its ready backup. */
static inline void world_settled(void)
{
    world_open();
    cr_assert(pair_world_settle(w), "%s", pair_world_told(w));
}

static void world_close(void)
{
    pair_world_free(&w);
}

#endif
