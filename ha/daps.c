#include "ha/daps.h"

#include <stdio.h>
#include <string.h>

#include "core/base/check.h"

void daps_ask(daps_t *self, size_t dap, usec_t now)
{
    CHECK(dap < self->len && !self->daps[dap].busy);
    self->daps[dap].busy = true;
    self->daps[dap].asked_at = now;
}

/* The own identity as far as it is known: the configuration may demand no more than the id. */
static bool s_is_own(const daps_t *self, const identity_t *found, char *trouble, size_t size)
{
    char a[IDENTITY_TEXT_SIZE];
    char b[IDENTITY_TEXT_SIZE];
    if (self->has_demanded && !id_equal(found->database_id, self->demanded)) {
        snprintf(trouble, size, "it reaches database_id %s, database.id in the configuration is %s",
                 id_text(found->database_id, a), id_text(self->demanded, b));
        return false;
    }
    if (self->known && !identity_equal(found, &self->own)) {
        snprintf(trouble, size, "it reaches %s, the pair's own is %s", identity_text(found, a),
                 identity_text(&self->own, b));
        return false;
    }
    return true;
}

static void s_judge(daps_t *self, dap_t *dap)
{
    dap->trouble[0] = '\0';
    dap->proven =
        s_is_own(self, &dap->status.identity, dap->trouble, sizeof dap->trouble) && self->known;
}

bool daps_answer(daps_t *self, size_t dap_number, const database_status_t *status,
                 const error_t *error, usec_t now)
{
    CHECK(dap_number < self->len && self->daps[dap_number].busy);
    dap_t *dap = &self->daps[dap_number];
    dap->busy = false;
    dap->latency = now - dap->asked_at;
    if (!status) {
        /* "Not now", never "wrong": what it reached before stays what is known of it. */
        dap->reachable = false;
        dap->proven = false;
        snprintf(dap->trouble, sizeof dap->trouble, "%.*s", (int)sizeof dap->trouble - 1,
                 error->text);
        return false;
    }
    dap->reachable = true;
    dap->seen = true;
    dap->seen_at = now;
    dap->status = *status;
    s_judge(self, dap);
    return dap->proven;
}

void daps_learn(daps_t *self, const identity_t *own)
{
    self->known = true;
    self->own = *own;
    for (size_t i = 0; i < self->len; i++)
        if (self->daps[i].seen && self->daps[i].reachable)
            s_judge(self, &self->daps[i]);
}

bool daps_choose(daps_t *self, size_t *ret_dap)
{
    for (size_t i = 0; i < self->len; i++) {
        size_t number = (self->next + i) % self->len;
        const dap_t *dap = &self->daps[number];
        if (dap->busy || !dap->proven)
            continue;
        self->next = number + 1;
        *ret_dap = number;
        return true;
    }
    return false;
}

bool daps_choose_first(const daps_t *self, size_t *ret_dap)
{
    const dap_t *first = NULL;
    if (self->known)
        return false;
    for (size_t i = self->len; i > 0; i--) {
        const dap_t *dap = &self->daps[i - 1];
        if (!dap->reachable || dap->trouble[0])
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
        if (dap->busy || now - dap->asked_at < age ||
            (found && dap->asked_at >= self->daps[*ret_dap].asked_at))
            continue;
        *ret_dap = i;
        found = true;
    }
    return found;
}

size_t daps_proven(const daps_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->len; i++)
        count += self->daps[i].proven;
    return count;
}

const char *daps_trouble(const daps_t *self)
{
    for (size_t i = 0; i < self->len; i++)
        if (self->daps[i].trouble[0])
            return self->daps[i].trouble;
    return "";
}
