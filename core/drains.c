#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/state_internal.h"

/* Drains: routers that get no new work, by an operator's order. Nothing that they hold changes by
 * it; whom it keeps from being chosen is the engine's business. */

drain_record_t *catalog_drain(const state_t *self, uint16_t tenant, text_t router)
{
    if (router.len > LIMIT_NAME)
        return NULL;
    id128_t key = key_hash_of(text_of(self->tenants[tenant]), router);
    drain_record_t *drain = NULL;
    HASH_FIND(hh, self->catalog.drains, &key, sizeof key, drain);
    return drain;
}

static drain_record_t *s_make(state_t *self, uint16_t tenant, text_t router)
{
    drain_record_t *drain = catalog_drain(self, tenant, router);
    if (drain)
        return drain;
    drain = memory_zero(1, sizeof *drain);
    drain->key = key_hash_of(text_of(self->tenants[tenant]), router);
    drain->names = digest_of_names(text_of(self->tenants[tenant]), router);
    drain->tenant = tenant;
    memcpy(drain->router, router.data, router.len);
    HASH_ADD(hh, self->catalog.drains, key, sizeof drain->key, drain);
    return drain;
}

catalog_row_t drain_row(const state_t *self, const drain_record_t *drain)
{
    return (catalog_row_t){.kind = CATALOG_DRAIN,
                           .tenant = text_of(self->tenants[drain->tenant]),
                           .name = text_of(drain->router),
                           .comment = text_of(drain->reason),
                           .by = text_of(drain->by),
                           .at = drain->at};
}

static void s_set(state_t *self, drain_record_t *drain, const catalog_row_t *row)
{
    CHECK(row->by.len <= LIMIT_NAME);
    free(drain->reason);
    drain->reason = memory_zero(1, row->comment.len + 1);
    memcpy(drain->reason, row->comment.data, row->comment.len);
    memset(drain->by, 0, sizeof drain->by);
    if (row->by.len)
        memcpy(drain->by, row->by.data, row->by.len);
    drain->at = row->at;
    const uint64_t head[] = {htole64(CATALOG_DRAIN), htole64(drain->names)};
    catalog_changed(
        self, &drain->stamp,
        XXH3_64bits_withSeed(row->comment.data, row->comment.len, XXH3_64bits(head, sizeof head)));
}

static bool s_fits(const char *text, size_t least, size_t most)
{
    size_t len = strnlen(text, most + 1);
    return len >= least && len <= most;
}

const char *drains_drained(state_t *self, const Ixn__V1__RouterDrained *entry)
{
    uint16_t tenant;
    if (!state_tenant(self, text_of(entry->tenant), &tenant))
        return "its tenant is not there";
    if (!s_fits(entry->router, 1, LIMIT_NAME) || !s_fits(entry->reason, 1, LIMIT_TEXT) ||
        !s_fits(entry->by, 0, LIMIT_NAME))
        return "a text is empty or longer than its limit";
    if (!state_router(self, text_of(entry->router))) /* so that it is listed */
        return "too many routers";
    const catalog_row_t row = {
        .comment = text_of(entry->reason), .by = text_of(entry->by), .at = self->wall_time};
    s_set(self, s_make(self, tenant, text_of(entry->router)), &row);
    return NULL;
}

const char *drains_undrained(state_t *self, const Ixn__V1__RouterUndrained *entry)
{
    uint16_t tenant;
    drain_record_t *drain = state_tenant(self, text_of(entry->tenant), &tenant)
                                ? catalog_drain(self, tenant, text_of(entry->router))
                                : NULL;
    if (!drain)
        return "its router is not drained";
    catalog_row_t row = drain_row(self, drain);
    catalog_left(self, &drain->stamp, &row);
    HASH_DEL(self->catalog.drains, drain);
    free(drain->reason);
    free(drain);
    return NULL;
}

bool drains_load(state_t *self, uint16_t tenant, const catalog_row_t *row)
{
    if (row->comment.len < 1 || catalog_drain(self, tenant, row->name) ||
        !state_router(self, row->name))
        return false;
    s_set(self, s_make(self, tenant, row->name), row);
    return true;
}

void drains_free(catalog_t *self)
{
    drain_record_t *drain, *next;
    HASH_ITER(hh, self->drains, drain, next)
    {
        HASH_DEL(self->drains, drain);
        free(drain->reason);
        free(drain);
    }
}
