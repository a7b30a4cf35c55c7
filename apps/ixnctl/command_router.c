/* Commands on routers, asked of the node: drain, undrain.
 */
#include "apps/ixnctl/command.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/buffer.h"
#include "core/base/clock.h"

enum { KEY_WAIT = 0x300, WAIT_S = 300, WAIT_MAX_S = 86400, POLL_MS = 100 };

typedef struct {
    common_t *common;
    const char *name;
    const char *reason;
    int wait_s; /* 0: not */
    bool takes_reason;
} input_t;

/* How a router stands, out of a listing. */
typedef struct {
    bool found;
    bool connected;
    bool drained;
    uint32_t pending;
} standing_t;

static const struct argp_option s_options_drain[] = {
    {"reason", 'r', "TEXT", 0, "Why; shown to whoever looks at the router (needed)", 0},
    {"wait", KEY_WAIT, "SECONDS", OPTION_ARG_OPTIONAL,
     "Until it has nothing left, at most so long (300)", 0},
    {0},
};

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (input->name)
            common_word_too_many(argument, state);
        if (strlen(argument) == 0 || strlen(argument) > LIMIT_NAME)
            argp_error(state, "\"%.80s\" has %zu bytes; a name has 1 to %d", argument,
                       strlen(argument), LIMIT_NAME);
        input->name = argument;
        return 0;
    case 'r':
        input->reason = common_reason(argument, state);
        return 0;
    case KEY_WAIT:
        input->wait_s =
            argument ? (int)common_number(argument, 1, WAIT_MAX_S, "--wait", state) : WAIT_S;
        return 0;
    case ARGP_KEY_END:
        if (!input->name)
            argp_error(state, "a router's name is needed");
        if (input->takes_reason && !input->reason)
            argp_error(state, "--reason is needed: whoever finds the router idle wants to know");
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

/* Sends it; the answer is a listing. */
static const Ixn__V1__Listing *s_ask(ixn_client_t *client, Ixn__V1__Request *request,
                                     error_t *ret_error)
{
    const Ixn__V1__Message *message;
    if (!ixn_client_call(client, request, &message, ret_error))
        return NULL;
    if (message->body_case == IXN__V1__MESSAGE__BODY_LISTING)
        return message->listing;
    error_set(ret_error, ERROR_MALFORMED, "the node answered something else");
    return NULL;
}

static void s_find(const Ixn__V1__Listing *listing, const char *name, standing_t *standing)
{
    for (size_t i = 0; i < listing->n_routers; i++) {
        const Ixn__V1__RouterInfo *router = listing->routers[i];
        if (strcmp(router->name, name) == 0)
            *standing = (standing_t){true, router->connected, router->drained, router->pending};
    }
}

/* Looks again, page by page. One that is in no page has left, and has nothing. */
static bool s_look(ixn_client_t *client, const char *name, standing_t *ret_standing,
                   error_t *ret_error)
{
    char after[LIMIT_NAME + 1] = "";
    *ret_standing = (standing_t){0};
    do {
        Ixn__V1__List list = IXN__V1__LIST__INIT;
        list.kind = IXN__V1__LIST__KIND__ROUTERS;
        list.after = after;
        Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
        request.body_case = IXN__V1__REQUEST__BODY_LIST;
        request.list = &list;
        const Ixn__V1__Listing *listing = s_ask(client, &request, ret_error);
        if (!listing)
            return false;
        s_find(listing, name, ret_standing);
        snprintf(after, sizeof after, "%s", listing->next);
    } while (after[0] && !ret_standing->found);
    return true;
}

static time_t s_seconds(void)
{
    return clock_usec(CLOCK_BOOTTIME) / USEC_PER_SECOND;
}

/* Until it holds nothing, is no longer drained, or the time is up. */
static bool s_wait(ixn_client_t *client, const input_t *input, standing_t *standing,
                   error_t *ret_error)
{
    time_t until = s_seconds() + input->wait_s;
    while (standing->drained && standing->pending > 0 && s_seconds() < until) {
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
        if (!s_look(client, input->name, standing, ret_error))
            return false;
    }
    return true;
}

static bool s_print(const input_t *input, const standing_t *standing)
{
    if (input->common->json)
        return common_print_json(json_pack("{s:s, s:b, s:b, s:I}", "router", input->name, "drained",
                                           standing->drained, "connected", standing->connected,
                                           "pending", (json_int_t)standing->pending));
    buffer_t out = {0};
    buffer_printf(&out, "%s is %s%s; it has %u interaction%s\n", input->name,
                  standing->drained ? "drained" : "not drained",
                  standing->connected ? "" : " and not connected", standing->pending,
                  standing->pending == 1 ? "" : "s");
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed;
}

static int s_run(const input_t *input, Ixn__V1__Request *request)
{
    error_t error = {0};
    ixn_client_t *client = common_client(input->common, IXN__V1__ROLE__OPERATOR, &error);
    if (!client) {
        common_fail(&error);
        return EXIT_USAGE;
    }
    standing_t standing = {0};
    const Ixn__V1__Listing *listing = s_ask(client, request, &error);
    int code = EXIT_DONE;
    if (listing) {
        s_find(listing, input->name, &standing);
        bool known = s_wait(client, input, &standing, &error);
        if (!known || (input->wait_s && (!standing.drained || standing.pending > 0)))
            code = EXIT_PARTLY; /* drained; how it went on is not known, or something is left */
        if (error.code)
            common_fail(&error);
        else if (!s_print(input, &standing))
            code = EXIT_PARTLY;
    } else {
        code = common_fail_asking(input->common, &error);
    }
    ixn_client_destroy(&client);
    return code;
}

int command_router_drain(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options_drain,
        .parser = s_parse,
        .args_doc = "NAME",
        .doc =
            "Give a router no new interactions; what it has it finishes.\vThat lasts until ixnctl "
            "router undrain: through reconnects of the router, take-overs and restarts of the "
            "nodes. With --wait, exit code 0 says that nothing is left with it and it can be "
            "stopped; 4 that something is. Drained again, it has the new reason.\n\nExamples:\n"
            "  ixnctl router drain R1 --reason \"kernel update\" --wait\n"
            "  ixnctl router undrain R1",
        .children = common_children,
    };
    input_t input = {.common = common, .takes_reason = true};
    common_parse(&argp, argc, argv, &input);
    Ixn__V1__DrainRouter drain = IXN__V1__DRAIN_ROUTER__INIT;
    drain.router = (char *)input.name;
    drain.reason = (char *)input.reason;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_DRAIN_ROUTER;
    request.drain_router = &drain;
    return s_run(&input, &request);
}

int command_router_undrain(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .parser = s_parse,
        .args_doc = "NAME",
        .doc =
            "Give a drained router new interactions again.\vOne that is not drained stays as it "
            "is.\n\nExample:\n  ixnctl router undrain R1",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    Ixn__V1__UndrainRouter undrain = IXN__V1__UNDRAIN_ROUTER__INIT;
    undrain.router = (char *)input.name;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_UNDRAIN_ROUTER;
    request.undrain_router = &undrain;
    return s_run(&input, &request);
}
