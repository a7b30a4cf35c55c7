/* Show: see show.h. */
#include "apps/ixnctl/parts/show.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "apps/ixnctl/parts/units.h"
#include "apps/ixnctl/parts/utf8.h"
#include "core/base/check.h"
#include "core/wire/wire.h"

const char *show_state(Ixn__V1__InteractionState state, char text[SHOW_STATE_SIZE])
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(&ixn__v1__interaction_state__descriptor, state);
    if (value)
        snprintf(text, SHOW_STATE_SIZE, "%s", value->name);
    else
        snprintf(text, SHOW_STATE_SIZE, "state %d", (int)state);
    for (char *letter = text; *letter; letter++)
        *letter = (char)tolower((unsigned char)*letter);
    return text;
}

typedef struct {
    const char *label;
    const char *name; /* in JSON */
    int64_t at_us;
} moment_t;

#define MOMENTS 7

static void s_moments(const Ixn__V1__Interaction *one, moment_t moments[MOMENTS])
{
    moments[0] = (moment_t){"received", "received_at", one->received_at_us};
    moments[1] = (moment_t){"submitted", "submitted_at", one->submitted_at_us};
    moments[2] = (moment_t){"placed in queue", "placed_in_queue_at", one->placed_in_queue_at_us};
    moments[3] = (moment_t){"moved to queue", "moved_to_queue_at", one->moved_to_queue_at_us};
    moments[4] = (moment_t){"to a router", "routed_at", one->routed_at_us};
    moments[5] = (moment_t){"held", "held_at", one->held_at_us};
    moments[6] = (moment_t){"completed", "completed_at", one->completed_at_us};
}

/* Of what has just ended no more than its state is known; everything else has a queue. */
static bool s_is_whole(const Ixn__V1__Interaction *one)
{
    return *one->queue;
}

static void s_add(table_t *table, const char *label, const char *value)
{
    if (!value || !*value)
        return;
    table_add(table, text_of(label));
    table_add(table, text_of(value));
}

static void s_add_attributes(table_t *table, ProtobufCBinaryData attributes)
{
    json_t *json = json_loadb((const char *)attributes.data, attributes.len, 0, NULL);
    if (!json_is_object(json)) { /* jansson knows no whole numbers over 64 bits */
        table_add(table, TEXT("attributes"));
        table_add(table, (text_t){(const char *)attributes.data, attributes.len});
    }
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(json, name, value)
    {
        table_printf(table, "  %s", name);
        if (json_is_string(value)) {
            table_add(table, (text_t){json_string_value(value), json_string_length(value)});
            continue;
        }
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        table_add(table, text_of(text ? text : ""));
        free(text);
    }
    json_decref(json);
}

static void s_add_member(table_t *table, const json_t *step, const char *name)
{
    const json_t *value = json_object_get(step, name);
    if (json_is_integer(value))
        table_printf(table, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        table_add(table, (text_t){json_string_value(value), json_string_length(value)});
}

/* A row for each step. Where steps between the first and the next are no longer kept, it says how
 * many. */
static void s_append_journey(ProtobufCBinaryData journey, table_style_t style, buffer_t *out)
{
    static const char *const names[] = {"at", "step", "queue", "strategy", "by", "version"};
    table_t table = {.columns = {{"AT", false, false},
                                 {"STEP", false, false},
                                 {"QUEUE", false, true},
                                 {"STRATEGY", false, true},
                                 {"BY", false, true},
                                 {"VERSION", true, false}},
                     .columns_len = sizeof names / sizeof names[0]};
    json_t *steps = json_loadb((const char *)journey.data, journey.len, 0, NULL);
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *step = json_array_get(steps, i);
        for (size_t column = 0; column < table.columns_len; column++)
            s_add_member(&table, step, names[column]);
        json_int_t dropped = json_integer_value(json_object_get(step, "dropped"));
        if (dropped == 0)
            continue;
        table_add(&table, TEXT("…"));
        table_printf(&table, "%" JSON_INTEGER_FORMAT " not kept", dropped);
        for (size_t column = 2; column < table.columns_len; column++)
            table_add(&table, TEXT(""));
    }
    if (json_array_size(steps) > 0) {
        buffer_append_text(out, "\n");
        table_layout(&table, style, out);
    }
    table_free(&table);
    json_decref(steps);
}

static void s_append_source(const show_source_t *source, buffer_t *out)
{
    char age[UNITS_TEXT_SIZE];
    buffer_printf(out, "\nfrom the tables, as of index %llu, %s ago%s",
                  (unsigned long long)source->index, units_seconds(source->age, age),
                  *source->why ? ": " : "");
    utf8_clean(out, text_of(source->why), UTF8_LINE); /* parts of it come from outside */
    buffer_append_text(out, "\n");
}

static void s_add_deadline(table_t *table, int64_t in_us)
{
    char text[UNITS_TEXT_SIZE];
    if (in_us == 0)
        return;
    table_add(table, TEXT("times out"));
    table_printf(table, in_us < 0 ? "%s ago" : "in %s",
                 units_seconds((double)(in_us < 0 ? -in_us : in_us) / 1e6, text));
}

void show_interaction(const Ixn__V1__Interaction *one, const show_source_t *source,
                      table_style_t style, buffer_t *out)
{
    table_t table = {.columns = {{0}, {.shrinks = true}}, .columns_len = 2};
    id128_t id = {0};
    char text[ID_TEXT_SIZE];
    char state[SHOW_STATE_SIZE];
    wire_read_id(one->interaction_id, &id);
    s_add(&table, "id", id_text(id, text));
    table_add(&table, TEXT("state"));
    table_printf(&table, "%s%s", show_state(one->state, state), one->held ? ", held" : "");
    s_add(&table, "reason", one->reason);
    s_add(&table, "tenant", one->tenant);
    s_add(&table, "queue", one->queue);
    s_add(&table, "media type", one->media_type);
    s_add(&table, "type", one->type);
    s_add(&table, "subtype", one->subtype);
    s_add(&table, "external id", one->external_id);
    if (wire_read_id(one->parent_id, &id))
        s_add(&table, "parent", id_text(id, text));
    if (s_is_whole(one)) {
        table_add(&table, TEXT("priority"));
        table_printf(&table, "%d", one->priority);
    }
    table_add(&table, TEXT("version"));
    table_printf(&table, "%u", one->version);
    s_add(&table, "submitted by", one->submitted_by);
    s_add(&table, "router", one->router);
    s_add(&table, "strategy", one->strategy);
    if (one->attempts > 0) {
        table_add(&table, TEXT("attempts"));
        table_printf(&table, "%u", one->attempts);
    }
    moment_t moments[MOMENTS];
    s_moments(one, moments);
    for (size_t i = 0; i < MOMENTS; i++) {
        char at[UNITS_TEXT_SIZE];
        s_add(&table, moments[i].label, units_time(moments[i].at_us, at));
    }
    s_add_deadline(&table, one->deadline_in_us);
    if (one->attributes.len > 0)
        s_add_attributes(&table, one->attributes);
    table_layout(&table, style, out);
    table_free(&table);
    if (one->journey.len > 0)
        s_append_journey(one->journey, style, out);
    if (source->tables)
        s_append_source(source, out);
}

static void s_set(json_t *object, const char *name, const char *value)
{
    json_object_set_new(object, name, json_string(value ? value : ""));
}

static void s_set_source(json_t *json, const show_source_t *source)
{
    s_set(json, "from", source->tables ? "tables" : "node");
    if (!source->tables)
        return;
    if (*source->why)
        s_set(json, "why", source->why);
    json_object_set_new(json, "as_of_index", json_integer((json_int_t)source->index));
    json_object_set_new(json, "as_of_age_s", json_real(source->age));
}

static json_t *s_json(const Ixn__V1__Interaction *one)
{
    id128_t id = {0};
    char text[ID_TEXT_SIZE];
    char state[SHOW_STATE_SIZE];
    json_t *json = json_object();
    CHECK(json);
    wire_read_id(one->interaction_id, &id);
    s_set(json, "id", id_text(id, text));
    json_object_set_new(json, "version", json_integer(one->version));
    s_set(json, "state", show_state(one->state, state));
    json_object_set_new(json, "held", json_boolean(one->held));
    s_set(json, "tenant", one->tenant);
    s_set(json, "queue", one->queue);
    s_set(json, "media_type", one->media_type);
    s_set(json, "type", one->type);
    s_set(json, "subtype", one->subtype);
    s_set(json, "external_id", one->external_id);
    if (wire_read_id(one->parent_id, &id))
        s_set(json, "parent_id", id_text(id, text));
    if (s_is_whole(one))
        json_object_set_new(json, "priority", json_integer(one->priority));
    s_set(json, "submitted_by", one->submitted_by);
    s_set(json, "router", one->router);
    s_set(json, "strategy", one->strategy);
    json_object_set_new(json, "attempts", json_integer(one->attempts));
    s_set(json, "reason", one->reason);
    moment_t moments[MOMENTS];
    s_moments(one, moments);
    for (size_t i = 0; i < MOMENTS; i++) {
        char at[UNITS_TEXT_SIZE];
        if (*units_time(moments[i].at_us, at))
            s_set(json, moments[i].name, at);
    }
    if (one->deadline_in_us)
        json_object_set_new(json, "deadline_seconds", json_real((double)one->deadline_in_us / 1e6));
    return json;
}

/* A line end in JSON is never in a text; a document has one, behind it. */
static void s_append_member(buffer_t *out, const char *name, ProtobufCBinaryData json)
{
    if (json.len == 0)
        return;
    buffer_printf(out, ",\"%s\":", name);
    const size_t start = out->len;
    buffer_append(out, json.data, json.len);
    for (size_t i = start; i < out->len; i++)
        if (out->bytes[i] == '\n' || out->bytes[i] == '\r')
            out->bytes[i] = ' ';
}

void show_interaction_json(const Ixn__V1__Interaction *one, const show_source_t *source,
                           buffer_t *out)
{
    json_t *json = s_json(one);
    s_set_source(json, source);
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(12));
    CHECK(text);
    buffer_append(out, text, strlen(text) - 1); /* all but the last brace */
    s_append_member(out, "attributes", one->attributes);
    s_append_member(out, "journey", one->journey);
    buffer_append_text(out, "}\n");
    free(text);
    json_decref(json);
}
