/* Command `database heal`: the database lost its newest commits, and a node that still holds them
 * writes them back. The nodes decide whether that may be; here is chosen which of them hears it.
 */
#include "apps/ixnctl/command.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apps/ixnctl/pair_call.h"
#include "apps/ixnctl/parts/units.h"
#include "apps/views/view.h"
#include "core/base/check.h"
#include "core/base/clock.h"

enum {
    KEY_LOST = 0x300,
    KEY_WITHOUT_OTHER,
    KEY_DRY_RUN,
    PATIENCE_MS = 1000,
    POLL_PATIENCE_MS = 200,
    POLL_MS = 50,
    WAIT_S = 60, /* a large state is loaded before its node serves */
};

typedef struct {
    common_t *common;
    const char *reason;
    uint64_t lost; /* 0: not said */
    bool without_other;
    bool dry_run;
} input_t;

static const struct argp_option s_options[] = {
    {"lost", KEY_LOST, "N", 0, "How many entries are lost; exactly what the nodes say (needed)", 0},
    {"reason", 'r', "TEXT", 0, "Why; kept in the database for ever (needed)", 0},
    {"without-other", KEY_WITHOUT_OTHER, NULL, 0,
     "The other node is gone, or was killed: what only it knew is given up", 0},
    {"dry-run", KEY_DRY_RUN, NULL, 0, "Only say whether it would be done, and of how much", 0},
    {0},
};

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    switch (key) {
    case 'r':
        input->reason = common_reason(argument, state);
        return 0;
    case KEY_LOST:
        input->lost = (uint64_t)common_number(argument, 1, INT64_MAX, "--lost", state);
        return 0;
    case KEY_WITHOUT_OTHER:
        input->without_other = true;
        return 0;
    case KEY_DRY_RUN:
        input->dry_run = true;
        return 0;
    case ARGP_KEY_END:
        if (!input->reason || !*input->reason)
            argp_error(state, "--reason is needed, such as --reason \"db-1 died, db-2 lags\"");
        if (!input->lost && !input->dry_run)
            argp_error(state,
                       "--lost is needed: how many entries the nodes say are lost (ixnctl "
                       "pair status, or --dry-run)");
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

/* ---- Which node ---- */

static const Ixn__V1__PairHeal *s_heal(const pair_view_node_t *node)
{
    static const Ixn__V1__PairHeal none = IXN__V1__PAIR_HEAL__INIT;
    return node->status && node->status->heal ? node->status->heal : &none;
}

/* One that would do it; otherwise one that holds what is lost, or any, to hear why not. */
static size_t s_choose(const pair_view_t *view)
{
    size_t chosen = PAIR_VIEW_NONE;
    int best = -1;
    for (size_t i = 0; i < view->len; i++) {
        int worth = view_heal_worth(s_heal(&view->nodes[i]));
        if (!view->nodes[i].status || worth <= best)
            continue;
        chosen = i;
        best = worth;
    }
    return chosen;
}

static bool s_command(pair_call_t *pair, const input_t *input, size_t node, uint64_t lost,
                      error_t *ret_error)
{
    Ixn__V1__PairCommand command = IXN__V1__PAIR_COMMAND__INIT;
    command.kind = IXN__V1__PAIR_COMMAND__KIND__HEAL;
    command.dry_run = input->dry_run;
    command.reason = (char *)input->reason;
    command.lost = lost;
    command.without_other = input->without_other;
    return pair_command(pair, node, &command, ret_error);
}

/* ---- What came of it ---- */

typedef struct {
    char node[LIMIT_NAME + 1];
    char server[256];
    uint64_t lost;
    uint64_t first;
    uint64_t last;
    bool serves; /* a node does, again */
    char primary[LIMIT_NAME + 1];
    double took;
} outcome_t;

static double s_seconds(void)
{
    return (double)clock_usec(CLOCK_MONOTONIC) / 1e6;
}

/* Until it is written back and somebody serves. False: it is not written back. */
static bool s_wait(pair_call_t *pair, size_t node, outcome_t *outcome, error_t *ret_error)
{
    double begun = s_seconds();
    bool done = false;
    pair->timeout_ms = PATIENCE_MS;
    for (; !outcome->serves && outcome->took < WAIT_S; outcome->took = s_seconds() - begun) {
        nanosleep(&(struct timespec){0, POLL_MS * 1000000L}, NULL);
        if (!pair_status(pair, POLL_PATIENCE_MS, NULL))
            continue;
        const Ixn__V1__PairHeal *heal = s_heal(&pair->view.nodes[node]);
        if (heal->state == IXN__V1__PAIR_HEAL__STATE__FAILED)
            return error_set(ret_error, ERROR_WRONG_STATE, "nothing was written back: %s",
                             heal->error);
        done = done || heal->state == IXN__V1__PAIR_HEAL__STATE__DONE;
        size_t primary = done ? pair_view_primary(&pair->view) : PAIR_VIEW_NONE;
        if (primary == PAIR_VIEW_NONE)
            continue;
        outcome->serves = true;
        snprintf(outcome->primary, sizeof outcome->primary, "%.*s", LIMIT_NAME,
                 pair->view.nodes[primary].status->own->name);
    }
    return done || error_set(ret_error, ERROR_TIMED_OUT,
                             "the command was taken, but after %d s nothing shows how it ended; "
                             "see ixnctl pair status and the table ixn.heal",
                             WAIT_S);
}

static void s_describe(const input_t *input, const outcome_t *outcome, buffer_t *out)
{
    char count[UNITS_TEXT_SIZE];
    units_count(outcome->lost, count);
    if (input->dry_run)
        buffer_printf(
            out,
            "It would be done: node %s would write %s entries back, %" PRIu64 " … %" PRIu64
            ", to %s, and take over. Nothing was changed.\n"
            "Next: ixnctl database heal --lost %" PRIu64 " --reason \"…\"\n",
            outcome->node, count, outcome->first, outcome->last, outcome->server, outcome->lost);
    else
        buffer_printf(out,
                      "Node %s wrote %s entries back, %" PRIu64 " … %" PRIu64
                      ", to %s; nothing that was committed is missing there.\n",
                      outcome->node, count, outcome->first, outcome->last, outcome->server);
    if (input->dry_run)
        return;
    if (outcome->serves)
        buffer_printf(out,
                      "Node %s serves, %.1f s after the command. Do not let the old server come "
                      "back as a primary.\n",
                      outcome->primary, outcome->took);
    else
        buffer_printf(out, "No node serves yet; see ixnctl pair status.\n");
}

static int s_tell(const input_t *input, const outcome_t *outcome)
{
    buffer_t out = {0};
    if (input->common->json) {
        json_t *json = json_pack(
            "{s:b, s:s, s:s, s:I, s:I, s:I, s:s?, s:f}", "dry_run", input->dry_run, "node",
            outcome->node, "server", outcome->server, "entries_lost", (json_int_t)outcome->lost,
            "first", (json_int_t)outcome->first, "last", (json_int_t)outcome->last, "serves",
            outcome->serves ? outcome->primary : NULL, "took_seconds", outcome->took);
        CHECK(json);
        char *text = json_dumps(json, JSON_COMPACT);
        CHECK(text);
        buffer_printf(&out, "%s\n", text);
        free(text);
        json_decref(json);
    } else {
        s_describe(input, outcome, &out);
    }
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed && (input->dry_run || outcome->serves) ? EXIT_DONE : EXIT_PARTLY;
}

/* Each node says why not, once more than one has answered. */
static int s_refused(const pair_view_t *view, size_t chosen, const error_t *error)
{
    for (size_t i = 0; i < view->len; i++) {
        error_t other = {0};
        const Ixn__V1__PairHeal *heal = s_heal(&view->nodes[i]);
        if (i == chosen || !view->nodes[i].status || !heal->objection[0])
            continue;
        error_set(&other, ERROR_WRONG_STATE, "node %s: %s", view->nodes[i].status->own->name,
                  heal->objection);
        common_fail(&other);
    }
    return common_fail(error);
}

static int s_run(pair_call_t *pair, const input_t *input, error_t *ret_error)
{
    if (!pair_status(pair, PATIENCE_MS, ret_error))
        return common_fail(ret_error);
    size_t node = s_choose(&pair->view);
    const Ixn__V1__PairHeal *heal = s_heal(&pair->view.nodes[node]);
    outcome_t outcome = {.lost = heal->lost, .first = heal->first, .last = heal->last};
    snprintf(outcome.node, sizeof outcome.node, "%.*s", LIMIT_NAME,
             pair->view.nodes[node].status->own->name);
    snprintf(outcome.server, sizeof outcome.server, "%s", heal->server);
    pair_view_t before = pair->view; /* a refusal takes the chosen node's status away */
    if (!s_command(pair, input, node, input->lost ? input->lost : heal->lost, ret_error))
        return s_refused(&before, node, ret_error);
    if (!input->dry_run && !s_wait(pair, node, &outcome, ret_error))
        return common_fail(ret_error);
    return s_tell(input, &outcome);
}

int command_database_heal(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options,
        .parser = s_parse,
        .doc =
            "Write back what the database lost, from the memory of a node.\v"
            "When PostgreSQL fails over to a server that lacks the newest commits, no node serves, "
            "and both say how many entries are lost. Each keeps the newest committed batches in "
            "memory; this command has the one that holds all that is missing write them back, the "
            "very bytes, and take over. It is refused while any DAP of either node reaches the "
            "server that has the commits or is cut off from the other node, when this is not "
            "exactly the number, when somebody else wrote to the database meanwhile, and when no "
            "node holds all of it (a node that was started again holds none): then see database "
            "adopt --accept-loss. --without-other heals without a node that is not heard; what it "
            "has sent and nobody knows to be committed is written back, too. The table ixn.heal "
            "keeps what was done.\n\n"
            "Exit codes: 0 done; 1 refused, and why; 3 no answer; 4 written back, but no node "
            "serves yet.\n\nExamples:\n"
            "  ixnctl -n tcp://a:7420 -n tcp://b:7420 database heal -r \"db-1 died\" --dry-run\n"
            "  ixnctl -n tcp://a:7420 -n tcp://b:7420 database heal -r \"db-1 died\" --lost 42",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    pair_call_t pair;
    error_t error = {0};
    if (!pair_open(&pair, common, &error))
        return common_fail(&error);
    int code = s_run(&pair, &input, &error);
    pair_close(&pair);
    return code;
}
