/* Access lanes: look, claim, load and follow on a real server; rivals, gaps, servers that freeze.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dap/access.h"
#include "dap/checkpoint_writer.h"
#include "tests/database/pair_fixture.h"
#include "tests/unit/state_driver.h"

enum { PATIENCE_MS = 60000, IN_TIME_MS = 15000 };

static pair_t s_pair;

static void s_init(void)
{
    pair_init(&s_pair);
    s_pair.config.dedupe_window_ms = 3600000;
    s_pair.config.journal_retention_ms = 3600000;
    s_pair.config.journal_retention_size = UINT64_C(1) << 30;
    s_pair.config.history_retention_ms = UINT64_C(90) * 86400000;
}

static void s_free(void)
{
    pair_free(&s_pair);
}

TestSuite(access, .init = s_init, .fini = s_free, .timeout = 300);

static access_event_t s_next(access_t *lane, access_kind_t kind)
{
    access_event_t event;
    zmq_pollitem_t item = {.socket = zsock_resolve(access_socket(lane)), .events = ZMQ_POLLIN};
    while (!access_next(lane, &event))
        cr_assert_eq(zmq_poll(&item, 1, PATIENCE_MS), 1, "no answer of kind %d in time", kind);
    cr_assert_eq(event.kind, kind);
    return event;
}

static const place_t s_nowhere;

static void s_order_observe(access_t *lane)
{
    access_observe(lane, &s_nowhere);
}

static access_event_t s_observe(access_t *lane)
{
    access_observe(lane, &s_nowhere);
    return s_next(lane, ACCESS_OBSERVED);
}

static access_event_t s_follow(access_t *lane, uint64_t index, id128_t hash)
{
    access_follow(lane, index, hash, &s_pair.status.instance);
    access_event_t event = s_next(lane, ACCESS_FOLLOWED);
    cr_assert(event.ok || (!event.batches && !event.batches_len && !event.gone));
    return event;
}

static void s_drop(access_event_t *event)
{
    for (size_t i = 0; i < event->batches_len; i++)
        batch_destroy(&event->batches[i]);
    free(event->batches);
    state_destroy(&event->state);
}

static void s_expect_gone(access_t *lane, uint64_t index, id128_t hash)
{
    access_event_t event = s_follow(lane, index, hash);
    cr_assert(event.ok && event.gone && !event.batches, "%s", event.error.text);
}

/* Commits what pair_batch makes, so many batches; returns the hash of each by its last index. */
static void s_commit(id128_t *hashes, size_t len)
{
    pair_start(&s_pair);
    for (size_t i = 0; i < len; i++) {
        pair_commit(&s_pair);
        hashes[s_pair.index] = s_pair.hash;
    }
    journal_destroy(&s_pair.journal);
}

/* ---- Looking and claiming ---- */

static void s_looks(void)
{
    access_t *lane = access_new(&s_pair.config, s_pair.config.daps_len - 1, NULL);
    access_event_t event = s_observe(lane);
    cr_assert(event.ok, "%s", event.error.text);
    cr_assert_gt(event.elapsed, 0);
    cr_assert(identity_equal(&event.status.identity, &s_pair.status.identity));
    cr_assert(id_equal(event.status.generation, s_pair.status.generation));
    cr_assert_str_eq(event.status.owner, "node-a");
    cr_assert_eq(event.status.head_index, 0);
    s_commit((id128_t[4]){0}, 3);
    event = s_observe(lane);
    cr_assert(event.ok && event.status.head_index == 3);
    cr_assert(id_equal(event.status.head_hash, s_pair.hash));
    access_destroy(&lane);
    cr_assert_null(lane);
    access_destroy(&lane);
}

Test(access, sees_who_may_write_and_where_the_head_is)
{
    s_looks();
}

static void s_use_pooler(void)
{
    const char *pooler = getenv("IXN_TEST_POOLER");
    if (!pooler)
        cr_skip_test("IXN_TEST_POOLER is not set");
    pair_set_dap(&s_pair, 1, pooler);
}

Test(access, sees_it_through_a_transaction_pooler)
{
    s_use_pooler();
    s_looks();
}

Test(access, opens_again_what_was_lost)
{
    access_t *lane = access_new(&s_pair.config, 0, NULL);
    for (int i = 0; i < 3; i++) {
        access_event_t event = s_observe(lane);
        cr_assert(event.ok, "%s", event.error.text);
        pair_ask(s_pair.pq,
                 "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE "
                 "datname = current_database() AND pid <> pg_backend_pid()");
    }
    access_destroy(&lane);
}

/* It answers each order once, in their order. */
Test(access, does_one_thing_after_the_other)
{
    access_t *lane = access_new(&s_pair.config, 0, NULL);
    access_observe(lane, &s_nowhere);
    access_follow(lane, 0, s_pair.hash, &s_pair.status.instance);
    access_observe(lane, &s_nowhere);
    access_follow(lane, 0, s_pair.hash, &s_pair.status.instance);
    for (int i = 0; i < 2; i++) {
        access_event_t event = s_next(lane, ACCESS_OBSERVED);
        cr_assert(event.ok, "%s", event.error.text);
        event = s_next(lane, ACCESS_FOLLOWED);
        cr_assert(event.ok && !event.gone && event.batches_len == 0);
    }
    access_event_t none;
    cr_assert_not(access_next(lane, &none));
    access_destroy(&lane);
}

Test(access, of_two_lanes_that_claim_one_wins)
{
    access_t *lanes[2] = {access_new(&s_pair.config, 0, NULL), access_new(&s_pair.config, 0, NULL)};
    for (uint64_t round = 0; round < 10; round++) {
        access_event_t events[2];
        for (int i = 0; i < 2; i++) {
            /* Texts that are gone when the lane comes to it. */
            char owner[16], reason[16];
            snprintf(owner, sizeof owner, "node-%c", 'a' + i);
            snprintf(reason, sizeof reason, "round %d", (int)round);
            const access_claim_t claim = {.judged = s_pair.status,
                                          .claim_head = true,
                                          .highest_seen = 100 * round,
                                          .owner = owner,
                                          .reason = reason};
            access_claim(lanes[i], &claim);
            memset(owner, 'x', sizeof owner);
            memset(reason, 'x', sizeof reason);
        }
        for (int i = 0; i < 2; i++)
            events[i] = s_next(lanes[i], ACCESS_CLAIMED);
        int winner = events[0].ok ? 0 : 1;
        cr_assert(events[winner].ok && !events[1 - winner].ok, "%s; %s", events[0].error.text,
                  events[1].error.text);
        cr_assert_eq(events[1 - winner].error.code, ERROR_DATABASE_FENCED, "%s",
                     events[1 - winner].error.text);
        s_pair.status = events[winner].status;
        cr_assert(id_equal(s_pair.status.generation, events[winner].generation));
        cr_assert_eq(s_pair.status.owner[5], 'a' + winner);
        cr_assert_eq(s_pair.status.epoch, round ? 100 * round + 1 : 2);
        cr_assert_str_eq(pair_ask(s_pair.pq,
                                  "SELECT split_part(reason, ' ', 1) FROM ixn.epoch "
                                  "ORDER BY epoch DESC LIMIT 1"),
                         "round");
    }
    access_destroy(&lanes[0]);
    access_destroy(&lanes[1]);
}

Test(access, claims_only_the_judged_head_where_it_should)
{
    access_t *lane = access_new(&s_pair.config, 0, NULL);
    access_claim_t claim = {
        .judged = s_pair.status, .claim_head = true, .owner = "node-b", .reason = "test"};
    s_commit((id128_t[4]){0}, 2);
    access_claim(lane, &claim);
    access_event_t event = s_next(lane, ACCESS_CLAIMED);
    cr_assert(!event.ok && event.error.code == ERROR_DATABASE_FENCED, "%s", event.error.text);
    claim.claim_head = false;
    access_claim(lane, &claim);
    event = s_next(lane, ACCESS_CLAIMED);
    cr_assert(event.ok && event.status.head_index == 2, "%s", event.error.text);
    access_destroy(&lane);
}

/* ---- Following ---- */

Test(access, follows_the_journal)
{
    id128_t hashes[32] = {s_pair.hash};
    access_t *lane = access_new(&s_pair.config, 0, NULL);
    s_commit(hashes, 20);
    access_event_t event = s_follow(lane, 0, hashes[0]);
    cr_assert(event.ok && !event.gone, "%s", event.error.text);
    cr_assert_eq(event.batches_len, 20u);
    for (size_t i = 0; i < 20; i++) {
        const batch_t *batch = event.batches[i];
        cr_assert(batch->first == i + 1 && batch->last == i + 1 && batch->epoch == 1);
        cr_assert(id_equal(batch->previous, hashes[i]) && id_equal(batch->hash, hashes[i + 1]));
        cr_assert(id_equal(batch_hash(batch), batch->hash));
    }
    s_drop(&event);
    event = s_follow(lane, 17, hashes[17]);
    cr_assert(event.ok && event.batches_len == 3 && event.batches[0]->first == 18);
    s_drop(&event);
    /* Level. */
    event = s_follow(lane, 20, hashes[20]);
    cr_assert(event.ok && !event.gone && !event.batches && event.batches_len == 0);
    access_destroy(&lane);
}

Test(access, knows_when_what_is_asked_for_is_gone)
{
    id128_t hashes[32] = {s_pair.hash};
    access_t *lane = access_new(&s_pair.config, 0, NULL);
    s_commit(hashes, 20);
    s_expect_gone(lane, 10, hashes[9]);         /* another batch is there */
    s_expect_gone(lane, 20, hashes[19]);        /* … also at the head */
    s_expect_gone(lane, 21, hashes[20]);        /* lost commits: the head is before it */
    s_expect_gone(lane, UINT32_MAX, hashes[0]); /* … far before it */
    pair_ask(s_pair.pq, "DELETE FROM ixn.journal WHERE last_index <= 10");
    s_expect_gone(lane, 9, hashes[9]); /* retention has passed it */
    s_expect_gone(lane, 10, hashes[9]);
    /* The row itself is gone, but what follows is there, and quotes its hash. */
    access_event_t event = s_follow(lane, 10, hashes[10]);
    cr_assert(event.ok && !event.gone && event.batches_len == 10, "%s", event.error.text);
    s_drop(&event);
    /* A batch of several entries cannot be entered in its middle. */
    pair_start(&s_pair);
    journal_event_t committed;
    journal_append(s_pair.journal, pair_batch(&s_pair, 5));
    pair_expect(&s_pair, JOURNAL_COMMITTED, &committed);
    s_expect_gone(lane, 22, hashes[20]);
    access_destroy(&lane);
}

Test(access, does_not_take_a_damaged_journal)
{
    id128_t hashes[32] = {s_pair.hash};
    access_t *lane = access_new(&s_pair.config, 0, NULL);
    s_commit(hashes, 20);
    pair_ask(s_pair.pq, "DELETE FROM ixn.journal WHERE last_index = 15");
    access_event_t event = s_follow(lane, 12, hashes[12]);
    cr_assert(!event.ok && event.error.code == ERROR_DATABASE_DIVERGED);
    cr_assert(strstr(event.error.text, "a gap: after index 14"), "%s", event.error.text);
    pair_ask(s_pair.pq, "UPDATE ixn.journal SET entries = 'other' WHERE last_index = 19");
    event = s_follow(lane, 17, hashes[17]);
    cr_assert(!event.ok && event.error.code == ERROR_DATABASE_DIVERGED);
    cr_assert(strstr(event.error.text, "damaged at last_index 19"), "%s", event.error.text);
    event = s_observe(lane); /* and the lane goes on */
    cr_assert(event.ok, "%s", event.error.text);
    access_destroy(&lane);
}

/* Large ones come in pieces; one that is larger than a piece comes alone. */
Test(access, follows_in_pieces)
{
    static const size_t sizes[] = {3000000, 3000000, 3000000, 9000000, 9000000, 1000, 1000};
    enum { BATCHES = sizeof sizes / sizeof *sizes };
    char *bytes = memory_zero(1, 9000000);
    id128_t hash = s_pair.hash;
    pair_start(&s_pair);
    for (size_t i = 0; i < BATCHES; i++) {
        batch_t *batch = batch_new(1, i + 1, i + 1, s_pair.hash, 1, 1, (text_t){bytes, sizes[i]});
        s_pair.hash = batch->hash;
        journal_event_t event;
        journal_append(s_pair.journal, batch);
        pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    }
    access_t *lane = access_new(&s_pair.config, 0, NULL);
    size_t pieces = 0;
    for (uint64_t index = 0; index < BATCHES; pieces++) {
        access_event_t event = s_follow(lane, index, hash);
        cr_assert(event.ok && !event.gone && event.batches_len, "%s", event.error.text);
        size_t sum = 0;
        for (size_t i = 0; i < event.batches_len; i++)
            sum += event.batches[i]->entries.len;
        cr_assert(sum <= ACCESS_FOLLOW_BYTES || event.batches_len == 1, "%zu bytes", sum);
        index = event.batches[event.batches_len - 1]->last;
        hash = event.batches[event.batches_len - 1]->hash;
        s_drop(&event);
    }
    cr_assert_eq(pieces, 5u, "%zu pieces", pieces);
    access_destroy(&lane);
    free(bytes);
}

/* ---- Loading, and a whole take-over ---- */

/* A serving node: random entries through its journal, images through its checkpoint lane. */
typedef struct {
    driver_t *driver;
    checkpoint_writer_t *writer;
    size_t committed; /* batches of the driver */
} server_t;

static void s_open(server_t *self)
{
    s_pair.index = self->driver->state->index;
    s_pair.hash = self->driver->state->hash;
    pair_start(&s_pair);
    const checkpoint_writer_options_t options = {.use = use_all(&s_pair.config),
                                                 .keep = checkpoint_keep_of(&s_pair.config),
                                                 .identity = s_pair.status.identity,
                                                 .generation = s_pair.status.generation,
                                                 .instance = s_pair.status.instance};
    self->writer = checkpoint_writer_new(&options);
}

static void s_close(server_t *self)
{
    journal_destroy(&s_pair.journal);
    checkpoint_writer_destroy(&self->writer);
}

/* Decides and commits. */
static void s_decide(server_t *self, size_t batches)
{
    journal_event_t event;
    for (size_t i = 0; i < batches; i++)
        driver_batch(self->driver, 10);
    for (; self->committed < self->driver->batches_len; self->committed++) {
        const batch_t *batch = self->driver->batches[self->committed];
        journal_append(s_pair.journal,
                       batch_new(batch->epoch, batch->first, batch->last, batch->previous,
                                 batch->log_time, batch->wall_time, batch->entries));
        pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    }
}

static uint64_t s_checkpoint(server_t *self)
{
    checkpoint_event_t event;
    zmq_pollitem_t item = {.socket = zsock_resolve(checkpoint_writer_socket(self->writer)),
                           .events = ZMQ_POLLIN};
    state_image_begin(self->driver->state);
    checkpoint_writer_write(self->writer, state_image_step(self->driver->state, 100000));
    while (!checkpoint_writer_next(self->writer, &event))
        cr_assert_eq(zmq_poll(&item, 1, PATIENCE_MS), 1);
    cr_assert_eq(event.kind, CHECKPOINT_WRITTEN, "%s", event.error.text);
    return event.index;
}

static server_t s_serve(void)
{
    server_t server = {.driver = driver_new(11)};
    s_pair.status.epoch = 6; /* the driver's epoch is 7 */
    pair_ask(s_pair.pq, "UPDATE ixn.pair SET epoch = 6");
    pair_claim(&s_pair);
    cr_assert(state_load_checkpoint(server.driver->state, 0, s_pair.hash, 0));
    server.driver->aim = 60;
    s_open(&server);
    /* As every node: what is in force, and how long keys are remembered, is its first entry. */
    driver_begin(server.driver);
    driver_configure(server.driver);
    driver_end(server.driver);
    s_decide(&server, 0);
    return server;
}

static state_t *s_load(access_t *lane, uint64_t checkpoint)
{
    access_load(lane, NULL);
    access_event_t event = s_next(lane, ACCESS_LOADED);
    cr_assert(event.ok && event.state, "%s", event.error.text);
    cr_assert_eq(event.status.head_index, event.state->index);
    cr_assert(id_equal(event.status.head_hash, event.state->hash));
    cr_assert_eq(event.status.checkpoint_index, checkpoint);
    cr_assert(!state_image_needed(event.state), "it does not follow");
    return event.state;
}

/* A follower hears the log from the journal and takes over; its first image goes into tables that
 * the other node has brought further since it loaded. */
static void s_takes_over(void)
{
    error_t error = {0};
    server_t server = s_serve();
    access_t *lane = access_new(&s_pair.config, s_pair.config.daps_len - 1, NULL);
    s_decide(&server, 30);
    uint64_t checkpoint = s_checkpoint(&server);
    s_decide(&server, 10); /* comes from the journal */
    state_t *follower = s_load(lane, checkpoint);
    cr_assert_eq(state_digest(follower), state_digest(server.driver->state));
    s_decide(&server, 10);
    checkpoint = s_checkpoint(&server);
    s_decide(&server, 10);
    wire_arena_t *arena = wire_arena_new();
    access_event_t event = s_follow(lane, follower->index, follower->hash);
    cr_assert(event.ok && event.batches_len == 20, "%s", event.error.text);
    for (size_t i = 0; i < event.batches_len; i++)
        cr_assert(state_apply_batch(follower, event.batches[i], arena, NULL, &error), "%s",
                  error.text);
    s_drop(&event);
    wire_arena_destroy(&arena);
    cr_assert_eq(state_digest(follower), state_digest(server.driver->state));
    s_close(&server);
    event = s_observe(lane);
    const access_claim_t claim = {
        .judged = event.status, .claim_head = true, .owner = "node-b", .reason = "test"};
    access_claim(lane, &claim);
    event = s_next(lane, ACCESS_CLAIMED);
    cr_assert(event.ok, "%s", event.error.text);
    cr_assert(event.status.head_index == follower->index &&
              event.status.checkpoint_index == checkpoint);
    state_follow_end(follower, event.status.checkpoint_index);
    state_destroy(&server.driver->state);
    server.driver->state = follower;
    s_pair.status = event.status;
    checkpoint_writer_destroy(&server.writer);
    s_open(&server);
    checkpoint = s_checkpoint(&server);
    cr_assert_eq(checkpoint, follower->index);
    state_t *loaded = s_load(lane, checkpoint);
    cr_assert_eq(state_digest(loaded), state_digest(follower));
    kept_row_t *is = table_of(loaded), *should = table_of(follower);
    cr_assert_eq(HASH_COUNT(is), HASH_COUNT(should));
    cr_assert_eq(loaded->remembered.len, follower->remembered.len);
    table_clear(&is);
    table_clear(&should);
    char finished[24];
    snprintf(finished, sizeof finished, "%u", HASH_COUNT(server.driver->finished));
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT count(*) FROM ixn.interaction_history"), finished);
    state_destroy(&loaded);
    s_close(&server);
    driver_free(server.driver);
    access_destroy(&lane);
}

Test(access, loads_follows_and_takes_over)
{
    s_takes_over();
}

Test(access, takes_over_through_a_transaction_pooler)
{
    s_use_pooler();
    s_takes_over();
}

Test(access, an_answer_that_nobody_takes_is_freed)
{
    id128_t hashes[32] = {s_pair.hash};
    s_commit(hashes, 5);
    access_t *lane = access_new(&s_pair.config, 0, NULL);
    access_follow(lane, 0, hashes[0], &s_pair.status.instance);
    zmq_pollitem_t item = {.socket = zsock_resolve(access_socket(lane)), .events = ZMQ_POLLIN};
    cr_assert_eq(zmq_poll(&item, 1, PATIENCE_MS), 1);
    access_follow(lane, 0, hashes[0], &s_pair.status.instance); /* perhaps answered, perhaps not */
    access_load(lane, NULL);
    access_destroy(&lane);
}

/* ---- Servers that freeze ---- */

/* Stops the lane's session, as a frozen server has it; SIGCONT is for the caller. */
static pid_t s_freeze(void)
{
    pid_t pid = (pid_t)strtol(pair_ask(s_pair.pq,
                                       "SELECT pid FROM pg_stat_activity WHERE datname = "
                                       "current_database() AND application_name = 'ixn' "
                                       "ORDER BY backend_start DESC LIMIT 1"),
                              NULL, 10);
    cr_assert_gt(pid, 1);
    cr_assert_eq(kill(pid, SIGSTOP), 0);
    return pid;
}

/* Takes connections, as the kernel does for a frozen server, and never says a word. */
static int s_silent_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(server >= 0 && bind(server, (struct sockaddr *)&address, len) == 0 &&
              listen(server, 16) == 0 &&
              getsockname(server, (struct sockaddr *)&address, &len) == 0);
    char conninfo[80];
    snprintf(conninfo, sizeof conninfo, "host=127.0.0.1 port=%d user=postgres",
             ntohs(address.sin_port));
    pair_set_dap(&s_pair, 1, conninfo);
    return server;
}

/* The answer about a frozen server comes in time, and the lane finds its way back. */
Test(access, tells_in_time_that_a_session_is_frozen)
{
    s_pair.config.statement_timeout_ms = 1500;
    access_t *lane = access_new(&s_pair.config, 0, NULL);
    access_event_t event = s_observe(lane);
    cr_assert(event.ok, "%s", event.error.text);
    pid_t frozen = s_freeze();
    event = s_observe(lane);
    cr_assert(!event.ok && event.error.code == ERROR_DATABASE_UNREACHABLE, "%s", event.error.text);
    cr_assert(event.elapsed < IN_TIME_MS * USEC_PER_MS, "%ld us", (long)event.elapsed);
    event = s_observe(lane);
    cr_assert(event.ok, "%s", event.error.text);
    cr_assert_eq(kill(frozen, SIGCONT), 0);
    access_destroy(&lane);
}

Test(access, tells_in_time_that_nobody_answers)
{
    s_pair.config.connect_timeout_ms = 300;
    int server = s_silent_server();
    access_t *lane = access_new(&s_pair.config, 1, NULL);
    for (int i = 0; i < 2; i++) {
        access_event_t event = s_observe(lane);
        cr_assert(!event.ok && event.error.code == ERROR_DATABASE_UNREACHABLE);
        cr_assert(strstr(event.error.text, "DAP dap-2"), "%s", event.error.text);
        cr_assert(event.elapsed < IN_TIME_MS * USEC_PER_MS, "%ld us", (long)event.elapsed);
    }
    access_destroy(&lane);
    close(server);
}

static void s_order_load(access_t *lane)
{
    access_load(lane, NULL);
}

static void s_expect_quick_end(access_t **lane)
{
    usec_t started = connection_now();
    access_destroy(lane);
    usec_t elapsed = connection_now() - started;
    cr_assert(elapsed < IN_TIME_MS * USEC_PER_MS, "%ld us", (long)elapsed);
    fprintf(stderr, "measured: access lane on a frozen server destroyed in %ld us\n",
            (long)elapsed);
}

Test(access, ends_at_once_while_a_session_is_frozen)
{
    static void (*const orders[])(access_t *) = {s_order_observe, s_order_load};
    s_pair.config.statement_timeout_ms = 60000;
    for (int i = 0; i < 2; i++) {
        access_t *lane = access_new(&s_pair.config, 0, NULL);
        access_event_t event = s_observe(lane);
        cr_assert(event.ok, "%s", event.error.text);
        pid_t frozen = s_freeze();
        orders[i](lane);
        access_observe(lane, &s_nowhere);
        cr_assert_eq(zmq_poll(&(zmq_pollitem_t){.socket = zsock_resolve(access_socket(lane)),
                                                .events = ZMQ_POLLIN},
                              1, 100),
                     0, "a frozen session answers");
        s_expect_quick_end(&lane);
        cr_assert_eq(kill(frozen, SIGCONT), 0);
        pair_await(s_pair.pq, "0",
                   "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                   "AND application_name = 'ixn' AND pid <> pg_backend_pid() AND state = 'active'");
    }
}

Test(access, ends_at_once_while_it_connects)
{
    s_pair.config.connect_timeout_ms = 60000;
    int server = s_silent_server();
    access_t *lane = access_new(&s_pair.config, 1, NULL);
    access_load(lane, NULL);
    struct pollfd item = {.fd = server, .events = POLLIN};
    cr_assert_eq(poll(&item, 1, PATIENCE_MS), 1);
    s_expect_quick_end(&lane);
    close(server);
}

/* A claim that waits for a lock that it may not break. */
Test(access, ends_at_once_while_it_claims)
{
    s_pair.config.statement_timeout_ms = 60000;
    database_destroy(&s_pair.database);
    s_pair.database = pair_open_as_ixn(&s_pair, 60000);
    snprintf(s_pair.daps[0].conninfo + strlen(s_pair.daps[0].conninfo),
             sizeof s_pair.daps[0].conninfo - strlen(s_pair.daps[0].conninfo), " user=ixn");
    access_t *lane = access_new(&s_pair.config, 0, NULL);
    pair_ask(s_pair.pq, "BEGIN; SELECT 1 FROM ixn.pair FOR UPDATE");
    const access_claim_t claim = {.judged = s_pair.status, .owner = "node-b", .reason = "test"};
    access_claim(lane, &claim);
    PGconn *other = pair_connect(&s_pair);
    pair_await(other, "1", PAIR_WAITING);
    s_expect_quick_end(&lane);
    pair_ask(s_pair.pq, "COMMIT");
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT owner FROM ixn.pair"), "node-a");
    PQfinish(other);
}
