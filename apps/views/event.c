#include "apps/views/event.h"

#include <string.h>

#include "apps/views/reflect.h"
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

/* Another name, where an event's own place in the log has that one. */
static void s_rename(json_t *json, const char *name, const char *other)
{
    json_t *value = json_object_get(json, name);
    if (!value)
        return;
    json_object_set(json, other, value);
    json_object_del(json, name);
}

/* By the names of the contract: what it says without bytes, such as a strategy's body. */
static json_t *s_other(const Ixn__V1__Entry *entry, const char **ret_name)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(
        &ixn__v1__entry__descriptor, (unsigned)entry->body_case);
    *ret_name = "other"; /* of a newer version */
    if (!field || field->type != PROTOBUF_C_TYPE_MESSAGE)
        return json_object();
    *ret_name = field->name;
    /* The body: all of them share one place in the entry. */
    json_t *json = reflect(&entry->strategy_put->base);
    s_rename(json, "interaction_id", "interaction");
    s_rename(json, "epoch", "request_epoch"); /* of services: the token of the request */
    s_rename(json, "index", "request_index");
    return json;
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
        return s_other(entry, ret_name);
    }
}

/* Names that are not those of the contract. */
static const char *const s_own[] = {"held", "resumed", "other"};

/* The one of that number; NULL: there is none. */
static const char *s_name(size_t number)
{
    const size_t own = sizeof s_own / sizeof *s_own;
    const ProtobufCMessageDescriptor *entry = &ixn__v1__entry__descriptor;
    if (number < own)
        return s_own[number];
    for (unsigned i = 0; i < entry->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &entry->fields[i];
        if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
            field->id == IXN__V1__ENTRY__BODY_BEAT ||
            field->id == IXN__V1__ENTRY__BODY_HELD_CHANGED)
            continue;
        if (number-- == own)
            return field->name;
    }
    return NULL;
}

bool event_is_name(const char *name)
{
    for (size_t i = 0; s_name(i); i++)
        if (strcmp(s_name(i), name) == 0)
            return true;
    return false;
}

void event_names(buffer_t *out)
{
    for (size_t i = 0; s_name(i); i++)
        buffer_printf(out, "%s%s", i ? ", " : "", s_name(i));
}
