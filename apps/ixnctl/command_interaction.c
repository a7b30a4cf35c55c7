/* Commands that change an interaction: place, hold, resume, stop. Each takes one id or several;
 * each id is one request with its own answer.
 */
#include "apps/ixnctl/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire/wire.h"

typedef struct {
    common_t *common;
    const char *ids[COMMON_IDS];
    size_t ids_len;
    bool takes_queue; /* the last argument is a queue */
    bool needs_no_id;
    const char *queue;
    const char *reason;
    bool has_priority;
    int32_t priority;
    uint32_t expected_version; /* 0: any */
    const char *done;          /* "stopped", for the answer */
} input_t;

enum { KEY_VERSION = 0x200 };

#define OPTION_VERSION                                                                             \
    {                                                                                              \
        "if-version", KEY_VERSION, "N", 0, "Only if it has this version (see get)", 0              \
    }
#define OPTION_REASON                                                                              \
    {                                                                                              \
        "reason", 'r', "TEXT", 0, "Why; kept with the interaction", 0                              \
    }

static const struct argp_option s_options_hold[] = {OPTION_VERSION, {0}};
static const struct argp_option s_options_stop[] = {OPTION_REASON, OPTION_VERSION, {0}};
static const struct argp_option s_options_place[] = {
    {"reason", 'r', "TEXT", 0, "Why; kept in its event (see events)", 0},
    OPTION_VERSION,
    {"priority", 'p', "N", 0, "Its priority from now on; higher is routed first", 0},
    {0},
};

static int s_parse_end(input_t *input, struct argp_state *state)
{
    if (input->takes_queue && input->ids_len > 0)
        input->queue = input->ids[--input->ids_len];
    const char *needed = input->takes_queue ? "an interaction's id and a queue are needed"
                                            : "an interaction's id is needed";
    common_ids(input->ids, input->ids_len, input->needs_no_id ? NULL : needed, state);
    return 0;
}

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (input->ids_len == COMMON_IDS)
            argp_error(state, "more than %d ids", COMMON_IDS);
        else
            input->ids[input->ids_len++] = argument;
        return 0;
    case ARGP_KEY_END:
        return s_parse_end(input, state);
    case 'r':
        input->reason = common_reason(argument, state);
        return 0;
    case 'p':
        input->has_priority = true;
        input->priority =
            (int32_t)common_number(argument, -LIMIT_PRIORITY, LIMIT_PRIORITY, "--priority", state);
        return 0;
    case KEY_VERSION:
        input->expected_version =
            (uint32_t)common_number(argument, 1, UINT32_MAX, "--if-version", state);
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

/* Builds the request for one id and asks. */
typedef bool ask_fn(const input_t *input, ixn_client_t *client, const id128_t *id,
                    const Ixn__V1__Message **ret_message, error_t *ret_error);

static bool s_ask_place(const input_t *input, ixn_client_t *client, const id128_t *id,
                        const Ixn__V1__Message **ret_message, error_t *ret_error)
{
    Ixn__V1__PlaceInQueue place = IXN__V1__PLACE_IN_QUEUE__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    place.interaction_id = wire_bytes(id);
    place.queue = (char *)input->queue;
    place.expected_version = input->expected_version;
    if (input->reason)
        place.reason = (char *)input->reason;
    if (input->has_priority) {
        place.priority_given_case = IXN__V1__PLACE_IN_QUEUE__PRIORITY_GIVEN_PRIORITY;
        place.priority = input->priority;
    }
    request.body_case = IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE;
    request.place_in_queue = &place;
    return ixn_client_call(client, &request, ret_message, ret_error);
}

static bool s_ask_hold(const input_t *input, ixn_client_t *client, const id128_t *id,
                       const Ixn__V1__Message **ret_message, error_t *ret_error)
{
    Ixn__V1__Hold hold = IXN__V1__HOLD__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    hold.interaction_id = wire_bytes(id);
    hold.expected_version = input->expected_version;
    request.body_case = IXN__V1__REQUEST__BODY_HOLD;
    request.hold = &hold;
    return ixn_client_call(client, &request, ret_message, ret_error);
}

static bool s_ask_resume(const input_t *input, ixn_client_t *client, const id128_t *id,
                         const Ixn__V1__Message **ret_message, error_t *ret_error)
{
    Ixn__V1__Resume resume = IXN__V1__RESUME__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    resume.interaction_id = wire_bytes(id);
    resume.expected_version = input->expected_version;
    request.body_case = IXN__V1__REQUEST__BODY_RESUME;
    request.resume = &resume;
    return ixn_client_call(client, &request, ret_message, ret_error);
}

static bool s_ask_stop(const input_t *input, ixn_client_t *client, const id128_t *id,
                       const Ixn__V1__Message **ret_message, error_t *ret_error)
{
    Ixn__V1__Stop stop = IXN__V1__STOP__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    stop.interaction_id = wire_bytes(id);
    stop.expected_version = input->expected_version;
    if (input->reason)
        stop.reason = (char *)input->reason;
    request.body_case = IXN__V1__REQUEST__BODY_STOP;
    request.stop = &stop;
    return ixn_client_call(client, &request, ret_message, ret_error);
}

static void s_append_answer(const input_t *input, const char *id, const Ixn__V1__Message *message,
                            buffer_t *out)
{
    if (message->body_case != IXN__V1__MESSAGE__BODY_ACK)
        return;
    if (input->common->json)
        buffer_printf(out, "{\"id\":\"%s\",\"done\":\"%s\",\"version\":%u}\n", id, input->done,
                      message->ack->version);
    else
        buffer_printf(out, "%s %s, version %u\n", id, input->done, message->ack->version);
}

/* Asks for one id and prints the answer, or why there is none. */
static int s_run_one(const input_t *input, ixn_client_t *client, ask_fn *ask, const char *text)
{
    const Ixn__V1__Message *message = NULL;
    error_t error = {0};
    error_t told = {0};
    id128_t id = {0};
    buffer_t out = {0};
    id_parse(text, &id);
    if (!ask(input, client, &id, &message, &error)) {
        if (error.code == ERROR_TIMED_OUT)
            common_no_node(input->common, error.text, &told);
        else
            error_set(&told, error.code, "%s: %s (%s)", text, error.text, error_name(error.code));
        return common_fail(&told);
    }
    s_append_answer(input, text, message, &out);
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed ? EXIT_DONE : EXIT_PARTLY;
}

/* Asks for each id in turn; what is refused does not stop the others. */
static int s_run(const input_t *input, ask_fn *ask)
{
    error_t error = {0};
    ixn_client_t *client = common_client(input->common, IXN__V1__ROLE__OPERATOR, &error);
    if (!client) {
        common_fail(&error);
        return EXIT_USAGE;
    }
    size_t done = 0;
    int worst = EXIT_DONE;
    for (size_t i = 0; i < input->ids_len && worst != EXIT_NOT_REACHABLE; i++) {
        int code = s_run_one(input, client, ask, input->ids[i]);
        done += code == EXIT_DONE;
        worst = code != EXIT_DONE ? code : worst;
    }
    ixn_client_destroy(&client);
    return worst != EXIT_DONE && done > 0 ? EXIT_PARTLY : worst;
}

int command_place(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options_place,
        .parser = s_parse,
        .args_doc = "ID... QUEUE",
        .doc =
            "Move an interaction to a queue.\v"
            "In the queue it came from it gets its old place back, in any other the newest. A "
            "router that works on it is told to stop, and a hold ends. This is also the way out of "
            "quarantine, and, with the queue where it is, to another priority.\n\nExamples:\n"
            "  ixnctl place 0198c2a4-7b1e-7cc2-98c5-1f2e3d4c5b6a inbound --priority 9\n"
            "  ixnctl place 0198c2a4-7b1e-7cc2-98c5-1f2e3d4c5b6a support --reason \"wrong "
            "queue\"",
        .children = common_children,
    };
    input_t input = {.common = common, .takes_queue = true, .done = "placed"};
    common_parse(&argp, argc, argv, &input);
    return s_run(&input, s_ask_place);
}

int command_hold(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options_hold,
        .parser = s_parse,
        .args_doc = "ID...",
        .doc =
            "Let an interaction wait where it is, until it is resumed.\v"
            "Only while it waits in a queue. It keeps its place. After the node's hold timeout "
            "it is resumed by itself.\n\nExample:\n"
            "  ixnctl hold 0198c2a4-7b1e-7cc2-98c5-1f2e3d4c5b6a",
        .children = common_children,
    };
    input_t input = {.common = common, .done = "held"};
    common_parse(&argp, argc, argv, &input);
    return s_run(&input, s_ask_hold);
}

int command_resume(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options_hold,
        .parser = s_parse,
        .args_doc = "[ID...]",
        .doc =
            "Let an interaction that was held be routed again.\v"
            "Without an id it is the end of a pause of the pair: see ixnctl pair resume.\n\n"
            "Example:\n  ixnctl resume 0198c2a4-7b1e-7cc2-98c5-1f2e3d4c5b6a",
        .children = common_children,
    };
    input_t input = {.common = common, .done = "resumed", .needs_no_id = true};
    common_parse(&argp, argc, argv, &input);
    if (input.ids_len == 0)
        return pair_resume(common, NULL);
    return s_run(&input, s_ask_resume);
}

int command_stop(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options_stop,
        .parser = s_parse,
        .args_doc = "ID...",
        .doc =
            "End an interaction: it leaves its queue for the history.\v"
            "A router that works on it is told to stop.\n\nExample:\n"
            "  ixnctl stop 0198c2a4-7b1e-7cc2-98c5-1f2e3d4c5b6a --reason spam",
        .children = common_children,
    };
    input_t input = {.common = common, .done = "stopped"};
    common_parse(&argp, argc, argv, &input);
    return s_run(&input, s_ask_stop);
}
