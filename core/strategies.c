#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/state_internal.h"

/* Stored strategies: their versions, on which routers which one is to run, and whose turn it is. */

/* ---- Finding ---- */

strategy_record_t *catalog_strategy(const state_t *self, uint16_t tenant, text_t name)
{
    if (name.len > LIMIT_NAME)
        return NULL;
    id128_t key = key_hash_of(text_of(self->tenants[tenant]), name);
    strategy_record_t *strategy = NULL;
    HASH_FIND(hh, self->catalog.strategies, &key, sizeof key, strategy);
    return strategy;
}

static strategy_record_t *s_make(state_t *self, uint16_t tenant, text_t name)
{
    strategy_record_t *strategy = catalog_strategy(self, tenant, name);
    if (strategy)
        return strategy;
    strategy = memory_zero(1, sizeof *strategy);
    strategy->key = key_hash_of(text_of(self->tenants[tenant]), name);
    strategy->names = digest_of_names(text_of(self->tenants[tenant]), name);
    strategy->tenant = tenant;
    memcpy(strategy->name, name.data, name.len);
    HASH_ADD(hh, self->catalog.strategies, key, sizeof strategy->key, strategy);
    return strategy;
}

const strategy_version_t *strategy_version(const strategy_record_t *self, uint32_t version)
{
    for (size_t i = 0; i < self->versions_len; i++)
        if (self->versions[i].version == version)
            return &self->versions[i];
    return NULL;
}

const strategy_version_t *strategy_newest(const strategy_record_t *self)
{
    return self && self->versions_len ? &self->versions[self->versions_len - 1] : NULL;
}

/* The place of a router among the activations, or where it would be. */
static size_t s_place(const strategy_record_t *self, const char *router, bool *ret_there)
{
    size_t first = 0, last = self->activations_len;
    while (first < last) {
        size_t middle = (first + last) / 2;
        int order = strcmp(self->activations[middle].router, router);
        if (order == 0) {
            *ret_there = true;
            return middle;
        }
        if (order < 0)
            first = middle + 1;
        else
            last = middle;
    }
    *ret_there = false;
    return first;
}

const strategy_activation_t *strategy_activation(const strategy_record_t *self, const char *router)
{
    bool there;
    size_t place = s_place(self, router, &there);
    return there ? &self->activations[place] : NULL;
}

/* ---- Rows and digest ---- */

catalog_row_t strategy_version_row(const state_t *self, const strategy_record_t *strategy,
                                   const strategy_version_t *version)
{
    return (catalog_row_t){.kind = CATALOG_STRATEGY,
                           .tenant = text_of(self->tenants[strategy->tenant]),
                           .name = text_of(strategy->name),
                           .version = version->version,
                           .by = text_of(version->by),
                           .at = version->at,
                           .body = {version->body, version->size},
                           .content_type = text_of(version->content_type),
                           .comment = text_of(version->comment)};
}

catalog_row_t strategy_activation_row(const state_t *self, const strategy_record_t *strategy,
                                      const strategy_activation_t *activation)
{
    return (catalog_row_t){.kind = CATALOG_ACTIVATION,
                           .tenant = text_of(self->tenants[strategy->tenant]),
                           .name = text_of(strategy->name),
                           .router = text_of(activation->router),
                           .version = activation->version,
                           .by = text_of(activation->by),
                           .at = activation->at};
}

catalog_row_t strategy_turn_row(const state_t *self, const strategy_record_t *strategy)
{
    return (catalog_row_t){.kind = CATALOG_TURN,
                           .tenant = text_of(self->tenants[strategy->tenant]),
                           .name = text_of(strategy->name),
                           .router = text_of(strategy->last),
                           .version = strategy->highest};
}

/* Of a kind of row, what it is about, a version, and a text. */
static uint64_t s_digest(catalog_kind_t kind, uint64_t names, uint32_t version, text_t text)
{
    const uint64_t head[] = {htole64((uint64_t)kind), htole64(names), htole64(version)};
    return XXH3_64bits_withSeed(text.data, text.len, XXH3_64bits(head, sizeof head));
}

static void s_turn_changed(state_t *self, strategy_record_t *strategy)
{
    catalog_changed(
        self, &strategy->turn,
        s_digest(CATALOG_TURN, strategy->names, strategy->highest, text_of(strategy->last)));
}

/* ---- Versions ---- */

static void s_copy(char out[LIMIT_NAME + 1], text_t text)
{
    CHECK(text.len <= LIMIT_NAME);
    if (text.len)
        memcpy(out, text.data, text.len);
    out[text.len] = '\0';
}

static void s_add_version(state_t *self, strategy_record_t *strategy, const catalog_row_t *row)
{
    strategy->versions = memory_resize(strategy->versions,
                                       (strategy->versions_len + 1) * sizeof *strategy->versions);
    size_t at = strategy->versions_len++;
    for (; at > 0 && strategy->versions[at - 1].version > row->version; at--)
        strategy->versions[at] = strategy->versions[at - 1];
    strategy_version_t *version = &strategy->versions[at];
    *version = (strategy_version_t){.version = row->version,
                                    .size = (uint32_t)row->body.len,
                                    .at = row->at,
                                    .hash = id_hash(row->body.data, row->body.len)};
    version->body = memory_new(row->body.len + 1);
    memcpy(version->body, row->body.data, row->body.len);
    version->body[row->body.len] = '\0';
    version->comment = memory_zero(1, row->comment.len + 1);
    if (row->comment.len)
        memcpy(version->comment, row->comment.data, row->comment.len);
    s_copy(version->content_type, row->content_type);
    s_copy(version->by, row->by);
    self->catalog.stored += strategy->versions_len == 1;
    self->catalog.body_bytes += version->size;
    catalog_changed(self, &version->stamp,
                    s_digest(CATALOG_STRATEGY, strategy->names, version->version, row->body));
}

static void s_remove_version(state_t *self, strategy_record_t *strategy, size_t at)
{
    strategy_version_t *version = &strategy->versions[at];
    catalog_row_t row = strategy_version_row(self, strategy, version);
    catalog_left(self, &version->stamp, &row);
    self->catalog.body_bytes -= version->size;
    free(version->body);
    free(version->comment);
    strategy->versions_len--;
    memmove(version, version + 1, (strategy->versions_len - at) * sizeof *version);
    self->catalog.stored -= strategy->versions_len == 0;
}

static bool s_is_activated(const strategy_record_t *strategy, uint32_t version)
{
    for (size_t i = 0; i < strategy->activations_len; i++)
        if (strategy->activations[i].version == version)
            return true;
    return false;
}

/* The oldest go when there are more than are kept. What routers are to run stays. */
static void s_drop_old(state_t *self, strategy_record_t *strategy)
{
    size_t beyond = strategy->versions_len > LIMIT_STRATEGY_VERSIONS
                        ? strategy->versions_len - LIMIT_STRATEGY_VERSIONS
                        : 0;
    for (size_t i = beyond; i-- > 0;)
        if (!s_is_activated(strategy, strategy->versions[i].version))
            s_remove_version(self, strategy, i);
}

static bool s_fits(const char *text, size_t most)
{
    return strnlen(text, most + 1) <= most;
}

static const char s_no_tenant[] = "its tenant is not there";
static const char s_too_long[] = "a text is longer than its limit";
static const char s_not_stored[] = "its strategy is not stored";

const char *strategies_put(state_t *self, const Ixn__V1__StrategyPut *entry)
{
    uint16_t tenant;
    if (!state_tenant(self, text_of(entry->tenant), &tenant))
        return s_no_tenant;
    if (!entry->name[0] || !s_fits(entry->name, LIMIT_NAME) ||
        !s_fits(entry->content_type, LIMIT_NAME) || !s_fits(entry->comment, LIMIT_TEXT) ||
        !s_fits(entry->by, LIMIT_NAME) || entry->body.len < 1 || entry->body.len > LIMIT_STRATEGY)
        return s_too_long;
    const strategy_record_t *known = catalog_strategy(self, tenant, text_of(entry->name));
    if (entry->version != (known ? known->highest : 0) + 1)
        return "its version does not follow the one before";
    strategy_record_t *strategy = s_make(self, tenant, text_of(entry->name));
    const catalog_row_t row = {.version = entry->version,
                               .by = text_of(entry->by),
                               .at = self->wall_time,
                               .body = {(const char *)entry->body.data, entry->body.len},
                               .content_type = text_of(entry->content_type),
                               .comment = text_of(entry->comment)};
    strategy->highest = entry->version;
    s_turn_changed(self, strategy);
    s_add_version(self, strategy, &row);
    s_drop_old(self, strategy);
    return NULL;
}

/* ---- Activations ---- */

static void s_set_activation(state_t *self, strategy_record_t *strategy, const catalog_row_t *row)
{
    char router[LIMIT_NAME + 1];
    s_copy(router, row->router);
    bool there;
    size_t place = s_place(strategy, router, &there);
    if (!there) {
        strategy->activations = memory_resize(
            strategy->activations, (strategy->activations_len + 1) * sizeof *strategy->activations);
        memmove(strategy->activations + place + 1, strategy->activations + place,
                (strategy->activations_len - place) * sizeof *strategy->activations);
        strategy->activations_len++;
        strategy->activations[place] = (strategy_activation_t){0};
    }
    strategy_activation_t *activation = &strategy->activations[place];
    activation->version = row->version;
    activation->at = row->at;
    s_copy(activation->router, row->router);
    s_copy(activation->by, row->by);
    catalog_changed(self, &activation->stamp,
                    s_digest(CATALOG_ACTIVATION, strategy->names, row->version, row->router));
}

static void s_remove_activation(state_t *self, strategy_record_t *strategy, size_t at)
{
    strategy_activation_t *activation = &strategy->activations[at];
    catalog_row_t row = strategy_activation_row(self, strategy, activation);
    catalog_left(self, &activation->stamp, &row);
    strategy->activations_len--;
    memmove(activation, activation + 1, (strategy->activations_len - at) * sizeof *activation);
}

/* The strategy an entry names, or NULL and why not. */
static strategy_record_t *s_named(const state_t *self, const char *tenant_name, const char *name,
                                  const char **ret_misfit)
{
    uint16_t tenant;
    *ret_misfit = s_no_tenant;
    if (!state_tenant(self, text_of(tenant_name), &tenant))
        return NULL;
    strategy_record_t *strategy = catalog_strategy(self, tenant, text_of(name));
    *ret_misfit = s_not_stored;
    return strategy && strategy->versions_len ? strategy : NULL;
}

static bool s_routers_fit(char *const *routers, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!routers[i][0] || !s_fits(routers[i], LIMIT_NAME))
            return false;
    return true;
}

const char *strategies_activated(state_t *self, const Ixn__V1__StrategyActivated *entry)
{
    const char *misfit;
    strategy_record_t *strategy = s_named(self, entry->tenant, entry->name, &misfit);
    if (!strategy)
        return misfit;
    if (!strategy_version(strategy, entry->version))
        return "it activates a version that is not stored";
    if (!s_routers_fit(entry->routers, entry->n_routers) || !s_fits(entry->by, LIMIT_NAME))
        return s_too_long;
    for (size_t i = 0; i < entry->n_routers; i++) {
        const catalog_row_t row = {.router = text_of(entry->routers[i]),
                                   .version = entry->version,
                                   .by = text_of(entry->by),
                                   .at = self->wall_time};
        s_set_activation(self, strategy, &row);
    }
    return NULL;
}

const char *strategies_deactivated(state_t *self, const Ixn__V1__StrategyDeactivated *entry)
{
    const char *misfit;
    strategy_record_t *strategy = s_named(self, entry->tenant, entry->name, &misfit);
    if (!strategy)
        return misfit;
    if (!s_routers_fit(entry->routers, entry->n_routers))
        return s_too_long;
    for (size_t i = 0; i < entry->n_routers; i++) {
        bool there;
        size_t place = s_place(strategy, entry->routers[i], &there);
        if (there)
            s_remove_activation(self, strategy, place);
    }
    return NULL;
}

const char *strategies_removed(state_t *self, const Ixn__V1__StrategyRemoved *entry)
{
    const char *misfit;
    strategy_record_t *strategy = s_named(self, entry->tenant, entry->name, &misfit);
    if (!strategy)
        return misfit;
    while (strategy->activations_len)
        s_remove_activation(self, strategy, strategy->activations_len - 1);
    while (strategy->versions_len)
        s_remove_version(self, strategy, strategy->versions_len - 1);
    return NULL;
}

/* ---- Turns ---- */

strategy_record_t *strategies_dispatched(state_t *self, uint16_t tenant, text_t name, text_t router)
{
    strategy_record_t *strategy = strategies_held(self, tenant, name);
    if (!text_equal(text_of(strategy->last), router)) {
        s_copy(strategy->last, router);
        s_turn_changed(self, strategy);
    }
    return strategy;
}

strategy_record_t *strategies_held(state_t *self, uint16_t tenant, text_t name)
{
    strategy_record_t *strategy = s_make(self, tenant, name);
    strategy->pending++;
    return strategy;
}

void strategies_left(strategy_record_t *strategy)
{
    CHECK(strategy->pending > 0);
    strategy->pending--;
}

/* ---- Loading ---- */

bool strategies_load_version(state_t *self, uint16_t tenant, const catalog_row_t *row)
{
    strategy_record_t *strategy = s_make(self, tenant, row->name);
    if (row->body.len < 1 || row->version < 1 || strategy_version(strategy, row->version))
        return false;
    s_add_version(self, strategy, row);
    if (strategy->highest < row->version)
        strategy->highest = row->version;
    return true;
}

bool strategies_load_activation(state_t *self, uint16_t tenant, const catalog_row_t *row)
{
    strategy_record_t *strategy = catalog_strategy(self, tenant, row->name);
    if (!strategy || !strategy_version(strategy, row->version) || row->router.len == 0)
        return false;
    s_set_activation(self, strategy, row);
    return true;
}

bool strategies_load_turn(state_t *self, uint16_t tenant, const catalog_row_t *row)
{
    strategy_record_t *strategy = s_make(self, tenant, row->name);
    if (strategy->turn.digest || row->version < strategy->highest)
        return false;
    strategy->highest = row->version;
    if (!MUTATION(CURSOR_LOST))
        s_copy(strategy->last, row->router);
    s_turn_changed(self, strategy);
    return true;
}

void strategies_free(catalog_t *self)
{
    strategy_record_t *strategy, *next;
    HASH_ITER(hh, self->strategies, strategy, next)
    {
        for (size_t i = 0; i < strategy->versions_len; i++) {
            free(strategy->versions[i].body);
            free(strategy->versions[i].comment);
        }
        free(strategy->versions);
        free(strategy->activations);
        HASH_DEL(self->strategies, strategy);
        free(strategy);
    }
}
