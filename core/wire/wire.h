/* Wire: between bytes of the transport and messages of the contract (core/wire/client.proto).
 *
 * Promises: a frame is decoded into memory of an arena, in one piece, and every piece of it that
 * the caller can read is inside the limits of core/base/limits.h; a frame that is not is refused
 * with a sentence. Answers are encoded one by one and joined into a FromNode without copying them
 * through structures again (repeated fields of protobuf may be concatenated).
 */
#ifndef IXN_WIRE_WIRE_H
#define IXN_WIRE_WIRE_H

#include <stdbool.h>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/id.h"
#include "core/wire/client.pb-c.h"
#include "core/wire/entry.pb-c.h"

#define WIRE_VERSION 1

/* Memory that messages are decoded into: taken from a list of growing blocks, given back all at
 * once. */
typedef struct wire_arena wire_arena_t;
wire_arena_t *wire_arena_new(void);
void wire_arena_destroy(wire_arena_t **self_p);
void wire_arena_reset(wire_arena_t *self); /* everything decoded before is gone */
ProtobufCAllocator *wire_arena_allocator(wire_arena_t *self);

/* Decodes a frame. The message lives in the arena until its reset; the bytes are not needed after
 * the call. NULL and an error (MALFORMED, UNSUPPORTED_VERSION, TOO_LARGE) otherwise. Strings may
 * still be too long or not UTF-8: wire_check_text; a NUL byte ends a string. Bodies and submessages
 * that were not sent are NULL; a Request whose body is not known here has body_case 0. */
Ixn__V1__ToNode *wire_decode_to_node(wire_arena_t *arena, const uint8_t *bytes, size_t len,
                                     error_t *ret_error);
Ixn__V1__FromNode *wire_decode_from_node(wire_arena_t *arena, const uint8_t *bytes, size_t len,
                                         error_t *ret_error);
Ixn__V1__Batch *wire_decode_batch(wire_arena_t *arena, const uint8_t *bytes, size_t len,
                                  error_t *ret_error);

/* Appends one message as an element of FromNode.messages, ToNode.requests, Batch.entries. */
void wire_append_message(buffer_t *buffer, const Ixn__V1__Message *message);
void wire_append_request(buffer_t *buffer, const Ixn__V1__Request *request);
void wire_append_entry(buffer_t *buffer, const Ixn__V1__Entry *entry);
/* Appends what comes before the elements. */
void wire_append_from_node_head(buffer_t *buffer, uint64_t epoch, uint64_t index);
void wire_append_to_node_head(buffer_t *buffer);

/* True when `text` has min … max bytes of valid UTF-8 without control characters; otherwise sets an
 * INVALID_ARGUMENT (or TOO_LARGE) that names the field. NULL counts as empty. */
bool wire_check_text(const char *field, const char *text, size_t min, size_t max,
                     error_t *ret_error);

/* Makes valid UTF-8 of a text that may hold what a peer sent, or that was cut in the middle of a
 * character: what is not becomes '?'. Receivers refuse a whole frame for one wrong byte of text. */
void wire_clean_text(char *text);

/* Ids as protobuf bytes. The result of wire_bytes points into `id`. */
ProtobufCBinaryData wire_bytes(const id128_t *id);
/* A text as protobuf bytes, which point into it. */
ProtobufCBinaryData wire_text(text_t text);
bool wire_read_id(ProtobufCBinaryData bytes, id128_t *ret_id); /* exactly 16 bytes */

#endif
