/* The client port with a real client: a frame that has arrived is never kept back unseen. libzmq's
 * descriptor tells of changes only, and whatever is sent may use up what it had to tell.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>

#include "apps/ixnd/transport.h"
#include "core/base/alloc.h"
#include "core/base/limits.h"
#include "core/base/zeromq.h"
#include "tests/unit/own_address.h"

enum { PATIENCE_MS = 60000 };

static transport_t *s_transport;
static void *s_context;
static void *s_client;

static void s_begin(void)
{
    char any[OWN_ADDRESS_SIZE];
    error_t error = {0};
    s_transport = transport_new(own_address(any), &error);
    cr_assert(s_transport, "%s", error.text);
    s_context = zmq_ctx_new();
    s_client = zmq_socket(s_context, ZMQ_DEALER);
    const int few = 2; /* frames that it takes without reading */
    cr_assert_eq(zmq_setsockopt(s_client, ZMQ_RCVHWM, &few, sizeof few), 0);
    cr_assert_eq(zmq_connect(s_client, transport_endpoint(s_transport)), 0);
}

static void s_end(void)
{
    zmq_close(s_client);
    zmq_ctx_term(s_context);
    transport_destroy(&s_transport);
}

TestSuite(transport, .init = s_begin, .fini = s_end, .timeout = 300);

static bool s_is_told(int timeout_ms)
{
    struct pollfd item = {.fd = zeromq_fd(transport_socket(s_transport)), .events = POLLIN};
    return poll(&item, 1, timeout_ms) > 0;
}

/* The client has spoken and is known as a session; the socket is read to its end. */
static void s_meet(session_t session)
{
    transport_frame_t frame;
    cr_assert_eq(zmq_send(s_client, "hello", 5, 0), 5);
    while (!transport_receive(s_transport, &frame))
        s_is_told(PATIENCE_MS);
    transport_bind_session(s_transport, session);
    cr_assert(!transport_receive(s_transport, &frame));
    transport_has_sent(s_transport);
}

static engine_frame_t s_frame(session_t session)
{
    engine_frame_t frame = {session, memory_new(4), 4};
    memcpy(frame.bytes, "word", 4);
    return frame;
}

static void s_broadcast(void)
{
    transport_broadcast(s_transport, s_frame(0).bytes, 4);
}

static void s_send(void)
{
    engine_frame_t frame = s_frame(1);
    cr_assert_eq(transport_send(s_transport, &frame), TRANSPORT_SENT);
}

static void s_answer(void)
{
    engine_frame_t frame = s_frame(0);
    transport_answer(s_transport, &frame);
}

/* Another frame arrives, unread, and something is sent: the transport says so, for when that was
 * all that the descriptor had to tell. */
static void s_expect_said(void (*send)(void), const char *what)
{
    transport_frame_t frame;
    cr_assert_eq(zmq_send(s_client, "again", 5, 0), 5);
    cr_assert(s_is_told(PATIENCE_MS), "%s", what);
    send();
    cr_assert(transport_has_sent(s_transport), "%s", what);
    cr_assert(zeromq_has_input(transport_socket(s_transport)), "%s", what);
    cr_assert(transport_receive(s_transport, &frame), "%s", what);
    cr_assert(!transport_receive(s_transport, &frame), "%s", what);
    cr_assert(!transport_has_sent(s_transport), "%s: nothing was sent since", what);
}

Test(transport, says_that_something_was_sent)
{
    s_meet(1);
    s_expect_said(s_send, "an answer to a session");
    s_expect_said(s_answer, "an answer to the frame before");
    s_expect_said(s_broadcast, "a broadcast"); /* the last: sessions are over after it */
}

/* It is told frames of a MiB and reads none; then it reads them all. */
Test(transport, a_client_that_does_not_read_costs_so_much_and_no_more)
{
    const size_t size = 1024 * 1024, most = LIMIT_UNREAD / size;
    s_meet(1);
    size_t sent = 0;
    engine_frame_t frame = {.session = 1, .len = size};
    transport_sent_t result = TRANSPORT_SENT;
    while (result == TRANSPORT_SENT && sent < 4 * most) {
        frame.bytes = memory_zero(1, size);
        result = transport_send(s_transport, &frame);
        sent += result == TRANSPORT_SENT;
    }
    cr_assert_eq(result, TRANSPORT_BEHIND, "%zu frames were taken", sent);
    cr_assert_geq(transport_unread(s_transport, 1), LIMIT_UNREAD);
    cr_assert_geq(sent + 2, most); /* blocks are larger than what was asked for */
    char word[5] = {0};
    for (size_t i = 0; i < sent; i++)
        cr_assert_eq(zmq_recv(s_client, word, sizeof word, 0), (int)size);
    s_send(); /* there is room again */
    cr_assert_eq(zmq_recv(s_client, word, sizeof word, 0), 4);
    cr_assert_str_eq(word, "word");
}
