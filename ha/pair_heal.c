/* Healing: the database lost its newest commits (asynchronous fail-over of PostgreSQL), this node
 * still holds them, and an operator says to write them back (`ixnctl database heal --lost N`).
 *
 * Promises: what is written continues the very batch that the database ends with, by the chain of
 * hashes, and ends with the newest that either node knows to be committed; nothing is written while
 * anybody may reach the server that has it all, and nothing unless the operator knows the number.
 * One transaction writes it and takes the next epoch, so that nobody else's can come between.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/mutation.h"
#include "ha/pair_internal.h"

enum { CONSENT_MS = 5000 }; /* the other node answers within so long */

/* What would be written, and where. */
typedef struct {
    const dap_t *dap;
    uint64_t lost;
    recent_part_t part;
} plan_t;

/* ---- May anybody reach what has it all? ---- */

static bool s_nobody_serves(const pair_t *self, error_t *ret_error)
{
    if (self->node || self->role == ROLE_TAKING_OVER || self->role == ROLE_STOPPED)
        return error_set(
            ret_error, ERROR_WRONG_STATE,
            "node \"%s\" is %s: there is nothing to write back while a node serves, or "
            "is about to; where the database lost commits, it stops serving by itself "
            "within seconds",
            self->name, role_name(self->role));
    if (pair_peer_serves(self))
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "the other node, \"%s\", serves: what it has committed is not lost",
                         self->peer.name);
    return true;
}

/* One that does not answer, or keeps an answer back, and that no operator has taken out of the
 * file: what it showed last says nothing of where it leads now. */
static const dap_t *s_silent(const dap_t *daps, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const dap_t *dap = &daps[i];
        bool meant = dap->standing == DAP_IN_USE || dap->standing == DAP_CANDIDATE;
        if (meant && dap_is_silent(dap))
            return dap;
    }
    return NULL;
}

static bool s_none_is_silent(const pair_t *self, const dap_t *daps, size_t len, const char *whose,
                             error_t *ret_error)
{
    char proven[INSTANCE_TEXT_SIZE];
    const dap_t *silent = s_silent(daps, len);
    return !silent ||
           error_set(ret_error, ERROR_WRONG_STATE,
                     "DAP %s of %s does not answer, and may lead to the server that has the "
                     "commits (%s): bring that back, or, when it is gone for good, take the DAP "
                     "out of the file (ixnctl config reload)",
                     silent->name, whose, instance_text(&self->daps.instance, proven));
}

static bool s_none_reaches(const pair_t *self, error_t *ret_error)
{
    char proven[INSTANCE_TEXT_SIZE];
    const dap_t *dap = daps_reaching(&self->daps, self->now);
    if (!dap || !dap->reachable)
        return s_none_is_silent(self, self->daps.daps, self->daps.len, "this node", ret_error);
    instance_text(&self->daps.instance, proven);
    return error_set(ret_error, ERROR_WRONG_STATE,
                     "DAP %s reaches %s, the server that has the commits (%s): nothing is lost "
                     "while that is there; let it be the primary, or take this DAP out of the "
                     "file (ixnctl config reload)",
                     dap->name, dap->status.server, proven);
}

/* One of the other node's that reaches another server than the one that is to be healed. */
static const dap_t *s_other_way(const pair_t *self, const dap_t *healed)
{
    for (size_t i = 0; i < self->peer.daps_len; i++) {
        const dap_t *dap = &self->peer.daps[i];
        if (dap->reachable && dap->verdict != DAP_NOT_NOW &&
            instance_is_known(&dap->status.instance) &&
            !instance_equal(&dap->status.instance, &healed->status.instance))
            return dap;
    }
    return NULL;
}

static bool s_peer_is_gone(const pair_t *self, error_t *ret_error)
{
    const peer_view_t *peer = &self->peer;
    if (pair_peer_alive(self))
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "the other node, \"%s\", was killed and began anew: it may have told of "
                         "newer commits than anybody remembers now; to give up what only it knew, "
                         "say --without-other",
                         peer->name);
    return error_set(ret_error, ERROR_WRONG_STATE,
                     "the other node%s%s%s is not heard: it may reach the server that has the "
                     "commits, and know of more of them; start it, or, when you have seen that it "
                     "does not run, say --without-other",
                     peer->name[0] ? " (" : "", peer->name, peer->name[0] ? ")" : "");
}

static bool s_peer_agrees(const pair_t *self, const dap_t *healed, bool without_other,
                          error_t *ret_error)
{
    char found[INSTANCE_TEXT_SIZE];
    char wanted[INSTANCE_TEXT_SIZE];
    const peer_view_t *peer = &self->peer;
    bool alive = pair_peer_alive(self);
    if (!self->options.has_peer)
        return true;
    /* Who served last knows all that was told, whatever the other one has forgotten. */
    bool served_last = self->daps.warm && id_equal(self->own_generation, self->generation);
    if (!without_other && (!alive || !(peer->exact || served_last)))
        return s_peer_is_gone(self, ret_error);
    if (!alive)
        return true;
    const dap_t *dap = s_other_way(self, healed);
    if (dap)
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "DAP %s of the other node, \"%s\", reaches another server (%s) than this "
                         "node's DAP %s (%s): it may be the one that has the commits; correct it, "
                         "or take it out of the file (ixnctl config reload)",
                         dap->name, peer->name, instance_text(&dap->status.instance, found),
                         healed->name, instance_text(&healed->status.instance, wanted));
    if (!s_none_is_silent(self, peer->daps, peer->daps_len, "the other node", ret_error))
        return false;
    return !self->daps.word.reaches ||
           error_set(ret_error, ERROR_WRONG_STATE,
                     "a DAP of the other node, \"%s\", reached the server that has the commits a "
                     "moment ago, and may do so again; ask again in a few seconds",
                     peer->name);
}

/* Of several servers none is the one. */
static bool s_is_only_one(const pair_t *self, const dap_t *healed, error_t *ret_error)
{
    for (size_t i = 0; i < self->daps.len; i++) {
        const dap_t *dap = &self->daps.daps[i];
        if (!dap_is_here(dap) || !dap->reachable || dap->status.standby ||
            !identity_equal(&dap->status.identity, &self->daps.own) ||
            instance_equal(&dap->status.instance, &healed->status.instance))
            continue;
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "DAP %s reaches %s (head %" PRIu64 "), DAP %s reaches %s (head %" PRIu64
                         "): take the one that is wrong out of the file (ixnctl config reload)",
                         healed->name, healed->status.server, healed->status.head_index, dap->name,
                         dap->status.server, dap->status.head_index);
    }
    return true;
}

/* ---- Does the log here continue the one there? ---- */

static bool s_is_unclaimed(const pair_t *self, const dap_t *dap, error_t *ret_error)
{
    char found[ID_TEXT_SIZE];
    char own[ID_TEXT_SIZE];
    const database_status_t *status = &dap->status;
    if (status->epoch < self->epoch ||
        (status->epoch == self->epoch && id_equal(status->generation, self->generation)))
        return true;
    return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                     "%s: its epoch is %" PRIu64
                     " of %s (%s), the highest of the pair's is "
                     "%" PRIu64 " (%s): somebody else has claimed it since they parted",
                     status->server, status->epoch, status->owner,
                     id_text(status->generation, found), self->epoch,
                     id_text(self->generation, own));
}

static bool s_say_missing(const pair_t *self, const plan_t *plan, uint64_t from, uint64_t to,
                          error_t *ret_error)
{
    uint64_t first = recent_first(self->recent);
    char held[80];
    if (first)
        snprintf(held, sizeof held, "holds %" PRIu64 " … %" PRIu64, first,
                 recent_last(self->recent));
    else
        snprintf(held, sizeof held, "holds none: they are in memory only");
    return error_set(ret_error, ERROR_WRONG_STATE,
                     "%" PRIu64 " of the %" PRIu64
                     " lost entries are not held by node \"%s\", "
                     "%" PRIu64 " … %" PRIu64
                     ": it %s; ask the other node, or give up what is "
                     "lost with both nodes stopped: ixnctl database adopt --accept-loss %" PRIu64,
                     to - from + 1, plan->lost, self->name, from, to, held, plan->lost);
}

static bool s_say_contradiction(const pair_t *self, const plan_t *plan, error_t *ret_error)
{
    char there[ID_TEXT_SIZE];
    char here[ID_TEXT_SIZE];
    const database_status_t *status = &plan->dap->status;
    return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                     "%s: its journal ends at index %" PRIu64
                     " with %s, the pair's has %s there: "
                     "somebody else wrote to it since they parted, so what node \"%s\" holds does "
                     "not continue it; nothing was written; lead the DAPs to a copy that nobody "
                     "wrote to",
                     status->server, status->head_index, id_text(status->head_hash, there),
                     id_is_zero(plan->part.hash) ? "no batch that ends"
                                                 : id_text(plan->part.hash, here),
                     self->name);
}

static bool s_is_held(const pair_t *self, plan_t *plan, error_t *ret_error)
{
    const database_status_t *status = &plan->dap->status;
    const place_t *place = &self->daps.place;
    recent_answer_t answer =
        recent_find(self->recent, status->head_index, status->head_hash, place->index, &plan->part);
    if (answer == RECENT_TOO_LATE) {
        uint64_t first = recent_first(self->recent);
        uint64_t to = first && first <= place->index ? first - 1 : place->index;
        return s_say_missing(self, plan, status->head_index + 1, to, ret_error);
    }
    if (answer == RECENT_TOO_FEW) {
        uint64_t last = recent_last(self->recent);
        uint64_t from = last > status->head_index ? last : status->head_index;
        return s_say_missing(self, plan, from + 1, place->index, ret_error);
    }
    const batch_t *last = recent_at(self->recent, plan->part.first + plan->part.len - 1);
    return (answer == RECENT_HELD && id_equal(last->hash, place->hash)) ||
           MUTATION(HEAL_UNPROVEN) || s_say_contradiction(self, plan, ret_error);
}

/* ---- All of it ---- */

static bool s_is_short(const pair_t *self, plan_t *plan, error_t *ret_error)
{
    const daps_t *daps = &self->daps;
    plan->dap = daps_short(daps);
    if (!plan->dap) {
        const char *trouble = daps_trouble(daps);
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "no DAP of node \"%s\" reaches a database that lost commits: %s",
                         self->name, trouble[0] ? trouble : "they reach the pair's own");
    }
    plan->lost = daps->place.index - plan->dap->status.head_index;
    return plan->dap->status.known.index == daps->place.index ||
           error_set(ret_error, ERROR_WRONG_STATE,
                     "index %" PRIu64
                     " is known to be committed since DAP %s was looked at; ask "
                     "again in a moment",
                     daps->place.index, plan->dap->name);
}

static bool s_plan(const pair_t *self, bool without_other, plan_t *ret_plan, error_t *ret_error)
{
    plan_t plan = {0};
    bool done = s_nobody_serves(self, ret_error) && s_none_reaches(self, ret_error) &&
                s_is_short(self, &plan, ret_error) && s_is_only_one(self, plan.dap, ret_error) &&
                s_peer_agrees(self, plan.dap, without_other, ret_error) &&
                s_is_unclaimed(self, plan.dap, ret_error) && s_is_held(self, &plan, ret_error);
    *ret_plan = plan;
    return done;
}

bool pair_heal(pair_t *self, const Ixn__V1__PairCommand *command, error_t *ret_error)
{
    plan_t plan;
    if (self->heal.state == HEAL_WANTED || self->heal.state == HEAL_ASKED)
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "node \"%s\" is writing back already; see ixnctl pair status", self->name);
    if (!s_plan(self, command->without_other, &plan, ret_error))
        return false;
    if (command->lost != plan.lost)
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "%" PRIu64 " entries are lost, %" PRIu64 " … %" PRIu64
                         ", --lost says %" PRIu64 "; nothing was changed",
                         plan.lost, plan.dap->status.head_index + 1, self->daps.place.index,
                         command->lost);
    if (command->dry_run)
        return true;
    self->heal = (heal_t){.state = HEAL_WANTED,
                          .by = self->now + CONSENT_MS * USEC_PER_MS,
                          .without_other = command->without_other,
                          .lost = plan.lost,
                          .first = plan.dap->status.head_index + 1,
                          .last = self->daps.place.index};
    snprintf(self->heal.reason, sizeof self->heal.reason, "%s", command->reason);
    return true;
}

/* ---- Doing it ---- */

static void s_fail(pair_t *self, const error_t *error)
{
    self->heal.state = HEAL_FAILED;
    self->heal.error = *error;
    pair_alarm(self, "database.not_healed", "first=%" PRIu64 " last=%" PRIu64 " error=\"%s\"",
               self->heal.first, self->heal.last, error->text);
}

/* Without the other node nobody knows whether the last that it sent was committed and told. Nothing
 * else can have come in its place, so it is written back, too. */
static void s_fill_batches(const pair_t *self, const plan_t *plan, pair_action_t *action)
{
    const place_t *place = &self->daps.place;
    size_t len = plan->part.len;
    while (self->heal.without_other &&
           replica_beyond(self->replica, place->index, place->hash, len - plan->part.len))
        len++;
    action->batches = memory_zero(len, sizeof *action->batches);
    action->batches_len = len;
    for (size_t i = 0; i < len; i++)
        action->batches[i] =
            batch_share(i < plan->part.len ? recent_at(self->recent, plan->part.first + i)
                                           : replica_beyond(self->replica, place->index,
                                                            place->hash, i - plan->part.len));
    const batch_t *last = action->batches[len - 1];
    action->judged.known = (place_t){last->last, last->hash, place->epoch, place->generation};
}

static void s_ask(pair_t *self, const plan_t *plan)
{
    size_t number = (size_t)(plan->dap - self->daps.daps);
    pair_action_t *action = pair_do(self, PAIR_CLAIM);
    action->dap = number;
    action->judged = plan->dap->status;
    action->claim_head = true;
    action->highest_seen = self->epoch;
    s_fill_batches(self, plan, action);
    self->heal.last = action->judged.known.index;
    snprintf(action->text, sizeof action->text, "%s", self->heal.reason);
    daps_ask(&self->daps, number, self->now);
    self->heal.state = HEAL_ASKED;
    self->heal.dap = number;
    pair_say(self, true, "database.heal",
             "dap=%s server=\"%s\" first=%" PRIu64 " last=%" PRIu64 " batches=%zu reason=\"%s\"",
             plan->dap->name, plan->dap->status.server, self->heal.first, self->heal.last,
             action->batches_len, self->heal.reason);
}

/* The other node may be led back to the server before, and take over there: while it is heard, it
 * gives that up first. */
static bool s_is_agreed(pair_t *self, const dap_t *dap)
{
    const instance_t wanted = self->daps.wanted;
    bool agreed = daps_agreed(&self->daps, dap, self->now) ||
                  (self->heal.without_other && self->daps.word.silent);
    if (!instance_equal(&wanted, &self->daps.wanted))
        pair_hello(self);
    return agreed;
}

static bool s_is_in_time(const pair_t *self, error_t *ret_error)
{
    char before[INSTANCE_TEXT_SIZE] = "another server";
    const peer_view_t *peer = &self->peer;
    if (instance_is_known(&peer->server))
        instance_text(&peer->server, before);
    return self->now < self->heal.by ||
           error_set(
               ret_error, ERROR_TIMED_OUT,
               "the other node, \"%s\", takes %s for the pair's own, and did not give that up "
               "within %d s, or the DAP did not get free: see its log and ixnctl pair "
               "status, then ask again; nothing was written",
               peer->name, before, CONSENT_MS / 1000);
}

/* What was judged when the command came is judged again when the access point is free. */
void pair_heal_turn(pair_t *self)
{
    plan_t plan;
    error_t error = {0};
    if (self->heal.state != HEAL_WANTED)
        return;
    bool holds = s_plan(self, self->heal.without_other, &plan, &error);
    if (holds && plan.lost != self->heal.lost)
        holds = error_set(&error, ERROR_WRONG_STATE,
                          "%" PRIu64 " entries are lost by now, --lost says %" PRIu64, plan.lost,
                          self->heal.lost);
    holds = holds && s_is_in_time(self, &error);
    if (holds && plan.dap->unclear)
        holds = error_set(&error, ERROR_TIMED_OUT, "DAP %s does not answer", plan.dap->name);
    if (!holds)
        s_fail(self, &error);
    else if (s_is_agreed(self, plan.dap) && !plan.dap->busy)
        s_ask(self, &plan);
}

/* This node's own commit, in an epoch of its own, was seen to land there: that is the proven server
 * from now on. */
static void s_go_on(pair_t *self, size_t dap, const database_status_t *status, id128_t generation)
{
    char text[PAIR_REASON + 64];
    self->heal.state = HEAL_DONE;
    pair_own_epoch(self, status, generation);
    pair_alarm(self, "database.healed",
               "dap=%s server=\"%s\" epoch=%" PRIu64 " first=%" PRIu64 " last=%" PRIu64
               " reason=\"%s\"",
               self->daps.daps[dap].name, status->server, status->epoch, self->heal.first,
               self->heal.last, self->heal.reason);
    snprintf(text, sizeof text, "%" PRIu64 " lost entries written back: %s",
             self->heal.last - self->heal.first + 1, self->heal.reason);
    bool hot = role_follows(self->role) && replica_is_loaded(self->replica);
    if (!pair_event(self, ROLE_EVENT_FAILOVER, text))
        return; /* the process ends: nobody serves under this epoch */
    pair_takeover_begin(self, true, hot);
    pair_takeover_claimed(self, dap, status, generation);
}

bool pair_healed(pair_t *self, size_t dap, const database_status_t *status, id128_t generation,
                 const error_t *error)
{
    if (self->heal.state != HEAL_ASKED || self->heal.dap != dap)
        return false;
    if (!status) {
        daps_answer(&self->daps, dap, NULL, error, self->now);
        s_fail(self, error);
        return true;
    }
    daps_move(&self->daps, &status->instance, self->now);
    daps_answer(&self->daps, dap, status, NULL, self->now);
    s_go_on(self, dap, status, generation);
    return true;
}

/* ---- Telling ---- */

void pair_fill_heal(const pair_t *self, Ixn__V1__PairHeal *message, error_t *objection)
{
    static const Ixn__V1__PairHeal__State states[] = {
        [HEAL_NONE] = IXN__V1__PAIR_HEAL__STATE__NONE,
        [HEAL_WANTED] = IXN__V1__PAIR_HEAL__STATE__UNDER_WAY,
        [HEAL_ASKED] = IXN__V1__PAIR_HEAL__STATE__UNDER_WAY,
        [HEAL_DONE] = IXN__V1__PAIR_HEAL__STATE__DONE,
        [HEAL_FAILED] = IXN__V1__PAIR_HEAL__STATE__FAILED,
    };
    plan_t plan;
    ixn__v1__pair_heal__init(message);
    *objection = (error_t){0};
    s_plan(self, false, &plan, objection);
    wire_clean_text(objection->text);
    message->objection = objection->text;
    const dap_t *dap = daps_short(&self->daps);
    if (dap) {
        message->lost = self->daps.place.index - dap->status.head_index;
        message->first = dap->status.head_index + 1;
        message->last = self->daps.place.index;
        message->dap = (char *)dap->name;
        message->server = (char *)dap->status.server;
    }
    message->held_first = recent_first(self->recent);
    message->held_last = recent_last(self->recent);
    message->state = states[self->heal.state];
    message->written_first = self->heal.first;
    message->written_last = self->heal.last;
    message->error = (char *)self->heal.error.text;
}
