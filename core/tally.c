/* Tally: how many interactions of each kind a queue has (tally_t), kept up to date with every
 * change, on both nodes. Figures for people: nothing is decided by them, and they are not in the
 * digest.
 */
#include "core/state_internal.h"

static bool s_is_waiting(const interaction_t *interaction)
{
    return interaction->state == INTERACTION_QUEUED && !(interaction->flags & INTERACTION_HELD);
}

/* The count that an interaction belongs to. */
static uint32_t *s_count(tally_t *tally, const interaction_t *interaction)
{
    if (interaction->flags & INTERACTION_HELD)
        return &tally->held;
    switch (interaction->state) {
    case INTERACTION_QUEUED:
        return &tally->waiting;
    case INTERACTION_QUARANTINED:
        return &tally->quarantined;
    default:
        return &tally->routing;
    }
}

void tally_remove(state_t *self, const interaction_t *interaction)
{
    tally_t *tally = &self->queues[interaction->queue]->tally;
    (*s_count(tally, interaction))--;
    self->tally_left = s_is_waiting(interaction) ? tally : NULL;
    if (self->tally_left)
        tally->left++;
}

void tally_add(state_t *self, const interaction_t *interaction)
{
    tally_t *tally = &self->queues[interaction->queue]->tally;
    (*s_count(tally, interaction))++;
    if (s_is_waiting(interaction) && self->tally_left == tally)
        tally->left--; /* it did not leave */
    else if (s_is_waiting(interaction))
        tally->entered++;
}
