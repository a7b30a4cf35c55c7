/* Peer: what the load driver knows of a store of work: how to hand work in, take it out and say
 * that it is done. One file a peer; all are driven by the same loop (load.c), so that all measure
 * alike.
 *
 * A link is one connection, of a submitter or of a worker; one thread owns it. Nothing here waits
 * but `prepare` and `open`. What goes wrong ends the program with a sentence: a benchmark that goes
 * on after an error measures something else.
 */
#ifndef IXN_BENCH_PEERS_PEER_H
#define IXN_BENCH_PEERS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"

#define PEER_ENDPOINTS 2

typedef enum { PEER_SUBMITTER, PEER_WORKER } peer_side_t;

typedef struct {
    const char *at[PEER_ENDPOINTS]; /* HOST:PORT */
    uint32_t at_len;
    bool lifecycle; /* there are workers */
    uint32_t batch; /* most that a worker takes at once, where the peer has such a notion */
} peer_target_t;

/* What a link heard: tags (uint64_t) of submits that are safe, and of work whose end is safe. */
typedef struct {
    buffer_t acknowledged;
    buffer_t completed;
} peer_news_t;

typedef struct {
    const char *name;
    const char *what; /* for --help */
    bool edge;        /* its descriptor tells of changes only: drain again after sending */
    bool no_workers;
    void (*prepare)(const peer_target_t *target); /* makes the empty queue; may be NULL */
    void *(*open)(const peer_target_t *target, peer_side_t side, uint32_t number);
    int (*fd)(const void *link);
    /* Queues one piece of work. The tag comes back with the news of it. */
    void (*submit)(void *link, uint64_t tag, const char *payload, size_t payload_len);
    /* Takes all that has come; a worker queues its answers. */
    void (*drain)(void *link, peer_news_t *news);
    bool (*flush)(void *link); /* sends what is queued; false when nothing was */
    void (*close)(void *link);
} peer_t;

extern const peer_t peer_beanstalkd;
extern const peer_t peer_echo;
extern const peer_t peer_gearmand;
extern const peer_t peer_ixn;
extern const peer_t peer_rabbitmq;
extern const peer_t peer_redis;
extern const peer_t peer_relay;

/* One ZeroMQ context for all links; made by the first call, which comes before there are threads.
 */
void *peer_context(void);

/* Ends the program with code 1. */
_Noreturn void peer_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline void peer_tell(buffer_t *tags, uint64_t tag)
{
    buffer_append(tags, &tag, sizeof tag);
}

#endif
