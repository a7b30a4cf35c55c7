#include "core/service_row.h"

static const char *const s_states[] = {NULL, "waiting", "sent", "answered"};
static const char *const s_targets[] = {NULL, "type", "server", "cluster"};

const char *service_state_name(service_state_t state)
{
    return state >= SERVICE_WAITING && state <= SERVICE_ANSWERED ? s_states[state] : NULL;
}

bool service_state_parse(text_t name, service_state_t *ret_state)
{
    for (int state = SERVICE_WAITING; state <= SERVICE_ANSWERED; state++) {
        if (text_equal(text_of(s_states[state]), name)) {
            *ret_state = (service_state_t)state;
            return true;
        }
    }
    return false;
}

const char *service_target_name(service_target_t target)
{
    return target >= SERVICE_BY_TYPE && target <= SERVICE_BY_CLUSTER ? s_targets[target] : NULL;
}

bool service_target_parse(text_t name, service_target_t *ret_target)
{
    for (int target = SERVICE_BY_TYPE; target <= SERVICE_BY_CLUSTER; target++) {
        if (text_equal(text_of(s_targets[target]), name)) {
            *ret_target = (service_target_t)target;
            return true;
        }
    }
    return false;
}
