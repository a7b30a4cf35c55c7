/* The DAPs while they change: new ones are candidates until they are proven, what they replace is
 * used until then, and what is used is told to the lanes and remembered.
 *
 *     file ─► CANDIDATE ── proven ──► IN_USE ── no longer in the file ──► RETIRING
 *                 │                     ▲                                    │ a proven one takes
 *                 │ not in the file     └────── back in the file ────────────┤ its place
 *                 ▼                                                          ▼
 *               ABSENT ◄───────────── has answered ──────────────────── LEAVING
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "ha/pair_internal.h"

/* A lane that found a DAP to be wrong is believed at once; the next look comes so soon. */
enum { LOOK_AGO_MS = 1000, RANK_OUT = 1000 };

static void s_place(pair_t *self, size_t number, const pair_dap_t *wanted, dap_standing_t standing,
                    size_t rank)
{
    dap_t *dap = &self->daps.daps[number];
    snprintf(dap->name, sizeof dap->name, "%s", wanted->name);
    dap->standing = standing;
    dap->route = wanted->route;
    dap->rank = (uint32_t)rank;
    dap->line = wanted->line;
    dap->turn.weight = wanted->weight;
    dap->remembered = wanted->remembered;
    dap->asked_at = self->now - LOOK_AGO_MS * USEC_PER_MS;
}

void pair_init_daps(pair_t *self)
{
    const pair_options_t *options = &self->options;
    CHECK(options->daps_len > 0 && options->daps_len <= DAPS_MAX);
    self->daps.len = options->daps_len;
    for (size_t i = 0; i < options->daps_len; i++)
        s_place(self, i, &options->daps[i], DAP_IN_USE, i);
    self->daps_remembered = true;
    self->daps.has_demanded = options->has_database_id;
    self->daps.demanded = options->database_id;
    if (options->has_memory)
        daps_learn(&self->daps, &options->memory.identity);
}

/* ---- The file changes ---- */

static size_t s_find(const pair_t *self, const pair_dap_t *wanted)
{
    for (size_t i = 0; i < self->daps.len; i++) {
        const dap_t *dap = &self->daps.daps[i];
        if (dap_is_here(dap) && strcmp(dap->name, wanted->name) == 0 &&
            id_equal(dap->route, wanted->route))
            return i;
    }
    return SIZE_MAX;
}

static const pair_dap_t *s_named(const pair_dap_t *daps, size_t len, const char *name)
{
    for (size_t i = 0; i < len; i++)
        if (strcmp(daps[i].name, name) == 0)
            return &daps[i];
    return NULL;
}

/* One that the file gives no longer, or by another route. */
static void s_give_up(pair_t *self, dap_t *dap, const pair_dap_t *daps, size_t len)
{
    const pair_dap_t *other = s_named(daps, len, dap->name);
    bool of_use = dap_is_used(dap) && (dap->trusted || dap->remembered);
    dap->standing = of_use ? DAP_RETIRING : DAP_LEAVING;
    dap->rank = other ? (uint32_t)(other - daps) : dap->rank % RANK_OUT + RANK_OUT;
    dap->line = 0;
    pair_say(self, false, "dap.removed", "dap=%s text=\"%s\"", dap->name,
             !of_use ? "the file gives this route no longer; it was not in use"
             : other ? "the file gives another route; this one is used until that is proven"
                     : "the file gives it no longer; it is used until one of the file is proven");
}

static void s_keep(pair_t *self, dap_t *dap, const pair_dap_t *wanted, size_t rank)
{
    if (dap->standing == DAP_RETIRING) {
        dap->standing = DAP_IN_USE;
        pair_say(self, false, "dap.back", "dap=%s line=%" PRIu32, dap->name, wanted->line);
    }
    self->rearranged |= dap->rank != rank;
    dap->rank = (uint32_t)rank;
    dap->line = wanted->line;
    dap->turn.weight = wanted->weight;
}

static void s_add(pair_t *self, const pair_dap_t *wanted, size_t rank)
{
    size_t number;
    bool found = daps_place(&self->daps, &number);
    CHECK(found);
    s_place(self, number, wanted, self->daps.known ? DAP_CANDIDATE : DAP_IN_USE, rank);
    pair_action_t *action = pair_do(self, PAIR_DAP_OPEN);
    action->dap = number;
    action->route = wanted->route;
    pair_say(self, false, "dap.candidate",
             "dap=%s line=%" PRIu32
             " text=\"it is looked at, and used once it is proven to reach "
             "the pair's own database\"",
             wanted->name, wanted->line);
}

bool pair_set_daps(pair_t *self, const pair_dap_t *daps, size_t len, error_t *ret_error)
{
    size_t here = 0;
    size_t missing = 0;
    bool kept[DAPS_MAX] = {false};
    CHECK(len > 0 && len <= DAPS_MAX / 2);
    for (size_t i = 0; i < len; i++) {
        size_t number = s_find(self, &daps[i]);
        if (number == SIZE_MAX)
            missing++;
        else
            kept[number] = true;
    }
    for (size_t i = 0; i < self->daps.len; i++)
        here += self->daps.daps[i].standing != DAP_ABSENT;
    if (here + missing > DAPS_MAX)
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "%zu DAPs are new, but %zu of at most %d places are taken by those before "
                         "and those on their way out; try again in a few seconds",
                         missing, here, DAPS_MAX);
    for (size_t i = 0; i < self->daps.len; i++)
        if (dap_is_here(&self->daps.daps[i]) && !kept[i])
            s_give_up(self, &self->daps.daps[i], daps, len);
    for (size_t i = 0; i < len; i++) {
        size_t number = s_find(self, &daps[i]);
        if (number == SIZE_MAX || !kept[number])
            s_add(self, &daps[i], i);
        else
            s_keep(self, &self->daps.daps[number], &daps[i], i);
    }
    self->daps_remembered = false;
    return true;
}

/* ---- What becomes of them ---- */

const char *pair_own_server(const pair_t *self)
{
    bool open = false;
    for (size_t i = 0; i < self->daps.len; i++) {
        const dap_t *dap = &self->daps.daps[i];
        if (dap->seen && identity_equal(&dap->status.identity, &self->daps.own))
            return dap->status.server;
        open |= dap_is_used(dap) && !dap->seen && dap->trouble.code == ERROR_OK;
    }
    return open ? NULL : "not reached since this node began";
}

static bool s_is_wrong(const dap_t *dap)
{
    return dap->trouble.code == ERROR_DATABASE_WRONG || dap->trouble.code == ERROR_DATABASE_EMPTY ||
           dap->trouble.code == ERROR_DATABASE_SCHEMA;
}

/* A route of the file that leads elsewhere: once, loudly, with both databases. */
static void s_refuse(pair_t *self, dap_t *dap)
{
    const char *own = pair_own_server(self);
    bool wrong = own && dap->standing == DAP_CANDIDATE && s_is_wrong(dap);
    if (wrong && !dap->refused)
        pair_alarm(self, "dap.refused",
                   "dap=%s line=%" PRIu32
                   " error=\"%s\" own=\"%s\" text=\"this node goes on with "
                   "the routes it had, also after a restart; correct the file and reload\"",
                   dap->name, dap->line, dap->trouble.text, own);
    dap->refused = (dap->refused || wrong) && !dap->proven;
}

static void s_trust(pair_t *self, dap_t *dap)
{
    /* Not reachable now says nothing; reachable and not proven does. */
    dap->trusted = dap->proven || (dap->trusted && !dap->reachable);
    if (!dap->proven || !dap_is_here(dap))
        return;
    if (dap->standing == DAP_CANDIDATE) {
        dap->standing = DAP_IN_USE;
        self->daps_remembered = false;
        pair_say(self, false, "dap.accepted",
                 "dap=%s line=%" PRIu32
                 " server=\"%s\" text=\"proven to reach the pair's own "
                 "database; it is used from now on\"",
                 dap->name, dap->line, dap->status.server);
    }
    if (!dap->remembered && dap_is_used(dap)) {
        dap->remembered = true;
        self->daps_remembered = false;
    }
}

/* One that is trusted and takes the place of `old`. */
static bool s_is_replaced(const pair_t *self, const dap_t *old)
{
    bool by_name = false;
    bool by_any = false;
    bool named = false;
    for (size_t i = 0; i < self->daps.len; i++) {
        const dap_t *dap = &self->daps.daps[i];
        if (!dap_is_here(dap) || dap->line == 0)
            continue;
        bool trusted = dap->standing == DAP_IN_USE && dap->trusted;
        bool same = strcmp(dap->name, old->name) == 0;
        named |= same;
        by_name |= same && trusted;
        by_any |= trusted;
    }
    return named ? by_name : by_any;
}

static void s_retire(pair_t *self)
{
    for (size_t i = 0; i < self->daps.len; i++) {
        dap_t *dap = &self->daps.daps[i];
        if (dap->standing == DAP_RETIRING && s_is_replaced(self, dap)) {
            dap->standing = DAP_LEAVING;
            dap->trusted = dap->proven = false;
            self->daps_remembered = false;
            pair_say(self, false, "dap.retired", "dap=%s", dap->name);
        }
    }
}

/* After the lanes were told not to use it. */
static void s_close(pair_t *self)
{
    for (size_t i = 0; i < self->daps.len; i++) {
        dap_t *dap = &self->daps.daps[i];
        if (dap->standing != DAP_LEAVING || dap->busy)
            continue;
        dap->standing = DAP_ABSENT;
        dap->proven = dap->reachable = dap->seen = dap->trusted = false;
        pair_do(self, PAIR_DAP_CLOSE)->dap = i;
    }
}

/* ---- What is told ---- */

/* Numbers of those that `wanted` holds for, by rank. */
static size_t s_list(const pair_t *self, bool (*wanted)(const dap_t *dap), uint8_t *numbers)
{
    size_t len = 0;
    for (size_t i = 0; i < self->daps.len; i++) {
        const dap_t *dap = &self->daps.daps[i];
        if (!dap_is_used(dap) || !wanted(dap))
            continue;
        size_t at = len++;
        for (; at > 0 && self->daps.daps[numbers[at - 1]].rank > dap->rank; at--)
            numbers[at] = numbers[at - 1];
        numbers[at] = (uint8_t)i;
    }
    return len;
}

static bool s_is_trusted(const dap_t *dap)
{
    return dap->trusted;
}

static bool s_is_remembered(const dap_t *dap)
{
    return dap->remembered;
}

static void s_fill(const pair_t *self, pair_action_t *action, bool (*wanted)(const dap_t *dap))
{
    action->daps_len = s_list(self, wanted, action->daps);
    for (size_t i = 0; i < action->daps_len; i++) {
        uint32_t weight = self->daps.daps[action->daps[i]].turn.weight;
        action->weights[i] = weight ? weight : 1;
    }
}

void pair_fill_use(pair_t *self, pair_action_t *action)
{
    for (size_t i = 0; i < self->daps.len; i++)
        s_trust(self, &self->daps.daps[i]);
    s_fill(self, action, s_is_trusted);
    self->used.len = action->daps_len;
    memcpy(self->used.daps, action->daps, sizeof self->used.daps);
    memcpy(self->used.weights, action->weights, sizeof self->used.weights);
    self->rearranged = false;
}

static void s_tell_use(pair_t *self)
{
    pair_action_t now = {.kind = PAIR_USE};
    s_fill(self, &now, s_is_trusted);
    bool same = now.daps_len == self->used.len &&
                memcmp(now.daps, self->used.daps, now.daps_len) == 0 &&
                memcmp(now.weights, self->used.weights, now.daps_len * sizeof *now.weights) == 0;
    if (!self->node || (same && !self->rearranged))
        return;
    pair_action_t *action = pair_do(self, PAIR_USE);
    action->rearranged = self->rearranged;
    pair_fill_use(self, action);
}

void pair_daps_turn(pair_t *self)
{
    pair_server_turn(self);
    for (size_t i = 0; i < self->daps.len; i++) {
        s_trust(self, &self->daps.daps[i]);
        s_refuse(self, &self->daps.daps[i]);
    }
    s_retire(self);
    s_tell_use(self);
    s_close(self);
    if (self->daps_remembered || !self->daps.known)
        return;
    pair_action_t list = {.kind = PAIR_REMEMBER_DAPS};
    s_fill(self, &list, s_is_remembered);
    if (list.daps_len > 0)
        *pair_do(self, PAIR_REMEMBER_DAPS) = list;
    self->daps_remembered = true;
}

/* ---- What lanes found ---- */

void pair_dap_wrong(pair_t *self, size_t number, const error_t *error)
{
    CHECK(number < self->daps.len);
    dap_t *dap = &self->daps.daps[number];
    if (!dap_is_here(dap))
        return;
    dap->proven = false;
    dap->trusted = false;
    dap->verdict = dap->said = DAP_WRONG;
    dap->trouble = *error;
    dap->errors++;
    if (!dap->busy)
        dap->asked_at = self->now - LOOK_AGO_MS * USEC_PER_MS;
    pair_say(self, true, "dap.wrong", "dap=%s line=%" PRIu32 " error=\"%s\"", dap->name, dap->line,
             error->text);
}

void pair_dap_worked(pair_t *self, size_t number, unsigned lane, usec_t elapsed, bool failed)
{
    CHECK(number < self->daps.len);
    for (size_t i = 0; i < self->daps.len && !failed; i++)
        self->daps.daps[i].lanes &= ~lane;
    dap_t *dap = &self->daps.daps[number];
    if (!failed)
        dap->lanes |= lane;
    dap->spread += lane == DAP_CHECKPOINT && !failed;
    dap_worked(dap, elapsed, failed);
}
