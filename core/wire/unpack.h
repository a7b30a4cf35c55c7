/* Unpack: packets whose elements are of the usual shape, quicker than protobuf-c does it.
 *
 * ToNode, FromNode and Batch consist of a few numbers and of many elements (Request, Message,
 * Entry), and an element of perhaps an id and one of very many bodies. protobuf-c scans each level
 * with tables of all fields that might come; here the two outer levels are read directly, and only
 * bodies are left to it. Pure.
 */
#ifndef IXN_CORE_WIRE_UNPACK_H
#define IXN_CORE_WIRE_UNPACK_H

#include <protobuf-c/protobuf-c.h>

#include "core/base/types.h"

/* The message that protobuf_c_message_unpack would make, out of `allocator`. `elements` is the
 * number of the repeated field. NULL: the packet is not of the usual shape (unknown fields, an
 * element with two bodies or none, bytes that are no message at all), or there is not memory
 * enough; then protobuf-c itself must judge. What was allocated until then is given back by whoever
 * owns the allocator. */
ProtobufCMessage *unpack_packet(const ProtobufCMessageDescriptor *descriptor, unsigned elements,
                                ProtobufCAllocator *allocator, text_t packet);

#endif
