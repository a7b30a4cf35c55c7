/* Connections that are opened on a machine whose resolver does not answer: nobody waits for it. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dap/access.h"
#include "dap/checkpoint_writer.h"
#include "dap/opening.h"
#include "tests/database/pair_fixture.h"

#define S_DEAD "host=nobody.invalid "
#define S_DEAD_LATER "host=127.0.0.1,nobody.invalid target_session_attrs=standby"
#define S_LONG (10 * USEC_PER_SECOND) /* on a busy machine; the resolver never answers */

static pair_t s_pair;
static atomic_bool s_resolver_works;
static atomic_int s_asked;

/* Stands before the C library's own for the whole program: one name is looked up for as long as the
 * test likes, as with a resolver whose packets are lost. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (!name || strcmp(name, "nobody.invalid") != 0)
        return real(name, service, hints, ret_list);
    atomic_fetch_add(&s_asked, 1);
    while (!atomic_load(&s_resolver_works))
        poll(NULL, 0, 1);
    return EAI_AGAIN;
}

/* Images come from the state, and none is made here. */
__attribute__((weak)) void checkpoint_image_destroy(checkpoint_image_t **self_p)
{
    (void)self_p;
}

static void s_init(void)
{
    pair_init(&s_pair);
}

static void s_free(void)
{
    atomic_store(&s_resolver_works, true);
    pair_free(&s_pair);
}

TestSuite(opening, .init = s_init, .fini = s_free, .timeout = 300);

static void s_await_asked(int times)
{
    usec_t end = connection_now() + 60 * USEC_PER_SECOND;
    while (atomic_load(&s_asked) < times) {
        cr_assert(connection_now() < end, "the name was not looked up");
        poll(NULL, 0, 1);
    }
}

/* Nothing that happened since then has waited for the resolver. */
static void s_expect_no_wait(usec_t began)
{
    cr_assert(!atomic_load(&s_resolver_works));
    cr_assert(connection_now() - began < S_LONG, "it waited for the resolver");
}

static connection_t *s_connection(uint32_t connect_timeout_ms)
{
    return connection_new(&s_pair.daps[0], connect_timeout_ms, 20000);
}

/* At some moment of it; also one that is not opened again keeps no session. */
Test(opening, ends_with_whatever_is_under_way)
{
    enum { CONNECTIONS = 20 };
    error_t error = {0};
    connection_t *connections[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        connections[i] = s_connection(20000);
        cr_assert(connection_start(connections[i], &error), "%s", error.text);
        for (int questions = 0; questions < i; questions++)
            pair_ask(s_pair.pq, "SELECT 1");
        connection_close(connections[i]);
    }
    pair_await(s_pair.pq, "t", /* but the fixture's own */
               "SELECT count(*) <= 1 FROM pg_stat_activity WHERE datname = current_database() AND "
               "application_name = 'ixn'");
    for (int i = 0; i < CONNECTIONS; i++) {
        if (i % 2 == 0)
            cr_assert(connection_command(connections[i], "SELECT 1", &error), "%s", error.text);
        connection_destroy(&connections[i]);
    }
}

/* The process has as many descriptors as it may: what cannot be opened is tried again later. */
Test(opening, needs_descriptors)
{
    error_t error = {0};
    struct rlimit limit;
    connection_t *connection = s_connection(20000);
    cr_assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    int next = dup(STDERR_FILENO);
    const struct rlimit few = {.rlim_cur = (rlim_t)next + 1, .rlim_max = limit.rlim_max};
    close(next);
    cr_assert(setrlimit(RLIMIT_NOFILE, &few) == 0);
    bool opened = connection_open(connection, &error);
    cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    cr_assert(!opened);
    cr_assert_eq(error.code, ERROR_DATABASE_UNREACHABLE);
    cr_assert(strstr(error.text, "DAP dap-1: cannot connect: ") &&
                  strstr(error.text, strerror(EMFILE)),
              "%s", error.text);
    cr_assert(connection_open(connection, &error), "%s", error.text);
    connection_destroy(&connection);
}

Test(opening, of_a_dead_name_ends_in_time)
{
    error_t error = {0};
    pair_set_dap(&s_pair, 0, S_DEAD);
    connection_t *connection = s_connection(200);
    usec_t began = connection_now();
    cr_assert(!connection_open(connection, &error));
    cr_assert_str_eq(error.text,
                     "DAP dap-1: not connected within 200 ms: the name of its host is still being "
                     "looked up (or libpq asks Kerberos); see the machine's resolver, or give the "
                     "DAP a hostaddr");
    connection_destroy(&connection);
    s_expect_no_wait(began);
}

/* The first host is one that is not wanted; the second one's name is looked up in a later step. */
static void s_set_dead_later(void)
{
    char conninfo[200];
    snprintf(conninfo, sizeof conninfo, "%s %s", getenv("IXN_TEST_CONNINFO"), S_DEAD_LATER);
    pair_set_dap(&s_pair, 0, conninfo);
}

Test(opening, names_a_dead_later_name)
{
    error_t error = {0};
    s_set_dead_later();
    connection_t *connection = s_connection(0);
    for (uint32_t ms = 100; !strstr(error.text, "is still being looked up"); ms *= 2) {
        cr_assert(ms < 60000, "%s", error.text);
        connection_set_timeouts(connection, ms, 20000);
        cr_assert(!connection_open(connection, &error));
    }
    connection_destroy(&connection);
}

/* Many of them: who waits for each, however shortly, waits too long. */
Test(opening, of_a_dead_later_name_is_left_at_once)
{
    enum { CONNECTIONS = 110 };
    error_t error = {0};
    connection_t *connections[CONNECTIONS];
    s_set_dead_later();
    for (int i = 0; i < CONNECTIONS; i++) {
        connections[i] = s_connection(60000);
        cr_assert(connection_start(connections[i], &error), "%s", error.text);
        s_await_asked(i + 1);
    }
    usec_t began = connection_now();
    for (int i = 0; i < CONNECTIONS; i++)
        connection_destroy(&connections[i]);
    s_expect_no_wait(began);
}

/* Those that were left, too, but not for ever. */
Test(opening, all_are_awaited)
{
    error_t error = {0};
    pair_set_dap(&s_pair, 0, S_DEAD);
    connection_t *connection = s_connection(20000);
    cr_assert(connection_start(connection, &error), "%s", error.text);
    s_await_asked(1);
    connection_destroy(&connection);
    cr_assert(!opening_await_all());
    atomic_store(&s_resolver_works, true);
    while (!opening_await_all())
        continue;
}

/* However often it is tried, and then it is tried anew. */
Test(opening, holds_one_thread)
{
    error_t error = {0};
    pair_set_dap(&s_pair, 0, S_DEAD);
    connection_t *connection = s_connection(20);
    usec_t began = connection_now();
    for (int i = 0; i < 20; i++)
        cr_assert(!connection_open(connection, &error));
    s_expect_no_wait(began);
    s_await_asked(1);
    cr_assert_eq(atomic_load(&s_asked), 1);
    atomic_store(&s_resolver_works, true);
    connection_set_timeouts(connection, 20000, 20000);
    cr_assert(!connection_open(connection, &error));
    cr_assert(strstr(error.text, "DAP dap-1: cannot connect: could not translate host name"), "%s",
              error.text);
    cr_assert_eq(atomic_load(&s_asked), 2);
    connection_destroy(&connection);
}

/* The first DAP's name is looked up for ever: the second commits, and nothing that the journal's
 * owner calls waits. */
Test(opening, a_dead_resolver_holds_up_no_journal)
{
    journal_event_t event;
    s_pair.config.connect_timeout_ms = 300;
    s_pair.config.hedge_after_ms = 100;
    pair_set_dap(&s_pair, 1, getenv("IXN_TEST_CONNINFO"));
    pair_set_dap(&s_pair, 0, S_DEAD);
    usec_t began = connection_now();
    pair_start(&s_pair);
    s_await_asked(1);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    s_expect_no_wait(began);
    do
        pair_expect_any(&s_pair, &event);
    while (event.kind == JOURNAL_MOVED || event.kind == JOURNAL_WAITING ||
           event.kind == JOURNAL_RESUMED);
    cr_assert_eq(event.kind, JOURNAL_COMMITTED, "event %d: %s", event.kind, event.error.text);
    cr_assert_eq(event.dap, 1);
    pair_commit(&s_pair);
    began = connection_now();
    journal_destroy(&s_pair.journal);
    s_expect_no_wait(began);
}

/* It is the only one: what it waits for is said, and the end does not wait. */
Test(opening, a_dead_resolver_is_named)
{
    journal_event_t event;
    s_pair.config.connect_timeout_ms = 200;
    pair_set_dap(&s_pair, 0, S_DEAD);
    pair_start(&s_pair);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    pair_expect(&s_pair, JOURNAL_WAITING, &event);
    cr_assert(strstr(event.error.text, "is still being looked up"), "%s", event.error.text);
    usec_t began = connection_now();
    journal_destroy(&s_pair.journal);
    s_expect_no_wait(began);
}

Test(opening, a_dead_resolver_holds_up_no_lane)
{
    access_event_t event;
    s_pair.config.connect_timeout_ms = 200;
    pair_set_dap(&s_pair, 0, S_DEAD);
    access_t *access = access_new(&s_pair.config, 0, NULL);
    access_observe(access, &(place_t){0});
    zmq_pollitem_t item = {.socket = zsock_resolve(access_socket(access)), .events = ZMQ_POLLIN};
    while (!access_next(access, &event))
        cr_assert_eq(zmq_poll(&item, 1, 60000), 1, "no answer in time");
    cr_assert(!event.ok && strstr(event.error.text, "is still being looked up"), "%s",
              event.error.text);
    access_observe(access, &(place_t){0});
    usec_t began = connection_now();
    access_destroy(&access);
    s_expect_no_wait(began);
}

Test(opening, a_dead_resolver_holds_up_no_checkpoint)
{
    pair_set_dap(&s_pair, 0, S_DEAD);
    checkpoint_writer_options_t options = {.use = use_all(&s_pair.config),
                                           .identity = s_pair.status.identity,
                                           .generation = s_pair.status.generation,
                                           .instance = s_pair.status.instance,
                                           .keep = checkpoint_keep_of(&s_pair.config)};
    checkpoint_writer_t *writer = checkpoint_writer_new(&options);
    s_await_asked(1); /* it keeps the tables in shape, without an image, too */
    usec_t began = connection_now();
    checkpoint_writer_destroy(&writer);
    s_expect_no_wait(began);
}
