/* Command `database skip`: an entry of the log that nodes crash on is passed over (dap/skip.h). */
#include "apps/ixnctl/command.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "apps/ixnctl/pair_call.h"
#include "core/base/check.h"
#include "dap/skip.h"

enum { KEY_INDEX = 0x300, KEY_DRY_RUN, PATIENCE_MS = 500, ASK_MS = 2000 };

typedef struct {
    common_t *common;
    uint64_t index;
    const char *reason;
    bool dry_run;
} input_t;

static const struct argp_option s_options[] = {
    {"index", KEY_INDEX, "N", 0, "The entry, as the node that stops before it says (needed)", 0},
    {"reason", 'r', "TEXT", 0, "Why; kept in the database for ever (needed)", 0},
    {"dry-run", KEY_DRY_RUN, NULL, 0, "Only say what would be skipped", 0},
    {0},
};

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    switch (key) {
    case KEY_INDEX:
        input->index = (uint64_t)common_number(argument, 1, INT64_MAX, "--index", state);
        return 0;
    case 'r':
        input->reason = common_reason(argument, state);
        return 0;
    case KEY_DRY_RUN:
        input->dry_run = true;
        return 0;
    case ARGP_KEY_END:
        if (input->index == 0 || !input->reason || !*input->reason)
            argp_error(state,
                       "--index and --reason are needed, such as --index 4711 --reason "
                       "\"crashes version 1.2\"");
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

/* A node that serves has all that it has committed in its state: it works, so there is nothing to
 * skip. False, always. */
static bool s_serves(const Ixn__V1__PairNode *node, uint64_t index, error_t *ret_error)
{
    if (index > node->index)
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "node %s serves and has committed up to entry %" PRIu64
                         ": there is no entry %" PRIu64
                         "; read the number again where a node names it (ixnctl pair status)",
                         node->name, node->index, index);
    if (index <= node->checkpoint)
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "node %s serves, and entry %" PRIu64
                         " is in the tables already (the checkpoint is at %" PRIu64
                         "): no node applies it any more, so there is nothing to skip",
                         node->name, index, node->checkpoint);
    return error_set(ret_error, ERROR_WRONG_STATE,
                     "node %s serves and has committed up to entry %" PRIu64
                     ", so it has applied entry %" PRIu64 "; once its checkpoint, now at %" PRIu64
                     ", has passed it no node applies it any more: wait for that instead",
                     node->name, node->index, index, node->checkpoint);
}

/* Nodes that do not answer are no reason: the new epoch keeps them from committing. */
static bool s_nobody_serves(const input_t *input, uint64_t *highest, error_t *ret_error)
{
    pair_call_t pair;
    if (!pair_open(&pair, input->common, ret_error))
        return false;
    if (pair.timeout_ms > ASK_MS)
        pair.timeout_ms = ASK_MS;
    pair_status(&pair, PATIENCE_MS, NULL);
    bool ok = true;
    for (size_t i = 0; i < pair.view.len && ok; i++) {
        const Ixn__V1__PairStatus *status = pair.view.nodes[i].status;
        if (status && status->epoch > *highest)
            *highest = status->epoch;
        if (status && pair_view_serves(status->own))
            ok = s_serves(status->own, input->index, ret_error);
    }
    pair_close(&pair);
    return ok;
}

static int s_tell(const input_t *input, const skip_result_t *result)
{
    buffer_t out = {0};
    if (input->common->json) {
        json_t *json = json_pack("{s:b, s:I, s:s, s:I, s:I, s:I}", "dry_run", input->dry_run,
                                 "index", (json_int_t)input->index, "what", result->what,
                                 "first_index", (json_int_t)result->first, "last_index",
                                 (json_int_t)result->last, "epoch", (json_int_t)result->epoch);
        CHECK(json);
        common_append_json(&out, json);
    } else {
        buffer_printf(&out,
                      "%s entry %" PRIu64 " (%s) of the batch %" PRIu64 " … %" PRIu64 " on %s.\n",
                      input->dry_run ? "Would skip" : "Skipped", input->index, result->what,
                      result->first, result->last, result->before.server);
        if (!input->dry_run)
            buffer_printf(&out,
                          "The nodes load the state anew without it, under an epoch after %" PRIu64
                          ". See what they say: ixnctl pair status\n",
                          result->epoch);
    }
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed ? EXIT_DONE : EXIT_PARTLY;
}

static bool s_skip(const input_t *input, const config_t *config, skip_result_t *ret_result,
                   error_t *ret_error)
{
    char by[COMMON_OPERATOR_SIZE];
    common_operator(input->common, by);
    skip_t skip = {
        .index = input->index, .reason = input->reason, .by = by, .dry_run = input->dry_run};
    if (!s_nobody_serves(input, &skip.highest_epoch, ret_error))
        return false;
    database_t *database = database_open(config, ret_error);
    bool done = database && skip_perform(database, &skip, ret_result, ret_error);
    database_destroy(&database);
    return done;
}

int command_database_skip(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options,
        .parser = s_parse,
        .doc =
            "Pass over an entry of the log on which nodes crash.\v"
            "A node that crashed twice on applying an entry stops before it and names it (ixnctl "
            "pair status). A version of the program that is mended applies it; where there is "
            "none, "
            "this is the way on: what the entry did is left out, the journal and its chain stay as "
            "they are, and the table ixn.skip keeps who decided that and why. It is refused while "
            "a "
            "node serves, and for an entry that is in the tables already. An entry that builds on "
            "the skipped one does not fit any more; the node then names it, and it is skipped "
            "likewise.\n\nExamples:\n"
            "  ixnctl -c ixnd.yaml database skip --index 4711 --reason \"crashes\" --dry-run\n"
            "  ixnctl -c ixnd.yaml database skip --index 4711 --reason \"crashes version 1.2\"",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    error_t error = {0};
    skip_result_t result;
    const config_t *config = common_config(common, &error);
    if (!config || !s_skip(&input, config, &result, &error))
        return common_fail(&error);
    return s_tell(&input, &result);
}
