/* Supervisor: what systemd is told of this node (sd_notify(3)): that it is ready, what it is doing,
 * that its loop turns (the watchdog of the unit). Without systemd nothing is done.
 */
#ifndef IXN_APPS_IXND_SUPERVISOR_H
#define IXN_APPS_IXND_SUPERVISOR_H

#include "core/base/types.h"
#include "ha/pair.h"

typedef struct {
    usec_t every; /* between two signs of life; 0: nobody watches */
    usec_t next;
    role_t role; /* told last, with its epoch */
    uint64_t epoch;
    bool told;
} supervisor_t;

/* Reads the environment that systemd has made. */
void supervisor_init(supervisor_t *self);
/* It runs. A node that waits for its database is ready, too: its state is in the status. */
void supervisor_ready(void);
void supervisor_reloading(void); /* until it is ready again */
void supervisor_stopping(void);
/* Each turn of the loop. */
void supervisor_turn(supervisor_t *self, const pair_t *pair, usec_t now);
/* When the loop must turn again. */
usec_t supervisor_next(const supervisor_t *self);

#endif
