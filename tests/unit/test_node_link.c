/* What the admin port hears of a node: answers to what it asked, and whatever else comes there. */
#include <criterion/criterion.h>
#include <czmq.h>
#include <zmq.h>

#include "apps/ixnd/admin/node_link.h"
#include "core/base/buffer.h"
#include "core/wire/wire.h"
#include "tests/unit/own_address.h"

enum { PATIENCE_MS = 60000 };

static void *s_context;
static void *s_node; /* a ROUTER */
static node_link_t *s_link;

static void s_init(void)
{
    char any[OWN_ADDRESS_SIZE];
    char endpoint[100];
    size_t len = sizeof endpoint;
    error_t error = {0};
    s_context = zmq_ctx_new();
    s_node = zmq_socket(s_context, ZMQ_ROUTER);
    cr_assert_eq(zmq_bind(s_node, own_address(any)), 0);
    cr_assert_eq(zmq_getsockopt(s_node, ZMQ_LAST_ENDPOINT, endpoint, &len), 0);
    s_link = node_link_new(s_context, endpoint, &error);
    cr_assert(s_link, "%s", error.text);
}

static void s_free(void)
{
    const int none = 0;
    node_link_destroy(&s_link);
    zmq_setsockopt(s_node, ZMQ_LINGER, &none, sizeof none);
    zmq_close(s_node);
    zmq_ctx_term(s_context);
}

TestSuite(node_link, .init = s_init, .fini = s_free, .timeout = 300);

/* Its number; it is sent as soon as the link is connected. */
static uint64_t s_tell(void)
{
    Ixn__V1__PairCommand command = IXN__V1__PAIR_COMMAND__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    uint64_t number = 0;
    command.kind = IXN__V1__PAIR_COMMAND__KIND__PAUSE;
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_COMMAND;
    request.pair_command = &command;
    zmq_pollitem_t room = {node_link_socket(s_link), 0, ZMQ_POLLOUT, 0};
    cr_assert_eq(zmq_poll(&room, 1, PATIENCE_MS), 1);
    number = node_link_tell(s_link, &request);
    cr_assert_neq(number, 0);
    return number;
}

/* The node takes what was asked and answers an error to that number. */
static void s_refuse(zframe_t *peer, uint64_t number)
{
    buffer_t frame = {0};
    Ixn__V1__Error error = IXN__V1__ERROR__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    error.code = (Ixn__V1__Code)ERROR_UNSUPPORTED_VERSION;
    error.sentence = "another version";
    message.request_id = number;
    message.body_case = IXN__V1__MESSAGE__BODY_ERROR;
    message.error = &error;
    wire_append_from_node_head(&frame, 0, 0);
    wire_append_message(&frame, &message);
    cr_assert_geq(zmq_send(s_node, zframe_data(peer), zframe_size(peer), ZMQ_SNDMORE), 0);
    cr_assert_geq(zmq_send(s_node, frame.bytes, frame.len, 0), 0);
    buffer_free(&frame);
}

static zframe_t *s_hear(void)
{
    zmq_pollitem_t item = {s_node, 0, ZMQ_POLLIN, 0};
    cr_assert_eq(zmq_poll(&item, 1, PATIENCE_MS), 1);
    zmsg_t *message = zmsg_recv(s_node);
    zframe_t *peer = zmsg_pop(message);
    zmsg_destroy(&message);
    return peer;
}

/* A node that cannot read a frame says so to the request 0: no command has that number. */
Test(node_link, an_error_to_nothing_in_particular_answers_no_command)
{
    uint64_t number = s_tell();
    uint64_t answered = 99;
    error_t error = {0};
    node_link_ask(s_link, 1);
    zframe_t *peer = s_hear();
    s_refuse(peer, 0);
    s_refuse(peer, number);
    zmq_pollitem_t item = {node_link_socket(s_link), 0, ZMQ_POLLIN, 0};
    while (answered == 99) {
        cr_assert_eq(zmq_poll(&item, 1, PATIENCE_MS), 1);
        node_link_next(s_link, 1, &answered, &error);
    }
    cr_assert_eq(answered, number);
    cr_assert_str_eq(error.text, "another version");
    zframe_destroy(&peer);
}
