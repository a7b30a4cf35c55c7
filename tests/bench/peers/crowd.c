#include "tests/bench/peers/crowd.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/check.h"

#define S_EVENTS 256 /* taken at once; the others come in the next turn */

/* To be drained in the next turn. */
static void s_look(crowd_t *self, uint32_t link)
{
    if (self->look[link])
        return;
    self->look[link] = true;
    self->next[self->next_len++] = link;
}

static void s_watch(crowd_t *self, int fd, uint32_t number, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = number};
    CHECK(epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

void crowd_open(crowd_t *self, const peer_t *peer, const peer_target_t *target, peer_side_t side,
                uint32_t len, int wake)
{
    *self = (crowd_t){.peer = peer, .len = len, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    CHECK(self->epoll >= 0);
    self->links = memory_zero(len, sizeof *self->links);
    self->look = memory_zero(len, sizeof *self->look);
    self->next = memory_zero(len, sizeof *self->next);
    self->now = memory_zero(len, sizeof *self->now);
    for (uint32_t i = 0; i < len; i++) {
        self->links[i] = peer->open(target, side, i);
        s_watch(self, peer->fd(self->links[i]), i, EPOLLIN | (peer->edge ? EPOLLET : 0u));
        s_look(self, i);
    }
    if (wake >= 0)
        s_watch(self, wake, len, EPOLLIN);
}

void crowd_close(crowd_t *self)
{
    close(self->epoll);
    for (uint32_t i = 0; i < self->len; i++)
        self->peer->close(self->links[i]);
    free(self->links);
    free(self->look);
    free(self->next);
    free(self->now);
    buffer_free(&self->news.acknowledged);
    buffer_free(&self->news.completed);
}

void crowd_flush(crowd_t *self, uint32_t link)
{
    if (self->peer->flush(self->links[link]) && self->peer->edge)
        s_look(self, link); /* sending may have swallowed the edge */
}

/* Adds those that have something; after a long sleep all: clients have timers of their own. */
static void s_sleep(crowd_t *self, int timeout_ms)
{
    struct epoll_event events[S_EVENTS];
    bool awake = self->next_len > 0;
    int ready = epoll_wait(self->epoll, events, S_EVENTS, awake ? 0 : timeout_ms);
    CHECK(ready >= 0 || errno == EINTR);
    self->woken = false;
    for (int i = 0; i < ready; i++) {
        if (events[i].data.u32 < self->len)
            s_look(self, events[i].data.u32);
        else
            self->woken = true;
    }
    for (uint32_t i = 0; i < self->len && ready == 0 && !awake; i++)
        s_look(self, i);
}

void crowd_turn(crowd_t *self, int timeout_ms)
{
    buffer_clear(&self->news.acknowledged);
    buffer_clear(&self->news.completed);
    s_sleep(self, timeout_ms);
    uint32_t *now = self->next;
    uint32_t len = self->next_len;
    self->next = self->now;
    self->next_len = 0;
    self->now = now;
    for (uint32_t i = 0; i < len; i++)
        self->look[now[i]] = false;
    for (uint32_t i = 0; i < len; i++) {
        self->peer->drain(self->links[now[i]], &self->news);
        crowd_flush(self, now[i]);
    }
}
