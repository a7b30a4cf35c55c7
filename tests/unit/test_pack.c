/* Messages of every kind that the contract has, filled at random: the bytes are those of
 * protobuf-c, and are read back as what they were.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/wire/client.pb-c.h"
#include "core/wire/entry.pb-c.h"
#include "core/wire/pack.h"
#include "core/wire/peer.pb-c.h"
#include "core/wire/unpack.h"

enum { ROUNDS = 200, DEPTH = 5 };

static arena_t s_memory;
static unsigned s_random;
static size_t s_read, s_left; /* messages that were read back, or left to protobuf-c */

static unsigned s_below(unsigned limit)
{
    s_random = s_random * 1664525 + 1013904223;
    return (s_random >> 8) % limit;
}

/* Small, large, negative, none. */
static uint64_t s_any_number(void)
{
    uint64_t value =
        (uint64_t)s_below(1 << 16) << 48 | (uint64_t)s_below(1 << 24) << 24 | s_below(1 << 24);
    return value >> s_below(64);
}

static size_t s_any_length(void)
{
    static const size_t lengths[] = {0, 1, 16, 127, 128, 300, 20000};
    unsigned which = s_below(100);
    return lengths[which < 98 ? which % 6 : 6];
}

static ProtobufCMessage *s_any_message(const ProtobufCMessageDescriptor *kind, int depth);

static void s_fill(void *place, const ProtobufCFieldDescriptor *field, int depth)
{
    uint64_t number = s_any_number();
    ProtobufCBinaryData bytes = {0};
    ProtobufCMessage *message;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
        bytes.len = s_any_length();
        bytes.data = arena_take(&s_memory, bytes.len + 1);
        memset(bytes.data, 'x', bytes.len);
        bytes.data[bytes.len] = 0;
        if (field->type == PROTOBUF_C_TYPE_STRING)
            memcpy(place, &bytes.data, sizeof bytes.data);
        else
            memcpy(place, &bytes, sizeof bytes);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        message = s_any_message(field->descriptor, depth - 1);
        memcpy(place, &message, sizeof message);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)place = (protobuf_c_boolean)(number & 1);
        return;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_ENUM:
        memcpy(place, &number, sizeof(uint32_t));
        return;
    default:
        memcpy(place, &number, sizeof number);
    }
}

static void s_fill_list(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, int depth)
{
    enum { WIDEST = sizeof(ProtobufCBinaryData) };
    size_t count = s_below(4);
    size_t size = field->type == PROTOBUF_C_TYPE_BYTES ? WIDEST : sizeof(void *);
    char *list = arena_take(&s_memory, count * size + 1);
    memset(list, 0, count * size);
    for (size_t i = 0; i < count; i++)
        s_fill(list + i * size, field, depth);
    memcpy((char *)message + field->quantifier_offset, &count, sizeof count);
    memcpy((char *)message + field->offset, &list, sizeof list);
}

/* About half of the fields are there. */
static ProtobufCMessage *s_any_message(const ProtobufCMessageDescriptor *kind, int depth)
{
    ProtobufCMessage *message = arena_take(&s_memory, kind->sizeof_message);
    kind->message_init(message);
    for (unsigned i = 0; i < kind->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &kind->fields[i];
        if (s_below(2) || (depth == 0 && field->type == PROTOBUF_C_TYPE_MESSAGE))
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            s_fill_list(message, field, depth);
            continue;
        }
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            uint32_t chosen;
            memcpy(&chosen, (char *)message + field->quantifier_offset, sizeof chosen);
            if (chosen) /* the choice has one place for all */
                continue;
            memcpy((char *)message + field->quantifier_offset, &field->id, sizeof field->id);
        }
        s_fill((char *)message + field->offset, field, depth);
    }
    return message;
}

static void *s_alloc(void *memory, size_t size)
{
    return arena_take(memory, size);
}

/* Read from exactly these bytes, so that a sanitizer sees one more. */
static void s_read_back(const ProtobufCMessageDescriptor *kind, const uint8_t *bytes, size_t size)
{
    ProtobufCAllocator allocator = {.alloc = s_alloc, .allocator_data = &s_memory};
    uint8_t *exactly = malloc(size ? size : 1);
    memcpy(exactly, bytes, size);
    ProtobufCMessage *message =
        unpack_message(kind, &allocator, (text_t){(const char *)exactly, size});
    free(exactly);
    *(message ? &s_read : &s_left) += 1;
    if (!message)
        return;
    cr_assert_eq(protobuf_c_message_get_packed_size(message), size, "%s", kind->name);
    uint8_t *again = malloc(size + 1);
    protobuf_c_message_pack(message, again);
    cr_assert_arr_eq(again, bytes, size, "%s", kind->name);
    free(again);
}

static void s_same(const ProtobufCMessage *message)
{
    static const char before[] = "what is in front stays";
    buffer_t ours = {0};
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *wanted = malloc(size + 1);
    protobuf_c_message_pack(message, wanted);
    buffer_append(&ours, before, sizeof before);
    pack_t pack = pack_begin(&ours);
    pack_message(&pack, message);
    cr_assert_eq(pack_size(&pack), size, "%s: %zu bytes, not %zu", message->descriptor->name,
                 pack_size(&pack), size);
    pack_end(&pack);
    cr_assert_eq(ours.len, sizeof before + size);
    cr_assert_arr_eq(ours.bytes, before, sizeof before);
    cr_assert_arr_eq(ours.bytes + sizeof before, wanted, size, "%s", message->descriptor->name);
    s_read_back(message->descriptor, wanted, size);
    buffer_free(&ours);
    free(wanted);
}

/* Each kind that can be reached, by itself, and what holds it. */
static void s_try_kinds(const ProtobufCMessageDescriptor *kind, int depth)
{
    for (int i = 0; i < (depth == DEPTH ? ROUNDS : 5); i++) {
        s_same(s_any_message(kind, DEPTH));
        arena_reset(&s_memory);
    }
    for (unsigned i = 0; depth > 0 && i < kind->n_fields; i++)
        if (kind->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            s_try_kinds(kind->fields[i].descriptor, depth - 1);
}

Test(pack, the_bytes_are_those_of_protobuf)
{
    const ProtobufCMessageDescriptor *const kinds[] = {
        &ixn__v1__to_node__descriptor, &ixn__v1__from_node__descriptor, &ixn__v1__batch__descriptor,
        &ixn__v1__peer_frame__descriptor};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        s_random = (unsigned)i;
        s_try_kinds(kinds[i], DEPTH);
    }
    arena_free(&s_memory);
    /* Only lists of what is no message are left to protobuf-c. */
    cr_assert_gt(s_read, 3 * s_left, "%zu read, %zu left", s_read, s_left);
}

Test(pack, what_a_newer_program_added_is_kept)
{
    uint8_t data[] = {0xac, 0x02};
    ProtobufCMessageUnknownField unknown[] = {
        {.tag = 900, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = sizeof data, .data = data},
        {.tag = 901, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = sizeof data, .data = data}};
    Ixn__V1__Ack ack = IXN__V1__ACK__INIT;
    ack.version = 7;
    ack.base.n_unknown_fields = 2;
    ack.base.unknown_fields = unknown;
    s_same(&ack.base);
}
