#include "core/wire/unpack.h"

#include <string.h>

#include "core/base/check.h"

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} reader_t;

/* A tag, and what comes behind it: a number, or bytes. */
typedef struct {
    unsigned number;
    bool is_bytes;
    uint64_t value;
    reader_t bytes;
} field_t;

static bool s_read_varint(reader_t *reader, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        uint8_t byte = *reader->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool s_read_field(reader_t *reader, field_t *ret_field)
{
    uint64_t tag;
    if (!s_read_varint(reader, &tag) || tag >> 3 == 0 || tag > UINT32_MAX)
        return false;
    ret_field->number = (unsigned)(tag >> 3);
    ret_field->is_bytes = (tag & 7) == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    if (!ret_field->is_bytes && (tag & 7) != PROTOBUF_C_WIRE_TYPE_VARINT)
        return false;
    if (!s_read_varint(reader, &ret_field->value))
        return false;
    if (!ret_field->is_bytes)
        return true;
    if (ret_field->value > (uint64_t)(reader->end - reader->at))
        return false;
    ret_field->bytes = (reader_t){reader->at, reader->at + ret_field->value};
    reader->at += ret_field->value;
    return true;
}

static bool s_set_number(ProtobufCMessage *message, const field_t *field)
{
    const ProtobufCFieldDescriptor *is =
        protobuf_c_message_descriptor_get_field(message->descriptor, field->number);
    if (!is || is->label == PROTOBUF_C_LABEL_REPEATED || (is->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
        return false;
    char *place = (char *)message + is->offset;
    uint32_t narrow = (uint32_t)field->value; /* as protobuf has it: the lower half */
    if (is->type == PROTOBUF_C_TYPE_UINT64)
        memcpy(place, &field->value, sizeof field->value);
    else if (is->type == PROTOBUF_C_TYPE_UINT32)
        memcpy(place, &narrow, sizeof narrow);
    else
        return false;
    return true;
}

static bool s_set_body(ProtobufCMessage *element, const field_t *field,
                       ProtobufCAllocator *allocator)
{
    const ProtobufCFieldDescriptor *is =
        protobuf_c_message_descriptor_get_field(element->descriptor, field->number);
    if (!is || is->type != PROTOBUF_C_TYPE_MESSAGE || !(is->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
        return false;
    ProtobufCMessage *body = protobuf_c_message_unpack(
        is->descriptor, allocator, (size_t)(field->bytes.end - field->bytes.at), field->bytes.at);
    memcpy((char *)element + is->quantifier_offset, &is->id, sizeof(uint32_t));
    memcpy((char *)element + is->offset, &body, sizeof body);
    return body != NULL;
}

/* Numbers, and at the end one body. */
static bool s_read_element(ProtobufCMessage *element, reader_t reader,
                           ProtobufCAllocator *allocator)
{
    field_t field;
    while (reader.at < reader.end) {
        if (!s_read_field(&reader, &field))
            return false;
        if (field.is_bytes)
            return reader.at == reader.end && s_set_body(element, &field, allocator);
        if (!s_set_number(element, &field))
            return false;
    }
    return false;
}

/* Sets the packet's numbers and counts its elements. */
static bool s_read_outline(ProtobufCMessage *packet, unsigned elements, reader_t reader,
                           size_t *ret_count)
{
    field_t field;
    for (*ret_count = 0; reader.at < reader.end; *ret_count += field.is_bytes ? 1 : 0) {
        if (!s_read_field(&reader, &field))
            return false;
        if (field.is_bytes ? field.number != elements : !s_set_number(packet, &field))
            return false;
    }
    return true;
}

/* The elements lie one behind the other in one piece of memory. */
static bool s_read_elements(ProtobufCMessage *packet, const ProtobufCFieldDescriptor *repeated,
                            size_t count, reader_t reader, ProtobufCAllocator *allocator)
{
    const ProtobufCMessageDescriptor *kind = repeated->descriptor;
    size_t size = kind->sizeof_message;
    ProtobufCMessage **list =
        allocator->alloc(allocator->allocator_data, count * (sizeof *list + size));
    if (!list)
        return false;
    char *first = (char *)(list + count);
    for (size_t i = 0; i < count;) {
        field_t field;
        CHECK(s_read_field(&reader, &field)); /* it was read before */
        if (!field.is_bytes)
            continue;
        list[i] = (ProtobufCMessage *)(void *)(first + i * size);
        kind->message_init(list[i]);
        if (!s_read_element(list[i++], field.bytes, allocator))
            return false;
    }
    memcpy((char *)packet + repeated->quantifier_offset, &count, sizeof count);
    memcpy((char *)packet + repeated->offset, &list, sizeof list);
    return true;
}

ProtobufCMessage *unpack_packet(const ProtobufCMessageDescriptor *descriptor, unsigned elements,
                                ProtobufCAllocator *allocator, text_t packet)
{
    const ProtobufCFieldDescriptor *repeated =
        protobuf_c_message_descriptor_get_field(descriptor, elements);
    CHECK(repeated && repeated->type == PROTOBUF_C_TYPE_MESSAGE &&
          repeated->label == PROTOBUF_C_LABEL_REPEATED);
    ProtobufCMessage *message =
        allocator->alloc(allocator->allocator_data, descriptor->sizeof_message);
    if (!message)
        return NULL;
    descriptor->message_init(message);
    reader_t reader = {0}; /* of no bytes; their address may be NULL */
    if (packet.len > 0)
        reader =
            (reader_t){(const uint8_t *)packet.data, (const uint8_t *)packet.data + packet.len};
    size_t count;
    if (!s_read_outline(message, elements, reader, &count))
        return NULL;
    if (count > 0 && !s_read_elements(message, repeated, count, reader, allocator))
        return NULL;
    return message;
}
