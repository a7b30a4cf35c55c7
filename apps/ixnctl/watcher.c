/* Watcher: see watcher.h. */
#include "apps/ixnctl/watcher.h"

#include <czmq.h>

#include "apps/ixnctl/gather.h"
#include "core/base/alloc.h"
#include "core/base/check.h"

enum { PATIENCE_MS = 300 };

struct watcher {
    gather_t *gather; /* the thread's while busy, the owner's otherwise */
    picture_before_t before;
    error_t error;
    zactor_t *actor;
    bool busy;
    bool made; /* there is a picture */
};

static void s_run(zsock_t *pipe, void *argument)
{
    watcher_t *self = argument;
    char *word;
    zsock_signal(pipe, 0);
    while ((word = zstr_recv(pipe)) && strcmp(word, "$TERM") != 0) {
        zstr_free(&word);
        self->error = (error_t){0};
        gather_take(self->gather, PATIENCE_MS, &self->error);
        picture_rate(gather_picture(self->gather), &self->before);
        zsock_signal(pipe, 0);
    }
    zstr_free(&word);
}

watcher_t *watcher_new(common_t *common, error_t *ret_error)
{
    gather_t *gather = gather_new(common, GATHER_PAIR, ret_error);
    if (!gather)
        return NULL;
    watcher_t *self = memory_zero(1, sizeof *self);
    zsys_handler_set(NULL); /* signals are the program's */
    self->gather = gather;
    self->actor = zactor_new(s_run, self);
    CHECK(self->actor);
    return self;
}

void watcher_destroy(watcher_t **self_p)
{
    watcher_t *self = *self_p;
    if (!self)
        return;
    zactor_destroy(&self->actor);
    gather_destroy(&self->gather);
    picture_before_free(&self->before);
    free(self);
    *self_p = NULL;
}

void watcher_ask(watcher_t *self)
{
    if (self->busy)
        return;
    self->busy = true;
    zstr_send(self->actor, "take");
}

bool watcher_is_busy(const watcher_t *self)
{
    return self->busy;
}

bool watcher_wait(watcher_t *self, int keyboard, long timeout_ms)
{
    zmq_pollitem_t items[] = {{zsock_resolve(self->actor), 0, ZMQ_POLLIN, 0},
                              {NULL, keyboard, ZMQ_POLLIN, 0}};
    if (zmq_poll(items, keyboard < 0 ? 1 : 2, timeout_ms) <= 0 || !(items[0].revents & ZMQ_POLLIN))
        return false;
    CHECK(zsock_wait(self->actor) == 0);
    self->busy = false;
    self->made = true;
    return true;
}

const picture_t *watcher_picture(const watcher_t *self, const char **ret_trouble)
{
    if (self->busy || !self->made)
        return NULL;
    *ret_trouble = self->error.code == ERROR_OK ? "" : self->error.text;
    return gather_picture(self->gather);
}
