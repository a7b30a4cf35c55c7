/* Connections that are opened beside the journal, on a machine whose resolver does not answer. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>

#include "dap/dialer.h"
#include "tests/database/pair_fixture.h"

#define S_DEAD "host=nobody.invalid "

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

static void s_init(void)
{
    pair_init(&s_pair);
}

static void s_free(void)
{
    atomic_store(&s_resolver_works, true);
    pair_free(&s_pair);
}

TestSuite(dialer, .init = s_init, .fini = s_free, .timeout = 300);

static dialer_answer_t s_next(dialer_t *dialer)
{
    dialer_answer_t answer;
    struct pollfd item = {.fd = dialer_fd(dialer), .events = POLLIN};
    while (!dialer_next(dialer, &answer))
        cr_assert_eq(poll(&item, 1, 60000), 1, "no answer in time");
    return answer;
}

Test(dialer, opens_several_at_a_time_and_says_which)
{
    dialer_t *dialer = dialer_new();
    bool seen[5] = {false};
    for (uint64_t i = 1; i <= 4; i++)
        dialer_dial(dialer, i, pair_connection(&s_pair));
    for (int i = 0; i < 4; i++) {
        dialer_answer_t answer = s_next(dialer);
        cr_assert_eq(answer.error.code, ERROR_OK, "%s", answer.error.text);
        cr_assert(answer.number >= 1 && answer.number <= 4 && !seen[answer.number]);
        seen[answer.number] = true;
        cr_assert(connection_command(answer.connection, "SELECT 1", NULL));
        connection_destroy(&answer.connection);
    }
    dialer_destroy(&dialer);
}

Test(dialer, says_why_it_could_not)
{
    config_dap_t dap = {.name = "nowhere", .conninfo = "host=127.0.0.1 port=1"};
    dialer_t *dialer = dialer_new();
    dialer_dial(dialer, 7, connection_new(&dap, 20000, 20000));
    dialer_answer_t answer = s_next(dialer);
    cr_assert_eq(answer.number, 7);
    cr_assert_eq(answer.error.code, ERROR_DATABASE_UNREACHABLE);
    cr_assert(strstr(answer.error.text, "DAP nowhere: cannot connect"), "%s", answer.error.text);
    connection_destroy(&answer.connection);
    dialer_destroy(&dialer);
}

/* Being opened, answered and not taken, called off: each at some moment of these. */
Test(dialer, ends_with_whatever_is_under_way)
{
    config_dap_t far = {.name = "far", .conninfo = "host=192.0.2.1"};
    for (int questions = 0; questions < 20; questions++) {
        dialer_t *dialer = dialer_new();
        dialer_dial(dialer, 1, pair_connection(&s_pair));
        dialer_dial(dialer, 2, connection_new(&far, 20000, 20000));
        dialer_dial(dialer, 3, pair_connection(&s_pair));
        dialer_call_off(dialer, 3);
        for (int i = 0; i < questions; i++)
            pair_ask(s_pair.pq, "SELECT 1");
        usec_t began = connection_now();
        dialer_destroy(&dialer);
        cr_assert(connection_now() - began < 10 * USEC_PER_SECOND);
    }
}

/* The first DAP's name is looked up for ever: the second commits, and nothing that the journal's
 * owner calls waits. */
Test(dialer, a_dead_resolver_holds_up_nobody)
{
    journal_event_t event;
    s_pair.config.connect_timeout_ms = 300;
    s_pair.config.hedge_after_ms = 100;
    pair_set_dap(&s_pair, 1, getenv("IXN_TEST_CONNINFO"));
    pair_set_dap(&s_pair, 0, S_DEAD);
    pair_start(&s_pair);
    while (atomic_load(&s_asked) == 0)
        pair_turn(&s_pair, 2);
    usec_t began = connection_now();
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    cr_assert(connection_now() - began < 10 * USEC_PER_SECOND, "it waited for the resolver");
    do
        pair_expect_any(&s_pair, &event);
    while (event.kind == JOURNAL_MOVED || event.kind == JOURNAL_WAITING ||
           event.kind == JOURNAL_RESUMED);
    cr_assert_eq(event.kind, JOURNAL_COMMITTED, "event %d: %s", event.kind, event.error.text);
    cr_assert_eq(event.dap, 1);
    cr_assert(!atomic_load(&s_resolver_works));
    pair_commit(&s_pair);
    atomic_store(&s_resolver_works, true);
}

/* It is the only one: what it waits for is said. */
Test(dialer, a_dead_resolver_is_named)
{
    journal_event_t event;
    s_pair.config.connect_timeout_ms = 200;
    pair_set_dap(&s_pair, 0, S_DEAD);
    pair_start(&s_pair);
    journal_append(s_pair.journal, pair_batch(&s_pair, 1));
    pair_expect(&s_pair, JOURNAL_WAITING, &event);
    cr_assert(strstr(event.error.text,
                     "DAP dap-1: not connected within 200 ms: the name of its "
                     "host is still being looked up"),
              "%s", event.error.text);
    atomic_store(&s_resolver_works, true);
}
