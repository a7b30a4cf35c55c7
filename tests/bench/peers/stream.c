#include "tests/bench/peers/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/peers/peer.h"

#define S_READ 65536

void stream_open(stream_t *self, const char *at)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *colon = strrchr(at, ':');
    char host[INET_ADDRSTRLEN] = "";
    if (colon && (size_t)(colon - at) < sizeof host)
        memcpy(host, at, (size_t)(colon - at));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        peer_fail("\"%s\" is not ADDRESS:PORT", at);
    address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    self->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (self->fd < 0 || connect(self->fd, (struct sockaddr *)&address, sizeof address) != 0)
        peer_fail("cannot connect to %s: %s", at, strerror(errno));
    int on = 1;
    setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void stream_close(stream_t *self)
{
    close(self->fd);
    buffer_free(&self->in);
    buffer_free(&self->out);
}

void stream_fill(stream_t *self)
{
    if (self->taken > 0) {
        size_t rest = stream_len(self);
        memmove(self->in.bytes, self->in.bytes + self->taken, rest);
        self->in.len = rest;
        self->taken = 0;
    }
    for (;;) {
        ssize_t len = recv(self->fd, buffer_reserve(&self->in, S_READ), S_READ, MSG_DONTWAIT);
        if (len < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (len <= 0)
            peer_fail("the server closed a connection: %s", len ? strerror(errno) : "end of file");
        self->in.len += (size_t)len;
        if (len < S_READ)
            return;
    }
}

bool stream_flush(stream_t *self)
{
    size_t sent = 0;
    while (sent < self->out.len) {
        ssize_t len = send(self->fd, self->out.bytes + sent, self->out.len - sent, MSG_NOSIGNAL);
        if (len < 0 && errno != EINTR)
            peer_fail("cannot send: %s", strerror(errno));
        if (len > 0)
            sent += (size_t)len;
    }
    buffer_clear(&self->out);
    return sent > 0;
}

char *stream_line(stream_t *self)
{
    char *line = (char *)self->in.bytes + self->taken;
    char *end = memmem(line, stream_len(self), "\r\n", 2);
    if (!end)
        return NULL;
    *end = 0;
    self->taken += (size_t)(end - line) + 2;
    return line;
}
