/* A commit that the server reports although no synchronous standby has confirmed it, or although it
 * may not be on disk. Alone in its program: it changes settings of the whole server, under which
 * every other commit would wait (tests/database/run.sh runs one program at a time on a server).
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/database/pair_fixture.h"

static pair_t s_pair;

static void s_set(const char *change, const char *shown, const char *show)
{
    pair_ask(s_pair.pq, "%s", change);
    pair_ask(s_pair.pq, "SELECT pg_reload_conf()");
    pair_await(s_pair.pq, shown, show);
}

static void s_set_standby(const char *change, const char *shown)
{
    s_set(change, shown, "SHOW synchronous_standby_names");
}

static void s_init(void)
{
    pair_init(&s_pair);
    pair_ask(s_pair.pq, "SET synchronous_commit = local"); /* this session need not wait */
}

static void s_free(void)
{
    s_set_standby("ALTER SYSTEM RESET synchronous_standby_names", "");
    s_set("ALTER SYSTEM RESET fsync", "on", "SHOW fsync");
    pair_free(&s_pair);
}

TestSuite(doubt, .init = s_init, .fini = s_free, .timeout = 300);

/* The next COMMITTED, ending every wait for the standby meanwhile. */
static bool s_commit_is_clean(void)
{
    journal_event_t event;
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    while (!journal_next(s_pair.journal, &event)) {
        pair_ask(s_pair.pq,
                 "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE "
                 "datname = current_database() AND wait_event = 'SyncRep'");
        pair_turn(&s_pair, 2);
    }
    cr_assert_eq(event.kind, JOURNAL_COMMITTED, "%s", event.error.text);
    cr_assert_eq(event.index, s_pair.index);
    return event.clean;
}

Test(doubt, of_a_cancelled_wait_lasts_until_a_clean_commit)
{
    pair_start(&s_pair);
    cr_assert(s_commit_is_clean());
    s_set_standby("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "nobody");
    while (s_commit_is_clean())
        continue; /* the server takes a moment until it waits */
    cr_assert(!s_commit_is_clean());
    s_set_standby("ALTER SYSTEM RESET synchronous_standby_names", "");
    while (!s_commit_is_clean())
        continue;
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT max(last_index) = count(*) - 1 FROM ixn.journal"),
                     "t");
}

/* Whoever asks for the server is told. */
Test(doubt, of_a_server_that_syncs_nothing_is_said)
{
    database_status_t status;
    error_t error = {0};
    s_set("ALTER SYSTEM SET fsync = off", "off", "SHOW fsync");
    cr_assert(database_status(s_pair.database, NULL, &status, &error), "%s", error.text);
    while (!strstr(status.server, ", fsync is off")) /* each session takes a moment */
        cr_assert(database_status(s_pair.database, NULL, &status, &error), "%s", error.text);
    s_set("ALTER SYSTEM RESET fsync", "on", "SHOW fsync");
    while (strstr(status.server, "fsync"))
        cr_assert(database_status(s_pair.database, NULL, &status, &error), "%s", error.text);
}
