#include "apps/views/event.h"

#include <string.h>

#include "apps/views/view.h"

static json_t *s_epoch(const Ixn__V1__EpochStarted *body)
{
    return json_pack("{s:I, s:o, s:o}", "epoch", (json_int_t)body->epoch, "node",
                     view_text(body->node), "reason", view_text(body->reason));
}

static json_t *s_submitted(const Ixn__V1__Submitted *body)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:i, s:b, s:o}", "interaction",
                     view_id(body->interaction_id), "tenant", view_text(body->tenant), "queue",
                     view_text(body->queue), "media_type", view_text(body->media_type),
                     "external_id", view_text(body->external_id), "priority", (int)body->priority,
                     "held", body->held, "by", view_text(body->submitted_by));
}

static json_t *s_returned(const Ixn__V1__Returned *body)
{
    static const char *const causes[] = {"unspecified",  "router_lost",     "router_left",
                                         "route_failed", "routing_timeout", "not_held",
                                         "released"};
    const size_t cause = (size_t)body->cause;
    return json_pack("{s:o, s:s, s:o, s:b}", "interaction", view_id(body->interaction_id), "cause",
                     cause < sizeof causes / sizeof causes[0] ? causes[cause] : "unknown", "reason",
                     view_text(body->reason), "quarantined", body->quarantined);
}

json_t *event_of(const Ixn__V1__Entry *entry, const char **ret_name)
{
    switch (entry->body_case) {
    case IXN__V1__ENTRY__BODY_BEAT:
        return NULL;
    case IXN__V1__ENTRY__BODY_EPOCH_STARTED:
        *ret_name = "epoch_started";
        return s_epoch(entry->epoch_started);
    case IXN__V1__ENTRY__BODY_CONFIGURATION_CHANGED:
        *ret_name = "configuration_changed";
        return json_object();
    case IXN__V1__ENTRY__BODY_SUBMITTED:
        *ret_name = "submitted";
        return s_submitted(entry->submitted);
    case IXN__V1__ENTRY__BODY_CHANGED:
        *ret_name = "changed";
        return json_pack("{s:o, s:o}", "interaction", view_id(entry->changed->interaction_id), "by",
                         view_text(entry->changed->by));
    case IXN__V1__ENTRY__BODY_PLACED:
        *ret_name = "placed";
        return json_pack("{s:o, s:o, s:o, s:o}", "interaction",
                         view_id(entry->placed->interaction_id), "queue",
                         view_text(entry->placed->queue), "reason",
                         view_text(entry->placed->reason), "by", view_text(entry->placed->by));
    case IXN__V1__ENTRY__BODY_HELD_CHANGED:
        *ret_name = entry->held_changed->held ? "held" : "resumed";
        return json_pack("{s:o, s:o}", "interaction", view_id(entry->held_changed->interaction_id),
                         "by", view_text(entry->held_changed->by));
    case IXN__V1__ENTRY__BODY_STOPPED:
        *ret_name = "stopped";
        return json_pack("{s:o, s:o, s:o}", "interaction", view_id(entry->stopped->interaction_id),
                         "reason", view_text(entry->stopped->reason), "by",
                         view_text(entry->stopped->by));
    case IXN__V1__ENTRY__BODY_DISPATCHED:
        *ret_name = "dispatched";
        return json_pack("{s:o, s:o, s:o}", "interaction",
                         view_id(entry->dispatched->interaction_id), "router",
                         view_text(entry->dispatched->router), "strategy",
                         view_text(entry->dispatched->strategy));
    case IXN__V1__ENTRY__BODY_RETURNED:
        *ret_name = "returned";
        return s_returned(entry->returned);
    default:
        *ret_name = "other"; /* of another part of the engine */
        return json_object();
    }
}

#define FIRST "submitted"
#define REST(X)                                                                                    \
    X("changed")                                                                                   \
    X("placed")                                                                                    \
    X("held")                                                                                      \
    X("resumed")                                                                                   \
    X("stopped")                                                                                   \
    X("dispatched")                                                                                \
    X("returned")                                                                                  \
    X("epoch_started")                                                                             \
    X("configuration_changed")                                                                     \
    X("other")

bool event_is_name(const char *name)
{
#define X(one) , one
    static const char *const names[] = {FIRST REST(X)};
#undef X
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

const char *event_names(void)
{
#define X(one) ", " one
    return FIRST REST(X);
#undef X
}
