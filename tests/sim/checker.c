#include "tests/sim/checker.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "tests/sim/checker_internal.h"
#include "tests/sim/database.h"
#include "tests/sim/machine.h"

checker_t *checker_new(world_t *world)
{
    checker_t *self = memory_zero(1, sizeof *self);
    self->world = world;
    self->arena = wire_arena_new();
    self->level_at = USEC_NEVER;
    self->services = seen_services_new(world);
    self->agents = seen_agents_new(world);
    self->strategies = seen_strategies_new(world);
    self->turns = seen_turns_new(world);
    return self;
}

/* All that follows from the log. */
static void s_forget(checker_t *self)
{
    seen_t *seen, *next;
    HASH_CLEAR(by_key, self->by_key);
    HASH_ITER(hh, self->by_id, seen, next)
    {
        HASH_DEL(self->by_id, seen);
        free(seen);
    }
    handed_t *handed, *next_handed;
    HASH_ITER(hh, self->handed, handed, next_handed)
    {
        HASH_DEL(self->handed, handed);
        free(handed);
    }
    self->live_len = 0;
    seen_services_forget(self->services);
    seen_agents_forget(self->agents);
    seen_strategies_forget(self->strategies);
    seen_skips_forget(&self->skips);
}

void checker_destroy(checker_t **self_p)
{
    checker_t *self = *self_p;
    if (!self)
        return;
    s_forget(self);
    for (size_t i = 0; i < self->log_len; i++)
        batch_destroy(&self->log[i].batch);
    seen_services_destroy(&self->services);
    seen_agents_destroy(&self->agents);
    seen_strategies_destroy(&self->strategies);
    seen_turns_destroy(&self->turns);
    seen_skips_free(&self->skips);
    wire_arena_destroy(&self->arena);
    free(self->log);
    free(self->live);
    free(self->epochs);
    free(self);
    *self_p = NULL;
}

/* ---- What there is ---- */

uint64_t checker_head(const checker_t *self)
{
    return self->index;
}

uint64_t checker_epoch(const checker_t *self)
{
    return self->epochs_len ? self->epochs[self->epochs_len - 1].epoch : 0;
}

static const epoch_t *s_epoch(const checker_t *self, uint64_t epoch)
{
    for (size_t i = self->epochs_len; i-- > 0;)
        if (self->epochs[i].epoch == epoch)
            return &self->epochs[i];
    return NULL;
}

bool checker_owner(const checker_t *self, uint64_t number, int *ret_node, uint64_t *ret_life)
{
    const epoch_t *epoch = s_epoch(self, number);
    if (!epoch)
        return false;
    *ret_node = epoch->node;
    *ret_life = epoch->life;
    return true;
}

const seen_t *checker_find(const checker_t *self, const id128_t *id)
{
    seen_t *seen = NULL;
    HASH_FIND(hh, self->by_id, id, sizeof *id, seen);
    return seen;
}

const seen_t *checker_find_key(const checker_t *self, const void *key, size_t len)
{
    seen_t *seen = NULL;
    HASH_FIND(by_key, self->by_key, key, len, seen);
    return seen;
}

const handed_t *checker_handed(const checker_t *self, uint64_t epoch, uint64_t index)
{
    handed_t *handed = NULL;
    HASH_FIND(hh, self->handed, &index, sizeof index, handed);
    return handed && handed->epoch == epoch ? handed : NULL;
}

size_t checker_live(const checker_t *self)
{
    return self->live_len;
}

const seen_t *checker_live_first(const checker_t *self)
{
    return self->live_len ? self->live[0] : NULL;
}

usec_t checker_level_at(const checker_t *self)
{
    return self->level_at;
}

struct seen_services *checker_services(const checker_t *self)
{
    return self->services;
}

struct seen_agents *checker_agents(const checker_t *self)
{
    return self->agents;
}

struct seen_strategies *checker_strategies(const checker_t *self)
{
    return self->strategies;
}

uint64_t checker_submitted(const checker_t *self)
{
    return HASH_COUNT(self->by_id);
}

/* ---- Claims and commits ---- */

void checker_claimed(checker_t *self, int node, uint64_t life, const database_status_t *status)
{
    if (status->epoch <= checker_epoch(self))
        world_violation(self->world, "P4 epochs",
                        "node %c claims epoch %llu, but epoch %llu was there before", 'a' + node,
                        (unsigned long long)status->epoch, (unsigned long long)checker_epoch(self));
    self->world->router_changes++;
    self->epochs = memory_resize(self->epochs, (self->epochs_len + 1) * sizeof *self->epochs);
    self->epochs[self->epochs_len++] = (epoch_t){.epoch = status->epoch,
                                                 .generation = status->generation,
                                                 .node = node,
                                                 .life = life,
                                                 .at = self->world->now};
}

/* The hash of a batch, from its description (core/batch.h), by code of our own. */
static id128_t s_hash(const batch_t *batch)
{
    size_t len = 16 + 5 * 8 + batch->entries.len;
    uint8_t *bytes = memory_new(len);
    const uint64_t numbers[] = {htobe64(batch->epoch), htobe64(batch->first), htobe64(batch->last),
                                htobe64((uint64_t)batch->log_time),
                                htobe64((uint64_t)batch->wall_time)};
    memcpy(bytes, batch->previous.bytes, 16);
    memcpy(bytes + 16, numbers, sizeof numbers);
    memcpy(bytes + 16 + sizeof numbers, batch->entries.data, batch->entries.len);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, len));
    free(bytes);
    id128_t hash;
    memcpy(hash.bytes, canonical.digest, sizeof hash.bytes);
    return hash;
}

static bool s_check_chain(const checker_t *self, const batch_t *batch)
{
    world_t *world = self->world;
    id128_t hash = s_hash(batch);
    if (batch->first != self->index + 1 || batch->last < batch->first)
        return world_violation(world, "P4 log", "batch %llu … %llu is committed behind index %llu",
                               (unsigned long long)batch->first, (unsigned long long)batch->last,
                               (unsigned long long)self->index);
    if (self->index > 0 && !id_equal(batch->previous, self->hash))
        return world_violation(world, "P4 log",
                               "batch %llu does not continue the hash of the one before",
                               (unsigned long long)batch->first);
    if (!id_equal(batch->hash, hash))
        return world_violation(world, "P4 log", "batch %llu is not what its hash says",
                               (unsigned long long)batch->first);
    if (batch->log_time < self->log_time ||
        batch->log_time > options_fastest(&world->options, world->now))
        return world_violation(world, "log time",
                               "batch %llu has log time %lld us, the one before %lld us, and "
                               "%lld us have passed since the beginning",
                               (unsigned long long)batch->first, (long long)batch->log_time,
                               (long long)self->log_time, (long long)world->now);
    return true;
}

static bool s_check_epoch(const checker_t *self, int node, uint64_t life, const batch_t *batch)
{
    const epoch_t *epoch = s_epoch(self, batch->epoch);
    if (batch->epoch <= self->skips.fence)
        return world_violation(self->world, "P4 skip",
                               "node %c commits batch %llu under epoch %llu, in which an entry was "
                               "applied that an operator has skipped since",
                               'a' + node, (unsigned long long)batch->first,
                               (unsigned long long)batch->epoch);
    if (!epoch || batch->epoch != checker_epoch(self))
        return world_violation(self->world, "P4 fence",
                               "node %c commits batch %llu under epoch %llu, the row has %llu",
                               'a' + node, (unsigned long long)batch->first,
                               (unsigned long long)batch->epoch,
                               (unsigned long long)checker_epoch(self));
    if (epoch->node != node || epoch->life != life)
        return world_violation(self->world, "P4 fence",
                               "node %c (life %llu) commits under epoch %llu of node %c (life "
                               "%llu)",
                               'a' + node, (unsigned long long)life,
                               (unsigned long long)batch->epoch, 'a' + epoch->node,
                               (unsigned long long)epoch->life);
    return true;
}

/* The batch that has the index; NULL: the log ends before it. */
static const batch_t *s_batch_of(const checker_t *self, uint64_t index)
{
    size_t first = 0, last = self->log_len;
    while (first < last) {
        size_t middle = (first + last) / 2;
        if (self->log[middle].batch->last < index)
            first = middle + 1;
        else
            last = middle;
    }
    return first < self->log_len ? self->log[first].batch : NULL;
}

/* True when a batch ends at the index, with that hash. */
static bool s_is_of_the_log(const checker_t *self, uint64_t index, id128_t hash)
{
    const batch_t *batch = s_batch_of(self, index);
    return batch && batch->last == index && id_equal(batch->hash, hash);
}

/* The log goes on with this batch. */
static void s_record(checker_t *self, const batch_t *batch, usec_t at)
{
    error_t error;
    wire_arena_reset(self->arena);
    const Ixn__V1__Batch *decoded = wire_decode_batch(
        self->arena, (const uint8_t *)batch->entries.data, batch->entries.len, &error);
    if (!decoded || decoded->n_entries != batch->last - batch->first + 1) {
        world_violation(self->world, "P4 log", "batch %llu cannot be read: %s",
                        (unsigned long long)batch->first,
                        decoded ? "it has another number of entries" : error.text);
        return;
    }
    self->log_time = batch->log_time;
    for (size_t i = 0; i < decoded->n_entries && !self->world->failed; i++) {
        self->index = batch->first + i;
        record_entry(self, batch, decoded->entries[i]);
    }
    self->index = batch->last;
    self->hash = batch->hash;
    seen_services_time(self->services, self->log_time,
                       self->epochs[self->epochs_len - 1].began_log);
    self->committed_at[1] = self->committed_at[0];
    self->committed_at[0] = at;
}

void checker_committed(checker_t *self, int node, uint64_t life, const batch_t *batch)
{
    if (!s_check_chain(self, batch) || !s_check_epoch(self, node, life, batch))
        return;
    if (self->log_len == self->log_capacity) {
        self->log_capacity = self->log_capacity * 2 + 64;
        self->log = memory_resize(self->log, self->log_capacity * sizeof *self->log);
    }
    batch_t *copy = batch_new(batch->epoch, batch->first, batch->last, batch->previous,
                              batch->log_time, batch->wall_time, batch->entries);
    self->log[self->log_len++] = (kept_batch_t){copy, self->world->now};
    s_record(self, batch, self->world->now);
}

void checker_replay(checker_t *self)
{
    size_t epochs = self->epochs_len;
    s_forget(self);
    self->replays = true;
    self->index = 0;
    self->hash = (id128_t){{0}};
    self->log_time = 0;
    self->committed_at[0] = self->committed_at[1] = 0;
    for (size_t i = 0; i < epochs; i++)
        self->epochs[i].began = false;
    self->epochs_len = 1;
    for (size_t i = 0; i < self->log_len; i++) {
        while (self->epochs[self->epochs_len - 1].epoch < self->log[i].batch->epoch)
            self->epochs_len++;
        s_record(self, self->log[i].batch, self->log[i].at);
    }
    self->epochs_len = epochs;
    self->replays = false;
}

/* ---- What an operator skips ---- */

void checker_skipped(checker_t *self, uint64_t index, uint64_t epoch, id128_t generation)
{
    uint64_t fence = checker_epoch(self);
    if (epoch > fence) {
        self->epochs = memory_resize(self->epochs, (self->epochs_len + 1) * sizeof *self->epochs);
        self->epochs[self->epochs_len++] =
            (epoch_t){.epoch = epoch, .generation = generation, .node = -1, .at = self->world->now};
    }
    self->world->router_changes++;
    const skipped_t skipped = {index, epoch};
    seen_skips_add(&self->skips, &skipped, fence, self->world->now);
    checker_replay(self);
}

usec_t checker_skipped_at(const checker_t *self)
{
    return self->skips.newest_at;
}

bool checker_gave_up(const checker_t *self, const void *id, size_t len, uint64_t epoch)
{
    return seen_skips_gave_up(&self->skips, id, len, epoch);
}

bool checker_left_out(const checker_t *self, uint64_t epoch, uint64_t index)
{
    return seen_skips_left_out(&self->skips, epoch, index);
}

bool checker_builds_on_skip(const checker_t *self, uint64_t index)
{
    error_t error;
    const batch_t *batch = s_batch_of(self, index);
    if (self->skips.entries_len == 0 || !batch)
        return false;
    wire_arena_t *arena = wire_arena_new();
    const Ixn__V1__Batch *decoded =
        wire_decode_batch(arena, (const uint8_t *)batch->entries.data, batch->entries.len, &error);
    bool builds = decoded && seen_skips_names(&self->skips, decoded->entries[index - batch->first]);
    wire_arena_destroy(&arena);
    return builds;
}

/* ---- The nodes ---- */

void checker_role(checker_t *self, int node, role_t role)
{
    self->roles[node] = role;
}

void checker_process_gone(checker_t *self, int node)
{
    self->roles[node] = ROLE_STARTING;
}

void checker_saved(checker_t *self, int node, const batch_t *batch)
{
    world_trace(self->world, node == 0 ? "a" : "b", "saved", batch->first, batch->last);
}

/* A backup has only what is committed. */
static void s_check_backups(const checker_t *self)
{
    for (int node = 0; node < WORLD_NODES; node++) {
        pair_t *pair = self->world->machines[node]->pair;
        const state_t *state = pair && !pair_node(pair) ? pair_state(pair) : NULL;
        if (state && state->index > self->index)
            world_violation(self->world, "P4 backup",
                            "node %c does not serve and is at index %llu, the log ends at %llu",
                            'a' + node, (unsigned long long)state->index,
                            (unsigned long long)self->index);
        else if (state && state->index > 0 && !s_is_of_the_log(self, state->index, state->hash))
            world_violation(self->world, "P4 backup",
                            "node %c does not serve and has at index %llu what the log does not "
                            "have there",
                            'a' + node, (unsigned long long)state->index);
    }
}

void checker_turn(checker_t *self)
{
    if (!database_sim_reached(self->world, self->world->database))
        self->left_at = self->world->now;
    machine_t **machines = self->world->machines;
    s_check_backups(self);
    if (!machines[0]->pair || !machines[1]->pair)
        return;
    const state_t *a = pair_state(machines[0]->pair);
    const state_t *b = pair_state(machines[1]->pair);
    if (!a || !b || a->index != b->index || a->index == 0 || !id_equal(a->hash, b->hash) ||
        a->skips_len != b->skips_len)
        return;
    if (state_digest(a) != state_digest(b))
        world_violation(self->world, "P6 digest",
                        "both nodes are at index %llu with the same hash, but with states of "
                        "different digests",
                        (unsigned long long)a->index);
    self->level_at = self->world->now;
}

bool checker_compare(const checker_t *self, int node)
{
    world_t *world = self->world;
    const state_t *state = pair_state(world->machines[node]->pair);
    if (!state || state->index != self->index)
        return true;
    if (state->count != self->live_len)
        return world_violation(world, "state", "node %c has %u interactions, the log has %zu",
                               'a' + node, state->count, self->live_len);
    for (size_t i = 0; i < self->live_len; i++) {
        const seen_t *seen = self->live[i];
        char id[ID_TEXT_SIZE];
        const interaction_t *found = state_find(state, &seen->id);
        bool same = found && strcmp(state->queues[found->queue]->name, seen->queue) == 0 &&
                    found->priority == seen->priority && found->age == seen->age &&
                    found->version == seen->version &&
                    (found->state == INTERACTION_ROUTING) == seen->routing &&
                    !(found->flags & INTERACTION_HELD) == !seen->held &&
                    (!seen->routing || (found->more->token_epoch == seen->token_epoch &&
                                        found->more->token_index == seen->token_index));
        if (!same)
            return world_violation(world, "state",
                                   "node %c has interaction %s otherwise than the log (%s)",
                                   'a' + node, id_text(seen->id, id), seen->queue);
    }
    return true;
}
