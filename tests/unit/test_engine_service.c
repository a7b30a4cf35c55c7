/* Requests to application servers: who gets them, what a loss does, and that all of it survives a
 * restart. Interaction "a" is with router r1 under t1. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/engine_world.h"

typedef struct {
    const char *incarnation; /* (the name) */
    Ixn__V1__Role role;      /* (application server) */
    int type;                /* (email) */
    const char *service;     /* (none) */
    uint32_t window;
    const Ixn__V1__Token *holds; /* (nothing) */
} serve_t;

static void s_serve(world_t *w, const char *who, const serve_t *wanted)
{
    id128_t incarnation = {{0}};
    char *services[] = {(char *)wanted->service};
    Ixn__V1__Token *tokens[] = {(Ixn__V1__Token *)(uintptr_t)wanted->holds};
    const char *text = wanted->incarnation ? wanted->incarnation : who;
    memcpy(incarnation.bytes, text, strlen(text));
    char name[40];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(who, ":"), who);
    Ixn__V1__ApplicationServer server = IXN__V1__APPLICATION_SERVER__INIT;
    server.type = (Ixn__V1__ApplicationType)(wanted->type ? wanted->type : 2);
    server.services = services;
    server.n_services = wanted->service ? 1 : 0;
    server.window = wanted->window;
    Ixn__V1__Register body = IXN__V1__REGISTER__INIT;
    body.role = wanted->role ? wanted->role : IXN__V1__ROLE__APPLICATION_SERVER;
    body.name = name;
    body.incarnation = wire_bytes(&incarnation);
    body.tokens = tokens;
    body.n_tokens = wanted->holds ? 1 : 0;
    body.application_server = &server;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_REGISTER;
    request.register_ = &body;
    if (!world_connected(w, who))
        cr_assert(world_connect(w, who));
    world_request(w, who, &request);
    world_settle(w);
}
#define SERVE(who, ...) s_serve(w, who, &(serve_t){__VA_ARGS__})

typedef struct {
    const char *key; /* ("k") */
    int type;        /* (email, unless there is one of these) */
    const char *server, *cluster;
    const char *service;    /* ("do") */
    const char *parameters; /* ("") */
    uint32_t timeout_ms;
    bool safe;
} ask_t;

static void s_ask(world_t *w, const ask_t *wanted)
{
    id128_t id = world_id(w, "a");
    Ixn__V1__Token token = world_token(w, "t1");
    Ixn__V1__CallService body = IXN__V1__CALL_SERVICE__INIT;
    body.interaction_id = wire_bytes(&id);
    body.token = &token;
    const char *key = wanted->key ? wanted->key : "k";
    body.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
    body.target_case = IXN__V1__CALL_SERVICE__TARGET_TYPE;
    body.type = (Ixn__V1__ApplicationType)(wanted->type ? wanted->type : 2);
    if (wanted->server) {
        body.target_case = IXN__V1__CALL_SERVICE__TARGET_SERVER;
        body.server = (char *)(uintptr_t)wanted->server;
    } else if (wanted->cluster) {
        body.target_case = IXN__V1__CALL_SERVICE__TARGET_CLUSTER;
        body.cluster = (char *)(uintptr_t)wanted->cluster;
    }
    body.service = (char *)(uintptr_t)(wanted->service ? wanted->service : "do");
    const char *parameters = wanted->parameters ? wanted->parameters : "";
    body.parameters = (ProtobufCBinaryData){strlen(parameters), (uint8_t *)(uintptr_t)parameters};
    body.timeout_ms = wanted->timeout_ms;
    body.safe = wanted->safe;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_CALL_SERVICE;
    request.call_service = &body;
    world_request(w, "r1", &request);
    world_settle(w);
}
#define ASK(...) s_ask(w, &(ask_t){__VA_ARGS__})

static void s_answer(world_t *w, const char *who, const Ixn__V1__Token *to, const char *result,
                     const char *fault)
{
    Ixn__V1__Token token = *to;
    Ixn__V1__ServiceResponse response = IXN__V1__SERVICE_RESPONSE__INIT;
    Ixn__V1__ServiceFault body = IXN__V1__SERVICE_FAULT__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    response.token = body.token = &token;
    if (fault) {
        body.code = (char *)(uintptr_t)fault;
        body.text = (char *)"said so";
        request.body_case = IXN__V1__REQUEST__BODY_SERVICE_FAULT;
        request.service_fault = &body;
    } else {
        response.result = (ProtobufCBinaryData){strlen(result), (uint8_t *)(uintptr_t)result};
        request.body_case = IXN__V1__REQUEST__BODY_SERVICE_RESPONSE;
        request.service_response = &response;
    }
    world_request(w, who, &request);
    world_settle(w);
}

static world_t *s_begin(const world_options_t *options)
{
    world_t *w = world_new(options);
    world_media(w, "media");
    world_router(w, "r1", "s1");
    SUBMIT("media", .key = "a");
    world_settle(w);
    world_forget(w);
    return w;
}

static void s_router_again(world_t *w)
{
    REGISTER("r1", .role = IXN__V1__ROLE__ROUTER, .tokens = "t1", .reservation = true);
    world_settle(w);
}

/* ---- The usual way ---- */

Test(engine_service, a_result_comes_back)
{
    world_t *w = s_begin(NULL);
    SERVE("m1", );
    ASK(.parameters = "{\"x\":1}", .timeout_ms = 3000);
    EXPECT("m1: registered\nr1: ack a v1\nm1: serve do. {\"x\":1}, attempt 1, 3000 ms\n");
    Ixn__V1__Token served = world_served(w);
    s_answer(w, "m1", &served, "{\"y\":2}", NULL);
    EXPECT("r1: result k of a: {\"y\":2} by m1\nm1: ack\n");
    s_answer(w, "m1", &served, "{\"y\":2}", NULL); /* its Ack was lost */
    EXPECT("m1: ack\n");
    ASK(.parameters = "{\"x\":1}", .timeout_ms = 3000); /* and so was the router's */
    EXPECT("r1: ack a v1\nr1: result k of a: {\"y\":2} by m1\n");
    world_free(&w);
}

Test(engine_service, nothing_leaves_before_its_commit)
{
    world_t *w = s_begin(NULL);
    SERVE("m1", );
    world_forget(w);
    id128_t id = world_id(w, "a");
    Ixn__V1__Token token = world_token(w, "t1");
    Ixn__V1__CallService body = IXN__V1__CALL_SERVICE__INIT;
    body.interaction_id = wire_bytes(&id);
    body.token = &token;
    body.key = (ProtobufCBinaryData){1, (uint8_t *)"k"};
    body.target_case = IXN__V1__CALL_SERVICE__TARGET_SERVER;
    body.server = "m1";
    body.service = "do";
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_CALL_SERVICE;
    request.call_service = &body;
    world_request(w, "r1", &request);
    world_turn(w);
    EXPECT("");
    world_commit(w);
    EXPECT("r1: ack a v1\nm1: serve do. {}, attempt 1, 5000 ms\n");
    world_free(&w);
}

Test(engine_service, a_fault_is_the_servers_word)
{
    world_t *w = s_begin(NULL);
    SERVE("m1", );
    ASK();
    world_forget(w);
    Ixn__V1__Token served = world_served(w);
    s_answer(w, "m1", &served, NULL, "NO_ACCOUNT");
    EXPECT("r1: result k of a: NO_ACCOUNT\nm1: ack\n");
    cr_assert_str_eq(world_sentence(w), "said so");
    world_free(&w);
}

Test(engine_service, waits_for_a_window_and_for_a_server)
{
    world_t *w = s_begin(NULL);
    ASK(.key = "1");
    ASK(.key = "2");
    EXPECT("r1: ack a v1\nr1: ack a v1\n");
    SERVE("m1", .window = 1);
    EXPECT("m1: registered\nm1: serve do. {}, attempt 1, 5000 ms\n");
    Ixn__V1__Token served = world_served(w);
    s_answer(w, "m1", &served, "{}", NULL);
    EXPECT("r1: result 1 of a: {} by m1\nm1: ack\nm1: serve do. {}, attempt 1, 5000 ms\n");
    world_free(&w);
}

Test(engine_service, ends_at_its_deadline_with_the_reason)
{
    world_t *w = s_begin(NULL);
    ASK(.timeout_ms = 1000);
    world_forget(w);
    world_pass(w, 900);
    cr_assert_null(strstr(world_told(w), "result"));
    world_forget(w);
    world_pass(w, 300);
    cr_assert(strstr(world_told(w), "r1: result k of a: TIMED_OUT"), "%s", world_told(w));
    cr_assert(strstr(world_sentence(w), "none is connected"), "%s", world_sentence(w));
    SERVE("m1", );
    ASK(.key = "2", .timeout_ms = 1000);
    Ixn__V1__Token served = world_served(w);
    world_pass(w, 1200);
    cr_assert(strstr(world_told(w), "m1: cancelled"), "%s", world_told(w));
    cr_assert(strstr(world_told(w), "r1: result 2 of a: TIMED_OUT"), "%s", world_told(w));
    world_forget(w);
    s_answer(w, "m1", &served, "{}", NULL);
    EXPECT("m1: OLD_TOKEN\n");
    world_free(&w);
}

Test(engine_service, ends_when_the_interaction_leaves)
{
    world_t *w = s_begin(NULL);
    SERVE("m1", .window = 1);
    ASK(.key = "1");
    ASK(.key = "2");
    Ixn__V1__Token served = world_served(w);
    world_forget(w);
    STOP("r1", .of = "a", .token = "t1");
    world_settle(w);
    EXPECT("r1: ack a v2\nm1: cancelled\n");
    s_answer(w, "m1", &served, "{}", NULL);
    EXPECT("m1: OLD_TOKEN\n");
    world_free(&w);
}

/* ---- Refusals ---- */

Test(engine_service, refuses_what_is_wrong)
{
    world_t *w = s_begin(NULL);
    ASK(.cluster = "nowhere");
    ASK(.parameters = "[1]");
    ASK(.parameters = "{\"x\":");
    ASK(.type = 9);
    ASK(.timeout_ms = UINT32_MAX);
    EXPECT(
        "r1: UNKNOWN_CLUSTER\nr1: INVALID_ARGUMENT\nr1: INVALID_ARGUMENT\n"
        "r1: INVALID_ARGUMENT\nr1: INVALID_ARGUMENT\n");
    ASK(.key = "1");
    ASK(.key = "1", .service = "other");
    EXPECT("r1: ack a v1\nr1: KEY_REUSED\n");
    SERVE("odd", .type = 9);
    EXPECT("odd: INVALID_ARGUMENT\n");
    SERVE("both", .role = IXN__V1__ROLE__ROUTER);
    EXPECT("both: WRONG_ROLE\n");
    world_free(&w);
}

Test(engine_service, undeclared_third_party_by_type_is_refused_by_cluster_served)
{
    world_t *w = s_begin(&(world_options_t){.cluster = "old1 old2"});
    SERVE("old1", .type = 6);
    world_forget(w);
    ASK(.key = "1", .type = 6, .service = "fax");
    EXPECT("r1: NOT_DECLARED\n");
    cr_assert(strstr(world_sentence(w), "\"fax\""), "%s", world_sentence(w));
    ASK(.key = "2", .cluster = "c", .service = "fax");
    EXPECT("r1: ack a v1\nold1: serve fax. {}, attempt 1, 5000 ms\n");
    SERVE("im", .type = 6, .service = "im");
    SERVE("fax", .type = 6, .service = "fax");
    world_forget(w);
    ASK(.key = "3", .type = 6, .service = "fax");
    EXPECT("r1: ack a v1\nfax: serve fax. {}, attempt 1, 5000 ms\n");
    world_free(&w);
}

Test(engine_service, is_bounded)
{
    world_t *w = s_begin(&(world_options_t){.max_requests = 3});
    char key[2] = "0";
    for (; key[0] < '4'; key[0]++)
        ASK(.key = key);
    EXPECT("r1: ack a v1\nr1: ack a v1\nr1: ack a v1\nr1: busy\n");
    world_free(&w);
    w = s_begin(NULL);
    for (key[0] = 'a'; key[0] < 'j'; key[0]++)
        ASK(.key = key);
    cr_assert(strstr(world_told(w), "r1: busy\n"), "%s", world_told(w));
    world_free(&w);
}

/* ---- Loss ---- */

Test(engine_service, a_safe_request_goes_to_another_server)
{
    world_t *w = s_begin(NULL);
    SERVE("m1", );
    SERVE("m2", );
    world_forget(w);
    ASK(.safe = true);
    EXPECT("r1: ack a v1\nm1: serve do. {}, attempt 1, 5000 ms\n");
    world_lose(w, "m1");
    world_settle(w);
    EXPECT("m2: serve do. {}, attempt 2, 5000 ms\n");
    world_free(&w);
}

Test(engine_service, a_safe_request_that_kills_its_servers_ends)
{
    world_t *w = s_begin(NULL);
    SERVE("m1", );
    SERVE("m2", );
    SERVE("m3", );
    SERVE("m4", );
    ASK(.safe = true);
    world_lose(w, "m1");
    world_settle(w);
    world_lose(w, "m2");
    world_settle(w);
    world_forget(w);
    world_lose(w, "m3");
    world_settle(w);
    EXPECT("r1: result k of a: SERVER_LOST\n");
    world_free(&w);
}

Test(engine_service, an_unsafe_request_goes_to_the_same_process_only)
{
    world_t *w = s_begin(NULL);
    SERVE("m1", .incarnation = "x");
    SERVE("m2", );
    ASK();
    Ixn__V1__Token served = world_served(w);
    world_lose(w, "m1");
    world_settle(w);
    world_forget(w);
    SERVE("m1", .incarnation = "x", .holds = &served);
    EXPECT("m1: registered\n"); /* it has it */
    world_lose(w, "m1");
    SERVE("m1", .incarnation = "x");
    EXPECT("m1: registered\nm1: serve do. {}, attempt 1, 5000 ms\n"); /* it never heard of it */
    world_lose(w, "m1");
    world_settle(w);
    world_forget(w);
    SERVE("m1", .incarnation = "y", .holds = &served);
    EXPECT("r1: result k of a: SERVER_LOST\nm1: registered, revoked t2\n");
    cr_assert(strstr(world_sentence(w), "not known"), "%s", world_sentence(w));
    world_free(&w);
}

Test(engine_service, an_unsafe_request_is_given_up_when_its_process_stays_away)
{
    world_t *w = s_begin(NULL);
    SERVE("m1", );
    ASK(.timeout_ms = 60000);
    world_lose(w, "m1");
    world_settle(w);
    world_forget(w);
    world_pass(w, 2500);
    cr_assert_null(strstr(world_told(w), "result"));
    world_pass(w, 1000);
    cr_assert(strstr(world_told(w), "r1: result k of a: SERVER_LOST"), "%s", world_told(w));
    world_free(&w);
}

Test(engine_service, what_a_server_never_heard_of_goes_to_another_even_when_unsafe)
{
    world_t *w = s_begin(NULL);
    SERVE("m1", );
    SERVE("m2", );
    world_forget(w);
    id128_t id = world_id(w, "a");
    Ixn__V1__Token token = world_token(w, "t1");
    Ixn__V1__CallService body = IXN__V1__CALL_SERVICE__INIT;
    body.interaction_id = wire_bytes(&id);
    body.token = &token;
    body.key = (ProtobufCBinaryData){1, (uint8_t *)"k"};
    body.target_case = IXN__V1__CALL_SERVICE__TARGET_TYPE;
    body.type = IXN__V1__APPLICATION_TYPE__APPLICATION_EMAIL;
    body.service = "do";
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_CALL_SERVICE;
    request.call_service = &body;
    world_request(w, "r1", &request);
    world_turn(w);
    world_lose(w, "m1"); /* before the commit that would have let it out */
    world_settle(w);
    EXPECT("r1: ack a v1\nm2: serve do. {}, attempt 1, 5000 ms\n");
    world_free(&w);
}

Test(engine_service, an_orderly_leave_counts_as_no_attempt)
{
    world_t *w = s_begin(NULL);
    SERVE("m1", );
    SERVE("m2", );
    ASK(.key = "1", .safe = true);
    ASK(.key = "2", .server = "m1");
    world_forget(w);
    world_leave(w, "m1");
    world_settle(w);
    EXPECT(
        "m1: ack\nm1: (ended)\nr1: result 2 of a: SERVER_LEFT\n"
        "m2: serve do. {}, attempt 1, 5000 ms\n");
    world_free(&w);
}

/* ---- Restarts ---- */

Test(engine_service, a_router_hears_again_what_was_answered)
{
    world_t *w = s_begin(NULL);
    SERVE("m1", .incarnation = "x");
    ASK(.key = "3");
    Ixn__V1__Token served = world_served(w);
    s_answer(w, "m1", &served, "{}", NULL);
    for (int from_tables = 0; from_tables < 2; from_tables++) {
        world_restart(w, NULL, from_tables);
        world_settle(w);
        world_forget(w);
        s_router_again(w);
        EXPECT("r1: registered limit 100\nr1: result 3 of a: {} by m1\n");
    }
    world_free(&w);
}

Test(engine_service, goes_on_after_a_restart_and_keeps_its_deadline)
{
    for (int from_tables = 0; from_tables < 2; from_tables++) {
        world_t *w = s_begin(NULL);
        SERVE("m1", .incarnation = "x");
        SERVE("m2", .incarnation = "z");
        ASK(.key = "1", .server = "m1", .timeout_ms = 20000);
        Ixn__V1__Token first = world_served(w);
        ASK(.key = "2", .server = "m2", .timeout_ms = 20000);
        ASK(.key = "3", .server = "m3", .timeout_ms = 20000);
        world_pass(w, 5000);
        world_restart(w, NULL, from_tables);
        world_settle(w);
        s_router_again(w);
        world_forget(w);
        SERVE("m1", .incarnation = "x", .holds = &first); /* still works on it */
        EXPECT("m1: registered\n");
        SERVE("m2", .incarnation = "new"); /* another process: whether it was done nobody knows */
        EXPECT("r1: result 2 of a: SERVER_LOST\nm2: registered\n");
        s_answer(w, "m1", &first, "{}", NULL);
        EXPECT("r1: result 1 of a: {} by m1\nm1: ack\n");
        world_pass(w, 14000);
        cr_assert_null(strstr(world_told(w), "result"));
        world_pass(w, 6000); /* time that no entry told of is given again */
        cr_assert(strstr(world_told(w), "r1: result 3 of a: TIMED_OUT"), "%s", world_told(w));
        world_free(&w);
    }
}

Test(engine_service, the_round_robin_goes_on_after_a_restart)
{
    world_t *w = s_begin(NULL);
    SERVE("m1", );
    SERVE("m2", );
    ASK(.key = "1");
    world_restart(w, NULL, false);
    world_settle(w);
    s_router_again(w);
    SERVE("m1", );
    SERVE("m2", );
    world_forget(w);
    ASK(.key = "2");
    EXPECT("r1: ack a v1\nm2: serve do. {}, attempt 1, 5000 ms\n");
    world_free(&w);
}

/* ---- Both at once ---- */

Test(engine_service, one_connection_is_media_server_and_application_server)
{
    world_t *w = s_begin(NULL);
    SERVE("both", .role = IXN__V1__ROLE__MEDIA_SERVER);
    world_forget(w);
    SUBMIT("both", .key = "b");
    world_settle(w);
    cr_assert(strstr(world_told(w), "both: ack b v1"), "%s", world_told(w));
    world_forget(w);
    ASK();
    EXPECT("r1: ack a v1\nboth: serve do. {}, attempt 1, 5000 ms\n");
    Ixn__V1__Token served = world_served(w);
    s_answer(w, "both", &served, "{}", NULL);
    EXPECT("r1: result k of a: {} by both\nboth: ack\n");
    SERVE("both:2", .incarnation = "other");
    EXPECT("both:2: NAME_IN_USE\n");
    s_answer(w, "media", &served, "{}", NULL);
    EXPECT("media: WRONG_ROLE\n");
    world_free(&w);
}
