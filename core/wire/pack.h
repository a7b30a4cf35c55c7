/* Pack: any message of the contract as bytes, in one pass.
 *
 * The very bytes that protobuf_c_message_pack writes. protobuf-c goes through a message twice, and
 * through what is in it once more for each level above, to know the lengths that stand in front of
 * their parts; here the bytes are written from the last to the first, so each length is known when
 * its place has come. Pure.
 */
#ifndef IXN_CORE_WIRE_PACK_H
#define IXN_CORE_WIRE_PACK_H

#include <protobuf-c/protobuf-c.h>

#include "core/base/buffer.h"
#include "core/base/types.h"

/* Writes into what a buffer has left, from its end. */
typedef struct {
    buffer_t *buffer;
    uint8_t *at;    /* the byte written last */
    uint8_t *floor; /* the first that may be written */
} pack_t;

pack_t pack_begin(buffer_t *buffer);
/* What was written becomes part of the buffer. */
void pack_end(pack_t *self);

/* Of the kinds of fields that the contract has: another one is a wrong program. */
void pack_message(pack_t *self, const ProtobufCMessage *message);
/* With their tags. */
void pack_number(pack_t *self, uint32_t field, uint64_t value);
void pack_bytes(pack_t *self, uint32_t field, text_t bytes);
/* How much was written; what has been written since then gets its length and tag in front. */
size_t pack_size(const pack_t *self);
void pack_part(pack_t *self, uint32_t field, size_t since);

#endif
