#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "tests/sim/checker.h"
#include "tests/sim/database.h"
#include "tests/sim/mutations.h"
#include "tests/sim/planted.h"
#include "tests/unit/kept_row.h"
#include "tests/unit/kept_service.h"

/* What the tables hold, and what comes out of them: as ixn.pair, ixn.journal, ixn.checkpoint,
 * ixn.configuration, ixn.interaction and ixn.interaction_history do. */

enum { FOLLOW_BATCHES = 64 };

/* The dedupe window of the engine's configuration (machine.c), in log time. */
#define DEDUPE_WINDOW_US (600 * USEC_PER_SECOND)

void tables_init(database_sim_t *self)
{
    random_t random = {self->world->seed ^ UINT64_C(0xD1B54A32D192ED03) ^
                       (self->world->servers_len - 1) << 40};
    self->row.identity = (identity_t){random_id(&random), random_u64(&random) >> 1, 16384};
    self->row.schema_version = DATABASE_SCHEMA_VERSION;
    snprintf(self->row.server, sizeof self->row.server, "the simulated database");
    batch_t *genesis = batch_new(0, 0, 0, (id128_t){0}, 0, 0, (text_t){0});
    genesis->hash = id_hash(self->row.identity.database_id.bytes, 16);
    self->checkpoint_hash = genesis->hash;
    self->journal_capacity = 64;
    self->journal = memory_new(self->journal_capacity * sizeof *self->journal);
    self->journal_at = memory_new(self->journal_capacity * sizeof *self->journal_at);
    self->journal[0] = genesis;
    self->journal_at[0] = 0;
    self->journal_len = 1;
}

void tables_free(database_sim_t *self)
{
    for (size_t i = 0; i < self->journal_len; i++)
        batch_destroy(&self->journal[i]);
    free(self->journal);
    free(self->journal_at);
    buffer_free(&self->configuration);
    free(self->epochs);
    kept_catalog_free(&self->catalog);
    table_clear(&self->live);
    table_clear(&self->history);
    kept_services_clear(&self->services);
    free(self->skips);
}

const batch_t *tables_head(const database_sim_t *self)
{
    return self->journal[self->journal_len - 1];
}

instance_t tables_instance(const database_sim_t *self)
{
    instance_t instance = {.started_at = (usec_t)self->boot, .port = self->port};
    if (self->world->options.one_address)
        snprintf(instance.address, sizeof instance.address, "127.0.0.1");
    else
        snprintf(instance.address, sizeof instance.address, "10.0.0.%u", self->host);
    return instance;
}

/* As dap/database.c asks for it. */
static lineage_t s_lineage(const database_sim_t *self, const place_t *known, id128_t *ret_there)
{
    size_t at = 0;
    if (known->index == 0)
        return LINEAGE_UNKNOWN;
    while (at < self->journal_len && self->journal[at]->last < known->index)
        at++;
    if (at == self->journal_len)
        return LINEAGE_SHORT;
    const batch_t *batch = self->journal[at];
    if (batch->last == known->index) {
        *ret_there = batch->hash;
        return id_equal(batch->hash, known->hash) ? LINEAGE_AGREES : LINEAGE_DIVERGED;
    }
    if (batch->first <= known->index)
        return LINEAGE_DIVERGED;
    bool has = false;
    for (size_t i = 0; i < self->epochs_len; i++) {
        const begun_t *begun = &self->epochs[i];
        has |= begun->epoch == known->epoch && id_equal(begun->generation, known->generation);
        if (begun->epoch > known->epoch && begun->first <= known->index)
            return LINEAGE_DIVERGED;
    }
    return has ? LINEAGE_AGREES : LINEAGE_DIVERGED;
}

void tables_status(const database_sim_t *self, const place_t *known, database_status_t *ret_status)
{
    const batch_t *head = tables_head(self);
    *ret_status = self->row;
    ret_status->instance = tables_instance(self);
    ret_status->standby = self->standby;
    ret_status->known = *known;
    ret_status->lineage = s_lineage(self, known, &ret_status->there);
    ret_status->head_index = head->last;
    ret_status->head_hash = head->hash;
    ret_status->head_log_time = head->log_time;
    ret_status->head_wall_time = head->wall_time;
    ret_status->skips = self->skips_len;
}

void tables_begin_epoch(database_sim_t *self)
{
    self->epochs = memory_resize(self->epochs, (self->epochs_len + 1) * sizeof *self->epochs);
    self->epochs[self->epochs_len++] =
        (begun_t){self->row.epoch, self->row.generation, tables_head(self)->last + 1};
}

static batch_t *s_copy(const batch_t *batch)
{
    batch_t *copy = batch_new(batch->epoch, batch->first, batch->last, batch->previous,
                              batch->log_time, batch->wall_time, batch->entries);
    copy->hash = batch->hash;
    return copy;
}

void tables_append(database_sim_t *self, const batch_t *batch)
{
    if (self->journal_len == self->journal_capacity) {
        self->journal_capacity *= 2;
        self->journal =
            memory_resize(self->journal, self->journal_capacity * sizeof *self->journal);
        self->journal_at =
            memory_resize(self->journal_at, self->journal_capacity * sizeof *self->journal_at);
    }
    self->journal[self->journal_len] = s_copy(batch);
    self->journal_at[self->journal_len++] = self->world->now;
}

bool tables_lose(database_sim_t *self, size_t batches)
{
    while (batches > 0 && self->journal_len > 1 &&
           self->journal[self->journal_len - 2]->last >= self->row.checkpoint_index) {
        batch_destroy(&self->journal[--self->journal_len]);
        batches--;
    }
    /* A claim is older than its first batch, so the newest that is left may have none. */
    while (self->epochs_len > 1 &&
           self->epochs[self->epochs_len - 1].first > tables_head(self)->last + 1)
        self->epochs_len--;
    const begun_t *begun = &self->epochs[self->epochs_len - 1];
    self->row.epoch = begun->epoch;
    self->row.generation = self->checkpoint_generation = begun->generation;
    return batches == 0;
}

void tables_forge(database_sim_t *self)
{
    static const char beat[] = {0x0a, 0x02, 0x12, 0x00};
    const batch_t *head = tables_head(self);
    batch_t *batch = batch_new(self->row.epoch, head->last + 1, head->last + 1, head->hash,
                               head->log_time, head->wall_time, (text_t){beat, sizeof beat});
    tables_append(self, batch);
    batch_destroy(&batch);
}

static void s_keep_skip(database_sim_t *self, guard_skip_t skip)
{
    size_t at = self->skips_len++;
    self->skips = memory_resize(self->skips, self->skips_len * sizeof *self->skips);
    for (; at > 0 && self->skips[at - 1].index > skip.index; at--)
        self->skips[at] = self->skips[at - 1];
    self->skips[at] = skip;
}

static const batch_t *s_batch_of(const database_sim_t *self, uint64_t index)
{
    for (size_t i = 0; i < self->journal_len; i++)
        if (self->journal[i]->first <= index && index <= self->journal[i]->last)
            return self->journal[i];
    return NULL;
}

bool tables_skip(database_sim_t *self, uint64_t index, uint64_t highest_epoch, error_t *ret_error)
{
    const batch_t *batch = s_batch_of(self, index);
    if (index <= self->row.checkpoint_index)
        return error_set(ret_error, ERROR_DATABASE_REFUSED, "it is in the tables already");
    if (!batch)
        return error_set(ret_error, ERROR_DATABASE_REFUSED, "the journal holds no such entry");
    for (size_t i = 0; i < self->skips_len; i++)
        if (self->skips[i].index == index && id_equal(self->skips[i].batch, batch->hash))
            return error_set(ret_error, ERROR_DATABASE_REFUSED, "it is skipped already");
    s_keep_skip(self, (guard_skip_t){index, batch->hash});
    if (mutation_is(MUTATION_SKIP_IN_EPOCH))
        return true;
    self->row.epoch = (self->row.epoch > highest_epoch ? self->row.epoch : highest_epoch) + 1;
    self->row.generation = self->checkpoint_generation = random_id(&self->world->random);
    snprintf(self->row.owner, sizeof self->row.owner, "an operator");
    tables_begin_epoch(self);
    return true;
}

static void s_copy_rows(kept_row_t **table, kept_row_t *original)
{
    kept_row_t *kept, *next;
    HASH_ITER(hh, original, kept, next)
    {
        table_put(table, &kept->row);
    }
}

void tables_copy(database_sim_t *self, const database_sim_t *original)
{
    self->row = original->row;
    snprintf(self->row.server, sizeof self->row.server, "a copy on host %u", self->host);
    self->checkpoint_generation = original->checkpoint_generation;
    self->checkpoint_hash = original->checkpoint_hash;
    self->checkpoint_log_time = original->checkpoint_log_time;
    self->journal_capacity = original->journal_capacity;
    self->journal = memory_new(self->journal_capacity * sizeof *self->journal);
    self->journal_at = memory_new(self->journal_capacity * sizeof *self->journal_at);
    self->journal_len = original->journal_len;
    for (size_t i = 0; i < original->journal_len; i++) {
        self->journal[i] = s_copy(original->journal[i]);
        self->journal_at[i] = original->journal_at[i];
    }
    for (size_t i = 0; i < original->epochs_len; i++) {
        self->epochs = memory_resize(self->epochs, (i + 1) * sizeof *self->epochs);
        self->epochs[self->epochs_len++] = original->epochs[i];
    }
    buffer_append(&self->configuration, original->configuration.bytes, original->configuration.len);
    for (size_t i = 0; i < original->skips_len; i++)
        s_keep_skip(self, original->skips[i]);
    for (size_t i = 0; i < original->catalog.len; i++)
        kept_catalog_write(&self->catalog, &original->catalog.rows[i]);
    s_copy_rows(&self->live, original->live);
    s_copy_rows(&self->history, original->history);
    kept_service_t *kept, *next;
    HASH_ITER(hh, original->services, kept, next)
    {
        kept_service_put(&self->services, &kept->row);
    }
}

/* Rows that the checkpoint has passed go when they are old enough; the newest never. */
static void s_retain(database_sim_t *self)
{
    usec_t since = self->world->now - self->world->options.journal_retention;
    size_t old = 0;
    bool ahead = mutation_is(MUTATION_RETENTION_AHEAD);
    while (old + 1 < self->journal_len &&
           (ahead || (self->journal_at[old] < since &&
                      self->journal[old]->last <= self->row.checkpoint_index)))
        batch_destroy(&self->journal[old++]);
    self->journal_len -= old;
    memmove(self->journal, self->journal + old, self->journal_len * sizeof *self->journal);
    memmove(self->journal_at, self->journal_at + old, self->journal_len * sizeof *self->journal_at);
}

void tables_follow(const database_sim_t *self, ask_t *ask)
{
    size_t at = self->journal_len;
    while (at > 0 && self->journal[at - 1]->last > ask->index)
        at--;
    /* The row at the index is there with that hash, or the one after it says so. */
    bool meets = at > 0 && self->journal[at - 1]->last == ask->index
                     ? id_equal(self->journal[at - 1]->hash, ask->hash)
                     : at < self->journal_len && self->journal[at]->first == ask->index + 1 &&
                           id_equal(self->journal[at]->previous, ask->hash);
    if (!meets) {
        ask->gone = true;
        return;
    }
    size_t len = self->journal_len - at;
    ask->batches_len = len < FOLLOW_BATCHES ? len : FOLLOW_BATCHES;
    ask->batches = memory_new((ask->batches_len + 1) * sizeof *ask->batches);
    for (size_t i = 0; i < ask->batches_len; i++)
        ask->batches[i] = s_copy(self->journal[at + i]);
}

/* ---- Loading: in the order of dap/load.c ---- */

static int s_by_completion(const void *a, const void *b)
{
    const interaction_row_t *x = &(*(kept_row_t *const *)a)->row;
    const interaction_row_t *y = &(*(kept_row_t *const *)b)->row;
    if (x->completed_log != y->completed_log)
        return x->completed_log < y->completed_log ? -1 : 1;
    return (x->age > y->age) - (x->age < y->age);
}

static bool s_load_rows(const database_sim_t *self, state_t *state, error_t *ret_error)
{
    kept_row_t *kept, *next;
    HASH_ITER(hh, self->live, kept, next)
    {
        if (!state_load_interaction(state, &kept->row, ret_error))
            return false;
    }
    kept_service_t *service, *next_service;
    HASH_ITER(hh, self->services, service, next_service)
    {
        if (!state_load_service(state, &service->row, ret_error))
            return false;
    }
    size_t len = 0;
    kept_row_t **done = memory_new((HASH_COUNT(self->history) + 1) * sizeof *done);
    HASH_ITER(hh, self->history, kept, next)
    {
        if (kept->row.completed_log >= self->checkpoint_log_time - DEDUPE_WINDOW_US)
            done[len++] = kept;
    }
    qsort(done, len, sizeof *done, s_by_completion);
    bool ok = true;
    for (size_t i = 0; ok && i < len; i++)
        ok = state_load_completed(state, &done[i]->row, ret_error);
    free(done);
    return ok;
}

static bool s_load_journal(const database_sim_t *self, const guard_t *guard, state_t *state,
                           error_t *ret_error)
{
    wire_arena_t *arena = wire_arena_new();
    bool ok = true;
    for (size_t i = 0; ok && i < self->journal_len; i++)
        if (self->journal[i]->last > self->row.checkpoint_index)
            ok = state_apply_batch(state, self->journal[i], arena, guard, ret_error);
    wire_arena_destroy(&arena);
    return ok;
}

/* It stops before what crashed nodes, or where it builds on what an operator has skipped. */
static bool s_may_fail(const database_sim_t *self, const state_t *state, const error_t *error)
{
    return error->code == ERROR_POISON || planted_load_died(self->world->planted) ||
           checker_builds_on_skip(self->world->checker, state->index + 1);
}

bool tables_load(const database_sim_t *self, const guard_t *guard, state_t **ret_state,
                 error_t *ret_error)
{
    state_t *state = state_new();
    CHECK(state_load_checkpoint(state, self->row.checkpoint_index, self->checkpoint_hash,
                                self->checkpoint_log_time));
    for (size_t i = 0; i < self->skips_len; i++)
        state_load_skip(state, self->skips[i].index, self->skips[i].batch);
    text_t configuration = {(const char *)self->configuration.bytes, self->configuration.len};
    error_t error = {0};
    bool ok = (configuration.len == 0 || state_load_configuration(state, configuration, &error)) &&
              kept_catalog_load(&self->catalog, state, state_load_catalog, &error) &&
              s_load_rows(self, state, &error) && s_load_journal(self, guard, state, &error);
    if (!ok) {
        if (!s_may_fail(self, state, &error))
            world_violation(self->world, "recovery", "what the database holds cannot be loaded: %s",
                            error.text);
        state_destroy(&state);
        *ret_error = error;
        return false;
    }
    state_follow_begin(state);
    *ret_state = state;
    return true;
}

/* ---- Checkpoint ---- */

/* As jsonb gives it back: a space behind each comma and colon that is not in a string. */
static text_t s_as_jsonb(buffer_t *buffer, text_t text)
{
    bool in_string = false;
    buffer_clear(buffer);
    uint8_t *out = buffer_reserve(buffer, 2 * text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (!in_string && c == ' ')
            continue;
        *out++ = (uint8_t)c;
        if (in_string && c == '\\' && i + 1 < text.len)
            *out++ = (uint8_t)text.data[++i];
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == ',' || c == ':'))
            *out++ = ' ';
    }
    buffer->len = (size_t)(out - buffer->bytes);
    return (text_t){(const char *)buffer->bytes, buffer->len};
}

static void s_put(kept_row_t **table, const interaction_row_t *row)
{
    buffer_t attributes = {0}, journey = {0};
    interaction_row_t stored = *row;
    stored.attributes = s_as_jsonb(&attributes, row->attributes);
    stored.journey = s_as_jsonb(&journey, row->journey);
    table_put(table, &stored);
    buffer_free(&attributes);
    buffer_free(&journey);
}

void tables_write_image(database_sim_t *self, const checkpoint_image_t *image)
{
    for (size_t i = 0; i < image->gone_len; i++) {
        kept_row_t *kept = table_find(self->live, &image->gone[i]);
        if (kept)
            table_delete(&self->live, kept);
    }
    for (size_t i = 0; i < image->changed_len; i++) {
        char id[ID_TEXT_SIZE];
        if (i < image->added_len && table_find(self->live, &image->changed[i]->id))
            world_violation(self->world, "checkpoint",
                            "image %llu … %llu adds interaction %s, which is in the table",
                            (unsigned long long)image->from, (unsigned long long)image->to,
                            id_text(image->changed[i]->id, id));
        s_put(&self->live, image->changed[i]);
    }
    for (size_t i = 0; i < image->finished_len; i++) {
        char id[ID_TEXT_SIZE];
        /* The real table refuses it, and with it every checkpoint from then on. */
        if (table_find(self->history, &image->finished[i]->id))
            world_violation(self->world, "checkpoint",
                            "image %llu … %llu brings interaction %s into the history again",
                            (unsigned long long)image->from, (unsigned long long)image->to,
                            id_text(image->finished[i]->id, id));
        s_put(&self->history, image->finished[i]);
    }
    kept_services_write(&self->services, image);
    if (image->configuration_changed) {
        buffer_clear(&self->configuration);
        buffer_append(&self->configuration, image->configuration.data, image->configuration.len);
    }
    for (size_t i = 0; i < image->catalog_len; i++)
        kept_catalog_write(&self->catalog, &image->catalog[i]);
    self->row.checkpoint_index = image->to;
    self->checkpoint_hash = image->hash;
    self->checkpoint_log_time = image->log_time;
    s_retain(self);
}
