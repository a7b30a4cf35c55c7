/* Picture: how the whole system does at one moment, of both nodes and of what runs on them, and
 * what follows from it for the one who is called at night: what is wrong, and what to do.
 *
 * A value that owns what is in it, except the nodes' answers, which live as long as the pair call
 * that heard them. Pure.
 */
#ifndef IXNCTL_PICTURE_H
#define IXNCTL_PICTURE_H

#include <jansson.h>

#include "apps/ixnctl/parts/pair_view.h"

#define PICTURE_NAME 65
#define PICTURE_REASON 200

typedef struct {
    char tenant[PICTURE_NAME];
    char name[PICTURE_NAME];
    char strategy[PICTURE_NAME]; /* "": nothing routes from here */
    char reason[PICTURE_REASON]; /* why the first in line is not routed; "": it is */
    bool configured;
    uint32_t max_length; /* 0: none of its own */
    uint32_t waiting, held, routing, quarantined;
    double oldest_seconds; /* below 0: nobody waits */
    uint64_t entered, left;
    double in_rate, out_rate; /* a second, since the picture before; below 0: not known */
} picture_queue_t;

/* A router or an application server. */
typedef struct {
    char name[PICTURE_NAME];
    bool connected;
    bool expected;               /* servers: configured */
    bool drained;                /* routers: an operator wants it to get nothing new */
    uint32_t busy, room;         /* pieces of work that it has, and how many it may have */
    char breaker[16];            /* servers */
    char reason[PICTURE_REASON]; /* routers: why it gets no work of some strategy */
} picture_worker_t;

typedef struct {
    int64_t wall_us;                                  /* when it was made */
    pair_view_t view;                                 /* the nodes' own words */
    const Ixn__V1__Figures *figures[PAIR_VIEW_NODES]; /* NULL: none */
    bool has_work;      /* what follows was heard of the node that serves … */
    error_t work_error; /* … or why not */
    picture_queue_t *queues;
    size_t queues_len, queues_capacity;
    picture_worker_t *routers;
    size_t routers_len, routers_capacity;
    picture_worker_t *servers;
    size_t servers_len, servers_capacity;
    uint32_t requests_open;                         /* for application servers */
    double submit_rate, dispatch_rate, finish_rate; /* a second; below 0: not known */
} picture_t;

void picture_init(picture_t *self);
void picture_free(picture_t *self);

/* What the node that serves has said; texts are cleaned and cut. */
void picture_add_queue(picture_t *self, const Ixn__V1__Queue *queue);
void picture_add_router(picture_t *self, const Ixn__V1__RouterInfo *router);
void picture_set_applications(picture_t *self, const Ixn__V1__ApplicationsStatus *status);

/* Leaves only the queues of one tenant. */
void picture_keep_tenant(picture_t *self, const char *tenant);

/* What is needed of a picture to find the rates of the one after it. */
typedef struct {
    int64_t wall_us; /* 0: there was none */
    char primary[PICTURE_NAME];
    uint64_t uptime_ms, submitted, dispatched, completed;
    struct {
        char tenant[PICTURE_NAME], name[PICTURE_NAME];
        uint64_t entered, left;
    } * queues;
    size_t queues_len;
} picture_before_t;

/* Sets the rates of `self` by what was before, and makes that what is before the next one. Counters
 * that began anew (another node serves) give no rate. `{0}` is the first. */
void picture_rate(picture_t *self, picture_before_t *before);
void picture_before_free(picture_before_t *self);

/* ---- What follows ---- */

typedef enum {
    PICTURE_WELL = 0,
    PICTURE_NOT_WELL = 1, /* one serves, but something is wrong */
    PICTURE_DOWN = 4,     /* nobody serves */
} picture_verdict_t;

#define PICTURE_PROBLEMS 40

typedef struct {
    bool grave; /* nobody serves, or nobody could take over, or work stands still */
    char what[600];
    char then[400]; /* what to do */
} picture_problem_t;

typedef struct {
    picture_problem_t list[PICTURE_PROBLEMS];
    size_t len;
    size_t more; /* that had no room */
} picture_problems_t;

/* What is wrong, the worst first. */
void picture_find_problems(const picture_t *self, picture_problems_t *ret_problems);
picture_verdict_t picture_verdict(const picture_t *self, const picture_problems_t *problems);

/* ---- Shown ---- */

typedef enum {
    PICTURE_BY_TROUBLE, /* queues that something keeps from being routed, then the longest */
    PICTURE_BY_WAITING,
    PICTURE_BY_OLDEST,
    PICTURE_BY_IN,
    PICTURE_BY_NAME,
} picture_order_t;

typedef struct {
    table_style_t style;
    picture_order_t order;
    size_t queues_max; /* at most so many rows */
    size_t first;      /* of the queues */
    bool rates;
    bool strategies; /* of the queues */
    bool brief;      /* without what is as it should be: there is little room */
} picture_look_t;

/* Appends the whole of it for people; an object for programs. */
void picture_print(const picture_t *self, const picture_problems_t *problems,
                   const picture_look_t *look, buffer_t *out);
json_t *picture_json(const picture_t *self, const picture_problems_t *problems);
/* Of the queues alone: a table, a list. */
void picture_print_queues(const picture_t *self, const picture_look_t *look, buffer_t *out);
json_t *picture_queues_json(const picture_t *self);

/* The numbers of the queues in that order; the caller frees it. */
size_t *picture_sorted_queues(const picture_t *self, picture_order_t order);

#endif
