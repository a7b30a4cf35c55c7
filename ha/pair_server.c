/* Which server is the pair's own: what the DAPs of both nodes say of it, and when this node goes to
 * another one, gives its own up, or stands back from it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ha/pair_internal.h"

/* ---- What the other node says ---- */

static void s_hear_word(pair_t *self)
{
    enum { SETTLE_MS = 3000 };
    peer_view_t *peer = &self->peer;
    daps_word_t *word = &self->daps.word;
    bool alive = pair_peer_alive(self);
    /* Who knows no server takes the other node's for the one. */
    const instance_t *own =
        instance_is_known(&self->daps.instance) ? &self->daps.instance : &peer->server;
    bool answers = false;
    bool reaches = false;
    for (size_t i = 0; alive && i < peer->daps_len; i++) {
        const dap_t *dap = &peer->daps[i];
        bool there = dap->reachable && instance_is_known(&dap->status.instance);
        reaches |= there && instance_equal(&dap->status.instance, own);
        /* It may, again: the look may be old. */
        answers |= !there || dap->unclear || dap->verdict == DAP_WRONG;
    }
    if (reaches)
        peer->reached_at = self->now;
    usec_t since = peer->reached_at > peer->alive_since ? peer->reached_at : peer->alive_since;
    word->daps = peer->daps;
    word->daps_len = alive ? peer->daps_len : 0;
    /* A port that refuses may be a cut, or a process about to start; and a frame may have been on
     * its way for longer than the connection shows. */
    word->silent = !alive || self->now - peer->word_at >= self->options.failover_timeout;
    word->since = peer->word_at;
    word->exact = alive && peer->exact;
    word->server = alive ? peer->server : (instance_t){0};
    word->asks = alive && instance_is_known(&peer->wanted);
    self->daps.owns = self->node || (self->role == ROLE_TAKING_OVER && self->takeover.claimed);
    word->primary = pair_peer_serves(self);
    word->reaches = reaches || (answers && self->now - since < SETTLE_MS * USEC_PER_MS);
}

/* The other node has gone to another server since. */
static bool s_has_gone(const pair_t *self)
{
    const peer_view_t *peer = &self->peer;
    return instance_is_known(&peer->server) &&
           !instance_equal(&peer->server, &self->daps.instance) && peer->word_at != 0 &&
           peer->word_at >= self->daps.moved_at;
}

/* The other node can go to another server, and asks this one to give its own up first. Of two that
 * ask each other one goes first. */
static bool s_is_asked_to(const pair_t *self)
{
    const peer_view_t *peer = &self->peer;
    const daps_t *daps = &self->daps;
    bool goes_first = instance_is_known(&daps->wanted) && strcmp(self->name, peer->name) < 0;
    return instance_is_known(&peer->wanted) && !instance_equal(&peer->wanted, &daps->instance) &&
           !goes_first && !daps->word.silent && !daps_reaching(daps, self->now);
}

/* The pair's own server is that no longer, whoever reaches it, as the other node has gone to
 * another one, or is about to. This node sees a commit there, or waits for the other one's word.
 * Who serves has decided itself. */
static void s_give_up_server(pair_t *self)
{
    char own[INSTANCE_TEXT_SIZE];
    char other[INSTANCE_TEXT_SIZE];
    const peer_view_t *peer = &self->peer;
    daps_t *daps = &self->daps;
    if (!pair_peer_alive(self) || !instance_is_known(&daps->instance) || daps->owns ||
        self->takeover.asked)
        return;
    bool gone = s_has_gone(self);
    if (!gone && !s_is_asked_to(self))
        return;
    const instance_t *others = gone ? &peer->server : &peer->wanted;
    pair_say(self, true, "database.given_up", "proven=\"%s\" others=\"%s\" asked=%s",
             instance_text(&daps->instance, own), instance_text(others, other),
             gone ? "no" : "yes");
    daps_give_up(daps, others);
    self->said_instance = daps->instance;
    pair_remember(self);
    pair_hello(self);
}

/* Where the other one goes, or stays, by now, is what the own one is given up for. */
static void s_hear_what_for(pair_t *self)
{
    const peer_view_t *peer = &self->peer;
    daps_t *daps = &self->daps;
    const instance_t *others = instance_is_known(&peer->wanted) ? &peer->wanted : &peer->server;
    if (!pair_peer_alive(self) || instance_is_known(&daps->instance) ||
        !instance_is_known(&daps->given_up) || !instance_is_known(others) ||
        instance_equal(others, &daps->given_up_for))
        return;
    daps->given_up_for = *others;
    pair_remember(self);
}

static void s_say_server(pair_t *self)
{
    char now[INSTANCE_TEXT_SIZE];
    char before[INSTANCE_TEXT_SIZE];
    if (!self->daps.known || instance_equal(&self->daps.instance, &self->said_instance))
        return;
    instance_text(&self->daps.instance, now);
    instance_text(&self->said_instance, before);
    pair_say(self, false, "database.server", "proven=\"%s\" server=\"%s\" before=\"%s\"", now,
             pair_own_server(self), instance_is_known(&self->said_instance) ? before : "none");
    self->said_instance = self->daps.instance;
    pair_remember(self);
}

/* What is in the way changes, and the log has to tell what still is. */
static bool s_is_said(pair_t *self, dap_t *dap)
{
    enum { STANDS_MS = 3000 };
    if (dap->verdict != dap->said)
        return false;
    if (dap->verdict != DAP_PROVING || dap->why == dap->said_why)
        dap->said_at = self->now;
    return self->now - dap->said_at < STANDS_MS * USEC_PER_MS;
}

static void s_say_verdict(pair_t *self, dap_t *dap)
{
    static const char *const events[] = {"dap.unknown", "dap.not_now", "dap.proving", "dap.proven",
                                         "dap.wrong"};
    if (s_is_said(self, dap))
        return;
    bool first = dap->said == DAP_UNKNOWN && dap->verdict == DAP_PROVING;
    dap->said = dap->verdict;
    dap->said_why = dap->why;
    dap->said_at = self->now;
    if (dap->verdict == DAP_WRONG)
        pair_alarm(self, "dap.wrong", "dap=%s line=%" PRIu32 " error=\"%s\" own=\"%s\"", dap->name,
                   dap->line, dap->trouble.text, pair_own_server(self));
    else
        pair_say(self, dap->verdict != DAP_PROVEN && !first, events[dap->verdict],
                 "dap=%s server=\"%s\" reason=\"%s\"", dap->name,
                 dap->seen ? dap->status.server : "", dap->trouble.text);
    pair_hello(self); /* the other node may wait for it */
}

/* The server that took the proven one's place has the whole journal, but an older checkpoint. */
static const dap_t *s_older_checkpoint(const pair_t *self)
{
    uint64_t checkpoint = node_figures(self->node).checkpoint;
    for (size_t i = 0; i < self->daps.len; i++) {
        const dap_t *dap = &self->daps.daps[i];
        if (dap->proven && dap->asked_at > self->lanes_since &&
            !instance_equal(&dap->status.instance, &self->lanes_instance) &&
            dap->status.checkpoint_index < checkpoint)
            return dap;
    }
    return NULL;
}

/* A node that serves does not go on where something of what it committed is missing: it stops
 * serving, stays, and says what is missing. Where only the tables are behind, it begins anew from
 * them and the journal. */
static void s_stand_back(pair_t *self)
{
    char text[PAIR_REASON];
    if (!self->node)
        return;
    const dap_t *loss = daps_loss(&self->daps, self->now);
    const dap_t *older = loss ? NULL : s_older_checkpoint(self);
    if (loss)
        snprintf(text, sizeof text,
                 "%" PRIu64 " committed entries are lost, %" PRIu64 " … %" PRIu64 ", on %s",
                 database_lost(&loss->status), loss->status.head_index + 1,
                 loss->status.known.index, loss->status.server);
    else if (older)
        snprintf(text, sizeof text, "its tables are at index %" PRIu64 ", they were at %" PRIu64,
                 older->status.checkpoint_index, node_figures(self->node).checkpoint);
    if ((!loss && !older) || !pair_event(self, ROLE_EVENT_WENT_BACK, text))
        return;
    pair_alarm(self, "database.went_back", "%s; error=\"%s\"", text,
               loss ? loss->trouble.text : "");
    pair_cease(self);
}

static void s_replace(pair_t *self)
{
    const instance_t wanted = self->daps.wanted;
    if (self->heal.state == HEAL_WANTED || self->heal.state == HEAL_ASKED)
        return;               /* it asks for itself */
    if (self->takeover.asked) /* the claim under way tells what is there */
        self->daps.wanted = (instance_t){0};
    else
        daps_replace(&self->daps, self->now);
    if (!instance_equal(&wanted, &self->daps.wanted))
        pair_hello(self); /* the other node is asked, or no longer */
}

void pair_server_turn(pair_t *self)
{
    daps_watch(&self->daps, self->now);
    s_hear_word(self);
    s_give_up_server(self);
    s_hear_what_for(self);
    s_replace(self);
    s_say_server(self);
    for (size_t i = 0; i < self->daps.len; i++)
        if (dap_is_here(&self->daps.daps[i]))
            s_say_verdict(self, &self->daps.daps[i]);
    s_stand_back(self);
    if (!self->node || instance_equal(&self->daps.instance, &self->lanes_instance))
        return;
    self->lanes_instance = self->daps.instance;
    self->lanes_since = self->now;
    pair_do(self, PAIR_PROVE)->instance = self->daps.instance;
}
