#include "tests/unit/engine_tables.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/base/alloc.h"

struct engine_tables {
    checkpoint_image_t **images;
    size_t images_len;
    const interaction_row_t **live;
    size_t live_len;
};

engine_tables_t *engine_tables_new(void)
{
    return memory_zero(1, sizeof(engine_tables_t));
}

void engine_tables_destroy(engine_tables_t **self_p)
{
    engine_tables_t *self = *self_p;
    for (size_t i = 0; i < self->images_len; i++)
        checkpoint_image_destroy(&self->images[i]);
    free(self->images);
    free(self->live);
    free(self);
    *self_p = NULL;
}

static size_t s_position(const engine_tables_t *self, id128_t id)
{
    size_t at = 0;
    while (at < self->live_len && !id_equal(self->live[at]->id, id))
        at++;
    return at;
}

uint64_t engine_tables_write(engine_tables_t *self, checkpoint_image_t *image)
{
    uint64_t from = self->images_len ? self->images[self->images_len - 1]->to : 0;
    cr_assert_eq(image->from, from, "an image does not continue the one before");
    self->images = memory_resize(self->images, (self->images_len + 1) * sizeof *self->images);
    self->images[self->images_len++] = image;
    for (size_t i = 0; i < image->gone_len; i++) {
        size_t at = s_position(self, image->gone[i]);
        cr_assert(at < self->live_len, "an image takes a row out that is not there");
        self->live[at] = self->live[--self->live_len];
    }
    self->live =
        memory_resize(self->live, (self->live_len + image->changed_len) * sizeof *self->live);
    for (size_t i = 0; i < image->changed_len; i++) {
        size_t at = s_position(self, image->changed[i].id);
        self->live[at] = &image->changed[i];
        if (at == self->live_len)
            self->live_len++;
    }
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
    for (size_t i = 0; i < self->live_len; i++)
        cr_assert(state_load_interaction(state, self->live[i], &error), "%s", error.text);
    for (size_t i = 0; i < self->images_len; i++)
        for (size_t j = 0; j < self->images[i]->finished_len; j++)
            cr_assert(state_load_completed(state, &self->images[i]->finished[j], &error), "%s",
                      error.text);
}
