/* Requests: what a client asked and has no answer to yet, with the bytes that are sent again.
 *
 * Promises: finding a request by its id, moving it, and knowing which is due next cost the same
 * however many there are. Every request is in exactly one list:
 *
 *     ready ──sent──► sent ──answered──► gone
 *       ▲ ▲             │ │
 *       │ └─no answer───┘ └─Retry, Busy──► delayed ──its time has come──► ready
 *
 * and in the list of all, by age. Each of these lists is in the order of its times, because what is
 * added to one always waits equally long; requests that come back to `ready` go before the newer
 * ones, so that the original order stays.
 */
#ifndef IXN_CLIENT_REQUESTS_H
#define IXN_CLIENT_REQUESTS_H

#include "core/base/types.h"
#include "core/client/entropy.h"
#include "core/client/held.h"

/* Delays are powers of two milliseconds, each with its own list: 2^0 … 2^16. */
#define REQUESTS_DELAYS 17

typedef struct request request_t;
struct request {
    uint64_t id;
    usec_t made_at;
    usec_t due_at;            /* sent, delayed: when it goes back to ready */
    held_token_t token;       /* the work it is a result of, or a change under; epoch 0: none */
    bool is_result;           /* its acceptance ends the token */
    bool was_sent;            /* at least once */
    uint8_t list;             /* where it is: READY, SENT, DELAYED + n */
    request_t *prev, *next;   /* in its list */
    request_t *older, *newer; /* in the list of all */
    size_t len;
    size_t room;     /* for so many bytes */
    uint8_t bytes[]; /* as an element of ToNode.requests */
};

enum { REQUESTS_READY, REQUESTS_SENT, REQUESTS_DELAYED };

typedef struct {
    request_t **slots; /* by the low bits of the id; slot 0 is not used */
    uint32_t *vacant;  /* numbers of empty slots, the last is taken next */
    size_t vacant_len;
    size_t max;
    unsigned slot_bits;
    uint64_t sequence;
    size_t count;
    size_t size; /* bytes of all requests */
    size_t ready_count;
    size_t ready_size;
    size_t delayed_count;
    request_t *all;
    request_t *spare;  /* blocks for the next ones, chained by `next` … */
    size_t spare_size; /* … and their bytes */
    request_t *lists[REQUESTS_DELAYED + REQUESTS_DELAYS];
    usec_t delays[REQUESTS_DELAYS]; /* the delay in force, jitter included */
} requests_t;

void requests_init(requests_t *self, size_t max);
void requests_free(requests_t *self);

/* The id that requests_add gives next; 0 when there is no room for one more. */
uint64_t requests_next_id(const requests_t *self);
/* An id for what is not kept here (Register, Ping). */
uint64_t requests_own_id(requests_t *self);
/* Adds a copy at the end of `ready`. Only after requests_next_id was not 0. */
request_t *requests_add(requests_t *self, text_t bytes, usec_t now);
/* NULL: unknown, or answered before. */
request_t *requests_find(const requests_t *self, uint64_t id);
void requests_remove(requests_t *self, request_t *request);

/* How many of the first of `ready` fit into a frame, and their size; the first one always does. */
size_t requests_fit(const requests_t *self, size_t max_count, size_t max_size, size_t *ret_size);
/* Copies the bytes of the first `count` of `ready`. */
void requests_copy(const requests_t *self, size_t count, uint8_t *out);
/* The request was handed to the socket. */
void requests_sent(requests_t *self, request_t *request, usec_t now, usec_t resend);
/* The node wants it again after a while; returns when that is. */
usec_t requests_delay(requests_t *self, request_t *request, uint32_t after_ms, entropy_t *entropy,
                      usec_t now);
/* Moves what is due back to `ready`; returns how many of them were sent and heard no answer. While
 * no node serves (`with_sent` false), that is no reason to send again. */
size_t requests_wake(requests_t *self, usec_t now, bool with_sent);
/* All of them go back to `ready`, in the order they were made. */
void requests_rewind(requests_t *self);
/* The request goes back to `ready`, to its place by age. */
void requests_return(requests_t *self, request_t *request);
/* When the next one is due; USEC_NEVER: none. */
usec_t requests_due_at(const requests_t *self, bool with_sent);

#endif
