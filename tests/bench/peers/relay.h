/* Relay: the messages between peer_zeromq.c and its servers, and these. A message is its kind, one
 * byte, the tag, and with RELAY_SUBMIT and RELAY_WORK the payload.
 */
#ifndef IXN_BENCH_PEERS_RELAY_H
#define IXN_BENCH_PEERS_RELAY_H

#include <stdbool.h>
#include <stdint.h>

enum {
    RELAY_WORKER =
        'w', /* worker number `tag` is here; the same comes back. Number 0: the others are gone */
    RELAY_SUBMIT = 'S',
    RELAY_ACKNOWLEDGED = 'A',
    RELAY_WORK = 'W',
    RELAY_RESULT = 'R',
    RELAY_COMPLETED = 'C',
};
#define RELAY_HEADER (1 + sizeof(uint64_t))

/* Serves at HOST:PORT until SIGTERM or SIGINT: with `echo` every message goes back as it is. */
void relay_serve(const char *at, bool echo);

#endif
