/* Commands that move roles, or keep them from moving: switchover, failover, pause, resume. The
 * nodes decide whether a command makes sense; here is chosen which node hears it, and when.
 */
#include "apps/ixnctl/command.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apps/ixnctl/pair_call.h"
#include "apps/ixnctl/parts/units.h"
#include "apps/ixnctl/parts/when.h"
#include "core/base/check.h"
#include "core/base/clock.h"

enum {
    KEY_DRY_RUN = 0x300,
    KEY_AT,
    KEY_WAIT,
    PATIENCE_MS = 1000,
    POLL_PATIENCE_MS = 100, /* while roles move: a node that is gone must not slow the others */
    POLL_MS = 20,
    WAIT_S = 30,
    WAIT_MAX_S = 3600,
};

#define NS_PER_S 1000000000L

typedef struct {
    common_t *common;
    bool dry_run;
    time_t at;  /* 0: now */
    int wait_s; /* 0: not */
    const char *reason;
} input_t;

/* One command to one node, and what came of it. */
typedef struct {
    const input_t *input;
    pair_call_t *pair;
    Ixn__V1__PairCommand__Kind kind;
    size_t node;
    char from[LIMIT_NAME + 1]; /* who is to serve no more; "": not known */
    char to[LIMIT_NAME + 1];   /* who is to serve */
} move_t;

#define OPTION_DRY_RUN                                                                             \
    {                                                                                              \
        "dry-run", KEY_DRY_RUN, NULL, 0, "Only say whether it would be done now", 0                \
    }
#define OPTION_WAIT                                                                                \
    {                                                                                              \
        "wait", KEY_WAIT, "SECONDS", OPTION_ARG_OPTIONAL,                                          \
            "Wait until the roles have changed, at most so long (30), and say how long it took", 0 \
    }
#define OPTION_REASON                                                                              \
    {                                                                                              \
        "reason", 'r', "TEXT", 0, "Why; kept in the history of roles", 0                           \
    }

static const struct argp_option s_options_switchover[] = {
    OPTION_DRY_RUN,
    {"at", KEY_AT, "TIME", 0, "Wait until then: HH:MM, HH:MM:SS, or 2026-01-31T22:00 (Z: UTC)", 0},
    OPTION_WAIT,
    OPTION_REASON,
    {0},
};
static const struct argp_option s_options_failover[] = {
    OPTION_DRY_RUN, OPTION_WAIT, OPTION_REASON, {0}};
static const struct argp_option s_options_pause[] = {OPTION_REASON, {0}};

static void s_parse_at(input_t *input, const char *text, const struct argp_state *state)
{
    time_t now = time(NULL);
    if (!when_parse(text, now, &input->at))
        argp_error(state,
                   "--at %s: is no time; write HH:MM, HH:MM:SS or 2026-01-31T22:00:00 (local time, "
                   "or with a Z behind it UTC)",
                   text);
    else if (input->at <= now)
        argp_error(state, "--at %s: is in the past", text);
}

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    switch (key) {
    case KEY_DRY_RUN:
        input->dry_run = true;
        return 0;
    case KEY_AT:
        s_parse_at(input, argument, state);
        return 0;
    case KEY_WAIT:
        input->wait_s =
            argument ? (int)common_number(argument, 1, WAIT_MAX_S, "--wait", state) : WAIT_S;
        return 0;
    case 'r':
        input->reason = common_reason(argument, state);
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

/* ---- Time ---- */

static double s_seconds(void)
{
    return (double)clock_usec(CLOCK_MONOTONIC) / 1e6;
}

static void s_pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * (NS_PER_S / 1000)}, NULL);
}

/* Waits for a moment of the calendar, which may be set meanwhile; counts down on a terminal. */
static void s_wait_until(time_t at)
{
    bool terminal = isatty(STDERR_FILENO);
    for (;;) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        if (now.tv_sec >= at)
            break;
        char text[UNITS_TEXT_SIZE];
        if (terminal)
            fprintf(stderr, "\rin %s (Ctrl-C: not at all) \033[K",
                    units_seconds((double)(at - now.tv_sec), text));
        long ns = NS_PER_S - now.tv_nsec; /* the next full second */
        nanosleep(&(struct timespec){ns / NS_PER_S, ns % NS_PER_S}, NULL);
    }
    if (terminal)
        fprintf(stderr, "\r\033[K");
}

/* ---- Who hears it ---- */

static void s_name(char name[LIMIT_NAME + 1], const Ixn__V1__PairNode *node)
{
    name[0] = '\0';
    if (node)
        snprintf(name, LIMIT_NAME + 1, "%.*s", LIMIT_NAME, node->name);
}

static bool s_choose_primary(move_t *move, error_t *ret_error)
{
    const pair_view_t *view = &move->pair->view;
    char reason[PAIR_VIEW_REASON];
    move->node = pair_view_primary(view);
    if (move->node == PAIR_VIEW_NONE) {
        pair_view_verdict(view, reason);
        return error_set(
            ret_error, ERROR_WRONG_STATE,
            "there is no primary among the nodes that answer, so nobody can hand over: "
            "%s. Name both nodes with --node; where the primary is gone for good, use "
            "ixnctl failover",
            reason);
    }
    const Ixn__V1__PairStatus *status = view->nodes[move->node].status;
    s_name(move->from, status->own);
    s_name(move->to, status->peer);
    return true;
}

static bool s_choose_backup(move_t *move, error_t *ret_error)
{
    const pair_view_t *view = &move->pair->view;
    move->node = pair_view_backup(view);
    if (move->node == PAIR_VIEW_NONE)
        return error_set(ret_error, ERROR_WRONG_STATE,
                         "there is no backup among the nodes that answer; node \"%s\" serves. Name "
                         "both nodes with --node; to change the roles of two that are well, use "
                         "ixnctl switchover",
                         view->nodes[pair_view_primary(view)].status->own->name);
    const Ixn__V1__PairStatus *status = view->nodes[move->node].status;
    s_name(move->from, status->peer);
    s_name(move->to, status->own);
    return true;
}

static bool s_choose(move_t *move, error_t *ret_error)
{
    if (!pair_status(move->pair, PATIENCE_MS, ret_error))
        return false;
    return move->kind == IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER ? s_choose_primary(move, ret_error)
                                                                 : s_choose_backup(move, ret_error);
}

static bool s_say(move_t *move, bool dry_run, error_t *ret_error)
{
    Ixn__V1__PairCommand command = IXN__V1__PAIR_COMMAND__INIT;
    command.kind = move->kind;
    command.dry_run = dry_run;
    command.reason = (char *)(move->input->reason ? move->input->reason : "");
    return pair_command(move->pair, move->node, &command, ret_error);
}

/* ---- What came of it ---- */

/* Whether the one that is to serve does; or, where its name is not known, anybody else does. */
static bool s_has_moved(const move_t *move)
{
    if (*move->to)
        return pair_view_serves(pair_view_find(&move->pair->view, move->to));
    size_t primary = pair_view_primary(&move->pair->view);
    return primary != PAIR_VIEW_NONE &&
           strcmp(move->pair->view.nodes[primary].status->own->name, move->from) != 0;
}

static bool s_wait_for_roles(move_t *move, double since, double *ret_took)
{
    double until = since + move->input->wait_s;
    move->pair->timeout_ms = PATIENCE_MS;
    do {
        if (pair_status(move->pair, POLL_PATIENCE_MS, NULL) && s_has_moved(move)) {
            *ret_took = s_seconds() - since;
            return true;
        }
        s_pause_ms(POLL_MS);
    } while (s_seconds() < until);
    return false;
}

/* One line: what was done, and with --wait how long it took. `took` below 0: not waited for. */
static bool s_print_move(const move_t *move, double took)
{
    const char *to = *move->to ? move->to : "the other node";
    const char *from = *move->from ? move->from : "the other node";
    if (move->input->common->json)
        return common_print_json(json_pack(
            "{s:s, s:s, s:s, s:b, s:o}", "command",
            move->kind == IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER ? "switchover" : "failover",
            "from", move->from, "to", move->to, "dry_run", move->input->dry_run, "took_seconds",
            took < 0 ? json_null() : json_real(took)));
    table_t line = {.columns_len = 1};
    if (move->input->dry_run)
        table_printf(&line, "It would be done: %s would take over from %s. Nothing was changed.",
                     to, from);
    else if (took < 0)
        table_printf(&line,
                     "The command was taken: %s takes over from %s. See how it ends: ixnctl pair "
                     "status",
                     to, from);
    else
        table_printf(&line, "%s serves, %.3f s after the command; it took over from %s.", to, took,
                     from);
    buffer_t out = {0};
    table_layout(&line, (table_style_t){0}, &out);
    table_free(&line);
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed;
}

static int s_move(move_t *move, error_t *ret_error)
{
    const input_t *input = move->input;
    if (!s_choose(move, ret_error))
        return common_fail(ret_error);
    if (input->dry_run || input->at) {
        if (!s_say(move, true, ret_error))
            return common_fail(ret_error);
        if (input->dry_run)
            return s_print_move(move, -1) ? EXIT_DONE : EXIT_PARTLY;
        s_wait_until(input->at);
        if (!s_choose(move, ret_error)) /* much may have happened */
            return common_fail(ret_error);
    }
    double since = s_seconds();
    if (!s_say(move, false, ret_error))
        return common_fail(ret_error);
    double took = -1;
    if (input->wait_s && !s_wait_for_roles(move, since, &took)) {
        error_set(ret_error, ERROR_TIMED_OUT,
                  "the command was taken, but after %d s %s does not serve; see ixnctl pair status",
                  input->wait_s, *move->to ? move->to : "the other node");
        common_fail(ret_error);
        return EXIT_PARTLY;
    }
    return s_print_move(move, took) ? EXIT_DONE : EXIT_PARTLY;
}

static int s_run_move(const input_t *input, Ixn__V1__PairCommand__Kind kind)
{
    pair_call_t pair;
    error_t error = {0};
    if (!pair_open(&pair, input->common, &error))
        return common_fail(&error);
    move_t move = {.input = input, .pair = &pair, .kind = kind};
    int code = s_move(&move, &error);
    pair_close(&pair);
    return code;
}

int command_switchover(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options_switchover,
        .parser = s_parse,
        .doc =
            "Let the primary hand over to the backup, in order.\v"
            "The primary takes nothing new, commits what it decided, tells the answers, and lets "
            "the backup take over; clients go on there by themselves. Nothing is lost or done "
            "twice. It is refused, with the reason, while the backup is not ready. With --at the "
            "primary is first asked whether it would do it now. (SIGTERM to a primary does the "
            "same before it ends.)\n\n"
            "Exit codes: 0 done; 1 refused, and why; 3 no answer; 4 taken, but the roles have not "
            "changed within --wait.\n\nExamples:\n"
            "  ixnctl switchover --dry-run\n"
            "  ixnctl switchover --wait --reason \"kernel update of node-a\"\n"
            "  ixnctl -n tcp://a:7420 -n tcp://b:7420 switchover --at 03:30 --wait=60",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    return s_run_move(&input, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER);
}

int command_failover(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options_failover,
        .parser = s_parse,
        .doc =
            "Let the backup take over from a primary that is gone.\v"
            "For `failover: manual`, for a pause, and where the backup does not dare by itself. "
            "The backup takes over only while the database lets it, so that a primary that is "
            "alive after all is fenced at that moment: it can commit nothing more, and says so. "
            "To change the roles of two nodes that are well, use switchover. Name the backup with "
            "--node when the configuration is that of the dead node.\n\n"
            "Exit codes: 0 done; 1 refused, and why; 3 no answer; 4 taken, but the roles have not "
            "changed within --wait.\n\nExample:\n"
            "  ixnctl -n tcp://b:7420 failover --wait --reason \"node-a lost its power\"",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    return s_run_move(&input, IXN__V1__PAIR_COMMAND__KIND__FAILOVER);
}

/* ---- pause and resume: every node ---- */

static bool s_print_told(const common_t *common, const char *name, const char *done)
{
    if (common->json)
        return common_print_json(json_pack("{s:s, s:s}", "node", name, "done", done));
    table_t line = {.columns_len = 1};
    table_printf(&line, "%s: %s", name, done);
    buffer_t out = {0};
    table_layout(&line, (table_style_t){0}, &out);
    table_free(&line);
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed;
}

/* All must hear it: a pause that one node does not know of is none. */
static int s_tell_all(const input_t *input, Ixn__V1__PairCommand__Kind kind, const char *done)
{
    pair_call_t pair;
    error_t error = {0};
    if (!pair_open(&pair, input->common, &error))
        return common_fail(&error);
    if (!pair_status(&pair, PATIENCE_MS, &error)) {
        pair_close(&pair);
        return common_fail(&error);
    }
    int failed = EXIT_DONE;
    size_t told = 0;
    for (size_t i = 0; i < pair.view.len; i++) {
        move_t move = {.input = input, .pair = &pair, .kind = kind, .node = i};
        error = pair.view.nodes[i].error;
        if (pair.view.nodes[i].status && s_say(&move, false, &error)) {
            told++;
            s_print_told(input->common, pair.view.nodes[i].status->own->name, done);
        } else {
            failed = common_fail(&error);
        }
    }
    bool known = pair.view.whole;
    for (size_t i = 0; i < pair.view.len && !known; i++)
        known = pair.view.nodes[i].status && !pair.view.nodes[i].status->has_peer;
    pair_close(&pair);
    if (!known) {
        error_set(&error, ERROR_TIMED_OUT,
                  "the other node was not told: where it is is not known here; name both with "
                  "--node");
        failed = common_fail(&error);
    }
    return failed == EXIT_DONE ? EXIT_DONE : told > 0 ? EXIT_PARTLY : failed;
}

int command_pair_pause(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options_pause,
        .parser = s_parse,
        .doc =
            "No node takes over by itself until `ixnctl pair resume`.\v"
            "For work on the network or the database that would look like a dead node. Both nodes "
            "are told; a node forgets it when it starts anew. switchover and failover by command "
            "go on working, and a primary that is gone is not replaced meanwhile.\n\n"
            "Exit codes: 0 all were told; 1 refused; 3 no answer; 4 only some were told.\n\n"
            "Example:\n"
            "  ixnctl -n tcp://a:7420 -n tcp://b:7420 pause --reason \"switch is replaced\"",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    return s_tell_all(&input, IXN__V1__PAIR_COMMAND__KIND__PAUSE, "paused");
}

int pair_resume(common_t *common, const char *reason)
{
    input_t input = {.common = common, .reason = reason};
    return s_tell_all(&input, IXN__V1__PAIR_COMMAND__KIND__RESUME, "resumed");
}

int command_pair_resume(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options_pause,
        .parser = s_parse,
        .doc =
            "End of a pause: the backup takes over by itself again.\v"
            "Both nodes are told. `ixnctl resume` without an interaction's id does the same.\n\n"
            "Exit codes: 0 all were told; 1 refused; 3 no answer; 4 only some were told.\n\n"
            "Example:\n  ixnctl -n tcp://a:7420 -n tcp://b:7420 pair resume",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    return pair_resume(common, input.reason);
}
