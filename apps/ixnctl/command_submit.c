/* Command `submit`: from files to the node, with a window, a progress line and a summary.
 */
#include "apps/ixnctl/command.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "apps/ixnctl/parts/progress.h"
#include "apps/ixnctl/parts/units.h"
#include "apps/ixnctl/sender.h"
#include "core/wire/wire.h"
#include "dap/connection.h"

#define PATHS_MAX 1000
#define WINDOW_DEFAULT 1000
/* Read and sent between two looks at what the node says. */
#define BURST 64
#define BAR_INTERVAL (USEC_PER_SECOND / 5)
#define LINE_INTERVAL (10 * USEC_PER_SECOND)

enum {
    KEY_TYPE = 0x200,
    KEY_SUBTYPE,
    KEY_HOLD,
    KEY_AGAIN,
    KEY_MAX_TEXT,
    KEY_WINDOW,
};

typedef struct {
    common_t *common;
    submission_defaults_t defaults;
    source_format_t format;
    size_t window;
    bool quiet;
    const char *paths[PATHS_MAX + 1];
    size_t paths_len;
} input_t;

static const struct argp_option s_options[] = {
    {0, 0, 0, 0, "What does not say it itself:", 1},
    {"queue", 'q', "QUEUE", 0, "The queue it goes to", 0},
    {"media-type", 'm', "TYPE", 0, "Its media type (mail is \"email\" without this)", 0},
    {"type", KEY_TYPE, "TYPE", 0, "Its type (mail is \"Inbound\" without this)", 0},
    {"subtype", KEY_SUBTYPE, "TYPE", 0, "Its subtype", 0},
    {"priority", 'p', "N", 0, "Its priority; higher is routed first (0)", 0},
    {"hold", KEY_HOLD, 0, 0, "It waits until ixnctl resume", 0},
    {0, 0, 0, 0, "Reading:", 2},
    {"format", 'f', "FORMAT", 0, "auto, jsonl, mbox, maildir or eml (auto)", 0},
    {"max-text", KEY_MAX_TEXT, "BYTES", 0, "Cut the text of a mail here (65536)", 0},
    {"again", KEY_AGAIN, 0, 0, "Submit also what was submitted before: random keys", 0},
    {0, 0, 0, 0, "Sending:", 3},
    {"window", KEY_WINDOW, "N", 0, "How many may be unanswered at once (1000)", 0},
    {"quiet", 'Q', 0, 0, "No progress, only the summary", 0},
    {0},
};

static const char s_doc[] =
    "Submit interactions from JSON Lines, mbox, Maildir or single mails.\v"
    "A FILE may be gzip, a folder (a Maildir, or any folder of such files), or - for standard "
    "input.\n\n"
    "JSON Lines: one object a line. It is the attributes; or, if it has a member \"attributes\" "
    "that "
    "is an object, an envelope that may also hold queue, media_type, type, subtype, external_id, "
    "key, priority, hold, parent_id, received_at.\n\n"
    "Mail: message_id, subject, from_name, from_address, to, date, text, size and attachments "
    "become attributes, the Message-ID the external id. Broken mail is repaired and counted, never "
    "left out.\n\n"
    "Twice is once: keys are made from the content (for mail from the Message-ID and all of the "
    "message; the same JSON line twice in one run is meant twice). Within the node's dedupe window "
    "(10 minutes unless configured) the same command again submits only what is missing, so an "
    "interrupted one is simply run again. --again switches this off.\n\n"
    "Exit code: 0 all submitted, 1 all refused, 2 wrong usage or a file that is not there, 3 no "
    "node, 4 partly done.\n\n"
    "Examples:\n"
    "  ixnctl submit --queue inbound archive.mbox.gz\n"
    "  ixnctl submit -q support ~/Maildir -o json\n"
    "  echo '{\"text\":\"Hello\"}' | ixnctl submit -q inbound -m chat -";

static int s_parse_end(input_t *input, struct argp_state *state)
{
    if (input->paths_len == 0)
        argp_error(state, "name a file, a folder, or - for standard input");
    const char *const given[] = {input->defaults.queue, input->defaults.media_type,
                                 input->defaults.type, input->defaults.subtype};
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        error_t error = {0};
        if (given[i] && !wire_check_text("an option's name", given[i], 0, LIMIT_NAME, &error))
            argp_error(state, "\"%s\": %s", given[i], error.text);
    }
    return 0;
}

static int s_parse_key(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    submission_defaults_t *defaults = &input->defaults;
    switch (key) {
    case 'q':
        defaults->queue = argument;
        return 0;
    case 'm':
        defaults->media_type = argument;
        return 0;
    case KEY_TYPE:
        defaults->type = argument;
        return 0;
    case KEY_SUBTYPE:
        defaults->subtype = argument;
        return 0;
    case 'p':
        defaults->priority =
            (int32_t)common_number(argument, -LIMIT_PRIORITY, LIMIT_PRIORITY, "--priority", state);
        return 0;
    case KEY_HOLD:
        defaults->hold = true;
        return 0;
    case KEY_AGAIN:
        defaults->again = true;
        return 0;
    case KEY_MAX_TEXT:
        defaults->max_text =
            (size_t)common_number(argument, 0, (long)MAIL_TEXT_MAX, "--max-text", state);
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (input->paths_len == PATHS_MAX)
            argp_error(state, "more than %d files; name their folder instead", PATHS_MAX);
        else
            input->paths[input->paths_len++] = argument;
        return 0;
    case ARGP_KEY_END:
        return s_parse_end(input, state);
    case 'f':
        if (!source_format_parse(argument, &input->format))
            argp_error(state, "--format %s: must be auto, jsonl, mbox, maildir or eml", argument);
        return 0;
    case KEY_WINDOW:
        input->window = (size_t)common_number(argument, 1, 10000, "--window", state);
        return 0;
    case 'Q':
        input->quiet = true;
        return 0;
    default:
        return s_parse_key(key, argument, state);
    }
}

static volatile sig_atomic_t s_interrupted;

static void s_on_signal(int number)
{
    (void)number;
    s_interrupted = 1;
}

/* The first one ends reading, and what is in flight is waited for; a second one ends the program.
 */
static void s_catch_signals(void)
{
    struct sigaction action = {.sa_handler = s_on_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

typedef struct {
    const input_t *input;
    source_t *source;
    sender_t *sender;
    submission_t submission;
    tally_t tally;
    usec_t started;
    usec_t shown;
    size_t terminal; /* columns; 0: none */
} run_t;

static double s_elapsed(const run_t *self)
{
    return (double)(connection_now() - self->started) / (double)USEC_PER_SECOND;
}

static void s_show_progress(run_t *self)
{
    usec_t now = connection_now();
    if (self->input->quiet ||
        now - self->shown < (self->terminal > 0 ? BAR_INTERVAL : LINE_INTERVAL))
        return;
    self->shown = now;
    source_progress_t input;
    source_progress(self->source, &input);
    progress_t progress = {input.bytes, input.bytes_total, self->tally.submitted, s_elapsed(self)};
    buffer_t line = {0};
    if (self->terminal > 0)
        progress_bar(&progress, self->terminal - 1, &line);
    else
        progress_line(&progress, &line);
    fprintf(stderr, self->terminal > 0 ? "\r\x1b[K%.*s" : "%.*s\n", (int)line.len,
            (const char *)line.bytes);
    buffer_free(&line);
}

/* Reads and sends one item. False at the end of the input. */
static bool s_step(run_t *self)
{
    error_t error = {0};
    switch (source_next(self->source, &self->submission, &error)) {
    case SOURCE_ITEM:
        self->tally.read++;
        sender_send(self->sender, &self->submission, source_where(self->source));
        return true;
    case SOURCE_REFUSED:
        self->tally.read++;
        self->tally.refused++;
        tally_reason(&self->tally, error.code, "", error.text);
        return true;
    case SOURCE_FAILED:
        self->tally.failed++;
        tally_reason(&self->tally, error.code, "", error.text);
        return true;
    case SOURCE_END:
        break;
    }
    return false;
}

static void s_submit_all(run_t *self)
{
    bool more = true;
    while (more && !s_interrupted && !sender_is_lost(self->sender)) {
        for (int i = 0; i < BURST && more && sender_has_room(self->sender); i++)
            more = s_step(self);
        sender_poll(self->sender, sender_has_room(self->sender) ? 0 : 100);
        s_show_progress(self);
    }
    self->tally.interrupted = more;
    while (sender_unanswered(self->sender) > 0 && !sender_is_refused(self->sender)) {
        sender_poll(self->sender, 100);
        s_show_progress(self);
    }
    self->tally.unanswered += sender_unanswered(self->sender);
    if (self->terminal > 0 && self->shown > self->started)
        fputs("\r\x1b[K", stderr);
}

static int s_summarise(run_t *self)
{
    buffer_t out = {0};
    source_progress_t input;
    source_progress(self->source, &input);
    if (self->input->common->json)
        tally_print_json(&self->tally, &input, s_elapsed(self), &out);
    else
        tally_print(&self->tally, &input, s_elapsed(self), &out);
    bool printed = common_print(&out);
    buffer_free(&out);
    int code = tally_exit_code(&self->tally);
    return code == EXIT_DONE && !printed ? EXIT_PARTLY : code;
}

/* With a source: connects, submits, sums up. */
static int s_run_connected(run_t *run, common_t *common)
{
    error_t error = {0};
    ixn_client_t *client = common_client(common, IXN__V1__ROLE__MEDIA_SERVER, &error);
    if (!client) {
        common_fail(&error);
        return EXIT_USAGE;
    }
    int code = EXIT_DONE;
    run->sender = sender_new(client, run->input->window, &run->tally);
    s_catch_signals();
    if (sender_connect(run->sender, common->left_ms, &error)) {
        s_submit_all(run);
        code = s_summarise(run);
    } else {
        if (error.code == ERROR_TIMED_OUT)
            common_no_node(common, "", &error);
        code = common_fail(&error);
    }
    sender_destroy(&run->sender);
    ixn_client_destroy(&client);
    return code;
}

static int s_run(const input_t *input)
{
    error_t error = {0};
    run_t run = {.input = input, .started = connection_now()};
    run.shown = run.started;
    run.terminal = common_terminal_width(STDERR_FILENO);
    run.source = source_new(input->paths, input->format, &input->defaults, &error);
    if (!run.source) {
        common_fail(&error);
        return EXIT_USAGE;
    }
    int code = s_run_connected(&run, input->common);
    source_destroy(&run.source);
    submission_free(&run.submission);
    return code;
}

int command_submit(common_t *common, int argc, char **argv)
{
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 90}, {0}};
    static const struct argp argp = {.options = s_options,
                                     .parser = s_parse,
                                     .args_doc = "FILE...",
                                     .doc = s_doc,
                                     .children = children};
    static input_t input; /* large */
    input = (input_t){
        .common = common, .defaults = {.max_text = MAIL_TEXT_DEFAULT}, .window = WINDOW_DEFAULT};
    common_parse(&argp, argc, argv, &input);
    return s_run(&input);
}
