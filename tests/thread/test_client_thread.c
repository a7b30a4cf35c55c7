/* Clients in several threads, each its own, against one node in another thread that answers,
 * disconnects everybody now and then, and says Retry. A plain program for the thread sanitizer; its
 * last line says how much was done. Fails (exit 1) when an answer is missing or wrong.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "core/base/check.h"
#include "core/client/client.h"
#include "core/wire/wire.h"
#include "tests/unit/own_address.h"

enum { CLIENTS = 3, REQUESTS = 20000, WINDOW = 1000, DEADLINE_S = 180 };

static char s_address[64];
static atomic_bool s_stop;
static atomic_int s_wrong;
static atomic_int s_reconnects;

/* Answers one request into `reply`: a Stop hears Ack, every 5,000th time Retry. */
static void s_answer(buffer_t *reply, const Ixn__V1__Request *request, unsigned number)
{
    id128_t id = {{7}};
    Ixn__V1__Registered registered = IXN__V1__REGISTERED__INIT;
    Ixn__V1__Pong pong = IXN__V1__PONG__INIT;
    Ixn__V1__Ack ack = IXN__V1__ACK__INIT;
    Ixn__V1__Retry retry = IXN__V1__RETRY__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request->id;
    if (request->body_case == IXN__V1__REQUEST__BODY_REGISTER) {
        registered.database_id = wire_bytes(&id);
        registered.heartbeat_ms = 200;
        message.body_case = IXN__V1__MESSAGE__BODY_REGISTERED;
        message.registered = &registered;
    } else if (request->body_case == IXN__V1__REQUEST__BODY_PING) {
        message.body_case = IXN__V1__MESSAGE__BODY_PONG;
        message.pong = &pong;
    } else if (number % 5000 == 4999) {
        retry.after_ms = 10;
        message.body_case = IXN__V1__MESSAGE__BODY_RETRY;
        message.retry = &retry;
    } else if (request->body_case == IXN__V1__REQUEST__BODY_STOP) {
        ack.interaction_id = request->stop->interaction_id;
        message.body_case = IXN__V1__MESSAGE__BODY_ACK;
        message.ack = &ack;
    } else {
        return;
    }
    wire_append_message(reply, &message);
}

static void *s_router(void *context)
{
    void *socket = zmq_socket(context, ZMQ_ROUTER);
    int linger = 0, unlimited = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    char any[OWN_ADDRESS_SIZE];
    while (zmq_bind(socket, s_address[0] ? s_address : own_address(any)) != 0)
        zmq_poll(NULL, 0, 1); /* the port of before is not free yet */
    size_t size = sizeof s_address;
    if (!s_address[0])
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, s_address, &size);
    return socket;
}

static void *s_serve(void *context)
{
    void *socket = s_router(context);
    wire_arena_t *arena = wire_arena_new();
    buffer_t reply = {0};
    unsigned number = 0, restart_at = 20000;
    while (!atomic_load(&s_stop)) {
        zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
        if (zmq_poll(&item, 1, 20) <= 0)
            continue;
        zmq_msg_t peer, body;
        zmq_msg_init(&peer);
        zmq_msg_init(&body);
        zmq_msg_recv(&peer, socket, 0);
        zmq_msg_recv(&body, socket, 0);
        error_t error = {0};
        const Ixn__V1__ToNode *frame =
            wire_decode_to_node(arena, zmq_msg_data(&body), zmq_msg_size(&body), &error);
        CHECK(frame);
        buffer_clear(&reply);
        wire_append_from_node_head(&reply, 1, 1);
        for (size_t i = 0; i < frame->n_requests; i++)
            s_answer(&reply, frame->requests[i], number++);
        zmq_msg_send(&peer, socket, ZMQ_SNDMORE);
        zmq_send(socket, reply.bytes, reply.len, 0);
        zmq_msg_close(&body);
        wire_arena_reset(arena);
        if (number >= restart_at) { /* the node is restarted */
            zmq_close(socket);
            socket = s_router(context);
            restart_at += 20000;
        }
    }
    zmq_close(socket);
    buffer_free(&reply);
    wire_arena_destroy(&arena);
    return NULL;
}

static bool s_send(ixn_client_t *client, uint32_t number)
{
    id128_t id = {{0}};
    memcpy(id.bytes, &number, sizeof number);
    Ixn__V1__Stop stop = IXN__V1__STOP__INIT;
    stop.interaction_id = wire_bytes(&id);
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_STOP;
    request.stop = &stop;
    return ixn_client_send(client, &request) != 0;
}

/* Every request hears its own answer, once. */
static void *s_ask(void *argument)
{
    char name[32];
    snprintf(name, sizeof name, "client-%zu", *(size_t *)argument);
    const char *const endpoints[] = {s_address};
    ixn_client_options_t options = {.endpoints = endpoints,
                                    .endpoints_len = 1,
                                    .role = IXN__V1__ROLE__OPERATOR,
                                    .name = name,
                                    .max_unanswered = WINDOW,
                                    .give_up_ms = DEADLINE_S * 1000};
    ixn_client_t *client = ixn_client_new(&options, NULL);
    CHECK(client);
    uint8_t *answered = calloc(REQUESTS, 1);
    uint32_t sent = 0, done = 0;
    while (done < REQUESTS && !atomic_load(&s_wrong)) {
        while (sent < REQUESTS && s_send(client, sent))
            sent++;
        ixn_event_t event;
        ixn_client_next(client, 1000, &event);
        if (event.kind == IXN_EVENT_DISCONNECTED)
            atomic_fetch_add(&s_reconnects, 1);
        if (event.kind == IXN_EVENT_FAILED || event.kind == IXN_EVENT_REFUSED)
            atomic_fetch_add(&s_wrong, 1);
        if (event.kind != IXN_EVENT_ANSWER)
            continue;
        uint32_t number = 0;
        CHECK(event.message->body_case == IXN__V1__MESSAGE__BODY_ACK);
        memcpy(&number, event.message->ack->interaction_id.data, sizeof number);
        if (number >= REQUESTS || answered[number]++)
            atomic_fetch_add(&s_wrong, 1);
        done++;
    }
    ixn_client_destroy(&client);
    free(answered);
    return NULL;
}

int main(void)
{
    void *context = zmq_ctx_new();
    zmq_ctx_set(context, ZMQ_BLOCKY, 0);
    void *first = s_router(context); /* only to learn a free port */
    zmq_close(first);
    pthread_t node, clients[CLIENTS];
    size_t numbers[CLIENTS];
    CHECK(pthread_create(&node, NULL, s_serve, context) == 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&clients[i], NULL, s_ask, &numbers[i]) == 0);
    }
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    atomic_store(&s_stop, true);
    pthread_join(node, NULL);
    zmq_ctx_term(context);
    printf("%d requests answered once each, %d reconnects, %d wrong\n", CLIENTS * REQUESTS,
           atomic_load(&s_reconnects), atomic_load(&s_wrong));
    return atomic_load(&s_wrong) ? EXIT_FAILURE : EXIT_SUCCESS;
}
