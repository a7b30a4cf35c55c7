/* What the files of the server share among themselves. */
#ifndef IXN_APPS_IXND_SERVER_INTERNAL_H
#define IXN_APPS_IXND_SERVER_INTERNAL_H

#include "apps/ixnd/admin/admin.h"
#include "apps/ixnd/peer.h"
#include "apps/ixnd/server.h"
#include "apps/ixnd/transport.h"
#include "dap/access.h"
#include "dap/checkpoint_writer.h"
#include "dap/journal.h"
#include "ha/pair.h"

typedef struct {
    const config_t *config;
    pair_t *pair;
    transport_t *transport;
    peer_t *peer;   /* NULL: alone by configuration */
    admin_t *admin; /* NULL: no admin port by configuration */
    access_t *access[PAIR_MAX_DAPS];
    size_t access_len;
    journal_t *journal;          /* NULL while this node does not serve */
    checkpoint_writer_t *writer; /* the same */
    bool receive_at_once;        /* the last turn left frames in the socket */
    bool stop_said;
    bool ended; /* the pair said STOP, or the shell cannot go on */
    error_t error;
    usec_t figures_at;
    engine_figures_t told; /* figures of the last line */
} server_t;

/* server_lanes.c: what the lanes and the peer have said goes in … */
void server_hear_lanes(server_t *self);
/* … and what the pair wants done goes out. */
void server_act(server_t *self);

#endif
