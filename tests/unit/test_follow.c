/* Following: a state that applies another node's log while that node writes the tables. Whenever it
 * takes over, its first image must make the tables what its state is: nothing lost, nothing twice.
 */
#include "tests/unit/state_driver.h"

/* The driver's state is the one that serves. */
typedef struct {
    driver_t *driver;
    tables_t database;
    state_t *follower; /* NULL: none at the moment */
    size_t take_overs;
    size_t changed; /* rows of first images, all together */
    size_t finished;
} pair_t;

static bool s_chance(pair_t *self, size_t percent)
{
    return driver_chance(self->driver, percent);
}

static void s_take(pair_t *self, checkpoint_image_t *image)
{
    if (!image)
        return;
    tables_write(&self->database, image, true);
    checkpoint_image_destroy(&image);
}

/* One batch of the serving node, and a piece of its images. */
static void s_serve(pair_t *self)
{
    driver_t *driver = self->driver;
    driver_batch(driver, random_below(&driver->random, 40));
    if (state_image_in_work(driver->state))
        s_take(self, state_image_step(driver->state, random_below(&driver->random, 80)));
    else if (s_chance(self, 30) && state_image_needed(driver->state))
        state_image_begin(driver->state);
}

/* The follower hears some of the log, and now and then where the tables are: late, repeated, and
 * sometimes before the log that is in them. */
static void s_follow(pair_t *self)
{
    driver_t *driver = self->driver;
    if (s_chance(self, 70)) {
        size_t lag = s_chance(self, 50) ? 0 : random_below(&driver->random, 100);
        uint64_t head = driver->state->index;
        driver_replay(driver, self->follower, head > lag ? head - lag + 1 : 0);
    }
    if (s_chance(self, 40))
        state_follow_checkpoint(self->follower, self->database.index);
    cr_assert(!state_image_needed(self->follower) && !state_image_in_work(self->follower));
}

/* The tables are the state at the image's begin, and the history is all that was finished until
 * then. */
static void s_check(pair_t *self, kept_row_t *snapshot)
{
    tables_t *database = &self->database;
    table_assert_equal(database->rows, snapshot);
    size_t finished = 0;
    kept_row_t *kept, *next;
    HASH_ITER(hh, self->driver->finished, kept, next)
    {
        if (kept->index > database->index)
            continue;
        finished++;
        kept_row_t *row = table_find(database->history, &kept->row.id);
        cr_assert(row, "a finished interaction is lost");
        if (!kept->journey_is_cut)
            row_assert_equal(&row->row, &kept->row);
    }
    cr_assert_eq(HASH_COUNT(database->history), finished);
}

/* An image of what serves, changing meanwhile, into the tables. */
static void s_image(pair_t *self, bool exact)
{
    driver_t *driver = self->driver;
    if (!state_image_needed(driver->state))
        return;
    kept_row_t *snapshot = table_of(driver->state);
    state_image_begin(driver->state);
    checkpoint_image_t *image;
    while (!(image = state_image_step(driver->state, 20)))
        driver_batch(driver, random_below(&driver->random, 10));
    self->changed += image->changed_len;
    self->finished += image->finished_len;
    tables_write(&self->database, image, exact);
    checkpoint_image_destroy(&image);
    s_check(self, snapshot);
    table_clear(&snapshot);
    state_t *loaded = tables_load(&self->database, driver);
    cr_assert_eq(state_digest(loaded), state_digest(driver->state));
    cr_assert_eq(loaded->configuration->routing_timeout_ms,
                 driver->state->configuration->routing_timeout_ms);
    state_destroy(&loaded);
}

/* The serving node dies, with its last image written or not. */
static void s_take_over(pair_t *self)
{
    driver_t *driver = self->driver;
    if (state_image_in_work(driver->state) && s_chance(self, 50))
        s_take(self, state_image_step(driver->state, SIZE_MAX / 32));
    driver_replay(driver, self->follower, UINT64_MAX);
    cr_assert_eq(state_digest(self->follower), state_digest(driver->state));
    state_destroy(&driver->state);
    driver->state = self->follower;
    self->follower = NULL;
    state_follow_end(driver->state, self->database.index);
    self->take_overs++;
    /* Something is decided before the image, or after it. */
    if (driver->state->index == self->database.index || s_chance(self, 70))
        driver_batch(driver, random_below(&driver->random, 40));
    s_image(self, false);
    driver_batch(driver, random_below(&driver->random, 40));
    s_image(self, true); /* and from now on it is exact again */
}

static void s_run(pair_t *self, uint64_t seed)
{
    *self = (pair_t){.driver = driver_new(seed)};
    self->driver->aim = 20 + seed % 7 * 40;
    driver_begin(self->driver);
    driver_configure(self->driver);
    driver_end(self->driver);
    for (size_t i = 0; i < 250; i++) {
        s_serve(self);
        if (self->follower && s_chance(self, 5)) {
            s_take_over(self);
        } else if (self->follower) {
            s_follow(self);
        } else if (s_chance(self, 20)) {
            self->follower = tables_load(&self->database, self->driver);
            state_follow_begin(self->follower);
        }
    }
}

static void s_free(pair_t *self)
{
    state_destroy(&self->follower);
    driver_free(self->driver);
    tables_free(&self->database);
}

Test(follow, the_first_image_makes_the_tables_what_the_state_is)
{
    size_t take_overs = 0, changed = 0, finished = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        pair_t pair;
        s_run(&pair, seed);
        take_overs += pair.take_overs;
        changed += pair.changed;
        finished += pair.finished;
        s_free(&pair);
    }
    cr_assert(take_overs > 200 && changed > 5000 && finished > 500,
              "%zu take-overs, %zu rows, %zu finished", take_overs, changed, finished);
}

/* A follower of a database that holds what was there; nothing is under way. */
static void s_init(pair_t *self, size_t interactions)
{
    *self = (pair_t){.driver = driver_new(7)};
    driver_begin(self->driver);
    for (size_t i = 0; i < interactions; i++)
        driver_submit(self->driver);
    driver_end(self->driver);
    s_image(self, true);
    self->follower = tables_load(&self->database, self->driver);
    state_follow_begin(self->follower);
}

/* What is remembered reaches back two checkpoints, however long it follows. */
Test(follow, what_is_in_the_tables_is_forgotten)
{
    enum { BATCH = 20, ROUNDS = 500 };
    pair_t pair;
    s_init(&pair, 2000);
    for (size_t i = 0; i < ROUNDS; i++) {
        driver_begin(pair.driver);
        for (size_t j = 0; j < BATCH; j++)
            driver_change(pair.driver,
                          &pair.driver->live[random_below(&pair.driver->random, 1999)]);
        driver_stop(pair.driver, 0);
        driver_submit(pair.driver);
        driver_end(pair.driver);
        state_image_begin(pair.driver->state);
        s_take(&pair, state_image_step(pair.driver->state, 10000));
        driver_replay(pair.driver, pair.follower, UINT64_MAX);
        state_follow_checkpoint(pair.follower, pair.database.index);
    }
    size_t kept = pair.follower->text_bytes - pair.driver->state->text_bytes;
    cr_assert_lt(kept, pair.follower->text_bytes / 100, "%zu bytes of finished ones", kept);
    pair.changed = pair.finished = 0;
    driver_begin(pair.driver);
    driver_submit(pair.driver);
    driver_end(pair.driver);
    driver_replay(pair.driver, pair.follower, UINT64_MAX);
    state_destroy(&pair.driver->state);
    pair.driver->state = pair.follower;
    pair.follower = NULL;
    state_follow_end(pair.driver->state, pair.database.index);
    s_image(&pair, false);
    cr_assert_leq(pair.changed, 2u * (BATCH + 1) + 1, "%zu rows", pair.changed);
    cr_assert_eq(pair.finished, 0u);
    s_free(&pair);
}

/* An idle log: nothing is remembered, and the tables that are where the state is need no image. */
Test(follow, beats_leave_nothing)
{
    pair_t pair;
    s_init(&pair, 50);
    for (size_t i = 0; i < 1000; i++) {
        driver_begin(pair.driver);
        driver_beat(pair.driver);
        driver_end(pair.driver);
        driver_replay(pair.driver, pair.follower, UINT64_MAX);
        state_follow_checkpoint(pair.follower, pair.database.index);
    }
    state_destroy(&pair.driver->state);
    pair.driver->state = pair.follower;
    pair.follower = NULL;
    pair.changed = 0;
    state_follow_end(pair.driver->state, pair.database.index);
    cr_assert(state_image_needed(pair.driver->state), "the tables are 1,000 beats behind");
    s_image(&pair, true);
    cr_assert_eq(pair.changed, 0u);
    s_free(&pair);
}

/* Marks of what the tables have already are dropped at the end, too. */
Test(follow, tables_that_are_level_need_no_image)
{
    pair_t pair;
    s_init(&pair, 50);
    driver_begin(pair.driver);
    driver_configure(pair.driver);
    driver_stop(pair.driver, 3);
    driver_change(pair.driver, &pair.driver->live[7]);
    driver_end(pair.driver);
    s_image(&pair, true);
    driver_replay(pair.driver, pair.follower, UINT64_MAX);
    state_follow_end(pair.follower, pair.database.index);
    cr_assert_not(state_image_needed(pair.follower));
    cr_assert_not(state_image_in_work(pair.follower));
    s_free(&pair);
}
