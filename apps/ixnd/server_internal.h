/* What the files of the server share among themselves. */
#ifndef IXN_APPS_IXND_SERVER_INTERNAL_H
#define IXN_APPS_IXND_SERVER_INTERNAL_H

#include <poll.h>

#include "apps/ixnd/admin/admin.h"
#include "apps/ixnd/crash.h"
#include "apps/ixnd/crowding.h"
#include "apps/ixnd/peer.h"
#include "apps/ixnd/server.h"
#include "apps/ixnd/supervisor.h"
#include "apps/ixnd/transport.h"
#include "dap/access.h"
#include "dap/checkpoint_writer.h"
#include "dap/journal.h"
#include "ha/pair.h"

/* Sockets of ZeroMQ that the loop reads. */
enum {
    INLET_CLIENTS,
    INLET_CLOSED, /* connections of clients */
    INLET_PEER,
    INLET_LINK, /* the peer's comings and goings */
    INLET_WRITER,
    INLET_ACCESS, /* by number of the DAP */
    INLETS = INLET_ACCESS + PAIR_MAX_DAPS,
};

/* A frame for the other node. */
typedef struct {
    uint8_t *bytes;
    size_t len;
} peer_frame_t;

typedef struct {
    const char *path; /* of the configuration's file */
    config_t *config; /* in force; a reload puts another in its place */
    pair_t *pair;
    transport_t *transport;
    peer_t *peer;                     /* NULL: alone by configuration */
    crash_t *crash;                   /* what it works on */
    supervisor_t supervisor;          /* what systemd is told */
    crowding_t crowding;              /* of this thread */
    admin_t *admin;                   /* NULL: no admin port by configuration */
    access_t *access[PAIR_MAX_DAPS];  /* by number; NULL: no lane */
    config_dap_t daps[PAIR_MAX_DAPS]; /* where each leads; holds passwords */
    journal_t *journal;               /* NULL while this node does not serve */
    checkpoint_writer_t *writer;      /* the same */
    bool stirred[INLETS];             /* it may have something that its descriptor keeps back */
    struct pollfd items[INLETS + JOURNAL_ITEMS];
    buffer_t to_peer; /* peer_frame_t: said in this turn, sent at its end */
    bool stop_said;
    pair_action_t used; /* what the lanes may use, as it was said last */
    bool ended;         /* the pair said STOP, or the shell cannot go on */
    bool forgets; /* what must be remembered first is not: nothing that builds on it is done */
    error_t error;
    usec_t figures_at;
    engine_figures_t told; /* figures of the last line */
} server_t;

/* server_wait.c: sleeps until there is something to do. */
void server_wait(server_t *self);
/* Something may have been sent to the lanes. */
void server_stir_lanes(server_t *self);

/* server_lanes.c: what the lanes and the peer have said goes in … */
void server_hear_lanes(server_t *self);
/* … and what the pair wants done goes out. */
void server_act(server_t *self);

/* server_daps.c: DAPs by number, and their lanes. */
/* Those of state_dir where there are any, otherwise those of the file; and fills the options. */
bool server_begin_daps(server_t *self, pair_options_t *options, error_t *ret_error);
void server_open_lanes(server_t *self, size_t len); /* of the first ones */
/* … and then those of the file, once there is a pair. */
bool server_set_daps(server_t *self, const config_t *config, error_t *ret_error);
void server_open_dap(server_t *self, const pair_action_t *action);
void server_close_dap(server_t *self, size_t dap);
void server_close_daps(server_t *self);
/* What the action lists, with the time-outs in force; the caller owns it. */
use_t *server_use(const server_t *self, const pair_action_t *action);
bool server_remember_daps(const server_t *self, const pair_action_t *action, error_t *ret_error);

/* server_lanes.c: the time-outs in force, and what the tables keep, for lanes that are open. */
void server_retime_lanes(server_t *self);

/* server_reload.c */
node_options_t server_node_options(const config_t *config);
/* The file is read and, when it is right as a whole, put in force. */
void server_reload(server_t *self);
/* A request about the configuration; true: `ret_frame` answers it. */
bool server_visit(server_t *self, const uint8_t *bytes, size_t len, engine_frame_t *ret_frame);

#endif
