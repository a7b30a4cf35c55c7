/* Events: what the log's entries are called and say as JSON. */
#include <criterion/criterion.h>
#include <string.h>

#include "apps/views/event.h"

static json_t *s_event(const ProtobufCFieldDescriptor *field, const char **ret_name)
{
    union {
        ProtobufCMessage base;
        uint8_t bytes[1024];
    } body;
    const ProtobufCMessageDescriptor *type = field->descriptor;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    cr_assert_leq(type->sizeof_message, sizeof body);
    type->message_init(&body.base);
    for (unsigned i = 0; i < type->n_fields; i++) /* some numbers, so that they are shown */
        if (type->fields[i].label == PROTOBUF_C_LABEL_NONE &&
            type->fields[i].type == PROTOBUF_C_TYPE_UINT64)
            memset(body.bytes + type->fields[i].offset, 1, sizeof(uint64_t));
    void *pointer = &body;
    entry.body_case = (Ixn__V1__Entry__BodyCase)field->id;
    memcpy((char *)&entry + field->offset, &pointer, sizeof pointer);
    return event_of(&entry, ret_name);
}

/* Whoever shows an event adds its index, its time, its name and its epoch. */
Test(event, none_says_what_it_has_by_its_place_in_the_log)
{
    static const char *const own[] = {"index", "at", "event", "in_epoch"};
    const ProtobufCMessageDescriptor *entry = &ixn__v1__entry__descriptor;
    size_t seen = 0;
    for (unsigned i = 0; i < entry->n_fields; i++) {
        const char *name = "";
        if (entry->fields[i].type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        json_t *json = s_event(&entry->fields[i], &name);
        if (!json) /* a beat */
            continue;
        cr_assert(event_is_name(name), "%s", name);
        for (size_t j = 0; j < sizeof own / sizeof *own; j++)
            cr_assert_null(json_object_get(json, own[j]), "%s has %s of its own", name, own[j]);
        json_decref(json);
        seen++;
    }
    cr_assert_gt(seen, 15);
}

Test(event, of_a_service_names_the_request)
{
    const char *name = "";
    json_t *json = s_event(protobuf_c_message_descriptor_get_field(
                               &ixn__v1__entry__descriptor, IXN__V1__ENTRY__BODY_SERVICE_SENT),
                           &name);
    cr_assert_str_eq(name, "service_sent");
    cr_assert_eq(json_integer_value(json_object_get(json, "request_index")), 0x0101010101010101);
    cr_assert_eq(json_integer_value(json_object_get(json, "request_epoch")), 0x0101010101010101);
    json_decref(json);
}
