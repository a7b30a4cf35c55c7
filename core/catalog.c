#include "core/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/state_internal.h"

struct catalog_gone {
    uint64_t index; /* of the entry that removed it */
    catalog_kind_t kind;
    uint32_t version;
    char tenant[LIMIT_NAME + 1];
    char name[LIMIT_NAME + 1];
    char router[LIMIT_NAME + 1];
};

/* ---- Stamps ---- */

void catalog_changed(state_t *self, catalog_stamp_t *stamp, uint64_t digest)
{
    catalog_t *catalog = &self->catalog;
    catalog->digest += digest - stamp->digest;
    stamp->digest = digest;
    if (self->catalog_loading)
        return;
    stamp->index = self->index + 1;
    catalog->changed = stamp->index;
}

static void s_copy(char out[LIMIT_NAME + 1], text_t text)
{
    CHECK(text.len <= LIMIT_NAME);
    if (text.len)
        memcpy(out, text.data, text.len);
    out[text.len] = '\0';
}

void catalog_left(state_t *self, const catalog_stamp_t *stamp, const catalog_row_t *row)
{
    catalog_t *catalog = &self->catalog;
    catalog->digest -= stamp->digest;
    catalog->changed = self->index + 1;
    if ((catalog->gone_len & (catalog->gone_len - 1)) == 0)
        catalog->gone = memory_resize(
            catalog->gone, (catalog->gone_len ? catalog->gone_len * 2 : 1) * sizeof *catalog->gone);
    catalog_gone_t *gone = &catalog->gone[catalog->gone_len++];
    *gone = (catalog_gone_t){.index = self->index + 1, .kind = row->kind, .version = row->version};
    s_copy(gone->tenant, row->tenant);
    s_copy(gone->name, row->name);
    if (row->kind == CATALOG_ACTIVATION)
        s_copy(gone->router, row->router);
}

void catalog_forget_gone(catalog_t *self, uint64_t index)
{
    size_t old = 0;
    while (old < self->gone_len && self->gone[old].index <= index)
        old++;
    if (old == 0)
        return;
    self->gone_len -= old;
    memmove(self->gone, self->gone + old, self->gone_len * sizeof *self->gone);
    /* Its room is that of the next power of two, as catalog_left expects. */
    size_t room = 1;
    while (room < self->gone_len)
        room *= 2;
    self->gone = memory_resize(self->gone, room * sizeof *self->gone);
}

void catalog_free(catalog_t *self)
{
    strategies_free(self);
    agents_free(self);
    drains_free(self);
    free(self->gone);
}

/* ---- Images ---- */

typedef struct {
    arena_t *arena;
    catalog_row_t *rows;
    size_t len;
    size_t capacity;
} rows_t;

static text_t s_keep(arena_t *arena, text_t text)
{
    return text.len ? arena_text(arena, text) : TEXT("");
}

static void s_push(rows_t *self, const catalog_row_t *row)
{
    if (self->len == self->capacity) {
        self->capacity = self->capacity * 2 + 64;
        self->rows = memory_resize(self->rows, self->capacity * sizeof *self->rows);
    }
    catalog_row_t *copy = &self->rows[self->len++];
    *copy = *row;
    text_t *const texts[] = {&copy->tenant, &copy->name,         &copy->router, &copy->by,
                             &copy->body,   &copy->content_type, &copy->comment};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = s_keep(self->arena, *texts[i]);
}

static void s_collect_strategy(const state_t *self, uint64_t base,
                               const strategy_record_t *strategy, catalog_kind_t kind, rows_t *rows)
{
    size_t len = kind == CATALOG_STRATEGY     ? strategy->versions_len
                 : kind == CATALOG_ACTIVATION ? strategy->activations_len
                                              : 1;
    for (size_t i = 0; i < len; i++) {
        const catalog_stamp_t *stamp = kind == CATALOG_STRATEGY ? &strategy->versions[i].stamp
                                       : kind == CATALOG_ACTIVATION
                                           ? &strategy->activations[i].stamp
                                           : &strategy->turn;
        if (stamp->index <= base)
            continue;
        catalog_row_t row = kind == CATALOG_STRATEGY
                                ? strategy_version_row(self, strategy, &strategy->versions[i])
                            : kind == CATALOG_ACTIVATION
                                ? strategy_activation_row(self, strategy, &strategy->activations[i])
                                : strategy_turn_row(self, strategy);
        s_push(rows, &row);
    }
}

const catalog_row_t *catalog_collect(state_t *self, uint64_t base, arena_t *arena, size_t *ret_len)
{
    catalog_t *catalog = &self->catalog;
    rows_t rows = {.arena = arena};
    catalog_forget_gone(catalog, base);
    for (size_t i = 0; i < catalog->gone_len; i++) {
        const catalog_gone_t *gone = &catalog->gone[i];
        catalog_row_t row = {.kind = gone->kind,
                             .gone = true,
                             .tenant = text_of(gone->tenant),
                             .name = text_of(gone->name),
                             .router = text_of(gone->router),
                             .version = gone->version};
        s_push(&rows, &row);
    }
    /* Kind by kind: what is alike travels in one statement. */
    for (catalog_kind_t kind = CATALOG_STRATEGY; kind <= CATALOG_TURN; kind++)
        for (const strategy_record_t *strategy = catalog->strategies; strategy;
             strategy = strategy->hh.next)
            s_collect_strategy(self, base, strategy, kind, &rows);
    for (const agent_record_t *agent = catalog->agents; agent; agent = agent->hh.next) {
        if (agent->stamp.index <= base)
            continue;
        catalog_row_t row = agent_row(self, agent);
        s_push(&rows, &row);
    }
    for (const drain_record_t *drain = catalog->drains; drain; drain = drain->hh.next) {
        if (drain->stamp.index <= base)
            continue;
        catalog_row_t row = drain_row(self, drain);
        s_push(&rows, &row);
    }
    catalog_row_t *kept = NULL;
    if (rows.len) {
        kept = arena_take(arena, rows.len * sizeof *kept);
        memcpy(kept, rows.rows, rows.len * sizeof *kept);
    }
    free(rows.rows);
    *ret_len = rows.len;
    return kept;
}

/* ---- Loading ---- */

static bool s_texts_fit(const catalog_row_t *row)
{
    return row->tenant.len <= LIMIT_NAME && row->name.len >= 1 && row->name.len <= LIMIT_NAME &&
           row->router.len <= LIMIT_NAME && row->by.len <= LIMIT_NAME &&
           row->content_type.len <= LIMIT_NAME && row->comment.len <= LIMIT_TEXT &&
           row->body.len <= LIMIT_STRATEGY;
}

static bool s_load(state_t *self, uint16_t tenant, const catalog_row_t *row)
{
    switch (row->kind) {
    case CATALOG_STRATEGY:
        return strategies_load_version(self, tenant, row);
    case CATALOG_ACTIVATION:
        return strategies_load_activation(self, tenant, row);
    case CATALOG_TURN:
        return strategies_load_turn(self, tenant, row);
    case CATALOG_AGENT:
        return agents_load(self, tenant, row);
    case CATALOG_DRAIN:
        return drains_load(self, tenant, row);
    default:
        return false;
    }
}

bool catalog_load(state_t *self, const catalog_row_t *row, error_t *ret_error)
{
    static const char *const tables[CATALOG_KINDS] = {"ixn.strategy", "ixn.strategy_activation",
                                                      "ixn.strategy_turn", "ixn.agent",
                                                      "ixn.router_drain"};
    uint16_t tenant;
    self->catalog_loading = true;
    bool ok = s_texts_fit(row) && row->grant_index <= self->index &&
              state_tenant_make(self, row->tenant, &tenant) && s_load(self, tenant, row);
    self->catalog_loading = false;
    return ok || error_set(ret_error, ERROR_DATABASE_DIVERGED,
                           "a row of %s (tenant \"%.*s\", \"%.*s\") cannot be loaded: no entry "
                           "could have made it; restore the database",
                           tables[row->kind], (int)row->tenant.len, row->tenant.data,
                           (int)row->name.len, row->name.data);
}
