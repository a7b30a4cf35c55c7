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

/* ---- What all leave unread ---- */

static void *s_connect(const char *routing_id)
{
    const int few = 2, at_once = 0, never = -1;
    void *client = zmq_socket(s_context, ZMQ_DEALER);
    cr_assert_eq(zmq_setsockopt(client, ZMQ_RCVHWM, &few, sizeof few), 0);
    cr_assert_eq(zmq_setsockopt(client, ZMQ_LINGER, &at_once, sizeof at_once), 0);
    cr_assert_eq(zmq_setsockopt(client, ZMQ_RECONNECT_IVL, &never, sizeof never), 0);
    if (routing_id)
        zmq_setsockopt(client, ZMQ_ROUTING_ID, routing_id, strlen(routing_id));
    cr_assert_eq(zmq_connect(client, transport_endpoint(s_transport)), 0);
    cr_assert_eq(zmq_send(client, "hello", 5, 0), 5);
    return client;
}

static void *s_meet_another(session_t session, const char *routing_id)
{
    void *client = s_connect(routing_id);
    transport_frame_t frame;
    while (!transport_receive(s_transport, &frame))
        s_is_told(PATIENCE_MS);
    transport_bind_session(s_transport, session);
    return client;
}

enum { PIECE = 1024 * 1024 };

/* Sends pieces until so many bytes are unread by the session. The kernel may take some of them yet,
 * up to its buffers' size: about ten pieces. */
static void s_stuff(session_t session, size_t bytes)
{
    while (transport_unread(s_transport, session) < bytes) {
        engine_frame_t frame = {session, memory_zero(1, PIECE), PIECE};
        cr_assert_eq(transport_send(s_transport, &frame), TRANSPORT_SENT);
    }
}

/* The socket is served until no more than so much is unread by the session; 0: by all. */
static void s_wait_dropped(session_t session, size_t bytes)
{
    transport_frame_t frame;
    while (transport_unread(s_transport, session) > bytes)
        if (!transport_receive(s_transport, &frame))
            s_is_told(1);
}

Test(transport, of_many_that_do_not_read_the_furthest_behind_is_left)
{
    enum { CLIENTS = 5, FURTHEST = 3 };
    const size_t some = LIMIT_UNREAD_ALL / CLIENTS;
    void *clients[CLIENTS];
    transport_left_t left;
    for (session_t i = 0; i < CLIENTS; i++)
        clients[i] = s_meet_another(i + 1, NULL);
    for (session_t i = 0; i < CLIENTS; i++)
        s_stuff(i + 1, some - 16 * PIECE);
    cr_assert_not(transport_leave(s_transport, &left), "they are within the bound");
    s_stuff(FURTHEST, some + 32 * PIECE);
    for (session_t i = 0; i < CLIENTS; i++)
        s_stuff(i + 1, some + 12 * PIECE);
    cr_assert(transport_leave(s_transport, &left));
    cr_expect_eq(left.session, FURTHEST);
    cr_expect_gt(left.unread, some + 12 * PIECE);
    cr_expect_gt(left.all, LIMIT_UNREAD_ALL);
    s_wait_dropped(FURTHEST, 0);
    cr_assert_not(transport_leave(s_transport, &left), "the others are within the bound again");
    char word[5] = {0};
    for (session_t i = 0; i < CLIENTS; i++)
        if (i + 1 != FURTHEST)
            cr_expect_eq(zmq_recv(clients[i], word, sizeof word, 0), PIECE);
    for (session_t i = 0; i < CLIENTS; i++)
        zmq_close(clients[i]);
}

/* While the one that was left is being dropped, no other pays for it. */
Test(transport, one_is_left_at_a_time)
{
    enum { CLIENTS = 6 };
    void *clients[CLIENTS];
    transport_left_t left;
    for (session_t i = 0; i < CLIENTS; i++)
        clients[i] = s_meet_another(i + 1, NULL);
    for (session_t i = 0; i < CLIENTS; i++)
        s_stuff(i + 1, LIMIT_UNREAD_ALL / 5 + 16 * PIECE);
    cr_assert(transport_leave(s_transport, &left));
    cr_expect_not(transport_leave(s_transport, &left), "it was left a moment ago");
    s_wait_dropped(left.session, 0);
    session_t first = left.session;
    cr_assert(transport_leave(s_transport, &left), "five are too many, too");
    cr_expect_neq(left.session, first);
    s_wait_dropped(left.session, 0);
    cr_expect_not(transport_leave(s_transport, &left));
    for (session_t i = 0; i < CLIENTS; i++)
        zmq_close(clients[i]);
}

/* A client that comes back under its routing id and reads nothing, again and again, while its old
 * connections stay open: what waits for those is dropped. */
Test(transport, what_a_replaced_connection_leaves_unread_is_dropped)
{
    enum { TIMES = 6, OTHER = 100 };
    void *clients[TIMES], *other = s_meet_another(OTHER, NULL);
    s_stuff(OTHER, 16 * PIECE);
    for (session_t i = 0; i < TIMES; i++) {
        clients[i] = s_meet_another(i + 1, "again");
        s_stuff(i + 1, LIMIT_UNREAD_ALL / 5);
    }
    s_wait_dropped(0, LIMIT_UNREAD_ALL / 5 + 32 * PIECE);
    for (int i = 0; i < TIMES; i++)
        zmq_close(clients[i]);
    zmq_close(other);
}

/* A client comes back under its routing id, and the system gives its new connection the descriptor
 * of the old one: that session is lost all the same. */
Test(transport, a_session_ends_though_its_names_are_used_again)
{
    void *client = s_meet_another(1, "again");
    zmq_close(client);
    while (!zeromq_has_input(transport_monitor(s_transport)))
        s_is_told(1);
    client = s_connect("again");
    transport_frame_t frame;
    while (!transport_receive(s_transport, &frame))
        s_is_told(PATIENCE_MS);
    if (!frame.replaced) {
        cr_expect_eq(frame.session, 1, "nothing tells the two apart yet");
        transport_watch(s_transport);
        frame.replaced = transport_next_lost(s_transport);
    }
    cr_expect_eq(frame.replaced, 1);
    zmq_close(client);
}
