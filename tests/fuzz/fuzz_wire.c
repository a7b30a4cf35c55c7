/* Fuzzer of the decoders: any bytes, first one chosen decoder of three. What is decoded must be
 * inside the limits, must be what protobuf-c itself makes of the bytes and be packed as by it, and
 * must read back the same after its elements were appended one by one.
 * Corpus: tests/fuzz/corpus/wire.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/wire/pack.h"
#include "core/wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static wire_arena_t *s_arena;
static wire_arena_t *s_again;

static void s_compare(const ProtobufCMessage *first, const ProtobufCMessage *second)
{
    CHECK(second);
    size_t len = protobuf_c_message_get_packed_size(first);
    CHECK(len == protobuf_c_message_get_packed_size(second));
    uint8_t *a = malloc(len + 1), *b = malloc(len + 1);
    CHECK(a && b);
    protobuf_c_message_pack(first, a);
    protobuf_c_message_pack(second, b);
    CHECK(memcmp(a, b, len) == 0);
    buffer_t ours = {0};
    pack_t pack = pack_begin(&ours);
    pack_message(&pack, first);
    pack_end(&pack);
    CHECK(ours.len == len && memcmp(ours.bytes, a, len) == 0);
    buffer_free(&ours);
    free(a);
    free(b);
}

static void s_judge(const ProtobufCMessage *message, const uint8_t *data, size_t size)
{
    ProtobufCMessage *judge = protobuf_c_message_unpack(message->descriptor, NULL, size, data);
    s_compare(message, judge);
    protobuf_c_message_free_unpacked(judge, NULL);
}

/* Fields that nobody knows are read more leniently than they are written (a tag in more bytes than
 * it needs): without them a message must read back as it was. */
static void s_forget_unknown(ProtobufCMessage *message)
{
    message->n_unknown_fields = 0;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        const char *place = (const char *)message + field->offset;
        unsigned which = 0;
        memcpy(&which, (const char *)message + field->quantifier_offset, sizeof which);
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t count = 0;
            memcpy(&count, (const char *)message + field->quantifier_offset, sizeof count);
            ProtobufCMessage *const *elements = NULL;
            memcpy(&elements, place, sizeof elements);
            for (size_t j = 0; j < count; j++)
                s_forget_unknown(elements[j]);
        } else if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || which == field->id) {
            ProtobufCMessage *part = NULL;
            memcpy(&part, place, sizeof part);
            if (part)
                s_forget_unknown(part);
        }
    }
}

static void s_to_node(const uint8_t *data, size_t size, buffer_t *buffer, error_t *error)
{
    Ixn__V1__ToNode *frame = wire_decode_to_node(s_arena, data, size, error);
    if (!frame)
        return;
    CHECK(frame->version == WIRE_VERSION && frame->n_requests <= LIMIT_PACKET_REQUESTS);
    s_judge(&frame->base, data, size);
    s_forget_unknown(&frame->base);
    wire_append_to_node_head(buffer);
    for (size_t i = 0; i < frame->n_requests; i++) {
        const Ixn__V1__Request *request = frame->requests[i];
        if (request->body_case == IXN__V1__REQUEST__BODY_SUBMIT)
            wire_check_text("queue", request->submit->queue, 1, LIMIT_NAME, error);
        wire_append_request(buffer, request);
    }
    const Ixn__V1__ToNode *again = wire_decode_to_node(s_again, buffer->bytes, buffer->len, error);
    s_compare(&frame->base, &again->base);
}

static void s_from_node(const uint8_t *data, size_t size, buffer_t *buffer, error_t *error)
{
    Ixn__V1__FromNode *frame = wire_decode_from_node(s_arena, data, size, error);
    if (!frame)
        return;
    s_judge(&frame->base, data, size);
    s_forget_unknown(&frame->base);
    wire_append_from_node_head(buffer, frame->epoch, frame->index);
    for (size_t i = 0; i < frame->n_messages; i++)
        wire_append_message(buffer, frame->messages[i]);
    const Ixn__V1__FromNode *again =
        wire_decode_from_node(s_again, buffer->bytes, buffer->len, error);
    s_compare(&frame->base, &again->base);
}

static void s_batch(const uint8_t *data, size_t size, buffer_t *buffer, error_t *error)
{
    Ixn__V1__Batch *batch = wire_decode_batch(s_arena, data, size, error);
    if (!batch)
        return;
    s_judge(&batch->base, data, size);
    s_forget_unknown(&batch->base);
    CHECK(batch->n_entries <= LIMIT_BATCH_ENTRIES);
    for (size_t i = 0; i < batch->n_entries; i++)
        wire_append_entry(buffer, batch->entries[i]);
    const Ixn__V1__Batch *again = wire_decode_batch(s_again, buffer->bytes, buffer->len, error);
    s_compare(&batch->base, &again->base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (!s_arena) {
        s_arena = wire_arena_new();
        s_again = wire_arena_new();
    }
    buffer_t buffer = {0};
    error_t error = {0};
    switch (data[0] % 3) {
    case 0:
        s_to_node(data + 1, size - 1, &buffer, &error);
        break;
    case 1:
        s_from_node(data + 1, size - 1, &buffer, &error);
        break;
    default:
        s_batch(data + 1, size - 1, &buffer, &error);
        break;
    }
    buffer_free(&buffer);
    wire_arena_reset(s_arena);
    wire_arena_reset(s_again);
    return 0;
}
