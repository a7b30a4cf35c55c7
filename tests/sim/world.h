/* World: virtual time, chance and the list of what is to happen. One thread; everything that
 * happens in the simulator is an event of this list, so a seed decides it all. What goes wrong
 * against the promises of docs/simulator.md is a violation, which ends the run.
 */
#ifndef IXN_TESTS_SIM_WORLD_H
#define IXN_TESTS_SIM_WORLD_H

#include "core/base/error.h"
#include "core/base/types.h"
#include "tests/sim/options.h"
#include "tests/sim/plan.h"
#include "tests/unit/random.h"

enum { WORLD_SERVERS = 32, WORLD_DAPS = 4 };
enum { WORLD_NODES = 2, WORLD_TALKERS_MAX = 16, WORLD_TEXT = 1400 };

typedef struct world world_t;
typedef struct machine machine_t;
typedef struct database database_sim_t;
typedef struct network network_t;
typedef struct wires wires_t;
typedef struct talker talker_t;
typedef struct checker checker_t;
typedef struct told told_t;
typedef struct schedule schedule_t;
typedef struct planted planted_t;

/* Runs at its time; owns `data` from then on. */
typedef void event_fn(world_t *world, void *data);

typedef struct {
    usec_t at;
    uint64_t serial; /* first come, first served among those of one time */
    event_fn *run;
    event_fn *drop; /* when it never runs; NULL: free() */
    void *data;
} event_t;

struct world {
    uint64_t seed;
    options_t options;
    plan_t plan;
    size_t faults; /* that were drawn so far */
    usec_t now;
    random_t random;
    /* events: a heap */
    event_t *events;
    size_t events_len;
    size_t events_capacity;
    uint64_t serial;
    uint64_t happened;
    /* what there is */
    machine_t *machines[WORLD_NODES];
    database_sim_t *database; /* the pair's own */
    /* That one, its copies and strangers, in the order in which they came to be. */
    database_sim_t *servers[WORLD_SERVERS];
    size_t servers_len;
    database_sim_t *paths[WORLD_NODES][WORLD_DAPS]; /* what each access point leads to */
    database_sim_t *loss; /* a replica that lacks commits, or lacked them; NULL: none */
    bool forged;          /* … and somebody else has written to it */
    uint64_t boots;
    uint64_t asks;
    network_t *network;
    wires_t *wires;
    talker_t *talkers[WORLD_TALKERS_MAX];
    size_t talkers_len;
    uint64_t router_changes; /* counts what may change whose turn it is */
    checker_t *checker;
    told_t *told;
    schedule_t *schedule;
    planted_t *planted;
    /* trace */
    bool print;
    uint64_t trace_hash;
    /* the end */
    bool over;
    bool failed;
    char violation[WORLD_TEXT];
};

/* `plan`: which faults happen; NULL: all. */
world_t *world_new(uint64_t seed, const plan_t *plan, bool print);
void world_destroy(world_t **self_p);
/* To the end of the seed or the first violation. */
void world_run(world_t *self);
/* The next thing that happens, if it is not later than `until`; false: nothing is. */
bool world_step(world_t *self, usec_t until);

void world_at(world_t *self, usec_t at, event_fn *run, event_fn *drop, void *data);

/* Chance. */
usec_t world_between(world_t *self, usec_t low, usec_t high); /* low … high */
bool world_chance(world_t *self, unsigned per_mille);

/* One line of the trace: time, who, what; `a` and `b` (and not the sentence) make the trace's hash.
 * The sentence is only made when the trace is printed. */
void world_trace(world_t *self, const char *who, const char *what, uint64_t a, uint64_t b);
void world_trace_text(world_t *self, const char *who, const char *what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A promise is broken. The first one counts. Returns false. */
bool world_violation(world_t *self, const char *promise, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What was being simulated when the process had to die (a CHECK, a signal, a hang): NULL or a text.
 */
world_t *world_current(void);

#endif
