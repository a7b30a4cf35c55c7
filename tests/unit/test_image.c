/* Image: what is written is exactly the state at the begin, however much it changes meanwhile. A
 * naive database takes each image; an observer knows what should be in it. */
#include "tests/unit/state_driver.h"

typedef struct {
    driver_t *driver;
    tables_t database;
    kept_row_t *snapshot; /* rows at the begin of the image in work */
    uint64_t begun;       /* its index; 0: none in work */
    id128_t begun_hash;
    usec_t begun_log;
    uint64_t configured; /* index of the last configuration at the begin */
    size_t images;
    size_t rows;
    size_t finished;
} observer_t;

static observer_t s_observer_new(uint64_t seed)
{
    return (observer_t){.driver = driver_new(seed)};
}

static void s_observer_free(observer_t *self)
{
    driver_free(self->driver);
    tables_free(&self->database);
    table_clear(&self->snapshot);
}

/* Finished rows: each once, as it was when it was finished, all of those in (from, to]. */
static void s_take_finished(observer_t *self, const checkpoint_image_t *image)
{
    for (size_t i = 0; i < image->finished_len; i++) {
        const interaction_row_t *row = image->finished[i];
        kept_row_t *should = table_find(self->driver->finished, &row->id);
        cr_assert(should && should->index > image->from && should->index <= image->to);
        cr_assert_null(table_find(self->database.history, &row->id), "it is finished twice");
        interaction_row_t expected = should->row;
        if (should->journey_is_cut) {
            const char *end = strstr(expected.journey.data, ",\"change\"");
            cr_assert(end && row->journey.len > 100);
            cr_assert_eq(memcmp(row->journey.data + row->journey.len - 40,
                                expected.journey.data + expected.journey.len - 40, 40),
                         0);
            expected.journey = row->journey;
        }
        row_assert_equal(row, &expected);
        table_put(&self->database.history, row);
    }
    size_t expected = 0;
    kept_row_t *kept, *next;
    HASH_ITER(hh, self->driver->finished, kept, next)
    {
        expected += kept->index > image->from && kept->index <= image->to;
    }
    cr_assert_eq(image->finished_len, expected);
    self->finished += expected;
}

static void s_take_live(observer_t *self, const checkpoint_image_t *image)
{
    tables_t *database = &self->database;
    kept_row_t *seen = NULL;
    for (size_t i = 0; i < image->changed_len; i++) {
        const interaction_row_t *row = image->changed[i];
        kept_row_t *old = table_find(database->rows, &row->id);
        cr_assert(!old || row_differs(&old->row, row), "a row that did not change is written");
        cr_assert_eq(i < image->added_len, !old, "those in no table come first, and no others");
        cr_assert_null(table_find(seen, &row->id), "a row is written twice in one image");
        table_put(&seen, row);
        table_put(&database->rows, row);
    }
    for (size_t i = 0; i < image->gone_len; i++) {
        kept_row_t *old = table_find(database->rows, &image->gone[i]);
        cr_assert(old, "a row is deleted that was never written, or twice");
        cr_assert_null(table_find(seen, &image->gone[i]), "a row is written and deleted");
        table_delete(&database->rows, old);
    }
    table_clear(&seen);
    self->rows += image->changed_len;
}

static void s_take_configuration(observer_t *self, const checkpoint_image_t *image)
{
    bool changed = self->configured > image->from && self->configured <= image->to;
    cr_assert_eq(image->configuration_changed, changed);
    if (!changed)
        return;
    buffer_clear(&self->database.configuration);
    buffer_append(&self->database.configuration, image->configuration.data,
                  image->configuration.len);
}

static void s_take(observer_t *self, checkpoint_image_t *image)
{
    tables_t *database = &self->database;
    cr_assert(self->begun);
    cr_assert_eq(image->from, database->index);
    cr_assert_eq(image->to, self->begun);
    cr_assert(id_equal(image->hash, self->begun_hash));
    cr_assert_eq(image->log_time, self->begun_log);
    s_take_live(self, image);
    s_take_finished(self, image);
    s_take_configuration(self, image);
    cr_assert_eq(kept_services_write(&database->services, image), 0);
    for (size_t i = 0; i < image->catalog_len; i++)
        kept_catalog_write(&database->catalog, &image->catalog[i]);
    database->index = image->to;
    database->hash = image->hash;
    database->log_time = image->log_time;
    table_assert_equal(database->rows, self->snapshot);
    table_clear(&self->snapshot);
    self->begun = 0;
    self->images++;
    checkpoint_image_destroy(&image);
    cr_assert_null(image);
}

static void s_step(observer_t *self, size_t rows)
{
    checkpoint_image_t *image = state_image_step(self->driver->state, rows);
    cr_assert_eq(state_image_in_work(self->driver->state), image == NULL);
    if (image)
        s_take(self, image);
}

static void s_begin(observer_t *self)
{
    state_t *state = self->driver->state;
    cr_assert_not(state_image_in_work(state));
    self->snapshot = table_of(state);
    self->begun = state->index;
    self->begun_hash = state->hash;
    self->begun_log = state->log_time;
    self->configured = self->driver->configured_at;
    state_image_begin(state);
    cr_assert(state_image_in_work(state));
}

/* Batches with steps of the image in between, also in the middle of a batch. */
static void s_run(observer_t *self, size_t batches, size_t most_entries, size_t most_rows)
{
    driver_t *driver = self->driver;
    for (size_t i = 0; i < batches; i++) {
        driver_begin(driver);
        size_t entries = random_below(&driver->random, most_entries);
        for (size_t j = 0; j < entries; j++) {
            driver_entry(driver);
            if (self->begun && driver_chance(driver, 5))
                s_step(self, 1 + random_below(&driver->random, most_rows));
        }
        driver_end(driver);
        if (self->begun)
            s_step(self, 1 + random_below(&driver->random, most_rows));
        else if (driver_chance(driver, 30) && state_image_needed(driver->state))
            s_begin(self);
    }
    while (self->begun)
        s_step(self, 1000);
}

Test(image, is_the_state_at_its_begin)
{
    size_t images = 0, rows = 0, finished = 0, entries = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        observer_t observer = s_observer_new(seed);
        observer.driver->aim = 20 + seed * 30;
        s_run(&observer, 400, 60, seed % 3 == 0 ? 200 : 8);
        for (size_t kind = IXN__V1__ENTRY__BODY_BEAT; kind <= IXN__V1__ENTRY__BODY_RETURNED; kind++)
            cr_assert_gt(observer.driver->kinds[kind], 5u, "seed %d: too few of kind %zu",
                         (int)seed, kind);
        images += observer.images;
        rows += observer.rows;
        finished += observer.finished;
        entries += observer.driver->state->index;
        s_observer_free(&observer);
    }
    cr_log_info("%zu entries, %zu images, %zu changed and %zu finished rows compared", entries,
                images, rows, finished);
    cr_assert(images > 300 && rows > 10000 && finished > 2000, "%zu images, %zu rows, %zu finished",
              images, rows, finished);
}

/* Images that hardly get on while everything changes, and images one after the other. */
Test(image, slow_and_fast_ones)
{
    observer_t observer = s_observer_new(1001);
    observer.driver->aim = 1500;
    s_run(&observer, 600, 40, 2);
    s_run(&observer, 200, 3, 5000);
    cr_assert_gt(observer.images, 20u);
    s_observer_free(&observer);
}

Test(image, is_needed_when_something_changed_or_after_many_beats)
{
    driver_t *driver = driver_new(3);
    cr_assert_not(state_image_needed(driver->state));
    int beats = 0;
    while (!state_image_needed(driver->state)) {
        driver_begin(driver);
        driver_beat(driver);
        driver_end(driver);
        cr_assert_leq(++beats, 1000);
    }
    cr_assert_gt(beats, 1, "every beat asks for an image");
    state_image_begin(driver->state);
    checkpoint_image_t *image = state_image_step(driver->state, 1);
    cr_assert(image && image->from == 0 && image->to == (uint64_t)beats);
    cr_assert(!image->changed_len && !image->gone_len && !image->finished_len);
    checkpoint_image_destroy(&image);
    cr_assert_not(state_image_needed(driver->state));
    driver_begin(driver);
    driver_submit(driver);
    driver_end(driver);
    cr_assert(state_image_needed(driver->state));
    driver_free(driver);
}

/* Made and finished between two images: in the history, never in the live table. */
Test(image, what_comes_and_goes_is_never_written)
{
    observer_t observer = s_observer_new(4);
    driver_t *driver = observer.driver;
    driver_begin(driver);
    for (int i = 0; i < 50; i++)
        driver_submit(driver);
    while (driver->live_len > 0)
        driver_stop(driver, 0);
    driver_end(driver);
    s_begin(&observer);
    checkpoint_image_t *image = state_image_step(driver->state, 100);
    cr_assert(image);
    cr_assert_eq(image->changed_len, 0u);
    cr_assert_eq(image->gone_len, 0u);
    cr_assert_eq(image->finished_len, 50u);
    s_take(&observer, image);
    s_observer_free(&observer);
}

/* Written by an image that is in work, then finished before the image came to it: this image holds
 * the row, the next one deletes it. */
Test(image, what_is_finished_under_an_image_goes_with_the_next)
{
    observer_t observer = s_observer_new(5);
    driver_t *driver = observer.driver;
    driver_begin(driver);
    for (int i = 0; i < 50; i++)
        driver_submit(driver);
    driver_end(driver);
    s_begin(&observer);
    driver_begin(driver);
    while (driver->live_len > 0)
        driver_stop(driver, 0);
    for (int i = 0; i < 50; i++) /* in the records that are free now */
        driver_submit(driver);
    driver_end(driver);
    checkpoint_image_t *image = state_image_step(driver->state, 100);
    cr_assert(image && image->changed_len == 50 && image->gone_len == 0 && !image->finished_len);
    s_take(&observer, image);
    s_begin(&observer);
    image = state_image_step(driver->state, 100);
    cr_assert(image && image->changed_len == 50 && image->gone_len == 50 &&
              image->finished_len == 50);
    s_take(&observer, image);
    s_observer_free(&observer);
}

/* Steps are bounded also where most of what the image holds was copied before. */
Test(image, a_step_looks_at_a_bounded_number)
{
    enum { MANY = 20000 };
    observer_t observer = s_observer_new(6);
    driver_t *driver = observer.driver;
    driver_begin(driver);
    for (int i = 0; i < MANY; i++)
        driver_submit(driver);
    driver_end(driver);
    s_begin(&observer);
    driver_begin(driver);
    for (size_t i = 0; i < MANY; i++)
        driver_change(driver, &driver->live[i]);
    driver_end(driver);
    checkpoint_image_t *image = state_image_step(driver->state, 10);
    cr_assert_null(image, "one step of 10 rows looked at %d records", MANY);
    size_t steps = 1;
    while (!(image = state_image_step(driver->state, 10)))
        steps++;
    cr_assert_leq(steps, (size_t)MANY / 10, "%zu steps", steps);
    s_take(&observer, image);
    s_observer_free(&observer);
}
