/* Pair fixture: an initialised and claimed database of the test's own, sessions that step through
 * statements beside the code under test, and batches to commit.
 *
 * IXN_TEST_CONNINFO names a superuser of a private cluster; IXN_TEST_POOLER, when set, the same
 * cluster through a transaction pooler that lets any database through.
 */
#ifndef IXN_TESTS_DATABASE_PAIR_FIXTURE_H
#define IXN_TESTS_DATABASE_PAIR_FIXTURE_H

#include <libpq-fe.h>

#include "dap/commit.h"
#include "dap/database.h"
#include "dap/journal.h"

typedef struct {
    char name[64];   /* of the database */
    PGconn *pq;      /* of the test itself, straight to the database */
    config_t config; /* one DAP, straight */
    config_dap_t daps[2];
    database_t *database;
    database_status_t status; /* after the claim */
    journal_t *journal;       /* NULL until pair_start */
    uint64_t index;           /* of the last batch that pair_batch made, and its hash */
    id128_t hash;
} pair_t;

/* Makes an empty database; skips the test, loudly, when there is no cluster. */
void pair_make(pair_t *self);
/* … and opens it. */
void pair_open(pair_t *self);
/* … and initialises and claims it. */
void pair_init(pair_t *self);
void pair_free(pair_t *self);
/* DAP `number` (0, 1) leads to the test's database by this way. */
void pair_set_dap(pair_t *self, size_t number, const char *conninfo);
/* The port of the server, for a proxy before it; and a DAP through that. */
int pair_port(void);
void pair_set_proxy(pair_t *self, size_t number, int port);
/* Starts the journal where the database is. It has its turns within pair_expect and pair_await. */
void pair_start(pair_t *self);
/* One of them; waits at most so long for something to do. */
void pair_turn(pair_t *self, int most_ms);

/* Claims the next epoch of what was judged; the test fails when that does. */
void pair_claim(pair_t *self);
/* The next batch, with one entry or more; the caller owns it. */
batch_t *pair_batch(pair_t *self, uint64_t entries);
/* Waits for the next event and expects its kind. */
void pair_expect(pair_t *self, journal_event_kind_t kind, journal_event_t *ret_event);
void pair_expect_any(pair_t *self, journal_event_t *ret_event);
/* Appends one batch and waits until it is committed, cleanly. */
void pair_commit(pair_t *self);

/* The test's database as seen by the role ixn, who is no superuser and may not end the sessions of
 * others. The caller destroys it. */
database_t *pair_open_as_ixn(pair_t *self, uint32_t statement_timeout_ms);

/* Another connection to the test's database. */
PGconn *pair_connect(const pair_t *self);
connection_t *pair_connection(const pair_t *self);
/* Runs a statement; the first value of its result as text ("" if there is none), valid until the
 * next call. The test fails when the statement does. */
const char *pair_ask(PGconn *pq, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Asks until the answer is this one; the test fails after 20 s. */
void pair_await(PGconn *pq, const char *answer, const char *sql);

/* From the next session on `synchronous_commit` has this value in the test's database; what it is
 * at the end of each transaction that adds a row to the table goes into the table `noted`. */
void pair_note_commits(pair_t *self, const char *table, const char *setting);

/* From the next session on, the server's own function `call` ("pg_is_in_recovery()") answers this
 * in the test's database: what only another server, or another run of it, would say. A second
 * answer replaces the first, at once. */
void pair_pretend(pair_t *self, const char *call, const char *type, const char *answer);

/* How many sessions of the test's database wait for a lock. */
#define PAIR_WAITING                                                                               \
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"                     \
    " AND wait_event_type = 'Lock'"

#endif
