#include "tests/database/proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/check.h"

enum { LINKS = 16 };

typedef struct {
    int client; /* -1: free */
    int server;
    bool frozen;
} link_t;

struct proxy {
    pthread_t thread;
    int listener;
    int target_port;
    atomic_bool stopping;
    _Atomic(proxy_fault_t) fault;
    const char *after; /* written by proxy_arm while no fault is armed */
    const char *word;
    bool after_seen;
    link_t links[LINKS];
};

static struct sockaddr_in s_loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void s_drop(link_t *link)
{
    close(link->client);
    close(link->server);
    *link = (link_t){.client = -1};
}

static void s_accept(proxy_t *self)
{
    int client = accept(self->listener, NULL, NULL);
    if (client < 0)
        return;
    struct sockaddr_in target = s_loopback(self->target_port);
    int server = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(server >= 0);
    for (int i = 0; i < LINKS; i++)
        if (self->links[i].client < 0 &&
            connect(server, (struct sockaddr *)&target, sizeof target) == 0) {
            self->links[i] = (link_t){.client = client, .server = server};
            return;
        }
    close(client);
    close(server);
}

static bool s_send(int socket, const char *bytes, size_t len)
{
    while (len) {
        ssize_t sent = send(socket, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

/* What is to happen to these bytes. */
static proxy_fault_t s_fault(proxy_t *self, const char *bytes, size_t len)
{
    if (atomic_load(&self->fault) == PROXY_PASS)
        return PROXY_PASS;
    if (!self->after_seen) {
        const char *after = memmem(bytes, len, self->after, strlen(self->after));
        if (!after)
            return PROXY_PASS;
        self->after_seen = true;
        len -= (size_t)(after - bytes);
        bytes = after;
    }
    if (!memmem(bytes, len, self->word, strlen(self->word)))
        return PROXY_PASS;
    return atomic_exchange(&self->fault, PROXY_PASS);
}

/* False: the link is to be dropped. */
static bool s_relay(proxy_t *self, link_t *link, bool from_client)
{
    char bytes[65536];
    ssize_t len = recv(from_client ? link->client : link->server, bytes, sizeof bytes, 0);
    if (len <= 0)
        return false;
    proxy_fault_t fault = from_client ? s_fault(self, bytes, (size_t)len) : PROXY_PASS;
    if (fault == PROXY_LOSE_REQUEST)
        return false;
    if (!s_send(from_client ? link->server : link->client, bytes, (size_t)len))
        return false;
    if (fault == PROXY_LOSE_ANSWER) {
        len = recv(link->server, bytes, sizeof bytes, 0);
        return false;
    }
    link->frozen = fault == PROXY_FREEZE;
    return true;
}

static void *s_thread(void *argument)
{
    proxy_t *self = argument;
    while (!atomic_load(&self->stopping)) {
        struct pollfd items[1 + LINKS * 2] = {{.fd = self->listener, .events = POLLIN}};
        for (int i = 0; i < LINKS; i++) {
            bool idle = self->links[i].client < 0 || self->links[i].frozen;
            items[1 + i * 2] =
                (struct pollfd){.fd = idle ? -1 : self->links[i].client, .events = POLLIN};
            items[2 + i * 2] =
                (struct pollfd){.fd = idle ? -1 : self->links[i].server, .events = POLLIN};
        }
        if (poll(items, 1 + LINKS * 2, 20) <= 0)
            continue;
        for (int i = 0; i < LINKS; i++)
            for (int side = 0; side < 2; side++)
                if (items[1 + i * 2 + side].revents && self->links[i].client >= 0 &&
                    !self->links[i].frozen && !s_relay(self, &self->links[i], side == 0))
                    s_drop(&self->links[i]);
        if (items[0].revents)
            s_accept(self);
    }
    return NULL;
}

proxy_t *proxy_new(int target_port)
{
    proxy_t *self = memory_zero(1, sizeof *self);
    self->target_port = target_port;
    for (int i = 0; i < LINKS; i++)
        self->links[i].client = -1;
    self->listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = s_loopback(0);
    CHECK(self->listener >= 0 &&
          bind(self->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
          listen(self->listener, LINKS) == 0);
    CHECK(pthread_create(&self->thread, NULL, s_thread, self) == 0);
    return self;
}

void proxy_destroy(proxy_t **self_p)
{
    proxy_t *self = *self_p;
    if (!self)
        return;
    atomic_store(&self->stopping, true);
    pthread_join(self->thread, NULL);
    for (int i = 0; i < LINKS; i++)
        if (self->links[i].client >= 0)
            s_drop(&self->links[i]);
    close(self->listener);
    free(self);
    *self_p = NULL;
}

int proxy_port(const proxy_t *self)
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    CHECK(getsockname(self->listener, (struct sockaddr *)&address, &len) == 0);
    return ntohs(address.sin_port);
}

void proxy_arm(proxy_t *self, proxy_fault_t fault, const char *after, const char *word)
{
    CHECK(!proxy_is_armed(self));
    self->after = after;
    self->word = word;
    self->after_seen = false;
    atomic_store(&self->fault, fault);
}

bool proxy_is_armed(proxy_t *self)
{
    return atomic_load(&self->fault) != PROXY_PASS;
}
