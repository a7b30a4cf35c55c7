#include "core/client/probe.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    FIRST_US = 5 * USEC_PER_MS,
    LONGEST_US = 100 * USEC_PER_MS,
    GIVE_UP_US = 500 * USEC_PER_MS, /* a connection that is neither accepted nor refused */
};

void probe_init(probe_t *self, const char *endpoint)
{
    *self = (probe_t){.file = -1};
    memcpy(self->endpoint, endpoint, strnlen(endpoint, sizeof self->endpoint - 1));
}

static void s_close(probe_t *self)
{
    if (self->file >= 0)
        close(self->file);
    self->file = -1;
}

void probe_start(probe_t *self, usec_t now)
{
    s_close(self);
    self->active = true;
    self->due = now;
    self->interval = FIRST_US;
}

void probe_stop(probe_t *self)
{
    s_close(self);
    self->active = false;
}

zmq_pollitem_t probe_item(const probe_t *self)
{
    return (zmq_pollitem_t){.fd = self->file, .events = ZMQ_POLLOUT};
}

long probe_wait_ms(const probe_t *self, usec_t now)
{
    if (!self->active)
        return -1;
    return self->due > now ? (long)((self->due - now + USEC_PER_MS - 1) / USEC_PER_MS) : 0;
}

static void s_resolve_path(probe_t *self, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strnlen(path, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, len);
    if (*path == '@') /* as libzmq does: a name outside the file system, without terminator */
        address.sun_path[0] = '\0';
    memcpy(&self->address, &address, sizeof address);
    self->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*path != '@'));
}

static void s_resolve_host(probe_t *self, const char *host)
{
    char name[PROBE_ENDPOINT_SIZE];
    const char *colon = strrchr(host, ':');
    if (!colon)
        return;
    bool literal = *host == '[' && colon[-1] == ']';
    size_t skipped = literal ? 1 : 0;
    size_t len = (size_t)(colon - host) - 2 * skipped;
    memcpy(name, host + skipped, len);
    name[len] = '\0';
    const struct addrinfo hints = {.ai_family = literal ? AF_INET6 : AF_INET,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(name, colon + 1, &hints, &found) != 0)
        return;
    memcpy(&self->address, found->ai_addr, found->ai_addrlen);
    self->address_len = found->ai_addrlen;
    freeaddrinfo(found);
}

static void s_resolve(probe_t *self)
{
    static const char ipc[] = "ipc://";
    static const char tcp[] = "tcp://";
    if (strncmp(self->endpoint, ipc, sizeof ipc - 1) == 0)
        s_resolve_path(self, self->endpoint + sizeof ipc - 1);
    else if (strncmp(self->endpoint, tcp, sizeof tcp - 1) == 0)
        s_resolve_host(self, self->endpoint + sizeof tcp - 1);
}

/* The attempt is over; true when it was refused. */
static bool s_end(probe_t *self, int error, usec_t now)
{
    s_close(self);
    self->due = now + self->interval;
    self->interval = self->interval * 2 < LONGEST_US ? self->interval * 2 : LONGEST_US;
    /* A path that is not there is to ipc what a port without listener is to tcp. */
    bool refused = error == ECONNREFUSED || (error == ENOENT && self->address.ss_family == AF_UNIX);
    if (error && !refused)
        self->address_len = 0; /* perhaps its name has another address by now */
    return refused;
}

static bool s_begin(probe_t *self, usec_t now)
{
    if (self->address_len == 0)
        s_resolve(self);
    if (self->address_len == 0)
        return s_end(self, EHOSTUNREACH, now);
    self->file = socket(self->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->file < 0)
        return s_end(self, errno, now);
    if (connect(self->file, (struct sockaddr *)&self->address, self->address_len) == 0)
        return s_end(self, 0, now);
    if (errno != EINPROGRESS)
        return s_end(self, errno, now);
    self->due = now + GIVE_UP_US;
    return false;
}

bool probe_step(probe_t *self, usec_t now)
{
    if (!self->active)
        return false;
    if (self->file < 0)
        return now >= self->due && s_begin(self, now);
    struct pollfd item = {.fd = self->file, .events = POLLOUT};
    if (poll(&item, 1, 0) > 0) {
        int error = 0;
        socklen_t size = sizeof error;
        if (getsockopt(self->file, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
            error = errno;
        return s_end(self, error, now);
    }
    return now >= self->due && s_end(self, ETIMEDOUT, now);
}
