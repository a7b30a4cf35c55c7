#include "apps/ixn-bench/parts/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/types.h"

#define S_EVENTS 256 /* taken at once; the others come in the next turn */

struct poller {
    int epoll;
    uint32_t len;
    usec_t *due;    /* by number; 0: none */
    bool *look;     /* by number: it is in `next` */
    uint32_t *next; /* given in the next turn … */
    uint32_t next_len;
    uint32_t *now; /* … and the same list of this turn */
};

poller_t *poller_new(uint32_t len)
{
    poller_t *self = memory_zero(1, sizeof *self);
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(self->epoll >= 0);
    self->len = len;
    self->due = memory_zero(len, sizeof *self->due);
    self->look = memory_zero(len, sizeof *self->look);
    self->next = memory_zero(len, sizeof *self->next);
    self->now = memory_zero(len, sizeof *self->now);
    for (uint32_t i = 0; i < len; i++)
        poller_look(self, i);
    return self;
}

void poller_destroy(poller_t **self_p)
{
    poller_t *self = *self_p;
    if (!self)
        return;
    close(self->epoll);
    free(self->due);
    free(self->look);
    free(self->next);
    free(self->now);
    free(self);
    *self_p = NULL;
}

void poller_watch(poller_t *self, uint32_t number, int fd, bool edge)
{
    struct epoll_event event = {.events = EPOLLIN | (edge ? EPOLLET : 0u), .data.u32 = number};
    CHECK(epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

void poller_look(poller_t *self, uint32_t number)
{
    if (self->look[number])
        return;
    self->look[number] = true;
    self->next[self->next_len++] = number;
}

void poller_due(poller_t *self, uint32_t number, int wait_ms)
{
    self->due[number] = wait_ms < 0 ? 0 : clock_usec(CLOCK_MONOTONIC) + wait_ms * USEC_PER_MS;
}

/* Gives those whose time has come; returns the milliseconds until the next one's, `timeout_ms` at
 * most. */
static int s_timers(poller_t *self, int timeout_ms)
{
    usec_t now = clock_usec(CLOCK_MONOTONIC);
    usec_t until = now + timeout_ms * USEC_PER_MS;
    for (uint32_t i = 0; i < self->len; i++) {
        if (self->due[i] == 0 || self->due[i] >= until)
            continue;
        if (self->due[i] > now) {
            until = self->due[i];
        } else {
            self->due[i] = 0;
            poller_look(self, i);
        }
    }
    return (int)((until - now + USEC_PER_MS - 1) / USEC_PER_MS);
}

const uint32_t *poller_wait(poller_t *self, int timeout_ms, uint32_t *ret_len)
{
    timeout_ms = s_timers(self, timeout_ms);
    bool awake = self->next_len > 0;
    struct epoll_event events[S_EVENTS];
    int ready = epoll_wait(self->epoll, events, S_EVENTS, awake ? 0 : timeout_ms);
    CHECK(ready >= 0 || errno == EINTR);
    for (int i = 0; i < ready; i++)
        poller_look(self, events[i].data.u32);
    for (uint32_t i = 0; i < self->len && ready == 0 && !awake; i++)
        poller_look(self, i);
    uint32_t *given = self->next;
    *ret_len = self->next_len;
    self->next = self->now;
    self->next_len = 0;
    self->now = given;
    for (uint32_t i = 0; i < *ret_len; i++)
        self->look[given[i]] = false;
    return given;
}
