#include "core/wire/pack.h"

#include <stdbool.h>
#include <string.h>

#include "core/base/check.h"

enum {
    USUAL = 512,      /* a message of this size is written without growing */
    VARINT_SIZE = 10, /* the longest */
    VARINT_BITS = 7,
};

/* ---- Bytes, from the last to the first ---- */

static uint8_t *s_end(const pack_t *self)
{
    return self->buffer->bytes + self->buffer->capacity;
}

pack_t pack_begin(buffer_t *buffer)
{
    uint8_t *floor = buffer_reserve(buffer, USUAL);
    return (pack_t){buffer, buffer->bytes + buffer->capacity, floor};
}

void pack_end(pack_t *self)
{
    size_t size = pack_size(self);
    memmove(self->floor, self->at, size);
    self->buffer->len += size;
}

size_t pack_size(const pack_t *self)
{
    return (size_t)(s_end(self) - self->at);
}

/* What is there moves to the new end. */
static __attribute__((noinline)) void s_grow(pack_t *self, size_t extra)
{
    buffer_t *buffer = self->buffer;
    size_t size = pack_size(self);
    size_t end = buffer->capacity;
    self->floor = buffer_reserve(buffer, buffer->capacity - buffer->len + extra);
    self->at = s_end(self) - size;
    memmove(self->at, buffer->bytes + end - size, size);
}

/* Room for a field: its tag, a number, and bytes behind them. `at` is where the packing is: within
 * a message it is not in `self`, but in a register. */
static inline uint8_t *s_make_room(pack_t *self, uint8_t *at, size_t bytes)
{
    if ((size_t)(at - self->floor) >= bytes + 2 * VARINT_SIZE)
        return at;
    self->at = at;
    s_grow(self, bytes + 2 * VARINT_SIZE);
    return self->at;
}

/* Out of line, like s_grow: what is rare does not make what is usual save more registers. */
static __attribute__((noinline)) uint8_t *s_put_long_varint(uint8_t *at, uint64_t value)
{
    at -= (unsigned)(63 - __builtin_clzll(value)) / VARINT_BITS + 1;
    uint8_t *out = at;
    for (; value >= 0x80; value >>= VARINT_BITS)
        *out++ = (uint8_t)(value | 0x80);
    *out = (uint8_t)value;
    return at;
}

static inline uint8_t *s_put_varint(uint8_t *at, uint64_t value)
{
    if (value >= 1 << 2 * VARINT_BITS)
        return s_put_long_varint(at, value);
    if (value >= 1 << VARINT_BITS) {
        *--at = (uint8_t)(value >> VARINT_BITS);
        value |= 0x80;
    }
    *--at = (uint8_t)value;
    return at;
}

/* The number that stands behind a tag, and the tag. */
static inline uint8_t *s_put_head(uint8_t *at, uint32_t field, ProtobufCWireType type,
                                  uint64_t number)
{
    at = s_put_varint(at, number);
    return s_put_varint(at, (uint64_t)field << 3 | type);
}

static inline uint8_t *s_put_number(pack_t *self, uint8_t *at, uint32_t field, uint64_t value)
{
    at = s_make_room(self, at, 0);
    return s_put_head(at, field, PROTOBUF_C_WIRE_TYPE_VARINT, value);
}

static inline uint8_t *s_put_bytes(pack_t *self, uint8_t *at, uint32_t field, const void *bytes,
                                   size_t len)
{
    at = s_make_room(self, at, len);
    if (len > 0)
        memcpy(at -= len, bytes, len);
    return s_put_head(at, field, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, len);
}

void pack_number(pack_t *self, uint32_t field, uint64_t value)
{
    self->at = s_put_number(self, self->at, field, value);
}

void pack_bytes(pack_t *self, uint32_t field, text_t bytes)
{
    self->at = s_put_bytes(self, self->at, field, bytes.data, bytes.len);
}

void pack_part(pack_t *self, uint32_t field, size_t since)
{
    size_t len = pack_size(self) - since;
    uint8_t *at = s_make_room(self, self->at, 0);
    self->at = s_put_head(at, field, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, len);
}

/* ---- Fields ---- */

static uint8_t *s_put_fixed(pack_t *self, uint8_t *at, uint32_t field, const void *number)
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "as they are on the wire");
    at = s_make_room(self, at, sizeof(uint64_t));
    memcpy(at -= sizeof(uint64_t), number, sizeof(uint64_t));
    return s_put_varint(at, (uint64_t)field << 3 | PROTOBUF_C_WIRE_TYPE_64BIT);
}

static uint8_t *s_put_message(pack_t *self, uint8_t *at, uint32_t field,
                              const ProtobufCMessage *message)
{
    self->at = at;
    size_t since = pack_size(self);
    pack_message(self, message);
    pack_part(self, field, since);
    return self->at;
}

static inline uint64_t s_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

/* As it is behind its tag, of those kinds that are numbers of variable length. */
static inline uint64_t s_number(ProtobufCType type, const void *member)
{
    switch (type) {
    case PROTOBUF_C_TYPE_UINT64:
        return *(const uint64_t *)member;
    case PROTOBUF_C_TYPE_SINT64:
        return s_zigzag(*(const int64_t *)member);
    case PROTOBUF_C_TYPE_UINT32:
        return *(const uint32_t *)member;
    case PROTOBUF_C_TYPE_SINT32:
        return s_zigzag(*(const int32_t *)member);
    case PROTOBUF_C_TYPE_ENUM:
        return (uint64_t)(int64_t) * (const int32_t *)member;
    case PROTOBUF_C_TYPE_BOOL:
        return *(const protobuf_c_boolean *)member ? 1 : 0;
    default:
        CHECK(false);
        return 0;
    }
}

/* `also_empty`: what is zero or empty takes its bytes, too. Inline whatever the compiler thinks of
 * it: a call for each field is a sixth of the packing. */
static inline __attribute__((always_inline)) uint8_t *s_put(pack_t *self, uint8_t *at,
                                                            const ProtobufCFieldDescriptor *field,
                                                            const void *member, bool also_empty)
{
    const ProtobufCBinaryData *bytes = member;
    const char *text;
    uint64_t number;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        text = *(char *const *)member;
        if (!text || text == field->default_value || (!also_empty && !*text))
            return at;
        return s_put_bytes(self, at, field->id, text, strlen(text));
    case PROTOBUF_C_TYPE_BYTES:
        if (!also_empty && bytes->len == 0)
            return at;
        return s_put_bytes(self, at, field->id, bytes->data, bytes->len);
    case PROTOBUF_C_TYPE_MESSAGE:
        if (!*(ProtobufCMessage *const *)member)
            return at;
        return s_put_message(self, at, field->id, *(ProtobufCMessage *const *)member);
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        if (!also_empty && *(const uint64_t *)member == 0)
            return at;
        return s_put_fixed(self, at, field->id, member);
    default:
        number = s_number(field->type, member);
        return also_empty || number ? s_put_number(self, at, field->id, number) : at;
    }
}

static size_t s_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    default:
        return sizeof(uint32_t);
    }
}

static uint8_t *s_put_repeated(pack_t *self, uint8_t *at, const ProtobufCFieldDescriptor *field,
                               size_t count, const char *list)
{
    size_t size = s_size(field->type);
    size_t since = (size_t)(s_end(self) - at);
    bool packed = field->flags & PROTOBUF_C_FIELD_FLAG_PACKED;
    for (size_t i = count; i-- > 0;) {
        if (packed)
            at = s_put_varint(s_make_room(self, at, 0), s_number(field->type, list + i * size));
        else
            at = s_put(self, at, field, list + i * size, true);
    }
    if (!packed || count == 0)
        return at;
    self->at = at;
    pack_part(self, field->id, since);
    return self->at;
}

/* Of the kinds that are there or not, or several times. */
static uint8_t *s_put_unusual(pack_t *self, uint8_t *at, const ProtobufCFieldDescriptor *field,
                              const char *message)
{
    const void *member = message + field->offset;
    const void *quantifier = message + field->quantifier_offset;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)quantifier == field->id ? s_put(self, at, field, member, true)
                                                          : at;
    CHECK(field->label == PROTOBUF_C_LABEL_REPEATED);
    return s_put_repeated(self, at, field, *(const size_t *)quantifier, *(char *const *)member);
}

/* Those that a newer program knows, as they came. */
static void s_put_unknown(pack_t *self, const ProtobufCMessage *message)
{
    for (unsigned i = message->n_unknown_fields; i-- > 0;) {
        const ProtobufCMessageUnknownField *field = &message->unknown_fields[i];
        uint8_t *at = s_make_room(self, self->at, field->len);
        memcpy(at -= field->len, field->data, field->len);
        self->at = s_put_varint(at, (uint64_t)field->tag << 3 | field->wire_type);
    }
}

void pack_message(pack_t *self, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *kind = message->descriptor;
    s_put_unknown(self, message);
    uint8_t *at = self->at;
    for (unsigned i = kind->n_fields; i-- > 0;) {
        const ProtobufCFieldDescriptor *field = &kind->fields[i];
        if (field->label != PROTOBUF_C_LABEL_NONE || (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
            at = s_put_unusual(self, at, field, (const char *)message);
        else
            at = s_put(self, at, field, (const char *)message + field->offset, false);
    }
    self->at = at;
}
