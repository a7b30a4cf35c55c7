/* The fence, condition by condition: of each statement that writes under it, every single thing
 * that must hold, wrong alone. Whoever takes one of the conditions away breaks a test here.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dap/claim.h"
#include "dap/fence.h"
#include "tests/database/pair_fixture.h"

static pair_t s_pair;

static void s_init(void)
{
    pair_init(&s_pair);
}

static void s_free(void)
{
    pair_free(&s_pair);
}

TestSuite(fence, .init = s_init, .fini = s_free, .timeout = 60);

/* What can be another one. */
typedef enum {
    DATABASE_ID,
    SYSTEM_IDENTIFIER,
    DATABASE_OID,
    STARTED_AT,
    PORT,
    IDENTITIES, /* … of the database and its server */
    EPOCH = IDENTITIES,
    GENERATION,
    HEAD_INDEX,
    HEAD_HASH,
    CONDITIONS
} condition_t;

static void s_change_identity(identity_t *identity, instance_t *instance, condition_t wrong)
{
    switch (wrong) {
    case DATABASE_ID:
        identity->database_id.bytes[3] ^= 1;
        break;
    case SYSTEM_IDENTIFIER:
        identity->system_identifier ^= 1;
        break;
    case DATABASE_OID:
        identity->database_oid++;
        break;
    case STARTED_AT:
        instance->started_at++; /* microseconds */
        break;
    case PORT:
        instance->port++;
        break;
    default:
        break;
    }
}

/* ---- The journal's statement ---- */

static commit_t s_commit(void)
{
    return (commit_t){s_pair.status.identity, s_pair.status.epoch, s_pair.status.generation,
                      s_pair.status.instance};
}

/* One entry behind what the world is, but for what is wrong. */
static batch_t *s_batch(condition_t wrong)
{
    id128_t previous = s_pair.hash;
    uint64_t first = s_pair.index + (wrong == HEAD_INDEX ? 2 : 1);
    if (wrong == HEAD_HASH)
        previous.bytes[3] ^= 1;
    return batch_new(s_pair.status.epoch, first, first, previous, 1000, 1767225600123456,
                     (text_t){"x", 1});
}

static PGresult *s_finish(connection_t *connection)
{
    error_t error = {0};
    PGresult *result = NULL;
    connection_step_t step;
    while ((step = connection_step(connection, &result, &error)) == CONNECTION_BUSY)
        connection_wait(connection, false, connection_deadline(connection));
    cr_assert_eq(step, CONNECTION_DONE, "%s", error.text);
    return result;
}

static bool s_inserts(connection_t *connection, const commit_t *commit, const batch_t *batch)
{
    error_t error = {0};
    cr_assert(connection_open(connection, &error), "%s", error.text);
    cr_assert(commit_send(commit, connection, batch, 5000, &error), "%s", error.text);
    PGresult *result = s_finish(connection);
    bool inserted = commit_inserted(result);
    PQclear(result);
    return inserted;
}

static commit_verdict_t s_verdict(connection_t *connection, const commit_t *commit,
                                  const batch_t *batch)
{
    error_t error = {0};
    cr_assert(commit_send_question(connection, batch, 5000, &error), "%s", error.text);
    PGresult *result = s_finish(connection);
    commit_verdict_t verdict = commit_judge(commit, "dap-1", batch, result, &error);
    PQclear(result);
    cr_assert(verdict == COMMIT_CLEAR || error.text[0]);
    return verdict;
}

static void s_expect_journal(const char *indexes)
{
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT string_agg(last_index::text, ' ' ORDER BY"
                              " last_index) FROM ixn.journal"),
                     indexes);
}

static void s_journal_needs_each(connection_t *connection, const char *before)
{
    static const commit_verdict_t verdicts[CONDITIONS] = {
        COMMIT_WRONG,  COMMIT_WRONG,  COMMIT_WRONG,    COMMIT_INSTANCE, COMMIT_INSTANCE,
        COMMIT_FENCED, COMMIT_FENCED, COMMIT_DIVERGED, COMMIT_DIVERGED};
    for (condition_t wrong = 0; wrong < CONDITIONS; wrong++) {
        commit_t commit = s_commit();
        batch_t *batch = s_batch(wrong);
        s_change_identity(&commit.identity, &commit.instance, wrong);
        commit.epoch += wrong == EPOCH;
        commit.generation.bytes[3] ^= wrong == GENERATION;
        cr_assert(!s_inserts(connection, &commit, batch), "condition %d", wrong);
        cr_assert_eq(s_verdict(connection, &commit, batch), verdicts[wrong], "condition %d", wrong);
        s_expect_journal(before);
        batch_destroy(&batch);
    }
    const commit_t commit = s_commit();
    batch_t *batch = s_batch(CONDITIONS);
    cr_assert_eq(s_verdict(connection, &commit, batch), COMMIT_CLEAR);
    cr_assert(s_inserts(connection, &commit, batch));
    s_pair.index = batch->last;
    s_pair.hash = batch->hash;
    batch_destroy(&batch);
}

Test(fence, a_batch_needs_each_condition)
{
    connection_t *connection = pair_connection(&s_pair);
    s_journal_needs_each(connection, "0");
    s_expect_journal("0 1");
    connection_destroy(&connection);
}

static void s_prepare(connection_t *connection)
{
    error_t error = {0};
    cr_assert(connection_open(connection, &error), "%s", error.text);
    for (int again = 0; again < 2; again++) {
        cr_assert(commit_prepare(connection, again, 5000, &error), "%s", error.text);
        PQclear(s_finish(connection));
    }
    cr_assert(connection_is_prepared(connection));
}

Test(fence, a_prepared_batch_needs_each_condition)
{
    connection_t *connection = pair_connection(&s_pair);
    s_prepare(connection);
    s_journal_needs_each(connection, "0");
    s_journal_needs_each(connection, "0 1");
    cr_assert(connection_is_prepared(connection));
    connection_destroy(&connection);
}

/* A session that noted another place, or nothing, is not the one that the statement was prepared
 * in. */
Test(fence, a_prepared_batch_needs_the_sessions_own_note)
{
    static const char *const notes[] = {
        "'4711 ' || split_part(current_setting('ixn.place'), ' ', 2)",
        "split_part(current_setting('ixn.place'), ' ', 1) || ' 4711'", "''", NULL, /* none at all */
    };
    const commit_t commit = s_commit();
    batch_t *batch = s_batch(CONDITIONS);
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        char sql[200];
        error_t error = {0};
        connection_t *connection = pair_connection(&s_pair);
        s_prepare(connection);
        snprintf(sql, sizeof sql, "SELECT set_config('ixn.place', %s, false)", notes[i]);
        cr_assert(connection_command(connection, notes[i] ? sql : "RESET ALL", &error), "%s",
                  error.text);
        cr_assert(!s_inserts(connection, &commit, batch), "note %zu", i);
        cr_assert_eq(s_verdict(connection, &commit, batch), COMMIT_CLEAR);
        s_expect_journal("0");
        connection_destroy(&connection);
    }
    batch_destroy(&batch);
}

/* What makes that session prefer the index must not make the question about a batch slow.
 * PostgreSQL counts a sort there as if it took hours, and compiles whatever does. */
Test(fence, the_question_of_a_prepared_session_is_not_compiled)
{
    char sql[4096];
    error_t error = {0};
    params_t params = {0};
    connection_t *connection = pair_connection(&s_pair);
    s_prepare(connection);
    database_status_params(&params, NULL);
    connection_params_t all = params_all(&params);
    snprintf(sql, sizeof sql, "EXPLAIN (ANALYZE) %s", database_status_sql);
    PGresult *plan = connection_query(connection, sql, &all, &error);
    cr_assert(plan, "%s", error.text);
    cr_assert_gt(PQntuples(plan), 10);
    for (int i = 0; i < PQntuples(plan); i++)
        cr_assert_neq(strncmp(PQgetvalue(plan, i, 0), "JIT", 3), 0);
    PQclear(plan);
    connection_destroy(&connection);
}

/* ---- What a DAP reaches changes between two statements ---- */

/* What another server, or another database, would answer to the statement that asks for it. */
static void s_repoint(condition_t to)
{
    static const struct {
        const char *call;
        const char *type;
        const char *answer;
    } others[IDENTITIES] = {
        [SYSTEM_IDENTIFIER] = {"pg_control_system(OUT system_identifier bigint)", "bigint", "4711"},
        [DATABASE_OID] = {"current_database()", "name", "''postgres''::name"},
        [STARTED_AT] = {"pg_postmaster_start_time()", "timestamptz",
                        "pg_catalog.pg_postmaster_start_time() - interval ''1 second''"},
        [PORT] = {"current_setting(text)", "text",
                  "CASE $1 WHEN ''port'' THEN ''1'' ELSE pg_catalog.current_setting($1) END"},
    };
    if (to == DATABASE_ID)
        pair_ask(s_pair.pq, "UPDATE ixn.pair SET database_id = gen_random_uuid()");
    else
        pair_pretend(&s_pair, others[to].call, others[to].type, others[to].answer);
    /* Nor has a session there noted what a prepared statement asks for. */
    if (to == SYSTEM_IDENTIFIER || to == DATABASE_OID)
        pair_pretend(&s_pair, "current_setting(text, boolean)", "text", "NULL");
}

/* Sessions that are open already find it, too, once they look there. */
static void s_may_be_repointed(void)
{
    pair_pretend(&s_pair, "nothing()", "int", "1");
}

/* The lane has committed, has prepared its statement, and is led elsewhere by something in between:
 * nothing is written there. */
static void s_journal_is_repointed(condition_t to, journal_event_kind_t kind)
{
    char before[24];
    journal_event_t event;
    s_may_be_repointed();
    pair_start(&s_pair);
    for (int i = 0; i < 3; i++)
        pair_commit(&s_pair);
    snprintf(before, sizeof before, "%s",
             pair_ask(s_pair.pq, "SELECT max(last_index) FROM ixn.journal"));
    s_repoint(to);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    pair_expect(&s_pair, kind, &event);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT max(last_index) FROM ixn.journal"), before);
}

Test(fence, a_lane_writes_nothing_to_another_database_id)
{
    s_journal_is_repointed(DATABASE_ID, JOURNAL_WRONG);
}

Test(fence, a_lane_writes_nothing_to_another_cluster)
{
    s_journal_is_repointed(SYSTEM_IDENTIFIER, JOURNAL_WRONG);
}

Test(fence, a_lane_writes_nothing_to_another_database)
{
    s_journal_is_repointed(DATABASE_OID, JOURNAL_WRONG);
}

Test(fence, a_lane_writes_nothing_to_another_run_of_the_server)
{
    s_journal_is_repointed(STARTED_AT, JOURNAL_WAITING);
}

Test(fence, a_lane_writes_nothing_at_another_port)
{
    s_journal_is_repointed(PORT, JOURNAL_WAITING);
}

/* ---- The claim ---- */

static database_claim_t s_claim(void)
{
    return (database_claim_t){
        .with_head = true, .generation = id_random(), .owner = "node-b", .reason = "a test"};
}

static void s_expect_unclaimed(void)
{
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT epoch || ' ' || (SELECT count(*) FROM ixn.epoch)"
                              " FROM ixn.pair"),
                     "1 1");
}

/* Where anything is another one than what was judged, the row is not even locked, so whoever holds
 * it there is not ended. */
Test(fence, a_claim_locks_only_what_was_judged)
{
    PGconn *holder = pair_connect(&s_pair);
    pair_ask(holder, "BEGIN; SELECT 1 FROM ixn.pair FOR UPDATE");
    for (condition_t wrong = 0; wrong < IDENTITIES; wrong++) {
        error_t error = {0};
        database_status_t status;
        database_status_t judged = s_pair.status;
        database_claim_t claim = s_claim();
        s_change_identity(&judged.identity, &judged.instance, wrong);
        cr_assert(!database_claim(s_pair.database, &judged, &claim, &status, &error));
        cr_assert_eq(error.code, wrong < STARTED_AT ? ERROR_DATABASE_WRONG : ERROR_DATABASE_FENCED,
                     "condition %d: %s", wrong, error.text);
        cr_assert(strstr(error.text, "nothing was claimed"), "%s", error.text);
        s_expect_unclaimed();
    }
    pair_ask(holder, "COMMIT"); /* the test fails when the session is gone */
    PQfinish(holder);
}

/* Everything that was judged besides: wrong alone, it is refused under the lock. */
Test(fence, a_claim_needs_each_condition)
{
    for (condition_t wrong = EPOCH; wrong < CONDITIONS; wrong++) {
        error_t error = {0};
        database_status_t status;
        database_status_t judged = s_pair.status;
        database_claim_t claim = s_claim();
        judged.epoch += wrong == EPOCH;
        judged.generation.bytes[3] ^= wrong == GENERATION;
        judged.head_index += wrong == HEAD_INDEX;
        judged.head_hash.bytes[3] ^= wrong == HEAD_HASH;
        cr_assert(!database_claim(s_pair.database, &judged, &claim, &status, &error),
                  "condition %d", wrong);
        cr_assert_eq(error.code, ERROR_DATABASE_FENCED, "%s", error.text);
        s_expect_unclaimed();
    }
}

/* The place that is known to be committed: judged under the lock, whatever was seen before. */
Test(fence, a_claim_needs_the_lineage)
{
    pair_start(&s_pair);
    pair_commit(&s_pair);
    const place_t here = {s_pair.index, s_pair.hash, 1, s_pair.status.generation};
    pair_commit(&s_pair);
    journal_destroy(&s_pair.journal);
    const place_t places[] = {
        {s_pair.index + 1, s_pair.hash, 1, s_pair.status.generation}, /* it is not there */
        {s_pair.index, here.hash, 1, s_pair.status.generation},       /* another batch is */
        here};
    static const char *const words[] = {"does not reach index 3", "has another batch at index 2",
                                        NULL};
    database_status_t judged;
    cr_assert(database_status(s_pair.database, NULL, &judged, NULL));
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        error_t error = {0};
        database_status_t status;
        database_claim_t claim = s_claim();
        judged.known = places[i];
        bool done = database_claim(s_pair.database, &judged, &claim, &status, &error);
        cr_assert_eq(done, !words[i], "%zu: %s", i, error.text);
        if (done)
            continue;
        cr_assert_eq(error.code, ERROR_DATABASE_FENCED);
        cr_assert(strstr(error.text, words[i]), "%s", error.text);
        s_expect_unclaimed();
    }
}

/* … and where the journal no longer reaches back so far, by the epochs. */
Test(fence, a_claim_needs_the_lineage_of_a_pruned_place)
{
    error_t error = {0};
    database_status_t status;
    database_status_t judged;
    pair_start(&s_pair);
    for (int i = 0; i < 3; i++)
        pair_commit(&s_pair);
    journal_destroy(&s_pair.journal);
    pair_ask(s_pair.pq, "DELETE FROM ixn.journal WHERE last_index < 3");
    cr_assert(database_status(s_pair.database, NULL, &judged, NULL));
    judged.known = (place_t){1, id_random(), 1, id_random()}; /* under an epoch it never had */
    database_claim_t claim = s_claim();
    cr_assert(!database_claim(s_pair.database, &judged, &claim, &status, &error));
    cr_assert(strstr(error.text, "has another batch at index 1"), "%s", error.text);
    judged.known.generation = s_pair.status.generation;
    /* Somebody else's epoch that began at or before it: this log has gone another way. */
    pair_ask(s_pair.pq,
             "INSERT INTO ixn.epoch (epoch, generation, owner, first_index, previous_hash, reason)"
             " SELECT 7, gen_random_uuid(), 'x', 1, previous_hash, 'x' FROM ixn.epoch");
    cr_assert(!database_claim(s_pair.database, &judged, &claim, &status, &error));
    cr_assert(strstr(error.text, "has another batch at index 1"), "%s", error.text);
    pair_ask(s_pair.pq, "UPDATE ixn.epoch SET first_index = 2 WHERE epoch = 7");
    cr_assert(database_claim(s_pair.database, &judged, &claim, &status, &error), "%s", error.text);
}

typedef struct {
    database_t *database;
    bool done;
    error_t error;
} claiming_t;

static void *s_perform(void *argument)
{
    claiming_t *self = argument;
    database_status_t status;
    const database_status_t judged = s_pair.status;
    database_claim_t claim = s_claim();
    self->done = database_claim(self->database, &judged, &claim, &status, &self->error);
    return NULL;
}

/* The lock was asked for where all was as judged; while it waits the DAP is led elsewhere. What is
 * found behind the lock counts. */
static void s_claim_is_repointed(condition_t to, error_code_t code)
{
    pthread_t thread;
    s_may_be_repointed();
    claiming_t claiming = {.database = pair_open_as_ixn(&s_pair, 5000)};
    PGconn *holder = pair_connect(&s_pair); /* of a role whose sessions ixn may not end */
    pair_ask(holder, "BEGIN; SELECT 1 FROM ixn.pair FOR SHARE");
    pthread_create(&thread, NULL, s_perform, &claiming);
    pair_await(s_pair.pq, "1", PAIR_WAITING);
    s_repoint(to);
    pair_ask(holder, "COMMIT");
    pthread_join(thread, NULL);
    cr_assert(!claiming.done);
    cr_assert_eq(claiming.error.code, code, "%s", claiming.error.text);
    cr_assert(strstr(claiming.error.text, "nothing was claimed"), "%s", claiming.error.text);
    s_expect_unclaimed();
    PQfinish(holder);
    database_destroy(&claiming.database);
}

Test(fence, a_claim_takes_no_other_cluster)
{
    s_claim_is_repointed(SYSTEM_IDENTIFIER, ERROR_DATABASE_WRONG);
}

Test(fence, a_claim_takes_no_other_database)
{
    s_claim_is_repointed(DATABASE_OID, ERROR_DATABASE_WRONG);
}

Test(fence, a_claim_takes_no_other_run_of_the_server)
{
    s_claim_is_repointed(STARTED_AT, ERROR_DATABASE_FENCED);
}

Test(fence, a_claim_takes_no_other_port)
{
    s_claim_is_repointed(PORT, ERROR_DATABASE_FENCED);
}

/* A standby takes no lock, so it cannot be claimed whatever was judged. */
Test(fence, a_claim_of_a_database_that_is_read_only_is_refused)
{
    error_t error = {0};
    database_status_t status;
    database_claim_t claim = s_claim();
    pair_ask(s_pair.pq, "ALTER DATABASE %s SET default_transaction_read_only = on", s_pair.name);
    database_destroy(&s_pair.database);
    s_pair.database = database_open(&s_pair.config, &error);
    cr_assert(!database_claim(s_pair.database, &s_pair.status, &claim, &status, &error));
    cr_assert_eq(error.code, ERROR_DATABASE_REFUSED);
    cr_assert(strstr(error.text, "25006"), "%s", error.text);
    s_expect_unclaimed();
}

/* ---- The checkpoint's lane, its retention, its partitions ---- */

static const char *s_holds(const fence_t *fence)
{
    char condition[FENCE_TEXT_SIZE];
    return pair_ask(s_pair.pq, "SELECT count(*) FROM ixn.pair AS p, ixn.checkpoint AS c WHERE %s",
                    fence_condition(fence, condition));
}

Test(fence, the_checkpoints_condition_needs_each)
{
    const fence_t good = {s_pair.status.identity, s_pair.status.generation, s_pair.status.instance};
    cr_assert_str_eq(s_holds(&good), "1");
    for (condition_t wrong = 0; wrong < IDENTITIES; wrong++) {
        fence_t fence = good;
        s_change_identity(&fence.identity, &fence.instance, wrong);
        cr_assert_str_eq(s_holds(&fence), "0", "condition %d", wrong);
    }
    fence_t fence = good;
    fence.generation.bytes[3] ^= 1;
    cr_assert_str_eq(s_holds(&fence), "0");
}

/* The run of the server to the microsecond, also where it is no even number of them. */
Test(fence, the_checkpoints_condition_is_exact)
{
    fence_t fence = {s_pair.status.identity, s_pair.status.generation, s_pair.status.instance};
    pair_pretend(&s_pair, "pg_postmaster_start_time()", "timestamptz",
                 "''2026-01-31 12:00:00.123457+00''::timestamptz");
    PQfinish(s_pair.pq);
    s_pair.pq = pair_connect(&s_pair);
    fence.instance.started_at = INT64_C(1769860800123457);
    cr_assert_str_eq(s_holds(&fence), "1");
    fence.instance.started_at--;
    cr_assert_str_eq(s_holds(&fence), "0");
}
