#include "core/wire/unpack.h"

#include <string.h>

#define NEAR 8 /* fields of a descriptor that are looked at before it is searched */

/* ---- Bytes ---- */

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} reader_t;

/* A tag, and what comes behind it: a number, or bytes. */
typedef struct {
    unsigned number;
    ProtobufCWireType type;
    uint64_t value;
    reader_t bytes;
} field_t;

/* protobuf takes no more bytes, whatever is in them. */
enum { NUMBER_MOST = 10, HEAD_MOST = 5 };

/* Returns what is behind it; NULL: it is none. */
static const uint8_t *s_read_long_varint(reader_t reader, unsigned most, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < most && reader.at < reader.end; i++) {
        uint8_t byte = *reader.at++;
        if (i == NUMBER_MOST - 1 && byte > 1) /* more than 64 bits */
            return NULL;
        value |= (uint64_t)(byte & 0x7f) << 7 * i;
        if (byte < 0x80) {
            *ret_value = value;
            return reader.at;
        }
    }
    return NULL;
}

static inline const uint8_t *s_read_varint(reader_t reader, unsigned most, uint64_t *ret_value)
{
    const uint8_t *at = reader.at;
    if (at < reader.end && at[0] < 0x80) {
        *ret_value = at[0];
        return at + 1;
    }
    if (reader.end - at >= 2 && at[1] < 0x80) {
        *ret_value = (at[0] & 0x7fu) | (unsigned)at[1] << 7;
        return at + 2;
    }
    return s_read_long_varint(reader, most, ret_value);
}

/* Returns what is behind the field; NULL: it is none, or of a type that the contract does not
 * have. Inline whatever the compiler thinks of it, so that the field stays in registers. */
static inline __attribute__((always_inline)) const uint8_t *s_read_field(reader_t reader,
                                                                         field_t *ret_field)
{
    uint64_t tag, value;
    reader.at = s_read_varint(reader, HEAD_MOST, &tag);
    if (!reader.at || tag >> 3 == 0 || tag > UINT32_MAX)
        return NULL;
    ret_field->number = (unsigned)(tag >> 3);
    ret_field->type = (ProtobufCWireType)(tag & 7);
    switch (ret_field->type) {
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        reader.at = s_read_varint(reader, HEAD_MOST, &value);
        if (!reader.at || value > (uint64_t)(reader.end - reader.at))
            return NULL;
        ret_field->value = 0;
        ret_field->bytes = (reader_t){reader.at, reader.at + value};
        return ret_field->bytes.end;
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return s_read_varint(reader, NUMBER_MOST, &ret_field->value);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        if ((size_t)(reader.end - reader.at) < sizeof ret_field->value)
            return NULL;
        _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "as they are on the wire");
        memcpy(&ret_field->value, reader.at, sizeof ret_field->value);
        return reader.at + sizeof ret_field->value;
    default:
        return NULL;
    }
}

/* ---- Fields ---- */

static bool s_read_message(ProtobufCMessage *message, reader_t reader,
                           ProtobufCAllocator *allocator);

static inline void *s_take(ProtobufCAllocator *allocator, size_t size)
{
    return allocator->alloc(allocator->allocator_data, size);
}

/* Where the texts and bytes of a message are copied to, one behind the other. What is taken for the
 * first one is enough for all: on the wire each has a head, which is longer than a terminator. */
typedef struct {
    char *at;           /* NULL: nothing is taken yet */
    const uint8_t *end; /* of the message */
    ProtobufCAllocator *allocator;
} room_t;

/* NULL: there is no memory. */
static char *s_copy(room_t *room, reader_t bytes, size_t len)
{
    if (!room->at)
        room->at = s_take(room->allocator, (size_t)(room->end - bytes.at) + 1);
    return room->at ? memcpy(room->at, bytes.at, len) : NULL;
}

static bool s_set_text(char *place, const field_t *field, room_t *room)
{
    size_t len = (size_t)(field->bytes.end - field->bytes.at);
    char *text = s_copy(room, field->bytes, len);
    if (!text)
        return false;
    text[len] = '\0';
    room->at += len + 1;
    memcpy(place, &text, sizeof text);
    return true;
}

static bool s_set_bytes(char *place, const field_t *field, room_t *room)
{
    ProtobufCBinaryData bytes = {.len = (size_t)(field->bytes.end - field->bytes.at)};
    if (bytes.len > 0) {
        bytes.data = (uint8_t *)s_copy(room, field->bytes, bytes.len);
        if (!bytes.data)
            return false;
        room->at += bytes.len;
    }
    memcpy(place, &bytes, sizeof bytes);
    return true;
}

static bool s_set_message(char *place, const ProtobufCMessageDescriptor *kind, const field_t *field,
                          ProtobufCAllocator *allocator)
{
    ProtobufCMessage *part;
    memcpy(&part, place, sizeof part);
    if (part) /* a second one would be merged into it */
        return false;
    part = s_take(allocator, kind->sizeof_message);
    if (!part)
        return false;
    kind->message_init(part);
    memcpy(place, &part, sizeof part);
    return s_read_message(part, field->bytes, allocator);
}

/* Twos complement of what stands for 0, -1, 1, -2 … */
static uint64_t s_unzigzag(uint64_t value)
{
    return value >> 1 ^ (~(value & 1) + 1);
}

static inline bool s_set_number(char *place, ProtobufCType type, uint64_t value)
{
    uint32_t narrow = (uint32_t)value; /* as protobuf has it: the lower half */
    switch (type) {
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_ENUM:
        memcpy(place, &narrow, sizeof narrow);
        return true;
    case PROTOBUF_C_TYPE_UINT64:
        memcpy(place, &value, sizeof value);
        return true;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)place = value != 0;
        return true;
    case PROTOBUF_C_TYPE_SINT32:
        narrow = (uint32_t)s_unzigzag(narrow);
        memcpy(place, &narrow, sizeof narrow);
        return true;
    case PROTOBUF_C_TYPE_SINT64:
        value = s_unzigzag(value);
        memcpy(place, &value, sizeof value);
        return true;
    default:
        return false;
    }
}

static inline bool s_set(char *place, const ProtobufCFieldDescriptor *is, const field_t *field,
                         room_t *room)
{
    if (field->type == PROTOBUF_C_WIRE_TYPE_VARINT)
        return s_set_number(place, is->type, field->value);
    if (field->type == PROTOBUF_C_WIRE_TYPE_64BIT) {
        if (is->type != PROTOBUF_C_TYPE_SFIXED64 && is->type != PROTOBUF_C_TYPE_FIXED64)
            return false;
        memcpy(place, &field->value, sizeof field->value);
        return true;
    }
    switch (is->type) {
    case PROTOBUF_C_TYPE_STRING:
        return s_set_text(place, field, room);
    case PROTOBUF_C_TYPE_BYTES:
        return s_set_bytes(place, field, room);
    case PROTOBUF_C_TYPE_MESSAGE:
        return s_set_message(place, is->descriptor, field, room->allocator);
    default:
        return false; /* a list of numbers, or not what it should be */
    }
}

/* ---- Lists of messages ---- */

/* How many elements of the list are still to come. False: these bytes are no message. */
static bool s_count(reader_t reader, unsigned number, size_t *ret_count)
{
    field_t field;
    for (*ret_count = 0; reader.at < reader.end; *ret_count += field.number == number) {
        reader.at = s_read_field(reader, &field);
        if (!reader.at)
            return false;
    }
    return true;
}

/* One more element. When it is the first one there is made room for all: their addresses, and
 * behind these they themselves. `rest` is what is behind it in the message. */
static bool s_add(ProtobufCMessage *message, const ProtobufCFieldDescriptor *is,
                  const field_t *field, reader_t rest, ProtobufCAllocator *allocator)
{
    if (is->type != PROTOBUF_C_TYPE_MESSAGE || field->type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
        return false;
    const ProtobufCMessageDescriptor *kind = is->descriptor;
    char *place = (char *)message + is->offset;
    ProtobufCMessage **list;
    size_t count, more;
    memcpy(&count, (char *)message + is->quantifier_offset, sizeof count);
    memcpy(&list, place, sizeof list);
    if (count == 0) {
        if (!s_count(rest, field->number, &more))
            return false;
        list = s_take(allocator, (more + 1) * (sizeof *list + kind->sizeof_message));
        if (!list)
            return false;
        memcpy(place, &list, sizeof list);
        list[0] = (ProtobufCMessage *)(void *)(list + more + 1);
    } else {
        list[count] = (ProtobufCMessage *)(void *)((char *)list[count - 1] + kind->sizeof_message);
    }
    kind->message_init(list[count++]);
    memcpy((char *)message + is->quantifier_offset, &count, sizeof count);
    return s_read_message(list[count - 1], field->bytes, allocator);
}

/* ---- Messages ---- */

/* The place of the field of this number; `near` is the one of the field before. The number of
 * fields: nobody knows it. */
static inline unsigned s_find(const ProtobufCMessageDescriptor *kind, unsigned near,
                              unsigned number)
{
    for (unsigned i = near; i < kind->n_fields && i < near + NEAR; i++) {
        if (kind->fields[i].id == number)
            return i;
    }
    const ProtobufCFieldDescriptor *is = protobuf_c_message_descriptor_get_field(kind, number);
    return is ? (unsigned)(is - kind->fields) : kind->n_fields;
}

static bool s_read_message(ProtobufCMessage *message, reader_t reader,
                           ProtobufCAllocator *allocator)
{
    const ProtobufCMessageDescriptor *kind = message->descriptor;
    room_t room = {.end = reader.end, .allocator = allocator};
    unsigned at = 0;
    field_t field;
    while (reader.at < reader.end) {
        reader.at = s_read_field(reader, &field);
        if (!reader.at)
            return false;
        at = s_find(kind, at, field.number);
        if (at == kind->n_fields)
            return false;
        const ProtobufCFieldDescriptor *is = &kind->fields[at];
        char *place = (char *)message + is->offset;
        if (is->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            char *which = (char *)message + is->quantifier_offset;
            static const uint32_t none = 0;
            if (memcmp(which, &none, sizeof none) != 0) /* the last one counts */
                return false;
            memcpy(which, &is->id, sizeof is->id);
        } else if (is->label == PROTOBUF_C_LABEL_REPEATED) {
            if (!s_add(message, is, &field, reader, allocator))
                return false;
            continue;
        } else if (is->label != PROTOBUF_C_LABEL_NONE) {
            return false;
        }
        if (!s_set(place, is, &field, &room))
            return false;
    }
    return true;
}

ProtobufCMessage *unpack_message(const ProtobufCMessageDescriptor *kind,
                                 ProtobufCAllocator *allocator, text_t bytes)
{
    ProtobufCMessage *message = s_take(allocator, kind->sizeof_message);
    if (!message)
        return NULL;
    kind->message_init(message);
    reader_t reader = {0}; /* of no bytes; their address may be NULL */
    if (bytes.len > 0)
        reader = (reader_t){(const uint8_t *)bytes.data, (const uint8_t *)bytes.data + bytes.len};
    return s_read_message(message, reader, allocator) ? message : NULL;
}
