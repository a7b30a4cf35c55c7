#include "tests/unit/engine_tables.h"
#include "tests/unit/kept_catalog.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/index.h"
#include "tests/unit/kept_service.h"

struct engine_tables {
    checkpoint_image_t **images;
    size_t images_len;
    const interaction_row_t **live;
    size_t live_len;
    index_t *by_id; /* positions in `live` */
    kept_service_t *services;
};

static const id128_t *s_id_of(const void *owner, uint32_t at)
{
    const engine_tables_t *self = owner;
    return &self->live[at]->id;
}

engine_tables_t *engine_tables_new(void)
{
    engine_tables_t *self = memory_zero(1, sizeof *self);
    self->by_id = index_new(s_id_of, self);
    return self;
}

void engine_tables_destroy(engine_tables_t **self_p)
{
    engine_tables_t *self = *self_p;
    for (size_t i = 0; i < self->images_len; i++)
        checkpoint_image_destroy(&self->images[i]);
    free(self->images);
    index_destroy(&self->by_id);
    free(self->live);
    kept_services_clear(&self->services);
    free(self);
    *self_p = NULL;
}

/* The last row takes the place of the one that goes. */
static void s_take_out(engine_tables_t *self, id128_t id)
{
    uint32_t at;
    cr_assert(index_find(self->by_id, &id, &at), "an image takes a row out that is not there");
    index_remove(self->by_id, &id);
    uint32_t last = (uint32_t)--self->live_len;
    if (at == last)
        return;
    index_remove(self->by_id, &self->live[last]->id);
    self->live[at] = self->live[last];
    index_insert(self->by_id, &self->live[at]->id, at);
}

static void s_put(engine_tables_t *self, const interaction_row_t *row)
{
    uint32_t at;
    if (index_find(self->by_id, &row->id, &at)) {
        self->live[at] = row;
        return;
    }
    self->live[self->live_len] = row;
    index_insert(self->by_id, &row->id, (uint32_t)self->live_len++);
}

uint64_t engine_tables_write(engine_tables_t *self, checkpoint_image_t *image)
{
    uint64_t from = self->images_len ? self->images[self->images_len - 1]->to : 0;
    cr_assert_eq(image->from, from, "an image does not continue the one before");
    self->images = memory_resize(self->images, (self->images_len + 1) * sizeof *self->images);
    self->images[self->images_len++] = image;
    for (size_t i = 0; i < image->gone_len; i++)
        s_take_out(self, image->gone[i]);
    self->live =
        memory_resize(self->live, (self->live_len + image->changed_len) * sizeof *self->live);
    for (size_t i = 0; i < image->changed_len; i++)
        s_put(self, image->changed[i]);
    cr_assert_eq(kept_services_write(&self->services, image), 0);
    return image->to;
}

void engine_tables_load(const engine_tables_t *self, state_t *state)
{
    if (self->images_len == 0)
        return;
    error_t error = {0};
    const checkpoint_image_t *last = self->images[self->images_len - 1];
    cr_assert(state_load_checkpoint(state, last->to, last->hash, last->log_time));
    for (size_t i = self->images_len; i-- > 0;) {
        if (!self->images[i]->configuration_changed)
            continue;
        cr_assert(state_load_configuration(state, self->images[i]->configuration, &error), "%s",
                  error.text);
        break;
    }
    kept_catalog_t catalog = {0};
    for (size_t i = 0; i < self->images_len; i++)
        for (size_t j = 0; j < self->images[i]->catalog_len; j++)
            kept_catalog_write(&catalog, &self->images[i]->catalog[j]);
    cr_assert(kept_catalog_load(&catalog, state, state_load_catalog, &error), "%s", error.text);
    kept_catalog_free(&catalog);
    for (size_t i = 0; i < self->live_len; i++)
        cr_assert(state_load_interaction(state, self->live[i], &error), "%s", error.text);
    kept_service_t *service, *next;
    HASH_ITER(hh, self->services, service, next)
    {
        cr_assert(state_load_service(state, &service->row, &error), "%s", error.text);
    }
    for (size_t i = 0; i < self->images_len; i++)
        for (size_t j = 0; j < self->images[i]->finished_len; j++)
            cr_assert(state_load_completed(state, self->images[i]->finished[j], &error), "%s",
                      error.text);
}
