#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/mutation.h"
#include "core/state_internal.h"

bool state_load_checkpoint(state_t *self, uint64_t index, id128_t hash, usec_t log_time)
{
    if (self->index != 0 || self->count != 0)
        return false;
    self->index = index;
    self->hash = hash;
    self->log_time = log_time;
    image_set_base(self->image, index);
    return true;
}

void state_load_skip(state_t *self, uint64_t index, id128_t batch_hash)
{
    self->skips = memory_resize(self->skips, (self->skips_len + 1) * sizeof *self->skips);
    self->skips[self->skips_len++] = (guard_skip_t){index, batch_hash};
}

bool state_load_configuration(state_t *self, text_t encoded, error_t *ret_error)
{
    Ixn__V1__EngineConfiguration *configuration =
        ixn__v1__engine_configuration__unpack(NULL, encoded.len, (const uint8_t *)encoded.data);
    bool ok = configuration && state_check_configuration(self, configuration);
    self->catalog_loading = true; /* what it declares is in the tables */
    if (ok)
        state_set_configuration(self, configuration);
    self->catalog_loading = false;
    if (!ok)
        error_set(ret_error, ERROR_DATABASE_DIVERGED,
                  "the %zu bytes of ixn.configuration are not an engine configuration",
                  encoded.len);
    if (configuration)
        ixn__v1__engine_configuration__free_unpacked(configuration, NULL);
    return ok;
}

bool state_load_catalog(state_t *self, const catalog_row_t *row, error_t *ret_error)
{
    return catalog_load(self, row, ret_error);
}

static bool s_bad_row(const interaction_row_t *row, const char *what, error_t *ret_error)
{
    char id[ID_TEXT_SIZE];
    return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                     "the row of interaction %s cannot be loaded: %s", id_text(row->id, id), what);
}

static bool s_texts_fit(const interaction_row_t *row)
{
    return row->attributes.len <= LIMIT_ATTRIBUTES_STORED && row->external_id.len <= LIMIT_TEXT &&
           row->media_type.len <= LIMIT_NAME && row->type.len <= LIMIT_NAME &&
           row->subtype.len <= LIMIT_NAME && row->submitted_by.len <= LIMIT_NAME &&
           row->key.len <= LIMIT_KEY && row->tenant.len <= LIMIT_NAME &&
           row->queue.len <= LIMIT_NAME && row->reason.len <= LIMIT_TEXT &&
           row->router.len <= LIMIT_NAME && row->strategy.len <= LIMIT_NAME;
}

/* What no entry could have made of an interaction, as a sentence; NULL: all is well. What would be
 * accepted here would break the first entry that meets it. */
static const char *s_impossible(const state_t *self, const interaction_row_t *row)
{
    bool routing = row->state == INTERACTION_ROUTING;
    if (row->state == INTERACTION_COMPLETED)
        return "a completed one is in the live table";
    if (!routing && row->state != INTERACTION_QUEUED && row->state != INTERACTION_QUARANTINED)
        return "its state is not known to this version; use the version that wrote it";
    if (row->held && row->state != INTERACTION_QUEUED)
        return "only a queued one can be held";
    if ((row->deadline != USEC_NEVER) != (routing || row->held))
        return "a deadline belongs to those that are held or with a router, and to no others";
    if (routing && (row->router.len == 0 || row->token_index > self->index))
        return "it is with no router, or under a token that the checkpoint has not reached";
    if (row->age > self->index)
        return "its age is an index that the checkpoint has not reached";
    if (row->attempts > UINT16_MAX || row->losses > UINT16_MAX)
        return "more attempts than can be counted";
    return NULL;
}

static bool s_load_more(state_t *self, interaction_t *interaction, const interaction_row_t *row,
                        error_t *ret_error)
{
    journey_t *journey = NULL;
    if (row->journey.len > 2 && !journey_parse(row->journey, self->symbols, &journey, ret_error))
        return false;
    bool routing = row->state == INTERACTION_ROUTING;
    if (!journey && !routing && !row->held)
        return true;
    interaction_more_t *more = state_more(interaction);
    more->journey = journey;
    more->attempts = (uint16_t)row->attempts;
    more->losses = (uint16_t)row->losses;
    more->routed_at = row->routed_at;
    more->held_at = row->held_at;
    if (row->reason.len) {
        more->reason = memory_zero(1, row->reason.len + 1);
        memcpy(more->reason, row->reason.data, row->reason.len);
    }
    if (!routing)
        return true;
    state_router_t *router = state_router(self, row->router);
    if (!router)
        return s_bad_row(row, "too many different routers", ret_error);
    more->token_epoch = row->token_epoch;
    more->token_index = row->token_index;
    more->strategy = strategies_held(self, self->queues[interaction->queue]->tenant, row->strategy);
    state_give_to_router(self, interaction, router);
    return true;
}

bool state_load_interaction(state_t *self, const interaction_row_t *row, error_t *ret_error)
{
    uint16_t tenant;
    if (!s_texts_fit(row))
        return s_bad_row(row, "a text is longer than its limit", ret_error);
    const char *impossible = s_impossible(self, row);
    if (impossible)
        return s_bad_row(row, impossible, ret_error);
    id128_t key_hash = key_hash_of(row->tenant, row->key);
    if (state_find(self, &row->id) || state_find_by_key(self, &key_hash))
        return s_bad_row(row, "it, or another one with its key, is there already", ret_error);
    queue_t *queue = NULL;
    if (state_tenant_make(self, row->tenant, &tenant))
        queue = state_queue_make(self, tenant, row->queue);
    if (!queue)
        return s_bad_row(row, "too many different tenants or queues", ret_error);
    interaction_t *interaction = state_record_new(self);
    interaction->id = row->id;
    interaction->key_hash = key_hash;
    interaction->fingerprint = row->fingerprint;
    interaction->state = (uint8_t)row->state;
    interaction->flags = (uint8_t)(INTERACTION_IN_TABLE | (row->held ? INTERACTION_HELD : 0));
    interaction->queue = queue->number;
    interaction->priority = row->priority;
    interaction->version = row->version;
    interaction->age = row->age;
    interaction->deadline = MUTATION(DEADLINES_NOT_LOADED) ? USEC_NEVER : row->deadline;
    interaction->received_at = row->received_at;
    interaction->submitted_at = row->submitted_at;
    interaction->placed_at = row->placed_at;
    interaction->moved_at = row->moved_at;
    bool has_parent = !id_is_zero(row->parent_id);
    const text_t texts[FIELDS] = {
        [FIELD_ATTRIBUTES] = row->attributes,
        [FIELD_EXTERNAL_ID] = row->external_id,
        [FIELD_MEDIA_TYPE] = row->media_type,
        [FIELD_TYPE] = row->type,
        [FIELD_SUBTYPE] = row->subtype,
        [FIELD_SUBMITTED_BY] = row->submitted_by,
        [FIELD_KEY] = row->key,
        [FIELD_PARENT] = {has_parent ? (const char *)row->parent_id.bytes : NULL,
                          has_parent ? sizeof row->parent_id : 0},
    };
    interaction_set_texts(interaction, texts, &self->text_bytes);
    bool ok = state_place_is_free(self, interaction) ||
              s_bad_row(row, "another one has its place in line", ret_error);
    if (!ok || !s_load_more(self, interaction, row, ret_error)) {
        self->count--;
        state_record_free(self, interaction);
        return false;
    }
    index_insert(self->by_id, &interaction->id, interaction->handle);
    index_insert(self->by_key, &interaction->key_hash, interaction->handle);
    state_link(self, interaction);
    digest_add(self, interaction);
    tally_add(self, interaction);
    return true;
}

bool state_load_completed(state_t *self, const interaction_row_t *row, error_t *ret_error)
{
    uint16_t tenant;
    if (row->tenant.len > LIMIT_NAME || row->key.len > LIMIT_KEY)
        return s_bad_row(row, "a text is longer than its limit", ret_error);
    if (state_find(self, &row->id) || state_remembered(self, &row->id))
        return s_bad_row(row, "it is there already, live or completed", ret_error);
    if (!state_tenant_make(self, row->tenant, &tenant))
        return s_bad_row(row, "too many different tenants", ret_error);
    journey_t *journey = NULL;
    if (row->journey.len > 2 && !journey_parse(row->journey, self->symbols, &journey, ret_error))
        return false;
    remembered_t entry = {.id = row->id,
                          .key_hash = key_hash_of(row->tenant, row->key),
                          .fingerprint = row->fingerprint,
                          .completed_log = row->completed_log,
                          .completed_at = row->completed_at,
                          .tenant = tenant};
    remembered_changes(&entry, journey);
    journey_destroy(&journey, self->symbols);
    remembered_add(&self->remembered, &entry);
    return true;
}
