#include "core/row.h"

static const char *const s_state_names[] = {
    [INTERACTION_QUEUED] = "queued",           [INTERACTION_ROUTING] = "routing",
    [INTERACTION_INVITED] = "invited",         [INTERACTION_HANDLING] = "handling",
    [INTERACTION_QUARANTINED] = "quarantined", [INTERACTION_COMPLETED] = "completed",
};

const char *interaction_state_name(interaction_state_t state)
{
    return state >= INTERACTION_QUEUED && state <= INTERACTION_COMPLETED ? s_state_names[state]
                                                                         : NULL;
}

bool interaction_state_parse(text_t name, interaction_state_t *ret_state)
{
    for (int state = INTERACTION_QUEUED; state <= INTERACTION_COMPLETED; state++) {
        if (text_equal(text_of(s_state_names[state]), name)) {
            *ret_state = (interaction_state_t)state;
            return true;
        }
    }
    return false;
}
