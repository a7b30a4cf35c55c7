/* Unpack: any message of the contract from its bytes, quicker than protobuf-c does it.
 *
 * protobuf-c notes each field of a message before it reads any, looks its number up in a table, and
 * asks for memory for each piece by itself. Here a message is read in one pass; the next field is
 * nearly always one of the next few of its descriptor; the elements of a list lie one behind the
 * other in one piece of memory. Pure.
 */
#ifndef IXN_CORE_WIRE_UNPACK_H
#define IXN_CORE_WIRE_UNPACK_H

#include <protobuf-c/protobuf-c.h>

#include "core/base/types.h"

/* The message that protobuf_c_message_unpack would make, out of `allocator`. NULL: it is not of the
 * usual shape (unknown fields, lists of what is no message, a part that comes twice, bytes that are
 * no message at all), or there is not memory enough; then protobuf-c itself must judge. What was
 * allocated until then is given back by whoever owns the allocator. */
ProtobufCMessage *unpack_message(const ProtobufCMessageDescriptor *kind,
                                 ProtobufCAllocator *allocator, text_t bytes);

#endif
