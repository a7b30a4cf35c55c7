/* What state_dir remembers of the database. Most of it guards the next life of the process and must
 * be there before anything is done that rests on it; the newest place only sharpens the guard, and
 * a primary whose state_dir is full serves on without it (decision 66).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ha/pair_internal.h"

enum { REMEMBER_MS = 10000 }; /* the newest committed place is remembered so often */

void pair_remember(pair_t *self)
{
    if (!self->daps.known)
        return;
    self->has_memory = true;
    self->memory = (identity_memory_t){.identity = self->daps.own,
                                       .epoch = self->epoch,
                                       .generation = self->generation,
                                       .own_generation = self->own_generation,
                                       .instance = self->daps.instance,
                                       .given_up = self->daps.given_up,
                                       .given_up_for = self->daps.given_up_for,
                                       .place = self->daps.place,
                                       .exact = self->role == ROLE_STOPPED &&
                                                (self->daps.warm || self->daps.exact)};
    self->remembered_at = self->now;
    pair_do(self, PAIR_REMEMBER)->memory = self->memory;
}

/* A cold start knows no newer place than the one that is remembered: now and then, and at the end.
 */
void pair_memory_turn(pair_t *self)
{
    bool late = self->daps.place.index > self->memory.place.index || self->unwritten[0];
    bool due = late && self->now - self->remembered_at >= REMEMBER_MS * USEC_PER_MS;
    bool begins = self->daps.warm && self->memory.exact && self->role != ROLE_STOPPED;
    if (self->has_memory && (due || begins))
        pair_remember(self);
}

/* What state_dir has is still true, only its place is an older one. */
static bool s_may_be_late(const pair_t *self, const identity_memory_t *memory)
{
    const identity_memory_t *kept = &self->kept;
    return self->has_kept && identity_equal(&kept->identity, &memory->identity) &&
           kept->epoch == memory->epoch && id_equal(kept->generation, memory->generation) &&
           id_equal(kept->own_generation, memory->own_generation) &&
           instance_equal(&kept->instance, &memory->instance) &&
           instance_equal(&kept->given_up, &memory->given_up) &&
           instance_equal(&kept->given_up_for, &memory->given_up_for) &&
           (!kept->exact || memory->exact);
}

bool pair_remembered(pair_t *self, const identity_memory_t *memory, const error_t *error)
{
    if (error && !s_may_be_late(self, memory))
        return false;
    if (error) {
        if (!self->unwritten[0])
            pair_alarm(self, "identity.not_remembered",
                       "error=\"%s\" action=\"a primary serves on; a backup is not ready until "
                       "it can be written\"",
                       error->text);
        snprintf(self->unwritten, sizeof self->unwritten, "%.*s", PAIR_REASON - 1, error->text);
        return true;
    }
    if (self->unwritten[0])
        pair_say(self, false, "identity.remembered", "state_dir can be written again");
    self->unwritten[0] = '\0';
    self->kept = *memory;
    self->has_kept = true;
    return true;
}
