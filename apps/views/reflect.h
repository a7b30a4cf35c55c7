/* Reflect: any message of the contract as JSON, by its own description: members are named as its
 * fields are. Pure. Ids are UUIDs as text; other bytes are left out; enumerations are names in
 * small letters; 64-bit numbers are whole up to 2^63.
 */
#ifndef IXN_VIEWS_REFLECT_H
#define IXN_VIEWS_REFLECT_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

json_t *reflect(const ProtobufCMessage *message); /* a new reference */

#endif
