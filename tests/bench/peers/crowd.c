#include "tests/bench/peers/crowd.h"

#include <stdlib.h>

#include "core/base/alloc.h"

void crowd_open(crowd_t *self, const peer_t *peer, const peer_target_t *target, peer_side_t side,
                uint32_t len, int wake)
{
    *self = (crowd_t){.peer = peer, .len = len, .awake = true};
    self->links = memory_zero(len + 1, sizeof *self->links);
    self->fds = memory_zero(len + 1, sizeof *self->fds);
    self->look = memory_zero(len + 1, sizeof *self->look);
    for (uint32_t i = 0; i < len; i++) {
        self->links[i] = peer->open(target, side, i);
        self->fds[i] = (struct pollfd){.fd = peer->fd(self->links[i]), .events = POLLIN};
        self->look[i] = true;
    }
    self->fds[len] = (struct pollfd){.fd = wake, .events = POLLIN};
}

void crowd_close(crowd_t *self)
{
    for (uint32_t i = 0; i < self->len; i++)
        self->peer->close(self->links[i]);
    free(self->links);
    free(self->fds);
    free(self->look);
    buffer_free(&self->news.acknowledged);
    buffer_free(&self->news.completed);
}

void crowd_flush(crowd_t *self, uint32_t link)
{
    if (!self->peer->flush(self->links[link]) || !self->peer->edge)
        return;
    self->look[link] = true; /* sending may have swallowed the edge */
    self->awake = true;
}

void crowd_turn(crowd_t *self, int timeout_ms)
{
    buffer_clear(&self->news.acknowledged);
    buffer_clear(&self->news.completed);
    int ready = poll(self->fds, self->len + 1, self->awake ? 0 : timeout_ms);
    bool all = ready == 0 && !self->awake; /* clients have timers of their own */
    self->awake = false;
    for (uint32_t i = 0; i < self->len; i++) {
        if (!all && !self->look[i] && !(ready > 0 && self->fds[i].revents))
            continue;
        self->look[i] = false;
        self->peer->drain(self->links[i], &self->news);
        crowd_flush(self, i);
    }
}
