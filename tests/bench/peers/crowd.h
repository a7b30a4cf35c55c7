/* Crowd: all links of one side, served by one thread: sleeps until one has something, drains it.
 * What a turn costs depends on how many links have something, not on how many there are.
 */
#ifndef IXN_BENCH_PEERS_CROWD_H
#define IXN_BENCH_PEERS_CROWD_H

#include "apps/ixn-bench/parts/poller.h"
#include "tests/bench/peers/peer.h"

typedef struct {
    const peer_t *peer;
    void **links;
    uint32_t len;
    poller_t *poller;
    bool woken; /* in this turn, by the descriptor that wakes it */
    peer_news_t news;
} crowd_t;

/* Opens `len` links. `wake` is a descriptor that ends its sleep, or -1; it is only looked at. */
void crowd_open(crowd_t *self, const peer_t *peer, const peer_target_t *target, peer_side_t side,
                uint32_t len, int wake);
void crowd_close(crowd_t *self);
/* Sleeps, at most for `timeout_ms`, drains and flushes what is ready. What was heard is in `news`
 * until the next turn. */
void crowd_turn(crowd_t *self, int timeout_ms);
/* Sends what was queued on a link. */
void crowd_flush(crowd_t *self, uint32_t link);

#endif
