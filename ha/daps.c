#include "ha/daps.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"

const char *dap_verdict_name(dap_verdict_t verdict)
{
    static const char *const names[] = {"unknown", "not now", "proving", "proven", "wrong"};
    return names[verdict];
}

/* How much a new value counts in the average: an eighth, as TCP does it (RFC 6298). */
enum { AVERAGE_SHIFT = 3 };

bool dap_is_here(const dap_t *dap)
{
    return dap->standing != DAP_LEAVING && dap->standing != DAP_ABSENT;
}

bool dap_is_silent(const dap_t *dap)
{
    return dap->unclear || (!dap->reachable && dap->verdict != DAP_WRONG);
}

bool dap_is_used(const dap_t *dap)
{
    return dap->standing == DAP_IN_USE || dap->standing == DAP_RETIRING;
}

bool daps_place(daps_t *self, size_t *ret_dap)
{
    for (size_t i = 0; i < DAPS_MAX; i++) {
        if (i < self->len && self->daps[i].standing != DAP_ABSENT)
            continue;
        if (i >= self->len)
            self->len = i + 1;
        self->daps[i] = (dap_t){0};
        *ret_dap = i;
        return true;
    }
    return false;
}

void dap_worked(dap_t *dap, usec_t elapsed, bool failed)
{
    dap->done++;
    dap->errors += failed;
    if (!failed)
        dap->average =
            dap->average ? dap->average + ((elapsed - dap->average) >> AVERAGE_SHIFT) : elapsed;
}

/* A look takes milliseconds. What keeps it back for so long may have been led elsewhere. */
#define KEPT_US (500 * USEC_PER_MS)

void daps_watch(daps_t *self, usec_t now)
{
    for (size_t i = 0; i < self->len; i++) {
        dap_t *dap = &self->daps[i];
        dap->unclear |= dap->busy && now - dap->asked_at >= KEPT_US;
    }
}

void daps_ask(daps_t *self, size_t dap, usec_t now)
{
    CHECK(dap < self->len && !self->daps[dap].busy);
    self->daps[dap].busy = true;
    self->daps[dap].asked_at = now;
}

/* Of an answer that is none: what has no tables, or others, is not the pair's own. */
static dap_verdict_t s_verdict_of(error_code_t code)
{
    return code == ERROR_DATABASE_EMPTY || code == ERROR_DATABASE_SCHEMA ||
                   code == ERROR_DATABASE_WRONG
               ? DAP_WRONG
               : DAP_NOT_NOW;
}

bool daps_answer(daps_t *self, size_t dap_number, const database_status_t *status,
                 const error_t *error, usec_t now)
{
    CHECK(dap_number < self->len && self->daps[dap_number].busy);
    dap_t *dap = &self->daps[dap_number];
    dap->busy = false;
    dap->unclear = !status && error->code == ERROR_DATABASE_SCHEMA; /* it may be the own one's */
    dap->latency = now - dap->asked_at;
    dap_worked(dap, dap->latency, !status);
    if (!status) {
        /* "Not now", never "wrong": what it reached before stays what is known of it. */
        dap->reachable = false;
        dap->proven = false;
        dap->verdict = s_verdict_of(error->code);
        dap->trouble = *error;
        return false;
    }
    dap->reachable = true;
    dap->seen = true;
    dap->seen_at = now;
    dap->status = *status;
    daps_judge(self, dap);
    return dap->proven;
}

void daps_learn(daps_t *self, const identity_t *own)
{
    self->known = true;
    self->own = *own;
    for (size_t i = 0; i < self->len; i++)
        if (self->daps[i].seen && self->daps[i].reachable)
            daps_judge(self, &self->daps[i]);
}

bool daps_choose(daps_t *self, size_t *ret_dap)
{
    weighted_t *turns[DAPS_MAX];
    size_t numbers[DAPS_MAX];
    size_t len = 0;
    for (size_t i = 0; i < self->len; i++) {
        dap_t *dap = &self->daps[i];
        if (dap->busy || !dap->proven || !dap_is_used(dap))
            continue;
        numbers[len] = i;
        turns[len++] = &dap->turn;
    }
    if (len == 0)
        return false;
    *ret_dap = numbers[weighted_choose(turns, len)];
    return true;
}

bool daps_choose_first(const daps_t *self, size_t *ret_dap)
{
    const dap_t *first = NULL;
    if (self->known)
        return false;
    for (size_t i = self->len; i > 0; i--) {
        const dap_t *dap = &self->daps[i - 1];
        if (!dap->reachable || dap->trouble.text[0] || !dap_is_used(dap))
            continue;
        if (first && !identity_equal(&first->status.identity, &dap->status.identity))
            return false;
        first = dap;
    }
    if (!first || first->busy)
        return false;
    *ret_dap = (size_t)(first - self->daps);
    return true;
}

bool daps_oldest(const daps_t *self, usec_t now, usec_t age, size_t *ret_dap)
{
    bool found = false;
    for (size_t i = 0; i < self->len; i++) {
        const dap_t *dap = &self->daps[i];
        if (dap->busy || dap->standing == DAP_LEAVING || dap->standing == DAP_ABSENT ||
            now - dap->asked_at < age || (found && dap->asked_at >= self->daps[*ret_dap].asked_at))
            continue;
        *ret_dap = i;
        found = true;
    }
    return found;
}

static bool s_is_final(error_code_t code)
{
    return code == ERROR_DATABASE_WRONG || code == ERROR_DATABASE_SCHEMA ||
           code == ERROR_DATABASE_EMPTY || code == ERROR_CONFIGURATION;
}

bool daps_are_hopeless(const daps_t *self, error_t *ret_error)
{
    const dap_t *final = NULL;
    for (size_t i = 0; i < self->len; i++) {
        const dap_t *dap = &self->daps[i];
        if (dap->standing == DAP_LEAVING || dap->standing == DAP_ABSENT)
            continue;
        if (!s_is_final(dap->trouble.code))
            return false; /* of use, or not asked yet, or it may come back */
        if (!final)
            final = dap;
    }
    if (!final)
        return false;
    error_set(ret_error, final->trouble.code, "%s", final->trouble.text);
    return true;
}

size_t daps_proven(const daps_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->len; i++)
        count += self->daps[i].proven && dap_is_used(&self->daps[i]);
    return count;
}

size_t daps_alive(const daps_t *self, usec_t now, usec_t patience)
{
    size_t count = 0;
    for (size_t i = 0; i < self->len; i++) {
        const dap_t *dap = &self->daps[i];
        count += dap->proven && dap_is_used(dap) && !(dap->busy && now - dap->asked_at > patience);
    }
    return count;
}

const char *daps_trouble(const daps_t *self)
{
    for (size_t i = 0; i < self->len; i++)
        if (dap_is_used(&self->daps[i]) && self->daps[i].trouble.text[0])
            return self->daps[i].trouble.text;
    return "";
}
