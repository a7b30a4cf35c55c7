/* Following: a backup loads the state, applies what is committed, and knows how level it is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/mutation.h"
#include "core/configuration.h"
#include "ha/pair_internal.h"

enum {
    APPLY_A_TURN = 5000,     /* entries: what hearing the peer may wait for */
    BEHIND_ENTRIES = 100000, /* a ready backup that is so far behind is not ready */
    HEAD_AGE_MS = 3000,      /* the head must have been seen within this */
    STOPPED_MS = 1000,       /* how often an entry that is not applied is looked at again */
    REST_FIRST_MS = 20,
    REST_MOST_MS = 1000,
};

/* ---- Loading and following through an own access point ---- */

void pair_rest(rest_t *self, usec_t now)
{
    self->length = self->length ? self->length * 2 : REST_FIRST_MS * USEC_PER_MS;
    if (self->length > REST_MOST_MS * USEC_PER_MS)
        self->length = REST_MOST_MS * USEC_PER_MS;
    self->until = now + self->length;
}

void pair_load(pair_t *self)
{
    size_t dap;
    const bool rests =
        self->now < self->load_rest.until ||
        (self->stopped[0] && self->now - self->stopped_at < STOPPED_MS * USEC_PER_MS);
    if (self->loading || rests || !daps_choose(&self->daps, &dap))
        return;
    self->loading = true;
    daps_ask(&self->daps, dap, self->now);
    pair_do(self, PAIR_LOAD)->dap = dap;
}

void pair_loaded(pair_t *self, size_t dap, state_t *state, const database_status_t *status,
                 const error_t *error)
{
    bool proven = daps_answer(&self->daps, dap, status, error, self->now);
    self->loading = false;
    if (!state && error->code == ERROR_POISON) {
        pair_stop_before(self, error);
        return;
    }
    if (!state) {
        pair_rest(&self->load_rest, self->now);
        pair_say(self, true, "pair.load_failed", "dap=%s error=\"%s\"", self->daps.daps[dap].name,
                 error->text);
        return;
    }
    self->load_rest = (rest_t){0};
    bool wanted = role_follows(self->role) || self->role == ROLE_TAKING_OVER;
    if (!proven || !wanted) {
        state_destroy(&state);
        return;
    }
    replica_load(self->replica, state);
    self->replica_trouble[0] = self->stopped[0] = '\0';
    pair_learn_epoch(self, status->epoch, status->generation);
    pair_say(self, false, "pair.loaded",
             "dap=%s index=%" PRIu64 " head=%" PRIu64 " interactions=%" PRIu32,
             self->daps.daps[dap].name, state->index, status->head_index, state->count);
}

void pair_follow_journal(pair_t *self)
{
    size_t dap;
    if (self->following || self->loading || !replica_is_loaded(self->replica) ||
        !daps_choose(&self->daps, &dap))
        return;
    self->following = true;
    daps_ask(&self->daps, dap, self->now);
    pair_action_t *action = pair_do(self, PAIR_FOLLOW);
    action->dap = dap;
    action->index = self->following_from = replica_index(self->replica);
    action->hash = replica_state(self->replica)->hash;
    action->instance = self->daps.instance;
}

void pair_stop_before(pair_t *self, const error_t *error)
{
    char text[PAIR_REASON];
    snprintf(text, sizeof text, "%.255s", error->text);
    wire_clean_text(text);
    self->stopped_at = self->now;
    if (strcmp(text, self->stopped) == 0)
        return;
    memcpy(self->stopped, text, sizeof text);
    pair_alarm(self, "poison.stopped", "error=\"%s\"", error->text);
    if (role_follows(self->role))
        pair_event(self, ROLE_EVENT_BEHIND, text);
}

bool pair_lacks_skip(const pair_t *self, const database_status_t *status)
{
    return replica_is_loaded(self->replica) &&
           status->skips > replica_state(self->replica)->skips_len && !MUTATION(SKIP_UNSEEN);
}

/* The tables have the entry by now: the node that decided it lives. Or an operator has skipped it.
 */
static bool s_is_passed(const pair_t *self)
{
    return self->has_seen && self->seen.checkpoint_index > replica_index(self->replica);
}

bool pair_step(pair_t *self, size_t entries, error_t *ret_error)
{
    error_t error = {0};
    if (replica_step(self->replica, entries, &error))
        return true;
    if (error.code == ERROR_POISON)
        pair_stop_before(self, &error);
    else
        *ret_error = error;
    return error.code == ERROR_POISON;
}

void pair_distrust(pair_t *self, const char *why)
{
    pair_say(self, true, "pair.replica_dropped", "index=%" PRIu64 " reason=\"%s\"",
             replica_index(self->replica), why);
    snprintf(self->replica_trouble, sizeof self->replica_trouble, "%s", why);
    replica_unload(self->replica);
    pair_event(self, ROLE_EVENT_BEHIND, why);
}

void pair_followed(pair_t *self, size_t dap, batch_t **batches, size_t len, bool gone,
                   const error_t *error)
{
    dap_t *asked = &self->daps.daps[dap];
    self->following = false;
    CHECK(asked->busy);
    asked->busy = false; /* says nothing of what it reaches: OBSERVE does */
    if (error && error->code != ERROR_OK) {
        asked->proven = false; /* look again before it is asked for more */
        pair_say(self, true, "pair.follow_failed", "dap=%s error=\"%s\"", asked->name, error->text);
    }
    for (size_t i = 0; i < len; i++) {
        if (replica_is_loaded(self->replica))
            replica_add_journal(self->replica, batches[i]);
        else
            batch_destroy(&batches[i]);
    }
    /* Only of what is still there: it may have been loaded anew meanwhile. */
    if (gone && replica_is_loaded(self->replica) &&
        replica_index(self->replica) == self->following_from)
        pair_distrust(self, "the journal does not continue what this backup has; it loads anew");
}

/* ---- Readiness ---- */

bool pair_is_ready(const pair_t *self, char *reason, size_t size)
{
    const head_t *head = &self->head;
    reason[0] = '\0';
    if (self->stopped[0] && !self->node)
        snprintf(reason, size, "%s", self->stopped);
    else if (self->role == ROLE_TAKING_OVER || role_serves(self->role))
        return true;
    else if (self->peer.trouble[0])
        snprintf(reason, size, "%s", self->peer.trouble);
    else if (self->unwritten[0])
        snprintf(reason, size, "%s", self->unwritten);
    else if (!self->daps.known)
        snprintf(reason, size,
                 "it does not know yet which database is the pair's own; it hears that from the "
                 "other node");
    else if (daps_proven(&self->daps) == 0)
        snprintf(reason, size, "no access point reaches the pair's own database: %s",
                 daps_trouble(&self->daps));
    else if (self->replica_trouble[0] && !replica_is_loaded(self->replica))
        snprintf(reason, size, "%s", self->replica_trouble);
    else if (!replica_is_loaded(self->replica))
        snprintf(reason, size, "%s", self->loading ? "it loads the state" : "it has no state yet");
    else if (!head->known || self->now - head->confirmed > HEAD_AGE_MS * USEC_PER_MS)
        snprintf(reason, size, "the head of the journal was not seen for some time");
    else if (replica_index(self->replica) + (self->role == ROLE_READY ? BEHIND_ENTRIES : 0) <
             head->index)
        snprintf(reason, size, "it is at index %" PRIu64 ", the head is at %" PRIu64,
                 replica_index(self->replica), head->index);
    return reason[0] == '\0';
}

bool pair_reports_ready(const pair_t *self, char *reason, size_t size)
{
    char difference[PAIR_REASON / 2];
    const state_t *state = replica_state(self->replica);
    if (!pair_is_ready(self, reason, size))
        return false;
    if (self->peer.other_version && self->peer.up && role_follows(self->role)) {
        snprintf(reason, size,
                 "the other node speaks version %" PRIu32
                 " of the nodes' protocol, this one "
                 "version %" PRIu32 ": " PAIR_OTHER_VERSION,
                 self->peer.other_version, pair_peer_version());
        return false;
    }
    if (!state || !role_follows(self->role) || state->configuration->n_tenants == 0 ||
        !configuration_difference(self->configuration, state->configuration, difference,
                                  sizeof difference))
        return true;
    snprintf(reason, size,
             "its configuration file is not what is in force: %s; make the files equal and reload "
             "this node (ixnctl config reload)",
             difference);
    return false;
}

/* ---- A turn ---- */

void pair_follow_turn(pair_t *self)
{
    char reason[PAIR_REASON];
    error_t error = {0};
    if (!role_follows(self->role))
        return;
    if (!replica_is_loaded(self->replica)) {
        pair_load(self);
        return;
    }
    if (self->has_seen && pair_lacks_skip(self, &self->seen)) {
        pair_distrust(self, "an operator has skipped an entry; it loads the state without it");
        return;
    }
    if (!pair_step(self, APPLY_A_TURN, &error)) {
        pair_distrust(self, error.text);
        return;
    }
    if (self->stopped[0] && s_is_passed(self))
        replica_unload(self->replica); /* and loaded again, without applying it */
    const state_t *state = replica_state(self->replica);
    if (!state)
        return;
    if (state->epoch == self->epoch)
        pair_note_place(self, state->index, state->hash);
    replica_checkpoint(self->replica, self->peer.checkpoint);
    if (replica_has_gap(self->replica))
        pair_follow_journal(self);
    bool ready = pair_is_ready(self, reason, sizeof reason);
    if (self->role == ROLE_SYNCING && ready)
        pair_event(self, ROLE_EVENT_LEVEL, NULL);
    else if (self->role == ROLE_READY && !ready)
        pair_event(self, ROLE_EVENT_BEHIND, reason);
}
