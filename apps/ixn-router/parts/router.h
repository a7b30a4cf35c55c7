/* Router: takes work from the pair of nodes, runs its strategies, brings the results back.
 *
 * Promises: every Route ends in exactly one answer that is repeated until the node has heard it, or
 * in the node's word that the work is no longer ours. What fails without the script's fault
 * (leaving, a strategy that is gone) is returned without blame. A script that waits costs memory
 * only; the loop sleeps when there is nothing to do. One thread owns it.
 */
#ifndef IXN_ROUTER_ROUTER_H
#define IXN_ROUTER_ROUTER_H

#include "apps/ixn-router/parts/vm.h"
#include "core/client/client.h"

typedef struct router router_t;

typedef struct {
    /* Role and max_unanswered are set by the router. What it points to lives as long as the router.
     */
    ixn_client_options_t client;
    const char *strategies; /* folder; NULL: only what the node stores */
    vm_options_t vm;
    uint32_t leave_ms; /* how long what runs may go on after router_leave */
} router_options_t;

/* Since the start; the last ones are as of now. */
typedef struct {
    uint64_t routed;   /* pieces of work that came */
    uint64_t placed;   /* accepted results */
    uint64_t stopped;  /* accepted results */
    uint64_t failed;   /* counted as failed attempts */
    uint64_t returned; /* without blame */
    uint64_t saved;    /* changes on the way */
    uint64_t called;   /* answers of application servers, faults included */
    uint64_t lost;     /* the node said that they are no longer ours */
    size_t held;       /* now */
    size_t waiting;    /* … of these not started */
    size_t sleeping;   /* … of these in sleep() */
    size_t memory;     /* bytes that scripts use */
} router_figures_t;

/* Loads the strategies and starts to connect. NULL and an error when the options make no sense, the
 * folder holds no strategy, or one of them is broken (each was logged). */
router_t *router_new(const router_options_t *options, error_t *ret_error);
void router_destroy(router_t **self_p);

/* Does what is to be done, without waiting. True: there may be more, call again; false: wait for
 * router_fd to become readable, at most router_wait_ms. */
bool router_turn(router_t *self);
int router_fd(const router_t *self); /* may be another one after a turn */
int router_wait_ms(const router_t *self);

/* Reads the folder again; runs that have started go on with the code they started with. */
void router_reload(router_t *self);
/* Takes nothing new, ends what can end in leave_ms, returns the rest. Again: returns it now. */
void router_leave(router_t *self);
/* True when it has left or was refused (then an error is set); no more turns. */
bool router_is_over(const router_t *self, error_t *ret_error);

void router_figures(const router_t *self, router_figures_t *ret_figures);

#endif
