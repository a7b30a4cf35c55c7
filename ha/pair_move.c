/* Following the pair's database where an operator has moved it (ixnctl database adopt). */
#include <inttypes.h>

#include "ha/pair_internal.h"

/* The other node works there, and says so: it is where the database is now, however long ago it
 * moved. */
static bool s_peer_is_there(const pair_t *self, const identity_t *identity)
{
    const peer_view_t *peer = &self->peer;
    return peer->heard && !peer->closed_at && peer->database &&
           self->now - peer->heard_at < self->options.failover_timeout &&
           identity_equal(&peer->identity, identity);
}

/* A process that has worked with a database never changes to another one: neither one that serves,
 * nor one that follows. */
static bool s_may_move(const pair_t *self, const database_status_t *status)
{
    const daps_t *daps = &self->daps;
    bool demanded = !daps->has_demanded || id_equal(daps->demanded, status->identity.database_id);
    return self->role == ROLE_STARTING && !self->worked && daps->known && demanded &&
           !identity_equal(&daps->own, &status->identity) && !pair_peer_serves(self);
}

/* What this node knows to be committed is there, or was given up. */
static bool s_is_covered(const database_status_t *status, const move_t *move)
{
    return status->lineage == LINEAGE_UNKNOWN || status->lineage == LINEAGE_AGREES ||
           (status->lineage == LINEAGE_SHORT && status->known.index <= move->known_index);
}

bool pair_follow_move(pair_t *self, size_t dap, const database_status_t *status)
{
    move_t move;
    char from[IDENTITY_TEXT_SIZE];
    char to[IDENTITY_TEXT_SIZE];
    daps_t *daps = &self->daps;
    const identity_t own = daps->own;
    if (!s_may_move(self, status) || !moves_lead(&status->moves, &own, &status->identity, &move) ||
        !s_is_covered(status, &move) ||
        (!move_is_fresh(&move, status->epoch, &status->instance) &&
         !s_peer_is_there(self, &status->identity)))
        return false;
    pair_say(self, true, "database.adopted",
             "dap=%s server=\"%s\" epoch=%" PRIu64 " head=%" PRIu64 " from=\"%s\" to=\"%s\"",
             daps->daps[dap].name, status->server, status->epoch, status->head_index,
             identity_text(&own, from), identity_text(&status->identity, to));
    daps->instance = status->instance;
    daps->given_up = daps->given_up_for = (instance_t){0}; /* it was another database's */
    self->own_generation = (id128_t){0};
    daps->place =
        (place_t){status->head_index, status->head_hash, status->epoch, status->generation};
    daps_learn(daps, &status->identity);
    pair_set_epoch(self, status->epoch, status->generation);
    self->has_seen = false;
    self->head = (head_t){0};
    pair_remember(self);
    return true;
}
