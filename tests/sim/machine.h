/* Machine: a host with the process of one node: the shell that `ixnd` is for the pair, in virtual
 * time. It can be killed, frozen and started again; what it keeps over that is what PAIR_REMEMBER
 * stored.
 */
#ifndef IXN_TESTS_SIM_MACHINE_H
#define IXN_TESTS_SIM_MACHINE_H

#include "ha/pair.h"
#include "tests/sim/database.h"
#include "tests/sim/world.h"

/* Ways from a host to the database, each of which can be cut by itself. */
enum { MACHINE_WAYS = 4 };

/* What waits to be handed to the pair at its next turn. */
typedef enum {
    INPUT_FRAME,  /* of a client */
    INPUT_CLOSED, /* a client's connection is gone */
    INPUT_LINK,   /* of the peer */
    INPUT_PEER,   /* a frame of the peer */
    INPUT_OBSERVED,
    INPUT_CLAIMED,
    INPUT_LOADED,
    INPUT_FOLLOWED,
    INPUT_COMMITTED,
    INPUT_WAITING,
    INPUT_WRITTEN,
    INPUT_LANE_STOPPED,
    INPUT_TABLES_BEHIND,
    INPUT_DAP_WRONG, /* a lane found another database behind a DAP */
    INPUT_RELOAD,
    INPUT_STOP,
} input_kind_t;

typedef struct input {
    struct input *next;
    input_kind_t kind;
    uint64_t serial; /* of the lanes that this came from */
    size_t talker;
    uint64_t connection;
    peer_link_t link;
    uint8_t *bytes;
    size_t len;
    size_t dap;
    bool ok;
    bool clean;
    bool gone;
    uint64_t index;
    id128_t generation;
    state_t *state;
    batch_t **batches;
    size_t batches_len;
    /* large, so not zeroed; one of them is there, where the kind has them: by `ok` */
    database_status_t status;
    error_t error;
} input_t;

/* The journal lane (lanes.c); the same states as dap/journal.c has. */
typedef struct {
    batch_t *batches[8];
    size_t len;
    uint64_t asking; /* id of the ask whose answer is waited for; 0: none */
    bool tried;
    bool waiting;
    usec_t backoff;
    size_t dap; /* its place among those that are used */
    bool stopped;
} journal_lane_t;

typedef struct {
    shared_image_t *image;
    uint64_t asking;
    usec_t backoff;
    size_t dap;
    bool stopped;
} checkpoint_lane_t;

/* One access lane: one thing at a time. */
typedef struct {
    bool busy;
    uint64_t asking;
    pair_action_kind_t kind;
    database_status_t judged;
    bool claim_head;
    uint64_t highest_seen;
    uint64_t index;
    id128_t hash;
    id128_t generation;
    batch_t **batches; /* CLAIM: to be written back; they go with the change */
    size_t batches_len;
    bool changing; /* CLAIM: the commit was sent */
    bool looking;  /* CLAIM: the outcome is looked for */
    error_t error;
} access_lane_t;

/* What a frozen process will do when it goes on. */
typedef struct {
    event_fn *run;
    event_fn *drop;
    void *data;
} postponed_t;

struct machine {
    world_t *world;
    int number;
    char name[2];
    pair_t *pair; /* NULL: no process */
    uint64_t life;
    id128_t incarnation;
    uint64_t lives;
    bool frozen;
    postponed_t *postponed;
    size_t postponed_len;
    size_t postponed_capacity;
    /* what the host keeps */
    bool has_memory;
    identity_memory_t memory;
    poison_t poison; /* likewise */
    usec_t boot_offset;
    usec_t drift_since; /* its clock of the boot time goes too fast by so much since then */
    int64_t drift_ppm;
    /* The version of its program, against that of the simulated pair. */
    unsigned newer_protocol;
    unsigned newer_schema;
    usec_t wall_offset;
    /* turns */
    input_t *first;
    input_t **last;
    size_t inputs;
    usec_t turn_at; /* USEC_NEVER: none is planned */
    uint64_t turn_serial;
    usec_t busy_until;
    bool stopping;
    /* lanes */
    bool open;
    uint64_t serial; /* of the lanes that are open */
    identity_t identity;
    instance_t instance;
    uint64_t epoch;
    id128_t generation;
    size_t used[PAIR_MAX_DAPS]; /* the DAPs that the lanes may use */
    size_t used_len;
    journal_lane_t journal;
    checkpoint_lane_t checkpoint;
    access_lane_t access[PAIR_MAX_DAPS];
    size_t ways[PAIR_MAX_DAPS];     /* of each DAP; MACHINE_WAYS: it has no lane */
    pair_dap_t daps[PAIR_MAX_DAPS]; /* what each number stands for */
    /* the file and what is remembered, which the host keeps */
    pair_dap_t file[MACHINE_WAYS + 1];
    size_t file_len;
    pair_dap_t remembered[PAIR_MAX_DAPS];
    size_t remembered_len;
    /* clients: by talker */
    session_t sessions[WORLD_TALKERS_MAX];
    uint64_t connections[WORLD_TALKERS_MAX];
    role_t role; /* as of the last turn */
};

machine_t *machine_new(world_t *world, int number);
void machine_destroy(machine_t **self_p);

void machine_start(machine_t *self);
/* `heard`: the kernel of its host tells the others that its connections are closed. */
void machine_kill(machine_t *self, bool heard);
void machine_freeze(machine_t *self);
void machine_thaw(machine_t *self);
void machine_stop(machine_t *self);               /* SIGTERM */
void machine_drift(machine_t *self, int64_t ppm); /* of its clock of the boot time, from now on */
usec_t machine_boot_time(const machine_t *self);
/* Another list of DAPs in its file, at random; a process that runs reads it. */
void machine_reload(machine_t *self);
bool machine_runs(const machine_t *self);

/* An event inside this process: not before it is thawed, and never (but `drop`) in another life. */
void machine_at(machine_t *self, uint64_t life, usec_t at, event_fn *run, event_fn *drop,
                void *data);
input_t *machine_input(machine_t *self, input_kind_t kind); /* zeroed but for its end */
void machine_give(machine_t *self, input_t *input);         /* into the queue */

/* lanes.c */
void lanes_prove(machine_t *self, const instance_t *instance);
void lanes_open(machine_t *self, const pair_action_t *action);
void lanes_use(machine_t *self, const pair_action_t *action); /* also of lanes_open */
void lanes_close(machine_t *self);
void access_clear(machine_t *self); /* what is under way comes to nothing */
void lanes_append(machine_t *self, batch_t *batch);
void lanes_write(machine_t *self, checkpoint_image_t *image);
/* access.c */
void access_begin(machine_t *self, const pair_action_t *action);

#endif
