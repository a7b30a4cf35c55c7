/* The router while a pair of scripted nodes changes its roles: what it works on goes on, results
 * reach the node that serves, each once, and what is no longer its work stops. */
#include <criterion/criterion.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/ixn-router/parts/router.h"
#include "core/base/log.h"
#include "tests/unit/fake_node.h"

#define REGISTER IXN__V1__REQUEST__BODY_REGISTER
#define LOADED IXN__V1__REQUEST__BODY_STRATEGY_LOADED
#define CHANGE IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES
#define STOP IXN__V1__REQUEST__BODY_STOP

static node_t s_nodes[2];
static node_t *const s_a = &s_nodes[0];
static node_t *const s_b = &s_nodes[1];
static router_t *s_router;
static char s_folder[64], s_file[128];

static void s_turn(void)
{
    while (router_turn(s_router))
        continue;
    node_turn(s_a);
    node_turn(s_b);
    zmq_pollitem_t readable = {NULL, router_fd(s_router), ZMQ_POLLIN, 0};
    int wait_ms = router_wait_ms(s_router);
    zmq_poll(&readable, 1, wait_ms < 0 || wait_ms > 2 ? 2 : wait_ms);
}

#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        int64_t until_ms = now_ms() + 60000;                                                       \
        while (!(condition)) {                                                                     \
            cr_assert(now_ms() < until_ms, "never: %s", #condition);                               \
            s_turn();                                                                              \
        }                                                                                          \
    } while (0)

static router_figures_t s_figures(void)
{
    router_figures_t figures;
    router_figures(s_router, &figures);
    return figures;
}

static void s_setup(void)
{
    static const char source[] =
        "local seconds = interaction.attributes.seconds\n"
        "if interaction.attributes.save then interaction:set{saved = true} interaction:save() end\n"
        "if seconds then sleep(seconds) end\n"
        "stop('done')\n";
    log_set_level(LOG_LEVEL_ERROR + 1);
    snprintf(s_folder, sizeof s_folder, "/tmp/test_router_pair_XXXXXX");
    cr_assert(mkdtemp(s_folder));
    snprintf(s_file, sizeof s_file, "%s/classify.lua", s_folder);
    FILE *file = fopen(s_file, "w");
    cr_assert(file);
    fputs(source, file);
    fclose(file);
    id128_t database_id = id_random();
    for (size_t i = 0; i < 2; i++) {
        s_nodes[i].epoch = 5 + i;
        s_nodes[i].heartbeat_ms = 1000;
        s_nodes[i].database_id = database_id;
        s_nodes[i].admit = i == 0 ? REGISTER_SERVE : REGISTER_NOT_PRIMARY;
        node_start(&s_nodes[i]);
    }
    const char *endpoints[] = {s_a->address, s_b->address};
    router_options_t options = {
        .client = {.endpoints = endpoints, .endpoints_len = 2, .name = "R1"},
        .strategies = s_folder,
        .vm = {.memory_limit = (size_t)16 * 1024 * 1024, .instructions = 100000},
    };
    error_t error = {0};
    s_router = router_new(&options, &error);
    cr_assert(s_router, "%s", error.text);
    UNTIL(node_count(s_a, LOADED) == 1 && node_count(s_b, REGISTER) >= 1);
}

static void s_teardown(void)
{
    router_destroy(&s_router);
    node_free(s_a);
    node_free(s_b);
    unlink(s_file);
    rmdir(s_folder);
}

TestSuite(router_pair, .init = s_setup, .fini = s_teardown, .timeout = 300);

static void s_route(node_t *node, uint64_t index, const char *attributes)
{
    id128_t id = {{(uint8_t)index}};
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    token.epoch = node->epoch;
    token.index = index;
    Ixn__V1__Interaction interaction = IXN__V1__INTERACTION__INIT;
    interaction.interaction_id = wire_bytes(&id);
    interaction.attributes =
        (ProtobufCBinaryData){strlen(attributes), (uint8_t *)(uintptr_t)attributes};
    Ixn__V1__Route route = IXN__V1__ROUTE__INIT;
    route.token = &token;
    route.strategy = (char *)(uintptr_t) "classify";
    route.attempt = 1;
    route.interaction = &interaction;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.body_case = IXN__V1__MESSAGE__BODY_ROUTE;
    message.route = &route;
    node_send(node, node->epoch, &message);
}

static void s_take_over(void)
{
    s_b->admit = REGISTER_SERVE;
    node_begins(s_b);
    UNTIL(node_count(s_b, LOADED) == 1);
}

static size_t s_tokens_reported(void)
{
    Ixn__V1__Request *request =
        heard_request(node_heard(s_b, REGISTER, node_count(s_b, REGISTER) - 1));
    size_t count = request->register_->n_tokens;
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(request->register_->tokens[i]->epoch, 5);
    ixn__v1__request__free_unpacked(request, NULL);
    return count;
}

/* The index of the token of the number-th result that B heard. */
static uint64_t s_result_of(size_t number)
{
    Ixn__V1__Request *request = heard_request(node_heard(s_b, STOP, number));
    uint64_t index = request->stop->token->index;
    cr_assert_eq(request->stop->token->epoch, 5);
    ixn__v1__request__free_unpacked(request, NULL);
    return index;
}

/* Three pieces of work: one that sleeps on, one that B does not leave it, one whose result has no
 * answer. Then A is gone. */
static void s_rides_through(void (*goes)(node_t *))
{
    s_a->work = WORK_KEEP;
    s_route(s_a, 10, "{\"seconds\": 2}");
    s_route(s_a, 11, "{\"seconds\": 3600}");
    s_route(s_a, 12, "{}");
    UNTIL(s_figures().sleeping == 2 && node_count(s_a, STOP) == 1);
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    Ixn__V1__Token *revoked[] = {&token};
    token.epoch = 5;
    token.index = 11;
    s_b->revoked = revoked;
    s_b->revoked_len = 1;
    s_a->admit = REGISTER_NOT_PRIMARY;
    goes(s_a);
    s_take_over();
    cr_assert_eq(s_tokens_reported(), 3);
    UNTIL(node_count(s_b, STOP) == 2 && s_figures().held == 0);
    cr_assert(heard_equal(node_heard(s_a, STOP, 0), node_heard(s_b, STOP, 0)), "the same bytes");
    cr_assert_eq(s_result_of(0), 12);
    cr_assert_eq(s_result_of(1), 10);
    cr_assert_eq(s_figures().stopped, 2);
    cr_assert_eq(s_figures().lost, 1);
    /* and it is a candidate for new work there */
    s_route(s_b, 20, "{}");
    UNTIL(s_figures().stopped == 3);
    cr_assert_eq(node_count(s_b, STOP), 3);
}

Test(router_pair, rides_through_a_switchover)
{
    s_rides_through(node_stops);
}

Test(router_pair, rides_through_the_end_of_the_primary)
{
    s_rides_through(node_stop);
}

static void s_freeze(node_t *node)
{
    node->frozen = true;
}

Test(router_pair, rides_through_a_frozen_primary)
{
    s_rides_through(s_freeze);
}

/* Work goes out anew while the router has it, under another token: the old one is dropped. */
Test(router_pair, the_same_work_comes_again)
{
    s_route(s_a, 10, "{\"seconds\": 3600}");
    UNTIL(s_figures().sleeping == 1);
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    Ixn__V1__Token *revoked[] = {&token};
    token.epoch = 5;
    token.index = 10;
    s_b->revoked = revoked;
    s_b->revoked_len = 1;
    node_stop(s_a);
    s_take_over();
    s_route(s_b, 10, "{}"); /* the same interaction under epoch 6 */
    UNTIL(s_figures().stopped == 1 && s_figures().held == 0);
    cr_assert_eq(s_figures().lost, 1);
    cr_assert_eq(node_count(s_b, STOP), 1);
    Ixn__V1__Request *request = heard_request(node_heard(s_b, STOP, 0));
    cr_assert_eq(request->stop->token->epoch, 6);
    ixn__v1__request__free_unpacked(request, NULL);
}

/* A script that waits for its changes waits on, and the change that is asked again is the same. */
Test(router_pair, a_script_that_saves_goes_on)
{
    s_a->work = WORK_KEEP;
    s_route(s_a, 10, "{\"save\": true}");
    UNTIL(node_count(s_a, CHANGE) == 1);
    node_stop(s_a);
    s_take_over();
    UNTIL(s_figures().stopped == 1);
    cr_assert(heard_equal(node_heard(s_a, CHANGE, 0), node_heard(s_b, CHANGE, 0)));
    cr_assert_eq(node_count(s_b, CHANGE), 1);
    cr_assert_eq(s_figures().saved, 1);
}

/* A committed a result and died before it told: for B the token is over, and the result, asked
 * again, hears the first answer. It was not lost. */
Test(router_pair, a_result_that_was_accepted_but_not_told)
{
    s_a->work = WORK_KEEP;
    s_route(s_a, 10, "{}");
    UNTIL(node_count(s_a, STOP) == 1);
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    Ixn__V1__Token *revoked[] = {&token};
    token.epoch = 5;
    token.index = 10;
    s_b->revoked = revoked;
    s_b->revoked_len = 1;
    node_stop(s_a);
    s_take_over();
    UNTIL(s_figures().held == 0);
    cr_assert_eq(s_figures().stopped, 1);
    cr_assert_eq(s_figures().lost, 0);
}
