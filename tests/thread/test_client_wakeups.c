/* Many clients in one thread, which sleeps until a descriptor of one of them changes, and so would
 * sleep for ever after a change that a client overlooked: nobody has a timer that would help. Two
 * nodes in another thread answer in any order and at any time; now and then the other one begins to
 * serve, which it tells in an empty frame. A plain program; fails (exit 1) when nothing wakes it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <zmq.h>

#include "core/base/check.h"
#include "core/client/client.h"
#include "core/wire/wire.h"
#include "tests/unit/own_address.h"

enum {
    CLIENTS = 64,
    REQUESTS = 300, /* of each client */
    WINDOW = 2,     /* one is under way while the other one is sent */
    TERM = 4000,    /* answers of a node, then the other one serves */
    LATER_MOST = 256,
    LONG_MS = 3600 * 1000, /* all timers */
    LOST_MS = 30 * 1000,   /* asleep for so long: nothing will come any more */
};

static unsigned s_random(unsigned *state, unsigned below)
{
    *state = *state * 1664525 + 1013904223;
    return (*state >> 8) % below;
}

/* ---- The nodes ---- */

typedef struct {
    uint8_t bytes[64];
    size_t len;
} peer_t;

typedef struct {
    void *socket;
    char endpoint[64];
    peer_t peers[CLIENTS];
    size_t peers_len;
} node_t;

typedef struct {
    peer_t peer;
    uint64_t request_id;
} answer_t;

static struct {
    node_t nodes[2];
    size_t serving;
    uint64_t epoch;
    unsigned term; /* answers since it began */
    unsigned random;
    answer_t later[LATER_MOST];
    size_t later_len;
    wire_arena_t *arena;
    buffer_t frame;
} s_world;

static atomic_bool s_stop;
static atomic_bool s_change; /* at once */

static void s_say(const node_t *node, const peer_t *peer, const Ixn__V1__Message *message)
{
    buffer_t *frame = &s_world.frame;
    buffer_clear(frame);
    wire_append_from_node_head(frame, node == &s_world.nodes[s_world.serving] ? s_world.epoch : 0,
                               1);
    if (message)
        wire_append_message(frame, message);
    zmq_send(node->socket, peer->bytes, peer->len, ZMQ_SNDMORE);
    zmq_send(node->socket, frame->bytes, frame->len, 0);
}

static void s_register(node_t *node, const peer_t *peer, uint64_t request_id)
{
    size_t known = 0;
    while (known < node->peers_len && memcmp(&node->peers[known], peer, sizeof *peer) != 0)
        known++;
    CHECK(known < CLIENTS);
    if (known == node->peers_len)
        node->peers[node->peers_len++] = *peer;
    id128_t id = {{7}};
    Ixn__V1__Registered registered = IXN__V1__REGISTERED__INIT;
    registered.database_id = wire_bytes(&id);
    registered.heartbeat_ms = LONG_MS;
    Ixn__V1__NotPrimary not_primary = IXN__V1__NOT_PRIMARY__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request_id;
    if (node == &s_world.nodes[s_world.serving]) {
        message.body_case = IXN__V1__MESSAGE__BODY_REGISTERED;
        message.registered = &registered;
    } else {
        message.body_case = IXN__V1__MESSAGE__BODY_NOT_PRIMARY;
        message.not_primary = &not_primary;
    }
    s_say(node, peer, &message);
}

static void s_pong(const node_t *node, const peer_t *peer, uint64_t request_id)
{
    Ixn__V1__Pong pong = IXN__V1__PONG__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request_id;
    message.body_case = IXN__V1__MESSAGE__BODY_PONG;
    message.pong = &pong;
    s_say(node, peer, &message);
}

/* The other node serves from now on. What the first one had to answer it forgets. */
static void s_change_sides(void)
{
    s_world.serving = !s_world.serving;
    s_world.epoch++;
    s_world.term = 0;
    s_world.later_len = 0;
    const node_t *node = &s_world.nodes[s_world.serving];
    for (size_t i = 0; i < node->peers_len; i++)
        s_say(node, &node->peers[i], NULL);
}

static void s_answer_later(size_t left)
{
    Ixn__V1__Ack ack = IXN__V1__ACK__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_ACK;
    message.ack = &ack;
    while (s_world.later_len > left) {
        size_t which = s_random(&s_world.random, (unsigned)s_world.later_len);
        answer_t answer = s_world.later[which];
        s_world.later[which] = s_world.later[--s_world.later_len];
        message.request_id = answer.request_id;
        s_say(&s_world.nodes[s_world.serving], &answer.peer, &message);
        if (++s_world.term == TERM)
            s_change_sides();
    }
}

static void s_hear(node_t *node)
{
    peer_t peer = {0};
    zmq_msg_t body;
    peer.len = (size_t)zmq_recv(node->socket, peer.bytes, sizeof peer.bytes, 0);
    zmq_msg_init(&body);
    zmq_msg_recv(&body, node->socket, 0);
    error_t error = {0};
    const Ixn__V1__ToNode *frame =
        wire_decode_to_node(s_world.arena, zmq_msg_data(&body), zmq_msg_size(&body), &error);
    CHECK(frame);
    for (size_t i = 0; i < frame->n_requests; i++) {
        const Ixn__V1__Request *request = frame->requests[i];
        if (request->body_case == IXN__V1__REQUEST__BODY_REGISTER)
            s_register(node, &peer, request->id);
        else if (request->body_case == IXN__V1__REQUEST__BODY_PING)
            s_pong(node, &peer, request->id);
        else if (request->body_case == IXN__V1__REQUEST__BODY_STOP &&
                 node == &s_world.nodes[s_world.serving])
            s_world.later[s_world.later_len++] = (answer_t){peer, request->id};
        if (s_world.later_len == LATER_MOST)
            s_answer_later(0);
    }
    zmq_msg_close(&body);
    wire_arena_reset(s_world.arena);
}

static void *s_serve(void *unused)
{
    (void)unused;
    while (!atomic_load(&s_stop)) {
        zmq_pollitem_t items[2] = {{.socket = s_world.nodes[0].socket, .events = ZMQ_POLLIN},
                                   {.socket = s_world.nodes[1].socket, .events = ZMQ_POLLIN}};
        int ready = zmq_poll(items, 2, s_world.later_len ? 1 : 20);
        for (size_t i = 0; ready > 0 && i < 2; i++) {
            if (items[i].revents)
                s_hear(&s_world.nodes[i]);
        }
        if (atomic_exchange(&s_change, false))
            s_change_sides();
        /* Some at once, some together with others, none never. */
        unsigned some = s_random(&s_world.random, 64);
        s_answer_later(ready > 0 && some < s_world.later_len ? s_world.later_len - some : 0);
    }
    return NULL;
}

/* ---- The clients ---- */

typedef struct {
    ixn_client_t *client;
    unsigned sent;
    unsigned answered;
    unsigned sessions;
} link_t;

static link_t s_links[CLIENTS];
static unsigned s_unanswered; /* of all */

static void s_open(link_t *link, size_t number, int epoll, void *context)
{
    const char *const endpoints[] = {s_world.nodes[0].endpoint, s_world.nodes[1].endpoint};
    char name[32];
    snprintf(name, sizeof name, "client-%zu", number);
    ixn_client_options_t options = {.endpoints = endpoints,
                                    .endpoints_len = 2,
                                    .role = IXN__V1__ROLE__OPERATOR,
                                    .name = name,
                                    .resend_ms = LONG_MS,
                                    .give_up_ms = LONG_MS,
                                    .max_unanswered = WINDOW,
                                    .context = context};
    link->client = ixn_client_new(&options, NULL);
    CHECK(link->client);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = link};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ixn_client_fd(link->client), &event) == 0);
}

/* Until there is nothing, as client.h wants it before one may sleep. */
static void s_drain(link_t *link)
{
    ixn_event_t event;
    do {
        ixn_client_next(link->client, 0, &event);
        CHECK(event.kind != IXN_EVENT_FAILED && event.kind != IXN_EVENT_REFUSED);
        if (event.kind == IXN_EVENT_CONNECTED)
            link->sessions++;
        if (event.kind != IXN_EVENT_ANSWER)
            continue;
        CHECK(event.message->body_case == IXN__V1__MESSAGE__BODY_ACK);
        link->answered++;
        s_unanswered--;
    } while (event.kind != IXN_EVENT_NONE);
}

/* One request, if it may have one more; sometimes told to go at once, sometimes left to the
 * library. */
static void s_ask(link_t *link, bool flush)
{
    static const uint8_t id[16];
    Ixn__V1__Stop stop = IXN__V1__STOP__INIT;
    stop.interaction_id = (ProtobufCBinaryData){sizeof id, (uint8_t *)id};
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_STOP;
    request.stop = &stop;
    if (link->sent == REQUESTS || !ixn_client_send(link->client, &request))
        return;
    link->sent++;
    s_unanswered++;
    if (flush)
        ixn_client_flush(link->client);
    while (ixn_client_wait_ms(link->client) == 0)
        s_drain(link);
}

/* Until something changes, or a Register is due that came too soon: there are no other timers. */
static int s_wait_ms(void)
{
    int wait_ms = LOST_MS;
    for (size_t i = 0; i < CLIENTS; i++) {
        int its = ixn_client_wait_ms(s_links[i].client);
        wait_ms = its < wait_ms ? its : wait_ms;
    }
    return wait_ms;
}

/* False: it slept, and nothing came. */
static bool s_turn(int epoll, bool sleep)
{
    struct epoll_event events[CLIENTS];
    int wait_ms = sleep ? s_wait_ms() : 0;
    int count = epoll_wait(epoll, events, CLIENTS, wait_ms);
    for (int i = 0; i < count; i++)
        s_drain(events[i].data.ptr);
    for (size_t i = 0; i < CLIENTS && sleep && wait_ms < LOST_MS; i++)
        s_drain(&s_links[i]);
    return count > 0 || wait_ms < LOST_MS;
}

/* Until all are at this node, with all timers: one may have to wait for the connection. */
static void s_connect(int epoll, const char *endpoint)
{
    for (bool all = false; !all;) {
        struct epoll_event events[CLIENTS];
        epoll_wait(epoll, events, CLIENTS, 10);
        all = true;
        for (size_t i = 0; i < CLIENTS; i++) {
            s_drain(&s_links[i]);
            const char *its = ixn_client_endpoint(s_links[i].client);
            all = all && its && strcmp(its, endpoint) == 0;
        }
    }
}

static bool s_ask_all(int epoll)
{
    unsigned random = 1, answered = 0;
    while (answered < CLIENTS * REQUESTS) {
        for (unsigned i = s_random(&random, 4); i > 0; i--)
            s_ask(&s_links[s_random(&random, CLIENTS)], s_random(&random, 2));
        if (!s_turn(epoll, s_unanswered > 0 && s_random(&random, 4) == 0))
            return false;
        answered = 0;
        for (size_t i = 0; i < CLIENTS; i++)
            answered += s_links[i].answered;
    }
    return true;
}

/* ---- Both ---- */

static void s_bind(node_t *node, void *context)
{
    int none = 0;
    char any[OWN_ADDRESS_SIZE];
    node->socket = zmq_socket(context, ZMQ_ROUTER);
    zmq_setsockopt(node->socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(node->socket, ZMQ_SNDHWM, &none, sizeof none);
    CHECK(zmq_bind(node->socket, own_address(any)) == 0);
    size_t size = sizeof node->endpoint;
    CHECK(zmq_getsockopt(node->socket, ZMQ_LAST_ENDPOINT, node->endpoint, &size) == 0);
}

int main(void)
{
    void *context = zmq_ctx_new();
    s_world.epoch = 1;
    s_world.arena = wire_arena_new();
    for (size_t i = 0; i < 2; i++)
        s_bind(&s_world.nodes[i], context);
    pthread_t nodes;
    CHECK(pthread_create(&nodes, NULL, s_serve, NULL) == 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < CLIENTS; i++)
        s_open(&s_links[i], i, epoll, context);
    /* Once at each node, so that it has told how rarely it wants a Ping. */
    s_connect(epoll, s_world.nodes[0].endpoint);
    atomic_store(&s_change, true);
    s_connect(epoll, s_world.nodes[1].endpoint);
    bool done = s_ask_all(epoll);
    unsigned sessions = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        sessions += s_links[i].sessions;
        ixn_client_destroy(&s_links[i].client);
    }
    atomic_store(&s_stop, true);
    pthread_join(nodes, NULL);
    for (size_t i = 0; i < 2; i++)
        zmq_close(s_world.nodes[i].socket);
    zmq_ctx_term(context);
    close(epoll);
    wire_arena_destroy(&s_world.arena);
    buffer_free(&s_world.frame);
    printf("%u clients, %u requests each, %u sessions: %u without an answer%s\n", CLIENTS, REQUESTS,
           sessions, s_unanswered, done ? "" : ", and nothing wakes anybody");
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
