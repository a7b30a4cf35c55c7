/* Row table: what differs between two tables of kept rows, and between them and a state. For tests
 * of images and of loading.
 */
#ifndef IXN_TESTS_ROW_TABLE_H
#define IXN_TESTS_ROW_TABLE_H

#include <criterion/criterion.h>
#include <inttypes.h>

#include "core/state.h"
#include "tests/unit/kept_row.h"

/* The name of the first field that differs, or NULL. */
static inline const char *row_differs(const interaction_row_t *a, const interaction_row_t *b)
{
    static const char *const names[ROW_TEXTS] = {
        "tenant", "queue",      "media_type", "type",   "subtype",  "external_id", "submitted_by",
        "key",    "attributes", "journey",    "router", "strategy", "reason"};
    for (size_t i = 0; i < ROW_TEXTS; i++)
        if (!text_equal(*row_text(a, i), *row_text(b, i)))
            return names[i];
    if (!id_equal(a->id, b->id))
        return "id";
    if (!id_equal(a->parent_id, b->parent_id))
        return "parent_id";
#define SAME(field)                                                                                \
    if (a->field != b->field)                                                                      \
    return #field
    SAME(state);
    SAME(held);
    SAME(fingerprint);
    SAME(priority);
    SAME(version);
    SAME(age);
    SAME(token_epoch);
    SAME(token_index);
    SAME(attempts);
    SAME(losses);
    SAME(deadline);
    SAME(received_at);
    SAME(submitted_at);
    SAME(placed_at);
    SAME(moved_at);
    SAME(routed_at);
    SAME(held_at);
    SAME(completed_at);
    SAME(completed_log);
#undef SAME
    return NULL;
}

static inline void row_assert_equal(const interaction_row_t *is, const interaction_row_t *should)
{
    const char *field = row_differs(is, should);
    char id[ID_TEXT_SIZE];
    cr_assert_null(field, "%s differs in interaction %s: journey %.*s, expected %.*s", field,
                   id_text(should->id, id), (int)is->journey.len, is->journey.data,
                   (int)should->journey.len, should->journey.data);
}

static inline void table_assert_equal(kept_row_t *is, kept_row_t *should)
{
    cr_assert_eq(HASH_COUNT(is), HASH_COUNT(should), "%u rows, expected %u", HASH_COUNT(is),
                 HASH_COUNT(should));
    kept_row_t *kept, *next;
    HASH_ITER(hh, should, kept, next)
    {
        char id[ID_TEXT_SIZE];
        kept_row_t *other = table_find(is, &kept->row.id);
        cr_assert(other, "%s is missing", id_text(kept->row.id, id));
        row_assert_equal(&other->row, &kept->row);
    }
}

/* The row that an interaction should have now, written from the public description (core/row.h).
 * `journey` (cleared first) holds the row's text. */
static inline interaction_row_t row_of(const state_t *state, const interaction_t *interaction,
                                       buffer_t *journey)
{
    const queue_t *queue = state->queues[interaction->queue];
    const interaction_more_t *more = interaction->more;
    text_t parent = interaction_text(interaction, FIELD_PARENT);
    text_t attributes = interaction_text(interaction, FIELD_ATTRIBUTES);
    buffer_clear(journey);
    journey_print(more ? more->journey : NULL, state->symbols, journey);
    interaction_row_t row = {
        .id = interaction->id,
        .state = interaction->state,
        .held = interaction->flags & INTERACTION_HELD,
        .tenant = text_of(state->tenants[queue->tenant]),
        .queue = text_of(queue->name),
        .media_type = interaction_text(interaction, FIELD_MEDIA_TYPE),
        .type = interaction_text(interaction, FIELD_TYPE),
        .subtype = interaction_text(interaction, FIELD_SUBTYPE),
        .external_id = interaction_text(interaction, FIELD_EXTERNAL_ID),
        .submitted_by = interaction_text(interaction, FIELD_SUBMITTED_BY),
        .key = interaction_text(interaction, FIELD_KEY),
        .fingerprint = interaction->fingerprint,
        .attributes = attributes.len ? attributes : TEXT("{}"),
        .journey = {(char *)journey->bytes, journey->len},
        .priority = interaction->priority,
        .version = interaction->version,
        .age = interaction->age,
        .attempts = more ? more->attempts : 0,
        .losses = more ? more->losses : 0,
        .reason = more ? text_of(more->reason) : TEXT(""),
        .deadline = interaction->deadline,
        .received_at = interaction->received_at,
        .submitted_at = interaction->submitted_at,
        .placed_at = interaction->placed_at,
        .moved_at = interaction->moved_at,
        .routed_at = more ? more->routed_at : 0,
        .held_at = more ? more->held_at : 0,
    };
    if (parent.len == sizeof row.parent_id.bytes)
        memcpy(row.parent_id.bytes, parent.data, parent.len);
    if (interaction->state == INTERACTION_ROUTING) {
        row.router = text_of(state->routers[more->router]->name);
        row.strategy = text_of(more->strategy->name);
        row.token_epoch = more->token_epoch;
        row.token_index = more->token_index;
    }
    return row;
}

/* All rows of a state, found through its records (not through what marks changes). */
static inline kept_row_t *table_of(const state_t *state)
{
    kept_row_t *table = NULL;
    buffer_t journey = {0};
    for (uint32_t chunk = 0; chunk < state->chunks_len; chunk++) {
        for (size_t i = 0; i < 4096; i++) { /* records in a chunk, as in core/state.c */
            const interaction_t *interaction = &state->chunks[chunk][i];
            if (!interaction->state || interaction->state == INTERACTION_COMPLETED)
                continue; /* free, or finished and kept for an image */
            interaction_row_t row = row_of(state, interaction, &journey);
            table_put(&table, &row);
        }
    }
    buffer_free(&journey);
    cr_assert_eq(HASH_COUNT(table), state->count);
    return table;
}

#endif
