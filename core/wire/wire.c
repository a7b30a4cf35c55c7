/* Wire, the code: an arena that protobuf-c allocates from, frames decoded into it within a bound of
 * memory, elements encoded straight into a buffer. It keeps no state beside the arena, and never
 * logs or touches a socket: the pure floors use it.
 */
#include "core/wire/wire.h"

#include <stdlib.h>
#include <string.h>
#include <unictype.h>
#include <unistr.h>

#include "core/base/alloc.h"
#include "core/base/arena.h"
#include "core/base/check.h"
#include "core/base/dull.h"
#include "core/base/limits.h"
#include "core/wire/pack.h"
#include "core/wire/unpack.h"

/* ---------------------------------------------------------------------------------------------
 * Arena */

/* What is kept for the next frames is bounded: one hostile frame must not make a node keep what it
 * needed for it. */
#define ARENA_KEPT ((size_t)8 * 1024 * 1024)

struct wire_arena {
    ProtobufCAllocator allocator;
    arena_t memory;
    size_t left;  /* how much the decoding in progress may still take */
    bool refused; /* … and it wanted more */
};

/* What protobuf-c calls. NULL, which makes it give up cleanly, is returned only for a frame that
 * wants more memory than any frame within the limits needs. */
static void *s_alloc(void *data, size_t size)
{
    wire_arena_t *self = data;
    if (size > self->left) {
        self->refused = true;
        return NULL;
    }
    self->left -= size;
    return arena_take(&self->memory, size);
}

static void s_free(void *data, void *piece)
{
    (void)data; /* all pieces go together, in wire_arena_reset */
    (void)piece;
}

wire_arena_t *wire_arena_new(void)
{
    wire_arena_t *self = memory_zero(1, sizeof *self);
    self->allocator =
        (ProtobufCAllocator){.alloc = s_alloc, .free = s_free, .allocator_data = self};
    self->left = SIZE_MAX;
    return self;
}

void wire_arena_destroy(wire_arena_t **self_p)
{
    if (!*self_p)
        return;
    arena_free(&(*self_p)->memory);
    free(*self_p);
    *self_p = NULL;
}

void wire_arena_reset(wire_arena_t *self)
{
    arena_reset(&self->memory);
    if (self->memory.total > ARENA_KEPT)
        arena_free(&self->memory);
}

ProtobufCAllocator *wire_arena_allocator(wire_arena_t *self)
{
    return &self->allocator;
}

/* ---------------------------------------------------------------------------------------------
 * Decoding */

/* What kind of frame is decoded, and how much memory a frame of it may take: elements are larger
 * in memory than on the wire (an empty one takes two bytes there and a hundred here), so that part
 * is bounded by their allowed number, and the rest by the frame's size. */
typedef struct {
    const char *name;
    const ProtobufCMessageDescriptor *descriptor;
    size_t max_len;
    size_t fixed_memory;
    size_t memory_per_byte;
} frame_kind_t;

static ProtobufCMessage *s_decode(wire_arena_t *arena, const frame_kind_t *kind, text_t frame,
                                  error_t *ret_error)
{
    if (frame.len > kind->max_len) {
        error_set(ret_error, ERROR_TOO_LARGE, "the %s has %zu bytes, at most %zu are allowed",
                  kind->name, frame.len, kind->max_len);
        return NULL;
    }
    size_t allowed = kind->fixed_memory + kind->memory_per_byte * frame.len;
    arena->left = allowed;
    ProtobufCMessage *message = unpack_message(kind->descriptor, &arena->allocator, frame);
    arena->left = allowed;
    arena->refused = false;
    if (!message)
        message = protobuf_c_message_unpack(kind->descriptor, &arena->allocator, frame.len,
                                            (const uint8_t *)frame.data);
    arena->left = SIZE_MAX;
    if (message)
        return message;
    if (arena->refused)
        error_set(ret_error, ERROR_TOO_LARGE,
                  "the %s of %zu bytes has so many parts that it needs more than the %zu bytes of "
                  "memory that are allowed for its size; send fewer at once",
                  kind->name, frame.len, allowed);
    else
        error_set(ret_error, ERROR_MALFORMED,
                  "the %zu bytes are not an %s of core/wire/*.proto; check how it was encoded",
                  frame.len, kind->descriptor->name);
    return NULL;
}

static bool s_check_count(const char *what, size_t count, size_t max, error_t *ret_error)
{
    if (count <= max)
        return true;
    return error_set(ret_error, ERROR_TOO_LARGE, "%zu %s, at most %zu are allowed", count, what,
                     max);
}

/* The repeated parts of one request. */
static bool s_check_request(const Ixn__V1__Request *request, error_t *ret_error)
{
    const Ixn__V1__AttributesChange *change = NULL;
    switch (request->body_case) {
    case IXN__V1__REQUEST__BODY_REGISTER:
        return s_check_count("tokens in one Register", request->register_->n_tokens, LIMIT_TOKENS,
                             ret_error);
    case IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES:
        change = request->change_properties->attributes;
        break;
    case IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE:
        change = request->place_in_queue->attributes;
        break;
    case IXN__V1__REQUEST__BODY_STOP:
        change = request->stop->attributes;
        break;
    default:
        break;
    }
    return !change || s_check_count("names in AttributesChange.remove", change->n_remove,
                                    LIMIT_REMOVED_NAMES, ret_error);
}

Ixn__V1__ToNode *wire_decode_to_node(wire_arena_t *arena, const uint8_t *bytes, size_t len,
                                     error_t *ret_error)
{
    static const frame_kind_t kind = {
        .name = "frame",
        .descriptor = &ixn__v1__to_node__descriptor,
        .max_len = (size_t)LIMIT_PACKET,
        .fixed_memory = (size_t)LIMIT_PACKET_REQUESTS * 512,
        .memory_per_byte = 24, /* tokens of a Register: about 20 */
    };
    if (len == 0) { /* also what the transport makes of a message with more frames than one */
        error_set(ret_error, ERROR_MALFORMED,
                  "a message is one frame with a ToNode in it; this one is empty, or has more "
                  "frames (an empty delimiter is one, too)");
        return NULL;
    }
    Ixn__V1__ToNode *frame =
        (Ixn__V1__ToNode *)s_decode(arena, &kind, (text_t){(const char *)bytes, len}, ret_error);
    if (!frame)
        return NULL;
    if (frame->version != WIRE_VERSION) {
        error_set(ret_error, ERROR_UNSUPPORTED_VERSION,
                  "the frame is in protocol version %u, this program speaks version %d",
                  frame->version, WIRE_VERSION);
        return NULL;
    }
    if (!s_check_count("requests in one frame", frame->n_requests, LIMIT_PACKET_REQUESTS,
                       ret_error))
        return NULL;
    for (size_t i = 0; i < frame->n_requests; i++) {
        if (!s_check_request(frame->requests[i], ret_error))
            return NULL;
    }
    return frame;
}

Ixn__V1__FromNode *wire_decode_from_node(wire_arena_t *arena, const uint8_t *bytes, size_t len,
                                         error_t *ret_error)
{
    /* The number of messages is the node's own affair: a client that refused its answers would only
     * ask again. */
    static const frame_kind_t kind = {
        .name = "frame",
        .descriptor = &ixn__v1__from_node__descriptor,
        .max_len = (size_t)LIMIT_BATCH,
        .fixed_memory = (size_t)LIMIT_PACKET_REQUESTS * 1024,
        .memory_per_byte = 48,
    };
    return (Ixn__V1__FromNode *)s_decode(arena, &kind, (text_t){(const char *)bytes, len},
                                         ret_error);
}

Ixn__V1__Batch *wire_decode_batch(wire_arena_t *arena, const uint8_t *bytes, size_t len,
                                  error_t *ret_error)
{
    static const frame_kind_t kind = {
        .name = "batch",
        .descriptor = &ixn__v1__batch__descriptor,
        .max_len = (size_t)LIMIT_BATCH,
        .fixed_memory = (size_t)LIMIT_BATCH_ENTRIES * 512,
        .memory_per_byte = 24,
    };
    Ixn__V1__Batch *batch =
        (Ixn__V1__Batch *)s_decode(arena, &kind, (text_t){(const char *)bytes, len}, ret_error);
    if (!batch ||
        !s_check_count("entries in one batch", batch->n_entries, LIMIT_BATCH_ENTRIES, ret_error))
        return NULL;
    return batch;
}

/* ---------------------------------------------------------------------------------------------
 * Encoding */

#define BY 90 /* field of Request */

/* What Entry, Message and Request have in common: perhaps an id in field 1, and one of very many
 * bodies. Each of these fields would be looked at, whichever is there; so the outer message is
 * written here, the very bytes that it would be. */
typedef struct {
    uint64_t id;
    unsigned body_field;
    const ProtobufCMessage *body; /* NULL: none */
    text_t by;                    /* behind it, of a Request that is somebody's */
} element_t;

static void s_append_element(buffer_t *buffer, unsigned field, element_t element)
{
    pack_t pack = pack_begin(buffer);
    if (element.by.len > 0)
        pack_bytes(&pack, BY, element.by);
    if (element.body) {
        size_t since = pack_size(&pack);
        pack_message(&pack, element.body);
        pack_part(&pack, element.body_field, since);
    }
    if (element.id)
        pack_number(&pack, 1, element.id);
    pack_part(&pack, field, 0);
    pack_end(&pack);
}

static void s_append_number(buffer_t *buffer, unsigned field, uint64_t value)
{
    pack_t pack = pack_begin(buffer);
    pack_number(&pack, field, value);
    pack_end(&pack);
}

void wire_append_message(buffer_t *buffer, const Ixn__V1__Message *message)
{
    s_append_element(
        buffer, 3,
        (element_t){message->request_id,
                    message->body_case,
                    message->body_case ? (ProtobufCMessage *)message->registered : NULL,
                    {0}});
}

void wire_append_request(buffer_t *buffer, const Ixn__V1__Request *request)
{
    s_append_element(buffer, 2,
                     (element_t){request->id, request->body_case,
                                 request->body_case ? (ProtobufCMessage *)request->register_ : NULL,
                                 text_of(request->by)});
}

void wire_append_entry(buffer_t *buffer, const Ixn__V1__Entry *entry)
{
    s_append_element(buffer, 1,
                     (element_t){0,
                                 entry->body_case,
                                 entry->body_case ? (ProtobufCMessage *)entry->epoch_started : NULL,
                                 {0}});
}

void wire_append_from_node_head(buffer_t *buffer, uint64_t epoch, uint64_t index)
{
    if (epoch)
        s_append_number(buffer, 1, epoch);
    if (index)
        s_append_number(buffer, 2, index);
}

void wire_append_to_node_head(buffer_t *buffer)
{
    s_append_number(buffer, 1, WIRE_VERSION);
}

/* ---------------------------------------------------------------------------------------------
 * Text and ids */

bool wire_check_text(const char *field, const char *text, size_t min, size_t max,
                     error_t *ret_error)
{
    const uint8_t *bytes = (const uint8_t *)(text ? text : "");
    size_t len = strlen((const char *)bytes);
    if (len > max)
        return error_set(ret_error, ERROR_TOO_LARGE, "%s has %zu bytes, at most %zu are allowed",
                         field, len, max);
    if (len < min)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "%s has %zu bytes, at least %zu are needed", field, len, min);
    if (dull_bytes((const char *)bytes, len) == len)
        return true;
    const uint8_t *bad = u8_check(bytes, len);
    if (bad)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "%s is not UTF-8: byte 0x%02x at offset %zu", field, *bad,
                         (size_t)(bad - bytes));
    ucs4_t character;
    for (const uint8_t *at = bytes, *next; (next = u8_next(&character, at)); at = next) {
        if (uc_is_cntrl(character))
            return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                             "%s has the control character U+%04X at offset %zu; none are allowed",
                             field, character, (size_t)(at - bytes));
    }
    return true;
}

void wire_clean_text(char *text)
{
    uint8_t *at = (uint8_t *)text;
    const uint8_t *wrong;
    while ((wrong = u8_check(at, strlen((const char *)at)))) {
        at += wrong - at;
        *at = '?';
    }
}

ProtobufCBinaryData wire_text(text_t text)
{
    return (ProtobufCBinaryData){text.len, (uint8_t *)text.data};
}

ProtobufCBinaryData wire_bytes(const id128_t *id)
{
    /* protobuf-c's structure is not const although encoding only reads. */
    return (ProtobufCBinaryData){.len = sizeof id->bytes, .data = (uint8_t *)(uintptr_t)id->bytes};
}

bool wire_read_id(ProtobufCBinaryData bytes, id128_t *ret_id)
{
    if (bytes.len != sizeof ret_id->bytes)
        return false;
    memcpy(ret_id->bytes, bytes.data, sizeof ret_id->bytes);
    return true;
}
