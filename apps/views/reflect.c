#include "apps/views/reflect.h"

#include <ctype.h>
#include <stdio.h>

#include "apps/views/view.h"

static json_t *s_enum(const ProtobufCEnumDescriptor *descriptor, int value)
{
    char name[80];
    const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(descriptor, value);
    if (!found)
        return json_integer(value);
    snprintf(name, sizeof name, "%s", found->name);
    for (char *at = name; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return json_string(name);
}

/* One value of a field; NULL: it is not shown. */
static json_t *s_value(const ProtobufCFieldDescriptor *field, const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_integer(*(const int32_t *)at);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_integer(*(const uint32_t *)at);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return json_integer(*(const int64_t *)at);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return json_integer((json_int_t) * (const uint64_t *)at);
    case PROTOBUF_C_TYPE_FLOAT:
        return json_real((double)*(const float *)at);
    case PROTOBUF_C_TYPE_DOUBLE:
        return json_real(*(const double *)at);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)at);
    case PROTOBUF_C_TYPE_ENUM:
        return s_enum(field->descriptor, *(const int *)at);
    case PROTOBUF_C_TYPE_STRING:
        return view_text(*(char *const *)at);
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *bytes = at;
        return bytes->len == 16 ? view_id(*bytes) : NULL;
    }
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *message = *(ProtobufCMessage *const *)at;
        return message ? reflect(message) : json_null();
    }
    }
    return NULL;
}

static size_t s_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return sizeof(uint32_t);
    }
}

static json_t *s_list(const ProtobufCFieldDescriptor *field, const char *message)
{
    const size_t len = *(const size_t *)(const void *)(message + field->quantifier_offset);
    const char *items = *(char *const *)(const void *)(message + field->offset);
    json_t *list = json_array();
    for (size_t i = 0; i < len; i++) {
        json_t *value = s_value(field, items + i * s_size(field));
        if (value)
            json_array_append_new(list, value);
    }
    return list;
}

/* Of a choice only what was chosen. */
static bool s_is_given(const ProtobufCFieldDescriptor *field, const char *message)
{
    return !(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
           *(const uint32_t *)(const void *)(message + field->quantifier_offset) == field->id;
}

json_t *reflect(const ProtobufCMessage *message)
{
    const char *bytes = (const char *)message;
    json_t *json = json_object();
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        json_t *value = NULL;
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            value = s_list(field, bytes);
        else if (s_is_given(field, bytes))
            value = s_value(field, bytes + field->offset);
        if (value)
            json_object_set_new(json, field->name, value);
    }
    return json;
}
