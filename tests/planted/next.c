/* The next version of the program, as far as it can be made of this one: ixnd-next, a node of the
 * tests' own. "Fields are only ever added" (core/wire): whatever it writes or says, every frame
 * between the nodes, every entry of the log and every message to a client, has a field that this
 * version has never heard of.
 */
#include <protobuf-c/protobuf-c.h>

#include "core/wire/pack.h"
#include "core/wire/peer.pb-c.h"

void __real_pack_message(pack_t *self, const ProtobufCMessage *message);
void __wrap_pack_message(pack_t *self, const ProtobufCMessage *message);
size_t __real_protobuf_c_message_get_packed_size(const ProtobufCMessage *message);
size_t __wrap_protobuf_c_message_get_packed_size(const ProtobufCMessage *message);
size_t __real_protobuf_c_message_pack(const ProtobufCMessage *message, uint8_t *out);
size_t __wrap_protobuf_c_message_pack(const ProtobufCMessage *message, uint8_t *out);

static uint8_t s_text[] = "\x03new"; /* with its length in front, as it is packed */
static ProtobufCMessageUnknownField s_field = {
    .tag = 1999, .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, .len = 4, .data = s_text};

static void s_set(ProtobufCMessage *message, unsigned fields)
{
    message->n_unknown_fields = fields;
    message->unknown_fields = fields ? &s_field : NULL;
}

/* The message itself, and what a frame of the nodes has in it. */
static void s_set_all(const ProtobufCMessage *message, unsigned fields)
{
    s_set((ProtobufCMessage *)message, fields);
    const Ixn__V1__PeerFrame *frame = (const Ixn__V1__PeerFrame *)message;
    if (message->descriptor == &ixn__v1__peer_frame__descriptor &&
        frame->body_case == IXN__V1__PEER_FRAME__BODY_HELLO)
        s_set(&frame->hello->base, fields);
}

/* Entries, and what clients are told. */
void __wrap_pack_message(pack_t *self, const ProtobufCMessage *message)
{
    s_set_all(message, 1);
    __real_pack_message(self, message);
    s_set_all(message, 0);
}

size_t __wrap_protobuf_c_message_get_packed_size(const ProtobufCMessage *message)
{
    s_set_all(message, 1);
    size_t size = __real_protobuf_c_message_get_packed_size(message);
    s_set_all(message, 0);
    return size;
}

size_t __wrap_protobuf_c_message_pack(const ProtobufCMessage *message, uint8_t *out)
{
    s_set_all(message, 1);
    size_t size = __real_protobuf_c_message_pack(message, out);
    s_set_all(message, 0);
    return size;
}
