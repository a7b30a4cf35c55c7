#include "core/base/hand.h"

static _Thread_local hand_t *s_bound;

void hand_bind(hand_t *self)
{
    s_bound = self;
}

hand_t *hand_bound(void)
{
    return s_bound;
}
