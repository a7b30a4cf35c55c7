#include "dap/opening.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/clock.h"

#define GRACE_US (100 * USEC_PER_MS) /* for threads to leave libpq before the process ends */

static pthread_mutex_t s_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t s_fewer = PTHREAD_COND_INITIALIZER;
static int s_threads; /* of the process, under the mutex */

/* Shared by owner and thread; whoever leaves last frees it. */
struct opening {
    char *conninfo; /* may hold a password */
    int called_off; /* events: … by its owner */
    int over;
    PGconn *pq; /* the thread's until it is over */
    pthread_mutex_t mutex;
    bool is_called_off; /* under the mutex, as all that follows */
    bool is_over;
    bool is_held;
    int users;
};

static bool s_is(opening_t *self, const bool *fact)
{
    CHECK(pthread_mutex_lock(&self->mutex) == 0);
    bool is = *fact;
    CHECK(pthread_mutex_unlock(&self->mutex) == 0);
    return is;
}

static void s_finish(opening_t *self)
{
    if (self->pq)
        PQfinish(self->pq);
    self->pq = NULL;
}

static void s_leave(opening_t *self)
{
    CHECK(pthread_mutex_lock(&self->mutex) == 0);
    bool last = --self->users == 0;
    CHECK(pthread_mutex_unlock(&self->mutex) == 0);
    if (!last)
        return;
    s_finish(self);
    if (self->called_off >= 0)
        close(self->called_off);
    if (self->over >= 0)
        close(self->over);
    CHECK(pthread_mutex_destroy(&self->mutex) == 0);
    explicit_bzero(self->conninfo, strlen(self->conninfo));
    free(self->conninfo);
    free(self);
}

/* What a connection that is being opened has to say is an error, or nothing. */
static void s_ignore(void *context, const PGresult *notice)
{
    (void)context;
    (void)notice;
}

static PostgresPollingStatusType s_begin(opening_t *self)
{
    static const char *const keywords[] = {"dbname", "fallback_application_name", "client_encoding",
                                           NULL};
    const char *const values[] = {self->conninfo, "ixn", "UTF8", NULL};
    self->pq = PQconnectStartParams(keywords, values, 1);
    if (!self->pq || PQstatus(self->pq) == CONNECTION_BAD)
        return PGRES_POLLING_FAILED;
    PQsetNoticeReceiver(self->pq, s_ignore, NULL);
    return PGRES_POLLING_WRITING;
}

/* Waits for libpq's socket, which may be another one after each step; false: it was called off. */
static bool s_wait(const opening_t *self, PostgresPollingStatusType wanted)
{
    struct pollfd items[] = {
        {.fd = PQsocket(self->pq), .events = wanted == PGRES_POLLING_WRITING ? POLLOUT : POLLIN},
        {.fd = self->called_off, .events = POLLIN}};
    while (poll(items, 2, -1) < 0)
        continue; /* a signal was caught */
    return !items[1].revents;
}

static void s_set_held(opening_t *self, bool held)
{
    CHECK(pthread_mutex_lock(&self->mutex) == 0);
    self->is_held = held;
    CHECK(pthread_mutex_unlock(&self->mutex) == 0);
}

static void s_count(int more)
{
    CHECK(pthread_mutex_lock(&s_mutex) == 0);
    s_threads += more;
    CHECK(pthread_cond_broadcast(&s_fewer) == 0);
    CHECK(pthread_mutex_unlock(&s_mutex) == 0);
}

static void s_end(opening_t *self)
{
    CHECK(pthread_mutex_lock(&self->mutex) == 0);
    if (self->is_called_off)
        s_finish(self);
    self->is_over = true;
    CHECK(pthread_mutex_unlock(&self->mutex) == 0);
    CHECK(eventfd_write(self->over, 1) == 0);
    s_leave(self);
}

static void *s_thread(void *argument)
{
    opening_t *self = argument;
    PostgresPollingStatusType wanted = s_begin(self);
    for (;;) {
        s_set_held(self, false);
        if (wanted == PGRES_POLLING_OK || wanted == PGRES_POLLING_FAILED || !s_wait(self, wanted))
            break;
        s_set_held(self, true);
        wanted = PQconnectPoll(self->pq);
    }
    s_end(self);
    s_count(-1);
    return NULL;
}

/* 0, or what errno says of it. */
static int s_start(opening_t *self)
{
    pthread_t thread;
    self->called_off = eventfd(0, EFD_CLOEXEC);
    self->over = eventfd(0, EFD_CLOEXEC);
    if (self->called_off < 0 || self->over < 0)
        return errno;
    self->users = 2;
    s_count(1);
    int failed = pthread_create(&thread, NULL, s_thread, self);
    if (failed) {
        self->users = 1;
        s_count(-1);
    } else
        CHECK(pthread_detach(thread) == 0);
    return failed;
}

opening_t *opening_new(const char *conninfo)
{
    opening_t *self = memory_zero(1, sizeof *self);
    self->conninfo = memory_text(conninfo);
    CHECK(pthread_mutex_init(&self->mutex, NULL) == 0);
    self->is_held = true;
    self->users = 1;
    int failed = s_start(self);
    if (!failed)
        return self;
    s_leave(self);
    errno = failed;
    return NULL;
}

void opening_destroy(opening_t **self_p)
{
    if (!*self_p)
        return;
    opening_call_off(*self_p);
    s_leave(*self_p);
    *self_p = NULL;
}

void opening_call_off(opening_t *self)
{
    CHECK(pthread_mutex_lock(&self->mutex) == 0);
    self->is_called_off = true;
    if (self->is_over)
        s_finish(self);
    CHECK(pthread_mutex_unlock(&self->mutex) == 0);
    CHECK(eventfd_write(self->called_off, 1) == 0);
}

bool opening_is_called_off(opening_t *self)
{
    return s_is(self, &self->is_called_off);
}

bool opening_is_held(opening_t *self)
{
    return s_is(self, &self->is_held);
}

int opening_fd(const opening_t *self)
{
    return self->over;
}

bool opening_is_over(opening_t *self)
{
    return s_is(self, &self->is_over);
}

PGconn *opening_take(opening_t *self)
{
    CHECK(opening_is_over(self));
    PGconn *pq = self->pq;
    self->pq = NULL;
    return pq;
}

bool opening_await_all(void)
{
    const usec_t at = clock_usec(CLOCK_MONOTONIC) + GRACE_US;
    const struct timespec end = {.tv_sec = at / USEC_PER_SECOND,
                                 .tv_nsec = at % USEC_PER_SECOND * 1000};
    CHECK(pthread_mutex_lock(&s_mutex) == 0);
    while (s_threads && pthread_cond_clockwait(&s_fewer, &s_mutex, CLOCK_MONOTONIC, &end) == 0)
        continue;
    bool all = s_threads == 0;
    CHECK(pthread_mutex_unlock(&s_mutex) == 0);
    return all;
}
