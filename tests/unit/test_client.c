/* Client against one scripted node: registration, answers, asking again, giving up, bounds, sleep.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "core/base/limits.h"
#include "tests/unit/fake_node.h"

#define SUBMIT IXN__V1__REQUEST__BODY_SUBMIT
#define STOP IXN__V1__REQUEST__BODY_STOP
#define REGISTER IXN__V1__REQUEST__BODY_REGISTER
#define PING IXN__V1__REQUEST__BODY_PING
#define HOUR_MS 3600000

static bench_t s_bench;
static const size_t s_large = 1048576;
static node_t *const s_node = &s_bench.nodes[0];

static void s_connect(ixn_client_options_t options)
{
    bench_start(&s_bench, 1, options);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 1);
}

static void s_teardown(void)
{
    bench_stop(&s_bench);
}

TestSuite(client, .fini = s_teardown, .timeout = 300);

Test(client, registers_then_submits)
{
    s_connect((ixn_client_options_t){.tenant = "acme"});
    Ixn__V1__Request *request = heard_request(node_heard(s_node, REGISTER, 0));
    cr_assert_eq(request->register_->role, IXN__V1__ROLE__MEDIA_SERVER);
    cr_assert_str_eq(request->register_->name, "test");
    cr_assert_str_eq(request->register_->tenant, "acme");
    cr_assert_eq(request->register_->incarnation.len, 16);
    ixn__v1__request__free_unpacked(request, NULL);
    cr_assert_eq(ixn_client_epoch(s_bench.client), 5);
    cr_assert_str_eq(ixn_client_endpoint(s_bench.client), s_node->address);

    uint64_t id = send_submit(s_bench.client);
    cr_assert_neq(id, 0);
    cr_assert_eq(ixn_client_unanswered(s_bench.client), 1);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 1);
    cr_assert_eq(bench_last(&s_bench, IXN_EVENT_ANSWER)->request_id, id);
    cr_assert_eq(bench_last(&s_bench, IXN_EVENT_ANSWER)->body, IXN__V1__MESSAGE__BODY_ACK);
    cr_assert_eq(ixn_client_unanswered(s_bench.client), 0);
    /* an answer that comes twice is told once */
    node_ack(s_node, 5, id);
    uint64_t next = send_submit(s_bench.client);
    cr_assert_neq(next, id);
    WAIT(&s_bench, bench_last(&s_bench, IXN_EVENT_ANSWER)->request_id == next);
    cr_assert_eq(bench_told(&s_bench, IXN_EVENT_ANSWER), 2);
}

Test(client, makes_a_key_where_one_is_needed)
{
    s_connect((ixn_client_options_t){0});
    s_node->work = WORK_KEEP;
    send_submit(s_bench.client);
    send_submit(s_bench.client);
    send_stop(s_bench.client, 0, 0);
    send_stop(s_bench.client, 5, 77);
    WAIT(&s_bench, node_count(s_node, STOP) >= 2);
    Ixn__V1__Request *first = heard_request(node_heard(s_node, SUBMIT, 0));
    Ixn__V1__Request *second = heard_request(node_heard(s_node, SUBMIT, 1));
    cr_assert_eq(first->submit->key.len, 16);
    cr_assert_eq(second->submit->key.len, 16);
    cr_assert_neq(memcmp(first->submit->key.data, second->submit->key.data, 16), 0);
    Ixn__V1__Request *keyed = heard_request(node_heard(s_node, STOP, 0));
    Ixn__V1__Request *result = heard_request(node_heard(s_node, STOP, 1));
    cr_assert_eq(keyed->stop->key.len, 16);
    cr_assert_eq(result->stop->key.len, 0, "a token is enough");
    ixn__v1__request__free_unpacked(first, NULL);
    ixn__v1__request__free_unpacked(second, NULL);
    ixn__v1__request__free_unpacked(keyed, NULL);
    ixn__v1__request__free_unpacked(result, NULL);
}

Test(client, speaks_for_a_person_unless_a_request_names_another)
{
    s_connect((ixn_client_options_t){.by = "ann@desk"});
    Ixn__V1__Resume resume = IXN__V1__RESUME__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_RESUME;
    request.resume = &resume;
    cr_assert_neq(ixn_client_send(s_bench.client, &request), 0);
    cr_assert_str_eq(request.by, "", "it is the caller's");
    request.by = (char *)"bob";
    cr_assert_neq(ixn_client_send(s_bench.client, &request), 0);
    WAIT(&s_bench, node_count(s_node, request.body_case) >= 2);
    Ixn__V1__Request *first = heard_request(node_heard(s_node, request.body_case, 0));
    Ixn__V1__Request *second = heard_request(node_heard(s_node, request.body_case, 1));
    cr_assert_str_eq(first->by, "ann@desk");
    cr_assert_str_eq(second->by, "bob");
    ixn__v1__request__free_unpacked(first, NULL);
    ixn__v1__request__free_unpacked(second, NULL);
}

Test(client, asks_again_with_the_same_bytes_after_silence)
{
    s_connect((ixn_client_options_t){.resend_ms = 50});
    s_node->work = WORK_KEEP;
    int64_t sent_at_ms = now_ms();
    send_submit(s_bench.client);
    send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_node, SUBMIT) >= 6);
    for (size_t i = 2; i < 6; i++)
        cr_assert(heard_equal(node_heard(s_node, SUBMIT, i), node_heard(s_node, SUBMIT, i % 2)),
                  "number %zu differs, or came out of order", i);
    cr_assert_geq(node_heard(s_node, SUBMIT, 2)->at_ms - sent_at_ms, 49);
    s_node->work = WORK_ACK;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 2);
}

Test(client, retry_pauses_everything_and_keeps_the_order)
{
    s_connect((ixn_client_options_t){.resend_ms = HOUR_MS});
    s_node->work = WORK_RETRY;
    uint64_t ids[3];
    for (size_t i = 0; i < 2; i++)
        ids[i] = send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_node, SUBMIT) >= 2);
    /* Both were heard: what is due next is the end of the pause (100 ms, rounded up to a power of
     * two, and the jitter), not a Ping. */
    int wait_ms = 0;
    WAIT(&s_bench, (wait_ms = ixn_client_wait_ms(s_bench.client)) > 0 && wait_ms <= 193);
    int64_t refused_at_ms = node_heard(s_node, SUBMIT, 1)->at_ms;
    s_node->work = WORK_ACK;
    ids[2] = send_submit(s_bench.client); /* a newer one must not overtake them */
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 3);
    cr_assert_eq(node_count(s_node, SUBMIT), 5);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(node_heard(s_node, SUBMIT, 2 + i)->id, ids[i]);
    cr_assert(heard_equal(node_heard(s_node, SUBMIT, 2), node_heard(s_node, SUBMIT, 0)));
    cr_assert_geq(node_heard(s_node, SUBMIT, 2)->at_ms - refused_at_ms, 99);
}

Test(client, busy_delays_only_the_request_it_answers)
{
    s_connect((ixn_client_options_t){.resend_ms = HOUR_MS});
    s_node->work = WORK_BUSY;
    uint64_t full = send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_node, SUBMIT) >= 1);
    s_node->work = WORK_ACK;
    uint64_t other = send_submit(s_bench.client);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 2);
    cr_assert_eq(node_heard(s_node, SUBMIT, 1)->id, other);
    cr_assert_eq(node_heard(s_node, SUBMIT, 2)->id, full);
    cr_assert_geq(node_heard(s_node, SUBMIT, 2)->at_ms - node_heard(s_node, SUBMIT, 0)->at_ms, 99);
}

Test(client, gives_up_and_says_why)
{
    s_connect((ixn_client_options_t){.resend_ms = 50, .give_up_ms = 1000});
    s_node->work = WORK_RETRY;
    int64_t sent_at_ms = now_ms();
    uint64_t id = send_submit(s_bench.client);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_FAILED) == 1);
    const told_t *failed = bench_last(&s_bench, IXN_EVENT_FAILED);
    cr_assert_eq(failed->request_id, id);
    cr_assert_eq(failed->error.code, ERROR_TIMED_OUT);
    cr_assert(strstr(failed->error.text, "not known") && strstr(failed->error.text, "Retry"), "%s",
              failed->error.text);
    cr_assert_geq(now_ms() - sent_at_ms, 999);
    cr_assert_eq(ixn_client_unanswered(s_bench.client), 0);
}

Test(client, gives_up_what_was_never_sent)
{
    bench_start(&s_bench, 1, (ixn_client_options_t){.give_up_ms = 100});
    s_node->admit = REGISTER_KEEP;
    send_submit(s_bench.client);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_FAILED) == 1);
    const told_t *failed = bench_last(&s_bench, IXN_EVENT_FAILED);
    cr_assert(strstr(failed->error.text, "never sent"), "%s", failed->error.text);
    cr_assert_eq(node_count(s_node, SUBMIT), 0, "nothing goes out before Registered");
}

Test(client, gives_up_before_the_node_forgets_keys)
{
    bench_start(&s_bench, 1, (ixn_client_options_t){.resend_ms = 50});
    s_node->dedupe_guaranteed_ms = 200;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 1);
    s_node->work = WORK_KEEP;
    int64_t sent_at_ms = now_ms();
    send_submit(s_bench.client);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_FAILED) == 1);
    cr_assert_lt(now_ms() - sent_at_ms, 20000, "30 seconds are the default");
}

Test(client, joins_requests_into_few_frames)
{
    bench_start(&s_bench, 1, (ixn_client_options_t){.max_unanswered = 5000, .resend_ms = HOUR_MS});
    for (size_t i = 0; i < 5000; i++)
        cr_assert(send_submit(s_bench.client));
    cr_assert_eq(send_submit(s_bench.client), 0, "max_unanswered is reached");
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 5000);
    cr_assert_eq(node_heard(s_node, SUBMIT, 4999)->frame - node_heard(s_node, SUBMIT, 0)->frame, 4);
    for (size_t i = 1; i < 5000; i++)
        cr_assert_lt(node_heard(s_node, SUBMIT, i - 1)->id >> 13,
                     node_heard(s_node, SUBMIT, i)->id >> 13, "out of order");
    cr_assert(send_submit(s_bench.client), "there is room again");
}

Test(client, splits_frames_by_size)
{
    s_connect((ixn_client_options_t){.resend_ms = HOUR_MS});
    uint8_t *bytes = calloc(1, (size_t)LIMIT_PACKET);
    Ixn__V1__Submit submit = IXN__V1__SUBMIT__INIT;
    submit.attributes = (ProtobufCBinaryData){.len = 409600, .data = bytes};
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = SUBMIT;
    request.submit = &submit;
    for (int i = 0; i < 4; i++)
        cr_assert(ixn_client_send(s_bench.client, &request));
    submit.attributes.len = 2097152; /* larger than a joined frame, within a packet */
    cr_assert(ixn_client_send(s_bench.client, &request));
    submit.attributes.len = (size_t)LIMIT_PACKET; /* larger than any node takes */
    uint64_t id = ixn_client_send(s_bench.client, &request);
    cr_assert(id);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 5);
    cr_assert_eq(node_heard(s_node, SUBMIT, 4)->frame - node_heard(s_node, SUBMIT, 0)->frame, 2);
    const told_t *failed = bench_last(&s_bench, IXN_EVENT_FAILED);
    cr_assert(failed && failed->request_id == id);
    cr_assert_eq(failed->error.code, ERROR_TOO_LARGE);

    const Ixn__V1__Message *answer = NULL;
    error_t error = {0};
    cr_assert_not(ixn_client_call(s_bench.client, &request, &answer, &error));
    cr_assert_eq(error.code, ERROR_TOO_LARGE);
    free(bytes);
}

static int64_t s_cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

/* Waits 300 ms in one call and asserts that next to no time was spent computing. */
static void s_assert_idle(const char *when)
{
    ixn_event_t event;
    int64_t cpu_us = s_cpu_us(), since_ms = now_ms();
    while (now_ms() - since_ms < 300)
        ixn_client_next(s_bench.client, 300, &event);
    cr_assert_lt(s_cpu_us() - cpu_us, 30000, "%s: %lld us of 300 ms", when,
                 (long long)(s_cpu_us() - cpu_us));
}

Test(client, sleeps_when_there_is_nothing_to_do)
{
    s_connect((ixn_client_options_t){.resend_ms = 2000});
    s_assert_idle("connected");
    s_node->work = WORK_KEEP;
    for (int i = 0; i < 1000; i++)
        send_submit(s_bench.client);
    WAIT(&s_bench, node_count(s_node, SUBMIT) >= 1000);
    s_assert_idle("requests wait for answers");
    s_node->work = WORK_RETRY;
    s_node->after_ms = 20000;
    WAIT(&s_bench, node_count(s_node, SUBMIT) >= 2000);
    bench_turn(&s_bench);
    s_assert_idle("paused by Retry");
    node_stop(s_node);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_DISCONNECTED) == 1);
    send_submit(s_bench.client);
    s_assert_idle("no node is there");
}

/* As many as the client takes, of a MiB each. */
static void s_send_large(void)
{
    uint8_t *bytes = calloc(1, s_large);
    Ixn__V1__Submit submit = IXN__V1__SUBMIT__INIT;
    submit.attributes = (ProtobufCBinaryData){.len = s_large, .data = bytes};
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = SUBMIT;
    request.submit = &submit;
    while (ixn_client_send(s_bench.client, &request))
        continue;
    free(bytes);
}

/* The node reads nothing: the socket fills up, the rest waits for its descriptor. */
Test(client, sleeps_when_the_socket_is_full)
{
    s_node->receive_frames = 2;
    s_connect((ixn_client_options_t){.max_unanswered = 100, .resend_ms = 60000});
    s_node->frozen = true;
    s_send_large();
    ixn_event_t event;
    for (int64_t since_ms = now_ms(); now_ms() - since_ms < 200;)
        ixn_client_next(s_bench.client, 10, &event);
    s_assert_idle("the socket is full");
    cr_assert_gt(ixn_client_wait_ms(s_bench.client), 0, "a poll of the program's own sleeps, too");
    s_node->frozen = false;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 100);
}

/* Events until there are none; asserts that they are answers; returns how many. */
static size_t s_answers(void)
{
    ixn_event_t event;
    size_t count = 0;
    for (;; count++) {
        ixn_client_next(s_bench.client, 0, &event);
        if (event.kind == IXN_EVENT_NONE)
            return count;
        cr_assert_eq(event.kind, IXN_EVENT_ANSWER);
    }
}

/* A program with a poll of its own, without timers that would wake it: room tells of itself. */
Test(client, its_descriptor_tells_of_room)
{
    s_node->receive_frames = 2;
    bench_start(&s_bench, 1, (ixn_client_options_t){.max_unanswered = 100, .resend_ms = HOUR_MS});
    s_node->heartbeat_ms = HOUR_MS;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 1);
    s_node->frozen = true;
    s_node->work = WORK_KEEP;
    s_send_large();
    cr_assert_eq(s_answers(), 0);
    s_node->frozen = false;
    struct pollfd item = {.fd = ixn_client_fd(s_bench.client), .events = POLLIN};
    for (int64_t since_ms = now_ms(); node_count(s_node, SUBMIT) < 100;) {
        cr_assert_lt(now_ms() - since_ms, 20000, "%zu came", node_count(s_node, SUBMIT));
        node_turn(s_node);
        poll(&item, 1, 1);
        int wait_ms = ixn_client_wait_ms(s_bench.client); /* may use up what made it readable */
        cr_assert(wait_ms == 0 || wait_ms > 1000);
        if (wait_ms == 0 || poll(&item, 1, 0) > 0)
            s_answers();
    }
}

/* A program with a poll of its own. The flush comes when the answer to the first request may have
 * arrived already: it must not make the poll miss it. */
Test(client, its_descriptor_wakes_a_poll)
{
    enum { MISSED_MS = 20000 };
    bench_start(&s_bench, 1, (ixn_client_options_t){.resend_ms = HOUR_MS});
    s_node->heartbeat_ms = HOUR_MS;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_CONNECTED) == 1);
    size_t answers = 0;
    int64_t longest_ms = 0;
    for (size_t round = 1; round <= 200; round++) {
        send_submit(s_bench.client);
        cr_assert_eq(ixn_client_wait_ms(s_bench.client), 0, "something is to be sent");
        answers += s_answers();
        while (node_count(s_node, SUBMIT) < 2 * round - 1)
            node_turn(s_node);
        send_submit(s_bench.client);
        ixn_client_flush(s_bench.client);
        while (answers < 2 * round) {
            node_turn(s_node);
            struct pollfd waiting = {.fd = ixn_client_fd(s_bench.client), .events = POLLIN};
            int64_t since_ms = now_ms();
            int wait_ms = ixn_client_wait_ms(s_bench.client);
            wait_ms = wait_ms < 0 || wait_ms > MISSED_MS ? MISSED_MS : wait_ms;
            poll(&waiting, 1, node_count(s_node, SUBMIT) < 2 * round ? 1 : wait_ms);
            longest_ms = now_ms() - since_ms > longest_ms ? now_ms() - since_ms : longest_ms;
            answers += s_answers();
        }
    }
    cr_assert_lt(longest_ms, MISSED_MS, "woken by a timer, not by an answer");
}

static atomic_bool s_stop;

static void *s_serve(void *context)
{
    while (!atomic_load(&s_stop)) {
        zmq_pollitem_t item = {.socket = s_node->socket, .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, 10);
        node_turn(s_node);
    }
    return context;
}

Test(client, calls_while_others_are_outstanding)
{
    s_connect((ixn_client_options_t){0});
    uint64_t ids[10];
    for (size_t i = 0; i < 10; i++)
        ids[i] = send_submit(s_bench.client);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, s_serve, NULL), 0);

    Ixn__V1__Ping ping = IXN__V1__PING__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = PING;
    request.ping = &ping;
    const Ixn__V1__Message *answer = NULL;
    error_t error = {0};
    cr_assert(ixn_client_call(s_bench.client, &request, &answer, &error), "%s", error.text);
    cr_assert_eq(answer->body_case, IXN__V1__MESSAGE__BODY_PONG);
    cr_assert_eq(answer->request_id, request.id);
    /* what was heard meanwhile comes afterwards, in order and with its messages */
    for (size_t i = 0; i < 10; i++) {
        ixn_event_t event;
        ixn_client_next(s_bench.client, 0, &event);
        cr_assert_eq(event.kind, IXN_EVENT_ANSWER);
        cr_assert_eq(event.request_id, ids[i]);
        cr_assert_eq(event.message->body_case, IXN__V1__MESSAGE__BODY_ACK);
        cr_assert_eq(event.message->ack->interaction_id.len, 16);
    }
    atomic_store(&s_stop, true);
    pthread_join(thread, NULL);
}

Test(client, a_call_hears_an_error_and_a_refusal)
{
    s_connect((ixn_client_options_t){0});
    s_node->work = WORK_ERROR;
    s_node->code = IXN__V1__CODE__UNKNOWN_QUEUE;
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, s_serve, NULL), 0);
    Ixn__V1__Submit submit = IXN__V1__SUBMIT__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = SUBMIT;
    request.submit = &submit;
    const Ixn__V1__Message *answer = NULL;
    error_t error = {0};
    cr_assert_not(ixn_client_call(s_bench.client, &request, &answer, &error));
    cr_assert_eq(error.code, ERROR_UNKNOWN_QUEUE);
    cr_assert_str_eq(error.text, "the fake node says no");
    cr_assert_null(answer);
    atomic_store(&s_stop, true);
    pthread_join(thread, NULL);
}

Test(client, tells_that_it_is_refused)
{
    bench_start(&s_bench, 1, (ixn_client_options_t){0});
    s_node->admit = REGISTER_ERROR;
    s_node->code = IXN__V1__CODE__NAME_IN_USE;
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_REFUSED) == 1);
    cr_assert_eq(bench_last(&s_bench, IXN_EVENT_REFUSED)->error.code, ERROR_NAME_IN_USE);
    cr_assert_null(ixn_client_endpoint(s_bench.client));
}

Test(client, pings_when_nothing_else_is_said)
{
    bench_start(&s_bench, 1, (ixn_client_options_t){0});
    s_node->heartbeat_ms = 800;
    WAIT(&s_bench, node_count(s_node, PING) >= 5);
    for (size_t i = 1; i < 5; i++)
        cr_assert_lt(node_heard(s_node, PING, i)->at_ms - node_heard(s_node, PING, i - 1)->at_ms,
                     2400, "silent for three heartbeats ends a session");
    cr_assert_eq(bench_told(&s_bench, IXN_EVENT_DISCONNECTED), 0);
}

Test(client, leaves_when_destroyed)
{
    s_connect((ixn_client_options_t){0});
    ixn_client_destroy(&s_bench.client);
    int64_t deadline_ms = now_ms() + 30000;
    while (node_count(s_node, IXN__V1__REQUEST__BODY_LEAVE) == 0 && now_ms() < deadline_ms) {
        zmq_pollitem_t item = {.socket = s_node->socket, .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, 10);
        node_turn(s_node);
    }
    cr_assert_eq(node_count(s_node, IXN__V1__REQUEST__BODY_LEAVE), 1);
}

Test(client, survives_garbage)
{
    s_connect((ixn_client_options_t){0});
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    for (size_t len = 0; len < sizeof bytes; len++)
        node_send_bytes(s_node, bytes, len);
    send_submit(s_bench.client);
    WAIT(&s_bench, bench_told(&s_bench, IXN_EVENT_ANSWER) == 1);
}

Test(client, refuses_options_that_make_no_sense)
{
    const char *endpoints[] = {"tcp://127.0.0.1:1", "nonsense"};
    ixn_client_options_t good = {.endpoints = endpoints,
                                 .endpoints_len = 1,
                                 .role = IXN__V1__ROLE__OPERATOR,
                                 .name = "operator"};
    ixn_client_options_t bad[5];
    for (size_t i = 0; i < 5; i++)
        bad[i] = good;
    bad[0].endpoints_len = 2;
    bad[1].endpoints_len = 0;
    bad[2].role = 9;
    bad[3].name = "";
    bad[4].max_unanswered = 1000000000;
    for (size_t i = 0; i < 5; i++) {
        error_t error = {0};
        cr_assert_null(ixn_client_new(&bad[i], &error));
        cr_assert_eq(error.code, ERROR_INVALID_ARGUMENT, "number %zu: %s", i, error.text);
    }
    ixn_client_t *client = ixn_client_new(&good, NULL);
    cr_assert(client);
    ixn_client_destroy(&client);
    ixn_client_destroy(&client);
}
