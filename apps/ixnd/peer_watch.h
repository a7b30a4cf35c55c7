/* Peer watch: a thread beside the link to the other node. It lets in who holds the pair's key
 * (ZAP), and makes the link's events of what the socket's monitor and a probe say.
 *
 *   handshake done          → UP
 *   UP, then disconnected   → CLOSED; then probes, each refused one → REFUSED
 *
 * Owns its three sockets. Log lines of it say when the link comes and goes, and why it does not
 * come.
 */
#ifndef IXN_APPS_IXND_PEER_WATCH_H
#define IXN_APPS_IXND_PEER_WATCH_H

#include <czmq.h>

#include "apps/ixnd/certificate.h"
#include "config/config.h"
#include "ha/pair.h"

typedef struct {
    void *monitor;        /* PAIR, connected to the monitor of the DEALER; ours from now on */
    void *zap;            /* REP, bound to ZAP's address in the peer's context; ours from now on */
    const char *endpoint; /* of the other node; copied */
    uint8_t public_key[CERTIFICATE_KEY_SIZE]; /* the only one that is let in */
} peer_watch_options_t;

typedef struct peer_watch peer_watch_t;

peer_watch_t *peer_watch_new(const peer_watch_options_t *options);
void peer_watch_destroy(peer_watch_t **self_p);

void *peer_watch_socket(peer_watch_t *self); /* libzmq's; to poll */
bool peer_watch_next(peer_watch_t *self, peer_link_t *ret_event);

#endif
