/* Client against scripted nodes that come, go, and take over from each other: redirects, epochs,
 * tokens over reconnects, silence. */
#include <criterion/criterion.h>

#include "tests/unit/fake_node.h"

#define SUBMIT IXN__V1__REQUEST__BODY_SUBMIT
#define REGISTER IXN__V1__REQUEST__BODY_REGISTER
#define PING IXN__V1__REQUEST__BODY_PING
#define HOUR_MS 3600000

static bench_t s_bench;
static node_t *const s_a = &s_bench.nodes[0];
static node_t *const s_b = &s_bench.nodes[1];

static void s_connect(size_t nodes_len, ixn_client_options_t options)
{
    bench_start(&s_bench, nodes_len, options);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 1);
}

static void s_teardown(void)
{
    bench_stop(&s_bench);
}

TestSuite(client_pair, .fini = s_teardown, .timeout = 300);

/* A client whose own timers do not help: what it does, it does because of what it heard. */
static void s_connect_patient(void)
{
    s_connect(2, (ixn_client_options_t){.resend_ms = HOUR_MS, .give_up_ms = HOUR_MS});
    WAIT(&s_bench, node_count(s_b, REGISTER) >= 1);
}

/* The same requests, in the same order, with the same bytes. */
static void s_assert_same_work(const node_t *first, const node_t *second, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cr_assert(heard_equal(node_heard(first, SUBMIT, i), node_heard(second, SUBMIT, i)),
                  "number %zu", i);
}

Test(client_pair, registers_at_both_and_uses_the_one_that_serves)
{
    bench_start(&s_bench, 2, (ixn_client_options_t){0});
    s_a->admit = REGISTER_NOT_PRIMARY;
    s_b->admit = REGISTER_SERVE;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 1 && node_count(s_a, REGISTER));
    send_submit(s_bench.client);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 1);
    cr_assert_str_eq(ixn_client_endpoint(s_bench.client), s_b->address);
    cr_assert_eq(node_count(s_a, SUBMIT), 0);
}

Test(client_pair, follows_not_primary_with_all_requests_in_order)
{
    s_connect_patient(); /* not by its timer */
    /* a switchover: A refers to B, and does so for requests, too */
    s_a->work = WORK_NOT_PRIMARY;
    s_a->admit = REGISTER_NOT_PRIMARY;
    s_a->primary = s_b->address;
    s_b->admit = REGISTER_SERVE;
    s_b->epoch = 6;
    for (int i = 0; i < 2500; i++)
        send_submit(s_bench.client);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 2500);
    cr_assert_eq(bench_told(&s_bench, IXN_EVENT_DISCONNECTED), 1);
    cr_assert_eq(bench_told(&s_bench, IXN_EVENT_CONNECTED), 2);
    cr_assert_eq(ixn_client_epoch(s_bench.client), 6);
    s_assert_same_work(s_a, s_b, node_count(s_a, SUBMIT));
    cr_assert_eq(node_count(s_b, SUBMIT), 2500, "each once");
}

Test(client_pair, goes_on_at_the_other_node_when_one_is_gone)
{
    s_connect(2, (ixn_client_options_t){.resend_ms = 60000}); /* not by its timer */
    WAIT(&s_bench, node_count(s_b, REGISTER) >= 1);
    s_a->work = WORK_KEEP;
    for (int i = 0; i < 10; i++)
        send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_a, SUBMIT) >= 10);
    node_stop(s_a);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_DISCONNECTED) == 1);
    cr_assert_null(ixn_client_endpoint(s_bench.client));
    WAIT(&s_bench, node_count(s_b, REGISTER) >= 3); /* asked until it serves */
    s_b->admit = REGISTER_SERVE;
    s_b->epoch = 6;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 10);
    s_assert_same_work(s_a, s_b, 10);
}

/* The old primary is frozen: nothing closes. Unanswered requests make the client ask the other
 * node. */
Test(client_pair, finds_the_new_primary_while_the_old_one_is_frozen)
{
    bench_start(&s_bench, 2, (ixn_client_options_t){.resend_ms = 100});
    s_a->heartbeat_ms = s_b->heartbeat_ms = HOUR_MS; /* not by missing those */
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 1 && node_count(s_b, REGISTER));
    s_a->frozen = true;
    uint64_t id = send_submit(s_bench.client);
    bench_turn(&s_bench);
    s_b->admit = REGISTER_SERVE;
    s_b->epoch = 6;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 1);
    cr_assert_eq(bench_last(&s_bench, IXN_EVENT_ANSWER)->request_id, id);
    cr_assert_eq(ixn_client_epoch(s_bench.client), 6);

    /* it wakes up, and answers what it had read: too late */
    s_a->frozen = false;
    s_b->work = WORK_KEEP;
    uint64_t next = send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_b, SUBMIT) >= 2 && node_count(s_a, SUBMIT) >= 1);
    node_ack(s_a, 5, next);
    node_ack(s_b, 6, next);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 2);
    cr_assert_str_eq(ixn_client_endpoint(s_bench.client), s_b->address);
}

Test(client_pair, ignores_a_lower_epoch)
{
    s_connect(1, (ixn_client_options_t){0});
    s_a->work = WORK_KEEP;
    uint64_t first = send_submit(s_bench.client);
    uint64_t second = send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_a, SUBMIT) >= 2);
    node_ack(s_a, 4, first);
    node_ack(s_a, 0, first); /* only a node that serves can know */
    node_ack(s_a, 5, second);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 1);
    cr_assert_eq(bench_last(&s_bench, IXN_EVENT_ANSWER)->request_id, second);
    cr_assert_eq(ixn_client_unanswered(s_bench.client), 1);
    node_ack(s_a, 7, first);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 2);
    cr_assert_eq(ixn_client_epoch(s_bench.client), 7);
}

Test(client_pair, does_not_register_at_a_lower_epoch)
{
    s_connect(2, (ixn_client_options_t){0});
    s_b->admit = REGISTER_SERVE;
    s_b->epoch = 4;
    node_stop(s_a);
    WAIT(&s_bench, node_count(s_b, REGISTER) >= 4);
    cr_assert_null(ixn_client_endpoint(s_bench.client));
    /* another database (an operator's decision) has epochs of its own */
    s_b->database_id = id_random();
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 2);
    cr_assert_eq(ixn_client_epoch(s_bench.client), 4);
}

Test(client_pair, stays_when_two_nodes_claim_to_serve)
{
    s_connect(2, (ixn_client_options_t){0});
    WAIT(&s_bench, node_count(s_b, REGISTER) >= 1);
    s_b->admit = REGISTER_SERVE; /* the same epoch: a lie */
    node_stop(s_b);
    node_start(s_b);
    WAIT(&s_bench, node_count(s_b, REGISTER) >= 2);
    for (int i = 0; i < 10; i++)
        bench_turn(&s_bench);
    cr_assert_str_eq(ixn_client_endpoint(s_bench.client), s_a->address);
    cr_assert_eq(bench_told(&s_bench, IXN_EVENT_CONNECTED), 1);
}

Test(client_pair, reconnects_after_a_restart_and_asks_again)
{
    s_connect(1, (ixn_client_options_t){0});
    s_a->work = WORK_KEEP;
    uint64_t id = send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_a, SUBMIT) >= 1);
    node_stop(s_a);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_DISCONNECTED) == 1);
    s_a->work = WORK_ACK;
    s_a->epoch = 6;
    int64_t since_ms = bench_now_ms(&s_bench);
    node_start(s_a);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 1);
    cr_assert_lt(bench_now_ms(&s_bench) - since_ms, 5000);
    cr_assert_eq(bench_last(&s_bench, IXN_EVENT_ANSWER)->request_id, id);
    cr_assert(heard_equal(node_heard(s_a, SUBMIT, 0), node_heard(s_a, SUBMIT, 1)));
    /* the same process: the same incarnation */
    Ixn__V1__Request *first = heard_request(node_heard(s_a, REGISTER, 0));
    Ixn__V1__Request *second = heard_request(node_heard(s_a, REGISTER, 1));
    cr_assert_eq(
        memcmp(first->register_->incarnation.data, second->register_->incarnation.data, 16), 0);
    ixn__v1__request__free_unpacked(first, NULL);
    ixn__v1__request__free_unpacked(second, NULL);
}

Test(client_pair, connects_anew_to_a_silent_node)
{
    bench_start(&s_bench, 1, (ixn_client_options_t){0});
    s_a->heartbeat_ms = 400;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 1);
    s_a->frozen = true;
    int64_t since_ms = now_ms();
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_DISCONNECTED) == 1);
    cr_assert_geq(now_ms() - since_ms, 100, "patience for the answer to a Ping");
    const told_t *told = bench_last(&s_bench, IXN_EVENT_DISCONNECTED);
    cr_assert(strstr(told->error.text, "said nothing"), "%s", told->error.text);
    s_a->frozen = false;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 2);
    cr_assert_geq(s_a->connections, 2);
}

Test(client_pair, registers_again_when_the_node_forgot_it)
{
    s_connect(1, (ixn_client_options_t){0});
    s_a->work = WORK_ERROR;
    s_a->code = IXN__V1__CODE__NOT_REGISTERED;
    send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_a, SUBMIT) >= 1);
    s_a->work = WORK_ACK;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 1);
    cr_assert_eq(node_count(s_a, REGISTER), 2);
    cr_assert_eq(bench_last(&s_bench, IXN_EVENT_ANSWER)->body, IXN__V1__MESSAGE__BODY_ACK);
    cr_assert(heard_equal(node_heard(s_a, SUBMIT, 0), node_heard(s_a, SUBMIT, 1)));
}

/* ---------------------------------------------------------------------------------------------
 * What a node says by itself when the roles change */

/* Waits until the pauses between registrations at `node` have grown to their longest. */
static void s_wait_for_long_pauses(node_t *node)
{
    int64_t before_ms = 0, last_ms = 0;
    do {
        size_t count = node_count(node, REGISTER);
        WAIT(&s_bench, node_count(node, REGISTER) > count);
        before_ms = last_ms;
        last_ms = node_heard(node, REGISTER, count)->at_ms;
    } while (before_ms == 0 || last_ms - before_ms < 450);
}

/* The pair: A stops, B takes over. Between B's word and its first answer there is one Register and
 * the requests, each once, and no pause. */
static void s_take_over(size_t requests)
{
    size_t registers = node_count(s_b, REGISTER);
    size_t answers = bench_told(&s_bench, IXN_EVENT_ANSWER);
    s_b->admit = REGISTER_SERVE;
    s_b->epoch = 6;
    int64_t since_ms = bench_now_ms(&s_bench), lost_ms = s_bench.lost_ms;
    node_begins(s_b);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == answers + requests);
    cr_assert_lt(bench_now_ms(&s_bench) - since_ms, 250, "the next retry is 500 ms or more away");
    if (s_bench.lost_ms == lost_ms) /* otherwise it may have been due meanwhile */
        cr_assert_eq(node_count(s_b, REGISTER), registers + 1);
    cr_assert_eq(node_count(s_b, SUBMIT), requests);
    s_assert_same_work(s_a, s_b, requests);
    cr_assert_eq(ixn_client_epoch(s_bench.client), 6);
}

Test(client_pair, registers_at_once_where_a_node_begins_to_serve)
{
    s_connect_patient();
    s_a->work = WORK_KEEP;
    for (int i = 0; i < 10; i++)
        send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_a, SUBMIT) >= 10);
    node_stop(s_a);
    s_wait_for_long_pauses(s_b);
    s_take_over(10);
}

Test(client_pair, registers_at_once_where_a_take_over_ends)
{
    s_connect_patient();
    s_b->admit = REGISTER_RETRY;
    s_b->after_ms = 20;
    s_a->work = WORK_KEEP;
    send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_a, SUBMIT) >= 1);
    node_stop(s_a);
    s_wait_for_long_pauses(s_b);
    s_take_over(1);
}

Test(client_pair, asks_the_other_node_at_once_when_one_stops)
{
    s_connect_patient();
    s_a->work = WORK_KEEP;
    for (int i = 0; i < 10; i++)
        send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_a, SUBMIT) >= 10);
    s_a->admit = REGISTER_NOT_PRIMARY;
    s_b->admit = REGISTER_SERVE;
    s_b->epoch = 6;
    size_t registers = node_count(s_b, REGISTER);
    node_stops(s_a);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 10);
    cr_assert_eq(node_count(s_b, REGISTER), registers + 1);
    cr_assert_eq(node_count(s_b, SUBMIT), 10);
    s_assert_same_work(s_a, s_b, 10);
}

/* B refused the client once; A, which did not, stops, and B serves by then. */
Test(client_pair, asks_a_node_again_that_refused_it_when_the_other_one_stops)
{
    bench_start(&s_bench, 2, (ixn_client_options_t){.resend_ms = HOUR_MS, .give_up_ms = HOUR_MS});
    s_b->admit = REGISTER_ERROR;
    s_b->code = IXN__V1__CODE__NAME_IN_USE;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 1 && node_count(s_b, REGISTER));
    bench_turn(&s_bench);
    s_b->admit = REGISTER_SERVE;
    s_b->epoch = 6;
    s_a->admit = REGISTER_NOT_PRIMARY;
    node_stops(s_a);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 2);
    cr_assert_str_eq(ixn_client_endpoint(s_bench.client), s_b->address);
    cr_assert_eq(node_count(s_b, REGISTER), 2);
}

/* Both refuse it: it hears so of the second one, too, and asks no more. */
Test(client_pair, hears_of_a_refusal_where_no_other_node_serves_any_more)
{
    bench_start(&s_bench, 2, (ixn_client_options_t){.resend_ms = HOUR_MS, .give_up_ms = HOUR_MS});
    s_b->admit = REGISTER_ERROR;
    s_b->code = IXN__V1__CODE__UNKNOWN_TENANT;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 1 && node_count(s_b, REGISTER));
    bench_turn(&s_bench);
    size_t refusals = bench_told(&s_bench, IXN_EVENT_REFUSED);
    s_a->admit = REGISTER_NOT_PRIMARY;
    node_stops(s_a);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_REFUSED) == refusals + 1);
    cr_assert_eq(bench_last(&s_bench, IXN_EVENT_REFUSED)->error.code, ERROR_UNKNOWN_TENANT);
    cr_assert_eq(node_count(s_b, REGISTER), 2);
}

/* A is silent, and B, which refused the client once, says that it serves. */
Test(client_pair, leaves_a_frozen_node_for_one_that_refused_it)
{
    bench_start(&s_bench, 2, (ixn_client_options_t){.resend_ms = HOUR_MS, .give_up_ms = HOUR_MS});
    s_a->heartbeat_ms = s_b->heartbeat_ms = HOUR_MS;
    s_b->admit = REGISTER_ERROR;
    s_b->code = IXN__V1__CODE__NAME_IN_USE;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 1 && node_count(s_b, REGISTER));
    bench_turn(&s_bench);
    s_a->work = WORK_KEEP;
    send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_a, SUBMIT) >= 1);
    s_a->frozen = true;
    s_take_over(1);
}

/* … and refuses it still: once for each epoch is enough, and the program need not know. */
Test(client_pair, asks_a_node_that_refuses_it_once_an_epoch)
{
    bench_start(&s_bench, 2, (ixn_client_options_t){.resend_ms = HOUR_MS, .give_up_ms = HOUR_MS});
    s_a->heartbeat_ms = HOUR_MS;
    s_b->admit = REGISTER_ERROR;
    s_b->code = IXN__V1__CODE__UNKNOWN_TENANT;
    s_b->epoch = 6;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 1 && node_count(s_b, REGISTER));
    bench_turn(&s_bench);
    size_t refusals = bench_told(&s_bench, IXN_EVENT_REFUSED);
    for (size_t registers = 1; registers <= 2; registers++) {
        for (int i = 0; i < 3; i++)
            node_begins(s_b);
        size_t pings = node_count(s_b, PING);
        WAIT(&s_bench, node_count(s_b, PING) > pings); /* long after a Register would come */
        cr_assert_eq(node_count(s_b, REGISTER), registers);
        s_b->epoch++;
        node_begins(s_b);
        WAIT(&s_bench, node_count(s_b, REGISTER) == registers + 1);
        bench_turn(&s_bench);
    }
    cr_assert_eq(bench_told(&s_bench, IXN_EVENT_REFUSED), refusals);
    cr_assert_str_eq(ixn_client_endpoint(s_bench.client), s_a->address);
}

/* The connection to A stands, A is silent, and B says that it serves. */
Test(client_pair, leaves_a_frozen_node_when_another_begins_to_serve)
{
    bench_start(&s_bench, 2, (ixn_client_options_t){.resend_ms = HOUR_MS});
    s_a->heartbeat_ms = s_b->heartbeat_ms = HOUR_MS;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 1 && node_count(s_b, REGISTER));
    s_a->work = WORK_KEEP;
    send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_a, SUBMIT) >= 1);
    s_a->frozen = true;
    s_take_over(1);
    /* it wakes up, and tells what it is told: too late */
    s_a->frozen = false;
    node_stops(s_a);
    node_begins(s_a);
    send_submit(s_bench.client);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 2);
    cr_assert_str_eq(ixn_client_endpoint(s_bench.client), s_b->address);
    cr_assert_eq(node_count(s_a, REGISTER), 1, "a lower epoch is nothing to register at");
}

/* An idle client has no request that tells it of the silence; its Ping does. */
Test(client_pair, doubts_a_node_that_does_not_answer_a_ping)
{
    bench_start(&s_bench, 2, (ixn_client_options_t){.resend_ms = 100});
    s_a->heartbeat_ms = 1200;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 1 && node_count(s_b, REGISTER));
    s_a->frozen = true;
    WAIT(&s_bench, node_count(s_b, REGISTER) >= 2);
    cr_assert_eq(bench_told(&s_bench, IXN_EVENT_DISCONNECTED), 0, "it is not given up yet");
    cr_assert_str_eq(ixn_client_endpoint(s_bench.client), s_a->address);
}

/* What a node said before it knew that it is no longer the primary comes after the other one has
 * all requests: it neither delays nor repeats any. */
Test(client_pair, late_words_of_the_old_primary_change_nothing)
{
    s_connect_patient();
    s_a->work = WORK_KEEP;
    uint64_t first = send_submit(s_bench.client);
    uint64_t second = send_submit(s_bench.client);
    uint64_t third = send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_a, SUBMIT) >= 3);
    s_b->work = WORK_KEEP;
    s_b->admit = REGISTER_SERVE;
    s_b->epoch = 6;
    node_begins(s_b);
    WAIT(&s_bench, node_count(s_b, SUBMIT) >= 3);
    s_a->after_ms = 30000;
    s_a->work = WORK_RETRY;
    node_not_now(s_a, first);
    s_a->work = WORK_BUSY;
    node_not_now(s_a, second);
    s_a->work = WORK_NOT_PRIMARY;
    node_not_now(s_a, third);
    node_error(s_a, third, IXN__V1__CODE__NOT_REGISTERED);
    s_a->epoch = 6;
    node_route(s_a, 6, 1); /* all before it were heard when this one is told */
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_MESSAGE) == 1);
    s_b->work = WORK_ACK;
    int64_t since_ms = now_ms();
    send_submit(s_bench.client);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 1);
    cr_assert_lt(now_ms() - since_ms, 10000, "not after A's 30 s");
    cr_assert_eq(node_count(s_b, SUBMIT), 4, "none was sent again");
    cr_assert_eq(ixn_client_unanswered(s_bench.client), 3);
}

/* A node that was away as a primary comes back as one, and its word that it stopped was lost. */
Test(client_pair, registers_again_where_the_epoch_has_risen)
{
    s_connect_patient();
    s_a->epoch = 7;
    node_begins(s_a);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 2);
    cr_assert_eq(node_count(s_a, REGISTER), 2);
    cr_assert_eq(ixn_client_epoch(s_bench.client), 7);
    /* a hand-over that failed: the same epoch goes on */
    s_a->admit = REGISTER_NOT_PRIMARY;
    node_stops(s_a);
    s_wait_for_long_pauses(s_a);
    size_t registers = node_count(s_a, REGISTER);
    int64_t lost_ms = s_bench.lost_ms;
    s_a->admit = REGISTER_SERVE;
    node_begins(s_a);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 3);
    if (s_bench.lost_ms == lost_ms) /* otherwise a retry may have been due meanwhile */
        cr_assert_eq(node_count(s_a, REGISTER), registers + 1);
}

/* Eleven of them: the first at once, the others after pauses of at least 10, 20, 40 … 500 ms. */
static void s_assert_bounded(const node_t *node, size_t from)
{
    WAIT(&s_bench, node_count(node, REGISTER) >= from + 11);
    cr_assert_geq(node_heard(node, REGISTER, from + 10)->at_ms -
                      node_heard(node, REGISTER, from)->at_ms,
                  1900);
}

Test(client_pair, asks_a_standby_seldom_while_nobody_serves)
{
    s_connect_patient();
    node_stop(s_a);
    s_assert_bounded(s_b, 1);
}

Test(client_pair, asks_a_node_seldom_that_says_retry)
{
    s_connect_patient();
    s_b->admit = REGISTER_RETRY;
    s_b->after_ms = 1;
    node_stop(s_a);
    s_assert_bounded(s_b, 1);
}

/* Two that do not serve, each naming the other one: what they say makes nobody hurry. */
Test(client_pair, asks_seldom_where_two_nodes_name_each_other)
{
    s_connect_patient();
    s_a->admit = REGISTER_NOT_PRIMARY;
    s_a->primary = s_b->address;
    s_b->primary = s_a->address;
    node_stops(s_a);
    WAIT(&s_bench, node_count(s_b, REGISTER) >= 16);
    cr_assert_geq(node_heard(s_b, REGISTER, 15)->at_ms - node_heard(s_b, REGISTER, 1)->at_ms, 1900);
}

/* ---------------------------------------------------------------------------------------------
 * Tokens */

static void s_connect_router(void)
{
    s_connect(1, (ixn_client_options_t){.role = IXN__V1__ROLE__ROUTER});
}

static void s_route(uint64_t index)
{
    size_t held = ixn_client_held(s_bench.client);
    node_route(s_a, 5, index);
    WAIT(&s_bench, ixn_client_held(s_bench.client) == held + 1);
}

Test(client_pair, reports_held_tokens_after_a_reconnect)
{
    s_connect_router();
    s_route(10);
    s_route(11);
    s_route(12);
    cr_assert_eq(bench_told(&s_bench, IXN_EVENT_MESSAGE), 3);
    send_stop(s_bench.client, 5, 11); /* accepted: no longer held */
    WAIT(&s_bench, ixn_client_held(s_bench.client) == 2);

    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    Ixn__V1__Token *revoked[] = {&token};
    token.epoch = 5;
    token.index = 10;
    s_a->revoked = revoked;
    s_a->revoked_len = 1;
    s_a->epoch = 6;
    node_stop(s_a);
    node_start(s_a);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 2);
    Ixn__V1__Request *request = heard_request(node_heard(s_a, REGISTER, 1));
    cr_assert_eq(request->register_->n_tokens, 2);
    cr_assert_eq(request->register_->tokens[0]->epoch, 5);
    cr_assert_eq(request->register_->tokens[0]->index, 10);
    cr_assert_eq(request->register_->tokens[1]->index, 12);
    ixn__v1__request__free_unpacked(request, NULL);
    cr_assert_eq(ixn_client_held(s_bench.client), 1, "one was revoked by Registered");
}

Test(client_pair, a_token_ends_with_revoked_or_an_old_token_error)
{
    s_connect_router();
    s_route(10);
    s_route(11);
    s_a->work = WORK_ERROR;
    s_a->code = IXN__V1__CODE__UNKNOWN_QUEUE;
    send_stop(s_bench.client, 5, 10); /* refused: still held */
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 1);
    cr_assert_eq(ixn_client_held(s_bench.client), 2);
    s_a->code = IXN__V1__CODE__OLD_TOKEN;
    send_stop(s_bench.client, 5, 10);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 2);
    cr_assert_eq(ixn_client_held(s_bench.client), 1);

    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    token.epoch = 5;
    token.index = 11;
    Ixn__V1__Revoked revoked = IXN__V1__REVOKED__INIT;
    revoked.token = &token;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_REVOKED;
    message.revoked = &revoked;
    node_send(s_a, 5, &message);
    WAIT(&s_bench, ixn_client_held(s_bench.client) == 0);
    cr_assert_eq(bench_last(&s_bench, IXN_EVENT_MESSAGE)->body, IXN__V1__MESSAGE__BODY_REVOKED);
}

Test(client_pair, a_change_under_a_token_does_not_end_it)
{
    s_connect_router();
    s_route(10);
    id128_t id = {{1}};
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    token.epoch = 5;
    token.index = 10;
    Ixn__V1__ChangeProperties change = IXN__V1__CHANGE_PROPERTIES__INIT;
    change.interaction_id = wire_bytes(&id);
    change.token = &token;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES;
    request.change_properties = &change;
    cr_assert(ixn_client_send(s_bench.client, &request));
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 1);
    cr_assert_eq(ixn_client_held(s_bench.client), 1);
}
