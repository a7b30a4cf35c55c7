#include "core/wire/packet.h"

#include "core/wire/client.pb-c.h"

enum { REQUESTS = 2, REQUEST_ID = 1 }; /* field numbers of client.proto */

typedef struct {
    uint32_t number;
    size_t begin; /* of the whole field */
    uint64_t varint;
    text_t bytes;
} field_t;

static bool s_varint(text_t text, size_t *at, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && *at < text.len; shift += 7) {
        uint8_t byte = (uint8_t)text.data[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* Moves `*at` behind `len` bytes; false: they are not all there. */
static bool s_skip(text_t text, size_t *at, uint64_t len)
{
    if (len > text.len - *at)
        return false;
    *at += (size_t)len;
    return true;
}

/* What comes behind a key; the wire types are those of protobuf. */
static bool s_value(text_t text, unsigned type, size_t *at, field_t *field)
{
    uint64_t len;
    switch (type) {
    case 0:
        return s_varint(text, at, &field->varint);
    case 1:
        return s_skip(text, at, 8);
    case 2:
        if (!s_varint(text, at, &len))
            return false;
        field->bytes = (text_t){text.data + *at, (size_t)len};
        return s_skip(text, at, len);
    case 5:
        return s_skip(text, at, 4);
    default:
        return false;
    }
}

/* The field at `*at`, which then moves behind it. */
static bool s_field(text_t text, size_t *at, field_t *ret_field)
{
    field_t field = {.begin = *at};
    size_t end = *at;
    uint64_t key;
    if (!s_varint(text, &end, &key) || !s_value(text, key & 7, &end, &field))
        return false;
    field.number = (uint32_t)(key >> 3);
    *ret_field = field;
    *at = end;
    return true;
}

bool packet_next(text_t packet, size_t *at, text_t *ret_request)
{
    field_t field;
    while (s_field(packet, at, &field)) {
        if (field.number != REQUESTS || !field.bytes.data)
            continue;
        *ret_request = field.bytes;
        return true;
    }
    return false;
}

size_t packet_count(text_t packet)
{
    size_t at = 0, count = 0;
    text_t request;
    while (packet_next(packet, &at, &request))
        count++;
    return count;
}

uint64_t packet_request_id(text_t request)
{
    uint64_t id = 0;
    size_t at = 0;
    field_t field;
    while (s_field(request, &at, &field))
        if (field.number == REQUEST_ID)
            id = field.varint;
    return id;
}

const char *packet_request_name(text_t request)
{
    const char *name = "request";
    size_t at = 0;
    field_t field;
    while (s_field(request, &at, &field)) {
        const ProtobufCFieldDescriptor *body =
            protobuf_c_message_descriptor_get_field(&ixn__v1__request__descriptor, field.number);
        if (body && body->type == PROTOBUF_C_TYPE_MESSAGE)
            name = body->name;
    }
    return name;
}

void packet_content(text_t request, buffer_t *content)
{
    size_t at = 0;
    field_t field;
    while (s_field(request, &at, &field))
        if (field.number != REQUEST_ID)
            buffer_append(content, request.data + field.begin, at - field.begin);
    if (at < request.len) /* what cannot be read counts as it is */
        buffer_append(content, request.data + at, request.len - at);
}

void packet_append(buffer_t *packet, text_t request)
{
    uint8_t head[12];
    size_t len = 0;
    head[len++] = REQUESTS << 3 | 2;
    for (uint64_t rest = request.len;; rest >>= 7) {
        head[len++] = (uint8_t)(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0);
        if (rest <= 0x7f)
            break;
    }
    buffer_append(packet, head, len);
    buffer_append(packet, request.data, request.len);
}
