#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/state_internal.h"

/* How a checkpoint is exact without a pause. Two collections: `next` gathers what changes (handles
 * of changed records, finished rows, ids that leave the table); beginning an image makes it `work`
 * and starts a new `next`. Rows of `work` are copied a few at a time; a record that is about to
 * change again is copied first (image_touch), so every copy is as of the begin. A record made and
 * finished between two begins never reaches the live table.
 *
 * While following, another node writes the tables and nothing is copied. The same two collections
 * then hold what a first image after a take-over would need: `work`, closed at some index, is
 * dropped whole when the other node's checkpoint has reached that index; `next` is closed then. So
 * what is remembered reaches back two checkpoints at most, and an idle log leaves nothing. Of what
 * is finished meanwhile the record itself is kept: nearly always it is dropped unread. */

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

/* Finished while following: the record is the image's. */
typedef struct {
    uint32_t handle;
    uint64_t index; /* of the entry that finished it */
    usec_t completed_at;
    usec_t completed_log;
} kept_t;

/* What becomes a checkpoint_image_t; the public part is first. */
typedef struct {
    checkpoint_image_t image;
    arena_t arena; /* the rows and their texts */
    const interaction_row_t **changed;
    size_t changed_capacity;
    const interaction_row_t **finished;
    size_t finished_capacity;
    uint64_t *finished_at; /* beside `finished`: index of the entry that finished it */
    kept_t *kept;          /* become `finished`, too, when an image is made */
    size_t kept_len;
    size_t kept_capacity;
    id128_t *gone;
    size_t gone_capacity;
    service_collection_t services;
} collection_t;

struct image {
    uint64_t base; /* index the tables are brought to by what was given out so far */
    collection_t *next;
    handles_t next_handles;
    collection_t *work; /* NULL: none in work; following: none closed */
    handles_t work_handles;
    size_t work_at;
    uint8_t next_bit; /* flag of records that changed since the begin */
    uint8_t work_bit; /* flag of records that belong to `work` and are not copied yet */
    bool following;   /* another node writes the tables */
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
    free(self->finished_at);
    free(self->kept);
    free(self->gone);
    service_collection_free(&self->services);
    free(self);
}

service_collection_t *image_services(const state_t *self, bool work)
{
    return work ? &self->image->work->services : &self->image->next->services;
}

arena_t *image_arena(const state_t *self)
{
    return &self->image->work->arena;
}

bool image_is_following(const state_t *self)
{
    return self->image->following;
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

/* What moves when there are more is a pointer for each row. */
static const interaction_row_t **s_push_row(const interaction_row_t ***rows, size_t len,
                                            size_t *capacity)
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
    text_t texts[FIELDS];
    interaction_texts(interaction, texts);
    const text_t parent = texts[FIELD_PARENT];
    const char *block = interaction->texts->data;
    const text_t all = {block, (size_t)(parent.data + parent.len - block)};
    const char *copy = arena_text(arena, all).data;
    for (interaction_field_t i = 0; i < FIELDS; i++)
        texts[i].data = copy + (texts[i].data - block);
    row->attributes = texts[FIELD_ATTRIBUTES].len > 0 ? texts[FIELD_ATTRIBUTES] : TEXT("{}");
    row->external_id = texts[FIELD_EXTERNAL_ID];
    row->media_type = texts[FIELD_MEDIA_TYPE];
    row->type = texts[FIELD_TYPE];
    row->subtype = texts[FIELD_SUBTYPE];
    row->submitted_by = texts[FIELD_SUBMITTED_BY];
    row->key = texts[FIELD_KEY];
    if (parent.len == sizeof row->parent_id)
        memcpy(row->parent_id.bytes, parent.data, parent.len);
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
    row->strategy = arena_text(arena, text_of(more->strategy->name));
    row->token_epoch = more->token_epoch;
    row->token_index = more->token_index;
}

/* A row in the arena. */
static interaction_row_t *s_copy(const state_t *self, arena_t *arena,
                                 const interaction_t *interaction)
{
    const queue_t *queue = self->queues[interaction->queue];
    interaction_row_t *row = arena_take(arena, sizeof *row);
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
    return row;
}

static void s_copy_changed(state_t *self, interaction_t *interaction)
{
    image_t *image = self->image;
    collection_t *work = image->work;
    const bool added = !(interaction->flags & INTERACTION_IN_TABLE);
    interaction->flags = (uint8_t)((interaction->flags & ~image->work_bit) | INTERACTION_IN_TABLE);
    const interaction_row_t **place =
        s_push_row(&work->changed, work->image.changed_len++, &work->changed_capacity);
    if (added) { /* before those that are in the table already */
        const interaction_row_t **first = &work->changed[work->image.added_len++];
        *place = *first;
        place = first;
    }
    *place = s_copy(self, &work->arena, interaction);
}

void image_touch(state_t *self, interaction_t *interaction)
{
    image_t *image = self->image;
    if (image->following)
        interaction->flags |= INTERACTION_IN_TABLE; /* the other node may write it at any time */
    else if (interaction->flags & image->work_bit)
        s_copy_changed(self, interaction);
    if (!(interaction->flags & image->next_bit)) {
        interaction->flags |= image->next_bit;
        s_push_handle(&image->next_handles, interaction->handle);
    }
}

static void s_push_finished(collection_t *self, uint64_t index, const interaction_row_t *row)
{
    size_t capacity = self->finished_capacity;
    *s_push_row(&self->finished, self->image.finished_len, &self->finished_capacity) = row;
    if (self->finished_capacity != capacity)
        self->finished_at =
            memory_resize(self->finished_at, self->finished_capacity * sizeof *self->finished_at);
    self->finished_at[self->image.finished_len++] = index;
}

static void s_push_gone(collection_t *self, id128_t id)
{
    if (self->image.gone_len == self->gone_capacity) {
        self->gone_capacity = self->gone_capacity * 2 + 256;
        self->gone = memory_resize(self->gone, self->gone_capacity * sizeof *self->gone);
    }
    self->gone[self->image.gone_len++] = id;
}

static void s_keep(collection_t *self, const kept_t *kept)
{
    if (self->kept_len == self->kept_capacity) {
        self->kept_capacity = self->kept_capacity * 2 + 256;
        self->kept = memory_resize(self->kept, self->kept_capacity * sizeof *self->kept);
    }
    self->kept[self->kept_len++] = *kept;
}

/* Its row; the record is of no more use. */
static void s_copy_finished(state_t *self, collection_t *to, const kept_t *kept)
{
    interaction_t *interaction = state_record(self, kept->handle);
    interaction_row_t *row = s_copy(self, &to->arena, interaction);
    row->completed_at = kept->completed_at;
    row->completed_log = kept->completed_log;
    s_push_finished(to, kept->index, row);
    state_record_free(self, interaction);
}

void image_finish(state_t *self, interaction_t *interaction)
{
    image_t *image = self->image;
    const kept_t kept = {interaction->handle, self->index + 1, self->wall_time, self->log_time};
    if (image->following) {
        /* It has changed for the last time. Which rows are to go is known at the end. */
        interaction->flags &= INTERACTION_HELD;
        s_keep(image->next, &kept);
        return;
    }
    if (interaction->flags & INTERACTION_IN_TABLE)
        s_push_gone(image->next, interaction->id);
    s_copy_finished(self, image->next, &kept);
}

static bool s_holds_changes(const state_t *self)
{
    const image_t *image = self->image;
    return image->next_handles.len > 0 || image->next->image.finished_len > 0 ||
           image->next->kept_len > 0 || image->next->image.gone_len > 0 ||
           services_hold_changes(self) || self->configuration_changed;
}

static bool s_catalog_changed(const state_t *self)
{
    return self->catalog.changed > self->image->base;
}

bool state_image_needed(const state_t *self)
{
    const image_t *image = self->image;
    return !image->following && (s_holds_changes(self) || s_catalog_changed(self) ||
                                 self->index - image->base >= BEATS_A_CHECKPOINT);
}

bool state_image_in_work(const state_t *self)
{
    return !self->image->following && self->image->work;
}

/* `next` becomes `work`, its flag with it. */
static void s_take_turns(state_t *self)
{
    image_t *image = self->image;
    image->work = image->next;
    image->work->image.to = self->index;
    image->work->image.configuration_changed = self->configuration_changed;
    self->configuration_changed = false;
    image->next = memory_zero(1, sizeof *image->next);
    handles_t empty = image->work_handles;
    image->work_handles = image->next_handles;
    image->next_handles = empty;
    image->next_handles.len = 0;
    image->work_at = 0;
    uint8_t bit = image->work_bit;
    image->work_bit = image->next_bit;
    image->next_bit = bit;
    services_take_turns(self);
}

void state_image_begin(state_t *self)
{
    image_t *image = self->image;
    CHECK(!image->following && !image->work && self->index > image->base);
    s_take_turns(self);
    collection_t *work = image->work;
    work->image.from = image->base;
    work->image.hash = self->hash;
    work->image.log_time = self->log_time;
    if (work->image.configuration_changed) {
        buffer_t packed = {0};
        size_t size = ixn__v1__engine_configuration__get_packed_size(self->configuration);
        ixn__v1__engine_configuration__pack(self->configuration, buffer_reserve(&packed, size));
        work->image.configuration = arena_text(&work->arena, (text_t){(char *)packed.bytes, size});
        buffer_free(&packed);
    }
    work->image.catalog =
        catalog_collect(self, image->base, &work->arena, &work->image.catalog_len);
}

checkpoint_image_t *state_image_step(state_t *self, size_t rows)
{
    image_t *image = self->image;
    handles_t *handles = &image->work_handles;
    CHECK(!image->following && image->work);
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
    for (; rows > 0 && done->kept_len > 0; rows--)
        s_copy_finished(self, done, &done->kept[--done->kept_len]);
    if (done->kept_len > 0)
        return NULL;
    if (!services_copy_some(self, rows))
        return NULL;
    image->work = NULL;
    handles->len = 0;
    image->base = done->image.to;
    done->image.changed = done->changed;
    done->image.finished = done->finished;
    done->image.gone = done->gone;
    service_collection_give(&done->services, &done->image);
    done->image.bytes =
        done->arena.total + done->services.changed_capacity * sizeof(service_row_t) +
        (done->changed_capacity + done->finished_capacity) * sizeof(interaction_row_t *);
    return &done->image;
}

/* ---- Following ---- */

void state_follow_begin(state_t *self)
{
    image_t *image = self->image;
    CHECK(!image->following && !image->work);
    image->following = true;
    /* What the journal changed after the rows were loaded is marked already; as in image_touch. */
    for (size_t i = 0; i < image->next_handles.len; i++) {
        interaction_t *interaction = state_record(self, image->next_handles.handles[i]);
        if (interaction->flags & image->next_bit)
            interaction->flags |= INTERACTION_IN_TABLE;
    }
    image->next->image.gone_len = 0;
    services_follow_begin(self);
}

/* All that `work` holds is in the tables. */
static void s_drop_work(state_t *self)
{
    image_t *image = self->image;
    for (size_t i = 0; i < image->work->kept_len; i++)
        state_record_free(self, state_record(self, image->work->kept[i].handle));
    for (size_t i = 0; i < image->work_handles.len; i++)
        state_record(self, image->work_handles.handles[i])->flags &= (uint8_t)~image->work_bit;
    image->work_handles.len = 0;
    services_drop_work(self);
    s_collection_destroy(image->work);
    image->work = NULL;
}

void state_follow_checkpoint(state_t *self, uint64_t index)
{
    image_t *image = self->image;
    CHECK(image->following);
    if (index > image->base)
        image->base = index;
    catalog_forget_gone(&self->catalog, index);
    if (image->work && image->work->image.to <= index)
        s_drop_work(self);
    if (!image->work && s_holds_changes(self))
        s_take_turns(self);
}

uint64_t state_follow_base(const state_t *self)
{
    return self->image->base;
}

/* `next` gets what `work` holds, too. */
static void s_merge(state_t *self)
{
    image_t *image = self->image;
    collection_t *work = image->work;
    collection_t *next = image->next;
    for (size_t i = 0; i < image->work_handles.len; i++) {
        interaction_t *interaction = state_record(self, image->work_handles.handles[i]);
        if (!(interaction->flags & image->work_bit))
            continue; /* gone, or seen before */
        interaction->flags &= (uint8_t)~image->work_bit;
        if (interaction->flags & image->next_bit)
            continue;
        interaction->flags |= image->next_bit;
        s_push_handle(&image->next_handles, interaction->handle);
    }
    image->work_handles.len = 0;
    for (size_t i = 0; i < next->image.finished_len; i++)
        s_push_finished(work, next->finished_at[i], next->finished[i]);
    for (size_t i = 0; i < next->kept_len; i++)
        s_keep(work, &next->kept[i]);
    arena_join(&work->arena, &next->arena);
    services_merge(self);
    service_collection_join(&work->services, &next->services);
    self->configuration_changed |= work->image.configuration_changed;
    work->image.configuration_changed = false;
    s_collection_destroy(next);
    image->next = work;
    image->work = NULL;
}

/* Of the finished ones, those remain that the tables do not have yet. They are the only ones whose
 * row may still be in the live table; where it never was, there is nothing to delete. */
static void s_keep_finished_after(state_t *state, collection_t *self, uint64_t index)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->image.finished_len; i++) {
        if (self->finished_at[i] <= index)
            continue;
        self->finished_at[kept] = self->finished_at[i];
        self->finished[kept++] = self->finished[i];
    }
    self->image.finished_len = kept;
    self->image.gone_len = 0;
    for (size_t i = 0; i < kept; i++)
        s_push_gone(self, self->finished[i]->id);
    kept = 0;
    for (size_t i = 0; i < self->kept_len; i++) {
        interaction_t *interaction = state_record(state, self->kept[i].handle);
        if (self->kept[i].index <= index) {
            state_record_free(state, interaction);
            continue;
        }
        s_push_gone(self, interaction->id);
        self->kept[kept++] = self->kept[i];
    }
    self->kept_len = kept;
}

void state_follow_end(state_t *self, uint64_t index)
{
    image_t *image = self->image;
    CHECK(image->following && index <= self->index);
    state_follow_checkpoint(self, index);
    if (image->work && (image->work->image.to <= index || MUTATION(CHECKPOINT_SHORT)))
        s_drop_work(self); /* the tables are where the state is */
    if (image->work)
        s_merge(self);
    s_keep_finished_after(self, image->next, index);
    service_collection_keep_after(&image->next->services, index);
    image->following = false;
    image->base = index;
}
