/* Commands on stored strategies and agents, asked of the node: put, get, activate, deactivate and
 * remove; add and remove agents.
 */
#include "apps/ixnctl/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buffer.h"

typedef struct {
    common_t *common;
    const char *name;
    const char *file;
    bool takes_file;
    bool takes_routers;
    const char *content_type;
    const char *comment;
    uint32_t version;
    char *routers[LIMIT_ACTIVATIONS];
    size_t routers_len;
} input_t;

enum { KEY_VERSION = 0x300, KEY_TYPE, KEY_COMMENT, KEY_ROUTER };

static const struct argp_option s_options_put[] = {
    {"router", KEY_ROUTER, "NAME", 0, "Activate it there at once; may be given several times", 0},
    {"comment", KEY_COMMENT, "TEXT", 0, "A remark, kept with this version", 0},
    {"content-type", KEY_TYPE, "TYPE", 0, "What it is (text/x-lua)", 0},
    {0},
};
static const struct argp_option s_options_get[] = {
    {"version", KEY_VERSION, "N", 0, "This version, not the newest", 0},
    {0},
};
static const struct argp_option s_options_activate[] = {
    {"router", KEY_ROUTER, "NAME", 0, "On this router; none: where it is activated already", 0},
    {"version", KEY_VERSION, "N", 0, "This version, not the newest", 0},
    {0},
};
static const struct argp_option s_options_deactivate[] = {
    {"router", KEY_ROUTER, "NAME", 0, "On this router; none: on all", 0},
    {0},
};

static int s_take_word(input_t *input, char *argument, const struct argp_state *state)
{
    if (!input->name) {
        if (strlen(argument) == 0 || strlen(argument) > LIMIT_NAME)
            argp_error(state, "\"%.80s\" has %zu bytes; a name has 1 to %d", argument,
                       strlen(argument), LIMIT_NAME);
        input->name = argument;
    } else if (input->takes_file && !input->file) {
        input->file = argument;
    } else {
        common_word_too_many(argument, state);
    }
    return 0;
}

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        return s_take_word(input, argument, state);
    case ARGP_KEY_END:
        if (!input->name || (input->takes_file && !input->file))
            argp_error(state, input->takes_file ? "a name and a file are needed (- reads standard "
                                                  "input)"
                                                : "a name is needed");
        return 0;
    case KEY_ROUTER:
        if (input->routers_len == LIMIT_ACTIVATIONS)
            argp_error(state, "more than %d routers", LIMIT_ACTIVATIONS);
        else
            input->routers[input->routers_len++] = argument;
        return 0;
    case KEY_VERSION:
        input->version = (uint32_t)common_number(argument, 1, UINT32_MAX, "--version", state);
        return 0;
    case KEY_TYPE:
        input->content_type = argument;
        return 0;
    case KEY_COMMENT:
        input->comment = argument;
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

/* Sends it and prints `done`, or the strategy that comes back. */
static int s_ask(const input_t *input, Ixn__V1__Request *request, const char *done)
{
    error_t error = {0};
    ixn_client_t *client = common_client(input->common, IXN__V1__ROLE__OPERATOR, &error);
    if (!client) {
        common_fail(&error);
        return EXIT_USAGE;
    }
    const Ixn__V1__Message *message;
    if (!ixn_client_call(client, request, &message, &error)) {
        ixn_client_destroy(&client);
        return common_fail_asking(input->common, &error);
    }
    buffer_t out = {0};
    const Ixn__V1__Strategy *strategy =
        message->body_case == IXN__V1__MESSAGE__BODY_STRATEGY ? message->strategy : NULL;
    if (strategy && strategy->body.len)
        buffer_append(&out, strategy->body.data, strategy->body.len);
    else if (input->common->json && strategy)
        buffer_printf(&out, "{\"strategy\":\"%s\",\"version\":%u,\"size\":%u}\n", input->name,
                      strategy->version, strategy->size);
    else if (input->common->json)
        buffer_printf(&out, "{\"name\":\"%s\",\"done\":true}\n", input->name);
    else if (strategy)
        buffer_printf(&out, "%s version %u %s\n", input->name, strategy->version, done);
    else
        buffer_printf(&out, "%s %s\n", input->name, done);
    bool printed = common_print(&out);
    buffer_free(&out);
    ixn_client_destroy(&client);
    return printed ? EXIT_DONE : EXIT_PARTLY;
}

/* The whole file; one byte more than is allowed shows that it is too large. */
static bool s_read(const char *path, buffer_t *body)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "ixnctl: %s: %s\n", path, strerror(errno));
        return false;
    }
    body->len = fread(buffer_reserve(body, LIMIT_STRATEGY + 1), 1, LIMIT_STRATEGY + 1, file);
    bool bad = ferror(file);
    if (file != stdin)
        fclose(file);
    if (bad)
        fprintf(stderr, "ixnctl: %s cannot be read: %s\n", path, strerror(errno));
    else if (body->len == 0 || body->len > LIMIT_STRATEGY)
        fprintf(stderr, "ixnctl: %s has %s; a strategy has 1 to %d bytes\n", path,
                body->len ? "more" : "none", LIMIT_STRATEGY);
    return !bad && body->len > 0 && body->len <= LIMIT_STRATEGY;
}

int command_strategy_put(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options_put,
        .parser = s_parse,
        .args_doc = "NAME FILE",
        .doc =
            "Store a new version of a strategy.\vWhat runs goes on with the version it has until "
            "the new one is activated; with --router that is done at once. The ten newest "
            "versions are kept. From the first put on, a strategy runs only where it is "
            "activated.\n\nExample:\n"
            "  ixnctl strategy put classify classify.lua --router R1 --router R2",
        .children = common_children,
    };
    input_t input = {.common = common, .takes_file = true, .content_type = "text/x-lua"};
    common_parse(&argp, argc, argv, &input);
    buffer_t body = {0};
    if (!s_read(input.file, &body)) {
        buffer_free(&body);
        return EXIT_USAGE;
    }
    Ixn__V1__PutStrategy put = IXN__V1__PUT_STRATEGY__INIT;
    put.strategy = (char *)input.name;
    put.body = (ProtobufCBinaryData){body.len, body.bytes};
    put.content_type = (char *)input.content_type;
    put.comment = input.comment ? (char *)input.comment : (char *)"";
    put.routers = input.routers;
    put.n_routers = input.routers_len;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_PUT_STRATEGY;
    request.put_strategy = &put;
    int code = s_ask(&input, &request, input.routers_len ? "stored and activated" : "stored");
    buffer_free(&body);
    return code;
}

int command_strategy_get(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options_get,
        .parser = s_parse,
        .args_doc = "NAME",
        .doc =
            "Print the body of a stored strategy.\vExample:\n"
            "  ixnctl strategy get classify --version 3 > classify.lua",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    Ixn__V1__GetStrategy get = IXN__V1__GET_STRATEGY__INIT;
    get.strategy = (char *)input.name;
    get.version = input.version;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_GET_STRATEGY;
    request.get_strategy = &get;
    return s_ask(&input, &request, "");
}

int command_strategy_activate(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options_activate,
        .parser = s_parse,
        .args_doc = "NAME",
        .doc =
            "Let routers run a version of a stored strategy.\vThe routers need not be connected. "
            "One that has an older version goes on with it until it has loaded this one; "
            "whether it has, and why not, ixnctl strategy list says.\n\nExamples:\n"
            "  ixnctl strategy activate classify --router R1 --router R2\n"
            "  ixnctl strategy activate classify --version 3",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    Ixn__V1__ActivateStrategy activate = IXN__V1__ACTIVATE_STRATEGY__INIT;
    activate.strategy = (char *)input.name;
    activate.version = input.version;
    activate.routers = input.routers;
    activate.n_routers = input.routers_len;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_ACTIVATE_STRATEGY;
    request.activate_strategy = &activate;
    return s_ask(&input, &request, "activated");
}

int command_strategy_deactivate(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options_deactivate,
        .parser = s_parse,
        .args_doc = "NAME",
        .doc =
            "Let routers run a stored strategy no more.\vWhat runs ends; what waits, waits.\n\n"
            "Example:\n  ixnctl strategy deactivate classify --router R2",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    Ixn__V1__DeactivateStrategy deactivate = IXN__V1__DEACTIVATE_STRATEGY__INIT;
    deactivate.strategy = (char *)input.name;
    deactivate.routers = input.routers;
    deactivate.n_routers = input.routers_len;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_DEACTIVATE_STRATEGY;
    request.deactivate_strategy = &deactivate;
    return s_ask(&input, &request, "deactivated");
}

int command_strategy_remove(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .parser = s_parse,
        .args_doc = "NAME",
        .doc =
            "Remove a stored strategy, all versions and activations.\vRouters that bring one of "
            "that name themselves run theirs again.\n\nExample:\n"
            "  ixnctl strategy remove classify",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    Ixn__V1__RemoveStrategy removal = IXN__V1__REMOVE_STRATEGY__INIT;
    removal.strategy = (char *)input.name;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_REMOVE_STRATEGY;
    request.remove_strategy = &removal;
    return s_ask(&input, &request, "removed");
}

static int s_change_agent(input_t *input, bool removal)
{
    Ixn__V1__ChangeAgent change = IXN__V1__CHANGE_AGENT__INIT;
    change.agent = (char *)input->name;
    change.remove = removal;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_CHANGE_AGENT;
    request.change_agent = &change;
    return s_ask(input, &request, removal ? "removed" : "added");
}

int command_agent_add(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .parser = s_parse,
        .args_doc = "NAME",
        .doc = "Declare an agent that routers may reserve.\vExample:\n  ixnctl agent add maria",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    return s_change_agent(&input, false);
}

int command_agent_remove(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .parser = s_parse,
        .args_doc = "NAME",
        .doc =
            "Take back an agent that was added so.\vOne of the configuration is taken out there."
            "\n\nExample:\n  ixnctl agent remove maria",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    return s_change_agent(&input, true);
}
