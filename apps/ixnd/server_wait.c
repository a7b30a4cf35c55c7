/* What the loop waits for. libzmq's descriptors tell of changes only, and a send can use such a
 * change up; asking a socket costs system calls whether it has something or not. So a socket is
 * asked when it is stirred: its descriptor told of a change, it was not read to its end, or
 * something was sent through it.
 */
#include <czmq.h>
#include <poll.h>

#include "apps/ixnd/server_internal.h"
#include "core/base/zeromq.h"
#include "dap/connection.h"

enum {
    PROBE_MS = 1,
    SLEEP_MOST_MS = 60 * 1000,
};

static void *s_socket(const server_t *self, size_t inlet)
{
    switch (inlet) {
    case INLET_CLIENTS:
        return transport_socket(self->transport);
    case INLET_CLOSED:
        return transport_monitor(self->transport);
    case INLET_PEER:
        return self->peer ? peer_socket(self->peer) : NULL;
    case INLET_LINK:
        return self->peer ? peer_monitor(self->peer) : NULL;
    case INLET_WRITER:
        return self->writer ? zsock_resolve(checkpoint_writer_socket(self->writer)) : NULL;
    default: {
        access_t *access = self->access[inlet - INLET_ACCESS];
        return access ? zsock_resolve(access_socket(access)) : NULL;
    }
    }
}

/* Adds what is to be polled of it; true when it has something already. */
static bool s_watch(server_t *self, size_t inlet)
{
    void *socket = s_socket(self, inlet);
    bool read = socket && (inlet != INLET_CLIENTS || pair_may_receive(self->pair));
    self->items[inlet] = (struct pollfd){.fd = read ? zeromq_fd(socket) : -1, .events = POLLIN};
    if (read && self->stirred[inlet])
        self->stirred[inlet] = zeromq_has_input(socket);
    return read && self->stirred[inlet];
}

static int s_wait_ms(server_t *self, usec_t now)
{
    usec_t until = pair_next_wakeup(self->pair);
    usec_t others[] = {supervisor_next(&self->supervisor),
                       self->journal ? journal_deadline(self->journal) : USEC_NEVER};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        until = others[i] < until ? others[i] : until;
    if (until <= now)
        return 0;
    usec_t ms = (until - now + 999) / 1000;
    if (transport_has_suspects(self->transport) && ms > PROBE_MS)
        return PROBE_MS;
    return ms < SLEEP_MOST_MS ? (int)ms : SLEEP_MOST_MS;
}

void server_wait(server_t *self)
{
    bool ready = false;
    self->stirred[INLET_CLIENTS] |= transport_has_sent(self->transport);
    for (size_t i = 0; i < INLETS; i++)
        ready |= s_watch(self, i);
    struct pollfd *of_journal = self->items + INLETS;
    size_t len = INLETS;
    if (self->journal) {
        journal_watch(self->journal, of_journal);
        len += JOURNAL_ITEMS;
    }
    int changed = poll(self->items, len, ready ? 0 : s_wait_ms(self, connection_now()));
    for (size_t i = 0; i < INLETS; i++)
        self->stirred[i] |= changed > 0 && self->items[i].revents;
    if (self->journal)
        journal_turn(self->journal, of_journal);
}

void server_stir_lanes(server_t *self)
{
    for (size_t i = INLET_WRITER; i < INLETS; i++)
        self->stirred[i] = true;
}
