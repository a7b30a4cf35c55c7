#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/state_internal.h"

/* How a checkpoint is exact without a pause. Two collections: `next` gathers what changes (handles
 * of changed records, finished rows, ids that leave the table); beginning an image makes it `work`
 * and starts a new `next`. Rows of `work` are copied a few at a time; a record that is about to
 * change again is copied first (image_touch), so every copy is as of the begin. A record made and
 * finished between two begins never reaches the live table. */

/* Beats alone make a checkpoint only now and then: often enough for people who read "as of". */
enum { BEATS_A_CHECKPOINT = 5 };

typedef struct {
    uint32_t *handles;
    size_t len;
    size_t capacity;
} handles_t;

/* A record that was copied before costs a step a look at its flags, and there may be as many of
 * them as the image has rows. So many looks cost about one copy. */
enum { LOOKS_A_ROW = 16 };

/* What becomes a checkpoint_image_t; the public part is first. */
typedef struct {
    checkpoint_image_t image;
    arena_t arena;
    interaction_row_t *changed;
    size_t changed_capacity;
    interaction_row_t *finished;
    size_t finished_capacity;
    id128_t *gone;
    size_t gone_capacity;
} collection_t;

struct image {
    uint64_t base; /* index the tables are brought to by what was given out so far */
    collection_t *next;
    handles_t next_handles;
    collection_t *work; /* NULL: none in work */
    handles_t work_handles;
    size_t work_at;
    uint8_t next_bit; /* flag of records that changed since the begin */
    uint8_t work_bit; /* flag of records that belong to `work` and are not copied yet */
    buffer_t scratch;
};

image_t *image_new(void)
{
    image_t *self = memory_zero(1, sizeof *self);
    self->next = memory_zero(1, sizeof *self->next);
    self->next_bit = INTERACTION_CHANGED_EVEN;
    self->work_bit = INTERACTION_CHANGED_ODD;
    return self;
}

static void s_collection_destroy(collection_t *self)
{
    if (!self)
        return;
    arena_free(&self->arena);
    free(self->changed);
    free(self->finished);
    free(self->gone);
    free(self);
}

void checkpoint_image_destroy(checkpoint_image_t **self_p)
{
    s_collection_destroy((collection_t *)*self_p);
    *self_p = NULL;
}

void image_destroy(image_t **self_p)
{
    image_t *self = *self_p;
    if (!self)
        return;
    s_collection_destroy(self->next);
    s_collection_destroy(self->work);
    free(self->next_handles.handles);
    free(self->work_handles.handles);
    buffer_free(&self->scratch);
    free(self);
    *self_p = NULL;
}

void image_set_base(image_t *self, uint64_t index)
{
    self->base = index;
}

static void s_push_handle(handles_t *self, uint32_t handle)
{
    if (self->len == self->capacity) {
        self->capacity = self->capacity * 2 + 1024;
        self->handles = memory_resize(self->handles, self->capacity * sizeof(uint32_t));
    }
    self->handles[self->len++] = handle;
}

static interaction_row_t *s_push_row(interaction_row_t **rows, size_t len, size_t *capacity)
{
    if (len == *capacity) {
        *capacity = *capacity * 2 + 256;
        *rows = memory_resize(*rows, *capacity * sizeof **rows);
    }
    return *rows + len;
}

/* Texts are copied in one piece, in the order of their block. */
static void s_copy_texts(arena_t *arena, const interaction_t *interaction, interaction_row_t *row)
{
    text_t last = interaction_text(interaction, FIELD_PARENT);
    text_t all = {interaction->texts->data,
                  (size_t)(last.data + last.len - interaction->texts->data)};
    const char *copy = arena_text(arena, all).data;
    text_t *const fields[FIELDS] = {
        [FIELD_ATTRIBUTES] = &row->attributes,
        [FIELD_EXTERNAL_ID] = &row->external_id,
        [FIELD_MEDIA_TYPE] = &row->media_type,
        [FIELD_TYPE] = &row->type,
        [FIELD_SUBTYPE] = &row->subtype,
        [FIELD_SUBMITTED_BY] = &row->submitted_by,
        [FIELD_KEY] = &row->key,
    };
    for (interaction_field_t i = 0; i < FIELDS; i++) {
        text_t text = interaction_text(interaction, i);
        if (fields[i])
            *fields[i] = (text_t){copy + (text.data - interaction->texts->data), text.len};
    }
    if (row->attributes.len == 0)
        row->attributes = TEXT("{}");
    if (last.len == sizeof row->parent_id)
        memcpy(row->parent_id.bytes, last.data, last.len);
}

static void s_copy_more(const state_t *self, arena_t *arena, const interaction_t *interaction,
                        interaction_row_t *row)
{
    const interaction_more_t *more = interaction->more;
    buffer_t *scratch = &self->image->scratch;
    buffer_clear(scratch);
    journey_print(more ? more->journey : NULL, self->symbols, scratch);
    row->journey = arena_text(arena, (text_t){(char *)scratch->bytes, scratch->len});
    if (!more)
        return;
    row->reason = arena_text(arena, text_of(more->reason));
    row->attempts = more->attempts;
    row->losses = more->losses;
    row->routed_at = more->routed_at;
    row->held_at = more->held_at;
    if (interaction->state != INTERACTION_ROUTING)
        return;
    row->router = arena_text(arena, text_of(self->routers[more->router]->name));
    row->strategy = arena_text(arena, symbol_name(self->symbols, more->strategy));
    row->token_epoch = more->token_epoch;
    row->token_index = more->token_index;
}

static void s_copy(const state_t *self, arena_t *arena, const interaction_t *interaction,
                   interaction_row_t *row)
{
    const queue_t *queue = self->queues[interaction->queue];
    *row = (interaction_row_t){
        .id = interaction->id,
        .state = interaction->state,
        .held = interaction->flags & INTERACTION_HELD,
        .tenant = arena_text(arena, text_of(self->tenants[queue->tenant])),
        .queue = arena_text(arena, text_of(queue->name)),
        .fingerprint = interaction->fingerprint,
        .priority = interaction->priority,
        .version = interaction->version,
        .age = interaction->age,
        .deadline = interaction->deadline,
        .received_at = interaction->received_at,
        .submitted_at = interaction->submitted_at,
        .placed_at = interaction->placed_at,
        .moved_at = interaction->moved_at,
    };
    s_copy_texts(arena, interaction, row);
    s_copy_more(self, arena, interaction, row);
}

static void s_copy_changed(state_t *self, interaction_t *interaction)
{
    image_t *image = self->image;
    collection_t *work = image->work;
    interaction->flags = (uint8_t)((interaction->flags & ~image->work_bit) | INTERACTION_IN_TABLE);
    interaction_row_t *row =
        s_push_row(&work->changed, work->image.changed_len, &work->changed_capacity);
    s_copy(self, &work->arena, interaction, row);
    work->image.changed_len++;
}

void image_touch(state_t *self, interaction_t *interaction)
{
    image_t *image = self->image;
    if (interaction->flags & image->work_bit)
        s_copy_changed(self, interaction);
    if (!(interaction->flags & image->next_bit)) {
        interaction->flags |= image->next_bit;
        s_push_handle(&image->next_handles, interaction->handle);
    }
}

void image_finish(state_t *self, interaction_t *interaction)
{
    collection_t *next = self->image->next;
    interaction_row_t *row =
        s_push_row(&next->finished, next->image.finished_len, &next->finished_capacity);
    s_copy(self, &next->arena, interaction, row);
    row->completed_at = self->wall_time;
    row->completed_log = self->log_time;
    next->image.finished_len++;
    if (!(interaction->flags & INTERACTION_IN_TABLE))
        return;
    if (next->image.gone_len == next->gone_capacity) {
        next->gone_capacity = next->gone_capacity * 2 + 256;
        next->gone = memory_resize(next->gone, next->gone_capacity * sizeof *next->gone);
    }
    next->gone[next->image.gone_len++] = interaction->id;
}

bool state_image_needed(const state_t *self)
{
    const image_t *image = self->image;
    return image->next_handles.len > 0 || image->next->image.finished_len > 0 ||
           self->configuration_changed || self->index - image->base >= BEATS_A_CHECKPOINT;
}

bool state_image_in_work(const state_t *self)
{
    return self->image->work != NULL;
}

void state_image_begin(state_t *self)
{
    image_t *image = self->image;
    CHECK(!image->work && self->index > image->base);
    collection_t *work = image->next;
    work->image.from = image->base;
    work->image.to = self->index;
    work->image.hash = self->hash;
    work->image.log_time = self->log_time;
    if (self->configuration_changed) {
        buffer_t packed = {0};
        size_t size = ixn__v1__engine_configuration__get_packed_size(self->configuration);
        ixn__v1__engine_configuration__pack(self->configuration, buffer_reserve(&packed, size));
        work->image.configuration_changed = true;
        work->image.configuration = arena_text(&work->arena, (text_t){(char *)packed.bytes, size});
        buffer_free(&packed);
        self->configuration_changed = false;
    }
    image->work = work;
    image->next = memory_zero(1, sizeof *image->next);
    handles_t empty = image->work_handles;
    image->work_handles = image->next_handles;
    image->next_handles = empty;
    image->next_handles.len = 0;
    image->work_at = 0;
    uint8_t bit = image->work_bit;
    image->work_bit = image->next_bit;
    image->next_bit = bit;
}

checkpoint_image_t *state_image_step(state_t *self, size_t rows)
{
    image_t *image = self->image;
    handles_t *handles = &image->work_handles;
    size_t looks = rows * LOOKS_A_ROW;
    for (; rows > 0 && looks > 0 && image->work_at < handles->len; image->work_at++, looks--) {
        interaction_t *interaction = state_record(self, handles->handles[image->work_at]);
        if (!(interaction->flags & image->work_bit))
            continue; /* copied when it was touched, or gone */
        s_copy_changed(self, interaction);
        rows--;
    }
    if (image->work_at < handles->len)
        return NULL;
    collection_t *done = image->work;
    image->work = NULL;
    handles->len = 0;
    image->base = done->image.to;
    done->image.changed = done->changed;
    done->image.finished = done->finished;
    done->image.gone = done->gone;
    done->image.bytes = done->arena.total + (done->changed_capacity + done->finished_capacity) *
                                                sizeof(interaction_row_t);
    return &done->image;
}
