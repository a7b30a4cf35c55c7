#include "apps/views/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/id.h"
#include "core/row.h"
#include "core/wire/wire.h"

json_t *view_text(const char *text)
{
    json_t *json = json_string(text ? text : "");
    if (json)
        return json;
    char *copy = memory_text(text);
    wire_clean_text(copy);
    json = json_string(copy);
    free(copy);
    return json;
}

json_t *view_time(usec_t wall)
{
    char text[48];
    struct tm parts;
    const time_t seconds = (time_t)(wall / USEC_PER_SECOND);
    if (wall <= 0 || !gmtime_r(&seconds, &parts))
        return json_null();
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + len, sizeof text - len, ".%06dZ", (int)(wall % USEC_PER_SECOND));
    return json_string(text);
}

json_t *view_id(ProtobufCBinaryData bytes)
{
    id128_t id;
    char text[ID_TEXT_SIZE];
    if (!wire_read_id(bytes, &id))
        return json_null();
    return json_string(id_text(id, text));
}

static json_t *s_daps(const Ixn__V1__PairNode *node)
{
    json_t *list = json_array();
    for (size_t i = 0; i < node->n_daps; i++) {
        const Ixn__V1__PairDap *dap = node->daps[i];
        json_array_append_new(
            list, json_pack("{s:o, s:b, s:b, s:f, s:o}", "name", view_text(dap->name), "reachable",
                            dap->reachable, "proven", dap->proven, "latency_seconds",
                            dap->latency_us / 1e6, "trouble", view_text(dap->trouble)));
    }
    return list;
}

json_t *view_node(const Ixn__V1__PairNode *node)
{
    if (!node)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:b, s:o, s:b, s:b, s:o}", "name",
                     view_text(node->name), "role", view_text(node->role), "client_endpoint",
                     view_text(node->client_endpoint), "admin_url", view_text(node->admin_url),
                     "index", (json_int_t)node->index, "checkpoint", (json_int_t)node->checkpoint,
                     "ready", node->ready, "readiness", view_text(node->readiness), "automatic",
                     node->automatic, "database", node->database, "daps", s_daps(node));
}

json_t *view_heal(const Ixn__V1__PairHeal *heal)
{
    if (!heal || !heal->lost)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o}", "entries", (json_int_t)heal->lost, "first",
                     (json_int_t)heal->first, "last", (json_int_t)heal->last, "dap",
                     view_text(heal->dap), "server", view_text(heal->server), "objection",
                     view_text(heal->objection));
}

int view_heal_worth(const Ixn__V1__PairHeal *heal)
{
    if (!heal)
        return -1;
    if (!heal->objection[0])
        return 2;
    return heal->lost > 0 && heal->held_first && heal->held_first <= heal->first &&
           heal->held_last >= heal->last;
}

json_t *view_lag_bytes(const Ixn__V1__PairStatus *status)
{
    return status && status->has_lag_bytes ? json_integer((json_int_t)status->lag_bytes)
                                           : json_null();
}

json_t *view_pair(const Ixn__V1__PairStatus *status, usec_t age)
{
    if (!status)
        return json_null();
    return json_pack("{s:f, s:o, s:o, s:b, s:b, s:f, s:I, s:o, s:o, s:f, s:o, s:f, s:o, s:o}",
                     "age_seconds", (double)age / 1e6, "own", view_node(status->own), "peer",
                     view_node(status->peer), "has_peer", status->has_peer, "link", status->link,
                     "link_silent_seconds", status->link_silent_ms / 1e3, "epoch",
                     (json_int_t)status->epoch, "database_id", view_id(status->database_id),
                     "database", view_text(status->database), "role_since_seconds",
                     status->role_since_ms / 1e3, "role_reason", view_text(status->role_reason),
                     "last_takeover_seconds", status->last_takeover_ms / 1e3, "lost",
                     view_heal(status->heal), "lag_bytes", view_lag_bytes(status));
}

json_t *view_queue(const Ixn__V1__Queue *queue, usec_t wall_now)
{
    const usec_t oldest = queue->oldest_placed_at_us;
    const usec_t age = oldest && wall_now > oldest ? wall_now - oldest : 0;
    return json_pack("{s:o, s:o, s:o, s:b, s:I, s:I, s:I, s:I, s:I, s:o, s:f, s:I, s:I, s:o}",
                     "tenant", view_text(queue->tenant), "name", view_text(queue->name), "strategy",
                     view_text(queue->strategy), "configured", queue->configured, "max_length",
                     (json_int_t)queue->max_length, "waiting", (json_int_t)queue->waiting, "held",
                     (json_int_t)queue->held, "routing", (json_int_t)queue->routing, "quarantined",
                     (json_int_t)queue->quarantined, "oldest_placed_at", view_time(oldest),
                     "oldest_seconds", (double)age / 1e6, "entered", (json_int_t)queue->entered,
                     "left", (json_int_t)queue->left, "reason", view_text(queue->reason));
}

/* JSON text of the state; null where there is none. Whole numbers that are too large for one are
 * shown as far as a double can. */
static json_t *s_json(ProtobufCBinaryData text)
{
    const char *bytes = (const char *)text.data;
    json_t *json = text.len ? json_loadb(bytes, text.len, 0, NULL) : NULL;
    if (!json && text.len)
        json = json_loadb(bytes, text.len, JSON_DECODE_INT_AS_REAL, NULL);
    return json ? json : json_null();
}

static const char *s_state(const Ixn__V1__Interaction *interaction)
{
    const char *name = interaction_state_name((interaction_state_t)interaction->state);
    return name ? name : "unknown";
}

static void s_add_times(json_t *json, const Ixn__V1__Interaction *interaction)
{
    const struct {
        const char *name;
        usec_t at;
    } times[] = {
        {"received_at", interaction->received_at_us},
        {"submitted_at", interaction->submitted_at_us},
        {"placed_in_queue_at", interaction->placed_in_queue_at_us},
        {"moved_to_queue_at", interaction->moved_to_queue_at_us},
        {"routed_at", interaction->routed_at_us},
        {"held_at", interaction->held_at_us},
        {"completed_at", interaction->completed_at_us},
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        json_object_set_new(json, times[i].name, view_time(times[i].at));
}

json_t *view_interaction(const Ixn__V1__Interaction *interaction, bool whole)
{
    json_t *json = json_pack(
        "{s:o, s:I, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:I, s:o}",
        "id", view_id(interaction->interaction_id), "version", (json_int_t)interaction->version,
        "state", s_state(interaction), "held", interaction->held, "tenant",
        view_text(interaction->tenant), "queue", view_text(interaction->queue), "media_type",
        view_text(interaction->media_type), "type", view_text(interaction->type), "subtype",
        view_text(interaction->subtype), "external_id", view_text(interaction->external_id),
        "parent_id", view_id(interaction->parent_id), "priority", (int)interaction->priority,
        "submitted_by", view_text(interaction->submitted_by), "router",
        view_text(interaction->router), "strategy", view_text(interaction->strategy), "attempts",
        (json_int_t)interaction->attempts, "reason", view_text(interaction->reason));
    CHECK(json);
    s_add_times(json, interaction);
    json_object_set_new(json, "deadline_seconds",
                        interaction->deadline_in_us
                            ? json_real((double)interaction->deadline_in_us / 1e6)
                            : json_null());
    if (whole) {
        json_object_set_new(json, "attributes", s_json(interaction->attributes));
        json_t *journey = s_json(interaction->journey);
        json_object_set_new(json, "journey", json_is_null(journey) ? json_array() : journey);
    }
    return json;
}
