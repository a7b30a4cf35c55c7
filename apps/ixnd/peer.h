/* Peer: the link to the other node. A ROUTER that is bound (what it says) and a DEALER that is
 * connected (what it hears), both with CURVE; whoever does not hold the pair's key is not let in.
 * Decides nothing.
 *
 * Frames are small in number and may be lost: small high-water marks, IMMEDIATE, LINGER 0, and a
 * frame that the socket does not take is dropped, which the receiver notices as a gap.
 */
#ifndef IXN_APPS_IXND_PEER_H
#define IXN_APPS_IXND_PEER_H

#include "config/config.h"
#include "ha/pair.h"

typedef struct peer peer_t;

/* Binds config->peer_bind, connects to config->peer_endpoint, with the key of
 * config->peer_certificate. NULL and an error (SYSTEM, CONFIGURATION) when that fails. */
peer_t *peer_new(const config_t *config, error_t *ret_error);
void peer_destroy(peer_t **self_p);

void *peer_socket(peer_t *self);  /* to poll for frames */
void *peer_monitor(peer_t *self); /* to poll for changes of the link */

/* The next frame that has arrived, valid until the next call; false: none. */
bool peer_receive(peer_t *self, const uint8_t **ret_bytes, size_t *ret_len);
/* Takes over the bytes (free). */
void peer_send(peer_t *self, uint8_t *bytes, size_t len);
/* The next change of the link; false: none. */
bool peer_next_link(peer_t *self, peer_link_t *ret_event);

#endif
