/* Traits: what a request needs or means beyond its bytes.
 */
#ifndef IXN_CLIENT_TRAITS_H
#define IXN_CLIENT_TRAITS_H

#include <stdbool.h>

#include "core/wire/client.pb-c.h"

/* Points into the request. */
typedef struct {
    ProtobufCBinaryData *key;    /* that proves the right to change; NULL: none is needed */
    const Ixn__V1__Token *token; /* NULL: none */
    bool is_result;              /* when it is accepted, the token is no longer held */
} traits_t;

traits_t traits_of(const Ixn__V1__Request *request);

#endif
