/* Packet: the requests of a client's packet (ixn.v1.ToNode) as bytes, without decoding them: for
 * those of which it is not known whether decoding survives them.
 *
 * Promises: any bytes may come; nothing is read beyond them and no memory is taken but what
 * packet_content fills.
 */
#ifndef IXN_WIRE_PACKET_H
#define IXN_WIRE_PACKET_H

#include "core/base/buffer.h"
#include "core/base/id.h"

/* The next request behind `*at` (0 for the first), which moves on. False: there is none, or the
 * rest is not what protobuf writes. */
bool packet_next(text_t packet, size_t *at, text_t *ret_request);
size_t packet_count(text_t packet);

/* Request.id; 0 when there is none. */
uint64_t packet_request_id(text_t request);
/* Its body's name in client.proto, such as "submit"; "request" when it has none that is known. */
const char *packet_request_name(text_t request);
/* Appends all of it but its id, which another try gives anew. */
void packet_content(text_t request, buffer_t *content);
/* Appends the request to a packet as it is. */
void packet_append(buffer_t *packet, text_t request);

#endif
