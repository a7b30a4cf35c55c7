/* Judging an access point: is what it reaches the pair's own live database?
 *
 *   static     its database_id, system_identifier and oid are the remembered ones
 *   lineage    it holds the newest place that is known to be committed, and its epoch did not go
 *              back
 *   live       it is the proven server, in the same run; or, seen through this very DAP, a commit
 *              of the epoch that the pair is in landed there after the first look: only the
 *              owner of that epoch can write one, and it writes to the proven server only
 *
 * A copy of the cluster is equal in all but the last. A server that is started again, or promoted,
 * is not the proven one either; it takes its place when nobody reaches the proven one any more, the
 * other node has given that one up, and all that is known to be committed is there.
 */
#include <inttypes.h>
#include <stdio.h>

#include "core/base/mutation.h"
#include "ha/daps.h"

/* Who does not answer may reach the proven server again within so long. */
#define SETTLE_US (3 * USEC_PER_SECOND)

/* Ends every sentence about what is another database, or may be one. */
#define HINT                                                                                       \
    "; nothing is written there: correct the DAP or, if the database was moved on purpose, see "   \
    "ixnctl database adopt"

/* Ends every objection to another server that an operator may overrule. */
#define ON_PURPOSE ", or, if the database was moved on purpose: ixnctl database adopt"

/* ---- Static, lineage ---- */

static bool s_wrong(dap_t *dap, const char *what, const char *found, const char *own)
{
    return error_set(&dap->trouble, ERROR_DATABASE_WRONG,
                     "DAP %s reaches %s: %s %s, the pair's is %s" HINT, dap->name,
                     dap->status.server, what, found, own);
}

/* It has the epoch that was heard of last, or a later one. */
static bool s_has_epoch(const daps_t *self, const database_status_t *status)
{
    return status->epoch > self->epoch ||
           (status->epoch == self->epoch && id_equal(status->generation, self->generation));
}

/* A copy that stayed behind is equal in everything but its epoch. */
static bool s_is_current(const daps_t *self, dap_t *dap)
{
    char found[ID_TEXT_SIZE + 40];
    char own[ID_TEXT_SIZE + 40];
    char id[ID_TEXT_SIZE];
    if (dap->asked_at <= self->epoch_since || s_has_epoch(self, &dap->status))
        return true;
    snprintf(found, sizeof found, "%" PRIu64 " (%s)", dap->status.epoch,
             id_text(dap->status.generation, id));
    snprintf(own, sizeof own, "%" PRIu64 " (%s); it is a copy that stayed behind", self->epoch,
             id_text(self->generation, id));
    return s_wrong(dap, "its epoch is", found, own);
}

/* The own identity as far as it is known: the configuration may demand no more than the id. */
static bool s_is_own(const daps_t *self, dap_t *dap)
{
    char found[IDENTITY_TEXT_SIZE];
    char own[IDENTITY_TEXT_SIZE];
    const identity_t *identity = &dap->status.identity;
    if (self->has_demanded && !id_equal(identity->database_id, self->demanded))
        return s_wrong(dap, "its database_id is", id_text(identity->database_id, found),
                       id_text(self->demanded, own));
    if (self->known && !identity_equal(identity, &self->own))
        return s_wrong(dap, "it is", identity_text(identity, found),
                       identity_text(&self->own, own));
    return true;
}

static bool s_has_lineage(dap_t *dap)
{
    char there[ID_TEXT_SIZE];
    char known[ID_TEXT_SIZE];
    const database_status_t *status = &dap->status;
    if (status->lineage == LINEAGE_SHORT)
        return error_set(&dap->trouble, ERROR_DATABASE_WRONG,
                         "DAP %s reaches %s: its head is index %" PRIu64 ", but index %" PRIu64
                         " (%s) is committed in the pair's: it lost %" PRIu64
                         " entries, or is a copy that stayed behind" HINT,
                         dap->name, status->server, status->head_index, status->known.index,
                         id_text(status->known.hash, known), database_lost(status));
    if (status->lineage == LINEAGE_DIVERGED)
        return error_set(&dap->trouble, ERROR_DATABASE_WRONG,
                         "DAP %s reaches %s: it has %s at index %" PRIu64
                         ", the pair's has %s there: it is a copy that went its own way" HINT,
                         dap->name, status->server,
                         id_is_zero(status->there) ? "no batch that ends"
                                                   : id_text(status->there, there),
                         status->known.index, id_text(status->known.hash, known));
    return true;
}

/* ---- Live ---- */

static bool s_is_proven_server(const daps_t *self, const dap_t *dap)
{
    return instance_is_known(&self->instance) &&
           instance_equal(&dap->status.instance, &self->instance);
}

/* What this node gave up so that the other one can go elsewhere: a commit there may be late, unless
 * the other one still takes it for the pair's own. */
static bool s_is_given_up(const daps_t *self, const instance_t *instance)
{
    const daps_word_t *word = &self->word;
    bool stays = instance_equal(&word->server, instance) && !word->asks;
    return instance_is_known(&self->given_up) && instance_equal(&self->given_up, instance) &&
           !stays;
}

/* Two looks at one run of one server, and between them a commit of the pair's present epoch. For
 * the node that has the epoch that is no proof: such a commit is its own, and a late one. */
static bool s_is_live(const daps_t *self, dap_t *dap)
{
    const database_status_t *status = &dap->status;
    if (MUTATION(LIVE_PROOF_SKIPPED))
        return true;
    bool first = !instance_equal(&dap->watched, &status->instance);
    if (first) {
        dap->watched = status->instance;
        dap->watched_since = dap->seen_at;
    }
    if (first || self->owns || s_is_given_up(self, &status->instance))
        dap->watched_head = status->head_index;
    return status->head_index > dap->watched_head && !id_is_zero(self->generation) &&
           status->epoch == self->epoch && id_equal(status->generation, self->generation);
}

static void s_say_why(const daps_t *self, dap_t *dap, const char *why)
{
    char found[INSTANCE_TEXT_SIZE];
    char proven[INSTANCE_TEXT_SIZE];
    dap->why = why;
    instance_text(&dap->status.instance, found);
    error_set(&dap->trouble, ERROR_DATABASE_REFUSED,
              "DAP %s reaches %s (%s); the pair's own was proven on %s; %s", dap->name,
              dap->status.server, found,
              instance_is_known(&self->instance) ? instance_text(&self->instance, proven)
                                                 : "no server yet",
              why);
}

void daps_move(daps_t *self, const instance_t *instance, usec_t now)
{
    if (instance_equal(&self->instance, instance))
        return;
    self->instance = *instance;
    self->moved_at = now;
    if (instance_equal(&self->given_up, instance))
        self->given_up = self->given_up_for = (instance_t){0};
    for (size_t i = 0; i < self->len; i++)
        self->daps[i].watched = (instance_t){0};
}

static dap_verdict_t s_verdict(daps_t *self, dap_t *dap)
{
    if (!MUTATION(STATIC_SKIPPED) && !s_is_own(self, dap))
        return DAP_WRONG;
    if (dap->status.standby) {
        dap->watched = (instance_t){0}; /* its head moves, but by another server's commits */
        dap->standby = dap->status.instance;
        error_set(&dap->trouble, ERROR_DATABASE_REFUSED,
                  "DAP %s reaches %s, a standby (in recovery): of no use before it is promoted",
                  dap->name, dap->status.server);
        return DAP_NOT_NOW;
    }
    if (!self->known)
        return DAP_UNKNOWN;
    if (!MUTATION(LINEAGE_SKIPPED) && (!s_is_current(self, dap) || !s_has_lineage(dap)))
        return DAP_WRONG;
    if (!s_is_proven_server(self, dap) && !s_is_live(self, dap)) {
        s_say_why(self, dap, "no commit of the pair was seen there yet" HINT);
        return DAP_PROVING;
    }
    daps_move(self, &dap->status.instance, dap->seen_at);
    self->warm = true;
    dap->reached_at = dap->asked_at;
    dap->reached = dap->status.instance;
    return DAP_PROVEN;
}

void daps_judge(daps_t *self, dap_t *dap)
{
    dap->trouble = (error_t){0};
    dap->why = NULL;
    dap->verdict = s_verdict(self, dap);
    dap->proven = dap->verdict == DAP_PROVEN;
}

/* ---- Another server in the place of the proven one ---- */

const dap_t *daps_reaching(const daps_t *self, usec_t now)
{
    for (size_t i = 0; i < self->len; i++) {
        const dap_t *dap = &self->daps[i];
        if (!dap_is_here(dap))
            continue;
        usec_t since = dap->reached_at > self->begun ? dap->reached_at : self->begun;
        if (dap->proven || (dap->seen && dap->reachable && s_is_proven_server(self, dap)) ||
            (dap_is_silent(dap) && now - since < SETTLE_US))
            return dap;
    }
    return NULL;
}

/* The other node spoke after it could know that this server is looked at. What it said before may
 * have been on its way for long, and the own server may be reached there by now. */
static bool s_is_answer(const daps_t *self, const dap_t *dap)
{
    usec_t since = dap->watched_since > self->begun ? dap->watched_since : self->begun;
    return !self->word.silent && self->word.since >= since;
}

/* As far as anybody can tell who hears of no other node, what the DAP reaches is the proven server,
 * started again: it is at the same address and port, and this very way led to the run before. Two
 * DAPs with poolers on two hosts may show one address, so that alone is not enough. Where the own
 * one was given up for this very run, that one is meant. */
static bool s_is_in_place(const daps_t *self, const dap_t *dap)
{
    const instance_t *found = &dap->status.instance;
    bool gave_way =
        !instance_is_known(&self->instance) && instance_equal(&self->given_up_for, found);
    const instance_t *before = gave_way ? &self->given_up : &self->instance;
    bool led_there = instance_equal(&dap->reached, before) || (!self->warm && dap->remembered);
    return instance_is_known(before) && led_there && instance_may_follow(found, before);
}

/* Where this node cannot know all that was committed (the other one is not heard, or one of them
 * remembers an older place, since it was killed), only the way that was proven before leads to a
 * server that was started since, and only in its place: a copy of a moment ago is elsewhere. */
static bool s_needs_place(const daps_t *self, const dap_t *dap)
{
    const daps_word_t *word = &self->word;
    bool heard = word->exists && s_is_answer(self, dap) && (word->exact || self->owns);
    bool knows_all = (self->warm || self->exact) && (!word->exists || heard);
    return !knows_all && (!dap->remembered || !s_is_in_place(self, dap));
}

/* A DAP that shows nothing may lead to the own server, which then only is not there now: what is
 * elsewhere takes its place when it was its standby, or when all DAPs lead there. */
static bool s_may_be_elsewhere(const daps_t *self, const dap_t *candidate)
{
    bool promoted = instance_equal(&candidate->standby, &candidate->status.instance);
    if (promoted || s_is_in_place(self, candidate))
        return false;
    for (size_t i = 0; i < self->len; i++)
        if (dap_is_here(&self->daps[i]) && dap_is_silent(&self->daps[i]))
            return true;
    for (size_t i = 0; i < self->word.daps_len; i++)
        if (dap_is_here(&self->word.daps[i]) && dap_is_silent(&self->word.daps[i]))
            return true;
    return false;
}

/* A DAP of the other node reaches what may be the pair's own database on yet another server. */
static bool s_word_differs(const daps_word_t *word, const instance_t *instance)
{
    for (size_t i = 0; i < word->daps_len; i++) {
        const dap_t *dap = &word->daps[i];
        if (dap->reachable && (dap->verdict == DAP_PROVING || dap->verdict == DAP_PROVEN) &&
            !instance_equal(&dap->status.instance, instance))
            return true;
    }
    return false;
}

/* Who never saw the own server cannot tell it from a copy; the other node can. */
static const char *s_first_objection(const daps_t *self, const dap_t *dap)
{
    const daps_word_t *word = &self->word;
    if (word->reaches)
        return "this node does not know the pair's own server, and the other node may reach it "
               "again: "
               "a commit of it must be seen there";
    if (word->exists && !s_is_answer(self, dap) && !(word->silent && s_is_in_place(self, dap)))
        return "this node does not know the pair's own server, and does not hear the other node, "
               "which "
               "told it whose database is the pair's: start that, or, if it is gone for good, see "
               "ixnctl database adopt";
    if (instance_is_known(&word->server) && !word->exact)
        return "this node does not know the pair's own server, and the other node, which did, does "
               "not "
               "know all that was committed there: it goes first";
    return NULL;
}

/* Why this server does not take the proven one's place now; NULL: it does. */
static const char *s_objection(const daps_t *self, const dap_t *dap, usec_t now)
{
    /* Its commits under way may land on the server before, and nothing but its own decision keeps
     * it from telling of them. */
    if (self->word.primary)
        return "the other node is the primary and goes first: a commit of it must be seen there";
    if (dap->status.known.index < self->place.index)
        return "a newer place is known to be committed: it is looked at again";
    if (!s_has_epoch(self, &dap->status))
        return "a later epoch is known by now: it is looked at again";
    if (s_word_differs(&self->word, &dap->status.instance))
        return "a DAP of the other node reaches another server; correct the one that is wrong";
    if (!instance_is_known(&self->instance))
        return s_first_objection(self, dap);
    if (daps_reaching(self, now))
        return "a DAP of this node reaches that one, or may do so again" ON_PURPOSE;
    if (self->word.reaches)
        return "a DAP of the other node reaches that one, or may do so again" ON_PURPOSE;
    if (s_may_be_elsewhere(self, dap))
        return "this one is at another address or port, and a DAP that does not show where it "
               "leads may lead to that one: mend it or take it out of the file (ixnctl config "
               "reload)" ON_PURPOSE;
    if (s_needs_place(self, dap))
        return "all that was committed is not known, as a node was killed or is not heard, and "
               "this is another DAP text, address or port, or started earlier by its clock than "
               "the proven one; start the other node" ON_PURPOSE;
    if (!self->warm && !dap->remembered)
        return "the DAP's text is not the one it was proven under" ON_PURPOSE;
    return NULL;
}

/* What is in the proven one's place comes first, then what is remembered. */
static int s_rank(const daps_t *self, const dap_t *dap)
{
    return 2 * s_is_in_place(self, dap) + dap->remembered;
}

/* The one that is being proven. */
static dap_t *s_candidate(daps_t *self)
{
    const dap_t *first = NULL;
    dap_t *found = NULL;
    for (size_t i = 0; i < self->len; i++) {
        dap_t *dap = &self->daps[i];
        if (!dap_is_here(dap) || dap->verdict != DAP_PROVING)
            continue;
        if (first && !instance_equal(&first->status.instance, &dap->status.instance)) {
            s_say_why(self, dap, "DAPs reach different servers; correct those that are wrong");
            return NULL;
        }
        first = dap;
        if (dap->unclear)
            s_say_why(self, dap,
                      "it keeps an answer back, so where it leads now is not known" HINT);
        else if (!found || s_rank(self, dap) > s_rank(self, found))
            found = dap;
    }
    return found;
}

/* The other node gives its own up first, as it may be led back to that and take over there, before
 * it hears that this one has gone. Nobody is led back to the run before
 * of one server, but no address shows that it is one; only where there is nobody to ask, it
 * decides.
 */
bool daps_agreed(daps_t *self, const dap_t *dap, usec_t now)
{
    const daps_word_t *word = &self->word;
    const instance_t *instance = &dap->status.instance;
    if (MUTATION(CONSENT_SKIPPED) || !word->exists || instance_equal(&word->server, instance) ||
        (word->silent && s_is_in_place(self, dap)))
        return true;
    if (!instance_equal(&self->wanted, instance)) {
        self->wanted = *instance;
        self->wanted_since = now;
    }
    return !instance_is_known(&word->server) && word->since >= self->wanted_since;
}

bool daps_replace(daps_t *self, usec_t now)
{
    dap_t *dap = s_candidate(self);
    const char *objection = dap ? s_objection(self, dap, now) : NULL;
    if (dap && !objection && daps_agreed(self, dap, now)) {
        self->wanted = (instance_t){0};
        daps_move(self, &dap->status.instance, now);
        for (size_t i = 0; i < self->len; i++)
            if (dap_is_here(&self->daps[i]) && self->daps[i].verdict == DAP_PROVING &&
                !self->daps[i].unclear)
                daps_judge(self, &self->daps[i]);
        return true;
    }
    if (dap && !objection) {
        s_say_why(self, dap,
                  "the other node takes that one for the pair's own, and is asked to give it up");
        return false;
    }
    self->wanted = (instance_t){0};
    if (dap)
        s_say_why(self, dap, objection);
    return false;
}

void daps_give_up(daps_t *self, const instance_t *others)
{
    self->given_up = self->instance;
    self->given_up_for = *others;
    self->instance = (instance_t){0};
    for (size_t i = 0; i < self->len; i++) {
        dap_t *dap = &self->daps[i];
        dap->watched = (instance_t){0};
        if (dap_is_here(dap) && dap->reachable)
            daps_judge(self, dap);
    }
}

const dap_t *daps_short(const daps_t *self)
{
    for (size_t i = 0; i < self->len && self->known; i++) {
        const dap_t *dap = &self->daps[i];
        if (dap_is_here(dap) && dap->verdict == DAP_PROVING)
            return NULL;
        if (dap_is_here(dap) && dap->verdict == DAP_WRONG && dap->reachable &&
            identity_equal(&dap->status.identity, &self->own) && !s_is_proven_server(self, dap) &&
            dap->status.lineage == LINEAGE_SHORT)
            return dap;
    }
    return NULL;
}

const dap_t *daps_loss(const daps_t *self, usec_t now)
{
    bool reached =
        daps_reaching(self, now) || (self->word.exists && !self->word.silent && self->word.reaches);
    return reached ? NULL : daps_short(self);
}
