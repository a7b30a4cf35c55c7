#include "apps/ixn-bench/poller.h"

#include <poll.h>
#include <stdlib.h>

#include "core/base/alloc.h"

void poller_wait(ixn_client_t *const *clients, size_t clients_len, int timeout_ms)
{
    struct pollfd *fds = memory_new((clients_len + 1) * sizeof *fds);
    for (size_t i = 0; i < clients_len; i++) {
        fds[i] = (struct pollfd){.fd = ixn_client_fd(clients[i]), .events = POLLIN};
        int wait_ms = ixn_client_wait_ms(clients[i]);
        if (wait_ms >= 0 && wait_ms < timeout_ms)
            timeout_ms = wait_ms;
    }
    poll(fds, clients_len, timeout_ms);
    free(fds);
}
