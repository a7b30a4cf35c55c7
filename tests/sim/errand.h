/* Errand: what a router does for a piece of work before it has its result: it asks application
 * servers and keeps an agent.
 */
#ifndef IXN_TESTS_SIM_ERRAND_H
#define IXN_TESTS_SIM_ERRAND_H

#include "core/wire/wire.h"
#include "tests/sim/world.h"

enum { ERRAND_CALLS = 2 };

typedef struct {
    uint8_t key[16];
    bool by_cluster;
    bool safe;
    bool acked;
    bool over; /* it heard what came of it, or was refused */
    Ixn__V1__Token service;
    uint64_t asking;
    usec_t again_at;
} call_t;

typedef enum { KEEP_NONE, KEEP_WANTED, KEEP_GRANTED, KEEP_GIVES_BACK, KEEP_OVER } keep_state_t;

/* The agent that it keeps, or wants to. */
typedef struct {
    keep_state_t state;
    size_t agent;
    uint8_t key[16];
    bool has_priority;
    int32_t priority;
    int64_t duration_ms;
    unsigned tries;
    bool prolongs; /* once */
    Ixn__V1__Token grant;
    usec_t asked_at;
    usec_t until; /* by its own reckoning, from when it asked */
    uint64_t asking;
    usec_t again_at;
} keep_t;

typedef struct {
    call_t calls[ERRAND_CALLS];
    size_t calls_len;
    bool patient; /* waits for what it asked before it has a result */
    keep_t keep;
} errand_t;

/* A talker (a router) and one of its works. */
void errand_draw(talker_t *talker, size_t work);
/* Goes on with it; true: the result may be said. */
bool errand_tick(talker_t *talker, size_t work);
void errand_call_answer(talker_t *talker, const Ixn__V1__Message *message, size_t work,
                        uint64_t request, usec_t retry_at);
void errand_keep_answer(talker_t *talker, const Ixn__V1__Message *message, size_t work,
                        uint64_t request, usec_t retry_at);
void errand_result(talker_t *talker, const Ixn__V1__ServiceResult *result);
/* The grant that a result may quote; NULL: none. */
const keep_t *errand_kept(const talker_t *talker, size_t work);

#endif
