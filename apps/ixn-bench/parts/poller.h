/* Poller: which of many clients of one thread have something to do. What a turn costs depends on
 * how many have something; of the others only a time is looked at.
 *
 * Clients go by numbers, from 0 on. All are looked at in the first turn.
 */
#ifndef IXN_BENCH_POLLER_H
#define IXN_BENCH_POLLER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct poller poller_t;

/* For `len` clients. A failure of epoll ends the process. */
poller_t *poller_new(uint32_t len);
/* Before the descriptors are closed. */
void poller_destroy(poller_t **self_p);

/* `edge`: the descriptor tells of changes only, as those of ixn_client_fd do. */
void poller_watch(poller_t *self, uint32_t number, int fd, bool edge);
/* Gives it again in the next turn, whatever its descriptor says: after sending through one that
 * tells of changes only, since that can use up what it had to tell. */
void poller_look(poller_t *self, uint32_t number);
/* Gives it again in so many milliseconds at the latest, once (-1: no such time). */
void poller_due(poller_t *self, uint32_t number, int wait_ms);

/* Sleeps for at most `timeout_ms`, and gives those that have something: `ret_len` numbers, valid
 * until the next call; all, when it slept until a time was over. */
const uint32_t *poller_wait(poller_t *self, int timeout_ms, uint32_t *ret_len);

#endif
