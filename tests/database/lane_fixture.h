/* Lane fixture: a database of the test's own with the schema and one claimed epoch, a checkpoint
 * lane on it, and images to give to it. Included by one program each; every test is a process.
 *
 * IXN_TEST_CONNINFO names a superuser of a private cluster; IXN_TEST_POOLER, when set, the same
 * cluster through a transaction pooler that lets any database through.
 */
#ifndef IXN_TESTS_DATABASE_LANE_FIXTURE_H
#define IXN_TESTS_DATABASE_LANE_FIXTURE_H

#include <libpq-fe.h>

#include "core/base/arena.h"
#include "core/checkpoint.h"
#include "dap/checkpoint_writer.h"

#define DAY_US (INT64_C(86400) * USEC_PER_SECOND)

typedef struct {
    char name[64]; /* of the database */
    PGconn *pq;    /* of the test itself, straight to the database */
    config_t config;
    config_dap_t daps[2];
    identity_t identity;
    instance_t instance;
    id128_t generation;
    checkpoint_writer_t *writer; /* NULL until fixture_start */
} fixture_t;

/* Makes the database; skips the test, loudly, when there is no cluster. One DAP, straight. */
void fixture_init(fixture_t *self);
/* Starts the lane with the configuration as it is now. */
void fixture_start(fixture_t *self);
void fixture_free(fixture_t *self);

/* A connection of its own to the test's database. */
PGconn *fixture_connect(const fixture_t *self);
/* Connection string of the test's database by another way ("host=… port=…" or a pooler's). */
void fixture_set_dap(fixture_t *self, size_t number, const char *conninfo);

/* Runs a statement on any connection; the first value of its result as text, "" if there is none,
 * valid until the next call. The test fails when the statement does. */
const char *fixture_ask(PGconn *pq, const char *format, ...) __attribute__((format(printf, 2, 3)));
long long fixture_number(const fixture_t *self, const char *sql);

/* Gives an image to the lane and waits for the next event of it. */
void fixture_next(fixture_t *self, checkpoint_event_t *ret_event);
void fixture_write(fixture_t *self, checkpoint_image_t *image); /* and expects WRITTEN */

/* An image, to be filled; `bytes` counts what is added. */
typedef struct {
    checkpoint_image_t image;
    arena_t arena;
    const interaction_row_t **changed;
    const interaction_row_t **finished;
    id128_t *gone;
} test_image_t;
test_image_t *test_image_new(uint64_t from, uint64_t to);
/* Rows that are in no table yet: before those that may be. */
void test_image_add(test_image_t *self, const interaction_row_t *row);
void test_image_change(test_image_t *self, const interaction_row_t *row);
void test_image_finish(test_image_t *self, const interaction_row_t *row);
void test_image_gone(test_image_t *self, id128_t id);

/* The hash that the tests' images have at an index. */
id128_t test_hash(uint64_t index);
/* A row with something in every field, different for each number; queued. */
interaction_row_t test_row(uint64_t number);
/* The same, finished at that wall time. */
interaction_row_t test_finished(uint64_t number, usec_t completed_at);
/* CLOCK_REALTIME. */
usec_t test_wall(void);

#endif
