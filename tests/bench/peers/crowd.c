#include "tests/bench/peers/crowd.h"

#include <stdlib.h>

#include "core/base/alloc.h"

void crowd_open(crowd_t *self, const peer_t *peer, const peer_target_t *target, peer_side_t side,
                uint32_t len, int wake)
{
    *self = (crowd_t){.peer = peer, .len = len, .poller = poller_new(len + (wake >= 0))};
    self->links = memory_zero(len, sizeof *self->links);
    for (uint32_t i = 0; i < len; i++) {
        self->links[i] = peer->open(target, side, i);
        poller_watch(self->poller, i, peer->fd(self->links[i]), peer->edge);
    }
    if (wake >= 0)
        poller_watch(self->poller, len, wake, false);
}

void crowd_close(crowd_t *self)
{
    poller_destroy(&self->poller);
    for (uint32_t i = 0; i < self->len; i++)
        self->peer->close(self->links[i]);
    free(self->links);
    buffer_free(&self->news.acknowledged);
    buffer_free(&self->news.completed);
}

void crowd_flush(crowd_t *self, uint32_t link)
{
    if (self->peer->flush(self->links[link]) && self->peer->edge)
        poller_look(self->poller, link); /* sending may have swallowed the edge */
}

void crowd_turn(crowd_t *self, int timeout_ms)
{
    buffer_clear(&self->news.acknowledged);
    buffer_clear(&self->news.completed);
    self->woken = false;
    uint32_t len;
    const uint32_t *links = poller_wait(self->poller, timeout_ms, &len);
    for (uint32_t i = 0; i < len; i++) {
        if (links[i] == self->len) {
            self->woken = true;
            continue;
        }
        self->peer->drain(self->links[links[i]], &self->news);
        crowd_flush(self, links[i]);
    }
}
