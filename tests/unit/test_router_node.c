/* The router against a scripted node: a ZeroMQ ROUTER socket in the same thread. Both are stepped
 * in turn until a condition holds, or a deadline passes. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "apps/ixn-router/parts/router.h"
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/wire/wire.h"
#include "tests/unit/own_address.h"

#define DEADLINE_S 60
#define INBOX 10000

static void *s_context, *s_socket;
static char s_endpoint[100], s_folder[100];
static uint8_t s_identity[256];
static size_t s_identity_len;
static wire_arena_t *s_arena;
static router_t *s_router;
static Ixn__V1__Request *s_inbox[INBOX]; /* what was heard and not yet taken */
static size_t s_inbox_len;
static Ixn__V1__Token s_revoke = IXN__V1__TOKEN__INIT; /* told at the next registration */
static int s_names_in_use;                             /* so many registrations are refused */

static double now_s(void)
{
    return (double)clock_usec(CLOCK_MONOTONIC) / 1e6;
}

/* ---- The node ---- */

static void say(Ixn__V1__Message *messages, size_t len)
{
    buffer_t frame = {0};
    wire_append_from_node_head(&frame, 1, 1);
    for (size_t i = 0; i < len; i++)
        wire_append_message(&frame, &messages[i]);
    zmq_send(s_socket, s_identity, s_identity_len, ZMQ_SNDMORE);
    zmq_send(s_socket, frame.bytes, frame.len, 0);
    buffer_free(&frame);
}

static void say_ack(uint64_t request_id)
{
    Ixn__V1__Ack ack = IXN__V1__ACK__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request_id;
    message.body_case = IXN__V1__MESSAGE__BODY_ACK;
    message.ack = &ack;
    say(&message, 1);
}

static void say_error(uint64_t request_id, Ixn__V1__Code code, char *sentence)
{
    Ixn__V1__Error error = IXN__V1__ERROR__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    error.code = code;
    error.sentence = sentence;
    message.request_id = request_id;
    message.body_case = IXN__V1__MESSAGE__BODY_ERROR;
    message.error = &error;
    say(&message, 1);
}

static void say_registered(uint64_t request_id)
{
    static uint8_t database[16] = {7};
    Ixn__V1__Registered registered = IXN__V1__REGISTERED__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    Ixn__V1__Token *revoked[] = {&s_revoke};
    registered.database_id = (ProtobufCBinaryData){sizeof database, database};
    registered.node = "node-1";
    registered.heartbeat_ms = 1000;
    registered.dedupe_window_ms = 600000;
    registered.dedupe_guaranteed_ms = 60000;
    registered.max_attributes_size = 1024 * 1024;
    registered.max_submitted_interactions = 100000;
    registered.n_revoked = s_revoke.epoch != 0;
    registered.revoked = revoked;
    message.request_id = request_id;
    message.body_case = IXN__V1__MESSAGE__BODY_REGISTERED;
    message.registered = &registered;
    say(&message, 1);
}

static void say_pong(uint64_t request_id)
{
    Ixn__V1__Pong pong = IXN__V1__PONG__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request_id;
    message.body_case = IXN__V1__MESSAGE__BODY_PONG;
    message.pong = &pong;
    say(&message, 1);
}

static void say_route(const char *strategy, uint64_t index, const char *attributes)
{
    uint8_t id[16] = {0};
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    Ixn__V1__Interaction interaction = IXN__V1__INTERACTION__INIT;
    Ixn__V1__Route route = IXN__V1__ROUTE__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    memcpy(id, &index, sizeof index);
    token.epoch = 1;
    token.index = index;
    interaction.interaction_id = (ProtobufCBinaryData){sizeof id, id};
    interaction.queue = "inbound";
    interaction.media_type = "email";
    interaction.received_at_us = 1700000000000000;
    interaction.attributes =
        (ProtobufCBinaryData){strlen(attributes), (uint8_t *)(uintptr_t)attributes};
    route.token = &token;
    route.strategy = (char *)(uintptr_t)strategy;
    route.attempt = 1;
    route.interaction = &interaction;
    message.body_case = IXN__V1__MESSAGE__BODY_ROUTE;
    message.route = &route;
    say(&message, 1);
}

static void say_revoked(uint64_t index)
{
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    Ixn__V1__Revoked revoked = IXN__V1__REVOKED__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    token.epoch = 1;
    token.index = index;
    revoked.token = &token;
    message.body_case = IXN__V1__MESSAGE__BODY_REVOKED;
    message.revoked = &revoked;
    say(&message, 1);
}

/* The session's own affairs are answered at once; the rest waits for the test. */
static void hear(const Ixn__V1__Request *request)
{
    if (request->body_case == IXN__V1__REQUEST__BODY_REGISTER) {
        if (s_names_in_use-- > 0)
            say_error(request->id, IXN__V1__CODE__NAME_IN_USE, "R1 is live");
        else
            say_registered(request->id);
    }
    if (request->body_case == IXN__V1__REQUEST__BODY_STRATEGY_LOADED ||
        request->body_case == IXN__V1__REQUEST__BODY_STRATEGY_UNLOADED)
        say_ack(request->id);
    if (request->body_case == IXN__V1__REQUEST__BODY_PING) {
        say_pong(request->id);
        return;
    }
    cr_assert_lt(s_inbox_len, INBOX);
    size_t len = ixn__v1__request__get_packed_size(request);
    uint8_t *packed = memory_new(len);
    ixn__v1__request__pack(request, packed);
    s_inbox[s_inbox_len++] = ixn__v1__request__unpack(NULL, len, packed);
    free(packed);
}

static bool listen_once(void)
{
    int got = zmq_recv(s_socket, s_identity, sizeof s_identity, ZMQ_DONTWAIT);
    if (got < 0)
        return false;
    s_identity_len = (size_t)got;
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    cr_assert_geq(zmq_msg_recv(&frame, s_socket, 0), 0);
    error_t error = {0};
    wire_arena_reset(s_arena);
    Ixn__V1__ToNode *heard =
        wire_decode_to_node(s_arena, zmq_msg_data(&frame), zmq_msg_size(&frame), &error);
    cr_assert(heard, "%s", error.text);
    for (size_t i = 0; i < heard->n_requests; i++)
        hear(heard->requests[i]);
    zmq_msg_close(&frame);
    return true;
}

/* Both sides once; waits a little when neither has anything to do. */
static void step(void)
{
    bool busy = s_router && router_turn(s_router);
    while (listen_once())
        busy = true;
    if (busy)
        return;
    zmq_pollitem_t items[] = {{s_socket, 0, ZMQ_POLLIN, 0}, {NULL, -1, ZMQ_POLLIN, 0}};
    if (s_router)
        items[1].fd = router_fd(s_router);
    int wait_ms = s_router ? router_wait_ms(s_router) : 10;
    zmq_poll(items, s_router ? 2 : 1, wait_ms < 0 || wait_ms > 10 ? 10 : wait_ms);
}

/* ---- Waiting for things ---- */

#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        double deadline_s = now_s() + DEADLINE_S;                                                  \
        while (!(condition)) {                                                                     \
            cr_assert_lt(now_s(), deadline_s, "never came true: %s", #condition);                  \
            step();                                                                                \
        }                                                                                          \
    } while (0)

static Ixn__V1__Request *find(Ixn__V1__Request__BodyCase kind)
{
    for (size_t i = 0; i < s_inbox_len; i++)
        if (s_inbox[i]->body_case == kind)
            return s_inbox[i];
    return NULL;
}

static size_t count(Ixn__V1__Request__BodyCase kind)
{
    size_t found = 0;
    for (size_t i = 0; i < s_inbox_len; i++)
        found += s_inbox[i]->body_case == kind;
    return found;
}

/* Waits for the first request of a kind and takes it out of the inbox. Caller frees it. */
static Ixn__V1__Request *take(Ixn__V1__Request__BodyCase kind)
{
    UNTIL(find(kind));
    for (size_t i = 0; i < s_inbox_len; i++) {
        if (s_inbox[i]->body_case != kind)
            continue;
        Ixn__V1__Request *taken = s_inbox[i];
        memmove(&s_inbox[i], &s_inbox[i + 1], (s_inbox_len - i - 1) * sizeof s_inbox[0]);
        s_inbox_len--;
        return taken;
    }
    return NULL;
}

static void done(Ixn__V1__Request *request)
{
    ixn__v1__request__free_unpacked(request, NULL);
}

static router_figures_t figures(void)
{
    router_figures_t now;
    router_figures(s_router, &now);
    return now;
}

/* ---- Setting up ---- */

static void write_strategy(const char *name, const char *source)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s.lua", s_folder, name);
    FILE *file = fopen(path, "w");
    cr_assert(file);
    fputs(source, file);
    fclose(file);
}

static void remove_strategy(const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s.lua", s_folder, name);
    cr_assert_eq(unlink(path), 0);
}

static router_options_t options(const char *folder)
{
    static const char *endpoint;
    endpoint = s_endpoint;
    return (router_options_t){
        /* What a test answers late or never is not asked again. */
        .client = {.endpoints = &endpoint, .endpoints_len = 1, .name = "R1", .resend_ms = 3600000},
        .strategies = folder,
        .vm = {.memory_limit = (size_t)16 * 1024 * 1024, .instructions = 100000},
        .leave_ms = 2000,
    };
}

static void start_in(const char *folder)
{
    error_t error = {0};
    router_options_t chosen = options(folder);
    s_router = router_new(&chosen, &error);
    cr_assert(s_router, "%s", error.text);
    UNTIL(find(IXN__V1__REQUEST__BODY_STRATEGY_LOADED));
    done(take(IXN__V1__REQUEST__BODY_REGISTER));
}

/* A router with one strategy, "test". */
static void start(const char *source)
{
    write_strategy("test", source);
    start_in(s_folder);
}

static void setup(void)
{
    log_set_level(LOG_LEVEL_ERROR + 1);
    s_context = zmq_ctx_new();
    s_socket = zmq_socket(s_context, ZMQ_ROUTER);
    int linger = 0, endless = 0;
    zmq_setsockopt(s_socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(s_socket, ZMQ_SNDHWM, &endless, sizeof endless);
    char any[OWN_ADDRESS_SIZE];
    cr_assert_eq(zmq_bind(s_socket, own_address(any)), 0);
    size_t len = sizeof s_endpoint;
    zmq_getsockopt(s_socket, ZMQ_LAST_ENDPOINT, s_endpoint, &len);
    s_arena = wire_arena_new();
    snprintf(s_folder, sizeof s_folder, "/tmp/test_router_XXXXXX");
    cr_assert(mkdtemp(s_folder));
}

static void teardown(void)
{
    router_destroy(&s_router);
    for (size_t i = 0; i < s_inbox_len; i++)
        done(s_inbox[i]);
    wire_arena_destroy(&s_arena);
    zmq_close(s_socket);
    zmq_ctx_term(s_context);
    DIR *folder = opendir(s_folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", s_folder, entry->d_name);
        unlink(path);
    }
    closedir(folder);
    rmdir(s_folder);
}

TestSuite(router_node, .init = setup, .fini = teardown, .timeout = 300);

/* ---- Results ---- */

Test(router_node, places)
{
    start(
        "interaction:set{a = interaction.attributes.n + 1} interaction:remove('n')\n"
        "place('support', {priority = 3, reason = 'why'})");
    Ixn__V1__Request *loaded = take(IXN__V1__REQUEST__BODY_STRATEGY_LOADED);
    cr_assert_str_eq(loaded->strategy_loaded->strategy, "test");
    cr_assert_eq(strlen(loaded->strategy_loaded->version), 12);
    done(loaded);
    say_route("test", 5, "{\"n\":1}");
    Ixn__V1__Request *heard = take(IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE);
    const Ixn__V1__PlaceInQueue *place = heard->place_in_queue;
    cr_assert_eq(place->token->epoch, 1);
    cr_assert_eq(place->token->index, 5);
    cr_assert_str_eq(place->queue, "support");
    cr_assert_str_eq(place->reason, "why");
    cr_assert_eq(place->priority_given_case, IXN__V1__PLACE_IN_QUEUE__PRIORITY_GIVEN_PRIORITY);
    cr_assert_eq(place->priority, 3);
    cr_assert_eq(place->attributes->set.len, strlen("{\"a\":2}"));
    cr_assert_eq(memcmp(place->attributes->set.data, "{\"a\":2}", 7), 0);
    cr_assert_eq(place->attributes->n_remove, 1);
    cr_assert_str_eq(place->attributes->remove[0], "n");
    cr_assert_eq(figures().held, 1);
    say_ack(heard->id);
    UNTIL(figures().placed == 1);
    cr_assert_eq(figures().held, 0);
    done(heard);
}

Test(router_node, stops)
{
    start("stop('enough')");
    say_route("test", 5, "");
    Ixn__V1__Request *heard = take(IXN__V1__REQUEST__BODY_STOP);
    cr_assert_str_eq(heard->stop->reason, "enough");
    cr_assert_null(heard->stop->attributes);
    say_ack(heard->id);
    UNTIL(figures().stopped == 1);
    done(heard);
}

Test(router_node, script_error_is_a_failed_attempt)
{
    start("\nlocal x = nil\nstop(x.y)");
    say_route("test", 5, "");
    Ixn__V1__Request *heard = take(IXN__V1__REQUEST__BODY_ROUTE_FAILED);
    cr_assert_str_eq(heard->route_failed->reason,
                     "test.lua:3: attempt to index a nil value (local 'x')");
    cr_assert_not(heard->route_failed->blameless);
    cr_assert_eq(heard->route_failed->token->index, 5);
    say_ack(heard->id);
    UNTIL(figures().failed == 1 && figures().held == 0);
    done(heard);
}

Test(router_node, unknown_strategy_is_nobodys_fault)
{
    start("stop()");
    say_route("other", 5, "");
    Ixn__V1__Request *heard = take(IXN__V1__REQUEST__BODY_ROUTE_FAILED);
    cr_assert(heard->route_failed->blameless);
    say_ack(heard->id);
    UNTIL(figures().returned == 1);
    done(heard);
}

Test(router_node, refused_result_is_a_failure_with_its_line)
{
    start("\n\nplace('nowhere')\n");
    say_route("test", 5, "");
    Ixn__V1__Request *heard = take(IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE);
    say_error(heard->id, IXN__V1__CODE__UNKNOWN_QUEUE, "no queue \"nowhere\"");
    done(heard);
    heard = take(IXN__V1__REQUEST__BODY_ROUTE_FAILED);
    cr_assert_str_eq(
        heard->route_failed->reason,
        "test.lua:3: place(\"nowhere\") was refused: UNKNOWN_QUEUE: no queue \"nowhere\"");
    cr_assert_not(heard->route_failed->blameless);
    say_ack(heard->id);
    UNTIL(figures().failed == 1 && figures().held == 0);
    done(heard);
}

Test(router_node, old_token_ends_the_work)
{
    start("stop()");
    say_route("test", 5, "");
    Ixn__V1__Request *heard = take(IXN__V1__REQUEST__BODY_STOP);
    say_error(heard->id, IXN__V1__CODE__OLD_TOKEN, "old");
    UNTIL(figures().lost == 1);
    cr_assert_eq(figures().held, 0);
    cr_assert_eq(count(IXN__V1__REQUEST__BODY_ROUTE_FAILED), 0);
    done(heard);
}

Test(router_node, the_same_route_twice_is_one_piece_of_work)
{
    start("stop()");
    say_route("test", 5, "");
    say_route("test", 5, "");
    say_route("test", 6, "");
    UNTIL(count(IXN__V1__REQUEST__BODY_STOP) == 2);
    cr_assert_eq(figures().routed, 2);
}

/* ---- Waiting scripts ---- */

Test(router_node, save_waits_for_the_answer)
{
    start(
        "interaction:set{a = 1} interaction:save() interaction:set{b = 2}\n"
        "local good, why = pcall(interaction.save, interaction)\n"
        "stop(tostring(good) .. ' ' .. why)");
    say_route("test", 5, "");
    Ixn__V1__Request *heard = take(IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES);
    const Ixn__V1__ChangeProperties *save = heard->change_properties;
    cr_assert_eq(save->token->index, 5);
    cr_assert_gt(save->key.len, 0);
    cr_assert_eq(memcmp(save->attributes->set.data, "{\"a\":1}", save->attributes->set.len), 0);
    cr_assert_eq(count(IXN__V1__REQUEST__BODY_STOP), 0);
    say_ack(heard->id);
    done(heard);
    heard = take(IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES);
    /* Only what is new: "a" is saved. */
    save = heard->change_properties;
    cr_assert_eq(memcmp(save->attributes->set.data, "{\"b\":2}", save->attributes->set.len), 0);
    say_error(heard->id, IXN__V1__CODE__TOO_LARGE, "too much");
    done(heard);
    heard = take(IXN__V1__REQUEST__BODY_STOP);
    cr_assert_str_eq(heard->stop->reason, "false save: TOO_LARGE: too much");
    cr_assert_null(heard->stop->attributes);
    cr_assert_eq(figures().saved, 1);
    done(heard);
}

Test(router_node, sleeping_and_revoked)
{
    start("sleep(interaction.attributes.seconds) stop('woke')");
    say_route("test", 1, "{\"seconds\":1.5}");
    say_route("test", 2, "{\"seconds\":3600}");
    say_route("test", 3, "{\"seconds\":0.01}");
    Ixn__V1__Request *first = take(IXN__V1__REQUEST__BODY_STOP);
    Ixn__V1__Request *second = take(IXN__V1__REQUEST__BODY_STOP);
    cr_assert_eq(first->stop->token->index, 3);
    cr_assert_eq(second->stop->token->index, 1);
    cr_assert_eq(figures().sleeping, 1);
    say_revoked(2);
    UNTIL(figures().lost == 1);
    cr_assert_eq(figures().sleeping, 0);
    /* A second word about it, or one about unknown work, is harmless; so is its answer. */
    say_revoked(2);
    say_revoked(77);
    say_ack(first->id);
    say_ack(first->id);
    UNTIL(figures().stopped == 1);
    done(first);
    done(second);
}

/* More than the memory of scripts holds: they wait for each other, and all end well. */
Test(router_node, more_work_than_memory)
{
    enum { MANY = 30 };
    start("local s = string.rep(string.rep('x', 1000), 1000) sleep(0.5) stop(tostring(#s))");
    for (uint64_t i = 1; i <= MANY; i++)
        say_route("test", i, "");
    UNTIL(figures().sleeping > 5 && figures().waiting > 0);
    for (int i = 0; i < MANY; i++) {
        Ixn__V1__Request *heard = take(IXN__V1__REQUEST__BODY_STOP);
        cr_assert_str_eq(heard->stop->reason, "1000000");
        say_ack(heard->id);
        done(heard);
    }
    UNTIL(figures().held == 0);
    cr_assert_eq(figures().failed, 0);
}

/* ---- Sessions ---- */

Test(router_node, after_a_reconnect)
{
    start("sleep(interaction.attributes.seconds) stop('woke')");
    done(take(IXN__V1__REQUEST__BODY_STRATEGY_LOADED));
    say_route("test", 1, "{\"seconds\":1.5}");
    say_route("test", 2, "{\"seconds\":3600}");
    UNTIL(figures().sleeping == 2);
    s_revoke.epoch = 1;
    s_revoke.index = 2;
    say_error(0, IXN__V1__CODE__NOT_REGISTERED, "who are you?");
    Ixn__V1__Request *heard = take(IXN__V1__REQUEST__BODY_REGISTER);
    cr_assert_eq(heard->register_->n_tokens, 2);
    done(heard);
    done(take(IXN__V1__REQUEST__BODY_STRATEGY_LOADED));
    UNTIL(figures().lost == 1);
    heard = take(IXN__V1__REQUEST__BODY_STOP);
    cr_assert_eq(heard->stop->token->index, 1);
    done(heard);
}

/* The session of the process before may not be over yet. */
Test(router_node, waits_for_its_name)
{
    s_names_in_use = 2;
    start("stop()");
    cr_assert_lt(s_names_in_use, 0);
    say_route("test", 1, "");
    done(take(IXN__V1__REQUEST__BODY_STOP));
    /* Later it means that somebody has taken our place. */
    s_names_in_use = 100;
    say_error(0, IXN__V1__CODE__NOT_REGISTERED, "who are you?");
    error_t error = {0};
    UNTIL(router_is_over(s_router, &error));
    cr_assert_eq(error.code, ERROR_NAME_IN_USE);
}

Test(router_node, reload)
{
    start("sleep(1.5) stop('old')");
    done(take(IXN__V1__REQUEST__BODY_STRATEGY_LOADED));
    say_route("test", 1, "");
    UNTIL(figures().sleeping == 1);
    write_strategy("test", "stop('new')");
    write_strategy("other", "stop('other')");
    router_reload(s_router);
    done(take(IXN__V1__REQUEST__BODY_STRATEGY_LOADED));
    done(take(IXN__V1__REQUEST__BODY_STRATEGY_LOADED));
    say_route("test", 2, "");
    Ixn__V1__Request *heard = take(IXN__V1__REQUEST__BODY_STOP);
    cr_assert_str_eq(heard->stop->reason, "new");
    done(heard);
    heard = take(IXN__V1__REQUEST__BODY_STOP);
    cr_assert_str_eq(heard->stop->reason, "old");
    cr_assert_eq(heard->stop->token->index, 1);
    done(heard);
    /* A file that is broken now changes nothing; one that is gone is told. */
    write_strategy("test", "stop('newer'");
    remove_strategy("other");
    router_reload(s_router);
    heard = take(IXN__V1__REQUEST__BODY_STRATEGY_UNLOADED);
    cr_assert_str_eq(heard->strategy_unloaded->strategy, "other");
    done(heard);
    cr_assert_eq(count(IXN__V1__REQUEST__BODY_STRATEGY_LOADED), 0);
    say_route("test", 3, "");
    heard = take(IXN__V1__REQUEST__BODY_STOP);
    cr_assert_str_eq(heard->stop->reason, "new");
    done(heard);
}

Test(router_node, leaves)
{
    start(
        "if interaction.attributes.seconds then sleep(interaction.attributes.seconds) end\n"
        "interaction:set{a = 1} interaction:save() stop('woke')");
    say_route("test", 1, "{\"seconds\":3600}"); /* cannot end in time */
    say_route("test", 2, "{\"seconds\":0.05}"); /* can */
    say_route("test", 3, "");                   /* is not answered in time */
    UNTIL(figures().sleeping == 2 && count(IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES) == 1);
    done(take(IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES));
    router_leave(s_router);
    Ixn__V1__Request *heard = take(IXN__V1__REQUEST__BODY_ROUTE_FAILED);
    cr_assert_eq(heard->route_failed->token->index, 1);
    cr_assert(heard->route_failed->blameless);
    say_ack(heard->id);
    done(heard);
    UNTIL(find(IXN__V1__REQUEST__BODY_STRATEGY_UNLOADED));
    say_route("test", 4, ""); /* was under way */
    heard = take(IXN__V1__REQUEST__BODY_ROUTE_FAILED);
    cr_assert_eq(heard->route_failed->token->index, 4);
    say_ack(heard->id);
    done(heard);
    heard = take(IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES);
    cr_assert_eq(heard->change_properties->token->index, 2);
    say_ack(heard->id);
    done(heard);
    heard = take(IXN__V1__REQUEST__BODY_STOP);
    cr_assert_eq(heard->stop->token->index, 2);
    say_ack(heard->id);
    done(heard);
    heard = take(IXN__V1__REQUEST__BODY_ROUTE_FAILED);
    cr_assert_eq(heard->route_failed->token->index, 3);
    cr_assert(heard->route_failed->blameless);
    say_ack(heard->id);
    done(heard);
    error_t error = {0};
    UNTIL(router_is_over(s_router, &error));
    cr_assert_eq(error.code, ERROR_OK);
    cr_assert_eq(figures().returned, 3);
    router_destroy(&s_router);
    done(take(IXN__V1__REQUEST__BODY_LEAVE));
}

Test(router_node, leaves_in_bounded_time_when_nobody_listens)
{
    start("sleep(3600) stop()");
    say_route("test", 1, "");
    UNTIL(figures().sleeping == 1);
    router_leave(s_router);
    error_t error = {0};
    double begin_s = now_s();
    while (!router_is_over(s_router, &error)) {
        cr_assert_lt(now_s() - begin_s, 30);
        if (!router_turn(s_router))
            zmq_poll(NULL, 0, router_wait_ms(s_router));
    }
}

Test(router_node, broken_folders)
{
    error_t error = {0};
    router_options_t chosen = options("/nonexistent");
    cr_assert_null(router_new(&chosen, &error));
    cr_assert(strstr(error.text, "/nonexistent"), "%s", error.text);
    chosen = options(s_folder);
    cr_assert_null(router_new(&chosen, &error));
    cr_assert(strstr(error.text, "holds no strategy"), "%s", error.text);
    write_strategy("good", "stop()");
    write_strategy("bad", "stop(");
    cr_assert_null(router_new(&chosen, &error));
    cr_assert(strstr(error.text, "1 of the strategies"), "%s", error.text);
    remove_strategy("bad");
    char path[300];
    snprintf(path, sizeof path, "%s/%065d.lua", s_folder, 1);
    FILE *file = fopen(path, "w");
    fclose(file);
    cr_assert_null(router_new(&chosen, &error));
}

/* ---- The example ---- */

static void check_attribute(const Ixn__V1__AttributesChange *change, const char *member)
{
    char *text = strndup((char *)change->set.data, change->set.len);
    cr_assert(strstr(text, member), "%s is not in %s", member, text);
    free(text);
}

Test(router_node, example_strategies)
{
    start_in(IXN_SOURCE "/apps/ixn-router/strategies");
    say_route("classify", 1,
              "{\"subject\":\"Re: URGENT refund\",\"from\":\"A <a@shop.example>\","
              "\"text\":\"The invoice is wrong.\"}");
    Ixn__V1__Request *heard = take(IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE);
    cr_assert_str_eq(heard->place_in_queue->queue, "support");
    cr_assert_str_eq(heard->place_in_queue->reason, "classified as billing");
    cr_assert_eq(heard->place_in_queue->priority, 10);
    check_attribute(heard->place_in_queue->attributes, "\"category\":\"billing\"");
    check_attribute(heard->place_in_queue->attributes, "\"sender_domain\":\"shop.example\"");
    check_attribute(heard->place_in_queue->attributes, "\"hits\":2");
    check_attribute(heard->place_in_queue->attributes, "\"reply\":true");
    done(heard);
    say_route("answer", 2, "{\"category\":\"billing\",\"from\":\"a@shop.example\"}");
    heard = take(IXN__V1__REQUEST__BODY_STOP);
    cr_assert_str_eq(heard->stop->reason, "answered: billing");
    check_attribute(heard->stop->attributes, "\"answered_by\":\"answer\"");
    done(heard);
    say_route("answer", 3, "{\"category\":\"x\",\"from\":\"No-Reply@shop.example\"}");
    heard = take(IXN__V1__REQUEST__BODY_STOP);
    cr_assert_str_eq(heard->stop->reason, "automatic message");
    done(heard);
    /* Odd attributes are no failure. */
    static const char *const odd[] = {"", "{}", "{\"subject\":null,\"text\":17,\"from\":[]}",
                                      "{\"subject\":{},\"from\":\"\\u00e4\"}"};
    for (uint64_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        say_route("classify", 10 + i, odd[i]);
        heard = take(IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE);
        cr_assert_str_eq(heard->place_in_queue->queue, "support");
        done(heard);
        say_route("answer", 20 + i, odd[i]);
        heard = take(IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE);
        cr_assert_str_eq(heard->place_in_queue->queue, "inbound");
        done(heard);
    }
}
