/* ixnctl: the operator's tool. Finds the command and runs it; the help says what there is.
 */
#include "apps/ixnctl/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *group; /* one word before the name, or NULL */
    const char *name;
    const char *heading; /* begins a new group in the help */
    const char *sentence;
    const char *example;
    command_fn *run;
} entry_t;

static const entry_t s_commands[] = {
    {NULL, "status", "The whole of it", "All on one screen: what is wrong, and what to do",
     "ixnctl -n tcp://a:7420 -n tcp://b:7420 status", command_status},
    {NULL, "top", NULL, "The same, live", "ixnctl top", command_top},
    {NULL, "events", NULL, "The log as it is committed, one line an event",
     "ixnctl events --follow -o json", command_events},
    {NULL, "history", NULL, "Who was primary when, why, and for how long", "ixnctl history",
     command_history},
    {"database", "init", "The database", "Make the tables in an empty database, stamp its identity",
     "ixnctl --config ixnd.yaml database init", command_database_init},
    {"database", "migrate", NULL, "Bring the tables of an older version to this one",
     "ixnctl --config ixnd.yaml database migrate", command_database_migrate},
    {"database", "status", NULL, "Say which database this is, who writes it, how far it is",
     "ixnctl database status -o json", command_database_status},
    {"database", "adopt", NULL, "Declare that the database has moved, and where to",
     "ixnctl database adopt --reason \"moved to db-2\"", command_database_adopt},
    {"database", "skip", NULL, "Pass over an entry of the log on which nodes crash",
     "ixnctl database skip --index 4711 --reason \"crashes\"", command_database_skip},
    {"poison", "list", NULL, "Inputs that crashed nodes", "ixnctl poison list",
     command_poison_list},
    {"poison", "forgive", "FINGERPRINT", "Let an input that crashed nodes be tried again",
     "ixnctl poison forgive 0f0e0d0c-0b0a-0908-0706-050403020100", command_poison_forgive},
    {NULL, "daps", NULL, "Each node's ways to it: proven, in use, how quick",
     "ixnctl -n tcp://a:7420 -n tcp://b:7420 daps", command_daps},
    {"config", "check", "The configuration", "Check a file, and where each of its DAPs leads",
     "ixnctl config check ixnd.yaml.new", command_config_check},
    {"config", "diff", NULL, "What a reload would change, and whether it would be taken",
     "ixnctl config diff ixnd.yaml.new", command_config_diff},
    {"config", "reload", NULL, "Let nodes read their files again",
     "ixnctl -n tcp://a:7420 -n tcp://b:7420 config reload", command_config_reload},
    {"config", "show", NULL, "What is in force on a node", "ixnctl config show",
     command_config_show},
    {"pair", "keygen", "The pair", "Make the key that both nodes share",
     "ixnctl pair keygen /etc/ixn/pair.key", command_pair_keygen},
    {"pair", "status", NULL, "Both nodes, as each sees them; for monitoring too",
     "ixnctl -n tcp://a:7420 -n tcp://b:7420 pair status", command_pair_status},
    {NULL, "switchover", NULL, "Let the primary hand over to the backup, in order",
     "ixnctl switchover --wait --reason \"kernel update\"", command_switchover},
    {NULL, "failover", NULL, "Let the backup take over from a primary that is gone",
     "ixnctl -n tcp://b:7420 failover --wait", command_failover},
    {NULL, "pause", NULL, "No node takes over by itself until resume",
     "ixnctl pause --reason \"network maintenance\"", command_pair_pause},
    {"pair", "resume", NULL, "End that (also: resume without an id)", "ixnctl pair resume",
     command_pair_resume},
    {NULL, "submit", "Interactions in", "Submit JSON Lines, mbox, Maildir or single mails",
     "ixnctl submit --queue inbound archive.mbox.gz", command_submit},
    {NULL, "queues", "Looking (as of the last checkpoint, by SQL)", "What waits in each queue",
     "ixnctl queues", command_queues},
    {NULL, "list", NULL, "Interactions, by queue and state",
     "ixnctl list --queue inbound --state quarantined", command_list},
    {NULL, "apps", "Application servers (asked of the node)", "How each of them does",
     "ixnctl apps", command_apps},
    {NULL, "clusters", NULL, "Members of clusters, and what waits for them",
     "ixnctl clusters -o json", command_clusters},
    {NULL, "get", "One interaction (exact, asked of the node)", "Show it whole",
     "ixnctl get 0198c2a4-… -o json", command_get},
    {NULL, "place", NULL, "Move it to a queue, also out of quarantine",
     "ixnctl place 0198c2a4-… support --reason \"wrong queue\"", command_place},
    {NULL, "hold", NULL, "Let it wait where it is", "ixnctl hold 0198c2a4-…", command_hold},
    {NULL, "resume", NULL, "End that", "ixnctl resume 0198c2a4-…", command_resume},
    {NULL, "stop", NULL, "End it; it goes to the history", "ixnctl stop 0198c2a4-… --reason spam",
     command_stop},
    {"strategy", "put", "Strategies, routers, agents (exact, asked of the node)",
     "Store a new version", "ixnctl strategy put classify classify.lua --router R1",
     command_strategy_put},
    {"strategy", "get", NULL, "Print one", "ixnctl strategy get classify", command_strategy_get},
    {"strategy", "list", NULL, "Where each runs, and why not", "ixnctl strategy list",
     command_strategy_list},
    {"strategy", "activate", NULL, "Let routers run a version",
     "ixnctl strategy activate classify --router R1 --router R2", command_strategy_activate},
    {"strategy", "deactivate", NULL, "Let routers run it no more",
     "ixnctl strategy deactivate classify --router R2", command_strategy_deactivate},
    {"strategy", "remove", NULL, "Remove it, all versions", "ixnctl strategy remove classify",
     command_strategy_remove},
    {NULL, "routers", NULL, "What each has and runs", "ixnctl routers", command_routers},
    {NULL, "waiting", NULL, "Why queues wait", "ixnctl waiting", command_waiting},
    {"agent", "add", NULL, "Declare an agent", "ixnctl agent add maria", command_agent_add},
    {"agent", "remove", NULL, "Take that back", "ixnctl agent remove maria", command_agent_remove},
    {NULL, "agents", NULL, "Agents, and for what each is reserved", "ixnctl agents",
     command_agents},
};

#define COMMANDS_LEN (sizeof s_commands / sizeof s_commands[0])

static void s_append_entry(buffer_t *out, const entry_t *entry)
{
    char name[40];
    snprintf(name, sizeof name, "%s%s%s", entry->group ? entry->group : "", entry->group ? " " : "",
             entry->name);
    if (entry->heading)
        buffer_printf(out, "\n%s\n", entry->heading);
    buffer_printf(out, "  %-16s %s\n%19s%s\n", name, entry->sentence, "", entry->example);
}

/* argp prints this instead of the text after the options; it frees the result. */
static char *s_help(int key, const char *text, void *input)
{
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)text;
    buffer_t out = {0};
    buffer_append_text(&out, "Commands (each has a --help of its own):\n");
    for (size_t i = 0; i < COMMANDS_LEN; i++)
        s_append_entry(&out, &s_commands[i]);
    buffer_append_text(&out,
                       "\nThe way of a first interaction:\n"
                       "  ixnctl -c ixnd.yaml database init && ixnd --config ixnd.yaml &\n"
                       "  echo '{\"text\":\"Hello\"}' | ixnctl submit -q inbound -m chat -\n"
                       "  ixnctl -c ixnd.yaml queues\n"
                       "\nExit codes: 0 done, 1 refused, 2 usage, 3 not reachable, 4 partly done.\n"
                       "Of pair status: 0 ready, 1 not ready, 3 not reachable, 4 nobody serves.\n");
    buffer_append(&out, "", 1);
    return (char *)out.bytes;
}

typedef struct {
    common_t *common;
    int command; /* index of the first argument that is no option; 0: none */
} input_t;

static int s_parse(int key, char *argument, struct argp_state *state)
{
    (void)argument;
    input_t *input = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = input->common;
        return 0;
    case ARGP_KEY_ARG:
        input->command = state->next - 1;
        state->next = state->argc; /* the rest is the command's */
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child s_children[] = {{&common_argp, 0, NULL, 90}, {0}};
static const struct argp s_argp = {
    .parser = s_parse,
    .args_doc = "COMMAND [ARGUMENT...]",
    .doc = "Work with an interaction server from the command line.\v",
    .children = s_children,
    .help_filter = s_help,
};

static const entry_t *s_find(char **words, int len)
{
    for (size_t i = 0; i < COMMANDS_LEN; i++) {
        const entry_t *entry = &s_commands[i];
        if (!entry->group && strcmp(words[0], entry->name) == 0)
            return entry;
        if (entry->group && len > 1 && strcmp(words[0], entry->group) == 0 &&
            strcmp(words[1], entry->name) == 0)
            return entry;
    }
    return NULL;
}

static int s_unknown(char **words, int len)
{
    bool group = false;
    for (size_t i = 0; i < COMMANDS_LEN && len > 1; i++)
        group = group || (s_commands[i].group && strcmp(words[0], s_commands[i].group) == 0);
    fprintf(stderr, "ixnctl: there is no command \"%s%s%s\"; there are:", words[0],
            group ? " " : "", group ? words[1] : "");
    for (size_t i = 0; i < COMMANDS_LEN; i++)
        fprintf(stderr, "%s %s%s%s", i ? "," : "", s_commands[i].group ? s_commands[i].group : "",
                s_commands[i].group ? " " : "", s_commands[i].name);
    fprintf(stderr, "; see ixnctl --help\n");
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    argp_program_version = "ixnctl " IXN_VERSION;
    argp_err_exit_status = EXIT_USAGE;
    common_t common = {.timeout_ms = 10000};
    input_t input = {.common = &common};
    if (argp_parse(&s_argp, argc, argv, ARGP_IN_ORDER, NULL, &input) != 0)
        return EXIT_USAGE;
    if (input.command == 0) {
        argp_help(&s_argp, stderr, ARGP_HELP_STD_ERR, "ixnctl");
        return EXIT_USAGE;
    }
    char **words = argv + input.command;
    int len = argc - input.command;
    if (strcmp(words[0], "help") == 0) {
        argp_help(&s_argp, stdout, ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK, "ixnctl");
        return EXIT_DONE;
    }
    const entry_t *entry = s_find(words, len);
    if (!entry)
        return s_unknown(words, len);
    char name[64];
    snprintf(name, sizeof name, "ixnctl %s%s%s", entry->group ? entry->group : "",
             entry->group ? " " : "", entry->name);
    int skipped = entry->group ? 1 : 0;
    words[skipped] = name;
    int code = entry->run(&common, len - skipped, words + skipped);
    common_free(&common);
    return code;
}
